/* SPDX-License-Identifier: MIT */
/*
 * Words of the mapped file. Every store to the file's mapping goes through this header, every load
 * of what another thread may be writing too: an aligned 8-byte word is what a power cut and a
 * concurrent reader see whole.
 *
 * With RV_SIMULATE each store is handed to a simulated disk, which may end the world before it.
 */
#ifndef RV_WORD_H
#define RV_WORD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef RV_SIMULATE
void rv_sim_store(void *address, uint64_t value, unsigned bytes);
#endif

static inline uint64_t rv_load(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline uint64_t rv_load_acquire(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline uint32_t rv_load32(const uint32_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline uint8_t rv_load8(const uint8_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void rv_store(uint64_t *p, uint64_t value)
{
#ifdef RV_SIMULATE
    rv_sim_store(p, value, 8);
#else
    __atomic_store_n(p, value, __ATOMIC_RELAXED);
#endif
}

/* Everything stored before is there before this is. */
static inline void rv_store_release(uint64_t *p, uint64_t value)
{
#ifdef RV_SIMULATE
    rv_sim_store(p, value, 8);
#else
    __atomic_store_n(p, value, __ATOMIC_RELEASE);
#endif
}

static inline void rv_store32(uint32_t *p, uint32_t value)
{
#ifdef RV_SIMULATE
    rv_sim_store(p, value, 4);
#else
    __atomic_store_n(p, value, __ATOMIC_RELAXED);
#endif
}

/* ThreadSanitizer knows no fences; it does not need them either, since all accesses are atomic. */
static inline void rv_fence_release(void)
{
#ifndef __SANITIZE_THREAD__
    __atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

static inline void rv_fence_acquire(void)
{
#ifndef __SANITIZE_THREAD__
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

/* Starts loading a line that will be written and that nobody reads meanwhile: beside readers it
 * would cost trips. Compilers leave PREFETCHW out, which the first x86-64 processors of one maker
 * pass over. */
static inline void rv_prefetch_write(const void *p)
{
#ifdef __x86_64__
    __asm__ volatile("prefetchw %0" : : "m"(*(const uint8_t *)p));
#else
    __builtin_prefetch(p, 1);
#endif
}

/* Makes words zero; those that are already are not written. */
static inline void rv_zero(uint64_t *words, size_t count)
{
#pragma GCC unroll 8
    for (size_t i = 0; i < count; i++) {
        if (rv_load(&words[i])) {
            rv_store(&words[i], 0);
        }
    }
}

/* Ordinary memory to the mapping. */
static inline void rv_copy_in(void *to, const void *from, size_t words)
{
    uint64_t *p = to;
    const uint8_t *q = from;
#pragma GCC unroll 8
    for (size_t i = 0; i < words; i++) {
        uint64_t value;
        memcpy(&value, q + i * 8, 8);
        rv_store(p + i, value);
    }
}

/* The mapping to ordinary memory. */
static inline void rv_copy_out(void *to, const void *from, size_t words)
{
    uint8_t *p = to;
    const uint64_t *q = from;
#pragma GCC unroll 8
    for (size_t i = 0; i < words; i++) {
        uint64_t value = rv_load(q + i);
        memcpy(p + i * 8, &value, 8);
    }
}

static inline size_t rv_words(size_t bytes)
{
    return (bytes + 7) / 8;
}

#endif
