/* SPDX-License-Identifier: MIT */
/*
 * The entries of a file's index, segment by segment as the block headers name them.
 */
#ifndef RVDUMP_ENTRIES_H
#define RVDUMP_ENTRIES_H

#include "image.h"

/* What one call is given. */
struct segment {
    uint64_t block;
    uint32_t shard;
    uint32_t depth;
    uint64_t prefix;
    uint64_t count;                      /* what the segment itself says: entries in use */
    uint32_t used;                       /* entries that stand for a user */
    const struct rv_disk_entry *entries; /* image_entries() of them; valid during the call */
};

/* False to stop. */
typedef bool segment_function(void *data, const struct segment *segment);

/* Calls function for each block that is a segment as of an epoch; UINT64_MAX: the newest. Returns
 * an exit code; EXIT_OTHER without a message if the function stopped it. */
int entries_walk(struct image *image, uint64_t as_of, segment_function *function, void *data);

static inline bool entry_is_used(const struct rv_disk_entry *entry)
{
    return (entry->version[0].epoch | entry->version[1].epoch | entry->version[2].epoch) != 0;
}

#endif
