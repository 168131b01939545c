/* SPDX-License-Identifier: MIT */
/*
 * How far long work is: a line on stderr, a few times a second, if that is a terminal.
 *
 *   copying users  45 % [##########............]  12345 of 27400, 8123/s, 0:02 left
 */
#ifndef RVDUMP_PROGRESS_H
#define RVDUMP_PROGRESS_H

#include <stdint.h>

/* what: names the work and what is counted. total 0: unknown. Another what begins the count of time
 * anew. */
void progress_show(const char *what, uint64_t done, uint64_t total);

/* The same for bytes, which are shown in units. */
void progress_show_bytes(const char *what, uint64_t done, uint64_t total);

void progress_clear(void);

#endif
