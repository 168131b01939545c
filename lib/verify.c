/* SPDX-License-Identifier: MIT */
#include "verify.h"

#include "alloc.h"
#include "checkpoint.h"
#include "hash.h"
#include "index.h"
#include "marks.h"
#include "read.h"
#include "recover.h"
#include "super.h"
#include "sweep.h"
#include "version.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct check {
    struct rv_store *st;
    VisitFindingFunction *function;
    void *data;
    uint64_t found;
    bool stop;
    VisitStatus failed;          /* why nothing more can be checked */
    uint64_t as_of;              /* newest epoch that counts */
    uint64_t epoch;              /* E */
    uint64_t most;               /* no epoch is above it */
    uint64_t durable;            /* D */
    bool derived;                /* lists, directory and the like are to be true */
    bool indexed[RV_SHARDS_MAX]; /* shards that have segments */
    uint64_t listed;             /* slot blocks with a free run, by the lists */
    uint64_t older_bytes;        /* that retained versions other than the newest need */
    struct rv_marks marks;
    struct rv_views views;
};

static void report(struct check *c, const uint32_t *user_id, uint64_t offset, const char *rule,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

static void report(struct check *c, const uint32_t *user_id, uint64_t offset, const char *rule,
                   const char *format, ...)
{
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    VisitFinding finding = {
        .offset = offset,
        .rule = rule,
        .message = message,
        .user_id = user_id ? *user_id : 0,
        .has_user = user_id != NULL,
    };
    c->found++;
    if (c->function && !c->stop) {
        c->stop = c->function(c->data, &finding) != 0;
    }
}

static const struct rv_disk_block *header_of(const struct rv_store *st, uint64_t block)
{
    return rv_ro(st, rv_header_offset(st, block));
}

/* ---- superblock and records ---- */

static void check_super(struct check *c)
{
    struct rv_store *st = c->st;
    uint64_t copy = rv_block_offset(st, st->geo.header_blocks) - RV_PAGE;
    uint64_t place[2] = {0, copy};
    for (unsigned i = 0; i < 2; i++) {
        struct rv_disk_superblock super;
        rv_copy_out(&super, rv_ro(st, place[i]), sizeof super / 8);
        if (memcmp(&super, &st->super, sizeof super) != 0) {
            report(c, NULL, place[i], "superblock", "the %s is damaged",
                   i ? "copy of the superblock" : "superblock");
        }
    }
}

static void check_records(struct check *c)
{
    if (c->st->broken_record) {
        report(c, NULL, (uint64_t)(1 + !c->st->record_index) * RV_PAGE, "record",
               "a checkpoint record is damaged; the other one counts");
    }
    const struct rv_disk_record *record = &c->st->record;
    if (record->blocks > rv_file_size(c->st) >> c->st->geo.block_log2) {
        report(c, NULL, rv_file_size(c->st), "file-length",
               "the file is shorter than its checkpoint record says");
    }
    if (record->limit == 0 || record->limit > VISIT_LIMIT_MAX ||
        rv_ring_class(record->limit) > c->st->geo.max_class ||
        record->blocks <= c->st->geo.header_blocks || !rv_checkpoint_has_room(record)) {
        report(c, NULL, (uint64_t)(1 + c->st->record_index) * RV_PAGE, "record",
               "the checkpoint record makes no sense");
    }
}

/* ---- users ---- */

static void check_strings(struct check *c, uint32_t user_id, const struct rv_view *view)
{
    if (!rv_slot_strings_whole(view)) {
        report(c, &user_id, rv_slot_offset(c->st, view->slot), "slot-strings",
               "a string of visit %u ends before its length", view->visit_id);
    }
    if (!rv_slot_checksum_holds(view)) {
        report(c, &user_id, rv_slot_offset(c->st, view->slot), "slot-checksum",
               "the checksum of visit %u is wrong", view->visit_id);
    }
}

static void check_times(struct check *c, uint32_t user_id, const struct rv_view *views,
                        uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (views[i].time_ns > views[i - 1].time_ns) {
            report(c, &user_id, rv_slot_offset(c->st, views[i].slot), "slot-time",
                   "visit %u is younger than the one after it", views[i].visit_id);
        }
    }
}

/* The chain that a sound version names; the views are in c->views. */
static bool read_chain(struct check *c, uint32_t user_id, uint64_t word, uint32_t *ret_count)
{
    struct rv_store *st = c->st;
    uint32_t count = rv_word_count(word);
    *ret_count = 0;
    c->failed = rv_views_grow(&c->views, count);
    if (c->failed) {
        c->stop = true;
        return false;
    }
    if (rv_slot_collect(st, st->file.ro, user_id, word, count, c->views.at, ret_count)) {
        report(c, &user_id, rv_slot_offset(st, rv_word_head(word)), "chain",
               "the chain of visits from slot %u is broken", rv_word_head(word));
        *ret_count = 0;
        return false;
    }
    return true;
}

static bool mark(struct check *c, uint32_t user_id, uint32_t slot, uint32_t run_class,
                 uint32_t shard)
{
    const char *what = rv_marks_run(c->st, &c->marks, slot, run_class, shard);
    if (what) {
        report(c, &user_id, rv_slot_offset(c->st, slot), "run", "%s", what);
    }
    return what == NULL;
}

static void check_hint(struct check *c, const struct rv_disk_entry *entry, uint32_t count)
{
    uint32_t user_id = rv_load32(&entry->user_id);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = c->views.at[i].visit_id;
        if (id > rv_load32(&entry->newest) || !(rv_load32(&entry->filter) & rv_filter_bit(id))) {
            report(c, &user_id, (const uint8_t *)entry - c->st->file.ro, "hint",
                   "the hint on visit ids does not know visit %u", id);
            return;
        }
    }
}

/* The strings of a run that is somebody else's are not read: so no file makes this read more than
 * it has bytes. */
static void check_visits(struct check *c, uint32_t user_id, uint32_t count, uint32_t shard)
{
    struct rv_store *st = c->st;
    for (uint32_t i = 0; i < count; i++) {
        const struct rv_view *view = &c->views.at[i];
        uint32_t run_class = rv_slot_overflow_class(st, rv_slot_bytes(view));
        if (!view->overflow || mark(c, user_id, view->overflow, run_class, shard)) {
            check_strings(c, user_id, view);
        }
    }
    check_times(c, user_id, c->views.at, count);
}

static void check_flags(struct check *c, uint32_t user_id, uint64_t entry, uint64_t word,
                        uint32_t count)
{
    for (uint32_t i = 0; i < count && !(word & RV_WORD_OVERFLOW); i++) {
        if (c->views.at[i].overflow) {
            report(c, &user_id, entry, "version", "a version hides an overflow run");
        }
    }
}

/* No visit of the shard may have a later time by the clock. As of a checkpoint the record tells. */
static int64_t last_time(const struct rv_store *st, uint32_t shard)
{
    int64_t last = (int64_t)rv_load(&st->shard[shard].view->last_time);
    bool recorded = st->as_of != UINT64_MAX && st->record.last_time > last;
    return recorded ? st->record.last_time : last;
}

/* The user's visits as of the epoch that counts. */
static void check_newest(struct check *c, const struct rv_disk_entry *entry, uint32_t shard)
{
    struct rv_store *st = c->st;
    uint32_t user_id = rv_load32(&entry->user_id);
    uint64_t offset = (uint64_t)((const uint8_t *)entry - st->file.ro);
    uint64_t epoch;
    uint64_t word = rv_word_as_of(entry->version, c->as_of, &epoch);
    uint32_t count;
    if (word == 0) {
        return;
    }
    if (!rv_slot_word_valid(st, word)) {
        report(c, &user_id, offset, "version", "a version names a ring that can't be");
        return;
    }
    if (st->record.flags & RV_RECORD_TRIMMED && rv_word_count(word) > st->record.limit) {
        report(c, &user_id, offset, "version", "the user has more visits than the limit");
    }
    if (!mark(c, user_id, rv_word_base(word), rv_word_class(word), shard) ||
        !read_chain(c, user_id, word, &count)) {
        return;
    }
    check_visits(c, user_id, count, shard);
    check_flags(c, user_id, offset, word, count);
    if (!(word & RV_WORD_EXPLICIT) && c->views.at[0].time_ns > last_time(st, shard)) {
        report(c, &user_id, offset, "shard-time", "the shard's newest time is behind its visits");
    }
    if ((int32_t)(rv_load32(&entry->changes) - c->views.at[0].seq) < 0) {
        report(c, &user_id, offset, "changes", "the change counter is behind its visits");
    }
    if (c->derived) {
        check_hint(c, entry, count < st->limit ? count : st->limit);
    }
}

/* What versions other than the newest have is the newest one's too, or is in limbo: it can't be
 * marked. Two of each user may be retained, so all that they have is at most twice the file. */
static bool within_file(struct check *c, const struct rv_disk_entry *entry, uint64_t bytes)
{
    uint32_t user_id = rv_load32(&entry->user_id);
    c->older_bytes += bytes;
    if (c->older_bytes <= 2 * rv_file_size(c->st)) {
        return true;
    }
    report(c, &user_id, (const uint8_t *)entry - c->st->file.ro, "version",
           "retained versions need more room than there is");
    return false;
}

static void check_older(struct check *c, const struct rv_disk_entry *entry, uint64_t word)
{
    struct rv_store *st = c->st;
    uint32_t user_id = rv_load32(&entry->user_id);
    uint64_t bytes = 0;
    uint32_t count;
    if (!rv_slot_word_valid(st, word)) {
        report(c, &user_id, (const uint8_t *)entry - st->file.ro, "version",
               "a retained version names a ring that can't be");
        return;
    }
    if (!within_file(c, entry, UINT64_C(1) << (rv_word_class(word) + st->geo.slot_log2)) ||
        !read_chain(c, user_id, word, &count)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct rv_view *view = &c->views.at[i];
        bytes += view->overflow ? rv_slot_bytes(view) : 0;
    }
    if (!within_file(c, entry, bytes)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        check_strings(c, user_id, &c->views.at[i]);
    }
    check_times(c, user_id, c->views.at, count);
}

/* Versions other than the newest that a power cut could bring back. */
static void check_retained(struct check *c, const struct rv_disk_entry *entry)
{
    uint64_t epoch[3];
    rv_epochs(entry->version, epoch);
    unsigned mask = rv_retained(epoch, c->epoch, c->durable);
    int newest = rv_newest(epoch, UINT64_MAX);
    for (int i = 0; i < 3; i++) {
        uint64_t word = rv_load(&entry->version[i].word);
        if (i != newest && mask & 1u << i && word) {
            check_older(c, entry, word);
        }
    }
}

/* No epoch lies so far ahead that it can't have come yet, also where nothing counts as of D; and
 * those that count tell the versions apart. */
static void check_epochs(struct check *c, const struct rv_disk_entry *entry)
{
    uint64_t epoch[3];
    uint32_t user_id = rv_load32(&entry->user_id);
    uint64_t offset = (uint64_t)((const uint8_t *)entry - c->st->file.ro);
    rv_epochs(entry->version, epoch);
    for (int i = 0; i < 3; i++) {
        if (epoch[i] > c->most) {
            report(c, &user_id, offset, "epoch", "a version has epoch %llu, which is to come",
                   (unsigned long long)epoch[i]);
        }
        for (int k = 0; k < i; k++) {
            if (epoch[i] && epoch[i] <= c->as_of && epoch[i] == epoch[k]) {
                report(c, &user_id, offset, "epoch", "two versions have one epoch");
            }
        }
    }
}

/* ---- the index ---- */

static void check_entry(struct check *c, const struct rv_private_segment *segment, uint32_t line)
{
    struct rv_store *st = c->st;
    const struct rv_disk_entry *lines = rv_ro(st, rv_block_offset(st, segment->block));
    const struct rv_disk_entry *entry = &lines[line];
    uint64_t epoch;
    check_epochs(c, entry);
    rv_word_as_of(entry->version, c->as_of, &epoch);
    if (!epoch) {
        return;
    }
    uint32_t user_id = rv_load32(&entry->user_id);
    uint64_t hash = rv_hash(st, user_id);
    uint64_t offset = (uint64_t)((const uint8_t *)entry - st->file.ro);
    if (rv_shard_of(st, hash)->index != segment->shard ||
        !rv_prefix_covers(segment->prefix, rv_depth(header_of(st, segment->block)), hash)) {
        report(c, &user_id, offset, "entry-place", "the entry is in a wrong segment");
        return;
    }
    for (uint32_t i = rv_home(st, hash); i != line; i = i == st->geo.entries ? 1 : i + 1) {
        rv_word_as_of(lines[i].version, c->as_of, &epoch);
        if (!epoch || rv_load32(&lines[i].user_id) == user_id) {
            report(c, &user_id, offset, "entry-probe", "probing does not lead to the entry");
            break;
        }
    }
    check_newest(c, entry, segment->shard);
    if (c->derived && c->st->file.rw) {
        check_retained(c, entry); /* in a closed store only the newest one is */
    }
}

static void check_segment(struct check *c, const struct rv_private_segment *segment)
{
    struct rv_store *st = c->st;
    for (uint32_t i = 1; i <= st->geo.entries && !c->stop; i++) {
        check_entry(c, segment, i);
    }
    if (!c->derived) {
        return;
    }
    uint32_t block = 0;
    uint64_t hash = segment->prefix;
    rv_index_segment(st, &st->shard[segment->shard], hash, &block);
    uint32_t depth = rv_depth(header_of(st, segment->block));
    uint32_t last = 0;
    rv_index_segment(st, &st->shard[segment->shard],
                     depth ? hash | UINT64_MAX >> depth : UINT64_MAX, &last);
    if (block != segment->block || last != segment->block) {
        report(c, NULL, rv_block_offset(st, segment->block), "directory",
               "the directory does not lead to the segment");
    }
    if (rv_load(&rv_segment(st, segment->block)->moved)) {
        report(c, NULL, rv_block_offset(st, segment->block), "segment",
               "a segment in use says that another has its place");
    }
}

static void check_index(struct check *c)
{
    struct rv_private_segment *segments;
    size_t count;
    VisitStatus status = rv_recover_segments(c->st, c->as_of, &segments, &count);
    if (status && status != VISIT_ERROR_CORRUPT) {
        c->failed = status;
        return;
    }
    if (status) {
        report(c, NULL, rv_block_offset(c->st, c->st->geo.header_blocks), "index",
               "the segments do not cover the index: %s", VisitLastError());
        return;
    }
    /* All segments first: a ring that lies over one is damage of the user's. Each is in a block of
     * its own, and nothing is marked yet: none can be wrong. */
    for (size_t i = 0; i < count; i++) {
        c->indexed[segments[i].shard] = true;
        rv_marks_segment(c->st, &c->marks, segments[i].block, segments[i].shard);
    }
    for (size_t i = 0; i < count && !c->stop; i++) {
        check_segment(c, &segments[i]);
    }
    free(segments);
}

/* ---- what is derived: free lists, limbo, directory nodes, hands ---- */

/* A run that is no user's. Two owners of one run show here. */
static bool mark_derived(struct check *c, uint32_t slot, uint32_t shard, const char *rule)
{
    struct rv_store *st = c->st;
    uint64_t block = slot >> st->geo.slots_log2;
    if (!rv_block_valid(st, block)) {
        report(c, NULL, rv_slot_offset(st, slot), rule, "slot %u does not exist", slot);
        return false;
    }
    uint64_t run = rv_load(&header_of(st, block)->run);
    uint32_t kind = rv_run_kind(run);
    uint32_t run_class = rv_run_class(run) + (kind == RV_KIND_SLOTS ? 0 : st->geo.slots_log2);
    if ((kind != RV_KIND_SLOTS && kind != RV_KIND_LARGE && kind != RV_KIND_SEGMENT) ||
        rv_run_shard(run) != shard || run_class > st->geo.max_class) {
        report(c, NULL, rv_header_offset(st, block), rule, "block %llu holds no runs of this shard",
               (unsigned long long)block);
        return false;
    }
    const char *what = rv_marks_run(st, &c->marks, slot, run_class, shard);
    if (what) {
        report(c, NULL, rv_slot_offset(st, slot), rule, "%s", what);
    } else if (kind == RV_KIND_SEGMENT) {
        c->marks.content[block] = (uint32_t)run;
    }
    return what == NULL;
}

static uint32_t link_of(const struct rv_store *st, uint32_t slot)
{
    return rv_load32(&((const struct rv_disk_slot *)rv_ro(st, rv_slot_offset(st, slot)))->link);
}

static void check_limbo(struct check *c, const struct rv_shard *sh)
{
    for (unsigned i = 0; i < 3; i++) {
        const struct rv_disk_limbo *limbo = &sh->view->limbo[i];
        uint64_t head = rv_load(&limbo->head);
        uint32_t slot = (uint32_t)head;
        if (head > UINT32_MAX) {
            report(c, NULL, (const uint8_t *)limbo - c->st->file.ro, "limbo",
                   "a chain in limbo begins nowhere");
        }
        if (slot && rv_load(&limbo->epoch) > c->most) {
            report(c, NULL, (const uint8_t *)limbo - c->st->file.ro, "limbo",
                   "a chain in limbo is from an epoch to come");
        }
        while (slot && !c->stop && mark_derived(c, slot, sh->index, "limbo")) {
            slot = link_of(c->st, slot);
        }
    }
}

/* Does a pointer lead to the segment of all hashes whose first `bits` bits are those of `prefix`?
 */
static bool leads_to_segment(struct check *c, const struct rv_shard *sh, uint64_t pointer,
                             uint64_t prefix, uint32_t bits)
{
    struct rv_store *st = c->st;
    uint64_t block = pointer & ~RV_POINTER_KIND;
    return (pointer & RV_POINTER_KIND) == RV_POINTER_SEGMENT && rv_block_valid(st, block) &&
           rv_use_as_of(header_of(st, block)->cell, c->as_of) == RV_USE_SEGMENT &&
           rv_load(&header_of(st, block)->segment) >> 8 == sh->index &&
           rv_depth(header_of(st, block)) <= bits && rv_segment_covers(st, block, prefix);
}

static bool mark_node(struct check *c, uint32_t slot, uint32_t shard)
{
    const char *what =
        rv_marks_run(c->st, &c->marks, slot, rv_class_for(rv_node_slots(c->st)), shard);
    if (what) {
        report(c, NULL, rv_slot_offset(c->st, slot), "directory", "%s", what);
    }
    return what == NULL;
}

/* A node whose hashes begin with the first 7 x level bits of `prefix`. */
static void check_nodes(struct check *c, const struct rv_shard *sh, const uint64_t *node,
                        unsigned level, uint64_t prefix)
{
    uint32_t bits = RV_FANOUT_LOG2 * (level + 1);
    for (uint32_t i = 0; i < RV_FANOUT && !c->stop; i++) {
        uint64_t pointer = rv_load(&node[i]);
        uint64_t first = prefix | (uint64_t)i << (64 - bits);
        if ((pointer & RV_POINTER_KIND) != RV_POINTER_NODE) {
            if (c->indexed[sh->index] ? !leads_to_segment(c, sh, pointer, first, bits)
                                      : pointer != 0) {
                report(c, NULL, (const uint8_t *)&node[i] - c->st->file.ro, "directory",
                       "a directory pointer leads to a wrong place");
                return; /* the others of this node are likely to be alike */
            }
            continue;
        }
        uint64_t slot = pointer & ~RV_POINTER_KIND;
        if (!rv_node_valid(c->st, slot)) {
            report(c, NULL, (const uint8_t *)&node[i] - c->st->file.ro, "directory",
                   "a directory pointer leads nowhere");
        } else if (bits >= RV_DEPTH_MAX) {
            report(c, NULL, (const uint8_t *)&node[i] - c->st->file.ro, "directory",
                   "the directory has too many levels");
        } else if (mark_node(c, (uint32_t)slot, sh->index)) {
            check_nodes(c, sh, rv_ro(c->st, rv_slot_offset(c->st, slot)), level + 1, first);
        }
    }
}

static void check_free_runs(struct check *c, uint64_t block, uint64_t run)
{
    struct rv_store *st = c->st;
    uint32_t run_class = rv_run_class(run);
    if (run_class >= st->geo.slots_log2 || rv_run_shard(run) >= st->geo.shards) {
        report(c, NULL, rv_header_offset(st, block), "block-header",
               "a slot block has no such runs");
        return;
    }
    uint64_t word = rv_load(&header_of(st, block)->free);
    uint32_t fresh = (uint32_t)(word >> 16) & 0xffff;
    uint32_t used = (uint32_t)word & 0xffff;
    uint32_t runs = 1u << (st->geo.slots_log2 - run_class);
    uint32_t first = (uint32_t)block << st->geo.slots_log2;
    uint32_t counted = 0;
    c->listed -= used < runs;
    for (uint32_t i = 0; i < runs; i++) {
        bool marked = rv_marks_is_used(&c->marks, first + ((uint64_t)i << run_class));
        counted += marked;
        if (marked && i >= fresh) {
            report(c, NULL, rv_header_offset(st, block), "free-list",
                   "a run in use counts as fresh");
        }
    }
    if (counted != used) {
        report(c, NULL, rv_header_offset(st, block), "space",
               "a slot block counts %u runs in use, %u are", used, counted);
    }
    uint32_t listed = 0;
    for (uint32_t slot = (uint32_t)(word >> 32); slot && listed <= runs; listed++) {
        if (slot >> st->geo.slots_log2 != block) {
            report(c, NULL, rv_header_offset(st, block), "free-list",
                   "a free list leads out of its block");
            return;
        }
        if ((slot - first) >> run_class >= fresh) {
            report(c, NULL, rv_header_offset(st, block), "free-list",
                   "a free list has a run that is fresh");
            return;
        }
        if (!mark_derived(c, slot, rv_run_shard(run), "free-list")) {
            return;
        }
        slot = link_of(st, slot);
    }
    if (listed + used != fresh) {
        report(c, NULL, rv_header_offset(st, block), "space", "a slot block has lost %d runs",
               (int)(fresh - listed - used));
    }
}

static void check_partial(struct check *c, const struct rv_shard *sh, uint32_t run_class)
{
    struct rv_store *st = c->st;
    uint64_t previous = 0;
    uint64_t steps = 0;
    for (uint64_t b = rv_load(&sh->view->partial[run_class]); b; steps++) {
        uint64_t run = rv_block_valid(st, b) ? rv_load(&header_of(st, b)->run) : 0;
        uint32_t used = run ? (uint32_t)rv_load(&header_of(st, b)->free) & 0xffff : 0;
        if (run != rv_run_word(RV_KIND_SLOTS, run_class, sh->index) || steps > c->marks.blocks ||
            used >= 1u << (st->geo.slots_log2 - run_class) ||
            (uint32_t)rv_load(&header_of(st, b)->list) != previous) {
            report(c, NULL, (const uint8_t *)&sh->view->partial[run_class] - st->file.ro,
                   "slot-list", "the list of slot blocks of class %u is broken", run_class);
            return;
        }
        previous = b;
        b = rv_load(&header_of(st, b)->list) >> 32;
        c->listed++;
    }
}

/* Do so many blocks from here on lie where the allocator may have them? */
static bool is_block_run(const struct rv_store *st, uint64_t block, uint32_t order)
{
    uint64_t size = UINT64_C(1) << order;
    return block % size == 0 && block + size <= rv_load(&st->view->blocks) &&
           rv_block_valid(st, block) && rv_block_valid(st, block + size - 1);
}

static bool mark_blocks(struct check *c, uint64_t block, uint32_t kind, uint32_t order,
                        const char *rule)
{
    const char *what = rv_marks_blocks(c->st, &c->marks, block, order, rv_run_word(kind, order, 0));
    if (what) {
        report(c, NULL, rv_header_offset(c->st, block), rule, "%s", what);
    }
    return what == NULL;
}

static void check_free_blocks(struct check *c)
{
    struct rv_store *st = c->st;
    for (uint32_t order = 0; order < RV_ORDERS; order++) {
        uint64_t previous = 0;
        uint64_t b = rv_load(&st->view->free[order]);
        for (uint64_t steps = 0; b && steps <= c->marks.blocks; steps++) {
            uint64_t run = rv_block_valid(st, b) ? rv_load(&header_of(st, b)->run) : 0;
            if (run != rv_run_word(RV_KIND_FREE, order, 0) || !is_block_run(st, b, order) ||
                (uint32_t)rv_load(&header_of(st, b)->list) != previous) {
                report(c, NULL, 3 * RV_PAGE, "block-list",
                       "the list of free runs of 2^%u blocks is broken", order);
                break;
            }
            if (!mark_blocks(c, b, RV_KIND_FREE, order, "block-list")) {
                break;
            }
            previous = b;
            b = rv_load(&header_of(st, b)->list) >> 32;
        }
    }
}

static void check_hand(struct check *c, const struct rv_shard *sh)
{
    for (unsigned i = 0; i < RV_HAND; i++) {
        uint64_t word = rv_load(&sh->view->hand[i]);
        if (word && (rv_hand_order(word) >= RV_ORDERS ||
                     !is_block_run(c->st, rv_hand_block(word), rv_hand_order(word)))) {
            report(c, NULL, (const uint8_t *)&sh->view->hand[i] - c->st->file.ro, "hand",
                   "a hand names no block");
        } else if (word) {
            mark_blocks(c, rv_hand_block(word), RV_KIND_HAND, rv_hand_order(word), "hand");
        }
    }
}

/* Cells would come true when their epoch comes, also those of blocks that are yet to come. */
static void check_cells(struct check *c)
{
    struct rv_store *st = c->st;
    for (uint64_t b = st->geo.header_blocks; !c->stop; b++) {
        if (b >= c->marks.blocks && rv_is_map(st, b)) {
            break;
        }
        const struct rv_disk_block *header = header_of(st, b);
        bool early = false;
        for (unsigned i = 0; i < 3; i++) {
            early = early || rv_load(&header->cell[i]) >> 8 > c->most;
        }
        if (early ||
            (b >= c->marks.blocks && rv_use_as_of(header->cell, c->as_of) != RV_USE_NONE)) {
            report(c, NULL, rv_header_offset(st, b), "block-cell",
                   "the use of block %llu is from an epoch to come", (unsigned long long)b);
        }
    }
}

/* The number of blocks is one that can be, and nothing lies beyond: growth would overwrite it. */
static void check_end(struct check *c, uint64_t blocks)
{
    const struct rv_store *st = c->st;
    uint64_t offset = 3 * RV_PAGE + offsetof(struct rv_disk_live, blocks);
    if (blocks < st->record.blocks || blocks > c->marks.blocks) {
        report(c, NULL, offset, "blocks", "the number of blocks makes no sense");
    }
    for (uint64_t b = blocks; b < c->marks.blocks && !c->stop; b++) {
        if (c->marks.content[b]) {
            report(c, NULL, offset, "blocks", "block %llu is in use, and not one of the blocks",
                   (unsigned long long)b);
            return;
        }
    }
}

/* Every block is accounted for, and its header says what it is. */
static void check_blocks(struct check *c)
{
    struct rv_store *st = c->st;
    uint64_t blocks = rv_load(&st->view->blocks);
    check_end(c, blocks);
    for (uint64_t b = st->geo.header_blocks; b < blocks && b < c->marks.blocks && !c->stop; b++) {
        uint64_t run = rv_load(&header_of(st, b)->run);
        uint32_t content = c->marks.content[b];
        if (rv_is_map(st, b)) {
            if (run != rv_run_word(RV_KIND_MAP, 0, 0)) {
                report(c, NULL, rv_header_offset(st, b), "block-header",
                       "a block map is not called one");
            }
        } else if (run >> 24 == RV_KIND_SLOTS && (content == 0 || content == run)) {
            check_free_runs(c, b, run);
        } else if (content == 0) {
            report(c, NULL, rv_header_offset(st, b), "space", "block %llu is lost",
                   (unsigned long long)b);
        } else if (content != RV_MARKS_REST && content != run) {
            report(c, NULL, rv_header_offset(st, b), "block-header",
                   "the header of block %llu calls it something else", (unsigned long long)b);
        }
    }
}

static void check_logs(struct check *c)
{
    struct rv_store *st = c->st;
    if (rv_load(&st->view->undo.count)) {
        report(c, NULL, 3 * RV_PAGE, "undo", "the allocator's undo log is not empty");
    }
    for (uint32_t i = 0; i < st->geo.shards; i++) {
        if (rv_load(&st->shard[i].view->undo.count)) {
            report(c, NULL, (const uint8_t *)st->shard[i].view - st->file.ro, "undo",
                   "the undo log of shard %u is not empty", i);
        }
    }
}

static void check_derived(struct check *c)
{
    struct rv_store *st = c->st;
    for (uint32_t i = 0; i < st->geo.shards && !c->stop; i++) {
        check_limbo(c, &st->shard[i]);
        check_nodes(c, &st->shard[i], st->shard[i].view->root, 0, 0);
        check_hand(c, &st->shard[i]);
        for (uint32_t k = 0; k < st->geo.slots_log2; k++) {
            check_partial(c, &st->shard[i], k);
        }
    }
    check_free_blocks(c);
    check_blocks(c);
    if (c->listed) {
        report(c, NULL, 4 * RV_PAGE, "slot-list",
               "the lists of slot blocks with room are not complete");
    }
    check_logs(c);
}

/* ---- beside a writer ---- */

static VisitStatus check_one(void *data, const struct rv_found *found)
{
    struct check *c = data;
    VisitStatus status = rv_read_views(found, &c->views);
    for (uint32_t i = 0; i < found->count && !status; i++) {
        const struct rv_view *view = &c->views.at[i];
        if (!rv_slot_checksum_holds(view)) {
            status = rv_corrupt(c->st, rv_slot_offset(c->st, view->slot), "a checksum is wrong");
        }
    }
    return status;
}

/* A chain that breaks is read again: only one that is broken while it does not change is damage. */
static VisitStatus check_user_beside_writer(struct check *c, uint32_t user_id)
{
    struct rv_token token = {0};
    VisitStatus status = rv_read(c->st, user_id, 0, &token, check_one, c);
    if (status == VISIT_ERROR_CORRUPT) {
        report(c, &user_id, 0, "chain", "%s", VisitLastError());
    }
    /* One that never holds still can't be checked. Anything else is no answer. */
    return status == VISIT_ERROR_CORRUPT || status == VISIT_ERROR_BUSY ? VISIT_OK : status;
}

static void check_beside_writer(struct check *c)
{
    struct rv_cursor cursor = {0};
    struct rv_seats seats;
    VisitStatus status = rv_seats_make(c->st, &seats);
    while (!status && !c->stop && !(status = rv_sweep_next(c->st, &cursor, UINT64_MAX, &seats))) {
        for (uint32_t i = 0; i < seats.count && !c->stop && !status; i++) {
            status = check_user_beside_writer(c, seats.at[i].user_id);
        }
    }
    if (status == VISIT_ERROR_CORRUPT) {
        report(c, NULL, 0, "index", "%s", VisitLastError());
    } else if (status != VISIT_END) {
        c->failed = status;
    }
    free(seats.at);
}

VisitStatus rv_verify(struct rv_store *st, bool quiet, VisitFindingFunction *function, void *data)
{
    struct check c = {
        .st = st,
        .function = function,
        .data = data,
        .as_of = st->as_of,
        .derived = quiet && st->state != VISIT_FOUND_UNCLEAN,
        .epoch = st->record.durable + 1,
        .durable = st->record.durable,
    };
    if (st->file.rw) { /* what a closed store's live state says of them is not looked at */
        c.epoch = rv_load(&st->view->epoch);
        c.durable = rv_load(&st->view->durable);
    }
    /* A close makes all durable; what a power cut left may be of the two epochs after D. */
    c.most = st->file.rw ? c.epoch : c.derived ? c.durable : c.durable + 2;
    VisitStatus status = rv_super_check_length(st);
    if (status) {
        return status;
    }
    status = rv_marks_make(st, rv_file_size(st) >> st->geo.block_log2, &c.marks);
    if (status) {
        return status;
    }
    check_super(&c);
    check_records(&c);
    if (quiet) {
        check_cells(&c);
        check_index(&c);
    } else {
        check_beside_writer(&c);
    }
    if (c.derived) {
        check_derived(&c);
    }
    rv_marks_free(&c.marks);
    free(c.views.at);
    if (c.failed) {
        return c.failed; /* with the message of what failed */
    }
    rv_clear_error();
    if (c.stop) {
        return rv_fail(VISIT_ERROR_CANCELLED, st->file.path, "verification was stopped");
    }
    return c.found ? rv_fail(VISIT_ERROR_CORRUPT, st->file.path,
                             "verification found %llu faults; restore a backup",
                             (unsigned long long)c.found)
                   : VISIT_OK;
}
