/* SPDX-License-Identifier: MIT */
#include "recover.h"

#include "alloc.h"
#include "checkpoint.h"
#include "index.h"
#include "lock.h"
#include "marks.h"
#include "read.h"
#include "run.h"
#include "version.h"

#include <errno.h>
#include <stdlib.h>

/* ---- after a kill ---- */

static VisitStatus repair_log(struct rv_store *st, struct rv_shard *sh)
{
    struct rv_log log = rv_log_begin(st->file.rw, &sh->disk->undo, sh->disk->pair, RV_UNDO_SHARD);
    uint64_t published = 0;
    VisitStatus status = VISIT_OK;
    switch (rv_log_repair(&log, rv_file_size(st), &published)) {
    case RV_LOG_DAMAGED:
        return rv_corrupt(st, (uint8_t *)sh->disk - st->file.rw,
                          "a shard's undo log makes no sense");
    case RV_LOG_PUBLISHED:
        status = rv_index_redo(st, sh, published);
        rv_log_drop(&log);
        break;
    case RV_LOG_EMPTY:
    case RV_LOG_UNDONE:
        break;
    }
    rv_store_release(&sh->disk->structure, rv_load(&sh->disk->structure) + 1);
    return status;
}

static VisitStatus repair_shard(struct rv_store *st, struct rv_shard *sh)
{
    VisitStatus status = repair_log(st, sh);
    for (unsigned i = 0; i < RV_HAND && !status; i++) {
        if (rv_load(&sh->disk->hand[i])) {
            status = rv_alloc_give(st, &sh->disk->hand[i]);
        }
    }
    return status;
}

VisitStatus rv_repair_beside(struct rv_store *st, struct rv_shard *sh)
{
    if (!sh) {
        return rv_alloc_repair(st);
    }
    /* The allocator's log may be about this shard's hand: it comes first. */
    VisitStatus status = rv_lock_alloc(st);
    if (!status) {
        rv_unlock_alloc(st);
        status = repair_log(st, sh);
    }
    return status;
}

bool rv_repair_possible(const struct rv_store *st)
{
    uint64_t durable = rv_load(&st->view->durable);
    uint64_t epoch = rv_load(&st->view->epoch);
    uint64_t blocks = rv_load(&st->view->blocks);
    return durable <= st->record.durable && st->record.durable <= durable + 1 && epoch > durable &&
           epoch <= durable + 2 && blocks >= st->record.blocks &&
           blocks <= rv_file_size(st) >> st->geo.block_log2;
}

VisitStatus rv_repair(struct rv_store *st)
{
    VisitStatus status = rv_alloc_repair(st);
    for (uint32_t i = 0; i < st->geo.shards && !status; i++) {
        status = repair_shard(st, &st->shard[i]);
    }
    if (!status && !rv_repair_possible(st)) { /* a log that restores what no operation changes */
        status = rv_corrupt(st, 3 * RV_PAGE, "the live state makes no sense");
    }
    return status;
}

/* ---- after a power cut ---- */

struct recovery {
    struct rv_store *st;
    uint64_t durable; /* D */
    uint64_t blocks;
    struct rv_marks marks;
    struct rv_private_segment *segments;
    size_t segment_count;
    struct rv_views *views;
    bool check_all; /* every chain and checksum */
};

static VisitStatus tell(struct rv_store *st, const char *what, uint64_t done, uint64_t total)
{
    if (st->progress && st->progress(st->progress_data, what, done, total)) {
        return rv_fail(VISIT_ERROR_CANCELLED, st->file.path,
                       "recovery was stopped; open the store again to go on");
    }
    return VISIT_OK;
}

static const struct rv_disk_block *header_of(const struct rv_store *st, uint64_t block)
{
    return rv_ro(st, rv_header_offset(st, block));
}

static VisitStatus check_cover(const struct rv_store *st, const struct rv_private_segment *segments,
                               size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct rv_private_segment *s = &segments[i];
        bool first = i == 0 || s[-1].shard != s->shard;
        bool last = i + 1 == count || s[1].shard != s->shard;
        uint32_t depth = rv_depth(header_of(st, s->block));
        uint64_t end = depth ? s->prefix + (UINT64_C(1) << (64 - depth)) : 0; /* 0: 2^64 */
        uint64_t expected = last ? 0 : s[1].prefix;
        bool wrapped = depth && end == 0;
        if ((first && s->prefix) || (last && depth && !wrapped) || end != expected ||
            (!last && (wrapped || depth == 0)) || (depth && s->prefix << depth) ||
            (depth == 0 && s->prefix)) {
            return rv_corrupt(st, rv_header_offset(st, s->block),
                              "the segments of the index overlap or leave a gap");
        }
    }
    return VISIT_OK;
}

static VisitStatus add_segment(const struct rv_store *st, uint64_t block,
                               struct rv_private_segment **segments, size_t *count, size_t *room)
{
    if (*count == *room) {
        size_t more = *room ? *room * 2 : 64;
        struct rv_private_segment *grown = realloc(*segments, more * sizeof *grown);
        if (!grown) {
            return rv_fail_errno(st->file.path, "examine", ENOMEM);
        }
        *segments = grown;
        *room = more;
    }
    const struct rv_disk_block *header = header_of(st, block);
    uint64_t segment = rv_load(&header->segment);
    if (segment >> 8 >= st->geo.shards || rv_depth(header) > 56) {
        return rv_corrupt(st, rv_header_offset(st, block), "a segment's header makes no sense");
    }
    (*segments)[(*count)++] = (struct rv_private_segment){
        .shard = (uint32_t)(segment >> 8),
        .block = (uint32_t)block,
        .prefix = rv_load(&header->prefix),
    };
    return VISIT_OK;
}

VisitStatus rv_recover_segments(const struct rv_store *st, uint64_t as_of,
                                struct rv_private_segment **ret_segments, size_t *ret_count)
{
    struct rv_private_segment *segments = calloc(1, sizeof *segments);
    size_t count = 0;
    size_t room = segments ? 1 : 0;
    uint64_t blocks = rv_file_size(st) >> st->geo.block_log2;
    VisitStatus status = segments ? VISIT_OK : rv_fail_errno(st->file.path, "examine", ENOMEM);
    for (uint64_t block = st->geo.header_blocks; block < blocks && !status; block++) {
        if (!rv_is_map(st, block) &&
            rv_use_as_of(header_of(st, block)->cell, as_of) == RV_USE_SEGMENT) {
            status = add_segment(st, block, &segments, &count, &room);
        }
    }
    if (!status) {
        rv_index_sort(segments, count);
        status = check_cover(st, segments, count);
    }
    if (status) {
        free(segments);
        return status;
    }
    *ret_segments = segments;
    *ret_count = count;
    return VISIT_OK;
}

/* How many blocks the block maps in the file describe; their last ones may be yet to come. */
static uint64_t described(const struct recovery *r)
{
    uint64_t first = r->st->geo.header_blocks;
    uint64_t span = r->st->geo.map_span;
    return first + (r->blocks - first + span - 1) / span * span;
}

/*
 * What bears an epoch: 0 if that is of the lost timeline. It is stored in any case. After a sync
 * that failed the page may be clean in memory and old on the disk, with what was wiped before.
 */
static void settle(struct recovery *r, uint64_t *word, unsigned shift)
{
    uint64_t value = rv_load(word);
    rv_store(word, value >> shift > r->durable ? 0 : value);
}

/*
 * Cells of a lost timeline would come true when the epoch gets there again; those of blocks beyond
 * the end too, once the file has grown again.
 */
static VisitStatus wipe_headers(struct recovery *r)
{
    struct rv_store *st = r->st;
    VisitStatus status = VISIT_OK;
    uint64_t end = described(r);
    for (uint64_t block = st->geo.header_blocks; block < end && !status; block++) {
        struct rv_disk_block *header = rv_header(st, block);
        for (unsigned i = 0; i < 3; i++) {
            settle(r, &header->cell[i], 8);
        }
        if (block % 4096 == 0) {
            status = tell(st, "recovering: block maps", block, r->blocks);
        }
    }
    return status;
}

/* Versions of the lost timeline go; the hint on visit ids may be torn, so it says nothing now. */
static void wipe_segment(struct recovery *r, uint64_t block)
{
    struct rv_disk_entry *lines = rv_rw(r->st, rv_block_offset(r->st, block));
    struct rv_disk_segment *head = (struct rv_disk_segment *)lines;
    uint64_t used = 0;
    rv_store(&head->moved, 0);
    for (uint32_t i = 1; i <= r->st->geo.entries; i++) {
        for (unsigned k = 0; k < 3; k++) {
            settle(r, &lines[i].version[k].epoch, 0);
        }
        used += rv_entry_used(&lines[i]);
        rv_store((uint64_t *)&lines[i].newest, UINT64_MAX);
    }
    rv_store(&head->count, used);
}

static VisitStatus check_epochs(struct recovery *r, const struct rv_disk_entry *entry)
{
    for (unsigned i = 0; i < 3; i++) {
        if (rv_load(&entry->version[i].epoch) > r->durable + 2) {
            return rv_corrupt(
                r->st, (const uint8_t *)entry - r->st->file.ro,
                "an epoch lies in the future: the file was copied while it was written");
        }
    }
    return VISIT_OK;
}

static VisitStatus check_views(struct recovery *r, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!rv_slot_checksum_holds(&r->views->at[i])) {
            return rv_corrupt(r->st, rv_slot_offset(r->st, r->views->at[i].slot),
                              "a visit's checksum is wrong");
        }
    }
    return VISIT_OK;
}

static VisitStatus mark_run(struct recovery *r, uint32_t slot, uint32_t run_class, uint32_t shard)
{
    const char *what = rv_marks_run(r->st, &r->marks, slot, run_class, shard);
    return what ? rv_corrupt(r->st, rv_slot_offset(r->st, slot), what) : VISIT_OK;
}

/* The visits themselves are read only where they name other runs, or where all is to be checked. */
static VisitStatus mark_visits(struct recovery *r, uint32_t user_id, uint64_t word, uint32_t shard)
{
    uint32_t count = rv_word_count(word);
    VisitStatus status = rv_views_grow(r->views, count);
    if (!status) {
        status = rv_slot_collect(r->st, r->st->file.ro, user_id, word, count, r->views->at, &count);
    }
    for (uint32_t i = 0; i < count && !status; i++) {
        const struct rv_view *view = &r->views->at[i];
        if (view->overflow) {
            status = mark_run(r, view->overflow, rv_slot_overflow_class(r->st, rv_slot_bytes(view)),
                              shard);
        }
    }
    return status || !r->check_all ? status : check_views(r, count);
}

static VisitStatus check_entry(struct recovery *r, const struct rv_private_segment *segment,
                               const struct rv_disk_entry *entry)
{
    struct rv_store *st = r->st;
    uint64_t offset = (uint64_t)((const uint8_t *)entry - st->file.ro);
    uint64_t epoch;
    uint64_t word = rv_word_as_of(entry->version, r->durable, &epoch);
    VisitStatus status = check_epochs(r, entry);
    if (status || !epoch) {
        return status;
    }
    uint32_t user_id = rv_load32(&entry->user_id);
    uint64_t hash = rv_hash(st, user_id);
    if (rv_shard_of(st, hash)->index != segment->shard ||
        !rv_prefix_covers(segment->prefix, rv_depth(header_of(st, segment->block)), hash)) {
        return rv_corrupt(st, offset, "a user's entry is in a wrong segment");
    }
    if (word == 0) {
        return VISIT_OK;
    }
    if (!rv_slot_word_valid(st, word)) {
        return rv_corrupt(st, offset, "a user's ring lies nowhere");
    }
    status = mark_run(r, rv_word_base(word), rv_word_class(word), segment->shard);
    if (!status && (word & RV_WORD_OVERFLOW || r->check_all)) {
        status = mark_visits(r, user_id, word, segment->shard);
    }
    return status;
}

static VisitStatus check_segment(struct recovery *r, const struct rv_private_segment *segment)
{
    struct rv_store *st = r->st;
    const char *what = rv_marks_segment(st, &r->marks, segment->block, segment->shard);
    if (what) {
        return rv_corrupt(st, rv_block_offset(st, segment->block), what);
    }
    const struct rv_disk_entry *lines = rv_ro(st, rv_block_offset(st, segment->block));
    VisitStatus status = VISIT_OK;
    for (uint32_t i = 1; i <= st->geo.entries && !status; i++) {
        status = check_entry(r, segment, &lines[i]);
    }
    return status;
}

/* Finds and checks all that the last checkpoint names, and changes nothing. */
static VisitStatus check_index(struct recovery *r)
{
    VisitStatus status = rv_recover_segments(r->st, r->durable, &r->segments, &r->segment_count);
    for (size_t i = 0; i < r->segment_count && !status; i++) {
        status = check_segment(r, &r->segments[i]);
        if (!status && i % 16 == 0) {
            status = tell(r->st, "recovering: index", i, r->segment_count);
        }
    }
    return status;
}

/* All derived state begins empty; undo logs of a lost timeline must never be acted upon. */
static void reset_live(struct recovery *r)
{
    struct rv_store *st = r->st;
    rv_store(&st->live->undo.count, 0);
    rv_store(&st->live->undo.publish_offset, 0);
    for (unsigned i = 0; i < RV_ORDERS; i++) {
        rv_store(&st->live->free[i], 0);
    }
    rv_store(&st->live->blocks, st->geo.header_blocks);
    rv_store(&st->live->durable, r->durable);
    rv_store(&st->live->epoch, r->durable + 1);
    rv_store(&st->live->failed, 0);
    for (uint32_t i = 0; i < st->geo.shards; i++) {
        struct rv_disk_shard *disk = st->shard[i].disk;
        rv_store(&disk->structure, rv_load(&disk->structure) + 1);
        size_t from = offsetof(struct rv_disk_shard, first);
        size_t to = offsetof(struct rv_disk_shard, reserved);
        for (size_t k = from; k < to; k += 8) {
            rv_store((uint64_t *)((uint8_t *)disk + k), 0);
        }
        rv_store(&disk->changed, 0);
        int64_t last = (int64_t)rv_load(&disk->last_time);
        last = last > st->record.last_time ? last : st->record.last_time;
        rv_store(&disk->last_time, (uint64_t)last);
        rv_store(&disk->undo.count, 0);
        rv_store(&disk->undo.publish_offset, 0);
        for (unsigned k = 0; k < RV_FANOUT; k++) {
            rv_store(&disk->root[k], 0);
        }
    }
}

/* Links the runs of a slot block that nothing uses; those behind the last used one stay fresh. */
static void rebuild_slot_block(struct recovery *r, uint64_t block, uint32_t run)
{
    struct rv_store *st = r->st;
    uint32_t run_class = rv_run_class(run);
    uint32_t first = (uint32_t)block << st->geo.slots_log2;
    uint32_t runs = 1u << (st->geo.slots_log2 - run_class);
    uint32_t fresh = runs;
    while (fresh && !rv_marks_is_used(&r->marks, first + ((uint64_t)(fresh - 1) << run_class))) {
        fresh--;
    }
    uint32_t head = 0;
    uint32_t used = 0;
    for (uint32_t i = fresh; i < runs && st->erase; i++) {
        rv_run_erase(st, rv_slot_offset(st, first + (i << run_class)),
                     UINT64_C(1) << (run_class + st->geo.slot_log2));
    }
    for (uint32_t i = fresh; i-- > 0;) {
        uint32_t slot = first + (i << run_class);
        if (rv_marks_is_used(&r->marks, slot)) {
            used++;
        } else {
            struct rv_disk_slot *free_slot = rv_rw(st, rv_slot_offset(st, slot));
            if (st->erase) {
                rv_run_erase(st, rv_slot_offset(st, slot),
                             UINT64_C(1) << (run_class + st->geo.slot_log2));
            }
            rv_store32(&free_slot->link, head);
            head = slot;
        }
    }
    struct rv_disk_block *header = rv_header(st, block);
    rv_store(&header->free, (uint64_t)head << 32 | (uint64_t)fresh << 16 | used);
    if (head || fresh < runs) {
        uint64_t *list = &st->shard[rv_run_shard(run)].disk->partial[run_class];
        uint64_t next = rv_load(list);
        rv_store(&header->list, next << 32);
        if (next) {
            struct rv_disk_block *neighbour = rv_header(st, next);
            rv_store(&neighbour->list, (rv_load(&neighbour->list) >> 32 << 32) | block);
        }
        rv_store(list, block);
    }
}

/* How many blocks from here on are described alike: a run in use, or free ones and block maps. */
static uint64_t extent(const struct recovery *r, uint64_t block)
{
    uint64_t end = block + 1;
    bool used = r->marks.content[block] != 0;
    while (end < r->blocks &&
           (used ? r->marks.content[end] == RV_MARKS_REST : !r->marks.content[end])) {
        end++;
    }
    return end;
}

/* What was removed may not have been erased before the power was cut. */
static void erase_blocks(struct rv_store *st, uint64_t from, uint64_t to)
{
    for (uint64_t block = from; block < to && st->erase; block++) {
        if (!rv_is_map(st, block)) {
            rv_run_erase(st, rv_block_offset(st, block), UINT64_C(1) << st->geo.block_log2);
        }
    }
}

static void rebuild_blocks(struct recovery *r)
{
    struct rv_store *st = r->st;
    uint64_t block = st->geo.header_blocks;
    while (block < r->blocks) {
        uint64_t end = extent(r, block);
        uint32_t content = r->marks.content[block];
        if (content == 0) {
            erase_blocks(st, block, end);
            rv_alloc_add(st, block, end);
        } else {
            struct rv_disk_block *header = rv_header(st, block);
            rv_store(&header->run, content);
            rv_store(&header->list, 0);
            if (rv_run_kind(content) == RV_KIND_SLOTS) {
                rebuild_slot_block(r, block, content);
            }
            for (uint64_t i = block + 1; i < end; i++) {
                rv_store(&rv_header(st, i)->run, rv_run_word(RV_KIND_UNUSED, 0, 0));
            }
            rv_store(&st->live->blocks, end);
        }
        block = end;
    }
}

static VisitStatus rebuild_directory(struct recovery *r)
{
    VisitStatus status = VISIT_OK;
    for (size_t i = 0; i < r->segment_count && !status; i++) {
        struct rv_shard *sh = &r->st->shard[r->segments[i].shard];
        status = rv_index_attach(r->st, sh, r->segments[i].block);
        rv_store(&sh->disk->first, r->segments[i].block);
    }
    return status;
}

static VisitStatus recover(struct recovery *r)
{
    struct rv_store *st = r->st;
    VisitStatus status = check_index(r);
    if (status) {
        return status;
    }
    status = rv_checkpoint_begin_writing(st, false);
    if (status) {
        return status;
    }
    /* Until the end this is no store that a kill left behind. */
    rv_store((uint64_t *)&st->live->boot_id[0], 0);
    rv_store((uint64_t *)&st->live->boot_id[8], 0);
    status = wipe_headers(r);
    if (status) {
        return status;
    }
    for (size_t i = 0; i < r->segment_count; i++) {
        wipe_segment(r, r->segments[i].block);
    }
    reset_live(r);
    rebuild_blocks(r);
    return rebuild_directory(r);
}

VisitStatus rv_recover(struct rv_store *st)
{
    struct rv_views views = {0};
    struct recovery r = {
        .st = st,
        .durable = st->record.durable,
        .blocks = rv_file_size(st) >> st->geo.block_log2,
        .views = &views,
        .check_all = st->broken_record,
    };
    if (r.blocks < st->record.blocks) {
        return rv_corrupt(st, rv_file_size(st),
                          "the file is shorter than its last checkpoint says");
    }
    VisitStatus status = rv_marks_make(st, r.blocks, &r.marks);
    if (!status) {
        status = recover(&r);
    }
    rv_marks_free(&r.marks);
    free(r.segments);
    free(views.at);
    return status;
}
