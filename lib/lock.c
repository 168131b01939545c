/* SPDX-License-Identifier: MIT */
#include "lock.h"

#include <errno.h>
#include <time.h>

#define GATHER_NS 100000u /* a thread adds again much sooner; a sync takes some of these */

static_assert(sizeof(pthread_mutex_t) <= sizeof((struct rv_disk_lock *)0)->mutex, "spec: lock");
static_assert(_Alignof(pthread_mutex_t) <= 8, "spec: lock");

uint64_t rv_lock_abi(void)
{
#ifdef __GLIBC__
    uint64_t library = 1;
#else
    uint64_t library = 2;
#endif
    return library << 32 | sizeof(pthread_mutex_t);
}

static pthread_mutex_t *mutex_of(struct rv_disk_lock *lock)
{
    return (pthread_mutex_t *)(void *)lock->mutex;
}

static int make_one(struct rv_disk_lock *lock, const pthread_mutexattr_t *attributes)
{
    rv_store(&lock->repair, 0);
    rv_store(&lock->holder, 0);
    return pthread_mutex_init(mutex_of(lock), attributes);
}

VisitStatus rv_lock_make(struct rv_store *st)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    int error = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (!error) {
        error = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    }
    if (!error) {
        error = make_one(&st->live->alloc_lock, &attributes);
    }
    if (!error) {
        error = make_one(&st->live->checkpoint_lock, &attributes);
    }
    for (uint32_t i = 0; i < st->geo.shards && !error; i++) {
        error = make_one(&st->shard[i].disk->lock, &attributes);
    }
    pthread_mutexattr_destroy(&attributes);
    return error ? rv_fail_errno(st->file.path, "make the locks of", error) : VISIT_OK;
}

void rv_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

static struct timespec later_ns(clockid_t clock, uint64_t wait_ns)
{
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_sec += (time_t)(wait_ns / 1000000000);
    t.tv_nsec += (long)(wait_ns % 1000000000);
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

struct timespec rv_later(clockid_t clock, uint32_t wait_ms)
{
    return later_ns(clock, (uint64_t)wait_ms * 1000000);
}

#ifdef __SANITIZE_THREAD__
/* Which of the functions that wait take a lock whose owner has died, it does not know. */
static int lock_until(pthread_mutex_t *mutex, uint32_t wait_ms)
{
    int error = EBUSY;
    for (uint64_t i = 0; error == EBUSY && i < (uint64_t)wait_ms * 10; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        error = pthread_mutex_trylock(mutex);
    }
    return error;
}
#elif defined(__GLIBC__)
static int lock_until(pthread_mutex_t *mutex, uint32_t wait_ms)
{
    struct timespec until = rv_later(CLOCK_MONOTONIC, wait_ms);
    return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);
}
#else /* by a clock that may be set */
static int lock_until(pthread_mutex_t *mutex, uint32_t wait_ms)
{
    struct timespec until = rv_later(CLOCK_REALTIME, wait_ms);
    return pthread_mutex_timedlock(mutex, &until);
}
#endif

static VisitStatus not_locked(struct rv_store *st, struct rv_disk_lock *lock, struct rv_shard *sh,
                              int error)
{
    if (error != EBUSY && error != ETIMEDOUT) {
        return rv_fail_errno(st->file.path, "lock", error);
    }
    bool checkpoint = lock == &st->live->checkpoint_lock;
    return rv_fail(VISIT_ERROR_BUSY, st->file.path,
                   "process %llu has held %s for more than %u ms (lock_wait_ms): is it stopped? "
                   "Continue or end it, or try again",
                   (unsigned long long)rv_load(&lock->holder),
                   checkpoint ? "checkpoints"
                   : sh       ? "a shard"
                              : "the allocator",
                   st->lock_wait_ms);
}

VisitStatus rv_lock_follow_growth(struct rv_store *st, uint64_t blocks)
{
    return blocks > rv_file_size(st) >> st->geo.block_log2 ? rv_file_refresh(&st->file) : VISIT_OK;
}

static VisitStatus look_after(struct rv_store *st, struct rv_disk_lock *lock, struct rv_shard *sh)
{
    bool repair = rv_load(&lock->repair);
    /* A log may name blocks that the dead process had not come to count. */
    VisitStatus status =
        repair ? rv_file_refresh(&st->file) : rv_lock_follow_growth(st, rv_load(&st->live->blocks));
    if (status || !repair) {
        return status;
    }
    if (lock != &st->live->checkpoint_lock) {
        status = st->repair(st, sh);
    }
    if (!status) {
        rv_store_release(&lock->repair, 0);
    }
    return status;
}

VisitStatus rv_lock_take(struct rv_store *st, struct rv_disk_lock *lock, struct rv_shard *sh,
                         uint32_t wait_ms)
{
    pthread_mutex_t *mutex = mutex_of(lock);
    int error = pthread_mutex_trylock(mutex);
    if (error == EBUSY && wait_ms) {
        error = lock_until(mutex, wait_ms);
    }
    if (error == EOWNERDEAD) {
        /* An inconsistent mutex must not be unlocked, but a repair may fail: the flag remembers. */
        rv_store_release(&lock->repair, 1);
        error = pthread_mutex_consistent(mutex);
    }
    if (error) {
        return not_locked(st, lock, sh, error);
    }
    rv_store(&lock->holder, st->pid);
    VisitStatus status = look_after(st, lock, sh);
    if (status) {
        pthread_mutex_unlock(mutex);
    }
    return status;
}

void rv_lock_drop(struct rv_disk_lock *lock)
{
    pthread_mutex_unlock(mutex_of(lock));
}

static void end_checkpointing(struct rv_store *st)
{
    pthread_mutex_lock(&st->checkpoint_lock);
    st->checkpointing = false;
    pthread_cond_broadcast(&st->checkpoint_end);
    pthread_mutex_unlock(&st->checkpoint_lock);
}

uint32_t rv_ms_until(const struct timespec *until)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ms =
        (int64_t)(until->tv_sec - now.tv_sec) * 1000 + (until->tv_nsec - now.tv_nsec) / 1000000;
    return ms > 0 ? (uint32_t)ms : 0;
}

/* Counts a thread that has come for epoch `target`. */
static void join(struct rv_store *st, uint64_t target)
{
    unsigned here = ++st->joined[target & 1];
    if (here == st->expected) {
        pthread_cond_signal(&st->checkpoint_joined);
    }
}

/*
 * Threads that sync one change after the other fall into two groups, each of which arrives while
 * the other's checkpoint is under way, and waits for its own. So the one whose turn it is waits for
 * those that the last checkpoint has let go, as long as some arrive: then one serves all. Not among
 * sharers, whose checkpoints others make too.
 */
static void gather(struct rv_store *st, uint64_t target, bool waited)
{
    unsigned *here = &st->joined[target & 1];
    unsigned *before = &st->joined[!(target & 1)];
    unsigned seen = 0;
    /* A thread that did not wait is one of those let go. */
    st->expected = *before + *here - !waited;
    while (*here < st->expected && seen < *here) {
        struct timespec until = later_ns(CLOCK_MONOTONIC, GATHER_NS);
        seen = *here;
        pthread_cond_timedwait(&st->checkpoint_joined, &st->checkpoint_lock, &until);
    }
    st->expected = 0;
    *before = 0;
}

/* Within this process. *ret_mine: it is this thread's turn. */
static void wait_for_turn(struct rv_store *st, uint64_t target, const struct timespec *until,
                          bool *ret_mine, bool *ret_durable)
{
    int error = 0;
    pthread_mutex_lock(&st->checkpoint_lock);
    *ret_durable = rv_load(&st->live->durable) >= target;
    bool waited = st->checkpointing;
    bool counts = target != UINT64_MAX && !st->shared;
    if (!*ret_durable && counts) {
        join(st, target);
    }
    while (st->checkpointing && !*ret_durable && !error) {
        error = st->shared
                    ? pthread_cond_timedwait(&st->checkpoint_end, &st->checkpoint_lock, until)
                    : pthread_cond_wait(&st->checkpoint_end, &st->checkpoint_lock);
        *ret_durable = rv_load(&st->live->durable) >= target;
    }
    *ret_mine = !*ret_durable && !st->checkpointing;
    st->checkpointing = st->checkpointing || *ret_mine;
    if (*ret_mine && counts) {
        gather(st, target, waited);
    }
    pthread_mutex_unlock(&st->checkpoint_lock);
}

VisitStatus rv_lock_checkpoint_unless(struct rv_store *st, uint64_t target, uint32_t wait_ms,
                                      bool *ret_durable)
{
    struct timespec until = rv_later(CLOCK_MONOTONIC, wait_ms);
    struct rv_disk_lock *lock = &st->live->checkpoint_lock;
    bool mine;
    wait_for_turn(st, target, &until, &mine, ret_durable);
    if (*ret_durable) {
        return VISIT_OK;
    }
    if (!mine) {
        return not_locked(st, lock, NULL, ETIMEDOUT);
    }
    VisitStatus status = st->shared ? rv_lock_take(st, lock, NULL, rv_ms_until(&until)) : VISIT_OK;
    if (status) {
        end_checkpointing(st);
    }
    return status;
}

VisitStatus rv_lock_checkpoint(struct rv_store *st, uint32_t wait_ms)
{
    bool durable;
    return rv_lock_checkpoint_unless(st, UINT64_MAX, wait_ms, &durable);
}

void rv_unlock_checkpoint(struct rv_store *st)
{
    if (st->shared) {
        rv_lock_drop(&st->live->checkpoint_lock);
    }
    end_checkpointing(st);
}

static void unlock_shards(struct rv_store *st, uint32_t count)
{
    while (count-- > 0) {
        rv_unlock_shard(st, &st->shard[count]);
    }
}

VisitStatus rv_lock_all(struct rv_store *st)
{
    uint32_t shards = 0;
    VisitStatus status = rv_lock_checkpoint(st, st->lock_wait_ms);
    if (status) {
        return status;
    }
    while (!status && shards < st->geo.shards) {
        status = rv_lock_shard(st, &st->shard[shards]);
        shards += !status;
    }
    if (!status) {
        status = rv_lock_alloc(st);
    }
    if (status) {
        unlock_shards(st, shards);
        rv_unlock_checkpoint(st);
    }
    return status;
}

void rv_unlock_all(struct rv_store *st)
{
    rv_unlock_alloc(st);
    unlock_shards(st, st->geo.shards);
    rv_unlock_checkpoint(st);
}
