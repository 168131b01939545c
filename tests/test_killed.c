/* SPDX-License-Identifier: MIT */
/*
 * Writers that are killed at any instant. What a call had acknowledged is there afterwards; of the
 * call that was under way, all or nothing.
 *
 *   RV_KILLS=1000 RV_SEED=7 test_killed   so many kills of each kind; other operations
 */
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "compare.h"
#include "model.h"
#include "support.h"

#define LIMIT 6

/* What the writer and the one who kills it share. */
struct progress {
    atomic_uint done;   /* operations that were acknowledged */
    atomic_uint failed; /* one was not: its number + 1 */
};

struct hunt {
    const struct scratch *scratch;
    struct model model;
    struct progress *progress;
    uint64_t seed;
    VisitOptions options;
    uint32_t users;
    uint32_t next; /* first operation that the model does not have */
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* One operation: its number decides all of it. */
struct operation {
    enum { ADD, REMOVE, CLEAR, SYNC } kind;
    uint32_t ids[3];
    VisitInput input;
};

static struct operation operation_make(const struct hunt *hunt, uint32_t number)
{
    uint64_t random = mix(hunt->seed * 0x9e3779b97f4a7c15u + number);
    uint32_t kind = random % 100;
    struct operation operation = {.kind = kind < 80   ? ADD
                                          : kind < 92 ? REMOVE
                                          : kind < 99 ? CLEAR
                                                      : SYNC};
    random = mix(random);
    operation.input.user_id = (uint32_t)(random % hunt->users);
    for (int i = 0; i < 3; i++)
        operation.ids[i] = (uint32_t)(random >> (16 + 8 * i)) % 20;
    operation.input.visit_id = operation.ids[0];
    operation.input.flags = VISIT_AT_TIME;
    operation.input.time_ns = kind < 60 ? number : (int64_t)(random % (number + 1));
    random = mix(random);
    size_t length = random % 50 == 0 ? random % 100000 : random % 300;
    operation.input.url = "u";
    operation.input.url_length = 1;
    operation.input.text = string_make(random, length);
    operation.input.text_length = length;
    return operation;
}

static void operation_free(struct operation *operation)
{
    free((char *)operation->input.text);
}

static bool operation_do(VisitManager *manager, const struct operation *operation)
{
    switch (operation->kind) {
    case ADD:
        return VisitManagerAdd(manager, &operation->input) == VISIT_OK;
    case REMOVE:
        return VisitManagerRemove(manager, operation->input.user_id, operation->ids, 3, NULL) ==
               VISIT_OK;
    case CLEAR:
        return VisitManagerClearUser(manager, operation->input.user_id) == VISIT_OK;
    case SYNC:
        return VisitManagerSync(manager) == VISIT_OK;
    }
    return false;
}

static void operation_tell(struct model *model, const struct operation *operation)
{
    if (operation->kind == ADD)
        model_add(model, &operation->input, operation->input.time_ns);
    else if (operation->kind == REMOVE)
        model_remove(model, operation->input.user_id, operation->ids, 3);
    else if (operation->kind == CLEAR)
        model_clear(model, operation->input.user_id);
}

/* ------------------------------------------------------------------------------------------------
 * The writer and the hunter
 * --------------------------------------------------------------------------------------------- */

/* Works until it is killed. */
static void writer_main(const struct hunt *hunt)
{
    VisitManager *manager = NULL;
    bool good = VisitManagerOpen(hunt->scratch->store, &hunt->options, &manager) == VISIT_OK;
    for (uint32_t number = hunt->next; good; number++) {
        struct operation operation = operation_make(hunt, number);
        good = operation_do(manager, &operation);
        operation_free(&operation);
        if (good)
            atomic_store(&hunt->progress->done, number + 1);
        else
            atomic_store(&hunt->progress->failed, number + 1);
    }
    print_error("writer: %s\n", VisitLastError());
    _exit(1);
}

/* Lets a writer do at least some operations, and kills it after a while. */
static void kill_one(struct hunt *hunt, uint32_t least, uint32_t wait_us)
{
    int status = 0;
    pid_t pid = fork_child();
    assert_true(pid >= 0);
    if (pid == 0)
        writer_main(hunt);
    while (atomic_load(&hunt->progress->done) < hunt->next + least &&
           waitpid(pid, &status, WNOHANG) == 0)
        usleep(100);
    usleep(wait_us);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_int_equal(atomic_load(&hunt->progress->failed), 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* it did not crash before */
}

/* Brings the model to what was acknowledged. */
static void catch_up(struct hunt *hunt)
{
    uint32_t done = atomic_load(&hunt->progress->done);
    for (; hunt->next < done; hunt->next++) {
        struct operation operation = operation_make(hunt, hunt->next);
        operation_tell(&hunt->model, &operation);
        operation_free(&operation);
    }
}

/* The store is the model, or the model after the operation that was under way. */
static bool same_or_one_more(struct hunt *hunt, VisitManager *manager)
{
    compare_quiet = true;
    bool same = compare_all(manager, &hunt->model);
    compare_quiet = false;
    if (same)
        return true;
    struct operation operation = operation_make(hunt, hunt->next++);
    operation_tell(&hunt->model, &operation);
    operation_free(&operation);
    atomic_store(&hunt->progress->done, hunt->next);
    return compare_all(manager, &hunt->model);
}

static void check_repaired(struct hunt *hunt, int number)
{
    VisitStats stats = {.size = sizeof stats};
    VisitManager *manager = store_open_with(hunt->scratch->store, &hunt->options);
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.state, VISIT_FOUND_KILLED);
    bool good = compare_verify(manager) && same_or_one_more(hunt, manager);
    if (!good)
        print_error("after kill %d, operation %u, seed %" PRIu64 "\n", number, hunt->next,
                    hunt->seed);
    assert_true(good);
    store_close(manager);
}

static uint32_t number_of(const char *name, uint32_t otherwise)
{
    const char *text = getenv(name);
    return text ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

static void run_hunt(void **state, VisitOptions options, uint32_t users, uint32_t kills)
{
    struct hunt hunt = {.scratch = *state, .options = options, .users = users};
    hunt.seed = number_of("RV_SEED", 1);
    hunt.progress = mmap(NULL, sizeof *hunt.progress, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(hunt.progress != MAP_FAILED);
    kills = number_of("RV_KILLS", kills);
    model_init(&hunt.model, LIMIT);
    for (uint32_t i = 0; i < kills; i++) {
        uint64_t random = mix(hunt.seed + i * 77);
        kill_one(&hunt, random % 3 ? 1 : 200, (uint32_t)(random >> 8) % 8000);
        catch_up(&hunt);
        check_repaired(&hunt, (int)i);
    }
    model_free(&hunt.model);
    munmap(hunt.progress, sizeof *hunt.progress);
}

/* ------------------------------------------------------------------------------------------------
 * Tests
 * --------------------------------------------------------------------------------------------- */

static const VisitOptions base = {.size = sizeof base, .max_visits = LIMIT};

static void test_killed__few_users(void **state)
{
    VisitOptions options = base;
    options.checkpoint_interval_ms = 1;
    run_hunt(state, options, 5, 40);
}

static void test_killed__many_users(void **state)
{
    VisitOptions options = base;
    options.checkpoint_interval_ms = 1;
    options.shards = 1;
    run_hunt(state, options, 20000, 40);
}

static void test_killed__without_background_checkpoints(void **state)
{
    VisitOptions options = base;
    options.checkpoint_interval_ms = -1;
    options.slot_size = 128;
    run_hunt(state, options, 300, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_killed__few_users),
        scratch_test(test_killed__many_users),
        scratch_test(test_killed__without_background_checkpoints),
    };
    return cmocka_run_group_tests_name("killed", tests, NULL, NULL);
}
