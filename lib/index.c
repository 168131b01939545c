/* SPDX-License-Identifier: MIT */
#include "index.h"

#include "version.h"

#include <errno.h>

#include <stdlib.h>

#define LEVELS 8u /* of directory nodes; 7 bits each */

static uint32_t directory_index(uint64_t hash, unsigned level)
{
    return (uint32_t)(hash >> (64 - RV_FANOUT_LOG2 * (level + 1))) & (RV_FANOUT - 1);
}

/* Where the directory's pointer for a hash lies. */
struct place {
    uint64_t offset; /* of the pointer */
    uint64_t pointer;
    unsigned level;
};

/* false: nowhere. That is damage, or the file has grown; of the place the offset is true. */
static bool find_place(const struct rv_store *st, const struct rv_shard *sh, uint64_t hash,
                       struct place *ret_place)
{
    const uint64_t *node = sh->view->root;
    for (unsigned level = 0;; level++) {
        const uint64_t *at = &node[directory_index(hash, level)];
        uint64_t pointer = rv_load_acquire(at);
        uint64_t offset = (uint64_t)((const uint8_t *)at - st->file.ro);
        if ((pointer & RV_POINTER_KIND) != RV_POINTER_NODE) {
            *ret_place = (struct place){.offset = offset, .pointer = pointer, .level = level};
            return true;
        }
        uint64_t slot = pointer & ~RV_POINTER_KIND;
        if (level + 1 == LEVELS || !rv_node_valid(st, slot)) {
            *ret_place = (struct place){.offset = offset};
            return false;
        }
        node = rv_ro(st, rv_slot_offset(st, slot));
    }
}

static VisitStatus leads_nowhere(const struct rv_store *st, const struct place *place)
{
    return rv_corrupt(st, place->offset, "a directory pointer leads nowhere");
}

static int compare_segments(const void *a, const void *b)
{
    const struct rv_private_segment *x = a;
    const struct rv_private_segment *y = b;
    if (x->shard != y->shard) {
        return x->shard < y->shard ? -1 : 1;
    }
    return x->prefix < y->prefix ? -1 : x->prefix > y->prefix;
}

void rv_index_sort(struct rv_private_segment *segments, size_t count)
{
    qsort(segments, count, sizeof *segments, compare_segments);
}

/* The last segment whose prefix is not above the hash. */
static uint32_t private_segment(const struct rv_store *st, uint32_t shard, uint64_t hash)
{
    struct rv_private_segment key = {.shard = shard, .prefix = hash};
    size_t low = 0;
    size_t high = st->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_segments(&st->segments[middle], &key) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low && st->segments[low - 1].shard == shard ? st->segments[low - 1].block : 0;
}

/*
 * Nobody follows `moved` but repair. A split publishes it, then changes the directory, then raises
 * the structure counter, all before the shard's lock is free: whoever still comes to the old
 * segment finds in it what holds until then, and the counter tells if that time is over.
 */
VisitStatus rv_index_segment(const struct rv_store *st, const struct rv_shard *sh, uint64_t hash,
                             uint32_t *ret_block)
{
    struct place place;
    if (st->segments) {
        *ret_block = private_segment(st, sh->index, hash);
        return VISIT_OK;
    }
    bool somewhere = find_place(st, sh, hash, &place);
    uint64_t block = place.pointer & ~RV_POINTER_KIND;
    if (!somewhere || (block && !rv_block_valid(st, block))) {
        return leads_nowhere(st, &place);
    }
    *ret_block = (uint32_t)block;
    return VISIT_OK;
}

/* The line of a user, or the free line where it would go; 0: neither, all lines are taken. */
static uint32_t probe(const struct rv_store *st, const struct rv_disk_entry *lines, uint64_t hash,
                      uint32_t user_id, bool *ret_found)
{
    uint32_t line = rv_home(st, hash);
    __builtin_prefetch(&lines[line + 1]); /* behind a branch that waits for this one's load */
    for (uint32_t i = 0; i < st->geo.entries; i++) {
        __builtin_prefetch(&lines[line + 2]);
        bool used = rv_entry_used(&lines[line]);
        if (!used || rv_load32(&lines[line].user_id) == user_id) {
            *ret_found = used;
            return line;
        }
        line = line == st->geo.entries ? 1 : line + 1;
    }
    *ret_found = false;
    return 0;
}

const struct rv_disk_entry *rv_index_prefetch(const struct rv_store *st, const uint8_t *mapping,
                                              uint64_t hash)
{
    struct place place;
    if (st->segments || !find_place(st, rv_shard_of(st, hash), hash, &place)) {
        return NULL;
    }
    uint64_t block = place.pointer & ~RV_POINTER_KIND;
    if (!rv_block_valid(st, block)) {
        return NULL;
    }
    const struct rv_disk_entry *lines = (const void *)(mapping + rv_block_offset(st, block));
    const struct rv_disk_entry *line = &lines[rv_home(st, hash)];
    __builtin_prefetch(line);
    __builtin_prefetch(line + 1);
    return line;
}

uint64_t rv_index_peek(const struct rv_store *st, const struct rv_disk_entry *home,
                       uint32_t user_id)
{
    const struct rv_disk_entry *entry = home;
    for (unsigned i = 0; entry && i < 3; i++, entry++) {
        uint64_t epoch;
        if (i && ((uintptr_t)entry & (RV_PAGE - 1)) == 0) {
            return 0; /* perhaps the segment's end */
        }
        if (rv_load32(&entry->user_id) == user_id) {
            return rv_word_as_of(entry->version, st->as_of, &epoch);
        }
    }
    return 0;
}

VisitStatus rv_index_lookup(const struct rv_store *st, const struct rv_shard *sh, uint64_t hash,
                            uint32_t user_id, const struct rv_disk_entry **ret_entry)
{
    uint32_t block = 0;
    *ret_entry = NULL;
    VisitStatus status = rv_index_segment(st, sh, hash, &block);
    if (status || !block) {
        return status;
    }
    const struct rv_disk_entry *lines = rv_ro(st, rv_block_offset(st, block));
    bool found;
    uint32_t line = probe(st, lines, hash, user_id, &found);
    if (found) {
        *ret_entry = &lines[line];
    }
    return VISIT_OK;
}

/* Stores the pointers that lead to a segment, in the node where the first of them is. */
static void point(struct rv_store *st, const struct place *place, uint64_t prefix, uint32_t depth,
                  uint32_t block)
{
    uint32_t bits = RV_FANOUT_LOG2 * (place->level + 1);
    uint32_t first = directory_index(prefix, place->level);
    uint64_t *node = rv_rw(st, place->offset - directory_index(prefix, place->level) * 8);
    for (uint32_t i = 0; i < 1u << (bits - depth); i++) {
        rv_store_release(&node[first + i], RV_POINTER_SEGMENT | block);
    }
}

static void structure_changed(struct rv_shard *sh)
{
    rv_store_release(&sh->disk->structure, rv_load(&sh->disk->structure) + 1);
}

/* Where the pointers to a segment are; the directory must be deep enough. */
static VisitStatus find_pointers(const struct rv_store *st, const struct rv_shard *sh,
                                 uint64_t prefix, uint32_t depth, struct place *ret_place)
{
    if (!find_place(st, sh, prefix, ret_place)) {
        return leads_nowhere(st, ret_place);
    }
    if (!rv_prefix_valid(prefix, depth) || depth > RV_FANOUT_LOG2 * (ret_place->level + 1) ||
        (ret_place->level && depth <= RV_FANOUT_LOG2 * ret_place->level)) {
        return rv_corrupt(st, ret_place->offset, "a segment's prefix is wrong");
    }
    return VISIT_OK;
}

/* Makes the directory lead to a segment. */
static VisitStatus point_to(struct rv_store *st, struct rv_shard *sh, uint32_t block)
{
    const struct rv_disk_block *header = rv_header(st, block);
    struct place place;
    VisitStatus status = find_pointers(st, sh, rv_load(&header->prefix), rv_depth(header), &place);
    if (!status) {
        point(st, &place, rv_load(&header->prefix), rv_depth(header), block);
        structure_changed(sh);
    }
    return status;
}

/* Writes a version of a block's use by the rule of versioned cells; not the publishing word. */
static VisitStatus set_use(struct rv_op *op, uint64_t block, uint32_t use)
{
    uint64_t *cell = rv_header(op->st, block)->cell;
    uint64_t epoch[3] = {rv_load(&cell[0]) >> 8, rv_load(&cell[1]) >> 8, rv_load(&cell[2]) >> 8};
    int i = rv_newest(epoch, UINT64_MAX);
    if (i < 0 || epoch[i] != op->epoch) {
        i = rv_free_cell(epoch, op->epoch, op->durable);
    }
    if (i < 0) {
        return rv_corrupt(op->st, rv_header_offset(op->st, block), "no cell of a block is free");
    }
    rv_log_set(&op->log, &cell[i], op->epoch << 8 | use);
    return VISIT_OK;
}

/* A block from the hand becomes a segment with these lines; not reachable yet. */
static VisitStatus make_segment(struct rv_op *op, const struct rv_disk_entry *lines,
                                uint64_t prefix, uint32_t depth, uint32_t *ret_block)
{
    struct rv_store *st = op->st;
    VisitStatus status = rv_run_take_block(op, ret_block);
    if (status) {
        return status;
    }
    struct rv_disk_block *header = rv_header(st, *ret_block);
    rv_log_set(&op->log, &header->segment, (uint64_t)op->sh->index << 8 | depth);
    rv_log_set(&op->log, &header->prefix, prefix);
    rv_copy_in(rv_rw(st, rv_block_offset(st, *ret_block)), lines,
               (size_t)1 << (st->geo.block_log2 - 3));
    return set_use(op, *ret_block, RV_USE_SEGMENT);
}

static void *new_lines(const struct rv_store *st)
{
    void *lines = calloc((size_t)1 << st->geo.block_log2, 1);
    if (!lines) {
        rv_fail_errno(st->file.path, "grow the index of", ENOMEM);
    }
    return lines;
}

static VisitStatus make_first(struct rv_store *st, struct rv_shard *sh, struct rv_op *op)
{
    void *lines = new_lines(st);
    uint32_t block;
    if (!lines) {
        return VISIT_ERROR_NO_MEMORY;
    }
    VisitStatus status = make_segment(op, lines, 0, 0, &block);
    if (!status) {
        rv_op_publish(op, &sh->disk->first, block);
        status = rv_index_redo(st, sh, (uint64_t)((uint8_t *)&sh->disk->first - st->file.rw));
    }
    free(lines);
    return status;
}

/* Is there nothing in an entry that a retained version could show? */
static bool is_empty(const struct rv_disk_entry *entry, uint64_t e, uint64_t durable)
{
    uint64_t epoch[3];
    rv_epochs(entry->version, epoch);
    unsigned mask = rv_retained(epoch, e, durable);
    for (unsigned i = 0; i < 3; i++) {
        if (mask & 1u << i && rv_word_count(rv_load(&entry->version[i].word))) {
            return false;
        }
    }
    return true;
}

static void place_entry(const struct rv_store *st, struct rv_disk_entry *lines, uint64_t hash,
                        const struct rv_disk_entry *entry)
{
    bool found;
    uint32_t line = probe(st, lines, hash, entry->user_id, &found);
    lines[line] = *entry;
    ((struct rv_disk_segment *)lines)->count++;
}

/* Shares the entries of a segment out among two, or copies them to one, which is both. */
static void distribute(struct rv_op *op, uint64_t block, uint32_t depth,
                       struct rv_disk_entry *half[2])
{
    const struct rv_store *st = op->st;
    const struct rv_disk_entry *lines = rv_ro(st, rv_block_offset(st, block));
    uint32_t changes = rv_load32(&rv_segment(st, block)->changes);
    for (uint32_t i = 1; i <= st->geo.entries; i++) {
        const struct rv_disk_entry *line = &lines[i];
        struct rv_disk_entry entry;
        if (!rv_entry_used(line)) {
            continue;
        }
        rv_copy_out(&entry, line, sizeof entry / 8);
        if (is_empty(line, op->epoch, op->durable)) {
            changes = (int32_t)(entry.changes - changes) > 0 ? entry.changes : changes;
        } else {
            uint64_t hash = rv_hash(st, entry.user_id);
            place_entry(st, half[hash << depth >> 63], hash, &entry);
        }
    }
    ((struct rv_disk_segment *)half[0])->changes = changes;
    ((struct rv_disk_segment *)half[1])->changes = changes;
}

static struct rv_disk_segment *segment_of(struct rv_store *st, const struct rv_disk_entry *entry)
{
    uint64_t offset = (uint64_t)((const uint8_t *)entry - st->file.rw);
    return rv_rw(st, offset >> st->geo.block_log2 << st->geo.block_log2);
}

uint32_t rv_index_first_change(struct rv_store *st, const struct rv_disk_entry *entry)
{
    return rv_load32(&segment_of(st, entry)->changes);
}

static VisitStatus split_into(struct rv_op *op, uint32_t block, struct rv_disk_entry *half[2])
{
    struct rv_store *st = op->st;
    const struct rv_disk_block *header = rv_header(st, block);
    bool renews = half[0] == half[1];
    uint32_t depth = rv_depth(header);
    uint32_t new_depth = renews ? depth : depth + 1;
    uint64_t prefix = rv_load(&header->prefix);
    uint32_t left;
    uint32_t right;
    /* Once the split is published nothing may fail any more. */
    struct place place;
    VisitStatus status = find_pointers(st, op->sh, prefix, new_depth, &place);
    if (!status && !renews) {
        status = find_pointers(st, op->sh, prefix | UINT64_C(1) << (63 - depth), new_depth, &place);
    }
    if (status) {
        return status;
    }
    distribute(op, block, depth, half);
    status = make_segment(op, half[0], prefix, new_depth, &left);
    right = left;
    if (!status && !renews) {
        status = make_segment(op, half[1], prefix | UINT64_C(1) << (63 - depth), new_depth, &right);
    }
    if (!status) {
        status = set_use(op, block, RV_USE_NONE);
    }
    if (status) {
        return status;
    }
    rv_run_free_block(op, block);
    uint64_t offset = rv_block_offset(st, block) + offsetof(struct rv_disk_segment, moved);
    rv_op_publish(op, rv_rw(st, offset), (uint64_t)left << 32 | right);
    return rv_index_redo(st, op->sh, offset);
}

/* Into two, or, if it is to be renewed, into one. */
static VisitStatus split(struct rv_op *op, uint32_t block, bool renew)
{
    struct rv_disk_entry *left = new_lines(op->st);
    struct rv_disk_entry *right = renew ? left : new_lines(op->st);
    VisitStatus status = VISIT_ERROR_NO_MEMORY;
    if (left && right) {
        struct rv_disk_entry *half[2] = {left, right};
        status = split_into(op, block, half);
    }
    free(left);
    if (!renew) {
        free(right);
    }
    return status;
}

/* How many entries are too many. */
static uint32_t most_entries(const struct rv_store *st)
{
    return st->geo.entries / 4 * 3 + 1;
}

/* Are half of the entries of a full segment, or more, of users who have gone? Splitting it would
 * make the index grow with all users that ever were. */
static bool is_half_empty(const struct rv_store *st, uint32_t block)
{
    const struct rv_disk_entry *lines = rv_ro(st, rv_block_offset(st, block));
    uint64_t epoch = rv_load_acquire(&st->view->epoch);
    uint64_t durable = rv_load_acquire(&st->view->durable);
    uint32_t living = 0;
    for (uint32_t i = 1; i <= st->geo.entries; i++) {
        living += rv_entry_used(&lines[i]) && !is_empty(&lines[i], epoch, durable);
    }
    return living * 2 <= most_entries(st);
}

/* Puts a node between a pointer and the segment that it leads to. */
static VisitStatus deepen(struct rv_op *op, const struct place *place)
{
    struct rv_store *st = op->st;
    uint32_t slot;
    VisitStatus status = rv_run_take(op, rv_class_for(rv_node_slots(st)), &slot);
    if (status) {
        return status;
    }
    uint64_t *node = rv_rw(st, rv_slot_offset(st, slot));
    for (uint32_t i = 0; i < RV_FANOUT; i++) {
        rv_store(&node[i], place->pointer);
    }
    rv_op_publish(op, rv_rw(st, place->offset), RV_POINTER_NODE | slot);
    return VISIT_OK;
}

static bool has_segments(const struct rv_shard *sh)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < RV_FANOUT; i++) {
        any |= rv_load(&sh->disk->root[i]);
    }
    return any != 0;
}

/* Is that the shard's segment for a hash? An entry in another would be lost by the next recovery,
 * and what is no segment could be replaced again and again. */
static VisitStatus check_segment(struct rv_store *st, const struct rv_shard *sh, uint64_t hash,
                                 uint32_t block)
{
    const struct rv_disk_block *header = rv_header(st, block);
    if (!rv_segment_covers(st, block, hash)) {
        return rv_corrupt(st, rv_header_offset(st, block), "a segment's prefix is wrong");
    }
    if (rv_load(&header->run) != rv_run_word(RV_KIND_SEGMENT, 0, sh->index)) {
        return rv_corrupt(st, rv_header_offset(st, block), "a segment's header is wrong");
    }
    return VISIT_OK;
}

/* Makes room for one more entry: the first segment, a deeper directory, a split, or a segment that
 * is renewed; not that once its directory was made deeper for a split. */
static VisitStatus make_room(struct rv_store *st, struct rv_shard *sh, uint64_t hash,
                             uint32_t block)
{
    struct place place;
    /* A first segment once there are others would hide them. */
    if (!find_place(st, sh, hash, &place) || (!block && has_segments(sh))) {
        return leads_nowhere(st, &place);
    }
    uint32_t depth = block ? rv_depth(rv_header(st, block)) : 0;
    bool deepened = place.level && depth <= RV_FANOUT_LOG2 * place.level;
    bool renews = block && !deepened && is_half_empty(st, block);
    bool deeper = block && !renews && depth >= RV_FANOUT_LOG2 * (place.level + 1);
    uint32_t segment = st->geo.slots_log2; /* the class of a run of one block */
    uint32_t needs[2] = {deeper ? rv_class_for(rv_node_slots(st)) : segment, segment};
    bool ready;
    VisitStatus status = rv_run_prepare(st, sh, needs, block && !deeper && !renews ? 2 : 1, &ready);
    if (status || !ready) {
        return status;
    }
    struct rv_op op = rv_op_begin(st, sh);
    status = !block   ? make_first(st, sh, &op)
             : deeper ? deepen(&op, &place)
                      : split(&op, block, renews);
    if (status) {
        return rv_op_abort(&op, status);
    }
    rv_op_end(&op);
    return VISIT_OK;
}

VisitStatus rv_index_find(struct rv_store *st, struct rv_shard *sh, uint64_t hash, uint32_t user_id,
                          bool claim, struct rv_disk_entry **ret_entry)
{
    uint32_t block = 0;
    *ret_entry = NULL;
    VisitStatus status = rv_index_segment(st, sh, hash, &block);
    if (status) {
        return status;
    }
    bool found = false;
    uint32_t line = 0;
    struct rv_disk_entry *lines = block ? rv_rw(st, rv_block_offset(st, block)) : NULL;
    if (block) {
        line = probe(st, lines, hash, user_id, &found);
    }
    if (found) {
        *ret_entry = &lines[line];
        return VISIT_OK;
    }
    if (!claim) {
        return VISIT_OK;
    }
    status = block ? check_segment(st, sh, hash, block) : VISIT_OK;
    if (status) {
        return status;
    }
    struct rv_disk_segment *segment = (struct rv_disk_segment *)lines;
    if (!line || rv_load(&segment->count) >= most_entries(st)) {
        return make_room(st, sh, hash, block);
    }
    *ret_entry = &lines[line];
    return VISIT_OK;
}

void rv_index_claim(struct rv_store *st, struct rv_disk_entry *entry, uint32_t user_id)
{
    struct rv_disk_segment *segment = segment_of(st, entry);
    rv_store(&segment->count, rv_load(&segment->count) + 1);
    rv_store((uint64_t *)entry, (uint64_t)rv_load32(&segment->changes) << 32 | user_id);
}

static VisitStatus redo_first(struct rv_shard *sh)
{
    uint64_t block = rv_load(&sh->disk->first);
    for (uint32_t i = 0; i < RV_FANOUT; i++) {
        rv_store_release(&sh->disk->root[i], block ? RV_POINTER_SEGMENT | block : 0);
    }
    structure_changed(sh);
    return VISIT_OK;
}

/* Puts one more node on the way to a segment; *ret_done if there are enough. */
static VisitStatus deepen_towards(struct rv_store *st, struct rv_shard *sh, uint32_t block,
                                  bool *ret_done)
{
    const struct rv_disk_block *header = rv_header(st, block);
    struct place place;
    *ret_done = false;
    if (!find_place(st, sh, rv_load(&header->prefix), &place)) {
        return leads_nowhere(st, &place);
    }
    *ret_done = rv_depth(header) <= RV_FANOUT_LOG2 * (place.level + 1);
    if (*ret_done) {
        return VISIT_OK;
    }
    uint32_t node = rv_class_for(rv_node_slots(st));
    bool ready;
    VisitStatus status = rv_run_prepare(st, sh, &node, 1, &ready);
    if (status || !ready) {
        return status;
    }
    struct rv_op op = rv_op_begin(st, sh);
    status = deepen(&op, &place);
    if (status) {
        return rv_op_abort(&op, status);
    }
    rv_op_end(&op);
    return VISIT_OK;
}

VisitStatus rv_index_attach(struct rv_store *st, struct rv_shard *sh, uint32_t block)
{
    VisitStatus status = VISIT_OK;
    bool done = false;
    while (!status && !done) {
        status = deepen_towards(st, sh, block, &done);
    }
    return status ? status : point_to(st, sh, block);
}

static VisitStatus redo_split(struct rv_store *st, struct rv_shard *sh, uint64_t moved)
{
    uint32_t half[2] = {(uint32_t)(moved >> 32), (uint32_t)moved};
    VisitStatus status = VISIT_OK;
    for (unsigned i = 0; i < 2 && !status; i++) {
        status = rv_block_valid(st, half[i])
                     ? point_to(st, sh, half[i])
                     : rv_corrupt(st, 0, "a segment's successor lies nowhere");
    }
    return status;
}

VisitStatus rv_index_redo(struct rv_store *st, struct rv_shard *sh, uint64_t publish_offset)
{
    if (publish_offset == (uint64_t)((uint8_t *)&sh->disk->first - st->file.rw)) {
        return redo_first(sh);
    }
    uint64_t block = publish_offset >> st->geo.block_log2;
    uint64_t within = publish_offset - rv_block_offset(st, block);
    if (within == offsetof(struct rv_disk_segment, moved) && rv_block_valid(st, block) &&
        rv_run_kind(rv_load(&rv_header(st, block)->run)) == RV_KIND_SEGMENT) {
        return redo_split(st, sh, rv_load(&rv_segment(st, block)->moved));
    }
    return VISIT_OK;
}
