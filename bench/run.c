/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <sys/resource.h>

#include "common.h"

enum { CACHED_READS = 1000000, CACHED_USERS = 16 };

static volatile uint64_t time_sink; /* times are read, and no compiler may think otherwise */

static uint64_t read_all(const struct bench_engine *engine, void *session, const uint32_t *users,
                         uint64_t count)
{
    uint64_t sum = 0, times = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct bench_visits visits;
        engine->read(session, users[i], &visits);
        sum += bench_touch(&visits, &times);
    }
    time_sink = times;
    return sum;
}

static void add_all(const struct bench_engine *engine, void *session,
                    const struct bench_workload *workload)
{
    for (uint64_t i = 0; i < workload->options.adds; i++) {
        struct bench_add add;
        bench_workload_add(workload, i, &add);
        engine->add(session, &add);
    }
    bench_engine_flush(engine, session);
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static void take_usage(const struct rusage *before, const struct rusage *after,
                       struct bench_run *run)
{
    run->add_user_s = seconds(after->ru_utime) - seconds(before->ru_utime);
    run->add_system_s = seconds(after->ru_stime) - seconds(before->ru_stime);
    run->add_faults = (uint64_t)(after->ru_minflt - before->ru_minflt) +
                      (uint64_t)(after->ru_majflt - before->ru_majflt);
}

/* A stop watch for one phase. */
struct watch {
    int64_t start, thread_start;
};

static struct watch watch_start(void)
{
    return (struct watch){.thread_start = bench_thread_now_ns(), .start = bench_now_ns()};
}

static void watch_stop(const struct watch *watch, struct bench_run *run, enum bench_phase phase)
{
    run->phase_ns[phase] = (double)(bench_now_ns() - watch->start);
    run->thread_ns[phase] = (double)(bench_thread_now_ns() - watch->thread_start);
}

static void time_adds(struct bench_run *run, void *session)
{
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    struct watch watch = watch_start();
    add_all(run->engine, session, run->workload);
    watch_stop(&watch, run, BENCH_ADD);
    getrusage(RUSAGE_SELF, &after);
    take_usage(&before, &after, run);
}

static void time_reads(struct bench_run *run, void *session)
{
    const struct bench_workload *workload = run->workload;
    struct watch watch = watch_start();
    run->sum_zipf =
        read_all(run->engine, session, workload->zipf_users, workload->options.zipf_reads);
    watch_stop(&watch, run, BENCH_READ_ZIPF);
    watch = watch_start();
    run->sum_uniform =
        read_all(run->engine, session, workload->uniform_users, workload->options.uniform_reads);
    watch_stop(&watch, run, BENCH_READ_UNIFORM);
}

/* Reads a few users again and again, unchanged, without touching what is returned. */
static void time_cached_reads(struct bench_run *run, void *session)
{
    const struct bench_workload *workload = run->workload;
    uint64_t reads =
        workload->options.zipf_reads < CACHED_READS ? workload->options.zipf_reads : CACHED_READS;
    if (reads < CACHED_USERS)
        return;
    int64_t start = bench_now_ns();
    for (uint64_t i = 0; i < reads; i++) {
        struct bench_visits visits;
        run->engine->read(session, workload->zipf_users[i % CACHED_USERS], &visits);
        time_sink = visits.count;
    }
    run->cached_ns = (double)(bench_now_ns() - start) / (double)reads;
}

static void times_body(void *argument)
{
    struct bench_run *run = argument;
    const struct bench_engine *engine = run->engine;
    struct watch watch = watch_start();
    void *store = bench_engine_open(engine, run->setup);
    void *session = bench_engine_begin(engine, store);
    watch_stop(&watch, run, BENCH_OPEN);
    time_adds(run, session);
    watch = watch_start();
    bench_engine_sync(engine, store);
    watch_stop(&watch, run, BENCH_SYNC);
    time_reads(run, session);
    time_cached_reads(run, session);
    bench_content_take(engine, session, run->workload->options.users, &run->content);
    run->bytes = bench_engine_bytes(engine, store, run->setup->folder);
    watch = watch_start();
    bench_engine_end(engine, session);
    engine->close(store);
    watch_stop(&watch, run, BENCH_CLOSE);
}

/* One clock reading an add: the end of one is the start of the next. */
static void latency_body(void *argument)
{
    struct bench_run *run = argument;
    const struct bench_engine *engine = run->engine;
    void *store = bench_engine_open(engine, run->setup);
    void *session = bench_engine_begin(engine, store);
    int64_t last = bench_now_ns();
    for (uint64_t i = 0; i < run->workload->options.adds; i++) {
        struct bench_add add;
        bench_workload_add(run->workload, i, &add);
        engine->add(session, &add);
        int64_t now = bench_now_ns();
        bench_histogram_record(&run->latency, (uint64_t)(now - last));
        last = now;
    }
    bench_engine_flush(engine, session);
    bench_engine_end(engine, session);
    engine->close(store);
}

void bench_run_times(struct bench_run *run)
{
    bench_in_child(run->engine->name, times_body, run, sizeof(*run));
}

void bench_run_latency(struct bench_run *run)
{
    bench_in_child(run->engine->name, latency_body, run, sizeof(*run));
}
