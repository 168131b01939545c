/* SPDX-License-Identifier: MIT */
#include "team.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "common.h"

/* What members and their leader share. */
struct meeting {
    pthread_barrier_t begin;
    atomic_bool stop;
};

struct job {
    const struct bench_team *team;
    struct meeting *meeting;
    void *store;
    uint32_t index; /* of the member */
};

/* The i-th operation of a member: of which user, and whether it is an add. */
struct course {
    uint64_t random, place;
};

static struct course course_start(const struct bench_team *team, uint32_t index)
{
    uint64_t state = team->seed * BENCH_MEMBERS_MAX + index;
    struct course course = {.random = bench_random(&state)};
    course.place = bench_random(&course.random) % team->workload->options.zipf_reads;
    return course;
}

static inline uint32_t course_next(struct course *course, const struct bench_team *team,
                                   uint32_t add_percent, bool *ret_add)
{
    *ret_add = (bench_random(&course->random) >> 32) % 100 < add_percent;
    if (++course->place >= team->workload->options.zipf_reads)
        course->place = 0;
    return team->hot ? 0 : team->workload->zipf_users[course->place];
}

static uint64_t id_of(const struct bench_team *team, uint32_t index, uint64_t i)
{
    return team->first_id + i * team->members + index;
}

static volatile uint64_t sink; /* what was read has been used */

static void add_one(const struct job *job, void *session, uint32_t user_id,
                    struct bench_member *member)
{
    const struct bench_team *team = job->team;
    uint64_t id = id_of(team, job->index, member->adds);
    struct bench_add add = {.user_id = user_id, .visit_id = (uint32_t)id};
    bench_workload_strings(team->workload, id, &add);
    int64_t start = team->timed ? bench_now_ns() : 0;
    team->engine->add(session, &add);
    if (team->timed)
        bench_histogram_record(&member->add_latency, (uint64_t)(bench_now_ns() - start));
    member->adds++;
}

static void operate(const struct job *job, void *session, struct bench_member *member)
{
    const struct bench_team *team = job->team;
    struct course course = course_start(team, job->index);
    uint64_t sum = 0, times = 0;
    while (!atomic_load_explicit(&job->meeting->stop, memory_order_relaxed)) {
        bool is_add;
        uint32_t user_id = course_next(&course, team, member->add_percent, &is_add);
        if (is_add) {
            add_one(job, session, user_id, member);
            continue;
        }
        struct bench_visits visits;
        team->engine->read(session, user_id, &visits);
        sum += bench_touch(&visits, &times);
        member->reads++;
    }
    sink = sum + times;
}

static void take_part(const struct job *job)
{
    const struct bench_team *team = job->team;
    struct bench_member *member = &team->member[job->index];
    void *store = job->store ? job->store : bench_engine_open(team->engine, team->setup);
    void *session = bench_engine_begin(team->engine, store);
    pthread_barrier_wait(&job->meeting->begin);
    int64_t start = bench_now_ns(), thread_start = bench_thread_now_ns();
    operate(job, session, member);
    member->thread_seconds = (double)(bench_thread_now_ns() - thread_start) * 1e-9;
    member->seconds = (double)(bench_now_ns() - start) * 1e-9;
    bench_engine_end(team->engine, session);
    if (!job->store)
        team->engine->close(store);
}

static void *thread_body(void *opaque)
{
    take_part(opaque);
    return NULL;
}

static pid_t start_process(const struct job *job)
{
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        bench_die("fork: %s", strerror(errno));
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        take_part(job);
        _exit(0);
    }
    return child;
}

static void lead(const struct bench_team *team, struct meeting *meeting)
{
    pthread_barrier_wait(&meeting->begin);
    struct timespec time = {(time_t)team->seconds,
                            (long)((team->seconds - (double)(time_t)team->seconds) * 1e9)};
    while (nanosleep(&time, &time) != 0 && errno == EINTR)
        ;
    atomic_store(&meeting->stop, true);
}

static void run_threads(const struct bench_team *team, struct meeting *meeting, struct job *jobs)
{
    pthread_t threads[BENCH_MEMBERS_MAX];
    for (uint32_t i = 0; i < team->members; i++) {
        if (pthread_create(&threads[i], NULL, thread_body, &jobs[i]) != 0)
            bench_die("can't start a thread");
    }
    lead(team, meeting);
    for (uint32_t i = 0; i < team->members; i++)
        pthread_join(threads[i], NULL);
}

static void await(pid_t member)
{
    int status = 0;
    if (waitpid(member, &status, 0) != member || status != 0)
        bench_die("a process of the team failed");
}

/* A member that fails ends all: otherwise the others would wait for it. */
static void on_child(int number)
{
    (void)number;
    siginfo_t info = {0};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0 &&
        (info.si_code != CLD_EXITED || info.si_status != 0))
        _exit(1);
}

static void run_processes(const struct bench_team *team, struct meeting *meeting, struct job *jobs)
{
    pid_t pids[BENCH_MEMBERS_MAX];
    signal(SIGCHLD, on_child);
    for (uint32_t i = 0; i < team->members; i++)
        pids[i] = start_process(&jobs[i]);
    lead(team, meeting);
    for (uint32_t i = 0; i < team->members; i++)
        await(pids[i]);
    signal(SIGCHLD, SIG_DFL);
}

static struct meeting *meeting_new(uint32_t members)
{
    struct meeting *meeting = bench_alloc_shared(sizeof(*meeting));
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&meeting->begin, &attributes, members + 1);
    pthread_barrierattr_destroy(&attributes);
    return meeting;
}

static void reset(struct bench_team *team)
{
    for (uint32_t i = 0; i < team->members; i++) {
        uint32_t add_percent = team->member[i].add_percent;
        team->member[i] = (struct bench_member){.add_percent = add_percent};
    }
}

/* Goes through each member's operations again. */
static void note_adds(struct bench_team *team, struct bench_ledger *ledger)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < team->members; i++) {
        const struct bench_member *member = &team->member[i];
        struct course course = course_start(team, i);
        uint64_t adds = 0;
        for (uint64_t n = member->adds + member->reads; n > 0; n--) {
            bool is_add;
            uint32_t user_id = course_next(&course, team, member->add_percent, &is_add);
            if (is_add)
                bench_ledger_note(ledger, user_id, i, (uint32_t)id_of(team, i, adds++));
        }
        most = member->adds > most ? member->adds : most;
    }
    team->first_id += most * team->members;
    if (team->first_id > UINT32_MAX)
        bench_die("visit ids are used up: take fewer or shorter runs");
}

void bench_team_run(struct bench_team *team, void *store, struct bench_ledger *ledger)
{
    struct job jobs[BENCH_MEMBERS_MAX];
    struct meeting *meeting = meeting_new(team->members);
    reset(team);
    for (uint32_t i = 0; i < team->members; i++)
        jobs[i] = (struct job){.team = team, .meeting = meeting, .store = store, .index = i};
    if (team->processes)
        run_processes(team, meeting, jobs);
    else
        run_threads(team, meeting, jobs);
    pthread_barrier_destroy(&meeting->begin);
    bench_free_shared(meeting, sizeof(*meeting));
    note_adds(team, ledger);
}

struct bench_member *bench_team_new(void)
{
    return bench_alloc_shared(BENCH_MEMBERS_MAX * sizeof(struct bench_member));
}

void bench_team_free(struct bench_member *member)
{
    bench_free_shared(member, BENCH_MEMBERS_MAX * sizeof(*member));
}

void bench_team_fill(const struct bench_engine *engine, void *store,
                     const struct bench_workload *workload, struct bench_ledger *ledger)
{
    void *session = bench_engine_begin(engine, store);
    for (uint64_t i = 0; i < workload->options.adds; i++) {
        struct bench_add add;
        bench_workload_add(workload, i, &add);
        engine->add(session, &add);
        bench_ledger_note(ledger, add.user_id, 0, add.visit_id);
    }
    bench_engine_flush(engine, session);
    bench_engine_end(engine, session);
}
