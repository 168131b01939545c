/* SPDX-License-Identifier: MIT */
/*
 * Sharers: several processes that write one store. Built from the library's sources, so that a
 * child can be stopped or killed before any of its stores to the file.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/alloc.h"
#include "../lib/checkpoint.h"
#include "../lib/index.h"
#include "../lib/lock.h"
#include "../lib/manager.h"
#include "support.h"

#define MANY 400u

/* ------------------------------------------------------------------------------------------------
 * Children that end, or stop, at a store
 * --------------------------------------------------------------------------------------------- */

static struct {
    uint64_t stores;    /* until the signal; 0: none comes */
    const void *within; /* count only stores to these bytes; NULL: all */
    size_t size;
    size_t behind_first; /* if not 0: they are so far behind the first store's page */
    int signal;          /* 0: the function is called instead */
    void (*function)(void);
} trap;

void rv_sim_store(void *address, uint64_t value, unsigned bytes)
{
    if (trap.behind_first) {
        trap.within = (uint8_t *)address - (uintptr_t)address % RV_PAGE + trap.behind_first;
        trap.behind_first = 0;
    }
    size_t offset = (size_t)((uint8_t *)address - (const uint8_t *)trap.within);
    if (trap.stores && (!trap.within || offset < trap.size) && --trap.stores == 0)
        trap.signal ? (void)raise(trap.signal) : trap.function();
    if (bytes == 8)
        __atomic_store_n((uint64_t *)address, value, __ATOMIC_RELEASE);
    else
        __atomic_store_n((uint32_t *)address, (uint32_t)value, __ATOMIC_RELEASE);
}

static VisitOptions shared_options(void)
{
    return (VisitOptions){.size = sizeof(VisitOptions),
                          .mode = VISIT_SHARED,
                          .checkpoint_interval_ms = -1,
                          .lock_wait_ms = 20};
}

static VisitManager *share(const struct scratch *scratch)
{
    VisitOptions options = shared_options();
    return store_open_with(scratch->store, &options);
}

/* What a child does once it has the store open; the same for one that is to go on with it. */
typedef int child_work(VisitManager *manager);

static int child_main(const struct scratch *scratch, child_work *work, uint64_t stores, int number,
                      bool in_allocator)
{
    VisitOptions options = shared_options();
    VisitManager *manager = NULL;
    options.lock_wait_ms = 10000;
    child_check(VisitManagerOpen(scratch->store, &options, &manager) == VISIT_OK);
    trap.within = in_allocator ? &manager->st->live->undo : NULL;
    trap.size = sizeof manager->st->live->undo;
    trap.signal = number;
    trap.stores = stores;
    int result = work(manager);
    trap.stores = 0;
    VisitManagerFree(manager);
    child_check(VisitLastStatus() == VISIT_OK);
    return result;
}

/* Starts one that gets the signal before that store; waits until it has, or is through. */
static pid_t child_start(const struct scratch *scratch, child_work *work, uint64_t stores,
                         int number, bool in_allocator, int *ret_status)
{
    pid_t child = fork_child();
    assert_true(child >= 0);
    if (child == 0)
        child_exit(child_main(scratch, work, stores, number, in_allocator));
    assert_int_equal(waitpid(child, ret_status, WUNTRACED), child);
    return child;
}

static pid_t child_stopped(const struct scratch *scratch, child_work *work, uint64_t stores,
                           bool in_allocator)
{
    int status;
    pid_t child = child_start(scratch, work, stores, SIGSTOP, in_allocator, &status);
    assert_true(WIFSTOPPED(status));
    return child;
}

static void child_continue(pid_t child)
{
    int status;
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void child_kill(pid_t child)
{
    int status;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
}

/* Kills one before that store; false if it was through before. */
static bool child_killed(const struct scratch *scratch, child_work *work, uint64_t stores)
{
    int status;
    child_start(scratch, work, stores, SIGKILL, false, &status);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return false;
}

/* ------------------------------------------------------------------------------------------------
 * Work
 * --------------------------------------------------------------------------------------------- */

static int add_one(VisitManager *manager)
{
    child_check(VisitManagerAddVisit(manager, 1, 77, "u", "t"));
    return 0;
}

static int add_many(VisitManager *manager)
{
    for (uint32_t user = 100; user < 100 + MANY; user++)
        child_check(VisitManagerAddVisit(manager, user, user, "https://example.org/", "many"));
    return 0;
}

static int grow_file(VisitManager *manager)
{
    uint64_t size = rv_file_size(manager->st);
    for (uint32_t id = 1; rv_file_size(manager->st) == size; id++) {
        char *text = string_make(id, 100000);
        child_check(VisitManagerAddVisit(manager, 1000 + id, id, "u", text));
        free(text);
    }
    return 0;
}

/* Ends in the middle of setting up a block map, the first of its blocks that is not yet counted. */
static int die_in_a_new_map(VisitManager *manager)
{
    struct rv_store *st = manager->st;
    uint64_t block = rv_load(&st->live->blocks);
    while (!rv_is_map(st, block))
        block++;
    trap.within = &rv_header(st, block)->run;
    trap.size = sizeof rv_header(st, block)->run;
    trap.signal = SIGKILL;
    trap.stores = 1;
    char *text = string_make(1, 1000000);
    for (uint32_t id = 1; id < 200; id++)
        child_check(VisitManagerAddVisit(manager, 1000 + id, id, "u", text));
    free(text);
    return 0;
}

static int some_of_all(VisitManager *manager)
{
    uint32_t ids[] = {1, 2};
    char *text = string_make(7, 700);
    for (uint32_t user = 0; user < 4; user++) {
        for (uint32_t id = 1; id < 7; id++)
            child_check(VisitManagerAddVisit(manager, user, 10 * user + id, "u", text));
    }
    free(text);
    child_check(VisitManagerSync(manager) == VISIT_OK);
    child_check(VisitManagerRemove(manager, 0, ids, 2, NULL) == VISIT_OK);
    child_check(VisitManagerClearUser(manager, 1) == VISIT_OK);
    child_check(VisitManagerSync(manager) == VISIT_OK);
    for (uint32_t user = 2; user < 6; user++)
        child_check(VisitManagerAddVisit(manager, user, 99, "u", "t"));
    return 0;
}

static uint32_t state_of(VisitManager *manager)
{
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    return stats.state;
}

/* The store was closed well, and all is well with it. */
static void assert_closed_clean(const struct scratch *scratch)
{
    VisitManager *manager = store_open_with(scratch->store, NULL);
    assert_int_equal(state_of(manager), VISIT_FOUND_CLEAN);
    assert_ok(store_verify(manager));
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * Who may open
 * --------------------------------------------------------------------------------------------- */

static void test_shared__managers_of_one_process_share(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *a = share(scratch);
    VisitManager *b = share(scratch);
    assert_true(VisitManagerAddVisit(a, 1, 1, "u", "t"));
    assert_true(VisitManagerAddVisit(b, 1, 2, "u", "t"));
    assert_visits(a, 1, 2, 1);
    assert_visits(b, 1, 2, 1);
    assert_int_equal(state_of(a), VISIT_FOUND_NEW);
    assert_int_equal(state_of(b), VISIT_FOUND_IN_USE);
    store_close(a);
    assert_true(VisitManagerAddVisit(b, 1, 3, "u", "t"));
    assert_ok(store_verify(b));
    store_close(b);
    assert_closed_clean(scratch);
}

static void test_shared__processes_share(void **state)
{
    const struct scratch *scratch = *state;
    int status;
    VisitManager *manager = share(scratch);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    child_start(scratch, add_one, 0, 0, false, &status);
    assert_int_equal(status, 0);
    assert_visits(manager, 1, 77, 1);
    assert_true(VisitManagerAddVisit(manager, 1, 2, "u", "t"));
    assert_ok(store_verify(manager));
    store_close(manager);
    assert_closed_clean(scratch);
}

static void test_shared__exclusive_opener_is_told_who_shares(void **state)
{
    const struct scratch *scratch = *state;
    char here[40];
    snprintf(here, sizeof here, "process %d (this process)", (int)getpid());
    VisitManager *manager = share(scratch);
    assert_open_fails(scratch->store, NULL, VISIT_ERROR_BUSY, here);
    assert_last(VISIT_ERROR_BUSY, "VISIT_SHARED");
    pid_t child = child_stopped(scratch, add_one, 1, false);
    snprintf(here, sizeof here, ", %d", (int)child);
    assert_open_fails(scratch->store, NULL, VISIT_ERROR_BUSY, here);
    child_kill(child);
    store_close(manager);
    assert_closed_clean(scratch);
}

/* More of them than a message holds. */
static void test_shared__exclusive_opener_is_told_of_many(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager[12];
    for (size_t i = 0; i < 12; i++)
        manager[i] = share(scratch);
    assert_open_fails(scratch->store, NULL, VISIT_ERROR_BUSY, " and others: open it with");
    for (size_t i = 0; i < 12; i++)
        store_close(manager[i]);
    store_close(store_open(scratch->store, 5));
}

static void test_shared__sharer_is_told_of_an_exclusive_manager(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = shared_options();
    VisitManager *manager = store_open(scratch->store, 5);
    assert_open_fails(scratch->store, &options, VISIT_ERROR_BUSY, "this process");
    store_close(manager);
    store_close(share(scratch));
}

static void test_shared__read_only_beside_sharers(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = share(scratch);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    VisitManager *reader = store_open_read_only(scratch->store);
    assert_visits(reader, 1, 1);
    assert_int_equal(add_many(manager), 0);
    assert_visits(reader, 300, 300);
    assert_ok(store_verify(reader));
    store_close(manager);
    assert_visits(reader, 1, 1);
    manager = share(scratch);
    assert_true(VisitManagerAddVisit(manager, 1, 2, "u", "t"));
    assert_visits(reader, 1, 2, 1);
    store_close(manager);
    store_close(reader);
}

static void test_shared__limit_is_that_of_the_first(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = shared_options();
    options.max_visits = 3;
    VisitManager *first = store_open_with(scratch->store, &options);
    VisitManager *same = store_open_with(scratch->store, &options);
    VisitManager *any = share(scratch);
    options.max_visits = 4;
    assert_open_fails(scratch->store, &options, VISIT_ERROR_BUSY, "limit of 3");
    for (uint32_t id = 1; id <= 5; id++)
        assert_true(VisitManagerAddVisit(id % 2 ? any : same, 1, id, "u", "t"));
    assert_visits(first, 1, 5, 4, 3);
    store_close(first);
    store_close(same);
    store_close(any);
    first = store_open_with(scratch->store, &options);
    assert_true(VisitManagerAddVisit(first, 1, 6, "u", "t"));
    assert_visits(first, 1, 6, 5, 4, 3);
    store_close(first);
}

/* What other processes' locks look like stands in the live state. */
static void refuse_with(const struct scratch *scratch, size_t offset, const char *part)
{
    VisitOptions options = shared_options();
    uint64_t other = 0x1234500000028;
    VisitManager *manager = share(scratch);
    file_write_at(scratch->store, 3 * RV_PAGE + offset, &other, sizeof other);
    assert_open_fails(scratch->store, &options, VISIT_ERROR_UNSUPPORTED, part);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    store_close(manager);
    assert_closed_clean(scratch);
}

static void test_shared__other_c_library_is_refused(void **state)
{
    refuse_with(*state, offsetof(struct rv_disk_live, lock_abi), "C library");
}

static void test_shared__other_process_id_namespace_is_refused(void **state)
{
    refuse_with(*state, offsetof(struct rv_disk_live, pid_space), "namespace");
}

static int in_forked_child(void *data)
{
    VisitManager *manager = data;
    size_t count;
    child_check(!VisitManagerAddVisit(manager, 1, 9, "u", "t"));
    child_check(VisitLastStatus() == VISIT_ERROR_FORKED);
    child_check(!VisitManagerGetRecentVisits(manager, 1, &count));
    VisitManagerFree(manager);
    return 0;
}

static void test_shared__child_of_a_fork_is_told(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = share(scratch);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    assert_int_equal(in_child(in_forked_child, manager), 0);
    assert_true(VisitManagerAddVisit(manager, 1, 2, "u", "t"));
    assert_visits(manager, 1, 2, 1);
    store_close(manager);
    assert_closed_clean(scratch);
}

/* ------------------------------------------------------------------------------------------------
 * Reading, growing, checkpoints
 * --------------------------------------------------------------------------------------------- */

static void test_shared__results_are_copies(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *a = share(scratch);
    VisitManager *b = share(scratch);
    size_t count;
    assert_true(VisitManagerAddVisit(a, 1, 1, "first url", "first text"));
    Visit **visits = VisitManagerGetRecentVisits(a, 1, &count);
    const uint8_t *url = (const uint8_t *)visits[0]->url;
    assert_false(url >= a->st->file.ro && url < a->st->file.ro + a->st->file.mapped);
    for (uint32_t id = 2; id < 100; id++) {
        assert_true(VisitManagerAddVisit(b, 1, id, "another url", "another text"));
        assert_ok(VisitManagerSync(b));
    }
    assert_string_equal(visits[0]->url, "first url");
    assert_string_equal(visits[0]->text, "first text");
    store_close(b);
    store_close(a);
}

static void test_shared__growth_by_another_is_followed(void **state)
{
    const struct scratch *scratch = *state;
    int status;
    size_t count;
    VisitManager *manager = share(scratch);
    uint64_t size = rv_file_size(manager->st);
    child_start(scratch, grow_file, 0, 0, false, &status);
    assert_int_equal(status, 0);
    Visit **visits = VisitManagerGetRecentVisits(manager, 1001, &count);
    assert_int_equal(count, 1);
    assert_int_equal(strlen(visits[0]->text), 100000);
    assert_int_equal(grow_file(manager), 0);
    assert_true(rv_file_size(manager->st) > size);
    child_start(scratch, add_many, 0, 0, false, &status);
    assert_int_equal(status, 0);
    assert_ok(store_verify(manager));
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.file_bytes, file_size(scratch->store));
    assert_ok(VisitManagerBackup(manager, scratch_path(scratch, "copy.rv"), NULL, NULL));
    store_close(manager);
    assert_closed_clean(scratch);
}

static struct {
    VisitManager *here; /* looks how long the file is; NULL: nothing happens then */
    VisitManager *there;
    unsigned times;
} growth;

/* Adds users until the index begins with a segment that lies beyond the end that `here` knows of.
 */
static void grow_index(void)
{
    static uint32_t user = 1;
    const struct rv_store *st = growth.there->st;
    uint32_t block = 0;
    while (!block || block < rv_file_size(growth.here->st) >> st->geo.block_log2) {
        assert_true(VisitManagerAddVisit(growth.there, user++, 1, "u", "t"));
        assert_int_equal(rv_index_segment(st, &st->shard[0], 0, &block), VISIT_OK);
    }
}

VisitStatus __real_rv_file_refresh(struct rv_file *file);
VisitStatus __wrap_rv_file_refresh(struct rv_file *file);

VisitStatus __wrap_rv_file_refresh(struct rv_file *file)
{
    VisitStatus status = __real_rv_file_refresh(file);
    if (growth.times && file == &growth.here->st->file) {
        growth.times--;
        grow_index();
    }
    return status;
}

/* The file may have grown again since it was looked at: what lies beyond its end is no damage. */
static void test_shared__going_through_users_while_the_file_grows(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = shared_options();
    uint32_t user_id;
    VisitUsers *users;
    options.shards = 1;
    VisitManager *manager = store_open_with(scratch->store, &options);
    growth.here = manager;
    growth.there = share(scratch);
    grow_index();
    assert_ok(VisitUsersOpen(manager, &users));
    growth.times = 3;
    assert_ok(VisitUsersNext(users, &user_id, NULL));
    assert_int_equal(growth.times, 0);
    VisitUsersFree(users);
    store_close(growth.there);
    store_close(manager);
}

static uint64_t durable_of(VisitManager *manager)
{
    return rv_load(&manager->st->live->durable);
}

/* Whoever sees that another one has run a checkpoint since its own last look leaves its own out. */
static void test_shared__one_runs_checkpoints_by_the_clock(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *a = share(scratch);
    VisitManager *b = share(scratch);
    uint64_t seen_a = durable_of(a);
    uint64_t seen_b = durable_of(b);
    for (uint32_t id = 1; id < 10; id++) {
        uint64_t before = durable_of(a);
        assert_true(VisitManagerAddVisit(a, 1, id, "u", "t"));
        rv_checkpoint_by_clock(a->st, &seen_a);
        assert_int_equal(durable_of(a), before + 1);
        assert_true(VisitManagerAddVisit(b, 2, id, "u", "t"));
        rv_checkpoint_by_clock(b->st, &seen_b);
        assert_int_equal(durable_of(b), before + 1);
    }
    /* The one that did it does it no more. */
    uint64_t before = durable_of(b);
    rv_checkpoint_by_clock(b->st, &seen_b);
    assert_int_equal(durable_of(b), before + 1);
    store_close(a);
    store_close(b);
    assert_closed_clean(scratch);
}

static void test_shared__sync_covers_what_others_added(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *a = share(scratch);
    VisitManager *b = share(scratch);
    assert_true(VisitManagerAddVisit(a, 1, 1, "u", "t"));
    assert_ok(VisitManagerSync(b));
    uint64_t durable = durable_of(a);
    assert_true(durable >= rv_load(&a->st->live->epoch) - 1);
    assert_ok(VisitManagerSync(a)); /* nothing is left to do */
    assert_int_equal(durable_of(a), durable);
    store_close(a);
    store_close(b);
}

/* ------------------------------------------------------------------------------------------------
 * Stopped and killed
 * --------------------------------------------------------------------------------------------- */

static void assert_busy(VisitStatus status, pid_t holder)
{
    char pid[20];
    snprintf(pid, sizeof pid, "process %d ", (int)holder);
    assert_status(status, VISIT_ERROR_BUSY);
    assert_last(VISIT_ERROR_BUSY, pid);
}

static VisitManager *late;

/* Another sharer makes something durable and dies, between a sharer's last checkpoint and its
 * leave. */
static void work_and_die(void)
{
    assert_true(VisitManagerAddVisit(late, 2, 1, "u", "late"));
    assert_ok(VisitManagerSync(late));
    assert_ok(rv_file_lock(&late->st->file, RV_LOCK_WRITER, RV_LOCK_NONE, 0));
}

/* Whoever closes last goes on from the record that counts, not from the one that it wrote itself:
 * what counts is never overwritten. */
static void test_shared__last_one_goes_on_from_the_newest_record(void **state)
{
    const struct scratch *scratch = *state;
    struct rv_disk_record record[2];
    VisitManager *manager = share(scratch);
    late = share(scratch);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    assert_ok(VisitManagerSync(manager));
    trap.within = manager->st->live->sharers;
    trap.size = sizeof manager->st->live->sharers;
    trap.signal = 0;
    trap.function = work_and_die;
    trap.stores = 1;
    store_close(manager);
    assert_int_equal(trap.stores, 0);
    rv_fork_forget(late); /* its process is no more */
    late->forked = true;
    VisitManagerFree(late);
    struct image image = image_read(scratch->store);
    memcpy(&record[0], image.bytes + RV_PAGE, sizeof record[0]);
    memcpy(&record[1], image.bytes + 2 * RV_PAGE, sizeof record[1]);
    image_free(&image);
    unsigned newest = record[1].serial > record[0].serial;
    assert_int_equal(record[newest].serial, record[!newest].serial + 1);
    assert_int_equal(record[newest].durable, record[!newest].durable);
    assert_true(record[newest].flags & RV_RECORD_CLEAN);
    VisitManager *reopened = store_open(scratch->store, 10);
    assert_visits(reopened, 2, 1);
    store_close(reopened);
}

static void test_shared__stopped_holder_makes_others_busy(void **state)
{
    const struct scratch *scratch = *state;
    VisitInput input = visit_now(1, 2, "u", "t");
    uint32_t id = 1;
    VisitManager *manager = share(scratch);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    pid_t child = child_stopped(scratch, add_one, 3, false);
    assert_busy(VisitManagerAdd(manager, &input), child);
    assert_busy(VisitManagerRemove(manager, 1, &id, 1, NULL), child);
    assert_busy(VisitManagerClearUser(manager, 1), child);
    assert_busy(VisitManagerSync(manager), child);
    assert_busy(VisitManagerVerify(manager, NULL, NULL), child);
    assert_visits(manager, 1, 1); /* reading takes no lock */
    child_continue(child);
    assert_visits(manager, 1, 77, 1);
    assert_ok(VisitManagerAdd(manager, &input));
    assert_ok(VisitManagerSync(manager));
    assert_ok(store_verify(manager));
    store_close(manager);
    assert_closed_clean(scratch);
}

/* The closer says that it could not make all durable; nothing is lost. */
static void test_shared__close_beside_a_stopped_holder(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = share(scratch);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    pid_t child = child_stopped(scratch, add_one, 3, false);
    VisitManagerFree(manager);
    assert_last(VISIT_ERROR_BUSY, NULL);
    child_continue(child);
    assert_closed_clean(scratch);
}

static int back_up(VisitManager *manager)
{
    char path[400];
    snprintf(path, sizeof path, "%s.copy", manager->st->file.path);
    child_check(VisitManagerBackup(manager, path, NULL, NULL) == VISIT_OK);
    return 0;
}

static void test_shared__stopped_checkpointer_is_named(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = share(scratch);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    assert_ok(VisitManagerSync(manager));
    pid_t child = child_stopped(scratch, back_up, 40, false);
    assert_true(VisitManagerAddVisit(manager, 1, 2, "u", "t"));
    assert_busy(VisitManagerSync(manager), child);
    child_kill(child);
    assert_ok(VisitManagerSync(manager));
    store_close(manager);
    assert_closed_clean(scratch);
}

static void *sync_in_thread(void *manager)
{
    return (void *)(intptr_t)VisitManagerSync(manager);
}

static void assert_all_sync(VisitManager *manager, VisitStatus status)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sync_in_thread, manager), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_int_equal((intptr_t)result, status);
    }
}

/* Threads that wait for one another, one of them for the other process. */
static void test_shared__threads_wait_for_a_stopped_checkpointer(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = share(scratch);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    assert_ok(VisitManagerSync(manager));
    pid_t child = child_stopped(scratch, back_up, 40, false);
    assert_true(VisitManagerAddVisit(manager, 1, 2, "u", "t"));
    assert_all_sync(manager, VISIT_ERROR_BUSY);
    child_kill(child);
    assert_all_sync(manager, VISIT_OK);
    store_close(manager);
    assert_closed_clean(scratch);
}

static void test_shared__stopped_then_killed_is_repaired(void **state)
{
    const struct scratch *scratch = *state;
    VisitInput input = visit_now(1, 2, "u", "t");
    VisitManager *manager = share(scratch);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    pid_t child = child_stopped(scratch, add_one, 5, false);
    assert_busy(VisitManagerAdd(manager, &input), child);
    child_kill(child);
    assert_visits(manager, 1, 1);
    assert_ok(VisitManagerAdd(manager, &input));
    assert_visits(manager, 1, 2, 1);
    assert_ok(store_verify(manager));
    store_close(manager);
    assert_closed_clean(scratch);
}

/* A repair that has to wait for a stopped process is made later. */
static void test_shared__repair_that_must_wait_is_not_lost(void **state)
{
    const struct scratch *scratch = *state;
    VisitInput input = visit_now(1, 2, "u", "t");
    VisitManager *manager = share(scratch);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    assert_true(child_killed(scratch, add_one, 5));
    pid_t child = child_stopped(scratch, grow_file, 1, true);
    for (int i = 0; i < 3; i++)
        assert_busy(VisitManagerAdd(manager, &input), child);
    child_continue(child);
    assert_ok(VisitManagerAdd(manager, &input));
    assert_visits(manager, 1, 2, 1);
    assert_ok(store_verify(manager));
    store_close(manager);
    assert_closed_clean(scratch);
}

/* Before each of its stores, with the system's own mutexes; one manager outlives them all. */
static void kill_everywhere(const struct scratch *scratch, child_work *work, uint64_t step)
{
    VisitManager *manager = share(scratch);
    uint64_t at = 1;
    for (uint32_t id = 1; child_killed(scratch, work, at); at += step, id++) {
        assert_true(VisitManagerAddVisit(manager, id % 4, 1000 + id, "u", "t"));
        assert_true(VisitManagerAddVisit(manager, id % 500, 1000 + id, "u", "t"));
        assert_ok(store_verify(manager));
        if (id % 8 == 0)
            assert_ok(VisitManagerSync(manager));
    }
    assert_true(at > 50);
    store_close(manager);
    assert_closed_clean(scratch);
}

static void test_shared__killed_while_it_lengthens_the_file(void **state)
{
    const struct scratch *scratch = *state;
    int status;
    VisitManager *manager = share(scratch);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    uint64_t map = rv_load(&manager->st->live->blocks);
    while (!rv_is_map(manager->st, map))
        map++;
    assert_ok(rv_lock_alloc(manager->st));
    assert_ok(rv_file_grow(&manager->st->file, rv_block_offset(manager->st, map)));
    rv_alloc_add(manager->st, rv_load(&manager->st->live->blocks), map);
    rv_unlock_alloc(manager->st);
    uint64_t size = rv_file_size(manager->st);
    child_start(scratch, die_in_a_new_map, 0, 0, false, &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(rv_file_size(manager->st), size); /* not known here */
    assert_ok(VisitManagerSync(manager));
    assert_true(VisitManagerAddVisit(manager, 1, 2, "u", "t"));
    assert_ok(store_verify(manager));
    store_close(manager);
    assert_closed_clean(scratch);
}

static void test_shared__killed_in_some_of_all(void **state)
{
    kill_everywhere(*state, some_of_all, 13);
}

static void test_shared__killed_in_many_adds(void **state)
{
    kill_everywhere(*state, add_many, 397);
}

static void test_shared__all_killed_then_opened(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = share(scratch);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    store_close(manager);
    for (uint64_t at = 2; at < 30; at += 3) {
        assert_true(child_killed(scratch, some_of_all, at));
        manager = share(scratch);
        assert_int_equal(state_of(manager), VISIT_FOUND_KILLED);
        assert_ok(store_verify(manager));
        store_close(manager);
    }
    assert_closed_clean(scratch);
}

/* Mutexes of a file at rest mean nothing: they may be noise, or locked for ever. */
static void test_shared__locks_of_a_file_at_rest_are_made_anew(void **state)
{
    const struct scratch *scratch = *state;
    uint8_t noise[sizeof(struct rv_disk_lock)];
    memset(noise, 0xff, sizeof noise);
    store_close(share(scratch));
    for (uint32_t i = 0; i < RV_SHARDS; i++)
        file_write_at(scratch->store, 4 * RV_PAGE + i * sizeof(struct rv_disk_shard), noise,
                      sizeof noise);
    file_write_at(scratch->store, 3 * RV_PAGE + offsetof(struct rv_disk_live, alloc_lock), noise,
                  sizeof noise);
    file_write_at(scratch->store, 3 * RV_PAGE + offsetof(struct rv_disk_live, checkpoint_lock),
                  noise, sizeof noise);
    VisitManager *manager = share(scratch);
    assert_int_equal(some_of_all(manager), 0);
    store_close(manager);
    assert_closed_clean(scratch);
}

static void test_shared__copy_of_a_killed_store_opens(void **state)
{
    const struct scratch *scratch = *state;
    struct scratch copy = *scratch;
    snprintf(copy.store, sizeof copy.store, "%s", scratch_path(scratch, "copy.rv"));
    assert_true(child_killed(scratch, some_of_all, 300));
    struct image image = image_read(scratch->store);
    file_write(copy.store, image.bytes, image.size);
    image_free(&image);
    VisitManager *manager = share(&copy);
    assert_int_equal(state_of(manager), VISIT_FOUND_CRASHED);
    assert_int_equal(some_of_all(manager), 0);
    assert_ok(store_verify(manager));
    store_close(manager);
    assert_closed_clean(&copy);
}

/* ------------------------------------------------------------------------------------------------
 * A backup beside a recovery
 * --------------------------------------------------------------------------------------------- */

struct recovery {
    const struct scratch *scratch;
    bool begun;
    bool killed;
};

/* Another process recovers the store and is killed when the second shard's directory is empty: its
 * first store is to the superblock. */
static int recover_meanwhile(void *data, const char *what, uint64_t done, uint64_t total)
{
    struct recovery *r = data;
    (void)what;
    (void)done;
    (void)total;
    if (r->begun)
        return 0;
    r->begun = true;
    int status = 0;
    pid_t child = fork_child();
    if (child == 0) {
        trap.behind_first =
            4 * RV_PAGE + sizeof(struct rv_disk_shard) + offsetof(struct rv_disk_shard, root);
        trap.size = sizeof((struct rv_disk_shard *)0)->root;
        trap.signal = SIGKILL;
        trap.stores = RV_FANOUT;
        VisitManagerCreate(r->scratch->store, 10);
        child_exit(0);
    }
    waitpid(child, &status, 0);
    r->killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    return 0;
}

/* A reader's backup that is under way must not take what it sees of a recovery, which makes the
 * index anew, for a store with fewer users. */
static void test_shared__backup_beside_a_recovery_is_whole(void **state)
{
    const struct scratch *scratch = *state;
    struct recovery r = {.scratch = scratch};
    struct scratch copy = *scratch;
    snprintf(copy.store, sizeof copy.store, "%s", scratch_path(scratch, "copy.rv"));
    store_make(scratch->store, MANY);
    pid_t writer = child_stopped(scratch, add_one, 1, false);
    VisitManager *reader = store_open_read_only(scratch->store);
    child_kill(writer);
    file_write_at(scratch->store, 3 * RV_PAGE + offsetof(struct rv_disk_live, boot_id),
                  "not of this boot", 16);
    assert_ok(VisitManagerBackup(reader, copy.store, recover_meanwhile, &r));
    assert_true(r.killed);
    store_close(reader);
    VisitStats stats = {.size = sizeof stats};
    reader = store_open_read_only(copy.store);
    assert_ok(VisitManagerStats(reader, &stats));
    assert_int_equal(stats.users, MANY);
    assert_ok(store_verify(reader));
    store_close(reader);
}

/* Whoever has the byte may be in a recovery: nobody comes in, not even beside sharers. */
static void test_shared__opener_that_waits_in_vain_does_not_join(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = shared_options();
    VisitManager *manager = share(scratch);
    assert_int_equal(rv_file_lock(&manager->st->file, RV_LOCK_OPEN, RV_LOCK_WRITE, 0), VISIT_OK);
    assert_open_fails(scratch->store, &options, VISIT_ERROR_BUSY, "opening or closing it");
    assert_int_equal(rv_file_lock(&manager->st->file, RV_LOCK_OPEN, RV_LOCK_NONE, 0), VISIT_OK);
    VisitManager *other = share(scratch);
    store_close(other);
    store_close(manager);
    assert_closed_clean(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_shared__managers_of_one_process_share),
        scratch_test(test_shared__processes_share),
        scratch_test(test_shared__exclusive_opener_is_told_who_shares),
        scratch_test(test_shared__exclusive_opener_is_told_of_many),
        scratch_test(test_shared__sharer_is_told_of_an_exclusive_manager),
        scratch_test(test_shared__read_only_beside_sharers),
        scratch_test(test_shared__limit_is_that_of_the_first),
        scratch_test(test_shared__other_c_library_is_refused),
        scratch_test(test_shared__other_process_id_namespace_is_refused),
        scratch_test(test_shared__child_of_a_fork_is_told),
        scratch_test(test_shared__results_are_copies),
        scratch_test(test_shared__growth_by_another_is_followed),
        scratch_test(test_shared__going_through_users_while_the_file_grows),
        scratch_test(test_shared__one_runs_checkpoints_by_the_clock),
        scratch_test(test_shared__sync_covers_what_others_added),
        scratch_test(test_shared__last_one_goes_on_from_the_newest_record),
        scratch_test(test_shared__stopped_holder_makes_others_busy),
        scratch_test(test_shared__close_beside_a_stopped_holder),
        scratch_test(test_shared__stopped_checkpointer_is_named),
        scratch_test(test_shared__threads_wait_for_a_stopped_checkpointer),
        scratch_test(test_shared__stopped_then_killed_is_repaired),
        scratch_test(test_shared__repair_that_must_wait_is_not_lost),
        scratch_test(test_shared__killed_while_it_lengthens_the_file),
        scratch_test(test_shared__killed_in_some_of_all),
        scratch_test(test_shared__killed_in_many_adds),
        scratch_test(test_shared__all_killed_then_opened),
        scratch_test(test_shared__locks_of_a_file_at_rest_are_made_anew),
        scratch_test(test_shared__copy_of_a_killed_store_opens),
        scratch_test(test_shared__backup_beside_a_recovery_is_whole),
        scratch_test(test_shared__opener_that_waits_in_vain_does_not_join),
    };
    return cmocka_run_group_tests_name("shared", tests, NULL, NULL);
}
