/* SPDX-License-Identifier: MIT */
/*
 * Bounds without a clock. The library is compiled so that each basic block calls
 * __sanitizer_cov_trace_pc() (the linker leads that here, since libFuzzer has one of its own), and
 * so that its allocations come here.
 */
#include "fuzz.h"

#include "bounds.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t work;
static uint64_t most_work = UINT64_MAX;
static size_t most_bytes = SIZE_MAX;
static time_t now;

/* Freed memory is kept from use for a while, but not so much of it that all memory is new. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=4:malloc_context_size=8";
}

void __wrap___sanitizer_cov_trace_pc(void);
void __wrap___sanitizer_cov_trace_pc(void)
{
    if (++work > most_work) {
        most_work = UINT64_MAX;
        fuzz_fail("more work than a file of this size can ask for");
    }
}

void fuzz_bound(uint64_t blocks, size_t bytes)
{
    work = 0;
    most_work = blocks;
    most_bytes = bytes;
    now = 1700000000;
}

uint64_t fuzz_work(void)
{
    return work;
}

static void check(size_t bytes)
{
    if (bytes > most_bytes) {
        fuzz_fail("%zu bytes of memory are asked for, in no proportion to the file", bytes);
    }
}

void *fuzz_malloc(size_t bytes)
{
    check(bytes);
    return malloc(bytes);
}

void *fuzz_calloc(size_t count, size_t bytes)
{
    check(count * bytes);
    return calloc(count, bytes);
}

void *fuzz_realloc(void *old, size_t bytes)
{
    check(bytes);
    return realloc(old, bytes);
}

/* A second further each time: what a run makes of an input is the same whenever it is run. But what
 * is waited for is waited for by the system's clock. */
int fuzz_clock_gettime(clockid_t clock, struct timespec *time)
{
    if (clock != CLOCK_REALTIME) {
        return clock_gettime(clock, time);
    }
    *time = (struct timespec){.tv_sec = now++};
    return 0;
}

int fuzz_getpid(void)
{
    return 4242;
}

void fuzz_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("fuzz: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\n", stderr);
    va_end(arguments);
    abort();
}

uint64_t fuzz_next(struct fuzz_random *random)
{
    uint64_t x = random->state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

uint64_t fuzz_below(struct fuzz_random *random, uint64_t n)
{
    return n ? fuzz_next(random) % n : 0;
}

bool fuzz_once_in(struct fuzz_random *random, uint64_t n)
{
    return fuzz_below(random, n) == 0;
}
