/* SPDX-License-Identifier: MIT */
#include "alloc.h"

#include "lock.h"
#include "ticker.h"
#include "undo.h"

#define GROWTH_BLOCKS 16u   /* the file grows by an eighth, at most by so many blocks */
#define RESERVE_BLOCKS 128u /* in the background, at most by so many */
#define RESERVE_ORDER 6u    /* when no free run is as large as this */
#define RESERVE_STEP 16u    /* blocks at once: whoever needs one meanwhile waits for so many */

static struct rv_log begin(struct rv_store *st)
{
    return rv_log_begin(st->file.rw, &st->live->undo, st->live->pair, RV_UNDO_LIVE);
}

static uint32_t next_of(const struct rv_disk_block *header)
{
    return (uint32_t)(rv_load(&header->list) >> 32);
}

static uint32_t prev_of(const struct rv_disk_block *header)
{
    return (uint32_t)rv_load(&header->list);
}

static void set_list(struct rv_log *log, struct rv_disk_block *header, uint64_t next, uint64_t prev)
{
    rv_log_set(log, &header->list, next << 32 | prev);
}

/* The largest aligned run that begins at `from`, ends by `to` and has no block map in it. */
static uint32_t order_at(const struct rv_store *st, uint64_t from, uint64_t to)
{
    uint32_t order = 0;
    while (order + 1 < RV_ORDERS) {
        uint64_t size = UINT64_C(2) << order;
        uint64_t map = st->geo.header_blocks;
        map += (from - map + st->geo.map_span - 1) / st->geo.map_span * st->geo.map_span;
        if (from % size || from + size > to || map < from + size) {
            break;
        }
        order++;
    }
    return order;
}

/* Does the file say that such a run begins here, and can it, if there are so many blocks? */
static bool is_run(struct rv_store *st, uint32_t kind, uint64_t block, uint32_t order,
                   uint64_t blocks)
{
    return order < RV_ORDERS && rv_block_valid(st, block) && block < blocks &&
           rv_load(&rv_header(st, block)->run) == rv_run_word(kind, order, 0) &&
           order_at(st, block, blocks) >= order;
}

static bool is_free(struct rv_store *st, uint64_t block, uint32_t order)
{
    return is_run(st, RV_KIND_FREE, block, order, rv_load(&st->live->blocks));
}

/* Where a list is damaged, its runs are lost until a recovery, and that is all. But growth goes by
 * the number of blocks: where the file has been cut off, it would hide that; and a list that begins
 * behind the blocks tells that they are more, which growth would hand out though they are in use.
 */
static VisitStatus check_blocks(struct rv_store *st)
{
    uint64_t there = rv_file_size(st) >> st->geo.block_log2;
    if (there < rv_load(&st->live->blocks)) {
        return rv_corrupt(st, rv_file_size(st), "the file is shorter than its number of blocks");
    }
    for (uint32_t order = 0; order < RV_ORDERS; order++) {
        uint64_t first = rv_load(&st->live->free[order]);
        if (is_run(st, RV_KIND_FREE, first, order, there) && !is_free(st, first, order)) {
            return rv_corrupt(st, (uint8_t *)&st->live->blocks - st->file.rw,
                              "the number of blocks makes no sense");
        }
    }
    return VISIT_OK;
}

/* Takes the lock; what is below may go by the number of blocks. */
static VisitStatus lock_checked(struct rv_store *st)
{
    VisitStatus status = rv_lock_alloc(st);
    if (!status) {
        status = check_blocks(st);
        if (status) {
            rv_unlock_alloc(st);
        }
    }
    return status;
}

static void push(struct rv_store *st, struct rv_log *log, uint64_t block, uint32_t order)
{
    struct rv_disk_block *header = rv_header(st, block);
    uint64_t next = rv_load(&st->live->free[order]);
    if (is_free(st, next, order)) {
        struct rv_disk_block *neighbour = rv_header(st, next);
        set_list(log, neighbour, next_of(neighbour), block);
    } else {
        next = 0; /* none, or damage */
    }
    rv_log_set(log, &header->run, rv_run_word(RV_KIND_FREE, order, 0));
    set_list(log, header, next, 0);
    rv_log_set(log, &st->live->free[order], block);
}

/* False: its neighbours in the list do not agree, which is damage; nothing is done. */
static bool unlink_free(struct rv_store *st, struct rv_log *log, uint64_t block, uint32_t order)
{
    struct rv_disk_block *header = rv_header(st, block);
    uint64_t next = next_of(header);
    uint64_t prev = prev_of(header);
    if ((next && (!is_free(st, next, order) || prev_of(rv_header(st, next)) != block)) ||
        (prev && (!is_free(st, prev, order) || next_of(rv_header(st, prev)) != block)) ||
        (!prev && rv_load(&st->live->free[order]) != block)) {
        return false;
    }
    if (next) {
        struct rv_disk_block *neighbour = rv_header(st, next);
        set_list(log, neighbour, next_of(neighbour), prev);
    }
    if (prev) {
        struct rv_disk_block *neighbour = rv_header(st, prev);
        set_list(log, neighbour, next, prev_of(neighbour));
    } else {
        rv_log_set(log, &st->live->free[order], next);
    }
    return true;
}

/* Joins a free run with its buddies as far as they are free too, and lists it. */
static void insert(struct rv_store *st, struct rv_log *log, uint64_t block, uint32_t order)
{
    while (order + 1 < RV_ORDERS) {
        uint64_t buddy = block ^ (UINT64_C(1) << order);
        if (!is_free(st, buddy, order) || !unlink_free(st, log, buddy, order)) {
            break;
        }
        uint64_t upper = buddy > block ? buddy : block;
        rv_log_set(log, &rv_header(st, upper)->run, rv_run_word(RV_KIND_UNUSED, 0, 0));
        block &= ~(UINT64_C(1) << order);
        order++;
    }
    push(st, log, block, order);
}

/* Sets up one piece of fresh blocks, a block map or a free run; returns its end. */
static uint64_t add_piece(struct rv_store *st, uint64_t from, uint64_t to)
{
    struct rv_log log = begin(st);
    uint64_t end = from + 1;
    if (rv_is_map(st, from)) {
        rv_log_set(&log, &rv_header(st, from)->run, rv_run_word(RV_KIND_MAP, 0, 0));
    } else {
        uint32_t order = order_at(st, from, to);
        end = from + (UINT64_C(1) << order);
        insert(st, &log, from, order);
    }
    rv_log_publish(&log, &st->live->blocks, end);
    rv_log_drop(&log);
    return end;
}

void rv_alloc_add(struct rv_store *st, uint64_t from, uint64_t to)
{
    while (from < to) {
        from = add_piece(st, from, to);
    }
}

static uint64_t growth(uint64_t blocks, uint64_t most)
{
    return blocks / 8 < 1 ? 1 : blocks / 8 > most ? most : blocks / 8;
}

static bool too_large(const struct rv_store *st, uint64_t blocks)
{
    return blocks << st->geo.slots_log2 > UINT64_C(1) << 32;
}

static VisitStatus lengthen(struct rv_store *st, uint64_t blocks)
{
    pthread_mutex_lock(&st->grow_lock);
    VisitStatus status = rv_file_grow(&st->file, rv_block_offset(st, blocks));
    pthread_mutex_unlock(&st->grow_lock);
    return status;
}

VisitStatus rv_alloc_look(struct rv_store *st)
{
    pthread_mutex_lock(&st->grow_lock);
    VisitStatus status = rv_file_refresh(&st->file);
    pthread_mutex_unlock(&st->grow_lock);
    return status;
}

static VisitStatus reserve_to(struct rv_store *st, uint64_t end)
{
    VisitStatus status = too_large(st, end) ? VISIT_OK : lengthen(st, end);
    if (!status) {
        status = lock_checked(st);
    }
    if (status) {
        return status;
    }
    uint64_t there = rv_file_size(st) >> st->geo.block_log2;
    rv_alloc_add(st, rv_load(&st->live->blocks), end < there ? end : there);
    rv_unlock_alloc(st);
    return VISIT_OK;
}

/* The least order, of at least that one, of which there is a free run; RV_ORDERS: of none. */
static uint32_t order_to_split(struct rv_store *st, uint32_t order)
{
    while (order < RV_ORDERS && !is_free(st, rv_load(&st->live->free[order]), order)) {
        order++;
    }
    return order;
}

/* Is there room for some time? Also without the lock. */
static bool has_room(const struct rv_store *st)
{
    uint32_t largest = st->geo.max_class - st->geo.slots_log2; /* that fits between block maps */
    uint64_t any = 0;
    for (uint32_t i = RESERVE_ORDER < largest ? RESERVE_ORDER : largest; i < RV_ORDERS; i++) {
        any |= rv_load(&st->live->free[i]);
    }
    return any != 0;
}

VisitStatus rv_alloc_reserve(struct rv_store *st)
{
    uint64_t blocks = rv_load(&st->live->blocks);
    uint64_t window = UINT64_C(1) << RESERVE_ORDER;
    if (has_room(st)) {
        return VISIT_OK; /* asked for while the last was being made */
    }
    uint64_t end = (blocks + growth(blocks, RESERVE_BLOCKS) + window - 1) / window * window;
    VisitStatus status = VISIT_OK;
    while (!status && blocks < end) {
        /* Aligned: else each step would end in small runs, which are taken before they can join. */
        blocks = (blocks / RESERVE_STEP + 1) * RESERVE_STEP;
        status = reserve_to(st, blocks);
    }
    return status;
}

/* Makes room for at least one more run of that order. */
static VisitStatus grow(struct rv_store *st, uint32_t order)
{
    uint64_t blocks = rv_load(&st->live->blocks);
    uint64_t need = UINT64_C(1) << order;
    uint64_t from = (blocks + need - 1) / need * need;
    while (order_at(st, from, from + need) < order || rv_is_map(st, from)) {
        from += need;
    }
    uint64_t end = blocks + growth(blocks, GROWTH_BLOCKS);
    end = from + need > end ? from + need : end;
    if (too_large(st, end)) {
        return rv_fail(VISIT_ERROR_NO_SPACE, st->file.path,
                       "has reached its largest size; use a store with larger slots");
    }
    VisitStatus status = lengthen(st, end);
    if (status == VISIT_ERROR_NO_SPACE && from + need < end) {
        end = from + need;
        status = lengthen(st, end);
    }
    if (!status) {
        rv_alloc_add(st, blocks, end);
    }
    return status;
}

/* Takes the first run of list `from`. If the list is broken there, it becomes empty instead. */
static void take_free(struct rv_store *st, uint64_t *hand, uint32_t order, uint32_t from)
{
    struct rv_log log = begin(st);
    uint64_t *first = &st->live->free[from];
    uint64_t block = rv_load(first);
    if (unlink_free(st, &log, block, from)) {
        while (from > order) {
            from--;
            push(st, &log, block + (UINT64_C(1) << from), from);
        }
        rv_log_set(&log, &rv_header(st, block)->run, rv_run_word(RV_KIND_HAND, order, 0));
        rv_log_publish(&log, hand, rv_hand_word(block, order));
    } else {
        rv_log_publish(&log, first, 0);
    }
    rv_log_drop(&log);
}

VisitStatus rv_alloc_take(struct rv_store *st, uint64_t *hand, uint32_t order)
{
    assert(rv_load(hand) == 0);
    VisitStatus status = lock_checked(st);
    if (status) {
        return status;
    }
    while (!status && !rv_load(hand)) {
        uint32_t from = order_to_split(st, order);
        if (from == RV_ORDERS) {
            status = grow(st, order);
        } else {
            take_free(st, hand, order, from);
        }
    }
    bool scarce = !has_room(st) && rv_load(&st->live->blocks) / 8 >= UINT64_C(1) << RESERVE_ORDER;
    rv_unlock_alloc(st);
    if (scarce && !st->shared) {
        rv_ticker_ask(st, RV_ASK_ROOM);
    }
    return status;
}

VisitStatus rv_alloc_give(struct rv_store *st, uint64_t *hand)
{
    uint64_t block = rv_hand_block(rv_load(hand));
    uint32_t order = rv_hand_order(rv_load(hand));
    VisitStatus status = lock_checked(st);
    if (status) {
        return status;
    }
    if (is_run(st, RV_KIND_HAND, block, order, rv_load(&st->live->blocks))) {
        struct rv_log log = begin(st);
        insert(st, &log, block, order);
        rv_log_publish(&log, hand, 0);
        rv_log_drop(&log);
    } else {
        status = rv_corrupt(st, (uint8_t *)hand - st->file.rw, "a shard's hand names no blocks");
    }
    rv_unlock_alloc(st);
    return status;
}

VisitStatus rv_alloc_repair(struct rv_store *st)
{
    struct rv_log log = begin(st);
    uint64_t offset;
    switch (rv_log_repair(&log, rv_file_size(st), &offset)) {
    case RV_LOG_DAMAGED:
        return rv_corrupt(st, 3 * RV_PAGE, "the allocator's undo log makes no sense");
    case RV_LOG_PUBLISHED:
        rv_log_drop(&log);
        break;
    case RV_LOG_EMPTY:
    case RV_LOG_UNDONE:
        break;
    }
    return VISIT_OK;
}
