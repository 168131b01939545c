/* SPDX-License-Identifier: MIT */
#include "read.h"

#include "index.h"
#include "lock.h"
#include "version.h"

#include <errno.h>
#include <stdlib.h>

#define TRIES 16u

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
    const struct rv_shard *sh;
    uint64_t hash;
    uint32_t user_id;
    uint32_t limit;
    const struct rv_disk_entry *entry; /* NULL: none */
    struct rv_token token;
};

static void load_version(struct attempt *a)
{
    uint64_t line = rv_load_acquire((const uint64_t *)a->entry);
    a->token.changes = (uint32_t)(line >> 32);
    a->token.word = rv_word_as_of(a->entry->version, a->st->as_of, &a->token.epoch);
}

/*
 * Did nothing move since the try began? The counter alone does not tell: it rises before the word
 * is published, and a ring that is free at once is overwritten after that.
 */
static bool holds(const struct attempt *a)
{
    uint64_t epoch = 0;
    rv_fence_acquire();
    return rv_load(&a->sh->view->structure) == a->token.structure &&
           rv_load(&a->st->view->serial) == a->token.serial &&
           (!a->entry || (rv_load((const uint64_t *)a->entry) ==
                              ((uint64_t)a->token.changes << 32 | a->user_id) &&
                          rv_word_as_of(a->entry->version, a->st->as_of, &epoch) == a->token.word &&
                          epoch == a->token.epoch));
}

static bool same(const struct rv_token *a, const struct rv_token *b)
{
    return a->word == b->word && a->epoch == b->epoch && a->changes == b->changes &&
           a->serial == b->serial && a->structure == b->structure;
}

static VisitStatus collect(struct attempt *a, struct rv_views *views, rv_read_use *use, void *data)
{
    uint32_t count = rv_word_count(a->token.word);
    uint32_t most = a->st->limit < a->limit ? a->st->limit : a->limit;
    count = count < most ? count : most;
    if (!rv_slot_word_valid(a->st, a->token.word)) {
        return rv_corrupt(a->st, (const uint8_t *)a->entry - a->st->file.ro,
                          "a user's ring lies outside the file");
    }
    rv_slot_prefetch(a->st, a->token.word, count);
    VisitStatus status = rv_views_grow(views, count);
    if (!status) {
        status = rv_slot_collect(a->st, a->user_id, a->token.word, count, views->at, &count);
    }
    /* After a failed sync the system may have brought old pages back: do not guess. */
    for (uint32_t i = 0; !status && i < count && rv_load(&a->st->view->failed); i++) {
        if (!rv_slot_checksum_holds(&views->at[i])) {
            status = rv_corrupt(a->st, rv_slot_offset(a->st, views->at[i].slot),
                                "a visit's checksum is wrong");
        }
    }
    return status ? status : use(data, views->at, count);
}

/* For a reader the one at which it found out what counts: as_of and segments are of that. */
static uint64_t serial_of(const struct rv_store *st)
{
    uint64_t serial = rv_load_acquire(&st->view->serial);
    return st->file.read_only ? st->serial : serial;
}

static VisitStatus try_read(struct attempt *a, const struct rv_token *known, struct rv_views *views,
                            rv_read_use *use, void *data)
{
    a->entry = NULL;
    a->token = (struct rv_token){.serial = serial_of(a->st)};
    a->token.structure = rv_load_acquire(&a->sh->view->structure);
    VisitStatus status = rv_index_lookup(a->st, a->sh, a->hash, a->user_id, &a->entry);
    if (status || !a->entry) {
        return status;
    }
    load_version(a);
    if (a->token.word && same(&a->token, known)) {
        return VISIT_END;
    }
    return a->token.word ? collect(a, views, use, data) : VISIT_OK;
}

static VisitStatus read_locked(struct attempt *a, const struct rv_token *known,
                               struct rv_views *views, rv_read_use *use, void *data)
{
    struct rv_shard *sh = &a->st->shard[a->sh->index];
    VisitStatus status = rv_lock_shard(a->st, sh);
    if (!status) {
        status = try_read(a, known, views, use, data);
        rv_unlock_shard(a->st, sh);
    }
    return status;
}

VisitStatus rv_read(struct rv_store *st, uint32_t user_id, uint32_t limit, struct rv_views *views,
                    struct rv_token *token, rv_read_use *use, void *data)
{
    uint64_t hash = rv_hash(st, user_id);
    struct attempt a = {
        .st = st,
        .sh = rv_shard_of(st, hash),
        .hash = hash,
        .user_id = user_id,
        .limit = limit ? limit : UINT32_MAX,
    };
    VisitStatus status = VISIT_OK;
    for (unsigned i = 0; i < TRIES; i++) {
        status = try_read(&a, token, views, use, data);
        if (holds(&a) && status != VISIT_ERROR_CORRUPT) {
            goto out;
        }
        if (status == VISIT_ERROR_NO_MEMORY) {
            return status;
        }
        if (rv_others_write(st) && status == VISIT_ERROR_CORRUPT) {
            /* Perhaps the file has grown since. */
            VisitStatus refreshed = rv_file_refresh(&st->file);
            if (refreshed) {
                return refreshed;
            }
        }
    }
    if (!st->file.read_only) {
        status = read_locked(&a, token, views, use, data);
    } else if (rv_load_acquire(&st->view->serial) != st->serial) {
        return rv_fail(VISIT_ERROR_BUSY, st->file.path,
                       "a writer has opened it during the call; try again");
    } else if (!holds(&a)) {
        return rv_fail(VISIT_ERROR_BUSY, st->file.path,
                       "user %u changes faster than it can be read; try again", user_id);
    }
out:
    if (status >= 0) {
        *token = a.token;
        rv_clear_error();
    }
    return status;
}
