"""watch_modes.py FOLDER...: says every path in these folders that all users could reach, at the moment of each change.

The kernel reports each creation, renaming and change of mode (inotify), also in folders that do not exist yet;
after each, owner and mode of the path and of all above it decide. Prints "ready", then, on SIGTERM, the number of
changes that were looked at and what was found."""
import ctypes
import os
import select
import signal
import stat
import struct
import sys

CREATE, MOVED_TO, ATTRIB, OPEN, CLOSE_WRITE = 0x100, 0x80, 0x4, 0x20, 0x8
libc = ctypes.CDLL(None, use_errno=True)
secrets = sys.argv[1:]
fd = libc.inotify_init1(os.O_NONBLOCK)
folders, seen, found = {}, 0, set()


def watch(folder):
    number = libc.inotify_add_watch(fd, os.fsencode(folder), CREATE | MOVED_TO | ATTRIB | OPEN | CLOSE_WRITE)
    if number >= 0:
        folders[number] = folder


def is_secret(path):
    return any(path == each or path.startswith(each + "/") for each in secrets)


def reachable(path):
    """Whether a user without rights may read it: every folder above lets pass, and it itself lets read."""
    try:
        at = path
        while at != "/":
            mode = os.lstat(at).st_mode
            needed = stat.S_IROTH if at == path else stat.S_IXOTH
            if not mode & needed and not (at == path and stat.S_ISDIR(mode) and mode & stat.S_IXOTH):
                return False
            at = os.path.dirname(at)
        return True
    except OSError:
        return False


def look(path):
    global seen
    seen += 1
    if is_secret(path) and reachable(path):
        found.add(path)


def take_in(folder):
    """Watches a folder and what is in it already; what came while we were about it is looked at."""
    watch(folder)
    look(folder)
    try:
        for entry in os.scandir(folder):
            look(entry.path)
            if entry.is_dir(follow_symlinks=False):
                take_in(entry.path)
    except OSError:
        pass


running = True


def stop(*_):
    global running
    running = False


signal.signal(signal.SIGTERM, stop)
for parent in {os.path.dirname(each) for each in secrets}:
    watch(parent)
for each in secrets:
    if os.path.isdir(each):
        take_in(each)
print("ready", flush=True)
while running:
    if not select.select([fd], [], [], 0.1)[0]:
        continue
    events, at = os.read(fd, 64 * 1024), 0
    while at < len(events):
        number, mask, _, size = struct.unpack("iIII", events[at:at + 16])
        name = os.fsdecode(events[at + 16:at + 16 + size].rstrip(b"\0"))
        at += 16 + size
        path = os.path.join(folders.get(number, "/"), name) if name else folders.get(number, "/")
        if not is_secret(path):
            continue
        look(path)
        if mask & (CREATE | MOVED_TO) and os.path.isdir(path) and not os.path.islink(path):
            take_in(path)
print(seen, *sorted(found), flush=True)
