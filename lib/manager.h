/* SPDX-License-Identifier: MIT */
/* The public handle, and how its calls begin and end. */
#ifndef RV_MANAGER_H
#define RV_MANAGER_H

#include "cache.h"
#include "checkpoint.h"
#include "open.h"

struct rv_thread_cache {
    struct rv_thread_cache *next;
    uint64_t thread;
    struct rv_cache *cache;
};

struct VisitManager {
    struct rv_store *st;
    uint64_t id; /* of this manager in this process, never used again */
    bool forked; /* opened before a fork, seen from the child */
    uint32_t cache_users;
    pthread_rwlock_t
        refresh_lock; /* read-only: held for writing while the store is looked at anew */
    pthread_mutex_t cache_lock;
    struct rv_thread_cache *caches;
    struct VisitManager *next; /* of all managers of this process */
    struct VisitManager **previous;
};

/* Why a call can't begin with this manager. */
VisitStatus rv_not_entered(const struct VisitManager *manager);

/* The beginning of a public call: forgets the last error; fails for NULL and after a fork. */
static inline VisitStatus rv_enter(const struct VisitManager *manager)
{
    rv_clear_error();
    return manager && !manager->forked ? VISIT_OK : rv_not_entered(manager);
}

/* The same for a call that writes. */
VisitStatus rv_enter_writing(struct VisitManager *manager);

/* Around everything that reads: keeps a read-only store's view of the file in one piece. */
VisitStatus rv_lock_view(struct VisitManager *manager);

static inline VisitStatus rv_begin_reading(struct VisitManager *manager)
{
    return manager->st->file.read_only ? rv_lock_view(manager) : VISIT_OK;
}

static inline void rv_release_view(struct VisitManager *manager)
{
    if (manager->st->file.read_only) {
        pthread_rwlock_unlock(&manager->refresh_lock);
    }
}

/* true: what came to this status was in vain, since a writer opened the store meanwhile, and is to
 * be done again. *tries is 0 before the first time. */
static inline bool rv_end_reading(struct VisitManager *manager, VisitStatus status, unsigned *tries)
{
    const struct rv_store *st = manager->st;
    bool again =
        st->file.read_only && status == VISIT_ERROR_BUSY && rv_opened_since(st) && (*tries)++ < 16;
    rv_release_view(manager);
    if (again) {
        rv_clear_error();
    }
    return again;
}

/* fork.c: the managers of this process. Forks are watched from before the first file is opened. */
VisitStatus rv_fork_install(const char *path);
void rv_fork_register(struct VisitManager *manager);
void rv_fork_forget(struct VisitManager *manager);

#endif
