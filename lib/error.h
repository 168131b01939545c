/* SPDX-License-Identifier: MIT */
/* Status codes and the calling thread's last message. Internal functions return a VisitStatus. */
#ifndef RV_ERROR_H
#define RV_ERROR_H

#include "recent_visits.h"

struct rv_cache;

/* What a thread has of its own, in one object: to find it costs as much as to hash a user. */
struct rv_thread {
    VisitStatus status; /* of its last call */
    char message[640];
    uint64_t number;  /* that no other thread ever has; 0: none yet */
    uint64_t manager; /* id of the one whose cache follows */
    struct rv_cache *cache;
};

struct rv_thread *rv_thread(void) __attribute__((const));

/* Sets the thread's status and message, and returns the status. path may be NULL. */
VisitStatus rv_fail(VisitStatus status, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For a system call that failed with `error`; chooses the status. `what` is "open", "grow", ... */
VisitStatus rv_fail_errno(const char *path, const char *what, int error);

/* Forgets the thread's message; every public call begins with it. */
static inline void rv_clear_error(void)
{
    rv_thread()->status = VISIT_OK;
    rv_thread()->message[0] = '\0';
}

#endif
