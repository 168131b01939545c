/* SPDX-License-Identifier: MIT */
/*
 * Visits on their way into the store, many at a time: while a thread adds one load to the store,
 * the caller fills the next.
 */
#ifndef RVDUMP_BATCH_H
#define RVDUMP_BATCH_H

#include <recent_visits.h>

#include <stddef.h>
#include <stdint.h>

enum {
    BATCH_VISITS = 1024,
    BATCH_BYTES = 2 << 20, /* of strings; at least VISIT_STRINGS_MAX */
};

/* One visit as a format's parser found it. */
struct record {
    uint32_t user_id;
    uint32_t visit_id;
    int64_t time_ns;
    const char *url;
    size_t url_length;
    const char *text;
    size_t text_length;
};

struct batch;

/* NULL if memory is short. */
struct batch *batch_new(VisitManager *manager);
void batch_free(struct batch *batch);

/* Copies a visit whose strings are not too long. Returns an exit code: also that of a load before,
 * which ends all. */
int batch_add(struct batch *batch, const struct record *record);

/* Adds to the store what is there, and waits for it. Returns an exit code. */
int batch_flush(struct batch *batch);

/* Waits for what was handed over, and tells of it if it failed. Returns how many visits the store
 * has taken in all. */
uint64_t batch_end(struct batch *batch);

#endif
