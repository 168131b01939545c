/* SPDX-License-Identifier: MIT */
/*
 * What several members have added to a store at once.
 *
 * In which order the store got adds of different members is not known, but those of one member came
 * one after the other. So of a user there must be the newest ones of each member, without a gap.
 */
#ifndef BENCH_LEDGER_H
#define BENCH_LEDGER_H

#include "engine.h"

struct bench_ledger {
    uint32_t users, max_visits, lanes; /* a lane is a member */
    uint64_t *adds;                    /* of each user */
    uint32_t *counts;                  /* of each user and lane */
    uint32_t *ids;                     /* of each user and lane the newest N, in a circle */
    void *memory;
    size_t size;
};

/** In memory that processes share; what is not used takes none. */
void bench_ledger_init(struct bench_ledger *ledger, const struct bench_workload *workload,
                       uint32_t lanes);
void bench_ledger_free(struct bench_ledger *ledger);

/** A member added a visit. */
void bench_ledger_note(struct bench_ledger *ledger, uint32_t user_id, uint32_t lane,
                       uint32_t visit_id);

/**
 * Dies unless each user of a store has as many visits as were added, at most N; of each member the
 * newest in order; with the strings that the workload gives the add of that number.
 */
void bench_ledger_check(const struct bench_ledger *ledger, const struct bench_engine *engine,
                        void *store, const struct bench_workload *workload);

#endif
