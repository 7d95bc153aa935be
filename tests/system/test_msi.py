"""The .msi under Wine: install, repair, upgrade, refuse to go back, uninstall with nothing left."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import packages, programs, spdx  # noqa: E402
from tests.system.support.wine import PROGRAM, Wine  # noqa: E402

BIN = pathlib.Path(os.environ.get("CT_BIN_WINDOWS", programs.ROOT / "build/mingw/bin"))
LIBRARIES = programs.ROOT / "build/mingw-sysroot/libraries.tsv"
POLICIES = r"HKLM\SOFTWARE\Policies\ClaudeTelemetry"
ENVIRONMENT = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment"
UNINSTALL = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall"
SERVICE = r"HKLM\SYSTEM\CurrentControlSet\Services\claude-telemetry-agent"
EVENTS = r"HKLM\SYSTEM\CurrentControlSet\Services\EventLog\Application\claude-telemetry-agent"
KEYS = {name: rf"HKEY_LOCAL_MACHINE\SOFTWARE\Policies\ClaudeTelemetry\{name}"
        for name in ("server", "identity", "claude", r"destinations\1", r"destinations\1\headers")}
CONFIGURATION = """\
claude: {{ settings: dropin, user_env: false }}
relay: {{ listen: "127.0.0.1:{port}", local_token_required: false, spool: {{ min_free_disk_mib: 0 }} }}
destinations: [{{ name: central, endpoint: "http://127.0.0.1:9" }}]
"""
PROGRAMS = {"claude-telemetry-agent.exe", "claude-telemetry-doctor.exe", "LICENSE.txt"}
REFUSED = 1603 & 0xFF


def query(package, text):
    subprocess.run(["msibuild", package, "-q", text], check=True, capture_output=True)


def an_older(package, target):
    """The same package as a previous release had it."""
    shutil.copy(package, target)
    upgrade = subprocess.run(["msiinfo", "export", target, "Upgrade"], check=True, capture_output=True, text=True).stdout
    code = upgrade[upgrade.index("{"):][:38]
    for text in ("UPDATE Property SET Value = '0.0.1' WHERE Property = 'ProductVersion'",
                 "UPDATE Property SET Value = '{5D2C0F0E-6B1C-5B60-9C0E-3E0F5F1A7E01}' WHERE Property = 'ProductCode'",
                 "DELETE FROM Upgrade WHERE ActionProperty = 'WIX_DOWNGRADE_DETECTED'",
                 "DELETE FROM Upgrade WHERE ActionProperty = 'WIX_UPGRADE_DETECTED'",
                 "INSERT INTO Upgrade (UpgradeCode, VersionMin, Attributes, ActionProperty) "
                 f"VALUES ('{code}', '0.0.1', 0, 'WIX_DOWNGRADE_DETECTED')"):
        query(target, text)
    return target


def setUpModule():
    for tool, named in ((PROGRAM, "wine64"), ("wixl", "wixl"), ("msibuild", "msitools"),
                          ("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-win32")):
        if not shutil.which(tool):
            raise unittest.SkipTest(f"needs `{tool}`: apt-get install {named}")
    global folder, bin_folder, real, package, older, wine
    holder = programs.Folder()
    folder = holder.__enter__()
    unittest.addModuleCleanup(holder.__exit__)
    real = (BIN / "claude-telemetry-agent.exe").exists()
    bin_folder = BIN if real else folder / "bin"
    if not real:
        print(f"no {BIN / 'claude-telemetry-agent.exe'} (make cross): a stand-in is packed")
        bin_folder.mkdir()
        for name in ("agent", "doctor"):
            subprocess.run(["x86_64-w64-mingw32-gcc", "-static", "-o", bin_folder / f"claude-telemetry-{name}.exe",
                            pathlib.Path(__file__).parent / "support/windows_program.c"], check=True)
    package = build("new.msi")
    older = an_older(package, folder / "old.msi")
    wine = Wine(folder)
    unittest.addModuleCleanup(wine.finish, "-k")


def build(name):
    done = subprocess.run([programs.ROOT / "packaging/windows/msi.sh", folder / name], capture_output=True, text=True,
                          env={**os.environ, "BIN_WINDOWS": str(bin_folder)})
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"msi.sh: {done.returncode}\n{done.stdout}{done.stderr}")
    return folder / name


def snapshot():
    """Files, and the registry's parts that an installation is seen in. Windows Installer keeps what is its own."""
    files = {str(path.relative_to(wine.c)) for path in wine.c.rglob("*") if not path.is_dir() or not any(path.iterdir())}
    own = ("windows/Installer", "windows/temp/", "users/")
    settings = [wine.registry(key) for key in (POLICIES, ENVIRONMENT, UNINSTALL, SERVICE, EVENTS)]
    for values in settings[1].values():
        values["PATH"] = values["PATH"].rstrip(";")  # Wine leaves one behind
    return {path for path in files if not path.startswith(own)}, settings


class Msi(unittest.TestCase):
    def setUp(self):
        self.home = wine.c / "Program Files/ClaudeTelemetry"
        self.data = wine.c / "ProgramData/ClaudeTelemetry"
        self.addCleanup(self.take_off)

    def msiexec(self, *words, code=0):
        got = wine.run("msiexec", *words, "/qn")[1]
        self.assertEqual(got, code, words)

    def take_off(self):
        for each in (package, older):
            wine.run("msiexec", "/x", each, "/qn", "PURGE=1")
        (wine.c / "reverted").unlink(missing_ok=True)

    def running(self):
        return "Claude Telemetry Agent" in wine.run("net", "start")[0]

    def version(self):
        return [values["DisplayVersion"] for values in wine.registry(UNINSTALL).values()
                if values.get("DisplayName") == "Claude Telemetry Agent"]

    def test_the_same_programs_give_the_same_bytes(self):
        self.assertEqual(build("again.msi").read_bytes(), package.read_bytes())

    def test_the_bill_of_materials_names_what_is_in_the_programs(self):
        if not real or not LIBRARIES.exists() or not shutil.which("msiextract"):
            self.skipTest("needs the programs and libraries of `make cross`, and `msiextract`")
        out = folder / "packages"
        packages.build(out, KINDS="msi", BIN_WINDOWS=str(BIN))
        document = json.loads(next(out.glob("*.spdx.json")).read_text())
        spdx.check(document)
        for name in ("claude-telemetry-agent.exe", "claude-telemetry-doctor.exe"):
            linked = {library for kind, library in spdx.linked(document, name) if kind == "STATIC_LINK"}
            self.assertLessEqual({"curl", "openssl", "libyaml", "cjson", "nghttp2", "libz-mingw-w64-dev"}, linked)
        subprocess.run(["msiextract", "-C", out / "inside", next(out.glob("*.msi"))], check=True, capture_output=True)
        packed = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (out / "inside").rglob("*.exe")}
        self.assertEqual({each["checksums"][0]["checksumValue"] for each in document["packages"] if "checksums" in each}, packed)

    def test_an_installation_runs_as_a_service_with_the_settings_it_was_given(self):
        secret = r"C:\ProgramData\ClaudeTelemetry\enrollment-secret"
        self.msiexec("/i", package, "SERVER_URL=https://telemetry.example.com", f"ENROLLMENT_SECRET_FILE={secret}",
                     "EMAIL_DOMAIN=example.com")
        self.assertEqual({path.name for path in self.home.iterdir()}, PROGRAMS)
        self.assertTrue(self.data.is_dir())
        self.assertTrue(self.running())
        service = next(iter(wine.registry(SERVICE).values()))
        self.assertEqual(service["ImagePath"], r"C:\Program Files\ClaudeTelemetry\claude-telemetry-agent.exe run")
        self.assertEqual(service["Start"], "0x2")
        events = next(iter(wine.registry(EVENTS).values()))
        self.assertEqual(events["EventMessageFile"], r"C:\Program Files\ClaudeTelemetry\claude-telemetry-agent.exe")
        self.assertEqual(wine.registry(POLICIES), {
            KEYS["server"]: {"url": "https://telemetry.example.com", "enrollment_secret_file": secret},
            KEYS["identity"]: {"email_domain": "example.com"},
            KEYS["claude"]: {"settings": "auto", "user_env": "0x1"},
            KEYS[r"destinations\1"]: {"name": "central", "endpoint": "https://telemetry.example.com"},
            KEYS[r"destinations\1\headers"]: {"Authorization": "Bearer ${device_token}"}})
        path = next(iter(wine.registry(ENVIRONMENT).values()))["PATH"]
        self.assertIn(r"C:\Program Files\ClaudeTelemetry", path.split(";")[-1])

    def test_a_repair_brings_back_what_is_missing(self):
        self.msiexec("/i", package, "SERVER_URL=https://telemetry.example.com")
        doctor = self.home / "claude-telemetry-doctor.exe"
        as_it_was = doctor.read_bytes()
        doctor.unlink()
        wine.run("reg", "delete", POLICIES + r"\server", "/f", "/reg:64")
        self.msiexec("/i", package, "REINSTALL=ALL", "REINSTALLMODE=amus", "SERVER_URL=https://telemetry.example.com")
        self.assertEqual(doctor.read_bytes(), as_it_was)
        self.assertEqual(wine.registry(POLICIES)[KEYS["server"]], {"url": "https://telemetry.example.com"})
        self.assertTrue(self.running())

    def test_an_upgrade_keeps_settings_and_data_and_so_does_the_way_back(self):
        self.msiexec("/i", older, "SERVER_URL=https://telemetry.example.com", "EMAIL_DOMAIN=example.com")
        self.assertEqual(self.version(), ["0.0.1"])
        (self.data / "agent.yaml").write_text("log: { level: debug }\n")
        self.msiexec("/i", package, "EMAIL_DOMAIN=example.org")
        self.assertEqual(self.version(), [(programs.ROOT / "VERSION").read_text().strip()])
        self.assertTrue(self.running())
        self.assertEqual((self.data / "agent.yaml").read_text(), "log: { level: debug }\n")
        found = wine.registry(POLICIES)
        self.assertEqual(found[KEYS["server"]], {"url": "https://telemetry.example.com"})
        self.assertEqual(found[KEYS["identity"]], {"email_domain": "example.org"})
        self.msiexec("/i", older, code=REFUSED)  # nobody goes back by accident
        self.assertEqual(self.version(), [(programs.ROOT / "VERSION").read_text().strip()])
        self.assertTrue(self.running())
        self.msiexec("/i", older, "DOWNGRADE=1")
        self.assertEqual(self.version(), ["0.0.1"])
        self.assertTrue(self.running())
        self.assertEqual({path.name for path in self.home.iterdir()}, PROGRAMS)
        self.assertEqual((self.data / "agent.yaml").read_text(), "log: { level: debug }\n")
        self.assertEqual(wine.registry(POLICIES), found)
        self.msiexec("/i", package)
        self.assertEqual(self.version(), [(programs.ROOT / "VERSION").read_text().strip()])

    def test_the_scripts_for_intune_bring_the_configuration_and_take_everything_off(self):
        app = folder / "app"
        app.mkdir()
        for name in ("install.cmd", "uninstall.cmd"):
            shutil.copy(programs.ROOT / "installer/windows" / name, app)
        shutil.copy(package, app / "claude-telemetry-agent-1.2.3-x64.msi")
        port = programs.free_port()
        wanted = CONFIGURATION.format(port=port)
        (app / "agent.yaml").write_text(wanted)
        (app / "enrollment-secret").write_text("s3cret")
        self.assertEqual(wine.run("cmd", "/c", r"app\install.cmd", "EMAIL_DOMAIN=example.com")[1], 0)
        self.assertTrue(self.running())
        self.assertEqual((self.data / "agent.yaml").read_text(), wanted)
        self.assertEqual((self.data / "enrollment-secret").read_text(), "s3cret")
        self.assertEqual(wine.registry(POLICIES), {KEYS["identity"]: {"email_domain": "example.com"}})
        if real:
            self.relays_and_writes_settings(port)
        self.assertEqual(wine.run("cmd", "/c", r"app\uninstall.cmd", "PURGE=1")[1], 0)
        self.assertFalse(self.running())
        self.assertFalse(self.home.exists() or self.data.exists())
        if real:
            self.assertFalse(self.settings().exists(), "Claude Code's settings were not put back")

    def settings(self):
        return wine.c / "Program Files/ClaudeCode/managed-settings.d/90-claude-telemetry.json"

    def relays_and_writes_settings(self, port):
        url = f"http://127.0.0.1:{port}"
        programs.wait_until(lambda: programs.http("GET", url + "/healthz")[0] == 200, 60, what="relay")
        body = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"hello"}}]}]}]}'
        status = programs.http("POST", url + "/v1/logs", body, {"Content-Type": "application/json"})[0]
        self.assertEqual(status, 200)
        programs.wait_until(self.settings().exists, 60, what="Claude Code's settings")
        env = json.loads(self.settings().read_text())["env"]
        self.assertEqual(env["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"], url + "/v1/logs")

    def test_it_comes_off_and_keeps_data_until_it_is_told_not_to(self):
        before = snapshot()
        self.msiexec("/i", package)
        self.assertEqual(wine.registry(POLICIES), {})
        self.assertIn("settings: none", (self.data / "agent.yaml").read_text())
        self.msiexec("/x", package, "PURGE=1")
        (wine.c / "reverted").unlink(missing_ok=True)
        self.assertEqual(snapshot(), before)
        self.msiexec("/i", package, "SERVER_URL=https://telemetry.example.com", "EMAIL_DOMAIN=example.com")
        self.assertNotEqual(snapshot(), before)
        (self.data / "spool").mkdir(exist_ok=True)
        (self.data / "spool/1.segment").write_text("not delivered")
        self.msiexec("/x", package)
        self.assertFalse(self.running())
        self.assertFalse(self.home.exists())
        self.assertEqual((self.data / "spool/1.segment").read_text(), "not delivered")
        if not real:
            self.assertTrue((wine.c / "reverted").exists(), "Claude Code's settings were not put back")
            (wine.c / "reverted").unlink()
        self.msiexec("/i", package)
        self.msiexec("/x", package, "PURGE=1")
        (wine.c / "reverted").unlink(missing_ok=True)
        self.assertEqual(snapshot(), before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
