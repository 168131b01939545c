/* SPDX-License-Identifier: MIT */
/*
 * What can be proved of a damaged file: which slots hold a whole visit, and which of them are a
 * user's newest ones.
 *
 * A visit proves itself by its checksum. That it is still one of its user's is known from the
 * user's entry in the index: without that, a visit may as well be one that was removed, or the old
 * copy that a move has left.
 */
#ifndef RVDUMP_RESCUE_H
#define RVDUMP_RESCUE_H

#include "image.h"

/* A whole visit. */
struct found {
    int64_t time_ns;
    uint32_t slot;
    uint32_t prev; /* slot of the next older visit of its ring */
    uint32_t user_id;
    uint32_t visit_id;
    uint32_t seq;
    uint32_t rank;     /* 1: the newest of its user, by the index; 0: it is not there */
    uint32_t overflow; /* first slot of its overflow run; 0: none */
    uint32_t overflow_class;
    /* Of a user that the index does not know, see choose.c: */
    uint64_t ring;
    uint32_t age; /* how much older than the user's newest, in numbers of visits */
    bool current; /* it is in the ring in use */
};

/* What the index says of a user. */
struct owner {
    uint64_t word; /* 0: no visits */
    uint32_t user_id;
    uint32_t changes; /* change counter */
    bool sound;       /* nothing that is whole speaks against it */
    bool older;       /* it is not the newest version, which does not agree */
};

struct rescue {
    struct image *image;
    uint32_t limit; /* N */
    struct found *found;
    size_t found_count;
    size_t found_capacity;
    struct owner *owners; /* in ascending order of id, each user once */
    size_t owner_count;
    size_t owner_capacity;
    bool index_complete; /* as far as can be told: else there may be users of whom nothing is known
                          */
};

/* Visits of a ring that count: a limit that is larger now brings none back. */
static inline uint32_t rescue_visible(const struct rescue *rescue, uint64_t word)
{
    uint32_t count = image_visible(rescue->image, word);
    return count < rescue->limit ? count : rescue->limit;
}

/* Finds the whole visits, in the order of their slots. Returns an exit code. */
int rescue_find(struct rescue *rescue);

/* Finds the entries, and gives the visits that sound ones name their ranks. Returns an exit code.
 */
int rescue_find_owners(struct rescue *rescue);

void rescue_free(struct rescue *rescue);

/* Room for one more element; false if memory is short. */
bool rescue_grow(void **array, size_t size, size_t count, size_t *capacity);

#endif
