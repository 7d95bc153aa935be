"""The archive that a macOS package is: a header, a compressed table of contents in XML, and the files' data.

    header (28 bytes, big-endian): "xar!", its size, version 1, sizes of the table compressed and not, 1 for SHA-1
    table, deflated
    heap: SHA-1 of the compressed table, then each file's data at the offset that the table says
"""
import hashlib
import struct
import xml.etree.ElementTree as xml
import zlib


def add(parent, tag, text=None, **attributes):
    element = xml.SubElement(parent, tag, attributes)
    element.text = None if text is None else str(text)
    return element


def sha1(data):
    return hashlib.sha1(data).hexdigest()


def write(files, created):
    """`files`: (path, bytes, whether to deflate) in order; folders come from the paths. `created`: RFC 3339."""
    root = xml.Element("xar")
    table = add(root, "toc")
    checksum = add(table, "checksum", style="sha1")
    add(checksum, "offset", 0)
    add(checksum, "size", 20)
    add(table, "creation-time", created)
    heap, folders, number = b"", {"": table}, 0
    for path, content, deflate in files:
        folder, _, name = path.rpartition("/")
        if folder not in folders:
            number += 1
            folders[folder] = add(table, "file", id=str(number))
            add(folders[folder], "name", folder)
            add(folders[folder], "type", "directory")
        number += 1
        element = add(folders[folder], "file", id=str(number))
        add(element, "name", name)
        add(element, "type", "file")
        stored = zlib.compress(content, 9) if deflate else content
        data = add(element, "data")
        add(data, "archived-checksum", sha1(stored), style="sha1")
        add(data, "extracted-checksum", sha1(content), style="sha1")
        add(data, "encoding", style="application/x-gzip" if deflate else "application/octet-stream")
        add(data, "length", len(stored))
        add(data, "offset", 20 + len(heap))
        add(data, "size", len(content))
        heap += stored
    plain = xml.tostring(root, encoding="utf-8", xml_declaration=True)
    packed = zlib.compress(plain, 9)
    header = struct.pack(">4sHHQQI", b"xar!", 28, 1, len(packed), len(plain), 1)
    return header + packed + hashlib.sha1(packed).digest() + heap
