/* SPDX-License-Identifier: MIT */
/*
 * The structures of the file, field by field, for people: offset, bytes, name, value.
 */
#ifndef RVDUMP_FIELDS_H
#define RVDUMP_FIELDS_H

#include "output.h"

#include <stddef.h>
#include <stdint.h>

enum structure {
    STRUCTURE_SUPERBLOCK,
    STRUCTURE_RECORD,
    STRUCTURE_LIVE,
    STRUCTURE_SHARD,
    STRUCTURE_BLOCK_HEADER,
    STRUCTURE_SLOT,
    STRUCTURE_OVERFLOW,
    STRUCTURE_SEGMENT,
    STRUCTURE_ENTRY,
};

struct fields {
    struct out *out;
    bool json;
};

/* The line above a structure: what it is, and where. */
void fields_title(struct fields *fields, uint64_t offset, uint64_t length, const char *what, ...)
    __attribute__((format(printf, 4, 5)));

/* Each field of the structure that these bytes are; offset is theirs in the file. */
void fields_out(struct fields *fields, enum structure structure, uint64_t offset,
                const uint8_t *bytes);

/* Bytes that a name stands for as a whole, such as a string. */
void fields_bytes(struct fields *fields, const char *name, uint64_t offset, const uint8_t *bytes,
                  size_t length);

/* A pointer of the directory. */
void fields_pointer(struct fields *fields, const char *name, uint64_t offset, const uint8_t *bytes);

#endif
