"""This machine's own system once more, booted: a private copy in which a real systemd is the first process.
Only what it needs itself is started (basic.target); services of this machine stay off."""
import os
import pathlib
import shutil
import subprocess
import tempfile

from tests.system.support import programs
from tests.system.support.private_root import PrivateRoot, Unavailable

SET_UP = r"""
set -e
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir upper work merged
mount -t overlay overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" merged
rm -rf merged/etc/claude-* merged/var/lib/claude-telemetry* merged/root/.claude merged/etc/fstab merged/var/log/journal
rm -f merged/usr/sbin/policy-rc.d # images for containers forbid services to start
echo 0123456789abcdef0123456789abcdef > merged/etc/machine-id
# Machines with the older layout of control groups boot only when they are told.
[ -e /sys/fs/cgroup/cgroup.controllers ] || export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=0
exec systemd-nspawn --quiet --register=no --keep-unit --private-network --link-journal=no --console=pipe \
    -D merged /lib/systemd/systemd --unit=basic.target
"""


class BootedRoot(PrivateRoot):
    def __init__(self):
        if os.geteuid() != 0:
            raise Unavailable("needs root, to boot a system")
        for tool, package in (("systemd-nspawn", "systemd-container"), ("/lib/systemd/systemd", "systemd"),
                              ("unshare", "util-linux"), ("nsenter", "util-linux")):
            if not shutil.which(tool):
                raise Unavailable(f"needs `{tool}`: apt-get install {package}")
        self.folder = tempfile.mkdtemp(prefix="claude-telemetry-boot-")
        self.output = open(f"{self.folder}.log", "w+")
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", SET_UP, "sh", self.folder],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)
        try:
            first = programs.wait_until(self.first_process, 30, what="a first process")
            self.enter = ["nsenter", "-t", first, "-m", "-n", "-p", "-i", "-u", "-C"]
            self.outside = ["nsenter", "-t", str(self.holder.pid), "-m"]
            self.prefix = [*self.enter, f"--root=/proc/{first}/root", f"--wd=/proc/{first}/root", "env", "-i", "LC_ALL=C.UTF-8", "HOME=/root",
                           "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"]
            programs.wait_until(lambda: self.out("systemctl", "is-system-running", code=None) in ("running", "degraded"), 60,
                                what="a running system")
        except AssertionError as why:
            said = pathlib.Path(self.output.name).read_text()[-500:].strip()
            self.close()
            raise Unavailable(f"no system boots here: {why}: {said}")

    def first_process(self):
        """systemd's number out here: the child of nspawn, which the holder has become."""
        if self.holder.poll() is not None:
            raise AssertionError(f"systemd-nspawn ended with {self.holder.returncode}")
        children = pathlib.Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").read_text().split()
        return next((pid for pid in children if pathlib.Path(f"/proc/{pid}/comm").read_text() == "systemd\n"), None)

    def close(self):
        self.holder.terminate()
        try:
            self.holder.wait(20)
        except subprocess.TimeoutExpired:
            self.holder.kill()
            self.holder.wait()
        self.output.close()
        os.unlink(f"{self.folder}.log")
        os.rmdir(self.folder)
