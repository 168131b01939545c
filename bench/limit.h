/* SPDX-License-Identifier: MIT */
/* A limit on the memory, page cache included, of a process: a control group, version 1 or 2. */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/** Makes a group for children of the calling process; false if the system does not let us. */
bool bench_limit_make(uint64_t bytes);

/** Puts the calling process into its parent's group. */
bool bench_limit_enter(void);

/** Removes the group of a process, whose children have ended; nothing if there is none. */
void bench_limit_remove(pid_t maker);

#endif
