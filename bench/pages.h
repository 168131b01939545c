/* SPDX-License-Identifier: MIT */
/* Which pages of a folder's files have changed. */
#ifndef BENCH_PAGES_H
#define BENCH_PAGES_H

#include <stddef.h>
#include <stdint.h>

enum { BENCH_PAGE = 4096 };

/** A hash of each page of all files; holes have none. */
struct bench_pages {
    uint64_t *hashes;
    size_t count, room;
};

/** Reads all files. Frees what was there before. */
void bench_pages_take(struct bench_pages *pages, const char *folder);

/** How many pages differ. */
uint64_t bench_pages_changed(const struct bench_pages *before, const struct bench_pages *after);

void bench_pages_free(struct bench_pages *pages);

#endif
