# SPDX-License-Identifier: MIT
"""Space: the block allocator, and each shard's hand, slot blocks and limbo."""
from disk import BLOCK, HAND, LARGE, ORDERS, SHARDS, SLOT, SLOTS, Bug, Undo

FREE, SLOT_BLOCK, LARGE_RUN, SEGMENT, IN_HAND = 'free', 'slots', 'large', 'segment', 'hand'


class Full(Exception):
    """No block is left: finish a checkpoint, drain, try again."""


def header(block, field):
    return ('header', block, field)


class Allocator:
    """Buddy lists of free runs of blocks, with a log of their own."""

    def __init__(self, disk, wrong, max_blocks):
        self.disk, self.max_blocks = disk, max_blocks
        self.log = Undo(disk, 'allocator', wrong)

    def push(self, block, order):
        put, first = self.log.put, self.disk.get(('free', order))
        put(header(block, 'run'), (FREE, order, 0))
        put(header(block, 'list'), (first, 0))
        if first:
            put(header(first, 'list'), (self.disk.get(header(first, 'list'))[0], block))
        put(('free', order), block)

    def unlink(self, block, order):
        unlink(self.disk, self.log, ('free', order), block)

    def take(self, order, shard, place):
        """Moves a run of 2^ORDER blocks to a shard's hand."""
        k = next((k for k in range(order, ORDERS) if self.disk.get(('free', k))), None)
        if k is None:
            self.grow()
            k = ORDERS - 1
        block = self.disk.get(('free', k))
        self.unlink(block, k)
        while k > order:
            k -= 1
            self.push(block + (1 << k), k)
        self.log.put(header(block, 'run'), (IN_HAND, order, shard))
        self.log.publish(('hand', shard, place), (block, order))

    def give(self, shard, place):
        """Moves a run of blocks from a shard's hand to the free lists."""
        block, order = self.disk.get(('hand', shard, place))
        while order < ORDERS - 1:
            buddy = block ^ 1 << order
            if self.disk.get(header(buddy, 'run')) != (FREE, order, 0):
                break
            self.unlink(buddy, order)
            self.log.put(header(max(block, buddy), 'run'), 0)
            block, order = min(block, buddy), order + 1
        self.push(block, order)
        self.log.publish(('hand', shard, place), 0)

    def grow(self):
        blocks = self.disk.get(('live', 'blocks'))
        more = 1 << ORDERS - 1
        if blocks + more > self.max_blocks:
            raise Full
        self.disk.put(('file', 'size'), blocks + more)
        for block in range(blocks, blocks + more):
            self.disk.put(header(block, 'run'), 0)
        self.push(blocks, ORDERS - 1)
        self.log.publish(('live', 'blocks'), blocks + more)


def unlink(disk, log, first, block):
    after, before = disk.get(header(block, 'list'))
    if before:
        log.put(header(before, 'list'), (after, disk.get(header(before, 'list'))[1]))
    else:
        log.put(first, after)
    if after:
        log.put(header(after, 'list'), (disk.get(header(after, 'list'))[0], before))


class Runs:
    """One shard's runs. Its lock is held by whoever calls."""

    def __init__(self, disk, shard, allocator, wrong):
        self.disk, self.shard, self.allocator, self.wrong = disk, shard, allocator, wrong
        self.log = Undo(disk, shard, wrong)

    def hand(self):
        return [self.disk.get(('hand', self.shard, i)) for i in range(HAND)]

    def free_runs(self, cls):
        """How many runs of the class the slot blocks have; they are a list through headers."""
        total, block = 0, self.disk.get(('partial', self.shard, cls))
        while block:
            total += (SLOTS >> cls) - self.disk.get(header(block, 'free'))[2]
            block = self.disk.get(header(block, 'list'))[0]
        return total

    def take(self, classes, segments=0):
        """Takes the blocks that runs of CLASSES and SEGMENTS will need. False: all was there."""
        orders = [0] * segments + [c - LARGE for c in classes if c >= LARGE]
        orders += [0 for c in set(classes) if c < LARGE and self.free_runs(c) < classes.count(c)]
        have = [x[1] for x in self.hand() if x]
        for order in orders:
            if order in have:
                have.remove(order)
                continue
            if all(self.hand()):
                self.give_back()
            self.allocator.take(order, self.shard, self.hand().index(0))
            return True
        return False

    def give_back(self):
        for i, held in enumerate(self.hand()):
            if held:
                self.allocator.give(self.shard, i)

    def from_hand(self, order, kind, cls):
        place = next(i for i, x in enumerate(self.hand()) if x and x[1] == order)
        block = self.hand()[place][0]
        self.log.put(('hand', self.shard, place), 0)
        self.log.put(header(block, 'run'), (kind, cls, self.shard))
        return block

    def link_partial(self, block, cls):
        first = self.disk.get(('partial', self.shard, cls))
        self.log.put(header(block, 'list'), (first, 0))
        if first:
            self.log.put(header(first, 'list'), (self.disk.get(header(first, 'list'))[0], block))
        self.log.put(('partial', self.shard, cls), block)

    def pop(self, cls):
        """A run of 2^CLS slots; part of an operation."""
        if cls >= LARGE:
            return self.from_hand(cls - LARGE, LARGE_RUN, cls) * SLOTS
        block = self.disk.get(('partial', self.shard, cls))
        if not block:
            block = self.from_hand(0, SLOT_BLOCK, cls)
            self.log.put(header(block, 'free'), (0, 0, 0))
            self.link_partial(block, cls)
        first, fresh, used = self.disk.get(header(block, 'free'))
        run = first
        if first:
            if self.wrong != 'free link unlogged':
                self.log.note(first * SLOT)
            first = self.disk.get(first * SLOT)[1]
        else:
            run, fresh = block * SLOTS + fresh, fresh + (1 << cls)
        self.log.put(header(block, 'free'), (first, fresh, used + 1))
        if used + 1 == SLOTS >> cls:
            unlink(self.disk, self.log, ('partial', self.shard, cls), block)
        return run

    def set_link(self, run, link):
        word = self.disk.get(run * SLOT)
        self.disk.put(run * SLOT, (word[0] if isinstance(word, tuple) else 0, link))

    def push_limbo(self, run, epoch):
        """Part of an operation. The run is live still, so its link is not logged."""
        head, tag = ('limbo', self.shard, epoch % 3), ('limbo tag', self.shard, epoch % 3)
        self.set_link(run, self.disk.get(head))
        self.log.put(head, run)
        segment = self.disk.get(header(run // SLOTS, 'run'))[0] == SEGMENT
        if self.wrong == 'no limbo' or self.wrong == 'no limbo for segments' and segment:
            epoch = 1                     # as if it had been durable for long
        if self.wrong != 'chain keeps its tag' or not self.disk.get(tag):
            self.log.put(tag, epoch)

    def drain(self, durable):
        """An operation: one run of a durable chain becomes free. False: there was none."""
        if all(self.hand()):
            self.give_back()
        for i in range(3):
            run = self.disk.get(('limbo', self.shard, i))
            if run and self.disk.get(('limbo tag', self.shard, i)) <= durable:
                break
        else:
            return False
        block, after = run // SLOTS, self.disk.get(run * SLOT)[1]
        kind, cls, _ = self.disk.get(header(block, 'run'))
        first, fresh, used = self.disk.get(header(block, 'free')) or (0, 0, 1)
        if kind == SLOT_BLOCK and used > 1:
            self.log.note(run * SLOT)
            self.set_link(run, first)
            self.log.put(header(block, 'free'), (run, fresh, used - 1))
            if used == SLOTS >> cls:
                self.link_partial(block, cls)
        else:
            if kind == SLOT_BLOCK:
                unlink(self.disk, self.log, ('partial', self.shard, cls), block)
            order = cls - LARGE if kind == LARGE_RUN else 0
            self.log.put(header(block, 'run'), (IN_HAND, order, self.shard))
            self.log.put(('hand', self.shard, self.hand().index(0)), (block, order))
        self.log.publish(('limbo', self.shard, i), after)
        return True


def rebuild(disk, runs, used, segments, end):
    """Recovery: lists from USED (run -> (class, shard)) and SEGMENTS (block -> shard)."""
    for order in range(ORDERS):
        disk.put(('free', order), 0)
    for shard in range(SHARDS):
        for cls in range(LARGE):
            disk.put(('partial', shard, cls), 0)
        for i in range(3):
            disk.put(('limbo', shard, i), 0)
            disk.put(('limbo tag', shard, i), 0)
        for i in range(HAND):
            disk.put(('hand', shard, i), 0)
    owner = {block: (SEGMENT, 0, shard) for block, shard in segments.items()}
    for run, (cls, shard) in used.items():
        what = (SLOT_BLOCK if cls < LARGE else LARGE_RUN, cls, shard)
        for block in range(run // SLOTS, (run + (1 << cls) - 1) // SLOTS + 1):
            if owner.setdefault(block, what) != what:
                raise Bug('block %d is %s and %s' % (block, owner[block], what))
    block = 1 << ORDERS - 1
    while block < end:
        kind, cls, shard = owner.get(block, (FREE, 0, 0))
        if kind == FREE:
            block += rebuild_free(disk, runs[0].allocator, block, owner, end)
            continue
        disk.put(header(block, 'run'), (kind, cls, shard))
        if kind == SLOT_BLOCK:
            rebuild_slots(disk, runs[shard], block, cls, used)
        block += 1 << cls - LARGE if kind == LARGE_RUN else 1


def rebuild_free(disk, allocator, block, owner, end):
    """The largest aligned run of free blocks at BLOCK enters its list. Returns its length."""
    order = ORDERS - 1
    while block % (1 << order) or any(
            b in owner or b >= end for b in range(block, block + (1 << order))):
        order -= 1
    allocator.push(block, order)
    for other in range(block + 1, block + (1 << order)):
        disk.put(header(other, 'run'), 0)
    allocator.log.drop()
    return 1 << order


def rebuild_slots(disk, runs, block, cls, used):
    first = count = 0
    for run in range(block * SLOTS, block * SLOTS + SLOTS, 1 << cls):
        if run in used:
            count += 1
        else:
            runs.set_link(run, first)
            first = run
    disk.put(header(block, 'free'), (first, SLOTS, count))
    if first:
        runs.link_partial(block, cls)
        runs.log.drop()
