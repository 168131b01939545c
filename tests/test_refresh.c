/* SPDX-License-Identifier: MIT */
/* A reader finds out how the store stands when it opens, and anew when a writer has come. */
#include "support.h"

#include "manager.h"
#include "read.h"

static VisitStatus count_visits(void *data, const struct rv_found *found)
{
    uint32_t *ret_count = data;
    *ret_count = found->count;
    return VISIT_OK;
}

/* What was found out before holds no longer: a read that began with it is in vain, and the public
 * calls begin again. */
static void test_refresh__read_that_a_writer_overtakes_is_in_vain(void **state)
{
    const struct scratch *scratch = *state;
    struct rv_token token = {0};
    uint32_t count = 0;
    store_make(scratch->store, 10);
    VisitManager *reader = store_open_read_only(scratch->store);
    assert_int_equal(rv_read(reader->st, 3, 0, &token, count_visits, &count), VISIT_OK);
    assert_int_equal(count, 1);
    VisitManager *writer = store_open(scratch->store, 10);
    assert_true(VisitManagerAddVisit(writer, 3, 2, "https://example.org/", "Example"));
    token = (struct rv_token){0};
    pthread_rwlock_rdlock(&reader->refresh_lock);
    assert_int_equal(rv_read(reader->st, 3, 0, &token, count_visits, &count), VISIT_ERROR_BUSY);
    assert_int_equal(VisitLastStatus(), VISIT_ERROR_BUSY);
    unsigned tries = 0;
    assert_true(rv_end_reading(reader, VISIT_ERROR_BUSY, &tries));
    assert_int_equal(VisitLastStatus(), VISIT_OK);
    assert_visits(reader, 3, 2, 1);
    pthread_rwlock_rdlock(&reader->refresh_lock);
    assert_false(rv_end_reading(reader, VISIT_ERROR_BUSY, &tries));
    store_close(writer);
    store_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_refresh__read_that_a_writer_overtakes_is_in_vain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
