/* SPDX-License-Identifier: MIT */
/*
 * rvdump page: the bytes of a block or a slot, or around an offset, with the names of what they
 * are. What a block holds is told by its header; whether a slot is whole, by its checksum.
 */
#include "entries.h"
#include "fields.h"
#include "rvdump.h"
#include "slots.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct page {
    struct image *image;
    struct slot_reader reader;
    struct fields fields;
    const uint8_t *bytes; /* of the block */
    uint64_t start;       /* of the block in the file */
    uint64_t from;        /* what lies in part in [from, to) is shown */
    uint64_t to;
};

static bool is_wanted(const struct page *page, uint64_t offset, uint64_t length)
{
    return offset < page->to && offset + length > page->from;
}

static const uint8_t *at(const struct page *page, uint64_t offset)
{
    return page->bytes + (offset - page->start);
}

static uint64_t block_end(const struct page *page)
{
    return page->start + (UINT64_C(1) << page->image->block_log2);
}

/* How many bytes from here on are zeros, in pieces of a unit. */
static uint64_t zeros_from(const struct page *page, uint64_t offset, uint64_t end, uint64_t unit)
{
    uint64_t from = offset;
    for (; offset + unit <= end; offset += unit) {
        for (uint64_t i = 0; i < unit; i++) {
            if (*at(page, offset + i) != 0)
                return offset - from;
        }
    }
    return offset - from;
}

/* Bytes without fields, but for those that are zeros. */
static void show_bytes(struct page *page, const char *name, uint64_t offset, uint64_t end)
{
    while (offset < end) {
        uint64_t from = offset + zeros_from(page, offset, end, 8);
        uint64_t to = from;
        while (to < end && zeros_from(page, to, end, 8) == 0)
            to = end - to < 8 ? end : to + 8;
        fields_bytes(&page->fields, name, from, at(page, from), to - from);
        offset = to;
    }
}

static void show_rest(struct page *page, uint64_t offset, uint64_t end, const char *what)
{
    if (offset >= end || !is_wanted(page, offset, end - offset))
        return;
    bool zeros = zeros_from(page, offset, end, 1) == end - offset;
    fields_title(&page->fields, offset, end - offset, "%s%s", what, zeros ? ": zeros" : "");
    show_bytes(page, "", offset, end);
}

/* Several things of one kind with nothing in them. */
static void show_range(struct page *page, uint64_t offset, uint64_t length, const char *things,
                       uint64_t first, uint64_t count, const char *what)
{
    if (!is_wanted(page, offset, length))
        return;
    if (count == 1)
        fields_title(&page->fields, offset, length, "%s %" PRIu64 ": %s", things, first, what);
    else
        fields_title(&page->fields, offset, length, "%ss %" PRIu64 " to %" PRIu64 ": %s", things,
                     first, first + count - 1, what);
}

/* A structure, if it is wanted. */
static void show(struct page *page, enum structure structure, uint64_t offset, uint64_t length,
                 const char *what)
{
    if (!is_wanted(page, offset, length))
        return;
    fields_title(&page->fields, offset, length, "%s", what);
    fields_out(&page->fields, structure, offset, at(page, offset));
}

/* ---- The file's header ---- */

struct part {
    uint64_t offset;
    uint64_t length;
    enum structure structure;
    char what[48];
};

/* The i-th structure of the header. */
static struct part part_of_header(const struct image *image, uint32_t i)
{
    static const char *const names[] = {"superblock", "record A", "record B", "live state"};
    static const uint64_t lengths[] = {512, 64, 64, RV_PAGE};
    static const enum structure structures[] = {STRUCTURE_SUPERBLOCK, STRUCTURE_RECORD,
                                                STRUCTURE_RECORD, STRUCTURE_LIVE};
    struct part part = {.offset = i * RV_PAGE};
    if (i < 4) {
        part.length = lengths[i];
        part.structure = structures[i];
        snprintf(part.what, sizeof part.what, "%s", names[i]);
    } else if (i < 4 + image->shards) {
        part = (struct part){.offset = image_shard_offset(i - 4),
                             .length = sizeof(struct rv_disk_shard),
                             .structure = STRUCTURE_SHARD};
        snprintf(part.what, sizeof part.what, "shard %" PRIu32, i - 4);
    } else {
        part = (struct part){.offset = image_copy_offset(image),
                             .length = 512,
                             .structure = STRUCTURE_SUPERBLOCK,
                             .what = "copy of the superblock"};
    }
    return part;
}

/* What can be said of a part as a whole. */
static const char *state_of(const struct page *page, const struct part *part)
{
    struct rv_disk_superblock super;
    struct rv_disk_record record;
    if (part->structure == STRUCTURE_SUPERBLOCK) {
        memcpy(&super, at(page, part->offset), sizeof super);
        return image_super_is_valid(&super) ? ": valid" : ": damaged";
    }
    if (part->structure != STRUCTURE_RECORD)
        return "";
    memcpy(&record, at(page, part->offset), sizeof record);
    if (!image_record_is_valid(page->image, &record))
        return ": not valid";
    return record.serial == page->image->record.serial ? ": valid, the newest" : ": valid";
}

/* The parts that lie in this block, and what is between them. The live state and shards may lie
 * over the end of a small block: then the block's own part is shown as bytes. */
static void show_header(struct page *page)
{
    uint64_t done = page->start, end = block_end(page);
    for (uint32_t i = 0; i < page->image->shards + 5; i++) {
        struct part part = part_of_header(page->image, i);
        if (part.offset < done || part.offset + part.length > end)
            continue;
        show_rest(page, done, part.offset, "unused");
        char what[80];
        snprintf(what, sizeof what, "%s%s", part.what, state_of(page, &part));
        show(page, part.structure, part.offset, part.length, what);
        done = part.offset + part.length;
    }
    show_rest(page, done, end, "unused");
}

/* ---- A block map ---- */

static void show_map(struct page *page, uint64_t block)
{
    const uint64_t size = sizeof(struct rv_disk_block);
    for (uint64_t offset = page->start; offset < block_end(page);) {
        uint64_t number = block + (offset - page->start) / size;
        uint64_t zeros = zeros_from(page, offset, block_end(page), size);
        char what[80];
        if (zeros > 0) {
            show_range(page, offset, zeros, "header of block", number, zeros / size, "zeros");
            offset += zeros;
            continue;
        }
        snprintf(what, sizeof what, "header of block %" PRIu64, number);
        show(page, STRUCTURE_BLOCK_HEADER, offset, size, what);
        offset += size;
    }
}

/* ---- A segment ---- */

static void show_segment(struct page *page)
{
    const uint64_t size = sizeof(struct rv_disk_entry);
    show(page, STRUCTURE_SEGMENT, page->start, size, "segment");
    for (uint64_t offset = page->start + size; offset < block_end(page);) {
        uint64_t line = (offset - page->start) / size;
        uint64_t zeros = zeros_from(page, offset, block_end(page), size);
        struct rv_disk_entry entry;
        if (zeros > 0) {
            show_range(page, offset, zeros, "line", line, zeros / size, "free");
            offset += zeros;
            continue;
        }
        memcpy(&entry, at(page, offset), sizeof entry);
        char what[80];
        snprintf(what, sizeof what, "line %" PRIu64 ": %s %" PRIu32, line,
                 entry_is_used(&entry) ? "entry of user" : "free; it was for user", entry.user_id);
        show(page, STRUCTURE_ENTRY, offset, size, what);
        offset += size;
    }
}

/* ---- Slots ---- */

static void show_strings(struct page *page, uint64_t offset, uint64_t end,
                         const struct rv_disk_slot *slot)
{
    uint64_t text = offset + slot->url_length + 1;
    uint64_t behind = text + slot->text_length + 1;
    fields_bytes(&page->fields, "url", offset, at(page, offset), slot->url_length);
    fields_bytes(&page->fields, "text", text, at(page, text), slot->text_length);
    if (zeros_from(page, behind, end, 1) != end - behind)
        fields_bytes(&page->fields, "behind it", behind, at(page, behind), end - behind);
}

static void show_slot(struct page *page, uint64_t offset)
{
    const uint64_t size = UINT64_C(1) << page->image->slot_log2;
    uint32_t number = (uint32_t)(offset >> page->image->slot_log2);
    struct rv_disk_slot header;
    struct slot slot;
    if (!is_wanted(page, offset, size))
        return;
    memcpy(&header, at(page, offset), sizeof header);
    bool whole = slot_take(&page->reader, number, at(page, offset), &slot);
    fields_title(&page->fields, offset, size,
                 "slot %" PRIu32 ": visit %" PRIu32 " of user %" PRIu32 ", %s", number,
                 header.visit_id, header.user_id, whole ? "whole" : "not whole");
    fields_out(&page->fields, STRUCTURE_SLOT, offset, at(page, offset));
    uint64_t strings = offset + sizeof header;
    if (header.overflow == 0 && slot_string_bytes(&header) <= size - sizeof header)
        show_strings(page, strings, offset + size, &header);
    else if (header.overflow == 0)
        show_bytes(page, "bytes", strings, offset + size);
}

static void show_overflow(struct page *page, uint64_t offset, uint64_t length)
{
    char what[80];
    uint64_t strings = offset + sizeof(struct rv_disk_overflow);
    uint32_t number = (uint32_t)(offset >> page->image->slot_log2);
    snprintf(what, sizeof what, "slot %" PRIu32 ": overflow run", number);
    show(page, STRUCTURE_OVERFLOW, offset, length, what);
    if (is_wanted(page, offset, length))
        show_bytes(page, "strings", strings, offset + length);
}

static uint64_t node_bytes(void)
{
    return RV_FANOUT * sizeof(uint64_t);
}

/* Pointers of the directory, and nothing else. */
static bool is_node(const struct page *page, uint64_t offset)
{
    bool some = false;
    if (offset + node_bytes() > block_end(page))
        return false;
    for (uint32_t i = 0; i < RV_FANOUT; i++) {
        uint64_t pointer;
        memcpy(&pointer, at(page, offset + i * sizeof pointer), sizeof pointer);
        uint64_t kind = pointer & RV_POINTER_KIND, number = pointer & ~RV_POINTER_KIND;
        some = some || pointer != 0;
        if (pointer != 0 && ((kind != RV_POINTER_SEGMENT && kind != RV_POINTER_NODE) ||
                             number == 0 || number > UINT32_MAX))
            return false;
    }
    return some;
}

static void show_node(struct page *page, uint64_t offset, uint64_t length)
{
    if (!is_wanted(page, offset, length))
        return;
    fields_title(&page->fields, offset, length, "slot %" PRIu64 ": node of the directory",
                 offset >> page->image->slot_log2);
    for (uint32_t i = 0; i < RV_FANOUT; i++) {
        char name[24];
        uint64_t pointer = offset + i * sizeof(uint64_t);
        snprintf(name, sizeof name, "pointer[%" PRIu32 "]", i);
        if (is_wanted(page, pointer, sizeof(uint64_t)))
            fields_pointer(&page->fields, name, pointer, at(page, pointer));
    }
}

/* One run; returns its length. In a block of another kind (known: false) only what proves itself is
 * taken for a slot. */
static uint64_t show_run(struct page *page, uint64_t offset, uint64_t run, bool known)
{
    const uint64_t size = UINT64_C(1) << page->image->slot_log2;
    struct slot slot;
    if (slot_is_overflow_run(at(page, offset))) {
        show_overflow(page, offset, run);
        return run;
    }
    if (known && is_node(page, offset)) {
        uint64_t length = node_bytes() > size ? node_bytes() : size;
        show_node(page, offset, length);
        return length;
    }
    uint32_t number = (uint32_t)(offset >> page->image->slot_log2);
    if (known || slot_take(&page->reader, number, at(page, offset), &slot))
        show_slot(page, offset);
    else
        show_rest(page, offset, offset + size, "bytes");
    return size;
}

static void show_slots(struct page *page, uint64_t run_bytes, bool known)
{
    const uint64_t size = UINT64_C(1) << page->image->slot_log2;
    for (uint64_t offset = page->start; offset < block_end(page);) {
        uint64_t zeros = zeros_from(page, offset, block_end(page), size);
        uint64_t left = block_end(page) - offset;
        if (zeros > 0) {
            show_range(page, offset, zeros, "slot", offset >> page->image->slot_log2,
                       zeros >> page->image->slot_log2, "zeros");
            offset += zeros;
            continue;
        }
        offset += show_run(page, offset, run_bytes < left ? run_bytes : left, known);
    }
}

/* ---- A block ---- */

static void show_own_header(struct page *page, uint64_t block, const struct rv_disk_block *header,
                            const char *what)
{
    uint64_t map = image_map_of(page->image, block);
    uint64_t offset = image_block_offset(page->image, map) + (block - map) * sizeof *header;
    fields_title(&page->fields, page->start, UINT64_C(1) << page->image->block_log2,
                 "block %" PRIu64 ": %s", block, what);
    if (page->to - page->from < UINT64_C(1) << page->image->block_log2)
        return;
    fields_title(&page->fields, offset, sizeof *header, "its header in the block map");
    fields_out(&page->fields, STRUCTURE_BLOCK_HEADER, offset, (const uint8_t *)header);
}

static void show_data_block(struct page *page, uint64_t block)
{
    struct rv_disk_block header;
    const struct image *image = page->image;
    uint64_t run = UINT64_C(1) << image->block_log2;
    if (!image_header(page->image, block, &header))
        return;
    uint32_t kind = run_kind(header.run);
    if (cell_use(&header, image->as_of) == RV_USE_SEGMENT) {
        show_own_header(page, block, &header, "segment of the index");
        show_segment(page);
    } else if (kind == RV_KIND_SLOTS &&
               run_class(header.run) < image->block_log2 - image->slot_log2) {
        char what[64];
        snprintf(what, sizeof what, "slots in runs of 2^%" PRIu32 ", shard %" PRIu32,
                 run_class(header.run), run_shard(header.run));
        show_own_header(page, block, &header, what);
        run = UINT64_C(1) << (image->slot_log2 + run_class(header.run));
        show_slots(page, run, true);
    } else {
        show_own_header(page, block, &header,
                        kind == RV_KIND_LARGE  ? "beginning of a large run"
                        : kind == RV_KIND_FREE ? "beginning of a free run"
                        : kind == RV_KIND_HAND ? "in a shard's hand"
                                               : "inside a run, or not in use");
        show_slots(page, run, false);
    }
}

static int show_block(struct page *page, uint64_t block)
{
    const struct image *image = page->image;
    page->bytes = image_block(page->image, block);
    page->start = image_block_offset(image, block);
    if (page->bytes == NULL) {
        say("out of memory");
        return EXIT_OTHER;
    }
    if (block < image->header_blocks) {
        fields_title(&page->fields, page->start, UINT64_C(1) << image->block_log2,
                     "block %" PRIu64 ": header of the file", block);
        show_header(page);
    } else if (image_is_map(image, block)) {
        fields_title(&page->fields, page->start, UINT64_C(1) << image->block_log2,
                     "block %" PRIu64 ": block map", block);
        show_map(page, block);
    } else {
        show_data_block(page, block);
    }
    return EXIT_OK;
}

/* ---- Arguments ---- */

/* What is asked for: a block, a slot, or what lies around a byte. */
static int get_range(const struct args *args, struct page *page)
{
    const struct image *image = page->image;
    uint64_t length = UINT64_C(1) << image->block_log2;
    uint32_t block;
    if (args->has_slot) {
        page->from = image_slot_offset(image, args->slot);
        length = UINT64_C(1) << image->slot_log2;
    } else if (args->has_offset) {
        page->from = args->offset;
        length = 1;
    } else if (parse_number(args->operand, UINT32_MAX, &block)) {
        page->from = image_block_offset(image, block);
    } else {
        say("not the number of a block: %s", args->operand);
        return EXIT_USAGE;
    }
    page->to = page->from + length;
    if (page->from < image->size)
        return EXIT_OK;
    say("%s: is not that long: it has %" PRIu64 " bytes, %" PRIu64 " blocks", args->store,
        image->size, image_blocks(image));
    return EXIT_USAGE;
}

static int show_page(const struct args *args, struct image *image, struct out *out)
{
    struct page page = {.image = image, .fields = {.out = out, .json = args->json}};
    int code = get_range(args, &page);
    if (code != EXIT_OK)
        return code;
    if (!slot_reader_open(image, &page.reader)) {
        say("out of memory");
        return EXIT_OTHER;
    }
    code = show_block(&page, page.from >> image->block_log2);
    slot_reader_close(&page.reader);
    return code;
}

int command_page(const struct args *args)
{
    if ((args->operand != NULL) + args->has_slot + args->has_offset != 1) {
        say("one of these has to be given: the number of a block, --slot, --offset");
        return EXIT_USAGE;
    }
    struct image image;
    int code = image_open(args->store, &image);
    if (code != EXIT_OK)
        return code;
    struct out out;
    out_open(&out, STDOUT_FILENO);
    if (image.super_from == IMAGE_SUPER_NONE && !image_guess(&image, args->slot_size)) {
        say("%s: is not a store: no superblock, and no whole visit", args->store);
        code = EXIT_NOT_A_STORE;
    } else {
        if (image.super_from == IMAGE_SUPER_NONE)
            say("%s: the superblock and its copy are damaged; the sizes are guesses", args->store);
        code = show_page(args, &image, &out);
    }
    image_close(&image);
    return out_finish(&out, code);
}
