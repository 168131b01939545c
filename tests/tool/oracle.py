# SPDX-License-Identifier: MIT
"""A store's file, read in Python from format-spec/README.md: whose visits lie where.

For a store without damage, and a list of byte ranges that are destroyed afterwards, it works out
what has to come back.
"""

import struct
from dataclasses import dataclass

PAGE = 4096
SEGMENT = 1


@dataclass(frozen=True)
class Visit:
    user: int
    visit_id: int
    url: bytes
    text: bytes
    time_ns: int
    parts: tuple  # (offset, length) of the bytes that make it

    @property
    def content(self):
        return self.user, self.visit_id, self.url, self.text, self.time_ns


@dataclass
class Entry:
    user: int
    offset: int
    segment: int  # offset of the segment's block header
    visits: list  # newest first


class Store:
    def __init__(self, data):
        self.data = data
        self.block_log2, self.slot_log2, self.shards, self.header_blocks = struct.unpack_from(
            "<4I", data, 64)
        self.block = 1 << self.block_log2
        self.slot = 1 << self.slot_log2
        self.span = self.block // 64
        records = [struct.unpack_from("<QQQII", data, PAGE * i) for i in (1, 2)]
        self.limit = max(records)[3]
        self.entries = {entry.user: entry for entry in self._entries()}

    def map_of(self, block):
        return block - (block - self.header_blocks) % self.span

    def header_offset(self, block):
        first = self.map_of(block)
        return first * self.block + (block - first) * 64

    def _is_segment(self, block):
        if self.map_of(block) == block:
            return False
        cells = struct.unpack_from("<3Q", self.data, self.header_offset(block))
        return max(cells) & 0xff == SEGMENT

    def _entries(self):
        for block in range(self.header_blocks, len(self.data) // self.block):
            if not self._is_segment(block):
                continue
            for line in range(1, self.block // 64):
                offset = block * self.block + line * 64
                user, _, _, _, *versions = struct.unpack_from("<4I6Q", self.data, offset)
                newest, word = max(zip(versions[::2], versions[1::2]))
                if newest:
                    yield Entry(user, offset, self.header_offset(block), self._visits(word))

    def _visits(self, word):
        count, size_log2, head = word & 0xfffff, word >> 20 & 31, word >> 32
        mask = (1 << size_log2) - 1
        return [self.visit(head & ~mask | (head - i) & mask) for i in range(min(count, self.limit))]

    def visit(self, slot):
        offset = slot * self.slot
        (_, _, user, visit_id, time_ns, _, url_length, text_length, overflow, _) = \
            struct.unpack_from("<4Iq4IQ", self.data, offset)
        length = url_length + text_length + 2
        at = overflow * self.slot if overflow else offset
        parts = ((offset, 48), (at, 48 + length))
        url = self.data[at + 48:at + 48 + url_length]
        text = self.data[at + 49 + url_length:at + 47 + length]
        return Visit(user, visit_id, url, text, time_ns, parts)

    def all_slots(self):
        """Number, user and visit id of each slot, whatever it holds."""
        for slot in range(len(self.data) // self.slot):
            user, visit_id = struct.unpack_from("<2I", self.data, slot * self.slot + 8)
            yield slot, user, visit_id


class Damage:
    """Pages that are destroyed."""

    def __init__(self, pages):
        self.pages = set(pages)

    def hits(self, offset, length):
        return any(page in self.pages
                   for page in range(offset // PAGE, (offset + length - 1) // PAGE + 1))

    def is_whole(self, visit):
        return not any(self.hits(*part) for part in visit.parts)

    def is_proved(self, entry):
        """Entry and block header are there; and a record, or a whole visit that the entry names."""
        known = not {1, 2} <= self.pages or any(map(self.is_whole, entry.visits))
        return known and not self.hits(entry.offset, 64) and not self.hits(entry.segment, 64)


def destroy(data, pages, rng, copies):
    """A copy with the pages destroyed: noise or zeros; with copies, some have another page's bytes."""
    damaged = bytearray(data)
    count = len(data) // PAGE
    for page in pages:
        kind = rng.randrange(3 if copies else 2)
        content = rng.randbytes(PAGE) if kind == 0 else bytes(PAGE)
        if kind == 2:
            near = [0, 1, page - 1, page + 1, rng.randrange(count)]
            other = rng.choice([p for p in near if p != page and 0 <= p < count]) * PAGE
            content = data[other:other + PAGE]
        damaged[page * PAGE:(page + 1) * PAGE] = content
    return bytes(damaged)
