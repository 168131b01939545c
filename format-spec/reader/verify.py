# SPDX-License-Identifier: MIT
"""README.md, "What a verifier checks": every rule, each with a function of its own."""

import collections

from . import layout, ring
from .index import (NODE_POINTER, SEGMENT_POINTER, Damage, check_cover, check_node_pointer,
                    check_segment_pointer, covers, epochs_of, first_line, is_free, line_at, lines_of,
                    node_at, root_at, segments_by_cells, shard_of, split_pointer, user_hash, word_of)
from .space import Space, pack_run

Finding = collections.namedtuple("Finding", "offset rule message user")


def verify(store):
    """All findings. Of a store that was not closed, what README.md's rule I5 calls true is checked."""
    return Verifier(store).run()


class Verifier:
    def __init__(self, store):
        self.store, self.geometry = store, store.geometry
        self.findings = []

    def report(self, offset, rule, message, user=None):
        self.findings.append(Finding(offset, rule, message, user))

    def report_damage(self, damage):
        self.report(damage.offset, damage.rule, damage.message)

    def run(self):
        self.check_superblock()
        self.check_record()
        self.check_cells()
        segments = list(segments_by_cells(self.store))
        for damage in check_cover(self.store, segments):
            self.report_damage(damage)
        space = Space(self.store, self.report)
        segments = self.claim_segments(space, segments)
        if self.store.clean:
            self.check_directory(space, segments)
        for segment in segments:
            self.check_segment(space, segment)
        if self.store.clean:
            space.check_lists()
            self.check_logs()
        return self.findings

    # ---- 1: superblock, records, limits ----

    def check_superblock(self):
        size = layout.SUPERBLOCK.size
        found = [self.store.data[at:at + size] for at in (layout.SUPERBLOCK_AT, self.geometry.copy_at)]
        if found[0] != found[1]:
            at = self.geometry.copy_at if self.store.superblock_at == 0 else layout.SUPERBLOCK_AT
            self.report(at, "superblock", "the superblock and its copy are not equal")

    def check_record(self):
        store = self.store
        for at in store.broken_records:
            self.report(at, "record", "a checkpoint record is broken")
        if store.limit > self.geometry.limit_max:
            self.report(store.record_at, "limit", f"the limit {store.limit} does not fit into a ring")
        if store.says_clean and not store.clean:
            self.report(layout.LIVE_AT + layout.LIVE.offset["blocks"], "blocks",
                        f"the live state says {store.live.blocks} blocks, the record "
                        f"{store.record.blocks}, the file has {store.blocks}")

    # ---- 2, 3: cells, segments, directory ----

    def epoch_end(self):
        """The epochs from here on are impossible."""
        return self.store.durable + (1 if self.store.clean else 3)

    def check_cells(self):
        geometry, end = self.geometry, self.epoch_end()
        for block_map in self.store.maps():
            at = block_map * geometry.block_size
            headers = self.store.data[at:at + geometry.block_size]
            for i in range(geometry.span):
                if any(headers[64 * i:64 * i + 24]):
                    self.check_block_cells(block_map + i, at + 64 * i,
                                           layout.HEADER.read(headers, 64 * i), end)

    def check_block_cells(self, block, at, header, end):
        for cell in header.cells:
            if cell >> 8 >= end:
                self.report(at, "cell-epoch", f"a cell of block {block} has epoch {cell >> 8}")
            if cell & 0xFF not in (0, layout.CELL_SEGMENT):
                self.report(at, "cell-use", f"a cell of block {block} has use {cell & 0xFF}")
        if self.store.clean:
            beyond = block >= self.store.blocks_used and any(cell & 0xFF for cell in header.cells)
        else:
            beyond = block >= self.store.blocks and self.store.is_segment(header)
        if beyond:
            self.report(at, "cell-beyond", f"block {block} is beyond the end and called a segment")

    def claim_segments(self, space, segments):
        """Those that can be looked at."""
        return [segment for segment in segments
                if self.store.has_block(segment.block)
                and space.claim_blocks(segment.block, 1, "a segment",
                                       pack_run(layout.SEGMENT_KIND, 0, segment.shard))]

    def check_directory(self, space, segments):
        by_block = {segment.block: segment for segment in segments}
        for shard in range(self.geometry.shards):
            some = any(segment.shard == shard for segment in segments)
            self.check_node(space, by_block, some, shard, root_at(self.store, shard), 0, 0)
        for segment in segments:
            at = segment.block * self.geometry.block_size
            if layout.SEGMENT.read(self.store.data, at).moved:
                self.report(at, "moved", f"the segment in block {segment.block} was split")

    def check_node(self, space, by_block, some, shard, at, level, prefix):
        """Every pointer leads to the segment of its hashes. `some`: has the shard any segment?"""
        for i, pointer in enumerate(layout.POINTERS.unpack_from(self.store.data, at)):
            place, kind = at + 8 * i, pointer >> 56
            target = split_pointer(pointer)[1]
            hashed = prefix | i << 57 - 7 * level
            try:
                if kind == SEGMENT_POINTER and some:
                    check_segment_pointer(self.store, place, target)
                    found = by_block.get(target)
                    if (found is None or found.shard != shard or found.depth > 7 * (level + 1)
                            or not covers(found, hashed)):
                        raise Damage(place, "directory", f"a pointer leads to block {target}, which is not "
                                                         f"the segment of its hashes")
                elif kind == NODE_POINTER and some:
                    check_node_pointer(self.store, place, target, level + 1)
                    if space.claim_run(target, self.geometry.node_class, shard, "a directory node"):
                        self.check_node(space, by_block, some, shard, node_at(self.store, target),
                                        level + 1, hashed)
                elif some or pointer:
                    raise Damage(place, "directory", "a pointer leads nowhere" if some else
                                 "a pointer of a shard without segments")
            except Damage as damage:
                self.report_damage(damage)

    # ---- 4, 5, 6: entries ----

    def check_segment(self, space, segment):
        """Entries: each lies in the segment of its hash and is reached by probing."""
        entries = list(lines_of(self.store, segment.block))
        free = [0]                      # free[i]: free lines before line i + 1
        for _, entry in entries:
            free.append(free[-1] + is_free(entry))
        seen = {}
        for line, entry in entries:
            if is_free(entry):
                continue
            at = line_at(self.store, segment.block, line)
            self.check_epochs(at, entry)
            word = word_of(self.store, entry)
            if word is None:
                continue
            if entry.user_id in seen:
                self.report(at, "entry-twice", f"line {seen[entry.user_id]} has the user too",
                            entry.user_id)
            seen[entry.user_id] = line
            hashed = user_hash(self.store, entry.user_id)
            if shard_of(self.store, hashed) != segment.shard or not covers(segment, hashed):
                self.report(at, "entry-segment", "the entry is not in the segment of its hash",
                            entry.user_id)
            elif self.free_lines(free, first_line(self.store, hashed), line):
                self.report(at, "entry-line", "probing ends before the entry", entry.user_id)
            if word:
                self.check_version(space, segment.shard, at, entry, word)

    @staticmethod
    def free_lines(free, begin, line):
        """How many lines are free from `begin` on, round the segment, before `line`."""
        if begin <= line:
            return free[line - 1] - free[begin - 1]
        return free[-1] - free[begin - 1] + free[line - 1]

    def check_epochs(self, at, entry):
        """No epoch is above E; no two are equal."""
        epochs = [epoch for epoch in epochs_of(entry) if epoch]
        if max(epochs) >= self.epoch_end():
            self.report(at, "epoch", f"a version has epoch {max(epochs)}", entry.user_id)
        true = [epoch for epoch in epochs if self.store.clean or epoch <= self.store.durable]
        if len(set(true)) != len(true):
            self.report(at, "epoch-twice", "two versions have one epoch", entry.user_id)

    def check_version(self, space, shard, at, entry, value):
        """The version names a sound ring, which nothing else has."""
        user = entry.user_id
        word = ring.parse_word(value)
        problem = ring.word_problem(self.store, word)
        if problem:
            self.report(at, "version", problem, user)
            return
        if self.store.trimmed and word.count > self.store.limit:
            self.report(at, "trimmed", f"{word.count} visits, {self.store.limit} are allowed", user)
        if space.claim_run(ring.base_of(word), word.run_class, shard, f"the ring of user {user}"):
            self.check_visits(space, shard, at, entry, word)

    def check_visits(self, space, shard, at, entry, word):
        user = entry.user_id

        def report(offset, rule, message):
            self.report(offset, rule, message, user)

        def claim(slot, run_class):
            return space.claim_run(slot, run_class, shard, f"an overflow run of user {user}")

        last_time = space.shards[shard].last_time
        newer = None
        for visit in ring.read_visits(self.store, user, word, word.count, report, claim):
            offset = self.geometry.slot_at(visit.slot)
            if not ring.checksum_is_right(self.store, visit):
                report(offset, "checksum", f"the checksum of visit {visit.visit_id} is wrong")
            if b"\0" in visit.url or b"\0" in visit.text:
                report(offset, "strings", f"a string of visit {visit.visit_id} has a NUL inside")
            if visit.overflow and not word.overflow:
                report(offset, "overflow-flag", f"visit {visit.visit_id} has an overflow run")
            if newer is not None and visit.time_ns > newer.time_ns:
                report(offset, "time", f"visit {visit.visit_id} is later than a newer one")
            if not word.explicit and visit.time_ns > last_time:
                report(offset, "last-time", f"visit {visit.visit_id} is later than the shard's last")
            if visit.slot == word.head and (entry.changes - visit.seq) & 0xFFFFFFFF >= 1 << 31:
                report(at, "changes", f"{entry.changes} changes, the newest visit is number {visit.seq}")
            newer = visit
            if self.store.clean and self.is_within_limit(word, visit.slot):
                self.check_hints(at, entry, visit, report)

    def is_within_limit(self, word, slot):
        return (word.head - slot) % (1 << word.run_class) < self.store.limit

    @staticmethod
    def check_hints(at, entry, visit, report):
        """README.md, "Entry": newest, filter."""
        bit = (visit.visit_id * 0x9E3779B1 & 0xFFFFFFFF) >> 27
        if visit.visit_id > entry.newest or not entry.filter >> bit & 1:
            report(at, "hint", f"the hints do not know visit {visit.visit_id}")

    # ---- 9: logs ----

    def check_logs(self):
        if self.store.live.undo_count:
            self.report(layout.LIVE_AT + layout.LIVE.offset["undo_count"], "undo",
                        "the allocator's log is in use")
        for i in range(self.geometry.shards):
            if self.store.shard(i).undo_count:
                self.report(self.store.shard_at(i) + layout.SHARD.offset["undo_count"], "undo",
                            f"the log of shard {i} is in use")
