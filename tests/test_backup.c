/* SPDX-License-Identifier: MIT */
/* Backups: what a copy holds when the store changes meanwhile. The changes are made from inside the
 * backup's progress callback, so that they fall into it for certain. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support.h"

#define USERS 3000 /* enough for more than one call of the callback */

/* What the callback does, at its first call. */
struct meddler {
    const struct scratch *scratch;
    VisitManager *writer; /* NULL: it opens one */
    bool sync;            /* it also runs a checkpoint */
    bool done;
    VisitStatus status; /* of what it did */
};

static VisitStatus add_to_all(VisitManager *writer)
{
    VisitStatus status = VISIT_OK;
    for (uint32_t user = 0; user < USERS && status == VISIT_OK; user++) {
        VisitInput input = visit_now(user, 2, "u", "t");
        status = user % 3 ? VisitManagerAdd(writer, &input) : VisitManagerClearUser(writer, user);
    }
    return status;
}

static int meddle(void *data, const char *what, uint64_t done, uint64_t total)
{
    struct meddler *meddler = data;
    VisitManager *writer = meddler->writer;
    (void)what;
    (void)done;
    (void)total;
    if (meddler->done)
        return 0;
    meddler->done = true;
    VisitOptions options = {
        .size = sizeof options, .checkpoint_interval_ms = -1, .backup_wait_ms = 1};
    if (!writer)
        meddler->status = VisitManagerOpen(meddler->scratch->store, &options, &writer);
    if (meddler->status == VISIT_OK)
        meddler->status = add_to_all(writer);
    if (meddler->status == VISIT_OK && meddler->sync)
        meddler->status = VisitManagerSync(writer);
    if (writer != meddler->writer)
        VisitManagerFree(writer);
    return 0;
}

static char *copy_path(const struct scratch *scratch, char path[320])
{
    snprintf(path, 320, "%s/copy.rv", scratch->folder);
    return path;
}

/* The copy has what store_make() made, and nothing of what came later. */
static void check_copy(const char *path)
{
    VisitManager *copy = store_open(path, 10);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(store_verify(copy));
    assert_ok(VisitManagerStats(copy, &stats));
    assert_int_equal(stats.users, USERS);
    assert_int_equal(stats.visits, USERS);
    for (uint32_t user = 0; user < USERS; user += 7)
        assert_visits(copy, user, 1);
    store_close(copy);
}

static VisitManager *open_writer(const struct scratch *scratch)
{
    VisitOptions options = {
        .size = sizeof options, .checkpoint_interval_ms = -1, .backup_wait_ms = 1};
    return store_open_with(scratch->store, &options);
}

static void test_backup__is_of_one_instant(void **state)
{
    struct meddler meddler = {.scratch = *state};
    char path[320];
    store_make(meddler.scratch->store, USERS);
    meddler.writer = open_writer(meddler.scratch);
    assert_ok(
        VisitManagerBackup(meddler.writer, copy_path(meddler.scratch, path), meddle, &meddler));
    assert_true(meddler.done);
    assert_int_equal(meddler.status, VISIT_OK);
    check_copy(path);
    assert_visits(meddler.writer, 1, 2, 1);
    store_close(meddler.writer);
}

static void test_backup__has_all_that_was_added_before(void **state)
{
    const struct scratch *scratch = *state;
    char path[320];
    VisitManager *manager = open_writer(scratch);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    assert_ok(VisitManagerSync(manager));
    assert_true(VisitManagerAddVisit(manager, 1, 2, "u", "t"));
    assert_ok(VisitManagerBackup(manager, copy_path(scratch, path), NULL, NULL));
    VisitManager *copy = store_open(path, 10);
    assert_visits(copy, 1, 2, 1);
    store_close(copy);
    store_close(manager);
}

static void test_backup__beside_a_writer_is_of_its_checkpoint(void **state)
{
    struct meddler meddler = {.scratch = *state};
    char path[320];
    store_make(meddler.scratch->store, USERS);
    meddler.writer = open_writer(meddler.scratch);
    VisitManager *reader = store_open_read_only(meddler.scratch->store);
    assert_ok(VisitManagerBackup(reader, copy_path(meddler.scratch, path), meddle, &meddler));
    assert_int_equal(meddler.status, VISIT_OK);
    check_copy(path);
    store_close(reader);
    store_close(meddler.writer);
}

static void test_backup__fails_when_the_writer_went_on(void **state)
{
    struct meddler meddler = {.scratch = *state, .sync = true};
    char path[320];
    store_make(meddler.scratch->store, USERS);
    meddler.writer = open_writer(meddler.scratch);
    VisitManager *reader = store_open_read_only(meddler.scratch->store);
    assert_status(VisitManagerBackup(reader, copy_path(meddler.scratch, path), meddle, &meddler),
                  VISIT_ERROR_BUSY);
    assert_int_equal(meddler.status, VISIT_OK);
    assert_false(file_exists(path));
    assert_ok(VisitManagerBackup(reader, path, NULL, NULL)); /* try again */
    store_close(reader);
    store_close(meddler.writer);
}

/* A writer that comes while a clean store is copied, and goes: the copy is of before, or of after.
 */
static void check_arrival(void **state, bool sync)
{
    struct meddler meddler = {.scratch = *state, .sync = sync};
    char path[320];
    store_make(meddler.scratch->store, USERS);
    VisitManager *reader = store_open_read_only(meddler.scratch->store);
    VisitStatus status =
        VisitManagerBackup(reader, copy_path(meddler.scratch, path), meddle, &meddler);
    assert_true(meddler.done);
    assert_int_equal(status, VISIT_OK);
    VisitManager *copy = store_open_read_only(path);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(copy, &stats));
    assert_ok(store_verify(copy));
    store_close(copy);
    if (stats.users == USERS) {
        check_copy(path);
    } else {
        assert_int_equal(stats.users, USERS - USERS / 3);
        assert_int_equal(stats.visits, stats.users * 2);
    }
    store_close(reader);
}

static void test_backup__survives_a_writer_that_comes(void **state)
{
    check_arrival(state, false);
}

static void test_backup__survives_a_writer_that_comes_and_syncs(void **state)
{
    check_arrival(state, true);
}

/* A second backup by the same manager, begun and ended inside the first. */
struct nested {
    VisitManager *reader;
    struct meddler meddler;
    char path[330];
    bool done;
    VisitStatus status;
};

static int back_up_again(void *data, const char *what, uint64_t done, uint64_t total)
{
    struct nested *nested = data;
    (void)what;
    (void)done;
    (void)total;
    if (!nested->done) {
        nested->done = true;
        nested->status = VisitManagerBackup(nested->reader, nested->path, NULL, NULL);
    }
    return 0;
}

/* The end of one backup must not take from the other what keeps the writer's checkpoints waiting:
 * the writer here waits long enough, so the first backup has no reason to fail. */
static int back_up_then_check(void *data, const char *what, uint64_t done, uint64_t total)
{
    struct nested *nested = data;
    bool first = !nested->done;
    back_up_again(nested, what, done, total);
    if (first && nested->status == VISIT_OK)
        nested->status = add_to_all(nested->meddler.writer);
    if (first && nested->status == VISIT_OK) {
        /* Has to wait for the outer backup, in vain, before it goes on: 50 ms. */
        int64_t before = now_ns();
        nested->status = VisitManagerSync(nested->meddler.writer);
        if (now_ns() - before < 50 * 1000000)
            nested->status = VISIT_ERROR_BUSY;
    }
    return 0;
}

static void test_backup__is_not_disturbed_by_another(void **state)
{
    struct nested nested = {.meddler = {.scratch = *state}};
    const struct scratch *scratch = *state;
    char path[320];
    store_make(scratch->store, USERS);
    VisitOptions options = {
        .size = sizeof options, .checkpoint_interval_ms = -1, .backup_wait_ms = 50};
    nested.meddler.writer = store_open_with(scratch->store, &options);
    nested.reader = store_open_read_only(scratch->store);
    snprintf(nested.path, sizeof nested.path, "%s/second.rv", scratch->folder);
    VisitStatus status =
        VisitManagerBackup(nested.reader, copy_path(scratch, path), back_up_then_check, &nested);
    assert_true(nested.done);
    assert_int_equal(nested.status, VISIT_OK);
    assert_int_equal(status, VISIT_ERROR_BUSY); /* the checkpoint came after all */
    check_copy(nested.path);
    store_close(nested.reader);
    store_close(nested.meddler.writer);
}

static void test_backup__keeps_limit_and_geometry(void **state)
{
    const struct scratch *scratch = *state;
    char path[320];
    VisitOptions options = {.size = sizeof options, .max_visits = 7, .slot_size = 512, .shards = 4};
    VisitManager *manager = store_open_with(scratch->store, &options);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    assert_ok(VisitManagerBackup(manager, copy_path(scratch, path), NULL, NULL));
    VisitManager *copy = store_open_with(path, NULL);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(copy, &stats));
    assert_int_equal(stats.max_visits, 7);
    assert_int_equal(stats.slot_size, 512);
    assert_int_equal(stats.shards, 4);
    store_close(copy);
    store_close(manager);
}

/* Strings that lie outside the slots come along; the ids do not rise, and the last two have one
 * time. */
static void test_backup__copies_long_strings(void **state)
{
    enum { VISITS = 100 };
    const struct scratch *scratch = *state;
    char path[320];
    VisitManager *manager = store_open(scratch->store, VISITS);
    for (uint32_t i = 0; i < VISITS; i++) {
        char *url = string_make(i, i % 3 ? 1000 + i : 10);
        VisitInput input = visit_at(7, i * 37 % VISITS, url, "t", i + 1 < VISITS ? i : i - 1);
        assert_ok(VisitManagerAdd(manager, &input));
        free(url);
    }
    assert_ok(VisitManagerBackup(manager, copy_path(scratch, path), NULL, NULL));
    VisitManager *copy = store_open(path, VISITS);
    assert_ok(store_verify(copy));
    size_t count, copied;
    Visit **visits = VisitManagerGetRecentVisits(manager, 7, &count);
    Visit **copies = VisitManagerGetRecentVisits(copy, 7, &copied);
    assert_int_equal(count, VISITS);
    assert_int_equal(copied, VISITS);
    for (size_t i = 0; i < VISITS; i++) {
        assert_int_equal(visits[i]->visit_id, copies[i]->visit_id);
        assert_int_equal(timespec_ns(visits[i]->time), timespec_ns(copies[i]->time));
        assert_string_equal(visits[i]->url, copies[i]->url);
        assert_string_equal(visits[i]->text, copies[i]->text);
    }
    store_close(copy);
    store_close(manager);
}

/* Writes the user's line of the index a second time, into the free line after it or before. */
static void damage_by_second_line(const char *path, uint32_t user_id)
{
    static const uint8_t zeros[64];
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    uint8_t line[3][64] = {{0}};
    bool done = false;
    for (long at = 0; !done && fread(line[2], 64, 1, file) == 1; at += 64) {
        /* In one epoch a line has one version; an overflow run begins alike, and goes on. */
        bool found = memcmp(line[1], &user_id, 4) == 0 && memcmp(line[1] + 32, zeros, 32) == 0;
        bool after = memcmp(line[2], zeros, 64) == 0;
        if (found && (after || memcmp(line[0], zeros, 64) == 0)) {
            assert_int_equal(fseek(file, after ? at : at - 128, SEEK_SET), 0);
            assert_int_equal(fwrite(line[1], 64, 1, file), 1);
            done = true;
        }
        memmove(line[0], line[1], sizeof line[0] + sizeof line[1]);
    }
    assert_int_equal(fclose(file), 0);
    assert_true(done);
}

static void check_user_twice(void **state, size_t length)
{
    const struct scratch *scratch = *state;
    const uint32_t user = 0x5eed1234;
    char path[320];
    VisitManager *manager = store_open(scratch->store, 10);
    char *url = string_make(1, length);
    for (uint32_t id = 1; id <= 3; id++)
        assert_true(VisitManagerAddVisit(manager, user, id, url, "t"));
    free(url);
    store_close(manager);
    damage_by_second_line(scratch->store, user);
    manager = store_open_read_only(scratch->store);
    assert_status(VisitManagerBackup(manager, copy_path(scratch, path), NULL, NULL),
                  VISIT_ERROR_CORRUPT);
    assert_last(VISIT_ERROR_CORRUPT, "twice");
    store_close(manager);
}

static void test_backup__refuses_a_user_that_is_there_twice(void **state)
{
    check_user_twice(state, 10);
}

static void test_backup__refuses_a_user_with_long_strings_that_is_there_twice(void **state)
{
    check_user_twice(state, 1000);
}

/* Whoever may not read the store may not read its copy. */
static void test_backup__does_not_widen_permissions(void **state)
{
    const struct scratch *scratch = *state;
    char path[320];
    struct stat status;
    store_make(scratch->store, 1);
    VisitManager *manager = store_open_read_only(scratch->store);
    assert_ok(VisitManagerBackup(manager, copy_path(scratch, path), NULL, NULL));
    store_close(manager);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 077, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_backup__is_of_one_instant),
        scratch_test(test_backup__has_all_that_was_added_before),
        scratch_test(test_backup__beside_a_writer_is_of_its_checkpoint),
        scratch_test(test_backup__fails_when_the_writer_went_on),
        scratch_test(test_backup__survives_a_writer_that_comes),
        scratch_test(test_backup__survives_a_writer_that_comes_and_syncs),
        scratch_test(test_backup__is_not_disturbed_by_another),
        scratch_test(test_backup__keeps_limit_and_geometry),
        scratch_test(test_backup__copies_long_strings),
        scratch_test(test_backup__refuses_a_user_that_is_there_twice),
        scratch_test(test_backup__refuses_a_user_with_long_strings_that_is_there_twice),
        scratch_test(test_backup__does_not_widen_permissions),
    };
    return cmocka_run_group_tests_name("backup", tests, NULL, NULL);
}
