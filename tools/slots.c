/* SPDX-License-Identifier: MIT */
#include "slots.h"

#include <recent_visits.h>

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

bool slot_reader_open(struct image *image, struct slot_reader *ret_reader)
{
    struct slot_reader reader = {.image = image, .bytes = malloc((size_t)1 << image->slot_log2)};
    reader.overflow = malloc(sizeof(struct rv_disk_overflow) + VISIT_STRINGS_MAX + 2);
    if (reader.bytes == NULL || reader.overflow == NULL) {
        slot_reader_close(&reader);
        return false;
    }
    *ret_reader = reader;
    return true;
}

void slot_reader_close(struct slot_reader *reader)
{
    free(reader->bytes);
    free(reader->overflow);
    *reader = (struct slot_reader){0};
}

uint32_t slot_overflow_class(const struct image *image, uint64_t string_bytes)
{
    uint64_t bytes = sizeof(struct rv_disk_overflow) + string_bytes;
    uint32_t k = 0;
    while (UINT64_C(1) << (image->slot_log2 + k) < bytes)
        k++;
    return k;
}

static bool lengths_are_sane(const struct image *image, const struct rv_disk_slot *header)
{
    uint64_t room = (UINT64_C(1) << image->slot_log2) - sizeof *header;
    return header->url_length <= VISIT_STRINGS_MAX &&
           header->text_length <= VISIT_STRINGS_MAX - header->url_length &&
           (header->overflow == 0) == (slot_string_bytes(header) <= room);
}

bool slot_names_overflow(const struct image *image, const struct rv_disk_slot *header)
{
    if (header->overflow == 0 || !lengths_are_sane(image, header))
        return false;
    uint32_t k = slot_overflow_class(image, slot_string_bytes(header));
    return k <= image_max_class(image) && (header->overflow & ((UINT32_C(1) << k) - 1)) == 0 &&
           image_has_slots(image, header->overflow, UINT64_C(1) << k);
}

bool slot_is_overflow_run(const uint8_t *bytes)
{
    static const uint64_t zeros[4];
    struct rv_disk_overflow run;
    uint64_t strings;
    memcpy(&run, bytes, sizeof run);
    memcpy(&strings, bytes + sizeof run, sizeof strings);
    return run.reserved == 0 && memcmp(run.reserved2, zeros, sizeof zeros) == 0 && strings != 0;
}

/* The strings of an overflow run; NULL if it is not that of this slot. */
static const uint8_t *read_overflow(struct slot_reader *reader, const struct rv_disk_slot *slot)
{
    struct image *image = reader->image;
    if (!slot_names_overflow(image, slot))
        return NULL;
    image_read(image, image_slot_offset(image, slot->overflow), reader->overflow,
               sizeof(struct rv_disk_overflow) + slot_string_bytes(slot));
    struct rv_disk_overflow run;
    memcpy(&run, reader->overflow, sizeof run);
    return run.user_id == slot->user_id && run.visit_id == slot->visit_id
               ? reader->overflow + sizeof run
               : NULL;
}

/* Strings of the lengths that the slot has, and its checksum. */
static bool strings_hold(const struct rv_disk_slot *slot, const uint8_t *strings)
{
    uint64_t bytes = slot_string_bytes(slot);
    if (strings[slot->url_length] != 0 || strings[bytes - 1] != 0 ||
        memchr(strings, 0, slot->url_length) != NULL ||
        memchr(strings + slot->url_length + 1, 0, slot->text_length) != NULL)
        return false;
    uint64_t hash = XXH3_64bits(strings, bytes);
    const uint8_t *header = (const uint8_t *)slot;
    return XXH3_64bits_withSeed(header + 8, 32, hash) == slot->checksum;
}

bool slot_take(struct slot_reader *reader, uint32_t number, const uint8_t *bytes,
               struct slot *ret_slot)
{
    struct rv_disk_slot slot;
    memcpy(&slot, bytes, sizeof slot);
    if (!lengths_are_sane(reader->image, &slot))
        return false;
    const uint8_t *strings = bytes + sizeof slot;
    if (slot.overflow != 0)
        strings = read_overflow(reader, &slot);
    if (strings == NULL || !strings_hold(&slot, strings))
        return false;
    *ret_slot = (struct slot){.header = slot,
                              .number = number,
                              .url = (const char *)strings,
                              .text = (const char *)strings + slot.url_length + 1};
    return true;
}

bool slot_read(struct slot_reader *reader, uint32_t number, struct slot *ret_slot)
{
    struct image *image = reader->image;
    image_read(image, image_slot_offset(image, number), reader->bytes,
               (size_t)1 << image->slot_log2);
    return slot_take(reader, number, reader->bytes, ret_slot);
}
