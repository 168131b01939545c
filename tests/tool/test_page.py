# SPDX-License-Identifier: MIT
"""rvdump page against the tables of format-spec/README.md: every field, in its place, with its value."""

import json
import os
import re
import struct
import subprocess

from oracle import PAGE, Store
from support import CANNOT_OPEN, NOT_A_STORE, OK, USAGE, Case, main, run, write_lines

MAKE_STORE = os.environ.get("MAKE_STORE", "make-store")
SPEC = os.path.join(os.path.dirname(__file__), "../../format-spec/README.md")
RULED = {"Superblock": 512, "Record": 64, "Live state": 4096, "Shard": 2048, "Block header": 64,
         "Slot": 48, "Overflow run": 48, "Entry": 64, "Segment": 64}


def spec_tables():
    """{structure: [(offset, size, name)]}, as far as a size is a number."""
    tables = {}
    with open(SPEC, encoding="utf-8") as file:
        sections = re.split(r"^### ", file.read(), flags=re.M)[1:]
    for section in sections:
        rows = re.findall(r"^\| (\d+) \| (\d+) \| ([\w\[\]]+) \|", section, flags=re.M)
        name = section.split(" (")[0].split("\n")[0]
        if rows and name in RULED:
            tables[name] = [(int(offset), int(size), field) for offset, size, field in rows]
    return tables


class Page(Case):
    def setUp(self):
        super().setUp()
        maker = subprocess.Popen([MAKE_STORE, self.store, "5", "3000", "9000", "10", "256", "later"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        maker.communicate()
        self.assertEqual(maker.returncode, 0)
        with open(self.store, "rb") as file:
            self.data = file.read()
        self.oracle = Store(self.data)

    def page(self, *arguments):
        """[(title, offset, length, [(field, offset, bytes, value)])]"""
        structures = []
        for line in self.run_ok("page", self.store, *map(str, arguments), "--json").splitlines():
            line = json.loads(line)
            if "structure" in line:
                structures.append((line["structure"], line["offset"], line["length"], []))
            else:
                structures[-1][3].append((line["field"], line["offset"],
                                          bytes.fromhex(line["bytes"]), line["value"]))
        return structures

    def check_fields(self, table, offset, length, fields):
        """All that the table names is there; the bytes are the file's; nothing is left out."""
        covered = offset
        for name, at, content, value in fields:
            self.assertFalse(any(self.data[covered:at]), name)  # NULs and zeros
            zeros = re.fullmatch(r"(\d+) zeros", value) if not content else None
            size = int(zeros[1]) if zeros else len(content)
            expected = bytes(size) if zeros else content
            self.assertEqual(self.data[at:at + size], expected)
            covered = at + size
        self.assertGreaterEqual(covered, offset + RULED[table])
        for at, size, name in spec_tables()[table]:
            if name not in ("lock", "pair", "undo"):
                mine = [f for f in fields if f[1] == offset + at]
                self.assertTrue(mine, name)
                self.assertEqual(re.split(r"[\[.]", mine[0][0])[0]
                                 .replace("reserved2", "reserved").replace("reserved3", "reserved"),
                                 name.split("[")[0], (at, size))
        self.assertLessEqual(covered, offset + length)

    def test_the_header(self):
        kinds = {"superblock: valid": "Superblock", "copy of the superblock: valid": "Superblock",
                 "record A: valid": "Record", "record B: valid, the newest": "Record",
                 "record A: valid, the newest": "Record", "record B: valid": "Record",
                 "live state": "Live state"}
        seen = set()
        covered = 0
        for title, offset, length, fields in self.page(0)[1:]:
            self.assertEqual(offset, covered)
            covered = offset + length
            table = "Shard" if title.startswith("shard ") else kinds.get(title)
            seen.add(table)
            if table is not None:
                self.check_fields(table, offset, length, fields)
        self.assertEqual(covered, self.oracle.block)
        self.assertLessEqual({"Superblock", "Record", "Live state", "Shard"}, seen)

    def test_values(self):
        fields = {name: value for _, _, _, rows in self.page("--offset", 0) for name, _, _, value in rows}
        self.assertEqual((fields["format_version"], fields["block_log2"], fields["slot_log2"],
                          fields["shards"]), ("1", "16", "8", "4"))
        info = json.loads(self.run_ok("info", self.store, "--json"))
        self.assertEqual(fields["created_ns"], info["created"])
        newest = max((1, 2), key=lambda page: struct.unpack_from("<Q", self.data, page * PAGE))
        fields = {f[0]: f[3] for f in self.page("--offset", newest * PAGE)[1][3]}
        self.assertEqual((fields["limit"], fields["flags"], fields["time_ns"]),
                         ("10", "0x3 CLEAN TRIMMED", info["checkpoint"]))

    def test_the_block_map(self):
        structures = self.page(self.oracle.header_blocks)
        headers = [s for s in structures if re.fullmatch(r"header of block \d+", s[0])]
        self.assertGreater(len(headers), 20)
        for _, offset, length, fields in headers:
            self.check_fields("Block header", offset, length, fields)
        for entry in self.oracle.entries.values():
            cells = [f[3] for s in headers if s[1] == entry.segment for f in s[3][:1]]
            self.assertRegex(cells[0], r"epoch \d+: segment")

    def test_segments_and_entries(self):
        entries = {}
        for block in {e.offset // self.oracle.block for e in self.oracle.entries.values()}:
            structures = self.page(block)
            self.assertTrue(structures[0][0].endswith("segment of the index"))
            self.check_fields("Segment", *structures[2][1:])
            for title, offset, length, fields in structures[3:]:
                match = re.fullmatch(r"line (\d+): entry of user (\d+)", title)
                if match:
                    self.assertEqual(offset, block * self.oracle.block + int(match[1]) * 64)
                    self.check_fields("Entry", offset, length, fields)
                    entries[int(match[2])] = offset
        self.assertEqual(entries, {e.user: e.offset for e in self.oracle.entries.values()})

    def test_slots(self):
        for entry in list(self.oracle.entries.values())[:60]:
            for visit in entry.visits:
                slot = visit.parts[0][0] // self.oracle.slot
                title, offset, length, fields = self.page("--slot", slot)[1]
                self.assertEqual(title, "slot %d: visit %d of user %d, whole"
                                 % (slot, visit.visit_id, visit.user))
                self.check_fields("Slot", offset, length, fields)
                if visit.parts[0][0] == visit.parts[1][0]:
                    for name, content in (("url", visit.url), ("text", visit.text)):
                        self.assertEqual(b"".join(f[2] for f in fields if f[0] == name), content)
                else:
                    title, offset, length, fields = self.page("--offset", visit.parts[1][0])[1]
                    self.assertIn("overflow run", title)
                    self.check_fields("Overflow run", offset, length, fields)

    def test_an_offset_leads_to_what_lies_there(self):
        entry = next(e for e in self.oracle.entries.values() if e.visits)
        for offset in (entry.offset, entry.offset + 63):
            self.assertEqual(self.page("--offset", offset)[1][1], entry.offset)
        slot = entry.visits[0].parts[0][0]
        for offset in (slot, slot + 255):
            self.assertEqual(self.page("--offset", offset)[1][1], slot)

    def test_all_blocks(self):
        """Each block is told from its first to its last byte."""
        for block in range(len(self.data) // self.oracle.block):
            structures = self.page(block)
            self.assertEqual(structures[0][1:3], (block * self.oracle.block, self.oracle.block))
            covered = block * self.oracle.block
            for title, offset, length, _ in structures[1:]:
                if title != "its header in the block map":
                    self.assertEqual(offset, covered, title)
                    covered += length
            self.assertEqual(covered, (block + 1) * self.oracle.block)

    def test_a_slot_that_is_not_whole(self):
        visit = next(e for e in self.oracle.entries.values() if e.visits).visits[0]
        data = bytearray(self.data)
        data[visit.parts[0][0] + 17] ^= 1
        with open(self.store, "wb") as file:
            file.write(data)
        text = self.run_ok("page", self.store, "--offset", str(visit.parts[0][0])).decode()
        self.assertIn("user %d, not whole, bytes" % visit.user, text)

    def test_a_damaged_header(self):
        data = bytearray(self.data)
        data[0:8] = bytes(8)
        data[PAGE + 56] ^= 1
        with open(self.store, "wb") as file:
            file.write(data)
        text = self.run_ok("page", self.store, "0").decode()
        self.assertIn("superblock: damaged, bytes 0 to 511\n", text)
        self.assertIn("record A: not valid, bytes 4096 to 4159\n", text)
        data[self.oracle.block - PAGE:self.oracle.block - PAGE + 8] = bytes(8)
        with open(self.store, "wb") as file:
            file.write(data)
        result = run("page", self.store, "1")
        self.assertEqual(result.returncode, OK)
        self.assertIn(b"the sizes are guesses", result.stderr)

    def test_wrong_arguments(self):
        for arguments in ([], ["x"], ["1", "--slot", "1"], ["--slot", "1", "--offset", "1"],
                          ["--slot", "4294967296"], ["--offset", "9223372036854775808"], ["100000"],
                          ["-1"]):
            self.assertEqual(run("page", self.store, *arguments).returncode, USAGE)
        self.assertEqual(run("page", self.path("none"), "1").returncode, CANNOT_OPEN)
        with open(self.path("text"), "wb") as file:
            file.write(b"text" * 50000)
        self.assertEqual(run("page", self.path("text"), "1").returncode, NOT_A_STORE)

    def test_nothing_that_a_terminal_obeys(self):
        os.remove(self.store)
        self.load(write_lines([(1, 1, b"\x1b[2J\xff\r", b"\x9b", 0)]))
        slot = next(iter(Store(open(self.store, "rb").read()).entries.values())).visits[0].parts[0][0]
        text = self.run_ok("page", self.store, "--offset", str(slot)).decode("ascii")
        self.assertNotRegex(text, "[\x00-\x09\x0b-\x1f\x7f]")


if __name__ == "__main__":
    main()
