"""What Jamf Pro shows of the agent, as its API takes it (POST to /JSSResource/computerextensionattributes and
/computergroups), and the same scripts for Intune's custom attributes, which print the text alone."""
import xml.etree.ElementTree as xml

STATE, DELIVERY, DOCTOR = (f"Claude telemetry: {name}" for name in ("state", "last delivery", "doctor"))
ATTRIBUTES = [  # name, script, type of its text
    (STATE, "state", "String"),
    (DELIVERY, "last-delivery", "Date"),
    (DOCTOR, "doctor", "String"),
]
INSTALLED = (STATE, "is not", "not installed")
GROUPS = {  # (attribute, comparison, value), all of them
    "installed": [INSTALLED],
    "needs-a-look": [INSTALLED, (STATE, "not like", "healthy")],
    "silent": [(DELIVERY, "more than x days ago", "7"), (STATE, "like", "healthy")],
    "doctor-fails": [(DOCTOR, "is not", ""), (DOCTOR, "does not match regex", "^0 failed")],
}


def add(parent, tag, text=None):
    made = xml.SubElement(parent, tag)
    made.text = text
    return made


def document(root):
    xml.indent(root)
    return xml.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def attribute(name, script, kind):
    root = xml.Element("computer_extension_attribute")
    for tag, text in (("name", name), ("enabled", "true"), ("data_type", kind), ("inventory_display", "Extension Attributes")):
        add(root, tag, text)
    source = add(root, "input_type")
    for tag, text in (("type", "script"), ("platform", "Mac"), ("script", script)):
        add(source, tag, text)
    return document(root)


def group(name, criteria):
    root = xml.Element("computer_group")
    add(root, "name", f"Claude telemetry: {name.replace('-', ' ')}")
    add(root, "is_smart", "true")
    listed = add(root, "criteria")
    add(listed, "size", str(len(criteria)))
    for priority, (attribute_name, comparison, value) in enumerate(criteria):
        one = add(listed, "criterion")
        for tag, text in (("name", attribute_name), ("priority", str(priority)), ("and_or", "and"),
                          ("search_type", comparison), ("value", value)):
            add(one, tag, text)
    return document(root)


def for_intune(script):
    """Without the tags that only Jamf looks for."""
    script = script.replace("Jamf extension attribute", "Intune custom attribute")
    return script.replace("<result>", "").replace("</result>", "")


def render(scripts):
    """{path: bytes} of every file; `scripts` is the folder of the extension attributes."""
    files = {}
    for name, file, kind in ATTRIBUTES:
        script = (scripts / f"{file}.sh").read_text()
        files[f"jamf/attribute-{file}.xml"] = attribute(name, script, kind)
        files[f"intune/attribute-{file}.sh"] = for_intune(script).encode()
    for name, criteria in GROUPS.items():
        files[f"jamf/group-{name}.xml"] = group(name, criteria)
    return files
