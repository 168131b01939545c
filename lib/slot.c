/* SPDX-License-Identifier: MIT */
#include "slot.h"

#include "hash.h"
#include "version.h"

void rv_slot_prefetch(const struct rv_store *st, uint64_t word, uint32_t count)
{
    for (uint32_t i = 0; i < count && i < RV_TOGETHER; i++) {
        const uint8_t *slot = rv_ro(st, rv_slot_offset(st, rv_word_slot(word, i)));
        __builtin_prefetch(slot);
        __builtin_prefetch(slot + 64);
        if (st->geo.slot_log2 > 7) {
            __builtin_prefetch(slot + 128);
        }
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

const uint8_t *rv_slot_overflow(const struct rv_store *st, uint32_t user_id, uint32_t visit_id,
                                uint32_t overflow, uint64_t bytes)
{
    if (bytes <= rv_slot_room(st) || bytes > VISIT_STRINGS_MAX + 2) {
        return NULL;
    }
    uint32_t run_class = rv_slot_overflow_class(st, bytes);
    if (run_class > st->geo.max_class || overflow & ((1u << run_class) - 1) ||
        !rv_slots_valid(st, overflow, UINT64_C(1) << run_class)) {
        return NULL;
    }
    const struct rv_disk_overflow *run = rv_ro(st, rv_slot_offset(st, overflow));
    if (rv_load32(&run->user_id) != user_id || rv_load32(&run->visit_id) != visit_id) {
        return NULL;
    }
    return (const uint8_t *)(run + 1);
}

VisitStatus rv_walk_broken(const struct rv_store *st, uint64_t outside, uint32_t slot)
{
    return rv_corrupt(st, rv_slot_offset(st, slot),
                      outside > rv_file_size(st)
                          ? "a user's visits need more room than the file has"
                          : "a user's chain of visits is broken");
}

VisitStatus rv_slot_collect(const struct rv_store *st, const uint8_t *mapping, uint32_t user_id,
                            uint64_t word, uint32_t limit, struct rv_view *views,
                            uint32_t *ret_count)
{
    *ret_count = 0;
    if (word == 0) {
        return VISIT_OK;
    }
    if (!rv_slot_word_valid(st, word)) {
        return rv_corrupt(st, 0, "a user's ring lies outside the file");
    }
    struct rv_walk walk = rv_walk_begin(st, mapping, user_id, word);
    uint32_t count = walk.left < limit ? walk.left : limit;
    for (uint32_t first = 0; first < count; first += RV_TOGETHER) {
        uint32_t end = count - first < RV_TOGETHER ? count : first + RV_TOGETHER;
        for (uint32_t i = first; i < end; i++) {
            if (!rv_walk_next(&walk, &views[i])) {
                return rv_walk_broken(st, walk.outside, views[i].slot);
            }
            __builtin_prefetch(rv_slot_last_byte(&views[i]));
        }
        for (uint32_t i = first; i < end; i++) {
            if (!rv_slot_strings_end(&views[i])) {
                return rv_walk_broken(st, walk.outside, views[i].slot);
            }
        }
    }
    *ret_count = count;
    return VISIT_OK;
}
