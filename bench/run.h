/* SPDX-License-Identifier: MIT */
/* One pass of the workload through one engine, in a process of its own. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

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

struct bench_result {
    double phase_ns[BENCH_PHASES];
    double thread_ns[BENCH_PHASES];  /* processor time of the calling thread alone */
    double add_user_s, add_system_s; /* processor time of all threads during the adds */
    uint64_t add_faults;             /* page faults during the adds */
    uint64_t sum_zipf, sum_uniform;  /* of what the timed reads touched */
    uint64_t content;                /* hash of every visit of every user, times excepted */
    uint64_t users, visits;          /* that are there at the end */
    uint64_t file_bytes, file_allocated_bytes;
    struct bench_histogram latency; /* of the adds, from a pass of its own */
};

/** Runs adds and reads, and times each phase as a whole. */
void bench_run_times(const struct bench_engine *engine, const struct bench_setup *setup,
                     const struct bench_workload *workload, struct bench_result *result);

/** Runs the adds, and times each. Fills in latency alone. */
void bench_run_latency(const struct bench_engine *engine, const struct bench_setup *setup,
                       const struct bench_workload *workload, struct bench_result *result);

#endif
