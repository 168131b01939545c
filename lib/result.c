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
    size_t room = r->room;
    size_t same = r->room;
    if (count <= room) {
        return VISIT_OK;
    }
    /* The pointers first: those that are there are right as long as the visits stay where they are.
     */
    if (!grow((void **)&r->pointers, &same, count, sizeof *r->pointers) ||
        !grow((void **)&r->visits, &room, count, sizeof *r->visits)) {
        return rv_fail_errno(NULL, "read", ENOMEM);
    }
    for (uint32_t i = 0; i < count; i++) {
        r->pointers[i] = &r->visits[i];
    }
    r->room = count;
    return VISIT_OK;
}

static Visit to_visit(const struct rv_view *view, const void *strings)
{
    char *url = (char *)(uintptr_t)strings;
    return (Visit){
        .visit_id = view->visit_id,
        .url = url,
        .text = url + view->url_length + 1,
        .time = to_timespec(view->time_ns),
    };
}

struct filling {
    struct rv_result *result;
    struct rv_views *views; /* for copies */
};

/* Visits whose strings point into the mapping: as rv_slot_collect(), without views between. */
static VisitStatus fill(void *data, const struct rv_found *found)
{
    struct rv_result *r = ((const struct filling *)data)->result;
    const struct rv_store *st = found->st;
    r->count = 0;
    VisitStatus status = make_room(r, found->count);
    if (status) {
        return status;
    }
    struct rv_walk walk = rv_walk_begin(st, st->file.ro, found->user_id, found->word);
    for (uint32_t first = 0; first < found->count; first += RV_TOGETHER) {
        uint32_t left = found->count - first;
        uint32_t group = left < RV_TOGETHER ? left : RV_TOGETHER;
        Visit *visits = r->visits + first;
        const uint8_t *last[RV_TOGETHER];
        for (uint32_t i = 0; i < group; i++) {
            struct rv_view view;
            if (!rv_walk_next(&walk, &view)) {
                return rv_walk_broken(st, walk.outside, view.slot);
            }
            last[i] = rv_slot_last_byte(&view);
            __builtin_prefetch(last[i]);
            visits[i] = to_visit(&view, view.strings);
        }
        for (uint32_t i = 0; i < group; i++) {
            if (rv_load8(last[i]) || rv_load8((const uint8_t *)visits[i].text - 1)) {
                return rv_walk_broken(st, walk.outside, rv_word_slot(found->word, first + i));
            }
        }
    }
    r->count = found->count;
    return VISIT_OK;
}

/* Visits with strings of their own, because others may change the file. */
static VisitStatus fill_copies(void *data, const struct rv_found *found)
{
    const struct filling *f = data;
    struct rv_result *r = f->result;
    r->count = 0;
    VisitStatus status = make_room(r, found->count);
    if (!status) {
        status = rv_read_views(found, f->views);
    }
    if (status) {
        return status;
    }
    const struct rv_view *views = f->views->at;
    if (!grow((void **)&r->copy, &r->copy_room, strings_size(views, found->count), 1)) {
        return rv_fail_errno(NULL, "read", ENOMEM);
    }
    char *copy = r->copy;
    for (uint32_t i = 0; i < found->count; i++) {
        copy_strings(copy, &views[i]);
        r->visits[i] = to_visit(&views[i], copy);
        copy += rv_slot_bytes(&views[i]);
    }
    r->count = found->count;
    return VISIT_OK;
}

VisitStatus rv_result_read(struct rv_result *result, struct rv_views *views, struct rv_store *st,
                           uint32_t user_id, uint32_t limit)
{
    if (rv_read_known(st, &result->token)) {
        return VISIT_OK;
    }
    struct filling filling = {result, views};
    VisitStatus status = rv_read(st, user_id, limit, &result->token,
                                 rv_others_write(st) ? fill_copies : fill, &filling);
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

struct packing {
    struct rv_packed *packed;
    struct rv_views *views;
};

static VisitStatus pack(void *data, const struct rv_found *found)
{
    const struct packing *packing = data;
    struct rv_packed *p = packing->packed;
    VisitStatus status = rv_read_views(found, packing->views);
    if (status) {
        return status;
    }
    const struct rv_view *views = packing->views->at;
    size_t offset = found->count * sizeof(VisitPacked);
    size_t size = offset + strings_size(views, found->count);
    if (!grow((void **)&p->buffer, &p->room, size, 1)) {
        return rv_fail_errno(NULL, "read", ENOMEM);
    }
    for (uint32_t i = 0; i < found->count; i++) {
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
    p->count = found->count;
    return VISIT_OK;
}

VisitStatus rv_packed_read(struct rv_packed *packed, struct rv_views *views, struct rv_store *st,
                           uint32_t user_id, uint32_t limit)
{
    struct rv_token token = {0};
    packed->count = 0;
    packed->size = 0;
    struct packing packing = {packed, views};
    VisitStatus status = rv_read(st, user_id, limit, &token, pack, &packing);
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
