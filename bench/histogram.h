/* SPDX-License-Identifier: MIT */
/* A log-linear histogram of nanoseconds: 128 buckets for each power of two, so two decimal digits.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { BENCH_HISTOGRAM_STEP_BITS = 7, BENCH_HISTOGRAM_BUCKETS = 36 << BENCH_HISTOGRAM_STEP_BITS };

struct bench_histogram {
    uint64_t buckets[BENCH_HISTOGRAM_BUCKETS]; /* exact below 256 ns, up to 2^42 ns */
    uint64_t count;
    uint64_t max;
};

static inline void bench_histogram_record(struct bench_histogram *histogram, uint64_t ns)
{
    int top = 63 - __builtin_clzll(ns | (1U << BENCH_HISTOGRAM_STEP_BITS));
    int shift = top - BENCH_HISTOGRAM_STEP_BITS;
    uint64_t bucket = ((uint64_t)shift << BENCH_HISTOGRAM_STEP_BITS) + (ns >> shift);
    if (bucket >= BENCH_HISTOGRAM_BUCKETS)
        bucket = BENCH_HISTOGRAM_BUCKETS - 1;
    histogram->buckets[bucket]++;
    histogram->count++;
    if (ns > histogram->max)
        histogram->max = ns;
}

/** Adds all values of other. */
void bench_histogram_merge(struct bench_histogram *histogram, const struct bench_histogram *other);

/** The least bucket bound that a share (0 to 1) of the values does not exceed. */
uint64_t bench_histogram_quantile(const struct bench_histogram *histogram, double share);

#endif
