/* SPDX-License-Identifier: MIT */
#include "slot.h"

#include "hash.h"
#include "version.h"

bool rv_slot_word_valid(const struct rv_store *st, uint64_t word)
{
    return word == 0 ||
           (!(word & RV_WORD_RESERVED) && rv_word_count(word) &&
            rv_word_count(word) <= (UINT32_C(1) << rv_word_class(word)) &&
            rv_word_class(word) <= st->geo.max_class &&
            rv_slots_valid(st, rv_word_base(word), UINT64_C(1) << rv_word_class(word)));
}

void rv_slot_prefetch(const struct rv_store *st, uint64_t word, uint32_t count)
{
    uint32_t mask = rv_word_mask(word);
    const uint8_t *ring = rv_ro(st, rv_slot_offset(st, rv_word_base(word)));
    for (uint32_t i = 0; i < count && i < 16; i++) {
        uint64_t index = (rv_word_head(word) - i) & mask;
        const uint8_t *slot = ring + (index << st->geo.slot_log2);
        __builtin_prefetch(slot);
        __builtin_prefetch(slot + 64);
    }
}

uint32_t rv_slot_overflow_class(const struct rv_store *st, uint64_t bytes)
{
    uint64_t slot = UINT64_C(1) << st->geo.slot_log2;
    return rv_class_for((bytes + sizeof(struct rv_disk_overflow) + slot - 1) / slot);
}

uint64_t rv_slot_strings_hash(const void *strings, size_t bytes)
{
    return XXH3_64bits(strings, bytes);
}

uint64_t rv_slot_checksum(const struct rv_disk_slot *header, uint64_t strings_hash)
{
    return XXH3_64bits_withSeed((const uint8_t *)header + 8, 32, strings_hash);
}

bool rv_slot_checksum_holds(const struct rv_view *view)
{
    struct rv_disk_slot header;
    rv_copy_out(&header, view->header, sizeof header / 8);
    return rv_slot_checksum(&header, rv_slot_strings_hash(view->strings, rv_slot_bytes(view))) ==
           header.checksum;
}

bool rv_slot_strings_whole(const struct rv_view *view)
{
    const uint8_t *text = view->strings + view->url_length + 1;
    return !memchr(view->strings, 0, view->url_length) && !memchr(text, 0, view->text_length);
}

/* Finds the strings of a slot, in it or in its overflow run; NULL if they can't be there. */
static const uint8_t *strings_of(const struct rv_store *st, const struct rv_disk_slot *slot,
                                 uint32_t user_id, const struct rv_view *view)
{
    uint64_t bytes = rv_slot_bytes(view);
    if (view->overflow == 0) {
        return bytes <= rv_slot_room(st) ? (const uint8_t *)(slot + 1) : NULL;
    }
    if (bytes <= rv_slot_room(st) || bytes > VISIT_STRINGS_MAX + 2) {
        return NULL;
    }
    uint32_t run_class = rv_slot_overflow_class(st, bytes);
    if (run_class > st->geo.max_class || view->overflow & ((1u << run_class) - 1) ||
        !rv_slots_valid(st, view->overflow, UINT64_C(1) << run_class)) {
        return NULL;
    }
    const struct rv_disk_overflow *run = rv_ro(st, rv_slot_offset(st, view->overflow));
    if (rv_load32(&run->user_id) != user_id || rv_load32(&run->visit_id) != view->visit_id) {
        return NULL;
    }
    return (const uint8_t *)(run + 1);
}

/* Reads one slot; false if it is not a slot of this user. */
static bool read_slot(const struct rv_store *st, uint32_t user_id, uint32_t number,
                      struct rv_view *view)
{
    const struct rv_disk_slot *slot = rv_ro(st, rv_slot_offset(st, number));
    if (rv_load32(&slot->user_id) != user_id) {
        return false;
    }
    view->header = slot;
    view->slot = number;
    view->visit_id = rv_load32(&slot->visit_id);
    view->time_ns = __atomic_load_n(&slot->time_ns, __ATOMIC_RELAXED);
    view->seq = rv_load32(&slot->seq);
    view->url_length = rv_load32(&slot->url_length);
    view->text_length = rv_load32(&slot->text_length);
    view->overflow = rv_load32(&slot->overflow);
    const uint8_t *strings = strings_of(st, slot, user_id, view);
    view->strings = strings;
    return strings && rv_load8(strings + view->url_length) == 0 &&
           rv_load8(strings + rv_slot_bytes(view) - 1) == 0;
}

VisitStatus rv_slot_collect(const struct rv_store *st, uint32_t user_id, uint64_t word,
                            uint32_t limit, struct rv_view *views, uint32_t *ret_count)
{
    uint32_t count = rv_word_count(word);
    uint32_t base = rv_word_base(word);
    uint32_t mask = rv_word_mask(word);
    *ret_count = 0;
    if (word == 0) {
        return VISIT_OK;
    }
    if (!rv_slot_word_valid(st, word)) {
        return rv_corrupt(st, 0, "a user's ring lies outside the file");
    }
    uint32_t expected = count < limit ? count : limit;
    uint64_t bytes = 0;
    uint64_t most = rv_file_size(st);
    for (uint32_t i = 0; i < expected; i++) {
        uint32_t number = base + ((rv_word_head(word) - i) & mask);
        const struct rv_disk_slot *slot = rv_ro(st, rv_slot_offset(st, number));
        uint32_t older = base + ((number - 1) & mask);
        if (!read_slot(st, user_id, number, &views[i]) ||
            (i && (int32_t)(views[i - 1].seq - views[i].seq) <= 0) ||
            (i + 1 < count && rv_load32(&slot->prev) != older)) {
            return rv_corrupt(st, rv_slot_offset(st, number), "a user's chain of visits is broken");
        }
        /* Each has its own, so all fit into the file: no small file makes a huge result. */
        bytes += rv_slot_bytes(&views[i]);
        if (bytes > most) {
            return rv_corrupt(st, rv_slot_offset(st, number),
                              "a user's visits need more room than the file has");
        }
    }
    *ret_count = expected;
    return VISIT_OK;
}
