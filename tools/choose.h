/* SPDX-License-Identifier: MIT */
/*
 * Which of a user's whole visits are brought back.
 */
#ifndef RVDUMP_CHOOSE_H
#define RVDUMP_CHOOSE_H

#include "rescue.h"

struct choice {
    bool proved;       /* the index says that these are the user's newest visits */
    uint32_t saved;    /* visits, the first ones of the array, oldest first */
    uint32_t lost;     /* proved: visits that are not whole */
    uint32_t left_out; /* unproved: whole ones, more than the limit */
};

/* visits: all whole ones of one user, which change places. owner: NULL if the index has none. */
void choose(const struct rescue *rescue, const struct owner *owner, struct found *visits,
            size_t count, struct choice *ret_choice);

#endif
