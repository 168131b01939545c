/* SPDX-License-Identifier: MIT */
#include "cache.h"

#include <errno.h>
#include <stdlib.h>

/* A user in the cache: in a hash bucket and in the list of all, the latest first. */
struct seat {
    struct rv_result result;
    uint32_t user_id;
    uint32_t next_in_bucket; /* NONE: the last */
    uint32_t newer;
    uint32_t older;
};

#define NONE UINT32_MAX

struct rv_cache {
    uint32_t users;
    uint32_t used;
    uint32_t newest;
    uint32_t oldest;
    uint32_t mask;
    uint32_t *bucket;
    struct rv_views views; /* memory for the reading */
    struct seat seat[];
};

VisitStatus rv_cache_make(uint32_t users, struct rv_cache **ret_cache)
{
    uint32_t buckets = 1;
    while (buckets < users) {
        buckets *= 2;
    }
    struct rv_cache *cache = calloc(1, sizeof *cache + users * sizeof cache->seat[0]);
    uint32_t *bucket = malloc(buckets * sizeof *bucket);
    if (!cache || !bucket) {
        free(cache);
        free(bucket);
        return rv_fail_errno(NULL, "read", ENOMEM);
    }
    memset(bucket, 0xff, buckets * sizeof *bucket);
    cache->users = users;
    cache->newest = NONE;
    cache->oldest = NONE;
    cache->mask = buckets - 1;
    cache->bucket = bucket;
    *ret_cache = cache;
    return VISIT_OK;
}

void rv_cache_free(struct rv_cache *cache)
{
    for (uint32_t i = 0; i < cache->used; i++) {
        rv_result_free(&cache->seat[i].result);
    }
    free(cache->views.at);
    free(cache->bucket);
    free(cache);
}

static uint32_t *bucket_of(struct rv_cache *cache, uint32_t user_id)
{
    return &cache->bucket[(user_id * UINT32_C(0x9e3779b1) >> 16) & cache->mask];
}

static void unlink_seat(struct rv_cache *cache, uint32_t i)
{
    struct seat *seat = &cache->seat[i];
    *(seat->newer == NONE ? &cache->newest : &cache->seat[seat->newer].older) = seat->older;
    *(seat->older == NONE ? &cache->oldest : &cache->seat[seat->older].newer) = seat->newer;
}

static void put_first(struct rv_cache *cache, uint32_t i)
{
    cache->seat[i].newer = NONE;
    cache->seat[i].older = cache->newest;
    *(cache->newest == NONE ? &cache->oldest : &cache->seat[cache->newest].newer) = i;
    cache->newest = i;
}

/* The seat for a user that has none: a new one, or that of the user read longest ago. */
static uint32_t new_seat(struct rv_cache *cache, uint32_t user_id)
{
    uint32_t i = cache->used;
    if (i < cache->users) {
        cache->used++;
    } else {
        i = cache->oldest;
        unlink_seat(cache, i);
        uint32_t *p = bucket_of(cache, cache->seat[i].user_id);
        while (*p != i) {
            p = &cache->seat[*p].next_in_bucket;
        }
        *p = cache->seat[i].next_in_bucket;
        cache->seat[i].result.token = (struct rv_token){0};
    }
    uint32_t *bucket = bucket_of(cache, user_id);
    cache->seat[i].user_id = user_id;
    cache->seat[i].next_in_bucket = *bucket;
    *bucket = i;
    put_first(cache, i);
    return i;
}

VisitStatus rv_cache_get(struct rv_cache *cache, struct rv_store *st, uint32_t user_id,
                         struct rv_result **ret_result)
{
    uint32_t i = *bucket_of(cache, user_id);
    while (i != NONE && cache->seat[i].user_id != user_id) {
        i = cache->seat[i].next_in_bucket;
    }
    if (i == NONE) {
        i = new_seat(cache, user_id);
    } else if (i != cache->newest) {
        unlink_seat(cache, i);
        put_first(cache, i);
    }
    *ret_result = &cache->seat[i].result;
    return rv_result_read(*ret_result, &cache->views, st, user_id, 0);
}
