/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <inttypes.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common.h"

static bool is_later(struct timespec a, struct timespec b)
{
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static void check_times(const struct bench_engine *engine, uint32_t user_id,
                        const struct bench_visits *visits)
{
    for (size_t i = 0; i < visits->count; i++) {
        struct timespec time = bench_visit_at(visits, i).time;
        if (time.tv_sec == 0 || (i > 0 && is_later(time, bench_visit_at(visits, i - 1).time)))
            bench_die("%s: the times of user %" PRIu32 " are not in order", engine->name, user_id);
    }
}

static void take_user(uint32_t user_id, const struct bench_visits *visits,
                      struct bench_content *content)
{
    uint64_t hash = user_id;
    for (size_t i = 0; i < visits->count; i++) {
        Visit visit = bench_visit_at(visits, i);
        size_t url_size = strlen(visit.url) + 1, text_size = strlen(visit.text) + 1;
        hash = XXH3_64bits_withSeed(visit.url, url_size, hash + visit.visit_id);
        hash = XXH3_64bits_withSeed(visit.text, text_size, hash);
        content->string_bytes += url_size + text_size - 2;
    }
    content->hash += hash * (visits->count + 1);
    content->users += visits->count > 0;
    content->visits += visits->count;
}

void bench_content_take(const struct bench_engine *engine, void *session, uint64_t users,
                        struct bench_content *ret_content)
{
    *ret_content = (struct bench_content){0};
    for (uint32_t user_id = 0; user_id < users; user_id++) {
        struct bench_visits visits;
        engine->read(session, user_id, &visits);
        check_times(engine, user_id, &visits);
        take_user(user_id, &visits, ret_content);
    }
}
