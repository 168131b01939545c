/* SPDX-License-Identifier: MIT */
#include "common.h"

#include "limit.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

void *bench_alloc_shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        bench_die("no memory for %zu bytes", size);
    return memory;
}

void bench_free_shared(void *memory, size_t size)
{
    munmap(memory, size);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t bench_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t bench_thread_now_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
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

void bench_path(char *ret_path, size_t size, const char *folder, const char *name)
{
    int length = snprintf(ret_path, size, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= size)
        bench_die("the path %s/%s is too long", folder, name);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    remove(path);
    return 0;
}

void bench_folder_remove(const char *folder)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* nftw() hands no argument through. */
static struct {
    void (*function)(const char *path, void *argument);
    void *argument;
} each;

static int each_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)walk;
    if (type == FTW_F && S_ISREG(status->st_mode))
        each.function(path, each.argument);
    return 0;
}

void bench_folder_each(const char *folder, void (*function)(const char *path, void *argument),
                       void *argument)
{
    each.function = function;
    each.argument = argument;
    nftw(folder, each_one, 16, FTW_PHYS);
}

static void add_sizes(const char *path, void *argument)
{
    uint64_t *sums = argument;
    struct stat status;
    if (stat(path, &status) != 0)
        return;
    sums[0] += (uint64_t)status.st_size;
    sums[1] += (uint64_t)status.st_blocks * 512;
}

void bench_folder_bytes(const char *folder, uint64_t *ret_bytes, uint64_t *ret_allocated)
{
    uint64_t sums[2] = {0};
    bench_folder_each(folder, add_sizes, sums);
    *ret_bytes = sums[0];
    *ret_allocated = sums[1];
}

static char folder_path[PATH_MAX - NAME_MAX];
static pid_t ward;

static void kill_group(int number)
{
    (void)number;
    if (kill(-ward, SIGKILL) != 0)
        kill(ward, SIGKILL);
}

/* Waits for the process that does the work, and clears up behind it. */
static _Noreturn void guard(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        signal(ends[i], kill_group);
    int status = 0;
    while (waitpid(ward, &status, 0) < 0 && errno == EINTR)
        ;
    bench_limit_remove(ward);
    bench_folder_remove(folder_path);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

const char *bench_folder_make(const char *parent)
{
    /* In full: servers change their folder. */
    char *full = realpath(parent ? parent : ".", NULL);
    if (full)
        bench_path(folder_path, sizeof(folder_path), full, "librv-bench-XXXXXX");
    if (!full || !mkdtemp(folder_path))
        bench_die("can't make a folder in %s: %s", parent ? parent : ".", strerror(errno));
    free(full);
    fflush(NULL);
    ward = fork();
    if (ward < 0)
        bench_die("fork: %s", strerror(errno));
    if (ward > 0) {
        setpgid(ward, ward);
        guard();
    }
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return folder_path;
}

const char *bench_folder_fresh(const char *name)
{
    static char path[PATH_MAX];
    bench_path(path, sizeof(path), folder_path, name);
    bench_folder_remove(path);
    if (mkdir(path, 0700) != 0)
        bench_die("can't make %s: %s", path, strerror(errno));
    return path;
}

void bench_in_child(const char *name, void (*body)(void *argument), void *argument, size_t size)
{
    void *shared = bench_alloc_shared(size);
    memcpy(shared, argument, size);
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        bench_die("fork: %s", strerror(errno));
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, name); /* for profilers */
        body(shared);
        fflush(NULL);
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0)
        bench_die("%s failed", name);
    memcpy(argument, shared, size);
    bench_free_shared(shared, size);
}
