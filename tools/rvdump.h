/* SPDX-License-Identifier: MIT */
/*
 * What the files of rvdump share: exit codes, arguments, commands.
 */
#ifndef RVDUMP_H
#define RVDUMP_H

#include "picture.h"

#include <stdbool.h>
#include <stdint.h>

/* The exit codes; rvdump.1.scd lists them. Numbers are never reused. */
enum {
    EXIT_OK = 0,
    EXIT_OTHER = 1,       /* out of memory, unsupported system, cancelled */
    EXIT_DIFFERENT = 1,   /* diff: the stores differ, as diff(1) has it */
    EXIT_USAGE = 2,       /* wrong arguments */
    EXIT_NO_USER = 3,     /* the user has no visits */
    EXIT_DAMAGED = 4,     /* the store is damaged */
    EXIT_BUSY = 5,        /* another process has the store */
    EXIT_IO = 6,          /* a read or write failed, or the disk is full */
    EXIT_CANNOT_OPEN = 7, /* missing, already there, or not permitted */
    EXIT_NOT_A_STORE = 8, /* something else, or a store of a newer version */
    EXIT_BAD_INPUT = 9,   /* import: a bad line with --strict, or no CSV header */
    EXIT_NO_LOSS = 10,    /* verify: damage that costs no visits */
};

/* What export and map write and import reads. */
enum format {
    FORMAT_NONE,
    FORMAT_JSONL,
    FORMAT_CSV,
    FORMAT_CLF,
    FORMAT_SVG, /* this and those below: map */
    FORMAT_PNG,
    FORMAT_HTML,
};

/* What top orders by. */
enum by {
    BY_VISITS,
    BY_BYTES,
    BY_RECENCY,
};

/* The arguments of every command; which of them a command takes stands in main.c's table. */
struct args {
    const char *store;
    const char *operand; /* USER, FILE, DEST, BLOCK or the second store; NULL if absent */
    bool json;
    bool strict;
    bool yes;
    bool has_slot;
    bool has_offset;
    enum format format;
    enum by by;
    uint32_t top;   /* 0: all */
    uint32_t count; /* 0: as the command has it */
    uint32_t max_visits;
    uint32_t slot_size; /* 0: as the store has it */
    uint32_t slot;
    const char *output; /* NULL: standard output */
    enum theme theme;
    double interval; /* seconds; 0: as the command has it */
    uint64_t offset;
    uint32_t first_visit_id;
};

/* Each command returns an exit code and has told on stderr what went wrong. */
int command_info(const struct args *args);
int command_users(const struct args *args);
int command_show(const struct args *args);
int command_import(const struct args *args);
int command_export(const struct args *args);
int command_verify(const struct args *args);
int command_backup(const struct args *args);
int command_stats(const struct args *args);
int command_top(const struct args *args);
int command_erase(const struct args *args);
int command_diff(const struct args *args);
int command_salvage(const struct args *args);
int command_watch(const struct args *args);
int command_map(const struct args *args);
int command_page(const struct args *args);

/* Decimal digits only, no sign, at most maximum. */
bool parse_number(const char *text, uint32_t maximum, uint32_t *ret_number);

#endif
