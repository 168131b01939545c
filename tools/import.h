/* SPDX-License-Identifier: MIT */
/*
 * What the formats of import have in common.
 */
#ifndef RVDUMP_IMPORT_H
#define RVDUMP_IMPORT_H

#include "batch.h"
#include "lines.h"
#include "rvdump.h"

/* A parser of one format. Its strings live until its next call. */
struct parser {
    /* Makes the parser's state; NULL if memory is short. */
    void *(*open)(const struct args *args);
    void (*close)(void *state);
    /* Takes what stands before the first record; NULL, or what is wrong. The function itself may
     * be NULL. */
    const char *(*begin)(void *state, struct lines *lines);
    /* Takes one record that begins with this line. NULL, or what is wrong with it. */
    const char *(*parse)(void *state, struct lines *lines, const char *line, size_t length,
                         struct record *ret_record);
    /* A record may have several lines: NUL bytes are looked for in all of them. */
    bool in_records;
    /* The lines are in the order in which visits were made; else in groups, see group.h. */
    bool in_time_order;
};

extern const struct parser parser_jsonl;
extern const struct parser parser_csv;
extern const struct parser parser_clf;

#endif
