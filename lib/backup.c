/* SPDX-License-Identifier: MIT */
/*
 * While a backup goes on no checkpoint publishes a new D, so that what D retains stays: within the
 * process by the checkpoint lock, against another process by a lock on the file. A writer that has
 * waited long enough goes on all the same; the backup then sees that D has moved, and fails.
 */
#include "backup.h"

#include "checkpoint.h"
#include "index.h"
#include "lock.h"
#include "open.h"
#include "read.h"
#include "ring.h"
#include "sweep.h"
#include "version.h"

#include <stdlib.h>

#define LOCK_WAIT_MS 60000u

struct backup {
    struct rv_store *from;
    struct rv_store *to;
    uint64_t as_of;
    struct rv_views views;
};

static VisitStatus add_one(struct backup *b, uint32_t user_id, const struct rv_view *view,
                           uint32_t copied)
{
    size_t words = rv_words(rv_slot_bytes(view));
    uint64_t *strings = malloc(words * 8);
    if (!strings) {
        return rv_fail(VISIT_ERROR_NO_MEMORY, b->from->file.path, "cannot copy: out of memory");
    }
    strings[words - 1] = 0;
    memcpy(strings, view->strings, rv_slot_bytes(view));
    struct rv_new_visit visit = {
        .user_id = user_id,
        .visit_id = view->visit_id,
        .url_length = view->url_length,
        .text_length = view->text_length,
        .time_ns = view->time_ns,
        .at_time = true,
        .is_copy = true,
        .copied = copied,
        .strings = strings,
        .strings_hash = rv_slot_strings_hash(view->strings, rv_slot_bytes(view)),
    };
    VisitStatus status = rv_ring_add(b->to, rv_hash(b->to, user_id), &visit);
    free(strings);
    return status;
}

/* A copy has no fault that a reader could not see. */
static VisitStatus check_visit(const struct rv_store *st, const struct rv_view *view,
                               const struct rv_view *newer)
{
    const char *what = NULL;
    if (!rv_slot_checksum_holds(view)) {
        what = "a visit's checksum is wrong";
    } else if (!rv_slot_strings_whole(view)) {
        what = "a visit's string ends before its length";
    } else if (newer && view->time_ns > newer->time_ns) {
        what = "a visit is younger than the one after it";
    }
    return what ? rv_corrupt(st, rv_slot_offset(st, view->slot), what) : VISIT_OK;
}

static VisitStatus copy_user(struct backup *b, const struct rv_seat *seat)
{
    uint32_t count = rv_word_count(seat->word);
    bool overflows = false;
    if (!rv_slot_word_valid(b->from, seat->word)) {
        return rv_corrupt(b->from, 0, "a user's ring lies outside the file");
    }
    VisitStatus status = rv_views_grow(&b->views, count);
    if (!status) {
        status = rv_slot_collect(b->from, b->from->file.ro, seat->user_id, seat->word,
                                 b->from->limit, b->views.at, &count);
    }
    for (uint32_t i = 0; i < count && !status; i++) {
        overflows = overflows || b->views.at[i].overflow;
        status = check_visit(b->from, &b->views.at[i], i ? &b->views.at[i - 1] : NULL);
    }
    if (!status && !overflows) {
        return rv_ring_put(b->to, seat->user_id, b->views.at, count, seat->word & RV_WORD_EXPLICIT);
    }
    for (uint32_t i = count; i-- > 0 && !status;) {
        status = add_one(b, seat->user_id, &b->views.at[i], count - 1 - i);
    }
    return status;
}

/* Has the writer gone on to another checkpoint? Then what was copied last may be of that one. */
static bool is_overtaken(const struct backup *b)
{
    const struct rv_store *st = b->from;
    return st->file.read_only && (st->state == VISIT_FOUND_IN_USE || rv_opened_since(st)) &&
           rv_load_acquire(&st->view->durable) != b->as_of;
}

static VisitStatus copy_users(struct backup *b, VisitProgress *progress, void *data)
{
    struct rv_cursor cursor = {0};
    struct rv_seats seats;
    uint64_t done = 0;
    VisitStatus status = rv_seats_make(b->from, &seats);
    while (!status && !is_overtaken(b) &&
           !(status = rv_sweep_next(b->from, &cursor, b->as_of, &seats))) {
        for (uint32_t i = 0; i < seats.count && !status; i++) {
            status = copy_user(b, &seats.at[i]);
        }
        done += seats.count;
        if (!status && progress && progress(data, "copying users", done, 0)) {
            status = rv_fail(VISIT_ERROR_CANCELLED, b->from->file.path, "the backup was stopped");
        }
    }
    free(seats.at);
    return status == VISIT_END ? VISIT_OK : status;
}

static VisitStatus copy(struct rv_store *st, const char *path, uint64_t as_of,
                        VisitProgress *progress, void *data)
{
    struct rv_options options = {
        .max_visits = st->limit,
        .slot_log2 = st->geo.slot_log2,
        .block_log2 = st->geo.block_log2,
        .shards = st->geo.shards,
        .file_mode = 0600,
        .erase = st->erase,
    };
    struct backup b = {.from = st, .as_of = as_of};
    VisitStatus status = rv_store_create_unnamed(path, &options, &b.to);
    if (status) {
        return status;
    }
    status = copy_users(&b, progress, data);
    free(b.views.at);
    if ((!status || status == VISIT_ERROR_CORRUPT) && is_overtaken(&b)) {
        status = rv_fail(VISIT_ERROR_BUSY, st->file.path,
                         "its writer did not wait for the backup (backup_wait_ms); try again");
    }
    if (status) {
        rv_store_abandon(b.to);
        return status;
    }
    return rv_store_finish(b.to);
}

/* All backups through one file description share its lock: the first takes it, the last drops it.
 */
static VisitStatus hold_checkpoints(struct rv_store *st)
{
    VisitStatus status = VISIT_OK;
    pthread_mutex_lock(&st->checkpoint_lock);
    if (st->backups == 0) {
        status = rv_file_lock(&st->file, RV_LOCK_BACKUP, RV_LOCK_READ, LOCK_WAIT_MS);
    }
    st->backups += !status;
    pthread_mutex_unlock(&st->checkpoint_lock);
    if (status == VISIT_ERROR_BUSY) {
        return rv_fail(status, st->file.path, "a checkpoint has been going on for long; try again");
    }
    return status;
}

static void release_checkpoints(struct rv_store *st)
{
    pthread_mutex_lock(&st->checkpoint_lock);
    if (--st->backups == 0) {
        rv_file_lock(&st->file, RV_LOCK_BACKUP, RV_LOCK_NONE, 0);
    }
    pthread_mutex_unlock(&st->checkpoint_lock);
}

static VisitStatus backup_beside_writer(struct rv_store *st, const char *path,
                                        VisitProgress *progress, void *data)
{
    VisitStatus status = hold_checkpoints(st);
    if (status) {
        return status;
    }
    bool in_use = st->state == VISIT_FOUND_IN_USE;
    uint64_t as_of = in_use ? rv_load_acquire(&st->view->durable) : st->record.durable;
    /* What D names lies in the file as it is now, not as it was when it was opened. */
    status = rv_file_refresh(&st->file);
    if (!status) {
        status = copy(st, path, as_of, progress, data);
    }
    release_checkpoints(st);
    return status;
}

VisitStatus rv_backup(struct rv_store *st, const char *path, VisitProgress *progress,
                      void *progress_data)
{
    if (st->file.read_only) {
        return backup_beside_writer(st, path, progress, progress_data);
    }
    VisitStatus status = rv_checkpoint_durable(st);
    if (!status) {
        status = rv_lock_checkpoint(st, st->lock_wait_ms);
    }
    if (!status) {
        status = copy(st, path, rv_load(&st->live->durable), progress, progress_data);
        rv_unlock_checkpoint(st);
    }
    return status;
}
