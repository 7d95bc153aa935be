#!/usr/bin/env python3
"""Fails when a folder includes a folder above it, a third-party header has two includers, or a program that runs on
several systems tells a person to type what only one of them knows."""
import pathlib
import re
import subprocess
import sys

# Folder -> folders it may include. The longest match decides.
MAY_INCLUDE = {
    "base": ["base"],
    "platform": ["base", "platform"],
    "core/event": ["base", "platform", "core/event"],
    "core/json": ["base", "core/json"],
    "core/plist": ["base", "core/json", "core/plist"],
    "core/registry": ["base", "platform", "core/json", "core/registry"],
    "core/log": ["base", "platform", "core/log", "core/json"],
    "core/metrics": ["base", "core/metrics"],
    "core/crypto": ["base", "platform", "core/crypto"],
    "core/otlp": ["base", "core/otlp", "core/json"],
    "core/config": ["base", "platform", "core/config", "core/json", "core/registry"],
    "core/http": ["base", "platform", "core/http", "core/event", "core/log"],
    "agent": ["base", "platform", "core", "agent"],
    "doctor": ["base", "platform", "core", "agent", "doctor"],
    "server": ["base", "platform", "core", "server"],
    "tests": ["base", "platform", "core", "agent", "doctor", "server", "tests"],
    "bench": ["base", "platform", "core", "agent", "doctor", "server", "tests", "bench"],
}
# Parts of the agent do not include each other; main.c wires them. relay is a family of its own.
AGENT_PARTS = ["identity", "enroll", "settings", "heartbeat", "relay"]

# Third-party header -> the only file that may include it (tests aside).
OWNED_HEADERS = {
    r"event2/": ["core/event/loop.c"],
    r"curl/": ["core/http/client.c"],
    r"nghttp2/": ["core/http/http2.c"],
    r"zlib\.h": ["core/http/gzip.c"],
    r"yaml\.h": ["core/config/yaml.c"],
    r"sqlite3\.h": ["server/store/sqlite.c"],
    r"libpq-fe\.h": ["server/store/postgres.c"],
}

# Commands of one system's administrators: platform/ and the doctor's table know what each system calls them.
OF_ONE_SYSTEM = re.compile(r"\b(sudo|chmod|chown|systemctl|journalctl|timedatectl|dmesg|launchctl|icacls|netstat|lsof|"
                           r"update-ca-\w+|unset)\b|\brun: (rm|mv|rmdir|del|move|kill) |\bss -")
TELLS_ANY_SYSTEM = ("core", "agent", "doctor")
KNOWS_EVERY_SYSTEM = ("doctor/remedy.c",)


def below(path, folder):
    return path == folder or path.startswith(folder + "/")


def allowed(source, target):
    folder = max((f for f in MAY_INCLUDE if below(source, f)), key=len, default=None)
    if folder is None:
        return True
    if not any(below(target, f) for f in MAY_INCLUDE[folder]):
        return False
    own = re.match(r"agent/(\w+)/", source)
    other = re.match(r"agent/(\w+)/", target)
    if own and other and own[1] != other[1] and {own[1], other[1]} <= set(AGENT_PARTS):
        return False
    return True


def main():
    files = subprocess.check_output(["git", "ls-files", "*.c", "*.h"], text=True).split()
    faults = []
    for name in files:
        text = pathlib.Path(name).read_text(errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            ours = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if ours:
                if not pathlib.Path(ours[1]).exists() and "/" in ours[1] and not ours[1].startswith("generated/"):
                    faults.append(f"{name}:{number}: '{ours[1]}' is not spelled from the root")
                elif not allowed(name, ours[1]):
                    faults.append(f"{name}:{number}: may not include '{ours[1]}' (a folder above it)")
            if name.startswith(TELLS_ANY_SYSTEM) and name.endswith(".c") and name not in KNOWS_EVERY_SYSTEM:
                for command in filter(OF_ONE_SYSTEM.search, re.findall(r'"(?:[^"\\]|\\.)*"', line)):
                    faults.append(f"{name}:{number}: {command} is not said alike on every system: see doctor/remedy.h")
            theirs = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
            if theirs and not below(name, "tests") and not below(name, "bench"):
                for pattern, owners in OWNED_HEADERS.items():
                    if re.match(pattern, theirs[1]) and not any(
                        name == o or name.startswith(o[:-2] + "_") for o in owners
                    ):
                        faults.append(f"{name}:{number}: <{theirs[1]}> belongs to {owners[0]}")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
