/* SPDX-License-Identifier: MIT */
#include "checkpoint.h"

#include "hash.h"
#include "lock.h"
#include "run.h"
#include "super.h"

#include <errno.h>
#include <time.h>

#define ERASE_STEPS 16u /* runs that are erased under one lock */

static uint64_t record_checksum(const struct rv_store *st, const struct rv_disk_record *record)
{
    uint64_t seed;
    memcpy(&seed, st->super.uuid, sizeof seed);
    return XXH3_64bits_withSeed(record, offsetof(struct rv_disk_record, checksum), seed);
}

static bool is_zero(const struct rv_disk_record *record)
{
    static const struct rv_disk_record zero;
    return memcmp(record, &zero, sizeof zero) == 0;
}

/* An epoch has 56 bits in a cell. A writer asks for more: rv_checkpoint_has_room(). */
static bool in_range(const struct rv_disk_record *record)
{
    return record->serial && record->serial >> 63 == 0 && record->durable >> 55 == 0;
}

VisitStatus rv_checkpoint_newest(const struct rv_store *st, struct rv_disk_record *ret_record,
                                 unsigned *ret_index, bool *ret_broken)
{
    struct rv_disk_record record[2];
    bool valid[2];
    for (unsigned i = 0; i < 2; i++) {
        rv_copy_out(&record[i], rv_ro(st, (1 + i) * RV_PAGE), sizeof record[i] / 8);
        valid[i] = record[i].checksum == record_checksum(st, &record[i]) && in_range(&record[i]);
    }
    if (!valid[0] && !valid[1]) {
        return rv_corrupt(st, RV_PAGE, "neither checkpoint record is valid");
    }
    unsigned newest = valid[1] && (!valid[0] || record[1].serial > record[0].serial);
    *ret_record = record[newest];
    *ret_index = newest;
    *ret_broken = !valid[!newest] && !is_zero(&record[!newest]);
    return VISIT_OK;
}

VisitStatus rv_checkpoint_load(struct rv_store *st)
{
    return rv_checkpoint_newest(st, &st->record, &st->record_index, &st->broken_record);
}

/* No time that the clock gave to a visit as of now is above it. A store in the making has no shards
 * yet. */
static int64_t last_time(const struct rv_store *st)
{
    int64_t last = st->record.last_time;
    for (uint32_t i = 0; st->shard && i < st->geo.shards; i++) {
        int64_t time = (int64_t)rv_load(&st->shard[i].view->last_time);
        last = time > last ? time : last;
    }
    return last;
}

/* Writes and syncs; the caller has synced what the record speaks of, and the other record. */
static VisitStatus write_record(struct rv_store *st, uint64_t durable, uint64_t blocks,
                                uint32_t flags)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct rv_disk_record record = {
        .serial = st->record.serial + 1,
        .durable = durable,
        .blocks = blocks,
        .limit = st->limit,
        .flags = flags | (st->trimmed ? RV_RECORD_TRIMMED : 0),
        .time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
        .last_time = last_time(st),
    };
    record.checksum = record_checksum(st, &record);
    unsigned index = !st->record_index;
    rv_copy_in(rv_rw(st, (1 + index) * RV_PAGE), &record, sizeof record / 8);
    VisitStatus status =
        rv_file_sync_range(&st->file, (1 + index) * RV_PAGE, sizeof(struct rv_disk_record));
    if (!status) {
        st->record = record;
        st->record_index = index;
        rv_store(&st->live->synced, record.serial);
    }
    return status;
}

/*
 * What a torn record left in the other place is wiped before the sync that precedes a write: one
 * word of the new record could complete the old one. Returns whether there was one.
 */
static bool wipe_torn_record(struct rv_store *st)
{
    struct rv_disk_record record;
    uint64_t *place = rv_rw(st, (1 + !st->record_index) * RV_PAGE);
    rv_copy_out(&record, place, sizeof record / 8);
    bool torn = !is_zero(&record) && record.checksum != record_checksum(st, &record);
    for (size_t i = 0; torn && i < sizeof record / 8; i++) {
        rv_store(&place[i], 0);
    }
    return torn;
}

/* After a failed sync the system may have dropped what it could not write. */
static VisitStatus sync_failed(struct rv_store *st, VisitStatus status)
{
    rv_store(&st->live->failed, EIO);
    return status;
}

VisitStatus rv_checkpoint_allows_writing(const struct rv_store *st)
{
    if (!rv_load(&st->view->failed)) {
        return VISIT_OK;
    }
    return rv_fail(VISIT_ERROR_IO, st->file.path,
                   "a sync has failed before; close the store, check the disk and open it again: "
                   "it will be as of its last checkpoint");
}

VisitStatus rv_checkpoint_record(struct rv_store *st, uint32_t flags)
{
    VisitStatus status = rv_checkpoint_allows_writing(st);
    if (status) {
        return status;
    }
    wipe_torn_record(st);
    status = rv_file_sync(&st->file);
    if (!status) {
        status = write_record(st, rv_load(&st->live->durable), rv_load(&st->live->blocks), flags);
    }
    return status ? sync_failed(st, status) : status;
}

/* A sync that failed may have left a page clean in memory and old on disk: it is written again. */
static void touch_records(struct rv_store *st)
{
    for (unsigned i = 0; i < 2; i++) {
        uint64_t *place = rv_rw(st, (1 + i) * RV_PAGE);
        for (size_t k = 0; k < sizeof(struct rv_disk_record) / 8; k++) {
            rv_store(&place[k], rv_load(&place[k]));
        }
    }
}

VisitStatus rv_checkpoint_begin_writing(struct rv_store *st, bool killed)
{
    bool durable = rv_load(&st->live->synced) == st->record.serial && !st->broken_record;
    bool clean = st->record.flags & RV_RECORD_CLEAN;
    VisitStatus status = rv_file_fill_holes(&st->file);
    if (status) {
        return status;
    }
    rv_super_restore(st, !killed || !durable);
    if (!killed || !durable) {
        touch_records(st);
        wipe_torn_record(st);
        status = rv_file_sync(&st->file);
    }
    if (!status && clean) {
        status = write_record(st, st->record.durable, st->record.blocks, 0);
    }
    if (!status) {
        rv_store_release(&st->live->serial, (rv_load(&st->live->serial) + 1) | 1);
        rv_fence_release();
    }
    /* What a dead writer left may be among what could not be written: no more repair from that. */
    return status ? sync_failed(st, status) : status;
}

VisitStatus rv_checkpoint_pass_locks(struct rv_store *st)
{
    VisitStatus status = rv_lock_alloc(st);
    if (!status) {
        rv_unlock_alloc(st);
    }
    for (uint32_t i = 0; i < st->geo.shards && !status; i++) {
        status = rv_lock_shard(st, &st->shard[i]);
        if (!status) {
            rv_unlock_shard(st, &st->shard[i]);
        }
    }
    return status;
}

static VisitStatus run_once(struct rv_store *st)
{
    uint64_t durable = rv_load(&st->live->durable);
    if (rv_load(&st->live->epoch) == durable + 1) {
        rv_store_release(&st->live->epoch, durable + 2);
    }
    /* Until no operation that read the old epoch is under way. */
    VisitStatus status = rv_checkpoint_pass_locks(st);
    if (status) {
        return status;
    }
    /* What the record says of the file's length must be durable with (2). */
    uint64_t blocks = rv_load(&st->live->blocks);
    status = rv_lock_follow_growth(st, blocks);
    if (status) {
        return status;
    }
    uint64_t header_end = rv_block_offset(st, st->geo.header_blocks);
    bool whole = wipe_torn_record(st) || st->shared || !st->header_safe;
    status = rv_file_sync_busy(&st->file, whole ? 0 : header_end);
    if (status) {
        return sync_failed(st, status);
    }
    /* Before a store is open it is not yet clear that it won't be shared. */
    st->header_safe =
        !st->shared && (st->header_safe || (st->file.busy && rv_file_pin(&st->file, header_end)));
    /* A backup by another process relies on D; after its time is up it has to notice and fail. */
    bool alone =
        rv_file_lock(&st->file, RV_LOCK_BACKUP, RV_LOCK_WRITE, st->backup_wait_ms) == VISIT_OK;
    status = write_record(st, durable + 1, blocks, 0);
    if (!status) {
        rv_store_release(&st->live->durable, durable + 1);
    }
    if (alone) {
        rv_file_lock(&st->file, RV_LOCK_BACKUP, RV_LOCK_NONE, 0);
    }
    return status ? sync_failed(st, status) : status;
}

static bool changed_since(const struct rv_store *st, uint64_t durable)
{
    for (uint32_t i = 0; i < st->geo.shards; i++) {
        if (rv_load(&st->shard[i].disk->changed) > durable) {
            return true;
        }
    }
    return false;
}

VisitStatus rv_checkpoint_follow(struct rv_store *st)
{
    VisitStatus status = st->shared ? rv_checkpoint_load(st) : VISIT_OK;
    if (!status && st->shared && st->broken_record) {
        wipe_torn_record(st);
        st->broken_record = false;
    }
    return status;
}

/* Moves what is durable from limbo to the free lists, which erases it; a few runs at a time, so
 * that nobody waits for long. */
static VisitStatus erase_in_shard(struct rv_store *st, struct rv_shard *sh)
{
    bool any = true;
    VisitStatus status = VISIT_OK;
    while ((!status || status == VISIT_ERROR_CORRUPT) && any && rv_run_in_limbo(sh)) {
        any = false;
        status = rv_lock_shard(st, sh);
        if (!status) {
            status = rv_run_drain(st, sh, ERASE_STEPS, &any);
            rv_unlock_shard(st, sh);
        }
    }
    return status;
}

/* Damage in one shard does not keep the others from it. */
static VisitStatus erase(struct rv_store *st, VisitStatus *ret_damage)
{
    *ret_damage = VISIT_OK;
    for (uint32_t i = 0; st->erase && i < st->geo.shards; i++) {
        VisitStatus status = erase_in_shard(st, &st->shard[i]);
        if (status && status != VISIT_ERROR_CORRUPT) {
            return status;
        }
        *ret_damage = status ? status : *ret_damage;
    }
    return VISIT_OK;
}

/*
 * What became durable is erased before the next checkpoint may begin: that would let its chain of
 * limbo be used again, and what is left of it wait for two more. Who made it durable may have been
 * kept from erasing it, or killed. Damage that is met there is told, but what is whole must become
 * durable all the same.
 */
static VisitStatus checkpoint(struct rv_store *st, bool always, uint32_t wait_ms,
                              VisitStatus *ret_damage)
{
    *ret_damage = VISIT_OK;
    uint64_t target = rv_load_acquire(&st->live->epoch);
    if (!always && rv_load_acquire(&st->live->durable) + 1 == target &&
        !changed_since(st, target - 1)) {
        VisitStatus allowed = rv_checkpoint_allows_writing(st);
        /* Nothing has happened since the last one. */
        return allowed ? allowed : erase(st, ret_damage);
    }
    bool durable;
    VisitStatus status =
        rv_lock_checkpoint_unless(st, always ? UINT64_MAX : target, wait_ms, &durable);
    if (status) {
        return status;
    }
    if (durable) {
        return erase(st, ret_damage); /* whoever made it so may be of a mind to erase later */
    }
    status = rv_checkpoint_allows_writing(st);
    if (!status) {
        status = rv_checkpoint_follow(st);
    }
    /* One that is left over from a dead process makes only its own epoch durable: go on after it.
     */
    while (!status && rv_load(&st->live->durable) < target &&
           (always || changed_since(st, rv_load(&st->live->durable)))) {
        status = erase(st, ret_damage);
        if (!status) {
            status = run_once(st);
        }
    }
    if (!status) {
        status = erase(st, ret_damage);
    }
    rv_unlock_checkpoint(st);
    return status;
}

VisitStatus rv_checkpoint(struct rv_store *st)
{
    VisitStatus damage;
    VisitStatus status = checkpoint(st, false, st->lock_wait_ms, &damage);
    return status ? status : damage;
}

VisitStatus rv_checkpoint_durable(struct rv_store *st)
{
    VisitStatus damage;
    return checkpoint(st, false, st->lock_wait_ms, &damage);
}

VisitStatus rv_checkpoint_always(struct rv_store *st)
{
    VisitStatus damage;
    return checkpoint(st, true, st->lock_wait_ms, &damage);
}

/* What another sharer made durable it may have taken out of limbo too: the count would only rise.
 */
static VisitStatus forget_limbo(struct rv_store *st)
{
    VisitStatus status = VISIT_OK;
    for (uint32_t i = 0; i < st->geo.shards && !status; i++) {
        status = rv_lock_shard(st, &st->shard[i]);
        if (!status) {
            st->shard[i].limbo_slots = 0;
            rv_unlock_shard(st, &st->shard[i]);
        }
    }
    return status;
}

VisitStatus rv_checkpoint_by_clock(struct rv_store *st, uint64_t *seen)
{
    bool by_another = st->shared && rv_load(&st->live->durable) != *seen;
    VisitStatus damage;
    VisitStatus status = by_another ? erase(st, &damage) : checkpoint(st, false, 0, &damage);
    if (by_another && !status) {
        status = forget_limbo(st);
    }
    *seen = rv_load(&st->live->durable);
    return status ? status : damage;
}

VisitStatus rv_checkpoint_reclaim(struct rv_store *st)
{
    VisitStatus status = rv_checkpoint_durable(st);
    for (uint32_t i = 0; i < st->geo.shards && !status; i++) {
        bool any = true;
        status = rv_lock_shard(st, &st->shard[i]);
        if (status) {
            return status;
        }
        while ((!status || status == VISIT_ERROR_CORRUPT) && any) {
            status = rv_run_drain(st, &st->shard[i], 1000, &any);
        }
        rv_unlock_shard(st, &st->shard[i]);
        status = status == VISIT_ERROR_CORRUPT ? VISIT_OK : status; /* what is whole will do */
    }
    return status;
}
