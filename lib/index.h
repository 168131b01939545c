/* SPDX-License-Identifier: MIT */
/*
 * The index: extendible hashing (Fagin et al., 1979) in each shard.
 *
 *   hash: | prefix ...      | home in the segment | shard |
 *           |
 *   root[128] -> node[128] -> ... -> segment: 64-byte entries, linear probing
 *
 * A segment that is too full is split by copying its entries into two; one word in the old segment,
 * `moved`, publishes that. The directory follows. One that is full of users who have gone is
 * renewed the same way, by a single one.
 */
#ifndef RV_INDEX_H
#define RV_INDEX_H

#include "hash.h"
#include "run.h"

static inline uint64_t rv_hash(const struct rv_store *st, uint32_t user_id)
{
    return XXH3_64bits_withSeed(&user_id, sizeof user_id, st->geo.seed);
}

static inline struct rv_shard *rv_shard_of(const struct rv_store *st, uint64_t hash)
{
    return &st->shard[hash & (st->geo.shards - 1)];
}

/*
 * Lock-free lookup through the read-only mapping. *ret_entry is NULL if the user has no entry. A
 * status is only true if the structure counter has not moved.
 */
VisitStatus rv_index_lookup(const struct rv_store *st, const struct rv_shard *sh, uint64_t hash,
                            uint32_t user_id, const struct rv_disk_entry **ret_entry);

/*
 * For a writer that holds the shard's lock: the user's entry, or NULL. With claim, where there is
 * none, a free entry for rv_index_claim(), or NULL if the index had to make room: call again.
 */
VisitStatus rv_index_find(struct rv_store *st, struct rv_shard *sh, uint64_t hash, uint32_t user_id,
                          bool claim, struct rv_disk_entry **ret_entry);

/* Where a free entry's change counter would begin: above those of entries that have gone, so that
 * the leftovers of a user's earlier visits are known to be older. */
uint32_t rv_index_first_change(struct rv_store *st, const struct rv_disk_entry *entry);

/* Makes a free entry ready for a user, whose first version then makes it true. */
void rv_index_claim(struct rv_store *st, struct rv_disk_entry *entry, uint32_t user_id);

/* Starts loading the line where a user's entry is likely to be, and returns it; NULL: no segment.
 * Through the mapping, file.ro or file.rw, in which it will be used: a page that is not there yet
 * is not loaded. */
const struct rv_disk_entry *rv_index_prefetch(const struct rv_store *st, const uint8_t *mapping,
                                              uint64_t hash);

/* The word of a user's newest version if the entry is at `home`, which the above returned, or one
 * of the next two lines; else 0. A guess for the sake of prefetching. */
uint64_t rv_index_peek(const struct rv_store *st, const struct rv_disk_entry *home,
                       uint32_t user_id);

/* The segment that covers a hash; *ret_block 0: none yet. Lock-free. */
VisitStatus rv_index_segment(const struct rv_store *st, const struct rv_shard *sh, uint64_t hash,
                             uint32_t *ret_block);

/* Completes a published split, renewal or first segment after a kill. */
VisitStatus rv_index_redo(struct rv_store *st, struct rv_shard *sh, uint64_t publish_offset);

/* Puts a segment into an empty directory or one that lacks it; for recovery. */
VisitStatus rv_index_attach(struct rv_store *st, struct rv_shard *sh, uint32_t block);

/* Sorts the segments of a store that is read as of its last checkpoint. */
void rv_index_sort(struct rv_private_segment *segments, size_t count);

static inline const struct rv_disk_segment *rv_segment(const struct rv_store *st, uint64_t block)
{
    return rv_ro(st, rv_block_offset(st, block));
}

static inline bool rv_entry_used(const struct rv_disk_entry *entry)
{
    return rv_load_acquire(&entry->version[0].epoch) | rv_load_acquire(&entry->version[1].epoch) |
           rv_load_acquire(&entry->version[2].epoch);
}

static inline uint32_t rv_depth(const struct rv_disk_block *header)
{
    return (uint32_t)rv_load(&header->segment) & 0xff;
}

/* Slots of a directory node. */
static inline uint32_t rv_node_slots(const struct rv_store *st)
{
    uint32_t slots = RV_FANOUT * 8 >> st->geo.slot_log2;
    return slots ? slots : 1;
}

/* Can a node begin there? */
static inline bool rv_node_valid(const struct rv_store *st, uint64_t slot)
{
    return slot % rv_node_slots(st) == 0 && rv_slots_valid(st, slot, rv_node_slots(st));
}

/* Where in a segment the probing for a hash begins: 1 to entries. */
static inline uint32_t rv_home(const struct rv_store *st, uint64_t hash)
{
    return 1 + (uint32_t)(((hash >> 12 & 0xffffffff) * st->geo.entries) >> 32);
}

/* Does a hash belong to a prefix of so many bits? */
static inline bool rv_prefix_covers(uint64_t prefix, uint32_t depth, uint64_t hash)
{
    return depth == 0 || (prefix ^ hash) >> (64 - depth) == 0;
}

/* Can a segment have such a prefix? */
static inline bool rv_prefix_valid(uint64_t prefix, uint32_t depth)
{
    return depth <= RV_DEPTH_MAX && (prefix & (UINT64_MAX >> depth)) == 0;
}

/* Does the block's header say that it is a segment for this hash? */
static inline bool rv_segment_covers(const struct rv_store *st, uint64_t block, uint64_t hash)
{
    const struct rv_disk_block *header = rv_ro(st, rv_header_offset(st, block));
    uint64_t prefix = rv_load(&header->prefix);
    uint32_t depth = rv_depth(header);
    return rv_prefix_valid(prefix, depth) && rv_prefix_covers(prefix, depth, hash);
}

#endif
