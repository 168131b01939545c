/* SPDX-License-Identifier: MIT */
/*
 * The table of commands: names, options, help.
 */
#ifndef RVDUMP_COMMANDS_H
#define RVDUMP_COMMANDS_H

#include "rvdump.h"

#include <getopt.h>
#include <stddef.h>

/* The options, as bits: those that a command takes, those that were given. */
enum {
    OPT_HELP = 1 << 0,
    OPT_VERSION = 1 << 1,
    OPT_JSON = 1 << 2,
    OPT_TOP = 1 << 3,
    OPT_FORMAT = 1 << 4,
    OPT_MAX_VISITS = 1 << 5,
    OPT_FIRST_VISIT_ID = 1 << 6,
    OPT_STRICT = 1 << 7,
    OPT_BY = 1 << 8,
    OPT_COUNT = 1 << 9,
    OPT_YES = 1 << 10,
    OPT_SLOT_SIZE = 1 << 11,
    OPT_SLOT = 1 << 12,
    OPT_OFFSET = 1 << 13,
    OPT_INTERVAL = 1 << 14,
    OPT_OUTPUT = 1 << 15,
    OPT_THEME = 1 << 16,
};

struct command {
    const char *name;
    int (*run)(const struct args *args);
    int options;
    int least_operands; /* STORE included */
    int most_operands;
    bool ends_in_order;  /* it looks for signals, see interrupt.h */
    const char *formats; /* that --format may name, with spaces between; NULL: none */
    const char *synopsis;
    const char *help;
};

/* For getopt_long(3); the values are the bits. */
extern const struct option long_options[];

extern const struct command commands[];
extern const size_t command_count;

#endif
