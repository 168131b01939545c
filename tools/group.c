/* SPDX-License-Identifier: MIT */
#include "group.h"
#include "output.h"
#include "rvdump.h"

#include <stdlib.h>
#include <string.h>

struct member {
    int64_t time_ns;
    uint64_t order; /* of the lines */
    size_t offset;  /* of the url in strings; the text follows */
    uint32_t url_length;
    uint32_t text_length;
    uint32_t visit_id;
};

struct group {
    struct batch *batch;
    struct member *members;
    size_t count;
    size_t capacity; /* 2 x limit at most: then the group is cut */
    char *strings;
    size_t used;
    size_t strings_capacity;
    uint64_t order;
    uint64_t left_out;
    uint32_t limit;
    uint32_t user_id;
};

static int out_of_memory(void)
{
    say("out of memory");
    return EXIT_OTHER;
}

struct group *group_new(struct batch *batch, uint32_t limit)
{
    struct group *group = calloc(1, sizeof *group);
    if (group == NULL) {
        out_of_memory();
        return NULL;
    }
    group->batch = batch;
    group->limit = limit;
    return group;
}

void group_free(struct group *group)
{
    if (group == NULL)
        return;
    free(group->members);
    free(group->strings);
    free(group);
}

uint64_t group_left_out(const struct group *group)
{
    return group->left_out;
}

/* ---- Order ---- */

static int compare_ids(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    if (x->visit_id != y->visit_id)
        return x->visit_id < y->visit_id ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Newest first; of equal times the upper line. */
static int compare_times(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? 1 : -1;
    return (x->order > y->order) - (x->order < y->order);
}

/* Of lines with the same visit id the first stays, as a store keeps the visit that it has. */
static void drop_repeated_ids(struct group *group)
{
    struct member *members = group->members;
    size_t kept = 0;
    qsort(members, group->count, sizeof *members, compare_ids);
    for (size_t i = 0; i < group->count; i++) {
        if (kept == 0 || members[kept - 1].visit_id != members[i].visit_id)
            members[kept++] = members[i];
    }
    group->left_out += group->count - kept;
    group->count = kept;
}

/* Orders the group and cuts it to what the store keeps. */
static void put_in_order(struct group *group)
{
    if (group->count < 2)
        return;
    drop_repeated_ids(group);
    qsort(group->members, group->count, sizeof *group->members, compare_times);
    if (group->count > group->limit) {
        group->left_out += group->count - group->limit;
        group->count = group->limit;
    }
}

/* ---- Filling ---- */

/* Drops the strings of members that are gone. */
static int pack_strings(struct group *group)
{
    size_t bytes = 0;
    for (size_t i = 0; i < group->count; i++)
        bytes += group->members[i].url_length + group->members[i].text_length;
    char *packed = malloc(bytes + 1);
    if (packed == NULL)
        return out_of_memory();
    group->used = 0;
    for (size_t i = 0; i < group->count; i++) {
        struct member *member = &group->members[i];
        size_t length = (size_t)member->url_length + member->text_length;
        memcpy(packed + group->used, group->strings + member->offset, length);
        member->offset = group->used;
        group->used += length;
    }
    free(group->strings);
    group->strings = packed;
    group->strings_capacity = bytes + 1;
    return EXIT_OK;
}

static int grow_members(struct group *group)
{
    size_t capacity = group->capacity == 0 ? 64 : group->capacity * 2;
    struct member *larger = realloc(group->members, capacity * sizeof *larger);
    if (larger == NULL)
        return out_of_memory();
    group->members = larger;
    group->capacity = capacity;
    return EXIT_OK;
}

static int room_for_member(struct group *group)
{
    if (group->count < group->capacity)
        return EXIT_OK;
    if (group->count < 2 * (size_t)group->limit)
        return grow_members(group);
    put_in_order(group);
    return pack_strings(group);
}

static int room_for_strings(struct group *group, size_t bytes)
{
    if (group->strings != NULL && bytes <= group->strings_capacity - group->used)
        return EXIT_OK;
    size_t capacity = 2 * (group->used + bytes) + 4096;
    char *larger = realloc(group->strings, capacity);
    if (larger == NULL)
        return out_of_memory();
    group->strings = larger;
    group->strings_capacity = capacity;
    return EXIT_OK;
}

static void append(struct group *group, const struct record *record)
{
    group->members[group->count++] = (struct member){
        .time_ns = record->time_ns,
        .order = group->order++,
        .offset = group->used,
        .url_length = (uint32_t)record->url_length,
        .text_length = (uint32_t)record->text_length,
        .visit_id = record->visit_id,
    };
    memcpy(group->strings + group->used, record->url, record->url_length);
    group->used += record->url_length;
    memcpy(group->strings + group->used, record->text, record->text_length);
    group->used += record->text_length;
}

int group_add(struct group *group, const struct record *record)
{
    int code = EXIT_OK;
    if (group->count > 0 && group->user_id != record->user_id)
        code = group_end(group);
    if (code == EXIT_OK)
        code = room_for_member(group);
    if (code == EXIT_OK)
        code = room_for_strings(group, record->url_length + record->text_length);
    if (code != EXIT_OK)
        return code;
    group->user_id = record->user_id;
    append(group, record);
    return EXIT_OK;
}

/* ---- Ending ---- */

static int add_member(struct group *group, const struct member *member)
{
    const char *url = group->strings + member->offset;
    struct record record = {
        .user_id = group->user_id,
        .visit_id = member->visit_id,
        .time_ns = member->time_ns,
        .url = url,
        .url_length = member->url_length,
        .text = url + member->url_length,
        .text_length = member->text_length,
    };
    return batch_add(group->batch, &record);
}

int group_end(struct group *group)
{
    int code = EXIT_OK;
    put_in_order(group);
    for (size_t i = group->count; i-- > 0 && code == EXIT_OK;)
        code = add_member(group, &group->members[i]);
    group->count = 0;
    group->used = 0;
    return code;
}
