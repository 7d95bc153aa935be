"""Windows' forms of the agent's settings: an ADMX with its ADML from the table of keys, and a configuration as
values of the registry, as a .reg file and as Intune's settings. docs/configuration.md says how the registry is read."""
import json
import xml.etree.ElementTree as xml
from xml.sax.saxutils import quoteattr

KEY = "SOFTWARE\\Policies\\ClaudeTelemetry"
NAMESPACE = "http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions"
DESTINATIONS = 3  # each has a policy of its own; more go into agent.yaml
LIST_MARK = "\uf000"  # between the lines of a list in Intune's values


def add(parent, tag, text=None, **attributes):
    made = xml.SubElement(parent, tag, {name: str(value) for name, value in attributes.items()})
    made.text = text
    return made


def document(root):
    xml.indent(root)
    return xml.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


class PolicyFile:
    """An .admx and its .adml, growing together."""

    def __init__(self, namespace, title):
        self.definitions = xml.Element("policyDefinitions", {"xmlns": NAMESPACE, "revision": "1.0", "schemaVersion": "1.0"})
        add(add(self.definitions, "policyNamespaces"), "target", prefix="own", namespace=namespace)
        add(self.definitions, "resources", minRequiredRevision="1.0")
        self.texts = xml.Element("policyDefinitionResources", {"xmlns": NAMESPACE, "revision": "1.0", "schemaVersion": "1.0"})
        add(self.texts, "displayName", title)
        add(self.texts, "description", title)
        resources = add(self.texts, "resources")
        self.strings, self.presentations = add(resources, "stringTable"), add(resources, "presentationTable")
        supported = add(add(add(self.definitions, "supportedOn"), "definitions"), "definition", name="any")
        supported.set("displayName", self.string("any", "Windows 10 and later"))
        self.categories, self.policies = add(self.definitions, "categories"), add(self.definitions, "policies")

    def string(self, name, text):
        add(self.strings, "string", text, id=name)
        return f"$(string.{name})"

    def category(self, name, title, parent=None):
        made = add(self.categories, "category", name=name, displayName=self.string(f"category_{name}", title))
        if parent:
            add(made, "parentCategory", ref=parent)

    def policy(self, name, title, explanation, category, key):
        made = add(self.policies, "policy", name=name, **{"class": "Machine"}, displayName=self.string(name, title),
                   explainText=self.string(f"{name}_help", explanation), key=key)
        add(made, "parentCategory", ref=category)
        add(made, "supportedOn", ref="any")
        return made

    def form(self, policy):
        """What a policy with fields has: (their definitions, how they are shown)."""
        name = policy.get("name")
        policy.set("presentation", f"$(presentation.{name})")
        return add(policy, "elements"), add(self.presentations, "presentation", id=name)

    def field(self, policy, form, value, schema, label):
        """One value of the registry below the policy's key."""
        elements, shown = form
        about = {"id": value, "valueName": value}
        if "enum" in schema:
            choices = add(elements, "enum", **about)
            for choice in schema["enum"]:
                title = self.string(f"{policy.get('name')}_{value}_{choice}", choice)
                add(add(add(choices, "item", displayName=title), "value"), "string", choice)
            add(shown, "dropdownList", label, refId=value, noSort="true", defaultItem=schema["enum"].index(schema["default"]))
        elif schema["type"] == "integer":
            add(elements, "decimal", **about, minValue=schema["minimum"], maxValue=schema["maximum"])
            add(shown, "decimalTextBox", label, refId=value, defaultValue=schema["default"])
        elif schema["type"] == "boolean":
            box = add(elements, "boolean", **about)
            for tag, number in (("trueValue", 1), ("falseValue", 0)):
                add(add(box, tag), "decimal", value=number)
            add(shown, "checkBox", label, refId=value, defaultChecked=str(schema["default"]).lower())
        elif schema["type"] == "array":
            add(elements, "multiText", **about)
            add(shown, "multiTextBox", label, refId=value)
        elif schema["type"] == "object":
            add(elements, "list", id=value, key=f"{policy.get('key')}\\{value}", explicitValue="true")
            add(shown, "listBox", label, refId=value)
        else:
            add(elements, "text", **about, maxLength=4096)
            add(add(shown, "textBox", refId=value), "label", label)

    def write(self):
        return document(self.definitions), document(self.texts)


def explain(schema):
    said = [schema.get("description", "")]
    if "default" in schema:
        default = schema["default"]
        said.append(f"Default: {str(default).lower() if isinstance(default, bool) else default}.")
    if "minimum" in schema:
        said.append(f"From {schema['minimum']} to {schema['maximum']}.")
    if "enum" in schema.get("items", {}):
        said.append(f"A line each: {', '.join(schema['items']['enum'])}.")
    return " ".join(word for word in said if word)


def is_sections(schema):
    return schema["type"] == "array" and "properties" in schema["items"]


def agent_policies(schema):
    """The .admx and .adml of every key of the agent's schema."""
    file = PolicyFile("ClaudeTelemetry.Policies.Agent", "Claude Telemetry Agent")
    file.category("ClaudeTelemetry", "Claude Telemetry Agent")

    def one_value(path, about, category, key):
        policy = file.policy("_".join(path), ".".join(path), explain(about), category, key)
        if about["type"] == "boolean":
            policy.set("valueName", path[-1])
            for tag, number in (("enabledValue", 1), ("disabledValue", 0)):
                add(add(policy, tag), "decimal", value=number)
        else:
            file.field(policy, file.form(policy), path[-1], about, path[-1])

    def sections(path, about, category, key):
        for nth in range(1, DESTINATIONS + 1):
            policy = file.policy(f"{path[-1]}_{nth}", f"{path[-1]} {nth}", explain(about), category, f"{key}\\{path[-1]}\\{nth}")
            form = file.form(policy)
            for name, inner in about["items"]["properties"].items():
                file.field(policy, form, name, inner, name)

    def group(path, about, category, key):
        for name, inner in about["properties"].items():
            below = [*path, name]
            if is_sections(inner):
                sections(below, inner, category, key)
            elif "properties" in inner:
                file.category("_".join(below), name, category)
                group(below, inner, "_".join(below), f"{key}\\{name}")
            else:
                one_value(below, inner, category, key)
    group([], schema, "ClaudeTelemetry", KEY)
    return file.write()


def claude_code_policies():
    """Claude Code's own machine policy: one text of JSON."""
    file = PolicyFile("ClaudeTelemetry.Policies.ClaudeCode", "Claude Code managed settings")
    file.category("ClaudeCodeSettings", "Claude Code managed settings")
    policy = file.policy("Settings", "Managed settings", "Claude Code's managed settings as JSON.", "ClaudeCodeSettings",
                         "SOFTWARE\\Policies\\ClaudeCode")
    elements, shown = file.form(policy)
    add(elements, "text", id="Settings", valueName="Settings", required="true", maxLength=65535)
    add(add(shown, "textBox", refId="Settings"), "label", "JSON")
    return file.write()


def values(config, key=KEY):
    """(key, name, value) of a configuration, each value a text, a number or a list of texts."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from values(value, f"{key}\\{name}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for nth, section in enumerate(value, 1):
                yield from values(section, f"{key}\\{name}\\{nth}")
        else:
            yield key, name, int(value) if isinstance(value, bool) else value


def reg_value(value):
    if isinstance(value, int):
        return f"dword:{value:08x}"
    if isinstance(value, list):
        data = "".join(f"{line}\0" for line in value) + "\0"
        return "hex(7):" + ",".join(f"{byte:02x}" for byte in data.encode("utf-16-le"))
    return '"{}"'.format(value.replace("\\", "\\\\").replace('"', '\\"'))


def reg_file(rows):
    """A file that regedit imports, of (key below HKLM, name, value)."""
    lines, at = ["Windows Registry Editor Version 5.00"], None
    for key, name, value in rows:
        if key != at:
            lines += ["", f"[HKEY_LOCAL_MACHINE\\{key}]"]
            at = key
        lines.append(f'"{name}"={reg_value(value)}')
    return "\r\n".join([*lines, ""]).encode("utf-16")


def oma_value(fields):
    """The text by which Intune sets a policy: "<enabled/>" and its fields."""
    return "".join(["<enabled/>", *(f"<data id={quoteattr(name)} value={quoteattr(str(value))}/>" for name, value in fields)])


def oma_fields(section):
    """(field, text) of the values that belong to one policy."""
    for name, value in section.items():
        if isinstance(value, dict):
            value = LIST_MARK.join(part for pair in value.items() for part in pair)
        elif isinstance(value, list):
            value = LIST_MARK.join(value)
        yield name, str(value).lower() if isinstance(value, bool) else value


def leaves(config, schema, path=()):
    """(path, value) of what has policies of its own."""
    for name, value in config.items():
        inner = schema["properties"][name]
        if "properties" in inner:
            yield from leaves(value, inner, (*path, name))
        else:
            yield (*path, name), value


def agent_settings(config, schema):
    """(name, area and policy, value) of each policy that a configuration of the agent sets."""
    for path, value in leaves(config, schema):
        areas = ["ClaudeTelemetry", *("_".join(path[:depth]) for depth in range(1, len(path)))]
        area, policy = f"ClaudeTelemetry~Policy~{'~'.join(areas)}", "_".join(path)
        if isinstance(value, bool):
            yield ".".join(path), f"{area}/{policy}", "<enabled/>" if value else "<disabled/>"
        elif isinstance(value, list) and isinstance(value[0], dict):
            for nth, section in enumerate(value, 1):
                yield f"{'.'.join(path)} {nth}", f"{area}/{policy}_{nth}", oma_value(oma_fields(section))
        else:
            yield ".".join(path), f"{area}/{policy}", oma_value(oma_fields({path[-1]: value}))


def intune_profile(title, description, app, admx, settings):
    """A custom profile as Microsoft Graph takes it: the policies' file, then the policies."""
    def setting(name, uri, value):
        return {"@odata.type": "#microsoft.graph.omaSettingString", "displayName": name,
                "omaUri": f"./Device/Vendor/MSFT/Policy/{uri}", "value": value}
    install = setting(f"{app}.admx", f"ConfigOperations/ADMXInstall/{app}/Policy/{app}Admx", admx.decode())
    profile = {"@odata.type": "#microsoft.graph.windows10CustomConfiguration", "displayName": title, "description": description,
               "omaSettings": [install, *(setting(name, f"Config/{uri}", value) for name, uri, value in settings)]}
    return (json.dumps(profile, indent=2, ensure_ascii=False) + "\n").encode()
