/* SPDX-License-Identifier: MIT */
#include "histogram.h"

#include <math.h>

/* The largest value that falls into a bucket. */
static uint64_t bucket_end(uint64_t bucket)
{
    uint64_t step = UINT64_C(1) << BENCH_HISTOGRAM_STEP_BITS;
    if (bucket < 2 * step)
        return bucket;
    uint64_t shift = bucket / step - 1;
    return ((bucket - shift * step + 1) << shift) - 1;
}

uint64_t bench_histogram_quantile(const struct bench_histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * (double)histogram->count);
    uint64_t seen = 0;
    for (uint64_t i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted && seen > 0)
            return bucket_end(i) < histogram->max ? bucket_end(i) : histogram->max;
    }
    return histogram->max;
}

void bench_histogram_merge(struct bench_histogram *histogram, const struct bench_histogram *other)
{
    for (uint64_t i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++)
        histogram->buckets[i] += other->buckets[i];
    histogram->count += other->count;
    if (other->max > histogram->max)
        histogram->max = other->max;
}
