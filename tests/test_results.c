/* SPDX-License-Identifier: MIT */
/* What the read calls hand out: how long it lives, what it holds, that nobody can write to it. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#define READ_CACHE 64 /* the default of VisitOptions.read_cache_users */

static VisitManager *open_in(void **state)
{
    const struct scratch *scratch = *state;
    return store_open(scratch->store, 10);
}

/* Gives users first to last two visits each, whose strings name the user. */
static void fill(VisitManager *manager, uint32_t first, uint32_t last)
{
    char url[40];
    for (uint32_t user = first; user <= last; user++) {
        snprintf(url, sizeof url, "url of %u", user);
        assert_true(VisitManagerAddVisit(manager, user, 1, url, "old"));
        assert_true(VisitManagerAddVisit(manager, user, 2, url, "new"));
    }
}

/* Whether a result is that of a user made by fill(). */
static void check_result(Visit **visits, size_t count, uint32_t user)
{
    char url[40];
    snprintf(url, sizeof url, "url of %u", user);
    assert_int_equal(count, 2);
    assert_int_equal(visits[0]->visit_id, 2);
    assert_int_equal(visits[1]->visit_id, 1);
    assert_string_equal(visits[0]->url, url);
    assert_string_equal(visits[1]->url, url);
    assert_string_equal(visits[0]->text, "new");
    assert_string_equal(visits[1]->text, "old");
}

static void read_users(VisitManager *manager, uint32_t first, uint32_t last)
{
    size_t count = 0;
    for (uint32_t user = first; user <= last; user++) {
        Visit **visits = VisitManagerGetRecentVisits(manager, user, &count);
        check_result(visits, count, user);
    }
}

/* ------------------------------------------------------------------------------------------------
 * VisitManagerGetRecentVisits
 * --------------------------------------------------------------------------------------------- */

static void test_results__stay_while_63_other_users_are_read(void **state)
{
    VisitManager *manager = open_in(state);
    size_t count = 0;
    fill(manager, 0, READ_CACHE);
    Visit **visits = VisitManagerGetRecentVisits(manager, 0, &count);
    read_users(manager, 1, READ_CACHE - 1);
    check_result(visits, count, 0);
    store_close(manager);
}

/* Two users may have the same place in what finds them again. */
static void test_results__stay_while_two_others_are_read_in_turn(void **state)
{
    VisitManager *manager = open_in(state);
    size_t count = 0;
    fill(manager, 0, 199);
    for (uint32_t a = 1; a <= 20; a++) {
        for (uint32_t b = a + 1; b < 200; b++) {
            Visit **visits = VisitManagerGetRecentVisits(manager, 0, &count);
            for (int i = 0; i < READ_CACHE; i++) {
                read_users(manager, a, a);
                read_users(manager, b, b);
            }
            check_result(visits, count, 0);
        }
    }
    store_close(manager);
}

static void test_results__of_64_users_stay_together(void **state)
{
    VisitManager *manager = open_in(state);
    Visit **visits[READ_CACHE];
    size_t counts[READ_CACHE];
    fill(manager, 0, READ_CACHE - 1);
    for (uint32_t user = 0; user < READ_CACHE; user++)
        visits[user] = VisitManagerGetRecentVisits(manager, user, &counts[user]);
    for (uint32_t user = 0; user < READ_CACHE; user++)
        check_result(visits[user], counts[user], user);
    store_close(manager);
}

static void test_results__stay_as_long_as_the_options_say(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .read_cache_users = 1000};
    VisitManager *manager = store_open_with(scratch->store, &options);
    size_t count = 0;
    fill(manager, 0, 1000);
    Visit **visits = VisitManagerGetRecentVisits(manager, 0, &count);
    read_users(manager, 1, 999);
    check_result(visits, count, 0);
    store_close(manager);
}

static void test_results__may_be_few(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .read_cache_users = 1};
    VisitManager *manager = store_open_with(scratch->store, &options);
    fill(manager, 0, 9);
    for (int round = 0; round < 3; round++)
        read_users(manager, 0, 9);
    store_close(manager);
}

static void test_results__stay_while_other_users_change(void **state)
{
    VisitManager *manager = open_in(state);
    size_t count = 0;
    fill(manager, 0, 0);
    Visit **visits = VisitManagerGetRecentVisits(manager, 0, &count);
    fill(manager, 1, 5000); /* splits segments under it */
    for (uint32_t user = 1; user <= 5000; user++)
        VisitManagerClear(manager, user);
    assert_ok(VisitManagerSync(manager));
    fill(manager, 1, 5000);
    check_result(visits, count, 0);
    store_close(manager);
}

static void test_results__stay_when_read_again(void **state)
{
    VisitManager *manager = open_in(state);
    size_t count = 0;
    fill(manager, 0, 0);
    Visit **visits = VisitManagerGetRecentVisits(manager, 0, &count);
    for (int i = 0; i < 1000; i++)
        read_users(manager, 0, 0);
    check_result(visits, count, 0);
    store_close(manager);
}

static void test_results__show_a_change_at_once(void **state)
{
    VisitManager *manager = open_in(state);
    uint32_t ids[] = {3};
    size_t count = 0;
    for (int i = 0; i < 50; i++) {
        VisitManagerClear(manager, 0);
        VisitManagerGetRecentVisits(manager, 0, &count);
        assert_int_equal(count, 0);
        fill(manager, 0, 0);
        read_users(manager, 0, 0);
        assert_true(VisitManagerAddVisit(manager, 0, 3, "3", "3"));
        VisitManagerGetRecentVisits(manager, 0, &count);
        assert_int_equal(count, 3);
        assert_true(VisitManagerDelete(manager, 0, ids, 1));
        read_users(manager, 0, 0);
    }
    store_close(manager);
}

/* What a thread reads, for those who look at it afterwards. */
struct reading {
    VisitManager *manager;
    Visit **visits;
    size_t count;
};

static void *read_user_0(void *data)
{
    struct reading *reading = data;
    reading->visits = VisitManagerGetRecentVisits(reading->manager, 0, &reading->count);
    return NULL;
}

static void test_results__outlive_their_thread(void **state)
{
    VisitManager *manager = open_in(state);
    struct reading reading = {.manager = manager};
    pthread_t thread;
    fill(manager, 0, 200);
    assert_int_equal(pthread_create(&thread, NULL, read_user_0, &reading), 0);
    pthread_join(thread, NULL);
    read_users(manager, 1, 200);
    check_result(reading.visits, reading.count, 0);
    store_close(manager);
}

/* Each thread that comes and goes leaves a result behind, until the manager is freed. */
static void test_results__of_many_threads_stay(void **state)
{
    VisitManager *manager = open_in(state);
    struct reading readings[100];
    fill(manager, 0, 0);
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        readings[i] = (struct reading){.manager = manager};
        assert_int_equal(pthread_create(&thread, NULL, read_user_0, &readings[i]), 0);
        pthread_join(thread, NULL);
    }
    for (int i = 0; i < 100; i++)
        check_result(readings[i].visits, readings[i].count, 0);
    store_close(manager);
}

static void test_results__of_two_managers_are_apart(void **state)
{
    const struct scratch *scratch = *state;
    size_t counts[2];
    VisitManager *a = open_in(state);
    VisitManager *b = store_open(scratch_path(scratch, "other.rv"), 10);
    fill(a, 0, 3);
    fill(b, 0, 0);
    assert_true(VisitManagerAddVisit(b, 0, 3, "b", "b"));
    Visit **of_a = VisitManagerGetRecentVisits(a, 0, &counts[0]);
    Visit **of_b = VisitManagerGetRecentVisits(b, 0, &counts[1]);
    assert_int_equal(counts[1], 3);
    check_result(of_a, counts[0], 0);
    assert_string_equal(of_b[0]->url, "b");
    store_close(b);
    check_result(of_a, counts[0], 0);
    read_users(a, 0, 3);
    store_close(a);
}

/* A manager may come to lie where another one was: nothing of the old one may be found. */
static void test_results__of_a_freed_manager_are_forgotten(void **state)
{
    const struct scratch *scratch = *state;
    for (uint32_t i = 0; i < 20; i++) {
        size_t count = 99;
        char name[20];
        snprintf(name, sizeof name, "%u.rv", i);
        VisitManager *manager = store_open(scratch_path(scratch, name), 10);
        assert_null(VisitManagerGetRecentVisits(manager, 0, &count));
        assert_int_equal(count, 0);
        fill(manager, 0, 0);
        read_users(manager, 0, 0);
        store_close(manager);
    }
}

/* Which string of which call the child writes through. */
struct scribble {
    VisitManager *manager;
    VisitReader *reader;
    bool with_reader;
    bool in_text;
};

static char *scribble_string(const struct scribble *scribble)
{
    size_t count = 0;
    if (scribble->with_reader) {
        const Visit *visits = NULL;
        VisitReaderGet(scribble->reader, 0, 0, &visits, &count);
        return count ? (scribble->in_text ? visits[0].text : visits[0].url) : NULL;
    }
    Visit **visits = VisitManagerGetRecentVisits(scribble->manager, 0, &count);
    return count ? (scribble->in_text ? visits[0]->text : visits[0]->url) : NULL;
}

static char *volatile scribble_at;

static int write_through(void *data)
{
    (void)data;
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    *scribble_at = 'X';
    return 0;
}

/* The string is taken before the fork: in the child the manager answers no more. */
static void test_results__strings_cannot_be_written(void **state)
{
    VisitManager *manager = open_in(state);
    char *large = string_make(1, 300000);
    for (int kind = 0; kind < 8; kind++) {
        struct scribble scribble = {.manager = manager};
        scribble.with_reader = kind & 1;
        scribble.in_text = kind & 2;
        VisitManagerClear(manager, 0);
        assert_true(VisitManagerAddVisit(manager, 0, 1, kind & 4 ? large : "small",
                                         kind & 4 ? large : "small"));
        assert_ok(VisitReaderOpen(manager, &scribble.reader));
        scribble_at = scribble_string(&scribble);
        assert_non_null(scribble_at);
        assert_int_equal(in_child(write_through, NULL), 1000 + SIGSEGV);
        VisitReaderFree(scribble.reader);
    }
    free(large);
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * Readers
 * --------------------------------------------------------------------------------------------- */

static void test_results__reader_obeys_the_limit(void **state)
{
    VisitManager *manager = open_in(state);
    VisitReader *reader = NULL;
    const Visit *visits = NULL;
    size_t count = 99;
    for (uint32_t id = 1; id <= 5; id++)
        assert_true(VisitManagerAddVisit(manager, 1, id, "u", "t"));
    assert_ok(VisitReaderOpen(manager, &reader));
    for (size_t limit = 1; limit <= 7; limit++) {
        assert_ok(VisitReaderGet(reader, 1, limit, &visits, &count));
        assert_int_equal(count, limit < 5 ? limit : 5);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(visits[i].visit_id, 5 - i);
    }
    assert_ok(VisitReaderGet(reader, 1, SIZE_MAX, &visits, &count));
    assert_int_equal(count, 5);
    VisitReaderFree(reader);
    store_close(manager);
}

static void test_results__reader_of_an_unknown_user_gets_0(void **state)
{
    VisitManager *manager = open_in(state);
    VisitReader *reader = NULL;
    const Visit *visits = (const Visit *)manager;
    const VisitPacked *packed = (const VisitPacked *)manager;
    size_t count = 99;
    size_t size = 99;
    assert_ok(VisitReaderOpen(manager, &reader));
    assert_ok(VisitReaderGet(reader, 1, 0, &visits, &count));
    assert_null(visits);
    assert_int_equal(count, 0);
    count = 99;
    assert_ok(VisitReaderGetPacked(reader, 1, 0, &packed, &size, &count));
    assert_null(packed);
    assert_int_equal(count, 0);
    assert_int_equal(size, 0);
    VisitReaderFree(reader);
    store_close(manager);
}

static void test_results__reader_refuses_null(void **state)
{
    VisitManager *manager = open_in(state);
    VisitReader *reader = NULL;
    const Visit *visits = NULL;
    const VisitPacked *packed = NULL;
    size_t count = 0;
    size_t size = 0;
    assert_status(VisitReaderOpen(NULL, &reader), VISIT_ERROR_INVALID);
    assert_status(VisitReaderOpen(manager, NULL), VISIT_ERROR_INVALID);
    assert_ok(VisitReaderOpen(manager, &reader));
    assert_status(VisitReaderGet(NULL, 1, 0, &visits, &count), VISIT_ERROR_INVALID);
    assert_status(VisitReaderGet(reader, 1, 0, NULL, &count), VISIT_ERROR_INVALID);
    assert_status(VisitReaderGet(reader, 1, 0, &visits, NULL), VISIT_ERROR_INVALID);
    assert_status(VisitReaderGetPacked(NULL, 1, 0, &packed, &size, &count), VISIT_ERROR_INVALID);
    assert_status(VisitReaderGetPacked(reader, 1, 0, NULL, &size, &count), VISIT_ERROR_INVALID);
    assert_status(VisitReaderGetPacked(reader, 1, 0, &packed, NULL, &count), VISIT_ERROR_INVALID);
    assert_status(VisitReaderGetPacked(reader, 1, 0, &packed, &size, NULL), VISIT_ERROR_INVALID);
    VisitReaderFree(reader);
    VisitReaderFree(NULL);
    store_close(manager);
}

static void test_results__two_readers_are_apart(void **state)
{
    VisitManager *manager = open_in(state);
    VisitReader *readers[2];
    const Visit *visits[2];
    size_t counts[2];
    fill(manager, 0, 1);
    for (uint32_t i = 0; i < 2; i++) {
        assert_ok(VisitReaderOpen(manager, &readers[i]));
        assert_ok(VisitReaderGet(readers[i], i, 0, &visits[i], &counts[i]));
    }
    assert_string_equal(visits[0][0].url, "url of 0");
    assert_string_equal(visits[1][0].url, "url of 1");
    VisitReaderFree(readers[0]);
    assert_string_equal(visits[1][1].text, "old");
    VisitReaderFree(readers[1]);
    store_close(manager);
}

/* Unlike the strings of VisitReaderGet(), a packed result is the reader's own. */
static void test_results__packed_outlives_a_change_of_its_user(void **state)
{
    VisitManager *manager = open_in(state);
    VisitReader *reader = NULL;
    const VisitPacked *packed = NULL;
    size_t count = 0;
    size_t size = 0;
    fill(manager, 0, 0);
    assert_ok(VisitReaderOpen(manager, &reader));
    assert_ok(VisitReaderGetPacked(reader, 0, 0, &packed, &size, &count));
    for (int i = 0; i < 30; i++) {
        VisitManagerClear(manager, 0);
        for (uint32_t id = 10; id < 30; id++)
            assert_true(VisitManagerAddVisit(manager, 0, id, "changed", "changed"));
        assert_ok(VisitManagerSync(manager));
    }
    assert_int_equal(count, 2);
    const char *url = (const char *)packed + packed[1].url_offset;
    assert_string_equal(url, "url of 0");
    assert_string_equal(url + packed[1].url_length + 1, "old");
    VisitReaderFree(reader);
    store_close(manager);
}

static void test_results__packed_may_be_large(void **state)
{
    VisitManager *manager = open_in(state);
    VisitReader *reader = NULL;
    const VisitPacked *packed = NULL;
    size_t count = 0;
    size_t size = 0;
    char *text = string_make(1, VISIT_STRINGS_MAX - 1);
    for (uint32_t id = 1; id <= 10; id++)
        assert_true(VisitManagerAddVisit(manager, 1, id, "u", text));
    assert_ok(VisitReaderOpen(manager, &reader));
    assert_ok(VisitReaderGetPacked(reader, 1, 0, &packed, &size, &count));
    assert_int_equal(count, 10);
    assert_true(size >= 10 * (sizeof *packed + VISIT_STRINGS_MAX + 2));
    for (size_t i = 0; i < count; i++) {
        const char *url = (const char *)packed + packed[i].url_offset;
        assert_string_equal(url, "u");
        assert_int_equal(strcmp(url + 2, text), 0);
    }
    assert_ok(VisitReaderGetPacked(reader, 1, 1, &packed, &size, &count));
    assert_int_equal(count, 1);
    VisitReaderFree(reader);
    free(text);
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * Iterations
 * --------------------------------------------------------------------------------------------- */

static void test_results__iteration_gives_each_user_once(void **state)
{
    VisitManager *manager = open_in(state);
    static bool seen[3000];
    VisitUsers *users = NULL;
    VisitStatus status;
    uint32_t user = 0;
    uint32_t total = 0;
    size_t count = 0;
    memset(seen, 0, sizeof seen);
    fill(manager, 0, 2999);
    VisitManagerClear(manager, 100);
    assert_ok(VisitUsersOpen(manager, &users));
    while ((status = VisitUsersNext(users, &user, &count)) == VISIT_OK) {
        assert_in_range(user, 0, 2999);
        assert_false(seen[user]);
        assert_int_equal(count, 2);
        seen[user] = true;
        total++;
    }
    assert_int_equal(status, VISIT_END);
    assert_int_equal(VisitUsersNext(users, &user, &count), VISIT_END); /* and stays there */
    assert_int_equal(total, 2999);
    assert_false(seen[100]);
    VisitUsersFree(users);
    store_close(manager);
}

/* Users that are there all the while come once, though segments split under the iteration. */
static void test_results__iteration_withstands_changes(void **state)
{
    VisitManager *manager = open_in(state);
    static uint8_t seen[1000];
    VisitUsers *users = NULL;
    uint32_t user = 0;
    uint32_t next = 1000;
    memset(seen, 0, sizeof seen);
    fill(manager, 0, 999);
    assert_ok(VisitUsersOpen(manager, &users));
    while (VisitUsersNext(users, &user, NULL) == VISIT_OK) {
        if (user < 1000)
            seen[user]++;
        if (next < 9000) {
            fill(manager, next, next + 9);
            VisitManagerClear(manager, next + 3);
            next += 10;
        }
    }
    for (user = 0; user < 1000; user++)
        assert_int_equal(seen[user], 1);
    VisitUsersFree(users);
    store_close(manager);
}

static void test_results__iteration_counts_no_more_than_the_limit(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = open_in(state);
    VisitUsers *users = NULL;
    uint32_t user = 99;
    size_t count = 0;
    for (uint32_t id = 0; id < 10; id++)
        assert_true(VisitManagerAddVisit(manager, 5, id, "u", "t"));
    store_close(manager);
    manager = store_open(scratch->store, 4);
    assert_ok(VisitUsersOpen(manager, &users));
    assert_ok(VisitUsersNext(users, &user, &count));
    assert_int_equal(user, 5);
    assert_int_equal(count, 4);
    VisitUsersFree(users);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.visits, 4);
    store_close(manager);
}

/* A call that is refused leaves the iteration where it was. */
static void test_results__iteration_goes_on_after_a_refusal(void **state)
{
    VisitManager *manager = open_in(state);
    VisitUsers *users = NULL;
    uint32_t user = 0;
    size_t seen = 0;
    fill(manager, 0, 99);
    assert_ok(VisitUsersOpen(manager, &users));
    while (VisitUsersNext(users, &user, NULL) == VISIT_OK) {
        assert_in_range(user, 0, 99);
        assert_in_range(++seen, 1, 100);
        assert_status(VisitUsersNext(users, NULL, NULL), VISIT_ERROR_INVALID);
    }
    assert_int_equal(seen, 100);
    VisitUsersFree(users);
    store_close(manager);
}

static void test_results__iteration_refuses_null(void **state)
{
    VisitManager *manager = open_in(state);
    VisitUsers *users = NULL;
    uint32_t user = 0;
    assert_status(VisitUsersOpen(NULL, &users), VISIT_ERROR_INVALID);
    assert_status(VisitUsersOpen(manager, NULL), VISIT_ERROR_INVALID);
    assert_ok(VisitUsersOpen(manager, &users));
    assert_status(VisitUsersNext(NULL, &user, NULL), VISIT_ERROR_INVALID);
    assert_status(VisitUsersNext(users, NULL, NULL), VISIT_ERROR_INVALID);
    assert_int_equal(VisitUsersNext(users, &user, NULL), VISIT_END);
    VisitUsersFree(users);
    VisitUsersFree(NULL);
    store_close(manager);
}

/* Known users, unknown ones, cleared ones, more than go together: nothing changes. */
static void test_results__prefetching_changes_nothing(void **state)
{
    const struct scratch *scratch = *state;
    static const uint32_t modes[] = {VISIT_EXCLUSIVE, VISIT_READ_ONLY, VISIT_SHARED};
    uint32_t user_ids[100];
    for (uint32_t i = 0; i < 100; i++)
        user_ids[i] = i;
    store_make(scratch->store, 10);
    VisitManager *manager = store_open(scratch->store, 10);
    VisitManagerClear(manager, 5);
    store_close(manager);
    struct image before = image_read(scratch->store);
    VisitManagerPrefetch(NULL, user_ids, 100);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        VisitOptions options = {.size = sizeof options, .mode = modes[i]};
        manager = store_open_with(scratch->store, &options);
        VisitManagerPrefetch(manager, user_ids, 100);
        VisitManagerPrefetch(manager, user_ids, 0);
        VisitManagerPrefetch(manager, NULL, 100);
        assert_visits(manager, 3, 1);
        store_close(manager);
        if (modes[i] == VISIT_READ_ONLY)
            assert_file_unchanged(scratch->store, &before);
        else {
            image_free(&before);
            before = image_read(scratch->store);
        }
    }
    image_free(&before);
}

/*
 * A user that was cleared loses its entry when the segment is split. One that comes back within the
 * same epoch may get the same slot and the same counts again, and is another version all the same.
 */
static void test_results__user_that_came_back_is_read_anew(void **state)
{
    const struct scratch *scratch = *state;
    enum { MOST = 1023 / 4 * 3 + 1 }; /* entries of a segment before it is split */
    VisitOptions options = {.size = sizeof options, .shards = 1, .checkpoint_interval_ms = -1};
    VisitManager *manager = store_open_with(scratch->store, &options);
    for (uint32_t user = 0; user < MOST; user++)
        assert_true(VisitManagerAddVisit(manager, user, 1, "https://example.org/", "Example"));
    assert_visits(manager, 0, 1);
    VisitManagerClear(manager, 0);
    assert_true(VisitManagerAddVisit(manager, MOST, 1, "u", "t")); /* splits */
    VisitManagerClear(manager, MOST);
    assert_true(VisitManagerAddVisit(manager, 0, 2, "https://example.net/", "Another"));
    assert_visits(manager, 0, 2);
    store_close(manager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_results__stay_while_63_other_users_are_read),
        scratch_test(test_results__stay_while_two_others_are_read_in_turn),
        scratch_test(test_results__of_64_users_stay_together),
        scratch_test(test_results__stay_as_long_as_the_options_say),
        scratch_test(test_results__may_be_few),
        scratch_test(test_results__stay_while_other_users_change),
        scratch_test(test_results__stay_when_read_again),
        scratch_test(test_results__show_a_change_at_once),
        scratch_test(test_results__outlive_their_thread),
        scratch_test(test_results__of_many_threads_stay),
        scratch_test(test_results__of_two_managers_are_apart),
        scratch_test(test_results__of_a_freed_manager_are_forgotten),
        scratch_test(test_results__strings_cannot_be_written),
        scratch_test(test_results__reader_obeys_the_limit),
        scratch_test(test_results__reader_of_an_unknown_user_gets_0),
        scratch_test(test_results__reader_refuses_null),
        scratch_test(test_results__two_readers_are_apart),
        scratch_test(test_results__packed_outlives_a_change_of_its_user),
        scratch_test(test_results__packed_may_be_large),
        scratch_test(test_results__iteration_gives_each_user_once),
        scratch_test(test_results__iteration_withstands_changes),
        scratch_test(test_results__iteration_counts_no_more_than_the_limit),
        scratch_test(test_results__iteration_goes_on_after_a_refusal),
        scratch_test(test_results__iteration_refuses_null),
        scratch_test(test_results__prefetching_changes_nothing),
        scratch_test(test_results__user_that_came_back_is_read_anew),
    };
    return cmocka_run_group_tests_name("results", tests, NULL, NULL);
}
