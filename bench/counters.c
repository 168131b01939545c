/* SPDX-License-Identifier: MIT */
#include "counters.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common.h"

enum { SECTOR_BYTES = 512 };

/* Opened once: a reading costs one system call. */
static int io_file(void)
{
    static int fd = -2;
    static pid_t owner;
    if (fd == -2 || owner != getpid()) {
        fd = open("/proc/self/io", O_RDONLY | O_CLOEXEC);
        owner = getpid();
    }
    return fd;
}

static uint64_t value_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static bool read_text(int fd, char *ret_text, size_t size)
{
    ssize_t n = fd >= 0 ? pread(fd, ret_text, size - 1, 0) : -1;
    if (n < 0)
        return false;
    ret_text[n] = '\0';
    return true;
}

static void take_device(int device, struct bench_counters *counters)
{
    char text[512];
    uint64_t read_sectors = 0, written_sectors = 0;
    /* Requests, merged, sectors, time; read, then written; later, of newer systems, flushes. */
    if (read_text(device, text, sizeof(text)) &&
        sscanf(text, "%*u %*u %" SCNu64 " %*u %*u %*u %" SCNu64, &read_sectors, &written_sectors) ==
            2) {
        counters->device_read_bytes = read_sectors * SECTOR_BYTES;
        counters->device_written_bytes = written_sectors * SECTOR_BYTES;
        sscanf(text, "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %" SCNu64,
               &counters->device_flushes);
    }
}

void bench_counters_take(int device, struct bench_counters *ret_counters)
{
    *ret_counters = (struct bench_counters){0};
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    ret_counters->major_faults = (uint64_t)usage.ru_majflt;
    ret_counters->minor_faults = (uint64_t)usage.ru_minflt;
    char text[512];
    if (read_text(io_file(), text, sizeof(text))) {
        ret_counters->read_bytes = value_after(text, "\nread_bytes: ");
        ret_counters->written_bytes = value_after(text, "\nwrite_bytes: ");
    }
    take_device(device, ret_counters);
}

struct bench_counters bench_counters_between(const struct bench_counters *before,
                                             const struct bench_counters *after)
{
    return (struct bench_counters){
        .major_faults = after->major_faults - before->major_faults,
        .minor_faults = after->minor_faults - before->minor_faults,
        .read_bytes = after->read_bytes - before->read_bytes,
        .written_bytes = after->written_bytes - before->written_bytes,
        .device_read_bytes = after->device_read_bytes - before->device_read_bytes,
        .device_written_bytes = after->device_written_bytes - before->device_written_bytes,
        .device_flushes = after->device_flushes - before->device_flushes,
    };
}

int bench_counters_device(const char *folder)
{
    struct stat status;
    char path[96];
    if (stat(folder, &status) != 0)
        return -1;
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(status.st_dev),
             minor(status.st_dev));
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void sync_file(const char *path, void *argument)
{
    (void)argument;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static void drop_file(const char *path, void *argument)
{
    sync_file(path, argument);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

void bench_drop_caches(const char *folder)
{
    bench_folder_each(folder, drop_file, NULL);
}

static void read_file(const char *path, void *argument)
{
    enum { CHUNK = 1 << 20 };
    static char chunk[CHUNK];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    for (ssize_t n; (n = read(fd, chunk, CHUNK)) > 0;)
        *(uint64_t *)argument += (uint64_t)n;
    close(fd);
}

void bench_load_caches(const char *folder)
{
    uint64_t bytes = 0;
    bench_folder_each(folder, sync_file, NULL);
    bench_folder_each(folder, read_file, &bytes);
}

double bench_disk_rate(const char *folder)
{
    uint64_t bytes = 0;
    bench_drop_caches(folder);
    int64_t start = bench_now_ns();
    bench_folder_each(folder, read_file, &bytes);
    return (double)bytes / ((double)(bench_now_ns() - start) * 1e-9);
}
