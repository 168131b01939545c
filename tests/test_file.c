/* SPDX-License-Identifier: MIT */
/* How a checkpoint syncs a file that others go on writing: what it asks of the system, and for
 * which pages. */
#include "file.h"
#include "support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define WINDOW (UINT64_C(64) << 10)
#define POPULATE_WRITE 23 /* older headers lack it */

int __wrap_madvise(void *address, size_t size, int advice);
int __real_msync(void *address, size_t size, int flags);
int __wrap_msync(void *address, size_t size, int flags);

static struct rv_file file;
static struct {
    uint64_t dropped;   /* bytes */
    uint64_t populated; /* bytes */
    uint64_t first;     /* populated first */
    unsigned syncs;
    uint8_t *synced; /* a byte for each page; NULL: nobody asks */
} asked;

int __wrap_madvise(void *address, size_t size, int advice)
{
    uint64_t offset = (uint64_t)((uint8_t *)address - file.rw);
    if (advice == POPULATE_WRITE) {
        asked.first = asked.populated ? asked.first : offset;
        asked.populated += size;
    }
    asked.dropped += advice == MADV_DONTNEED ? size : 0;
    return 0;
}

int __wrap_msync(void *address, size_t size, int flags)
{
    uint64_t page = (uint64_t)((uint8_t *)address - file.rw) / TOUCHED_PAGE;
    asked.syncs++;
    if (asked.synced)
        memset(asked.synced + page, 1, (size + TOUCHED_PAGE - 1) / TOUCHED_PAGE);
    return __real_msync(address, size, flags);
}

static int file_setup(void **state)
{
    int failed = scratch_setup(state);
    const struct scratch *scratch = *state;
    file = (struct rv_file){.fd = -1};
    failed = failed || rv_file_create(&file, scratch->store, 0600) ||
             rv_file_grow(&file, 8 * MIB) || rv_file_map(&file, 8 * MIB, UINT64_C(1) << 32);
    file.busy = true;
    return failed;
}

static int file_teardown(void **state)
{
    rv_file_close(&file);
    return scratch_teardown(state);
}

static void touch(uint64_t from, uint64_t to)
{
    for (; from < to; from += TOUCHED_PAGE) {
        file.rw[from] = 1;
        rv_file_touch(&file, from);
    }
}

static void sync_busy(void)
{
    memset(&asked, 0, sizeof asked);
    assert_int_equal(rv_file_sync_busy(&file, 0), VISIT_OK);
}

static void test_file__much_written_is_dropped_and_populated(void **state)
{
    (void)state;
    touch(MIB, 2 * MIB);
    sync_busy();
    assert_int_equal(asked.dropped, 8 * MIB);
    assert_int_equal(asked.populated, MIB);
    assert_int_equal(asked.first, MIB);
    sync_busy(); /* nothing since */
    assert_int_equal(asked.dropped, 0);
    assert_int_equal(asked.populated, 0);
}

static void test_file__nothing_is_dropped_while_nobody_else_writes(void **state)
{
    (void)state;
    file.busy = false;
    touch(0, 8 * MIB);
    sync_busy();
    assert_int_equal(asked.dropped, 0);
    assert_int_equal(asked.populated, 0);
    assert_int_equal(asked.syncs, 0); /* but one of the whole file */
}

static void test_file__what_is_before_is_left_out(void **state)
{
    (void)state;
    uint8_t synced[8 * MIB / TOUCHED_PAGE] = {0};
    for (unsigned much = 0; much < 2; much++) {
        touch(0, much ? 8 * MIB : TOUCHED_PAGE);
        memset(&asked, 0, sizeof asked);
        asked.synced = synced;
        memset(synced, 0, sizeof synced);
        assert_int_equal(rv_file_sync_busy(&file, 16 * TOUCHED_PAGE), VISIT_OK);
        asked.synced = NULL;
        assert_null(memchr(synced, 1, 16));
        assert_null(memchr(synced + 16, 0, sizeof synced - 16));
        assert_int_equal(asked.dropped, much ? 8 * MIB - 16 * TOUCHED_PAGE : 0);
    }
}

/* Between the beginning of a sync and a stretch's turn in it, pages are written again. */
static void test_file__what_is_written_meanwhile_stays_populated(void **state)
{
    (void)state;
    touch(MIB, 2 * MIB);
    file.round++;
    touch(MIB, MIB + WINDOW);
    file.round--;
    sync_busy();
    assert_int_equal(asked.populated, MIB);
    sync_busy();
    assert_int_equal(asked.dropped, 0); /* 16 pages of 2,048 are few */
}

static void test_file__windows_with_few_pages_are_not_populated(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 8 * MIB; at += WINDOW)
        touch(at, at + WINDOW / 4);
    sync_busy();
    assert_int_equal(asked.dropped, 8 * MIB);
    assert_int_equal(asked.populated, 0);
}

static void test_file__growth_counts_as_written(void **state)
{
    (void)state;
    assert_int_equal(rv_file_grow(&file, 9 * MIB), VISIT_OK);
    sync_busy();
    assert_int_equal(asked.populated, MIB);
    assert_int_equal(asked.first, 8 * MIB);
}

/* The counter of rounds is a byte. */
static void test_file__old_rounds_are_forgotten(void **state)
{
    (void)state;
    touch(0, 4 * MIB);
    for (unsigned i = 0; i < 600; i++) {
        sync_busy();
        assert_true(i == 0 || asked.dropped == 0);
        touch(7 * MIB, 7 * MIB + 1);
        assert_int_not_equal(file.round, 0);
    }
    assert_int_equal(file.touched[0], 0);
    assert_int_equal(file.touched[7 * MIB / TOUCHED_PAGE], file.round);
}

static void test_file__a_large_file_is_synced_in_few_parts(void **state)
{
    (void)state;
    for (uint64_t size = 500 * MIB; size <= 2000 * MIB; size += 100 * MIB) {
        assert_int_equal(ftruncate(file.fd, (off_t)size), 0);
        assert_int_equal(rv_file_refresh(&file), VISIT_OK);
        assert_int_equal(file.size, size);
        for (uint64_t at = 0; at < size; at += 16 * TOUCHED_PAGE)
            rv_file_touch(&file, at);
        sync_busy();
        assert_in_range(asked.syncs, 16, 64);
        assert_int_equal(asked.dropped, size);
    }
}

/* Whatever the size: the last stretch may be a short one. */
static void test_file__all_of_a_busy_file_is_synced(void **state)
{
    (void)state;
    for (uint64_t size = 8 * MIB; size <= 700 * MIB; size = size * 3 + 16 * TOUCHED_PAGE) {
        uint64_t pages = size / TOUCHED_PAGE;
        uint8_t *synced = calloc(1, pages);
        assert_non_null(synced);
        assert_int_equal(ftruncate(file.fd, (off_t)size), 0);
        assert_int_equal(rv_file_refresh(&file), VISIT_OK);
        for (uint64_t at = 0; at < size; at += 16 * TOUCHED_PAGE)
            rv_file_touch(&file, at);
        memset(&asked, 0, sizeof asked);
        asked.synced = synced;
        assert_int_equal(rv_file_sync_busy(&file, 0), VISIT_OK);
        asked.synced = NULL;
        assert_null(memchr(synced, 0, pages));
        free(synced);
    }
}

static uint64_t blocks_of_file(void)
{
    struct stat st;
    assert_int_equal(fstat(file.fd, &st), 0);
    return (uint64_t)st.st_blocks;
}

/* What lies behind the end makes up for the hole in the number of blocks. */
static void test_file__hole_is_filled_that_the_blocks_do_not_tell(void **state)
{
    (void)state;
    uint64_t before = blocks_of_file();
    if (fallocate(file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, MIB, TOUCHED_PAGE) ||
        fallocate(file.fd, FALLOC_FL_KEEP_SIZE, 8 * MIB, TOUCHED_PAGE) ||
        blocks_of_file() != before) {
        print_message("skipped: no holes on this file system\n");
        skip();
    }
    assert_int_equal(rv_file_fill_holes(&file), VISIT_OK);
    assert_true(blocks_of_file() > before);
}

#define file_test(function) cmocka_unit_test_setup_teardown(function, file_setup, file_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        file_test(test_file__much_written_is_dropped_and_populated),
        file_test(test_file__nothing_is_dropped_while_nobody_else_writes),
        file_test(test_file__what_is_before_is_left_out),
        file_test(test_file__what_is_written_meanwhile_stays_populated),
        file_test(test_file__windows_with_few_pages_are_not_populated),
        file_test(test_file__growth_counts_as_written),
        file_test(test_file__old_rounds_are_forgotten),
        file_test(test_file__a_large_file_is_synced_in_few_parts),
        file_test(test_file__all_of_a_busy_file_is_synced),
        file_test(test_file__hole_is_filled_that_the_blocks_do_not_tell),
    };
    return cmocka_run_group_tests_name("test_file", tests, NULL, NULL);
}
