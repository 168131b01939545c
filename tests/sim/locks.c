/* SPDX-License-Identifier: MIT */
#include "locks.h"

#include "disk.h"
#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

/* What a mutex in a file holds. */
struct robust {
    uint64_t made;         /* MADE */
    uint64_t owner;        /* process + 1; 0: free */
    uint64_t owner_died;   /* the next one is told */
    uint64_t inconsistent; /* it was, and must say that all is well before it unlocks */
};
#define MADE UINT64_C(0x6d75746578)

int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_consistent(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock,
                                   const struct timespec *until);

static struct robust *robust_of(pthread_mutex_t *mutex)
{
    struct robust *r = sim_disk_writable(mutex);
    if (!r || r->made != MADE) {
        sim_fail("a mutex in the file is used and was never made");
    }
    return r;
}

void sim_lock_lose_owner(struct rv_disk_lock *lock)
{
    struct robust *r = (struct robust *)(void *)lock->mutex;
    if (r->made == MADE && r->owner == sim_process() + 1) {
        r->owner = 0;
        r->owner_died = 1;
        r->inconsistent = 0;
    }
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    if (!sim_disk_writable(mutex)) {
        return __real_pthread_mutex_init(mutex, attributes);
    }
    *(struct robust *)sim_disk_writable(mutex) = (struct robust){.made = MADE};
    return 0;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    if (!sim_disk_writable(mutex)) {
        return __real_pthread_mutex_trylock(mutex);
    }
    struct robust *r = robust_of(mutex);
    if (r->owner) {
        return EBUSY;
    }
    r->owner = sim_process() + 1;
    r->inconsistent = r->owner_died;
    r->owner_died = 0;
    return r->inconsistent ? EOWNERDEAD : 0;
}

/* Other processes have no turn meanwhile. */
int __wrap_pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock,
                                   const struct timespec *until)
{
    (void)clock;
    (void)until;
    int error = __wrap_pthread_mutex_trylock(mutex);
    while (error == EBUSY && sim_threads() > 1) {
        sim_yield();
        error = __wrap_pthread_mutex_trylock(mutex);
    }
    return error == EBUSY ? ETIMEDOUT : error;
}

int __wrap_pthread_mutex_consistent(pthread_mutex_t *mutex)
{
    struct robust *r = robust_of(mutex);
    if (!r->inconsistent) {
        sim_fail("a mutex is made consistent that was not inconsistent");
    }
    r->inconsistent = 0;
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (!sim_disk_writable(mutex)) {
        return __real_pthread_mutex_unlock(mutex);
    }
    struct robust *r = robust_of(mutex);
    if (r->owner != sim_process() + 1) {
        sim_fail("a process unlocks what it has not locked");
    }
    if (r->inconsistent) {
        sim_fail("an inconsistent mutex is unlocked: nobody could lock it again");
    }
    r->owner = 0;
    return 0;
}
