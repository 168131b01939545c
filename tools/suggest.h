/* SPDX-License-Identifier: MIT */
/*
 * Which slot size and how many shards would suit the visits that a store has.
 */
#ifndef RVDUMP_SUGGEST_H
#define RVDUMP_SUGGEST_H

#include "output.h"

#include <recent_visits.h>

enum { SLOT_SIZES = 6 }; /* 128 to 4096 */

struct suggest {
    uint32_t max_visits;
    uint64_t visits;
    uint64_t rings[33]; /* of 2^k slots */
    struct {
        uint64_t overflow_visits;
        uint64_t overflow_bytes;
    } with[SLOT_SIZES];
};

void suggest_take_user(struct suggest *suggest, size_t visits);
void suggest_take_visit(struct suggest *suggest, uint64_t string_bytes);

/* Writes the table and the suggestions, or them as JSON. False after a message. */
bool suggest_out(struct out *out, const struct suggest *suggest, const VisitStats *stats,
                 bool json);

#endif
