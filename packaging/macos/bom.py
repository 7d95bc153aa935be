"""The "bill of materials" of a macOS package: which paths it installs, with owners, modes and checksums.

A Bom is a store of numbered blocks with named ones among them. Everything is big-endian:

    header (512 bytes): "BOMStore", version, blocks, place and size of the block table, place and size of the names
    names: count, then block number, length and text of each
    blocks, one behind the other; block 0 is none
    block table: count, then place and size of each; then a free list

The paths are a B-tree whose leaves pair, for each path, its facts and its name below its parent's number. Up to 256
lie in one leaf, which is the root then; more in a chain of leaves below one branch, which pairs each leaf with the
name block that is last in it.
"""
import struct
import sys

LEAF_PATHS = 256
KINDS = {0o100000: 1, 0o040000: 2}


class Store:
    def __init__(self):
        self.blocks, self.names = [b""], []

    def add(self, content):
        self.blocks.append(content)
        return len(self.blocks) - 1

    def name(self, name, content):
        self.names.append((name.encode(), self.add(content)))

    def tree(self, leaf, count=0, block_size=4096):
        return struct.pack(">4sIIIIB", b"tree", 1, self.add(leaf), block_size, count, 0)

    def write(self):
        names = struct.pack(">I", len(self.names))
        for name, block in self.names:
            names += struct.pack(">IB", block, len(name)) + name
        place, table = 512 + len(names), struct.pack(">III", len(self.blocks), 0, 0)
        for block in self.blocks[1:]:
            table += struct.pack(">II", place, len(block))
            place += len(block)
        table += struct.pack(">I4I", 0, 0, 0, 0, 0)
        header = struct.pack(">8s6I", b"BOMStore", 1, len(self.blocks) - 1, place, len(table), 512, len(names))
        return header.ljust(512, b"\0") + names + b"".join(self.blocks) + table


def node(is_leaf, pairs, following=0, previous=0):
    return struct.pack(">HHII", is_leaf, len(pairs), following, previous) + b"".join(struct.pack(">II", *pair) for pair in pairs)


def leaf(pairs):
    return node(1, pairs)


def root_of(store, pairs):
    """The node that the tree of paths begins with, its leaves in the store where there are several."""
    if len(pairs) <= LEAF_PATHS:
        return leaf(pairs)
    groups = [pairs[at:at + LEAF_PATHS] for at in range(0, len(pairs), LEAF_PATHS)]
    first, last = len(store.blocks), len(store.blocks) + len(groups) - 1
    below = []
    for number, group in enumerate(groups, first):
        following, previous = (number + 1 if number < last else 0), (number - 1 if number > first else 0)
        below.append((store.add(node(1, group, following, previous)), group[-1][1]))
    if len(below) > LEAF_PATHS:
        sys.exit(f"bom: {len(pairs)} paths; at most {LEAF_PATHS ** 2} fit\n  fix: pack fewer files")
    return node(0, below)


def facts(entry):
    """`entry` has mode, uid, gid, mtime, size and checksum (of cksum(1); 0 for a folder)."""
    return struct.pack(">BBHHIIIIBII", KINDS[entry.mode & 0o170000], 1, 3, entry.mode & 0xFFFF, entry.uid, entry.gid,
                       entry.mtime, entry.size, 1, entry.checksum, 0)


def by_depth(entries):
    """Parents before children, each folder's names in order: how the numbers are given."""
    return sorted(entries, key=lambda entry: (entry.path.count("/"), entry.path.split("/")))


def write(entries):
    """The Bom of entries, the first "." and each folder among them."""
    store = Store()
    store.name("BomInfo", struct.pack(">3I4I", 1, len(entries) + 1, 1, 0, 0, 0, 0))
    numbers, pairs = {"": 0}, []
    for number, entry in enumerate(by_depth(entries), 1):
        numbers[entry.path] = number
        parent, _, name = entry.path.rpartition("/")
        place = store.add(facts(entry))
        pairs.append((store.add(struct.pack(">II", number, place)),
                      store.add(struct.pack(">I", numbers[parent]) + name.encode() + b"\0")))
    store.name("Paths", store.tree(root_of(store, pairs), len(entries)))
    empty = leaf([])
    store.name("HLIndex", store.tree(empty))
    store.name("VIndex", struct.pack(">IIIB", 1, store.add(store.tree(empty, block_size=128)), 0, 0))
    store.name("Size64", store.tree(empty))
    return store.write()
