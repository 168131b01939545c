/* SPDX-License-Identifier: MIT */
/*
 * The store as the commands use it: opening, errors as exit codes, users and visits.
 */
#ifndef RVDUMP_STORE_H
#define RVDUMP_STORE_H

#include "output.h"

#include <recent_visits.h>

/* Tells on stderr what the last call of the library came to; returns the exit code for it. */
int store_failed(VisitStatus status);
/* The same for a call of another thread, whose message this is. */
int store_failed_with(VisitStatus status, const char *message);

/* Opens read-only. Returns EXIT_OK or, after a message, another exit code. */
int store_open_read_only(const char *path, VisitManager **ret_manager);

/* VisitStats.state in words. */
const char *store_state_text(uint32_t state);

/* VisitReaderGetPacked(), tried again for a while when a writer is in the way. */
VisitStatus store_read(VisitReader *reader, uint32_t user_id, size_t limit,
                       const VisitPacked **ret_visits, size_t *ret_count);

struct user {
    uint32_t user_id;
    uint32_t visits;
};

/* All users in ascending order of id; the caller frees the array. Returns an exit code. */
int store_users(VisitManager *manager, struct user **ret_users, size_t *ret_count);

/* The strings of a packed visit. */
const char *packed_url(const VisitPacked *visits, const VisitPacked *visit);
const char *packed_text(const VisitPacked *visits, const VisitPacked *visit);

/* One visit as a JSON object, as export writes it and import reads it; and as a line. */
void out_visit_object(struct out *out, uint32_t user_id, const VisitPacked *visits,
                      const VisitPacked *visit);
void out_visit_json(struct out *out, uint32_t user_id, const VisitPacked *visits,
                    const VisitPacked *visit);

/* VisitProgress that shows a line on a terminal, and stops the work after a signal. data: NULL, or
 * a uint64_t with the total that the library does not know. */
int store_progress(void *data, const char *what, uint64_t done, uint64_t total);

#endif
