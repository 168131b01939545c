/* SPDX-License-Identifier: MIT */
/* Threads and processes that read and add at the same time; see README.md. */
#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "figures.h"
#include "team.h"

enum { LIST_MAX = 8, CASE_BYTES = 80, HOT_WRITERS = 1 };

struct arguments {
    struct bench_common common;
    const char *members, *reads, *readers;
    double seconds;
    bool processes;
    struct bench_workload_options workload;
    uint64_t member_list[LIST_MAX], read_list[LIST_MAX], reader_list[LIST_MAX];
    size_t member_count, read_count, reader_count;
};

/* One engine in one repetition. */
struct course {
    const struct arguments *arguments;
    struct bench_figures *figures;
    uint64_t repetition;
    struct bench_team team;
    void *store; /* NULL if members are processes */
    struct bench_ledger ledger;
};

static const char *kind(const struct course *course)
{
    return course->arguments->processes ? "processes" : "threads";
}

static void set_member(struct course *course, uint32_t index, uint32_t add_percent)
{
    course->team.member[index].add_percent = add_percent;
}

static void run(struct course *course, bool hot, uint32_t members)
{
    course->team.hot = hot;
    course->team.members = members;
    course->team.seed++;
    bench_team_run(&course->team, course->store, &course->ledger);
}

static void record(struct course *course, const char *name_of_case, const char *name, double value)
{
    bench_figure(course->figures, name_of_case, course->team.engine->name, name, value);
}

/* All members do the same. */
static void run_mix(struct course *course, bool hot, uint64_t reads, uint64_t members)
{
    for (uint32_t i = 0; i < members; i++)
        set_member(course, i, 100 - (uint32_t)reads);
    run(course, hot, (uint32_t)members);
    double rate = 0, thread_seconds = 0, operations = 0;
    for (uint32_t i = 0; i < members; i++) {
        const struct bench_member *m = &course->team.member[i];
        rate += (double)(m->adds + m->reads) / m->seconds;
        thread_seconds += m->thread_seconds;
        operations += (double)(m->adds + m->reads);
    }
    char name[CASE_BYTES];
    snprintf(name, sizeof(name), "%s=%" PRIu64 " users=%s reads=%" PRIu64, kind(course), members,
             hot ? "hot" : "zipf", reads);
    record(course, name, "operations_per_s", rate);
    record(course, name, "operation_thread_ns",
           operations > 0 ? thread_seconds / operations * 1e9 : 0);
}

/* One adds to the hot user, the others read it. */
static void run_readers(struct course *course, uint64_t readers)
{
    set_member(course, 0, 100);
    for (uint32_t i = 0; i < readers; i++)
        set_member(course, HOT_WRITERS + i, 0);
    run(course, true, HOT_WRITERS + (uint32_t)readers);
    const struct bench_member *writer = &course->team.member[0];
    double reads = 0, adds = (double)writer->adds;
    for (uint32_t i = 0; i < readers; i++) {
        const struct bench_member *m = &course->team.member[HOT_WRITERS + i];
        reads += (double)m->reads / m->seconds;
    }
    char name[CASE_BYTES];
    snprintf(name, sizeof(name), "%s=%" PRIu64 " users=hot writers=1 readers=%" PRIu64,
             kind(course), readers + HOT_WRITERS, readers);
    record(course, name, "writer_adds_per_s", adds / writer->seconds);
    record(course, name, "writer_add_thread_ns",
           adds > 0 ? writer->thread_seconds / adds * 1e9 : 0);
    record(course, name, "reads_per_s", reads);
}

/* Few members first, then, in the next repetition, many: whoever comes first has no advantage. */
static size_t turn(const struct course *course, size_t i, size_t count)
{
    return course->repetition % 2 ? count - 1 - i : i;
}

/* One run without a record comes first: what the filling left to be done falls on nobody. */
static void run_points(struct course *course)
{
    const struct arguments *a = course->arguments;
    set_member(course, 0, 50);
    run(course, false, 1);
    for (size_t r = 0; r < a->read_count; r++) {
        for (int hot = 0; hot < 2; hot++) {
            for (size_t m = 0; m < a->member_count; m++)
                run_mix(course, hot, a->read_list[r],
                        a->member_list[turn(course, m, a->member_count)]);
        }
    }
    for (size_t r = 0; r < a->reader_count; r++)
        run_readers(course, a->reader_list[turn(course, r, a->reader_count)]);
}

static void check(struct course *course, void *store)
{
    bench_ledger_check(&course->ledger, course->team.engine, store, course->team.workload);
}

/* ---- threads ---- */

static void run_with_threads(struct course *course)
{
    const struct bench_engine *engine = course->team.engine;
    course->store = bench_engine_open(engine, course->team.setup);
    bench_team_fill(engine, course->store, course->team.workload, &course->ledger);
    bench_engine_sync(engine, course->store);
    run_points(course);
    check(course, course->store);
    engine->close(course->store);
}

/* ---- processes ---- */

/* A process that makes the store, has it open all the while, and checks it at the end. */
struct holder {
    sem_t ready, finish;
};

static _Noreturn void hold(struct course *course, struct holder *holder)
{
    const struct bench_engine *engine = course->team.engine;
    struct bench_setup setup = *course->team.setup;
    setup.existing = false;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    void *store = bench_engine_open(engine, &setup);
    bench_team_fill(engine, store, course->team.workload, &course->ledger);
    bench_engine_sync(engine, store);
    sem_post(&holder->ready);
    while (sem_wait(&holder->finish) != 0)
        ;
    check(course, store);
    engine->close(store);
    _exit(0);
}

static void wait_for_holder(struct holder *holder, pid_t pid)
{
    while (sem_trywait(&holder->ready) != 0) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            bench_die("the process that holds the store failed");
        usleep(10000);
    }
}

static void run_with_processes(struct course *course)
{
    struct holder *holder = bench_alloc_shared(sizeof(*holder));
    sem_init(&holder->ready, 1, 0);
    sem_init(&holder->finish, 1, 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        bench_die("fork: %s", strerror(errno));
    if (pid == 0)
        hold(course, holder);
    wait_for_holder(holder, pid);
    run_points(course);
    sem_post(&holder->finish);
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        bench_die("the process that holds the store failed");
    bench_free_shared(holder, sizeof(*holder));
}

/* ---- all ---- */

static uint64_t most(const uint64_t *list, size_t count)
{
    uint64_t max = 0;
    for (size_t i = 0; i < count; i++)
        max = list[i] > max ? list[i] : max;
    return max;
}

static void run_engine(const struct arguments *a, const struct bench_engine *engine,
                       const struct bench_workload *workload, uint64_t repetition,
                       struct bench_figures *figures)
{
    uint64_t members = most(a->member_list, a->member_count);
    uint64_t readers = most(a->reader_list, a->reader_count) + HOT_WRITERS;
    struct bench_setup setup = {
        .folder = bench_folder_fresh("store"),
        .users = (uint32_t)workload->options.users,
        .max_visits = (uint32_t)workload->options.max_visits,
        .sessions = (uint32_t)(members > readers ? members : readers) + 1,
        .processes = a->processes,
        .existing = a->processes,
    };
    struct course course = {
        .arguments = a,
        .figures = figures,
        .repetition = repetition,
        .team = {.engine = engine,
                 .setup = &setup,
                 .workload = workload,
                 .processes = a->processes,
                 .seconds = a->seconds,
                 .seed = a->common.seed << 20,
                 .first_id = workload->options.adds,
                 .member = bench_team_new()},
    };
    bench_ledger_init(&course.ledger, workload, setup.sessions);
    if (a->processes)
        run_with_processes(&course);
    else
        run_with_threads(&course);
    bench_ledger_free(&course.ledger);
    bench_team_free(course.team.member);
    bench_folder_fresh("store");
}

static void parse_lists(struct arguments *a)
{
    a->member_count = bench_options_list(a->members, a->member_list, LIST_MAX);
    a->read_count = bench_options_list(a->reads, a->read_list, LIST_MAX);
    a->reader_count = bench_options_list(a->readers, a->reader_list, LIST_MAX);
    if (most(a->member_list, a->member_count) > BENCH_MEMBERS_MAX ||
        most(a->reader_list, a->reader_count) + HOT_WRITERS > BENCH_MEMBERS_MAX)
        bench_die("at most %d members", BENCH_MEMBERS_MAX);
    if (most(a->read_list, a->read_count) > 100)
        bench_die("--reads is in percent");
    a->workload.seed = a->common.seed;
    a->workload.uniform_reads = 1;
}

int main(int argument_count, char **argument_values)
{
    struct arguments a = {
        .common = {.engines = "librv-packed,peers", .repetitions = 5, .seed = 1},
        .members = "1,2,4,8",
        .reads = "90,50",
        .readers = "0,1,3,7",
        .seconds = 1,
        .workload = {.adds = 1000000,
                     .zipf_reads = 4000000,
                     .users = 100000,
                     .max_visits = 10,
                     .string_bytes = BENCH_MIXED,
                     .skew = 0.99},
    };
    struct bench_workload_options *w = &a.workload;
    const struct bench_option options[] = {
        BENCH_COMMON_OPTIONS(&a.common),
        BENCH_ENGINES_OPTION(&a.common),
        {"processes", BENCH_FLAG, &a.processes, "members are processes; default: threads"},
        {"members", BENCH_TEXT, &a.members, "how many take part"},
        {"reads", BENCH_TEXT, &a.reads, "percent of their operations"},
        {"readers", BENCH_TEXT, &a.readers, "beside a writer, all of one user"},
        {"seconds", BENCH_REAL, &a.seconds, "of each run"},
        {"users", BENCH_NUMBER, &w->users, "how many"},
        {"adds", BENCH_NUMBER, &w->adds, "before the runs"},
        {"zipf-reads", BENCH_NUMBER, &w->zipf_reads, "users drawn for the runs, in a circle"},
        {"visits", BENCH_NUMBER, &w->max_visits, "kept per user"},
        {NULL, 0, NULL, NULL},
    };
    bench_options_parse(argument_count, argument_values,
                        "Threads or processes read and add at the same time.", options);
    parse_lists(&a);
    struct bench_figures *figures =
        bench_figures_new("threads", bench_folder_make(a.common.folder), options);
    struct bench_engines engines = {.count = 0};
    bench_engines_choose(&engines, a.common.engines, a.processes ? BENCH_PROCESSES : BENCH_THREADS,
                         figures);
    struct bench_workload workload;
    bench_workload_make(&workload, w);
    for (uint64_t r = 0; r < a.common.repetitions; r++) {
        for (size_t e = 0; e < engines.count; e++) {
            fprintf(stderr, "repetition %" PRIu64 " of %" PRIu64 ": %s\n", r + 1,
                    a.common.repetitions, engines.list[e]->name);
            run_engine(&a, engines.list[e], &workload, r, figures);
        }
    }
    bench_figures_report(figures, a.common.json);
    bench_figures_free(figures);
    bench_workload_free(&workload);
    return 0;
}
