/* SPDX-License-Identifier: MIT */
/*
 * System calls and allocations that fail. The linker leads the calls of a program and of the
 * library that is linked into it here (--wrap, see meson.build). One call of one kind fails, or all
 * from that one on.
 */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

enum fault {
    FAULT_NONE,
    FAULT_OPEN,
    FAULT_TMPFILE, /* open with O_TMPFILE */
    FAULT_CLOSE,
    FAULT_READ,
    FAULT_FSTAT,
    FAULT_LSTAT,
    FAULT_STATX,
    FAULT_ACCESS,
    FAULT_RLIMIT,
    FAULT_FALLOCATE,
    FAULT_PWRITE,
    FAULT_FTRUNCATE,
    FAULT_FDATASYNC,
    FAULT_MSYNC,
    FAULT_FSYNC,
    FAULT_MMAP,      /* of a file */
    FAULT_ANONYMOUS, /* mmap without a file */
    FAULT_MADVISE,
    FAULT_MLOCK,
    FAULT_MUNMAP,
    FAULT_LINKAT,
    FAULT_UNLINK,
    FAULT_REALPATH,
    FAULT_FCNTL,
    FAULT_RANDOM,
    FAULT_MEMORY, /* malloc, calloc, realloc, posix_memalign, strdup, strndup, realpath */
    FAULT_THREAD, /* pthread_create */
    FAULT_ATFORK, /* pthread_atfork; the last */
    FAULTS,
};

extern const char *const fault_name[FAULTS];

/* Instead of an error: pwrite writes half. */
#define FAULT_SHORT (-1)

/* The call with that number, from 1, is to fail; `on`: and all after it. Paused at first. */
void fault_arm(enum fault kind, int number, bool on, int error);

/* All calls of another kind fail besides, until fault_disarm(): what follows upon the failure. */
void fault_also(enum fault kind, int error);

/* Calls count, and fail, only between these two. */
void fault_resume(void);
void fault_pause(void);

/* Ends it; returns how many calls have failed. */
int fault_disarm(void);

/* Calls of a kind since fault_arm(), those that failed included. */
int fault_calls(enum fault kind);

/* What is in use now: allocations, descriptors, mappings. */
struct fault_use {
    long memory;
    long descriptors;
    long mappings;
};
struct fault_use fault_in_use(void);

/* Places in the code that called something of a kind, as far as they have been met; and how many of
 * them have met a failure. */
int fault_places(enum fault kind, int *ret_failed);

/* As if on a file system without O_TMPFILE. */
extern bool fault_no_tmpfile;

/* Added to CLOCK_REALTIME. */
extern int64_t fault_clock_offset_ns;

#endif
