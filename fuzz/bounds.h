/* SPDX-License-Identifier: MIT */
/* What the library calls instead of the system's, by macros on the compiler's command line. */
#ifndef FUZZ_BOUNDS_H
#define FUZZ_BOUNDS_H

#include <stddef.h>
#include <time.h>

void *fuzz_malloc(size_t bytes);
void *fuzz_calloc(size_t count, size_t bytes);
void *fuzz_realloc(void *old, size_t bytes);
int fuzz_clock_gettime(clockid_t clock, struct timespec *time);
int fuzz_getpid(void);

#endif
