/* SPDX-License-Identifier: MIT */
/* Going through all users, segment by segment in the order of their hashes. */
#ifndef RV_SWEEP_H
#define RV_SWEEP_H

#include "store.h"

/* Where a sweep is. All zero: at the beginning. */
struct rv_cursor {
    uint32_t shard;
    uint64_t prefix; /* everything below has been */
};

/* One user and the version that was asked for. */
struct rv_seat {
    uint32_t user_id;
    uint32_t changes;
    uint64_t word; /* not 0 */
};

/* The users of one segment. */
struct rv_seats {
    struct rv_seat *at; /* freed by the caller */
    uint32_t count;
    uint32_t entries; /* in use, those without visits included */
    bool in_index;    /* false: a shard without a segment */
};

VisitStatus rv_seats_make(const struct rv_store *st, struct rv_seats *ret_seats);

/*
 * The users of the next segment that have visits as of an epoch (UINT64_MAX: now), without a lock.
 * A split between two calls, or one that a recovery takes back, neither hides nor repeats a user.
 *
 * Does it fail, then there are no seats, and the cursor stays.
 *
 * @return VISIT_END after the last segment; VISIT_ERROR_BUSY, of a reader, if a writer has opened
 * the store since: rv_read_again().
 */
VisitStatus rv_sweep_next(struct rv_store *st, struct rv_cursor *cursor, uint64_t as_of,
                          struct rv_seats *seats);

/* Makes the limit true for every user. */
VisitStatus rv_sweep_trim(struct rv_store *st);

#endif
