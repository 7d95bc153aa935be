"""Writes an SPDX 2.3 bill of materials of the given programs, of whichever system, with the libraries in them.

    sbom.py --version VERSION [--static-windows FILE.tsv] [--static-macos FILE.tsv] PROGRAM[=WITH_SYMBOLS]...

Linux programs (ELF): the shared libraries they load, as the distribution's package database names them. Windows
programs (PE) and macOS programs (Mach-O): what is linked into them, from a table, and what they load beside the
system's own. Each line of a table has, separated by tabs, a library's name, version and source
package, and its archives, separated by blanks: one that no symbol of a program comes from is not in that program.
Symbols are looked for in WITH_SYMBOLS where the program itself was stripped.
"""
import argparse
import dataclasses
import datetime
import functools
import hashlib
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import urllib.parse

MACH_64, FAT = b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"
LOAD_DYLIB, LOAD_WEAK_DYLIB, REEXPORT_DYLIB = 0xC, 0x80000018, 0x8000001F


@dataclasses.dataclass(frozen=True, order=True)
class Library:
    name: str
    version: str
    source: str  # the source package; "" when it is not known
    purl: str
    supplier: str


@dataclasses.dataclass(frozen=True)
class Static:
    library: Library
    archives: tuple


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def fail(what, remedy):
    sys.exit(f"sbom: {what}\n  fix: {remedy}")


# ---- Linux ----

def distribution():
    text = pathlib.Path("/etc/os-release").read_text()
    return re.search(r'^ID="?([^"\n]+)', text, re.M).group(1)


def of_distribution(name, version, source, arch=""):
    where = f"pkg:deb/{distribution()}/{name}@{urllib.parse.quote(version, safe='')}"
    return Library(name, version, source, where + arch, f"Organization: {distribution()}")


def package_of(library):
    """The distribution's package that a library's file is of."""
    for path in (library, str(pathlib.Path(library).resolve()), library.removeprefix("/usr")):
        found = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True)
        if found.returncode == 0:
            name = found.stdout.split(": ")[0]
            row = output("dpkg-query", "-W", "-f", "${Package}\t${Version}\t${source:Package}", name)
            return of_distribution(*row.split("\t"))
    return fail(f"no package owns '{library}'", "build against the distribution's libraries")


def of_elf(program):
    """What a program names itself, not what those libraries load in turn. Of another processor's program the names
    are looked up among that processor's libraries here."""
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", program))
    machine = re.search(r"Machine:\s+(\S+)", output("readelf", "-h", program)).group(1)
    if machine == "AArch64" and os.uname().machine != "aarch64":
        folder = pathlib.Path("/usr/lib/aarch64-linux-gnu")
        paths = [next((path for path in (folder / name, pathlib.Path("/lib") / name) if path.exists()), name) for name in needed]
    else:
        known = dict(re.findall(r"^\s*(\S+) => (\S+)", output("ldd", program), re.M))
        paths = [known[name] for name in needed if name in known]
    return [("DYNAMIC_LINK", package_of(str(path))) for path in paths]


# ---- Windows and macOS ----

def read_static(path):
    table = []
    for line in pathlib.Path(path).read_text().splitlines():
        name, version, source, archives = (line.split("\t") + [""])[:4]
        table.append(Static(of_distribution(name, version, source, "?arch=source" if name == source else ""), tuple(archives.split())))
    return table


@functools.cache
def symbols(path, only_global=True):
    listed = output("x86_64-w64-mingw32-nm", "--defined-only", *(["-g"] if only_global else []), path)
    return frozenset(re.findall(r"^[0-9a-f]+ [A-TV-Z] (\S+)$", listed, re.M))


def of_pe(with_symbols, table):
    """The DLLs they load are Windows' own."""
    own = symbols(with_symbols)
    if not own:
        fail(f"'{with_symbols}' has no symbols", "name the program as it was linked behind '='")
    return [("STATIC_LINK", each.library) for each in table
            if not each.archives or any(own & symbols(archive) for archive in each.archives)]


def dylibs(data):
    """(path, version) of what one processor's part of a Mach-O program loads."""
    commands = struct.unpack_from("<I", data, 16)[0]
    at, found = 32, []
    for _ in range(commands):
        kind, size = struct.unpack_from("<II", data, at)
        if kind in (LOAD_DYLIB, LOAD_WEAK_DYLIB, REEXPORT_DYLIB):
            name, _, current, _ = struct.unpack_from("<IIII", data, at + 8)
            path = data[at + name:at + size].split(b"\0")[0].decode()
            found.append((path, f"{current >> 16}.{current >> 8 & 255}.{current & 255}"))
        at += size
    return found


def of_mach(data, table):
    parts = [data]
    if data[:4] == FAT:
        count = struct.unpack_from(">I", data, 4)[0]
        parts = [data[offset:offset + size] for offset, size in
                 (struct.unpack_from(">II", data, 8 + 20 * i + 8) for i in range(count))]
    loaded = {each for part in parts for each in dylibs(part) if not each[0].startswith(("/usr/lib/", "/System/"))}
    return [("DYNAMIC_LINK", Library(pathlib.PurePosixPath(path).name, version, "", f"pkg:generic/{pathlib.PurePosixPath(path).stem}@{version}",
                                     "NOASSERTION")) for path, version in loaded] + \
        [("STATIC_LINK", each.library) for each in table]


# ---- The document ----

def system_of(data):
    if data[:4] == b"\x7fELF":
        return "linux"
    if data[:2] == b"MZ":
        return "windows"
    if data[:4] in (MACH_64, FAT):
        return "macos"
    return None


def identifier(kind, *words):
    return "SPDXRef-" + "-".join((kind, *(re.sub(r"[^A-Za-z0-9.-]+", "-", word) for word in words)))


def entry(identity, name, version, supplier, **more):
    return {"SPDXID": identity, "name": name, "versionInfo": version, "supplier": supplier, "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION",
            "copyrightText": "NOASSERTION", **more}


def library_entry(library):
    locator = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": library.purl}
    source = {"sourceInfo": f"source package {library.source}"} if library.source else {}
    return entry(identifier("library", library.name, library.version), library.name, library.version, library.supplier,
                 externalRefs=[locator], **source)


def libraries(path, with_symbols, data, system, static):
    if system == "linux":
        return of_elf(str(path))
    return of_pe(str(with_symbols), static[system]) if system == "windows" else of_mach(data, static[system])


def describe(programs, static, version, supplier, created):
    """`programs`: (path, path with symbols)."""
    described, packages, relations = [], {}, []
    for path, with_symbols in sorted(programs):
        data = path.read_bytes()
        system = system_of(data)
        if not system:
            fail(f"'{path}' is a program of no system known here", "name ELF, PE or Mach-O files")
        digest = hashlib.sha256(data).hexdigest()
        mine = entry(identifier("program", system, path.stem, digest[:8]), path.name, version, supplier,
                     checksums=[{"algorithm": "SHA256", "checksumValue": digest}], primaryPackagePurpose="APPLICATION")
        described.append(mine)
        relations.append(("SPDXRef-DOCUMENT", "DESCRIBES", mine["SPDXID"]))
        found = sorted(set(libraries(path, with_symbols, data, system, static)))
        for kind, library in found:
            packages[library] = library_entry(library)
            relations.append((mine["SPDXID"], kind, packages[library]["SPDXID"]))
        if system == "macos" and not static[system]:  # what was linked in, only its builder knows
            relations.append((mine["SPDXID"], "STATIC_LINK", "NOASSERTION"))
    identity = hashlib.sha256("".join(p["checksums"][0]["checksumValue"] for p in described).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"claude-telemetry-{version}",
        "documentNamespace": f"https://claude-telemetry.invalid/spdx/{version}/{identity}",
        "creationInfo": {"created": created, "creators": ["Tool: claude-telemetry packaging/sbom.py"]},
        "packages": described + [packages[library] for library in sorted(packages)],
        "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
                          for a, kind, b in relations],
    }


def main():
    words = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    words.add_argument("--version", required=True)
    words.add_argument("--supplier", default="NOASSERTION")
    for system in ("windows", "macos"):
        words.add_argument(f"--static-{system}", help=f"table of the libraries in programs for {system}")
    words.add_argument("programs", nargs="+")
    chosen = words.parse_args()
    pairs = [(pathlib.Path(path), pathlib.Path(with_symbols or path))
             for path, _, with_symbols in (each.partition("=") for each in chosen.programs)]
    made = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    tables = {"windows": chosen.static_windows, "macos": chosen.static_macos}
    static = {system: read_static(path) if path else [] for system, path in tables.items()}
    json.dump(describe(pairs, static, chosen.version, chosen.supplier, made.strftime("%Y-%m-%dT%H:%M:%SZ")), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
