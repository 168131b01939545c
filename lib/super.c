/* SPDX-License-Identifier: MIT */
#include "super.h"

#include "hash.h"

#include <time.h>

static uint64_t header_bytes(uint32_t shards)
{
    uint64_t bytes = 4 * RV_PAGE + (uint64_t)shards * sizeof(struct rv_disk_shard);
    return (bytes + RV_PAGE - 1) / RV_PAGE * RV_PAGE + RV_PAGE;
}

static uint32_t header_blocks(uint32_t shards, uint32_t block_log2)
{
    return (uint32_t)((header_bytes(shards) + (UINT64_C(1) << block_log2) - 1) >> block_log2);
}

static uint64_t copy_offset(uint32_t blocks, uint32_t block_log2)
{
    return ((uint64_t)blocks << block_log2) - RV_PAGE;
}

VisitStatus rv_geometry_make(const char *path, const struct rv_disk_superblock *super,
                             struct rv_geometry *ret_geometry)
{
    uint32_t b = super->block_log2;
    uint32_t s = super->slot_log2;
    if (super->format_version == 0 || b < 12 || b > 20 || s < 7 || s > 12 || super->shards == 0 ||
        super->shards > RV_SHARDS_MAX || super->shards & (super->shards - 1) ||
        super->header_blocks != header_blocks(super->shards, b)) {
        return rv_fail(VISIT_ERROR_CORRUPT, path,
                       "the superblock names sizes that can't be; restore a backup");
    }
    *ret_geometry = (struct rv_geometry){
        .block_log2 = b,
        .slot_log2 = s,
        .slots_log2 = b - s,
        .shards = super->shards,
        .header_blocks = super->header_blocks,
        .map_span = 1u << (b - 6),
        .entries = (1u << (b - 6)) - 1,
        .max_class = b - s + b - 7,
        .seed = super->hash_seed,
    };
    return VISIT_OK;
}

static uint64_t super_checksum(const struct rv_disk_superblock *super)
{
    return XXH3_64bits(super, offsetof(struct rv_disk_superblock, checksum));
}

static bool super_valid(const struct rv_disk_superblock *super)
{
    return super->magic == RV_MAGIC && super->checksum == super_checksum(super);
}

/* The copy lies at the end of the header, whose length the lost superblock knew: try all. */
static bool find_copy(const struct rv_file *file, struct rv_disk_superblock *super)
{
    for (uint64_t offset = RV_PAGE; offset + RV_PAGE <= file->size && offset < UINT64_C(1) << 21;
         offset += RV_PAGE) {
        rv_copy_out(super, file->ro + offset, sizeof *super / 8);
        if (super_valid(super) && super->block_log2 <= 20 &&
            copy_offset(super->header_blocks, super->block_log2) == offset) {
            return true;
        }
    }
    return false;
}

static VisitStatus check_version(const char *path, const struct rv_disk_superblock *super,
                                 bool read_only)
{
    if (super->format_version > RV_FORMAT_VERSION || super->incompatible ||
        (!read_only && super->writer_incompatible)) {
        return rv_fail(VISIT_ERROR_NEWER_VERSION, path,
                       "has format version %u with features %llx/%llx, this library knows version "
                       "%u: use a newer librv",
                       super->format_version, (unsigned long long)super->incompatible,
                       (unsigned long long)super->writer_incompatible, RV_FORMAT_VERSION);
    }
    return VISIT_OK;
}

VisitStatus rv_super_load(struct rv_store *st)
{
    struct rv_file *file = &st->file;
    if (file->size < RV_PAGE) {
        return rv_fail(VISIT_ERROR_NOT_A_STORE, file->path,
                       "is too short for a store; it is left as it is, choose another path");
    }
    rv_copy_out(&st->super, file->ro, sizeof st->super / 8);
    bool magic = st->super.magic == RV_MAGIC;
    /* A newer version may compute its checksum differently: it is looked at first. */
    if (magic && st->super.format_version > RV_FORMAT_VERSION) {
        return check_version(file->path, &st->super, file->read_only);
    }
    if (!super_valid(&st->super) && !find_copy(file, &st->super)) {
        return magic ? rv_fail(VISIT_ERROR_CORRUPT, file->path,
                               "the superblock and its copy are damaged; restore a backup")
                     : rv_fail(VISIT_ERROR_NOT_A_STORE, file->path,
                               "is not a store; it is left as it is, choose another path");
    }
    VisitStatus status = check_version(file->path, &st->super, file->read_only);
    if (!status) {
        status = rv_geometry_make(file->path, &st->super, &st->geo);
    }
    if (!status && file->size >> st->geo.slot_log2 > UINT64_C(1) << 32) {
        status = rv_fail(VISIT_ERROR_CORRUPT, file->path,
                         "is longer than a store can be; restore a backup");
    }
    return status ? status : rv_super_check_length(st);
}

VisitStatus rv_super_check_length(const struct rv_store *st)
{
    if (rv_file_size(st) >= rv_block_offset(st, st->geo.header_blocks + 1)) {
        return VISIT_OK;
    }
    return rv_fail(VISIT_ERROR_CORRUPT, st->file.path,
                   "is shorter than a store's header: it was truncated; restore a backup");
}

void rv_super_make(const struct rv_options *options, struct rv_disk_superblock *super)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *super = (struct rv_disk_superblock){
        .magic = RV_MAGIC,
        .format_version = RV_FORMAT_VERSION,
        .size = sizeof *super,
        .block_log2 = options->block_log2,
        .slot_log2 = options->slot_log2,
        .shards = options->shards,
        .header_blocks = header_blocks(options->shards, options->block_log2),
        .created_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
    };
    rv_file_random(super->uuid, sizeof super->uuid);
    rv_file_random(&super->hash_seed, sizeof super->hash_seed);
    super->checksum = super_checksum(super);
}

VisitStatus rv_super_write(struct rv_store *st)
{
    rv_copy_in(rv_rw(st, copy_offset(st->super.header_blocks, st->super.block_log2)), &st->super,
               sizeof st->super / 8);
    /* Where the file has its name already: a whole superblock must mean that all else is whole. */
    VisitStatus status = rv_file_sync(&st->file);
    if (status) {
        return status;
    }
    rv_copy_in(st->file.rw, &st->super, sizeof st->super / 8);
    return rv_file_sync(&st->file);
}

void rv_super_restore(struct rv_store *st, bool again)
{
    uint64_t place[2] = {0, copy_offset(st->super.header_blocks, st->super.block_log2)};
    for (unsigned i = 0; i < 2; i++) {
        struct rv_disk_superblock super;
        rv_copy_out(&super, rv_ro(st, place[i]), sizeof super / 8);
        if (again || memcmp(&super, &st->super, sizeof super) != 0) {
            rv_copy_in(rv_rw(st, place[i]), &st->super, sizeof st->super / 8);
        }
    }
}

/* May a superblock have this word there? Some may be anything. */
static bool fits_super(uint64_t offset, uint64_t word)
{
    struct rv_disk_superblock super = {0};
    if (offset >= sizeof super) {
        return false;
    }
    memcpy((uint8_t *)&super + offset, &word, sizeof word);
    bool sizes = super.block_log2 >= 12 && super.block_log2 <= 20 && super.slot_log2 >= 7 &&
                 super.slot_log2 <= 12;
    bool counts = super.shards && super.shards <= RV_SHARDS_MAX && super.header_blocks &&
                  super.header_blocks <= header_blocks(RV_SHARDS_MAX, 12);
    switch (offset) {
    case offsetof(struct rv_disk_superblock, magic):
        return word == RV_MAGIC;
    case offsetof(struct rv_disk_superblock, format_version):
        return super.format_version == RV_FORMAT_VERSION && super.size == sizeof super;
    case offsetof(struct rv_disk_superblock, block_log2):
        return sizes;
    case offsetof(struct rv_disk_superblock, shards):
        return counts;
    case offsetof(struct rv_disk_superblock, uuid):
    case offsetof(struct rv_disk_superblock, uuid) + 8:
    case offsetof(struct rv_disk_superblock, hash_seed):
    case offsetof(struct rv_disk_superblock, created_ns):
    case offsetof(struct rv_disk_superblock, checksum):
        return true;
    default:
        return false;
    }
}

/* The same for the first record, which names the first epoch. */
static bool fits_record(uint64_t offset, uint64_t word)
{
    switch (offset) {
    case offsetof(struct rv_disk_record, serial):
        return word == 1;
    case offsetof(struct rv_disk_record, blocks):
        return word <= UINT16_MAX;
    case offsetof(struct rv_disk_record, limit): /* and flags */
    case offsetof(struct rv_disk_record, time_ns):
    case offsetof(struct rv_disk_record, checksum):
        return true;
    default:
        return false;
    }
}

/* And for the live state. */
static bool fits_live(uint64_t offset, uint64_t word)
{
    return word <= UINT16_MAX && (offset == offsetof(struct rv_disk_live, epoch) ||
                                  offset == offsetof(struct rv_disk_live, failed) ||
                                  offset == offsetof(struct rv_disk_live, limit) ||
                                  offset == offsetof(struct rv_disk_live, blocks) ||
                                  offset == offsetof(struct rv_disk_live, synced));
}

/*
 * Is this what an interrupted creation in an empty file leaves: short, and zeros but for the first
 * record, the live state's numbers, the map's header, and some words of superblocks?
 */
bool rv_super_unborn(const struct rv_store *st, const struct rv_options *options)
{
    uint32_t blocks = header_blocks(options->shards, options->block_log2);
    uint64_t most = (uint64_t)(blocks + 1) << options->block_log2;
    uint64_t map = ((uint64_t)blocks << options->block_log2) + offsetof(struct rv_disk_block, run);
    uint64_t copy = copy_offset(blocks, options->block_log2);
    if (st->file.size > most || st->file.size % RV_PAGE) {
        return false;
    }
    for (uint64_t i = 0; i < st->file.size; i += 8) {
        uint64_t word = rv_load((const uint64_t *)(st->file.ro + i));
        bool fits = i == map || (i < RV_PAGE && fits_super(i, word)) ||
                    (i >= RV_PAGE && i < 2 * RV_PAGE && fits_record(i - RV_PAGE, word)) ||
                    (i >= 3 * RV_PAGE && i < 4 * RV_PAGE && fits_live(i - 3 * RV_PAGE, word)) ||
                    (i >= copy && i < copy + RV_PAGE && fits_super(i - copy, word));
        if (word && !fits) {
            return false;
        }
    }
    /* With a whole superblock it is a store, or what is left of one; of its full length, as it was
     * made, it is one if it has a record and a map's header too: the caller looks. */
    struct rv_disk_superblock super;
    rv_copy_out(&super, st->file.ro, st->file.size ? sizeof super / 8 : 0);
    struct rv_geometry geo;
    return st->file.size == 0 || !super_valid(&super) ||
           (st->file.size == most && !rv_geometry_make(st->file.path, &super, &geo));
}
