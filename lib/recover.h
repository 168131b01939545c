/* SPDX-License-Identifier: MIT */
/* Making a store whole that was not closed. The caller holds the locks of a lone writer. */
#ifndef RV_RECOVER_H
#define RV_RECOVER_H

#include "store.h"

/* Does the live state make sense, so that rv_repair() can begin? Changes nothing. */
bool rv_repair_possible(const struct rv_store *st);

/* After a kill: the page cache has everything. Takes back what was in flight. */
VisitStatus rv_repair(struct rv_store *st);

/* Beside other sharers: takes back what one of them had in flight in a shard when it died, or (sh
 * NULL) in the allocator. The caller has its lock. */
VisitStatus rv_repair_beside(struct rv_store *st, struct rv_shard *sh);

/* After a power cut: everything back to the last checkpoint; all that is derived is made anew. */
VisitStatus rv_recover(struct rv_store *st);

/* Lists the segments as of an epoch, sorted, and checks that they cover each shard or leave it out.
 */
VisitStatus rv_recover_segments(const struct rv_store *st, uint64_t as_of,
                                struct rv_private_segment **ret_segments, size_t *ret_count);

#endif
