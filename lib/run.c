/* SPDX-License-Identifier: MIT */
#include "run.h"

#include "alloc.h"
#include "ticker.h"

/* An operation that takes a run frees about one: so limbo can't outgrow what the epochs ask for. */
#define DRAIN_STEPS 3u

/* A checkpoint is due when limbo is larger than this, and than this share of the file. */
#define LIMBO_BYTES (UINT64_C(16) << 20)
#define LIMBO_SHARE 6u

VisitStatus rv_op_abort(struct rv_op *op, VisitStatus status)
{
    rv_log_abort(&op->log);
    op->sh->limbo_slots = op->limbo;
    return status;
}

/* A slot block's word `free`, taken apart. */
struct free_word {
    uint32_t head;  /* first slot of the first free run; 0: none */
    uint32_t fresh; /* runs from here on were never used */
    uint32_t used;  /* runs in use */
};

static struct free_word unpack(uint64_t word)
{
    return (struct free_word){(uint32_t)(word >> 32), (uint32_t)(word >> 16) & 0xffff,
                              (uint32_t)word & 0xffff};
}

static uint64_t pack(struct free_word w)
{
    return (uint64_t)w.head << 32 | (uint64_t)w.fresh << 16 | w.used;
}

static uint32_t runs_of(const struct rv_store *st, uint32_t run_class)
{
    return 1u << (st->geo.slots_log2 - run_class);
}

static bool is_full(const struct rv_store *st, struct free_word w, uint32_t run_class)
{
    return w.head == 0 && w.fresh >= runs_of(st, run_class);
}

static uint32_t *link_of(struct rv_store *st, uint32_t slot)
{
    return &((struct rv_disk_slot *)rv_rw(st, rv_slot_offset(st, slot)))->link;
}

static void set_link(struct rv_store *st, uint32_t slot, uint32_t next)
{
    uint32_t *link = link_of(st, slot);
    rv_touch(st, link);
    rv_store32(link, next);
}

static const void *first_word(struct rv_store *st, uint32_t slot)
{
    return rv_rw(st, rv_slot_offset(st, slot));
}

static bool is_slot_block(struct rv_store *st, struct rv_shard *sh, uint64_t block,
                          uint32_t run_class)
{
    return rv_block_valid(st, block) &&
           rv_load(&rv_header(st, block)->run) == rv_run_word(RV_KIND_SLOTS, run_class, sh->index);
}

static VisitStatus damaged(struct rv_op *op, uint64_t block, const char *what)
{
    uint64_t offset = rv_block_valid(op->st, block) ? rv_header_offset(op->st, block) : 0;
    return rv_corrupt(op->st, offset, what);
}

/* The list of slot blocks of a class that have a free run. */

static void list_set(struct rv_op *op, uint64_t block, uint64_t next, uint64_t prev)
{
    rv_log_set(&op->log, &rv_header(op->st, block)->list, next << 32 | prev);
}

static void list_push(struct rv_op *op, uint64_t block, uint32_t run_class)
{
    uint64_t *first = &op->sh->disk->partial[run_class];
    uint64_t next = rv_load(first);
    if (is_slot_block(op->st, op->sh, next, run_class)) {
        list_set(op, next, rv_load(&rv_header(op->st, next)->list) >> 32, block);
    } else {
        next = 0; /* none, or damage: what the list has is lost until a recovery */
    }
    list_set(op, block, next, 0);
    rv_log_set(&op->log, first, block);
}

static VisitStatus list_remove(struct rv_op *op, uint64_t block, uint32_t run_class)
{
    uint64_t *first = &op->sh->disk->partial[run_class];
    uint64_t list = rv_load(&rv_header(op->st, block)->list);
    uint64_t next = list >> 32;
    uint64_t prev = (uint32_t)list;
    if ((next && !is_slot_block(op->st, op->sh, next, run_class)) ||
        (prev && !is_slot_block(op->st, op->sh, prev, run_class)) ||
        (!prev && rv_load(first) != block)) {
        return damaged(op, block, "a list of slot blocks is broken");
    }
    if (next) {
        list_set(op, next, rv_load(&rv_header(op->st, next)->list) >> 32, prev);
    }
    if (prev) {
        list_set(op, prev, next, (uint32_t)rv_load(&rv_header(op->st, prev)->list));
    } else {
        rv_log_set(&op->log, first, next);
    }
    return VISIT_OK;
}

/* The hand. */

static uint64_t *hand_with(struct rv_shard *sh, uint32_t order, unsigned skip)
{
    for (unsigned i = 0; i < RV_HAND; i++) {
        uint64_t word = rv_load(&sh->disk->hand[i]);
        if (word && rv_hand_order(word) == order && skip-- == 0) {
            return &sh->disk->hand[i];
        }
    }
    return NULL;
}

static VisitStatus hand_room(struct rv_store *st, struct rv_shard *sh, const uint32_t *keep,
                             unsigned count, uint64_t **ret_place)
{
    for (unsigned i = 0; i < RV_HAND; i++) {
        if (!rv_load(&sh->disk->hand[i])) {
            *ret_place = &sh->disk->hand[i];
            return VISIT_OK;
        }
    }
    /* Full: one that is not asked for now goes back. There are more places than runs asked for. */
    for (unsigned i = 0; i < RV_HAND; i++) {
        bool wanted = false;
        for (unsigned k = 0; k < count; k++) {
            wanted = wanted || rv_hand_order(rv_load(&sh->disk->hand[i])) == keep[k];
        }
        if (!wanted || i + 1 == RV_HAND) {
            *ret_place = &sh->disk->hand[i];
            return rv_alloc_give(st, *ret_place);
        }
    }
    return VISIT_OK;
}

static uint32_t order_of(const struct rv_store *st, uint32_t run_class)
{
    return run_class < st->geo.slots_log2 ? 0 : run_class - st->geo.slots_log2;
}

/* How many runs of a class the slot blocks at hand have free; 2 means two or more. */
static unsigned runs_at_hand(struct rv_store *st, struct rv_shard *sh, uint32_t run_class)
{
    uint64_t block = rv_load(&sh->disk->partial[run_class]);
    if (!block || !is_slot_block(st, sh, block, run_class)) {
        return 0;
    }
    const struct rv_disk_block *header = rv_header(st, block);
    struct free_word w = unpack(rv_load(&header->free));
    bool more = runs_of(st, run_class) - w.used > 1 || rv_load(&header->list) >> 32;
    return more ? 2 : 1;
}

/* Is a block missing from the hand, and of which order? */
static bool find_missing(struct rv_store *st, struct rv_shard *sh, const uint32_t *classes,
                         unsigned count, uint32_t *ret_order)
{
    bool from_hand[RV_HAND];
    for (unsigned i = 0; i < count; i++) {
        unsigned same = 0;   /* earlier needs of the same class */
        unsigned claims = 0; /* earlier needs that take a block of the same order from the hand */
        for (unsigned k = 0; k < i; k++) {
            same += classes[k] == classes[i];
            claims += from_hand[k] && order_of(st, classes[k]) == order_of(st, classes[i]);
        }
        from_hand[i] = classes[i] >= st->geo.slots_log2 || runs_at_hand(st, sh, classes[i]) <= same;
        if (from_hand[i] && !hand_with(sh, order_of(st, classes[i]), claims)) {
            *ret_order = order_of(st, classes[i]);
            return true;
        }
    }
    return false;
}

VisitStatus rv_run_prepare(struct rv_store *st, struct rv_shard *sh, const uint32_t *classes,
                           unsigned count, bool *ret_ready)
{
    uint32_t order;
    uint32_t keep[RV_HAND];
    VisitStatus status = rv_run_tidy(st, sh);
    *ret_ready = !status && !find_missing(st, sh, classes, count, &order);
    if (status || *ret_ready) {
        return status;
    }
    for (unsigned i = 0; i < count; i++) {
        keep[i] = order_of(st, classes[i]);
    }
    uint64_t *place = NULL;
    status = hand_room(st, sh, keep, count, &place);
    return status ? status : rv_alloc_take(st, place, order);
}

/* A block out of the hand; its header says what it is for from now on. */
static VisitStatus take_hand(struct rv_op *op, uint32_t order, uint64_t run, uint32_t *ret_block)
{
    uint64_t *place = hand_with(op->sh, order, 0);
    if (!place) {
        return damaged(op, 0, "a shard's hand is empty");
    }
    uint64_t block = rv_hand_block(rv_load(place));
    if (!rv_block_valid(op->st, block) ||
        !rv_block_valid(op->st, block + (UINT64_C(1) << order) - 1)) {
        return damaged(op, block, "a shard's hand names no blocks");
    }
    rv_log_set(&op->log, place, 0);
    rv_log_set(&op->log, &rv_header(op->st, block)->run, run);
    *ret_block = (uint32_t)block;
    return VISIT_OK;
}

VisitStatus rv_run_take_block(struct rv_op *op, uint32_t *ret_block)
{
    return take_hand(op, 0, rv_run_word(RV_KIND_SEGMENT, 0, op->sh->index), ret_block);
}

static VisitStatus new_slot_block(struct rv_op *op, uint32_t run_class)
{
    uint32_t block;
    VisitStatus status =
        take_hand(op, 0, rv_run_word(RV_KIND_SLOTS, run_class, op->sh->index), &block);
    if (status) {
        return status;
    }
    rv_log_set(&op->log, &rv_header(op->st, block)->free, 0);
    list_push(op, block, run_class);
    return VISIT_OK;
}

/* The next free run of a slot block, checked; the free word moves on. */
static VisitStatus pop_run(struct rv_op *op, uint64_t block, uint32_t run_class,
                           struct free_word *w, uint32_t *ret_slot)
{
    struct rv_store *st = op->st;
    uint32_t first = (uint32_t)block << st->geo.slots_log2;
    if (w->head == 0 && w->fresh < runs_of(st, run_class)) {
        *ret_slot = first + (w->fresh++ << run_class);
    } else if (w->head && rv_slot_block(st, w->head) == block &&
               (w->head & ((1u << run_class) - 1)) == 0) {
        *ret_slot = w->head;
        rv_log_keep(&op->log, first_word(st, w->head));
        w->head = rv_load32(link_of(st, w->head));
    } else {
        return damaged(op, block, "a slot block's free list is broken");
    }
    w->used++;
    return VISIT_OK;
}

VisitStatus rv_run_take(struct rv_op *op, uint32_t run_class, uint32_t *ret_slot)
{
    struct rv_store *st = op->st;
    if (run_class >= st->geo.slots_log2) {
        uint32_t order = order_of(st, run_class);
        uint32_t block;
        VisitStatus status =
            take_hand(op, order, rv_run_word(RV_KIND_LARGE, order, op->sh->index), &block);
        *ret_slot = status ? 0 : block << st->geo.slots_log2;
        return status;
    }
    VisitStatus status = VISIT_OK;
    if (!is_slot_block(st, op->sh, rv_load(&op->sh->disk->partial[run_class]), run_class)) {
        status = new_slot_block(op, run_class);
    }
    if (status) {
        return status;
    }
    uint64_t block = rv_load(&op->sh->disk->partial[run_class]);
    struct rv_disk_block *header = rv_header(st, block);
    struct free_word w = unpack(rv_load(&header->free));
    status = pop_run(op, block, run_class, &w, ret_slot);
    if (status) {
        return status;
    }
    rv_log_set(&op->log, &header->free, pack(w));
    return is_full(st, w, run_class) ? list_remove(op, block, run_class) : VISIT_OK;
}

uint32_t rv_run_peek(struct rv_store *st, const struct rv_shard *sh, uint32_t run_class)
{
    uint64_t block = run_class < st->geo.slots_log2 ? rv_load(&sh->disk->partial[run_class]) : 0;
    if (!block || !rv_block_valid(st, block)) {
        return 0;
    }
    struct free_word w = unpack(rv_load(&rv_header(st, block)->free));
    uint64_t fresh = (block << st->geo.slots_log2) + ((uint64_t)w.fresh << run_class);
    uint64_t slot = w.head ? w.head : fresh;
    return rv_slots_valid(st, slot, UINT64_C(1) << run_class) ? (uint32_t)slot : 0;
}

/* Slots of a run; 0 if its class is one that no run has. */
static uint64_t run_size(const struct rv_store *st, uint64_t run)
{
    uint32_t log2 =
        rv_run_class(run) + (rv_run_kind(run) == RV_KIND_SLOTS ? 0 : st->geo.slots_log2);
    return log2 < 32 ? UINT64_C(1) << log2 : 0;
}

/* Much in limbo makes the file larger than it need be; a checkpoint is what empties it. */
static void count_limbo(struct rv_op *op, uint64_t run)
{
    struct rv_store *st = op->st;
    op->sh->limbo_slots += run_size(st, run);
    uint64_t bytes = op->sh->limbo_slots * st->geo.shards << st->geo.slot_log2;
    if (bytes > LIMBO_BYTES && bytes > rv_file_size(st) / LIMBO_SHARE) {
        rv_ticker_ask(st, RV_ASK_CHECKPOINT);
    }
}

static bool is_run(const struct rv_op *op, uint32_t slot, uint32_t run_class)
{
    struct rv_store *st = op->st;
    uint32_t log2 = run_class < st->geo.slots_log2 ? run_class : st->geo.slots_log2;
    uint64_t word = run_class < st->geo.slots_log2
                        ? rv_run_word(RV_KIND_SLOTS, run_class, op->sh->index)
                        : rv_run_word(RV_KIND_LARGE, order_of(st, run_class), op->sh->index);
    return !(slot & ((1u << log2) - 1)) &&
           rv_load(&rv_header(st, rv_slot_block(st, slot))->run) == word;
}

static void to_limbo(struct rv_op *op, uint32_t slot)
{
    struct rv_disk_limbo *limbo = &op->sh->disk->limbo[op->epoch % 3];
    count_limbo(op, rv_load(&rv_header(op->st, rv_slot_block(op->st, slot))->run));
    /* The run is still alive, and the link of a live run means nothing: no need to log it. */
    set_link(op->st, slot, (uint32_t)rv_load(&limbo->head));
    rv_log_set(&op->log, &limbo->head, slot);
    if (rv_load(&limbo->epoch) != op->epoch) {
        rv_log_set(&op->log, &limbo->epoch, op->epoch);
    }
}

VisitStatus rv_run_free(struct rv_op *op, uint32_t slot, uint32_t run_class)
{
    if (!is_run(op, slot, run_class)) {
        return damaged(op, rv_slot_block(op->st, slot), "a block is not what a user has in it");
    }
    to_limbo(op, slot);
    return VISIT_OK;
}

void rv_run_free_block(struct rv_op *op, uint32_t block)
{
    to_limbo(op, block << op->st->geo.slots_log2);
}

bool rv_run_in_limbo(const struct rv_shard *sh)
{
    return rv_load(&sh->view->limbo[0].head) || rv_load(&sh->view->limbo[1].head) ||
           rv_load(&sh->view->limbo[2].head);
}

/*
 * A run goes back into its slot block, or, with the last one, the block into the hand, if there is
 * a place for it.
 */
static VisitStatus return_run(struct rv_op *op, uint32_t slot, uint64_t run, uint64_t *hand)
{
    struct rv_store *st = op->st;
    uint64_t block = rv_slot_block(st, slot);
    uint32_t run_class = rv_run_class(run);
    struct rv_disk_block *header = rv_header(st, block);
    struct free_word w = unpack(rv_load(&header->free));
    if (run_class >= st->geo.slots_log2 || slot & ((1u << run_class) - 1) || w.used == 0 ||
        w.used > w.fresh || w.fresh > runs_of(st, run_class)) {
        return damaged(op, block, "a run in limbo does not fit its slot block");
    }
    bool was_full = is_full(st, w, run_class);
    bool alone = rv_load(&header->list) == 0;
    w.used--;
    if (hand && w.used == 0 && !was_full && !alone) {
        VisitStatus status = list_remove(op, block, run_class);
        rv_log_set(&op->log, hand, rv_hand_word(block, 0));
        rv_log_set(&op->log, &header->run, rv_run_word(RV_KIND_HAND, 0, 0));
        return status;
    }
    rv_log_keep(&op->log, first_word(st, slot));
    set_link(st, slot, w.head);
    w.head = slot;
    rv_log_set(&op->log, &header->free, pack(w));
    if (was_full) {
        list_push(op, block, run_class);
    }
    return VISIT_OK;
}

VisitStatus rv_run_free_unseen(struct rv_op *op, uint32_t slot, uint32_t run_class)
{
    bool large = run_class >= op->st->geo.slots_log2;
    if (large || op->st->erase || !is_run(op, slot, run_class)) {
        VisitStatus status = rv_run_free(op, slot, run_class);
        /* Erasing it can't be taken back: it waits in limbo until this operation is published. */
        op->unseen = status || large ? op->unseen : slot;
        return status;
    }
    return return_run(op, slot, rv_run_word(RV_KIND_SLOTS, run_class, op->sh->index), NULL);
}

void rv_run_erase(struct rv_store *st, uint64_t offset, uint64_t bytes)
{
    for (uint64_t done = 0; done < bytes; done += RV_PAGE) {
        uint64_t *from = rv_rw(st, offset + done);
        uint64_t size = bytes - done < RV_PAGE ? bytes - done : RV_PAGE;
        rv_touch(st, from);
        rv_zero(from, (size_t)(size / 8));
    }
}

static VisitStatus drain_one(struct rv_op *op, struct rv_disk_limbo *limbo, uint64_t *hand)
{
    struct rv_store *st = op->st;
    uint64_t slot = rv_load(&limbo->head);
    uint64_t block = slot >> st->geo.slots_log2;
    if (!rv_block_valid(st, block)) {
        return damaged(op, 0, "limbo names no slot");
    }
    uint32_t next = rv_load32(link_of(st, (uint32_t)slot));
    uint64_t run = rv_load(&rv_header(st, block)->run);
    VisitStatus status = VISIT_OK;
    uint64_t size = run_size(st, run);
    if (rv_run_shard(run) != op->sh->index) {
        status = damaged(op, block, "a run in limbo belongs to another shard");
    } else if (rv_run_kind(run) == RV_KIND_SLOTS) {
        status = return_run(op, (uint32_t)slot, run, hand);
    } else if (rv_run_kind(run) == RV_KIND_LARGE || rv_run_kind(run) == RV_KIND_SEGMENT) {
        if (!hand || rv_run_class(run) >= RV_ORDERS || !rv_slots_valid(st, slot, size) ||
            slot & (size - 1)) {
            return damaged(op, block, "a run in limbo does not fit the file");
        }
        rv_log_set(&op->log, hand, rv_hand_word(block, rv_run_class(run)));
        rv_log_set(&op->log, &rv_header(st, block)->run,
                   rv_run_word(RV_KIND_HAND, rv_run_class(run), 0));
    } else {
        status = damaged(op, block, "a run in limbo lies in a block that holds none");
    }
    if (status || next == slot) {
        return status ? status : damaged(op, block, "limbo goes in a circle");
    }
    if (st->erase && rv_run_kind(run) != RV_KIND_SEGMENT) {
        /* Before the publish: after a kill it is still in limbo, and is erased again. The first
         * word is the list's. */
        rv_run_erase(st, rv_slot_offset(st, slot) + 8, (size << st->geo.slot_log2) - 8);
    }
    op->sh->limbo_slots -= size < op->sh->limbo_slots ? size : op->sh->limbo_slots;
    rv_log_publish(&op->log, &limbo->head, next);
    return VISIT_OK;
}

/* The run that the operation has put into limbo last: no version that is retained can reach it. */
void rv_op_drain_unseen(struct rv_op *op)
{
    struct rv_op next = rv_op_begin(op->st, op->sh);
    struct rv_disk_limbo *limbo = &op->sh->disk->limbo[op->epoch % 3];
    if (rv_load(&limbo->head) == op->unseen) {
        if (drain_one(&next, limbo, NULL)) {
            rv_op_abort(&next,
                        VISIT_ERROR_CORRUPT); /* it stays, and is found when limbo is emptied */
        } else {
            rv_op_end(&next);
        }
    }
}

static VisitStatus drain_chain(struct rv_store *st, struct rv_shard *sh,
                               struct rv_disk_limbo *limbo, unsigned *steps, bool *ret_any)
{
    VisitStatus status = VISIT_OK;
    while (!status && *steps && rv_load(&limbo->head) &&
           rv_load(&limbo->epoch) <= rv_load_acquire(&st->live->durable)) {
        uint64_t *hand = NULL;
        status = hand_room(st, sh, NULL, 0, &hand);
        if (status) {
            return status;
        }
        struct rv_op op = rv_op_begin(st, sh);
        status = drain_one(&op, limbo, hand);
        if (status) {
            return rv_op_abort(&op, status);
        }
        rv_op_end(&op);
        *ret_any = true;
        --*steps;
        status = rv_load(hand) ? rv_alloc_give(st, hand) : VISIT_OK;
    }
    return status;
}

/* Empties limbo, but for the chains of the bits in `leave`. */
static VisitStatus drain(struct rv_store *st, struct rv_shard *sh, unsigned steps, unsigned leave,
                         bool *ret_any)
{
    VisitStatus damage = VISIT_OK;
    *ret_any = false;
    for (unsigned i = 0; i < 3; i++) {
        VisitStatus status = VISIT_OK;
        if (!(leave & 1u << i)) {
            status = drain_chain(st, sh, &sh->disk->limbo[i], &steps, ret_any);
        }
        if (status && status != VISIT_ERROR_CORRUPT) {
            return status;
        }
        if (status) {
            damage = status;
            sh->broken_limbo |= 1u << i;
        }
    }
    return damage;
}

VisitStatus rv_run_drain(struct rv_store *st, struct rv_shard *sh, unsigned steps, bool *ret_any)
{
    return drain(st, sh, steps, 0, ret_any);
}

VisitStatus rv_run_tidy(struct rv_store *st, struct rv_shard *sh)
{
    bool any;
    VisitStatus status = drain(st, sh, DRAIN_STEPS, sh->broken_limbo, &any);
    return status == VISIT_ERROR_CORRUPT ? VISIT_OK : status;
}
