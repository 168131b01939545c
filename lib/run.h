/* SPDX-License-Identifier: MIT */
/*
 * Operations on a shard, and the runs of slots that they take and free.
 *
 *   take:  partial slot block or hand  ->  ring, overflow run, directory node, segment
 *   free:  ... -> limbo[epoch mod 3] -> (epoch durable) -> slot block's free list, or hand -> file
 *
 * The order of an operation (spec: I9): rv_run_prepare() until it says that nothing was missing;
 * rv_op_begin(), which reads the epoch; take, free, change; rv_op_publish() once; rv_op_end().
 */
#ifndef RV_RUN_H
#define RV_RUN_H

#include "store.h"
#include "undo.h"

struct rv_op {
    struct rv_store *st;
    struct rv_shard *sh;
    struct rv_log log;
    uint64_t epoch;   /* E */
    uint64_t durable; /* D, read after E */
    uint64_t limbo;   /* the shard's limbo_slots when it began */
    uint32_t unseen;  /* a run that is to be erased as soon as this is published; 0: none */
};

/* Begins an operation; the caller holds the shard's lock. */
static inline struct rv_op rv_op_begin(struct rv_store *st, struct rv_shard *sh)
{
    /* E before D: then D >= E - 2 holds for what was read. */
    uint64_t epoch = rv_load_acquire(&st->live->epoch);
    return (struct rv_op){
        .st = st,
        .sh = sh,
        .log = rv_log_begin(st->file.rw, &sh->disk->undo, sh->disk->pair, RV_UNDO_SHARD),
        .epoch = epoch,
        .durable = rv_load_acquire(&st->live->durable),
        .limbo = sh->limbo_slots,
    };
}

/* Notes that the shard changes in this epoch, then makes the operation true. */
static inline void rv_op_publish(struct rv_op *op, uint64_t *word, uint64_t value)
{
    if (rv_load(&op->sh->disk->changed) != op->epoch) {
        rv_store(&op->sh->disk->changed, op->epoch);
    }
    rv_log_publish(&op->log, word, value);
}

void rv_op_drain_unseen(struct rv_op *op);

static inline void rv_op_end(struct rv_op *op)
{
    rv_log_drop(&op->log);
    if (op->unseen) {
        rv_op_drain_unseen(op);
    }
}

/* Takes back all that the operation did; returns status. */
VisitStatus rv_op_abort(struct rv_op *op, VisitStatus status);

/*
 * Sees to it that runs of these classes can be taken. Sets *ret_ready if nothing had to be done for
 * that; otherwise the epoch may have moved on and the caller decides anew.
 */
VisitStatus rv_run_prepare(struct rv_store *st, struct rv_shard *sh, const uint32_t *classes,
                           unsigned count, bool *ret_ready);

/* Takes a run that rv_run_prepare() has seen to; its first slot. */
VisitStatus rv_run_take(struct rv_op *op, uint32_t run_class, uint32_t *ret_slot);

/* The run of slots that would be taken, as far as it is easy to tell; else 0. For prefetching. */
uint32_t rv_run_peek(struct rv_store *st, const struct rv_shard *sh, uint32_t run_class);

/* Takes a block out of the hand, for a segment. */
VisitStatus rv_run_take_block(struct rv_op *op, uint32_t *ret_block);

/*
 * Puts a run of that class into limbo. Its bytes stay as they are, but for the link. CORRUPT if its
 * block says that runs are others there: more would be freed, and erased, than the owner had.
 */
VisitStatus rv_run_free(struct rv_op *op, uint32_t slot, uint32_t run_class);

/* Puts a segment's block into limbo; its header has been looked at. */
void rv_run_free_block(struct rv_op *op, uint32_t block);

/* Frees a run that no retained version can reach, once this operation is published. */
VisitStatus rv_run_free_unseen(struct rv_op *op, uint32_t slot, uint32_t run_class);

/* Moves up to `steps` runs from limbo to the free lists, if the epochs allow. Damage in one of the
 * chains keeps the others from nothing; it is told. */
VisitStatus rv_run_drain(struct rv_store *st, struct rv_shard *sh, unsigned steps, bool *ret_any);

/* The same with a few runs, before an operation. Damage met costs room, which is not its business:
 * verification tells it, and, if the store erases what is removed, the next checkpoint. */
VisitStatus rv_run_tidy(struct rv_store *st, struct rv_shard *sh);

/* Overwrites what nothing reaches with zeros; whole words. */
void rv_run_erase(struct rv_store *st, uint64_t offset, uint64_t bytes);

/* Is anything in the shard's limbo? */
bool rv_run_in_limbo(const struct rv_shard *sh);

#endif
