/* SPDX-License-Identifier: MIT */
/*
 * The locks of a store that is open for writing: one for each shard, the allocator's, the
 * checkpoints'. Order: checkpoints, shards, allocator.
 *
 * Of an exclusive manager they lie in its memory. Sharers have robust mutexes in the live state:
 * when an owner dies, the next one repairs what the lock guards before it goes on. Waiting has an
 * end: VISIT_ERROR_BUSY, with the process id of the holder.
 */
#ifndef RV_LOCK_H
#define RV_LOCK_H

#include "store.h"

#include <time.h>

/* What a mutex in the file looks like to this process's C library. */
uint64_t rv_lock_abi(void);

/* Makes the mutexes anew: for the first sharer, while it is alone. */
VisitStatus rv_lock_make(struct rv_store *st);

/* A condition that is waited for until rv_later(CLOCK_MONOTONIC, ms). */
void rv_condition_init(pthread_cond_t *condition);
struct timespec rv_later(clockid_t clock, uint32_t wait_ms);

/* 0: it is past. By CLOCK_MONOTONIC. */
uint32_t rv_ms_until(const struct timespec *until);

/* Takes a sharer's lock; sh is NULL if it is no shard's. For the functions below. */
VisitStatus rv_lock_take(struct rv_store *st, struct rv_disk_lock *lock, struct rv_shard *sh,
                         uint32_t wait_ms);
void rv_lock_drop(struct rv_disk_lock *lock);

static inline VisitStatus rv_lock_shard(struct rv_store *st, struct rv_shard *sh)
{
    if (st->shared) {
        return rv_lock_take(st, &sh->disk->lock, sh, st->lock_wait_ms);
    }
    pthread_mutex_lock(&sh->lock);
    return VISIT_OK;
}

static inline void rv_unlock_shard(struct rv_store *st, struct rv_shard *sh)
{
    if (st->shared) {
        rv_lock_drop(&sh->disk->lock);
    } else {
        pthread_mutex_unlock(&sh->lock);
    }
}

static inline VisitStatus rv_lock_alloc(struct rv_store *st)
{
    if (st->shared) {
        return rv_lock_take(st, &st->live->alloc_lock, NULL, st->lock_wait_ms);
    }
    pthread_mutex_lock(&st->alloc_lock);
    return VISIT_OK;
}

static inline void rv_unlock_alloc(struct rv_store *st)
{
    if (st->shared) {
        rv_lock_drop(&st->live->alloc_lock);
    } else {
        pthread_mutex_unlock(&st->alloc_lock);
    }
}

/*
 * Takes the checkpoints' lock, unless all up to epoch `target` is durable before it is this
 * thread's turn: of those that wait, the next one makes what the others wait for (group commit).
 * wait_ms counts for sharers only.
 */
VisitStatus rv_lock_checkpoint_unless(struct rv_store *st, uint64_t target, uint32_t wait_ms,
                                      bool *ret_durable);
VisitStatus rv_lock_checkpoint(struct rv_store *st, uint32_t wait_ms);
void rv_unlock_checkpoint(struct rv_store *st);

/* Another process may have made the file longer: sees to it that these blocks are known of. */
VisitStatus rv_lock_follow_growth(struct rv_store *st, uint64_t blocks);

/* All of them; whoever has them all knows that nothing is under way. */
VisitStatus rv_lock_all(struct rv_store *st);
void rv_unlock_all(struct rv_store *st);

#endif
