/* SPDX-License-Identifier: MIT */
/*
 * Reading a user without a lock: a sequence lock (Lameter, 2005; Boehm, 2012) on the entry's change
 * counter and the shard's structure counter. After some vain tries a writer takes the shard's lock;
 * a read-only store is busy.
 */
#ifndef RV_READ_H
#define RV_READ_H

#include "slot.h"
#include "version.h"

/*
 * A version of a user, and where it was found: as long as it is the same, so are the visits. The
 * structure counter belongs to it since a split or a renewal drops the entry of a user without
 * visits; one that comes back has another entry.
 */
struct rv_token {
    const struct rv_shard *sh;
    const struct rv_disk_entry *entry; /* NULL: none */
    uint64_t serial;                   /* of the opening */
    uint64_t structure;                /* of the shard */
    uint64_t line;                     /* the entry's first word: user and change counter */
    uint64_t epoch;
    uint64_t word; /* 0: no visits */
};

/*
 * Is it all as the token has it? The counter alone does not tell: it rises before the word is
 * published, and a ring that is free at once is overwritten after that.
 */
static inline bool rv_read_same(const struct rv_store *st, const struct rv_token *t)
{
    uint64_t epoch = 0;
    return rv_load_acquire(&t->sh->view->structure) == t->structure &&
           rv_load_acquire(&st->view->serial) == t->serial &&
           (!t->entry ||
            (rv_load_acquire((const uint64_t *)t->entry) == t->line &&
             rv_word_as_of(t->entry->version, st->as_of, &epoch) == t->word && epoch == t->epoch));
}

/* Is what was read before still true? */
static inline bool rv_read_known(const struct rv_store *st, const struct rv_token *t)
{
    return t->entry && rv_read_same(st, t);
}

/* What a read found: the newest `count` visits of a version. */
struct rv_found {
    const struct rv_store *st;
    uint64_t word; /* valid, not 0 */
    uint32_t user_id;
    uint32_t count;
};

/* Memory for views that grows as needed. */
struct rv_views {
    struct rv_view *at;
    size_t room;
};

/*
 * Takes what was found, by a walk or by rv_read_views(). It may be out of date: the caller forgets
 * what it made of it if it is called again. Never called for a user without visits.
 */
typedef VisitStatus rv_read_use(void *data, const struct rv_found *found);

/*
 * Reads the newest `limit` visits of a user (0: all). token: what was read, for rv_read_known();
 * with an empty token->word there are no visits.
 */
VisitStatus rv_read(struct rv_store *st, uint32_t user_id, uint32_t limit, struct rv_token *token,
                    rv_read_use *use, void *data);

/* All of it as views. */
VisitStatus rv_read_views(const struct rv_found *found, struct rv_views *views);

/* Enough views for `count`. */
VisitStatus rv_views_grow(struct rv_views *views, size_t count);

#endif
