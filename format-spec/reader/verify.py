# SPDX-License-Identifier: MIT
"""README.md, "What a verifier checks": every rule, by its name."""

import collections

from . import layout, ring
from .index import (NODE_POINTER, SEGMENT_POINTER, Damage, check_cover, covers, epochs_of, first_line,
                    headers_with_cells, is_node, line_at, lines_of, root_at, segments_by_cells, shard_of,
                    split_pointer, user_hash, word_of)
from .space import Space, pack_run
from .store import DAMAGED, StoreError

Finding = collections.namedtuple("Finding", "offset rule message user")


def verify(store):
    """All findings. Of a store that was not closed, what README.md's rule I5 calls true is checked."""
    return Verifier(store).run()


class Verifier:
    def __init__(self, store):
        self.store, self.geometry = store, store.geometry
        # Epochs above are impossible: a close makes all durable; a power cut may leave two more.
        self.last_epoch = store.durable + (0 if store.clean else 2)
        self.findings = []

    def report(self, offset, rule, message, user=None):
        self.findings.append(Finding(offset, rule, message, user))

    def run(self):
        self.check_superblock()
        self.check_record()
        self.check_cells()
        space = Space(self.store, self.report)
        segments = self.find_segments(space)
        for segment in segments:
            self.check_segment(space, segment)
        if self.store.clean:
            self.check_shards(space, segments)
            space.check_blocks()
            self.check_logs()
        return self.findings

    # ---- the header: superblock, record, file-length, blocks ----

    def check_superblock(self):
        size = layout.SUPERBLOCK.size
        counts = self.store.data[self.store.superblock_at:self.store.superblock_at + size]
        for at in layout.SUPERBLOCK_AT, self.geometry.copy_at:
            if self.store.data[at:at + size] != counts:
                self.report(at, "superblock", "the superblock and its copy are not equal")

    def check_record(self):
        store, record = self.store, self.store.record
        for at in store.broken_records:
            self.report(at, "record", "a checkpoint record is broken")
        if record.blocks > store.blocks:
            self.report(len(store.data), "file-length", f"the record says {record.blocks} blocks, the file "
                                                        f"has {store.blocks}")
        if (record.limit > self.geometry.limit_max or record.blocks <= self.geometry.header_blocks
                or record.serial >= layout.SERIAL_ROOM or record.durable >= layout.DURABLE_ROOM):
            self.report(store.record_at, "record", "the checkpoint record makes no sense")
        if store.clean and not record.blocks <= store.live.blocks <= store.blocks:
            self.report(layout.LIVE_AT + layout.LIVE.offset["blocks"], "blocks",
                        f"the live state says {store.live.blocks} blocks")

    # ---- the index: block-cell, index, segment, directory ----

    def check_cells(self):
        for block, at, header in headers_with_cells(self.store):
            if any(cell >> 8 > self.last_epoch for cell in header.cell):
                self.report(at, "block-cell", f"a cell of block {block} has an epoch to come")
            elif block >= self.store.blocks and self.store.use_of(header):
                self.report(at, "block-cell", f"block {block} is beyond the end and in use")

    def find_segments(self, space):
        """All segments; none if they make no index."""
        segments = segments_by_cells(self.store)
        try:
            check_cover(self.store, segments)
        except Damage as damage:
            if not self.store.clean:
                raise StoreError(DAMAGED, damage.message) from damage
            self.report(damage.offset, damage.rule, damage.message)
            return []
        for segment in segments:
            at = segment.block * self.geometry.block_size
            space.claim_blocks(segment.block, 1, "a segment", "segment",
                               pack_run(layout.SEGMENT_KIND, 0, segment.shard))
            if self.store.clean and layout.SEGMENT.read(self.store.data, at).moved:
                self.report(at, "segment", f"the segment in block {segment.block} was replaced")
        return segments

    def check_shards(self, space, segments):
        by_block = {segment.block: segment for segment in segments}
        for shard in range(self.geometry.shards):
            space.check_limbo(shard)
            some = any(segment.shard == shard for segment in segments)
            self.check_node(space, by_block, some, shard, root_at(self.store, shard), 0, 0)
            space.check_hand(shard)

    def check_node(self, space, by_block, some, shard, at, level, prefix):
        """Every pointer leads to the segment of its hashes. `some`: has the shard any segment?"""
        for i, pointer in enumerate(layout.POINTERS.unpack_from(self.store.data, at)):
            place = at + 8 * i
            kind, target = split_pointer(pointer)
            hashed = prefix | i << 57 - 7 * level
            if kind == NODE_POINTER:
                if not is_node(self.store, target, level + 1):
                    self.report(place, "directory", "a directory pointer leads nowhere")
                elif space.claim_run(target, self.geometry.node_class, shard, "a directory node",
                                     "directory"):
                    self.check_node(space, by_block, some, shard, self.geometry.slot_at(target),
                                    level + 1, hashed)
            elif some:
                segment = by_block.get(target)
                if (kind != SEGMENT_POINTER or segment is None or segment.shard != shard
                        or segment.depth > 7 * (level + 1) or not covers(segment, hashed)):
                    self.report(place, "directory", "a directory pointer leads to a wrong place")
            elif pointer:
                self.report(place, "directory", "a directory pointer of a shard without segments")

    # ---- entries: entry-place, entry-probe, epoch, version, changes, hint, shard-time ----

    def check_segment(self, space, segment):
        """Each entry lies in the segment of its hash and is reached by probing. Lines that nothing as of
        the epoch has are free: after a recovery they will be."""
        entries = [(line, entry, word_of(self.store, entry))
                   for line, entry in lines_of(self.store, segment.block)]
        gaps = [0]                      # gaps[i]: free lines up to line i
        first_of = {}                   # user: (distance, line) of the first entry that probing meets
        for line, entry, word in entries:
            gaps.append(gaps[-1] + (word is None))
            if word is not None:
                distance = self.distance(entry.user_id, line)
                first_of[entry.user_id] = min((distance, line), first_of.get(entry.user_id, (distance, line)))
        for line, entry, word in entries:
            at = line_at(self.store, segment.block, line)
            self.check_epochs(at, entry)
            if word is None:
                continue
            hashed = user_hash(self.store, entry.user_id)
            if shard_of(self.store, hashed) != segment.shard or not covers(segment, hashed):
                self.report(at, "entry-place", "the entry is in a wrong segment", entry.user_id)
                continue
            if (first_of[entry.user_id][1] != line
                    or self.gaps_between(gaps, first_line(self.store, hashed), line)):
                self.report(at, "entry-probe", "probing does not lead to the entry", entry.user_id)
            if word:
                self.check_version(space, segment.shard, at, entry, word)

    def distance(self, user, line):
        """How far probing has to go to a line."""
        return (line - first_line(self.store, user_hash(self.store, user))) % self.geometry.lines

    @staticmethod
    def gaps_between(gaps, begin, line):
        """How many lines are free from `begin` on, round the segment, before `line`."""
        return gaps[line - 1] - gaps[begin - 1] + (0 if begin <= line else gaps[-1])

    def check_epochs(self, at, entry):
        """No epoch is above E; no two that count are equal."""
        epochs = [epoch for epoch in epochs_of(entry) if epoch]
        true = [epoch for epoch in epochs if self.store.clean or epoch <= self.store.durable]
        if any(epoch > self.last_epoch for epoch in epochs):
            self.report(at, "epoch", f"a version has epoch {max(epochs)}", entry.user_id)
        if len(set(true)) != len(true):
            self.report(at, "epoch", "two versions have one epoch", entry.user_id)

    def check_version(self, space, shard, at, entry, value):
        """The version names a sound ring, which nothing else has."""
        user = entry.user_id
        word = ring.parse_word(value)
        problem = ring.word_problem(self.store, word)
        if problem:
            self.report(at, "version", problem, user)
            return
        if self.store.record.flags & layout.TRIMMED and word.count > self.store.limit:
            self.report(at, "version", f"{word.count} visits, {self.store.limit} are allowed", user)
        if self.claim_of_user(space, shard, user, ring.base_of(word), word.run_class, "the ring"):
            self.check_visits(space, shard, at, entry, word)

    # ---- visits: chain, run, slot-strings, slot-checksum, slot-time ----

    def claim_of_user(self, space, shard, user, slot, run_class, what):
        before = len(self.findings)
        claimed = space.claim_run(slot, run_class, shard, f"{what} of user {user}", "run")
        self.findings[before:] = [finding._replace(user=user) for finding in self.findings[before:]]
        return claimed

    def check_visits(self, space, shard, at, entry, word):
        user = entry.user_id

        def report(offset, rule, message):
            self.report(offset, rule, message, user)

        try:
            visits = ring.read_visits(self.store, user, word, word.count)
        except Damage as damage:
            report(damage.offset, damage.rule, damage.message)
            return
        for newer, visit in zip([None, *visits], visits):
            if visit.overflow_class is None or self.claim_of_user(
                    space, shard, user, visit.overflow, visit.overflow_class, "an overflow run"):
                self.check_strings(report, visit)
            self.check_visit(report, at, word, visit, newer)
            if self.store.clean and self.is_within_limit(word, visit.slot):
                self.check_hints(report, at, entry, visit)
        last_time = space.shards[shard].last_time
        if not self.store.clean:
            last_time = max(last_time, self.store.record.last_time)
        self.check_head(report, at, entry, word, visits[0], last_time)

    def check_strings(self, report, visit):
        offset = self.geometry.slot_at(visit.slot)
        if b"\0" in visit.url or b"\0" in visit.text:
            report(offset, "slot-strings", f"a string of visit {visit.visit_id} ends before its length")
        if not ring.checksum_is_right(self.store, visit):
            report(offset, "slot-checksum", f"the checksum of visit {visit.visit_id} is wrong")

    def check_visit(self, report, at, word, visit, newer):
        if newer is not None and visit.time_ns > newer.time_ns:
            report(self.geometry.slot_at(visit.slot), "slot-time",
                   f"visit {visit.visit_id} is later than a newer one")
        if visit.overflow and not word.overflow:
            report(at, "version", f"the version hides the overflow run of visit {visit.visit_id}")

    @staticmethod
    def check_head(report, at, entry, word, visit, last_time):
        """README.md, "Entry": changes; "Shard" and "Record": last_time."""
        if (entry.changes - visit.seq) & 0xFFFFFFFF >= 1 << 31:
            report(at, "changes", f"{entry.changes} changes, the newest visit is number {visit.seq}")
        if not word.explicit and visit.time_ns > last_time:
            report(at, "shard-time", "the shard's newest time is behind its visits")

    def is_within_limit(self, word, slot):
        return (word.head - slot) % (1 << word.run_class) < self.store.limit

    @staticmethod
    def check_hints(report, at, entry, visit):
        """README.md, "Entry": newest, filter."""
        bit = (visit.visit_id * 0x9E3779B1 & 0xFFFFFFFF) >> 27
        if visit.visit_id > entry.newest or not entry.filter >> bit & 1:
            report(at, "hint", f"the hints do not know visit {visit.visit_id}")

    # ---- undo ----

    def check_logs(self):
        if self.store.live.undo_count:
            self.report(layout.LIVE_AT + layout.LIVE.offset["undo_count"], "undo",
                        "the allocator's log is in use")
        for i in range(self.geometry.shards):
            if self.store.shard(i).undo_count:
                self.report(self.store.shard_at(i) + layout.SHARD.offset["undo_count"], "undo",
                            f"the log of shard {i} is in use")
