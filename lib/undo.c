/* SPDX-License-Identifier: MIT */
#include "undo.h"

static bool is_kept(const struct rv_log *log, uint64_t offset)
{
    for (uint32_t i = 0; i < log->count; i++) {
        if (rv_load(&log->pair[i].offset) == offset) {
            return true;
        }
    }
    return false;
}

void rv_log_keep(struct rv_log *log, const void *word)
{
    uint64_t offset = (uint64_t)((const uint8_t *)word - log->base);
    if (is_kept(log, offset)) {
        return;
    }
    assert(log->count < log->capacity);
    struct rv_disk_undo_pair *pair = &log->pair[log->count];
    rv_store(&pair->offset, offset);
    rv_store(&pair->old, rv_load(word));
    rv_store_release(&log->head->count, ++log->count);
    /* The change of the word must not overtake the count. */
    rv_fence_release();
}

void rv_log_set(struct rv_log *log, uint64_t *word, uint64_t value)
{
    rv_log_keep(log, word);
    rv_store(word, value);
}

static void restore(struct rv_log *log, uint64_t count)
{
    while (count--) {
        uint64_t *word = (uint64_t *)(log->base + rv_load(&log->pair[count].offset));
        rv_store_release(word, rv_load(&log->pair[count].old));
    }
}

void rv_log_abort(struct rv_log *log)
{
    restore(log, log->count);
    rv_log_drop(log);
}

/* A word of the file that an operation changes: not of what is constant, nor of the log itself, or
 * restoring one pair could change the next one after it was checked. */
static bool may_change(const struct rv_log *log, uint64_t offset, uint64_t file_size)
{
    uint64_t begin = (uint64_t)((uint8_t *)log->head - log->base);
    uint64_t end = (uint64_t)((uint8_t *)(log->pair + log->capacity) - log->base);
    return offset % 8 == 0 && offset >= 3 * RV_PAGE && offset <= file_size - 8 &&
           (offset < begin || offset >= end);
}

enum rv_log_state rv_log_repair(struct rv_log *log, uint64_t file_size, uint64_t *ret_offset)
{
    uint64_t count = rv_load(&log->head->count);
    uint64_t published = rv_load(&log->head->publish_offset);
    if (count == 0) {
        rv_store_release(&log->head->publish_offset, 0);
        return RV_LOG_EMPTY;
    }
    if (count > log->capacity || published % 8 || published > file_size - 8) {
        return RV_LOG_DAMAGED;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t offset = rv_load(&log->pair[i].offset);
        if (!may_change(log, offset, file_size)) {
            return RV_LOG_DAMAGED;
        }
    }
    log->count = (uint32_t)count;
    if (published &&
        rv_load((uint64_t *)(log->base + published)) == rv_load(&log->head->publish_value)) {
        *ret_offset = published;
        return RV_LOG_PUBLISHED;
    }
    rv_log_abort(log);
    return RV_LOG_UNDONE;
}
