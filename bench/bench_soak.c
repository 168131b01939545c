/* SPDX-License-Identifier: MIT */
/* Many operations on users that come and go; see README.md. */
#include <inttypes.h>
#include <limits.h>
#include <recent_visits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "common.h"
#include "figures.h"

enum { ADD_PERCENT = 50, READ_PERCENT = 45, DELETE_PERCENT = 3, PROBES = 20000, RANKS = 1 << 22 };
/* One text in so many is long and of any length, so that runs of all sizes come and go as well. */
enum { LONG_EVERY = 64, TEXT_MIN = 300, TEXT_MAX = 8000 };
/* Operations in which each user is replaced once, and some more. */
enum { TURNOVER = 120 / (100 - ADD_PERCENT - READ_PERCENT - DELETE_PERCENT) };

struct arguments {
    struct bench_common common;
    uint64_t operations, intervals, users, visits;
};

struct soak {
    const struct arguments *arguments;
    const struct bench_workload *workload; /* for strings */
    char letters[TEXT_MAX + 64];           /* long ones begin at any of the first 64 */
    uint32_t *ranks;                       /* by the zipf law, from 0 */
    uint8_t *counts;                       /* how many visits a user must have, by id % users */
    struct bench_figures *figures;
    VisitManager *manager;
    VisitReader *reader;
    char path[PATH_MAX];
    uint64_t random, rank; /* where the draws are */
    uint32_t first;        /* users first to first + arguments->users - 1 are there */
    uint32_t next_id;
    uint64_t operations;
};

static void check(VisitStatus status, const char *what)
{
    if (status != VISIT_OK)
        bench_die("%s: %s", what, VisitLastError());
}

/* The younger a user, the more it does: ranks by the zipf law count from the youngest. */
static uint32_t some_user(struct soak *soak)
{
    uint32_t rank = soak->ranks[soak->rank++ % RANKS];
    return soak->first + (uint32_t)soak->arguments->users - 1 - rank;
}

static uint32_t any_user(struct soak *soak)
{
    return soak->first + (uint32_t)(bench_random(&soak->random) % soak->arguments->users);
}

static uint8_t *count_of(struct soak *soak, uint32_t user_id)
{
    return &soak->counts[user_id % soak->arguments->users];
}

static void strings_of(const struct soak *soak, uint32_t visit_id, struct bench_add *ret_add)
{
    bench_workload_strings(soak->workload, visit_id, ret_add);
    if (visit_id % LONG_EVERY == 0) {
        uint64_t state = visit_id;
        uint32_t length = TEXT_MIN + (uint32_t)(bench_random(&state) % (TEXT_MAX - TEXT_MIN + 1));
        ret_add->text = (struct bench_string){soak->letters + visit_id / LONG_EVERY % 64, length};
    }
}

static void add_visit(struct soak *soak, uint32_t user_id)
{
    struct bench_add add;
    strings_of(soak, soak->next_id, &add);
    VisitInput input = {
        .user_id = user_id,
        .visit_id = soak->next_id++,
        .url = add.url.bytes,
        .url_length = add.url.length,
        .text = add.text.bytes,
        .text_length = add.text.length,
    };
    check(VisitManagerAdd(soak->manager, &input), "add");
    uint8_t *count = count_of(soak, user_id);
    if (*count < soak->arguments->visits)
        ++*count;
}

static volatile uint64_t sink; /* what was read has been used */

static size_t read_visits(struct soak *soak, uint32_t user_id, const Visit **ret_visits)
{
    struct bench_visits visits = {0};
    uint64_t times = 0;
    check(VisitReaderGet(soak->reader, user_id, 0, &visits.array, &visits.count), "read");
    sink = bench_touch(&visits, &times) + times;
    *ret_visits = visits.array;
    return visits.count;
}

/* A visit in the middle of some user's goes. */
static void delete_visit(struct soak *soak)
{
    const Visit *visits;
    uint32_t user_id = any_user(soak);
    size_t count = read_visits(soak, user_id, &visits);
    if (count == 0)
        return;
    uint32_t visit_id = visits[count / 2].visit_id;
    size_t removed;
    check(VisitManagerRemove(soak->manager, user_id, &visit_id, 1, &removed), "remove");
    *count_of(soak, user_id) -= (uint8_t)removed;
}

/* The oldest user goes, and one comes that never was. */
static void replace_user(struct soak *soak)
{
    check(VisitManagerClearUser(soak->manager, soak->first), "clear");
    *count_of(soak, soak->first) = 0;
    soak->first++;
    add_visit(soak, soak->first + (uint32_t)soak->arguments->users - 1);
}

static void operate(struct soak *soak)
{
    const Visit *visits;
    uint32_t draw = (uint32_t)(bench_random(&soak->random) >> 32) % 100;
    soak->operations++;
    if (draw < ADD_PERCENT)
        add_visit(soak, some_user(soak));
    else if (draw < ADD_PERCENT + READ_PERCENT)
        read_visits(soak, some_user(soak), &visits);
    else if (draw < ADD_PERCENT + READ_PERCENT + DELETE_PERCENT)
        delete_visit(soak);
    else
        replace_user(soak);
}

static bool same_string(const char *string, const struct bench_string *other)
{
    return strlen(string) == other->length && memcmp(string, other->bytes, other->length) == 0;
}

/* All visits are there, ids fall from one to the next older one, and strings are those of the id.
 */
static void check_user(struct soak *soak, uint32_t user_id)
{
    const Visit *visits;
    size_t count = read_visits(soak, user_id, &visits);
    if (count != *count_of(soak, user_id))
        bench_die("user %" PRIu32 " has %zu visits, not %d", user_id, count,
                  *count_of(soak, user_id));
    for (size_t i = 0; i < count; i++) {
        struct bench_add add;
        strings_of(soak, visits[i].visit_id, &add);
        if ((i > 0 && visits[i].visit_id >= visits[i - 1].visit_id) ||
            !same_string(visits[i].url, &add.url) || !same_string(visits[i].text, &add.text))
            bench_die("user %" PRIu32 " has visit %" PRIu32 " wrongly", user_id,
                      visits[i].visit_id);
    }
}

static void check_departed(struct soak *soak)
{
    const Visit *visits;
    uint32_t user_id = (uint32_t)(bench_random(&soak->random) % soak->first);
    if (read_visits(soak, user_id, &visits) != 0)
        bench_die("user %" PRIu32 ", who was cleared, has visits", user_id);
}

/* Reads of users at random, each once: what it costs to come to what a user has. */
static double probe(struct soak *soak)
{
    uint64_t visits_read = 0;
    uint64_t random = soak->random;
    int64_t start = bench_thread_now_ns();
    for (int i = 0; i < PROBES; i++) {
        const Visit *visits;
        visits_read += read_visits(soak, any_user(soak), &visits);
    }
    double ns = (double)(bench_thread_now_ns() - start);
    soak->random = random;
    for (int i = 0; i < PROBES; i++) {
        check_user(soak, any_user(soak));
        check_departed(soak);
    }
    return visits_read ? ns / (double)visits_read : 0;
}

static double file_bytes(const struct soak *soak)
{
    struct stat status;
    if (stat(soak->path, &status) != 0)
        bench_die("can't look at %s", soak->path);
    return (double)status.st_size;
}

struct interval {
    double operations_per_s, operation_thread_ns, probe_ns, file_bytes, used_bytes;
    VisitStats stats;
};

static void run_interval(struct soak *soak, struct interval *ret_interval)
{
    const struct arguments *a = soak->arguments;
    uint64_t operations = a->operations / a->intervals;
    int64_t start = bench_now_ns(), thread_start = bench_thread_now_ns();
    for (uint64_t i = 0; i < operations; i++)
        operate(soak);
    ret_interval->operation_thread_ns =
        (double)(bench_thread_now_ns() - thread_start) / (double)operations;
    ret_interval->operations_per_s = (double)operations / ((double)(bench_now_ns() - start) * 1e-9);
    ret_interval->probe_ns = probe(soak);
    ret_interval->file_bytes = file_bytes(soak);
    VisitStats *stats = &ret_interval->stats;
    *stats = (VisitStats){.size = sizeof(*stats)};
    check(VisitManagerStats(soak->manager, stats), "stats");
    ret_interval->used_bytes = (double)((stats->blocks - stats->blocks_free) * stats->block_bytes);
}

static void record_interval(struct soak *soak, const struct interval *interval)
{
    char name[64];
    const VisitStats *stats = &interval->stats;
    uint64_t expected = 0;
    for (uint64_t i = 0; i < soak->arguments->users; i++)
        expected += soak->counts[i];
    if (stats->visits != expected)
        bench_die("the store counts %" PRIu64 " visits, not %" PRIu64, stats->visits, expected);
    fprintf(stderr, "%.0f operations a second, %.0f ns a visit, %.0f MB, %.0f of them in use\n",
            interval->operations_per_s, interval->probe_ns, interval->file_bytes * 1e-6,
            interval->used_bytes * 1e-6);
    snprintf(name, sizeof(name), "operations=%" PRIu64, soak->operations);
    bench_figure(soak->figures, name, "librv", "operations_per_s", interval->operations_per_s);
    bench_figure(soak->figures, name, "librv", "operation_thread_ns",
                 interval->operation_thread_ns);
    bench_figure(soak->figures, name, "librv", "probe_visit_thread_ns", interval->probe_ns);
    bench_figure(soak->figures, name, "librv", "file_bytes", interval->file_bytes);
    bench_figure(soak->figures, name, "librv", "used_bytes", interval->used_bytes);
    bench_figure(soak->figures, name, "librv", "visits", (double)stats->visits);
    bench_figure(soak->figures, name, "librv", "index_entries", (double)stats->index_entries);
}

/* A store that takes more room than that, with as many users, has no bound. The file itself stays
 * as large as what was in use, and waited for a checkpoint, at its busiest moment. */
#define GROWTH_MAX 1.2
#define GROWTH_SLACK (8 << 20) /* for small ones, which grow in steps */

/* The end against the beginning, each the median of a fifth of the intervals. */
static void record_change(struct soak *soak, const struct interval *intervals, size_t count)
{
    static const struct {
        const char *name;
        size_t offset;
    } series[] = {
        {"operations_per_s", offsetof(struct interval, operations_per_s)},
        {"operation_thread_ns", offsetof(struct interval, operation_thread_ns)},
        {"probe_visit_thread_ns", offsetof(struct interval, probe_ns)},
        {"file_bytes", offsetof(struct interval, file_bytes)},
        {"used_bytes", offsetof(struct interval, used_bytes)},
    };
    size_t part = count / 5 > 0 ? count / 5 : 1;
    double *values = bench_alloc(part, sizeof(*values));
    for (size_t s = 0; s < sizeof(series) / sizeof(series[0]); s++) {
        double medians[2];
        for (size_t end = 0; end < 2; end++) {
            for (size_t i = 0; i < part; i++) {
                const struct interval *interval = &intervals[end ? count - part + i : i];
                values[i] = *(const double *)((const char *)interval + series[s].offset);
            }
            medians[end] = bench_spread_of(values, part).median;
        }
        bench_figure(soak->figures, "end/beginning", "librv", series[s].name,
                     medians[1] / medians[0]);
        if (series[s].offset == offsetof(struct interval, used_bytes) &&
            medians[1] > GROWTH_MAX * medians[0] + GROWTH_SLACK)
            bench_die("the store grew from %.0f to %.0f bytes, with as many users", medians[0],
                      medians[1]);
    }
    free(values);
}

static void make_ranks(struct soak *soak)
{
    struct bench_zipf zipf;
    bench_zipf_init(&zipf, (uint32_t)soak->arguments->users, 0.99);
    soak->ranks = bench_alloc(RANKS, sizeof(*soak->ranks));
    for (size_t i = 0; i < RANKS; i++)
        soak->ranks[i] = bench_zipf_next(&zipf, &soak->random) - 1;
}

static void open_soak(struct soak *soak)
{
    make_ranks(soak);
    soak->counts = bench_alloc(soak->arguments->users, sizeof(*soak->counts));
    for (size_t i = 0; i < sizeof(soak->letters); i++)
        soak->letters[i] = (char)('a' + bench_random(&soak->random) % 26);
    VisitOptions options = {
        .size = sizeof(options),
        .create = VISIT_MUST_NOT_EXIST,
        .max_visits = (uint32_t)soak->arguments->visits,
    };
    bench_path(soak->path, sizeof(soak->path), bench_folder_fresh("store"), "visits.rv");
    check(VisitManagerOpen(soak->path, &options, &soak->manager), "open");
    check(VisitReaderOpen(soak->manager, &soak->reader), "reader");
}

/* Until every user of the beginning has gone, so that all ages are there. */
static void warm_up(struct soak *soak)
{
    for (uint32_t i = 0; i < soak->arguments->users; i++)
        add_visit(soak, soak->first + i);
    for (uint64_t i = 0; i < TURNOVER * soak->arguments->users; i++)
        operate(soak);
    soak->operations = 0;
}

static void run(struct soak *soak)
{
    const struct arguments *a = soak->arguments;
    struct interval *intervals = bench_alloc(a->intervals, sizeof(*intervals));
    open_soak(soak);
    warm_up(soak);
    for (uint64_t i = 0; i < a->intervals; i++) {
        fprintf(stderr, "interval %" PRIu64 " of %" PRIu64 "\n", i + 1, a->intervals);
        run_interval(soak, &intervals[i]);
        record_interval(soak, &intervals[i]);
    }
    record_change(soak, intervals, a->intervals);
    for (uint32_t i = 0; i < a->users; i++)
        check_user(soak, soak->first + i);
    check(VisitManagerVerify(soak->manager, NULL, NULL), "verify");
    VisitReaderFree(soak->reader);
    VisitManagerFree(soak->manager);
    check(VisitLastStatus(), "close");
    free(soak->ranks);
    free(soak->counts);
    free(intervals);
}

int main(int argument_count, char **argument_values)
{
    struct arguments a = {.common = {.seed = 1},
                          .operations = 20000000,
                          .intervals = 20,
                          .users = 100000,
                          .visits = 10};
    const struct bench_option options[] = {
        {"dir", BENCH_TEXT, &a.common.folder,
         "where a folder for the files is made; default: the current folder"},
        {"json", BENCH_TEXT, &a.common.json, "writes all figures to this file"},
        {"seed", BENCH_NUMBER, &a.common.seed, "of the workload"},
        {"operations", BENCH_NUMBER, &a.operations, "in all; 1G takes an hour"},
        {"intervals", BENCH_NUMBER, &a.intervals, "that they are divided into"},
        {"users", BENCH_NUMBER, &a.users, "at a time"},
        {"visits", BENCH_NUMBER, &a.visits, "kept per user"},
        {NULL, 0, NULL, NULL},
    };
    bench_options_parse(argument_count, argument_values,
                        "Many operations on users that come and go.", options);
    if (a.intervals == 0 || a.operations < a.intervals || a.users < 2 || a.visits == 0)
        bench_die("no operations, intervals, users or visits");
    if (a.visits > UINT8_MAX)
        bench_die("at most %d visits a user", UINT8_MAX);
    if (a.operations > UINT64_C(3000000000))
        bench_die("at most 3G operations: visit ids have 32 bits");
    struct bench_figures *figures =
        bench_figures_new("soak", bench_folder_make(a.common.folder), options);
    struct bench_workload_options w = {.seed = a.common.seed,
                                       .users = a.users,
                                       .zipf_reads = 1,
                                       .uniform_reads = 1,
                                       .adds = 1,
                                       .max_visits = a.visits,
                                       .string_bytes = BENCH_MIXED,
                                       .skew = 0.99};
    struct bench_workload workload;
    bench_workload_make(&workload, &w);
    struct soak soak = {
        .arguments = &a, .workload = &workload, .figures = figures, .random = a.common.seed};
    run(&soak);
    bench_figures_report(figures, a.common.json);
    bench_figures_free(figures);
    bench_workload_free(&workload);
    return 0;
}
