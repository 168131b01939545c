/* SPDX-License-Identifier: MIT */
#include "common.h"

#include <errno.h>
#include <limits.h>
#include <mntent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

void bench_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void *bench_alloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory)
        bench_die("no memory for %zu x %zu bytes", count, size);
    return memory;
}

int64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double bench_quantile(double *values, size_t count, double share)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof(*values), compare_doubles);
    size_t rank = (size_t)(share * (double)(count - 1) + 0.5);
    return values[rank];
}

struct bench_spread bench_spread_of(const double *values, size_t count)
{
    if (count == 0)
        return (struct bench_spread){0};
    double *sorted = bench_alloc(count, sizeof(*sorted));
    memcpy(sorted, values, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_doubles);
    struct bench_spread spread = {
        .median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2,
        .min = sorted[0],
        .max = sorted[count - 1],
    };
    free(sorted);
    return spread;
}

/* The folder and the files in it. Plain arrays, so that a signal handler can remove them. */
static char folder_path[PATH_MAX];
static char file_paths[BENCH_FILES_MAX][PATH_MAX];
static size_t file_count;
static pid_t folder_owner;

void bench_folder_remove(void)
{
    if (folder_path[0] == '\0' || folder_owner != getpid())
        return;
    for (size_t i = 0; i < file_count; i++)
        unlink(file_paths[i]);
    rmdir(folder_path);
    folder_path[0] = '\0';
}

static void remove_on_signal(int number)
{
    bench_folder_remove();
    _exit(128 + number);
}

const char *bench_folder_make(const char *parent)
{
    int length =
        snprintf(folder_path, sizeof(folder_path), "%s/librv-bench-XXXXXX", parent ? parent : ".");
    if (length < 0 || (size_t)length + NAME_MAX >= sizeof(folder_path))
        bench_die("the folder's name is too long");
    if (!mkdtemp(folder_path))
        bench_die("can't make a folder in %s: %s", parent ? parent : ".", strerror(errno));
    folder_owner = getpid();
    atexit(bench_folder_remove);
    signal(SIGINT, remove_on_signal);
    signal(SIGTERM, remove_on_signal);
    return folder_path;
}

const char *bench_folder_file(const char *name)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/%s", folder_path, name);
    if (length < 0 || (size_t)length >= sizeof(path))
        bench_die("the name %s is too long", name);
    for (size_t i = 0; i < file_count; i++) {
        if (strcmp(file_paths[i], path) == 0)
            return file_paths[i];
    }
    if (file_count == BENCH_FILES_MAX)
        bench_die("too many files");
    memcpy(file_paths[file_count], path, (size_t)length + 1);
    return file_paths[file_count++];
}

/* The mount that holds path is the one with the same device; statfs() numbers can't part ext2-4. */
const char *bench_file_system(const char *path)
{
    static char type[64];
    snprintf(type, sizeof(type), "unknown");
    struct stat file, mount;
    FILE *table = setmntent("/proc/self/mounts", "r");
    if (!table)
        return type;
    if (stat(path, &file) == 0) {
        for (struct mntent *entry; (entry = getmntent(table));) {
            if (stat(entry->mnt_dir, &mount) == 0 && mount.st_dev == file.st_dev)
                snprintf(type, sizeof(type), "%s", entry->mnt_type);
        }
    }
    endmntent(table);
    return type;
}

/* Copies the first line of a file that begins with prefix, from after the next ": " if there is
 * one. */
static void read_line(const char *path, const char *prefix, char *ret_line, size_t size)
{
    snprintf(ret_line, size, "unknown");
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    char line[512];
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, prefix, strlen(prefix)) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        const char *value = prefix[0] ? strstr(line, ": ") : NULL;
        snprintf(ret_line, size, "%.*s", (int)size - 1, value ? value + 2 : line);
        break;
    }
    fclose(file);
}

void bench_print_machine(FILE *out, bool json, const char *folder)
{
    char cpu[128], huge[128], clock[64];
    read_line("/proc/cpuinfo", "model name", cpu, sizeof(cpu));
    read_line("/sys/kernel/mm/transparent_hugepage/enabled", "", huge, sizeof(huge));
    read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", "", clock,
              sizeof(clock));
    struct utsname name;
    uname(&name);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 1e9;
    fprintf(out,
            json ? "  \"machine\": {\"system\": \"%s %s %s\", \"cpu\": \"%s\", \"cpus\": %ld, "
                   "\"memory_gb\": %.1f,\n    \"huge_pages\": \"%s\", \"clock\": \"%s\", "
                   "\"file_system\": \"%s\"},\n"
                 : "machine   %s %s %s; %s; %ld cpus; %.1f GB\n"
                   "          transparent huge pages: %s; clock: %s\n"
                   "          files on: %s\n",
            name.sysname, name.release, name.machine, cpu, cpus, memory, huge, clock,
            bench_file_system(folder));
}

FILE *bench_json_open(const char *path)
{
    FILE *out = fopen(path, "w");
    if (!out)
        bench_die("can't write %s: %s", path, strerror(errno));
    return out;
}

uint64_t bench_parse_number(const char *text, const char *option)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || !(value >= 0) || value > 1e15)
        bench_die("--%s: not a number: %s", option, text);
    const char *suffixes = "kMG";
    for (double factor = 1e3; *end && *suffixes; suffixes++, factor *= 1e3) {
        if (*end == *suffixes && end[1] == '\0')
            return (uint64_t)(value * factor + 0.5);
    }
    if (*end)
        bench_die("--%s: not a number: %s", option, text);
    return (uint64_t)(value + 0.5);
}
