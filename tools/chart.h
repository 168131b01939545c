/* SPDX-License-Identifier: MIT */
/*
 * What lies where in a store's file: blocks by use, fill and age, some of them in one cell.
 */
#ifndef RVDUMP_CHART_H
#define RVDUMP_CHART_H

#include "image.h"

enum use {
    USE_KEEPING, /* header and block maps */
    USE_SLOTS,
    USE_INDEX,
    USE_LARGE,
    USE_HAND,
    USE_FREE,
    USES,
};

enum { CHART_CELLS_MOST = 2048 };

struct chart_cell {
    uint64_t blocks[USES];
    uint64_t counted; /* blocks whose fill is known: those of slots and of the index */
    double filled;    /* sum of their fill, 0 to 1 each */
    uint64_t users;   /* that have visits or their entry here, each once a block */
    double epochs;    /* sum of the epochs in which they last changed */
    uint64_t epoch;   /* the average; 0: no users */
};

struct chart {
    uint64_t blocks;
    uint64_t blocks_per_cell;
    uint64_t total[USES];
    uint64_t oldest; /* epoch of a cell; 0: none has one */
    uint64_t newest;
    size_t cells;
    struct chart_cell cell[CHART_CELLS_MOST];
};

/* Returns an exit code, after a message if it is not EXIT_OK. */
int chart_take(struct image *image, struct chart *ret_chart);

#endif
