# SPDX-License-Identifier: MIT
"""format-spec/librv.ksy, lib/format.h and the reader's layout.py have the same fields in the same places."""

import os
import re
import struct
import sys
import unittest

from reader import layout

try:
    import yaml
except ImportError:
    print("SKIP: there is no python3-yaml")
    sys.exit(77)

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SIZES = {"u4": 4, "u8": 8, "s8": 8, "uint8_t": 1, "uint32_t": 4, "uint64_t": 8, "int64_t": 8}


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as file:
        return file.read()


class Ksy:
    """Fields of the types, as {name: (offset, size)}, up to the first that has no fixed place."""

    def __init__(self):
        self.tree = yaml.safe_load(read("format-spec", "librv.ksy"))
        self.types = self.tree["types"]

    def fields(self, name):
        found, at = {}, 0
        for field in self.types[name]["seq"]:
            size = self._size(field)
            if size is None:
                break
            found[field["id"]] = at, size
            at += size
        return found

    def _size(self, field):
        count = field.get("repeat-expr", 1)
        if "contents" in field:
            return len(field["contents"])
        if not isinstance(count, int) or "if" in field:
            return None
        kind = field.get("type", field.get("size"))
        size = SIZES.get(kind, kind)
        if size in self.types:
            size = sum(size for _, size in self.fields(size).values())
        return size * count if isinstance(size, int) else None

    def parts(self, name):
        """Those of nested types too: undo_count is the field `count` of `undo`; epoch_1 the field `epoch` of
        the second in an array."""
        found = self.fields(name)
        for field in self.types[name]["seq"]:
            inner = field.get("type")
            if inner not in self.types or field["id"] not in found:
                continue
            begin = found[field["id"]][0]
            count = field.get("repeat-expr")
            step = found[field["id"]][1] // (count or 1)
            for i in range(count or 1):
                for part, (at, size) in self.fields(inner).items():
                    path = f"{part}_{i}" if count else f"{field['id']}_{part}"
                    found[path] = begin + i * step + at, size
        return found


def structs_of_c():
    """The structures of lib/format.h, in the same form. None has padding: all of its sizes are asserted."""
    text = re.sub(r"/\*.*?\*/", "", read("lib", "format.h"), flags=re.S)
    numbers = {name: int(value) for name, value in
               re.findall(r"#define (RV_\w+)\s*(?:\\\s*)?(\d+)u", text)}
    numbers["RV_FANOUT"] = 1 << numbers["RV_FANOUT_LOG2"]
    sizes, found = dict(SIZES), {}
    for name, body in re.findall(r"struct rv_disk_(\w+) \{(.*?)\n\};", text, flags=re.S):
        fields, at = {}, 0
        for kind, field, count in re.findall(r"(?:struct rv_disk_)?(\w+)\s+(\w+)(?:\[(\w+)\])?;", body):
            size = sizes[kind] * (int(numbers.get(count, count)) if count else 1)
            fields[field] = at, size
            at += size
        found[name], sizes[name] = fields, at
    return found


class Test(unittest.TestCase):
    def setUp(self):
        self.ksy = Ksy()

    def test_same_structures_as_the_library(self):
        structs = structs_of_c()
        self.assertEqual(set(structs), {name for name, kind in self.ksy.types.items() if "seq" in kind}
                         - {"pointer", "node", "strings"})
        for name, fields in structs.items():
            self.assertEqual(list(self.ksy.fields(name).items())[:len(fields)], list(fields.items()), name)

    def test_same_structures_as_the_reader(self):
        for structure in vars(layout).values():
            if not isinstance(structure, layout.Structure):
                continue
            parts = self.ksy.parts("block" if structure.name == "header" else structure.name)
            for offset, kind, name in structure.fields:
                self.assertEqual(parts[name], (offset, struct.calcsize("<" + kind)),
                                 f"{structure.name}.{name}")

    def test_same_sizes_as_the_reader(self):
        for structure in layout.SUPERBLOCK, layout.RECORD, layout.LIVE, layout.SHARD, layout.SLOT, layout.ENTRY:
            at, size = list(self.ksy.fields(structure.name).values())[-1]
            self.assertEqual(at + size, structure.size, structure.name)

    def test_same_places(self):
        places = {name: kind["pos"] for name, kind in self.ksy.tree["instances"].items()
                  if isinstance(kind.get("pos"), int)}
        self.assertEqual(places, {"superblock": layout.SUPERBLOCK_AT, "record_a": layout.RECORDS_AT[0],
                                  "record_b": layout.RECORDS_AT[1], "live": layout.LIVE_AT,
                                  "shards": layout.SHARDS_AT})
        self.assertEqual(bytes(self.ksy.types["superblock"]["seq"][0]["contents"]), layout.MAGIC)

    def test_same_kinds(self):
        kinds = self.ksy.tree["enums"]["kind"]
        self.assertEqual(tuple(kinds.values()), layout.KIND_NAMES)
        in_c = re.findall(r"RV_KIND_(\w+) = (\d+)", read("lib", "format.h"))
        self.assertEqual(kinds, {int(number): name.lower() for name, number in in_c})


if __name__ == "__main__":
    unittest.main()
