# SPDX-License-Identifier: MIT
"""From a user id to its entry. README.md, "The index", "Entry", "Segment"; protocol.md, "Opening
read-only" for the index of a store that was not closed.
"""

import bisect
import collections

from . import layout
from .xxh3 import xxh3


class Damage(Exception):
    """What was looked for cannot be read."""

    def __init__(self, offset, rule, message):
        super().__init__(message)
        self.offset, self.rule, self.message = offset, rule, message


Segment = collections.namedtuple("Segment", "block shard depth prefix")


# ---- hashes ----

def user_hash(store, user):
    return xxh3(user.to_bytes(4, "little"), store.superblock.hash_seed)


def shard_of(store, hashed):
    return hashed % store.geometry.shards


def segment_of(block, header):
    """What a block header says of the segment in its block."""
    return Segment(block, header.segment >> 8, header.segment & 0xFF, header.prefix)


def prefix_is_valid(segment):
    return segment.depth <= layout.DEPTH_MAX and not segment.prefix & (1 << 64 - segment.depth) - 1


def covers(segment, hashed):
    """Is the hash one of the segment's?"""
    return prefix_is_valid(segment) and (hashed ^ segment.prefix) >> (64 - segment.depth) == 0


def end_of(segment):
    """The first hash behind the segment's."""
    return segment.prefix + (1 << 64 - segment.depth)


# ---- entries ----

def first_line(store, hashed):
    return 1 + ((hashed >> 12 & 0xFFFFFFFF) * store.geometry.lines >> 32)


def line_at(store, block, line):
    return block * store.geometry.block_size + 64 * line


def lines_of(store, block):
    """The entries of a segment, numbered from 1."""
    begin, end = line_at(store, block, 1), line_at(store, block + 1, 0)
    return enumerate(layout.ENTRY.iterate(store.data[begin:end]), 1)


def is_free(entry):
    return not (entry.epoch_0 or entry.epoch_1 or entry.epoch_2)


def epochs_of(entry):
    return entry.epoch_0, entry.epoch_1, entry.epoch_2


def word_of(store, entry):
    """The word of the version that counts; None if there is none."""
    i = store.newest(epochs_of(entry))
    return None if i is None else (entry.word_0, entry.word_1, entry.word_2)[i]


def find_entry(store, block, hashed, user):
    """Its offset and itself: README.md, "The index", line. None if the user is unknown."""
    line = first_line(store, hashed)
    for _ in range(store.geometry.lines):
        at = line_at(store, block, line)
        entry = layout.ENTRY.read(store.data, at)
        if is_free(entry):
            return None
        if entry.user_id == user:
            return at, entry
        line = line % store.geometry.lines + 1
    return None


# ---- a closed store: the directory ----

SEGMENT_POINTER, NODE_POINTER = 1, 2


def split_pointer(pointer):
    return pointer >> 56, pointer & (1 << 56) - 1


def root_at(store, shard):
    return store.shard_at(shard) + layout.ROOT_AT


def is_node(store, slot, level):
    """Can a node of this level begin there? (I6)"""
    return level < layout.NODE_LEVELS and store.has_run(slot, store.geometry.node_class)


class Directory:
    """The segments as the directory has them."""

    def __init__(self, store):
        self.store = store

    def find(self, shard, hashed):
        """The block of the hash's segment, None if there is none. README.md, "The index"."""
        at = root_at(self.store, shard)
        for level in range(layout.NODE_LEVELS):
            place = at + 8 * (hashed >> 57 - 7 * level & 127)
            kind, target = split_pointer(int.from_bytes(self.store.data[place:place + 8], "little"))
            if kind != NODE_POINTER:
                if target and not self.store.has_block(target):
                    raise Damage(place, "directory", "a directory pointer leads nowhere")
                return target or None
            if not is_node(self.store, target, level + 1):
                raise Damage(place, "directory", "a directory pointer leads nowhere")
            at = self.store.geometry.slot_at(target)
        raise AssertionError("is_node() ends this")

    def segments(self):
        """The blocks of all segments: from each one's last hash on to the next. README.md, "Reading a
        closed store", all users."""
        for shard in range(self.store.geometry.shards):
            hashed = 0
            while hashed < 1 << 64:
                block = self.find(shard, hashed)
                if block is None:
                    if hashed:
                        raise Damage(root_at(self.store, shard), "directory", "the directory has a gap")
                    break
                segment = segment_of(block, self.store.header(block))
                if not covers(segment, hashed):
                    raise Damage(self.store.geometry.header_at(block), "directory",
                                 "a segment is not that of the hashes that lead to it")
                yield block
                hashed = end_of(segment)


# ---- any other store: the cells ----


def segments_by_cells(store):
    """All segments, as the cells of all block headers have them, sorted by shard and prefix."""
    found = []
    for block, _, header in headers_with_cells(store):
        if store.has_block(block) and store.use_of(header) == layout.CELL_SEGMENT:
            found.append(segment_of(block, header))
    return sorted(found, key=lambda s: (s.shard, s.prefix))


def headers_with_cells(store):
    """Block number, offset and header, of those that have any cell: few have."""
    geometry = store.geometry
    for block_map in store.maps():
        at = block_map * geometry.block_size
        headers = store.data[at:at + geometry.block_size]
        for i in range(geometry.span):
            if any(headers[64 * i:64 * i + 24]):
                yield block_map + i, at + 64 * i, layout.HEADER.read(headers, 64 * i)


def check_cover(store, segments):
    """The segments, sorted, cover the hashes of each shard once, or not at all. README.md, "The index";
    protocol.md, "Recovery", 1."""
    ends = {}
    for segment in segments:
        at = store.geometry.header_at(segment.block)
        if segment.shard >= store.geometry.shards or not prefix_is_valid(segment):
            raise Damage(at, "index", "a segment's shard or prefix cannot be")
        if segment.prefix != ends.get(segment.shard, 0):
            raise Damage(at, "index", "the segments overlap or leave a gap")
        ends[segment.shard] = end_of(segment)
    for shard, end in ends.items():
        if end != 1 << 64:
            raise Damage(store.shard_at(shard), "index", "the segments leave a gap")


class Cells:
    """The segments as the cells have them."""

    def __init__(self, store):
        self.sorted = segments_by_cells(store)
        check_cover(store, self.sorted)
        self.keys = [(segment.shard, segment.prefix) for segment in self.sorted]

    def find(self, shard, hashed):
        i = bisect.bisect_right(self.keys, (shard, hashed)) - 1
        return self.sorted[i].block if i >= 0 and self.sorted[i].shard == shard else None

    def segments(self):
        return [segment.block for segment in self.sorted]
