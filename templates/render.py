"""Writes what an MDM uploads from what the programs themselves say: Claude Code's telemetry block from
`claude-telemetry-agent apply`, the agent's keys from AGENT below, which its own `check-config` accepts.

    render.py [--agent PROGRAM] [--output FOLDER]

The files next to this script are its output; tests/system/test_templates.py compares them byte for byte.
"""
import argparse
import json
import pathlib
import plistlib
import subprocess
import tempfile
import uuid

HERE = pathlib.Path(__file__).resolve().parent
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
    "destinations": [{
        "name": "central",
        "endpoint": "https://telemetry.example.com",
        "headers": {"Authorization": "Bearer ${device_token}"},
    }],
}

# How each device manager writes "the e-mail address of this machine's person".
EMAIL_OF = {"jamf-pro": "$EMAIL", "jamf-school": "%Email%", "intune": "{{mail}}", "iru": "$EMAIL"}


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


def registry(settings):
    """Claude Code's machine policy: one string of JSON."""
    text = json.dumps(settings, separators=(",", ":")).replace("\\", "\\\\").replace('"', '\\"')
    lines = ["Windows Registry Editor Version 5.00", "",
             "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\ClaudeCode]", f'"Settings"="{text}"', ""]
    return "\r\n".join(lines).encode("utf-16")


def render(agent):
    """{path: bytes} of every file."""
    claude = {"env": telemetry_environment(agent)}
    files = {
        "claude-code/managed-settings.json": (json.dumps(claude, indent=2) + "\n").encode(),
        f"claude-code/{CLAUDE_DOMAIN}.plist": plist(claude),
        "claude-code/claude-code.mobileconfig": profile(
            "claude-code", "Claude Code telemetry", "Sends Claude Code's telemetry to the relay on this Mac.",
            [managed(CLAUDE_DOMAIN, claude)]),
        "claude-code/claude-code.reg": registry(claude),
        f"profiles/{DOMAIN}.plist": plist(AGENT),
        "profiles/background-items.mobileconfig": profile(
            "background-items", "claude-telemetry background items", "Keeps the telemetry agent allowed to run.",
            [background_items()]),
    }
    for manager, variable in EMAIL_OF.items():
        files[f"profiles/agent-{manager}.mobileconfig"] = profile(
            "agent", "claude-telemetry agent", "Where the telemetry agent delivers, and whose Mac this is.",
            [managed(DOMAIN, {"UserEmail": variable, **AGENT})])
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
