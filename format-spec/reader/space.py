# SPDX-License-Identifier: MIT
"""What every block and every run is used for. README.md, "Block header", "Lists", "What a verifier
checks"; protocol.md, "Recovery", 3 for a store that was not closed.
"""

from . import layout


class SlotBlock:
    """A block of runs of one class and one shard; `runs` are those that something claimed."""

    def __init__(self, run_class, shard):
        self.run_class, self.shard, self.runs = run_class, shard, {}


def pack_run(kind, run_class=0, shard=0):
    """README.md, "Block header": run."""
    return kind << 24 | run_class << 16 | shard


def describe_run(run):
    kind = run >> 24
    name = layout.KIND_NAMES[kind] if kind < len(layout.KIND_NAMES) else f"kind {kind}"
    return f"{name}, class {run >> 16 & 0xFF}, shard {run & 0xFFFF}"


class Space:
    """Claims of blocks and runs: each may be claimed once."""

    def __init__(self, store, report):
        self.store, self.geometry, self.report = store, store.geometry, report
        self.whole = {}         # block: (what, `run` of its header)
        self.slot_blocks = {}   # block: SlotBlock
        self.shards = [store.shard(i) for i in range(store.geometry.shards)]
        for block in store.maps():
            self.claim_blocks(block, 1, "a block map", "segment", pack_run(layout.MAP))

    # ---- claims ----

    def claim_blocks(self, block, count, what, rule, run):
        """Blocks whose first one has this `run` in its header. A finding gets the claim's rule."""
        at = block * self.geometry.block_size
        for b in range(block, block + count):
            other = self.whole[b][0] if b in self.whole else "a slot block"
            if b in self.whole or b in self.slot_blocks:
                self.report(at, rule, f"block {b} is {other} and part of {what}")
                return False
        for b in range(block, block + count):
            self.whole[b] = what, run if b == block else None
        return True

    def claim_run(self, slot, run_class, shard, what, rule):
        """A run of slots that lies in the file and is aligned."""
        block = self.geometry.block_of(slot)
        if run_class >= self.geometry.large_class:
            order = run_class - self.geometry.large_class
            return self.claim_blocks(block, 1 << order, what, rule, pack_run(layout.LARGE, order, shard))
        at = self.geometry.slot_at(slot)
        if block in self.whole:
            self.report(at, rule, f"{what} lies in {self.whole[block][0]}")
            return False
        found = self.slot_blocks.setdefault(block, SlotBlock(run_class, shard))
        if (found.run_class, found.shard) != (run_class, shard):
            self.report(at, rule, f"{what} is of class {run_class} and shard {shard} in a block of "
                                  f"class {found.run_class} and shard {found.shard}")
            return False
        if slot in found.runs:
            self.report(at, rule, f"{what} is {found.runs[slot]} too")
            return False
        found.runs[slot] = what
        return True

    # ---- lists, of a closed store ----

    def check_limbo(self, i):
        for chain in range(3):
            at = self.store.shard_at(i) + layout.SHARD.offset["limbo"] + 16 * chain
            self._claim_limbo(i, at, *self.shards[i].limbo[2 * chain:2 * chain + 2])

    def check_blocks(self):
        """The lists of free blocks; then what every block is."""
        for order, first in enumerate(self.store.live.free):
            self._claim_free(order, first)
        blocks = min(self.store.live.blocks, self.store.blocks)
        self._check_end(blocks)
        partial = {b: True for b in range(self.geometry.header_blocks, blocks) if self._check_block(b)}
        self._check_partial(partial)

    def _check_end(self, blocks):
        """README.md, "What a verifier checks": blocks."""
        for block in sorted(self.whole.keys() | self.slot_blocks.keys()):
            if block >= blocks and not self.store.is_map(block):
                self.report(layout.LIVE_AT + layout.LIVE.offset["blocks"], "blocks",
                            f"block {block} is in use, and not one of the {blocks}")

    def check_hand(self, i):
        """README.md, "Shard": hand."""
        for place, value in enumerate(self.shards[i].hand):
            if value == 0:
                continue
            at = self.store.shard_at(i) + layout.SHARD.offset["hand"] + 8 * place
            block, order = value >> 8, value & 0x7F
            if not value & 0x80 or not self._is_block_run(block, order):
                self.report(at, "hand", f"the hand names {1 << order} blocks from {block} on")
            else:
                self.claim_blocks(block, 1 << order, f"a run in the hand of shard {i}", "hand",
                                  pack_run(layout.HAND, order))

    def _is_block_run(self, block, order):
        end = block + (1 << order)
        return (block % (1 << order) == 0 and end <= self.store.live.blocks
                and self.store.has_block(block) and self.store.has_block(end - 1))

    def _claim_limbo(self, i, at, epoch, slot):
        """README.md, "Lists": limbo. What a run is stands in its block's header."""
        if slot and epoch > self.store.durable:
            self.report(at, "limbo", f"a chain of limbo has epoch {epoch}")
        while slot:
            run_class = self._class_in_limbo(i, slot)
            if run_class is None:
                self.report(at, "limbo", f"limbo of shard {i} names slot {slot}, where no run of it is")
                return
            what = f"a run in limbo of shard {i}"
            block = self.geometry.block_of(slot)
            if self.store.header(block).run >> 24 == layout.SEGMENT_KIND:
                claimed = self.claim_blocks(block, 1, what, "limbo",
                                            pack_run(layout.SEGMENT_KIND, 0, i))
            else:
                claimed = self.claim_run(slot, run_class, i, what, "limbo")
            if not claimed:
                return
            at = self.geometry.slot_at(slot)
            slot = layout.LINK.unpack_from(self.store.data, at)[0]

    def _class_in_limbo(self, shard, slot):
        block = self.geometry.block_of(slot)
        if not self.store.has_block(block):
            return None
        run = self.store.header(block).run
        kind, order = run >> 24, run >> 16 & 0xFF
        run_class = order if kind == layout.SLOTS else order + self.geometry.large_class
        if (kind not in (layout.SLOTS, layout.LARGE, layout.SEGMENT_KIND) or run & 0xFFFF != shard
                or (kind == layout.SLOTS and order >= self.geometry.large_class)
                or (kind == layout.SEGMENT_KIND and order)
                or not self.store.has_run(slot, run_class)):
            return None
        return run_class

    def _claim_free(self, order, block):
        """README.md, "Lists": free blocks."""
        at = layout.LIVE_AT + layout.LIVE.offset["free"] + 8 * order
        before = 0
        while block:
            run = pack_run(layout.FREE, order)
            if not self._is_block_run(block, order) or self.store.header(block).run != run:
                self.report(at, "block-list", f"free[{order}] leads to block {block}")
                return
            header_at = self.geometry.header_at(block)
            after, back = self._neighbours(block)
            if back != before:
                self.report(header_at, "block-list", f"block {block} of free[{order}] comes after {before}, "
                                                     f"not after {back}")
                return
            if not self.claim_blocks(block, 1 << order, "a free run", "block-list", run):
                return
            at = header_at
            before, block = block, after

    def _neighbours(self, block):
        value = self.store.header(block).list
        return value >> 32, value & 0xFFFFFFFF

    # ---- headers, of a closed store ----

    def _check_block(self, block):
        """Is the block what its header says? True if it is a slot block with a free run."""
        at = self.geometry.header_at(block)
        header = self.store.header(block)
        if block in self.whole:
            what, run = self.whole[block]
            if run is not None and header.run != run:
                self.report(at, "block-header", f"block {block}, {what}, is said to be "
                                          f"{describe_run(header.run)}")
            return False
        found = self.slot_blocks.get(block)
        kind, run_class, shard = header.run >> 24, header.run >> 16 & 0xFF, header.run & 0xFFFF
        if found is None and kind != layout.SLOTS:
            self.report(at, "space", f"block {block} belongs to nothing; it is said to be "
                                      f"{describe_run(header.run)}")
            return False
        if (kind != layout.SLOTS or run_class >= self.geometry.large_class
                or shard >= self.geometry.shards
                or found is not None and (run_class, shard) != (found.run_class, found.shard)):
            self.report(at, "block-header", f"block {block}, a slot block, is said to be "
                                      f"{describe_run(header.run)}")
            return False
        return self._check_slot_block(block, at, header.free, found or SlotBlock(run_class, shard))

    def _check_slot_block(self, block, at, free, found):
        """README.md, "Block header": used, fresh, and the chain of free runs."""
        slot, fresh, used = free >> 32, free >> 16 & 0xFFFF, free & 0xFFFF
        step = 1 << found.run_class
        begin = block << self.geometry.large_class
        count = (1 << self.geometry.large_class) >> found.run_class
        end = begin + min(fresh, count) * step
        chain = set()
        if used != len(found.runs):
            self.report(at, "space", f"block {block} counts {used} runs in use, there are "
                                    f"{len(found.runs)}")
        for in_use, what in found.runs.items():
            if in_use >= end:
                self.report(at, "free-list", f"slot {in_use}, {what}, is among the fresh runs")
        while slot:
            if not begin <= slot < end or slot % step or slot in chain or slot in found.runs:
                self.report(at, "free-list", f"the free runs of block {block} lead to slot {slot}")
                return used < count
            chain.add(slot)
            slot = layout.LINK.unpack_from(self.store.data, self.geometry.slot_at(slot))[0]
        if used + len(chain) != fresh:
            self.report(at, "space", f"of {fresh} runs of block {block} that are not fresh {used} are in use, "
                                    f"{len(chain)} free")
        return used < count

    def _check_partial(self, partial):
        """README.md, "Lists": slot blocks with a free run."""
        listed = set()
        for i, shard in enumerate(self.shards):
            for run_class in range(self.geometry.large_class):
                at = self.store.shard_at(i) + layout.SHARD.offset["partial"] + 8 * run_class
                self._walk_partial(at, shard.partial[run_class], pack_run(layout.SLOTS, run_class, i),
                                   partial, listed)
        for block in partial:
            if block not in listed:
                self.report(self.geometry.header_at(block), "slot-list",
                            f"block {block} has a free run and is in no list")

    def _walk_partial(self, at, block, run, partial, listed):
        before = 0
        while block:
            if (not self.store.has_block(block) or block in listed
                    or self.store.header(block).run != run):
                self.report(at, "slot-list", f"a list of blocks with free runs leads to block {block}")
                return
            at = self.geometry.header_at(block)
            after, back = self._neighbours(block)
            if back != before:
                self.report(at, "slot-list", f"block {block} comes after {before}, not after {back}")
                return
            if block not in partial:
                self.report(at, "slot-list", f"block {block} has no free run and is in a list")
                return
            listed.add(block)
            before, block = block, after
