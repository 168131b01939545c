/* SPDX-License-Identifier: MIT */
/*
 * A group is lines of one user that follow each other in the input. An export has a user's newest
 * visit first, but visits are added oldest first: that is quick, and keeps the order of those
 * of equal time, as the store takes the one that was added last for the newest. So a group is
 * gathered whole, ordered by time (of equal times the upper line is the newer), cut to as many as
 * the store keeps, and added in reverse.
 */
#ifndef RVDUMP_GROUP_H
#define RVDUMP_GROUP_H

#include "batch.h"

struct group;

/* limit: how many visits the store keeps for a user. NULL after a message. */
struct group *group_new(struct batch *batch, uint32_t limit);
void group_free(struct group *group);

/* Copies a visit into the group; one of another user first ends the group. Returns an exit code. */
int group_add(struct group *group, const struct record *record);

/* Ends the group: all that is in it goes to the batch. Returns an exit code. */
int group_end(struct group *group);

/* Visits that were cut off or had a visit id again; they count as taken. */
uint64_t group_left_out(const struct group *group);

#endif
