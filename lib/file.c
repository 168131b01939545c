/* SPDX-License-Identifier: MIT */
#include "file.h"

#include "error.h"
#include "format.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define LOCK_BASE (INT64_C(1) << 60)
/*
 * The size of the write that first makes a page sets its folio, and so what one dirty byte costs.
 * Measured on ext4, ns a page at first and again after a sync, ms to sync 100 scattered pages:
 * 4 KiB 3,000, 1,800, 3; 16 KiB 1,300, 2,000, 3; 64 KiB 1,100, 3,400, 11; 1 MiB 1,000, 20,000, 43.
 */
#define FILL_BYTES 16384u
#define HEAD_BYTES UINT64_C(65536) /* each checkpoint writes words here and there: page by page */
#define WARM_BYTES (64u << 10)
#define STRETCH_BYTES (UINT64_C(8) << 20)
#define SYNC_PARTS 64u  /* a sync has a fixed cost: at most so many for a large file */
#define FEW_WRITTEN 32u /* one page of so many, or fewer */
#define ROUNDS_KEPT 100u
/* Linux 6.8: of a mount, an id that no later one gets. An older one gives what it has. */
#define MOUNT_ID_UNIQUE 0x4000u
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; an older one refuses, and nothing is lost */
#endif

/* ---- the open files of this process ---- */

static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rv_file *files;

/* A descriptor and its place in the list come together: no fork gets in between. */
static int open_listed(struct rv_file *file, const char *path, int flags, mode_t mode)
{
    pthread_mutex_lock(&files_lock);
    file->fd = open(path, flags, mode);
    int error = errno;
    if (file->fd >= 0) {
        file->next = files;
        file->previous = &files;
        if (files) {
            files->previous = &file->next;
        }
        files = file;
    }
    pthread_mutex_unlock(&files_lock);
    errno = error;
    return file->fd;
}

static void close_listed(struct rv_file *file)
{
    pthread_mutex_lock(&files_lock);
    if (file->previous) {
        *file->previous = file->next;
        if (file->next) {
            file->next->previous = file->previous;
        }
        file->next = NULL;
        file->previous = NULL;
    }
    if (file->fd >= 0) {
        close(file->fd);
        file->fd = -1;
    }
    pthread_mutex_unlock(&files_lock);
}

void rv_file_before_fork(void)
{
    pthread_mutex_lock(&files_lock);
}

void rv_file_after_fork(bool child)
{
    while (child && files) {
        struct rv_file *file = files;
        files = file->next;
        close(file->fd);
        file->fd = -1;
        file->next = NULL;
        file->previous = NULL;
    }
    pthread_mutex_unlock(&files_lock);
}

/* ---- opening, creating ---- */

static void start(struct rv_file *file, bool read_only)
{
    *file = (struct rv_file){.fd = -1, .read_only = read_only};
}

/* Regular files only: O_NONBLOCK keeps a fifo or device from blocking the open. */
static VisitStatus check_regular(struct rv_file *file, const char *path)
{
    struct stat st;
    if (fstat(file->fd, &st)) {
        return rv_fail_errno(path, "examine", errno);
    }
    if (!S_ISREG(st.st_mode)) {
        return rv_fail(VISIT_ERROR_NOT_A_STORE, path,
                       "is not a regular file; a store is a file of its own");
    }
    file->size = (uint64_t)st.st_size;
    return VISIT_OK;
}

VisitStatus rv_file_open(struct rv_file *file, const char *path, bool read_only)
{
    start(file, read_only);
    if (open_listed(file, path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                    0) < 0) {
        return rv_fail_errno(path, "open", errno);
    }
    VisitStatus status = check_regular(file, path);
    if (!status && !(file->path = strdup(path))) {
        status = rv_fail_errno(path, "open", ENOMEM);
    }
    if (status) {
        rv_file_close(file);
    }
    return status;
}

/* The folder of a path, in memory of its own. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        return strdup(".");
    }
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* Where O_TMPFILE is not to be had: a name that is unlikely to exist, in the same folder. */
static VisitStatus create_named(struct rv_file *file, const char *folder, const char *path,
                                mode_t mode)
{
    size_t room = strlen(folder) + 40;
    file->spare = malloc(room);
    if (!file->spare) {
        return rv_fail_errno(path, "create", ENOMEM);
    }
    for (unsigned i = 0; i < 100; i++) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        snprintf(file->spare, room, "%s/.rv-%x-%lx", folder, (unsigned)getpid(),
                 (unsigned long)now.tv_nsec + i);
        if (open_listed(file, file->spare, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode) >= 0) {
            return VISIT_OK;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    VisitStatus status = rv_fail_errno(path, "create", errno);
    free(file->spare);
    file->spare = NULL;
    return status;
}

/* Takes the temporary name away. */
static void drop_spare(struct rv_file *file)
{
    if (file->spare) {
        unlink(file->spare);
        free(file->spare);
        file->spare = NULL;
    }
}

/* A file without a name gets one through /proc, which may be missing, in a chroot for example. */
static int open_unnamed(struct rv_file *file, const char *folder, mode_t mode)
{
    char name[64];
    if (open_listed(file, folder, O_RDWR | O_TMPFILE | O_CLOEXEC, mode) < 0) {
        return -1;
    }
    snprintf(name, sizeof name, "/proc/thread-self/fd/%d", file->fd);
    if (access(name, F_OK)) {
        close_listed(file);
        errno = EOPNOTSUPP;
        return -1;
    }
    return file->fd;
}

VisitStatus rv_file_create(struct rv_file *file, const char *path, uint32_t mode)
{
    start(file, false);
    VisitStatus status = VISIT_OK;
    char *folder = folder_of(path);
    if (!folder || !(file->path = strdup(path))) {
        status = rv_fail_errno(path, "create", ENOMEM);
        goto out;
    }
    file->unnamed = true;
    if (open_unnamed(file, folder, (mode_t)mode) >= 0) {
        goto out;
    }
    if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL) {
        status = create_named(file, folder, path, (mode_t)mode);
    } else {
        status = rv_fail_errno(path, "create", errno);
    }
out:
    free(folder);
    if (status) {
        rv_file_close(file);
    }
    return status;
}

static VisitStatus sync_folder(const char *folder, const char *path)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        /* A folder that may be written but not listed: nothing more can be done. */
        return errno == EACCES ? VISIT_OK : rv_fail_errno(path, "open the folder of", errno);
    }
    VisitStatus status = VISIT_OK;
    if (fsync(fd) && errno != EINVAL) {
        status = rv_fail_errno(path, "sync the folder of", errno);
    }
    close(fd);
    return status;
}

VisitStatus rv_file_sync_name(struct rv_file *file)
{
    if (file->unnamed) {
        return VISIT_OK;
    }
    char *target = realpath(file->path, NULL); /* behind symbolic links */
    /* Moved or deleted meanwhile: what became of its name is the business of whoever did that. */
    if (!target && errno != ENOENT && errno != ENOTDIR && errno != EACCES) {
        return rv_fail_errno(file->path, "find the folder of", errno);
    }
    char *folder = folder_of(target ? target : file->path);
    VisitStatus status =
        folder ? sync_folder(folder, file->path) : rv_fail_errno(file->path, "open", ENOMEM);
    free(folder);
    free(target);
    return status;
}

VisitStatus rv_file_publish(struct rv_file *file)
{
    char *folder = folder_of(file->path);
    if (!folder) {
        return rv_fail_errno(file->path, "create", ENOMEM);
    }
    char from[64];
    snprintf(from, sizeof from, "/proc/thread-self/fd/%d", file->fd);
    VisitStatus status = VISIT_OK;
    if (linkat(AT_FDCWD, file->spare ? file->spare : from, AT_FDCWD, file->path,
               file->spare ? 0 : AT_SYMLINK_FOLLOW)) {
        status = rv_fail_errno(file->path, "create", errno);
    } else {
        file->unnamed = false;
        status = sync_folder(folder, file->path);
    }
    drop_spare(file);
    free(folder);
    return status;
}

void rv_file_withdraw(struct rv_file *file)
{
    if (!file->unnamed) {
        unlink(file->path);
        file->unnamed = true;
    }
}

static size_t touched_bytes(const struct rv_file *file)
{
    return file->mapped / TOUCHED_PAGE + 1;
}

/*
 * Opens the file once more, for mapping: a lock lives as long as the description that has it, and a
 * child that was forked keeps that of a mapping alive, also when its parent has been killed. Where
 * that can't be done, the locks' own must do.
 */
static int open_to_map(struct rv_file *file)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/thread-self/fd/%d", file->fd);
    int fd = open(name, (file->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
    bool denied = errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == EPERM;
    return fd < 0 && denied ? file->fd : fd;
}

static void *map(int fd, uint64_t bytes, int protection)
{
    void *p = mmap(NULL, bytes, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Does without, if there is no memory for it. */
static void keep_touched(struct rv_file *file)
{
    void *p = mmap(NULL, touched_bytes(file), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    file->touched = p == MAP_FAILED ? NULL : p;
    file->round = 1;
}

/* Is there address space left for the process, which could not even allocate without? Stores that
 * are opened one after the other would take all of it. */
static bool leaves_room(int fd)
{
    struct rlimit limit;
    uint64_t bytes = UINT64_C(1) << 30;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur / 64 < bytes) {
        bytes = limit.rlim_cur / 64;
    }
    void *p = map(fd, bytes, PROT_READ);
    if (p) {
        munmap(p, bytes);
    }
    return p != NULL;
}

static VisitStatus map_both(struct rv_file *file, int fd, uint64_t least, uint64_t most)
{
    for (uint64_t bytes = most; bytes >= least;
         bytes = bytes / 2 < least && bytes > least ? least : bytes / 2) {
        file->ro = map(fd, bytes, PROT_READ);
        file->rw = file->read_only || !file->ro ? NULL : map(fd, bytes, PROT_READ | PROT_WRITE);
        if (file->ro && (file->read_only || file->rw) && leaves_room(fd)) {
            file->mapped = bytes;
            file->scans = 1;
            if (!file->read_only) {
                keep_touched(file);
            }
            return VISIT_OK;
        }
        int error = errno;
        if (file->ro) {
            munmap((void *)(uintptr_t)file->ro, bytes);
            file->ro = NULL;
        }
        if (file->rw) {
            munmap(file->rw, bytes);
            file->rw = NULL;
        }
        if (error != ENOMEM && error != EINVAL && error != EOVERFLOW) {
            return rv_fail_errno(file->path, "map", error);
        }
    }
    return rv_fail_errno(file->path, "map", ENOMEM);
}

VisitStatus rv_file_map(struct rv_file *file, uint64_t least, uint64_t most)
{
    pthread_mutex_lock(&files_lock); /* no child is forked meanwhile */
    int fd = open_to_map(file);
    VisitStatus status =
        fd < 0 ? rv_fail_errno(file->path, "open", errno) : map_both(file, fd, least, most);
    if (fd >= 0 && fd != file->fd) {
        close(fd);
    }
    pthread_mutex_unlock(&files_lock);
    return status;
}

static void advise(const struct rv_file *file, int advice)
{
    madvise((void *)(uintptr_t)file->ro, file->mapped, advice);
    if (file->rw) {
        madvise(file->rw, file->mapped, advice);
    }
}

void rv_file_begin_scan(struct rv_file *file)
{
    if (__atomic_fetch_add(&file->scans, 1, __ATOMIC_RELAXED) == 0) {
        advise(file, MADV_NORMAL);
    }
}

void rv_file_end_scan(struct rv_file *file)
{
    if (__atomic_fetch_sub(&file->scans, 1, __ATOMIC_RELAXED) == 1) {
        advise(file, MADV_RANDOM);
    }
}

/* A write beyond RLIMIT_FSIZE would kill the process with a signal. */
static int check_limit(uint64_t size)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        size > limit.rlim_cur) {
        return EFBIG;
    }
    return 0;
}

/* Space only: whoever reads beside must not see a size that a disk that is full takes back. Where
 * that is not supported, the zeros that follow take the space. */
static int reserve(int fd, uint64_t from, uint64_t size)
{
    static const int modes[] = {FALLOC_FL_KEEP_SIZE, 0}; /* some file systems know one of them */
    int result = -1;
    for (unsigned i = 0; i < 2 && result; i++) {
        do {
            result = fallocate(fd, modes[i], (off_t)from, (off_t)(size - from));
        } while (result && errno == EINTR);
        if (result && errno != EOPNOTSUPP) {
            break;
        }
    }
    return result == 0 || errno == EOPNOTSUPP || errno == ENOSYS ? 0 : errno;
}

static int fill(int fd, uint64_t from, uint64_t size)
{
    static const uint8_t zeros[FILL_BYTES];
    while (from < size) {
        uint64_t piece = from < HEAD_BYTES ? RV_PAGE : FILL_BYTES;
        size_t n = (size_t)(piece - from % piece);
        n = size - from < n ? (size_t)(size - from) : n;
        ssize_t written = pwrite(fd, zeros, n, (off_t)from);
        if (written < 0 && errno != EINTR) {
            return errno;
        }
        from += written > 0 ? (uint64_t)written : 0;
    }
    return 0;
}

static void touch(struct rv_file *file, uint64_t from, uint64_t to)
{
    for (; from < to; from += TOUCHED_PAGE) {
        rv_file_touch(file, from);
    }
}

VisitStatus rv_file_grow(struct rv_file *file, uint64_t size)
{
    struct stat st;
    if (fstat(file->fd, &st)) {
        return rv_fail_errno(file->path, "examine", errno);
    }
    /* Not file->size: that may be what another's growth came to before it failed. */
    uint64_t from = (uint64_t)st.st_size;
    if (size > file->mapped && file->mapped) {
        return rv_fail(VISIT_ERROR_NO_MEMORY, file->path,
                       "cannot grow beyond %llu bytes, the address space that was to be had; raise "
                       "ulimit -v, have fewer stores open in one process, or use larger slots",
                       (unsigned long long)file->mapped);
    }
    if (size <= from) {
        uint64_t there = from > file->mapped && file->mapped ? file->mapped : from;
        __atomic_store_n(&file->size, there, __ATOMIC_RELEASE);
        return VISIT_OK;
    }
    int error = check_limit(size);
    if (!error) {
        error = reserve(file->fd, from, size);
    }
    if (!error) {
        error = fill(file->fd, from, size);
    }
    if (error) {
        /* What was gained is given back; a file a little too long does no harm. */
        if (ftruncate(file->fd, (off_t)from)) {
            error = error ? error : errno;
        }
        return rv_fail_errno(file->path, "grow", error);
    }
    if (file->rw) {
        madvise(file->rw + from, size - from, MADV_POPULATE_WRITE); /* cheaper than each fault */
        touch(file, from, size);
    }
    __atomic_store_n(&file->size, size, __ATOMIC_RELEASE);
    return VISIT_OK;
}

VisitStatus rv_file_fill_holes(struct rv_file *file)
{
    struct stat st;
    if (fstat(file->fd, &st)) {
        return rv_fail_errno(file->path, "examine", errno);
    }
    /* Blocks that describe where the others are count too: they could make up for a hole. */
    uint64_t there = (uint64_t)st.st_blocks * 512;
    off_t hole = lseek(file->fd, 0, SEEK_HOLE);
    if (there >= (uint64_t)st.st_size && (hole < 0 || hole >= st.st_size)) {
        return VISIT_OK;
    }
    /* A file may say that it is longer than the disk: asking for that could fill the disk first. */
    struct statvfs disk;
    bool fits = there >= (uint64_t)st.st_size || fstatvfs(file->fd, &disk) ||
                ((uint64_t)st.st_size - there) / disk.f_frsize <= disk.f_bavail;
    int error = fits ? reserve(file->fd, 0, (uint64_t)st.st_size) : ENOSPC;
    return error ? rv_fail_errno(file->path, "reserve space for", error) : VISIT_OK;
}

VisitStatus rv_file_sync(struct rv_file *file)
{
    while (fdatasync(file->fd)) {
        if (errno != EINTR) {
            return rv_fail_errno(file->path, "sync", errno);
        }
    }
    return VISIT_OK;
}

VisitStatus rv_file_sync_range(struct rv_file *file, uint64_t offset, uint64_t size)
{
    uint64_t from = offset - offset % (uint64_t)sysconf(_SC_PAGESIZE);
    while (msync(file->rw + from, offset + size - from, MS_SYNC)) {
        if (errno != EINTR) {
            return rv_fail_errno(file->path, "sync", errno);
        }
    }
    return VISIT_OK;
}

bool rv_file_pin(struct rv_file *file, uint64_t size)
{
    return mlock(file->rw, size) == 0;
}

/* Were at least half of these pages written in the round before this one, or since? */
static bool is_warm(const struct rv_file *file, uint64_t first, uint64_t pages, uint8_t before)
{
    uint64_t written = 0;
    for (uint64_t i = first; i < first + pages; i++) {
        uint8_t last = __atomic_load_n(&file->touched[i], __ATOMIC_RELAXED);
        written += last == before || last == file->round;
    }
    return written * 2 >= pages;
}

/*
 * What was written a lot in the last round will be in this one: its pages become writable together,
 * at a sixth of the price of a fault for each.
 */
static void warm_up(struct rv_file *file, uint64_t from, uint64_t to, uint8_t round)
{
    uint64_t begin = from;
    while (file->touched && begin < to) {
        uint64_t end = begin;
        while (end < to && is_warm(file, end / TOUCHED_PAGE, WARM_BYTES / TOUCHED_PAGE, round)) {
            end += WARM_BYTES;
        }
        if (end > begin) {
            madvise(file->rw + begin, (end < to ? end : to) - begin, MADV_POPULATE_WRITE);
        }
        begin = end + WARM_BYTES;
    }
}

/*
 * Before the kernel writes a dirty page out, it takes the right to write away from each mapping of
 * it, and interrupts all processors that run this process: page by page. MADV_DONTNEED does that
 * for a whole stretch at once; not a byte is lost by it. Stretch by stretch, so that little is
 * written between that and the kernel's turn, and nothing twice.
 */
static VisitStatus sync_stretches(struct rv_file *file, uint64_t from, uint64_t size, uint8_t round)
{
    uint64_t stretch = (size / SYNC_PARTS / STRETCH_BYTES + 1) * STRETCH_BYTES;
    VisitStatus status = VISIT_OK;
    for (; !status && from < size; from += stretch) {
        uint64_t to = size - from < stretch ? size : from + stretch;
        madvise(file->rw + from, to - from, MADV_DONTNEED);
        status = rv_file_sync_range(file, from, to - from);
        if (!status) {
            warm_up(file, from, to, round);
        }
    }
    return status;
}

/*
 * By this process; what others wrote does not show. Old rounds are forgotten on the way, before the
 * counter comes round to them again.
 */
static bool little_written(struct rv_file *file, uint64_t size, uint8_t round)
{
    uint64_t pages = size / TOUCHED_PAGE;
    uint64_t written = 0;
    for (uint64_t i = 0; file->touched && i < pages; i++) {
        uint8_t last = __atomic_load_n(&file->touched[i], __ATOMIC_RELAXED);
        written += last == round;
        if (last && (uint8_t)(file->round - last) > ROUNDS_KEPT) {
            __atomic_store_n(&file->touched[i], 0, __ATOMIC_RELAXED);
        }
    }
    return file->touched && written * FEW_WRITTEN < pages;
}

/*
 * Taking the right to write from the whole mapping costs more than few pages one by one; and where
 * nobody writes meanwhile, one sync is about twice as fast as many.
 */
VisitStatus rv_file_sync_busy(struct rv_file *file, uint64_t from)
{
    uint64_t size = __atomic_load_n(&file->size, __ATOMIC_ACQUIRE);
    uint8_t round = file->round;
    __atomic_store_n(&file->round, round == UINT8_MAX ? 1 : round + 1, __ATOMIC_RELAXED);
    if (file->busy && !little_written(file, size, round)) {
        return sync_stretches(file, from, size, round);
    }
    return from ? rv_file_sync_range(file, from, size - from) : rv_file_sync(file);
}

VisitStatus rv_file_refresh(struct rv_file *file)
{
    struct stat st;
    uint64_t before = __atomic_load_n(&file->size, __ATOMIC_RELAXED);
    /* Not over what another thread has found out since: that may be newer. */
    do {
        if (fstat(file->fd, &st)) {
            return rv_fail_errno(file->path, "examine", errno);
        }
        if (file->mapped && (uint64_t)st.st_size > file->mapped) {
            return rv_fail(
                VISIT_ERROR_NO_MEMORY, file->path,
                "has grown beyond %llu bytes, the address space that was to be had; raise "
                "ulimit -v and open it again",
                (unsigned long long)file->mapped);
        }
    } while (!__atomic_compare_exchange_n(&file->size, &before, (uint64_t)st.st_size, false,
                                          __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    return VISIT_OK;
}

static struct flock lock_of(enum rv_lock_byte byte, enum rv_lock_kind kind)
{
    return (struct flock){
        .l_type = kind == RV_LOCK_NONE   ? F_UNLCK
                  : kind == RV_LOCK_READ ? F_RDLCK
                                         : F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = (off_t)(LOCK_BASE + byte),
        .l_len = 1,
    };
}

VisitStatus rv_file_lock(struct rv_file *file, enum rv_lock_byte byte, enum rv_lock_kind kind,
                         uint32_t wait_ms)
{
    for (;;) {
        struct flock lock = lock_of(byte, kind);
        if (fcntl(file->fd, F_OFD_SETLK, &lock) == 0) {
            return VISIT_OK;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EAGAIN && errno != EACCES) {
            return rv_fail_errno(file->path, "lock", errno);
        }
        if (wait_ms == 0) {
            return VISIT_ERROR_BUSY;
        }
        uint32_t step = wait_ms < 5 ? wait_ms : 5;
        rv_sleep_ms(step);
        wait_ms -= step;
    }
}

VisitStatus rv_file_is_locked(struct rv_file *file, enum rv_lock_byte byte, enum rv_lock_kind kind,
                              bool *ret_locked)
{
    struct flock lock = lock_of(byte, kind);
    while (fcntl(file->fd, F_OFD_GETLK, &lock)) {
        if (errno != EINTR) {
            return rv_fail_errno(file->path, "look at the locks of", errno);
        }
    }
    *ret_locked = lock.l_type != F_UNLCK;
    return VISIT_OK;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Without a boot id no kill can be told from a power cut: zeros, which equal nothing. That is for
 * systems that have none; an error that may pass must not cost what a dead writer acknowledged.
 */
static int read_boot_id(uint8_t id[16])
{
    char text[64] = "";
    memset(id, 0, 16);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : errno;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    int error = n < 0 ? errno : 0;
    close(fd);
    unsigned digits = 0;
    for (ssize_t i = 0; i < n && digits < 32; i++) {
        int value = hex(text[i]);
        if (value >= 0) {
            id[digits / 2] = (uint8_t)(id[digits / 2] << 4 | value);
            digits++;
        }
    }
    return error;
}

struct place {
    uint64_t mount;
    uint64_t device;
    uint64_t inode;
};

/* Of an open file (path ""), or of a path. */
#ifdef __GLIBC__
static int find_place(int fd, const char *path, struct place *ret_place)
{
    struct statx st;
    if (statx(fd, path, AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID | MOUNT_ID_UNIQUE, &st)) {
        return errno;
    }
    *ret_place = (struct place){
        .mount = st.stx_mnt_id,
        .device = makedev(st.stx_dev_major, st.stx_dev_minor),
        .inode = st.stx_ino,
    };
    return 0;
}
#else /* other C libraries lack the function, or the mount; the numbers are the system's */
static int find_place(int fd, const char *path, struct place *ret_place)
{
    uint32_t st[64];
    if (syscall(SYS_statx, fd, path, AT_EMPTY_PATH, 0x17ff | MOUNT_ID_UNIQUE, st)) {
        return errno;
    }
    *ret_place = (struct place){
        .mount = (uint64_t)st[37] << 32 | st[36],
        .device = makedev(st[34], st[35]),
        .inode = (uint64_t)st[9] << 32 | st[8],
    };
    return 0;
}
#endif

VisitStatus rv_file_identify(struct rv_file *file, struct rv_identity *ret_identity)
{
    struct rv_identity identity = {0};
    struct place place = {0};
    int error = find_place(file->fd, "", &place);
    if (error) {
        return rv_fail_errno(file->path, "examine", error);
    }
    error = read_boot_id(identity.boot_id);
    if (error) {
        return rv_fail_errno(file->path, "find out the boot id for", error);
    }
    identity.mount = place.mount;
    identity.device = place.device;
    identity.inode = place.inode;
    if (!find_place(AT_FDCWD, "/proc/self/ns/pid", &place)) {
        identity.pid_space = place.inode;
    }
    *ret_identity = identity;
    return VISIT_OK;
}

VisitStatus rv_file_clear(struct rv_file *file)
{
    if (file->size && ftruncate(file->fd, 0)) {
        return rv_fail_errno(file->path, "clear", errno);
    }
    file->size = 0;
    return VISIT_OK;
}

bool rv_file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

void rv_file_random(void *bytes, size_t count)
{
    struct timespec now;
    if (getrandom(bytes, count, 0) == (ssize_t)count) {
        return;
    }
    /* Without a source of randomness: different from store to store all the same. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (size_t i = 0; i < count; i++) {
        ((uint8_t *)bytes)[i] =
            (uint8_t)((uint64_t)now.tv_nsec * (i + 1) * 0x9e3779b9u >> 24 ^ getpid());
    }
}

void rv_file_close(struct rv_file *file)
{
    if (file->touched) {
        munmap(file->touched, touched_bytes(file));
    }
    if (file->rw) {
        munmap(file->rw, file->mapped);
    }
    if (file->ro) {
        munmap((void *)(uintptr_t)file->ro, file->mapped);
    }
    close_listed(file);
    drop_spare(file);
    free(file->path);
    start(file, file->read_only);
}
