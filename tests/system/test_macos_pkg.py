"""The macOS package: what is in it, read by other code than wrote it; and its scripts, run in a private root where
programs for Linux lie in the place of the Mac's, and launchctl and pkgutil are stand-ins that keep a record."""
import os
import pathlib
import plistlib
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree as xml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import flat_package, programs  # noqa: E402
from tests.system.support.private_root import PrivateRoot, Unavailable  # noqa: E402

HOME = "/Library/Application Support/ClaudeTelemetry"
JOB = "/Library/LaunchDaemons/com.claude-telemetry.agent.plist"
VERSION = (programs.ROOT / "VERSION").read_text().strip()
# Keeps which jobs are loaded as files. kickstart of a job that is not loaded fails, as the real one does.
LAUNCHCTL = """\
#!/bin/sh
echo "$@" >> /tmp/launchctl.log
job=/tmp/loaded.${2##*/}
case "$1" in
print | kickstart) [ "$1" != kickstart ] || job=/tmp/loaded.${3##*/}; [ -e "$job" ] ;;
bootout) [ -e "$job" ] && rm "$job" ;;
bootstrap) [ ! -e /tmp/busy ] || { rm /tmp/busy; exit 5; }
    grep -q com.claude-telemetry.agent "$3" && touch /tmp/loaded.com.claude-telemetry.agent ;;
esac
"""


def build(target, **environment):
    done = subprocess.run([programs.ROOT / "packaging/macos/pkg.sh", target], capture_output=True, text=True,
                          env={**os.environ, "BIN_MACOS": str(programs.BIN), **environment})
    if done.returncode != 0:
        raise AssertionError(f"pkg.sh: {done.returncode}\n{done.stdout}{done.stderr}")


def setUpModule():
    if not programs.AGENT.exists():
        raise unittest.SkipTest(f"needs {programs.AGENT}: make build")
    global folder, package, files, payload, scripts
    holder = programs.Folder()
    folder = holder.__enter__()
    unittest.addModuleCleanup(holder.__exit__)
    package = folder / "agent.pkg"
    build(package)
    files = flat_package.read_xar(package.read_bytes())
    payload = flat_package.read_cpio(files["component.pkg/Payload"])
    scripts = flat_package.read_cpio(files["component.pkg/Scripts"])


class Structure(unittest.TestCase):
    def test_it_holds_what_the_installer_looks_for(self):
        self.assertEqual(set(files), {"Distribution", *(f"component.pkg/{name}" for name in
                                                        ("Bom", "PackageInfo", "Payload", "Scripts"))})
        self.assertEqual({name for name in scripts if name != "."}, {"./preinstall", "./postinstall"})
        for name in ("./preinstall", "./postinstall"):
            self.assertEqual(scripts[name][0], 0o100755)
            self.assertLess(len(scripts[name][4]), 15_360, "Intune takes no more")

    def test_the_bill_of_materials_says_what_the_payload_holds(self):
        bill = flat_package.read_bom(files["component.pkg/Bom"])
        self.assertEqual(set(bill), set(payload))
        for path, (mode, uid, gid, mtime, content) in payload.items():
            checksum = 0
            if mode & 0o100000:
                said = subprocess.run(["cksum"], input=content, capture_output=True, check=True).stdout
                checksum = int(said.split()[0])
            self.assertEqual(bill[path], (mode, uid, gid, mtime, len(content), checksum), path)

    def test_a_package_of_many_files_has_a_bill_of_many_leaves(self):
        for count in (251, 252, 900):  # and five folders
            with programs.Folder() as root:
                for nth in range(count):
                    path = root / f"usr/local/{nth % 3}/{nth}"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(str(nth))
                (root / "scripts").mkdir()
                done = subprocess.run([sys.executable, programs.ROOT / "packaging/macos/flatpkg.py", "--root", root / "usr",
                                       "--scripts", root / "scripts", "--identifier", "x", "--version", "1", "--title", "x",
                                       "--output", root / "x.pkg"], capture_output=True, text=True,
                                      env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
                self.assertEqual(done.returncode, 0, done.stderr)
                many = flat_package.read_xar((root / "x.pkg").read_bytes())
                bill = flat_package.read_bom(many["component.pkg/Bom"])
                self.assertEqual(len(bill), count + 5)
                self.assertEqual(set(bill), set(flat_package.read_cpio(many["component.pkg/Payload"])))

    def test_programs_and_job_lie_where_they_belong_and_are_roots(self):
        for path, mode in (("./usr/local/bin/claude-telemetry-agent", 0o100755),
                           ("./usr/local/bin/claude-telemetry-doctor", 0o100755), (f".{JOB}", 0o100644),
                           (f".{HOME}/uninstall.sh", 0o100755), (f".{HOME}/agent.yaml.default", 0o100640)):
            self.assertEqual(payload[path][:3], (mode, 0, 0), path)
        self.assertEqual(payload["./usr/local/bin/claude-telemetry-agent"][4], programs.AGENT.read_bytes())
        self.assertEqual(payload["./Applications"][:3], (0o040775, 0, 80))
        job = plistlib.loads(payload[f".{JOB}"][4])
        self.assertEqual(job["ProgramArguments"][0], "/usr/local/bin/claude-telemetry-agent")
        for path, entry in payload.items():
            self.assertFalse(entry[0] & 0o002, f"{path} may be written by all")
            self.assertTrue(path == "." or str(pathlib.PurePosixPath(path).parent) in {p.removeprefix("./") for p in payload}
                            or f"./{pathlib.PurePosixPath(path).parent}" in payload, f"{path} has no folder")

    def test_it_describes_itself(self):
        info = xml.fromstring(files["component.pkg/PackageInfo"])
        self.assertEqual((info.get("identifier"), info.get("version")), ("com.claude-telemetry.agent.pkg", VERSION))
        self.assertEqual(int(info.find("payload").get("numberOfFiles")), len(payload))
        bundle = info.find("bundle")
        application = plistlib.loads(payload[bundle.get("path") + "/Contents/Info.plist"][4])
        self.assertEqual(bundle.get("id"), application["CFBundleIdentifier"])
        self.assertEqual(application["CFBundleShortVersionString"], VERSION)
        self.assertIn(f'{bundle.get("path")}/Contents/MacOS/{application["CFBundleExecutable"]}', payload)
        outline = xml.fromstring(files["Distribution"])
        choices = {element.get("id") for element in outline.findall("choice")}
        self.assertEqual({line.get("choice") for line in outline.iter("line")}, choices)
        reference = [each for each in outline.findall("pkg-ref") if each.text]
        self.assertEqual([each.text for each in reference], ["#component.pkg"])
        self.assertEqual(reference[0].get("version"), VERSION)

    def test_the_same_programs_give_the_same_bytes(self):
        build(folder / "again.pkg")
        self.assertEqual((folder / "again.pkg").read_bytes(), package.read_bytes())

    def test_other_readers_agree(self):
        if not shutil.which("bsdtar"):
            self.skipTest("needs `bsdtar`: apt-get install libarchive-tools")
        listed = subprocess.run(["bsdtar", "-tf", package], capture_output=True, text=True, check=True).stdout.split("\n")
        self.assertLessEqual(set(files), set(listed))
        (folder / "Payload").write_bytes(files["component.pkg/Payload"])
        listed = subprocess.run(["bsdtar", "-tf", folder / "Payload"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(set(listed.strip().split("\n")), set(payload))

    def test_a_changed_byte_is_noticed(self):
        data = bytearray(package.read_bytes())
        for at in (30, len(data) // 2, len(data) - 1):
            data[at] ^= 1
            with self.assertRaises(flat_package.Damaged):
                flat_package.read_xar(bytes(data))
            data[at] ^= 1
        flat_package.read_xar(bytes(data))

    def test_programs_are_handed_to_be_signed_before_they_are_packed(self):
        sign = folder / "sign"
        sign.write_text(f'#!/bin/sh\necho "${{1##*/}}" >> {folder}/signed\n[ -d "$1" ] || echo signed >> "$1"\n')
        sign.chmod(0o755)
        build(folder / "signed.pkg", SIGN_PROGRAM_COMMAND=str(sign))
        inside = flat_package.read_cpio(flat_package.read_xar((folder / "signed.pkg").read_bytes())["component.pkg/Payload"])
        self.assertTrue(inside["./usr/local/bin/claude-telemetry-agent"][4].endswith(b"signed\n"))
        self.assertEqual((folder / "signed").read_text().split("\n")[:3],
                         ["claude-telemetry-agent", "claude-telemetry-doctor", "Claude Telemetry.app"])


class Scripts(unittest.TestCase):
    def setUp(self):
        try:
            self.root = PrivateRoot()
        except Unavailable as why:
            self.skipTest(str(why))
        self.addCleanup(self.root.close)
        self.root.run("sh", "-c", "getent group wheel || groupadd wheel")
        self.root.write("/usr/bin/launchctl", LAUNCHCTL, "0755")
        self.root.write("/usr/bin/pkgutil", '#!/bin/sh\necho "$@" >> /tmp/pkgutil.log\n', "0755")

    def install(self, job=None):
        for name in ("preinstall", "postinstall"):
            self.root.write(f"/tmp/scripts/{name}", scripts[f"./{name}"][4], "0755")
        arguments = ["/tmp/agent.pkg", "/", "/", "/"]
        self.root.run("/tmp/scripts/preinstall", *arguments)
        for path, (mode, _, _, _, content) in payload.items():
            if mode & 0o100000:
                self.root.write(path[1:], job if job and path[1:] == JOB else content, f"{mode & 0o777:04o}")
        self.root.run("/tmp/scripts/postinstall", *arguments)

    def launchctl(self):
        said = self.root.out("cat", "/tmp/launchctl.log").split("\n")
        self.root.run("rm", "-f", "/tmp/launchctl.log")
        return [line.split()[0] for line in said]

    def loaded(self):
        return self.root.run("test", "-e", "/tmp/loaded.com.claude-telemetry.agent", code=None).returncode == 0

    def test_a_first_installation_starts_the_job_and_leaves_claude_code_alone(self):
        self.install()
        self.assertTrue(self.loaded())
        self.assertEqual(self.root.stat(f"{HOME}/state"), "700 root:wheel")
        self.assertEqual(self.root.stat(f"{HOME}/agent.yaml"), "640 root:wheel")
        self.root.run("/usr/local/bin/claude-telemetry-agent", "check-config", "--config", f"{HOME}/agent.yaml")
        self.assertIn("settings: none", self.root.out("cat", f"{HOME}/agent.yaml"))
        self.assertEqual(self.root.stat(JOB), "644 root:wheel")

    def test_an_upgrade_keeps_the_configuration_and_the_job_with_its_socket(self):
        self.install()
        self.root.write(f"{HOME}/agent.yaml", "log: { level: debug }\n", "0640")
        self.root.write(f"{HOME}/state/spool", "not delivered")
        self.launchctl()
        self.install()
        self.assertEqual(self.launchctl(), ["print", "kickstart"])
        self.assertEqual(self.root.out("cat", f"{HOME}/agent.yaml"), "log: { level: debug }")
        self.assertEqual(self.root.out("cat", f"{HOME}/state/spool"), "not delivered")

    def test_a_job_that_changed_is_loaded_anew_even_while_launchd_is_busy(self):
        self.install(job=payload[f".{JOB}"][4].replace(b"14318", b"14319"))
        self.launchctl()
        self.root.write("/tmp/busy", "")
        self.install()
        self.assertEqual(self.launchctl(), ["print", "bootout", "enable", "bootstrap", "bootstrap"])
        self.assertTrue(self.loaded())

    def test_another_volume_is_left_alone(self):
        self.install()
        self.launchctl()
        self.root.run("/tmp/scripts/postinstall", "/tmp/agent.pkg", "/Volumes/Other", "/Volumes/Other", "/")
        self.assertEqual(self.root.stat("/tmp/launchctl.log"), "")

    def test_it_comes_off_and_keeps_data_until_it_is_told_not_to(self):
        before = self.root.changed()
        self.install()
        configuration = "claude: { settings: dropin, user_env: false }\n" \
                        "destinations: [{ name: central, endpoint: 'http://127.0.0.1:9' }]\n"
        self.root.write(f"{HOME}/agent.yaml", configuration, "0640")
        self.root.run("/usr/local/bin/claude-telemetry-agent", "apply", "--config", f"{HOME}/agent.yaml")
        self.assertNotEqual(self.root.stat("/etc/claude-code/managed-settings.d/90-claude-telemetry.json"), "")
        self.root.run(f"{HOME}/uninstall.sh")
        self.assertFalse(self.loaded())
        self.assertEqual(self.root.stat("/etc/claude-code/managed-settings.d/90-claude-telemetry.json"), "")
        self.assertEqual(self.root.out("cat", f"{HOME}/agent.yaml") + "\n", configuration)
        self.assertEqual(self.root.out("cat", "/tmp/pkgutil.log"), "--forget com.claude-telemetry.agent.pkg")
        self.install()
        self.root.run(f"{HOME}/uninstall.sh", "--purge")
        left = {path for path in self.root.changed() - before if path and not path.startswith(("var/lib/claude-telemetry", "tmp/"))}
        self.assertEqual(left, set())

    def test_the_enrolment_secret_is_roots_alone_and_the_agent_looks_again(self):
        self.install()
        self.launchctl()
        self.root.copy_in(programs.ROOT / "installer/macos/enroll.sh", "/tmp/enroll.sh")
        self.root.run("sh", "/tmp/enroll.sh", "/", "computer", "user", "s3cret")
        self.assertEqual(self.root.stat(f"{HOME}/enrollment-secret"), "400 root:root")
        self.assertEqual(self.root.out("cat", f"{HOME}/enrollment-secret"), "s3cret")
        self.assertEqual(self.launchctl(), ["print", "kickstart"])
        done = self.root.run("sh", "/tmp/enroll.sh", "/", "computer", "user", code=2)
        self.assertIn("fix: give it as parameter 4", done.stderr)

    def test_a_repair_loads_the_job_and_says_what_the_doctor_says(self):
        self.root.copy_in(programs.ROOT / "installer/macos/repair.sh", "/tmp/repair.sh")
        done = self.root.run("sh", "/tmp/repair.sh", code=1)
        self.assertIn("install the package again", done.stderr)
        self.install()
        self.root.run("launchctl", "bootout", "system/com.claude-telemetry.agent")
        said = self.root.run("sh", "/tmp/repair.sh", code=None)
        self.assertTrue(self.loaded())
        doctor = self.root.run("/usr/local/bin/claude-telemetry-doctor", code=None)
        self.assertEqual(said.returncode, doctor.returncode)
        self.assertEqual(said.stdout.split(" ")[:1], doctor.stdout.strip().split("\n")[-1].split(" ")[:1])

    def test_wrong_usage_is_explained(self):
        self.install()
        done = self.root.run(f"{HOME}/uninstall.sh", "--nonsense", code=2)
        self.assertIn("uninstall.sh --purge", done.stderr)
        self.assertTrue(self.loaded())


if __name__ == "__main__":
    unittest.main(verbosity=2)
