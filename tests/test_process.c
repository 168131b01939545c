/* SPDX-License-Identifier: MIT */
/* Other processes: stores that are in use, whose writer died, or that a fork() left open. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../lib/format.h"
#include "support.h"

/* ------------------------------------------------------------------------------------------------
 * In use
 * --------------------------------------------------------------------------------------------- */

static void test_process__second_writer_here_is_busy(void **state)
{
    const struct scratch *scratch = *state;
    char pid[20];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    VisitManager *manager = store_open(scratch->store, 5);
    assert_open_fails(scratch->store, NULL, VISIT_ERROR_BUSY, pid);
    assert_last(VISIT_ERROR_BUSY, "this process");
    assert_null(VisitManagerCreate(scratch->store, 3));
    assert_last(VISIT_ERROR_BUSY, scratch->store);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    store_close(manager);
    store_close(store_open(scratch->store, 5));
}

static void test_process__second_writer_by_another_name_is_busy(void **state)
{
    const struct scratch *scratch = *state;
    const char *name = scratch_path(scratch, "link.rv");
    VisitManager *other = NULL;
    VisitManager *manager = store_open(scratch->store, 5);
    assert_int_equal(symlink(scratch->store, name), 0);
    assert_status(VisitManagerOpen(name, NULL, &other), VISIT_ERROR_BUSY);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(link(scratch->store, name), 0);
    assert_status(VisitManagerOpen(name, NULL, &other), VISIT_ERROR_BUSY);
    store_close(manager);
}

static int open_busy(void *data)
{
    const struct scratch *scratch = data;
    char pid[20];
    VisitManager *manager = NULL;
    snprintf(pid, sizeof pid, "%d", (int)getppid());
    child_check(VisitManagerOpen(scratch->store, NULL, &manager) == VISIT_ERROR_BUSY);
    child_check(VisitLastStatus() == VISIT_ERROR_BUSY);
    child_check(strstr(VisitLastError(), scratch->store) && strstr(VisitLastError(), pid));
    child_check(!VisitManagerCreate(scratch->store, 5));
    return 0;
}

static void test_process__second_writer_elsewhere_is_busy(void **state)
{
    struct scratch *scratch = *state;
    VisitManager *manager = store_open(scratch->store, 5);
    assert_int_equal(in_child(open_busy, scratch), 0);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * Stores whose writer died
 * --------------------------------------------------------------------------------------------- */
static int add_and_die(void *data)
{
    const struct scratch *scratch = data;
    VisitManager *manager = VisitManagerCreate(scratch->store, 5);
    child_check(manager);
    for (uint32_t id = 1; id <= 7; id++)
        child_check(VisitManagerAddVisit(manager, id % 2, id, "u", "t"));
    raise(SIGKILL);
    return 1;
}

static void test_process__refused_recovery_is_not_clean(void **state)
{
    struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .recovery = VISIT_RECOVER_REFUSE};
    assert_int_equal(in_child(add_and_die, scratch), 1000 + SIGKILL);
    struct image before = image_read(scratch->store);
    assert_open_fails(scratch->store, &options, VISIT_ERROR_NOT_CLEAN, NULL);
    options.mode = VISIT_READ_ONLY;
    assert_open_fails(scratch->store, &options, VISIT_ERROR_NOT_CLEAN, NULL);
    options.mode = VISIT_EXCLUSIVE;
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
    VisitManager *manager = store_open_with(scratch->store, NULL);
    assert_visits(manager, 1, 7, 5, 3, 1); /* what was acknowledged is there */
    assert_visits(manager, 0, 6, 4, 2);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.state, VISIT_FOUND_KILLED);
    assert_ok(store_verify(manager));
    store_close(manager);
    store_close(store_open_with(scratch->store, &options));
    options.mode = VISIT_READ_ONLY;
    store_close(store_open_with(scratch->store, &options));
}

static int stop_progress(void *data, const char *what, uint64_t done, uint64_t total)
{
    int *calls = data;
    (void)done;
    (void)total;
    *calls += what && what[0] ? 1 : 1000;
    return 1;
}

static int follow_progress(void *data, const char *what, uint64_t done, uint64_t total)
{
    int *calls = data;
    *calls += what && what[0] && (total == 0 || done <= total) ? 1 : 1000000;
    return 0;
}

/* A store whose writer died before another boot; as of its last checkpoint it has users 0 to 2. */
static int add_more_and_die(void *data)
{
    const struct scratch *scratch = data;
    VisitOptions options = {.size = sizeof options, .checkpoint_interval_ms = -1};
    VisitManager *manager = NULL;
    child_check(VisitManagerOpen(scratch->store, &options, &manager) == VISIT_OK);
    for (uint32_t user = 2; user < 2000; user++)
        child_check(VisitManagerAddVisit(manager, user, 2, "u", "t"));
    raise(SIGKILL);
    return 1;
}

static void make_crashed(struct scratch *scratch)
{
    store_make(scratch->store, 3);
    assert_int_equal(in_child(add_more_and_die, scratch), 1000 + SIGKILL);
    file_write_at(scratch->store, 3 * RV_PAGE + offsetof(struct rv_disk_live, boot_id),
                  "not of this boot", 16);
}

static void test_process__callback_cancels_a_recovery(void **state)
{
    struct scratch *scratch = *state;
    int calls = 0;
    make_crashed(scratch);
    VisitOptions options = {
        .size = sizeof options, .progress = stop_progress, .progress_data = &calls};
    assert_open_fails(scratch->store, &options, VISIT_ERROR_CANCELLED, NULL);
    assert_int_equal(calls, 1);
    calls = 0;
    options.progress = follow_progress;
    VisitManager *manager = store_open_with(scratch->store, &options);
    assert_in_range(calls, 1, 999999);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.state, VISIT_FOUND_CRASHED);
    assert_int_equal(stats.users, 3);
    assert_visits(manager, 2, 1);
    assert_no_visits(manager, 3);
    assert_ok(store_verify(manager));
    store_close(manager);
}

static void test_process__crashed_store_is_not_clean(void **state)
{
    struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .recovery = VISIT_RECOVER_REFUSE};
    make_crashed(scratch);
    struct image before = image_read(scratch->store);
    assert_open_fails(scratch->store, &options, VISIT_ERROR_NOT_CLEAN, NULL);
    VisitManager *manager = store_open_read_only(scratch->store);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.state, VISIT_FOUND_UNCLEAN);
    assert_int_equal(stats.users, 3);
    assert_visits(manager, 2, 1);
    assert_no_visits(manager, 3);
    assert_ok(store_verify(manager));
    store_close(manager);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
}

/* ------------------------------------------------------------------------------------------------
 * Forked
 * --------------------------------------------------------------------------------------------- */
/* A manager and what belongs to it, inherited by a child. */
struct inherited {
    VisitManager *manager;
    VisitReader *reader;
    VisitUsers *users;
    const struct scratch *scratch;
};

static bool forked(VisitStatus status)
{
    return status == VISIT_ERROR_FORKED && VisitLastStatus() == VISIT_ERROR_FORKED &&
           VisitLastError()[0] && !strchr(VisitLastError(), '\n');
}

static int child_reads(const struct inherited *in)
{
    const Visit *visits = NULL;
    const VisitPacked *packed = NULL;
    size_t count = 99;
    size_t size = 99;
    VisitReader *reader = NULL;
    VisitUsers *users = NULL;
    uint32_t user = 0;
    VisitStats stats = {.size = sizeof stats};
    child_check(!VisitManagerGetRecentVisits(in->manager, 1, &count));
    child_check(count == 0);
    child_check(forked(VisitLastStatus()));
    child_check(forked(VisitReaderOpen(in->manager, &reader)));
    child_check(forked(VisitReaderGet(in->reader, 1, 0, &visits, &count)));
    child_check(forked(VisitReaderGetPacked(in->reader, 1, 0, &packed, &size, &count)));
    child_check(forked(VisitUsersOpen(in->manager, &users)));
    child_check(forked(VisitUsersNext(in->users, &user, &count)));
    child_check(forked(VisitManagerStats(in->manager, &stats)));
    child_check(forked(VisitManagerVerify(in->manager, NULL, NULL)));
    return 0;
}

static int child_writes(const struct inherited *in)
{
    uint32_t ids[] = {1};
    size_t number = 0;
    VisitInput input = visit_now(1, 2, "u", "t");
    child_check(!VisitManagerAddVisit(in->manager, 1, 2, "u", "t"));
    child_check(forked(VisitLastStatus()));
    child_check(forked(VisitManagerAdd(in->manager, &input)));
    child_check(forked(VisitManagerAddMany(in->manager, &input, 1, &number)));
    child_check(!VisitManagerDelete(in->manager, 1, ids, 1));
    child_check(forked(VisitLastStatus()));
    child_check(forked(VisitManagerRemove(in->manager, 1, ids, 1, &number)));
    VisitManagerClear(in->manager, 1);
    child_check(forked(VisitLastStatus()));
    child_check(forked(VisitManagerClearUser(in->manager, 1)));
    child_check(forked(VisitManagerSync(in->manager)));
    child_check(
        forked(VisitManagerBackup(in->manager, scratch_path(in->scratch, "copy.rv"), NULL, NULL)));
    return 0;
}

static int use_inherited(void *data)
{
    const struct inherited *in = data;
    int result = child_reads(in);
    if (result == 0)
        result = child_writes(in);
    VisitUsersFree(in->users);
    VisitReaderFree(in->reader);
    VisitManagerFree(in->manager);
    VisitManager *manager = NULL;
    child_check(VisitManagerOpen(in->scratch->store, NULL, &manager) == VISIT_ERROR_BUSY);
    return result;
}

static void test_process__child_of_a_fork_is_told(void **state)
{
    struct inherited in = {.scratch = *state};
    store_make(in.scratch->store, 3);
    in.manager = store_open(in.scratch->store, 5);
    assert_ok(VisitReaderOpen(in.manager, &in.reader));
    assert_ok(VisitUsersOpen(in.manager, &in.users));
    for (int i = 0; i < 3; i++)
        assert_int_equal(in_child(use_inherited, &in), 0);
    assert_open_fails(in.scratch->store, NULL, VISIT_ERROR_BUSY, NULL); /* still locked */
    assert_true(VisitManagerAddVisit(in.manager, 1, 2, "u", "t"));
    assert_visits(in.manager, 1, 2, 1);
    assert_ok(VisitManagerSync(in.manager));
    assert_ok(store_verify(in.manager));
    VisitUsersFree(in.users);
    VisitReaderFree(in.reader);
    store_close(in.manager);
}

/* A child that ends without a word leaves the parent's store as it is. */
static int do_nothing(void *data)
{
    (void)data;
    return 0;
}

static void test_process__child_that_ends_changes_nothing(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = store_open(scratch->store, 5);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    assert_int_equal(in_child(do_nothing, NULL), 0);
    assert_open_fails(scratch->store, NULL, VISIT_ERROR_BUSY, NULL);
    store_close(manager);
    manager = store_open(scratch->store, 5);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.state, VISIT_FOUND_CLEAN);
    store_close(manager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_process__second_writer_here_is_busy),
        scratch_test(test_process__second_writer_by_another_name_is_busy),
        scratch_test(test_process__second_writer_elsewhere_is_busy),
        scratch_test(test_process__refused_recovery_is_not_clean),
        scratch_test(test_process__callback_cancels_a_recovery),
        scratch_test(test_process__crashed_store_is_not_clean),
        scratch_test(test_process__child_of_a_fork_is_told),
        scratch_test(test_process__child_that_ends_changes_nothing),
    };
    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
