/* SPDX-License-Identifier: MIT */
/*
 * Histograms: how many values lie in which range.
 */
#ifndef RVDUMP_HISTOGRAM_H
#define RVDUMP_HISTOGRAM_H

#include "output.h"

enum { HISTOGRAM_MOST = 40 };

struct range {
    uint64_t from;
    uint64_t to; /* included */
    char label[28];
    uint64_t count;
};

struct histogram {
    const char *title;
    const char *member; /* its name in JSON, unit last */
    size_t ranges;
    struct range range[HISTOGRAM_MOST];
};

/* 0, 1, 2 to 3, 4 to 7, and so on. */
void histogram_by_powers(struct histogram *histogram, const char *title, const char *member);

/* Each number from 1 to most, which is at most HISTOGRAM_MOST. */
void histogram_by_ones(struct histogram *histogram, const char *title, const char *member,
                       uint64_t most);

/* 0 to 10 %, above that to 20 %, and so on. */
void histogram_by_tenths(struct histogram *histogram, const char *title, const char *member);

/* A range more, above the others. */
void histogram_range(struct histogram *histogram, uint64_t to, const char *label);

void histogram_count(struct histogram *histogram, uint64_t value);
/* A share of a whole in percent, rounded up. */
void histogram_count_share(struct histogram *histogram, uint64_t part, uint64_t whole);

/* Writes it with bars, or as JSON, a range a line; without the empty ranges at both ends. False
 * after a message. */
bool histogram_out(struct out *out, const struct histogram *histogram, bool json);

#endif
