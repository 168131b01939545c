/* SPDX-License-Identifier: MIT */
/* Whether engines return the same visits. */
#ifndef BENCH_CHECK_H
#define BENCH_CHECK_H

#include "engine.h"

/** What a store has. */
struct bench_content {
    uint64_t hash; /* of every user's visits in order: ids and strings, not times */
    uint64_t users, visits, string_bytes;
};

/** Reads all users. Dies if times are not in order. */
void bench_content_take(const struct bench_engine *engine, void *session, uint64_t users,
                        struct bench_content *ret_content);

/** What a reader would touch: the id, the time, a byte of each string; a sum that depends on the
 * order. Times, which differ from run to run, go into ret_times. */
static inline uint64_t bench_touch(const struct bench_visits *visits, uint64_t *ret_times)
{
    uint64_t sum = visits->count;
    for (size_t i = 0; i < visits->count; i++) {
        Visit visit = bench_visit_at(visits, i);
        uint64_t bytes = (unsigned char)visit.url[0] * 256U + (unsigned char)visit.text[0];
        sum += (((uint64_t)visit.visit_id << 16) + bytes) * (2 * i + 1);
        *ret_times += (uint64_t)visit.time.tv_nsec;
    }
    return sum;
}

#endif
