/* SPDX-License-Identifier: MIT */
#include "entries.h"
#include "output.h"
#include "rvdump.h"

#include <string.h>

static uint32_t count_used(const struct image *image, const struct rv_disk_entry *entries)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < image_entries(image); i++)
        used += entry_is_used(&entries[i]);
    return used;
}

int entries_walk(struct image *image, uint64_t as_of, segment_function *function, void *data)
{
    for (uint64_t block = image->header_blocks; block < image_blocks(image); block++) {
        struct rv_disk_block header;
        const uint8_t *bytes = NULL;
        if (image_is_map(image, block))
            continue;
        bool known = image_header(image, block, &header);
        if (known && cell_use(&header, as_of) != RV_USE_SEGMENT)
            continue;
        if (known)
            bytes = image_block(image, block);
        if (bytes == NULL) {
            say("out of memory");
            return EXIT_OTHER;
        }
        /* The window is of malloc(3), so an entry in it is aligned. */
        const struct rv_disk_entry *entries = (const void *)(bytes + sizeof *entries);
        struct rv_disk_segment first;
        memcpy(&first, bytes, sizeof first);
        struct segment segment = {.block = block,
                                  .shard = (uint32_t)(header.segment >> 8),
                                  .depth = (uint32_t)(header.segment & 0xff),
                                  .prefix = header.prefix,
                                  .count = first.count,
                                  .used = count_used(image, entries),
                                  .entries = entries};
        if (!function(data, &segment))
            return EXIT_OTHER;
    }
    return EXIT_OK;
}
