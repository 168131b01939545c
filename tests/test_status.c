/* SPDX-License-Identifier: MIT */
/*
 * Every status that can be provoked without a broken machine: the call returns it, VisitLastStatus()
 * repeats it, VisitLastError() says in one line where and why, and nothing was changed. Statuses that
 * need a failing system call are in test_fault.c.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "../lib/format.h"
#include "support.h"

/* Asserts that neither way of opening gets past the file, that the message names it, and that the file
 * is left as it was. */
static void assert_refused(const char *path, VisitStatus status, const char *part)
{
    VisitManager *manager = NULL;
    struct image before = image_read(path);
    assert_status(VisitManagerOpen(path, NULL, &manager), status);
    assert_null(manager);
    assert_last(status, path);
    assert_last(status, part);
    assert_null(VisitManagerCreate(path, 5));
    assert_last(status, path);
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    assert_status(VisitManagerOpen(path, &options, &manager), status);
    assert_null(manager);
    assert_file_unchanged(path, &before);
    image_free(&before);
}

/* Opens, expecting an error whose message names the path. */
static void assert_open_fails(const char *path, const VisitOptions *options, VisitStatus status,
                              const char *part)
{
    VisitManager *manager = NULL;
    assert_status(VisitManagerOpen(path, options, &manager), status);
    assert_null(manager);
    assert_last(status, path);
    assert_last(status, part);
}

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

static void *other_thread(void *data)
{
    (void)data;
    bool quiet = VisitLastStatus() == VISIT_OK && VisitLastError()[0] == 0;
    VisitManagerCreate(NULL, 0);
    return quiet && VisitLastStatus() == VISIT_ERROR_INVALID ? NULL : "loud";
}

static void test_status__each_thread_has_its_own(void **state)
{
    (void)state;
    pthread_t thread;
    void *result = NULL;
    VisitManager *manager = NULL;
    assert_int_equal(VisitManagerOpen("/nonexistent/x.rv", NULL, &manager), VISIT_ERROR_NOT_FOUND);
    assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
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
 * Files that are no stores, or damaged, or too new
 * --------------------------------------------------------------------------------------------- */

static void test_status__foreign_files_are_not_stores(void **state)
{
    const struct scratch *scratch = *state;
    char *noise = string_make(1, 300000);
    file_write(scratch->store, "To be, or not to be\n", 20);
    assert_refused(scratch->store, VISIT_ERROR_NOT_A_STORE, NULL);
    file_write(scratch->store, "x", 1);
    assert_refused(scratch->store, VISIT_ERROR_NOT_A_STORE, NULL);
    file_write(scratch->store, noise, 300000);
    assert_refused(scratch->store, VISIT_ERROR_NOT_A_STORE, NULL);
    memset(noise, 0, 300000);
    file_write(scratch->store, noise, 300000);
    assert_refused(scratch->store, VISIT_ERROR_NOT_A_STORE, NULL);
    free(noise);
    assert_int_equal(folder_count(scratch->folder), 1);
}

static void test_status__empty_file_is_not_a_store_to_a_reader(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    VisitManager *manager = NULL;
    file_write(scratch->store, "", 0);
    assert_status(VisitManagerOpen(scratch->store, &options, &manager), VISIT_ERROR_NOT_A_STORE);
    assert_null(manager);
    assert_int_equal(file_size(scratch->store), 0);
}

/* A store that lost its end: an error, whatever is left; never a crash, never a new store. */
static void test_status__truncated_store_is_refused(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 1000);
    struct image whole = image_read(scratch->store);
    const size_t sizes[] = {8, 511, 4096, 8192, 65536, whole.size / 2, whole.size - 65536};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        VisitManager *manager = NULL;
        file_write(scratch->store, whole.bytes, sizes[i]);
        struct image before = image_read(scratch->store);
        VisitStatus status = VisitManagerOpen(scratch->store, NULL, &manager);
        if (status == VISIT_OK) /* the part that is missing may have been free space */
            store_close(manager);
        else
            assert_true(status == VISIT_ERROR_CORRUPT || status == VISIT_ERROR_NOT_A_STORE);
        if (status != VISIT_OK)
            assert_file_unchanged(scratch->store, &before);
        image_free(&before);
    }
    image_free(&whole);
}

static struct rv_disk_superblock superblock_read(const char *path)
{
    struct rv_disk_superblock superblock;
    struct image image = image_read(path);
    assert_true(image.size >= sizeof superblock);
    memcpy(&superblock, image.bytes, sizeof superblock);
    image_free(&image);
    assert_true(superblock.magic == RV_MAGIC);
    assert_true(superblock.checksum ==
                XXH3_64bits(&superblock, offsetof(struct rv_disk_superblock, checksum)));
    return superblock;
}

/* Writes both copies, with a checksum that is right. */
static void superblock_write(const char *path, struct rv_disk_superblock *superblock)
{
    uint64_t header = (uint64_t)superblock->header_blocks << superblock->block_log2;
    superblock->checksum =
        XXH3_64bits(superblock, offsetof(struct rv_disk_superblock, checksum));
    file_write_at(path, 0, superblock, sizeof *superblock);
    file_write_at(path, header - RV_PAGE, superblock, sizeof *superblock);
}

static void test_status__newer_format_is_newer_version(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 1);
    struct rv_disk_superblock superblock = superblock_read(scratch->store);
    superblock.format_version = RV_FORMAT_VERSION + 1;
    superblock_write(scratch->store, &superblock);
    assert_refused(scratch->store, VISIT_ERROR_NEWER_VERSION, NULL);
}

static void test_status__unknown_feature_is_newer_version(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 1);
    struct rv_disk_superblock superblock = superblock_read(scratch->store);
    superblock.incompatible = UINT64_C(1) << 63;
    superblock_write(scratch->store, &superblock);
    assert_refused(scratch->store, VISIT_ERROR_NEWER_VERSION, NULL);
}

static void test_status__unknown_feature_for_writers_lets_readers_in(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = NULL;
    store_make(scratch->store, 1);
    struct rv_disk_superblock superblock = superblock_read(scratch->store);
    superblock.compatible = UINT64_C(1) << 63;
    superblock.writer_incompatible = UINT64_C(1) << 63;
    superblock_write(scratch->store, &superblock);
    struct image before = image_read(scratch->store);
    assert_status(VisitManagerOpen(scratch->store, NULL, &manager), VISIT_ERROR_NEWER_VERSION);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
    manager = store_open_read_only(scratch->store);
    assert_visits(manager, 0, 1);
    store_close(manager);
}

static void test_status__one_damaged_superblock_is_survived(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 10);
    struct image whole = image_read(scratch->store);
    struct rv_disk_superblock superblock = superblock_read(scratch->store);
    uint64_t copy = ((uint64_t)superblock.header_blocks << superblock.block_log2) - RV_PAGE;
    for (int i = 0; i < 2; i++) {
        file_write(scratch->store, whole.bytes, whole.size);
        file_write_at(scratch->store, (i ? copy : 0) + 60, "damage", 6);
        VisitManager *manager = NULL;
        VisitStatus status = VisitManagerOpen(scratch->store, NULL, &manager);
        if (status == VISIT_OK) {
            assert_visits(manager, 5, 1);
            store_close(manager);
        } else {
            assert_int_equal(status, VISIT_ERROR_CORRUPT);
        }
    }
    image_free(&whole);
}

static void test_status__damaged_superblocks_are_corrupt(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 10);
    struct rv_disk_superblock superblock = superblock_read(scratch->store);
    uint64_t copy = ((uint64_t)superblock.header_blocks << superblock.block_log2) - RV_PAGE;
    file_write_at(scratch->store, 60, "damage", 6);
    file_write_at(scratch->store, copy + 60, "damage", 6);
    assert_refused(scratch->store, VISIT_ERROR_CORRUPT, NULL);
}

static void test_status__damaged_records_are_corrupt(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 10);
    file_write_at(scratch->store, RV_PAGE + 16, "damage", 6);
    file_write_at(scratch->store, 2 * RV_PAGE + 16, "damage", 6);
    assert_refused(scratch->store, VISIT_ERROR_CORRUPT, NULL);
}

/* What a call may come to on a store full of damage: success or corrupt; and the rest of the calls
 * still answer. */
static void assert_survives(VisitManager *manager)
{
    size_t count = 0;
    bool corrupt = VisitManagerVerify(manager, NULL, NULL) == VISIT_ERROR_CORRUPT;
    assert_true(corrupt);
    assert_last(VISIT_ERROR_CORRUPT, NULL);
    for (uint32_t user = 0; user < 100; user++) {
        Visit **visits = VisitManagerGetRecentVisits(manager, user, &count);
        VisitStatus status = VisitLastStatus();
        assert_true(status == VISIT_OK || status == VISIT_ERROR_CORRUPT);
        assert_true(status == VISIT_OK || (!visits && count == 0));
    }
    for (uint32_t user = 0; user < 100; user++) {
        bool added = VisitManagerAddVisit(manager, user, 2, "u", "t");
        VisitStatus status = VisitLastStatus();
        assert_int_equal(added, status == VISIT_OK);
        assert_true(status == VISIT_OK || status == VISIT_ERROR_CORRUPT);
    }
}

static int cancel_at_once(void *data, const VisitFinding *finding)
{
    size_t *findings = data;
    bool whole = finding->rule && finding->rule[0] && finding->message && finding->message[0] &&
                 !strchr(finding->message, '\n');
    *findings += whole ? 1 : 1000;
    return 1;
}

static int count_findings(void *data, const VisitFinding *finding)
{
    cancel_at_once(data, finding);
    return 0;
}

/* Destroys all visits of a closed store, but not the index: finds the strings that store_make() wrote
 * and overwrites the headers before them. */
static void destroy_slots(const char *path)
{
    static const char url[] = "https://example.org/";
    struct image image = image_read(path);
    size_t destroyed = 0;
    for (size_t i = RV_PAGE; i + sizeof url < image.size; i++) {
        if (memcmp(image.bytes + i, url, sizeof url) == 0) {
            memset(image.bytes + i - 48, 0xa5, 40);
            destroyed++;
        }
    }
    assert_true(destroyed >= 100);
    file_write_at(path, 0, image.bytes, image.size);
    image_free(&image);
}

static void test_status__destroyed_visits_are_corrupt(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = NULL;
    size_t count = 99;
    size_t findings = 0;
    store_make(scratch->store, 100);
    destroy_slots(scratch->store);
    VisitStatus status = VisitManagerOpen(scratch->store, NULL, &manager);
    if (status != VISIT_OK) {
        assert_int_equal(status, VISIT_ERROR_CORRUPT);
        return;
    }
    assert_null(VisitManagerGetRecentVisits(manager, 5, &count));
    assert_last(VISIT_ERROR_CORRUPT, scratch->store);
    assert_int_equal(count, 0);
    assert_status(VisitManagerVerify(manager, count_findings, &findings), VISIT_ERROR_CORRUPT);
    assert_in_range(findings, 100, 900);
    assert_survives(manager);
    VisitManagerFree(manager);
}

static void test_status__callback_cancels_verify(void **state)
{
    const struct scratch *scratch = *state;
    size_t findings = 0;
    store_make(scratch->store, 100);
    destroy_slots(scratch->store);
    VisitManager *manager = store_open_read_only(scratch->store);
    assert_status(VisitManagerVerify(manager, cancel_at_once, &findings), VISIT_ERROR_CANCELLED);
    assert_int_equal(findings, 1);
    assert_status(VisitManagerVerify(NULL, NULL, NULL), VISIT_ERROR_INVALID);
    VisitManagerFree(manager);
}

/* All that follows the header is noise: the store opens or not, and nothing crashes. */
static void test_status__noise_behind_the_header_is_corrupt(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 100);
    struct rv_disk_superblock superblock = superblock_read(scratch->store);
    size_t header = (size_t)superblock.header_blocks << superblock.block_log2;
    size_t size = (size_t)file_size(scratch->store) - header;
    char *noise = string_make(3, size);
    file_write_at(scratch->store, header, noise, size);
    free(noise);
    VisitManager *manager = NULL;
    VisitStatus status = VisitManagerOpen(scratch->store, NULL, &manager);
    if (status == VISIT_OK) {
        assert_survives(manager);
        VisitManagerFree(manager);
    } else {
        assert_int_equal(status, VISIT_ERROR_CORRUPT);
        assert_last(VISIT_ERROR_CORRUPT, scratch->store);
    }
}

/* ------------------------------------------------------------------------------------------------
 * In use
 * --------------------------------------------------------------------------------------------- */

static void test_status__second_writer_here_is_busy(void **state)
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

static void test_status__second_writer_by_another_name_is_busy(void **state)
{
    const struct scratch *scratch = *state;
    const char *name = scratch_path(scratch, "link.rv");
    VisitManager *manager = store_open(scratch->store, 5);
    assert_int_equal(symlink(scratch->store, name), 0);
    assert_open_fails(name, NULL, VISIT_ERROR_BUSY, NULL);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(link(scratch->store, name), 0);
    assert_open_fails(name, NULL, VISIT_ERROR_BUSY, NULL);
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

static void test_status__second_writer_elsewhere_is_busy(void **state)
{
    struct scratch *scratch = *state;
    VisitManager *manager = store_open(scratch->store, 5);
    assert_int_equal(in_child(open_busy, scratch), 0);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * Read-only, not clean, forked
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

static void test_status__refused_recovery_is_not_clean(void **state)
{
    struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .recovery = VISIT_RECOVER_REFUSE};
    assert_int_equal(in_child(add_and_die, scratch), 1000 + SIGKILL);
    struct image before = image_read(scratch->store);
    assert_open_fails(scratch->store, &options, VISIT_ERROR_NOT_CLEAN, NULL);
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
}

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
    child_check(forked(
        VisitManagerBackup(in->manager, scratch_path(in->scratch, "copy.rv"), NULL, NULL)));
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

static void test_status__child_of_a_fork_is_told(void **state)
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

static void test_status__child_that_ends_changes_nothing(void **state)
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

/* ------------------------------------------------------------------------------------------------
 * Full, cancelled
 * --------------------------------------------------------------------------------------------- */

/* Fills a store up to a file size limit; what was acknowledged before stays, and goes on to work. */
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
    child_check(VisitManagerAddVisit(manager, user, 1, "u", text)); /* what is freed is used again */
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
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)state;
    skip(); /* a sanitizer needs address space of its own */
#else
    struct scratch *scratch = *state;
    store_make(scratch->store, 10);
    struct image before = image_read(scratch->store);
    assert_int_equal(in_child(without_address_space, scratch), 0);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
#endif
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
        scratch_test(test_status__foreign_files_are_not_stores),
        scratch_test(test_status__empty_file_is_not_a_store_to_a_reader),
        scratch_test(test_status__truncated_store_is_refused),
        scratch_test(test_status__newer_format_is_newer_version),
        scratch_test(test_status__unknown_feature_is_newer_version),
        scratch_test(test_status__unknown_feature_for_writers_lets_readers_in),
        scratch_test(test_status__one_damaged_superblock_is_survived),
        scratch_test(test_status__damaged_superblocks_are_corrupt),
        scratch_test(test_status__damaged_records_are_corrupt),
        scratch_test(test_status__destroyed_visits_are_corrupt),
        scratch_test(test_status__callback_cancels_verify),
        scratch_test(test_status__noise_behind_the_header_is_corrupt),
        scratch_test(test_status__second_writer_here_is_busy),
        scratch_test(test_status__second_writer_by_another_name_is_busy),
        scratch_test(test_status__second_writer_elsewhere_is_busy),
        scratch_test(test_status__changes_through_a_reader_are_read_only),
        scratch_test(test_status__refused_recovery_is_not_clean),
        scratch_test(test_status__child_of_a_fork_is_told),
        scratch_test(test_status__child_that_ends_changes_nothing),
        scratch_test(test_status__file_size_limit_is_no_space),
        scratch_test(test_status__store_without_room_is_not_made),
        scratch_test(test_status__no_address_space_is_no_memory),
        scratch_test(test_status__callback_cancels_a_backup),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
