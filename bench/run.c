/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common.h"

typedef void body_function(const struct bench_engine *engine, const struct bench_setup *setup,
                           const struct bench_workload *workload, struct bench_result *result);

/* In a child, so that each engine starts with the same memory and leaves none behind. */
static void run_in_child(body_function *body, const struct bench_engine *engine,
                         const struct bench_setup *setup, const struct bench_workload *workload,
                         struct bench_result *result)
{
    struct bench_result *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        bench_die("no memory");
    *shared = *result;
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        bench_die("fork: %s", strerror(errno));
    if (child == 0) {
        prctl(PR_SET_NAME, engine->name); /* for profilers */
        body(engine, setup, workload, shared);
        fflush(NULL);
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (engine->has_file)
        unlink(setup->path);
    if (status != 0)
        bench_die("%s failed", engine->name);
    *result = *shared;
    munmap(shared, sizeof(*shared));
}

static inline const Visit *visit_at(const struct bench_visits *visits, size_t i)
{
    return visits->pointers ? visits->pointers[i] : &visits->array[i];
}

/* Touches what a reader would: the id, the time, a byte of each string. Order matters to the sum.
 */
static inline uint64_t touch_visits(const struct bench_visits *visits, uint64_t *times)
{
    uint64_t sum = visits->count;
    for (size_t i = 0; i < visits->count; i++) {
        const Visit *visit = visit_at(visits, i);
        uint64_t bytes = (unsigned char)visit->url[0] * 256U + (unsigned char)visit->text[0];
        sum += (((uint64_t)visit->visit_id << 16) + bytes) * (2 * i + 1);
        *times += (uint64_t)visit->time.tv_nsec;
    }
    return sum;
}

static volatile uint64_t time_sink; /* times differ from run to run; they are read all the same */

static uint64_t read_all(const struct bench_engine *engine, void *state, const uint32_t *users,
                         uint64_t count)
{
    uint64_t sum = 0, times = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct bench_visits visits;
        engine->read(state, users[i], &visits);
        sum += touch_visits(&visits, &times);
    }
    time_sink = times;
    return sum;
}

static void add_all(const struct bench_engine *engine, void *state,
                    const struct bench_workload *workload)
{
    for (uint64_t i = 0; i < workload->options.adds; i++) {
        struct bench_add add;
        bench_workload_add(workload, i, &add);
        engine->add(state, &add);
    }
    if (engine->flush)
        engine->flush(state);
}

/* Hashes all that the engine has, and counts it. Not timed. */
static void take_content(const struct bench_engine *engine, void *state,
                         const struct bench_workload *workload, struct bench_result *result)
{
    result->content = result->users = result->visits = 0;
    for (uint32_t user = 0; user < workload->options.users; user++) {
        struct bench_visits visits;
        engine->read(state, user, &visits);
        uint64_t hash = user;
        for (size_t i = 0; i < visits.count; i++) {
            const Visit *visit = visit_at(&visits, i);
            hash = XXH3_64bits_withSeed(visit->url, strlen(visit->url) + 1, hash + visit->visit_id);
            hash = XXH3_64bits_withSeed(visit->text, strlen(visit->text) + 1, hash);
        }
        result->content += hash * (visits.count + 1);
        result->users += visits.count > 0;
        result->visits += visits.count;
    }
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static void take_usage(const struct rusage *before, const struct rusage *after,
                       struct bench_result *result)
{
    result->add_user_s = seconds(after->ru_utime) - seconds(before->ru_utime);
    result->add_system_s = seconds(after->ru_stime) - seconds(before->ru_stime);
    result->add_faults = (uint64_t)(after->ru_minflt - before->ru_minflt) +
                         (uint64_t)(after->ru_majflt - before->ru_majflt);
}

static void take_file(const struct bench_engine *engine, const char *path,
                      struct bench_result *result)
{
    struct stat status;
    if (!engine->has_file)
        return;
    if (stat(path, &status) != 0)
        bench_die("%s: %s", path, strerror(errno));
    result->file_bytes = (uint64_t)status.st_size;
    result->file_allocated_bytes = (uint64_t)status.st_blocks * 512;
}

static int64_t thread_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* A stop watch for one phase. */
struct watch {
    int64_t start, thread_start;
};

static struct watch watch_start(void)
{
    return (struct watch){.thread_start = thread_now_ns(), .start = bench_now_ns()};
}

static void watch_stop(const struct watch *watch, struct bench_result *result,
                       enum bench_phase phase)
{
    result->phase_ns[phase] = (double)(bench_now_ns() - watch->start);
    result->thread_ns[phase] = (double)(thread_now_ns() - watch->thread_start);
}

static void time_adds(const struct bench_engine *engine, void *state,
                      const struct bench_workload *workload, struct bench_result *result)
{
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    struct watch watch = watch_start();
    add_all(engine, state, workload);
    watch_stop(&watch, result, BENCH_ADD);
    getrusage(RUSAGE_SELF, &after);
    take_usage(&before, &after, result);
}

static void time_reads(const struct bench_engine *engine, void *state,
                       const struct bench_workload *workload, struct bench_result *result)
{
    struct watch watch = watch_start();
    result->sum_zipf = read_all(engine, state, workload->zipf_users, workload->options.zipf_reads);
    watch_stop(&watch, result, BENCH_READ_ZIPF);
    watch = watch_start();
    result->sum_uniform =
        read_all(engine, state, workload->uniform_users, workload->options.uniform_reads);
    watch_stop(&watch, result, BENCH_READ_UNIFORM);
}

static void times_body(const struct bench_engine *engine, const struct bench_setup *setup,
                       const struct bench_workload *workload, struct bench_result *result)
{
    struct watch watch = watch_start();
    void *state = engine->open(setup);
    watch_stop(&watch, result, BENCH_OPEN);
    time_adds(engine, state, workload, result);
    watch = watch_start();
    if (engine->sync)
        engine->sync(state);
    watch_stop(&watch, result, BENCH_SYNC);
    time_reads(engine, state, workload, result);
    take_content(engine, state, workload, result);
    watch = watch_start();
    engine->close(state);
    watch_stop(&watch, result, BENCH_CLOSE);
    take_file(engine, setup->path, result);
}

/* One clock reading an add: the end of one is the start of the next. */
static void latency_body(const struct bench_engine *engine, const struct bench_setup *setup,
                         const struct bench_workload *workload, struct bench_result *result)
{
    void *state = engine->open(setup);
    int64_t last = bench_now_ns();
    for (uint64_t i = 0; i < workload->options.adds; i++) {
        struct bench_add add;
        bench_workload_add(workload, i, &add);
        engine->add(state, &add);
        int64_t now = bench_now_ns();
        bench_histogram_record(&result->latency, (uint64_t)(now - last));
        last = now;
    }
    if (engine->flush)
        engine->flush(state);
    engine->close(state);
}

void bench_run_times(const struct bench_engine *engine, const struct bench_setup *setup,
                     const struct bench_workload *workload, struct bench_result *result)
{
    run_in_child(times_body, engine, setup, workload, result);
}

void bench_run_latency(const struct bench_engine *engine, const struct bench_setup *setup,
                       const struct bench_workload *workload, struct bench_result *result)
{
    run_in_child(latency_body, engine, setup, workload, result);
}
