/* SPDX-License-Identifier: MIT */
/* VisitOptions and VisitStats: every field, and structs of other versions of the header. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

/* Asserts that these options open nothing and make nothing. */
static void refuse(void **state, const VisitOptions *options, VisitStatus status)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = NULL;
    assert_status(VisitManagerOpen(scratch->store, options, &manager), status);
    assert_null(manager);
    assert_int_equal(folder_count(scratch->folder), 0);
}

static VisitStats stats_of(VisitManager *manager)
{
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.size, sizeof stats);
    return stats;
}

/* ------------------------------------------------------------------------------------------------
 * Values
 * --------------------------------------------------------------------------------------------- */

static void test_options__null_is_the_default(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = NULL;
    struct stat status;
    umask(0);
    assert_ok(VisitManagerOpen(scratch->store, NULL, &manager));
    VisitStats stats = stats_of(manager);
    assert_int_equal(stats.max_visits, 10);
    assert_int_equal(stats.slot_size, 256);
    assert_int_equal(stats.shards, 16);
    assert_int_equal(stats.state, VISIT_FOUND_NEW);
    store_close(manager);
    assert_int_equal(stat(scratch->store, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void test_options__zero_is_the_default(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options};
    VisitManager *manager = store_open_with(scratch->store, &options);
    VisitStats stats = stats_of(manager);
    assert_int_equal(stats.max_visits, 10);
    assert_int_equal(stats.slot_size, 256);
    assert_int_equal(stats.shards, 16);
    store_close(manager);
}

static void test_options__null_manager_or_path_is_refused(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = NULL;
    assert_status(VisitManagerOpen(NULL, NULL, &manager), VISIT_ERROR_INVALID);
    assert_null(manager);
    assert_status(VisitManagerOpen(scratch->store, NULL, NULL), VISIT_ERROR_INVALID);
    assert_int_equal(folder_count(scratch->folder), 0);
}

static void test_options__unknown_values_are_refused(void **state)
{
    const VisitOptions wrong[] = {
        {.size = sizeof(VisitOptions), .mode = 3},
        {.size = sizeof(VisitOptions), .mode = UINT32_MAX},
        {.size = sizeof(VisitOptions), .create = 3},
        {.size = sizeof(VisitOptions), .recovery = 2},
        {.size = sizeof(VisitOptions), .reserved = 1},
        {.size = sizeof(VisitOptions), .max_visits = VISIT_LIMIT_MAX + 1},
        {.size = sizeof(VisitOptions), .slot_size = 64},
        {.size = sizeof(VisitOptions), .slot_size = 255},
        {.size = sizeof(VisitOptions), .slot_size = 384},
        {.size = sizeof(VisitOptions), .slot_size = 8192},
        {.size = sizeof(VisitOptions), .shards = 3},
        {.size = sizeof(VisitOptions), .shards = 512},
        {.size = sizeof(VisitOptions), .file_mode = 010000},
        {.size = sizeof(VisitOptions), .mode = VISIT_READ_ONLY, .max_visits = 10},
        {.size = sizeof(VisitOptions), .read_cache_users = 1048577},
        {.size = sizeof(VisitOptions), .erase = 2},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        print_message("options %zu\n", i);
        refuse(state, &wrong[i], VISIT_ERROR_INVALID);
    }
}

/* What a program that was built with an older header hands over. */
static void test_options__struct_without_the_newest_members_is_taken(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = offsetof(VisitOptions, lock_wait_ms), .lock_wait_ms = 1};
    options.erase = 77; /* not looked at */
    store_close(store_open_with(scratch->store, &options));
}

/* A ring has at least N + 2 slots and lies in 32 MiB. */
static void test_options__limit_is_bounded_by_the_slot_size(void **state)
{
    const struct scratch *scratch = *state;
    for (uint32_t slot_size = 128; slot_size <= 4096; slot_size *= 2) {
        uint32_t most = (32u << 20) / slot_size - 2;
        VisitOptions options = {.size = sizeof options, .slot_size = slot_size};
        options.max_visits = most + 1;
        refuse(state, &options, VISIT_ERROR_INVALID);
        options.max_visits = most < VISIT_LIMIT_MAX ? most : VISIT_LIMIT_MAX;
        store_close(store_open_with(scratch->store, &options));
        assert_int_equal(unlink(scratch->store), 0);
    }
}

static void test_options__limit_is_checked_with_the_slots_of_the_store(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .slot_size = 4096};
    VisitManager *manager = NULL;
    store_close(store_open_with(scratch->store, &options));
    struct image before = image_read(scratch->store);
    options.slot_size = 0;
    options.max_visits = 8191;
    assert_status(VisitManagerOpen(scratch->store, &options, &manager), VISIT_ERROR_INVALID);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
    options.max_visits = 8190;
    store_close(store_open_with(scratch->store, &options));
}

static void test_options__store_keeps_its_geometry(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .slot_size = 512, .shards = 4, .max_visits = 7};
    store_close(store_open_with(scratch->store, &options));
    options = (VisitOptions){.size = sizeof options, .slot_size = 1024, .shards = 32};
    VisitManager *manager = store_open_with(scratch->store, &options);
    VisitStats stats = stats_of(manager);
    assert_int_equal(stats.slot_size, 512);
    assert_int_equal(stats.shards, 4);
    assert_int_equal(stats.max_visits, 7);
    assert_int_equal(stats.state, VISIT_FOUND_CLEAN);
    store_close(manager);
}

static void test_options__limit_0_keeps_the_limit_of_the_store(void **state)
{
    const struct scratch *scratch = *state;
    store_close(store_open(scratch->store, 3));
    VisitManager *manager = store_open_with(scratch->store, NULL);
    for (uint32_t id = 1; id <= 5; id++)
        assert_true(VisitManagerAddVisit(manager, 1, id, "u", "t"));
    assert_visits(manager, 1, 5, 4, 3);
    store_close(manager);
}

static void test_options__every_geometry_works(void **state)
{
    const struct scratch *scratch = *state;
    for (uint32_t slot_size = 128; slot_size <= 4096; slot_size *= 2) {
        for (uint32_t shards = 1; shards <= 256; shards *= 4) {
            VisitOptions options = {.size = sizeof options, .slot_size = slot_size};
            options.shards = shards;
            VisitManager *manager = store_open_with(scratch->store, &options);
            VisitStats stats = stats_of(manager);
            assert_int_equal(stats.slot_size, slot_size);
            assert_int_equal(stats.shards, shards);
            for (uint32_t id = 1; id <= 20; id++)
                assert_true(VisitManagerAddVisit(manager, id % 3, id, "u", "t"));
            assert_visits(manager, 2, 20, 17, 14, 11, 8, 5, 2);
            assert_ok(store_verify(manager));
            store_close(manager);
            assert_int_equal(unlink(scratch->store), 0);
        }
    }
}

static void test_options__file_mode_is_obeyed(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .file_mode = 0666};
    struct stat status;
    mode_t old = umask(027);
    store_close(store_open_with(scratch->store, &options));
    umask(old);
    assert_int_equal(stat(scratch->store, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
}

static void test_options__must_exist(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .create = VISIT_MUST_EXIST};
    refuse(state, &options, VISIT_ERROR_NOT_FOUND);
    store_make(scratch->store, 1);
    store_close(store_open_with(scratch->store, &options));
}

static void test_options__must_not_exist(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .create = VISIT_MUST_NOT_EXIST};
    VisitManager *manager = NULL;
    store_close(store_open_with(scratch->store, &options));
    struct image before = image_read(scratch->store);
    assert_status(VisitManagerOpen(scratch->store, &options, &manager), VISIT_ERROR_EXISTS);
    assert_null(manager);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
}

/* With background checkpoints the last checkpoint follows the changes by itself. */
static void test_options__interval_runs_checkpoints(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .checkpoint_interval_ms = 1};
    VisitManager *manager = store_open_with(scratch->store, &options);
    uint64_t first = stats_of(manager).durable_epoch;
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    while (stats_of(manager).durable_epoch == first)
        usleep(1000);
    store_close(manager);
}

static void test_options__negative_interval_runs_none(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .checkpoint_interval_ms = -1};
    VisitManager *manager = store_open_with(scratch->store, &options);
    uint64_t first = stats_of(manager).durable_epoch;
    for (uint32_t id = 0; id < 50; id++) {
        assert_true(VisitManagerAddVisit(manager, 1, id, "u", "t"));
        usleep(1000);
    }
    assert_int_equal(stats_of(manager).durable_epoch, first);
    assert_ok(VisitManagerSync(manager));
    assert_true(stats_of(manager).durable_epoch > first);
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * Structs of other versions
 * --------------------------------------------------------------------------------------------- */

static void test_options__size_0_is_refused(void **state)
{
    VisitOptions options = {0};
    refuse(state, &options, VISIT_ERROR_INVALID);
}

/* An older header had fewer fields: what lies behind them is not the library's to read. */
static void test_options__shorter_struct_has_defaults_behind_its_end(void **state)
{
    static const size_t sizes[] = {
        offsetof(VisitOptions, progress),  offsetof(VisitOptions, backup_wait_ms),
        offsetof(VisitOptions, recovery),  offsetof(VisitOptions, read_cache_users),
        offsetof(VisitOptions, file_mode), offsetof(VisitOptions, shards),
    };
    const struct scratch *scratch = *state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        VisitOptions options;
        memset(&options, 0xff, sizeof options);
        memset(&options, 0, sizes[i]);
        options.size = sizes[i];
        options.max_visits = 3;
        VisitManager *manager = store_open_with(scratch->store, &options);
        VisitStats stats = stats_of(manager);
        assert_int_equal(stats.max_visits, 3);
        assert_int_equal(stats.shards, 16);
        store_close(manager);
        assert_int_equal(unlink(scratch->store), 0);
    }
}

/* A newer header has more: zeros mean the default, anything else is not known here. */
static void test_options__longer_struct_must_end_in_zeros(void **state)
{
    struct {
        VisitOptions options;
        uint64_t more[4];
    } longer = {.options = {.size = sizeof longer, .max_visits = 3}};
    const struct scratch *scratch = *state;
    longer.more[3] = 1;
    refuse(state, &longer.options, VISIT_ERROR_INVALID);
    longer.more[3] = 0;
    longer.more[0] = UINT64_C(1) << 63;
    refuse(state, &longer.options, VISIT_ERROR_INVALID);
    longer.more[0] = 0;
    VisitManager *manager = store_open_with(scratch->store, &longer.options);
    assert_int_equal(stats_of(manager).max_visits, 3);
    store_close(manager);
}

static void test_options__shorter_stats_are_not_overrun(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = store_open(scratch->store, 3);
    VisitStats full = stats_of(manager);
    for (size_t size = sizeof(size_t) + 16; size < sizeof full; size += 8) {
        VisitStats stats;
        memset(&stats, 0xa5, sizeof stats);
        stats.size = size;
        assert_ok(VisitManagerStats(manager, &stats));
        for (size_t i = size; i < sizeof stats; i++)
            assert_int_equal(((const uint8_t *)&stats)[i], 0xa5);
        assert_memory_equal(stats.uuid, full.uuid, sizeof full.uuid);
    }
    store_close(manager);
}

static void test_options__longer_stats_get_what_is_known(void **state)
{
    struct {
        VisitStats stats;
        uint64_t more[4];
    } longer = {.stats = {.size = sizeof longer}};
    const struct scratch *scratch = *state;
    VisitManager *manager = store_open(scratch->store, 3);
    assert_ok(VisitManagerStats(manager, &longer.stats));
    assert_int_equal(longer.stats.max_visits, 3);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(longer.more[i], 0);
    store_close(manager);
}

static void test_options__stats_refuse_null_and_size_0(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = store_open(scratch->store, 3);
    VisitStats stats = {0};
    assert_status(VisitManagerStats(manager, &stats), VISIT_ERROR_INVALID);
    assert_status(VisitManagerStats(manager, NULL), VISIT_ERROR_INVALID);
    stats.size = sizeof stats;
    assert_status(VisitManagerStats(NULL, &stats), VISIT_ERROR_INVALID);
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * Figures
 * --------------------------------------------------------------------------------------------- */

static void test_options__stats_tell_who_and_what(void **state)
{
    const struct scratch *scratch = *state;
    int64_t before = now_ns();
    VisitManager *manager = store_open(scratch->store, 3);
    VisitStats stats = stats_of(manager);
    assert_int_equal(stats.holder_pid, getpid());
    assert_int_equal(stats.format_version, 1);
    assert_int_equal(stats.users, 0);
    assert_int_equal(stats.visits, 0);
    assert_true(stats.created_time_ns >= before && stats.created_time_ns <= now_ns());
    assert_true(stats.durable_epoch < stats.epoch && stats.epoch <= stats.durable_epoch + 2);
    assert_int_equal(stats.file_bytes, file_size(scratch->store));
    for (uint32_t id = 1; id <= 5; id++) {
        assert_true(VisitManagerAddVisit(manager, 1, id, "u", "t"));
        assert_true(VisitManagerAddVisit(manager, id, 1, "u", "t"));
    }
    stats = stats_of(manager);
    assert_int_equal(stats.users, 5);
    assert_int_equal(stats.visits, 3 + 4);
    assert_ok(VisitManagerSync(manager));
    stats = stats_of(manager);
    assert_true(stats.checkpoint_time_ns >= before && stats.checkpoint_time_ns <= now_ns());
    store_close(manager);
}

static void test_options__uuid_is_of_one_store(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *a = store_open(scratch->store, 3);
    VisitManager *b = store_open(scratch_path(scratch, "b.rv"), 3);
    VisitStats of_a = stats_of(a);
    VisitStats of_b = stats_of(b);
    assert_memory_not_equal(of_a.uuid, of_b.uuid, sizeof of_a.uuid);
    store_close(a);
    store_close(b);
    a = store_open(scratch->store, 3);
    of_b = stats_of(a);
    assert_memory_equal(of_a.uuid, of_b.uuid, sizeof of_a.uuid);
    assert_true(of_a.created_time_ns == of_b.created_time_ns);
    store_close(a);
}

static void test_options__backup_has_a_uuid_of_its_own(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 100);
    VisitManager *manager = store_open(scratch->store, 3);
    const char *path = scratch_path(scratch, "copy.rv");
    assert_ok(VisitManagerBackup(manager, path, NULL, NULL));
    VisitManager *copy = store_open_read_only(path);
    VisitStats of_store = stats_of(manager);
    VisitStats of_copy = stats_of(copy);
    assert_memory_not_equal(of_store.uuid, of_copy.uuid, sizeof of_store.uuid);
    assert_int_equal(of_copy.users, 100);
    assert_int_equal(of_copy.max_visits, 3);
    assert_visits(copy, 99, 1);
    store_close(copy);
    store_close(manager);
    assert_int_equal(folder_count(scratch->folder), 2);
}

struct progress {
    unsigned calls;
    unsigned last; /* the call that says stop; 0: none does */
};

static int count_progress(void *data, const char *what, uint64_t done, uint64_t total)
{
    struct progress *progress = data;
    assert_string_equal(what, "making the limit true");
    assert_true(done <= total);
    return ++progress->calls == progress->last;
}

/* Before a limit becomes larger, all shards are gone through. */
static void test_options__callback_cancels_a_larger_limit(void **state)
{
    const struct scratch *scratch = *state;
    struct progress progress = {0};
    VisitOptions larger = {.size = sizeof larger,
                           .max_visits = 5,
                           .shards = 2,
                           .progress = count_progress,
                           .progress_data = &progress};
    VisitManager *manager = store_open_with(scratch->store, &larger);
    for (uint32_t id = 1; id <= 5; id++) {
        for (uint32_t user = 0; user < 50; user++)
            assert_true(VisitManagerAddVisit(manager, user, id, "https://example.org/", "text"));
    }
    store_close(manager);
    store_close(store_open(scratch->store, 2));
    for (progress.last = 1; progress.last <= 2; progress.last++) {
        progress.calls = 0;
        assert_open_fails(scratch->store, &larger, VISIT_ERROR_CANCELLED, "stopped");
        assert_int_equal(progress.calls, progress.last);
        manager = store_open_read_only(scratch->store);
        assert_ok(store_verify(manager));
        assert_visits(manager, 17, 5, 4);
        store_close(manager);
    }
    progress = (struct progress){0};
    manager = store_open_with(scratch->store, &larger);
    assert_int_equal(progress.calls, 2);
    for (uint32_t user = 0; user < 50; user++)
        assert_visits(manager, user, 5, 4);
    assert_true(VisitManagerAddVisit(manager, 17, 6, "https://example.org/", "text"));
    assert_visits(manager, 17, 6, 5, 4);
    store_close(manager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_options__null_is_the_default),
        scratch_test(test_options__zero_is_the_default),
        scratch_test(test_options__null_manager_or_path_is_refused),
        scratch_test(test_options__unknown_values_are_refused),
        scratch_test(test_options__struct_without_the_newest_members_is_taken),
        scratch_test(test_options__limit_is_bounded_by_the_slot_size),
        scratch_test(test_options__limit_is_checked_with_the_slots_of_the_store),
        scratch_test(test_options__store_keeps_its_geometry),
        scratch_test(test_options__callback_cancels_a_larger_limit),
        scratch_test(test_options__limit_0_keeps_the_limit_of_the_store),
        scratch_test(test_options__every_geometry_works),
        scratch_test(test_options__file_mode_is_obeyed),
        scratch_test(test_options__must_exist),
        scratch_test(test_options__must_not_exist),
        scratch_test(test_options__interval_runs_checkpoints),
        scratch_test(test_options__negative_interval_runs_none),
        scratch_test(test_options__size_0_is_refused),
        scratch_test(test_options__shorter_struct_has_defaults_behind_its_end),
        scratch_test(test_options__longer_struct_must_end_in_zeros),
        scratch_test(test_options__shorter_stats_are_not_overrun),
        scratch_test(test_options__longer_stats_get_what_is_known),
        scratch_test(test_options__stats_refuse_null_and_size_0),
        scratch_test(test_options__stats_tell_who_and_what),
        scratch_test(test_options__uuid_is_of_one_store),
        scratch_test(test_options__backup_has_a_uuid_of_its_own),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
