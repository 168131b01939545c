/* SPDX-License-Identifier: MIT */
#include "image.h"
#include "output.h"
#include "rvdump.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define WRITER_BYTE ((off_t)1 << 60 | 1) /* format-spec/protocol.md: locks */

/* ---- Reading ---- */

/* Reads as much as can be; false if the disk does not give it. */
static bool read_fully(int fd, uint64_t offset, uint8_t *to, size_t length)
{
    while (length > 0) {
        ssize_t n = pread(fd, to, length, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        to += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return true;
}

void image_read(struct image *image, uint64_t offset, void *to, size_t length)
{
    uint8_t *bytes = to;
    memset(bytes, 0, length);
    if (read_fully(image->fd, offset, bytes, length))
        return;
    while (length > 0) {
        size_t n = RV_PAGE - offset % RV_PAGE;
        n = n < length ? n : length;
        if (!read_fully(image->fd, offset, bytes, n)) {
            memset(bytes, 0, n);
            image->unreadable++;
        }
        bytes += n;
        offset += n;
        length -= n;
    }
}

static const uint8_t *get_window(struct image *image, int number, uint64_t block)
{
    size_t length = (size_t)1 << image->block_log2;
    if (image->window[number].bytes == NULL)
        image->window[number].bytes = malloc(length);
    uint8_t *bytes = image->window[number].bytes;
    if (bytes == NULL || image->window[number].block == block)
        return bytes;
    image_read(image, image_block_offset(image, block), bytes, length);
    image->window[number].block = block;
    return bytes;
}

const uint8_t *image_block(struct image *image, uint64_t block)
{
    return get_window(image, 0, block);
}

bool image_header(struct image *image, uint64_t block, struct rv_disk_block *ret_header)
{
    uint64_t map = image_map_of(image, block);
    const uint8_t *bytes = get_window(image, 1, map);
    if (bytes == NULL)
        return false;
    memcpy(ret_header, bytes + (block - map) * sizeof *ret_header, sizeof *ret_header);
    return true;
}

static void drop_windows(struct image *image)
{
    for (int i = 0; i < IMAGE_WINDOWS; i++) {
        free(image->window[i].bytes);
        image->window[i].bytes = NULL;
        image->window[i].block = UINT64_MAX;
    }
}

/* ---- Superblock and records ---- */

static uint32_t header_blocks_of(uint32_t shards, uint32_t block_log2)
{
    uint64_t bytes = 4 * RV_PAGE + (uint64_t)shards * sizeof(struct rv_disk_shard);
    bytes = (bytes + RV_PAGE - 1) / RV_PAGE * RV_PAGE + RV_PAGE;
    return (uint32_t)((bytes + (UINT64_C(1) << block_log2) - 1) >> block_log2);
}

bool image_super_is_valid(const struct rv_disk_superblock *super)
{
    return super->magic == RV_MAGIC && super->format_version == RV_FORMAT_VERSION &&
           super->checksum == XXH3_64bits(super, offsetof(struct rv_disk_superblock, checksum)) &&
           super->block_log2 >= 12 && super->block_log2 <= 20 && super->slot_log2 >= 7 &&
           super->slot_log2 <= 12 && super->shards > 0 && super->shards <= RV_SHARDS_MAX &&
           (super->shards & (super->shards - 1)) == 0 &&
           super->header_blocks == header_blocks_of(super->shards, super->block_log2);
}

/* The first superblock, or its copy, whose place only the copy itself knows. */
static enum image_super find_super(struct image *image, struct rv_disk_superblock *super)
{
    image_read(image, 0, super, sizeof *super);
    if (image_super_is_valid(super))
        return IMAGE_SUPER_FIRST;
    for (uint64_t at = RV_PAGE; at < UINT64_C(1) << 21 && at < image->size; at += RV_PAGE) {
        image_read(image, at, super, sizeof *super);
        if (image_super_is_valid(super) &&
            ((uint64_t)super->header_blocks << super->block_log2) - RV_PAGE == at)
            return IMAGE_SUPER_COPY;
    }
    memset(super, 0, sizeof *super);
    return IMAGE_SUPER_NONE;
}

bool image_record_is_valid(const struct image *image, const struct rv_disk_record *record)
{
    uint64_t seed;
    memcpy(&seed, image->super.uuid, sizeof seed);
    return record->serial > 0 && record->serial < UINT64_C(1) << 63 &&
           record->durable < UINT64_C(1) << 55 && record->limit > 0 && record->limit <= 65535 &&
           record->checksum ==
               XXH3_64bits_withSeed(record, offsetof(struct rv_disk_record, checksum), seed);
}

static bool is_zero(const void *bytes, size_t length)
{
    const uint8_t *p = bytes;
    return length == 0 || (p[0] == 0 && memcmp(p, p + 1, length - 1) == 0);
}

static void find_record(struct image *image)
{
    struct rv_disk_record record[2];
    bool valid[2];
    for (int i = 0; i < 2; i++) {
        image_read(image, (uint64_t)(i + 1) * RV_PAGE, &record[i], sizeof record[i]);
        valid[i] =
            image->super_from != IMAGE_SUPER_NONE && image_record_is_valid(image, &record[i]);
    }
    image->as_of = UINT64_MAX;
    if (!valid[0] && !valid[1])
        return;
    int best = valid[0] && (!valid[1] || record[0].serial > record[1].serial) ? 0 : 1;
    image->record_broken = !valid[!best] && !is_zero(&record[!best], sizeof record[!best]);
    image->has_record = true;
    image->record = record[best];
    image->clean = (record[best].flags & RV_RECORD_CLEAN) && !image->record_broken;
    if (!image->clean && !image_in_use(image))
        image->as_of = record[best].durable;
}

/* ---- Opening ---- */

static int open_file(const char *path, struct image *image)
{
    struct stat status;
    image->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (image->fd < 0 || fstat(image->fd, &status) != 0) {
        int error = errno;
        bool cannot = error == ENOENT || error == ENOTDIR || error == EACCES || error == EPERM ||
                      error == ELOOP || error == ENXIO;
        say("%s: cannot open: %s", path, strerror(error));
        return cannot ? EXIT_CANNOT_OPEN : EXIT_IO;
    }
    if (!S_ISREG(status.st_mode)) {
        say("%s: is not a file", path);
        return EXIT_NOT_A_STORE;
    }
    image->size = (uint64_t)status.st_size;
    return EXIT_OK;
}

static int check_version(struct image *image)
{
    struct rv_disk_superblock super;
    image_read(image, 0, &super, sizeof super);
    uint64_t unknown = image->super.incompatible;
    /* A newer version may compute its checksum in another way; but then the copy's would not hold.
     */
    bool newer = super.magic == RV_MAGIC && super.format_version > RV_FORMAT_VERSION &&
                 image->super_from != IMAGE_SUPER_COPY;
    if (!newer && unknown == 0)
        return EXIT_OK;
    say("%s: has format version %" PRIu32 " with features %" PRIx64 "; this program knows version "
        "%u: use a newer one",
        image->path, super.format_version, unknown, RV_FORMAT_VERSION);
    return EXIT_NOT_A_STORE;
}

int image_open(const char *path, struct image *ret_image)
{
    struct image image = {.path = path,
                          .block_log2 = RV_BLOCK_LOG2,
                          .slot_log2 = RV_SLOT_LOG2,
                          .shards = RV_SHARDS,
                          .header_blocks = header_blocks_of(RV_SHARDS, RV_BLOCK_LOG2)};
    drop_windows(&image);
    int code = open_file(path, &image);
    if (code == EXIT_OK) {
        image.super_from = find_super(&image, &image.super);
        code = check_version(&image);
    }
    if (code != EXIT_OK) {
        if (image.fd >= 0)
            close(image.fd);
        return code;
    }
    if (image.super_from != IMAGE_SUPER_NONE) {
        image.block_log2 = image.super.block_log2;
        image.slot_log2 = image.super.slot_log2;
        image.shards = image.super.shards;
        image.header_blocks = image.super.header_blocks;
    }
    find_record(&image);
    *ret_image = image;
    return EXIT_OK;
}

void image_close(struct image *image)
{
    drop_windows(image);
    close(image->fd);
}

bool image_in_use(const struct image *image)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = WRITER_BYTE, .l_len = 1};
    return fcntl(image->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* ---- Guessing ---- */

/* Bytes of the slot that begins here with its strings inside, 0 if none does. */
static size_t slot_at(const uint8_t *bytes, size_t room)
{
    struct rv_disk_slot slot;
    if (room < sizeof slot)
        return 0;
    memcpy(&slot, bytes, sizeof slot);
    size_t length = (size_t)slot.url_length + slot.text_length + 2;
    if (slot.overflow != 0 || slot.url_length > RV_PAGE || slot.text_length > RV_PAGE ||
        length > room - sizeof slot || length > RV_PAGE - sizeof slot)
        return 0;
    uint64_t strings = XXH3_64bits(bytes + sizeof slot, length);
    bool holds = XXH3_64bits_withSeed(bytes + 8, 32, strings) == slot.checksum;
    return holds ? sizeof slot + length : 0;
}

/* Slots of one ring lie side by side: what divides all their offsets is the size of a slot. */
static uint32_t find_slot_size(struct image *image)
{
    uint64_t offsets = 0;
    size_t longest = 0;
    size_t length = (size_t)1 << image->block_log2;
    for (uint64_t block = 0; block < image_blocks(image); block++) {
        const uint8_t *bytes = image_block(image, block);
        if (bytes == NULL)
            return 0;
        for (size_t at = 0; at < length; at += 128) {
            size_t slot = slot_at(bytes + at, length - at);
            if (slot > 0)
                offsets |= image_block_offset(image, block) + at;
            longest = slot > longest ? slot : longest;
        }
    }
    uint64_t size = offsets & -offsets;
    size = size > RV_PAGE ? RV_PAGE : size;
    return longest > 0 && longest <= size ? (uint32_t)size : 0;
}

/* A store has one shard or more: the lengths that its header may have, each once. */
static void find_header_blocks(struct image *image)
{
    uint32_t before = 0;
    for (uint32_t shards = 1; shards <= RV_SHARDS_MAX; shards *= 2) {
        struct rv_disk_block header;
        uint32_t blocks = header_blocks_of(shards, image->block_log2);
        if (blocks == before)
            continue;
        before = blocks;
        image_read(image, image_block_offset(image, blocks), &header, sizeof header);
        if (run_kind(header.run) == RV_KIND_MAP && header.cell[0] == 0 && header.segment == 0) {
            image->header_blocks = blocks;
            return;
        }
    }
}

bool image_guess(struct image *image, uint32_t slot_size)
{
    if (slot_size == 0)
        slot_size = find_slot_size(image);
    if (slot_size == 0)
        return false;
    image->slot_log2 = (uint32_t)__builtin_ctz(slot_size);
    find_header_blocks(image);
    return true;
}

/* ---- Words ---- */

bool word_is_sane(const struct image *image, uint64_t word)
{
    if (word == 0)
        return true;
    uint32_t k = word_class(word);
    return (word & RV_WORD_RESERVED) == 0 && k <= image_max_class(image) && word_count(word) > 0 &&
           word_count(word) <= UINT32_C(1) << k &&
           image_has_slots(image, word_slot(word, 0) & ~((UINT64_C(1) << k) - 1), UINT64_C(1) << k);
}

uint32_t cell_use(const struct rv_disk_block *header, uint64_t as_of)
{
    uint64_t newest = 0;
    for (int i = 0; i < 3; i++) {
        uint64_t epoch = header->cell[i] >> 8;
        if (epoch != 0 && epoch <= as_of && epoch > newest >> 8)
            newest = header->cell[i];
    }
    return (uint32_t)(newest & 0xff);
}

int entry_newest(const struct rv_disk_entry *entry, uint64_t as_of)
{
    int newest = -1;
    for (int i = 0; i < 3; i++) {
        uint64_t epoch = entry->version[i].epoch;
        if (epoch != 0 && epoch <= as_of && (newest < 0 || epoch > entry->version[newest].epoch))
            newest = i;
    }
    return newest;
}
