/* SPDX-License-Identifier: MIT */
/*
 * What the files of rvdump share: exit codes, arguments, commands.
 */
#ifndef RVDUMP_H
#define RVDUMP_H

#include <stdbool.h>
#include <stdint.h>

/* The exit codes; rvdump.1.scd lists them. Numbers are never reused. */
enum {
    EXIT_OK = 0,
    EXIT_OTHER = 1,       /* out of memory, unsupported system, cancelled */
    EXIT_USAGE = 2,       /* wrong arguments */
    EXIT_NO_USER = 3,     /* the user has no visits */
    EXIT_DAMAGED = 4,     /* the store is damaged */
    EXIT_BUSY = 5,        /* another process has the store */
    EXIT_IO = 6,          /* a read or write failed, or the disk is full */
    EXIT_CANNOT_OPEN = 7, /* missing, already there, or not permitted */
    EXIT_NOT_A_STORE = 8, /* something else, or a store of a newer version */
    EXIT_BAD_INPUT = 9,   /* import: a bad line with --strict, or no CSV header */
};

/* What export writes and import reads. */
enum format {
    FORMAT_NONE,
    FORMAT_JSONL,
    FORMAT_CSV,
    FORMAT_CLF,
};

/* The arguments of every command; which of them a command takes stands in main.c's table. */
struct args {
    const char *store;
    const char *operand; /* USER, FILE or DEST; NULL if absent */
    bool json;
    bool strict;
    enum format format;
    uint32_t top; /* 0: all */
    uint32_t max_visits;
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

/* Decimal digits only, no sign, at most maximum. */
bool parse_number(const char *text, uint32_t maximum, uint32_t *ret_number);

#endif
