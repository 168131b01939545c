/* SPDX-License-Identifier: MIT */
/*
 * Reading a user without a lock: a sequence lock (Lameter, 2005; Boehm, 2012) on the entry's change
 * counter and the shard's structure counter. After some vain tries a writer takes the shard's lock;
 * a read-only store is busy.
 */
#ifndef RV_READ_H
#define RV_READ_H

#include "slot.h"

/*
 * A version of a user: as long as it is the same, so are the visits. The structure counter belongs
 * to it since a split drops the entry of a user without visits; one that comes back counts anew.
 */
struct rv_token {
    uint64_t serial;
    uint64_t structure;
    uint64_t epoch;
    uint64_t word;
    uint32_t changes;
};

/* Memory for views that grows as needed. */
struct rv_views {
    struct rv_view *at;
    size_t room;
};

/*
 * Takes what was read. The views are checked, but may be out of date: the caller forgets what it
 * made of them if it is called again. Never called for a user without visits.
 */
typedef VisitStatus rv_read_use(void *data, const struct rv_view *views, uint32_t count);

/*
 * Reads the newest `limit` visits of a user (0: all). token says what was read before, all zero for
 * nothing, and what was read now. VISIT_END: it is the same as before, use was not called.
 * VISIT_OK with an empty token->word: no visits.
 */
VisitStatus rv_read(struct rv_store *st, uint32_t user_id, uint32_t limit, struct rv_views *views,
                    struct rv_token *token, rv_read_use *use, void *data);

/* Enough views for `count`. */
VisitStatus rv_views_grow(struct rv_views *views, size_t count);

#endif
