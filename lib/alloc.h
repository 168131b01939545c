/* SPDX-License-Identifier: MIT */
/*
 * Blocks: a buddy allocator (Knowlton, 1965) over the file's blocks, which grows the file.
 *
 * A free run of 2^k blocks is in list k, doubly linked through its first block's header. Blocks go
 * from the file to a shard's hand and back, one run at a time, each an operation of its own.
 */
#ifndef RV_ALLOC_H
#define RV_ALLOC_H

#include "store.h"

/* A place in a shard's hand. */
static inline uint64_t rv_hand_word(uint64_t block, uint32_t order)
{
    return block << 8 | 0x80 | order;
}

static inline uint64_t rv_hand_block(uint64_t word)
{
    return word >> 8;
}

static inline uint32_t rv_hand_order(uint64_t word)
{
    return word & 0x7f;
}

/* Takes 2^order blocks into the empty place `hand`. The caller holds that shard's lock. */
VisitStatus rv_alloc_take(struct rv_store *st, uint64_t *hand, uint32_t order);

/* Puts what is in a place of a hand back among the free. */
VisitStatus rv_alloc_give(struct rv_store *st, uint64_t *hand);

/* Looks how long the file is, while no thread of this process makes it longer. */
VisitStatus rv_alloc_look(struct rv_store *st);

/* Makes the file longer ahead of need; for a background thread. */
VisitStatus rv_alloc_reserve(struct rv_store *st);

/* Takes back what a kill left half done. */
VisitStatus rv_alloc_repair(struct rv_store *st);

/* Puts blocks that nothing names among the free; for recovery, which owns the file. */
void rv_alloc_add(struct rv_store *st, uint64_t from, uint64_t to);

#endif
