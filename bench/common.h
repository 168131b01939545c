/* SPDX-License-Identifier: MIT */
/* What all benchmarks share: clock, folder for files, statistics, a description of the machine. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Prints a message and ends the process with status 1. */
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** calloc() that ends the process if there is no memory. */
void *bench_alloc(size_t count, size_t size);

/** CLOCK_MONOTONIC in nanoseconds. */
int64_t bench_now_ns(void);

/** Median, least and largest of some repetitions. */
struct bench_spread {
    double median, min, max;
};
struct bench_spread bench_spread_of(const double *values, size_t count);

/** The value that a share (0 to 1) of the values does not exceed; sorts the values. */
double bench_quantile(double *values, size_t count, double share);

/**
 * Makes a fresh folder below parent (NULL: the current folder) for the files of a benchmark.
 * It is removed with its known files at exit, also on SIGINT and SIGTERM.
 */
const char *bench_folder_make(const char *parent);

/** A path in that folder; removed with it. At most BENCH_FILES_MAX different names. */
enum { BENCH_FILES_MAX = 8 };
const char *bench_folder_file(const char *name);

/** Removes the folder and its files. */
void bench_folder_remove(void);

/** The kind of file system that path is on, such as "ext4"; static. */
const char *bench_file_system(const char *path);

/** Prints the machine and its settings: as lines for people, or as members of a JSON object. */
void bench_print_machine(FILE *out, bool json, const char *folder);

/** Opens the JSON output file. */
FILE *bench_json_open(const char *path);

/** Parses a number with an optional suffix k, M or G (powers of 1,000); dies on anything else. */
uint64_t bench_parse_number(const char *text, const char *option);

#endif
