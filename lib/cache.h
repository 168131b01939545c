/* SPDX-License-Identifier: MIT */
/*
 * The read cache: results that threads have been given, the last so many users of each thread.
 *
 * A result stays in its place until its user changes or until the thread has read that many others
 * since it was last handed out.
 */
#ifndef RV_CACHE_H
#define RV_CACHE_H

#include "result.h"

struct rv_cache;

VisitStatus rv_cache_make(uint32_t users, struct rv_cache **ret_cache);
void rv_cache_free(struct rv_cache *cache);

/* A user's visits, from the cache if they are unchanged. */
VisitStatus rv_cache_get(struct rv_cache *cache, struct rv_store *st, uint32_t user_id,
                         const struct rv_result **ret_result);

#endif
