"""Writes what an MDM uploads from what the programs themselves say: Claude Code's telemetry block from
`claude-telemetry-agent apply`, the agent's keys from AGENT below, which its own `check-config` accepts.

    render.py [--agent PROGRAM] [--output FOLDER]

The files next to this script are its output; tests/system/test_templates.py compares them byte for byte.
"""
import argparse
import copy
import json
import pathlib
import plistlib
import subprocess
import sys
import tempfile
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import jamf_objects  # noqa: E402
import windows_policies  # noqa: E402

DOMAIN = "com.claude-telemetry.agent"
CLAUDE_DOMAIN = "com.anthropic.claudecode"
ORGANIZATION = "Example Corp"

# What a fleet changes: the address of its own server. Credentials stay out of profiles: every local user can read them.
AGENT = {
    "server": {
        "url": "https://telemetry.example.com",
        "enrollment_secret_file": "/Library/Application Support/ClaudeTelemetry/enrollment-secret",
    },
    "identity": {"email_domain": "example.com"},
    "claude": {"settings": "auto", "user_env": True},  # the packages' own configuration switches both off
    "destinations": [{
        "name": "central",
        "endpoint": "https://telemetry.example.com",
        "headers": {"Authorization": "Bearer ${device_token}"},
    }],
}

# How each device manager writes what it knows of a machine: its person's address and the serial number.
VARIABLES = {
    "jamf-pro": ("$EMAIL", "$SERIALNUMBER"),
    "jamf-school": ("%Email%", "%SerialNumber%"),
    "intune": ("{{mail}}", "{{serialnumber}}"),
    "iru": ("$EMAIL", "$SERIAL_NUMBER"),
}
# Of the certificate that a fleet signs its programs with.
TEAM = "TEAMID1234"


def telemetry_environment(agent):
    """The env block that the agent writes for a relay on its usual port."""
    with tempfile.TemporaryDirectory(prefix="claude-telemetry-render-") as root:
        configuration = pathlib.Path(root, "agent.yaml")
        configuration.write_text("claude: { settings: dropin, user_env: false }\n"
                                 "destinations: [{ name: central, endpoint: 'https://telemetry.example.com' }]\n")
        subprocess.run([agent, "apply", "--root", root, "--config", configuration], check=True, capture_output=True)
        return json.loads(next(pathlib.Path(root).rglob("90-claude-telemetry.json")).read_text())["env"]


def identifier(text):
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, text)).upper()


def plist(value):
    return plistlib.dumps(value, sort_keys=False)


def profile(name, title, description, payloads):
    """A configuration profile for the device channel."""
    outer = f"com.claude-telemetry.profile.{name}"
    content = []
    for kind, fields in payloads:
        inner = f"{outer}.{len(content) + 1}"
        content.append({"PayloadType": kind, "PayloadVersion": 1, "PayloadIdentifier": inner,
                        "PayloadUUID": identifier(inner), "PayloadDisplayName": title, **fields})
    return plist({
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": outer,
        "PayloadUUID": identifier(outer),
        "PayloadDisplayName": title,
        "PayloadDescription": description,
        "PayloadOrganization": ORGANIZATION,
        "PayloadScope": "System",
        "PayloadRemovalDisallowed": True,
        "PayloadContent": content,
    })


def managed(domain, settings):
    return ("com.apple.ManagedClient.preferences",
            {"PayloadContent": {domain: {"Forced": [{"mcx_preference_settings": settings}]}}})


def background_items():
    """Lets the agent's launchd jobs run without asking, by label while it is unsigned."""
    rules = [{"RuleType": "LabelPrefix", "RuleValue": "com.claude-telemetry.", "Comment": "claude-telemetry"}]
    return ("com.apple.servicemanagement", {"Rules": rules})


def privacy():
    """For signed programs on Macs whose homes lie where macOS asks, such as on another volume."""
    def rule(name):
        return {"Identifier": f"/usr/local/bin/claude-telemetry-{name}", "IdentifierType": "path", "Allowed": True,
                "CodeRequirement": f'identifier "claude-telemetry-{name}" and anchor apple generic and '
                                   f'certificate leaf[subject.OU] = "{TEAM}"'}
    return ("com.apple.TCC.configuration-profile-policy",
            {"Services": {"SystemPolicyAllFiles": [rule("agent"), rule("doctor")]}})


def on_windows(agent):
    agent = copy.deepcopy(agent)
    agent["server"]["enrollment_secret_file"] = "C:\\ProgramData\\ClaudeTelemetry\\enrollment-secret"
    return agent


def windows(claude):
    """What a policy or Intune takes; keys come from the schema that the agent's own table gives."""
    schema = json.loads((HERE / "jamf-schema.json").read_text())
    agent = on_windows(AGENT)
    admx, adml = windows_policies.agent_policies(schema)
    claude_admx, claude_adml = windows_policies.claude_code_policies()
    claude_text = json.dumps(claude, separators=(",", ":"))
    return {
        "windows/ClaudeTelemetry.admx": admx,
        "windows/en-US/ClaudeTelemetry.adml": adml,
        "windows/claude-telemetry.reg": windows_policies.reg_file(windows_policies.values(agent)),
        "windows/intune-claude-telemetry.json": windows_policies.intune_profile(
            "Claude Telemetry Agent", "Where the telemetry agent delivers.", "ClaudeTelemetry", admx,
            windows_policies.agent_settings(agent, schema)),
        "windows/ClaudeCodeSettings.admx": claude_admx,
        "windows/en-US/ClaudeCodeSettings.adml": claude_adml,
        "windows/intune-claude-code.json": windows_policies.intune_profile(
            "Claude Code telemetry", "Sends Claude Code's telemetry to the relay on this computer.", "ClaudeCodeSettings",
            claude_admx, [("Settings", "ClaudeCodeSettings~Policy~ClaudeCodeSettings/Settings",
                           windows_policies.oma_value([("Settings", claude_text)]))]),
        "claude-code/claude-code.reg": windows_policies.reg_file(
            [("SOFTWARE\\Policies\\ClaudeCode", "Settings", claude_text)]),
    }


def render(agent):
    """{path: bytes} of every file."""
    claude = {"env": telemetry_environment(agent)}
    files = {
        "claude-code/managed-settings.json": (json.dumps(claude, indent=2) + "\n").encode(),
        f"claude-code/{CLAUDE_DOMAIN}.plist": plist(claude),
        "claude-code/claude-code.mobileconfig": profile(
            "claude-code", "Claude Code telemetry", "Sends Claude Code's telemetry to the relay on this Mac.",
            [managed(CLAUDE_DOMAIN, claude)]),
        f"profiles/{DOMAIN}.plist": plist(AGENT),
        "profiles/background-items.mobileconfig": profile(
            "background-items", "claude-telemetry background items", "Keeps the telemetry agent allowed to run.",
            [background_items()]),
        "profiles/privacy.mobileconfig": profile(
            "privacy", "claude-telemetry privacy", "Lets the telemetry agent read homes on other volumes.", [privacy()]),
        **windows(claude),
        **jamf_objects.render(HERE.parent / "installer/jamf/extension-attributes"),
    }
    for manager, (email, serial) in VARIABLES.items():
        settings = {"UserEmail": email, **copy.deepcopy(AGENT)}
        settings["claude"]["resource_attributes"] = {"device.serial_number": serial}
        files[f"profiles/agent-{manager}.mobileconfig"] = profile(
            "agent", "claude-telemetry agent", "Where the telemetry agent delivers, and whose Mac this is.",
            [managed(DOMAIN, settings)])
    return files


def main():
    words = argparse.ArgumentParser(description="Writes the MDM templates.")
    words.add_argument("--agent", default=HERE.parent / "build/release/bin/claude-telemetry-agent")
    words.add_argument("--output", default=HERE, type=pathlib.Path)
    chosen = words.parse_args()
    for path, content in render(chosen.agent).items():
        target = chosen.output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


if __name__ == "__main__":
    main()
