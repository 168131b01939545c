/* SPDX-License-Identifier: MIT */
#include "cache.h"

#include "index.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Seats are given out in turn, twice as many as users are promised. A result that was handed out
 * is found again as long as its seat is among the younger half; after that its user gets a new
 * seat. So whatever was handed out stays for as many other users as promised, with no list to
 * keep in order.
 *
 *   turn:  ... 40 | 41 42 43 44 | 45 46 47 48 |  next: 49, in the seat of 41
 *                    still valid   found again
 */
struct seat {
    struct rv_result result;
    uint64_t turn; /* when it was given out; 0: never */
    uint32_t user_id;
    uint32_t next; /* the seat that the bucket had before; one with a later turn is not of it */
};

struct rv_cache {
    uint64_t turn; /* the newest that was given out */
    uint32_t users;
    uint32_t next;        /* the seat of the next turn */
    uint32_t bucket_mask; /* a bucket has the seat that it was given last */
    uint32_t *bucket;
    struct rv_views views; /* memory for the reading */
    struct seat seat[];
};

VisitStatus rv_cache_make(uint32_t users, struct rv_cache **ret_cache)
{
    uint32_t buckets = 1;
    while (buckets < users * 2) {
        buckets *= 2;
    }
    struct rv_cache *cache = calloc(1, sizeof *cache + (size_t)users * 2 * sizeof cache->seat[0]);
    uint32_t *bucket = calloc(buckets, sizeof *bucket);
    if (!cache || !bucket) {
        free(cache);
        free(bucket);
        return rv_fail_errno(NULL, "read", ENOMEM);
    }
    cache->users = users;
    cache->bucket_mask = buckets - 1;
    cache->bucket = bucket;
    *ret_cache = cache;
    return VISIT_OK;
}

void rv_cache_free(struct rv_cache *cache)
{
    for (uint32_t i = 0; i < cache->users * 2; i++) {
        rv_result_free(&cache->seat[i].result);
    }
    free(cache->views.at);
    free(cache->bucket);
    free(cache);
}

/* The user's seat among the younger half; NULL: none. */
static struct seat *find_seat(struct rv_cache *cache, uint32_t bucket, uint32_t user_id)
{
    struct seat *seat = &cache->seat[bucket];
    uint64_t later = UINT64_MAX;
    while (seat->turn && seat->turn < later && cache->turn - seat->turn < cache->users) {
        if (seat->user_id == user_id) {
            return seat;
        }
        later = seat->turn;
        seat = &cache->seat[seat->next];
    }
    return NULL;
}

VisitStatus rv_cache_get(struct rv_cache *cache, struct rv_store *st, uint32_t user_id,
                         const struct rv_result **ret_result)
{
    uint64_t hash = rv_hash(st, user_id);
    uint32_t *bucket = &cache->bucket[hash >> 32 & cache->bucket_mask];
    struct seat *seat = find_seat(cache, *bucket, user_id);
    if (!seat) {
        rv_index_prefetch(st, st->file.ro, hash);
        seat = &cache->seat[cache->next];
        seat->next = *bucket;
        *bucket = cache->next;
        cache->next = cache->next + 1 < cache->users * 2 ? cache->next + 1 : 0;
        seat->turn = ++cache->turn;
        seat->user_id = user_id;
        seat->result.token = (struct rv_token){0};
    }
    *ret_result = &seat->result;
    return rv_result_read(&seat->result, &cache->views, st, user_id, 0);
}
