/* SPDX-License-Identifier: MIT */
/* Visits in slots: reading and checking a ring's chain, building and writing a slot. */
#ifndef RV_SLOT_H
#define RV_SLOT_H

#include "run.h"

/* One visit of a ring, checked. */
struct rv_view {
    const struct rv_disk_slot *header; /* in the read-only mapping */
    const uint8_t *strings;            /* url, NUL, text, NUL; there too */
    int64_t time_ns;
    uint32_t slot;
    uint32_t visit_id;
    uint32_t seq;
    uint32_t url_length;
    uint32_t text_length;
    uint32_t overflow; /* first slot of the overflow run; 0: none */
};

/*
 * The newest `limit` visits that a version's word names, newest first, each checked (spec: I6).
 *
 * Reads through the read-only mapping without a lock: what it returns is true only if the entry's
 * change counter did not move. views has room for the count of the word.
 */
VisitStatus rv_slot_collect(const struct rv_store *st, uint32_t user_id, uint64_t word,
                            uint32_t limit, struct rv_view *views, uint32_t *ret_count);

/* Is a version's word sane: a ring inside the file, no larger a count than slots? */
bool rv_slot_word_valid(const struct rv_store *st, uint64_t word);

/* Starts loading the first lines of a ring's newest `count` slots. */
void rv_slot_prefetch(const struct rv_store *st, uint64_t word, uint32_t count);

/* The checksum of a slot: of its header without the first 8 and last 8 bytes, and of its strings.
 */
uint64_t rv_slot_checksum(const struct rv_disk_slot *header, uint64_t strings_hash);
uint64_t rv_slot_strings_hash(const void *strings, size_t bytes);

/* Do the strings have their lengths, without a NUL inside? */
bool rv_slot_strings_whole(const struct rv_view *view);

/* Does a view's checksum hold? The user must not be changed meanwhile. */
bool rv_slot_checksum_holds(const struct rv_view *view);

/* A visit id's bit in an entry's Bloom filter. */
static inline uint32_t rv_filter_bit(uint32_t visit_id)
{
    return 1u << (visit_id * UINT32_C(0x9e3779b1) >> 27);
}

/* Bytes of both strings with their NULs. */
static inline uint64_t rv_slot_bytes(const struct rv_view *view)
{
    return (uint64_t)view->url_length + view->text_length + 2;
}

static inline uint64_t rv_slot_room(const struct rv_store *st)
{
    return (UINT64_C(1) << st->geo.slot_log2) - sizeof(struct rv_disk_slot);
}

/* The class of the overflow run for so many bytes of strings. */
uint32_t rv_slot_overflow_class(const struct rv_store *st, uint64_t bytes);

#endif
