/* SPDX-License-Identifier: MIT */
/*
 * What the file tells of rings, index and limbo, and the library does not. Beside a writer the
 * figures are those of some moment each.
 */
#ifndef RVDUMP_SURVEY_H
#define RVDUMP_SURVEY_H

#include "histogram.h"
#include "image.h"

struct survey {
    struct histogram ring_fill;  /* visits of a ring, of its slots */
    struct histogram index_load; /* entries of a segment, of its lines */
    uint64_t empty_entries;      /* of users without visits */
    uint64_t changes;            /* sum of all change counters */
    uint64_t limbo_runs;
    uint64_t limbo_slots;
    uint64_t hand_blocks;
};

/* Returns an exit code. */
int survey_take(struct image *image, struct survey *ret_survey);

#endif
