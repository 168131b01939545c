/* SPDX-License-Identifier: MIT */
/*
 * Reads a file in lines, in place in one buffer; a record of several lines lies there as one piece.
 */
#ifndef RVDUMP_LINES_H
#define RVDUMP_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* Room for the longest visit with every byte escaped as six. A longer line is a bad line. */
    LINE_MAX_BYTES = 8 << 20,
};

enum lines_result {
    LINES_END,
    LINES_LINE,
    LINES_TOO_LONG,
    LINES_ERROR,       /* errno is set */
    LINES_INTERRUPTED, /* by a signal, see interrupt.h */
};

struct lines {
    int fd;
    bool at_end; /* read(2) has returned 0 */
    char *data;  /* bytes [start, filled) are there */
    size_t capacity;
    size_t start; /* the present record */
    size_t next;  /* behind its newline */
    size_t filled;
    uint64_t number; /* of the record's last line, from 1 */
    uint64_t read;   /* bytes of the file */
};

/* False if memory is short. */
bool lines_open(struct lines *lines, int fd);
void lines_close(struct lines *lines);

/* Reads the first bytes, and steps over a byte order mark: before the first line. */
enum lines_result lines_begin(struct lines *lines);

/* The next line without its newline; valid until the next call. One that is too long is skipped
 * to its end. */
enum lines_result lines_next(struct lines *lines, const char **ret_line, size_t *ret_length);

/* Adds the next line to the record, which may move. LINES_END and LINES_TOO_LONG leave it as it
 * is. */
enum lines_result lines_extend(struct lines *lines, const char **ret_line, size_t *ret_length);

/* Gives back all but the record's first line, which is first_length bytes long: it is read
 * again. */
void lines_give_back(struct lines *lines, size_t first_length, uint64_t first_number);

#endif
