"""Packages from the npm registry for tests, installed once into build/npm. Never committed."""
import fcntl
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Unavailable(Exception):
    """The package cannot be had here; its text says why."""


def install(folder, *packages, timeout_s=300, options=()):
    """Installs packages ("name@version") into build/npm/FOLDER and returns its node_modules. Of several tests that
    want the same, one installs and the others wait."""
    if not shutil.which("npm"):
        raise Unavailable("npm is not installed")
    where = ROOT / "build" / "npm" / folder
    done = where / ".installed"
    wanted = "\n".join(packages)
    modules = where / "node_modules"
    where.mkdir(parents=True, exist_ok=True)
    with open(where / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done.exists() and done.read_text() == wanted):
            fetch(where, packages, timeout_s, options)
            done.write_text(wanted)
    return modules


def fetch(where, packages, timeout_s, options):
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *options, "--prefix", str(where), *packages]
    try:
        run = subprocess.run(command, cwd=where, stdin=subprocess.DEVNULL, capture_output=True,
                             text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm install did not finish in {timeout_s} s")
    if run.returncode != 0:
        why = [line for line in run.stderr.splitlines() if "complete log" not in line] or ["no message"]
        raise Unavailable(f"npm install failed: {'; '.join(why[:2])}")


def claude_code(version="2.1.329"):
    """The path of the real Claude Code program of this version."""
    modules = install(f"claude-code-{version}", f"@anthropic-ai/claude-code@{version}")
    arch = {"x86_64": "x64", "aarch64": "arm64"}.get(os.uname().machine, "x64")
    native = modules / "@anthropic-ai" / f"claude-code-linux-{arch}" / "claude"
    if native.exists():
        return native
    script = modules / "@anthropic-ai" / "claude-code" / "cli.js"
    if script.exists():
        return script
    raise Unavailable(f"Claude Code {version} has no program for this machine")


def claude_code_for_windows(version="2.1.329"):
    """The path of the real claude.exe of this version."""
    modules = install(f"claude-code-windows-{version}", f"@anthropic-ai/claude-code-win32-x64@{version}",
                      options=["--force"])  # for another system than this
    program = modules / "@anthropic-ai" / "claude-code-win32-x64" / "claude.exe"
    if not program.exists():
        raise Unavailable(f"Claude Code {version} has no program for Windows")
    return program
