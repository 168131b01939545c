/* SPDX-License-Identifier: MIT */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *const fault_name[FAULTS] = {
    "none",           "open",           "open with O_TMPFILE",
    "close",          "read",           "fstat",
    "lstat",          "statx",          "access",
    "limits",         "fallocate",      "pwrite",
    "ftruncate",      "fdatasync",      "msync",
    "fsync",          "mmap",           "mmap without a file",
    "madvise",        "mlock",          "munmap",
    "linkat",         "unlink",         "realpath",
    "fcntl",          "random",         "memory",
    "pthread_create", "pthread_atfork",
};

bool fault_no_tmpfile;
int64_t fault_clock_offset_ns;

static struct {
    enum fault kind;
    bool on;
    int error;
    enum fault also;
    int also_error;
    atomic_bool active;
    atomic_int left; /* calls until the one that fails */
    atomic_int hits;
    atomic_int calls[FAULTS];
} fault;

static atomic_long memory;
static atomic_long descriptors;
static atomic_long mappings;

/* ------------------------------------------------------------------------------------------------
 * Places that call
 * --------------------------------------------------------------------------------------------- */

#define PLACES 1024

static struct {
    const void *caller;
    enum fault kind;
    bool failed;
} places[PLACES];
static int place_count;
static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;

static void note_place(enum fault kind, const void *caller, bool failed)
{
    pthread_mutex_lock(&places_lock);
    int i = 0;
    while (i < place_count && (places[i].caller != caller || places[i].kind != kind))
        i++;
    if (i == place_count && place_count < PLACES)
        place_count++;
    if (i < PLACES) {
        places[i].caller = caller;
        places[i].kind = kind;
        places[i].failed = places[i].failed || failed;
    }
    pthread_mutex_unlock(&places_lock);
}

int fault_places(enum fault kind, int *ret_failed)
{
    int count = 0;
    *ret_failed = 0;
    for (int i = 0; i < place_count; i++) {
        count += places[i].kind == kind;
        *ret_failed += places[i].kind == kind && places[i].failed;
    }
    return count;
}

/* ------------------------------------------------------------------------------------------------
 * What fails
 * --------------------------------------------------------------------------------------------- */

void fault_arm(enum fault kind, int number, bool on, int error)
{
    fault.kind = kind;
    fault.on = on;
    fault.error = error;
    atomic_store(&fault.left, number);
    atomic_store(&fault.hits, 0);
    for (int i = 0; i < FAULTS; i++)
        atomic_store(&fault.calls[i], 0);
}

void fault_also(enum fault kind, int error)
{
    fault.also = kind;
    fault.also_error = error;
}

void fault_resume(void)
{
    atomic_store(&fault.active, true);
}

void fault_pause(void)
{
    atomic_store(&fault.active, false);
}

int fault_disarm(void)
{
    fault_pause();
    fault.kind = FAULT_NONE;
    fault.also = FAULT_NONE;
    return atomic_load(&fault.hits);
}

int fault_calls(enum fault kind)
{
    return atomic_load(&fault.calls[kind]);
}

struct fault_use fault_in_use(void)
{
    return (struct fault_use){atomic_load(&memory), atomic_load(&descriptors),
                              atomic_load(&mappings)};
}

/* Whether this call is to fail; sets errno. */
static bool fails(enum fault kind, const void *caller)
{
    if (!atomic_load(&fault.active))
        return false;
    atomic_fetch_add(&fault.calls[kind], 1);
    bool now = false;
    if (fault.kind == kind) {
        int left = atomic_fetch_sub(&fault.left, 1);
        now = left == 1 || (left < 1 && fault.on);
    }
    bool also = fault.also == kind;
    note_place(kind, caller, now || also);
    if (now)
        atomic_fetch_add(&fault.hits, 1);
    if (now || also)
        errno = now ? fault.error : fault.also_error;
    return now || also;
}

#define FAILS(kind) fails((kind), __builtin_return_address(0))

/* ------------------------------------------------------------------------------------------------
 * The calls
 * --------------------------------------------------------------------------------------------- */

/* The C library has two names for calls that know large files. */
#ifdef __GLIBC__
#define WRAP(name) __wrap_##name##64
#define REAL(name) __real_##name##64
#else
#define WRAP(name) __wrap_##name
#define REAL(name) __real_##name
#endif

int REAL(open)(const char *path, int flags, ...);
int WRAP(open)(const char *path, int flags, ...);
int REAL(fcntl)(int fd, int command, ...);
int WRAP(fcntl)(int fd, int command, ...);
int __real_close(int fd);
int __wrap_close(int fd);
ssize_t __real_read(int fd, void *bytes, size_t size);
ssize_t __wrap_read(int fd, void *bytes, size_t size);
int REAL(fstat)(int fd, struct stat *status);
int WRAP(fstat)(int fd, struct stat *status);
int REAL(lstat)(const char *path, struct stat *status);
int WRAP(lstat)(const char *path, struct stat *status);
#ifdef __GLIBC__
int __real_statx(int fd, const char *path, int flags, unsigned mask, struct statx *status);
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *status);
#else
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
#endif
int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);
int REAL(getrlimit)(int resource, struct rlimit *limit);
int WRAP(getrlimit)(int resource, struct rlimit *limit);
int REAL(fallocate)(int fd, int mode, off_t offset, off_t size);
int WRAP(fallocate)(int fd, int mode, off_t offset, off_t size);
ssize_t REAL(pwrite)(int fd, const void *bytes, size_t size, off_t offset);
ssize_t WRAP(pwrite)(int fd, const void *bytes, size_t size, off_t offset);
int REAL(ftruncate)(int fd, off_t size);
int WRAP(ftruncate)(int fd, off_t size);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_msync(void *address, size_t size, int flags);
int __real_mlock(const void *address, size_t size);
int __wrap_mlock(const void *address, size_t size);
int __real_madvise(void *address, size_t size, int advice);
int __wrap_madvise(void *address, size_t size, int advice);
void *REAL(mmap)(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *WRAP(mmap)(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t size);
int __wrap_munmap(void *address, size_t size);
int __real_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags);
int __wrap_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
ssize_t __real_getrandom(void *bytes, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags);
int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);

int WRAP(open)(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (FAILS((flags & O_TMPFILE) == O_TMPFILE ? FAULT_TMPFILE : FAULT_OPEN))
        return -1;
    if (fault_no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    int fd = REAL(open)(path, flags, mode);
    atomic_fetch_add(&descriptors, fd >= 0);
    return fd;
}

int WRAP(fcntl)(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return FAILS(FAULT_FCNTL) ? -1 : REAL(fcntl)(fd, command, argument);
}

#ifdef __GLIBC__
/* By their other names the run-time of a coverage build calls these: not the library's business. */
int __wrap_open(const char *path, int flags, mode_t mode);
int __wrap_fcntl(int fd, int command, void *argument);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);

int __wrap_open(const char *path, int flags, mode_t mode)
{
    return REAL(open)(path, flags, mode);
}

int __wrap_fcntl(int fd, int command, void *argument)
{
    return REAL(fcntl)(fd, command, argument);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    return REAL(mmap)(address, size, protection, flags, fd, offset);
}
#endif

/* The descriptor is gone also where that reports an error. */
int __wrap_close(int fd)
{
    bool now = FAILS(FAULT_CLOSE);
    int error = errno;
    int result = __real_close(fd);
    atomic_fetch_sub(&descriptors, result == 0);
    if (now)
        errno = error;
    return now ? -1 : result;
}

ssize_t __wrap_read(int fd, void *bytes, size_t size)
{
    return FAILS(FAULT_READ) ? -1 : __real_read(fd, bytes, size);
}

int WRAP(fstat)(int fd, struct stat *status)
{
    return FAILS(FAULT_FSTAT) ? -1 : REAL(fstat)(fd, status);
}

int WRAP(lstat)(const char *path, struct stat *status)
{
    return FAILS(FAULT_LSTAT) ? -1 : REAL(lstat)(path, status);
}

#ifdef __GLIBC__
int __wrap_statx(int fd, const char *path, int flags, unsigned mask, struct statx *status)
{
    return FAILS(FAULT_STATX) ? -1 : __real_statx(fd, path, flags, mask, status);
}
#else /* the library calls it by its number, and calls nothing else so */
long __wrap_syscall(long number, ...)
{
    va_list arguments;
    va_start(arguments, number);
    int fd = va_arg(arguments, int);
    const char *path = va_arg(arguments, const char *);
    int flags = va_arg(arguments, int);
    unsigned mask = va_arg(arguments, unsigned);
    void *status = va_arg(arguments, void *);
    va_end(arguments);
    return FAILS(FAULT_STATX) ? -1 : __real_syscall(number, fd, path, flags, mask, status);
}
#endif

int __wrap_access(const char *path, int mode)
{
    return FAILS(FAULT_ACCESS) ? -1 : __real_access(path, mode);
}

int WRAP(getrlimit)(int resource, struct rlimit *limit)
{
    return FAILS(FAULT_RLIMIT) ? -1 : REAL(getrlimit)(resource, limit);
}

int WRAP(fallocate)(int fd, int mode, off_t offset, off_t size)
{
    return FAILS(FAULT_FALLOCATE) ? -1 : REAL(fallocate)(fd, mode, offset, size);
}

ssize_t WRAP(pwrite)(int fd, const void *bytes, size_t size, off_t offset)
{
    if (FAILS(FAULT_PWRITE)) {
        if (errno != FAULT_SHORT)
            return -1;
        size = (size + 1) / 2;
    }
    return REAL(pwrite)(fd, bytes, size, offset);
}

int WRAP(ftruncate)(int fd, off_t size)
{
    return FAILS(FAULT_FTRUNCATE) ? -1 : REAL(ftruncate)(fd, size);
}

/* No power is cut here: that a sync was asked for is enough. */
int __wrap_fdatasync(int fd)
{
    (void)fd;
    return FAILS(FAULT_FDATASYNC) ? -1 : 0;
}

int __wrap_fsync(int fd)
{
    (void)fd;
    return FAILS(FAULT_FSYNC) ? -1 : 0;
}

int __wrap_msync(void *address, size_t size, int flags)
{
    (void)address;
    (void)size;
    (void)flags;
    return FAILS(FAULT_MSYNC) ? -1 : 0;
}

int __wrap_mlock(const void *address, size_t size)
{
    return FAILS(FAULT_MLOCK) ? -1 : __real_mlock(address, size);
}

int __wrap_madvise(void *address, size_t size, int advice)
{
    return FAILS(FAULT_MADVISE) ? -1 : __real_madvise(address, size, advice);
}

void *WRAP(mmap)(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (FAILS(fd >= 0 ? FAULT_MMAP : FAULT_ANONYMOUS))
        return MAP_FAILED;
    void *p = REAL(mmap)(address, size, protection, flags, fd, offset);
    atomic_fetch_add(&mappings, p != MAP_FAILED);
    return p;
}

int __wrap_munmap(void *address, size_t size)
{
    bool now = FAILS(FAULT_MUNMAP);
    int error = errno;
    int result = __real_munmap(address, size);
    atomic_fetch_sub(&mappings, result == 0);
    if (now)
        errno = error;
    return now ? -1 : result;
}

int __wrap_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    return FAILS(FAULT_LINKAT) ? -1 : __real_linkat(from_folder, from, to_folder, to, flags);
}

int __wrap_unlink(const char *path)
{
    return FAILS(FAULT_UNLINK) ? -1 : __real_unlink(path);
}

ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags)
{
    return FAILS(FAULT_RANDOM) ? -1 : __real_getrandom(bytes, size, flags);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = __real_clock_gettime(clock, time);
    if (!result && clock == CLOCK_REALTIME) {
        int64_t ns = time->tv_sec * INT64_C(1000000000) + time->tv_nsec + fault_clock_offset_ns;
        *time = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    }
    return result;
}

/* ------------------------------------------------------------------------------------------------
 * Memory and threads
 * --------------------------------------------------------------------------------------------- */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
int __real_posix_memalign(void **p, size_t alignment, size_t size);
int __wrap_posix_memalign(void **p, size_t alignment, size_t size);
char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__real_strndup(const char *s, size_t size);
char *__wrap_strndup(const char *s, size_t size);
char *__real_realpath(const char *path, char *room);
char *__wrap_realpath(const char *path, char *room);
void __real_free(void *p);
void __wrap_free(void *p);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *data);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *data);
int __real_pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void));

static void *counted(void *p)
{
    atomic_fetch_add(&memory, p != NULL);
    return p;
}

static bool no_memory(const void *caller)
{
    bool now = fails(FAULT_MEMORY, caller);
    if (now)
        errno = ENOMEM;
    return now;
}

void *__wrap_malloc(size_t size)
{
    return no_memory(__builtin_return_address(0)) ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return no_memory(__builtin_return_address(0)) ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *p, size_t size)
{
    if (no_memory(__builtin_return_address(0)))
        return NULL;
    return p ? __real_realloc(p, size) : counted(__real_realloc(p, size));
}

int __wrap_posix_memalign(void **p, size_t alignment, size_t size)
{
    if (no_memory(__builtin_return_address(0)))
        return ENOMEM;
    int error = __real_posix_memalign(p, alignment, size);
    atomic_fetch_add(&memory, error == 0);
    return error;
}

char *__wrap_strdup(const char *s)
{
    return no_memory(__builtin_return_address(0)) ? NULL : counted(__real_strdup(s));
}

char *__wrap_strndup(const char *s, size_t size)
{
    return no_memory(__builtin_return_address(0)) ? NULL : counted(__real_strndup(s, size));
}

char *__wrap_realpath(const char *path, char *room)
{
    if (FAILS(FAULT_REALPATH) || no_memory(__builtin_return_address(0)))
        return NULL;
    return room ? __real_realpath(path, room) : counted(__real_realpath(path, room));
}

void __wrap_free(void *p)
{
    atomic_fetch_sub(&memory, p != NULL);
    __real_free(p);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *data)
{
    return FAILS(FAULT_THREAD) ? errno : __real_pthread_create(thread, attributes, function, data);
}

int __wrap_pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
    return FAILS(FAULT_ATFORK) ? errno : __real_pthread_atfork(before, parent, child);
}
