/* SPDX-License-Identifier: MIT */
/*
 * What verification found, for people: findings of one rule together, those that cost visits first,
 * and what to do.
 */
#ifndef RVDUMP_FINDINGS_H
#define RVDUMP_FINDINGS_H

#include "output.h"

#include <recent_visits.h>

enum {
    FINDINGS_RULES = 29, /* one more than are known */
    FINDINGS_PLACES = 3, /* of a rule that are shown */
    FINDINGS_USERS = 10, /* that are shown */
};

struct place {
    uint64_t offset;
    uint32_t user_id;
    bool has_user;
    char message[256];
};

struct findings {
    uint64_t count[FINDINGS_RULES]; /* by the number of the rule */
    struct place places[FINDINGS_RULES][FINDINGS_PLACES];
    uint64_t users; /* findings of one user follow each other */
    uint32_t user_id[FINDINGS_USERS];
    uint32_t last_user;
};

void findings_take(struct findings *findings, const VisitFinding *finding);

/* Are visits lost, or may they be? */
bool findings_cost_visits(const struct findings *findings);

/* Writes them, and what to do with the store of that path. */
void findings_out(struct out *out, const struct findings *findings, const char *path);

#endif
