/* SPDX-License-Identifier: MIT */
/* Work on whole stores: verification, backup, export, import, removal; see README.md. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <recent_visits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common.h"
#include "figures.h"
#include "workload.h"

enum { BATCH = 1000 };

struct arguments {
    struct bench_common common;
    const char *rvdump, *log;
    uint64_t slot_bytes;
    struct bench_workload_options workload;
};

/* One repetition. */
struct run {
    const struct arguments *arguments;
    const struct bench_workload *workload;
    struct bench_figures *figures;
    const char *name_of_case;
    char store[PATH_MAX], copy[PATH_MAX], text[PATH_MAX], imported[PATH_MAX];
    double visits, users, live_bytes; /* live: visits x slot size */
};

static void check(VisitStatus status, const char *what)
{
    if (status != VISIT_OK)
        bench_die("%s: %s", what, VisitLastError());
}

static void record(const struct run *run, const char *name, double value)
{
    bench_figure(run->figures, run->name_of_case, "librv", name, value);
}

/* Seconds since start. */
static double since(int64_t start)
{
    return (double)(bench_now_ns() - start) * 1e-9;
}

/* A rate in visits and in live bytes a second. */
static void record_rate(const struct run *run, const char *what, double seconds)
{
    char name[64];
    snprintf(name, sizeof(name), "%s_live_mb_per_s", what);
    record(run, name, run->live_bytes / seconds * 1e-6);
    snprintf(name, sizeof(name), "%s_visits_per_s", what);
    record(run, name, run->visits / seconds);
}

static VisitManager *open_store(const char *path, uint32_t mode)
{
    VisitManager *manager;
    VisitOptions options = {.size = sizeof(options), .mode = mode, .create = VISIT_MUST_EXIST};
    check(VisitManagerOpen(path, &options, &manager), "open");
    return manager;
}

static void close_store(VisitManager *manager)
{
    VisitManagerFree(manager);
    check(VisitLastStatus(), "close");
}

static VisitManager *create_store(const struct run *run)
{
    VisitManager *manager;
    VisitOptions options = {
        .size = sizeof(options),
        .create = VISIT_MUST_NOT_EXIST,
        .max_visits = (uint32_t)run->workload->options.max_visits,
        .slot_size = (uint32_t)run->arguments->slot_bytes,
    };
    check(VisitManagerOpen(run->store, &options, &manager), "create");
    return manager;
}

static void fill(const struct run *run, VisitManager *manager)
{
    VisitInput batch[BATCH];
    size_t used = 0;
    uint64_t adds = run->workload->options.adds;
    for (uint64_t i = 0; i < adds; i++) {
        struct bench_add add;
        bench_workload_add(run->workload, i, &add);
        batch[used++] = (VisitInput){
            .user_id = add.user_id,
            .visit_id = add.visit_id,
            .url = add.url.bytes,
            .url_length = add.url.length,
            .text = add.text.bytes,
            .text_length = add.text.length,
        };
        if (used == BATCH || i + 1 == adds) {
            check(VisitManagerAddMany(manager, batch, used, NULL), "add");
            used = 0;
        }
    }
}

static VisitStats stats_of(VisitManager *manager)
{
    VisitStats stats = {.size = sizeof(stats)};
    check(VisitManagerStats(manager, &stats), "stats");
    return stats;
}

static void make_store(struct run *run)
{
    VisitManager *manager = create_store(run);
    fill(run, manager);
    VisitStats stats = stats_of(manager);
    close_store(manager);
    run->users = (double)stats.users;
    run->visits = (double)stats.visits;
    run->live_bytes = run->visits * stats.slot_size;
    record(run, "visits", run->visits);
    record(run, "file_bytes", (double)stats.file_bytes);
}

/* ---- the floor: what one pass over the file's bytes takes, in memory ---- */

static volatile uint64_t sink;

static void time_floor(const struct run *run)
{
    int fd = open(run->store, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0)
        bench_die("can't open %s: %s", run->store, strerror(errno));
    size_t size = (size_t)status.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        bench_die("can't map %s", run->store);
    for (int warm = 1; warm >= 0; warm--) {
        int64_t start = bench_now_ns();
        sink = XXH3_64bits(bytes, size);
        if (!warm) {
            double seconds = since(start);
            record(run, "floor_file_mb_per_s", (double)size / seconds * 1e-6);
            record_rate(run, "floor", seconds);
        }
    }
    munmap(bytes, size);
    close(fd);
}

/* ---- by the library ---- */

static void time_verify(const struct run *run)
{
    VisitManager *manager = open_store(run->store, VISIT_READ_ONLY);
    int64_t start = bench_now_ns();
    check(VisitManagerVerify(manager, NULL, NULL), "verify");
    record_rate(run, "verify", since(start));
    close_store(manager);
}

/* Every user, every visit, every byte of it. */
static void time_iteration(const struct run *run)
{
    VisitManager *manager = open_store(run->store, VISIT_READ_ONLY);
    VisitReader *reader;
    VisitUsers *users;
    uint64_t visits = 0, hash = 0;
    int64_t start = bench_now_ns();
    check(VisitReaderOpen(manager, &reader), "reader");
    check(VisitUsersOpen(manager, &users), "users");
    uint32_t user_id;
    for (VisitStatus status; (status = VisitUsersNext(users, &user_id, NULL)) != VISIT_END;) {
        check(status, "next user");
        const VisitPacked *packed;
        size_t size, count;
        check(VisitReaderGetPacked(reader, user_id, 0, &packed, &size, &count), "read");
        hash ^= XXH3_64bits(packed, size);
        visits += count;
    }
    record_rate(run, "iterate", since(start));
    sink = hash;
    if ((double)visits != run->visits)
        bench_die("the iteration has %" PRIu64 " visits, the store %.0f", visits, run->visits);
    VisitUsersFree(users);
    VisitReaderFree(reader);
    close_store(manager);
}

static void time_backup(const struct run *run)
{
    VisitManager *manager = open_store(run->store, VISIT_EXCLUSIVE);
    int64_t start = bench_now_ns();
    check(VisitManagerBackup(manager, run->copy, NULL, NULL), "backup");
    record_rate(run, "backup", since(start));
    close_store(manager);
    manager = open_store(run->copy, VISIT_READ_ONLY);
    VisitStats stats = stats_of(manager);
    if ((double)stats.visits != run->visits)
        bench_die("the backup has %" PRIu64 " visits, the store %.0f", stats.visits, run->visits);
    record(run, "backup_bytes", (double)stats.file_bytes);
    close_store(manager);
    unlink(run->copy);
}

/* A visit of each user, then all of them. */
static void time_removal(const struct run *run)
{
    VisitManager *manager = open_store(run->store, VISIT_EXCLUSIVE);
    uint32_t users = (uint32_t)run->workload->options.users;
    struct {
        uint32_t user_id, visit_id;
    } *doomed = bench_alloc(users, sizeof(*doomed));
    uint32_t there = 0, removed = 0;
    for (uint32_t i = 0; i < users; i++) {
        size_t count;
        Visit **visits = VisitManagerGetRecentVisits(manager, i, &count);
        if (count > 0) {
            doomed[there].user_id = i;
            doomed[there++].visit_id = visits[count / 2]->visit_id;
        }
    }
    int64_t start = bench_now_ns();
    for (uint32_t i = 0; i < there; i++) {
        size_t n;
        check(VisitManagerRemove(manager, doomed[i].user_id, &doomed[i].visit_id, 1, &n), "remove");
        removed += (uint32_t)n;
    }
    record(run, "delete_ns", since(start) * 1e9 / there);
    if (removed != there)
        bench_die("%" PRIu32 " visits were removed, not %" PRIu32, removed, there);
    start = bench_now_ns();
    for (uint32_t i = 0; i < there; i++)
        check(VisitManagerClearUser(manager, doomed[i].user_id), "clear");
    record(run, "clear_ns", since(start) * 1e9 / there);
    if (stats_of(manager).visits != 0)
        bench_die("visits are left after all users were cleared");
    free(doomed);
    close_store(manager);
}

/* ---- by rvdump ---- */

/* Runs it; out: where its output goes. Returns seconds. */
static double run_rvdump(const char *out, const char *const *words)
{
    int64_t start = bench_now_ns();
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        bench_die("fork: %s", strerror(errno));
    if (child == 0) {
        int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
            _exit(127);
        execv(words[0], (char *const *)(uintptr_t)words);
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0)
        bench_die("%s %s failed", words[0], words[1]);
    return since(start);
}

static uint64_t count_lines(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        bench_die("can't open %s: %s", path, strerror(errno));
    static char chunk[1 << 16];
    uint64_t lines = 0;
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), file)) > 0;) {
        for (const char *at = chunk; (at = memchr(at, '\n', (size_t)(chunk + n - at))); at++)
            lines++;
    }
    fclose(file);
    return lines;
}

static void check_imported(const struct run *run)
{
    VisitManager *manager = open_store(run->imported, VISIT_READ_ONLY);
    VisitStats stats = stats_of(manager);
    close_store(manager);
    if ((double)stats.visits != run->visits)
        bench_die("the import has %" PRIu64 " visits, the store %.0f", stats.visits, run->visits);
}

static void time_rvdump(const struct run *run)
{
    const char *program = run->arguments->rvdump;
    char visits[16];
    snprintf(visits, sizeof(visits), "%" PRIu64, run->workload->options.max_visits);
    const char *const export_null[] = {program, "export", run->store, "--format", "jsonl", NULL};
    record_rate(run, "rvdump_export", run_rvdump("/dev/null", export_null));
    run_rvdump(run->text, export_null);
    if ((double)count_lines(run->text) != run->visits)
        bench_die("the export has other than %.0f lines", run->visits);
    const char *const import[] = {program, "import",       run->imported, run->text, "--format",
                                  "jsonl", "--max-visits", visits,        NULL};
    record_rate(run, "rvdump_import_jsonl", run_rvdump("/dev/null", import));
    check_imported(run);
    unlink(run->imported);
    unlink(run->text);
    const char *const verify[] = {program, "verify", run->store, NULL};
    record_rate(run, "rvdump_verify", run_rvdump("/dev/null", verify));
}

static void time_log(const struct run *run)
{
    const struct arguments *a = run->arguments;
    struct stat status;
    if (stat(a->log, &status) != 0)
        bench_die("can't open %s: %s", a->log, strerror(errno));
    const char *const import[] = {a->rvdump,  "import", run->imported, a->log,
                                  "--format", "clf",    NULL};
    double lines = (double)count_lines(a->log), seconds = run_rvdump("/dev/null", import);
    bench_figure(run->figures, "log", "librv", "lines", lines);
    bench_figure(run->figures, "log", "librv", "import_lines_per_s", lines / seconds);
    bench_figure(run->figures, "log", "librv", "import_mb_per_s",
                 (double)status.st_size / seconds * 1e-6);
    unlink(run->imported);
}

static void run_once(const struct arguments *a, const struct bench_workload *workload,
                     struct bench_figures *figures)
{
    const char *folder = bench_folder_fresh("store");
    struct run run = {
        .arguments = a, .workload = workload, .figures = figures, .name_of_case = "store"};
    bench_path(run.store, sizeof(run.store), folder, "visits.rv");
    bench_path(run.copy, sizeof(run.copy), folder, "copy.rv");
    bench_path(run.text, sizeof(run.text), folder, "visits.jsonl");
    bench_path(run.imported, sizeof(run.imported), folder, "imported.rv");
    make_store(&run);
    time_floor(&run);
    time_verify(&run);
    time_iteration(&run);
    time_backup(&run);
    if (a->rvdump)
        time_rvdump(&run);
    if (a->rvdump && a->log)
        time_log(&run);
    time_removal(&run);
    bench_folder_fresh("store");
}

int main(int argument_count, char **argument_values)
{
    struct arguments a = {
        .common = {.repetitions = 5, .seed = 1},
        .workload = {.adds = 1000000,
                     .users = 100000,
                     .zipf_reads = 1,
                     .uniform_reads = 1,
                     .max_visits = 10,
                     .string_bytes = BENCH_MIXED,
                     .skew = 0.99},
    };
    struct bench_workload_options *w = &a.workload;
    const struct bench_option options[] = {
        BENCH_COMMON_OPTIONS(&a.common),
        {"rvdump", BENCH_TEXT, &a.rvdump, "the program, to time it too"},
        {"log", BENCH_TEXT, &a.log, "a web server's log, to time its import by rvdump"},
        {"users", BENCH_NUMBER, &w->users, "how many"},
        {"adds", BENCH_NUMBER, &w->adds, "to them, by the zipf law"},
        {"visits", BENCH_NUMBER, &w->max_visits, "kept per user"},
        {"string-bytes", BENCH_NUMBER, &w->string_bytes,
         "bytes of url and text together; default: 20 to 100 and 10 to 80"},
        {"slot", BENCH_NUMBER, &a.slot_bytes, "bytes of a slot; 0: the default"},
        {NULL, 0, NULL, NULL},
    };
    bench_options_parse(argument_count, argument_values, "Work on whole stores.", options);
    w->seed = a.common.seed;
    struct bench_figures *figures =
        bench_figures_new("bulk", bench_folder_make(a.common.folder), options);
    struct bench_workload workload;
    bench_workload_make(&workload, w);
    for (uint64_t r = 0; r < a.common.repetitions; r++) {
        fprintf(stderr, "repetition %" PRIu64 " of %" PRIu64 "\n", r + 1, a.common.repetitions);
        run_once(&a, &workload, figures);
    }
    bench_figures_report(figures, a.common.json);
    bench_figures_free(figures);
    bench_workload_free(&workload);
    return 0;
}
