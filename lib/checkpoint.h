/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints: how what is in memory becomes what a power cut leaves.
 *
 *   (1) E := E + 1, unless one is in flight; wait until no operation uses the old E
 *   (2) sync the file, or all of it but the header
 *   (3) write the other record with D := E - 1; sync it
 *   (4) publish D
 *   (5) overwrite what was removed before, if the store is to do that
 */
#ifndef RV_CHECKPOINT_H
#define RV_CHECKPOINT_H

#include "store.h"

/* All that was done before the call is durable afterwards, all that was removed overwritten. Writes
 * nothing if nothing changed. */
VisitStatus rv_checkpoint(struct rv_store *st);

/* The same, but damage that was met while overwriting, which costs no visits, is not told. */
VisitStatus rv_checkpoint_durable(struct rv_store *st);

/* So too, but always writes a record: for a new limit. */
VisitStatus rv_checkpoint_always(struct rv_store *st);

/*
 * The same, for a thread that calls it again and again. Of sharers one does the work: it is left
 * out if D has moved since the call before, which had *seen, or if another process is at it.
 */
VisitStatus rv_checkpoint_by_clock(struct rv_store *st, uint64_t *seen);

/* Takes and drops every lock but the checkpoints': what dead sharers left is repaired then. */
VisitStatus rv_checkpoint_pass_locks(struct rv_store *st);

/* Sharers: which record counts now? The caller has the checkpoints' lock. */
VisitStatus rv_checkpoint_follow(struct rv_store *st);

/* After VISIT_ERROR_NO_SPACE: frees what limbo holds. */
VisitStatus rv_checkpoint_reclaim(struct rv_store *st);

/* Writes a record with the present D: sync, write, sync. All must be quiet. */
VisitStatus rv_checkpoint_record(struct rv_store *st, uint32_t flags);

/*
 * Before a writer's first change, however the store was left: what was read from it becomes durable
 * (a record may have been in memory only), the newest record says that the store is not clean, and
 * the opening serial is odd. After a kill the live state is whole, and tells whether the record is
 * durable already; then there is nothing to wait for.
 */
VisitStatus rv_checkpoint_begin_writing(struct rv_store *st, bool killed);

/* The newest valid record. *ret_broken: the other one is neither valid nor zero. */
VisitStatus rv_checkpoint_newest(const struct rv_store *st, struct rv_disk_record *ret_record,
                                 unsigned *ret_index, bool *ret_broken);

/* Is there room above the record's numbers for all that are to come? */
static inline bool rv_checkpoint_has_room(const struct rv_disk_record *record)
{
    return record->serial >> 62 == 0 && record->durable >> 54 == 0;
}

/* Finds the newest valid record; sets st->record, record_index and broken_record. */
VisitStatus rv_checkpoint_load(struct rv_store *st);

/* Fails if a sync has failed before: then nothing may be written any more. */
VisitStatus rv_checkpoint_allows_writing(const struct rv_store *st);

#endif
