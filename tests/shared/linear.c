/* SPDX-License-Identifier: MIT */
#include "linear.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_MOST 64u
#define CONFIGURATIONS_MOST (1u << 20)

/* One way in which things may stand. */
struct configuration {
    struct linear_list list;
    uint64_t done; /* bit i: the i-th operation under way has had its instant */
};

struct set {
    struct configuration *at;
    size_t count;
    size_t room;
};

struct event {
    uint64_t time;
    size_t op;
    bool end;
};

struct check {
    const struct linear_op *ops;
    size_t open[OPEN_MOST]; /* operations under way; SIZE_MAX: a free place */
    struct set set;
    struct set next;
    struct set work;
};

/* ---- lists ---- */

static bool has(const struct linear_list *list, uint32_t id)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->id[i] == id)
            return true;
    }
    return false;
}

static bool same(const struct linear_list *a, const struct linear_list *b)
{
    return a->count == b->count && memcmp(a->id, b->id, a->count * sizeof a->id[0]) == 0;
}

static void add(struct linear_list *list, uint32_t id)
{
    if (has(list, id))
        return;
    uint32_t kept = list->count < LINEAR_LIMIT ? list->count : LINEAR_LIMIT - 1;
    memmove(list->id + 1, list->id, kept * sizeof list->id[0]);
    list->id[0] = id;
    list->count = kept + 1;
}

static uint32_t take_out(struct linear_list *list, const uint32_t id[2])
{
    uint32_t kept = 0;
    uint32_t before = list->count;
    for (uint32_t i = 0; i < before; i++) {
        if (list->id[i] != id[0] && list->id[i] != id[1])
            list->id[kept++] = list->id[i];
    }
    list->count = kept;
    return before - kept;
}

bool linear_apply(const struct linear_op *op, struct linear_list *list)
{
    uint32_t removed;
    switch (op->kind) {
    case LINEAR_ADD:
        add(list, op->id[0]);
        return true;
    case LINEAR_REMOVE:
        removed = take_out(list, op->id);
        return op->pending || removed == op->removed;
    case LINEAR_CLEAR:
        list->count = 0;
        return true;
    case LINEAR_READ:
        return op->pending || same(list, &op->found);
    }
    return false;
}

/* ---- sets of configurations ---- */

static void put(struct set *set, const struct configuration *c)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->at[i].done == c->done && same(&set->at[i].list, &c->list))
            return;
    }
    if (set->count == set->room) {
        set->room = set->room ? set->room * 2 : 64;
        set->at = realloc(set->at, set->room * sizeof *set->at);
        if (!set->at || set->count > CONFIGURATIONS_MOST) {
            fputs("a history has too many configurations\n", stderr);
            abort();
        }
    }
    set->at[set->count++] = *c;
}

/* All that follow from the work by instants of operations under way, up to that of one of them. */
static void linearize(struct check *check, unsigned place)
{
    for (size_t i = 0; i < check->work.count; i++) {
        struct configuration c = check->work.at[i];
        if (c.done & UINT64_C(1) << place) {
            put(&check->next, &c);
            continue;
        }
        for (unsigned k = 0; k < OPEN_MOST; k++) {
            struct configuration after = c;
            if (check->open[k] == SIZE_MAX || c.done & UINT64_C(1) << k ||
                !linear_apply(&check->ops[check->open[k]], &after.list))
                continue;
            after.done |= UINT64_C(1) << k;
            put(&check->work, &after);
        }
    }
}

static void swap(struct set *a, struct set *b)
{
    struct set c = *a;
    *a = *b;
    *b = c;
}

/* Forgets which place it was; those that differed in it only become one. */
static void forget(struct check *check, unsigned place)
{
    check->open[place] = SIZE_MAX;
    check->next.count = 0;
    for (size_t i = 0; i < check->set.count; i++) {
        struct configuration c = check->set.at[i];
        c.done &= ~(UINT64_C(1) << place);
        put(&check->next, &c);
    }
    swap(&check->set, &check->next);
}

static unsigned place_of(const struct check *check, size_t op)
{
    unsigned place = 0;
    while (place < OPEN_MOST && check->open[place] != op)
        place++;
    if (place == OPEN_MOST) {
        fputs("a history has too many operations at once\n", stderr);
        abort();
    }
    return place;
}

/* An operation that returned has had its instant; one that did not may have. */
static bool end(struct check *check, size_t op)
{
    unsigned place = place_of(check, op);
    check->work.count = 0;
    check->next.count = 0;
    swap(&check->set, &check->work);
    if (check->ops[op].pending) {
        for (size_t i = 0; i < check->work.count; i++)
            put(&check->next, &check->work.at[i]);
    }
    linearize(check, place);
    swap(&check->set, &check->next);
    forget(check, place);
    return check->set.count != 0;
}

static int compare_events(const void *a, const void *b)
{
    const struct event *x = a;
    const struct event *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return x->end - y->end;
}

static struct event *make_events(const struct linear_op *ops, size_t count)
{
    struct event *events = malloc((2 * count + 1) * sizeof *events);
    if (!events)
        abort();
    for (size_t i = 0; i < count; i++) {
        events[2 * i] = (struct event){ops[i].begin, i, false};
        events[2 * i + 1] = (struct event){ops[i].end, i, true};
    }
    qsort(events, 2 * count, sizeof *events, compare_events);
    return events;
}

bool linear_check(const struct linear_list *start, const struct linear_op *ops, size_t count,
                  size_t *ret_op)
{
    struct check check = {.ops = ops};
    struct event *events = make_events(ops, count);
    bool good = true;
    for (unsigned i = 0; i < OPEN_MOST; i++)
        check.open[i] = SIZE_MAX;
    put(&check.set, &(struct configuration){.list = *start});
    for (size_t i = 0; i < 2 * count && good; i++) {
        *ret_op = events[i].op;
        if (events[i].end)
            good = end(&check, events[i].op);
        else
            check.open[place_of(&check, SIZE_MAX)] = events[i].op;
    }
    free(events);
    free(check.set.at);
    free(check.next.at);
    free(check.work.at);
    return good;
}
