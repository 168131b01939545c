/* SPDX-License-Identifier: MIT */
/* What uses which slots and blocks of a file: for recovery, which rebuilds it, and for
 * verification. */
#ifndef RV_MARKS_H
#define RV_MARKS_H

#include "store.h"

struct rv_marks {
    uint64_t blocks;
    uint64_t *used;    /* a bit for each slot */
    uint32_t *content; /* of each block, like `run` of its header; 0: nothing known */
};

#define RV_MARKS_REST 0xff000000u /* a later block of a large run */

VisitStatus rv_marks_make(struct rv_store *st, uint64_t blocks, struct rv_marks *ret_marks);
void rv_marks_free(struct rv_marks *marks);

/* Marks 2^order blocks, of which the first one's header should have this `run`. NULL, or what is
 * wrong; then none is marked. */
const char *rv_marks_blocks(const struct rv_store *st, struct rv_marks *marks, uint64_t block,
                            uint32_t order, uint64_t run);

/* Marks a run of a shard as used. NULL, or what is wrong with it. */
const char *rv_marks_run(const struct rv_store *st, struct rv_marks *marks, uint32_t slot,
                         uint32_t run_class, uint32_t shard);

/* Marks a block as a segment of a shard. NULL, or what is wrong with it. */
const char *rv_marks_segment(const struct rv_store *st, struct rv_marks *marks, uint64_t block,
                             uint32_t shard);

static inline bool rv_marks_is_used(const struct rv_marks *marks, uint64_t slot)
{
    return marks->used[slot / 64] >> slot % 64 & 1;
}

#endif
