# SPDX-License-Identifier: MIT
"""Two things that must hold between any two operations.

audit: every block and every run is used, free, in limbo or in hand, and only once.
as_of: the visits as of an epoch that a record names can still be read, whole.
"""
from disk import BLOCK, ENTRIES, ENTRY, LARGE, ORDERS, SHARDS, SLOT, SLOTS, Bug
from runs import FREE, IN_HAND, LARGE_RUN, SEGMENT, SLOT_BLOCK, header


def audit(store):
    disk, blocks, runs = store.disk, {}, {}

    def claim(table, key, what):
        if key in table:
            raise Bug('%s is %s and %s' % (key, table[key], what))
        table[key] = what

    def claim_blocks(block, order, what):
        for b in range(block, block + (1 << order)):
            claim(blocks, b, what)

    def claim_run(run, cls, what):
        kind = disk.get(header(run // SLOTS, 'run'))
        if kind and kind[0] == SEGMENT and what[0] == 'limbo':
            claim_blocks(run // SLOTS, 0, 'a split segment')
        elif not kind or kind[0] not in (SLOT_BLOCK, LARGE_RUN) or cls not in (None, kind[1]):
            raise Bug('run %d, %s, lies in %s' % (run, what, kind))
        elif kind[0] == LARGE_RUN:
            claim_blocks(run // SLOTS, kind[1] - LARGE, what)
        else:
            claim(runs, run, what)

    for order in range(ORDERS):
        block, before = disk.get(('free', order)), 0
        while block:
            claim_blocks(block, order, 'free')
            after, back = disk.get(header(block, 'list'))
            if disk.get(header(block, 'run')) != (FREE, order, 0) or back != before:
                raise Bug('free block %d: bad header' % block)
            block, before = after, block
    for shard in range(SHARDS):
        for place, held in enumerate(store.runs[shard].hand()):
            if held:
                claim_blocks(held[0], held[1], 'in hand')
                if disk.get(header(held[0], 'run')) != (IN_HAND, held[1], shard):
                    raise Bug('block %d in hand: bad header' % held[0])
        for i in range(3):
            run = disk.get(('limbo', shard, i))
            while run:
                claim_run(run, None, ('limbo', shard, i))
                run = disk.get(run * SLOT)[1]
        audit_index(store, shard, claim_blocks, claim_run)
    for block in range(1 << ORDERS - 1, disk.get(('live', 'blocks'))):
        kind, cls, shard = disk.get(header(block, 'run')) or (None, 0, 0)
        if kind == SLOT_BLOCK:
            claim(blocks, block, 'slots')
            audit_block(disk, block, cls, runs, claim)
        if block not in blocks:
            raise Bug('block %d is lost: %s' % (block, kind))
    for run in runs:
        if (disk.get(header(run // SLOTS, 'run')) or (0,))[0] != SLOT_BLOCK:
            raise Bug('run %d lies in no slot block' % run)


def audit_index(store, shard, claim_blocks, claim_run):
    disk = store.disk
    for block in {disk.get(('root', shard, i)) for i in range(8)} - {0}:
        claim_blocks(block, 0, 'segment')
        if disk.get(block * BLOCK + 1):
            raise Bug('the directory names a segment that was split')
        for i in range(ENTRIES):
            entry = block * BLOCK + 2 + i * ENTRY
            word = store.newest(entry + 1)[1]
            if word:
                user = disk.get(entry)[0]
                claim_run(word[0] - word[0] % word[2], word[2].bit_length() - 1, ('ring', user))
                for slot in store.read_ring(user, word):
                    overflow = disk.get(slot * SLOT + 2)
                    if overflow:
                        claim_run(overflow[0], overflow[1], ('strings', user, slot))


def audit_block(disk, block, cls, runs, claim):
    run, fresh, used = disk.get(header(block, 'free'))
    while run:
        claim(runs, run, 'free')
        run = disk.get(run * SLOT)[1]
    for run in range(block * SLOTS, block * SLOTS + fresh, 1 << cls):
        if run not in runs:
            raise Bug('run %d is lost' % run)
        used -= runs[run] != 'free'
    if used:
        raise Bug('block %d: wrong count of used runs' % block)


def as_of(store, epoch):
    """user -> visits, newest first, as a recovery to EPOCH would find them."""
    disk, visits = store.disk, {}
    for block in range(disk.get(('live', 'blocks'))):
        cells = [disk.get(header(block, i)) or (0, 0) for i in range(3)]
        if not max((c for c in cells if c[0] <= epoch), default=(0, 0))[1]:
            continue
        for i in range(ENTRIES):
            entry = block * BLOCK + 2 + i * ENTRY
            word = store.newest(entry + 1, epoch)[1]
            if word:
                user = disk.get(entry)[0]
                visits[user] = [disk.get(s * SLOT + 3) for s in store.read_ring(user, word)]
    return visits
