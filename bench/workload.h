/* SPDX-License-Identifier: MIT */
/* The sequence of adds and reads: from a seed, in memory before anything is timed. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdint.h>

/** What the sequence is made from. */
struct bench_workload_options {
    uint64_t seed;
    uint64_t adds, zipf_reads, uniform_reads;
    uint32_t users;      /* ids 0 to users - 1 */
    uint32_t max_visits; /* N */
    uint32_t id_range;   /* 0: visit ids count up; else they repeat within this range */
    double skew;         /* the zipf exponent */
};

/** A string of the pool, NUL-terminated. */
struct bench_string {
    const char *bytes;
    uint32_t length;
};

/**
 * Strings come from a pool that fits a second-level cache, as if they had just been received:
 * making them is not what is measured.
 */
enum {
    BENCH_POOL = 4096,
    BENCH_URL_MIN = 20,
    BENCH_URL_MAX = 100,
    BENCH_TEXT_MIN = 10,
    BENCH_TEXT_MAX = 80
};

struct bench_workload {
    struct bench_workload_options options;
    uint32_t *add_users, *zipf_users, *uniform_users;
    struct bench_string urls[BENCH_POOL], texts[BENCH_POOL];
    char *pool;
};

/** One add. */
struct bench_add {
    uint32_t user_id, visit_id;
    struct bench_string url, text;
};

/** A seeded generator of 64-bit numbers (splitmix64). */
static inline uint64_t bench_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/** A sampler of ranks 1 to n with P(k) proportional to k^-skew. */
struct bench_zipf {
    uint32_t n;
    double skew, area_first, area_last, shortcut;
};
void bench_zipf_init(struct bench_zipf *zipf, uint32_t n, double skew);
uint32_t bench_zipf_next(const struct bench_zipf *zipf, uint64_t *random_state);

/** Makes the whole sequence. */
void bench_workload_make(struct bench_workload *workload,
                         const struct bench_workload_options *options);
void bench_workload_free(struct bench_workload *workload);

/** The i-th add. Url and text are paired anew on each round through the pool. */
static inline void bench_workload_add(const struct bench_workload *workload, uint64_t i,
                                      struct bench_add *ret_add)
{
    uint32_t id_range = workload->options.id_range;
    uint64_t state = i;
    ret_add->user_id = workload->add_users[i];
    ret_add->visit_id = (uint32_t)(id_range ? bench_random(&state) % id_range : i);
    ret_add->url = workload->urls[i % BENCH_POOL];
    ret_add->text = workload->texts[(i + i / BENCH_POOL) % BENCH_POOL];
}

#endif
