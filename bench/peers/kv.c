/* SPDX-License-Identifier: MIT */
#include "kv.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../common.h"

struct header {
    int64_t time_ns;
    uint32_t visit_id, url_length, text_length;
} __attribute__((packed));
_Static_assert(sizeof(struct header) == 20, "no padding in values");

enum { COUNT_BYTES = sizeof(uint32_t) };

void kv_session_init(struct kv_session *session, const struct kv_ops *ops,
                     const struct bench_setup *setup)
{
    *session =
        (struct kv_session){.ops = ops, .max_visits = setup->max_visits, .batch = setup->batch};
    session->result = bench_alloc(setup->max_visits, sizeof(*session->result));
    session->adds = bench_alloc(setup->batch, sizeof(*session->adds));
    session->order = bench_alloc(setup->batch, sizeof(*session->order));
}

void kv_session_release(struct kv_session *session)
{
    free(session->result);
    free(session->value);
    free(session->copy);
    free(session->adds);
    free(session->order);
}

static char *with_room(char **buffer, size_t *room, size_t size)
{
    if (size > *room) {
        free(*buffer);
        *room = size + size / 2;
        *buffer = malloc(*room);
        if (!*buffer)
            bench_die("no memory");
    }
    return *buffer;
}

const void *kv_copy(struct kv_session *session, const void *value, size_t size)
{
    return memcpy(with_room(&session->copy, &session->copy_room, size), value, size);
}

size_t kv_pad(struct kv_session *session, size_t size, size_t step)
{
    size_t padded = (size + step - 1) / step * step;
    if (padded > session->value_room) {
        session->value_room = padded;
        session->value = realloc(session->value, padded);
        if (!session->value)
            bench_die("no memory");
    }
    memset(session->value + size, 0, padded - size);
    return padded;
}

static uint32_t count_of(const void *value)
{
    uint32_t count;
    memcpy(&count, value, COUNT_BYTES);
    return count;
}

static const struct header *headers_of(const void *value)
{
    return (const struct header *)((const char *)value + COUNT_BYTES);
}

static size_t string_bytes(const struct header *header)
{
    return (size_t)header->url_length + header->text_length + 2;
}

/* Which visits a changed value has: of the added ones [first, end) in accepted, and kept old ones.
 */
struct choice {
    const struct kv_add **accepted;
    size_t first, end;
    uint32_t kept;
};

static bool is_there(const struct choice *choice, const struct header *old, uint32_t visit_id)
{
    for (uint32_t i = 0; i < choice->kept; i++) {
        if (old[i].visit_id == visit_id)
            return true;
    }
    for (size_t i = choice->first; i < choice->end; i++) {
        if (choice->accepted[i]->add.visit_id == visit_id)
            return true;
    }
    return false;
}

static void choose(struct choice *choice, const struct header *old, uint32_t max_visits,
                   const struct kv_add *adds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_there(choice, old, adds[i].add.visit_id))
            continue;
        choice->accepted[choice->end++] = &adds[i];
        if (choice->end - choice->first + choice->kept <= max_visits)
            continue;
        if (choice->kept > 0)
            choice->kept--;
        else
            choice->first++;
    }
}

static size_t new_size(const struct choice *choice, const struct header *old,
                       size_t *ret_kept_strings)
{
    size_t strings = 0, added = 0;
    for (uint32_t i = 0; i < choice->kept; i++)
        strings += string_bytes(&old[i]);
    for (size_t i = choice->first; i < choice->end; i++) {
        const struct bench_add *add = &choice->accepted[i]->add;
        added += (size_t)add->url.length + add->text.length + 2;
    }
    *ret_kept_strings = strings;
    return COUNT_BYTES + (choice->kept + choice->end - choice->first) * sizeof(struct header) +
           strings + added;
}

static char *put(char *to, const void *bytes, size_t size)
{
    memcpy(to, bytes, size);
    return to + size;
}

static void encode(const struct choice *choice, const void *old, size_t kept_strings, char *value)
{
    uint32_t count = choice->kept + (uint32_t)(choice->end - choice->first);
    char *header = put(value, &count, COUNT_BYTES);
    char *strings = header + count * sizeof(struct header);
    for (size_t i = choice->end; i-- > choice->first;) {
        const struct kv_add *added = choice->accepted[i];
        struct header new_header = {
            .time_ns = added->time_ns,
            .visit_id = added->add.visit_id,
            .url_length = added->add.url.length,
            .text_length = added->add.text.length,
        };
        header = put(header, &new_header, sizeof(new_header));
        strings = put(strings, added->add.url.bytes, (size_t)added->add.url.length + 1);
        strings = put(strings, added->add.text.bytes, (size_t)added->add.text.length + 1);
    }
    if (choice->kept == 0)
        return;
    put(header, headers_of(old), choice->kept * sizeof(struct header));
    put(strings, headers_of(old) + count_of(old), kept_strings);
}

bool kv_apply(struct kv_session *session, const void *old, const struct kv_add *adds, size_t count,
              size_t *ret_size)
{
    static const uint32_t nothing;
    const struct kv_add *few[8];
    old = old ? old : &nothing;
    struct choice choice = {.accepted = few, .kept = count_of(old)};
    if (count > sizeof(few) / sizeof(few[0]))
        choice.accepted = bench_alloc(count, sizeof(*choice.accepted));
    choose(&choice, headers_of(old), session->max_visits, adds, count);
    bool changed = choice.end > 0;
    if (changed) {
        size_t kept_strings, size = new_size(&choice, headers_of(old), &kept_strings);
        encode(&choice, old, kept_strings, with_room(&session->value, &session->value_room, size));
        *ret_size = size;
    }
    if (choice.accepted != few)
        free(choice.accepted);
    return changed;
}

size_t kv_pack(struct kv_session *session, const struct kv_add *adds, size_t count)
{
    const struct kv_add *all[BENCH_BATCH];
    struct choice choice = {.accepted = all, .end = count};
    for (size_t i = 0; i < count; i++)
        all[i] = &adds[i];
    size_t kept_strings, size = new_size(&choice, NULL, &kept_strings);
    encode(&choice, NULL, kept_strings, with_room(&session->value, &session->value_room, size));
    return size;
}

size_t kv_count(const void *value)
{
    return count_of(value);
}

void kv_unpack(const void *value, struct kv_add *ret_adds)
{
    uint32_t count = count_of(value);
    const struct header *headers = headers_of(value);
    const char *string = (const char *)(headers + count);
    for (uint32_t i = 0; i < count; i++) {
        const struct header *h = &headers[i];
        ret_adds[count - 1 - i] = (struct kv_add){
            .time_ns = h->time_ns,
            .add = {.visit_id = h->visit_id,
                    .url = {string, h->url_length},
                    .text = {string + h->url_length + 1, h->text_length}},
        };
        string += string_bytes(h);
    }
}

static int64_t wall_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void begin(struct kv_session *session)
{
    if (session->ops->begin)
        session->ops->begin(session);
}

static void commit(struct kv_session *session)
{
    if (session->ops->commit)
        session->ops->commit(session);
}

void kv_engine_add(void *opaque, const struct bench_add *add)
{
    struct kv_session *session = opaque;
    session->adds[session->batched] = (struct kv_add){.add = *add, .time_ns = wall_now_ns()};
    if (session->batch > 1) {
        if (++session->batched == session->batch)
            kv_engine_flush(session);
        return;
    }
    begin(session);
    session->ops->change(session, add->user_id, session->adds, 1);
    commit(session);
}

static int compare_orders(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Sorts a batch by user and then by arrival, so that each user's value is changed once, and that
 * neighbours in a tree are changed one after the other. */
static void sort_batch(struct kv_session *session)
{
    for (size_t i = 0; i < session->batched; i++)
        session->order[i] = (uint64_t)session->adds[i].add.user_id << 32 | i;
    qsort(session->order, session->batched, sizeof(*session->order), compare_orders);
}

void kv_engine_flush(void *opaque)
{
    struct kv_session *session = opaque;
    if (session->batched == 0)
        return;
    sort_batch(session);
    begin(session);
    struct kv_add group[BENCH_BATCH];
    for (size_t i = 0, n; i < session->batched; i += n) {
        uint32_t user_id = (uint32_t)(session->order[i] >> 32);
        for (n = 0; i + n < session->batched && session->order[i + n] >> 32 == user_id; n++)
            group[n] = session->adds[(uint32_t)session->order[i + n]];
        session->ops->change(session, user_id, group, n);
    }
    commit(session);
    session->batched = 0;
}

void kv_engine_read(void *opaque, uint32_t user_id, struct bench_visits *ret_visits)
{
    struct kv_session *session = opaque;
    const void *value;
    size_t size;
    *ret_visits = (struct bench_visits){.array = session->result};
    if (!session->ops->get(session, user_id, &value, &size))
        return;
    uint32_t count = count_of(value);
    const struct header *headers = headers_of(value);
    char *string = (char *)(uintptr_t)(headers + count);
    for (uint32_t i = 0; i < count; i++) {
        const struct header *h = &headers[i];
        session->result[i] = (Visit){
            .visit_id = h->visit_id,
            .url = string,
            .text = string + h->url_length + 1,
            .time = {h->time_ns / 1000000000, h->time_ns % 1000000000},
        };
        string += string_bytes(h);
    }
    ret_visits->count = count;
}
