/* SPDX-License-Identifier: MIT */
/*
 * Mutations that know lib/format.h: they change fields, to values that mean something where they
 * stand, and make checksums right again, so that what lies behind a checksum is reached.
 */
#include "fuzz.h"

#include "format.h"
#include "hash.h"

#include <string.h>

struct mutation {
    uint8_t *image;
    size_t size;
    struct fuzz_random *random;
    /* from the superblock, if it makes sense */
    uint64_t header; /* bytes before the first block map */
    uint32_t block_log2;
    uint32_t slot_log2;
    uint32_t shards;
};

static void read_geometry(struct mutation *m)
{
    struct rv_disk_superblock super = {0};
    memcpy(&super, m->image, m->size < sizeof super ? m->size : sizeof super);
    m->block_log2 = super.block_log2 >= 12 && super.block_log2 <= 20 ? super.block_log2 : 12;
    m->slot_log2 = super.slot_log2 >= 7 && super.slot_log2 <= 12 ? super.slot_log2 : 7;
    m->shards = super.shards && super.shards <= RV_SHARDS_MAX ? super.shards : 1;
    m->header = (uint64_t)(super.header_blocks & 0xff) << m->block_log2;
}

/* ---- values ---- */

static uint64_t any_block(const struct mutation *m)
{
    return fuzz_below(m->random, (m->size >> m->block_log2) + 2);
}

static uint64_t any_slot(const struct mutation *m)
{
    return fuzz_below(m->random, (m->size >> m->slot_log2) + 2);
}

/* A number at the edge of what is allowed, or beyond. */
static uint64_t edge(const struct mutation *m)
{
    const uint64_t edges[] = {0,
                              1,
                              2,
                              3,
                              7,
                              8,
                              31,
                              56,
                              63,
                              64,
                              127,
                              255,
                              0xffff,
                              0x10000,
                              0xfffff,
                              0x7fffffff,
                              0x80000000,
                              0xffffffff,
                              UINT64_C(1) << 32,
                              UINT64_C(1) << 55,
                              INT64_MAX,
                              UINT64_MAX - 7,
                              UINT64_MAX,
                              m->size,
                              m->size - 8,
                              m->size >> m->block_log2,
                              m->size >> m->slot_log2};
    return edges[fuzz_below(m->random, sizeof edges / sizeof edges[0])];
}

static uint64_t any_pointer(const struct mutation *m)
{
    return fuzz_once_in(m->random, 2) ? RV_POINTER_SEGMENT | any_block(m)
                                      : RV_POINTER_NODE | any_slot(m);
}

static uint64_t any_word(const struct mutation *m)
{
    struct fuzz_random *r = m->random;
    return any_slot(m) << 32 | fuzz_below(r, 4) << 25 | fuzz_below(r, 12) << 20 | fuzz_below(r, 8);
}

static uint64_t any_run(const struct mutation *m)
{
    struct fuzz_random *r = m->random;
    return fuzz_below(r, 8) << 24 | fuzz_below(r, 16) << 16 | fuzz_below(r, m->shards + 1);
}

static uint64_t new_value(const struct mutation *m, uint64_t old)
{
    struct fuzz_random *r = m->random;
    switch (fuzz_below(r, 14)) {
    case 0:
        return old ^ UINT64_C(1) << fuzz_below(r, 64);
    case 1:
        return old + 1;
    case 2:
        return old - 1;
    case 3:
        return edge(m);
    case 4:
        return (old & ~(uint64_t)UINT32_MAX) | (edge(m) & UINT32_MAX);
    case 5:
        return (old & UINT32_MAX) | edge(m) << 32;
    case 6:
        return any_block(m);
    case 7:
        return any_slot(m);
    case 8:
        return any_slot(m) << 32 | (old & UINT32_MAX);
    case 9:
        return any_pointer(m);
    case 10:
        return any_word(m);
    case 11:
        return any_run(m);
    case 12:
        return any_block(m) << 8 | 0x80 | fuzz_below(r, 17); /* a hand */
    default:
        return any_block(m) << 32 | any_block(m); /* a list; two halves */
    }
}

/* ---- places ---- */

static uint64_t within(const struct mutation *m, uint64_t from, uint64_t bytes)
{
    return from + fuzz_below(m->random, bytes / 8) * 8;
}

static uint64_t in_live(const struct mutation *m)
{
    uint64_t live = 3 * RV_PAGE;
    return within(m, live, fuzz_once_in(m->random, 3) ? 300 : sizeof(struct rv_disk_live) / 2);
}

static uint64_t in_shard(const struct mutation *m)
{
    uint64_t shard = 4 * RV_PAGE + fuzz_below(m->random, m->shards) * sizeof(struct rv_disk_shard);
    return fuzz_once_in(m->random, 3)
               ? within(m, shard + offsetof(struct rv_disk_shard, root), 1024)
               : within(m, shard + 64, offsetof(struct rv_disk_shard, reserved2) - 64);
}

static uint64_t in_map(const struct mutation *m)
{
    uint64_t blocks = m->size >> m->block_log2;
    return within(m, m->header, (blocks + 1) * sizeof(struct rv_disk_block));
}

/* A word of a block that is not zero: of an entry, a slot, a node. */
static uint64_t in_data(const struct mutation *m)
{
    uint64_t place = 0;
    for (unsigned i = 0; i < 50; i++) {
        uint64_t word = 0;
        place = within(m, m->header, m->size > m->header ? m->size - m->header : 8);
        if (place + 8 <= m->size) {
            memcpy(&word, m->image + place, 8);
        }
        if (word) {
            break;
        }
    }
    return place;
}

/* A slot's header, or an entry. */
static uint64_t in_unit(const struct mutation *m)
{
    return within(m, in_data(m) >> m->slot_log2 << m->slot_log2, 64);
}

static uint64_t any_place(const struct mutation *m)
{
    switch (fuzz_below(m->random, 16)) {
    case 0:
        return within(m, 0, 96);
    case 1:
        return within(m, RV_PAGE * (1 + fuzz_below(m->random, 2)), 64);
    case 2:
    case 3:
        return in_live(m);
    case 4:
    case 5:
    case 6:
        return in_shard(m);
    case 7:
    case 8:
    case 9:
        return in_map(m);
    case 10:
    case 11:
        return in_unit(m);
    case 12:
        return within(m, 0, m->size);
    default:
        return in_data(m);
    }
}

/* ---- changes ---- */

static void change_word(const struct mutation *m)
{
    uint64_t place = any_place(m);
    uint64_t word;
    if (place + 8 <= m->size) {
        memcpy(&word, m->image + place, 8);
        word = new_value(m, word);
        memcpy(m->image + place, &word, 8);
    }
}

/* A structure takes another one's place. */
static void copy_unit(const struct mutation *m)
{
    static const size_t sizes[] = {8, 16, 64, 128, 4096};
    size_t bytes = sizes[fuzz_below(m->random, 5)];
    uint64_t from = any_place(m) / bytes * bytes;
    uint64_t to = any_place(m) / bytes * bytes;
    if (from + bytes <= m->size && to + bytes <= m->size) {
        memmove(m->image + to, m->image + from, bytes);
    }
}

static void wipe(const struct mutation *m)
{
    uint64_t place = any_place(m);
    size_t bytes = 8u << fuzz_below(m->random, 10);
    if (place + bytes <= m->size) {
        memset(m->image + place, fuzz_once_in(m->random, 2) ? 0 : 0xff, bytes);
    }
}

/* An operation in flight: what repair acts upon. */
static void make_log(const struct mutation *m)
{
    bool live = fuzz_once_in(m->random, 2);
    uint64_t head = live ? 3 * RV_PAGE + offsetof(struct rv_disk_live, undo)
                         : 4 * RV_PAGE + offsetof(struct rv_disk_shard, undo);
    uint64_t words[3 + 1 + 8];
    words[0] = fuzz_below(m->random, 6);
    words[1] = fuzz_once_in(m->random, 2) ? 0 : any_place(m);
    words[2] = edge(m);
    words[3] = 0;
    if (words[1] && words[1] + 8 <= m->size) {
        memcpy(&words[2], m->image + words[1], 8);
    }
    for (unsigned i = 4; i < 12; i += 2) {
        words[i] = fuzz_once_in(m->random, 20) ? edge(m) : any_place(m);
        words[i + 1] = new_value(m, 0);
    }
    if (head + sizeof words <= m->size) {
        memcpy(m->image + head, words, sizeof words);
    }
}

static void change_record(const struct mutation *m)
{
    uint64_t place = RV_PAGE * (1 + fuzz_below(m->random, 2));
    struct rv_disk_record record;
    if (place + sizeof record > m->size) {
        return;
    }
    memcpy(&record, m->image + place, sizeof record);
    switch (fuzz_below(m->random, 6)) {
    case 0:
        record.flags ^= RV_RECORD_CLEAN;
        break;
    case 1:
        record.flags ^= RV_RECORD_TRIMMED;
        break;
    case 2:
        record.limit = (uint32_t)(fuzz_once_in(m->random, 2) ? fuzz_below(m->random, 10) : edge(m));
        break;
    case 3:
        record.durable += fuzz_below(m->random, 5) - 2;
        break;
    case 4:
        record.blocks += fuzz_below(m->random, 5) - 2;
        break;
    default:
        record.serial += fuzz_below(m->random, 5) - 2;
        break;
    }
    memcpy(m->image + place, &record, sizeof record);
}

static void change_size(struct mutation *m, size_t most)
{
    size_t block = (size_t)1 << m->block_log2;
    size_t size = fuzz_below(m->random, m->size + 2 * block);
    size = fuzz_once_in(m->random, 2) ? size / block * block : size;
    size = size < most ? size : most;
    if (size > m->size) {
        memset(m->image + m->size, 0, size - m->size);
    }
    m->size = size;
}

void fuzz_mutate(uint8_t *image, size_t *size, size_t most, struct fuzz_random *random)
{
    struct mutation m = {.image = image, .size = *size, .random = random};
    read_geometry(&m);
    uint64_t changes = 1 + fuzz_below(random, fuzz_once_in(random, 4) ? 12 : 3);
    for (uint64_t i = 0; i < changes && m.size >= RV_PAGE; i++) {
        switch (fuzz_below(random, 16)) {
        case 0:
        case 1:
            copy_unit(&m);
            break;
        case 2:
            wipe(&m);
            break;
        case 3:
            make_log(&m);
            break;
        case 4:
            change_record(&m);
            break;
        case 5:
            if (fuzz_once_in(random, 4)) {
                change_size(&m, most);
            }
            break;
        default:
            change_word(&m);
            break;
        }
    }
    if (!fuzz_once_in(random, 8)) {
        fuzz_resum(image, m.size, fuzz_once_in(random, 2));
    }
    *size = m.size;
}

void fuzz_mutate_with_script(uint8_t *image, size_t *size, size_t most, struct fuzz_random *random)
{
    uint64_t script;
    memcpy(&script, image + FUZZ_SCRIPT, sizeof script);
    fuzz_mutate(image, size, most, random);
    if (fuzz_once_in(random, 2)) {
        script = fuzz_once_in(random, 8) ? fuzz_next(random) : fuzz_below(random, 64);
    }
    if (*size >= FUZZ_SCRIPT + sizeof script) {
        memcpy(image + FUZZ_SCRIPT, &script, sizeof script);
    }
}

/* ---- checksums ---- */

static void resum_records(uint8_t *image, size_t size, const struct rv_disk_superblock *super)
{
    uint64_t seed;
    memcpy(&seed, super->uuid, sizeof seed);
    for (unsigned i = 1; i <= 2 && (i + 1) * RV_PAGE <= size; i++) {
        struct rv_disk_record record;
        memcpy(&record, image + i * RV_PAGE, sizeof record);
        if (record.serial) {
            record.checksum =
                XXH3_64bits_withSeed(&record, offsetof(struct rv_disk_record, checksum), seed);
            memcpy(image + i * RV_PAGE, &record, sizeof record);
        }
    }
}

/* Where the strings of a slot lie, whole; 0: nowhere. */
static uint64_t strings_of(const struct mutation *m, uint64_t place, const struct rv_disk_slot *s)
{
    uint64_t at = (s->overflow ? (uint64_t)s->overflow << m->slot_log2 : place) + sizeof *s;
    uint64_t bytes = (uint64_t)s->url_length + s->text_length + 2;
    return bytes <= VISIT_STRINGS_MAX + 2 && at + bytes <= m->size ? at : 0;
}

/* Does the block map call the block that this lies in a slot block or a large run? */
static bool holds_slots(const struct mutation *m, uint64_t place)
{
    uint64_t index = (place - m->header) >> m->block_log2;
    uint64_t header = m->header + index % (1u << (m->block_log2 - 6)) * 64;
    header += index >> (m->block_log2 - 6) << (2 * m->block_log2 - 6);
    uint64_t run = 0;
    if (header + sizeof(struct rv_disk_block) <= m->size) {
        memcpy(&run, m->image + header + offsetof(struct rv_disk_block, run), sizeof run);
    }
    return run >> 24 == RV_KIND_SLOTS || run >> 24 == RV_KIND_LARGE;
}

static void resum_slots(const struct mutation *m)
{
    uint64_t step = UINT64_C(1) << m->slot_log2;
    for (uint64_t place = m->header; place + step <= m->size; place += step) {
        struct rv_disk_slot slot;
        memcpy(&slot, m->image + place, sizeof slot);
        uint64_t at = strings_of(m, place, &slot);
        if (!at || slot.checksum == 0 || !holds_slots(m, place)) {
            continue;
        }
        uint64_t strings =
            XXH3_64bits(m->image + at, (size_t)slot.url_length + slot.text_length + 2);
        slot.checksum = XXH3_64bits_withSeed((uint8_t *)&slot + 8, 32, strings);
        memcpy(m->image + place, &slot, sizeof slot);
    }
}

void fuzz_resum(uint8_t *image, size_t size, bool slots)
{
    struct mutation m = {.image = image, .size = size};
    struct rv_disk_superblock super;
    if (size < RV_PAGE) {
        return;
    }
    memcpy(&super, image, sizeof super);
    super.checksum = XXH3_64bits(&super, offsetof(struct rv_disk_superblock, checksum));
    memcpy(image, &super, sizeof super);
    read_geometry(&m);
    if (m.header >= RV_PAGE && m.header <= size) {
        memcpy(image + m.header - RV_PAGE, &super, sizeof super);
    }
    resum_records(image, size, &super);
    if (slots) {
        resum_slots(&m);
    }
}
