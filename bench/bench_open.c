/* SPDX-License-Identifier: MIT */
/* Times opening and closing of stores of several sizes; see README.md. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <recent_visits.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "counters.h"
#include "figures.h"
#include "format.h"

enum { STORES_MAX = 8, BATCH = 1000 };

struct store {
    char name[32]; /* in the report */
    char folder[PATH_MAX], path[PATH_MAX];
    uint32_t users;
    uint32_t next_id; /* of visits that are added before a kill */
    double gib;
};

struct arguments {
    struct bench_common common;
    const char *sizes;
    uint64_t visits, opens, kills, cuts, adds;
    struct store stores[STORES_MAX];
    size_t store_count;
    struct bench_figures *figures;
};

static void check(VisitStatus status, const char *what)
{
    if (status != VISIT_OK)
        bench_die("%s: %s", what, VisitLastError());
}

static VisitManager *open_store(const struct store *store, uint32_t create, uint64_t max_visits)
{
    VisitManager *manager;
    VisitOptions options = {
        .size = sizeof(options), .create = create, .max_visits = (uint32_t)max_visits};
    check(VisitManagerOpen(store->path, &options, &manager), "open");
    return manager;
}

static void close_store(VisitManager *manager)
{
    VisitManagerFree(manager);
    check(VisitLastStatus(), "close");
}

static void fill_input(VisitInput *input, uint32_t user_id, uint32_t visit_id)
{
    static const char url[] = "https://example.org/a/page/of/some/length?id=12345";
    static const char text[] = "The title of a page, as long as titles are";
    *input = (VisitInput){
        .user_id = user_id,
        .visit_id = visit_id,
        .url = url,
        .url_length = sizeof(url) - 1,
        .text = text,
        .text_length = sizeof(text) - 1,
    };
}

static void add_users(VisitManager *manager, uint32_t users, uint64_t visits)
{
    VisitInput batch[BATCH];
    size_t used = 0;
    for (uint64_t i = 0; i < users * visits; i++) {
        fill_input(&batch[used++], (uint32_t)(i / visits), (uint32_t)(i % visits));
        if (used == BATCH || i + 1 == users * visits) {
            check(VisitManagerAddMany(manager, batch, used, NULL), "add");
            used = 0;
        }
    }
}

static void make_store(struct store *store, const struct arguments *a)
{
    fprintf(stderr, "making a store of %" PRIu32 " users\n", store->users);
    VisitManager *manager = open_store(store, VISIT_MUST_NOT_EXIST, a->visits);
    add_users(manager, store->users, a->visits);
    close_store(manager);
    uint64_t bytes, allocated;
    bench_folder_bytes(store->folder, &bytes, &allocated);
    if (allocated < bytes)
        bench_die("the store has holes: %" PRIu64 " of %" PRIu64 " bytes are there", allocated,
                  bytes);
    store->gib = (double)bytes / (1 << 30);
    store->next_id = (uint32_t)a->visits;
    if (store->users == 0)
        snprintf(store->name, sizeof(store->name), "empty");
    else
        snprintf(store->name, sizeof(store->name), "%.2f GiB", store->gib);
    bench_figure(a->figures, "", store->name, "file_gib", store->gib);
}

static void record(const struct arguments *a, const struct store *store, const char *name,
                   double value)
{
    bench_figure(a->figures, "", store->name, name, value);
}

/* Opens and closes, and records both times; checks how the store was found. */
static double time_once(const struct arguments *a, const struct store *store, uint32_t state,
                        const char *open_name, const char *close_name)
{
    int64_t start = bench_now_ns();
    VisitManager *manager = open_store(store, VISIT_MUST_EXIST, 0);
    int64_t opened = bench_now_ns();
    VisitStats stats = {.size = sizeof(stats)};
    if (store->users <= 1 || state != VISIT_FOUND_CLEAN) {
        check(VisitManagerStats(manager, &stats), "stats");
        if (stats.state != state)
            bench_die("a store was found in state %" PRIu32 ", not %" PRIu32, stats.state, state);
    }
    int64_t closing = bench_now_ns();
    close_store(manager);
    record(a, store, open_name, (double)(opened - start) * 1e-3);
    record(a, store, close_name, (double)(bench_now_ns() - closing) * 1e-3);
    return (double)(opened - start) * 1e-9;
}

/* ---- kills and power cuts ---- */

/* Which user gets the i-th add before a kill. An empty store gets its only user. */
static uint32_t doomed_user(const struct store *store, uint64_t i, bool wide)
{
    return wide && store->users ? (uint32_t)(i * UINT64_C(2654435761) % store->users) : 0;
}

static _Noreturn void add_and_die(const struct store *store, uint64_t adds, bool wide)
{
    VisitManager *manager = open_store(store, VISIT_MUST_EXIST, 0);
    for (uint64_t i = 0; i < adds; i++) {
        VisitInput input;
        fill_input(&input, doomed_user(store, i, wide), store->next_id + (uint32_t)i);
        check(VisitManagerAdd(manager, &input), "add");
    }
    kill(getpid(), SIGKILL);
    abort();
}

static void kill_a_writer(struct store *store, uint64_t adds, bool wide)
{
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        bench_die("fork: %s", strerror(errno));
    if (child == 0)
        add_and_die(store, adds, wide);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        bench_die("the writer of %s was not killed", store->path);
    store->next_id += (uint32_t)adds;
}

/* Makes the store one that was left open before the system started: as after a power cut, but that
 * all that was written is there. */
static void cut_power(const struct store *store)
{
    int fd = open(store->path, O_WRONLY | O_CLOEXEC);
    off_t offset = 3 * RV_PAGE + (off_t)offsetof(struct rv_disk_live, boot_id);
    if (fd < 0 || pwrite(fd, "not of this boot", 16, offset) != 16)
        bench_die("can't write %s: %s", store->path, strerror(errno));
    close(fd);
}

/* Once for each store, not timed: the reopened store has the last add. */
static void check_repair(const struct arguments *a, struct store *store)
{
    kill_a_writer(store, a->adds, true);
    VisitManager *manager = open_store(store, VISIT_MUST_EXIST, 0);
    size_t count;
    Visit **visits =
        VisitManagerGetRecentVisits(manager, doomed_user(store, a->adds - 1, true), &count);
    if (!visits || visits[0]->visit_id != store->next_id - 1)
        bench_die("the %s store lost the last add before a kill", store->name);
    close_store(manager);
}

static void time_kills(struct arguments *a, bool wide)
{
    for (uint64_t i = 0; i < a->kills; i++) {
        for (size_t s = 0; s < a->store_count; s++) {
            kill_a_writer(&a->stores[s], a->adds, wide);
            time_once(a, &a->stores[s], VISIT_FOUND_KILLED,
                      wide ? "open_killed_wide_us" : "open_killed_us",
                      wide ? "close_killed_wide_us" : "close_killed_us");
        }
    }
}

static void time_cut(struct arguments *a, struct store *store, bool cold)
{
    kill_a_writer(store, a->adds, true);
    cut_power(store);
    if (cold)
        bench_drop_caches(store->folder);
    else
        bench_load_caches(store->folder);
    double seconds = time_once(a, store, VISIT_FOUND_CRASHED,
                               cold ? "open_cut_cold_us" : "open_cut_warm_us", "close_cut_us");
    record(a, store, cold ? "recover_cold_gib_per_s" : "recover_warm_gib_per_s",
           store->gib / seconds);
}

static void time_cuts(struct arguments *a)
{
    for (uint64_t i = 0; i < a->cuts; i++) {
        for (size_t s = 0; s < a->store_count; s++) {
            time_cut(a, &a->stores[s], false);
            time_cut(a, &a->stores[s], true);
            record(a, &a->stores[s], "disk_read_gib_per_s",
                   bench_disk_rate(a->stores[s].folder) / (1 << 30));
        }
    }
}

/* Interleaved, so that a slow spell of the machine hits all stores. */
static void time_all(struct arguments *a)
{
    fprintf(stderr, "opening\n");
    for (uint64_t i = 0; i < a->opens; i++) {
        for (size_t s = 0; s < a->store_count; s++)
            time_once(a, &a->stores[s], VISIT_FOUND_CLEAN, "open_clean_us", "close_unchanged_us");
    }
    fprintf(stderr, "killing\n");
    for (size_t s = 0; s < a->store_count && a->kills; s++)
        check_repair(a, &a->stores[s]);
    time_kills(a, false);
    time_kills(a, true);
    fprintf(stderr, "recovering\n");
    time_cuts(a);
}

static void take_ratios(const struct arguments *a)
{
    static const char *const names[] = {"open_clean_us", "close_unchanged_us", "open_killed_us",
                                        "open_killed_wide_us"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (size_t s = 1; s < a->store_count; s++)
            bench_figures_ratio(a->figures, "", names[i], a->stores[s].name, a->stores[0].name);
    }
}

int main(int argument_count, char **argument_values)
{
    struct arguments a = {.common = {.repetitions = 1, .seed = 1},
                          .sizes = "0,250k",
                          .visits = 10,
                          .opens = 200,
                          .kills = 20,
                          .cuts = 5,
                          .adds = 1000};
    const struct bench_option options[] = {
        {"dir", BENCH_TEXT, &a.common.folder,
         "where a folder for the files is made; default: the current folder"},
        {"json", BENCH_TEXT, &a.common.json, "writes all figures to this file"},
        {"stores", BENCH_TEXT, &a.sizes, "users of each store; 250k: about 1 GiB, 4M: 16 GiB"},
        {"visits", BENCH_NUMBER, &a.visits, "of each user"},
        {"opens", BENCH_NUMBER, &a.opens, "of each store, closed cleanly"},
        {"kills", BENCH_NUMBER, &a.kills, "reopens of each after a kill"},
        {"cuts", BENCH_NUMBER, &a.cuts, "recoveries of each as after a power cut"},
        {"kill-adds", BENCH_NUMBER, &a.adds, "adds of the process before it is killed"},
        {NULL, 0, NULL, NULL},
    };
    bench_options_parse(argument_count, argument_values,
                        "Times opening and closing of stores of several sizes.", options);
    uint64_t users[STORES_MAX];
    a.store_count = bench_options_list(a.sizes, users, STORES_MAX);
    if (a.store_count == 0 || a.visits == 0 || a.adds == 0)
        bench_die("no stores, visits or adds");
    a.figures = bench_figures_new("open", bench_folder_make(a.common.folder), options);
    for (size_t s = 0; s < a.store_count; s++) {
        struct store *store = &a.stores[s];
        char name[16];
        snprintf(name, sizeof(name), "store%zu", s);
        snprintf(store->folder, sizeof(store->folder), "%s", bench_folder_fresh(name));
        bench_path(store->path, sizeof(store->path), store->folder, "visits.rv");
        store->users = (uint32_t)users[s];
        make_store(store, &a);
    }
    time_all(&a);
    take_ratios(&a);
    bench_figures_report(a.figures, a.common.json);
    bench_figures_free(a.figures);
    return 0;
}
