/* SPDX-License-Identifier: MIT */
/* The public functions that read: per-thread results, readers, users, figures. */
#include "manager.h"

#include "index.h"
#include "sweep.h"
#include "version.h"

#include <errno.h>
#include <stdlib.h>

/* ---- results that belong to the manager ---- */

static uint64_t number_of(struct rv_thread *thread)
{
    static uint64_t last;
    if (!thread->number) {
        thread->number = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
    }
    return thread->number;
}

/* A new cache for this thread; it outlives the thread. The manager's cache_lock is held. */
static VisitStatus add_cache(VisitManager *manager, struct rv_thread *thread,
                             struct rv_thread_cache **ret_cache)
{
    struct rv_thread_cache *c = calloc(1, sizeof *c);
    if (!c) {
        return rv_fail_errno(NULL, "read", ENOMEM);
    }
    VisitStatus status = rv_cache_make(manager->cache_users, &c->cache);
    if (status) {
        free(c);
        return status;
    }
    c->thread = number_of(thread);
    c->next = manager->caches;
    manager->caches = c;
    *ret_cache = c;
    return VISIT_OK;
}

/* Makes the thread's cache the one that it has for this manager. */
static VisitStatus find_cache(VisitManager *manager, struct rv_thread *thread)
{
    VisitStatus status = VISIT_OK;
    pthread_mutex_lock(&manager->cache_lock);
    struct rv_thread_cache *c = manager->caches;
    while (c && c->thread != number_of(thread)) {
        c = c->next;
    }
    if (!c) {
        status = add_cache(manager, thread, &c);
    }
    pthread_mutex_unlock(&manager->cache_lock);
    if (!status) {
        thread->manager = manager->id;
        thread->cache = c->cache;
    }
    return status;
}

static VisitStatus read_into(VisitManager *manager, struct rv_cache *cache, uint32_t user_id,
                             const struct rv_result **ret_result)
{
    VisitStatus status;
    unsigned tries = 0;
    do {
        status = rv_begin_reading(manager);
        if (status) {
            return status;
        }
        status = rv_cache_get(cache, manager->st, user_id, ret_result);
    } while (rv_end_reading(manager, status, &tries));
    return status;
}

Visit **VisitManagerGetRecentVisits(VisitManager *manager, uint32_t user_id, size_t *count)
{
    const struct rv_result *result;
    struct rv_thread *thread = rv_thread();
    if (count) {
        *count = 0;
    }
    if (rv_enter(manager)) {
        return NULL;
    }
    if (!count) {
        rv_fail(VISIT_ERROR_INVALID, manager->st->file.path, "the place for the count is NULL");
        return NULL;
    }
    if ((thread->manager != manager->id && find_cache(manager, thread)) ||
        read_into(manager, thread->cache, user_id, &result) || result->count == 0) {
        return NULL;
    }
    *count = result->count;
    return result->pointers;
}

#define TOGETHER 32u /* users whose lines are on their way at once */

static void prefetch_group(const struct rv_store *st, const uint32_t *user_ids, size_t count)
{
    const struct rv_disk_entry *home[TOGETHER];
    uint64_t word[TOGETHER];
    for (size_t i = 0; i < count; i++) {
        home[i] = rv_index_prefetch(st, st->file.ro, rv_hash(st, user_ids[i]));
    }
    for (size_t i = 0; i < count; i++) {
        word[i] = rv_index_peek(st, home[i], user_ids[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (word[i] && rv_slot_word_valid(st, word[i])) {
            uint32_t visits = rv_word_count(word[i]);
            rv_slot_prefetch(st, word[i], visits < st->limit ? visits : st->limit);
        }
    }
}

void VisitManagerPrefetch(VisitManager *manager, const uint32_t *user_ids, size_t count)
{
    if (!manager || manager->forked || !user_ids) {
        return;
    }
    const struct rv_store *st = manager->st;
    bool current = true;
    if (st->file.read_only) {
        pthread_rwlock_rdlock(&manager->refresh_lock);
        current = !rv_opened_since(st); /* to look at it anew could fail: left to the reads */
    }
    for (size_t i = 0; current && i < count; i += TOGETHER) {
        prefetch_group(st, user_ids + i, count - i < TOGETHER ? count - i : TOGETHER);
    }
    rv_release_view(manager);
}

/* ---- readers ---- */

struct VisitReader {
    VisitManager *manager;
    struct rv_views views;
    struct rv_result result;
    struct rv_packed packed;
};

VisitStatus VisitReaderOpen(VisitManager *manager, VisitReader **reader)
{
    VisitStatus status = rv_enter(manager);
    if (status) {
        return status;
    }
    if (!reader) {
        return rv_fail(VISIT_ERROR_INVALID, manager->st->file.path,
                       "the place for the reader is NULL");
    }
    VisitReader *r = calloc(1, sizeof *r);
    if (!r) {
        return rv_fail_errno(manager->st->file.path, "read", ENOMEM);
    }
    r->manager = manager;
    *reader = r;
    return VISIT_OK;
}

void VisitReaderFree(VisitReader *reader)
{
    if (reader) {
        free(reader->views.at);
        rv_result_free(&reader->result);
        rv_packed_free(&reader->packed);
        free(reader);
    }
}

static VisitStatus enter_reader(VisitReader *reader, bool places)
{
    VisitStatus status = rv_enter(reader ? reader->manager : NULL);
    if (!status && !places) {
        status = rv_fail(VISIT_ERROR_INVALID, reader->manager->st->file.path,
                         "a place for the result is NULL");
    }
    return status;
}

static uint32_t short_limit(size_t limit)
{
    return limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
}

VisitStatus VisitReaderGet(VisitReader *reader, uint32_t user_id, size_t limit,
                           const Visit **visits, size_t *count)
{
    VisitStatus status = enter_reader(reader, visits && count);
    if (status) {
        return status;
    }
    *visits = NULL;
    *count = 0;
    struct rv_result *result = &reader->result;
    unsigned tries = 0;
    do {
        status = rv_begin_reading(reader->manager);
        if (status) {
            return status;
        }
        /* Results of another user or limit may lie there. */
        result->token = (struct rv_token){0};
        status = rv_result_read(result, &reader->views, reader->manager->st, user_id,
                                short_limit(limit));
    } while (rv_end_reading(reader->manager, status, &tries));
    *count = result->count;
    *visits = result->count ? result->visits : NULL;
    return status;
}

VisitStatus VisitReaderGetPacked(VisitReader *reader, uint32_t user_id, size_t limit,
                                 const VisitPacked **packed, size_t *size, size_t *count)
{
    VisitStatus status = enter_reader(reader, packed && size && count);
    if (status) {
        return status;
    }
    *packed = NULL;
    *size = 0;
    *count = 0;
    struct rv_packed *p = &reader->packed;
    unsigned tries = 0;
    do {
        status = rv_begin_reading(reader->manager);
        if (status) {
            return status;
        }
        status =
            rv_packed_read(p, &reader->views, reader->manager->st, user_id, short_limit(limit));
    } while (rv_end_reading(reader->manager, status, &tries));
    *count = p->count;
    *size = p->size;
    *packed = p->count ? (const VisitPacked *)(const void *)p->buffer : NULL;
    return status;
}

/* ---- users ---- */

struct VisitUsers {
    VisitManager *manager;
    struct rv_cursor cursor;
    struct rv_seats seats;
    uint32_t next;
    uint32_t limit; /* N when the seats were read */
};

VisitStatus VisitUsersOpen(VisitManager *manager, VisitUsers **users)
{
    VisitStatus status = rv_enter(manager);
    if (status) {
        return status;
    }
    if (!users) {
        return rv_fail(VISIT_ERROR_INVALID, manager->st->file.path,
                       "the place for the users is NULL");
    }
    VisitUsers *u = calloc(1, sizeof *u);
    if (!u || rv_seats_make(manager->st, &u->seats)) {
        free(u);
        return rv_fail_errno(manager->st->file.path, "read", ENOMEM);
    }
    u->manager = manager;
    rv_file_begin_scan(&manager->st->file);
    *users = u;
    return VISIT_OK;
}

void VisitUsersFree(VisitUsers *users)
{
    if (users) {
        if (!users->manager->forked) {
            rv_file_end_scan(&users->manager->st->file);
        }
        free(users->seats.at);
        free(users);
    }
}

static uint32_t visible(uint64_t word, uint32_t limit)
{
    return rv_word_count(word) < limit ? rv_word_count(word) : limit;
}

/* Reads on until there is a user; at the end it stays at the end. */
static VisitStatus next_seats(VisitUsers *users)
{
    VisitStatus status = VISIT_OK;
    unsigned tries = 0;
    while (!status && users->next == users->seats.count) {
        users->next = 0;
        users->seats.count = 0;
        do {
            status = rv_begin_reading(users->manager);
            if (status) {
                return status;
            }
            status = rv_sweep_next(users->manager->st, &users->cursor, UINT64_MAX, &users->seats);
            users->limit = users->manager->st->limit;
        } while (rv_end_reading(users->manager, status, &tries));
    }
    return status;
}

VisitStatus VisitUsersNext(VisitUsers *users, uint32_t *user_id, size_t *count)
{
    VisitStatus status = rv_enter(users ? users->manager : NULL);
    if (!status && !user_id) {
        status = rv_fail(VISIT_ERROR_INVALID, users->manager->st->file.path,
                         "the place for the user is NULL");
    }
    if (!status) {
        status = next_seats(users);
    }
    if (status == VISIT_END) {
        rv_clear_error();
    }
    if (status) {
        return status;
    }
    const struct rv_seat *seat = &users->seats.at[users->next++];
    *user_id = seat->user_id;
    if (count) {
        *count = visible(seat->word, users->limit);
    }
    rv_clear_error();
    return VISIT_OK;
}

/* ---- figures ---- */

static void count_blocks(const struct rv_store *st, VisitStats *s)
{
    uint64_t blocks = rv_load(&st->view->blocks);
    for (uint64_t b = st->geo.header_blocks; b < blocks && b < s->blocks;) {
        const struct rv_disk_block *header = rv_ro(st, rv_header_offset(st, b));
        uint64_t run = rv_load(&header->run);
        uint32_t order = rv_run_class(run) < RV_ORDERS ? rv_run_class(run) : 0;
        uint64_t size = 1;
        switch (rv_run_kind(run)) {
        case RV_KIND_FREE:
        case RV_KIND_HAND:
            size = UINT64_C(1) << order;
            s->blocks_free += size;
            break;
        case RV_KIND_LARGE:
            size = UINT64_C(1) << order;
            s->blocks_large += size;
            break;
        case RV_KIND_SLOTS:
            s->blocks_slots++;
            break;
        case RV_KIND_SEGMENT:
            s->blocks_segments++;
            break;
        default:
            break;
        }
        b += size;
    }
}

static VisitStatus count_users(struct rv_store *st, VisitStats *s)
{
    struct rv_cursor cursor = {0};
    struct rv_seats seats;
    VisitStatus status = rv_seats_make(st, &seats);
    while (!status && !(status = rv_sweep_next(st, &cursor, UINT64_MAX, &seats))) {
        s->users += seats.count;
        s->index_entries += seats.entries;
        s->index_capacity += seats.in_index ? st->geo.entries / 4 * 3 + 1 : 0;
        for (uint32_t i = 0; i < seats.count; i++) {
            s->visits += visible(seats.at[i].word, st->limit);
            s->ring_slots += (uint64_t)rv_word_mask(seats.at[i].word) + 1;
        }
    }
    free(seats.at);
    return status == VISIT_END ? VISIT_OK : status;
}

static VisitStatus describe(const struct rv_store *st, VisitStats *s)
{
    struct rv_disk_record record;
    unsigned index;
    bool broken;
    VisitStatus status = rv_checkpoint_newest(st, &record, &index, &broken);
    if (status) {
        return status;
    }
    memcpy(s->uuid, st->super.uuid, sizeof s->uuid);
    s->format_version = st->super.format_version;
    s->state = st->state;
    s->max_visits = st->limit;
    s->slot_size = 1u << st->geo.slot_log2;
    s->shards = st->geo.shards;
    s->file_bytes = rv_file_size(st);
    s->block_bytes = UINT64_C(1) << st->geo.block_log2;
    s->blocks = s->file_bytes >> st->geo.block_log2;
    s->created_time_ns = st->super.created_ns;
    bool live = st->file.rw || st->state == VISIT_FOUND_IN_USE;
    s->holder_pid = live ? (uint32_t)rv_load(&st->view->holder) : 0;
    s->durable_epoch = live ? rv_load(&st->view->durable) : record.durable;
    s->epoch = live ? rv_load(&st->view->epoch) : record.durable + 1;
    s->checkpoint_time_ns = record.time_ns;
    return VISIT_OK;
}

static VisitStatus figures(struct rv_store *st, VisitStats *s)
{
    VisitStatus status = rv_others_write(st) ? rv_file_refresh(&st->file) : VISIT_OK;
    if (!status) {
        status = describe(st, s);
    }
    if (status) {
        return status;
    }
    if (st->state != VISIT_FOUND_UNCLEAN) {
        count_blocks(st, s);
    }
    return count_users(st, s);
}

VisitStatus VisitManagerStats(VisitManager *manager, VisitStats *stats)
{
    VisitStatus status = rv_enter(manager);
    if (status) {
        return status;
    }
    if (!stats || stats->size < offsetof(VisitStats, uuid) + sizeof stats->uuid) {
        return rv_fail(VISIT_ERROR_INVALID, manager->st->file.path,
                       "VisitStats: set size to sizeof(VisitStats)");
    }
    VisitStats s;
    unsigned tries = 0;
    do {
        s = (VisitStats){.size = stats->size};
        status = rv_begin_reading(manager);
        if (status) {
            return status;
        }
        status = figures(manager->st, &s);
    } while (rv_end_reading(manager, status, &tries));
    if (!status) {
        rv_clear_error(); /* of what took more than one try */
        size_t room = stats->size;
        memcpy(stats, &s, room < sizeof s ? room : sizeof s);
        if (room > sizeof s) {
            memset((char *)stats + sizeof s, 0, room - sizeof s);
        }
    }
    return status;
}
