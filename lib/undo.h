/* SPDX-License-Identifier: MIT */
/*
 * The undo log: takes back an operation that a kill, or an error, cut short.
 *
 * An operation changes words through rv_log_set() and becomes true with one rv_log_publish(). Until
 * then the log can restore every word; from then on there is nothing to take back. An operation
 * that logged nothing costs nothing but its publishing store.
 */
#ifndef RV_UNDO_H
#define RV_UNDO_H

#include "format.h"
#include "word.h"

#include <stdbool.h>
#include <stdint.h>

struct rv_log {
    struct rv_disk_undo *head;
    struct rv_disk_undo_pair *pair;
    uint32_t capacity;
    uint32_t count;
    uint8_t *base; /* of the file's mapping */
};

/* An empty log, ready for an operation. */
static inline struct rv_log rv_log_begin(uint8_t *base, struct rv_disk_undo *head,
                                         struct rv_disk_undo_pair *pair, uint32_t capacity)
{
    return (struct rv_log){.head = head, .pair = pair, .capacity = capacity, .base = base};
}

/* Notes what a word holds, so that it may be changed. Once for each word. */
void rv_log_keep(struct rv_log *log, const void *word);

/* Notes and changes a word. */
void rv_log_set(struct rv_log *log, uint64_t *word, uint64_t value);

/* Makes the operation true: stores a value that the word does not have yet. */
static inline void rv_log_publish(struct rv_log *log, uint64_t *word, uint64_t value)
{
    if (log->count) {
        rv_store_release(&log->head->publish_value, value);
        rv_store_release(&log->head->publish_offset, (uint64_t)((uint8_t *)word - log->base));
    }
    rv_store_release(word, value);
}

/* The end of an operation that published. */
static inline void rv_log_drop(struct rv_log *log)
{
    if (log->count) {
        rv_store_release(&log->head->count, 0);
        rv_store_release(&log->head->publish_offset, 0);
        log->count = 0;
        /* The next operation's pairs must not overtake this. */
        rv_fence_release();
    }
}

/* Takes everything back. */
void rv_log_abort(struct rv_log *log);

enum rv_log_state {
    RV_LOG_EMPTY,     /* nothing was in flight */
    RV_LOG_UNDONE,    /* an operation was taken back */
    RV_LOG_PUBLISHED, /* an operation is true; the log is still there, for rv_log_drop() */
    RV_LOG_DAMAGED,   /* the log makes no sense */
};

/* After a kill. ret_offset: of the publishing word, if RV_LOG_PUBLISHED. */
enum rv_log_state rv_log_repair(struct rv_log *log, uint64_t file_size, uint64_t *ret_offset);

#endif
