/* SPDX-License-Identifier: MIT */
/*
 * A process with several writing threads that opens, writes and closes a store, and is killed at
 * any instant. What a thread's calls had acknowledged is there afterwards; of the one call that
 * each thread was in, all or nothing.
 *
 *   RV_KILLS=2000 RV_SEED=7 test_kill   so many kills of each kind; other operations
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compare.h"
#include "model.h"
#include "support.h"

#define THREADS 4u
#define LIMIT 7

/* What the process that is killed leaves in shared memory. */
struct progress {
    atomic_uint done[THREADS]; /* operations that were acknowledged */
    atomic_uint failed;
    atomic_bool opened; /* at least once */
};

struct trial {
    const char *path;
    VisitOptions options;
    uint32_t users;   /* of each thread */
    uint32_t session; /* operations of a thread between open and close; 0: no close */
    uint64_t seed;
    struct progress *progress;
    struct model model;
    uint32_t next[THREADS]; /* the first operation that the model does not have */
};

struct operation {
    enum { ADD, REMOVE, CLEAR, SYNC } kind;
    uint32_t ids[3];
    VisitInput input;
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* A thread's operation by its number; each thread has users of its own. */
static struct operation operation_make(const struct trial *trial, uint32_t thread, uint32_t number)
{
    uint64_t random = mix(trial->seed * 1000003 + (uint64_t)number * THREADS + thread);
    uint32_t kind = random % 100;
    struct operation op = {.kind = kind < 82 ? ADD : kind < 92 ? REMOVE : kind < 99 ? CLEAR : SYNC};
    random = mix(random);
    op.input.user_id = (uint32_t)(random % trial->users) * THREADS + thread;
    for (unsigned i = 0; i < 3; i++)
        op.ids[i] = (uint32_t)(random >> (20 + 8 * i)) % 24;
    op.input.visit_id = op.ids[0];
    op.input.flags = VISIT_AT_TIME;
    op.input.time_ns = kind < 70 ? number : (int64_t)(mix(random) % (number + 1));
    size_t length = mix(random + 1) % 40 == 0 ? mix(random + 2) % 70000 : mix(random + 3) % 260;
    op.input.text = string_make(random, length);
    op.input.text_length = length;
    return op;
}

static void operation_free(struct operation *op)
{
    free((char *)op->input.text);
}

static VisitStatus operation_do(VisitManager *manager, const struct operation *op)
{
    switch (op->kind) {
    case ADD:
        return VisitManagerAdd(manager, &op->input);
    case REMOVE:
        return VisitManagerRemove(manager, op->input.user_id, op->ids, 3, NULL);
    case CLEAR:
        return VisitManagerClearUser(manager, op->input.user_id);
    case SYNC:
        break;
    }
    return VisitManagerSync(manager);
}

static void operation_tell(struct model *model, const struct operation *op)
{
    if (op->kind == ADD)
        model_add(model, &op->input, op->input.time_ns);
    else if (op->kind == REMOVE)
        model_remove(model, op->input.user_id, op->ids, 3);
    else if (op->kind == CLEAR)
        model_clear(model, op->input.user_id);
}

/* ------------------------------------------------------------------------------------------------
 * The process that is killed
 * --------------------------------------------------------------------------------------------- */

struct writer {
    const struct trial *trial;
    VisitManager *manager;
    uint32_t thread;
};

static void *write_on(void *data)
{
    const struct writer *w = data;
    atomic_uint *done = &w->trial->progress->done[w->thread];
    uint32_t from = atomic_load(done);
    for (uint32_t n = from; !w->trial->session || n < from + w->trial->session; n++) {
        struct operation op = operation_make(w->trial, w->thread, n);
        VisitStatus status = operation_do(w->manager, &op);
        operation_free(&op);
        if (status) {
            atomic_store(&w->trial->progress->failed, 1);
            print_error("thread %u: operation %u: %s\n", w->thread, n, VisitLastError());
            _exit(1);
        }
        atomic_store(done, n + 1);
    }
    return NULL;
}

static void live(const struct trial *trial)
{
    for (;;) {
        VisitManager *manager = NULL;
        pthread_t thread[THREADS];
        struct writer writer[THREADS];
        if (VisitManagerOpen(trial->path, &trial->options, &manager)) {
            atomic_store(&trial->progress->failed, 1);
            print_error("open: %s\n", VisitLastError());
            _exit(1);
        }
        atomic_store(&trial->progress->opened, true);
        for (uint32_t i = 0; i < THREADS; i++) {
            writer[i] = (struct writer){trial, manager, i};
            pthread_create(&thread[i], NULL, write_on, &writer[i]);
        }
        for (uint32_t i = 0; i < THREADS; i++)
            pthread_join(thread[i], NULL);
        VisitManagerFree(manager);
    }
}

/* ------------------------------------------------------------------------------------------------
 * The one who kills it and looks at what is left
 * --------------------------------------------------------------------------------------------- */

static void kill_after(struct trial *trial, uint32_t wait_us)
{
    int status = 0;
    uint32_t before = atomic_load(&trial->progress->done[0]);
    pid_t pid = fork_child();
    assert_true(pid >= 0);
    if (pid == 0)
        live(trial);
    while (atomic_load(&trial->progress->done[0]) == before && wait_us % 4 &&
           waitpid(pid, &status, WNOHANG) == 0)
        usleep(50);
    usleep(wait_us);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_int_equal(atomic_load(&trial->progress->failed), 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* it did not crash before */
}

/* The model learns what was acknowledged. */
static void catch_up(struct trial *trial)
{
    for (uint32_t t = 0; t < THREADS; t++) {
        while (trial->next[t] < atomic_load(&trial->progress->done[t])) {
            struct operation op = operation_make(trial, t, trial->next[t]++);
            operation_tell(&trial->model, &op);
            operation_free(&op);
        }
    }
}

/* What a thread was at when it died: if it was done, the model learns that too. */
static void settle(struct trial *trial, VisitManager *manager, VisitReader *reader, uint32_t t)
{
    struct operation op = operation_make(trial, t, trial->next[t]);
    compare_quiet = true;
    bool same = compare_user(manager, reader, &trial->model, op.input.user_id, 0);
    compare_quiet = false;
    if (!same) {
        operation_tell(&trial->model, &op);
        atomic_store(&trial->progress->done[t], ++trial->next[t]);
    }
    operation_free(&op);
}

static void check(struct trial *trial, uint32_t number)
{
    VisitStats stats = {.size = sizeof stats};
    VisitReader *reader = NULL;
    VisitManager *manager = store_open_with(trial->path, &trial->options);
    assert_ok(VisitManagerStats(manager, &stats));
    /* A new store says whose it is at the end of its first opening. */
    if (atomic_load(&trial->progress->opened))
        assert_int_not_equal(stats.state, VISIT_FOUND_CRASHED);
    assert_ok(VisitReaderOpen(manager, &reader));
    for (uint32_t t = 0; t < THREADS; t++)
        settle(trial, manager, reader, t);
    VisitReaderFree(reader);
    bool good = compare_verify(manager) && compare_all(manager, &trial->model);
    if (!good)
        print_error("after kill %u, seed %" PRIu64 "\n", number, trial->seed);
    assert_true(good);
    store_close(manager);
}

static uint32_t number_of(const char *name, uint32_t otherwise)
{
    const char *text = getenv(name);
    return text ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

static void run_trial(void **state, struct trial trial)
{
    const struct scratch *scratch = *state;
    uint32_t kills = number_of("RV_KILLS", 24);
    trial.path = scratch->store;
    trial.seed = number_of("RV_SEED", 1);
    trial.options.size = sizeof trial.options;
    trial.options.max_visits = LIMIT;
    trial.progress = mmap(NULL, sizeof *trial.progress, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(trial.progress != MAP_FAILED);
    model_init(&trial.model, LIMIT);
    for (uint32_t i = 0; i < kills; i++) {
        kill_after(&trial, (uint32_t)(mix(trial.seed * 131 + i) % 12000));
        catch_up(&trial);
        check(&trial, i);
    }
    model_free(&trial.model);
    munmap(trial.progress, sizeof *trial.progress);
}

static void test_kill__threads_with_few_users(void **state)
{
    struct trial trial = {.users = 2, .options = {.checkpoint_interval_ms = 1, .shards = 1}};
    run_trial(state, trial);
}

static void test_kill__threads_with_many_users(void **state)
{
    struct trial trial = {.users = 3000, .options = {.checkpoint_interval_ms = 2, .shards = 2}};
    run_trial(state, trial);
}

static void test_kill__opening_and_closing(void **state)
{
    struct trial trial = {.users = 20, .session = 30, .options = {.checkpoint_interval_ms = 5}};
    run_trial(state, trial);
}

static void test_kill__without_background_checkpoints(void **state)
{
    struct trial trial = {.users = 100,
                          .options = {.checkpoint_interval_ms = -1, .slot_size = 128}};
    run_trial(state, trial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_kill__threads_with_few_users),
        scratch_test(test_kill__threads_with_many_users),
        scratch_test(test_kill__opening_and_closing),
        scratch_test(test_kill__without_background_checkpoints),
    };
    return cmocka_run_group_tests_name("kill", tests, NULL, NULL);
}
