/* SPDX-License-Identifier: MIT */
#include "sweep.h"

#include "index.h"
#include "lock.h"
#include "ring.h"
#include "version.h"

#include <errno.h>
#include <stdlib.h>

#define TRIES 1000u

static const struct rv_disk_block *header_of(const struct rv_store *st, uint32_t block)
{
    return rv_ro(st, rv_header_offset(st, block));
}

static void advance(struct rv_cursor *cursor, uint32_t depth)
{
    uint64_t size = depth ? UINT64_C(1) << (64 - depth) : 0;
    cursor->prefix = depth ? (cursor->prefix & ~(size - 1)) + size : 0;
    if (cursor->prefix == 0) {
        cursor->shard++;
    }
}

/* One entry, consistent in itself; false if it has no visits. */
static bool read_seat(const struct rv_disk_entry *entry, uint64_t as_of, struct rv_seat *seat)
{
    uint64_t line;
    uint64_t epoch;
    do {
        line = rv_load_acquire((const uint64_t *)entry);
        seat->word = rv_word_as_of(entry->version, as_of, &epoch);
        rv_fence_acquire();
    } while (rv_load((const uint64_t *)entry) != line);
    seat->user_id = (uint32_t)line;
    seat->changes = (uint32_t)(line >> 32);
    return seat->word != 0;
}

static void read_seats(const struct rv_store *st, uint32_t block, uint64_t as_of,
                       struct rv_seats *seats)
{
    const struct rv_disk_entry *lines = rv_ro(st, rv_block_offset(st, block));
    seats->count = 0;
    seats->entries = 0;
    for (uint32_t i = 1; i <= st->geo.entries; i++) {
        if (rv_entry_used(&lines[i])) {
            seats->entries++;
            seats->count += read_seat(&lines[i], as_of, &seats->at[seats->count]);
        }
    }
}

/* A recovery may have taken back a split: of the segment that there is now, the part below the
 * cursor has been. */
static void leave_out_seen(const struct rv_store *st, uint64_t prefix, struct rv_seats *seats)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < seats->count; i++) {
        if (rv_hash(st, seats->at[i].user_id) >= prefix) {
            seats->at[kept++] = seats->at[i];
        }
    }
    seats->count = kept;
}

VisitStatus rv_seats_make(const struct rv_store *st, struct rv_seats *ret_seats)
{
    *ret_seats = (struct rv_seats){.at = malloc(st->geo.entries * sizeof *ret_seats->at)};
    return ret_seats->at ? VISIT_OK : rv_fail_errno(st->file.path, "read", ENOMEM);
}

/* A cursor that trusted it could take for ever. */
static VisitStatus wrong_prefix(const struct rv_store *st, uint32_t block)
{
    return rv_corrupt(st, rv_header_offset(st, block), "a segment's prefix is wrong");
}

/* A shard with one segment has one for every hash: going on with the next shard would leave users
 * out without a word. */
static VisitStatus gap(const struct rv_store *st, const struct rv_shard *sh)
{
    return rv_corrupt(st, (const uint8_t *)sh->view->root - st->file.ro,
                      "a directory pointer leads nowhere");
}

/* A writer that opens the store may make the index anew: meanwhile it looks empty. The segments of
 * the last checkpoint, which a reader of a crashed store has found by itself, stay until that
 * writer has it open and makes another. */
static bool opened_anew(const struct rv_store *st)
{
    if (!st->file.read_only || !rv_opened_since(st)) {
        return false;
    }
    bool is_opening = rv_load_acquire(&st->view->serial) == ((st->serial + 1) | 1);
    return st->state != VISIT_FOUND_UNCLEAN ||
           (!is_opening && rv_load_acquire(&st->view->durable) != st->as_of);
}

static VisitStatus next_segment(struct rv_store *st, struct rv_cursor *cursor, uint64_t as_of,
                                struct rv_seats *seats)
{
    as_of = as_of < st->as_of ? as_of : st->as_of;
    if (cursor->shard >= st->geo.shards) {
        return VISIT_END;
    }
    const struct rv_shard *sh = &st->shard[cursor->shard];
    VisitStatus status = VISIT_OK;
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t size = rv_file_size(st);
        uint64_t structure = rv_load_acquire(&sh->view->structure);
        uint32_t block = 0;
        uint32_t depth = 0;
        seats->count = 0;
        seats->entries = 0;
        seats->in_index = false;
        status = rv_index_segment(st, sh, cursor->prefix, &block);
        if (!status && block && !rv_segment_covers(st, block, cursor->prefix)) {
            status = wrong_prefix(st, block);
        }
        if (!status && !block && cursor->prefix) {
            status = gap(st, sh);
        }
        if (!status && block) {
            depth = rv_depth(header_of(st, block));
            read_seats(st, block, as_of, seats);
            if (rv_load(&header_of(st, block)->prefix) < cursor->prefix) {
                leave_out_seen(st, cursor->prefix, seats);
            }
            seats->in_index = true;
        }
        rv_fence_acquire();
        if (opened_anew(st)) {
            return rv_fail(VISIT_ERROR_BUSY, st->file.path,
                           "a writer has opened it during the call; try again");
        }
        bool moved = rv_load(&sh->view->structure) != structure;
        if (rv_others_write(st) && (moved || status == VISIT_ERROR_CORRUPT)) {
            VisitStatus refreshed = rv_file_refresh(&st->file);
            if (refreshed) {
                return refreshed;
            }
        }
        /* What lies beyond the end is damage only if the end has not moved. */
        bool grown = status == VISIT_ERROR_CORRUPT && rv_file_size(st) != size;
        if (!moved && !grown) {
            advance(cursor, depth);
            return status;
        }
    }
    return rv_fail(VISIT_ERROR_BUSY, st->file.path,
                   "the index changes faster than it can be read; try again");
}

VisitStatus rv_sweep_next(struct rv_store *st, struct rv_cursor *cursor, uint64_t as_of,
                          struct rv_seats *seats)
{
    VisitStatus status = next_segment(st, cursor, as_of, seats);
    if (status) {
        seats->count = 0;
    }
    return status;
}

static VisitStatus trim_segment(struct rv_store *st, struct rv_shard *sh, uint32_t block)
{
    struct rv_disk_entry *lines = rv_rw(st, rv_block_offset(st, block));
    VisitStatus status = VISIT_OK;
    for (uint32_t i = 1; i <= st->geo.entries && !status; i++) {
        if (rv_entry_used(&lines[i])) {
            status = rv_ring_trim(st, sh, &lines[i]);
        }
    }
    return status;
}

VisitStatus rv_sweep_trim(struct rv_store *st)
{
    struct rv_cursor cursor = {0};
    VisitStatus status = VISIT_OK;
    while (!status && cursor.shard < st->geo.shards) {
        struct rv_shard *sh = &st->shard[cursor.shard];
        uint32_t block = 0;
        status = rv_lock_shard(st, sh);
        if (status) {
            return status;
        }
        status = rv_index_segment(st, sh, cursor.prefix, &block);
        if (!status && block && !rv_segment_covers(st, block, cursor.prefix)) {
            status = wrong_prefix(st, block);
        }
        if (!status && !block && cursor.prefix) {
            status = gap(st, sh);
        }
        if (!status && block) {
            status = trim_segment(st, sh, block);
        }
        rv_unlock_shard(st, sh);
        advance(&cursor, !status && block ? rv_depth(header_of(st, block)) : 0);
        if (!status && st->progress &&
            st->progress(st->progress_data, "making the limit true", cursor.shard,
                         st->geo.shards)) {
            status = rv_fail(VISIT_ERROR_CANCELLED, st->file.path, "the sweep was stopped");
        }
    }
    return status;
}
