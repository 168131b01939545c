/* SPDX-License-Identifier: MIT */
/* Engines to hold the others against: one that is obviously right, one that is wrong, one that
 * does nothing. */
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "engine.h"

struct naive_user {
    Visit *visits; /* newest first */
    size_t count;
};

struct naive {
    struct naive_user *users; /* by id */
    uint32_t max_visits;
    uint32_t user_count;
};

static void *open_naive(const struct bench_setup *setup)
{
    struct naive *naive = bench_alloc(1, sizeof(*naive));
    naive->users = bench_alloc(setup->users, sizeof(*naive->users));
    naive->max_visits = setup->max_visits;
    naive->user_count = setup->users;
    return naive;
}

static void free_strings(const Visit *visit)
{
    free(visit->url);
    free(visit->text);
}

static void add_naive(void *state, const struct bench_add *add)
{
    struct naive *naive = state;
    struct naive_user *user = &naive->users[add->user_id];
    if (!user->visits)
        user->visits = bench_alloc(naive->max_visits, sizeof(*user->visits));
    for (size_t i = 0; i < user->count; i++) {
        if (user->visits[i].visit_id == add->visit_id)
            return;
    }
    if (user->count == naive->max_visits)
        free_strings(&user->visits[--user->count]);
    memmove(user->visits + 1, user->visits, user->count * sizeof(*user->visits));
    user->visits[0] = (Visit){
        .visit_id = add->visit_id, .url = strdup(add->url.bytes), .text = strdup(add->text.bytes)};
    if (!user->visits[0].url || !user->visits[0].text)
        bench_die("no memory");
    clock_gettime(CLOCK_REALTIME, &user->visits[0].time);
    user->count++;
}

static void read_naive(void *state, uint32_t user_id, struct bench_visits *ret_visits)
{
    const struct naive *naive = state;
    const struct naive_user *user = &naive->users[user_id];
    *ret_visits = (struct bench_visits){.array = user->visits, .count = user->count};
}

static void close_naive(void *state)
{
    struct naive *naive = state;
    for (uint32_t i = 0; i < naive->user_count; i++) {
        for (size_t j = 0; j < naive->users[i].count; j++)
            free_strings(&naive->users[i].visits[j]);
        free(naive->users[i].visits);
    }
    free(naive->users);
    free(naive);
}

const struct bench_engine bench_engine_naive = {
    .name = "naive",
    .what = "arrays of malloc()ed strings",
    .batch = 1,
    .open = open_naive,
    .add = add_naive,
    .read = read_naive,
    .close = close_naive,
};

/* Forgets a visit, so that a test can see that somebody notices. */
static void read_wrong(void *state, uint32_t user_id, struct bench_visits *ret_visits)
{
    read_naive(state, user_id, ret_visits);
    if (user_id == 0 && ret_visits->count > 0)
        ret_visits->count--;
}

const struct bench_engine bench_engine_wrong = {
    .name = "wrong",
    .what = "naive, but forgets a visit",
    .batch = 1,
    .open = open_naive,
    .add = add_naive,
    .read = read_wrong,
    .close = close_naive,
};

static void *open_null(const struct bench_setup *setup)
{
    (void)setup;
    return bench_alloc(1, sizeof(uint64_t));
}

static void add_null(void *state, const struct bench_add *add)
{
    *(uint64_t *)state += add->user_id;
}

static void read_null(void *state, uint32_t user_id, struct bench_visits *ret_visits)
{
    *(uint64_t *)state += user_id;
    *ret_visits = (struct bench_visits){0};
}

const struct bench_engine bench_engine_null = {
    .name = "null",
    .what = "does nothing",
    .batch = 1,
    .open = open_null,
    .add = add_null,
    .read = read_null,
    .close = free,
};
