/* SPDX-License-Identifier: MIT */
/* The sequence of adds and reads: from a seed or a log, in memory before anything is timed. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdint.h>

#include "random.h"

/** What the sequence is made from. */
struct bench_workload_options {
    uint64_t seed;
    uint64_t adds, zipf_reads, uniform_reads;
    uint64_t users;        /* ids 0 to users - 1 */
    uint64_t max_visits;   /* N */
    uint64_t id_range;     /* 0: visit ids count up; else they repeat within this range */
    uint64_t string_bytes; /* url and text have half of it each; BENCH_MIXED: see below */
    double skew;           /* the zipf exponent */
};

/** A string of the pool, NUL-terminated. */
struct bench_string {
    const char *bytes;
    uint32_t length;
};

/**
 * Strings come from a pool that fits a second-level cache if they are not long, as if they had just
 * been received: making them is not what is measured.
 */
enum {
    BENCH_POOL_BITS = 12,       /* 4,096 strings of a kind; fewer if they are long: */
    BENCH_POOL_BYTES = 1 << 24, /* at most so many bytes of a kind */
    BENCH_URL_MIN = 20,         /* BENCH_MIXED: lengths are spread evenly */
    BENCH_URL_MAX = 100,
    BENCH_TEXT_MIN = 10,
    BENCH_TEXT_MAX = 80,
};
#define BENCH_MIXED UINT64_MAX /* not given: BENCH_UNSET */

struct bench_workload {
    struct bench_workload_options options;
    uint32_t *add_users, *zipf_users, *uniform_users;
    struct bench_string *urls, *texts;
    uint64_t strings;      /* of each kind, a power of two */
    uint32_t repair_shift; /* text i + (i >> repair_shift) goes with url i: new pairs each round */
    char *pool;
};

/** One add. */
struct bench_add {
    uint32_t user_id, visit_id;
    struct bench_string url, text;
};

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

/**
 * The requests of a web server's log in the common log format: a user a host, numbered by
 * appearance; the visit's id is the number of the request, its url the target, its text method and
 * status. Reads are drawn from the log's hosts. options gives the rest; users and adds come from
 * the log.
 */
void bench_workload_load(struct bench_workload *workload,
                         const struct bench_workload_options *options, const char *path);

void bench_workload_free(struct bench_workload *workload);

/** The strings of the i-th add; of more adds than there are, too. */
static inline void bench_workload_strings(const struct bench_workload *workload, uint64_t i,
                                          struct bench_add *ret_add)
{
    uint64_t mask = workload->strings - 1;
    ret_add->url = workload->urls[i & mask];
    ret_add->text = workload->texts[(i + (i >> workload->repair_shift)) & mask];
}

/** The i-th add. */
static inline void bench_workload_add(const struct bench_workload *workload, uint64_t i,
                                      struct bench_add *ret_add)
{
    uint64_t id_range = workload->options.id_range;
    uint64_t state = i;
    ret_add->user_id = workload->add_users[i];
    ret_add->visit_id = (uint32_t)(id_range ? bench_random(&state) % id_range : i);
    bench_workload_strings(workload, i, ret_add);
}

#endif
