/* SPDX-License-Identifier: MIT */
/*
 * Tables for people, with headings and aligned columns; colours on a terminal.
 */
#ifndef RVDUMP_TABLE_H
#define RVDUMP_TABLE_H

#include "output.h"

enum column_kind {
    COLUMN_LEFT,
    COLUMN_RIGHT,
};

struct column {
    const char *name;
    enum column_kind kind;
};

enum { TABLE_COLUMNS_MOST = 8 };

struct table;

/* NULL if memory is short; the other functions take that. */
struct table *table_new(const struct column *columns, size_t count);
void table_free(struct table *table);

/* Adds a row of as many cells as there are columns, which are copied. No cell has characters that
 * a terminal obeys. */
void table_row(struct table *table, const char *const *cells);

/* Has the last row stand out. */
void table_emphasize(struct table *table);

/* Writes the table; frees it. False, after a message, if memory was short. */
bool table_out(struct out *out, struct table *table);

/* A number in a cell; the text is valid until the caller's block ends. */
struct cell {
    char text[24];
};
const char *cell_number(struct cell *cell, uint64_t number);
/* 12.3 % */
const char *cell_share(struct cell *cell, uint64_t part, uint64_t whole);

enum { BAR_CELLS = 30, BAR_BYTES = BAR_CELLS * 3 + 1 };
/* A bar for value, whose full length stands for most. */
const char *cell_bar(char bar[BAR_BYTES], uint64_t value, uint64_t most);

#endif
