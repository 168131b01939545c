/* SPDX-License-Identifier: MIT */
/* Reads of stores that are larger than memory; see README.md. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "common.h"
#include "counters.h"
#include "figures.h"
#include "limit.h"

enum { PAGE = 4096, WARM_READS = 256, WARM_FACTOR = 4 };
/* Less would be too little for the process itself. */
#define MEMORY_MIN (UINT64_C(48) << 20)

struct arguments {
    struct bench_common common;
    uint64_t reads;
    double times;
    struct bench_workload_options workload;
};

/* What one read took. */
struct sample {
    double faults, pages, us;
};

/* One engine in one repetition. */
struct run {
    const struct bench_engine *engine;
    const struct bench_workload *workload;
    struct bench_setup setup;
    uint64_t bytes;
    bool limited;
    uint64_t reads;
    struct sample *samples; /* in shared memory */
};

/* Everybody's first visit, everybody's second one ...: each time in another order. */
static void fill(void *argument)
{
    struct run *run = argument;
    const struct bench_workload_options *o = &run->workload->options;
    void *store = bench_engine_open(run->engine, &run->setup);
    void *session = bench_engine_begin(run->engine, store);
    for (uint64_t i = 0; i < o->users * o->max_visits; i++) {
        uint64_t round = i / o->users, place = i % o->users;
        /* A bijection on the users, since the factor is a prime above all of them. */
        uint64_t user = (place * UINT64_C(4294967291) + round * UINT64_C(1000003)) % o->users;
        struct bench_add add = {.user_id = (uint32_t)user, .visit_id = (uint32_t)i};
        bench_workload_strings(run->workload, i, &add);
        run->engine->add(session, &add);
    }
    bench_engine_flush(run->engine, session);
    bench_engine_end(run->engine, session);
    bench_engine_sync(run->engine, store);
    run->bytes = bench_engine_bytes(run->engine, store, run->setup.folder);
    run->engine->close(store);
}

static volatile uint64_t sink; /* what was read has been used */

static void sample_read(const struct run *run, void *session, uint32_t user_id,
                        struct sample *ret_sample)
{
    struct bench_counters before, after;
    struct bench_visits visits;
    uint64_t times = 0;
    bench_counters_take(-1, &before);
    int64_t start = bench_now_ns();
    run->engine->read(session, user_id, &visits);
    sink = bench_touch(&visits, &times) + times;
    int64_t end = bench_now_ns();
    bench_counters_take(-1, &after);
    if (visits.count != run->workload->options.max_visits)
        bench_die("%s: user %" PRIu32 " has %zu visits", run->engine->name, user_id, visits.count);
    struct bench_counters counted = bench_counters_between(&before, &after);
    *ret_sample = (struct sample){
        .faults = (double)counted.major_faults,
        .pages = (double)counted.read_bytes / PAGE,
        .us = (double)(end - start) * 1e-3,
    };
}

/*
 * Reads until as much has come from the disk as the memory holds, so that what is measured has to
 * displace something, as in the long run; no more reads than would fill it several times over.
 */
static void fill_memory(const struct run *run, void *session)
{
    uint64_t random = run->workload->options.seed;
    uint64_t left = WARM_FACTOR * run->setup.memory_bytes / PAGE;
    struct bench_counters start, now;
    bench_counters_take(-1, &start);
    do {
        for (int i = 0; i < WARM_READS; i++) {
            struct bench_visits visits;
            uint64_t times = 0;
            uint64_t user = bench_random(&random) % run->workload->options.users;
            run->engine->read(session, (uint32_t)user, &visits);
            sink = bench_touch(&visits, &times);
        }
        left = left > WARM_READS ? left - WARM_READS : 0;
        bench_counters_take(-1, &now);
    } while (left && now.read_bytes - start.read_bytes < run->setup.memory_bytes);
}

static void read_cold(void *argument)
{
    struct run *run = argument;
    if (run->limited && !bench_limit_enter())
        bench_die("can't enter the group with limited memory");
    run->setup.existing = true;
    void *store = bench_engine_open(run->engine, &run->setup);
    void *session = bench_engine_begin(run->engine, store);
    const uint32_t *users = run->workload->uniform_users;
    if (run->limited)
        fill_memory(run, session);
    for (uint64_t i = 0; i < run->reads; i++)
        sample_read(run, session, users[i], &run->samples[i]);
    bench_engine_end(run->engine, session);
    run->engine->close(store);
}

static void record_series(struct bench_figures *figures, const char *engine, const char *name,
                          double *values, uint64_t count)
{
    char full[64];
    double sum = 0;
    for (uint64_t i = 0; i < count; i++)
        sum += values[i];
    snprintf(full, sizeof(full), "read_%s_mean", name);
    bench_figure(figures, "", engine, full, sum / (double)count);
    static const struct {
        const char *name;
        double share;
    } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}};
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        snprintf(full, sizeof(full), "read_%s_%s", name, quantiles[i].name);
        bench_figure(figures, "", engine, full, bench_quantile(values, count, quantiles[i].share));
    }
}

static void record(const struct run *run, struct bench_figures *figures, uint64_t memory)
{
    const char *name = run->engine->name;
    double *values = bench_alloc(run->reads, sizeof(*values));
    bench_figure(figures, "", name, "store_bytes", (double)run->bytes);
    bench_figure(figures, "", name, "memory_bytes", run->limited ? (double)memory : 0);
    for (uint64_t i = 0; i < run->reads; i++)
        values[i] = run->samples[i].faults;
    record_series(figures, name, "major_faults", values, run->reads);
    for (uint64_t i = 0; i < run->reads; i++)
        values[i] = run->samples[i].pages;
    record_series(figures, name, "pages", values, run->reads);
    for (uint64_t i = 0; i < run->reads; i++)
        values[i] = run->samples[i].us;
    record_series(figures, name, "us", values, run->reads);
    free(values);
}

static void run_engine(const struct arguments *a, const struct bench_engine *engine,
                       const struct bench_workload *workload, struct bench_figures *figures)
{
    size_t samples_size = a->reads * sizeof(struct sample);
    struct run run = {
        .engine = engine,
        .workload = workload,
        .setup = {.folder = bench_folder_fresh("store"),
                  .users = (uint32_t)workload->options.users,
                  .max_visits = (uint32_t)workload->options.max_visits,
                  .sessions = 1},
        .reads = a->reads,
        .samples = bench_alloc_shared(samples_size),
    };
    bench_in_child("fill", fill, &run, sizeof(run));
    bench_drop_caches(run.setup.folder);
    uint64_t memory = (uint64_t)((double)run.bytes / a->times);
    memory = memory < MEMORY_MIN ? MEMORY_MIN : memory;
    run.limited = bench_limit_make(memory);
    run.setup.memory_bytes = memory;
    if (!run.limited)
        bench_figures_note(figures, "memory", "could not be limited: caches were dropped before");
    bench_in_child(engine->name, read_cold, &run, sizeof(run));
    bench_limit_remove(getpid());
    record(&run, figures, memory);
    bench_free_shared(run.samples, samples_size);
    bench_folder_fresh("store");
}

int main(int argument_count, char **argument_values)
{
    struct arguments a = {
        .common = {.engines = "librv,peers", .repetitions = 5, .seed = 1},
        .reads = 5000,
        .times = 3,
        .workload = {.users = 250000, .max_visits = 10, .string_bytes = BENCH_MIXED, .skew = 0.99},
    };
    struct bench_workload_options *w = &a.workload;
    const struct bench_option options[] = {
        BENCH_COMMON_OPTIONS(&a.common),
        BENCH_ENGINES_OPTION(&a.common),
        BENCH_ONCE_OPTION(&a.common),
        {"users", BENCH_NUMBER, &w->users, "how many"},
        {"visits", BENCH_NUMBER, &w->max_visits, "of each"},
        {"reads", BENCH_NUMBER, &a.reads, "that are measured, of users at random"},
        {"times", BENCH_REAL, &a.times, "how many times as large as the memory a store is"},
        {NULL, 0, NULL, NULL},
    };
    bench_options_parse(argument_count, argument_values,
                        "Reads of stores that are larger than memory.", options);
    if (a.reads == 0 || w->users < 2 || w->max_visits == 0 || !(a.times > 0))
        bench_die("no reads, users or visits");
    w->seed = a.common.seed;
    w->uniform_reads = a.reads;
    struct bench_figures *figures =
        bench_figures_new("cold", bench_folder_make(a.common.folder), options);
    struct bench_engines engines = {.count = 0};
    bench_engines_choose(&engines, a.common.engines, BENCH_LASTS, figures);
    struct bench_engines once = {.count = 0};
    if (a.common.once)
        bench_engines_choose(&once, a.common.once, 0, figures);
    struct bench_workload workload;
    bench_workload_make(&workload, w);
    for (uint64_t r = 0; r < a.common.repetitions; r++) {
        for (size_t e = 0; e < engines.count; e++) {
            if (r > 0 && bench_engines_have(&once, engines.list[e]))
                continue;
            fprintf(stderr, "repetition %" PRIu64 " of %" PRIu64 ": %s\n", r + 1,
                    a.common.repetitions, engines.list[e]->name);
            run_engine(&a, engines.list[e], &workload, figures);
        }
    }
    bench_figures_report(figures, a.common.json);
    bench_figures_free(figures);
    bench_workload_free(&workload);
    return 0;
}
