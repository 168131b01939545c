/* SPDX-License-Identifier: MIT */
/* What recovery stores, and where. */
#include "support.h"

#include "fixed.h"
#include "index.h"
#include "manager.h"
#include "sweep.h"

#include <stdlib.h>
#include <time.h>

#define MOST_PAGES 100000u

static uintptr_t stored[MOST_PAGES]; /* pages that were stored to, as they come */
static size_t stored_count;

static void note_store(void *address, uint64_t value)
{
    uintptr_t page = (uintptr_t)address / RV_PAGE;
    (void)value;
    if (!stored_count || stored[stored_count - 1] != page) {
        assert_true(stored_count < MOST_PAGES);
        stored[stored_count++] = page;
    }
}

static bool was_stored(const struct rv_store *st, uint64_t offset)
{
    uintptr_t page = ((uintptr_t)st->file.rw + offset) / RV_PAGE;
    for (size_t i = 0; i < stored_count; i++) {
        if (stored[i] == page) {
            return true;
        }
    }
    return false;
}

static void assert_block_stored(const struct rv_store *st, uint64_t block)
{
    uint64_t begin = rv_block_offset(st, block);
    for (uint64_t offset = begin; offset < rv_block_offset(st, block + 1); offset += RV_PAGE) {
        if (!was_stored(st, offset)) {
            fail_msg("nothing was stored to the page at byte %llu", (unsigned long long)offset);
        }
    }
}

/* Leaves free blocks that nothing has to be said of but that they are free. */
static int write_and_crash(void *data)
{
    const struct scratch *scratch = data;
    VisitOptions options = {.size = sizeof options, .shards = 1, .checkpoint_interval_ms = -1};
    VisitManager *manager = NULL;
    char *text = string_make(1, 1000000);
    child_check(VisitManagerOpen(scratch->store, &options, &manager) == VISIT_OK);
    child_check(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    for (uint32_t id = 1; id < 10; id++) {
        child_check(VisitManagerAddVisit(manager, 2, id, "u", text));
    }
    VisitManagerClear(manager, 2);
    child_check(VisitManagerSync(manager) == VISIT_OK);
    free(text);
    return 0;
}

/*
 * After a sync that failed a page may be clean in memory and old on the disk. Does recovery find
 * there in memory what it wants, the disk may have what it must not: an epoch that will come. So
 * each page that counts is stored to.
 */
static void test_recovery__writes_all_that_counts_again(void **state)
{
    const struct scratch *scratch = *state;
    assert_int_equal(in_child(write_and_crash, *state), 0);
    fixed_boot++;
    fixed_on_store = note_store;
    VisitManager *manager = store_open(scratch->store, 10);
    fixed_on_store = NULL;
    const struct rv_store *st = manager->st;
    assert_int_equal(st->state, VISIT_FOUND_CRASHED);
    assert_true(rv_file_size(st) > 128 * rv_block_offset(st, 1));
    assert_block_stored(st, st->geo.header_blocks);
    uint32_t segment = 0;
    assert_int_equal(rv_index_segment(st, &st->shard[0], 0, &segment), VISIT_OK);
    assert_int_not_equal(segment, 0);
    assert_block_stored(st, segment);
    assert_true(was_stored(st, RV_PAGE) && was_stored(st, 2 * RV_PAGE));
    assert_visits(manager, 1, 1);
    assert_no_visits(manager, 2);
    store_close(manager);
}

/* A free word that is wrong, so that what leaves limbo finds no place; then changes, and a crash.
 */
static int meet_damage_and_crash(void *data)
{
    const struct scratch *scratch = data;
    VisitOptions options = {.size = sizeof options, .shards = 2, .checkpoint_interval_ms = -1};
    VisitManager *manager = NULL;
    child_check(VisitManagerOpen(scratch->store, &options, &manager) == VISIT_OK);
    struct rv_store *st = manager->st;
    for (uint32_t user = 1; user <= 10; user++) {
        child_check(VisitManagerAddVisit(manager, user, 1, "u", "t"));
    }
    child_check(VisitManagerSync(manager) == VISIT_OK);
    struct rv_shard *sh = rv_shard_of(st, rv_hash(st, 1));
    for (uint64_t block = st->geo.header_blocks; block < rv_load(&st->live->blocks); block++) {
        uint64_t run = rv_load(&rv_header(st, block)->run);
        if (rv_run_kind(run) == RV_KIND_SLOTS && rv_run_shard(run) == sh->index) {
            rv_store(&rv_header(st, block)->free, 0);
        }
    }
    VisitManagerClear(manager, 1);
    for (uint32_t id = 2; id < 4; id++) {
        for (uint32_t user = 2; user <= 10; user++) {
            if (rv_shard_of(st, rv_hash(st, user)) != sh) {
                child_check(VisitManagerAddVisit(manager, user, id, "u", "t"));
            }
        }
        child_check(VisitManagerSync(manager) == VISIT_ERROR_CORRUPT);
    }
    return 0;
}

/* Damage that a checkpoint meets while it erases costs nobody else what was added. */
static void test_recovery__damage_does_not_stop_checkpoints(void **state)
{
    const struct scratch *scratch = *state;
    assert_int_equal(in_child(meet_damage_and_crash, *state), 0);
    fixed_boot++;
    VisitManager *manager = store_open(scratch->store, 10);
    const struct rv_store *st = manager->st;
    assert_int_equal(st->state, VISIT_FOUND_CRASHED);
    assert_no_visits(manager, 1);
    const struct rv_shard *sh = rv_shard_of(st, rv_hash(st, 1));
    for (uint32_t user = 2; user <= 10; user++) {
        if (rv_shard_of(st, rv_hash(st, user)) == sh) {
            assert_visits(manager, user, 1);
        } else {
            assert_visits(manager, user, 3, 2, 1);
        }
    }
    assert_int_equal(store_verify(manager), VISIT_OK);
    store_close(manager);
}

/* What was read of a segment before that was found to be in vain must not be taken for users. */
static void test_recovery__sweep_that_fails_has_no_seats(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    VisitManager *manager = store_open(scratch->store, 10);
    VisitManager *reader = NULL;
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    assert_int_equal(VisitManagerOpen(scratch->store, &options, &reader), VISIT_OK);
    struct rv_cursor cursor = {.shard = rv_shard_of(reader->st, rv_hash(reader->st, 1))->index};
    struct rv_cursor begin = cursor;
    struct rv_seats seats;
    assert_int_equal(rv_seats_make(reader->st, &seats), VISIT_OK);
    reader->st->serial -= 2; /* as if a writer had opened it during the call */
    assert_int_equal(rv_sweep_next(reader->st, &cursor, UINT64_MAX, &seats), VISIT_ERROR_BUSY);
    assert_int_equal(seats.count, 0);
    assert_memory_equal(&cursor, &begin, sizeof cursor);
    reader->st->serial += 2;
    assert_int_equal(rv_sweep_next(reader->st, &cursor, UINT64_MAX, &seats), VISIT_OK);
    assert_int_equal(seats.count, 1);
    free(seats.at);
    store_close(reader);
    store_close(manager);
}

/* As when recovery has taken back a split between two steps of somebody's sweep. */
static void test_recovery__sweep_goes_on_within_a_segment(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .shards = 1};
    VisitManager *manager = NULL;
    assert_int_equal(VisitManagerOpen(scratch->store, &options, &manager), VISIT_OK);
    const struct rv_store *st = manager->st;
    const uint64_t middle = UINT64_C(1) << 63;
    uint32_t above = 0;
    for (uint32_t user = 1; user <= 20; user++) {
        assert_true(VisitManagerAddVisit(manager, user, 1, "u", "t"));
        above += rv_hash(st, user) >= middle;
    }
    struct rv_cursor cursor = {.prefix = middle};
    struct rv_seats seats;
    assert_int_equal(rv_seats_make(st, &seats), VISIT_OK);
    assert_int_equal(rv_sweep_next(manager->st, &cursor, UINT64_MAX, &seats), VISIT_OK);
    assert_int_equal(seats.count, above);
    for (uint32_t i = 0; i < seats.count; i++) {
        assert_true(rv_hash(st, seats.at[i].user_id) >= middle);
    }
    assert_int_equal(rv_sweep_next(manager->st, &cursor, UINT64_MAX, &seats), VISIT_END);
    free(seats.at);
    store_close(manager);
}

/* Between the block maps of small blocks no free run is as large as it would be elsewhere: that
 * must not look like a lack of room for ever. */
static void test_recovery__small_blocks_get_room_in_proportion(void **state)
{
    const struct scratch *scratch = *state;
    struct rv_options small = {
        .max_visits = 4, .slot_log2 = 7, .block_log2 = 12, .shards = 1, .file_mode = 0600};
    struct rv_store *st;
    VisitStats stats = {.size = sizeof stats};
    assert_int_equal(rv_store_open(scratch->store, &small, &st), VISIT_OK);
    assert_int_equal(rv_store_close(st), VISIT_OK);
    VisitManager *manager = store_open(scratch->store, 4);
    char *text = string_make(1, 3000);
    for (uint32_t user = 1; user <= 1500; user++) {
        assert_true(VisitManagerAddVisit(manager, user, 1, "u", text));
        if (user % 8 == 0) {
            nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL); /* others have their turn */
        }
    }
    free(text);
    assert_int_equal(VisitManagerStats(manager, &stats), VISIT_OK);
    assert_int_equal(stats.block_bytes, 4096);
    assert_true(stats.blocks > 1500 && stats.blocks_free < stats.blocks / 4);
    store_close(manager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_recovery__writes_all_that_counts_again),
        scratch_test(test_recovery__sweep_goes_on_within_a_segment),
        scratch_test(test_recovery__damage_does_not_stop_checkpoints),
        scratch_test(test_recovery__sweep_that_fails_has_no_seats),
        scratch_test(test_recovery__small_blocks_get_room_in_proportion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
