/* SPDX-License-Identifier: MIT */
/* What a store has to contain, held in plain arrays: the store is compared with this. */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recent_visits.h"

struct model_visit {
    uint32_t id;
    int64_t time_ns;
    char *url;
    char *text;
    size_t url_length;
    size_t text_length;
};

struct model_user {
    uint32_t id;
    bool used; /* this line of the table is taken */
    size_t count;
    size_t capacity;
    struct model_visit *visits; /* newest first */
};

struct model {
    size_t limit;
    size_t known;    /* users in the table, with or without visits */
    size_t lines;    /* of the table, a power of two */
    size_t users;    /* that have visits */
    uint64_t visits; /* of all users */
    uint64_t bytes;  /* of all strings */
    struct model_user *table;
};

void model_init(struct model *model, size_t limit);
void model_free(struct model *model);

/* A user, or NULL if nothing was ever added to that one. Valid until the next add. */
struct model_user *model_find(const struct model *model, uint32_t user_id);

/* Whether the user has that visit. */
bool model_has(const struct model *model, uint32_t user_id, uint32_t visit_id);

/* Adds a visit at a time, by the rules of VisitManagerAdd(). The input's own time does not count.
 * An ordinary add is one whose time is not below the user's newest. */
void model_add(struct model *model, const VisitInput *input, int64_t time_ns);

/* Removes visits; returns how many were there. */
size_t model_remove(struct model *model, uint32_t user_id, const uint32_t *ids, size_t count);
void model_clear(struct model *model, uint32_t user_id);

/* A limit that holds from now on: each user keeps the newest. */
void model_set_limit(struct model *model, size_t limit);

#endif
