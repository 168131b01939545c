# SPDX-License-Identifier: MIT
"""README.md, "The file": where everything lies. No offset stands anywhere else in the reader.

Each table is one of the specification's, with the same offsets and names; what is reserved is left out.
"""

import collections
import struct


class Structure:
    """A table of fields: offset, type, name. "Q" is 8 bytes unsigned, "q" signed, "I" 4, "16s" bytes;
    "3Q" are three in a row."""

    def __init__(self, name, size, *fields):
        self.name, self.size, self.fields = name, size, fields
        self.offset = {field: at for at, _, field in fields}
        self._tuple = collections.namedtuple(name, [field for _, _, field in fields])
        self._groups = [1 if kind.endswith("s") else int(kind[:-1] or 1) for _, kind, _ in fields]
        self._packed = struct.Struct(self._format())
        self._flat = max(self._groups) == 1

    def _format(self):
        text, at = "<", 0
        for offset, kind, _ in self.fields:
            text += f"{offset - at}x{kind}"
            at = offset + struct.calcsize("<" + kind)
        return text + f"{self.size - at}x"

    def read(self, data, at):
        values = self._packed.unpack_from(data, at)
        if not self._flat:
            values = list(self._grouped(values))
        return self._tuple._make(values)

    def iterate(self, data):
        """Reads one after the other: only for tables without arrays."""
        return map(self._tuple._make, self._packed.iter_unpack(data))

    def _grouped(self, values):
        at = 0
        for count in self._groups:
            yield values[at] if count == 1 else values[at:at + count]
            at += count


MAGIC = bytes.fromhex("89525653 0d0a1a0a")
VERSION = 1

SUPERBLOCK_AT = 0
RECORDS_AT = (4096, 8192)
LIVE_AT = 12288
SHARDS_AT = 16384
COPY_SIZE = 4096        # the copy of the superblock has that much at the header's end
COPY_SEARCH_END = 1 << 21

SUPERBLOCK = Structure(
    "superblock", 512,
    (0, "8s", "magic"),
    (8, "I", "format_version"),
    (12, "I", "size"),
    (16, "Q", "compatible"),
    (24, "Q", "incompatible"),
    (32, "Q", "writer_incompatible"),
    (40, "16s", "uuid"),
    (56, "Q", "hash_seed"),
    (64, "I", "block_log2"),
    (68, "I", "slot_log2"),
    (72, "I", "shards"),
    (76, "I", "header_blocks"),
    (80, "q", "created_ns"),
    (496, "Q", "checksum"))

RECORD = Structure(
    "record", 64,
    (0, "Q", "serial"),
    (8, "Q", "durable"),
    (16, "Q", "blocks"),
    (24, "I", "limit"),
    (28, "I", "flags"),
    (32, "q", "time_ns"),
    (40, "q", "last_time"),
    (56, "Q", "checksum"))
CLEAN, TRIMMED = 1, 2
SERIAL_END, DURABLE_END = 1 << 63, 1 << 55     # above, a record is not valid
SERIAL_ROOM, DURABLE_ROOM = 1 << 62, 1 << 54   # above, there is no room for those to come

LIVE = Structure(
    "live", 4096,
    (0, "16s", "boot_id"),
    (16, "Q", "mount"),
    (24, "Q", "device"),
    (32, "Q", "inode"),
    (40, "Q", "holder"),
    (48, "Q", "serial"),
    (56, "Q", "epoch"),
    (64, "Q", "durable"),
    (72, "Q", "failed"),
    (80, "Q", "limit"),
    (88, "Q", "blocks"),
    (96, "Q", "synced"),
    (128, "16Q", "free"),
    (256, "Q", "undo_count"),
    (1824, "Q", "lock_abi"),
    (1832, "Q", "pid_space"),
    (1984, "32Q", "sharers"))

SHARD = Structure(
    "shard", 2048,
    (64, "Q", "structure"),
    (72, "Q", "changed"),
    (80, "q", "last_time"),
    (88, "Q", "first"),
    (96, "4Q", "hand"),
    (128, "14Q", "partial"),
    (240, "6Q", "limbo"),
    (320, "Q", "undo_count"))
ROOT_AT = 1024          # the directory's first node, in a shard
NODE_POINTERS = 128
NODE_LOG2 = 10          # a node has 1024 bytes
NODE_LEVELS = 8

HEADER = Structure(
    "header", 64,
    (0, "3Q", "cell"),
    (24, "Q", "segment"),
    (32, "Q", "prefix"),
    (40, "Q", "run"),
    (48, "Q", "list"),
    (56, "Q", "free"))
UNUSED, FREE, SLOTS, LARGE, SEGMENT_KIND, MAP, HAND = range(7)
KIND_NAMES = ("unused", "free", "slots", "large", "segment", "map", "hand")
CELL_SEGMENT = 1

SLOT = Structure(
    "slot", 48,
    (0, "I", "prev"),
    (4, "I", "link"),
    (8, "I", "user_id"),
    (12, "I", "visit_id"),
    (16, "q", "time_ns"),
    (24, "I", "seq"),
    (28, "I", "url_length"),
    (32, "I", "text_length"),
    (36, "I", "overflow"),
    (40, "Q", "checksum"))
SLOT_CHECKED = (8, 40)  # the bytes that its checksum covers, beside the strings

OVERFLOW = Structure(
    "overflow", 48,
    (4, "I", "link"),
    (8, "I", "user_id"),
    (12, "I", "visit_id"))

LINK = struct.Struct("<4xI")    # of the first slot of any run
POINTERS = struct.Struct("<128Q")

ENTRY = Structure(
    "entry", 64,
    (0, "I", "user_id"),
    (4, "I", "changes"),
    (8, "I", "newest"),
    (12, "I", "filter"),
    (16, "Q", "epoch_0"),
    (24, "Q", "word_0"),
    (32, "Q", "epoch_1"),
    (40, "Q", "word_1"),
    (48, "Q", "epoch_2"),
    (56, "Q", "word_2"))

SEGMENT = Structure(
    "segment", 64,
    (4, "I", "link"),
    (8, "Q", "moved"),
    (16, "Q", "count"),
    (24, "I", "changes"))

STRINGS_MAX = 1 << 20
DEPTH_MAX = 56
