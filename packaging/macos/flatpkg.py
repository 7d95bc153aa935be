"""Writes a macOS installer package ("flat" product archive) on any system.

    flatpkg.py --root FOLDER --scripts FOLDER --identifier ID --version VERSION --title TEXT --output FILE.pkg

FOLDER holds the files as they are to lie below "/"; their modes count, their owner becomes root, and groups are
what macOS has for its own folders. Date and bytes come from SOURCE_DATE_EPOCH and the content alone.
"""
import argparse
import dataclasses
import datetime
import gzip
import os
import pathlib
import plistlib
import subprocess
import sys
import xml.etree.ElementTree as xml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import bom  # noqa: E402
import xar  # noqa: E402

WHEEL, ADMIN = 0, 80
# Folders that are macOS's own: left as they are there.
SYSTEM_FOLDERS = {"./Applications": (0o775, ADMIN), "./Library": (0o755, WHEEL), "./usr": (0o755, WHEEL),
                  "./Library/Application Support": (0o755, ADMIN)}


@dataclasses.dataclass
class Entry:
    path: str  # "." or "./..."
    mode: int
    gid: int
    mtime: int
    content: bytes
    checksum: int
    uid: int = 0

    @property
    def size(self):
        return len(self.content)


def cksums(paths):
    """{path: checksum}; a folder has none."""
    files = [path for path in paths if path.is_file()]
    if not files:
        return {}
    said = subprocess.run(["cksum", "--", *files], capture_output=True, text=True, check=True).stdout
    return {path: int(line.split()[0]) for path, line in zip(files, said.splitlines())}


def read_tree(root, mtime):
    """The entries of a folder, "." first, each folder before what is in it."""
    entries = []
    paths = [root, *sorted(root.rglob("*"), key=lambda p: p.relative_to(root).parts)]
    checksums = cksums(paths)
    for path in paths:
        name = "." if path == root else f"./{path.relative_to(root)}"
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            sys.exit(f"flatpkg: '{path}' is neither file nor folder\n  fix: leave it out")
        mode, gid = path.stat().st_mode, WHEEL
        if path.is_dir():
            if name in SYSTEM_FOLDERS:
                bits, gid = SYSTEM_FOLDERS[name]
                mode = 0o040000 | bits
            entries.append(Entry(name, mode, gid, mtime, b"", 0))
        else:
            entries.append(Entry(name, mode, gid, mtime, path.read_bytes(), checksums[path]))
    return entries


def cpio(entries):
    """The portable format of POSIX ("odc"), which Apple's installer reads, gzipped."""
    out = []
    for number, entry in enumerate([*entries, Entry("TRAILER!!!", 0, 0, 0, b"", 0)], 1):
        name = entry.path.encode() + b"\0"
        last = entry.mode == 0
        fields = (0, 0 if last else number, entry.mode, entry.uid, entry.gid, 2 if entry.mode & 0o040000 else 1, 0)
        out.append(b"070707" + b"".join(b"%06o" % value for value in fields) +
                   b"%011o%06o%011o" % (entry.mtime, len(name), entry.size) + name + entry.content)
    return gzip.compress(b"".join(out), 9, mtime=0)


def text(root):
    xml.indent(root)
    return xml.tostring(root, encoding="utf-8", xml_declaration=True)


def bundles(entries):
    """(path, Info.plist) of each application."""
    return [(entry.path.removesuffix("/Contents/Info.plist"), plistlib.loads(entry.content))
            for entry in entries if entry.path.endswith(".app/Contents/Info.plist")]


def package_info(words, entries, scripts):
    kib = sum((entry.size + 1023) // 1024 for entry in entries)
    root = xml.Element("pkg-info", {
        "format-version": "2", "identifier": words.identifier, "version": words.version, "install-location": "/",
        "auth": "root", "overwrite-permissions": "false", "relocatable": "false"})
    xml.SubElement(root, "payload", installKBytes=str(kib), numberOfFiles=str(len(entries)))
    listed = xml.SubElement(root, "bundle-version")
    for path, info in bundles(entries):
        xml.SubElement(root, "bundle", path=path, id=info["CFBundleIdentifier"], CFBundleVersion=info["CFBundleVersion"],
                       CFBundleShortVersionString=info["CFBundleShortVersionString"])
        xml.SubElement(listed, "bundle", id=info["CFBundleIdentifier"])
    # Empty: an application that somebody moved is not chased, it is installed where it belongs.
    xml.SubElement(root, "relocate")
    names = xml.SubElement(root, "scripts")
    for name in sorted(scripts):
        xml.SubElement(names, name, file=f"./{name}")
    return text(root), kib


def distribution(words, kib):
    root = xml.Element("installer-gui-script", minSpecVersion="2")
    xml.SubElement(root, "title").text = words.title
    xml.SubElement(root, "options", {"customize": "never", "require-scripts": "false", "rootVolumeOnly": "true",
                                     "hostArchitectures": words.architectures})
    xml.SubElement(root, "domains", {"enable_anywhere": "false", "enable_currentUserHome": "false",
                                     "enable_localSystem": "true"})
    allowed = xml.SubElement(xml.SubElement(root, "volume-check"), "allowed-os-versions")
    xml.SubElement(allowed, "os-version", min=words.minimum)
    outline = xml.SubElement(root, "choices-outline")
    xml.SubElement(xml.SubElement(outline, "line", choice="default"), "line", choice=words.identifier)
    xml.SubElement(root, "choice", id="default")
    choice = xml.SubElement(root, "choice", id=words.identifier, visible="false")
    xml.SubElement(choice, "pkg-ref", id=words.identifier)
    xml.SubElement(root, "pkg-ref", id=words.identifier, version=words.version, onConclusion="none",
                   installKBytes=str(kib)).text = "#component.pkg"
    return text(root)


def write(words):
    mtime = int(os.environ["SOURCE_DATE_EPOCH"])
    payload, scripts = read_tree(words.root, mtime), read_tree(words.scripts, mtime)
    info, kib = package_info(words, payload, [entry.path[2:] for entry in scripts[1:]])
    created = datetime.datetime.fromtimestamp(mtime, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return xar.write([
        ("Distribution", distribution(words, kib), True),
        ("component.pkg/Bom", bom.write(payload), True),
        ("component.pkg/PackageInfo", info, True),
        ("component.pkg/Payload", cpio(payload), False),
        ("component.pkg/Scripts", cpio(scripts), False),
    ], created)


def main():
    words = argparse.ArgumentParser(description="Writes a macOS installer package.")
    for name in ("root", "scripts", "output"):
        words.add_argument(f"--{name}", required=True, type=pathlib.Path)
    for name in ("identifier", "version", "title"):
        words.add_argument(f"--{name}", required=True)
    words.add_argument("--architectures", default="arm64,x86_64")
    words.add_argument("--minimum", default="13.0", help="the oldest macOS that it installs on")
    chosen = words.parse_args()
    chosen.output.write_bytes(write(chosen))


if __name__ == "__main__":
    main()
