/* SPDX-License-Identifier: MIT */
/* What recovery stores, and where. */
#include "support.h"

#include "fixed.h"
#include "index.h"
#include "manager.h"

#include <stdlib.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_recovery__writes_all_that_counts_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
