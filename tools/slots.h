/* SPDX-License-Identifier: MIT */
/*
 * Visits in a file's slots, each by itself: is it whole, whatever the rest of the file is?
 */
#ifndef RVDUMP_SLOTS_H
#define RVDUMP_SLOTS_H

#include "image.h"

struct slot {
    struct rv_disk_slot header;
    uint32_t number;
    const char *url;  /* NUL-terminated; valid until the reader's next call */
    const char *text; /* likewise */
};

struct slot_reader {
    struct image *image;
    uint8_t *bytes;    /* of one slot */
    uint8_t *overflow; /* of one overflow run */
};

/* False if memory is short. */
bool slot_reader_open(struct image *image, struct slot_reader *ret_reader);
void slot_reader_close(struct slot_reader *reader);

/* Is the visit whole that these bytes, one slot's, hold: lengths, strings, checksum, and the
 * overflow run if there is one? */
bool slot_take(struct slot_reader *reader, uint32_t number, const uint8_t *bytes,
               struct slot *ret_slot);

/* The same for a slot that is read from the file first. */
bool slot_read(struct slot_reader *reader, uint32_t number, struct slot *ret_slot);

/* Bytes of both strings with their NULs. */
static inline uint64_t slot_string_bytes(const struct rv_disk_slot *header)
{
    return (uint64_t)header->url_length + header->text_length + 2;
}

/* Does the header name an overflow run that its visit could have? */
bool slot_names_overflow(const struct image *image, const struct rv_disk_slot *header);

/* Do these bytes begin an overflow run: the zeros of its header, and strings behind them? No string
 * has zeros inside. */
bool slot_is_overflow_run(const uint8_t *bytes);

/* Class of the overflow run for so many bytes of strings. */
uint32_t slot_overflow_class(const struct image *image, uint64_t string_bytes);

#endif
