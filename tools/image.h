/* SPDX-License-Identifier: MIT */
/*
 * A store's file as bytes, read without the library: for what the library does not tell, and for
 * files that it refuses. lib/format.h has the structures, format-spec/ their meaning. No number
 * that is read here was checked by anybody: who uses one checks it first.
 *
 * Reads are read(2)s, so that a part of a disk that cannot be read is an error of one read and not
 * a signal; it counts as zeros.
 */
#ifndef RVDUMP_IMAGE_H
#define RVDUMP_IMAGE_H

#include "../lib/format.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum image_super {
    IMAGE_SUPER_FIRST, /* at the file's beginning */
    IMAGE_SUPER_COPY,  /* that one is damaged, its copy is not */
    IMAGE_SUPER_NONE,  /* both are damaged, or this is no store */
};

enum { IMAGE_WINDOWS = 2 };

struct image {
    const char *path;
    int fd;
    uint64_t size; /* of the file, in bytes */
    enum image_super super_from;
    struct rv_disk_superblock super; /* zeros if there is none */
    uint32_t block_log2;
    uint32_t slot_log2;
    uint32_t shards;
    uint32_t header_blocks;
    bool has_record;
    bool clean;                   /* the record says so */
    bool record_broken;           /* another one was destroyed, which may have been newer */
    struct rv_disk_record record; /* the one that counts; zeros if there is none */
    uint64_t as_of;               /* newest epoch that counts */
    uint64_t unreadable;          /* pages that could not be read */
    struct {
        uint64_t block; /* UINT64_MAX: none */
        uint8_t *bytes;
    } window[IMAGE_WINDOWS];
};

/*
 * Opens a file. Without a superblock the sizes are those of a new store, see image_guess().
 *
 * Returns EXIT_OK or, after a message, another exit code.
 */
int image_open(const char *path, struct image *ret_image);
void image_close(struct image *image);

/* Has a writer the store open? */
bool image_in_use(const struct image *image);

/*
 * For a file without a superblock: finds the slot size from the visits that are there (slot_size 0)
 * or takes the given one, and the header's length from the block map. False if the file shows none.
 */
bool image_guess(struct image *image, uint32_t slot_size);

/* Checksums, and numbers that can be. */
bool image_super_is_valid(const struct rv_disk_superblock *super);
bool image_record_is_valid(const struct image *image, const struct rv_disk_record *record);

/* Reads bytes; those beyond the end and those that cannot be read are zeros. */
void image_read(struct image *image, uint64_t offset, void *to, size_t length);

/* A block's bytes, valid until the next call for another block. NULL if memory is short. */
const uint8_t *image_block(struct image *image, uint64_t block);

static inline uint64_t image_blocks(const struct image *image)
{
    return image->size >> image->block_log2;
}

static inline uint64_t image_block_offset(const struct image *image, uint64_t block)
{
    return block << image->block_log2;
}

static inline uint64_t image_slot_offset(const struct image *image, uint32_t slot)
{
    return (uint64_t)slot << image->slot_log2;
}

static inline uint64_t image_shard_offset(uint32_t shard)
{
    return 4 * RV_PAGE + (uint64_t)shard * sizeof(struct rv_disk_shard);
}

static inline uint64_t image_copy_offset(const struct image *image)
{
    return image_block_offset(image, image->header_blocks) - RV_PAGE;
}

/* The block map that has the header of a block; the block is not one of the file's header. */
static inline uint64_t image_map_of(const struct image *image, uint64_t block)
{
    uint64_t span = UINT64_C(1) << (image->block_log2 - 6);
    return block - (block - image->header_blocks) % span;
}

static inline bool image_is_map(const struct image *image, uint64_t block)
{
    return block >= image->header_blocks && image_map_of(image, block) == block;
}

/* Entries of a segment; they are numbered from 1. */
static inline uint32_t image_entries(const struct image *image)
{
    return (1u << (image->block_log2 - 6)) - 1;
}

/* Classes of rings and other runs: 0 to this. */
static inline uint32_t image_max_class(const struct image *image)
{
    return 2 * image->block_log2 - image->slot_log2 - 7;
}

/* The run lies behind the file's header and before its end. */
static inline bool image_has_slots(const struct image *image, uint64_t slot, uint64_t count)
{
    return slot >= (uint64_t)image->header_blocks << (image->block_log2 - image->slot_log2) &&
           slot + count <= image->size >> image->slot_log2;
}

/* The header of a block behind the file's header. False if memory is short. */
bool image_header(struct image *image, uint64_t block, struct rv_disk_block *ret_header);

/* ---- parts of words ---- */

static inline uint32_t run_kind(uint64_t run)
{
    return (uint32_t)(run >> 24);
}

static inline uint32_t run_class(uint64_t run)
{
    return (uint32_t)(run >> 16) & 0xff;
}

static inline uint32_t run_shard(uint64_t run)
{
    return (uint32_t)run & 0xffff;
}

static inline uint32_t word_head(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline uint32_t word_count(uint64_t word)
{
    return (uint32_t)word & RV_WORD_COUNT;
}

static inline uint32_t word_class(uint64_t word)
{
    return (uint32_t)(word >> RV_WORD_SIZE_SHIFT) & RV_WORD_SIZE;
}

/* The slot of the i-th older visit of a ring. */
static inline uint32_t word_slot(uint64_t word, uint32_t i)
{
    uint32_t mask = (1u << word_class(word)) - 1;
    return (word_head(word) & ~mask) | ((word_head(word) - i) & mask);
}

/* Visits of a ring that count: without those that a smaller limit has left in it. */
static inline uint32_t image_visible(const struct image *image, uint64_t word)
{
    uint32_t count = word_count(word);
    return image->has_record && image->record.limit < count ? image->record.limit : count;
}

/* 0, or a ring that lies in the file. */
bool word_is_sane(const struct image *image, uint64_t word);

/* What the newest of three cells with an epoch up to as_of says of a block. */
uint32_t cell_use(const struct rv_disk_block *header, uint64_t as_of);

/* Index of an entry's newest version with an epoch up to as_of, -1 if there is none. */
int entry_newest(const struct rv_disk_entry *entry, uint64_t as_of);

#endif
