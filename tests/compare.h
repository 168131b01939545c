/* SPDX-License-Identifier: MIT */
/* Holds a store against the model, through every call that reads. */
#ifndef TESTS_COMPARE_H
#define TESTS_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model.h"
#include "recent_visits.h"

/* All of these print the first difference and return false. A limit of 0 stands for all. */

/* While true nothing is printed: for one who asks which of two models fits. */
extern bool compare_quiet;

/* One user, through VisitManagerGetRecentVisits(), VisitReaderGet() and VisitReaderGetPacked(). */
bool compare_user(VisitManager *manager, VisitReader *reader, const struct model *model,
                  uint32_t user_id, size_t limit);

/* The users and their counts, through an iteration. */
bool compare_users(VisitManager *manager, const struct model *model);

/* The figures that the model knows: users, visits, limit. */
bool compare_stats(VisitManager *manager, const struct model *model);

/* All of it, for every user. */
bool compare_all(VisitManager *manager, const struct model *model);

/* Verifies the store; prints what is found. */
bool compare_verify(VisitManager *manager);

#endif
