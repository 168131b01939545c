/* SPDX-License-Identifier: MIT */
/* Adds that must be durable, and adds beside checkpoints; see README.md. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "counters.h"
#include "figures.h"
#include "pages.h"
#include "team.h"

enum { LIST_MAX = 8, CASE_BYTES = 80 };

struct arguments {
    struct bench_common common;
    const char *members, *paced_engines;
    double seconds, paced_seconds;
    uint64_t rate, interval_ms, rounds, round_adds;
    struct bench_workload_options workload;
    uint64_t member_list[LIST_MAX];
    size_t member_count;
};

static struct bench_setup make_setup(const struct arguments *a, uint32_t sessions)
{
    return (struct bench_setup){
        .folder = bench_folder_fresh("store"),
        .users = (uint32_t)a->workload.users,
        .max_visits = (uint32_t)a->workload.max_visits,
        .sessions = sessions,
        .checkpoint_ms = (int32_t)a->interval_ms,
    };
}

/* ---- acknowledged when durable ---- */

/* Before it gets durable, since filling would take long then; a store that can't be opened again
 * starts empty. */
static void fill_before(const struct bench_engine *engine, struct bench_setup *setup,
                        const struct bench_workload *workload, struct bench_ledger *ledger)
{
    if (!(engine->can & BENCH_LASTS))
        return;
    void *store = bench_engine_open(engine, setup);
    bench_team_fill(engine, store, workload, ledger);
    engine->close(store);
    sync(); /* what is left of it to be written falls on no add */
    setup->existing = true;
}

static void record_durable(const struct bench_team *team, uint64_t flushes,
                           struct bench_figures *figures)
{
    char name[CASE_BYTES];
    struct bench_histogram *all = bench_alloc(1, sizeof(*all));
    double rate = 0, adds = 0;
    for (uint32_t i = 0; i < team->members; i++) {
        adds += (double)team->member[i].adds;
        rate += (double)team->member[i].adds / team->member[i].seconds;
        bench_histogram_merge(all, &team->member[i].add_latency);
    }
    snprintf(name, sizeof(name), "durable threads=%" PRIu32, team->members);
    bench_figure(figures, name, team->engine->name, "adds_per_s", rate);
    bench_figure(figures, name, team->engine->name, "flushes_per_add",
                 adds > 0 ? (double)flushes / adds : 0);
    bench_figure_latency(figures, name, team->engine->name, "add", all);
    free(all);
}

static void run_durable(const struct arguments *a, const struct bench_engine *engine,
                        const struct bench_workload *workload, struct bench_figures *figures)
{
    struct bench_setup setup = make_setup(a, BENCH_MEMBERS_MAX);
    struct bench_ledger ledger;
    bench_ledger_init(&ledger, workload, BENCH_MEMBERS_MAX);
    fill_before(engine, &setup, workload, &ledger);
    setup.durable = true;
    void *store = bench_engine_open(engine, &setup);
    struct bench_team team = {
        .engine = engine,
        .setup = &setup,
        .workload = workload,
        .timed = true,
        .seconds = a->seconds,
        .seed = a->common.seed << 20,
        .first_id = workload->options.adds,
        .member = bench_team_new(),
    };
    for (uint32_t i = 0; i < BENCH_MEMBERS_MAX; i++)
        team.member[i].add_percent = 100;
    int device = bench_counters_device(setup.folder);
    for (size_t i = 0; i < a->member_count; i++) {
        struct bench_counters before, after;
        team.members = (uint32_t)a->member_list[i];
        team.seed++;
        bench_counters_take(device, &before);
        bench_team_run(&team, store, &ledger);
        bench_counters_take(device, &after);
        record_durable(&team, after.device_flushes - before.device_flushes, figures);
    }
    if (device >= 0)
        close(device);
    bench_ledger_check(&ledger, engine, store, workload);
    engine->close(store);
    bench_team_free(team.member);
    bench_ledger_free(&ledger);
}

/* ---- a steady rate, beside checkpoints ---- */

/* Syncs a store at intervals, as librv does by itself. */
struct syncer {
    const struct bench_engine *engine;
    void *store;
    uint64_t interval_ms;
    pthread_t thread;
    atomic_bool stop;
};

static void *sync_at_intervals(void *opaque)
{
    struct syncer *syncer = opaque;
    int64_t next = bench_now_ns();
    while (!atomic_load(&syncer->stop)) {
        usleep(1000);
        if (bench_now_ns() < next)
            continue;
        bench_engine_sync(syncer->engine, syncer->store);
        next = bench_now_ns() + (int64_t)syncer->interval_ms * 1000000;
    }
    return NULL;
}

static void start_syncer(struct syncer *syncer)
{
    if (!(syncer->engine->can & BENCH_SYNCS) &&
        pthread_create(&syncer->thread, NULL, sync_at_intervals, syncer) != 0)
        bench_die("can't start a thread");
}

static void stop_syncer(struct syncer *syncer)
{
    atomic_store(&syncer->stop, true);
    if (!(syncer->engine->can & BENCH_SYNCS))
        pthread_join(syncer->thread, NULL);
}

/* The i-th add after the store was filled. */
static struct bench_add later_add(const struct bench_workload *workload, uint64_t i)
{
    uint64_t number = workload->options.adds + i;
    struct bench_add add = {
        .user_id = workload->zipf_users[i % workload->options.zipf_reads],
        .visit_id = (uint32_t)number,
    };
    bench_workload_strings(workload, number, &add);
    return add;
}

/* All later adds are there. */
static void check_later(const struct bench_engine *engine, void *store,
                        const struct bench_workload *workload, struct bench_ledger *ledger,
                        uint64_t adds)
{
    for (uint64_t i = 0; i < adds; i++) {
        struct bench_add add = later_add(workload, i);
        bench_ledger_note(ledger, add.user_id, 0, add.visit_id);
    }
    bench_ledger_check(ledger, engine, store, workload);
}

/* Adds one after the other, the i-th not before its time. The response time counts from when it
 * was due, so that what waits behind a slow one is slow too; the service time is the call alone. */
static uint64_t add_at_rate(const struct bench_engine *engine, void *session,
                            const struct bench_workload *workload, const struct arguments *a,
                            struct bench_histogram *response, struct bench_histogram *service)
{
    uint64_t adds = (uint64_t)(a->paced_seconds * (double)a->rate);
    int64_t start = bench_now_ns();
    for (uint64_t i = 0; i < adds; i++) {
        struct bench_add add = later_add(workload, i);
        int64_t due = start + (int64_t)((double)i * 1e9 / (double)a->rate);
        int64_t begun;
        while ((begun = bench_now_ns()) < due)
            ;
        engine->add(session, &add);
        int64_t done = bench_now_ns();
        bench_histogram_record(response, (uint64_t)(done - due));
        bench_histogram_record(service, (uint64_t)(done - begun));
    }
    return adds;
}

static void run_paced(const struct arguments *a, const struct bench_engine *engine,
                      const struct bench_workload *workload, struct bench_figures *figures)
{
    struct bench_setup setup = make_setup(a, 1);
    struct bench_ledger ledger;
    bench_ledger_init(&ledger, workload, 1);
    struct bench_histogram *response = bench_alloc(2, sizeof(*response)), *service = response + 1;
    void *store = bench_engine_open(engine, &setup);
    bench_team_fill(engine, store, workload, &ledger);
    bench_engine_sync(engine, store);
    void *session = bench_engine_begin(engine, store);
    struct syncer syncer = {.engine = engine, .store = store, .interval_ms = a->interval_ms};
    start_syncer(&syncer);
    uint64_t added = add_at_rate(engine, session, workload, a, response, service);
    stop_syncer(&syncer);
    bench_engine_end(engine, session);
    check_later(engine, store, workload, &ledger, added);
    engine->close(store);
    bench_figure_latency(figures, "paced", engine->name, "response", response);
    bench_figure_latency(figures, "paced", engine->name, "service", service);
    free(response);
    bench_ledger_free(&ledger);
}

/* ---- what a checkpoint writes ---- */

struct round {
    const struct bench_engine *engine;
    struct bench_figures *figures;
    const char *folder;
    int device;
    struct bench_pages before, after;
};

static void record_round(struct round *round, const struct bench_counters *counted, double seconds)
{
    const char *name = round->engine->name, *written = "checkpoint";
    double dirty = (double)bench_pages_changed(&round->before, &round->after);
    bench_figure(round->figures, written, name, "changed_pages", dirty);
    bench_figure(round->figures, written, name, "written_pages",
                 (double)counted->written_bytes / BENCH_PAGE);
    bench_figure(round->figures, written, name, "device_written_pages",
                 (double)counted->device_written_bytes / BENCH_PAGE);
    bench_figure(round->figures, written, name, "written_per_changed",
                 dirty > 0 ? (double)counted->written_bytes / BENCH_PAGE / dirty : 0);
    bench_figure(round->figures, written, name, "sync_ms", seconds * 1e3);
}

static void run_round(struct round *round, void *store, void *session,
                      const struct bench_workload *workload, uint64_t first, uint64_t adds)
{
    struct bench_counters before, after;
    bench_pages_take(&round->before, round->folder);
    bench_counters_take(round->device, &before);
    for (uint64_t i = first; i < first + adds; i++) {
        struct bench_add add = later_add(workload, i);
        round->engine->add(session, &add);
    }
    int64_t start = bench_now_ns();
    bench_engine_sync(round->engine, store);
    double seconds = (double)(bench_now_ns() - start) * 1e-9;
    bench_counters_take(round->device, &after);
    bench_pages_take(&round->after, round->folder);
    struct bench_counters counted = bench_counters_between(&before, &after);
    record_round(round, &counted, seconds);
}

static void run_rounds(const struct arguments *a, const struct bench_engine *engine,
                       const struct bench_workload *workload, struct bench_figures *figures)
{
    struct bench_setup setup = make_setup(a, 1);
    setup.checkpoint_ms = -1;
    struct bench_ledger ledger;
    bench_ledger_init(&ledger, workload, 1);
    void *store = bench_engine_open(engine, &setup);
    bench_team_fill(engine, store, workload, &ledger);
    bench_engine_sync(engine, store);
    void *session = bench_engine_begin(engine, store);
    struct round round = {
        .engine = engine,
        .figures = figures,
        .folder = setup.folder,
        .device = bench_counters_device(setup.folder),
    };
    for (uint64_t i = 0; i < a->rounds; i++)
        run_round(&round, store, session, workload, i * a->round_adds, a->round_adds);
    close(round.device);
    bench_pages_free(&round.before);
    bench_pages_free(&round.after);
    bench_engine_end(engine, session);
    check_later(engine, store, workload, &ledger, a->rounds * a->round_adds);
    engine->close(store);
    bench_ledger_free(&ledger);
}

/* ---- all ---- */

typedef void part_function(const struct arguments *a, const struct bench_engine *engine,
                           const struct bench_workload *workload, struct bench_figures *figures);

static void run_part(const struct arguments *a, part_function *part, const char *what,
                     const struct bench_engines *engines, const struct bench_workload *workload,
                     struct bench_figures *figures)
{
    for (uint64_t r = 0; r < a->common.repetitions; r++) {
        for (size_t e = 0; e < engines->count; e++) {
            fprintf(stderr, "%s: repetition %" PRIu64 " of %" PRIu64 ": %s\n", what, r + 1,
                    a->common.repetitions, engines->list[e]->name);
            part(a, engines->list[e], workload, figures);
        }
    }
    bench_folder_fresh("store");
}

static void run_all(const struct arguments *a, const struct bench_workload *workload,
                    struct bench_figures *figures)
{
    struct bench_engines durable = {.count = 0}, paced = {.count = 0};
    bench_engines_choose(&durable, a->common.engines, BENCH_DURABLE, figures);
    bench_engines_choose(&paced, a->paced_engines, 0, figures);
    if (a->member_count)
        run_part(a, run_durable, "durable", &durable, workload, figures);
    if (a->paced_seconds > 0)
        run_part(a, run_paced, "paced", &paced, workload, figures);
    if (a->rounds)
        run_part(a, run_rounds, "checkpoints", &paced, workload, figures);
}

int main(int argument_count, char **argument_values)
{
    struct arguments a = {
        .common = {.engines = "librv-packed,peers", .repetitions = 5, .seed = 1},
        .members = "1,8,64",
        .paced_engines = "librv,floor-file,lmdb",
        .seconds = 3,
        .paced_seconds = 10,
        .rate = 20000,
        .interval_ms = 1000,
        .rounds = 10,
        .round_adds = 20000,
        .workload = {.adds = 1000000,
                     .zipf_reads = 4000000,
                     .uniform_reads = 1,
                     .users = 100000,
                     .max_visits = 10,
                     .string_bytes = BENCH_MIXED,
                     .skew = 0.99},
    };
    struct bench_workload_options *w = &a.workload;
    const struct bench_option options[] = {
        BENCH_COMMON_OPTIONS(&a.common),
        BENCH_ENGINES_OPTION(&a.common),
        {"threads", BENCH_TEXT, &a.members, "that add durably at a time"},
        {"seconds", BENCH_REAL, &a.seconds, "of each of these runs"},
        {"paced-engines", BENCH_TEXT, &a.paced_engines, "for the rest"},
        {"rate", BENCH_NUMBER, &a.rate, "adds a second beside checkpoints"},
        {"interval", BENCH_NUMBER, &a.interval_ms, "milliseconds between checkpoints"},
        {"paced-seconds", BENCH_REAL, &a.paced_seconds, "of such a run; 0: none"},
        {"rounds", BENCH_NUMBER, &a.rounds, "checkpoints whose writes are counted"},
        {"round-adds", BENCH_NUMBER, &a.round_adds, "adds before each of them"},
        {"users", BENCH_NUMBER, &w->users, "how many"},
        {"adds", BENCH_NUMBER, &w->adds, "before anything is measured"},
        {NULL, 0, NULL, NULL},
    };
    bench_options_parse(argument_count, argument_values,
                        "Adds that must be durable, and adds beside checkpoints.", options);
    a.workload.seed = a.common.seed;
    a.member_count = bench_options_list(a.members, a.member_list, LIST_MAX);
    for (size_t i = 0; i < a.member_count; i++) {
        if (a.member_list[i] == 0 || a.member_list[i] > BENCH_MEMBERS_MAX)
            bench_die("1 to %d threads", BENCH_MEMBERS_MAX);
    }
    struct bench_figures *figures =
        bench_figures_new("durable", bench_folder_make(a.common.folder), options);
    struct bench_workload workload;
    bench_workload_make(&workload, w);
    run_all(&a, &workload, figures);
    bench_figures_report(figures, a.common.json);
    bench_figures_free(figures);
    bench_workload_free(&workload);
    return 0;
}
