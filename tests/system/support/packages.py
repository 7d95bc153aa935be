"""The packages of the programs under test, and what a previous release's would be."""
import os
import re
import shutil
import subprocess
import unittest

from tests.system.support import programs

AGENT, SERVER = "claude-telemetry-agent", "claude-telemetry-server"


def need(*tools):
    """Skips the module's tests where a tool or a program is missing."""
    for tool in tools:
        if not shutil.which(tool):
            raise unittest.SkipTest(f"needs `{tool}`: apt-get install dpkg-dev rpm binutils")
    for name in (AGENT, "claude-telemetry-doctor", SERVER):
        if not (programs.BIN / name).exists():
            raise unittest.SkipTest(f"needs {programs.BIN / name}: make build")


def build(out, **environment):
    """What it said."""
    done = subprocess.run([programs.ROOT / "packaging/build.sh"], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "BIN": str(programs.BIN), "OUT": str(out), "KINDS": "deb rpm", **environment})
    if done.returncode != 0:
        raise AssertionError(f"packaging/build.sh: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def debs(folder):
    return {name: next(folder.glob(f"{name}_*.deb")) for name in (AGENT, SERVER)}


def rpms(folder):
    return {name: next(folder.glob(f"{name}-*.rpm")) for name in (AGENT, SERVER)}


def an_older(package, folder):
    """The same package with a lower version and another default configuration, as the previous release had."""
    tree = folder / f"{package.name}.tree"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*", "Version: 0.0.1~test", control.read_text()))
    for default in (tree / "etc/claude-telemetry").iterdir():
        default.write_text(default.read_text() + "# As it was then.\n")
    older = folder / package.name.replace("_0", "_0.0.1-test_0", 1)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, older], check=True, capture_output=True)
    return older


def rpmbuild(spec, folder, **defines):
    """The packages that a spec gives, by name; built below `folder`."""
    words = {"_topdir": folder / "rpm", "_rpmdir": folder, "_dbpath": folder / "db", "_build_id_links": "none",
             "_rpmfilename": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", "_unitdir": "/usr/lib/systemd/system", **defines}
    done = subprocess.run(["rpmbuild", "-bb", "--quiet", spec, *(word for name, value in words.items()
                                                                 for word in ("--define", f"{name} {value}"))],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"rpmbuild: {done.returncode}\n{done.stdout}{done.stderr}")
    return list(folder.glob("*.rpm"))


def older_rpms(packages, folder):
    """The same files as version 0.0.1."""
    for name, path in packages.items():
        stage = folder / "stage" / name
        stage.mkdir(parents=True)
        content = subprocess.run(["rpm2archive", "-"], check=True, capture_output=True, input=path.read_bytes()).stdout
        subprocess.run(["tar", "-xz"], cwd=stage, input=content, check=True)
    rpmbuild(programs.ROOT / "packaging/rpm/claude-telemetry.spec", folder, ct_version="0.0.1", ct_staged=folder / "stage",
             ct_license="none", ct_homepage="https://example.com/")
    return rpms(folder)


def rpm_of_this_system(packages, folder):
    """A package that provides whatever `packages` require of the system below them."""
    folder.mkdir()
    wanted = set()
    for path in packages:
        listed = subprocess.run(["rpm", "-qpR", path], check=True, capture_output=True, text=True).stdout
        wanted |= {line for line in listed.splitlines() if not re.match(r"rpmlib\(|config\(", line)}
    spec = folder / "this-system.spec"
    spec.write_text("Name: this-system\nVersion: 1\nRelease: 1\nSummary: this machine\nLicense: none\nBuildArch: noarch\n" +
                    "".join(f"Provides: {each}\n" for each in sorted(wanted)) + "%description\nThis machine.\n%files\n")
    return rpmbuild(spec, folder)[0]
