/* SPDX-License-Identifier: MIT */
#include "read.h"

#include "index.h"
#include "lock.h"
#include "version.h"

#include <errno.h>
#include <stdlib.h>

#define TRIES 16u
#define BACK_OFF_FIRST 8u /* pauses */
#define BACK_OFF_MOST 256u

VisitStatus rv_views_grow(struct rv_views *views, size_t count)
{
    if (count <= views->room) {
        return VISIT_OK;
    }
    struct rv_view *more = realloc(views->at, count * sizeof *more);
    if (!more) {
        return rv_fail_errno(NULL, "read", ENOMEM);
    }
    views->at = more;
    views->room = count;
    return VISIT_OK;
}

/* One try: what is read, and with what. */
struct attempt {
    struct rv_store *st;
    uint64_t hash;
    uint32_t user_id;
    uint32_t limit;
    struct rv_token token;
};

VisitStatus rv_read_views(const struct rv_found *found, struct rv_views *views)
{
    uint32_t count;
    VisitStatus status = rv_views_grow(views, found->count);
    return status ? status
                  : rv_slot_collect(found->st, found->st->file.ro, found->user_id, found->word,
                                    found->count, views->at, &count);
}

/* After a failed sync the system may have brought old pages back: do not guess. */
static VisitStatus check_all(const struct rv_found *found)
{
    struct rv_walk walk = rv_walk_begin(found->st, found->st->file.ro, found->user_id, found->word);
    struct rv_view view;
    for (uint32_t i = 0; i < found->count; i++) {
        if (!rv_walk_next(&walk, &view)) {
            return rv_walk_broken(found->st, walk.outside, view.slot);
        }
        if (!rv_slot_checksum_holds(&view)) {
            return rv_corrupt(found->st, rv_slot_offset(found->st, view.slot),
                              "a visit's checksum is wrong");
        }
    }
    return VISIT_OK;
}

static VisitStatus collect(const struct attempt *a, rv_read_use *use, void *data)
{
    uint32_t count = rv_word_count(a->token.word);
    uint32_t most = a->st->limit < a->limit ? a->st->limit : a->limit;
    if (!rv_slot_word_valid(a->st, a->token.word)) {
        return rv_corrupt(a->st, (const uint8_t *)a->token.entry - a->st->file.ro,
                          "a user's ring lies outside the file");
    }
    struct rv_found found = {
        .st = a->st,
        .word = a->token.word,
        .user_id = a->user_id,
        .count = count < most ? count : most,
    };
    rv_slot_prefetch(a->st, found.word, found.count);
    VisitStatus status = rv_load(&a->st->view->failed) ? check_all(&found) : VISIT_OK;
    return status ? status : use(data, &found);
}

/* For a reader the one at which it found out what counts: as_of and segments are of that. */
static uint64_t serial_of(const struct rv_store *st)
{
    uint64_t serial = rv_load_acquire(&st->view->serial);
    return st->file.read_only ? st->serial : serial;
}

static VisitStatus try_read(struct attempt *a, rv_read_use *use, void *data)
{
    struct rv_token *t = &a->token;
    t->entry = NULL;
    t->word = 0;
    t->serial = serial_of(a->st);
    t->structure = rv_load_acquire(&t->sh->view->structure);
    VisitStatus status = rv_index_lookup(a->st, t->sh, a->hash, a->user_id, &t->entry);
    if (status || !t->entry) {
        return status;
    }
    t->line = rv_load_acquire((const uint64_t *)t->entry);
    t->word = rv_word_as_of(t->entry->version, a->st->as_of, &t->epoch);
    return t->word ? collect(a, use, data) : VISIT_OK;
}

static VisitStatus read_locked(struct attempt *a, rv_read_use *use, void *data)
{
    struct rv_shard *sh = &a->st->shard[a->token.sh->index];
    VisitStatus status = rv_lock_shard(a->st, sh);
    if (!status) {
        status = try_read(a, use, data);
        rv_unlock_shard(a->st, sh);
    }
    return status;
}

/* A try that nothing overtook: what was read before it was looked at again. */
static bool try_holds(const struct attempt *a)
{
    rv_fence_acquire();
    return rv_read_same(a->st, &a->token);
}

/* Leaves the core to others for a moment. */
static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ volatile("yield");
#endif
}

/*
 * Whoever adds to a user must fetch each line back that a reader has looked at: readers of a user
 * who changes all the time wait between their tries, twice as long each time (Anderson, 1990).
 */
static void back_off(unsigned *pauses)
{
    for (unsigned i = 0; i < *pauses; i++) {
        relax();
    }
    *pauses = *pauses < BACK_OFF_MOST ? *pauses * 2 : BACK_OFF_MOST;
}

/* After a vain try: waits for a writer, or looks at the store anew, or gives up. */
static VisitStatus try_harder(struct attempt *a, VisitStatus status, rv_read_use *use, void *data)
{
    struct rv_store *st = a->st;
    unsigned pauses = BACK_OFF_FIRST;
    for (unsigned i = 1; i < TRIES; i++) {
        if (status == VISIT_ERROR_NO_MEMORY) {
            return status;
        }
        if (!try_holds(a)) {
            back_off(&pauses);
        }
        if (rv_others_write(st) && status == VISIT_ERROR_CORRUPT) {
            /* Perhaps the file has grown since. */
            VisitStatus refreshed = rv_file_refresh(&st->file);
            if (refreshed) {
                return refreshed;
            }
        }
        status = try_read(a, use, data);
        if (try_holds(a) && status != VISIT_ERROR_CORRUPT) {
            return status;
        }
    }
    if (!st->file.read_only) {
        return read_locked(a, use, data);
    }
    if (rv_opened_since(st)) {
        return rv_fail(VISIT_ERROR_BUSY, st->file.path,
                       "a writer has opened it during the call; try again");
    }
    if (!try_holds(a)) {
        return rv_fail(VISIT_ERROR_BUSY, st->file.path,
                       "user %u changes faster than it can be read; try again", a->user_id);
    }
    return status;
}

VisitStatus rv_read(struct rv_store *st, uint32_t user_id, uint32_t limit, struct rv_token *token,
                    rv_read_use *use, void *data)
{
    struct attempt a = {
        .st = st,
        .hash = rv_hash(st, user_id),
        .user_id = user_id,
        .limit = limit ? limit : UINT32_MAX,
    };
    a.token.sh = rv_shard_of(st, a.hash);
    VisitStatus status = try_read(&a, use, data);
    if (!try_holds(&a) || status == VISIT_ERROR_CORRUPT) {
        status = try_harder(&a, status, use, data);
        if (status >= 0) {
            rv_clear_error();
        }
    }
    if (status >= 0) {
        *token = a.token;
    }
    return status;
}
