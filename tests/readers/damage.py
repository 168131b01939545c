# SPDX-License-Identifier: MIT
"""Damage to a store, the same for the same seed: bits turned over, pages lost, files cut off, and fields that
are changed to values that mean something where they stand, with checksums made right again."""

import random

from reader import layout
from reader.index import is_free, lines_of, root_at, segments_by_cells
from reader.ring import base_of, parse_word
from reader.store import Store, StoreError
from reader.xxh3 import xxh3

PAGE = 4096
KINDS = "bits", "page", "length", "fields", "fields", "fields"
EDGES = [0, 1, 2, 3, 7, 8, 31, 56, 63, 64, 127, 255, 0xFFFF, 0x10000, 0xFFFFF, 0x7FFFFFFF, 0x80000000,
         0xFFFFFFFF, 1 << 32, 1 << 54, 1 << 55, 1 << 62, (1 << 63) - 1, (1 << 64) - 8, (1 << 64) - 1]
WORDS = layout.Structure("node", 1024, *((8 * i, "Q", f"pointer_{i}") for i in range(128)))


def damaged(data, seed):
    """A damaged copy, and the kind of damage."""
    rng = random.Random(seed)
    if not opens(data):
        return data + b"\n", "length"
    kind = rng.choice(KINDS)
    return bytes(globals()["damage_" + kind](bytearray(data), rng)), kind


def opens(data):
    """Not so one whose creation was cut short."""
    try:
        Store(data)
        return True
    except StoreError:
        return False


# ---- without regard to what lies there ----

def damage_bits(data, rng):
    used = [at for at in range(0, len(data), 64) if any(data[at:at + 64])]
    for _ in range(rng.randint(1, 6)):
        at = rng.choice(used) + rng.randrange(64) if rng.randrange(4) else rng.randrange(len(data))
        data[at % len(data)] ^= 1 << rng.randrange(8)
    return data


def damage_page(data, rng):
    pages = len(data) // PAGE
    for _ in range(rng.randint(1, 2)):
        page, other = rng.randrange(pages) * PAGE, rng.randrange(pages) * PAGE
        data[page:page + PAGE] = rng.choice([bytes(PAGE), rng.randbytes(PAGE), data[other:other + PAGE]])
    return data


def damage_length(data, rng):
    unit = rng.choice([1, 64, PAGE, 1 << Store(bytes(data)).geometry.block_log2])
    length = rng.randrange(len(data) // unit + 1) * unit
    if rng.randrange(3):
        return data[:length]
    more = min(length, 1 << 18)
    return data + rng.choice([bytes(more), rng.randbytes(more), data[:more]])


# ---- fields ----

def damage_fields(data, rng):
    changes = Changes(data, rng)
    while True:
        rng.choice([changes.change_field] * 8 + [changes.copy_structure] * 2 + [changes.copy_block,
                                                                                changes.change_records])()
        if rng.randrange(3):
            return data


class Changes:
    def __init__(self, data, rng):
        self.data, self.rng = data, rng
        self.store = Store(bytes(data))
        self.geometry = self.store.geometry
        self.places = self._find_places()

    def _find_places(self):
        """Each structure with the offsets at which the store has it; those more often that matter more."""
        store, geometry = self.store, self.geometry
        shards = range(geometry.shards)
        segments = [s.block for s in segments_by_cells(store)]
        entries = [(geometry.block_size * block + 64 * line, entry) for block in segments
                   for line, entry in lines_of(store, block) if not is_free(entry)]
        slots = list(self._slots(entry for _, entry in entries))
        blocks = range(geometry.header_blocks, min(store.blocks, geometry.header_blocks + geometry.span))
        found = [
            (layout.SUPERBLOCK, [layout.SUPERBLOCK_AT, geometry.copy_at]),
            (layout.RECORD, list(layout.RECORDS_AT)),
            (layout.LIVE, [layout.LIVE_AT]),
            (layout.SHARD, [store.shard_at(i) for i in shards]),
            (WORDS, [root_at(store, i) for i in shards] + list(self._nodes())),
            (layout.HEADER, [geometry.header_at(block) for block in blocks]),
            (layout.SEGMENT, [block * geometry.block_size for block in segments]),
            (layout.ENTRY, [at for at, _ in entries]),
            (layout.SLOT, slots),
            (layout.OVERFLOW, list(self._overflows(slots))),
        ]
        weights = {"superblock": 1, "record": 2, "live": 2, "segment": 1, "overflow": 2}
        return [place for place in found if place[1] for _ in range(weights.get(place[0].name, 4))]

    def _slots(self, entries):
        for entry in entries:
            for value in (entry.word_0, entry.word_1, entry.word_2):
                word = parse_word(value)
                if value and self.store.has_run(base_of(word), word.run_class):
                    for i in range(min(word.count, 64)):
                        yield self.geometry.slot_at(base_of(word) + (word.head - i) % (1 << word.run_class))

    def _overflows(self, slots):
        for at in slots:
            overflow = layout.SLOT.read(self.store.data, at).overflow
            if overflow and self.store.has_run(overflow, 0):
                yield self.geometry.slot_at(overflow)

    def _nodes(self):
        for i in range(self.geometry.shards):
            for pointer in layout.POINTERS.unpack_from(self.store.data, root_at(self.store, i)):
                slot = pointer & (1 << 56) - 1
                if pointer >> 56 == 2 and self.store.has_run(slot, self.geometry.node_class):
                    yield self.geometry.slot_at(slot)

    # ---- what is done ----

    def change_field(self):
        structure, places = self.rng.choice(self.places)
        at = self.rng.choice(places)
        offset, kind, _ = self.rng.choice(structure.fields)
        size = 4 if kind[-1] == "I" else 8
        count = int(kind[:-1] or 1) // (8 if kind[-1] == "s" else 1)
        offset += size * self.rng.randrange(count)
        old = int.from_bytes(self.data[at + offset:at + offset + size], "little")
        other = self.rng.choice(places) + offset
        new = self._value(old, int.from_bytes(self.data[other:other + size], "little"))
        self.data[at + offset:at + offset + size] = (new & (1 << 8 * size) - 1).to_bytes(size, "little")
        self._seal(structure, at)

    def copy_structure(self):
        structure, places = self.rng.choice(self.places)
        source, target = self.rng.choice(places), self.rng.choice(places)
        self.data[target:target + structure.size] = self.data[source:source + structure.size]

    def copy_block(self):
        size, blocks = self.geometry.block_size, self.store.blocks
        source, target = self.rng.randrange(blocks) * size, self.rng.randrange(blocks) * size
        self.data[target:target + size] = self.data[source:source + size]

    def change_records(self):
        """Closed or not; with one record, none, or another that counts."""
        for at in layout.RECORDS_AT:
            do = self.rng.randrange(6)
            if do < 2:
                self.data[at + layout.RECORD.offset["flags"]] ^= self.rng.choice(
                    [layout.CLEAN, layout.CLEAN, layout.TRIMMED])
                self._seal(layout.RECORD, at)
            elif do == 2:
                self.data[at:at + layout.RECORD.size] = bytes(layout.RECORD.size)
            elif do == 3:
                self.data[at + layout.RECORD.offset["durable"]] ^= self.rng.randrange(4)
                self._seal(layout.RECORD, at)

    def _seal(self, structure, at):
        """Makes a checksum right again, mostly."""
        if structure not in (layout.SUPERBLOCK, layout.RECORD, layout.SLOT) or not self.rng.randrange(8):
            return
        place = at + structure.offset["checksum"]
        if structure is layout.SLOT:
            begin, seed = at + layout.SLOT_CHECKED[0], self._strings_hash(at)
            covered = self.data[begin:at + layout.SLOT_CHECKED[1]]
        else:
            covered, seed = self.data[at:place], 0
            if structure is layout.RECORD:
                seed = int.from_bytes(self.store.superblock.uuid[:8], "little")
        self.data[place:place + 8] = xxh3(bytes(covered), seed).to_bytes(8, "little")

    def _strings_hash(self, at):
        fields = layout.SLOT.read(self.data, at)
        begin = (self.geometry.slot_at(fields.overflow) if fields.overflow else at) + layout.SLOT.size
        return xxh3(bytes(self.data[begin:begin + fields.url_length + fields.text_length + 2]))

    # ---- values ----

    def _block(self):
        return self.rng.randrange(self.store.blocks + 2)

    def _slot(self):
        return self.rng.randrange((self.store.blocks + 1) << self.geometry.large_class)

    def _value(self, old, other):
        rng = self.rng
        draw = rng.randrange(12)
        if draw < 5:
            return [old ^ 1 << rng.randrange(64), old ^ 1 << rng.randrange(8), old + 1, old - 1, other][draw]
        return rng.choice([
            lambda: rng.choice(EDGES),
            lambda: rng.choice(EDGES) << 32 | old & 0xFFFFFFFF,
            lambda: old >> 32 << 32 | rng.choice(EDGES) & 0xFFFFFFFF,
            self._block,
            self._slot,
            lambda: self._slot() << 32 | old & 0xFFFFFFFF,
            lambda: self._block() << 32 | self._block(),
            lambda: 1 << 56 | self._block(),
            lambda: 2 << 56 | self._slot(),
            lambda: self._slot() << 32 | rng.randrange(4) << 25 | rng.randrange(12) << 20 | rng.randrange(8),
            lambda: rng.randrange(8) << 24 | rng.randrange(12) << 16 | rng.randrange(self.geometry.shards + 1),
            lambda: self.store.durable + rng.randrange(-1, 4),
            lambda: self.store.durable + rng.randrange(-1, 4) << 8 | rng.randrange(3),
            lambda: self._block() << 8 | 0x80 | rng.randrange(8),
            lambda: rng.getrandbits(64),
        ])()
