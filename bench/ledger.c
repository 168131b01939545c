/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

void bench_ledger_init(struct bench_ledger *ledger, const struct bench_workload *workload,
                       uint32_t lanes)
{
    *ledger = (struct bench_ledger){
        .users = (uint32_t)workload->options.users,
        .max_visits = (uint32_t)workload->options.max_visits,
        .lanes = lanes,
    };
    size_t adds = ledger->users * sizeof(*ledger->adds);
    size_t counts = (size_t)ledger->users * lanes * sizeof(*ledger->counts);
    ledger->size = adds + counts + counts * ledger->max_visits;
    ledger->memory = bench_alloc_shared(ledger->size);
    ledger->adds = ledger->memory;
    ledger->counts = (uint32_t *)((char *)ledger->memory + adds);
    ledger->ids = (uint32_t *)((char *)ledger->memory + adds + counts);
}

void bench_ledger_free(struct bench_ledger *ledger)
{
    bench_free_shared(ledger->memory, ledger->size);
}

static uint32_t *id_at(const struct bench_ledger *ledger, size_t place, uint32_t number)
{
    return &ledger->ids[place * ledger->max_visits + number % ledger->max_visits];
}

static size_t place_of(const struct bench_ledger *ledger, uint32_t user_id, uint32_t lane)
{
    return (size_t)user_id * ledger->lanes + lane;
}

void bench_ledger_note(struct bench_ledger *ledger, uint32_t user_id, uint32_t lane,
                       uint32_t visit_id)
{
    size_t place = place_of(ledger, user_id, lane);
    *id_at(ledger, place, ledger->counts[place]++) = visit_id;
    ledger->adds[user_id]++;
}

/* Takes the visit off a lane whose newest visit it is; left: how many each lane still has. */
static bool take(const struct bench_ledger *ledger, uint32_t user_id, uint32_t visit_id,
                 uint32_t *left)
{
    for (uint32_t lane = 0; lane < ledger->lanes; lane++) {
        size_t place = place_of(ledger, user_id, lane);
        if (left[lane] > 0 && *id_at(ledger, place, left[lane] - 1) == visit_id) {
            left[lane]--;
            return true;
        }
    }
    return false;
}

static void check_strings(const struct bench_engine *engine, uint32_t user_id, const Visit *visit,
                          const struct bench_workload *workload)
{
    struct bench_add add;
    bench_workload_strings(workload, visit->visit_id, &add);
    if (strcmp(visit->url, add.url.bytes) != 0 || strcmp(visit->text, add.text.bytes) != 0)
        bench_die("%s: visit %" PRIu32 " of user %" PRIu32 " has other strings", engine->name,
                  visit->visit_id, user_id);
}

static void check_user(const struct bench_ledger *ledger, const struct bench_engine *engine,
                       uint32_t user_id, const struct bench_visits *visits,
                       const struct bench_workload *workload, uint32_t *left)
{
    uint64_t added = ledger->adds[user_id];
    uint64_t expected = added < ledger->max_visits ? added : ledger->max_visits;
    if (visits->count != expected)
        bench_die("%s: user %" PRIu32 " has %zu visits, not %" PRIu64, engine->name, user_id,
                  visits->count, expected);
    memcpy(left, &ledger->counts[place_of(ledger, user_id, 0)], ledger->lanes * sizeof(*left));
    for (size_t i = 0; i < visits->count; i++) {
        Visit visit = bench_visit_at(visits, i);
        if (!take(ledger, user_id, visit.visit_id, left))
            bench_die("%s: user %" PRIu32 " has visit %" PRIu32 " where another should be",
                      engine->name, user_id, visit.visit_id);
        check_strings(engine, user_id, &visit, workload);
    }
}

void bench_ledger_check(const struct bench_ledger *ledger, const struct bench_engine *engine,
                        void *store, const struct bench_workload *workload)
{
    uint32_t *left = bench_alloc(ledger->lanes, sizeof(*left));
    void *session = bench_engine_begin(engine, store);
    for (uint32_t user_id = 0; user_id < ledger->users; user_id++) {
        struct bench_visits visits;
        engine->read(session, user_id, &visits);
        check_user(ledger, engine, user_id, &visits, workload, left);
    }
    bench_engine_end(engine, session);
    free(left);
}
