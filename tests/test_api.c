/* SPDX-License-Identifier: MIT */
/* The six basic calls, and those with more control beside them: what each one promises. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

#define URL "https://example.org/"
#define TEXT "Example"

/* A store of N visits a user, in the test's folder. */
static VisitManager *open_in(void **state, size_t max_visits)
{
    const struct scratch *scratch = *state;
    return store_open(scratch->store, max_visits);
}

static void add(VisitManager *manager, uint32_t user_id, uint32_t visit_id)
{
    assert_true(VisitManagerAddVisit(manager, user_id, visit_id, URL, TEXT));
    assert_last(VISIT_OK, NULL);
}

static void add_at(VisitManager *manager, uint32_t user_id, uint32_t visit_id, int64_t time_ns)
{
    VisitInput input = visit_at(user_id, visit_id, URL, TEXT, time_ns);
    assert_ok(VisitManagerAdd(manager, &input));
}

/* ------------------------------------------------------------------------------------------------
 * VisitManagerCreate, VisitManagerFree
 * --------------------------------------------------------------------------------------------- */

static void test_api__create_makes_a_file(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = store_open(scratch->store, 10);
    assert_true(file_exists(scratch->store));
    store_close(manager);
    assert_int_equal(folder_count(scratch->folder), 1);
}

static void test_api__create_opens_what_is_there(void **state)
{
    VisitManager *manager = open_in(state, 10);
    add(manager, 7, 1);
    add(manager, 7, 2);
    store_close(manager);
    manager = open_in(state, 10);
    assert_visits(manager, 7, 2, 1);
    store_close(manager);
}

static void test_api__create_makes_a_store_of_an_empty_file(void **state)
{
    const struct scratch *scratch = *state;
    VisitStats stats = {.size = sizeof stats};
    file_write(scratch->store, "", 0);
    VisitManager *manager = open_in(state, 3);
    assert_int_equal(VisitManagerStats(manager, &stats), VISIT_OK);
    assert_int_equal(stats.state, VISIT_FOUND_NEW);
    add(manager, 1, 1);
    store_close(manager);
    manager = open_in(state, 3);
    assert_visits(manager, 1, 1);
    store_close(manager);
}

/* Users who have gone leave nothing behind that grows. */
static void test_api__users_who_come_and_go(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .shards = 1, .checkpoint_interval_ms = -1};
    VisitStats stats = {.size = sizeof stats};
    VisitManager *manager = store_open_with(scratch->store, &options);
    for (uint32_t user = 0; user < 40000; user++) {
        add(manager, user, 1);
        if (user >= 100) {
            VisitManagerClear(manager, user - 100);
        }
        if (user % 400 == 0) {
            assert_int_equal(VisitManagerSync(manager), VISIT_OK);
        }
    }
    assert_int_equal(VisitManagerStats(manager, &stats), VISIT_OK);
    assert_int_equal(stats.users, 100);
    assert_true(stats.blocks_segments <= 4);
    assert_true(stats.blocks < 100);
    for (uint32_t user = 40000 - 100; user < 40000; user++) {
        assert_visits(manager, user, 1);
    }
    assert_int_equal(store_verify(manager), VISIT_OK);
    store_close(manager);
}

static void test_api__create_refuses_limits_out_of_range(void **state)
{
    const struct scratch *scratch = *state;
    assert_null(VisitManagerCreate(scratch->store, 0));
    assert_last(VISIT_ERROR_INVALID, NULL);
    assert_null(VisitManagerCreate(scratch->store, VISIT_LIMIT_MAX + 1));
    assert_last(VISIT_ERROR_INVALID, NULL);
    assert_null(VisitManagerCreate(scratch->store, SIZE_MAX));
    assert_last(VISIT_ERROR_INVALID, NULL);
    assert_int_equal(folder_count(scratch->folder), 0);
    store_close(open_in(state, VISIT_LIMIT_MAX));
}

static void test_api__create_refuses_null(void **state)
{
    (void)state;
    assert_null(VisitManagerCreate(NULL, 10));
    assert_last(VISIT_ERROR_INVALID, NULL);
}

static void test_api__smaller_limit_keeps_the_newest(void **state)
{
    VisitManager *manager = open_in(state, 10);
    for (uint32_t id = 1; id <= 8; id++)
        add(manager, 1, id);
    add(manager, 2, 1);
    store_close(manager);
    manager = open_in(state, 3);
    assert_visits(manager, 1, 8, 7, 6);
    assert_visits(manager, 2, 1);
    add(manager, 1, 9);
    assert_visits(manager, 1, 9, 8, 7);
    store_close(manager);
}

static void test_api__larger_limit_brings_nothing_back(void **state)
{
    VisitManager *manager = open_in(state, 10);
    for (uint32_t id = 1; id <= 8; id++)
        add(manager, 1, id);
    store_close(manager);
    store_close(open_in(state, 3));
    manager = open_in(state, 10);
    assert_visits(manager, 1, 8, 7, 6);
    for (uint32_t id = 9; id <= 11; id++)
        add(manager, 1, id);
    assert_visits(manager, 1, 11, 10, 9, 8, 7, 6);
    store_close(manager);
}

static void test_api__visit_cut_off_by_the_limit_is_not_a_duplicate(void **state)
{
    VisitManager *manager = open_in(state, 4);
    for (uint32_t id = 1; id <= 4; id++)
        add(manager, 1, id);
    store_close(manager);
    manager = open_in(state, 2);
    add(manager, 1, 1);
    assert_visits(manager, 1, 1, 4);
    store_close(manager);
}

static void test_api__free_allows_null(void **state)
{
    (void)state;
    VisitManagerFree(NULL);
}

/* ------------------------------------------------------------------------------------------------
 * VisitManagerAddVisit
 * --------------------------------------------------------------------------------------------- */

static void test_api__add_copies_the_strings(void **state)
{
    VisitManager *manager = open_in(state, 10);
    char url[] = "http://a/";
    char text[] = "first";
    size_t count = 0;
    assert_true(VisitManagerAddVisit(manager, 1, 1, url, text));
    memset(url, 'x', sizeof url - 1);
    memset(text, 'y', sizeof text - 1);
    Visit **visits = VisitManagerGetRecentVisits(manager, 1, &count);
    assert_int_equal(count, 1);
    assert_string_equal(visits[0]->url, "http://a/");
    assert_string_equal(visits[0]->text, "first");
    store_close(manager);
}

static void test_api__add_of_a_known_id_changes_nothing(void **state)
{
    VisitManager *manager = open_in(state, 3);
    add(manager, 1, 1);
    add(manager, 1, 2);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "other", "other"));
    assert_last(VISIT_OK, NULL);
    assert_visits(manager, 1, 2, 1);
    size_t count = 0;
    Visit **visits = VisitManagerGetRecentVisits(manager, 1, &count);
    assert_string_equal(visits[1]->url, URL);
    add(manager, 2, 1); /* another user's id is another visit */
    assert_visits(manager, 2, 1);
    store_close(manager);
}

static void test_api__add_to_a_full_user_drops_the_oldest(void **state)
{
    VisitManager *manager = open_in(state, 3);
    for (uint32_t id = 1; id <= 100; id++)
        add(manager, 1, id);
    assert_visits(manager, 1, 100, 99, 98);
    add(manager, 1, 1); /* long gone: new again */
    assert_visits(manager, 1, 1, 100, 99);
    store_close(manager);
}

static void test_api__add_refuses_null(void **state)
{
    VisitManager *manager = open_in(state, 3);
    assert_false(VisitManagerAddVisit(NULL, 1, 1, URL, TEXT));
    assert_last(VISIT_ERROR_INVALID, NULL);
    assert_false(VisitManagerAddVisit(manager, 1, 1, NULL, TEXT));
    assert_last(VISIT_ERROR_INVALID, NULL);
    assert_false(VisitManagerAddVisit(manager, 1, 1, URL, NULL));
    assert_last(VISIT_ERROR_INVALID, NULL);
    assert_no_visits(manager, 1);
    store_close(manager);
}

static void test_api__ids_use_the_whole_range(void **state)
{
    VisitManager *manager = open_in(state, 3);
    add(manager, 0, 0);
    add(manager, 0, UINT32_MAX);
    add(manager, UINT32_MAX, 0);
    store_close(manager);
    manager = open_in(state, 3);
    assert_visits(manager, 0, UINT32_MAX, 0);
    assert_visits(manager, UINT32_MAX, 0);
    uint32_t ids[] = {0};
    assert_true(VisitManagerDelete(manager, 0, ids, 1));
    assert_visits(manager, 0, UINT32_MAX);
    assert_visits(manager, UINT32_MAX, 0);
    store_close(manager);
}

static void test_api__empty_strings_are_kept(void **state)
{
    VisitManager *manager = open_in(state, 3);
    size_t count = 0;
    assert_true(VisitManagerAddVisit(manager, 1, 1, "", ""));
    Visit **visits = VisitManagerGetRecentVisits(manager, 1, &count);
    assert_int_equal(count, 1);
    assert_string_equal(visits[0]->url, "");
    assert_string_equal(visits[0]->text, "");
    store_close(manager);
}

/* Adds strings of these lengths, and reads them back after another opening. */
static void check_lengths(void **state, uint32_t visit_id, size_t url_length, size_t text_length)
{
    char *url = string_make(visit_id, url_length);
    char *text = string_make(visit_id + 1, text_length);
    size_t count = 0;
    VisitManager *manager = open_in(state, 10);
    assert_true(VisitManagerAddVisit(manager, 1, visit_id, url, text));
    store_close(manager);
    manager = open_in(state, 10);
    Visit **visits = VisitManagerGetRecentVisits(manager, 1, &count);
    assert_true(count > 0);
    assert_int_equal(visits[0]->visit_id, visit_id);
    assert_string_equal(visits[0]->url, url);
    assert_string_equal(visits[0]->text, text);
    assert_ok(store_verify(manager));
    store_close(manager);
    free(url);
    free(text);
}

static void test_api__longest_strings_are_kept(void **state)
{
    check_lengths(state, 1, VISIT_STRINGS_MAX, 0);
    check_lengths(state, 2, 0, VISIT_STRINGS_MAX);
    check_lengths(state, 3, VISIT_STRINGS_MAX / 2, VISIT_STRINGS_MAX / 2);
    check_lengths(state, 4, 65536, 65536);
}

static void test_api__strings_around_a_slot_are_kept(void **state)
{
    for (uint32_t length = 195; length <= 215; length++)
        check_lengths(state, length, length / 2, length - length / 2);
}

static void test_api__too_long_strings_are_refused(void **state)
{
    VisitManager *manager = open_in(state, 3);
    char *url = string_make(1, VISIT_STRINGS_MAX);
    add(manager, 1, 1);
    assert_false(VisitManagerAddVisit(manager, 1, 2, url, "x"));
    assert_last(VISIT_ERROR_TOO_LONG, NULL);
    VisitInput input = {.user_id = 1, .visit_id = 2, .url = url, .text = url};
    input.url_length = input.text_length = VISIT_STRINGS_MAX / 2 + 1;
    assert_status(VisitManagerAdd(manager, &input), VISIT_ERROR_TOO_LONG);
    assert_visits(manager, 1, 1);
    assert_true(VisitManagerAddVisit(manager, 1, 2, url, ""));
    store_close(manager);
    free(url);
}

static void test_api__lengths_that_overflow_are_refused(void **state)
{
    VisitManager *manager = open_in(state, 3);
    VisitInput input = visit_now(1, 1, URL, TEXT);
    input.url_length = SIZE_MAX;
    assert_status(VisitManagerAdd(manager, &input), VISIT_ERROR_TOO_LONG);
    input.url_length = SIZE_MAX - 3;
    input.text_length = 4;
    assert_status(VisitManagerAdd(manager, &input), VISIT_ERROR_TOO_LONG);
    assert_no_visits(manager, 1);
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * Times
 * --------------------------------------------------------------------------------------------- */

static void test_api__add_takes_the_present_time(void **state)
{
    VisitManager *manager = open_in(state, 3);
    size_t count = 0;
    int64_t before = now_ns();
    add(manager, 1, 1);
    int64_t after = now_ns();
    Visit **visits = VisitManagerGetRecentVisits(manager, 1, &count);
    assert_int_equal(count, 1);
    int64_t time_ns = timespec_ns(visits[0]->time);
    assert_true(time_ns >= before && time_ns <= after);
    store_close(manager);
}

static void test_api__times_never_fall_within_a_user(void **state)
{
    VisitManager *manager = open_in(state, 100);
    size_t count = 0;
    for (uint32_t id = 0; id < 100; id++)
        add(manager, 1, id);
    Visit **visits = VisitManagerGetRecentVisits(manager, 1, &count);
    assert_int_equal(count, 100);
    for (size_t i = 1; i < count; i++)
        assert_true(timespec_ns(visits[i - 1]->time) >= timespec_ns(visits[i]->time));
    store_close(manager);
}

/* A visit of the future stands for a clock that was set back after it. */
static void test_api__add_does_not_go_below_the_newest(void **state)
{
    VisitManager *manager = open_in(state, 5);
    size_t count = 0;
    int64_t future = now_ns() + INT64_C(3600) * 1000000000;
    add_at(manager, 1, 1, future);
    add(manager, 1, 2);
    assert_visits(manager, 1, 2, 1);
    Visit **visits = VisitManagerGetRecentVisits(manager, 1, &count);
    assert_true(timespec_ns(visits[0]->time) == future);
    store_close(manager);
    manager = open_in(state, 5);
    add(manager, 1, 3);
    assert_visits(manager, 1, 3, 2, 1);
    store_close(manager);
}

static void test_api__older_visit_goes_to_its_place(void **state)
{
    VisitManager *manager = open_in(state, 5);
    add_at(manager, 1, 1, 100);
    add_at(manager, 1, 2, 300);
    add_at(manager, 1, 3, 200);
    add_at(manager, 1, 4, -5);
    assert_visits(manager, 1, 2, 3, 1, 4);
    add_at(manager, 1, 5, 50);
    assert_visits(manager, 1, 2, 3, 1, 5, 4);
    add_at(manager, 1, 6, 250); /* full: the oldest goes */
    assert_visits(manager, 1, 2, 6, 3, 1, 5);
    store_close(manager);
    manager = open_in(state, 5);
    assert_visits(manager, 1, 2, 6, 3, 1, 5);
    store_close(manager);
}

static void test_api__equal_times_stand_in_order_of_adding(void **state)
{
    VisitManager *manager = open_in(state, 5);
    add_at(manager, 1, 1, 100);
    add_at(manager, 1, 2, 100);
    add_at(manager, 1, 3, 200);
    add_at(manager, 1, 4, 100);
    assert_visits(manager, 1, 3, 4, 2, 1);
    store_close(manager);
}

static void test_api__older_than_all_of_a_full_user_changes_nothing(void **state)
{
    VisitManager *manager = open_in(state, 2);
    add_at(manager, 1, 1, 100);
    add_at(manager, 1, 2, 200);
    add_at(manager, 1, 3, 99);
    assert_visits(manager, 1, 2, 1);
    add_at(manager, 1, 4, 100); /* of the same age as the oldest: above it */
    assert_visits(manager, 1, 2, 4);
    add_at(manager, 1, 3, 99);
    assert_visits(manager, 1, 2, 4);
    store_close(manager);
}

static void test_api__any_time_is_kept(void **state)
{
    static const int64_t times[] = {INT64_MAX, 1, 0, -1, -1000000000, -1000000001, INT64_MIN};
    VisitManager *manager = open_in(state, 10);
    size_t count = 0;
    for (uint32_t i = 0; i < 7; i++)
        add_at(manager, 1, i, times[i]);
    assert_visits(manager, 1, 0, 1, 2, 3, 4, 5, 6);
    Visit **visits = VisitManagerGetRecentVisits(manager, 1, &count);
    for (size_t i = 0; i < 7; i++) {
        assert_true(timespec_ns(visits[i]->time) == times[i]);
        assert_in_range(visits[i]->time.tv_nsec, 0, 999999999);
    }
    assert_int_equal(visits[5]->time.tv_sec, -2);
    assert_int_equal(visits[5]->time.tv_nsec, 999999999);
    add(manager, 1, 7); /* not below the end of time */
    assert_visits(manager, 1, 7, 0, 1, 2, 3, 4, 5, 6);
    assert_ok(store_verify(manager));
    store_close(manager);
}

static void test_api__future_of_one_user_spares_the_others(void **state)
{
    VisitManager *manager = open_in(state, 10);
    size_t count = 0;
    add_at(manager, 1, 1, INT64_MAX);
    for (uint32_t user = 2; user < 100; user++) {
        add(manager, user, 1);
        Visit **visits = VisitManagerGetRecentVisits(manager, user, &count);
        assert_int_equal(count, 1);
        assert_true(timespec_ns(visits[0]->time) <= now_ns());
    }
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * VisitManagerGetRecentVisits
 * --------------------------------------------------------------------------------------------- */

static void test_api__get_of_an_unknown_user_is_null_and_0(void **state)
{
    VisitManager *manager = open_in(state, 3);
    size_t count = 99;
    assert_null(VisitManagerGetRecentVisits(manager, 1, &count));
    assert_int_equal(count, 0);
    assert_last(VISIT_OK, NULL);
    add(manager, 2, 1);
    count = 99;
    assert_null(VisitManagerGetRecentVisits(manager, 1, &count));
    assert_int_equal(count, 0);
    store_close(manager);
}

static void test_api__get_of_an_emptied_user_counts_0(void **state)
{
    VisitManager *manager = open_in(state, 3);
    size_t count = 99;
    uint32_t ids[] = {1};
    add(manager, 1, 1);
    add(manager, 2, 1);
    VisitManagerClear(manager, 1);
    assert_true(VisitManagerDelete(manager, 2, ids, 1));
    VisitManagerGetRecentVisits(manager, 1, &count);
    assert_int_equal(count, 0);
    assert_last(VISIT_OK, NULL);
    count = 99;
    VisitManagerGetRecentVisits(manager, 2, &count);
    assert_int_equal(count, 0);
    store_close(manager);
}

static void test_api__get_refuses_null(void **state)
{
    VisitManager *manager = open_in(state, 3);
    size_t count = 99;
    assert_null(VisitManagerGetRecentVisits(manager, 1, NULL));
    assert_last(VISIT_ERROR_INVALID, NULL);
    assert_null(VisitManagerGetRecentVisits(NULL, 1, &count));
    assert_last(VISIT_ERROR_INVALID, NULL);
    assert_int_equal(count, 0);
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * VisitManagerDelete, VisitManagerRemove, VisitManagerClear, VisitManagerClearUser
 * --------------------------------------------------------------------------------------------- */

static void test_api__delete_removes_what_is_there(void **state)
{
    VisitManager *manager = open_in(state, 5);
    uint32_t ids[] = {2, 77, 4, 2};
    for (uint32_t id = 1; id <= 5; id++)
        add(manager, 1, id);
    assert_true(VisitManagerDelete(manager, 1, ids, 4));
    assert_last(VISIT_OK, NULL);
    assert_visits(manager, 1, 5, 3, 1);
    assert_false(VisitManagerDelete(manager, 1, ids, 4));
    assert_last(VISIT_OK, NULL);
    add(manager, 1, 2); /* may come again */
    assert_visits(manager, 1, 2, 5, 3, 1);
    store_close(manager);
    manager = open_in(state, 5);
    assert_visits(manager, 1, 2, 5, 3, 1);
    store_close(manager);
}

static void test_api__delete_is_false_for_nothing(void **state)
{
    VisitManager *manager = open_in(state, 5);
    uint32_t ids[] = {1};
    add(manager, 1, 1);
    assert_false(VisitManagerDelete(manager, 2, ids, 1));
    assert_last(VISIT_OK, NULL);
    assert_false(VisitManagerDelete(manager, 1, ids, 0));
    assert_false(VisitManagerDelete(manager, 1, NULL, 0));
    assert_false(VisitManagerDelete(manager, 1, NULL, 1));
    assert_last(VISIT_ERROR_INVALID, NULL);
    assert_false(VisitManagerDelete(NULL, 1, ids, 1));
    assert_last(VISIT_ERROR_INVALID, NULL);
    assert_visits(manager, 1, 1);
    store_close(manager);
}

static void test_api__remove_counts_each_visit_once(void **state)
{
    VisitManager *manager = open_in(state, 5);
    uint32_t ids[] = {1, 3, 1, 9};
    size_t removed = 99;
    for (uint32_t id = 1; id <= 3; id++)
        add(manager, 1, id);
    assert_ok(VisitManagerRemove(manager, 1, ids, 4, &removed));
    assert_int_equal(removed, 2);
    assert_visits(manager, 1, 2);
    assert_ok(VisitManagerRemove(manager, 1, ids, 4, &removed));
    assert_int_equal(removed, 0);
    assert_ok(VisitManagerRemove(manager, 8, ids, 4, NULL));
    assert_ok(VisitManagerRemove(manager, 1, ids, 0, &removed));
    assert_int_equal(removed, 0);
    assert_status(VisitManagerRemove(manager, 1, NULL, 1, &removed), VISIT_ERROR_INVALID);
    assert_status(VisitManagerRemove(NULL, 1, ids, 1, &removed), VISIT_ERROR_INVALID);
    store_close(manager);
}

static void test_api__clear_removes_all_of_one_user(void **state)
{
    VisitManager *manager = open_in(state, 5);
    for (uint32_t id = 1; id <= 5; id++) {
        add(manager, 1, id);
        add(manager, 2, id);
    }
    VisitManagerClear(manager, 1);
    assert_last(VISIT_OK, NULL);
    assert_no_visits(manager, 1);
    assert_visits(manager, 2, 5, 4, 3, 2, 1);
    add(manager, 1, 3);
    assert_visits(manager, 1, 3);
    assert_ok(VisitManagerClearUser(manager, 1));
    assert_ok(VisitManagerClearUser(manager, 1));
    store_close(manager);
    manager = open_in(state, 5);
    assert_no_visits(manager, 1);
    assert_visits(manager, 2, 5, 4, 3, 2, 1);
    store_close(manager);
}

static void test_api__clear_of_an_unknown_user_is_fine(void **state)
{
    VisitManager *manager = open_in(state, 5);
    VisitManagerClear(manager, 1);
    assert_last(VISIT_OK, NULL);
    assert_ok(VisitManagerClearUser(manager, UINT32_MAX));
    VisitManagerClear(NULL, 1);
    assert_last(VISIT_ERROR_INVALID, NULL);
    assert_status(VisitManagerClearUser(NULL, 1), VISIT_ERROR_INVALID);
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * VisitManagerAdd, VisitManagerAddMany
 * --------------------------------------------------------------------------------------------- */

static void test_api__input_needs_no_nul(void **state)
{
    VisitManager *manager = open_in(state, 5);
    VisitInput input = {.user_id = 1, .visit_id = 1, .url = "abcdef", .text = "uvwxyz"};
    input.url_length = 3;
    input.text_length = 2;
    size_t count = 0;
    assert_ok(VisitManagerAdd(manager, &input));
    Visit **visits = VisitManagerGetRecentVisits(manager, 1, &count);
    assert_int_equal(count, 1);
    assert_string_equal(visits[0]->url, "abc");
    assert_string_equal(visits[0]->text, "uv");
    store_close(manager);
}

static void test_api__input_may_be_null_without_length(void **state)
{
    VisitManager *manager = open_in(state, 5);
    VisitInput input = {.user_id = 1, .visit_id = 1};
    assert_ok(VisitManagerAdd(manager, &input));
    assert_visits(manager, 1, 1);
    input.visit_id = 2;
    input.url_length = 1;
    assert_status(VisitManagerAdd(manager, &input), VISIT_ERROR_INVALID);
    input.url_length = 0;
    input.text_length = 1;
    assert_status(VisitManagerAdd(manager, &input), VISIT_ERROR_INVALID);
    assert_visits(manager, 1, 1);
    store_close(manager);
}

static void test_api__input_with_an_inner_nul_is_refused(void **state)
{
    VisitManager *manager = open_in(state, 5);
    VisitInput input = visit_now(1, 1, "ab", "cd");
    input.url = "a\0b";
    input.url_length = 3;
    assert_status(VisitManagerAdd(manager, &input), VISIT_ERROR_INVALID);
    input = visit_now(1, 1, "ab", "cd");
    input.text_length = 3; /* with the NUL at the end */
    assert_status(VisitManagerAdd(manager, &input), VISIT_ERROR_INVALID);
    assert_no_visits(manager, 1);
    store_close(manager);
}

static void test_api__input_with_unknown_flags_is_refused(void **state)
{
    VisitManager *manager = open_in(state, 5);
    VisitInput input = visit_now(1, 1, URL, TEXT);
    input.flags = 2;
    assert_status(VisitManagerAdd(manager, &input), VISIT_ERROR_INVALID);
    input.flags = VISIT_AT_TIME | 0x80000000u;
    assert_status(VisitManagerAdd(manager, &input), VISIT_ERROR_INVALID);
    input.flags = 0;
    input.reserved = 1;
    assert_status(VisitManagerAdd(manager, &input), VISIT_ERROR_INVALID);
    assert_status(VisitManagerAdd(manager, NULL), VISIT_ERROR_INVALID);
    input.reserved = 0;
    assert_status(VisitManagerAdd(NULL, &input), VISIT_ERROR_INVALID);
    assert_no_visits(manager, 1);
    store_close(manager);
}

static void test_api__batch_adds_in_order(void **state)
{
    VisitManager *manager = open_in(state, 3);
    VisitInput inputs[5];
    size_t added = 99;
    for (uint32_t i = 0; i < 5; i++)
        inputs[i] = visit_now(i % 2, i, URL, TEXT);
    assert_ok(VisitManagerAddMany(manager, inputs, 5, &added));
    assert_int_equal(added, 5);
    assert_visits(manager, 0, 4, 2, 0);
    assert_visits(manager, 1, 3, 1);
    assert_ok(VisitManagerAddMany(manager, inputs, 5, NULL)); /* known ids count as successes */
    assert_ok(VisitManagerAddMany(manager, inputs, 0, &added));
    assert_int_equal(added, 0);
    assert_ok(VisitManagerAddMany(manager, NULL, 0, NULL));
    store_close(manager);
}

static void test_api__batch_keeps_what_came_before_an_error(void **state)
{
    VisitManager *manager = open_in(state, 10);
    VisitInput inputs[6];
    size_t added = 99;
    for (uint32_t i = 0; i < 6; i++)
        inputs[i] = visit_now(1, i, URL, TEXT);
    inputs[2].visit_id = 0; /* a duplicate succeeds */
    inputs[4].url = "a\0b";
    inputs[4].url_length = 3;
    assert_status(VisitManagerAddMany(manager, inputs, 6, &added), VISIT_ERROR_INVALID);
    assert_int_equal(added, 4);
    assert_visits(manager, 1, 3, 1, 0);
    inputs[0].url_length = VISIT_STRINGS_MAX + 1;
    assert_status(VisitManagerAddMany(manager, inputs, 6, &added), VISIT_ERROR_TOO_LONG);
    assert_int_equal(added, 0);
    assert_status(VisitManagerAddMany(manager, NULL, 1, &added), VISIT_ERROR_INVALID);
    assert_status(VisitManagerAddMany(NULL, inputs, 1, &added), VISIT_ERROR_INVALID);
    store_close(manager);
}

/* In a child: the folder that a process works in is its own. */
static int use_relative_paths(void *data)
{
    const struct scratch *scratch = data;
    size_t count = 0;
    child_check(chdir(scratch->folder) == 0);
    for (unsigned id = 1; id <= 2; id++) { /* made, then opened */
        VisitManager *manager = VisitManagerCreate("store.rv", 5);
        child_check(manager);
        child_check(VisitManagerAddVisit(manager, 1, id, "https://example.org/", "text"));
        child_check(VisitManagerGetRecentVisits(manager, 1, &count) && count == id);
        VisitManagerFree(manager);
        child_check(VisitLastStatus() == VISIT_OK);
    }
    VisitOptions read_only = {.size = sizeof read_only, .mode = VISIT_READ_ONLY};
    VisitManager *manager = NULL;
    child_check(VisitManagerOpen("store.rv", &read_only, &manager) == VISIT_OK);
    child_check(VisitManagerBackup(manager, "copy.rv", NULL, NULL) == VISIT_OK);
    VisitManagerFree(manager);
    return 0;
}

static void test_api__paths_may_be_relative(void **state)
{
    struct scratch *scratch = *state;
    assert_int_equal(in_child(use_relative_paths, scratch), 0);
    assert_int_equal(folder_count(scratch->folder), 2);
    VisitManager *manager = store_open_read_only(scratch_path(scratch, "copy.rv"));
    assert_visits(manager, 1, 2, 1);
    store_close(manager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_api__create_makes_a_file),
        scratch_test(test_api__create_opens_what_is_there),
        scratch_test(test_api__create_makes_a_store_of_an_empty_file),
        scratch_test(test_api__users_who_come_and_go),
        scratch_test(test_api__create_refuses_limits_out_of_range),
        scratch_test(test_api__create_refuses_null),
        scratch_test(test_api__smaller_limit_keeps_the_newest),
        scratch_test(test_api__larger_limit_brings_nothing_back),
        scratch_test(test_api__visit_cut_off_by_the_limit_is_not_a_duplicate),
        scratch_test(test_api__free_allows_null),
        scratch_test(test_api__add_copies_the_strings),
        scratch_test(test_api__add_of_a_known_id_changes_nothing),
        scratch_test(test_api__add_to_a_full_user_drops_the_oldest),
        scratch_test(test_api__add_refuses_null),
        scratch_test(test_api__ids_use_the_whole_range),
        scratch_test(test_api__empty_strings_are_kept),
        scratch_test(test_api__longest_strings_are_kept),
        scratch_test(test_api__strings_around_a_slot_are_kept),
        scratch_test(test_api__too_long_strings_are_refused),
        scratch_test(test_api__lengths_that_overflow_are_refused),
        scratch_test(test_api__add_takes_the_present_time),
        scratch_test(test_api__times_never_fall_within_a_user),
        scratch_test(test_api__add_does_not_go_below_the_newest),
        scratch_test(test_api__older_visit_goes_to_its_place),
        scratch_test(test_api__equal_times_stand_in_order_of_adding),
        scratch_test(test_api__older_than_all_of_a_full_user_changes_nothing),
        scratch_test(test_api__any_time_is_kept),
        scratch_test(test_api__future_of_one_user_spares_the_others),
        scratch_test(test_api__get_of_an_unknown_user_is_null_and_0),
        scratch_test(test_api__get_of_an_emptied_user_counts_0),
        scratch_test(test_api__get_refuses_null),
        scratch_test(test_api__delete_removes_what_is_there),
        scratch_test(test_api__delete_is_false_for_nothing),
        scratch_test(test_api__remove_counts_each_visit_once),
        scratch_test(test_api__clear_removes_all_of_one_user),
        scratch_test(test_api__clear_of_an_unknown_user_is_fine),
        scratch_test(test_api__input_needs_no_nul),
        scratch_test(test_api__input_may_be_null_without_length),
        scratch_test(test_api__input_with_an_inner_nul_is_refused),
        scratch_test(test_api__input_with_unknown_flags_is_refused),
        scratch_test(test_api__batch_adds_in_order),
        scratch_test(test_api__batch_keeps_what_came_before_an_error),
        scratch_test(test_api__paths_may_be_relative),
    };
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
