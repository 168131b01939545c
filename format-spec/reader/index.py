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


def user_hash(store, user):
    return xxh3(user.to_bytes(4, "little"), store.superblock.hash_seed)


def shard_of(store, hashed):
    return hashed % store.geometry.shards


def covers(segment, hashed):
    """Is the hash one of the segment's?"""
    return (hashed ^ segment.prefix) >> (64 - segment.depth) == 0


def first_line(store, hashed):
    return 1 + ((hashed >> 12 & 0xFFFFFFFF) * store.geometry.lines >> 32)


def is_free(entry):
    return not (entry.epoch_0 or entry.epoch_1 or entry.epoch_2)


def epochs_of(entry):
    return entry.epoch_0, entry.epoch_1, entry.epoch_2


def word_of(store, entry):
    """The word of the version that counts; None if there is none."""
    i = store.newest(epochs_of(entry))
    return None if i is None else (entry.word_0, entry.word_1, entry.word_2)[i]


def segment_of(block, header):
    """What a block header says of the segment in its block."""
    return Segment(block, header.segment >> 8, header.segment & 0xFF, header.prefix)


def segments_by_cells(store):
    """All segments, as the cells of all block headers have them."""
    geometry, data = store.geometry, store.data
    for block_map in store.maps():
        at = block_map * geometry.block_size
        headers = data[at:at + geometry.block_size]
        for i in range(geometry.span):
            # Most have no cell at all.
            if any(headers[64 * i:64 * i + 24]):
                header = layout.HEADER.read(headers, 64 * i)
                if store.is_segment(header):
                    yield segment_of(block_map + i, header)


def lines_of(store, block):
    """The entries of a segment, numbered from 1."""
    at = block * store.geometry.block_size
    return enumerate(layout.ENTRY.iterate(store.data[at + 64:at + store.geometry.block_size]), 1)


def line_at(store, block, line):
    return block * store.geometry.block_size + 64 * line


def find_entry(store, block, hashed, user):
    """README.md, "The index": line."""
    line = first_line(store, hashed)
    for _ in range(store.geometry.lines):
        entry = layout.ENTRY.read(store.data, line_at(store, block, line))
        if is_free(entry):
            return None
        if entry.user_id == user:
            return entry
        line = line % store.geometry.lines + 1
    return None


# ---- a closed store: the directory ----

SEGMENT_POINTER, NODE_POINTER = 1, 2


def split_pointer(pointer):
    return pointer >> 56, pointer & (1 << 56) - 1


def check_segment_pointer(store, at, block):
    if not store.has_block(block) or store.is_map(block):
        raise Damage(at, "directory", f"a pointer names block {block}, which cannot be a segment")


def check_node_pointer(store, at, slot, level):
    if level >= layout.NODE_LEVELS or not store.has_run(slot, store.geometry.node_class):
        raise Damage(at, "directory", f"a pointer names slot {slot}, which cannot be a node")


def root_at(store, shard):
    return store.shard_at(shard) + layout.ROOT_AT


def node_at(store, slot):
    return store.geometry.slot_at(slot)


class Directory:
    """The segments as the directory has them."""

    def __init__(self, store):
        self.store = store

    def find(self, hashed):
        """The block of the hash's segment, None if there is none."""
        at = root_at(self.store, shard_of(self.store, hashed))
        for level in range(layout.NODE_LEVELS):
            place = at + 8 * (hashed >> 57 - 7 * level & 127)
            kind, target = split_pointer(int.from_bytes(self.store.data[place:place + 8], "little"))
            if kind == SEGMENT_POINTER:
                check_segment_pointer(self.store, place, target)
                return target
            if kind != NODE_POINTER:
                if kind or target:
                    raise Damage(place, "directory", "a pointer is neither to a segment nor to a node")
                return None
            check_node_pointer(self.store, place, target, level + 1)
            at = node_at(self.store, target)
        raise AssertionError("check_node_pointer() ends this")

    def segments(self, report):
        """The blocks of all segments, each once."""
        blocks = {}
        for shard in range(self.store.geometry.shards):
            nodes = set()
            self._walk(root_at(self.store, shard), 0, blocks, nodes, report)
        return list(blocks)

    def _walk(self, at, level, blocks, nodes, report):
        for i, pointer in enumerate(layout.POINTERS.unpack_from(self.store.data, at)):
            place = at + 8 * i
            kind, target = split_pointer(pointer)
            try:
                if kind == SEGMENT_POINTER:
                    check_segment_pointer(self.store, place, target)
                    blocks[target] = True
                elif kind == NODE_POINTER:
                    check_node_pointer(self.store, place, target, level + 1)
                    if target not in nodes:
                        nodes.add(target)
                        self._walk(node_at(self.store, target), level + 1, blocks, nodes, report)
                elif pointer:
                    raise Damage(place, "directory",
                                 "a pointer is neither to a segment nor to a node")
            except Damage as damage:
                report(damage)


# ---- any other store: the cells ----


def check_cover(store, segments):
    """Do these segments cover the hashes of each shard once, or not at all? Yields what is wrong.
    README.md, "The index"; protocol.md, "Recovery", 1."""
    ends = {}
    for segment in sorted(segments, key=lambda s: (s.shard, s.prefix, s.depth)):
        at = store.geometry.header_at(segment.block)
        if (segment.shard >= store.geometry.shards or segment.depth > layout.DEPTH_MAX
                or segment.prefix & (1 << 64 - segment.depth) - 1):
            yield Damage(at, "segment", f"block {segment.block} is a segment with a prefix that is none")
            continue
        if not store.has_block(segment.block) or store.is_map(segment.block):
            yield Damage(at, "segment", f"block {segment.block} cannot be a segment")
            continue
        end = ends.get(segment.shard, 0)
        if segment.prefix != end:
            what = "overlap" if segment.prefix < end else "leave a gap"
            yield Damage(at, "segments", f"the segments of shard {segment.shard} {what}")
        ends[segment.shard] = max(end, segment.prefix + (1 << 64 - segment.depth))
    for shard, end in ends.items():
        if end != 1 << 64:
            yield Damage(store.shard_at(shard), "segments", f"the segments of shard {shard} leave a gap")


class Cells:
    """The segments as the cells have them, sorted by shard and prefix."""

    def __init__(self, store):
        self.store = store
        found = list(segments_by_cells(store))
        for damage in check_cover(store, found):
            raise damage
        self.sorted = sorted(found, key=lambda s: (s.shard, s.prefix))
        self.keys = [(s.shard, s.prefix) for s in self.sorted]

    def find(self, hashed):
        i = bisect.bisect_right(self.keys, (shard_of(self.store, hashed), hashed)) - 1
        if i < 0 or self.sorted[i].shard != shard_of(self.store, hashed):
            return None
        return self.sorted[i].block

    def segments(self, _report):
        return [segment.block for segment in self.sorted]
