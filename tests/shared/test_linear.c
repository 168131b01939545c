/* SPDX-License-Identifier: MIT */
/* The check of histories finds those that are not linearizable, and only those. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "linear.h"

#define ADD(i, from, to)                                                                           \
    {                                                                                              \
        .kind = LINEAR_ADD, .id = {i}, .begin = from, .end = to                                    \
    }
#define LOST(i, from, to)                                                                          \
    {                                                                                              \
        .kind = LINEAR_ADD, .id = {i}, .begin = from, .end = to, .pending = true                   \
    }
#define CLEAR(from, to)                                                                            \
    {                                                                                              \
        .kind = LINEAR_CLEAR, .begin = from, .end = to                                             \
    }
#define REMOVE(i, n, from, to)                                                                     \
    {                                                                                              \
        .kind = LINEAR_REMOVE, .id = {i, i}, .removed = n, .begin = from, .end = to                \
    }
#define EMPTY(from, to)                                                                            \
    {                                                                                              \
        .kind = LINEAR_READ, .begin = from, .end = to                                              \
    }
#define READ(from, to, n, ...)                                                                     \
    {                                                                                              \
        .kind = LINEAR_READ, .begin = from, .end = to, .found = {.count = n, .id = {__VA_ARGS__} } \
    }

static bool check(const struct linear_op *ops, size_t count)
{
    size_t op;
    return linear_check(&(struct linear_list){0}, ops, count, &op);
}
#define assert_history(good, ...)                                                                  \
    do {                                                                                           \
        const struct linear_op ops[] = {__VA_ARGS__};                                              \
        assert_int_equal(check(ops, sizeof ops / sizeof ops[0]), good);                            \
    } while (0)

static void test_linear__one_after_the_other(void **state)
{
    (void)state;
    assert_history(true, ADD(1, 0, 1), ADD(2, 2, 3), READ(4, 5, 2, 2, 1));
    assert_history(false, ADD(1, 0, 1), ADD(2, 2, 3), READ(4, 5, 2, 1, 2));
    assert_history(false, ADD(1, 0, 1), EMPTY(2, 3));
    assert_history(false, READ(0, 1, 1, 1), ADD(1, 2, 3));
    assert_history(true, ADD(1, 0, 1), ADD(1, 2, 3), READ(4, 5, 1, 1));
    assert_history(false, ADD(1, 0, 1), CLEAR(2, 3), READ(4, 5, 1, 1));
    assert_history(true, ADD(1, 0, 1), REMOVE(1, 1, 2, 3), REMOVE(1, 0, 4, 5));
    assert_history(false, ADD(1, 0, 1), REMOVE(1, 1, 2, 3), REMOVE(1, 1, 4, 5));
}

static void test_linear__at_the_same_time(void **state)
{
    (void)state;
    assert_history(true, ADD(1, 0, 10), ADD(2, 1, 9), READ(11, 12, 2, 2, 1));
    assert_history(true, ADD(1, 0, 10), ADD(2, 1, 9), READ(11, 12, 2, 1, 2));
    assert_history(true, ADD(1, 0, 10), EMPTY(2, 3), READ(4, 5, 1, 1));
    assert_history(false, ADD(1, 0, 10), READ(2, 3, 1, 1), EMPTY(4, 5));
    /* Two readers that see two writers in different orders. */
    assert_history(false, ADD(1, 0, 20), ADD(2, 1, 19), READ(2, 3, 1, 1), READ(4, 5, 1, 2));
    assert_history(true, ADD(1, 0, 20), ADD(2, 1, 19), READ(2, 3, 1, 1), READ(4, 5, 2, 2, 1));
    /* Only one of two removes it. */
    assert_history(true, ADD(1, 0, 1), REMOVE(1, 1, 2, 9), REMOVE(1, 0, 3, 8));
    assert_history(false, ADD(1, 0, 1), REMOVE(1, 1, 2, 9), REMOVE(1, 1, 3, 8));
}

static void test_linear__never_returned(void **state)
{
    (void)state;
    assert_history(true, LOST(1, 0, 5), READ(6, 7, 1, 1));
    assert_history(true, LOST(1, 0, 5), EMPTY(6, 7));
    assert_history(false, LOST(1, 0, 5), EMPTY(6, 7), READ(8, 9, 1, 1)); /* not after its death */
    assert_history(false, LOST(1, 0, 5), READ(6, 7, 1, 1), EMPTY(8, 9));
    assert_history(true, LOST(1, 0, 5), EMPTY(2, 3), READ(8, 9, 1, 1));
}

static void test_linear__oldest_goes(void **state)
{
    (void)state;
    assert_history(true, ADD(1, 0, 1), ADD(2, 2, 3), ADD(3, 4, 5), ADD(4, 6, 7), ADD(5, 8, 9),
                   ADD(6, 10, 11), READ(12, 13, 5, 6, 5, 4, 3, 2));
    assert_history(false, ADD(1, 0, 1), ADD(2, 2, 3), ADD(3, 4, 5), ADD(4, 6, 7), ADD(5, 8, 9),
                   ADD(6, 10, 11), READ(12, 13, 5, 6, 5, 4, 3, 1));
}

static uint32_t random_below(uint32_t n)
{
    static uint64_t x = 1;
    x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(x >> 33) % n;
}

/* Random operations with a known instant each; then one reader is given a wrong result. */
static void test_linear__random_histories(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        struct linear_op ops[60];
        struct linear_list list = {0};
        size_t reader = SIZE_MAX;
        for (uint32_t i = 0; i < 60; i++) {
            uint64_t instant = 1000 + 100 * i;
            ops[i] = (struct linear_op){.kind = (enum linear_kind)random_below(4),
                                        .id = {random_below(9), random_below(9)},
                                        .begin = instant - 1 - 2 * random_below(200),
                                        .end = instant + 1 + 2 * random_below(200)};
            struct linear_list before = list;
            if (ops[i].kind == LINEAR_READ)
                ops[i].found = list;
            else if (ops[i].kind == LINEAR_REMOVE) {
                while (!linear_apply(&ops[i], &list)) {
                    ops[i].removed++;
                    list = before;
                }
                list = before;
            }
            assert_true(linear_apply(&ops[i], &list));
            reader = ops[i].kind == LINEAR_READ && list.count ? i : reader;
        }
        assert_true(check(ops, 60));
        if (reader != SIZE_MAX) {
            ops[reader].found.id[0] = 77; /* nobody added that */
            assert_false(check(ops, 60));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear__one_after_the_other),
        cmocka_unit_test(test_linear__at_the_same_time),
        cmocka_unit_test(test_linear__never_returned),
        cmocka_unit_test(test_linear__oldest_goes),
        cmocka_unit_test(test_linear__random_histories),
    };
    return cmocka_run_group_tests_name("linear", tests, NULL, NULL);
}
