"""The bill of materials: of programs for Linux, Windows and macOS, of which it must find what is in them by itself."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import programs, spdx  # noqa: E402

SBOM = programs.ROOT / "packaging/sbom.py"
HOST = "x86_64-w64-mingw32"


def mach_program(*loads):
    """A Mach-O program that loads dylibs: (command, path, version)."""
    commands = b""
    for command, path, (major, minor, patch) in loads:
        name = path.encode() + b"\0"
        name += bytes(-len(name) % 8)
        commands += struct.pack("<IIIIII", command, 24 + len(name), 24, 2, major << 16 | minor << 8 | patch, 0) + name
    commands += struct.pack("<II", 0x2, 24) + bytes(16)  # one of another kind
    return struct.pack("<IIIIIIII", 0xFEEDFACF, 0x100000C, 0, 2, len(loads) + 1, len(commands), 0, 0) + commands


def fat(*parts):
    out, at = struct.pack(">II", 0xCAFEBABE, len(parts)), 4096
    body = b""
    for part in parts:
        out += struct.pack(">IIIII", 0x100000C, 0, at + len(body), len(part), 12)
        body += part
    return out.ljust(at, b"\0") + body


class Sbom(unittest.TestCase):
    def setUp(self):
        for tool in ("readelf", "dpkg-query"):
            if not shutil.which(tool):
                self.skipTest(f"needs `{tool}`")
        holder = programs.Folder()
        self.folder = holder.__enter__()
        self.addCleanup(holder.__exit__)

    def write(self, *words, code=0):
        done = subprocess.run([sys.executable, SBOM, "--version", "1.2.3", *map(str, words)], capture_output=True, text=True,
                              env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
        self.assertEqual(done.returncode, code, done.stderr)
        if code:
            return done.stderr
        document = json.loads(done.stdout)
        spdx.check(document)
        return document

    def table(self, *rows):
        path = self.folder / "libraries.tsv"
        path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
        return path

    def test_a_linux_programs_own_libraries_are_named(self):
        if not programs.AGENT.exists():
            self.skipTest(f"needs {programs.AGENT}: make build")
        names = {name for _, name in spdx.linked(self.write(programs.AGENT), programs.AGENT.name)}
        self.assertLessEqual({"libc6", "zlib1g"}, names)
        self.assertNotIn("libgcrypt20", names)  # what libraries load in turn

    def test_of_a_windows_program_what_is_linked_in_and_only_that(self):
        if not shutil.which(f"{HOST}-gcc"):
            self.skipTest(f"needs `{HOST}-gcc`: apt-get install gcc-mingw-w64-x86-64-win32")
        for name in ("used", "unused"):
            (self.folder / f"{name}.c").write_text(f"int {name}_here(void) {{ return 0; }}\n")
            subprocess.run([f"{HOST}-gcc", "-c", "-o", self.folder / f"{name}.o", self.folder / f"{name}.c"], check=True)
            subprocess.run(["ar", "rc", self.folder / f"lib{name}.a", self.folder / f"{name}.o"], check=True)
        (self.folder / "main.c").write_text("int used_here(void);\nint main(void) { return used_here(); }\n")
        program, stripped = self.folder / "whole/program.exe", self.folder / "program.exe"
        program.parent.mkdir()
        subprocess.run([f"{HOST}-gcc", "-static", "-o", program, self.folder / "main.c", "-L", self.folder, "-lused", "-lunused"],
                       check=True)
        subprocess.run([f"{HOST}-strip", "-o", stripped, program], check=True)
        table = self.table(("used", "1:2.0+x", "used", self.folder / "libused.a"), ("unused", "3", "unused", self.folder / "libunused.a"),
                           ("runtime", "4", "mingw-w64", ""))
        document = self.write("--static-windows", table, f"{stripped}={program}")
        self.assertEqual(spdx.linked(document, "program.exe"), {("STATIC_LINK", "used"), ("STATIC_LINK", "runtime")})
        found = {each["name"]: each["externalRefs"][0]["referenceLocator"] for each in document["packages"] if "externalRefs" in each}
        self.assertRegex(found["used"], r"^pkg:deb/\w+/used@1%3A2\.0%2Bx\?arch=source$")
        self.assertRegex(found["runtime"], r"^pkg:deb/\w+/runtime@4$")
        self.assertIn("as it was linked", self.write("--static-windows", table, stripped, code=1))

    def test_of_a_macos_program_what_it_brings_and_not_the_systems_own(self):
        system = (0xC, "/usr/lib/libSystem.B.dylib", (1, 0, 0))
        parts = (mach_program(system, (0xC, "@rpath/libcurl.4.dylib", (9, 1, 2))),
                 mach_program(system, (0x80000018, "/opt/homebrew/lib/libevent.7.dylib", (8, 1, 0)),
                              (0xC, "/System/Library/Frameworks/Security.framework/Security", (1, 0, 0))))
        (self.folder / "program").write_bytes(fat(*parts))
        expected = {("DYNAMIC_LINK", "libcurl.4.dylib"), ("DYNAMIC_LINK", "libevent.7.dylib")}
        document = self.write(self.folder / "program")
        self.assertEqual(spdx.linked(document, "program"), {*expected, ("STATIC_LINK", "NOASSERTION")})
        self.assertEqual({each["name"]: each["versionInfo"] for each in document["packages"]}["libcurl.4.dylib"], "9.1.2")
        document = self.write("--static-macos", self.table(("openssl", "3.0.20", "openssl")), self.folder / "program")
        self.assertEqual(spdx.linked(document, "program"), {*expected, ("STATIC_LINK", "openssl")})

    def test_the_same_programs_give_the_same_document(self):
        (self.folder / "program").write_bytes(mach_program((0xC, "/x/a.dylib", (1, 2, 3)), (0xC, "/x/b.dylib", (1, 2, 3))))
        self.assertEqual(self.write(self.folder / "program"), self.write(self.folder / "program"))

    def test_what_is_no_program_is_refused(self):
        (self.folder / "text").write_text("#!/bin/sh\n")
        self.assertIn("is a program of no system", self.write(self.folder / "text", code=1))

    def test_a_document_that_is_not_spdx_is_noticed(self):
        (self.folder / "program").write_bytes(mach_program((0xC, "/x/a.dylib", (1, 2, 3))))
        for change in (lambda d: d.pop("dataLicense"), lambda d: d["packages"][0].update(SPDXID="SPDXRef-a_b"),
                       lambda d: d["packages"].append(d["packages"][0]), lambda d: d["relationships"].pop(0),
                       lambda d: d["packages"][1].pop("supplier"), lambda d: d.update(unknown="x")):
            document = self.write(self.folder / "program")
            change(document)
            with self.assertRaises(AssertionError):
                spdx.check(document)


if __name__ == "__main__":
    unittest.main(verbosity=2)
