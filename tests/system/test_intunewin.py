"""The .intunewin, read as Intune's own client reads it: keys from Detection.xml, the MAC before the cipher, the digest after."""
import base64
import hashlib
import hmac
import io
import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree as xml
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from tests.system.support import programs  # noqa: E402

WRAP = programs.ROOT / "packaging/windows/intunewin.py"


class Damaged(Exception):
    pass


def unwrap(package):
    """(text of a Detection.xml element, {file name: content})"""
    with zipfile.ZipFile(io.BytesIO(package)) as outer:
        if set(outer.namelist()) != {"IntuneWinPackage/Contents/IntunePackage.intunewin",
                                     "IntuneWinPackage/Metadata/Detection.xml"}:
            raise Damaged(outer.namelist())
        sealed = outer.read("IntuneWinPackage/Contents/IntunePackage.intunewin")
        root = xml.fromstring(outer.read("IntuneWinPackage/Metadata/Detection.xml"))
    said = {element.tag: element.text for element in root.iter()}
    key, mac_key, vector, mac = (base64.b64decode(said[name]) for name in
                                 ("EncryptionKey", "MacKey", "InitializationVector", "Mac"))
    if (len(key), len(mac_key), len(vector)) != (32, 32, 16):
        raise Damaged("key sizes")
    if sealed[:32] != mac or hmac.new(mac_key, sealed[32:], hashlib.sha256).digest() != mac:
        raise Damaged("Mac")
    if sealed[32:48] != vector:
        raise Damaged("InitializationVector")
    content = subprocess.run(["openssl", "enc", "-d", "-aes-256-cbc", "-K", key.hex(), "-iv", vector.hex()],
                             input=sealed[48:], stdout=subprocess.PIPE, check=True).stdout
    if base64.b64encode(hashlib.sha256(content).digest()).decode() != said["FileDigest"]:
        raise Damaged("FileDigest")
    if len(content) != int(said["UnencryptedContentSize"]):
        raise Damaged("UnencryptedContentSize")
    with zipfile.ZipFile(io.BytesIO(content)) as inner:
        return said, {name: inner.read(name) for name in inner.namelist()}


class IntuneWin(unittest.TestCase):
    def setUp(self):
        holder = programs.Folder()
        self.folder = holder.__enter__()
        self.addCleanup(holder.__exit__)
        self.files = {"setup.exe": os.urandom(100_000), "agent.yaml": b"log: { level: info }\n", "install.cmd": b""}
        for name, content in self.files.items():
            (self.folder / name).write_bytes(content)

    def wrap(self, setup="setup.exe", **environment):
        out = self.folder / "app.intunewin"
        others = [self.folder / name for name in self.files if name != setup]
        done = subprocess.run([WRAP, "--output", out, "--setup", self.folder / setup, *others],
                              env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", **environment}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return out.read_bytes()

    def test_what_went_in_comes_out(self):
        said, files = unwrap(self.wrap())
        self.assertEqual(files, self.files)
        self.assertEqual((said["SetupFile"], said["FileName"]), ("setup.exe", "IntunePackage.intunewin"))
        self.assertEqual((said["ProfileIdentifier"], said["FileDigestAlgorithm"]), ("ProfileVersion1", "SHA256"))

    def test_the_same_files_give_the_same_bytes_and_others_other_keys(self):
        first = self.wrap()
        os.utime(self.folder / "setup.exe", (1, 1))
        self.assertEqual(self.wrap(), first)
        (self.folder / "agent.yaml").write_text("log: { level: warn }\n")
        self.assertNotEqual(unwrap(self.wrap())[0]["EncryptionKey"], unwrap(first)[0]["EncryptionKey"])

    def test_a_changed_byte_is_noticed(self):
        package = bytearray(self.wrap())
        package[len(package) // 2] ^= 1
        with self.assertRaises((Damaged, zipfile.BadZipFile)):
            unwrap(bytes(package))

    def test_an_msi_says_how_it_is_found(self):
        for tool in ("wixl", "msiinfo"):
            if not shutil.which(tool):
                self.skipTest(f"needs `{tool}`: apt-get install wixl msitools")
        (self.folder / "app.wxs").write_text("""\
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Id="{AE03C0D5-1F0C-5C62-9B3E-0E2C9D3F2A01}" Name="App" Language="1033" Version="3.2.1" Manufacturer="Us"
           UpgradeCode="{AE03C0D5-1F0C-5C62-9B3E-0E2C9D3F2A02}">
    <Package/>
    <Media Id="1" Cabinet="a.cab" EmbedCab="yes"/>
    <Directory Id="TARGETDIR" Name="SourceDir"><Component Id="C" Guid="*"><File Name="setup.exe" Source="setup.exe"/></Component></Directory>
    <Feature Id="F"><ComponentRef Id="C"/></Feature>
  </Product>
</Wix>
""")
        subprocess.run(["wixl", "-o", "app.msi", "app.wxs"], cwd=self.folder, check=True, capture_output=True)
        said, files = unwrap(self.wrap("app.msi"))
        self.assertEqual(set(files), {"app.msi", *self.files})
        self.assertEqual(said["MsiProductCode"], "{AE03C0D5-1F0C-5C62-9B3E-0E2C9D3F2A01}")
        self.assertEqual(said["MsiUpgradeCode"], "{AE03C0D5-1F0C-5C62-9B3E-0E2C9D3F2A02}")
        self.assertEqual(said["MsiProductVersion"], "3.2.1")
        self.assertRegex(said["MsiPackageCode"], r"^\{[0-9A-F-]{36}\}$")

    def test_a_file_that_is_not_there_is_named(self):
        done = subprocess.run([WRAP, "--output", self.folder / "out", "--setup", self.folder / "none.msi"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.msi' is no file\n  fix: ", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
