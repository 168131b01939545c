/* SPDX-License-Identifier: MIT */
/* Results of a read: arrays of Visit, and the packed form. */
#ifndef RV_RESULT_H
#define RV_RESULT_H

#include "read.h"

struct rv_result {
    struct rv_token token; /* what was read */
    Visit *visits;
    Visit **pointers;
    size_t count;
    size_t room;
    char *copy; /* the strings, where they may not point into the mapping */
    size_t copy_room;
};

/* Reads a user's newest visits (limit 0: all), unless they are the ones that are there already.
 * views is memory for the reading. */
VisitStatus rv_result_read(struct rv_result *result, struct rv_views *views, struct rv_store *st,
                           uint32_t user_id, uint32_t limit);

void rv_result_free(struct rv_result *result);

/* One buffer: an array of VisitPacked, then the strings. */
struct rv_packed {
    char *buffer;
    size_t room;
    size_t size;
    size_t count;
};

VisitStatus rv_packed_read(struct rv_packed *packed, struct rv_views *views, struct rv_store *st,
                           uint32_t user_id, uint32_t limit);

void rv_packed_free(struct rv_packed *packed);

#endif
