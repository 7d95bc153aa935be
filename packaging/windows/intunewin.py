#!/usr/bin/env python3
"""Wraps an installer and the files beside it as Intune's Win32 app, without Windows.

    intunewin.py --output APP.intunewin --setup FILE.msi [FILE...]

The format, as Microsoft's IntuneWinAppUtil writes it: a zip of Metadata/Detection.xml and of the content,
which is HMAC-SHA256 over the rest (32 bytes), the initialization vector (16), and a zip of the files under
AES-256-CBC. The keys are in Detection.xml: Intune takes them out; the encryption keeps no secret in the file.
They are made from the content, so the same files give the same bytes.
"""
import argparse
import base64
import datetime
import hashlib
import hmac
import io
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as xml
import zipfile

INNER = "IntunePackage.intunewin"


def zip_date():
    made = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "315532800")), datetime.timezone.utc)
    return made.timetuple()[:6]


def zip_of(files, method):
    """A zip of (name, bytes) pairs that depends on nothing else."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, zip_date())
            entry.compress_type = method
            archive.writestr(entry, content)
    return out.getvalue()


def encrypt(content, key, vector):
    return subprocess.run(["openssl", "enc", "-aes-256-cbc", "-K", key.hex(), "-iv", vector.hex()],
                          input=content, stdout=subprocess.PIPE, check=True).stdout


def msi_facts(path):
    """What Intune shows of an .msi and finds it by."""
    table = subprocess.run(["msiinfo", "export", path, "Property"], capture_output=True, text=True, check=True).stdout
    properties = dict(line.split("\t") for line in table.splitlines()[3:])
    summary = subprocess.run(["msiinfo", "suminfo", path], capture_output=True, text=True, check=True).stdout
    package = next(line.split(": ")[1] for line in summary.splitlines() if "UUID" in line)
    return {
        "MsiProductCode": properties["ProductCode"],
        "MsiProductVersion": properties["ProductVersion"],
        "MsiPackageCode": package,
        "MsiUpgradeCode": properties["UpgradeCode"],
        "MsiExecutionContext": "System",
        "MsiRequiresLogon": "false",
        "MsiRequiresReboot": "false",
        "MsiIsMachineInstall": "true",
        "MsiIsUserInstall": "false",
        "MsiIncludesServices": "true",
        "MsiIncludesODBCDataSource": "false",
        "MsiContainsSystemRegistryKeys": "false",
        "MsiContainsSystemFolders": "false",
        "MsiPublisher": properties["Manufacturer"],
    }


def add(parent, values):
    for name, value in values.items():
        xml.SubElement(parent, name).text = str(value)


def detection(setup, content, key, mac_key, vector, mac):
    def text(data):
        return base64.b64encode(data).decode()
    root = xml.Element("ApplicationInfo", {"ToolVersion": "1.8.4.0"})
    add(root, {"Name": setup.stem, "UnencryptedContentSize": len(content), "FileName": INNER, "SetupFile": setup.name})
    add(xml.SubElement(root, "EncryptionInfo"), {
        "EncryptionKey": text(key), "MacKey": text(mac_key), "InitializationVector": text(vector), "Mac": text(mac),
        "ProfileIdentifier": "ProfileVersion1", "FileDigest": text(hashlib.sha256(content).digest()),
        "FileDigestAlgorithm": "SHA256"})
    if setup.suffix.lower() == ".msi":
        add(xml.SubElement(root, "MsiInfo"), msi_facts(setup))
    xml.indent(root)
    return xml.tostring(root, encoding="utf-8", xml_declaration=True)


def wrap(setup, files):
    content = zip_of([(path.name, path.read_bytes()) for path in sorted([setup, *files], key=lambda p: p.name)],
                     zipfile.ZIP_DEFLATED)
    key, mac_key, vector = (hmac.digest(content, purpose, "sha256") for purpose in (b"key", b"mac", b"vector"))
    vector = vector[:16]
    sealed = vector + encrypt(content, key, vector)
    mac = hmac.digest(mac_key, sealed, "sha256")
    return zip_of([(f"IntuneWinPackage/Contents/{INNER}", mac + sealed),
                   ("IntuneWinPackage/Metadata/Detection.xml", detection(setup, content, key, mac_key, vector, mac))],
                  zipfile.ZIP_STORED)


def main():
    words = argparse.ArgumentParser(description="Wraps an installer as an Intune Win32 app.")
    words.add_argument("--output", required=True, type=pathlib.Path)
    words.add_argument("--setup", required=True, type=pathlib.Path)
    words.add_argument("files", nargs="*", type=pathlib.Path, help="what lies beside it, such as agent.yaml")
    chosen = words.parse_args()
    for path in (chosen.setup, *chosen.files):
        if not path.is_file():
            sys.exit(f"intunewin: '{path}' is no file\n  fix: name an existing file")
    chosen.output.write_bytes(wrap(chosen.setup, chosen.files))


if __name__ == "__main__":
    main()
