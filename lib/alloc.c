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

/* Does the file say that a free run of that order begins here, and can it? */
static bool is_free(struct rv_store *st, uint64_t block, uint32_t order)
{
    return rv_block_valid(st, block) &&
           rv_load(&rv_header(st, block)->run) == rv_run_word(RV_KIND_FREE, order, 0) &&
           order_at(st, block, rv_load(&st->live->blocks)) >= order &&
           block < rv_load(&st->live->blocks);
}

static VisitStatus damaged(struct rv_store *st, uint64_t block)
{
    return rv_corrupt(st, rv_block_valid(st, block) ? rv_header_offset(st, block) : 3 * RV_PAGE,
                      "a list of free blocks is broken");
}

static VisitStatus push(struct rv_store *st, struct rv_log *log, uint64_t block, uint32_t order)
{
    struct rv_disk_block *header = rv_header(st, block);
    uint64_t next = rv_load(&st->live->free[order]);
    if (next && !is_free(st, next, order)) {
        return damaged(st, next);
    }
    rv_log_set(log, &header->run, rv_run_word(RV_KIND_FREE, order, 0));
    set_list(log, header, next, 0);
    if (next) {
        struct rv_disk_block *neighbour = rv_header(st, next);
        set_list(log, neighbour, next_of(neighbour), block);
    }
    rv_log_set(log, &st->live->free[order], block);
    return VISIT_OK;
}

static VisitStatus unlink_free(struct rv_store *st, struct rv_log *log, uint64_t block,
                               uint32_t order)
{
    struct rv_disk_block *header = rv_header(st, block);
    uint64_t next = next_of(header);
    uint64_t prev = prev_of(header);
    if ((next && !is_free(st, next, order)) || (prev && !is_free(st, prev, order)) ||
        (!prev && rv_load(&st->live->free[order]) != block)) {
        return damaged(st, block);
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
    return VISIT_OK;
}

/* Joins a free run with its buddies as far as they are free too, and lists it. */
static VisitStatus insert(struct rv_store *st, struct rv_log *log, uint64_t block, uint32_t order)
{
    while (order + 1 < RV_ORDERS) {
        uint64_t buddy = block ^ (UINT64_C(1) << order);
        if (!is_free(st, buddy, order)) {
            break;
        }
        VisitStatus status = unlink_free(st, log, buddy, order);
        if (status) {
            return status;
        }
        uint64_t upper = buddy > block ? buddy : block;
        rv_log_set(log, &rv_header(st, upper)->run, rv_run_word(RV_KIND_UNUSED, 0, 0));
        block &= ~(UINT64_C(1) << order);
        order++;
    }
    return push(st, log, block, order);
}

/* Sets up one piece of fresh blocks: a block map or a free run. */
static VisitStatus add_piece(struct rv_store *st, uint64_t *from, uint64_t to)
{
    struct rv_log log = begin(st);
    uint64_t end = *from + 1;
    VisitStatus status = VISIT_OK;
    if (rv_is_map(st, *from)) {
        rv_log_set(&log, &rv_header(st, *from)->run, rv_run_word(RV_KIND_MAP, 0, 0));
    } else {
        uint32_t order = order_at(st, *from, to);
        end = *from + (UINT64_C(1) << order);
        status = insert(st, &log, *from, order);
    }
    if (status) {
        rv_log_abort(&log);
        return status;
    }
    rv_log_publish(&log, &st->live->blocks, end);
    rv_log_drop(&log);
    *from = end;
    return VISIT_OK;
}

VisitStatus rv_alloc_add(struct rv_store *st, uint64_t from, uint64_t to)
{
    VisitStatus status = VISIT_OK;
    while (!status && from < to) {
        status = add_piece(st, &from, to);
    }
    return status;
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
        status = rv_lock_alloc(st);
    }
    if (status) {
        return status;
    }
    uint64_t there = rv_file_size(st) >> st->geo.block_log2;
    status = rv_alloc_add(st, rv_load(&st->live->blocks), end < there ? end : there);
    rv_unlock_alloc(st);
    return status;
}

/* The least order of a free run that is at least as large as that; RV_ORDERS: there is none. */
static uint32_t order_to_split(const struct rv_store *st, uint32_t order)
{
    while (order < RV_ORDERS && !rv_load(&st->live->free[order])) {
        order++;
    }
    return order;
}

/* A free run of this order is room enough for some time. */
static uint32_t wanted(const struct rv_store *st)
{
    uint32_t largest = st->geo.max_class - st->geo.slots_log2; /* that fits between block maps */
    return RESERVE_ORDER < largest ? RESERVE_ORDER : largest;
}

VisitStatus rv_alloc_reserve(struct rv_store *st)
{
    uint64_t blocks = rv_load(&st->live->blocks);
    uint64_t window = UINT64_C(1) << RESERVE_ORDER;
    if (order_to_split(st, wanted(st)) < RV_ORDERS) {
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
    return status ? status : rv_alloc_add(st, blocks, end);
}

static VisitStatus take_free(struct rv_store *st, uint64_t *hand, uint32_t order)
{
    struct rv_log log = begin(st);
    uint32_t from = order_to_split(st, order);
    uint64_t block = rv_load(&st->live->free[from]);
    VisitStatus status =
        is_free(st, block, from) ? unlink_free(st, &log, block, from) : damaged(st, block);
    while (!status && from > order) {
        from--;
        status = push(st, &log, block + (UINT64_C(1) << from), from);
    }
    if (status) {
        rv_log_abort(&log);
        return status;
    }
    rv_log_set(&log, &rv_header(st, block)->run, rv_run_word(RV_KIND_HAND, order, 0));
    rv_log_publish(&log, hand, rv_hand_word(block, order));
    rv_log_drop(&log);
    return VISIT_OK;
}

VisitStatus rv_alloc_take(struct rv_store *st, uint64_t *hand, uint32_t order)
{
    assert(rv_load(hand) == 0);
    VisitStatus status = rv_lock_alloc(st);
    if (status) {
        return status;
    }
    while (!status && order_to_split(st, order) == RV_ORDERS) {
        status = grow(st, order);
    }
    if (!status) {
        status = take_free(st, hand, order);
    }
    bool scarce = order_to_split(st, wanted(st)) == RV_ORDERS &&
                  rv_load(&st->live->blocks) / 8 >= UINT64_C(1) << RESERVE_ORDER;
    rv_unlock_alloc(st);
    if (scarce && !st->shared) {
        rv_ticker_ask(st, RV_ASK_ROOM);
    }
    return status;
}

VisitStatus rv_alloc_give(struct rv_store *st, uint64_t *hand)
{
    uint64_t word = rv_load(hand);
    uint64_t block = rv_hand_block(word);
    uint32_t order = rv_hand_order(word);
    if (order >= RV_ORDERS || !rv_block_valid(st, block) ||
        !rv_block_valid(st, block + (UINT64_C(1) << order) - 1)) {
        return damaged(st, block);
    }
    VisitStatus status = rv_lock_alloc(st);
    if (status) {
        return status;
    }
    struct rv_log log = begin(st);
    status = insert(st, &log, block, order);
    if (status) {
        rv_log_abort(&log);
    } else {
        rv_log_publish(&log, hand, 0);
        rv_log_drop(&log);
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
