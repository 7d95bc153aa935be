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
    done = subprocess.run([programs.ROOT / "packaging/build.sh"], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "BIN": str(programs.BIN), "OUT": str(out), "KINDS": "deb rpm", **environment})
    if done.returncode != 0:
        raise AssertionError(f"packaging/build.sh: {done.returncode}\n{done.stdout}{done.stderr}")


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
