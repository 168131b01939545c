/* SPDX-License-Identifier: MIT */
/* What the system counts, and what it can be told to forget. */
#ifndef BENCH_COUNTERS_H
#define BENCH_COUNTERS_H

#include <stdint.h>

struct bench_counters {
    uint64_t major_faults, minor_faults; /* of this process */
    uint64_t read_bytes, written_bytes;  /* that this process caused to be read, made dirty */
    uint64_t device_read_bytes, device_written_bytes; /* of the folder's device, by anybody */
    uint64_t device_flushes;                          /* if the device counts them */
};

/** device: an open descriptor of bench_counters_device(), or -1. */
void bench_counters_take(int device, struct bench_counters *ret_counters);

/** What was counted from before to after. */
struct bench_counters bench_counters_between(const struct bench_counters *before,
                                             const struct bench_counters *after);

/** A descriptor of the statistics of the block device that a folder is on, or -1. */
int bench_counters_device(const char *folder);

/** Writes a folder's files to disk and has the page cache forget them, unless they are mapped. */
void bench_drop_caches(const char *folder);

/** Writes a folder's files to disk and reads them all, so that the page cache has them. */
void bench_load_caches(const char *folder);

/** Reads all files of a folder once, in order, from the disk; the rate in bytes a second. */
double bench_disk_rate(const char *folder);

#endif
