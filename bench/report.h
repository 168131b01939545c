/* SPDX-License-Identifier: MIT */
/* The table and the JSON of bench_visits. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "run.h"

enum { BENCH_ENGINES_MAX = 8 };

/** All that was measured: results[engine * repetitions + repetition]. */
struct bench_report {
    const struct bench_engine *engines[BENCH_ENGINES_MAX];
    size_t engine_count;
    size_t repetitions;
    bool with_latency;
    struct bench_workload_options workload;
    int32_t checkpoint_ms;
    uint32_t slot_bytes;
    const char *folder;
    struct bench_result *results;
};

void bench_report_table(const struct bench_report *report, FILE *out);
void bench_report_json(const struct bench_report *report, FILE *out);

/** Prints engines that returned other visits than the first one that returns any; false if so. */
bool bench_report_agree(const struct bench_report *report);

#endif
