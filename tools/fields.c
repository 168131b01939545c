/* SPDX-License-Identifier: MIT */
#include "fields.h"
#include "image.h"
#include "text.h"
#include "timetext.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    ROW = 8,           /* bytes a line */
    VALUE_LENGTH = 96, /* of a value's text */
    NAME_WIDTH = 19,
};

enum kind {
    KIND_NUMBER,
    KIND_HEX,
    KIND_BITS, /* of a filter */
    KIND_TIME,
    KIND_BYTES,
    KIND_ZEROS, /* reserved: zeros, else shown */
    KIND_RECORD_FLAGS,
    KIND_POINTER, /* of the directory */
    KIND_HAND,
    KIND_CELL,
    KIND_SEGMENT, /* shard and depth */
    KIND_RUN,
    KIND_LIST,
    KIND_FREE,
    KIND_MOVED,
    KIND_WORD, /* of a version */
};

struct field {
    const char *name;
    uint32_t offset;
    uint32_t size; /* of one element */
    uint32_t count;
    enum kind kind;
};

#define ONE(type, member, kind)                                                                    \
    {                                                                                              \
#member, offsetof(struct type, member), sizeof(((struct type *)0)->member), 1, kind        \
    }
#define MANY(type, member, kind)                                                                   \
    {                                                                                              \
#member, offsetof(struct type, member), sizeof(((struct type *)0)->member[0]),             \
            sizeof(((struct type *)0)->member) / sizeof(((struct type *)0)->member[0]), kind       \
    }

static const struct field superblock_fields[] = {
    ONE(rv_disk_superblock, magic, KIND_BYTES),
    ONE(rv_disk_superblock, format_version, KIND_NUMBER),
    ONE(rv_disk_superblock, size, KIND_NUMBER),
    ONE(rv_disk_superblock, compatible, KIND_HEX),
    ONE(rv_disk_superblock, incompatible, KIND_HEX),
    ONE(rv_disk_superblock, writer_incompatible, KIND_HEX),
    ONE(rv_disk_superblock, uuid, KIND_BYTES),
    ONE(rv_disk_superblock, hash_seed, KIND_HEX),
    ONE(rv_disk_superblock, block_log2, KIND_NUMBER),
    ONE(rv_disk_superblock, slot_log2, KIND_NUMBER),
    ONE(rv_disk_superblock, shards, KIND_NUMBER),
    ONE(rv_disk_superblock, header_blocks, KIND_NUMBER),
    ONE(rv_disk_superblock, created_ns, KIND_TIME),
    ONE(rv_disk_superblock, reserved, KIND_ZEROS),
    ONE(rv_disk_superblock, checksum, KIND_HEX),
    ONE(rv_disk_superblock, reserved2, KIND_ZEROS),
};

static const struct field record_fields[] = {
    ONE(rv_disk_record, serial, KIND_NUMBER),      ONE(rv_disk_record, durable, KIND_NUMBER),
    ONE(rv_disk_record, blocks, KIND_NUMBER),      ONE(rv_disk_record, limit, KIND_NUMBER),
    ONE(rv_disk_record, flags, KIND_RECORD_FLAGS), ONE(rv_disk_record, time_ns, KIND_TIME),
    ONE(rv_disk_record, last_time, KIND_TIME),     ONE(rv_disk_record, reserved, KIND_ZEROS),
    ONE(rv_disk_record, checksum, KIND_HEX),
};

static const struct field live_fields[] = {
    ONE(rv_disk_live, boot_id, KIND_BYTES),
    ONE(rv_disk_live, mount, KIND_NUMBER),
    ONE(rv_disk_live, device, KIND_NUMBER),
    ONE(rv_disk_live, inode, KIND_NUMBER),
    ONE(rv_disk_live, holder, KIND_NUMBER),
    ONE(rv_disk_live, serial, KIND_NUMBER),
    ONE(rv_disk_live, epoch, KIND_NUMBER),
    ONE(rv_disk_live, durable, KIND_NUMBER),
    ONE(rv_disk_live, failed, KIND_NUMBER),
    ONE(rv_disk_live, limit, KIND_NUMBER),
    ONE(rv_disk_live, blocks, KIND_NUMBER),
    ONE(rv_disk_live, synced, KIND_NUMBER),
    ONE(rv_disk_live, reserved, KIND_ZEROS),
    MANY(rv_disk_live, free, KIND_NUMBER),
    ONE(rv_disk_live, undo.count, KIND_NUMBER),
    ONE(rv_disk_live, undo.publish_offset, KIND_NUMBER),
    ONE(rv_disk_live, undo.publish_value, KIND_HEX),
    ONE(rv_disk_live, undo.reserved, KIND_ZEROS),
    {"pair", offsetof(struct rv_disk_live, pair), 8, RV_UNDO_LIVE * 2, KIND_HEX},
    ONE(rv_disk_live, lock_abi, KIND_HEX),
    ONE(rv_disk_live, pid_space, KIND_NUMBER),
    ONE(rv_disk_live, reserved2, KIND_ZEROS),
    {"alloc_lock", offsetof(struct rv_disk_live, alloc_lock), 8, 8, KIND_HEX},
    {"checkpoint_lock", offsetof(struct rv_disk_live, checkpoint_lock), 8, 8, KIND_HEX},
    MANY(rv_disk_live, sharers, KIND_NUMBER),
    ONE(rv_disk_live, reserved3, KIND_ZEROS),
};

static const struct field shard_fields[] = {
    {"lock", offsetof(struct rv_disk_shard, lock), 8, 8, KIND_HEX},
    ONE(rv_disk_shard, structure, KIND_NUMBER),
    ONE(rv_disk_shard, changed, KIND_NUMBER),
    ONE(rv_disk_shard, last_time, KIND_TIME),
    ONE(rv_disk_shard, first, KIND_NUMBER),
    MANY(rv_disk_shard, hand, KIND_HAND),
    MANY(rv_disk_shard, partial, KIND_NUMBER),
    ONE(rv_disk_shard, limbo[0].epoch, KIND_NUMBER),
    ONE(rv_disk_shard, limbo[0].head, KIND_NUMBER),
    ONE(rv_disk_shard, limbo[1].epoch, KIND_NUMBER),
    ONE(rv_disk_shard, limbo[1].head, KIND_NUMBER),
    ONE(rv_disk_shard, limbo[2].epoch, KIND_NUMBER),
    ONE(rv_disk_shard, limbo[2].head, KIND_NUMBER),
    ONE(rv_disk_shard, reserved, KIND_ZEROS),
    ONE(rv_disk_shard, undo.count, KIND_NUMBER),
    ONE(rv_disk_shard, undo.publish_offset, KIND_NUMBER),
    ONE(rv_disk_shard, undo.publish_value, KIND_HEX),
    ONE(rv_disk_shard, undo.reserved, KIND_ZEROS),
    {"pair", offsetof(struct rv_disk_shard, pair), 8, RV_UNDO_SHARD * 2, KIND_HEX},
    ONE(rv_disk_shard, reserved2, KIND_ZEROS),
    MANY(rv_disk_shard, root, KIND_POINTER),
};

static const struct field block_fields[] = {
    {"cell", offsetof(struct rv_disk_block, cell), 8, 3, KIND_CELL},
    ONE(rv_disk_block, segment, KIND_SEGMENT),
    ONE(rv_disk_block, prefix, KIND_HEX),
    ONE(rv_disk_block, run, KIND_RUN),
    ONE(rv_disk_block, list, KIND_LIST),
    ONE(rv_disk_block, free, KIND_FREE),
};

static const struct field slot_fields[] = {
    ONE(rv_disk_slot, prev, KIND_NUMBER),       ONE(rv_disk_slot, link, KIND_NUMBER),
    ONE(rv_disk_slot, user_id, KIND_NUMBER),    ONE(rv_disk_slot, visit_id, KIND_NUMBER),
    ONE(rv_disk_slot, time_ns, KIND_TIME),      ONE(rv_disk_slot, seq, KIND_NUMBER),
    ONE(rv_disk_slot, url_length, KIND_NUMBER), ONE(rv_disk_slot, text_length, KIND_NUMBER),
    ONE(rv_disk_slot, overflow, KIND_NUMBER),   ONE(rv_disk_slot, checksum, KIND_HEX),
};

static const struct field overflow_fields[] = {
    ONE(rv_disk_overflow, reserved, KIND_ZEROS),  ONE(rv_disk_overflow, link, KIND_NUMBER),
    ONE(rv_disk_overflow, user_id, KIND_NUMBER),  ONE(rv_disk_overflow, visit_id, KIND_NUMBER),
    ONE(rv_disk_overflow, reserved2, KIND_ZEROS),
};

static const struct field segment_fields[] = {
    ONE(rv_disk_segment, reserved, KIND_ZEROS),  ONE(rv_disk_segment, link, KIND_NUMBER),
    ONE(rv_disk_segment, moved, KIND_MOVED),     ONE(rv_disk_segment, count, KIND_NUMBER),
    ONE(rv_disk_segment, changes, KIND_NUMBER),  ONE(rv_disk_segment, reserved2, KIND_ZEROS),
    ONE(rv_disk_segment, reserved3, KIND_ZEROS),
};

static const struct field entry_fields[] = {
    ONE(rv_disk_entry, user_id, KIND_NUMBER),
    ONE(rv_disk_entry, changes, KIND_NUMBER),
    ONE(rv_disk_entry, newest, KIND_NUMBER),
    ONE(rv_disk_entry, filter, KIND_BITS),
    ONE(rv_disk_entry, version[0].epoch, KIND_NUMBER),
    ONE(rv_disk_entry, version[0].word, KIND_WORD),
    ONE(rv_disk_entry, version[1].epoch, KIND_NUMBER),
    ONE(rv_disk_entry, version[1].word, KIND_WORD),
    ONE(rv_disk_entry, version[2].epoch, KIND_NUMBER),
    ONE(rv_disk_entry, version[2].word, KIND_WORD),
};

#define TABLE(fields)                                                                              \
    {                                                                                              \
        fields, sizeof fields / sizeof fields[0]                                                   \
    }
static const struct {
    const struct field *fields;
    size_t count;
} structures[] = {
    [STRUCTURE_SUPERBLOCK] = TABLE(superblock_fields),
    [STRUCTURE_RECORD] = TABLE(record_fields),
    [STRUCTURE_LIVE] = TABLE(live_fields),
    [STRUCTURE_SHARD] = TABLE(shard_fields),
    [STRUCTURE_BLOCK_HEADER] = TABLE(block_fields),
    [STRUCTURE_SLOT] = TABLE(slot_fields),
    [STRUCTURE_OVERFLOW] = TABLE(overflow_fields),
    [STRUCTURE_SEGMENT] = TABLE(segment_fields),
    [STRUCTURE_ENTRY] = TABLE(entry_fields),
};

/* ---- Values ---- */

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = {
        [RV_KIND_UNUSED] = "unused",   [RV_KIND_FREE] = "free",       [RV_KIND_SLOTS] = "slots",
        [RV_KIND_LARGE] = "large run", [RV_KIND_SEGMENT] = "segment", [RV_KIND_MAP] = "block map",
        [RV_KIND_HAND] = "hand",
    };
    return kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

static void format_word(char text[VALUE_LENGTH], uint64_t word)
{
    if (word == 0) {
        snprintf(text, VALUE_LENGTH, "no visits");
        return;
    }
    snprintf(text, VALUE_LENGTH,
             "%" PRIu32 " visits, newest in slot %" PRIu32 ", ring of 2^%" PRIu32 "%s%s%s",
             word_count(word), word_head(word), word_class(word),
             word & RV_WORD_EXPLICIT ? " EXPLICIT" : "", word & RV_WORD_OVERFLOW ? " OVERFLOW" : "",
             word & RV_WORD_RESERVED ? " and bits that are reserved" : "");
}

static void format_pointer(char text[VALUE_LENGTH], uint64_t value)
{
    uint64_t kind = value & RV_POINTER_KIND, number = value & ~RV_POINTER_KIND;
    if (kind == RV_POINTER_SEGMENT)
        snprintf(text, VALUE_LENGTH, "segment in block %" PRIu64, number);
    else if (kind == RV_POINTER_NODE)
        snprintf(text, VALUE_LENGTH, "node in slot %" PRIu64, number);
    else
        snprintf(text, VALUE_LENGTH, value == 0 ? "none" : "of an unknown kind");
}

static void format_run(char text[VALUE_LENGTH], uint64_t value)
{
    snprintf(text, VALUE_LENGTH, "%s, class %" PRIu32 ", shard %" PRIu32,
             kind_name(run_kind(value)), run_class(value), run_shard(value));
}

static void format_flags(char text[VALUE_LENGTH], uint64_t value)
{
    snprintf(text, VALUE_LENGTH, "0x%" PRIx64 "%s%s", value,
             value & RV_RECORD_CLEAN ? " CLEAN" : "", value & RV_RECORD_TRIMMED ? " TRIMMED" : "");
}

static void format_time(char text[VALUE_LENGTH], uint64_t value)
{
    char time[TIME_TEXT_LENGTH + 1];
    time_to_text((int64_t)value, time);
    snprintf(text, VALUE_LENGTH, "%s", time);
}

/* A number's meaning. */
static void format_value(char text[VALUE_LENGTH], enum kind kind, uint64_t value)
{
    switch (kind) {
    case KIND_TIME:
        format_time(text, value);
        return;
    case KIND_RECORD_FLAGS:
        format_flags(text, value);
        return;
    case KIND_POINTER:
        format_pointer(text, value);
        return;
    case KIND_RUN:
        format_run(text, value);
        return;
    case KIND_WORD:
        format_word(text, value);
        return;
    case KIND_HAND:
        snprintf(text, VALUE_LENGTH, value == 0 ? "empty" : "2^%" PRIu64 " blocks from %" PRIu64,
                 value & 0x7f, value >> 8);
        return;
    case KIND_CELL:
        snprintf(text, VALUE_LENGTH, value == 0 ? "none" : "epoch %" PRIu64 ": %s", value >> 8,
                 (value & 0xff) == RV_USE_SEGMENT ? "segment" : "no segment");
        return;
    case KIND_SEGMENT:
        snprintf(text, VALUE_LENGTH, "shard %" PRIu64 ", depth %" PRIu64, value >> 8, value & 0xff);
        return;
    case KIND_LIST:
        snprintf(text, VALUE_LENGTH, "next block %" PRIu64 ", previous %" PRIu64, value >> 32,
                 value & UINT32_MAX);
        return;
    case KIND_FREE:
        snprintf(text, VALUE_LENGTH,
                 "free from slot %" PRIu64 ", fresh from %" PRIu64 ", %" PRIu64 " in use",
                 value >> 32, value >> 16 & 0xffff, value & 0xffff);
        return;
    case KIND_MOVED:
        snprintf(text, VALUE_LENGTH,
                 value == 0                            ? "not replaced"
                 : value >> 32 == (value & UINT32_MAX) ? "renewed in block %" PRIu64
                                                       : "to blocks %" PRIu64 " and %" PRIu64,
                 value >> 32, value & UINT32_MAX);
        return;
    case KIND_HEX:
    case KIND_BITS:
        snprintf(text, VALUE_LENGTH, "0x%" PRIx64, value);
        return;
    default:
        snprintf(text, VALUE_LENGTH, "%" PRIu64, value);
    }
}

/* ---- Lines ---- */

static void out_hex(struct out *out, const uint8_t *bytes, size_t length, bool spaced)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        if (spaced && i > 0)
            out_char(out, ' ');
        out_char(out, digits[bytes[i] >> 4]);
        out_char(out, digits[bytes[i] & 15]);
    }
}

static void out_spaces(struct out *out, size_t count)
{
    while (count-- > 0)
        out_char(out, ' ');
}

/* "  0000064008  2a 00 00 00              user_id           42" */
static void out_row(struct out *out, uint64_t offset, const uint8_t *bytes, size_t length,
                    const char *name, const char *value)
{
    char text[16];
    snprintf(text, sizeof text, "  %010" PRIx64 "  ", offset);
    out_text(out, text);
    out_hex(out, bytes, length, true);
    if (*name != '\0' || *value != '\0') {
        size_t used = strlen(name);
        out_spaces(out, (size_t)(ROW - length) * 3 + 2 - (length == 0));
        out_text(out, name);
        out_spaces(out, *value == '\0' ? 0 : used < NAME_WIDTH ? NAME_WIDTH - used + 1 : 1);
        out_text(out, value);
    }
    out_char(out, '\n');
}

static void out_row_json(struct out *out, uint64_t offset, const uint8_t *bytes, size_t length,
                         const char *name, const char *value)
{
    out_text(out, "{\"offset\":");
    out_number(out, offset);
    out_text(out, ",\"bytes\":\"");
    out_hex(out, bytes, length, false);
    out_text(out, "\",");
    out_json_member(out, "field", name, strlen(name));
    out_char(out, ',');
    out_json_member(out, "value", value, strlen(value));
    out_text(out, "}\n");
}

/* What of a string can be shown as it is; the rest as dots. */
static void to_printable(char text[ROW + 1], const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        text[i] = (char)(bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '.');
    text[length] = '\0';
}

void fields_bytes(struct fields *fields, const char *name, uint64_t offset, const uint8_t *bytes,
                  size_t length)
{
    for (size_t at = 0; at < length; at += ROW) {
        size_t n = length - at < ROW ? length - at : ROW;
        char text[ROW + 1];
        to_printable(text, bytes + at, n);
        if (fields->json)
            out_row_json(fields->out, offset + at, bytes + at, n, name, text);
        else
            out_row(fields->out, offset + at, bytes + at, n, at == 0 ? name : "", text);
    }
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static void out_zeros(struct fields *fields, const char *name, uint64_t offset, size_t length)
{
    char value[VALUE_LENGTH];
    snprintf(value, sizeof value, "%zu zeros", length);
    if (fields->json)
        out_row_json(fields->out, offset, NULL, 0, name, value);
    else
        out_row(fields->out, offset, NULL, 0, name, value);
}

static void out_element(struct fields *fields, const struct field *field, const char *name,
                        uint64_t offset, const uint8_t *bytes)
{
    char value[VALUE_LENGTH];
    uint64_t number = 0;
    memcpy(&number, bytes, field->size <= sizeof number ? field->size : sizeof number);
    format_value(value, field->kind, number);
    if (fields->json)
        out_row_json(fields->out, offset, bytes, field->size, name, value);
    else
        out_row(fields->out, offset, bytes, field->size, name, value);
}

/* Runs of zeros in an array are one line. */
static void out_array(struct fields *fields, const struct field *field, uint64_t offset,
                      const uint8_t *bytes)
{
    char name[64];
    for (uint32_t i = 0; i < field->count;) {
        uint32_t zeros = 0;
        while (i + zeros < field->count && is_zero(bytes + (i + zeros) * field->size, field->size))
            zeros++;
        if (zeros > 1) {
            snprintf(name, sizeof name, "%s[%" PRIu32 "-%" PRIu32 "]", field->name, i,
                     i + zeros - 1);
            out_zeros(fields, name, offset + i * field->size, (size_t)zeros * field->size);
            i += zeros;
            continue;
        }
        snprintf(name, sizeof name, "%s[%" PRIu32 "]", field->name, i);
        out_element(fields, field, name, offset + i * field->size, bytes + i * field->size);
        i++;
    }
}

static void out_field(struct fields *fields, const struct field *field, uint64_t offset,
                      const uint8_t *bytes)
{
    if (field->count > 1)
        out_array(fields, field, offset, bytes);
    else if (field->kind == KIND_ZEROS && is_zero(bytes, field->size))
        out_zeros(fields, field->name, offset, field->size);
    else if (field->kind == KIND_ZEROS || field->kind == KIND_BYTES)
        fields_bytes(fields, field->name, offset, bytes, field->size);
    else
        out_element(fields, field, field->name, offset, bytes);
}

void fields_out(struct fields *fields, enum structure structure, uint64_t offset,
                const uint8_t *bytes)
{
    for (size_t i = 0; i < structures[structure].count; i++) {
        const struct field *field = &structures[structure].fields[i];
        out_field(fields, field, offset + field->offset, bytes + field->offset);
    }
}

void fields_pointer(struct fields *fields, const char *name, uint64_t offset, const uint8_t *bytes)
{
    const struct field field = {name, 0, 8, 1, KIND_POINTER};
    out_element(fields, &field, name, offset, bytes);
}

void fields_title(struct fields *fields, uint64_t offset, uint64_t length, const char *what, ...)
{
    char text[200];
    va_list list;
    va_start(list, what);
    vsnprintf(text, sizeof text, what, list);
    va_end(list);
    struct out *out = fields->out;
    if (fields->json) {
        out_text(out, "{\"offset\":");
        out_number(out, offset);
        out_text(out, ",\"length\":");
        out_number(out, length);
        out_char(out, ',');
        out_json_member(out, "structure", text, strlen(text));
        out_text(out, "}\n");
        return;
    }
    out_text(out, text);
    out_text(out, ", bytes ");
    out_number(out, offset);
    out_text(out, " to ");
    out_number(out, offset + length - 1);
    out_char(out, '\n');
}
