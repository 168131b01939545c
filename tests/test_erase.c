/* SPDX-License-Identifier: MIT */
/*
 * What is removed is gone from the file: the bytes are looked for. Visits that are to be removed,
 * or that make room for newer ones of a user who is then cleared, have GONE in their strings.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/format.h"
#include "support.h"

#define USERS 40u

/* (Not memmem(): ThreadSanitizer's counts all that follows as read, at each call.) */
static size_t occurrences(const char *path, const char *what)
{
    struct image image = image_read(path);
    size_t count = 0;
    size_t length = strlen(what);
    for (size_t at = 0; at + length <= image.size; at++)
        count += image.bytes[at] == (uint8_t)what[0] && !memcmp(image.bytes + at, what, length);
    image_free(&image);
    return count;
}

static void assert_gone(const char *path)
{
    size_t count = occurrences(path, "GONE");
    if (count)
        print_error("%zu pieces of removed visits are still in the file\n", count);
    assert_int_equal(count, 0);
    assert_int_not_equal(occurrences(path, "KEPT"), 0);
}

static VisitManager *open_with(const char *path, uint32_t erase, uint32_t shards)
{
    VisitOptions options = {.size = sizeof options,
                            .max_visits = 6,
                            .shards = shards,
                            .checkpoint_interval_ms = -1,
                            .erase = erase};
    VisitManager *manager = NULL;
    return VisitManagerOpen(path, &options, &manager) == VISIT_OK ? manager : NULL;
}

/* A visit whose text is full of the word; the lengths are those of slots, runs and blocks. */
static bool add(VisitManager *manager, uint32_t user, uint32_t id, const char *word)
{
    static const size_t lengths[] = {20, 190, 60, 700, 8, 3000, 90, 70000};
    size_t length = lengths[(user + id) % 8];
    char *text = malloc(length + 1);
    for (size_t i = 0; text && i < length; i++)
        text[i] = word[i % 4];
    if (text)
        text[length] = 0;
    bool good = text && VisitManagerAddVisit(manager, user, id, word, text);
    free(text);
    return good;
}

/* Visits come, push others out, move and are removed, in many epochs or in one. */
static bool work(VisitManager *manager, uint32_t first_user, uint32_t sync_every)
{
    bool good = true;
    uint32_t steps = 0;
    for (uint32_t id = 1; id <= 20; id++) {
        for (uint32_t user = first_user; user < first_user + USERS; user++) {
            /* Even users are cleared in the end; of the others each third visit is removed. */
            bool gone = user % 2 == 0 || id % 3 == 0;
            uint32_t last = id - 1;
            good = good && add(manager, user, id, gone ? "GONE" : "KEPT");
            if (user % 2 && last % 3 == 0 && last)
                good = good && VisitManagerDelete(manager, user, &last, 1);
            if (sync_every && ++steps % sync_every == 0)
                good = good && VisitManagerSync(manager) == VISIT_OK;
        }
    }
    for (uint32_t user = first_user; user < first_user + USERS; user += 2)
        good = good && VisitManagerClearUser(manager, user) == VISIT_OK;
    return good;
}

static void check_work(const char *path, uint32_t sync_every, uint32_t shards)
{
    VisitManager *manager = open_with(path, VISIT_ERASE, shards);
    assert_non_null(manager);
    assert_true(work(manager, 0, sync_every));
    assert_int_not_equal(occurrences(path, "GONE"), 0); /* a power cut may yet bring it back */
    assert_ok(VisitManagerSync(manager));
    assert_gone(path);
    assert_true(work(manager, USERS / 2, sync_every)); /* what was freed is used again */
    assert_ok(VisitManagerSync(manager));
    assert_gone(path);
    assert_ok(store_verify(manager));
    store_close(manager);
    assert_gone(path);
}

static void test_erase__in_one_epoch(void **state)
{
    const struct scratch *scratch = *state;
    check_work(scratch->store, 0, 4);
}

static void test_erase__in_many_epochs(void **state)
{
    const struct scratch *scratch = *state;
    check_work(scratch->store, 37, 4);
}

static void test_erase__in_an_epoch_for_each_change(void **state)
{
    const struct scratch *scratch = *state;
    check_work(scratch->store, 1, 1);
}

static void test_erase__when_the_store_is_closed(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = open_with(scratch->store, VISIT_ERASE, 4);
    assert_true(work(manager, 0, 100));
    store_close(manager);
    assert_gone(scratch->store);
}

static void test_erase__by_the_background_checkpoint(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .checkpoint_interval_ms = 1};
    VisitManager *manager = store_open_with(scratch->store, &options);
    assert_true(add(manager, 1, 1, "GONE") && add(manager, 1, 2, "KEPT"));
    VisitManagerClear(manager, 1);
    assert_true(add(manager, 1, 3, "KEPT"));
    while (occurrences(scratch->store, "GONE"))
        continue;
    store_close(manager);
    assert_gone(scratch->store);
}

static VisitManager *share(const char *path)
{
    VisitOptions options = {.size = sizeof options,
                            .mode = VISIT_SHARED,
                            .max_visits = 6,
                            .shards = 1,
                            .checkpoint_interval_ms = -1};
    VisitManager *manager = NULL;
    return VisitManagerOpen(path, &options, &manager) == VISIT_OK ? manager : NULL;
}

static void test_erase__when_a_sharer_leaves(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *stays = share(scratch->store);
    VisitManager *leaves = share(scratch->store);
    assert_non_null(stays);
    assert_non_null(leaves);
    assert_true(work(leaves, 0, 0));
    store_close(leaves);
    assert_gone(scratch->store);
    store_close(stays);
}

/* Changes and checkpoints of other threads, which use up epochs while a removal is erased. */
struct others {
    VisitManager *manager;
    uint32_t user;
    bool stop; /* atomic */
    bool good;
};

static void *sync_again_and_again(void *data)
{
    struct others *o = data;
    o->good = true;
    for (uint32_t id = 1; o->good && !__atomic_load_n(&o->stop, __ATOMIC_RELAXED); id++) {
        o->good = add(o->manager, o->user, id, "KEPT");
        o->good = o->good && VisitManagerSync(o->manager) == VISIT_OK;
    }
    return NULL;
}

static void test_erase__beside_checkpoints_of_other_threads(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = open_with(scratch->store, VISIT_ERASE, 1);
    struct others others[4];
    pthread_t thread[4];
    assert_non_null(manager);
    for (uint32_t i = 0; i < 4; i++) {
        others[i] = (struct others){.manager = manager, .user = 10000 + i};
        assert_int_equal(pthread_create(&thread[i], NULL, sync_again_and_again, &others[i]), 0);
    }
    for (uint32_t round = 1; round <= 20; round++) {
        for (uint32_t user = 0; user < 1000; user++)
            assert_true(VisitManagerAddVisit(manager, user, round, "GONE", "GONE"));
        for (uint32_t user = 0; user < 1000; user++)
            assert_ok(VisitManagerClearUser(manager, user));
        assert_ok(VisitManagerSync(manager));
        assert_gone(scratch->store);
    }
    for (uint32_t i = 0; i < 4; i++) {
        __atomic_store_n(&others[i].stop, true, __ATOMIC_RELAXED);
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_true(others[i].good);
    }
    store_close(manager);
}

/* Without it the bytes stay: so this test sees them where they are. */
static void test_erase__later_leaves_the_bytes(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = open_with(scratch->store, VISIT_ERASE_LATER, 4);
    assert_true(work(manager, 0, 37));
    store_close(manager);
    assert_int_not_equal(occurrences(scratch->store, "GONE"), 0);
}

static int work_and_die(void *data)
{
    const struct scratch *scratch = data;
    VisitManager *manager = open_with(scratch->store, VISIT_ERASE, 4);
    child_check(manager && work(manager, 0, 90));
    raise(SIGKILL);
    return 1;
}

static void test_erase__of_a_dead_writer(void **state)
{
    struct scratch *scratch = *state;
    assert_int_equal(in_child(work_and_die, scratch), 1000 + SIGKILL);
    store_close(store_open_with(scratch->store, NULL));
    assert_gone(scratch->store);
}

/* Removed durably, but not erased yet. */
static int work_sync_and_die(void *data)
{
    const struct scratch *scratch = data;
    VisitManager *manager = open_with(scratch->store, VISIT_ERASE_LATER, 4);
    child_check(manager && work(manager, 0, 90));
    child_check(VisitManagerSync(manager) == VISIT_OK);
    raise(SIGKILL);
    return 1;
}

static void test_erase__in_a_recovery(void **state)
{
    struct scratch *scratch = *state;
    assert_int_equal(in_child(work_sync_and_die, scratch), 1000 + SIGKILL);
    assert_int_not_equal(occurrences(scratch->store, "GONE"), 0);
    file_write_at(scratch->store, 3 * RV_PAGE + offsetof(struct rv_disk_live, boot_id),
                  "not of this boot", 16);
    VisitManager *manager = store_open_with(scratch->store, NULL);
    assert_ok(store_verify(manager));
    for (uint32_t user = 1; user < USERS; user += 2) /* what a ring has besides its visits */
        assert_ok(VisitManagerClearUser(manager, user));
    assert_true(add(manager, 1, 100, "KEPT"));
    store_close(manager);
    assert_gone(scratch->store);
}

static void test_erase__backups_have_visits_only(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = open_with(scratch->store, VISIT_ERASE_LATER, 4);
    const char *copy = scratch_path(scratch, "copy.rv");
    assert_true(work(manager, 0, 37));
    assert_ok(VisitManagerBackup(manager, copy, NULL, NULL));
    assert_gone(copy);
    store_close(manager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_erase__in_one_epoch),
        scratch_test(test_erase__in_many_epochs),
        scratch_test(test_erase__in_an_epoch_for_each_change),
        scratch_test(test_erase__when_the_store_is_closed),
        scratch_test(test_erase__by_the_background_checkpoint),
        scratch_test(test_erase__when_a_sharer_leaves),
        scratch_test(test_erase__beside_checkpoints_of_other_threads),
        scratch_test(test_erase__later_leaves_the_bytes),
        scratch_test(test_erase__of_a_dead_writer),
        scratch_test(test_erase__in_a_recovery),
        scratch_test(test_erase__backups_have_visits_only),
    };
    return cmocka_run_group_tests_name("erase", tests, NULL, NULL);
}
