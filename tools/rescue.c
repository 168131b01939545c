/* SPDX-License-Identifier: MIT */
#include "rescue.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "rvdump.h"
#include "slots.h"

#include <stdlib.h>

bool rescue_grow(void **array, size_t size, size_t count, size_t *capacity)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity == 0 ? 1024 : *capacity * 2;
    void *moved = realloc(*array, larger * size);
    if (moved == NULL)
        return false;
    *array = moved;
    *capacity = larger;
    return true;
}

void rescue_free(struct rescue *rescue)
{
    free(rescue->found);
    free(rescue->owners);
}

static bool take_slot(struct rescue *rescue, const struct slot *slot)
{
    void *array = rescue->found;
    if (!rescue_grow(&array, sizeof *rescue->found, rescue->found_count, &rescue->found_capacity))
        return false;
    rescue->found = array;
    const struct rv_disk_slot *header = &slot->header;
    rescue->found[rescue->found_count++] = (struct found){
        .time_ns = header->time_ns,
        .slot = slot->number,
        .prev = header->prev,
        .user_id = header->user_id,
        .visit_id = header->visit_id,
        .seq = header->seq,
        .overflow = header->overflow,
        .overflow_class = slot_overflow_class(rescue->image, slot_string_bytes(header)),
    };
    return true;
}

static bool scan_block(struct rescue *rescue, struct slot_reader *reader, uint64_t block)
{
    struct image *image = rescue->image;
    const uint8_t *bytes = image_block(image, block);
    uint32_t slots_log2 = image->block_log2 - image->slot_log2;
    bool done = bytes != NULL;
    for (uint32_t i = 0; i < 1u << slots_log2 && done; i++) {
        uint64_t number = (block << slots_log2) + i;
        struct slot slot;
        if (number <= UINT32_MAX &&
            slot_take(reader, (uint32_t)number, bytes + ((size_t)i << image->slot_log2), &slot))
            done = take_slot(rescue, &slot);
    }
    return done;
}

/* All blocks but the first, which is never one of visits: what else lies in the header is not
 * sure if the superblock is gone. */
static bool scan(struct rescue *rescue, struct slot_reader *reader)
{
    struct image *image = rescue->image;
    uint64_t blocks = image_blocks(image) + (image->size % (UINT64_C(1) << image->block_log2) > 0);
    bool done = true;
    for (uint64_t block = 1; block < blocks && done && !interrupted(); block++) {
        done = scan_block(rescue, reader, block);
        progress_show_bytes("looking for visits", image_block_offset(image, block + 1),
                            image->size);
    }
    progress_clear();
    return done;
}

/* ---- What lies in overflow runs ---- */

struct span {
    uint32_t first;
    uint64_t end;
};

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* Drops what lies in one of the runs; both are in ascending order. */
static void drop_inside(struct rescue *rescue, const struct span *spans, size_t span_count)
{
    size_t kept = 0, next = 0;
    uint64_t end = 0;
    for (size_t i = 0; i < rescue->found_count; i++) {
        uint32_t slot = rescue->found[i].slot;
        for (; next < span_count && spans[next].first <= slot; next++)
            end = spans[next].end > end ? spans[next].end : end;
        if (slot >= end)
            rescue->found[kept++] = rescue->found[i];
    }
    rescue->found_count = kept;
}

/* Strings are the users' own: what looks like a slot in an overflow run may be made to. */
static bool drop_forged(struct rescue *rescue)
{
    struct span *spans = malloc((rescue->found_count + 1) * sizeof *spans);
    size_t count = 0;
    if (spans == NULL)
        return false;
    for (size_t i = 0; i < rescue->found_count; i++) {
        const struct found *found = &rescue->found[i];
        if (found->overflow != 0)
            spans[count++] = (struct span){
                found->overflow, found->overflow + (UINT64_C(1) << found->overflow_class)};
    }
    if (count > 0)
        qsort(spans, count, sizeof *spans, compare_spans);
    drop_inside(rescue, spans, count);
    free(spans);
    return true;
}

int rescue_find(struct rescue *rescue)
{
    struct slot_reader reader;
    bool done = slot_reader_open(rescue->image, &reader);
    if (done) {
        done = scan(rescue, &reader) && drop_forged(rescue);
        slot_reader_close(&reader);
    }
    if (!done)
        say("out of memory");
    return done && !interrupted() ? EXIT_OK : EXIT_OTHER;
}
