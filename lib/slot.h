/* SPDX-License-Identifier: MIT */
/* Visits in slots: reading and checking a ring's chain, building and writing a slot. */
#ifndef RV_SLOT_H
#define RV_SLOT_H

#include "run.h"
#include "version.h"

/* One visit of a ring, checked. */
struct rv_view {
    const struct rv_disk_slot *header; /* in the mapping that was asked for */
    const uint8_t *strings;            /* url, NUL, text, NUL; there too, or in an overflow run */
    int64_t time_ns;
    uint32_t slot;
    uint32_t visit_id;
    uint32_t seq;
    uint32_t url_length;
    uint32_t text_length;
    uint32_t overflow; /* first slot of the overflow run; 0: none */
};

/* Is a version's word sane: a ring inside the file, no larger a count than slots? */
static inline bool rv_slot_word_valid(const struct rv_store *st, uint64_t word)
{
    return word == 0 ||
           (!(word & RV_WORD_RESERVED) && rv_word_count(word) &&
            rv_word_count(word) <= (UINT32_C(1) << rv_word_class(word)) &&
            rv_word_class(word) <= st->geo.max_class &&
            rv_slots_valid(st, rv_word_base(word), UINT64_C(1) << rv_word_class(word)));
}

#define RV_TOGETHER 16u /* visits whose lines are on their way at once */

/* Starts loading the first lines of a ring's newest slots, up to `count` of RV_TOGETHER. */
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

/* The strings of a visit in its overflow run; NULL if they can't be there. */
const uint8_t *rv_slot_overflow(const struct rv_store *st, uint32_t user_id, uint32_t visit_id,
                                uint32_t overflow, uint64_t bytes);

/* A walk through a ring, from the newest visit on. */
struct rv_walk {
    const struct rv_store *st;
    const uint8_t *ring; /* the first slot of its run */
    uint64_t room;       /* of a slot for strings */
    uint32_t slot_log2;
    uint32_t user_id;
    uint32_t base;
    uint32_t mask;
    uint32_t index;   /* of the next slot, in the ring */
    uint32_t left;    /* visits from there on */
    uint32_t seq;     /* that the next visit's must be below */
    uint64_t outside; /* bytes of strings in overflow runs so far */
};

/* Through the mapping file.ro or file.rw. The word must be valid, and not 0. */
static inline struct rv_walk rv_walk_begin(const struct rv_store *st, const uint8_t *mapping,
                                           uint32_t user_id, uint64_t word)
{
    uint32_t mask = rv_word_mask(word);
    const struct rv_disk_slot *head =
        (const void *)(mapping + rv_slot_offset(st, rv_word_head(word)));
    return (struct rv_walk){
        .st = st,
        .ring = mapping + rv_slot_offset(st, rv_word_base(word)),
        .room = rv_slot_room(st),
        .slot_log2 = st->geo.slot_log2,
        .user_id = user_id,
        .base = rv_word_base(word),
        .mask = mask,
        .index = rv_word_head(word) & mask,
        .left = rv_word_count(word),
        .seq = rv_load32(&head->seq) + 1, /* the first one's may be any */
    };
}

/*
 * The next visit, checked (spec: I6) but for the ends of its strings; false: it is not one of this
 * user, or does not follow the one before. At most as often as the word has visits.
 *
 * Without a lock what it returns is true only if the entry's change counter did not move.
 */
static inline bool rv_walk_next(struct rv_walk *w, struct rv_view *ret_view)
{
    const struct rv_disk_slot *slot =
        (const void *)(w->ring + ((uint64_t)w->index << w->slot_log2));
    uint64_t ids = rv_load((const uint64_t *)&slot->user_id);
    uint64_t numbers = rv_load((const uint64_t *)&slot->seq);
    uint64_t lengths = rv_load((const uint64_t *)&slot->text_length);
    uint32_t older = (w->index - 1) & w->mask;
    struct rv_view view = {
        .header = slot,
        .strings = (const uint8_t *)(slot + 1),
        .time_ns = __atomic_load_n(&slot->time_ns, __ATOMIC_RELAXED),
        .slot = w->base + w->index,
        .visit_id = (uint32_t)(ids >> 32),
        .seq = (uint32_t)numbers,
        .url_length = (uint32_t)(numbers >> 32),
        .text_length = (uint32_t)lengths,
        .overflow = (uint32_t)(lengths >> 32),
    };
    uint64_t bytes = rv_slot_bytes(&view);
    bool bad = (uint32_t)ids != w->user_id || (int32_t)(w->seq - view.seq) <= 0 ||
               (w->left > 1 && rv_load32(&slot->prev) != w->base + older);
    if (__builtin_expect(view.overflow != 0, 0)) {
        view.strings = rv_slot_overflow(w->st, w->user_id, view.visit_id, view.overflow, bytes);
        /* Each has its own, so all fit into the file: no small file makes a huge result. */
        w->outside += bytes;
        bad = bad || !view.strings || w->outside > rv_file_size(w->st);
    } else {
        bad = bad || bytes > w->room;
    }
    w->index = older;
    w->left--;
    w->seq = view.seq;
    *ret_view = view;
    return !bad;
}

/* The last byte of a visit's strings. Mostly on a line that nothing has touched yet: fetch those of
 * several visits before looking at one. */
static inline const uint8_t *rv_slot_last_byte(const struct rv_view *view)
{
    return view->strings + rv_slot_bytes(view) - 1;
}

/* Do the strings of a visit that a walk returned end with NUL? */
static inline bool rv_slot_strings_end(const struct rv_view *view)
{
    return rv_load8(view->strings + view->url_length) == 0 &&
           rv_load8(rv_slot_last_byte(view)) == 0;
}

/*
 * The newest `limit` visits that a version's word names, newest first, the ends of their strings
 * checked too. views has room for the count of the word. Through the mapping file.ro, or file.rw
 * for a writer, which then has one of them to be translated, and no fault in the other.
 */
VisitStatus rv_slot_collect(const struct rv_store *st, const uint8_t *mapping, uint32_t user_id,
                            uint64_t word, uint32_t limit, struct rv_view *views,
                            uint32_t *ret_count);

/* A walk's visit in this slot is damage. */
VisitStatus rv_walk_broken(const struct rv_store *st, uint64_t outside, uint32_t slot);

#endif
