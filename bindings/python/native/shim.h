/* SPDX-License-Identifier: MIT */
/*
 * What the Python package calls: the public functions behind a guard that lets close() wait for the
 * calls that other threads are in, with results in a form that Python takes apart in few steps.
 *
 * generate.py reads the declarations between the marks below; they must stay plain.
 */
#ifndef RV_PY_SHIM_H
#define RV_PY_SHIM_H

#include "recent_visits.h"

/* declarations: begin */

/* Beside the values of VisitStatus: the store is closed. */
#define RV_PY_CLOSED -1000
/* The strings of a batch are not as many as they should be: one has a NUL inside. */
#define RV_PY_NUL_INSIDE -1001
/* The call comes from inside a callback of the same store, which would wait for itself. */
#define RV_PY_INSIDE -1002
/* Bytes of a visit's numbers in what rv_py_read() writes. */
#define RV_PY_NUMBERS_SIZE 20

/* An open store, or one that was closed: the memory lives until rv_py_free(). */
typedef struct rv_py_store rv_py_store;

int rv_py_open(const char *path, const VisitOptions *options, rv_py_store **ret_store);

/* Waits for calls that are under way, then closes. Calls that come later fail with RV_PY_CLOSED. */
int rv_py_close(rv_py_store *store);

/* Closes the store in this place if it is open, and frees the memory. It may be NULL. */
void rv_py_free(rv_py_store **place);

/* The message of the calling thread's last call, which came to this status. */
const char *rv_py_message(int status);

int rv_py_add(rv_py_store *store, uint32_t user_id, uint32_t visit_id, const char *url,
              size_t url_length, const char *text, size_t text_length);
int rv_py_add_at(rv_py_store *store, uint32_t user_id, uint32_t visit_id, const char *url,
                 size_t url_length, const char *text, size_t text_length, int64_t time_ns);

/*
 * Adds count visits. strings: url, text, url, text ..., a NUL between each two. timed: one byte a
 * visit, not 0 if times has its time; NULL: none has one.
 */
int rv_py_add_many(rv_py_store *store, size_t count, const uint32_t *user_ids,
                   const uint32_t *visit_ids, const int64_t *times, const char *timed,
                   const char *strings, size_t size, size_t *ret_added);

int rv_py_remove(rv_py_store *store, uint32_t user_id, const uint32_t *visit_ids, size_t count,
                 size_t *ret_removed);
int rv_py_clear(rv_py_store *store, uint32_t user_id);

/*
 * Writes a user's newest visits to out: for each its id and the lengths of url and text (uint32_t),
 * and its time (int64_t), without gaps; then url, text, url, text ..., a NUL behind each.
 *
 * Returns size << 16 | count; a status, which is above -65536; or, if room is too small, the size
 * that is needed as -(size << 16).
 */
int64_t rv_py_read(rv_py_store *store, uint32_t user_id, size_t limit, char *out, size_t room);

/* The visits of several users, one user after the other. */
typedef struct rv_py_block {
    uint32_t *counts; /* one a user */
    int64_t *times;
    uint32_t *visit_ids;
    uint32_t *lengths; /* of url and text: two a visit */
    char *strings;     /* url, text, url, text ..., a NUL behind each */
    size_t visits;
    size_t size; /* of strings */
    size_t counts_room;
    size_t visits_room;
    size_t strings_room;
} rv_py_block;

rv_py_block *rv_py_block_new(void);
void rv_py_block_free(rv_py_block *block);
int rv_py_read_many(rv_py_store *store, const uint32_t *user_ids, size_t count, size_t limit,
                    rv_py_block *block);

/* An iteration over the users. It may outlive the open store. Not for two threads at once. */
typedef struct rv_py_users rv_py_users;

int rv_py_users_open(rv_py_store *store, rv_py_users **ret_users);
/* Up to room users; at the end VISIT_END. */
int rv_py_users_next(rv_py_users *users, uint32_t *user_ids, uint32_t *counts, size_t room,
                     size_t *ret_count);
void rv_py_users_free(rv_py_users **place);

int rv_py_sync(rv_py_store *store);
int rv_py_stats(rv_py_store *store, VisitStats *stats);
int rv_py_verify(rv_py_store *store, VisitFindingFunction *function, void *data);
int rv_py_backup(rv_py_store *store, const char *path, VisitProgress *progress, void *data);

/* declarations: end */

#endif
