/* SPDX-License-Identifier: MIT */
/* Whatever stands under the name: folders, fifos, devices, links, other programs' files, files of
 * others, files with holes, files that were cut off, also under a running program. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "support.h"

static const VisitOptions read_only = {.size = sizeof read_only, .mode = VISIT_READ_ONLY};
static const VisitOptions must_exist = {.size = sizeof must_exist, .create = VISIT_MUST_EXIST};

/* Neither way of opening gets past it. */
static void assert_refused(const char *path, VisitStatus status)
{
    assert_open_fails(path, NULL, status, NULL);
    assert_open_fails(path, &must_exist, status, NULL);
    assert_open_fails(path, &read_only, status, NULL);
}

static void test_hostile__folders_fifos_and_devices_are_not_stores(void **state)
{
    const struct scratch *scratch = *state;
    static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/full"};
    VisitManager *manager = NULL;
    assert_int_equal(mkdir(scratch->store, 0700), 0);
    assert_int_not_equal(VisitManagerOpen(scratch->store, NULL, &manager), VISIT_OK);
    assert_last(VisitLastStatus(), scratch->store);
    assert_open_fails(scratch->store, &read_only, VISIT_ERROR_NOT_A_STORE, NULL);
    assert_int_equal(rmdir(scratch->store), 0);
    assert_int_equal(mkfifo(scratch->store, 0600), 0); /* nobody writes to it, and nothing waits */
    assert_refused(scratch->store, VISIT_ERROR_NOT_A_STORE);
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++)
        assert_refused(devices[i], VISIT_ERROR_NOT_A_STORE);
    assert_int_equal(folder_count(scratch->folder), 1);
}

static void test_hostile__socket_is_refused(void **state)
{
    const struct scratch *scratch = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    VisitManager *manager = NULL;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_true(snprintf(address.sun_path, sizeof address.sun_path, "%s", scratch->store) <
                (int)sizeof address.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_not_equal(VisitManagerOpen(scratch->store, NULL, &manager), VISIT_OK);
    assert_null(manager);
    assert_int_not_equal(VisitManagerOpen(scratch->store, &read_only, &manager), VISIT_OK);
    assert_null(manager);
    close(fd);
}

static void test_hostile__symbolic_links_are_followed(void **state)
{
    const struct scratch *scratch = *state;
    char name[512];
    VisitManager *manager = NULL;
    strcpy(name, scratch_path(scratch, "link"));
    store_make(scratch->store, 10);
    assert_int_equal(symlink(scratch->store, name), 0);
    manager = store_open(name, 10);
    assert_visits(manager, 3, 1);
    assert_open_fails(scratch->store, NULL, VISIT_ERROR_BUSY, NULL); /* it is the same store */
    store_close(manager);
    manager = NULL;
    assert_int_equal(unlink(name), 0);
    assert_int_equal(symlink(name, name), 0); /* leads to itself */
    assert_int_not_equal(VisitManagerOpen(name, NULL, &manager), VISIT_OK);
    assert_int_not_equal(VisitManagerOpen(name, &read_only, &manager), VISIT_OK);
    assert_null(manager);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(symlink("nowhere", name), 0); /* nothing is made behind it */
    assert_int_not_equal(VisitManagerOpen(name, NULL, &manager), VISIT_OK);
    assert_open_fails(name, &read_only, VISIT_ERROR_NOT_FOUND, NULL);
    assert_null(manager);
    assert_int_equal(folder_count(scratch->folder), 2);
}

static void assert_left_alone(const struct scratch *scratch, const void *bytes, size_t size)
{
    file_write(scratch->store, bytes, size);
    struct image before = image_read(scratch->store);
    assert_refused(scratch->store, VISIT_ERROR_NOT_A_STORE);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
}

static void test_hostile__files_of_other_programs_are_left_alone(void **state)
{
    const struct scratch *scratch = *state;
    static const char *const heads[] = {"\177ELF\2\1\1", "SQLite format 3", "\x89PNG\r\n\x1a\n",
                                        "%PDF-1.7\n",    "PK\3\4",          "#!/bin/sh\n",
                                        "\x1f\x8b\x08",  "{\"a\":[1,2]}\n", "\x89RVT\r\n\x1a\n"};
    static const size_t sizes[] = {16, 4095, 4096, 65536, 131072, 200000};
    char *noise = string_make(9, 200000);
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        memcpy(noise, heads[i], strlen(heads[i]));
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++)
            assert_left_alone(scratch, noise, sizes[k]);
    }
    free(noise);
    /* Nearly empty: it could be what an interrupted creation left, but for these few bytes. */
    char *sparse = calloc(1, 131072);
    assert_non_null(sparse);
    static const size_t places[] = {0,    8,    12,   16,    24,    32,    64,    76,
                                    88,   300,  488,  504,   512,   4092,  4096,  4104,
                                    4136, 8192, 8248, 12288, 12320, 12352, 16384, 61504};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        size_t at = places[i];
        memcpy(sparse + at, "mine", 4);
        for (size_t size = 4096; size <= 131072; size *= 2)
            if (size > at)
                assert_left_alone(scratch, sparse, size);
        memset(sparse + at, 0, 4);
    }
    free(sparse);
    struct image self = image_read("/proc/self/exe");
    assert_left_alone(scratch, self.bytes, self.size);
    image_free(&self);
}

/* A store that never had a user is not taken for half a store when its superblock is damaged. */
static void test_hostile__empty_store_survives_its_superblock(void **state)
{
    const struct scratch *scratch = *state;
    VisitStats before = {.size = sizeof before};
    VisitStats after = {.size = sizeof after};
    VisitManager *manager = store_open(scratch->store, 77);
    assert_ok(VisitManagerStats(manager, &before));
    store_close(manager);
    file_write_at(scratch->store, 496, "damaged", 8);
    manager = store_open_with(scratch->store, NULL);
    assert_ok(VisitManagerStats(manager, &after));
    assert_int_equal(after.max_visits, 77);
    assert_memory_equal(before.uuid, after.uuid, sizeof after.uuid);
    store_close(manager);
    struct image image = image_read(scratch->store);
    assert_true(memcmp(image.bytes + 496, "damaged", 8) != 0);
    for (size_t size = 4096; size < image.size; size += 4096) { /* nor what is left of one */
        file_write(scratch->store, image.bytes, size);
        struct image rest = image_read(scratch->store);
        assert_open_fails(scratch->store, NULL, VISIT_ERROR_CORRUPT, NULL);
        assert_file_unchanged(scratch->store, &rest);
        image_free(&rest);
    }
    image_free(&image);
}

/* Neither superblock is whole; of another geometry than it is asked for now. */
static void test_hostile__what_an_interrupted_creation_left_becomes_a_store(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .slot_size = 1024, .shards = 8};
    VisitStats stats = {.size = sizeof stats};
    store_close(store_open_with(scratch->store, &options));
    struct image image = image_read(scratch->store);
    for (size_t at = 4096; at < image.size; at += 4096)
        if (image_word(&image, at) == image_word(&image, 0))
            memset(image.bytes + at, 0, 4096);
    memset(image.bytes + 80, 0, 8);
    memset(image.bytes + 12288, 0, 56); /* what an opening wrote, which came later */
    memset(image.bytes + 8192, 0, 4096);
    image_set_word(&image, 4096, 1);
    file_write(scratch->store, image.bytes, image.size);
    image_free(&image);
    VisitManager *manager = store_open(scratch->store, 5);
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.slot_size, 256);
    store_close(manager);
}

/* It would become a store, but not with these options. */
static void test_hostile__zeros_stay_when_the_options_are_refused(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .slot_size = 4096, .max_visits = 65535};
    char *zeros = calloc(1, 65536);
    assert_non_null(zeros);
    file_write(scratch->store, zeros, 65536);
    free(zeros);
    struct image before = image_read(scratch->store);
    assert_open_fails(scratch->store, &options, VISIT_ERROR_INVALID, NULL);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
}

/* A file that belongs to somebody else, or in whose folder one may not write. */
static int use_foreign(void *data)
{
    const struct scratch *scratch = data;
    VisitManager *manager = NULL;
    if (geteuid() == 0)
        child_check(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    child_check(VisitManagerOpen(scratch->store, NULL, &manager) == VISIT_ERROR_ACCESS);
    child_check(strstr(VisitLastError(), scratch->store));
    VisitStatus status = VisitManagerOpen(scratch->store, &read_only, &manager);
    if (status == VISIT_OK) {
        size_t count = 0;
        child_check(VisitManagerGetRecentVisits(manager, 3, &count) && count == 1);
        child_check(VisitManagerVerify(manager, NULL, NULL) == VISIT_OK);
        VisitManagerFree(manager);
        return 1;
    }
    child_check(status == VISIT_ERROR_ACCESS && !manager);
    return 0;
}

static void test_hostile__files_of_others_are_read_if_they_may_be(void **state)
{
    struct scratch *scratch = *state;
    store_make(scratch->store, 10);
    struct image before = image_read(scratch->store);
    assert_int_equal(chmod(scratch->folder, 0755), 0);
    assert_int_equal(chmod(scratch->store, 0444), 0);
    assert_int_equal(in_child(use_foreign, scratch), 1);
    assert_int_equal(chmod(scratch->store, 0), 0);
    assert_int_equal(in_child(use_foreign, scratch), 0);
    assert_int_equal(chmod(scratch->store, 0600), 0);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
}

static int64_t blocks_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_blocks;
}

/* Longer than most disks are; less with ThreadSanitizer, which leaves little room for mappings. */
#ifdef __SANITIZE_THREAD__
#define LONG_BYTES (INT64_C(1) << 33)
#else
#define LONG_BYTES (INT64_C(1) << 39)
#endif

/* It says that it is longer than any disk: nobody tries to make that true. */
static void test_hostile__holes_that_no_disk_could_fill(void **state)
{
    skip_under_valgrind("has few addresses");
    skip_if_emulated("has few addresses");
    const struct scratch *scratch = *state;
#ifdef __SANITIZE_THREAD__
    print_message("skipped: any disk has room for what can be mapped here\n");
    skip();
#endif
    store_make(scratch->store, 10);
    assert_int_equal(truncate(scratch->store, LONG_BYTES), 0);
    int64_t before = blocks_of(scratch->store);
    VisitManager *manager = NULL;
    VisitStatus status = VisitManagerOpen(scratch->store, NULL, &manager);
    if (status == VISIT_OK) { /* a disk that could */
        assert_visits(manager, 3, 1);
        store_close(manager);
        return;
    }
    assert_true(status == VISIT_ERROR_NO_SPACE || status == VISIT_ERROR_NO_MEMORY);
    assert_int_equal(blocks_of(scratch->store), before);
    manager = store_open_read_only(scratch->store);
    assert_visits(manager, 3, 1);
    store_close(manager);
    assert_int_equal(blocks_of(scratch->store), before);
}

static void test_hostile__files_of_holes_are_not_stores(void **state)
{
    skip_under_valgrind("has few addresses");
    skip_if_emulated("has few addresses");
    const struct scratch *scratch = *state;
    file_write(scratch->store, "", 0);
    assert_int_equal(truncate(scratch->store, LONG_BYTES), 0);
    assert_refused(scratch->store, VISIT_ERROR_NOT_A_STORE);
    assert_true(blocks_of(scratch->store) < 1000000); /* tmpfs makes the pages that are looked at */
    assert_int_equal(file_size(scratch->store), LONG_BYTES);
}

/* With holes where zeros were, as some ways of copying make them, it is the same store. */
static void test_hostile__sparse_copy_is_the_store(void **state)
{
    const struct scratch *scratch = *state;
    char copy[512];
    static const char zeros[4096];
    strcpy(copy, scratch_path(scratch, "copy"));
    store_make(scratch->store, 100);
    struct image image = image_read(scratch->store);
    file_write(copy, "", 0);
    for (size_t i = 0; i < image.size; i += sizeof zeros)
        if (memcmp(image.bytes + i, zeros, sizeof zeros) != 0)
            file_write_at(copy, i, image.bytes + i, sizeof zeros);
    assert_int_equal(truncate(copy, (off_t)image.size), 0);
    VisitManager *manager = store_open(copy, 10);
    for (uint32_t user = 0; user < 5000; user++)
        assert_true(VisitManagerAddVisit(manager, user, 2, "https://example.org/", "Example"));
    assert_visits(manager, 99, 2, 1);
    assert_ok(store_verify(manager));
    store_close(manager);
    image_free(&image);
}

/* fuzz-flips does it at every length of a smaller store. */
static void test_hostile__store_that_was_cut_off(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 200);
    struct image whole = image_read(scratch->store);
    for (size_t size = 0; size < whole.size; size += size < 8192 ? 512 : 4096 - 1) {
        VisitManager *manager = NULL;
        file_write(scratch->store, whole.bytes, size);
        struct image before = image_read(scratch->store);
        VisitStatus status = VisitManagerOpen(scratch->store, &must_exist, &manager);
        assert_true(status == VISIT_ERROR_CORRUPT || status == VISIT_ERROR_NOT_A_STORE);
        if (VisitManagerOpen(scratch->store, &read_only, &manager) == VISIT_OK) {
            assert_status(VisitManagerVerify(manager, NULL, NULL), VISIT_ERROR_CORRUPT);
            store_close(manager);
        }
        assert_file_unchanged(scratch->store, &before);
        image_free(&before);
    }
    image_free(&whole);
}

/* Verification looks how long the file is; from then on no call touches what is no longer there. */
static int use_while_cut_off(void *data)
{
    const struct scratch *scratch = ((void **)data)[0];
    const VisitOptions *options = ((void **)data)[1];
    VisitManager *manager = NULL;
    size_t count;
    unsigned lost = 0;
    VisitStats stats = {.size = sizeof stats};
    child_check(VisitManagerOpen(scratch->store, options, &manager) == VISIT_OK);
    child_check(truncate(scratch->store, 4 * 65536) == 0);
    child_check(VisitManagerVerify(manager, NULL, NULL) == VISIT_ERROR_CORRUPT);
    for (uint32_t user = 0; user < 1000; user++) {
        VisitManagerGetRecentVisits(manager, user, &count);
        VisitStatus status = VisitLastStatus();
        child_check(status == VISIT_OK || status == VISIT_ERROR_CORRUPT);
        lost += status != VISIT_OK;
        if (options != &read_only && user % 7 == 0)
            VisitManagerAddVisit(manager, user, 2, "https://example.org/", "Example");
    }
    child_check(lost > 0);
    VisitManagerStats(manager, &stats);
    VisitManagerBackup(manager, scratch_path(scratch, "copy"), NULL, NULL);
    VisitManagerFree(manager);
    return 0;
}

static void test_hostile__store_that_is_cut_off_while_it_is_open(void **state)
{
    struct scratch *scratch = *state;
    VisitOptions quiet = {.size = sizeof quiet, .checkpoint_interval_ms = -1};
    const VisitOptions *options[] = {&read_only, &quiet};
    for (size_t i = 0; i < 2; i++) {
        remove(scratch->store);
        store_make(scratch->store, 1000);
        assert_true(file_size(scratch->store) > 4 * 65536);
        const void *data[] = {scratch, options[i]};
        assert_int_equal(in_child(use_while_cut_off, data), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_hostile__folders_fifos_and_devices_are_not_stores),
        scratch_test(test_hostile__socket_is_refused),
        scratch_test(test_hostile__symbolic_links_are_followed),
        scratch_test(test_hostile__files_of_other_programs_are_left_alone),
        scratch_test(test_hostile__empty_store_survives_its_superblock),
        scratch_test(test_hostile__what_an_interrupted_creation_left_becomes_a_store),
        scratch_test(test_hostile__zeros_stay_when_the_options_are_refused),
        scratch_test(test_hostile__files_of_others_are_read_if_they_may_be),
        scratch_test(test_hostile__holes_that_no_disk_could_fill),
        scratch_test(test_hostile__files_of_holes_are_not_stores),
        scratch_test(test_hostile__sparse_copy_is_the_store),
        scratch_test(test_hostile__store_that_was_cut_off),
        scratch_test(test_hostile__store_that_is_cut_off_while_it_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
