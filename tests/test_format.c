/* SPDX-License-Identifier: MIT */
/*
 * format-spec/example.txt is what the library writes: makes the store anew and compares.
 *
 * With RV_UPDATE set the file is rewritten instead. Randomness, clock, process id and the identity
 * of the file are replaced (fixed.h), so that there is nothing to mask.
 */
#include "fixed.h"
#include "support.h"

#include "format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK (1u << RV_BLOCK_LOG2)
#define SLOT (1u << RV_SLOT_LOG2)

/* How a field's value is told. */
enum kind {
    NUMBER,
    HEX,
    BYTES,
    WORD,    /* of a version */
    CELL,    /* of a block header */
    RUN,     /* of a block header */
    FREE,    /* of a block header */
    PAIR,    /* two halves */
    POINTER, /* of a directory node */
};

struct field {
    uint32_t offset;
    uint32_t size;
    const char *name;
    enum kind kind;
};

#define FIELD(type, member, kind)                                                                  \
    {                                                                                              \
        offsetof(struct type, member), sizeof(((struct type *)0)->member), #member, kind           \
    }

static const struct field super_fields[] = {
    FIELD(rv_disk_superblock, magic, BYTES),
    FIELD(rv_disk_superblock, format_version, NUMBER),
    FIELD(rv_disk_superblock, size, NUMBER),
    FIELD(rv_disk_superblock, uuid, BYTES),
    FIELD(rv_disk_superblock, hash_seed, HEX),
    FIELD(rv_disk_superblock, block_log2, NUMBER),
    FIELD(rv_disk_superblock, slot_log2, NUMBER),
    FIELD(rv_disk_superblock, shards, NUMBER),
    FIELD(rv_disk_superblock, header_blocks, NUMBER),
    FIELD(rv_disk_superblock, created_ns, NUMBER),
    FIELD(rv_disk_superblock, checksum, HEX),
};
static const struct field record_fields[] = {
    FIELD(rv_disk_record, serial, NUMBER),    FIELD(rv_disk_record, durable, NUMBER),
    FIELD(rv_disk_record, blocks, NUMBER),    FIELD(rv_disk_record, limit, NUMBER),
    FIELD(rv_disk_record, flags, NUMBER),     FIELD(rv_disk_record, time_ns, NUMBER),
    FIELD(rv_disk_record, last_time, NUMBER), FIELD(rv_disk_record, checksum, HEX),
};
static const struct field live_fields[] = {
    FIELD(rv_disk_live, boot_id, BYTES), FIELD(rv_disk_live, mount, NUMBER),
    FIELD(rv_disk_live, device, NUMBER), FIELD(rv_disk_live, inode, NUMBER),
    FIELD(rv_disk_live, holder, NUMBER), FIELD(rv_disk_live, serial, NUMBER),
    FIELD(rv_disk_live, epoch, NUMBER),  FIELD(rv_disk_live, durable, NUMBER),
    FIELD(rv_disk_live, failed, NUMBER), FIELD(rv_disk_live, limit, NUMBER),
    FIELD(rv_disk_live, blocks, NUMBER), FIELD(rv_disk_live, synced, NUMBER),
};
static const struct field shard_fields[] = {
    FIELD(rv_disk_shard, structure, NUMBER),
    FIELD(rv_disk_shard, changed, NUMBER),
    FIELD(rv_disk_shard, last_time, NUMBER),
    FIELD(rv_disk_shard, first, NUMBER),
};
static const struct field header_fields[] = {
    FIELD(rv_disk_block, cell[0], CELL), FIELD(rv_disk_block, cell[1], CELL),
    FIELD(rv_disk_block, cell[2], CELL), FIELD(rv_disk_block, segment, HEX),
    FIELD(rv_disk_block, prefix, HEX),   FIELD(rv_disk_block, run, RUN),
    FIELD(rv_disk_block, list, PAIR),    FIELD(rv_disk_block, free, FREE),
};
static const struct field slot_fields[] = {
    FIELD(rv_disk_slot, prev, NUMBER),       FIELD(rv_disk_slot, link, NUMBER),
    FIELD(rv_disk_slot, user_id, NUMBER),    FIELD(rv_disk_slot, visit_id, NUMBER),
    FIELD(rv_disk_slot, time_ns, NUMBER),    FIELD(rv_disk_slot, seq, NUMBER),
    FIELD(rv_disk_slot, url_length, NUMBER), FIELD(rv_disk_slot, text_length, NUMBER),
    FIELD(rv_disk_slot, overflow, NUMBER),   FIELD(rv_disk_slot, checksum, HEX),
};
static const struct field segment_fields[] = {
    FIELD(rv_disk_segment, link, NUMBER),
    FIELD(rv_disk_segment, moved, PAIR),
    FIELD(rv_disk_segment, count, NUMBER),
};
static const struct field entry_fields[] = {
    FIELD(rv_disk_entry, user_id, NUMBER),          FIELD(rv_disk_entry, changes, NUMBER),
    FIELD(rv_disk_entry, newest, NUMBER),           FIELD(rv_disk_entry, filter, HEX),
    FIELD(rv_disk_entry, version[0].epoch, NUMBER), FIELD(rv_disk_entry, version[0].word, WORD),
    FIELD(rv_disk_entry, version[1].epoch, NUMBER), FIELD(rv_disk_entry, version[1].word, WORD),
    FIELD(rv_disk_entry, version[2].epoch, NUMBER), FIELD(rv_disk_entry, version[2].word, WORD),
};

/* The file, what of it has been told, and where that goes. */
struct dump {
    struct image image;
    bool *told;
    FILE *out;
};

static uint64_t value_at(const struct dump *d, uint64_t offset, uint32_t size)
{
    uint64_t value = 0;
    memcpy(&value, d->image.bytes + offset, size < 8 ? size : 8);
    return value;
}

static void tell_value(FILE *out, uint64_t v, enum kind kind)
{
    static const char *const kinds[] = {"unused",  "free", "slots", "large",
                                        "segment", "map",  "hand"};
    switch (kind) {
    case NUMBER:
        fprintf(out, " %" PRIu64, v);
        break;
    case HEX:
        fprintf(out, " %#" PRIx64, v);
        break;
    case WORD:
        fprintf(out, " head %u, count %u, class %u%s%s", (unsigned)(v >> 32),
                (unsigned)(v & RV_WORD_COUNT), (unsigned)(v >> RV_WORD_SIZE_SHIFT & RV_WORD_SIZE),
                v & RV_WORD_EXPLICIT ? ", EXPLICIT" : "", v & RV_WORD_OVERFLOW ? ", OVERFLOW" : "");
        break;
    case CELL:
        fprintf(out, " epoch %" PRIu64 ", %s", v >> 8, v & 0xff ? "segment" : "none");
        break;
    case RUN:
        fprintf(out, " %s, class %u, shard %u", kinds[v >> 24], (unsigned)(v >> 16 & 0xff),
                (unsigned)(v & 0xffff));
        break;
    case FREE:
        fprintf(out, " first %u, fresh %u, used %u", (unsigned)(v >> 32),
                (unsigned)(v >> 16 & 0xffff), (unsigned)(v & 0xffff));
        break;
    case PAIR:
        fprintf(out, " %u, %u", (unsigned)(v >> 32), (unsigned)v);
        break;
    case POINTER:
        fprintf(out, " %s %u", v & RV_POINTER_SEGMENT ? "segment" : "node", (unsigned)v);
        break;
    case BYTES:
        break;
    }
}

/* Bytes of the file with what they mean; eight a line. */
static void tell(struct dump *d, uint64_t offset, uint32_t size, const char *name, enum kind kind)
{
    for (uint32_t i = 0; i < size; i += 8) {
        fprintf(d->out, "%08" PRIx64 " ", offset + i);
        uint32_t n = size - i < 8 ? size - i : 8;
        for (uint32_t k = i; k < i + n; k++) {
            fprintf(d->out, " %02x", d->image.bytes[offset + k]);
            d->told[offset + k] = true;
        }
        fprintf(d->out, "%*s", (int)(8 - n) * 3, "");
        if (!i) {
            fprintf(d->out, "  %s", name);
            tell_value(d->out, value_at(d, offset, size), kind);
        }
        fputc('\n', d->out);
    }
}

static bool is_zero(const struct dump *d, uint64_t offset, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        if (d->image.bytes[offset + i]) {
            return false;
        }
    }
    return true;
}

static void tell_fields(struct dump *d, uint64_t base, const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_zero(d, base + fields[i].offset, fields[i].size)) {
            tell(d, base + fields[i].offset, fields[i].size, fields[i].name, fields[i].kind);
        }
    }
}
#define TELL(d, base, fields) tell_fields((d), (base), (fields), sizeof(fields) / sizeof *(fields))

static void title(struct dump *d, const char *text)
{
    fprintf(d->out, "\n%s\n", text);
}

/* An array of words: those that are not zero; one line for neighbours that are equal. */
static void tell_array(struct dump *d, uint64_t base, uint32_t count, const char *name,
                       enum kind kind)
{
    for (uint32_t i = 0; i < count;) {
        uint32_t end = i + 1;
        uint64_t value = value_at(d, base + i * 8, 8);
        char text[64];
        while (end < count && value_at(d, base + end * 8, 8) == value) {
            d->told[base + end * 8] = true;
            end++;
        }
        snprintf(text, sizeof text, end > i + 1 ? "%s[%u] to [%u]" : "%s[%u]", name, i, end - 1);
        if (value) {
            memset(d->told + base + i * 8, true, (size_t)(end - i) * 8);
            tell(d, base + i * 8, 8, text, kind);
        }
        i = end;
    }
}

/* An undo log that is not in use; what is left in it means nothing and is not told. */
static void pass_log(struct dump *d, uint64_t undo, uint32_t pairs)
{
    assert_true(is_zero(d, undo, 16)); /* count and publish_offset */
    memset(d->told + undo, true,
           sizeof(struct rv_disk_undo) + pairs * sizeof(struct rv_disk_undo_pair));
}

static void tell_header(struct dump *d)
{
    title(d, "Superblock");
    TELL(d, 0, super_fields);
    title(d, "Record A: the checkpoint of the close; serial 3 is the older one");
    TELL(d, RV_PAGE, record_fields);
    title(d, "Record B: clean (flag 1) and trimmed (flag 2), so the live state is true");
    TELL(d, 2 * RV_PAGE, record_fields);
    title(d, "Live state. Fields that are zero are not listed, here and below");
    TELL(d, 3 * RV_PAGE, live_fields);
    tell_array(d, 3 * RV_PAGE + offsetof(struct rv_disk_live, free), RV_ORDERS, "free", NUMBER);
    pass_log(d, 3 * RV_PAGE + offsetof(struct rv_disk_live, undo), RV_UNDO_LIVE);
}

static void tell_shard(struct dump *d, uint32_t shard)
{
    uint64_t base = 4 * RV_PAGE + shard * sizeof(struct rv_disk_shard);
    if (is_zero(d, base, sizeof(struct rv_disk_shard))) {
        return;
    }
    char text[100];
    snprintf(text, sizeof text, "Shard %u; all pointers of its root lead to its only segment",
             shard);
    title(d, text);
    TELL(d, base, shard_fields);
    tell_array(d, base + offsetof(struct rv_disk_shard, hand), RV_HAND, "hand", HEX);
    tell_array(d, base + offsetof(struct rv_disk_shard, partial), RV_CLASSES, "partial", NUMBER);
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t limbo = base + offsetof(struct rv_disk_shard, limbo) + i * 16;
        if (!is_zero(d, limbo, 16)) {
            snprintf(text, sizeof text, "limbo[%u].epoch", i);
            tell(d, limbo, 8, text, NUMBER);
            snprintf(text, sizeof text, "limbo[%u].head", i);
            tell(d, limbo + 8, 8, text, NUMBER);
        }
    }
    pass_log(d, base + offsetof(struct rv_disk_shard, undo), RV_UNDO_SHARD);
    tell_array(d, base + offsetof(struct rv_disk_shard, root), RV_FANOUT, "root", POINTER);
}

static void tell_slot(struct dump *d, uint32_t slot)
{
    uint64_t base = (uint64_t)slot * SLOT;
    if (is_zero(d, base, SLOT)) {
        return;
    }
    char text[200];
    const char *note =
        slot == 768    ? ": the first ring, one slot. It was full, so the second visit made the\n"
                         "ring move; it is in limbo until its epoch is durable and it is needed"
        : slot == 1024 ? ": the ring of two slots, the older visit. The copy has the same\n"
                         "number and checksum"
        : slot == 1025 ? ": the newer visit, the ring's head"
                       : "";
    snprintf(text, sizeof text, "Slot %u%s", slot, note);
    title(d, text);
    TELL(d, base, slot_fields);
    uint32_t bytes = (uint32_t)(value_at(d, base + 28, 4) + value_at(d, base + 32, 4) + 2);
    if (value_at(d, base + 36, 4) == 0 && bytes <= SLOT - 48 && bytes > 2) {
        tell(d, base + 48, (bytes + 7) / 8 * 8, "url, NUL, text, NUL", BYTES);
    }
}

static void tell_segment(struct dump *d, uint64_t base)
{
    TELL(d, base, segment_fields);
    for (uint32_t i = 1; i < BLOCK / 64; i++) {
        if (!is_zero(d, base + i * 64, 64)) {
            char text[64];
            snprintf(text, sizeof text, "Line %u of the segment: the entry of user 7", i);
            title(d, text);
            TELL(d, base + i * 64, entry_fields);
        }
    }
}

static void tell_blocks(struct dump *d)
{
    uint64_t blocks = d->image.size / BLOCK;
    for (uint64_t b = 1; b < blocks; b++) {
        char text[100];
        snprintf(text, sizeof text, "Block map: the header of block %" PRIu64, b);
        title(d, text);
        TELL(d, BLOCK + (b - 1) * 64, header_fields);
    }
    for (uint64_t b = 2; b < blocks; b++) {
        uint64_t run = value_at(d, BLOCK + (b - 1) * 64 + 40, 8);
        char text[64];
        snprintf(text, sizeof text, "Block %" PRIu64 ": a segment", b);
        if (run >> 24 == RV_KIND_SEGMENT) {
            title(d, text);
            tell_segment(d, b * BLOCK);
        }
        for (uint32_t i = 0; i < BLOCK / SLOT && run >> 24 == RV_KIND_SLOTS; i++) {
            tell_slot(d, (uint32_t)(b * BLOCK / SLOT) + i);
        }
    }
}

static const char *introduction =
    "A store, byte for byte\n"
    "\n"
    "Made with all defaults (blocks of 64 KiB, slots of 256 bytes, 16 shards, N = 10): opened, "
    "two\n"
    "visits of user 7 added with times of their own, closed.\n"
    "\n"
    "    visit 1  https://example.org/   First   2023-11-14 22:13:20\n"
    "    visit 2  https://example.org/b  Second  one second later\n"
    "\n"
    "Randomness, clock, process id and file identity are fixed ones, so that a test can make the\n"
    "same file again (tests/test_format.c). Every byte that is not listed is zero, but for the "
    "undo\n"
    "logs: their count is 0, so what the last operations left in them means nothing. Each line has "
    "a\n"
    "byte offset, the bytes, the field's name and its value.\n";

static void make_example(const char *path)
{
    /* So that the example shows what was freed, too. */
    VisitOptions options = {
        .size = sizeof options, .checkpoint_interval_ms = -1, .erase = VISIT_ERASE_LATER};
    VisitManager *manager = store_open_with(path, &options);
    VisitInput first = visit_at(7, 1, "https://example.org/", "First", FIXED_TIME_NS);
    VisitInput second =
        visit_at(7, 2, "https://example.org/b", "Second", FIXED_TIME_NS + 1000000000);
    assert_ok(VisitManagerAdd(manager, &first));
    assert_ok(VisitManagerAdd(manager, &second));
    store_close(manager);
}

static char *describe(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    struct dump d = {.image = image_read(path), .out = open_memstream(&text, &size)};
    assert_non_null(d.out);
    d.told = calloc(d.image.size, sizeof *d.told);
    assert_non_null(d.told);
    fputs(introduction, d.out);
    tell_header(&d);
    for (uint32_t i = 0; i < RV_SHARDS; i++) {
        tell_shard(&d, i);
    }
    title(&d, "Copy of the superblock");
    TELL(&d, BLOCK - RV_PAGE, super_fields);
    tell_blocks(&d);
    for (uint64_t i = 0; i < d.image.size; i++) {
        if (d.image.bytes[i] && !d.told[i]) {
            fail_msg("byte %" PRIu64 " is %02x and no field has it", i, d.image.bytes[i]);
        }
    }
    fputc('\n', d.out);
    fclose(d.out);
    free(d.told);
    image_free(&d.image);
    return text;
}

static void test_format__example_is_what_the_library_writes(void **state)
{
    struct scratch *scratch = *state;
    char path[512];
    make_example(scratch->store);
    char *text = describe(scratch->store);
    snprintf(path, sizeof path, "%s/example.txt", getenv("RV_FORMAT_SPEC"));
    if (getenv("RV_UPDATE")) {
        file_write(path, text, strlen(text));
    }
    struct image expected = image_read(path);
    assert_int_equal(strlen(text), expected.size);
    assert_memory_equal(text, expected.bytes, expected.size);
    image_free(&expected);
    free(text);
}

static void test_format__example_is_sound(void **state)
{
    struct scratch *scratch = *state;
    make_example(scratch->store);
    VisitManager *manager = store_open_read_only(scratch->store);
    assert_visits(manager, 7, 2, 1);
    assert_ok(store_verify(manager));
    store_close(manager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_format__example_is_what_the_library_writes),
        scratch_test(test_format__example_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
