/* SPDX-License-Identifier: MIT */
#include "compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

bool compare_quiet;

/* Says what differs; always false. */
static bool differs(const char *call, uint32_t user_id, const char *what, uint64_t is,
                    uint64_t expected)
{
    if (compare_quiet)
        return false;
    print_error("%s: user %u: %s is %llu, expected %llu (%s)\n", call, user_id, what,
                (unsigned long long)is, (unsigned long long)expected, VisitLastError());
    return false;
}

static bool same_strings(const char *call, uint32_t user_id, const struct model_visit *expected,
                         const char *url, const char *text)
{
    if (memcmp(url, expected->url, expected->url_length + 1) != 0)
        return differs(call, user_id, "url of visit, its first byte", (unsigned char)url[0],
                       (unsigned char)expected->url[0]);
    if (memcmp(text, expected->text, expected->text_length + 1) != 0)
        return differs(call, user_id, "text of visit, its first byte", (unsigned char)text[0],
                       (unsigned char)expected->text[0]);
    return true;
}

static bool same_visit(const char *call, uint32_t user_id, const Visit *is,
                       const struct model_visit *expected)
{
    if (is->visit_id != expected->id)
        return differs(call, user_id, "visit id", is->visit_id, expected->id);
    if (is->time.tv_nsec < 0 || is->time.tv_nsec >= 1000000000)
        return differs(call, user_id, "tv_nsec", (uint64_t)is->time.tv_nsec, 0);
    if (timespec_ns(is->time) != expected->time_ns)
        return differs(call, user_id, "time", (uint64_t)timespec_ns(is->time),
                       (uint64_t)expected->time_ns);
    return same_strings(call, user_id, expected, is->url, is->text);
}

static bool same_pointers(VisitManager *manager, uint32_t user_id, const struct model_visit *visits,
                          size_t count)
{
    static const char call[] = "VisitManagerGetRecentVisits";
    size_t got = SIZE_MAX;
    Visit **pointers = VisitManagerGetRecentVisits(manager, user_id, &got);
    if (VisitLastStatus() != VISIT_OK)
        return differs(call, user_id, "status", (uint64_t)-VisitLastStatus(), VISIT_OK);
    if (got != count)
        return differs(call, user_id, "count", got, count);
    for (size_t i = 0; i < count; i++) {
        if (!same_visit(call, user_id, pointers[i], &visits[i]))
            return false;
    }
    return true;
}

static bool same_array(VisitReader *reader, uint32_t user_id, const struct model_visit *visits,
                       size_t count, size_t limit)
{
    static const char call[] = "VisitReaderGet";
    size_t got = SIZE_MAX;
    const Visit *array = NULL;
    VisitStatus status = VisitReaderGet(reader, user_id, limit, &array, &got);
    if (status != VISIT_OK)
        return differs(call, user_id, "status", (uint64_t)-status, VISIT_OK);
    if (got != count)
        return differs(call, user_id, "count", got, count);
    if (count == 0 && array)
        return differs(call, user_id, "pointer without visits", 1, 0);
    for (size_t i = 0; i < count; i++) {
        if (!same_visit(call, user_id, &array[i], &visits[i]))
            return false;
    }
    return true;
}

/* One packed visit; its strings must lie behind the array and inside the buffer. */
static bool same_packed_visit(uint32_t user_id, const VisitPacked *packed, size_t i, size_t size,
                              size_t count, const struct model_visit *expected)
{
    static const char call[] = "VisitReaderGetPacked";
    const VisitPacked *is = &packed[i];
    if (is->visit_id != expected->id)
        return differs(call, user_id, "visit id", is->visit_id, expected->id);
    if (is->time_ns != expected->time_ns)
        return differs(call, user_id, "time", (uint64_t)is->time_ns, (uint64_t)expected->time_ns);
    if (is->url_length != expected->url_length)
        return differs(call, user_id, "url length", is->url_length, expected->url_length);
    if (is->text_length != expected->text_length)
        return differs(call, user_id, "text length", is->text_length, expected->text_length);
    if (is->reserved != 0)
        return differs(call, user_id, "reserved", is->reserved, 0);
    uint64_t end = is->url_offset + is->url_length + 1 + is->text_length + 1;
    if (is->url_offset < count * sizeof *packed || end > size)
        return differs(call, user_id, "end of the strings", end, size);
    const char *url = (const char *)packed + is->url_offset;
    return same_strings(call, user_id, expected, url, url + is->url_length + 1);
}

static bool same_packed(VisitReader *reader, uint32_t user_id, const struct model_visit *visits,
                        size_t count, size_t limit)
{
    static const char call[] = "VisitReaderGetPacked";
    size_t got = SIZE_MAX;
    size_t size = SIZE_MAX;
    const VisitPacked *packed = NULL;
    VisitStatus status = VisitReaderGetPacked(reader, user_id, limit, &packed, &size, &got);
    if (status != VISIT_OK)
        return differs(call, user_id, "status", (uint64_t)-status, VISIT_OK);
    if (got != count)
        return differs(call, user_id, "count", got, count);
    if (count == 0 && packed)
        return differs(call, user_id, "pointer without visits", 1, 0);
    for (size_t i = 0; i < count; i++) {
        if (!same_packed_visit(user_id, packed, i, size, count, &visits[i]))
            return false;
    }
    return true;
}

bool compare_user(VisitManager *manager, VisitReader *reader, const struct model *model,
                  uint32_t user_id, size_t limit)
{
    const struct model_user *user = model_find(model, user_id);
    const struct model_visit *visits = user ? user->visits : NULL;
    size_t count = user ? user->count : 0;
    size_t limited = limit && limit < count ? limit : count;
    return same_pointers(manager, user_id, visits, count) &&
           same_array(reader, user_id, visits, limited, limit) &&
           same_packed(reader, user_id, visits, limited, limit);
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Takes the users that the iteration gives; checks each alone. */
static bool take_users(VisitUsers *users, const struct model *model, uint32_t *ids)
{
    static const char call[] = "VisitUsersNext";
    VisitStatus status;
    uint32_t user_id = 0;
    size_t count = 0;
    size_t taken = 0;
    while ((status = VisitUsersNext(users, &user_id, &count)) == VISIT_OK) {
        const struct model_user *user = model_find(model, user_id);
        if (count != (user ? user->count : 0) || count == 0)
            return differs(call, user_id, "count", count, user ? user->count : 0);
        if (taken == model->users)
            return differs(call, user_id, "number of users", taken + 1, model->users);
        ids[taken++] = user_id;
    }
    if (status != VISIT_END)
        return differs(call, user_id, "status", (uint64_t)-status, VISIT_END);
    if (taken != model->users)
        return differs(call, user_id, "number of users", taken, model->users);
    return true;
}

bool compare_users(VisitManager *manager, const struct model *model)
{
    uint32_t *ids = calloc(model->users + 1, sizeof *ids);
    VisitUsers *users = NULL;
    bool same = ids && VisitUsersOpen(manager, &users) == VISIT_OK && take_users(users, model, ids);
    VisitUsersFree(users);
    if (same)
        qsort(ids, model->users, sizeof *ids, compare_ids);
    for (size_t i = 1; same && i < model->users; i++) {
        if (ids[i] == ids[i - 1])
            same = differs("VisitUsersNext", ids[i], "number of times", 2, 1);
    }
    free(ids);
    return same;
}

bool compare_stats(VisitManager *manager, const struct model *model)
{
    static const char call[] = "VisitManagerStats";
    VisitStats stats = {.size = sizeof stats};
    VisitStatus status = VisitManagerStats(manager, &stats);
    if (status != VISIT_OK)
        return differs(call, 0, "status", (uint64_t)-status, VISIT_OK);
    if (stats.users != model->users)
        return differs(call, 0, "users", stats.users, model->users);
    if (stats.visits != model->visits)
        return differs(call, 0, "visits", stats.visits, model->visits);
    if (stats.max_visits != model->limit)
        return differs(call, 0, "max_visits", stats.max_visits, model->limit);
    uint64_t used =
        stats.blocks_free + stats.blocks_slots + stats.blocks_large + stats.blocks_segments;
    if (used > stats.blocks)
        return differs(call, 0, "sum of the blocks of each kind", used, stats.blocks);
    if (stats.file_bytes < stats.blocks * stats.block_bytes)
        return differs(call, 0, "file_bytes", stats.file_bytes, stats.blocks * stats.block_bytes);
    if (stats.index_entries < stats.users || stats.index_capacity < stats.index_entries)
        return differs(call, 0, "index_entries", stats.index_entries, stats.users);
    if (stats.ring_slots < stats.visits)
        return differs(call, 0, "ring_slots", stats.ring_slots, stats.visits);
    return true;
}

bool compare_verify(VisitManager *manager)
{
    VisitStatus status = store_verify(manager);
    return status == VISIT_OK || differs("VisitManagerVerify", 0, "status", (uint64_t)-status, 0);
}

bool compare_all(VisitManager *manager, const struct model *model)
{
    VisitReader *reader = NULL;
    bool same = VisitReaderOpen(manager, &reader) == VISIT_OK;
    for (size_t i = 0; same && i < model->lines; i++) {
        if (model->table[i].used)
            same = compare_user(manager, reader, model, model->table[i].id, 0);
    }
    VisitReaderFree(reader);
    return same && compare_users(manager, model) && compare_stats(manager, model);
}
