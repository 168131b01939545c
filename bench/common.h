/* SPDX-License-Identifier: MIT */
/* What all benchmarks share: clocks, memory, statistics, a folder for files. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Prints a message and ends the process with status 1. */
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** calloc() that ends the process if there is no memory. */
void *bench_alloc(size_t count, size_t size);

/** Memory that children share, zeroed. */
void *bench_alloc_shared(size_t size);
void bench_free_shared(void *memory, size_t size);

/** CLOCK_MONOTONIC, and the calling thread's processor time, in nanoseconds. */
int64_t bench_now_ns(void);
int64_t bench_thread_now_ns(void);

/** Median, least and largest of some repetitions. */
struct bench_spread {
    double median, min, max;
};
struct bench_spread bench_spread_of(const double *values, size_t count);

/** The value that a share (0 to 1) of the values does not exceed; sorts the values. */
double bench_quantile(double *values, size_t count, double share);

/**
 * Makes a fresh folder below parent (NULL: the current folder) for the files of a benchmark.
 *
 * The calling process goes on in a child, which leads a process group; the parent waits for it and
 * then removes the folder, however the child ended. SIGINT, SIGTERM, SIGHUP and SIGQUIT kill the
 * group.
 */
const char *bench_folder_make(const char *parent);

/** A fresh, empty folder in that folder; static. One with the same name is emptied. */
const char *bench_folder_fresh(const char *name);

/** Removes a folder with all that is in it. */
void bench_folder_remove(const char *folder);

/** The sizes of all files of a folder, and what they take on the disk. */
void bench_folder_bytes(const char *folder, uint64_t *ret_bytes, uint64_t *ret_allocated);

/** Calls function for each file of a folder. */
void bench_folder_each(const char *folder, void (*function)(const char *path, void *argument),
                       void *argument);

/** Runs body in a child of that name. The child's changes of the argument come back. */
void bench_in_child(const char *name, void (*body)(void *argument), void *argument, size_t size);

/** A path from a folder and a name; dies if it is too long. */
void bench_path(char *ret_path, size_t size, const char *folder, const char *name);

#endif
