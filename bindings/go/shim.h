/* SPDX-License-Identifier: MIT */
/*
 * What lies between cgo and the library.
 *
 * Results come back by value, since a Go variable whose address is handed to C moves to the heap.
 * A message is fetched within the call that failed: afterwards the goroutine may be on another
 * thread.
 */
#ifndef LIBRV_GO_SHIM_H
#define LIBRV_GO_SHIM_H

#include <recent_visits.h>
#include <stdlib.h>
#include <string.h>

/*
 * Pointers of C as numbers. Go would check a pointer to a structure that it does not know at each
 * call, and allocate for that.
 */
typedef uintptr_t rvgo_manager;
typedef uintptr_t rvgo_reader;
typedef uintptr_t rvgo_users;

/* What a call came to. Go frees the message; it is NULL after a success. */
typedef struct {
    int32_t status;
    char *message;
} rvgo_outcome;

/* A manager, a reader, users: 0 after an error. */
typedef struct {
    rvgo_outcome outcome;
    uintptr_t opened;
} rvgo_opened;

typedef struct {
    rvgo_outcome outcome;
    size_t count;
} rvgo_counted;

typedef struct {
    rvgo_outcome outcome;
    const VisitPacked *packed;
    size_t size;
    size_t count;
} rvgo_result;

typedef struct {
    uint32_t user_id;
    uint32_t visits;
} rvgo_user;

typedef struct {
    rvgo_outcome outcome;
    VisitStats stats;
} rvgo_stats;

static inline rvgo_outcome rvgo_outcome_of(VisitStatus status)
{
    rvgo_outcome outcome = {status, NULL};
    if (status < 0) {
        outcome.message = strdup(VisitLastError());
    }
    return outcome;
}

/* Functions of callbacks.go; data is the number of a cgo.Handle. */
extern int librvGoProgress(uintptr_t handle, char *what, uint64_t done, uint64_t total);
extern int librvGoFinding(uintptr_t handle, VisitFinding *finding);

static inline int rvgo_progress(void *data, const char *what, uint64_t done, uint64_t total)
{
    return librvGoProgress((uintptr_t)data, (char *)(uintptr_t)what, done, total);
}

static inline int rvgo_finding(void *data, const VisitFinding *finding)
{
    return librvGoFinding((uintptr_t)data, (VisitFinding *)(uintptr_t)finding);
}

static inline rvgo_opened rvgo_open(const char *path, VisitOptions options, uintptr_t handle)
{
    VisitManager *manager = NULL;
    options.size = sizeof options;
    if (handle) {
        options.progress = rvgo_progress;
        options.progress_data = (void *)handle;
    }
    rvgo_outcome outcome = rvgo_outcome_of(VisitManagerOpen(path, &options, &manager));
    return (rvgo_opened){outcome, (uintptr_t)manager};
}

static inline rvgo_outcome rvgo_close(rvgo_manager manager)
{
    VisitManagerFree((VisitManager *)manager);
    return rvgo_outcome_of(VisitLastStatus());
}

#ifdef LIBRV_GO_STRINGS
/* Go's strings, without a copy. */
static inline rvgo_outcome rvgo_add(rvgo_manager manager, uint32_t user_id, uint32_t visit_id,
                                    _GoString_ url, _GoString_ text, int64_t time_ns,
                                    uint32_t flags)
{
    VisitInput input = {
        .user_id = user_id,
        .visit_id = visit_id,
        .url = _GoStringPtr(url),
        .url_length = _GoStringLen(url),
        .text = _GoStringPtr(text),
        .text_length = _GoStringLen(text),
        .time_ns = time_ns,
        .flags = flags,
    };
    return rvgo_outcome_of(VisitManagerAdd((VisitManager *)manager, &input));
}
#endif

/* C.malloc() ends the program where this returns NULL. */
static inline void *rvgo_allocate(size_t bytes)
{
    return malloc(bytes);
}

static inline rvgo_counted rvgo_add_many(rvgo_manager manager, const void *inputs, size_t count)
{
    size_t added = 0;
    rvgo_outcome outcome =
        rvgo_outcome_of(VisitManagerAddMany((VisitManager *)manager, inputs, count, &added));
    return (rvgo_counted){outcome, added};
}

static inline rvgo_counted rvgo_remove(rvgo_manager manager, uint32_t user_id,
                                       const uint32_t *visit_ids, size_t count)
{
    size_t removed = 0;
    rvgo_outcome outcome = rvgo_outcome_of(
        VisitManagerRemove((VisitManager *)manager, user_id, visit_ids, count, &removed));
    return (rvgo_counted){outcome, removed};
}

static inline rvgo_outcome rvgo_clear(rvgo_manager manager, uint32_t user_id)
{
    return rvgo_outcome_of(VisitManagerClearUser((VisitManager *)manager, user_id));
}

static inline rvgo_opened rvgo_reader_open(rvgo_manager manager)
{
    VisitReader *reader = NULL;
    rvgo_outcome outcome = rvgo_outcome_of(VisitReaderOpen((VisitManager *)manager, &reader));
    return (rvgo_opened){outcome, (uintptr_t)reader};
}

static inline void rvgo_reader_free(rvgo_reader reader)
{
    VisitReaderFree((VisitReader *)reader);
}

static inline rvgo_result rvgo_read(rvgo_reader reader, uint32_t user_id)
{
    rvgo_result result = {{0, NULL}, NULL, 0, 0};
    result.outcome = rvgo_outcome_of(VisitReaderGetPacked(
        (VisitReader *)reader, user_id, 0, &result.packed, &result.size, &result.count));
    return result;
}

static inline rvgo_opened rvgo_users_open(rvgo_manager manager)
{
    VisitUsers *users = NULL;
    rvgo_outcome outcome = rvgo_outcome_of(VisitUsersOpen((VisitManager *)manager, &users));
    return (rvgo_opened){outcome, (uintptr_t)users};
}

/* The next users, as many as there is room for; what came before an end or an error counts. */
static inline rvgo_counted rvgo_users_next(rvgo_users users, rvgo_user *to, size_t room)
{
    size_t count = 0;
    VisitStatus status = VISIT_OK;
    while (!status && count < room) {
        size_t visits;
        status = VisitUsersNext((VisitUsers *)users, &to[count].user_id, &visits);
        if (!status) {
            to[count++].visits = (uint32_t)visits;
        }
    }
    return (rvgo_counted){rvgo_outcome_of(status), count};
}

static inline void rvgo_users_free(rvgo_users users)
{
    VisitUsersFree((VisitUsers *)users);
}

static inline rvgo_outcome rvgo_sync(rvgo_manager manager)
{
    return rvgo_outcome_of(VisitManagerSync((VisitManager *)manager));
}

static inline rvgo_stats rvgo_stats_of(rvgo_manager manager)
{
    rvgo_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.stats.size = sizeof stats.stats;
    stats.outcome = rvgo_outcome_of(VisitManagerStats((VisitManager *)manager, &stats.stats));
    return stats;
}

static inline rvgo_outcome rvgo_verify(rvgo_manager manager, uintptr_t handle)
{
    return rvgo_outcome_of(
        VisitManagerVerify((VisitManager *)manager, handle ? rvgo_finding : NULL, (void *)handle));
}

static inline rvgo_outcome rvgo_backup(rvgo_manager manager, const char *path, uintptr_t handle)
{
    return rvgo_outcome_of(VisitManagerBackup((VisitManager *)manager, path,
                                              handle ? rvgo_progress : NULL, (void *)handle));
}

#endif
