/* SPDX-License-Identifier: MIT */
/*
 * rvdump's large buffers stay from one execution to the next: AddressSanitizer maps and clears such
 * memory anew each time, which took more time than the import. What is freed can't be touched, as
 * always, and what is not freed at the end is found.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(p, size) ((void)(p), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(p, size) ((void)(p), (void)(size))
#endif

#define LARGE (100u << 10)

static struct {
    void *p;
    size_t size;
    bool used;
} kept[4];

/* By macros on the compiler's command line these are rvdump's malloc(), realloc() and free(). */
void *fuzz_tool_malloc(size_t size);
void *fuzz_tool_realloc(void *p, size_t size);
void fuzz_tool_free(void *p);

static unsigned seat_of(const void *p)
{
    unsigned i = 0;
    while (i < sizeof kept / sizeof kept[0] && kept[i].p != p) {
        i++;
    }
    return i;
}

void *fuzz_tool_malloc(size_t size)
{
    const unsigned seats = sizeof kept / sizeof kept[0];
    for (unsigned i = 0; size >= LARGE && i < seats; i++) {
        if (!kept[i].p) {
            kept[i].p = malloc(size);
            kept[i].size = size;
        }
        if (kept[i].size == size && !kept[i].used) {
            ASAN_UNPOISON_MEMORY_REGION(kept[i].p, size);
            kept[i].used = kept[i].p != NULL;
            return kept[i].p;
        }
    }
    return malloc(size);
}

void fuzz_tool_free(void *p)
{
    unsigned seat = p ? seat_of(p) : sizeof kept / sizeof kept[0];
    if (seat == sizeof kept / sizeof kept[0]) {
        free(p);
        return;
    }
    if (!kept[seat].used) {
        fuzz_fail("a buffer is freed twice");
    }
    kept[seat].used = false;
    ASAN_POISON_MEMORY_REGION(p, kept[seat].size);
}

void *fuzz_tool_realloc(void *p, size_t size)
{
    unsigned seat = p ? seat_of(p) : sizeof kept / sizeof kept[0];
    if (seat == sizeof kept / sizeof kept[0]) {
        return realloc(p, size);
    }
    void *other = malloc(size);
    if (other) {
        memcpy(other, p, size < kept[seat].size ? size : kept[seat].size);
        fuzz_tool_free(p);
    }
    return other;
}

void fuzz_tool_check(void)
{
    for (unsigned i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        if (kept[i].used) {
            fuzz_fail("%zu bytes are not freed", kept[i].size);
        }
    }
}
