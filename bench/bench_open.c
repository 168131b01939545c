/* SPDX-License-Identifier: MIT */
/* Times opening and closing of a large store and of one with a single user; see README.md. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <recent_visits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

enum { LARGE, SMALL, STORES, BATCH = 1000 };

/* What is timed, for each store. */
enum {
    OPEN_CLEAN,
    CLOSE_CLEAN,
    OPEN_KILLED, /* after adds to one user: the same work in both stores */
    CLOSE_KILLED,
    OPEN_KILLED_WIDE, /* after adds all over the store: more pages to write the larger it is */
    CLOSE_KILLED_WIDE,
    SERIES
};
static const char *const series_names[SERIES] = {"open_clean",       "close_unchanged",
                                                 "open_killed",      "close_after_kill",
                                                 "open_killed_wide", "close_after_kill_wide"};

struct store {
    const char *name, *path;
    uint32_t users;
    double *times_ns[SERIES];
    uint64_t file_bytes;
};

struct arguments {
    uint32_t users, visits;
    uint64_t opens, kills, kill_adds;
    const char *folder, *json;
    struct store stores[STORES];
};

static const char usage[] =
    "Usage: bench_open [OPTION]...\n"
    "Times opening and closing of a large store and of one with a single user.\n"
    "\n"
    "  --users K       users of the large store, default 1M\n"
    "  --visits N      visits of each user, default 10 (1M users: about 4 GiB)\n"
    "  --opens K       opens of each store, default 200\n"
    "  --kills K       reopens of each after a kill, default 20\n"
    "  --kill-adds K   adds of the process before it is killed, default 1,000\n"
    "  --dir FOLDER    where a folder for the files is made, default: the current folder\n"
    "  --json FILE     writes the figures as JSON\n";

static void check(VisitStatus status, const char *what)
{
    if (status != VISIT_OK)
        bench_die("%s: %s", what, VisitLastError());
}

static VisitManager *open_store(const struct store *store, uint32_t create, uint32_t max_visits)
{
    VisitManager *manager;
    VisitOptions options = {.size = sizeof(options), .create = create, .max_visits = max_visits};
    check(VisitManagerOpen(store->path, &options, &manager), "open");
    return manager;
}

static void close_store(VisitManager *manager)
{
    VisitManagerFree(manager);
    check(VisitLastStatus(), "close");
}

static void fill_batch(VisitInput *batch, uint32_t user_id, uint32_t visit_id)
{
    static const char url[] = "https://example.org/a/page/of/some/length?id=12345";
    static const char text[] = "The title of a page, as long as titles are";
    *batch = (VisitInput){
        .user_id = user_id,
        .visit_id = visit_id,
        .url = url,
        .url_length = sizeof(url) - 1,
        .text = text,
        .text_length = sizeof(text) - 1,
    };
}

static void make_store(struct store *store, uint32_t visits)
{
    fprintf(stderr, "making the %s store\n", store->name);
    VisitManager *manager = open_store(store, VISIT_MUST_NOT_EXIST, visits);
    VisitInput batch[BATCH];
    size_t used = 0;
    for (uint64_t i = 0; i < (uint64_t)store->users * visits; i++) {
        fill_batch(&batch[used++], (uint32_t)(i / visits), (uint32_t)(i % visits));
        if (used == BATCH || i + 1 == (uint64_t)store->users * visits) {
            check(VisitManagerAddMany(manager, batch, used, NULL), "add");
            used = 0;
        }
    }
    close_store(manager);
    struct stat status;
    if (stat(store->path, &status) != 0)
        bench_die("%s: %s", store->path, strerror(errno));
    store->file_bytes = (uint64_t)status.st_size;
}

/* Opens and closes, and takes both times. */
static void time_once(struct store *store, uint64_t i, int open_series, int close_series)
{
    int64_t start = bench_now_ns();
    VisitManager *manager = open_store(store, VISIT_MUST_EXIST, 0);
    int64_t opened = bench_now_ns();
    close_store(manager);
    int64_t closed = bench_now_ns();
    store->times_ns[open_series][i] = (double)(opened - start);
    store->times_ns[close_series][i] = (double)(closed - opened);
}

/* Which user gets the i-th add before a kill. */
static uint32_t doomed_user(const struct store *store, uint64_t i, bool wide)
{
    return wide ? (uint32_t)(i * UINT64_C(2654435761) % store->users) : 0;
}

static void add_and_die(const struct store *store, uint64_t adds, uint32_t first_id, bool wide)
{
    VisitManager *manager = open_store(store, VISIT_MUST_EXIST, 0);
    for (uint64_t i = 0; i < adds; i++) {
        VisitInput input;
        fill_batch(&input, doomed_user(store, i, wide), first_id + (uint32_t)i);
        check(VisitManagerAdd(manager, &input), "add");
    }
    raise(SIGKILL);
}

static void kill_a_writer(const struct store *store, uint64_t adds, uint32_t first_id, bool wide)
{
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        bench_die("fork: %s", strerror(errno));
    if (child == 0)
        add_and_die(store, adds, first_id, wide);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        bench_die("the writer of the %s store was not killed", store->name);
}

/* Once per store, not timed: the reopened store says that it was killed, and has the last add. */
static void check_repair(const struct store *store, uint64_t adds, uint32_t first_id)
{
    kill_a_writer(store, adds, first_id, true);
    VisitManager *manager = open_store(store, VISIT_MUST_EXIST, 0);
    VisitStats stats = {.size = sizeof(stats)};
    check(VisitManagerStats(manager, &stats), "stats");
    if (stats.state != VISIT_FOUND_KILLED)
        bench_die("the %s store was found in state %" PRIu32 " after a kill", store->name,
                  stats.state);
    size_t count;
    Visit **visits =
        VisitManagerGetRecentVisits(manager, doomed_user(store, adds - 1, true), &count);
    if (!visits || visits[0]->visit_id != first_id + (uint32_t)adds - 1)
        bench_die("the %s store lost the last add before a kill", store->name);
    close_store(manager);
}

static void time_kills(struct arguments *arguments, uint32_t first_id, bool wide)
{
    for (uint64_t i = 0; i < arguments->kills; i++) {
        for (int s = 0; s < STORES; s++) {
            uint32_t id = first_id + (uint32_t)(i * arguments->kill_adds);
            kill_a_writer(&arguments->stores[s], arguments->kill_adds, id, wide);
            time_once(&arguments->stores[s], i, wide ? OPEN_KILLED_WIDE : OPEN_KILLED,
                      wide ? CLOSE_KILLED_WIDE : CLOSE_KILLED);
        }
    }
}

/* Interleaved, so that a slow spell of the machine hits both stores. */
static void time_all(struct arguments *arguments)
{
    fprintf(stderr, "opening\n");
    for (uint64_t i = 0; i < arguments->opens; i++) {
        for (int s = 0; s < STORES; s++)
            time_once(&arguments->stores[s], i, OPEN_CLEAN, CLOSE_CLEAN);
    }
    fprintf(stderr, "killing\n");
    uint32_t visit_id = arguments->visits;
    for (int s = 0; s < STORES && arguments->kills; s++)
        check_repair(&arguments->stores[s], arguments->kill_adds, visit_id);
    visit_id += (uint32_t)arguments->kill_adds;
    time_kills(arguments, visit_id, false);
    visit_id += (uint32_t)(arguments->kills * arguments->kill_adds);
    time_kills(arguments, visit_id, true);
}

static uint64_t series_length(const struct arguments *arguments, int series)
{
    return series == OPEN_CLEAN || series == CLOSE_CLEAN ? arguments->opens : arguments->kills;
}

static void print_table(struct arguments *arguments, FILE *out)
{
    bench_print_machine(out, false, arguments->folder);
    fprintf(out, "state     files are in the page cache; nothing is dropped; stores take turns\n"
                 "figures   microseconds: median [least..p99..largest]\n\n");
    for (int s = 0; s < STORES; s++)
        fprintf(out, "%-6s %" PRIu32 " users, %.3f GB\n", arguments->stores[s].name,
                arguments->stores[s].users, (double)arguments->stores[s].file_bytes * 1e-9);
    for (int i = 0; i < SERIES; i++) {
        uint64_t count = series_length(arguments, i);
        double medians[STORES];
        for (int s = 0; s < STORES && count; s++) {
            double *times = arguments->stores[s].times_ns[i];
            struct bench_spread spread = bench_spread_of(times, count);
            medians[s] = spread.median;
            fprintf(out, "%-21s %-6s %10.1f  [%.1f..%.1f..%.1f]\n", series_names[i],
                    arguments->stores[s].name, spread.median / 1e3, spread.min / 1e3,
                    bench_quantile(times, count, 0.99) / 1e3, spread.max / 1e3);
        }
        if (count)
            fprintf(out, "%-21s ratio  %10.2f\n", series_names[i], medians[LARGE] / medians[SMALL]);
    }
}

static void print_json(const struct arguments *arguments, FILE *out)
{
    fprintf(out, "{\n  \"benchmark\": \"open\",\n");
    bench_print_machine(out, true, arguments->folder);
    fprintf(out, "  \"kill_adds\": %" PRIu64 ",\n  \"stores\": [", arguments->kill_adds);
    for (int s = 0; s < STORES; s++) {
        const struct store *store = &arguments->stores[s];
        fprintf(out, "%s\n    {\"name\": \"%s\", \"users\": %" PRIu32 ", \"file_bytes\": %" PRIu64,
                s ? "," : "", store->name, store->users, store->file_bytes);
        for (int i = 0; i < SERIES; i++) {
            struct bench_spread spread =
                bench_spread_of(store->times_ns[i], series_length(arguments, i));
            fprintf(out, ",\n     \"%s_ns\": {\"median\": %.0f, \"min\": %.0f, \"max\": %.0f}",
                    series_names[i], spread.median, spread.min, spread.max);
        }
        fputc('}', out);
    }
    fprintf(out, "\n  ]\n}\n");
}

static void set_option(struct arguments *arguments, int option, const char *value)
{
    switch (option) {
    case 'u':
        arguments->users = (uint32_t)bench_parse_number(value, "users");
        break;
    case 'v':
        arguments->visits = (uint32_t)bench_parse_number(value, "visits");
        break;
    case 'o':
        arguments->opens = bench_parse_number(value, "opens");
        break;
    case 'k':
        arguments->kills = bench_parse_number(value, "kills");
        break;
    case 'a':
        arguments->kill_adds = bench_parse_number(value, "kill-adds");
        break;
    case 'd':
        arguments->folder = value;
        break;
    case 'j':
        arguments->json = value;
        break;
    default:
        fputs(usage, option == 'h' ? stdout : stderr);
        exit(option == 'h' ? 0 : 2);
    }
}

static void parse_arguments(int count, char **values, struct arguments *arguments)
{
    static const struct option options[] = {
        {"users", required_argument, NULL, 'u'},
        {"visits", required_argument, NULL, 'v'},
        {"opens", required_argument, NULL, 'o'},
        {"kills", required_argument, NULL, 'k'},
        {"kill-adds", required_argument, NULL, 'a'},
        {"dir", required_argument, NULL, 'd'},
        {"json", required_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    for (int c; (c = getopt_long(count, values, "h", options, NULL)) != -1;)
        set_option(arguments, c, optarg);
    if (optind < count)
        bench_die("unexpected argument: %s", values[optind]);
    if (arguments->users == 0 || arguments->visits == 0 || arguments->kill_adds == 0)
        bench_die("--users, --visits and --kill-adds must be above 0");
}

static void prepare_store(struct arguments *arguments, int index, const char *name, uint32_t users)
{
    struct store *store = &arguments->stores[index];
    *store = (struct store){.name = name, .path = bench_folder_file(name), .users = users};
    for (int i = 0; i < SERIES; i++)
        store->times_ns[i] = bench_alloc(series_length(arguments, i), sizeof(double));
    make_store(store, arguments->visits);
}

int main(int argument_count, char **argument_values)
{
    struct arguments arguments = {
        .users = 1000000, .visits = 10, .opens = 200, .kills = 20, .kill_adds = 1000};
    parse_arguments(argument_count, argument_values, &arguments);
    arguments.folder = bench_folder_make(arguments.folder);
    prepare_store(&arguments, LARGE, "large", arguments.users);
    prepare_store(&arguments, SMALL, "small", 1);
    time_all(&arguments);
    if (arguments.json) {
        FILE *out = bench_json_open(arguments.json);
        print_json(&arguments, out);
        if (fclose(out) != 0)
            bench_die("can't write %s: %s", arguments.json, strerror(errno));
    }
    print_table(&arguments, stdout);
    for (int s = 0; s < STORES; s++) {
        for (int i = 0; i < SERIES; i++)
            free(arguments.stores[s].times_ns[i]);
    }
    return 0;
}
