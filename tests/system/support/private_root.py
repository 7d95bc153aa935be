"""This machine's own system as a private copy: an overlay with network, processes and mounts of its own, so that
real packages can be installed and run without the machine noticing. Gone with the process that holds it."""
import os
import pathlib
import shutil
import subprocess
import tempfile

SET_UP = r"""
set -e
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir upper work merged
mount -t overlay overlay -o lowerdir="$2",upperdir="$1/upper",workdir="$1/work" merged
mount -t proc proc merged/proc
mount --rbind /dev merged/dev
for fresh in run tmp home; do mount -t tmpfs -o mode=0755 tmpfs "merged/$fresh"; done
chmod 1777 merged/tmp
rm -rf merged/etc/claude-* merged/var/lib/claude-telemetry* merged/root/.claude
ip link set lo up
echo ready
exec sleep infinity
"""


class Unavailable(Exception):
    """The system does not let us have one; the text says why."""


def as_user(user):
    group = "nogroup" if user == "nobody" else user
    return ["setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups"] if user else []


class PrivateRoot:
    """`lower`: another system's folder instead of this machine's own."""

    def __init__(self, lower="/"):
        if os.geteuid() != 0:
            raise Unavailable("needs root, to mount")
        for tool in ("unshare", "nsenter", "ip", "setpriv"):
            if not shutil.which(tool):
                raise Unavailable(f"needs `{tool}`")
        self.folder = tempfile.mkdtemp(prefix="claude-telemetry-root-")
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private",
             "sh", "-c", SET_UP, "sh", self.folder, str(lower)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "ready\n":
            said = self.holder.communicate()[1].strip()
            os.rmdir(self.folder)
            raise Unavailable(f"no private root here: {said}")
        children = pathlib.Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text()
        self.enter = ["nsenter", "-t", children.split()[0], "-m", "-n", "-p"]
        self.outside = self.enter  # where the copy is seen as a folder
        self.prefix = [*self.enter, "chroot", f"{self.folder}/merged", "env", "-i", "LC_ALL=C.UTF-8", "HOME=/root",
                       "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"]

    def close(self):
        self.holder.kill()
        self.holder.communicate()
        os.rmdir(self.folder)

    def start(self, *words, user=None, **more):
        """A process in there; the caller stops it."""
        by = as_user(user)
        return subprocess.Popen([*self.prefix, *by, *map(str, words)], stdin=subprocess.DEVNULL, text=True, **more)

    def run(self, *words, user=None, code=0, stdin=""):
        by = as_user(user)
        done = subprocess.run([*self.prefix, *by, *map(str, words)], input=stdin, capture_output=True, text=True,
                              timeout=120)
        if code is not None and done.returncode != code:
            raise AssertionError(f"{words}: {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
        return done

    def out(self, *words, **more):
        return self.run(*words, **more).stdout.strip()

    def copy_in(self, source, target):
        self.write(target, pathlib.Path(source).read_bytes())

    def write(self, target, content, mode="0644", owner="root:root"):
        command = f'umask 077; mkdir -p "$(dirname "{target}")"; cat > "{target}.new"; ' \
                  f'chown {owner} "{target}.new"; chmod {mode} "{target}.new"; mv "{target}.new" "{target}"'
        subprocess.run([*self.prefix, "sh", "-c", command], check=True,
                       input=content if isinstance(content, bytes) else content.encode())

    def stat(self, path):
        """"mode owner:group", or "" when it is not there."""
        return self.run("stat", "-c", "%a %U:%G", path, code=None).stdout.strip()

    def changed(self):
        """Everything that differs from the machine's own files."""
        find = ["find", f"{self.folder}/upper", "-mindepth", "1", "!", "-type", "c", "!", "-type", "d", "-printf", "%P\n"]
        return set(subprocess.run([*self.outside, *find], check=True, capture_output=True, text=True).stdout.split("\n"))
