"""The committed MDM templates are what the programs give now, and what they say is understood."""
import json
import pathlib
import plistlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from templates import render  # noqa: E402
from tests.system.support import programs  # noqa: E402

TEMPLATES = programs.ROOT / "templates"


def settings_of(path, domain):
    outer = plistlib.loads((TEMPLATES / path).read_bytes())
    payload = outer["PayloadContent"][0]["PayloadContent"][domain]
    return payload["Forced"][0]["mcx_preference_settings"]


class Templates(unittest.TestCase):
    def test_the_committed_files_are_what_the_programs_give(self):
        made = render.render(programs.AGENT)
        for path, content in made.items():
            self.assertEqual((TEMPLATES / path).read_bytes(), content, f"{path}: run templates/render.py")
        committed = {str(p.relative_to(TEMPLATES)) for folder in ("claude-code", "profiles")
                     for p in (TEMPLATES / folder).iterdir()}
        self.assertEqual(committed, set(made))

    def test_profiles_carry_what_apple_asks_for(self):
        identifiers = set()
        for path in TEMPLATES.rglob("*.mobileconfig"):
            outer = plistlib.loads(path.read_bytes())
            for payload in (outer, *outer["PayloadContent"]):
                for key in ("PayloadType", "PayloadVersion", "PayloadIdentifier", "PayloadUUID", "PayloadDisplayName"):
                    self.assertIn(key, payload, path)
                self.assertRegex(payload["PayloadUUID"], r"^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$")
            self.assertEqual(outer["PayloadScope"], "System")
            self.assertNotEqual(outer["PayloadUUID"], outer["PayloadContent"][0]["PayloadUUID"])
            identifiers.add(outer["PayloadIdentifier"])
        self.assertEqual(len(identifiers), 3)

    def test_the_same_block_reaches_claude_code_by_every_way(self):
        file = json.loads((TEMPLATES / "claude-code/managed-settings.json").read_text())
        self.assertEqual(file["env"]["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"], "http://127.0.0.1:14318/v1/logs")
        self.assertEqual(plistlib.loads((TEMPLATES / f"claude-code/{render.CLAUDE_DOMAIN}.plist").read_bytes()), file)
        self.assertEqual(settings_of("claude-code/claude-code.mobileconfig", render.CLAUDE_DOMAIN), file)
        text = (TEMPLATES / "claude-code/claude-code.reg").read_bytes().decode("utf-16")
        value = re.search(r'^"Settings"="(.*)"\r$', text, re.M).group(1)
        self.assertEqual(json.loads(re.sub(r"\\(.)", r"\1", value)), file)

    def test_the_agent_accepts_every_profile_and_names_a_misspelt_key(self):
        for path in sorted((TEMPLATES / "profiles").glob("agent-*.mobileconfig")):
            with programs.Folder() as root:
                preferences = root / "Library/Managed Preferences"
                preferences.mkdir(parents=True)
                values = settings_of(path, render.DOMAIN)
                (preferences / f"{render.DOMAIN}.plist").write_bytes(plistlib.dumps(values, fmt=plistlib.FMT_BINARY))
                done = subprocess.run([programs.AGENT, "check-config", "--root", root], capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, f"{path.name}: {done.stderr}")
                values["destinatons"] = values.pop("destinations")
                (preferences / f"{render.DOMAIN}.plist").write_bytes(plistlib.dumps(values))
                done = subprocess.run([programs.AGENT, "check-config", "--root", root], capture_output=True, text=True)
                self.assertEqual(done.returncode, 2, path.name)
                self.assertIn("destinations", done.stderr)

    def test_the_profile_uses_keys_of_the_jamf_schema(self):
        schema = json.loads((TEMPLATES / "jamf-schema.json").read_text())

        def check(value, allowed, at):
            if isinstance(value, dict) and "properties" in allowed:
                for key, inner in value.items():
                    self.assertIn(key, allowed["properties"], at)
                    check(inner, allowed["properties"][key], f"{at}.{key}")
            elif isinstance(value, list):
                for inner in value:
                    check(inner, allowed["items"], at)
            else:
                kinds = {"string": str, "integer": int, "boolean": bool, "object": dict}
                self.assertIsInstance(value, kinds[allowed["type"]], at)
        check(plistlib.loads((TEMPLATES / f"profiles/{render.DOMAIN}.plist").read_bytes()), schema, "agent")

    def test_no_template_holds_a_secret(self):
        for path in TEMPLATES.rglob("*"):
            if path.is_file() and path.suffix != ".py" and path.suffix != ".pyc":
                text = path.read_bytes().decode("utf-16" if path.suffix == ".reg" else "utf-8")
                self.assertNotRegex(text, r"ct_[A-Za-z0-9]{8}|Bearer [A-Za-z0-9]", path)


if __name__ == "__main__":
    unittest.main(verbosity=2)
