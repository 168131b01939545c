/* SPDX-License-Identifier: MIT */
/*
 * A user's ring: append, move, clear.
 *
 *      base                                   base + size
 *       | c  | d  | e  |    |    | a  | b  |    |        count 5, head e: a is the oldest
 *                   head  n
 *
 * An append writes slot n, the one after the head, if no retained version of this ring still covers
 * it, and publishes (n, count + 1). Everything else copies the surviving visits to a fresh run.
 */
#ifndef RV_RING_H
#define RV_RING_H

#include "slot.h"

/* A visit to add. */
struct rv_new_visit {
    uint32_t user_id;
    uint32_t visit_id;
    uint32_t url_length;
    uint32_t text_length;
    int64_t time_ns;
    bool at_time;            /* time_ns was given by the caller */
    bool is_copy;            /* of another store's visit: no other has its id ... */
    uint32_t copied;         /* ... among this many that the user has by now */
    const uint64_t *strings; /* url, NUL, text, NUL, filled up to whole words with zeros */
    uint64_t strings_hash;   /* rv_slot_strings_hash() of them */
};

/* VISIT_ERROR_NO_SPACE: nothing changed; a checkpoint may free space. So for all of these. */
VisitStatus rv_ring_add(struct rv_store *st, uint64_t hash, const struct rv_new_visit *visit);

VisitStatus rv_ring_remove(struct rv_store *st, uint32_t user_id, const uint32_t *visit_ids,
                           size_t count, size_t *ret_removed);

VisitStatus rv_ring_clear(struct rv_store *st, uint32_t user_id);

/* Starts loading what an add to the ring of a version's word will write; 0 or damage: nothing. */
void rv_ring_prefetch(const struct rv_store *st, uint64_t word);

/* Makes the limit true for one user; the caller holds the shard's lock. */
VisitStatus rv_ring_trim(struct rv_store *st, struct rv_shard *sh, struct rv_disk_entry *entry);

/* Gives a user that has no visits these ones of another store, none of which overflows. */
VisitStatus rv_ring_put(struct rv_store *st, uint32_t user_id, const struct rv_view *views,
                        uint32_t count, bool explicit_times);

#endif
