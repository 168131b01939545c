/* SPDX-License-Identifier: MIT */
/* One pass of the workload through one engine, in a process of its own. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include "check.h"
#include "engine.h"
#include "histogram.h"

enum bench_phase {
    BENCH_OPEN,
    BENCH_ADD,
    BENCH_SYNC,
    BENCH_READ_ZIPF,
    BENCH_READ_UNIFORM,
    BENCH_CLOSE,
    BENCH_PHASES,
};

struct bench_run {
    const struct bench_engine *engine;
    const struct bench_setup *setup;
    const struct bench_workload *workload;

    double phase_ns[BENCH_PHASES];
    double thread_ns[BENCH_PHASES];  /* processor time of the calling thread alone */
    double cached_ns;                /* a read of the user that was read last, nothing changed */
    double add_user_s, add_system_s; /* processor time of all threads during the adds */
    uint64_t add_faults;             /* page faults during the adds */
    uint64_t sum_zipf, sum_uniform;  /* of what the timed reads touched */
    struct bench_content content;
    uint64_t bytes;                 /* of the store before it is closed */
    struct bench_histogram latency; /* of the adds, from a pass of its own */
};

/** Runs adds and reads, and times each phase as a whole. */
void bench_run_times(struct bench_run *run);

/** Runs the adds, and times each. Fills in latency alone. */
void bench_run_latency(struct bench_run *run);

#endif
