/* SPDX-License-Identifier: MIT */
#include "result.h"

#include <errno.h>
#include <stdlib.h>

/* Strings of a slot into ordinary memory, by words: another thread may be writing them. */
static void copy_strings(char *to, const struct rv_view *view)
{
    size_t bytes = rv_slot_bytes(view);
    size_t whole = bytes / 8;
    uint64_t last;
    rv_copy_out(to, view->strings, whole);
    rv_copy_out(&last, view->strings + whole * 8, bytes % 8 ? 1 : 0);
    memcpy(to + whole * 8, &last, bytes % 8);
}

static struct timespec to_timespec(int64_t ns)
{
    int64_t seconds = ns / 1000000000;
    int64_t rest = ns % 1000000000;
    if (rest < 0) {
        rest += 1000000000;
        seconds--;
    }
    return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)rest};
}

static size_t strings_size(const struct rv_view *views, uint32_t count)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        size += rv_slot_bytes(&views[i]);
    }
    return size;
}

static bool grow(void **memory, size_t *room, size_t want, size_t unit)
{
    if (want <= *room) {
        return true;
    }
    void *more = realloc(*memory, want * unit);
    if (more) {
        *memory = more;
        *room = want;
    }
    return more != NULL;
}

static VisitStatus make_room(struct rv_result *r, uint32_t count)
{
    if (count <= r->room) {
        return VISIT_OK;
    }
    size_t room = r->room;
    size_t same = r->room;
    if (!grow((void **)&r->visits, &room, count, sizeof *r->visits) ||
        !grow((void **)&r->pointers, &same, count, sizeof *r->pointers)) {
        return rv_fail_errno(NULL, "read", ENOMEM);
    }
    r->room = count;
    return VISIT_OK;
}

struct filling {
    struct rv_result *result;
    bool copy;
};

static VisitStatus fill(void *data, const struct rv_view *views, uint32_t count)
{
    struct filling *f = data;
    struct rv_result *r = f->result;
    r->count = 0;
    VisitStatus status = make_room(r, count);
    if (!status && f->copy &&
        !grow((void **)&r->copy, &r->copy_room, strings_size(views, count), 1)) {
        status = rv_fail_errno(NULL, "read", ENOMEM);
    }
    if (status) {
        return status;
    }
    char *copy = r->copy;
    for (uint32_t i = 0; i < count; i++) {
        const struct rv_view *view = &views[i];
        char *strings = (char *)(uintptr_t)view->strings;
        if (f->copy) {
            copy_strings(copy, view);
            strings = copy;
            copy += rv_slot_bytes(view);
        }
        r->visits[i] = (Visit){
            .visit_id = view->visit_id,
            .url = strings,
            .text = strings + view->url_length + 1,
            .time = to_timespec(view->time_ns),
        };
        r->pointers[i] = &r->visits[i];
    }
    r->count = count;
    return VISIT_OK;
}

VisitStatus rv_result_read(struct rv_result *result, struct rv_views *views, struct rv_store *st,
                           uint32_t user_id, uint32_t limit)
{
    struct filling f = {.result = result, .copy = rv_others_write(st)};
    VisitStatus status = rv_read(st, user_id, limit, views, &result->token, fill, &f);
    if (status == VISIT_END) {
        return VISIT_OK;
    }
    if (status || result->token.word == 0) {
        result->count = 0;
    }
    if (status) {
        result->token = (struct rv_token){0};
    }
    return status;
}

void rv_result_free(struct rv_result *result)
{
    free(result->visits);
    free(result->pointers);
    free(result->copy);
    *result = (struct rv_result){0};
}

static VisitStatus pack(void *data, const struct rv_view *views, uint32_t count)
{
    struct rv_packed *p = data;
    size_t offset = count * sizeof(VisitPacked);
    size_t size = offset + strings_size(views, count);
    if (!grow((void **)&p->buffer, &p->room, size, 1)) {
        return rv_fail_errno(NULL, "read", ENOMEM);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct rv_view *view = &views[i];
        VisitPacked item = {
            .time_ns = view->time_ns,
            .url_offset = offset,
            .visit_id = view->visit_id,
            .url_length = view->url_length,
            .text_length = view->text_length,
        };
        memcpy(p->buffer + i * sizeof item, &item, sizeof item);
        copy_strings(p->buffer + offset, view);
        offset += rv_slot_bytes(view);
    }
    p->size = size;
    p->count = count;
    return VISIT_OK;
}

VisitStatus rv_packed_read(struct rv_packed *packed, struct rv_views *views, struct rv_store *st,
                           uint32_t user_id, uint32_t limit)
{
    struct rv_token token = {0};
    packed->count = 0;
    packed->size = 0;
    VisitStatus status = rv_read(st, user_id, limit, views, &token, pack, packed);
    if (status || token.word == 0) {
        packed->count = 0;
        packed->size = 0;
    }
    return status;
}

void rv_packed_free(struct rv_packed *packed)
{
    free(packed->buffer);
    *packed = (struct rv_packed){0};
}
