/* SPDX-License-Identifier: MIT */
/*
 * Versioned cells: which version is the newest, and which may not be overwritten (spec: I3).
 *
 * Retained are the newest; the newest up to C = E - 1, which is in flight or durable; the newest up
 * to D. They are at most three, and no more than two if the newest does not carry E.
 */
#ifndef RV_VERSION_H
#define RV_VERSION_H

#include "format.h"
#include "word.h"

#include <stdbool.h>

/* Index of the newest of three epochs that is not above limit; -1: none. */
static inline int rv_newest(const uint64_t epoch[3], uint64_t limit)
{
    int best = -1;
    for (int i = 0; i < 3; i++) {
        if (epoch[i] && epoch[i] <= limit && (best < 0 || epoch[i] > epoch[best])) {
            best = i;
        }
    }
    return best;
}

/* Bit i is set if version i is retained. */
static inline unsigned rv_retained(const uint64_t epoch[3], uint64_t e, uint64_t durable)
{
    int newest = rv_newest(epoch, UINT64_MAX);
    unsigned mask = newest < 0 ? 0 : 1u << newest;
    if (newest < 0 || epoch[newest] <= durable) {
        return mask; /* then it is the newest up to E - 1 and up to D as well */
    }
    int before = rv_newest(epoch, e - 1);
    int saved = rv_newest(epoch, durable);
    return mask | (before < 0 ? 0 : 1u << before) | (saved < 0 ? 0 : 1u << saved);
}

/* The cell that may take a new version of epoch e, which the newest does not carry; -1: damage. */
static inline int rv_free_cell(const uint64_t epoch[3], uint64_t e, uint64_t durable)
{
    unsigned mask = rv_retained(epoch, e, durable);
    for (int i = 0; i < 3; i++) {
        if (!(mask & 1u << i)) {
            return i;
        }
    }
    return -1;
}

static inline void rv_epochs(const struct rv_disk_version version[3], uint64_t ret_epoch[3])
{
    for (int i = 0; i < 3; i++) {
        ret_epoch[i] = rv_load_acquire(&version[i].epoch);
    }
}

/* A user's visits as of an epoch: 0 if there are none. */
static inline uint64_t rv_word_as_of(const struct rv_disk_version version[3], uint64_t limit,
                                     uint64_t *ret_epoch)
{
    uint64_t best = 0;
    const uint64_t *word = NULL;
    for (int i = 0; i < 3; i++) {
        uint64_t epoch = rv_load_acquire(&version[i].epoch);
        bool newer = epoch > best && epoch <= limit;
        best = newer ? epoch : best;
        word = newer ? &version[i].word : word;
    }
    *ret_epoch = best;
    return word ? rv_load_acquire(word) : 0; /* it may have been published in place */
}

/* The use that a block header's cells name as of an epoch. */
static inline uint32_t rv_use_as_of(const uint64_t cell[3], uint64_t limit)
{
    uint64_t word[3] = {rv_load(&cell[0]), rv_load(&cell[1]), rv_load(&cell[2])};
    uint64_t epoch[3] = {word[0] >> 8, word[1] >> 8, word[2] >> 8};
    int i = rv_newest(epoch, limit);
    return i < 0 ? RV_USE_NONE : (uint32_t)(word[i] & 0xff);
}

/* The parts of a version's word. */
static inline uint32_t rv_word_head(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline uint32_t rv_word_count(uint64_t word)
{
    return (uint32_t)word & RV_WORD_COUNT;
}

static inline uint32_t rv_word_class(uint64_t word)
{
    return (uint32_t)(word >> RV_WORD_SIZE_SHIFT) & RV_WORD_SIZE;
}

static inline uint32_t rv_word_mask(uint64_t word)
{
    return (UINT32_C(1) << rv_word_class(word)) - 1;
}

static inline uint32_t rv_word_base(uint64_t word)
{
    return rv_word_head(word) & ~rv_word_mask(word);
}

/* The slot of the visit that has `newer` visits before it. */
static inline uint32_t rv_word_slot(uint64_t word, uint32_t newer)
{
    return rv_word_base(word) + ((rv_word_head(word) - newer) & rv_word_mask(word));
}

static inline uint64_t rv_word_make(uint32_t head, uint32_t count, uint32_t run_class,
                                    uint64_t flags)
{
    return (uint64_t)head << 32 | flags | (uint64_t)run_class << RV_WORD_SIZE_SHIFT | count;
}

#endif
