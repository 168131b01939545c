/* SPDX-License-Identifier: MIT */
/*
 * Several members, threads or processes, that add to and read from one store for some time.
 *
 * What a member does is drawn from a seed, so that afterwards it is known how many visits each user
 * was given.
 */
#ifndef BENCH_TEAM_H
#define BENCH_TEAM_H

#include "engine.h"
#include "histogram.h"
#include "ledger.h"

enum { BENCH_MEMBERS_MAX = 64 };

/** What a member does, and what it did. */
struct bench_member {
    uint32_t add_percent; /* of its operations; the rest are reads */
    uint64_t adds, reads;
    double seconds, thread_seconds;
    struct bench_histogram add_latency; /* if the team is timed */
};

struct bench_team {
    const struct bench_engine *engine;
    const struct bench_setup *setup;
    const struct bench_workload *workload;
    bool processes;    /* members are processes, and each opens the store */
    bool hot;          /* all operations are of user 0; else users come from zipf_users */
    bool timed;        /* each add takes a reading of the clock */
    double seconds;    /* how long */
    uint64_t seed;     /* another one for each run */
    uint64_t first_id; /* of the visits that are added */
    uint32_t members;
    struct bench_member *member; /* in memory that processes share: bench_team_new() */
};

/** Memory for members. */
struct bench_member *bench_team_new(void);
void bench_team_free(struct bench_member *member);

/**
 * Runs a team. store: open, NULL if members are processes; then somebody else must have it open,
 * and this process must not. Notes what each member added, and advances first_id.
 */
void bench_team_run(struct bench_team *team, void *store, struct bench_ledger *ledger);

/** Adds the workload's adds, as member 0. */
void bench_team_fill(const struct bench_engine *engine, void *store,
                     const struct bench_workload *workload, struct bench_ledger *ledger);

#endif
