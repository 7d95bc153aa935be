"""Reads a macOS package without the code that writes it, and believes nothing that it can check."""
import gzip
import hashlib
import struct
import xml.etree.ElementTree as xml
import zlib


class Damaged(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Damaged(what)


def read_xar(data):
    """{path: bytes} of the archive's files."""
    magic, header, version, packed, plain, algorithm = struct.unpack(">4sHHQQI", data[:28])
    check((magic, header, version, algorithm) == (b"xar!", 28, 1, 1), "header")
    table, heap = data[28:28 + packed], data[28 + packed:]
    check(heap[:20] == hashlib.sha1(table).digest(), "checksum of the table")
    text = zlib.decompress(table)
    check(len(text) == plain, "size of the table")
    toc = xml.fromstring(text).find("toc")
    at, size = (int(toc.find(f"checksum/{name}").text) for name in ("offset", "size"))
    check((at, size) == (0, 20), "place of the table's checksum")
    used, files = {(at, at + size)}, {}

    def walk(element, folder):
        for each in element.findall("file"):
            path = folder + each.find("name").text
            if each.find("type").text == "directory":
                walk(each, path + "/")
                continue
            part = each.find("data")
            at, length, size = (int(part.find(name).text) for name in ("offset", "length", "size"))
            stored = heap[at:at + length]
            content = stored
            if part.find("encoding").get("style") == "application/x-gzip":
                content = zlib.decompress(stored)
            check(len(content) == size, f"size of {path}")
            for name, found in (("archived-checksum", stored), ("extracted-checksum", content)):
                check(part.find(name).text == hashlib.sha1(found).hexdigest(), f"{name} of {path}")
            used.add((at, at + length))
            files[path] = content
    walk(toc, "")
    end = 0
    for first, last in sorted(used):  # no gap, no overlap, nothing behind
        check(first == end, f"heap at {first}")
        end = last
    check(end == len(heap), "end of the heap")
    return files


def read_cpio(data):
    """{path: (mode, uid, gid, mtime, content)} of a gzipped "odc" archive."""
    data, at, entries = gzip.decompress(data), 0, {}
    while True:
        check(data[at:at + 6] == b"070707", f"entry at {at}")
        fields = [int(data[at + 6 + 6 * n:at + 12 + 6 * n], 8) for n in range(7)]
        mtime, name_size, size = (int(data[at + a:at + b], 8) for a, b in ((48, 59), (59, 65), (65, 76)))
        name = data[at + 76:at + 76 + name_size]
        check(name.endswith(b"\0"), f"name at {at}")
        at += 76 + name_size
        if name == b"TRAILER!!!\0":
            check(at == len(data), "end of the archive")
            return entries
        entries[name[:-1].decode()] = (fields[2], fields[3], fields[4], mtime, data[at:at + size])
        at += size


def read_bom(data):
    """{path: (mode, uid, gid, mtime, size, checksum)}"""
    magic, version, count, table_at, table_size, names_at, names_size = struct.unpack(">8s6I", data[:32])
    check((magic, version) == (b"BOMStore", 1), "header")
    slots, = struct.unpack(">I", data[table_at:table_at + 4])
    places = [struct.unpack(">II", data[table_at + 4 + 8 * n:table_at + 12 + 8 * n]) for n in range(slots)]
    check(places[0] == (0, 0) and sum(place != (0, 0) for place in places) == count, "blocks")
    check(table_at + table_size == len(data), "end")

    def block(number):
        at, size = places[number]
        check(0 < number < slots and at + size <= table_at, f"block {number}")
        return data[at:at + size]

    names, at = {}, names_at + 4
    for _ in range(struct.unpack(">I", data[names_at:at])[0]):
        number, size = struct.unpack(">IB", data[at:at + 5])
        names[data[at + 5:at + 5 + size].decode()] = number
        at += 5 + size
    check(at == names_at + names_size, "names")
    check(set(names) == {"BomInfo", "Paths", "HLIndex", "VIndex", "Size64"}, names)

    mark, _, leaf, _, total, _ = struct.unpack(">4sIIIIB", block(names["Paths"]))
    check(mark == b"tree", "paths")
    def node(number):
        content = block(number)
        is_leaf, pairs, following, previous = struct.unpack(">HHII", content[:12])
        check(pairs <= 256 and len(content) == 12 + 8 * pairs, f"node {number}")
        return is_leaf, following, previous, [struct.unpack(">II", content[12 + 8 * nth:20 + 8 * nth]) for nth in range(pairs)]

    is_leaf, following, previous, pairs = node(leaf)
    if not is_leaf:
        children, before, pairs = pairs, 0, []
        for nth, (child, last) in enumerate(children):
            is_leaf, following, previous, more = node(child)
            check(is_leaf == 1 and previous == before and more[-1][1] == last, f"leaf {child}")
            check(following == (children[nth + 1][0] if nth + 1 < len(children) else 0), f"leaf {child}")
            before, pairs = child, pairs + more
    else:
        check(is_leaf == 1 and (following, previous) == (0, 0), "leaf")
    check(len(pairs) == total, "paths")
    known, found = {0: ""}, {}
    for about, named in pairs:
        number, facts = struct.unpack(">II", block(about))
        parent, name = struct.unpack(">I", block(named)[:4])[0], block(named)[4:].rstrip(b"\0").decode()
        path = f"{known[parent]}/{name}" if parent else name
        known[number] = path
        kind, _, _, mode, uid, gid, mtime, size, _, checksum, link = struct.unpack(">BBHHIIIIBII", block(facts))
        check((kind, mode & 0o170000) in ((1, 0o100000), (2, 0o040000)) and link == 0, path)
        found[path] = (mode, uid, gid, mtime, size, checksum)
    info = struct.unpack(">3I", block(names["BomInfo"])[:12])
    check(info[:2] == (1, total + 1), "BomInfo")
    return found
