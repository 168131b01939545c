/* SPDX-License-Identifier: MIT */
/* Adds to and reads from stores and from floors below them; see README.md. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "figures.h"
#include "run.h"

struct arguments {
    struct bench_common common;
    double scale;
    uint64_t latency_passes, slot_bytes;
    const char *log;
    struct bench_workload_options workload;
};

static void parse_arguments(int count, char **values, struct arguments *a,
                            const struct bench_option *options)
{
    bench_options_parse(count, values,
                        "Times adds and reads of stores and of floors below them.\n"
                        "Engines: null naive floor-anon floor-huge floor-file floor-sync\n"
                        "librv librv-batch librv-nosync librv-nosync-batch librv-packed\n"
                        "lmdb sqlite rocksdb leveldb tdb tkrzw redis, each also with -batch; "
                        "peers: all these, batched: all with -batch.",
                        options);
    struct bench_workload_options *w = &a->workload;
    if (!(a->scale > 0))
        bench_die("--scale must be above 0");
    w->seed = a->common.seed;
    w->users = (uint64_t)((double)w->users * a->scale);
    w->adds = (uint64_t)((double)w->adds * a->scale);
    w->zipf_reads = (uint64_t)((double)w->zipf_reads * a->scale);
    w->uniform_reads = (uint64_t)((double)w->uniform_reads * a->scale);
    if (w->users < 2 || w->users > UINT32_MAX || w->max_visits == 0 || a->common.repetitions == 0)
        bench_die("too few users, visits or repetitions");
}

static double per(double sum, uint64_t count)
{
    return count ? sum / (double)count : 0;
}

static void take_times(struct bench_figures *figures, const struct bench_run *run)
{
    const struct bench_workload_options *w = &run->workload->options;
    const char *name = run->engine->name;
    const double *wall = run->phase_ns, *thread = run->thread_ns;
    bench_figure(figures, "", name, "add_ns", per(wall[BENCH_ADD], w->adds));
    bench_figure(figures, "", name, "read_zipf_ns", per(wall[BENCH_READ_ZIPF], w->zipf_reads));
    bench_figure(figures, "", name, "read_uniform_ns",
                 per(wall[BENCH_READ_UNIFORM], w->uniform_reads));
    bench_figure(figures, "", name, "read_cached_ns", run->cached_ns);
    bench_figure(figures, "", name, "add_thread_ns", per(thread[BENCH_ADD], w->adds));
    bench_figure(figures, "", name, "read_zipf_thread_ns",
                 per(thread[BENCH_READ_ZIPF], w->zipf_reads));
    bench_figure(figures, "", name, "read_uniform_thread_ns",
                 per(thread[BENCH_READ_UNIFORM], w->uniform_reads));
    bench_figure(figures, "", name, "add_user_ns", per(run->add_user_s * 1e9, w->adds));
    bench_figure(figures, "", name, "add_system_ns", per(run->add_system_s * 1e9, w->adds));
    bench_figure(figures, "", name, "add_faults", per((double)run->add_faults, w->adds));
    if (run->engine->sync)
        bench_figure(figures, "", name, "sync_s", wall[BENCH_SYNC] * 1e-9);
    bench_figure(figures, "", name, "close_s", wall[BENCH_CLOSE] * 1e-9);
}

static void take_space(struct bench_figures *figures, const struct bench_run *run)
{
    const struct bench_content *content = &run->content;
    const char *name = run->engine->name;
    bench_figure(figures, "", name, "users", (double)content->users);
    bench_figure(figures, "", name, "visits", (double)content->visits);
    bench_figure(figures, "", name, "visit_string_bytes",
                 per((double)content->string_bytes, content->visits));
    if (run->bytes)
        bench_figure(figures, "", name, "visit_stored_bytes",
                     per((double)run->bytes, content->visits));
}

static bool same_visits(const struct bench_run *a, const struct bench_run *b)
{
    return a->content.hash == b->content.hash && a->content.visits == b->content.visits &&
           a->sum_zipf == b->sum_zipf && a->sum_uniform == b->sum_uniform;
}

/* model: of the first engine that returns visits; false if run's differ. */
static bool check_visits(struct bench_run *model, const struct bench_run *run)
{
    if (run->engine == &bench_engine_null)
        return true;
    if (!model->engine)
        *model = *run;
    if (same_visits(model, run))
        return true;
    fprintf(stderr, "bench: %s returned other visits than %s\n", run->engine->name,
            model->engine->name);
    return false;
}

static struct bench_setup make_setup(const struct arguments *a,
                                     const struct bench_workload *workload)
{
    return (struct bench_setup){
        .folder = bench_folder_fresh("store"),
        .users = (uint32_t)workload->options.users,
        .max_visits = (uint32_t)workload->options.max_visits,
        .sessions = 1,
        .ids_repeat = workload->options.id_range != 0,
        .slot_bytes = (uint32_t)a->slot_bytes,
    };
}

static bool run_once(const struct arguments *a, const struct bench_engine *engine,
                     const struct bench_workload *workload, bool with_latency,
                     struct bench_figures *figures, struct bench_run *model)
{
    struct bench_run *run = bench_alloc(1, sizeof(*run));
    struct bench_setup setup = make_setup(a, workload);
    *run = (struct bench_run){.engine = engine, .setup = &setup, .workload = workload};
    bench_run_times(run);
    take_times(figures, run);
    take_space(figures, run);
    if (with_latency) {
        bench_folder_fresh("store");
        bench_run_latency(run);
        bench_figure_latency(figures, "", engine->name, "add", &run->latency);
    }
    bench_folder_fresh("store");
    bool agree = check_visits(model, run);
    free(run);
    return agree;
}

/* The first repetition as they are named, so are the figures; the others each in an order of its
 * own. */
static void mix(struct bench_engines *engines, uint64_t seed, size_t repetition)
{
    uint64_t state = seed + repetition;
    for (size_t i = engines->count; repetition > 0 && i > 1; i--) {
        size_t j = bench_random(&state) % i;
        const struct bench_engine *other = engines->list[j];
        engines->list[j] = engines->list[i - 1];
        engines->list[i - 1] = other;
    }
}

/*
 * In turns: a drift of the machine falls on all alike. In changing orders: what one leaves behind,
 * free memory and pages to be written, does not meet always the same one.
 */
static bool run_all(const struct arguments *a, const struct bench_engines *engines,
                    const struct bench_engines *once, const struct bench_workload *workload,
                    struct bench_figures *figures)
{
    bool agree = true;
    struct bench_run *model = bench_alloc(1, sizeof(*model));
    for (size_t r = 0; r < a->common.repetitions; r++) {
        struct bench_engines turn = *engines;
        mix(&turn, a->common.seed, r);
        for (size_t e = 0; e < turn.count; e++) {
            if (r > 0 && bench_engines_have(once, turn.list[e]))
                continue;
            fprintf(stderr, "repetition %zu of %" PRIu64 ": %s\n", r + 1, a->common.repetitions,
                    turn.list[e]->name);
            sync();
            agree &= run_once(a, turn.list[e], workload, r < a->latency_passes, figures, model);
        }
    }
    free(model);
    return agree;
}

/* Once without a record: a fresh virtual machine gives its first pages slowly. */
static void warm_up(const struct arguments *a, const struct bench_workload *workload)
{
    fprintf(stderr, "warming up\n");
    struct bench_run *run = bench_alloc(1, sizeof(*run));
    struct bench_setup setup = make_setup(a, workload);
    *run = (struct bench_run){.engine = &bench_engine_null, .setup = &setup, .workload = workload};
    if (a->workload.string_bytes == BENCH_MIXED)
        run->engine = &bench_engine_floor_anon;
    bench_run_times(run);
    free(run);
}

/* Every engine against the floors, single adds against single adds, batches against batches. */
static void take_ratios(struct bench_figures *figures, const struct bench_engines *engines)
{
    static const struct {
        const char *name, *floor;
    } ratios[] = {
        {"add_ns", "floor-file"},
        {"add_thread_ns", "floor-file"},
        {"read_zipf_ns", "floor-anon"},
        {"read_zipf_thread_ns", "floor-anon"},
        {"read_uniform_ns", "floor-anon"},
        {"read_uniform_thread_ns", "floor-anon"},
        {"visit_stored_bytes", "floor-file"},
    };
    for (size_t i = 0; i < sizeof(ratios) / sizeof(ratios[0]); i++) {
        for (size_t e = 0; e < engines->count; e++) {
            const struct bench_engine *engine = engines->list[e];
            const char *ours = engine->batch > 1 ? "librv-batch" : "librv";
            if (strcmp(engine->name, ratios[i].floor) != 0)
                bench_figures_ratio(figures, "", ratios[i].name, engine->name, ratios[i].floor);
            if (strncmp(engine->name, "floor", 5) != 0 && strncmp(engine->name, "librv", 5) != 0)
                bench_figures_ratio(figures, "", ratios[i].name, engine->name, ours);
        }
    }
}

int main(int argument_count, char **argument_values)
{
    struct arguments a = {
        .common = {.engines = "floor-anon,floor-file,librv,librv-batch",
                   .repetitions = 5,
                   .seed = 1},
        .scale = 1,
        .latency_passes = 1000,
        .workload = {.adds = 10000000,
                     .zipf_reads = 5000000,
                     .uniform_reads = 5000000,
                     .users = 1000000,
                     .max_visits = 10,
                     .string_bytes = BENCH_MIXED,
                     .skew = 0.99},
    };
    struct bench_workload_options *w = &a.workload;
    const struct bench_option options[] = {
        BENCH_COMMON_OPTIONS(&a.common),
        BENCH_ENGINES_OPTION(&a.common),
        BENCH_ONCE_OPTION(&a.common),
        {"scale", BENCH_REAL, &a.scale, "multiplies users, adds and reads"},
        {"users", BENCH_NUMBER, &w->users, "how many"},
        {"adds", BENCH_NUMBER, &w->adds, "how many"},
        {"zipf-reads", BENCH_NUMBER, &w->zipf_reads, "how many"},
        {"uniform-reads", BENCH_NUMBER, &w->uniform_reads, "how many"},
        {"visits", BENCH_NUMBER, &w->max_visits, "kept per user"},
        {"skew", BENCH_REAL, &w->skew, "zipf exponent"},
        {"id-range", BENCH_NUMBER, &w->id_range,
         "visit ids are random below K and so repeat; 0: they count up"},
        {"string-bytes", BENCH_NUMBER, &w->string_bytes,
         "bytes of url and text together; default: 20 to 100 and 10 to 80"},
        {"log", BENCH_TEXT, &a.log, "adds the requests of a web server's log instead"},
        {"latency", BENCH_NUMBER, &a.latency_passes,
         "repetitions that also time each add, in a pass of its own"},
        {"slot", BENCH_NUMBER, &a.slot_bytes, "librv: bytes of a slot; 0: its default"},
        {NULL, 0, NULL, NULL},
    };
    parse_arguments(argument_count, argument_values, &a, options);
    struct bench_figures *figures =
        bench_figures_new("visits", bench_folder_make(a.common.folder), options);
    struct bench_engines engines = {.count = 0};
    bench_engines_choose(&engines, a.common.engines, 0, figures);
    struct bench_engines once = {.count = 0};
    if (a.common.once)
        bench_engines_choose(&once, a.common.once, 0, figures);
    struct bench_workload workload;
    if (a.log)
        bench_workload_load(&workload, &a.workload, a.log);
    else
        bench_workload_make(&workload, &a.workload);
    warm_up(&a, &workload);
    bool agree = run_all(&a, &engines, &once, &workload, figures);
    take_ratios(figures, &engines);
    bench_figures_report(figures, a.common.json);
    bench_figures_free(figures);
    bench_workload_free(&workload);
    return agree ? 0 : 1;
}
