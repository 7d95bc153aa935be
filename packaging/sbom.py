"""Writes an SPDX 2.3 bill of materials of the given programs: the libraries they load, with the versions
that the distribution's package database names.

    sbom.py --version VERSION PROGRAM...
"""
import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def libraries(program):
    """Paths of the shared libraries that a program names itself, not what those load in turn."""
    needed = set(re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", program)))
    return {path for name, path in re.findall(r"^\s*(\S+) => (\S+)", output("ldd", program), re.M) if name in needed}


def package_of(library):
    """(package, version, source package) of a library's file."""
    for path in (library, str(pathlib.Path(library).resolve()), library.removeprefix("/usr")):
        found = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True)
        if found.returncode == 0:
            name = found.stdout.split(": ")[0]
            row = output("dpkg-query", "-W", "-f", "${Package}\t${Version}\t${source:Package}", name)
            return tuple(row.split("\t"))
    sys.exit(f"sbom: no package owns '{library}'\n  fix: build against the distribution's libraries")


def distribution():
    text = pathlib.Path("/etc/os-release").read_text()
    return re.search(r'^ID="?([^"\n]+)', text, re.M).group(1)


def library_entry(name, version, source):
    return {
        "SPDXID": f"SPDXRef-library-{name}",
        "name": name,
        "versionInfo": version,
        "supplier": f"Organization: {distribution()}",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "sourceInfo": f"source package {source}",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": f"pkg:deb/{distribution()}/{name}@{version}",
        }],
    }


def program_entry(path, version, digest):
    return {
        "SPDXID": f"SPDXRef-program-{path.name}",
        "name": path.name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "APPLICATION",
    }


def describe(paths, version, created):
    programs, packages, relations = [], {}, []
    for path in sorted(paths):
        entry = program_entry(path, version, hashlib.sha256(path.read_bytes()).hexdigest())
        programs.append(entry)
        relations.append(("SPDXRef-DOCUMENT", "DESCRIBES", entry["SPDXID"]))
        for name, library_version, source in sorted({package_of(each) for each in libraries(str(path))}):
            packages[name] = library_entry(name, library_version, source)
            relations.append((entry["SPDXID"], "DYNAMIC_LINK", packages[name]["SPDXID"]))
    identity = hashlib.sha256("".join(p["checksums"][0]["checksumValue"] for p in programs).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"claude-telemetry-{version}",
        "documentNamespace": f"https://claude-telemetry.invalid/spdx/{version}/{identity}",
        "creationInfo": {"created": created, "creators": ["Tool: claude-telemetry packaging/sbom.py"]},
        "packages": programs + [packages[name] for name in sorted(packages)],
        "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
                          for a, kind, b in relations],
    }


def main():
    words = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    words.add_argument("--version", required=True)
    words.add_argument("programs", nargs="+", type=pathlib.Path)
    chosen = words.parse_args()
    made = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    json.dump(describe(chosen.programs, chosen.version, made.strftime("%Y-%m-%dT%H:%M:%SZ")), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
