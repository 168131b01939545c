/* SPDX-License-Identifier: MIT */
/* What a benchmark asks of a store, so that the same sequence runs through several. */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include <recent_visits.h>

#include "workload.h"

/** How to open. */
struct bench_setup {
    const char *path; /* does not exist yet; for engines with a file */
    uint32_t users;   /* how many different users will come */
    uint32_t max_visits;
    int32_t checkpoint_ms; /* for librv, VisitOptions.checkpoint_interval_ms; 0: the default */
};

/** A user's visits, newest first: either an array of structures or one of pointers. */
struct bench_visits {
    const Visit *array;
    Visit *const *pointers; /* not NULL: use this */
    size_t count;
};

struct bench_engine {
    const char *name;
    bool has_file;
    void *(*open)(const struct bench_setup *setup);
    void (*add)(void *state, const struct bench_add *add);
    void (*flush)(void *state); /* ends a batch; may be NULL */
    void (*sync)(void *state);  /* makes all durable; may be NULL */
    void (*read)(void *state, uint32_t user_id, struct bench_visits *ret_visits);
    void (*close)(void *state);
};

extern const struct bench_engine bench_engine_null;        /* does nothing: the loop's own time */
extern const struct bench_engine bench_engine_naive;       /* obviously right, not fast */
extern const struct bench_engine bench_engine_floor_anon;  /* table and rings in anonymous memory */
extern const struct bench_engine bench_engine_floor_huge;  /* the same with huge pages asked for */
extern const struct bench_engine bench_engine_floor_file;  /* the same in a shared file mapping */
extern const struct bench_engine bench_engine_librv;       /* the two basic calls */
extern const struct bench_engine bench_engine_librv_batch; /* batches of 1,000, and a reader */

#endif
