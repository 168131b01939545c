/* SPDX-License-Identifier: MIT */
/*
 * The statuses that a sound store comes to: the call returns it, VisitLastStatus() repeats it,
 * VisitLastError() says in one line where and why, and nothing was changed. For the others see
 * test_damage.c, test_process.c and test_fault.c.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

/* ------------------------------------------------------------------------------------------------
 * Texts
 * --------------------------------------------------------------------------------------------- */

static void test_status__every_value_has_a_text_of_its_own(void **state)
{
    (void)state;
    for (int a = VISIT_ERROR_UNSUPPORTED; a <= VISIT_END; a++) {
        const char *text = VisitStatusText((VisitStatus)a);
        assert_non_null(text);
        assert_true(text[0] != 0);
        for (int b = VISIT_ERROR_UNSUPPORTED; b < a; b++)
            assert_string_not_equal(text, VisitStatusText((VisitStatus)b));
    }
    assert_non_null(VisitStatusText((VisitStatus)2));
    assert_non_null(VisitStatusText((VisitStatus)-18));
    assert_non_null(VisitStatusText((VisitStatus)12345));
}

static void test_status__version_is_that_of_the_header(void **state)
{
    (void)state;
    char expected[40];
    snprintf(expected, sizeof expected, "%d.%d.%d", VISIT_VERSION_MAJOR, VISIT_VERSION_MINOR,
             VISIT_VERSION_PATCH);
    assert_string_equal(VisitVersion(), VISIT_VERSION_STRING);
    assert_string_equal(VISIT_VERSION_STRING, expected);
}

/* Returns NULL if the thread begins without an error and gets one of its own. */
static void *other_thread(void *data)
{
    bool quiet = VisitLastStatus() == VISIT_OK && VisitLastError()[0] == 0;
    VisitManagerCreate(NULL, 0);
    return quiet && VisitLastStatus() == VISIT_ERROR_INVALID ? NULL : data;
}

static void test_status__each_thread_has_its_own(void **state)
{
    (void)state;
    pthread_t thread;
    void *result = NULL;
    VisitManager *manager = NULL;
    assert_int_equal(VisitManagerOpen("/nonexistent/x.rv", NULL, &manager), VISIT_ERROR_NOT_FOUND);
    assert_int_equal(pthread_create(&thread, NULL, other_thread, state), 0);
    pthread_join(thread, &result);
    assert_null(result);
    assert_last(VISIT_ERROR_NOT_FOUND, "/nonexistent/x.rv");
}

static void test_status__success_clears_the_error(void **state)
{
    const struct scratch *scratch = *state;
    assert_null(VisitManagerCreate(scratch->store, 0));
    assert_last(VISIT_ERROR_INVALID, NULL);
    VisitManager *manager = store_open(scratch->store, 5);
    size_t count = 0;
    assert_false(VisitManagerAddVisit(manager, 1, 1, NULL, NULL));
    assert_last(VISIT_ERROR_INVALID, NULL);
    VisitManagerGetRecentVisits(manager, 1, &count);
    assert_last(VISIT_OK, NULL);
    store_close(manager);
}

static void test_status__text_calls_leave_the_last_status(void **state)
{
    (void)state;
    assert_null(VisitManagerCreate(NULL, 5));
    VisitStatusText(VISIT_OK);
    VisitVersion();
    assert_last(VISIT_ERROR_INVALID, NULL);
}

static void test_status__message_is_one_line_whatever_the_path(void **state)
{
    (void)state;
    VisitManager *manager = NULL;
    assert_status(VisitManagerOpen("/non\nexistent\r/\tx", NULL, &manager), VISIT_ERROR_NOT_FOUND);
    char *path = string_make(1, 3000);
    memset(path, 'p', 3000);
    path[0] = '/';
    for (size_t i = 100; i < 3000; i += 100)
        path[i] = '/';
    assert_status(VisitManagerOpen(path, NULL, &manager), VISIT_ERROR_NOT_FOUND);
    free(path);
}

/* ------------------------------------------------------------------------------------------------
 * Paths
 * --------------------------------------------------------------------------------------------- */

static void test_status__missing_folder_is_not_found(void **state)
{
    const struct scratch *scratch = *state;
    const char *path = scratch_path(scratch, "none/store.rv");
    assert_open_fails(path, NULL, VISIT_ERROR_NOT_FOUND, NULL);
    assert_null(VisitManagerCreate(path, 5));
    assert_last(VISIT_ERROR_NOT_FOUND, path);
    assert_int_equal(folder_count(scratch->folder), 0);
}

static void test_status__empty_path_is_an_error(void **state)
{
    (void)state;
    VisitManager *manager = NULL;
    VisitStatus status = VisitManagerOpen("", NULL, &manager);
    assert_true(status == VISIT_ERROR_NOT_FOUND || status == VISIT_ERROR_INVALID);
    assert_null(manager);
    assert_last(status, NULL);
}

static void test_status__folder_is_not_a_store(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    assert_open_fails(scratch->folder, NULL, VISIT_ERROR_NOT_A_STORE, NULL);
    assert_open_fails(scratch->folder, &options, VISIT_ERROR_NOT_A_STORE, NULL);
}

static void test_status__devices_and_pipes_are_not_stores(void **state)
{
    const struct scratch *scratch = *state;
    const char *path = scratch_path(scratch, "pipe");
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_open_fails(path, NULL, VISIT_ERROR_NOT_A_STORE, NULL);
    assert_open_fails(path, &options, VISIT_ERROR_NOT_A_STORE, NULL);
    assert_open_fails("/dev/null", NULL, VISIT_ERROR_NOT_A_STORE, NULL);
    assert_open_fails("/dev/zero", &options, VISIT_ERROR_NOT_A_STORE, NULL);
}

static void test_status__existing_store_and_backup_exist(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .create = VISIT_MUST_NOT_EXIST};
    char other[300];
    snprintf(other, sizeof other, "%s", scratch_path(scratch, "other"));
    file_write(other, "precious", 8);
    struct image before = image_read(other);
    assert_open_fails(other, &options, VISIT_ERROR_EXISTS, NULL);
    VisitManager *manager = store_open(scratch->store, 5);
    assert_open_fails(scratch->store, &options, VISIT_ERROR_EXISTS, NULL);
    assert_status(VisitManagerBackup(manager, other, NULL, NULL), VISIT_ERROR_EXISTS);
    assert_last(VISIT_ERROR_EXISTS, other);
    assert_file_unchanged(other, &before);
    image_free(&before);
    assert_status(VisitManagerBackup(manager, scratch_path(scratch, "none/copy"), NULL, NULL),
                  VISIT_ERROR_NOT_FOUND);
    assert_status(VisitManagerBackup(manager, NULL, NULL, NULL), VISIT_ERROR_INVALID);
    assert_status(VisitManagerBackup(NULL, scratch_path(scratch, "copy"), NULL, NULL),
                  VISIT_ERROR_INVALID);
    store_close(manager);
    assert_int_equal(folder_count(scratch->folder), 2);
}

#define NOBODY 65534

/* Opens files that belong to somebody else; not as root, who may do all. */
static int open_as_nobody(void *data)
{
    const struct scratch *scratch = data;
    VisitOptions read_only = {.size = sizeof read_only, .mode = VISIT_READ_ONLY};
    VisitManager *manager = NULL;
    if (geteuid() == 0 && (setgid(NOBODY) || setuid(NOBODY)))
        return 98;
    child_check(VisitManagerOpen(scratch->store, NULL, &manager) == VISIT_ERROR_ACCESS);
    child_check(VisitLastStatus() == VISIT_ERROR_ACCESS);
    child_check(strstr(VisitLastError(), scratch->store));
    child_check(!VisitManagerCreate(scratch->store, 5));
    child_check(VisitLastStatus() == VISIT_ERROR_ACCESS);
    child_check(VisitManagerOpen(scratch->store, &read_only, &manager) == VISIT_ERROR_ACCESS);
    const char *path = scratch_path(scratch, "new.rv");
    child_check(VisitManagerOpen(path, NULL, &manager) == VISIT_ERROR_ACCESS);
    child_check(strstr(VisitLastError(), path));
    return 0;
}

static void test_status__permission_denied_is_access(void **state)
{
    struct scratch *scratch = *state;
    store_make(scratch->store, 1);
    struct image before = image_read(scratch->store);
    assert_int_equal(chmod(scratch->store, 0), 0);
    assert_int_equal(chmod(scratch->folder, 0555), 0);
    int result = in_child(open_as_nobody, scratch);
    assert_int_equal(chmod(scratch->folder, 0700), 0);
    assert_int_equal(chmod(scratch->store, 0600), 0);
    assert_int_equal(result, 0);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
}

/* ------------------------------------------------------------------------------------------------
 * Read-only
 * --------------------------------------------------------------------------------------------- */

static void test_status__changes_through_a_reader_are_read_only(void **state)
{
    const struct scratch *scratch = *state;
    uint32_t ids[] = {1};
    size_t number = 99;
    store_make(scratch->store, 3);
    VisitManager *manager = store_open_read_only(scratch->store);
    VisitInput input = visit_now(1, 2, "u", "t");
    assert_false(VisitManagerAddVisit(manager, 1, 2, "u", "t"));
    assert_last(VISIT_ERROR_READ_ONLY, scratch->store);
    assert_status(VisitManagerAdd(manager, &input), VISIT_ERROR_READ_ONLY);
    assert_status(VisitManagerAddMany(manager, &input, 1, &number), VISIT_ERROR_READ_ONLY);
    assert_int_equal(number, 0);
    assert_false(VisitManagerDelete(manager, 1, ids, 1));
    assert_last(VISIT_ERROR_READ_ONLY, NULL);
    assert_status(VisitManagerRemove(manager, 1, ids, 1, &number), VISIT_ERROR_READ_ONLY);
    VisitManagerClear(manager, 1);
    assert_last(VISIT_ERROR_READ_ONLY, NULL);
    assert_status(VisitManagerClearUser(manager, 1), VISIT_ERROR_READ_ONLY);
    assert_visits(manager, 1, 1);
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * Full, cancelled
 * --------------------------------------------------------------------------------------------- */

/* Fills a store up to a file size limit; what was acknowledged before stays, and goes on to work.
 */
static int fill_to_the_limit(void *data)
{
    const struct scratch *scratch = data;
    VisitManager *manager = VisitManagerCreate(scratch->store, 5);
    child_check(manager);
    VisitStats stats = {.size = sizeof stats};
    child_check(VisitManagerStats(manager, &stats) == VISIT_OK);
    struct rlimit limit = {.rlim_cur = stats.file_bytes + (4 << 20), .rlim_max = RLIM_INFINITY};
    child_check(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    char *text = string_make(1, 10000);
    uint32_t user = 0;
    while (user < 100000 && VisitManagerAddVisit(manager, user, 1, "u", text))
        user++;
    child_check(VisitLastStatus() == VISIT_ERROR_NO_SPACE);
    child_check(strstr(VisitLastError(), scratch->store));
    child_check(user > 10 && user < 2000);
    for (uint32_t i = 0; i < user; i++) {
        size_t count = 0;
        VisitManagerGetRecentVisits(manager, i, &count);
        child_check(count == 1);
    }
    size_t count = 99;
    VisitManagerGetRecentVisits(manager, user, &count);
    child_check(count == 0);
    child_check(VisitManagerVerify(manager, NULL, NULL) == VISIT_OK);
    for (uint32_t i = 0; i < user; i++)
        VisitManagerClear(manager, i);
    child_check(
        VisitManagerAddVisit(manager, user, 1, "u", text)); /* what is freed is used again */
    VisitManagerFree(manager);
    child_check(VisitLastStatus() == VISIT_OK);
    free(text);
    return 0;
}

static void test_status__file_size_limit_is_no_space(void **state)
{
    struct scratch *scratch = *state;
    assert_int_equal(in_child(fill_to_the_limit, scratch), 0);
    VisitManager *manager = store_open(scratch->store, 5);
    assert_ok(store_verify(manager));
    store_close(manager);
}

static int create_without_room(void *data)
{
    const struct scratch *scratch = data;
    struct rlimit limit = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
    child_check(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    child_check(!VisitManagerCreate(scratch->store, 5));
    child_check(VisitLastStatus() == VISIT_ERROR_NO_SPACE);
    return 0;
}

static void test_status__store_without_room_is_not_made(void **state)
{
    struct scratch *scratch = *state;
    assert_int_equal(in_child(create_without_room, scratch), 0);
    assert_int_equal(folder_count(scratch->folder), 0);
}

#ifndef SANITIZED /* a sanitizer needs address space of its own */
static int without_address_space(void *data)
{
    const struct scratch *scratch = data;
    struct rlimit limit = {.rlim_cur = 1, .rlim_max = RLIM_INFINITY};
    VisitManager *manager = NULL;
    child_check(setrlimit(RLIMIT_AS, &limit) == 0);
    VisitStatus status = VisitManagerOpen(scratch->store, NULL, &manager);
    limit.rlim_cur = RLIM_INFINITY;
    child_check(setrlimit(RLIMIT_AS, &limit) == 0);
    child_check(status == VISIT_ERROR_NO_MEMORY);
    child_check(VisitLastStatus() == VISIT_ERROR_NO_MEMORY);
    child_check(!manager);
    return 0;
}

static void test_status__no_address_space_is_no_memory(void **state)
{
    skip_if_emulated("applies no limit of address space");
    struct scratch *scratch = *state;
    store_make(scratch->store, 10);
    struct image before = image_read(scratch->store);
    assert_int_equal(in_child(without_address_space, scratch), 0);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
}
#endif

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

static void test_status__callback_cancels_a_backup(void **state)
{
    const struct scratch *scratch = *state;
    int calls = 0;
    store_make(scratch->store, 3000);
    VisitManager *manager = store_open(scratch->store, 5);
    const char *path = scratch_path(scratch, "copy.rv");
    assert_status(VisitManagerBackup(manager, path, stop_progress, &calls), VISIT_ERROR_CANCELLED);
    assert_int_equal(calls, 1);
    assert_int_equal(folder_count(scratch->folder), 1); /* neither the copy nor a part of it */
    calls = 0;
    assert_ok(VisitManagerBackup(manager, path, follow_progress, &calls));
    assert_in_range(calls, 1, 999999);
    assert_true(VisitManagerAddVisit(manager, 1, 2, "u", "t"));
    store_close(manager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_status__every_value_has_a_text_of_its_own),
        scratch_test(test_status__version_is_that_of_the_header),
        scratch_test(test_status__each_thread_has_its_own),
        scratch_test(test_status__success_clears_the_error),
        scratch_test(test_status__text_calls_leave_the_last_status),
        scratch_test(test_status__message_is_one_line_whatever_the_path),
        scratch_test(test_status__missing_folder_is_not_found),
        scratch_test(test_status__empty_path_is_an_error),
        scratch_test(test_status__folder_is_not_a_store),
        scratch_test(test_status__devices_and_pipes_are_not_stores),
        scratch_test(test_status__existing_store_and_backup_exist),
        scratch_test(test_status__permission_denied_is_access),
        scratch_test(test_status__changes_through_a_reader_are_read_only),
        scratch_test(test_status__file_size_limit_is_no_space),
        scratch_test(test_status__store_without_room_is_not_made),
#ifndef SANITIZED
        scratch_test(test_status__no_address_space_is_no_memory),
#endif
        scratch_test(test_status__callback_cancels_a_backup),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
