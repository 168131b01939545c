/* SPDX-License-Identifier: MIT */
/* On a big-endian machine the library builds, and opens nothing. */
#include "support.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

static_assert(__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, "this test is for big-endian machines");

static void assert_refused(void)
{
    assert_int_equal(VisitLastStatus(), VISIT_ERROR_UNSUPPORTED);
    assert_non_null(strstr(VisitLastError(), "little-endian"));
}

static void assert_open_refused(const char *path)
{
    static const uint32_t modes[] = {VISIT_EXCLUSIVE, VISIT_SHARED, VISIT_READ_ONLY};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        VisitOptions options = {.size = sizeof options, .mode = modes[i]};
        VisitManager *manager = NULL;
        assert_int_equal(VisitManagerOpen(path, &options, &manager), VISIT_ERROR_UNSUPPORTED);
        assert_null(manager);
        assert_refused();
    }
    assert_null(VisitManagerCreate(path, 10));
    assert_refused();
}

static void test_big_endian__nothing_is_created(void **state)
{
    struct scratch *scratch = *state;
    assert_open_refused(scratch->store);
    assert_int_equal(access(scratch->store, F_OK), -1);
}

static void test_big_endian__what_is_there_stays_as_it_is(void **state)
{
    struct scratch *scratch = *state;
    static const uint8_t bytes[65536] = {0x89, 'R', 'V', 'S', '\r', '\n', 0x1a, '\n', 1};
    file_write(scratch->store, bytes, sizeof bytes);
    struct image before = image_read(scratch->store);
    assert_open_refused(scratch->store);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_big_endian__nothing_is_created),
        scratch_test(test_big_endian__what_is_there_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
