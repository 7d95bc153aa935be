"""The committed MDM templates are what the programs give now, and what they say is understood."""
import json
import pathlib
import plistlib
import re
import subprocess
import sys
import unittest
import xml.etree.ElementTree as xml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from templates import render, windows_policies  # noqa: E402
from tests.system.support import programs  # noqa: E402

TEMPLATES = programs.ROOT / "templates"


PAYLOAD_KEYS = {
    "com.apple.ManagedClient.preferences": {"PayloadContent"},
    "com.apple.servicemanagement": {"Rules"},
    "com.apple.TCC.configuration-profile-policy": {"Services"},
}
POLICY = {"p": "http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions"}


def settings_of(path, domain):
    outer = plistlib.loads((TEMPLATES / path).read_bytes())
    payload = outer["PayloadContent"][0]["PayloadContent"][domain]
    return payload["Forced"][0]["mcx_preference_settings"]


class Templates(unittest.TestCase):
    def test_the_committed_files_are_what_the_programs_give(self):
        made = render.render(programs.AGENT)
        for path, content in made.items():
            self.assertEqual((TEMPLATES / path).read_bytes(), content, f"{path}: run templates/render.py")
        committed = {str(p.relative_to(TEMPLATES)) for folder in ("claude-code", "intune", "jamf", "profiles", "windows")
                     for p in (TEMPLATES / folder).rglob("*") if p.is_file()}
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
            for payload in outer["PayloadContent"]:
                keys = {key for key in payload if not key.startswith("Payload") or key == "PayloadContent"}
                self.assertEqual(keys, PAYLOAD_KEYS[payload["PayloadType"]], path)
        self.assertEqual(len(identifiers), 4)

    def test_rules_of_profiles_are_of_kinds_that_apple_knows(self):
        items = plistlib.loads((TEMPLATES / "profiles/background-items.mobileconfig").read_bytes())["PayloadContent"][0]
        job = plistlib.loads((TEMPLATES / "com.claude-telemetry.agent.plist").read_bytes())
        for rule in items["Rules"]:
            self.assertIn(rule["RuleType"], ("BundleIdentifier", "BundleIdentifierPrefix", "Label", "LabelPrefix", "TeamIdentifier"))
            self.assertTrue(job["Label"].startswith(rule["RuleValue"]))
        privacy = plistlib.loads((TEMPLATES / "profiles/privacy.mobileconfig").read_bytes())["PayloadContent"][0]
        for rule in privacy["Services"]["SystemPolicyAllFiles"]:
            self.assertEqual(set(rule), {"Identifier", "IdentifierType", "CodeRequirement", "Allowed"})
            self.assertIn(rule["IdentifierType"], ("bundleID", "path"))

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
                self.assertNotIn("the defaults hold", done.stdout)  # no file, but settings
                self.assertIn(f"{render.DOMAIN}.plist: valid", done.stdout)
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


def check_config(root):
    return subprocess.run([programs.AGENT, "check-config", "--root", root], capture_output=True, text=True)


class Policies:
    """An .admx with its .adml, carried out as Windows does: <enabled/> and fields become values of the registry."""

    def __init__(self, name):
        self.name = name
        self.definitions = xml.parse(TEMPLATES / f"windows/{name}.admx").getroot()
        self.texts = xml.parse(TEMPLATES / f"windows/en-US/{name}.adml").getroot()
        self.policies = {each.get("name"): each for each in self.definitions.iterfind("p:policies/p:policy", POLICY)}
        self.parents = {each.get("name"): each.find("p:parentCategory", POLICY)
                        for each in self.definitions.iterfind("p:categories/p:category", POLICY)}

    def area(self, policy):
        """What Intune calls the place of a policy."""
        names, at = [], policy.find("p:parentCategory", POLICY)
        while at is not None:
            names.insert(0, at.get("ref"))
            at = self.parents[at.get("ref")]
        return f"{self.name}~Policy~{'~'.join(names)}"

    def apply(self, setting):
        """(key, name, value) that a setting of Intune's leaves in the registry."""
        area, _, name = setting["omaUri"].removeprefix("./Device/Vendor/MSFT/Policy/Config/").partition("/")
        policy = self.policies[name]
        assert self.area(policy) == area, f"{name} lies in {self.area(policy)}, not {area}"
        said = xml.fromstring(f"<setting>{setting['value']}</setting>")
        enabled, key = said.find("enabled") is not None, policy.get("key")
        if policy.get("valueName"):
            found = policy.find(f"p:{'enabled' if enabled else 'disabled'}Value/p:decimal", POLICY)
            return [(key, policy.get("valueName"), int(found.get("value")))]
        assert enabled, name
        elements = {each.get("id"): each for each in policy.find("p:elements", POLICY)}
        values = []
        for data in said.findall("data"):
            element, value = elements[data.get("id")], data.get("value")
            kind = element.tag.rpartition("}")[2]
            parts = value.split("\uf000")
            if kind == "list":
                values += [(element.get("key"), *pair) for pair in zip(parts[::2], parts[1::2], strict=True)]
                continue
            if kind == "decimal":
                assert int(element.get("minValue")) <= int(value) <= int(element.get("maxValue")), value
            if kind == "text":
                assert len(value) <= int(element.get("maxLength")), value
            made = {"text": lambda: value, "multiText": lambda: parts, "decimal": lambda: int(value),
                    "boolean": lambda: int(value == "true"), "enum": lambda: value}[kind]()
            values.append((key, element.get("valueName"), made))
        return values


def profile_of(name):
    return json.loads((TEMPLATES / f"windows/intune-{name}.json").read_text())["omaSettings"]


class Windows(unittest.TestCase):
    def registry_root(self, content):
        holder = programs.Folder()
        root = holder.__enter__()
        self.addCleanup(holder.__exit__)
        (root / "registry.reg").write_bytes(content)
        return root

    def test_every_text_that_a_policy_names_is_there_and_none_too_many(self):
        for name in ("ClaudeTelemetry", "ClaudeCodeSettings"):
            policies = Policies(name)
            named = re.findall(r"\$\((string|presentation)\.(\w+)\)", (TEMPLATES / f"windows/{name}.admx").read_text())
            there = [(kind, each.get("id")) for kind in ("string", "presentation")
                     for each in policies.texts.iterfind(f".//p:{kind}", POLICY)]
            self.assertEqual(sorted(set(named)), sorted(there), name)
            self.assertEqual(len(there), len(set(there)), name)
            for policy in policies.policies.values():
                fields = [each.get("id") for each in policy.iterfind("p:elements/*", POLICY)]
                shown = [each.get("refId") for each in policies.texts.iterfind(
                    f".//p:presentation[@id='{policy.get('name')}']/*", POLICY)]
                self.assertEqual(fields, shown, policy.get("name"))
                self.assertTrue(policies.area(policy))

    def test_every_key_of_the_agent_has_a_policy(self):
        def keys(schema, path):
            for name, inner in schema.get("properties", {}).items():
                if "properties" in inner:
                    yield from keys(inner, f"{path}\\{name}")
                elif "properties" in inner.get("items", {}):
                    yield from keys(inner["items"], f"{path}\\{name}\\1")
                else:
                    yield path, name
        wanted = set(keys(json.loads((TEMPLATES / "jamf-schema.json").read_text()), windows_policies.KEY))
        offered = set()
        for policy in Policies("ClaudeTelemetry").policies.values():
            if policy.get("valueName"):
                offered.add((policy.get("key"), policy.get("valueName")))
            for each in policy.iterfind("p:elements/*", POLICY):
                key, name = policy.get("key"), each.get("valueName")
                offered.add((key, name) if name else tuple(each.get("key").rsplit("\\", 1)))
        self.assertEqual({pair for pair in offered if not re.search(r"\\destinations\\[23]$", pair[0])}, wanted)

    def test_the_agent_accepts_the_registry_file_and_names_a_misspelt_key(self):
        text = (TEMPLATES / "windows/claude-telemetry.reg").read_bytes().decode("utf-16")
        done = check_config(self.registry_root(text.encode("utf-16")))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"^HKLM.*\\ClaudeTelemetry: valid\n$")
        done = check_config(self.registry_root(text.replace("email_domain", "email_domian").encode("utf-16")))
        self.assertEqual(done.returncode, 2)
        self.assertIn("email_domain", done.stderr)

    def test_a_policy_without_a_setting_that_counts_leaves_the_defaults(self):
        key = "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\ClaudeTelemetry]\r\n"
        done = check_config(self.registry_root((key + '"server.url"="{{url}}"\r\n').encode("utf-16")))
        self.assertIn("agent.yaml' does not exist: the defaults hold", done.stdout)
        done = check_config(self.registry_root((key + '"server.url"="https://t.example.com"\r\n').encode("utf-16")))
        self.assertIn("there are no destinations", done.stdout)
        self.assertIn("to 'HKLM", done.stdout)

    def test_intunes_settings_become_the_registry_file(self):
        policies, rows = Policies("ClaudeTelemetry"), []
        install, *settings = profile_of("claude-telemetry")
        self.assertEqual(install["value"], (TEMPLATES / "windows/ClaudeTelemetry.admx").read_text())
        for setting in settings:
            rows += policies.apply(setting)
        self.assertEqual(windows_policies.reg_file(rows), (TEMPLATES / "windows/claude-telemetry.reg").read_bytes())

    def test_every_kind_of_value_passes_through_a_policy_to_the_agent(self):
        schema = json.loads((TEMPLATES / "jamf-schema.json").read_text())
        config = {"server": {"url": "https://t.example.com"}, "heartbeat": {"interval_seconds": 90},
                  "claude": {"settings": "dropin", "user_env": False, "log_user_prompts": True, "signals": ["logs", "traces"],
                             "resource_attributes": {"team": "a & b", "floor": "3"}},
                  "relay": {"spool": {"max_mib": 64}},
                  "destinations": [{"name": "one", "endpoint": "https://one.example.com", "signals": ["logs"], "enabled": False,
                                    "timeout_seconds": 5, "headers": {"X-One": "\"1\""}},
                                   {"name": "two", "endpoint": "https://two.example.com", "compression": "none"}]}
        policies, rows = Policies("ClaudeTelemetry"), []
        for _, uri, value in windows_policies.agent_settings(config, schema):
            rows += policies.apply({"omaUri": f"./Device/Vendor/MSFT/Policy/Config/{uri}", "value": value})
        self.assertEqual(sorted(map(str, rows)), sorted(map(str, windows_policies.values(config))))
        root = self.registry_root(windows_policies.reg_file(rows))
        self.assertEqual(check_config(root).returncode, 0, check_config(root).stderr)
        done = subprocess.run([programs.AGENT, "apply", "--root", root], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        env = json.loads(next(root.rglob("90-claude-telemetry.json")).read_text())["env"]
        self.assertEqual(env["OTEL_LOG_USER_PROMPTS"], "1")
        self.assertIn("floor=3", env["OTEL_RESOURCE_ATTRIBUTES"])
        self.assertNotIn("OTEL_METRICS_EXPORTER", env)

    def test_claude_codes_policy_is_its_registry_value(self):
        install, setting = profile_of("claude-code")
        self.assertEqual(install["value"], (TEMPLATES / "windows/ClaudeCodeSettings.admx").read_text())
        rows = Policies("ClaudeCodeSettings").apply(setting)
        self.assertEqual(windows_policies.reg_file(rows), (TEMPLATES / "claude-code/claude-code.reg").read_bytes())


class Jamf(unittest.TestCase):
    def test_smart_groups_ask_for_attributes_that_there_are(self):
        names = {xml.parse(path).getroot().find("name").text: path for path in (TEMPLATES / "jamf").glob("attribute-*.xml")}
        self.assertEqual(len(names), 3)
        groups = list((TEMPLATES / "jamf").glob("group-*.xml"))
        self.assertEqual(len(groups), 4)
        for path in groups:
            root = xml.parse(path).getroot()
            criteria = root.findall("criteria/criterion")
            self.assertEqual(int(root.find("criteria/size").text), len(criteria))
            for nth, each in enumerate(criteria):
                self.assertIn(each.find("name").text, names)
                self.assertEqual(each.find("priority").text, str(nth))

    def test_attributes_carry_the_scripts_that_are_tested(self):
        for path in (TEMPLATES / "jamf").glob("attribute-*.xml"):
            name = path.stem.removeprefix("attribute-")
            script = (programs.ROOT / f"installer/jamf/extension-attributes/{name}.sh").read_text()
            self.assertEqual(xml.parse(path).getroot().find("input_type/script").text, script)


class JamfSchema(unittest.TestCase):
    def test_it_is_a_schema_and_takes_the_profile(self):
        try:
            import jsonschema
        except ImportError:
            self.skipTest("needs the Python module jsonschema: apt-get install python3-jsonschema")
        schema = json.loads((TEMPLATES / "jamf-schema.json").read_text())
        jsonschema.Draft4Validator.check_schema(schema)
        checker = jsonschema.Draft4Validator(schema)
        self.assertEqual(list(checker.iter_errors(plistlib.loads((TEMPLATES / f"profiles/{render.DOMAIN}.plist").read_bytes()))), [])
        self.assertTrue(list(checker.iter_errors({"heartbeat": {"interval_seconds": "soon"}})))


if __name__ == "__main__":
    unittest.main(verbosity=2)
