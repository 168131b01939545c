/* SPDX-License-Identifier: MIT */
/*
 * Files in memory, in the place of lib/file.c: no system call stands between two executions, and
 * what lies beyond the end of a file cannot be touched: AddressSanitizer knows each byte of it; a
 * build without it has pages that are not accessible.
 */
#include "fuzz.h"

#include "error.h"
#include "file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON 1
#endif
#endif
#ifdef POISON
#include <sanitizer/asan_interface.h>
#endif

#define ROOM (UINT64_C(1) << 40)     /* address space of a file */
#define LARGEST (UINT64_C(32) << 20) /* file */
#define PAGE 4096u
#define OPENERS 4u

const char *const fuzz_path[FUZZ_FILES] = {"store", "copy"};
const uint8_t fuzz_boot_id[16] = "the boot of now";

struct lock {
    const struct rv_file *holder;
    enum rv_lock_byte byte;
    enum rv_lock_kind kind;
};

static struct memory {
    uint8_t *bytes;
    uint64_t size;
    uint64_t room; /* address space */
    uint64_t open; /* bytes that can be touched */
    bool exists;   /* under its name */
    struct lock lock[OPENERS * 3];
} files[FUZZ_FILES];

static uint64_t limit = LARGEST;
static uint64_t random_state;

/* What can be touched ends with the file. */
static void fence(struct memory *m)
{
#ifdef POISON
    if (m->size > m->open) {
        __asan_unpoison_memory_region(m->bytes, m->size);
    } else if (m->size < m->open) {
        __asan_poison_memory_region(m->bytes + m->size, m->open - m->size);
    }
    m->open = m->size;
#else
    uint64_t end = (m->size + PAGE - 1) / PAGE * PAGE;
    if (end > m->open && mprotect(m->bytes + m->open, end - m->open, PROT_READ | PROT_WRITE)) {
        fuzz_fail("mprotect");
    }
    if (end < m->open && mprotect(m->bytes + end, m->open - end, PROT_NONE)) {
        fuzz_fail("mprotect");
    }
    m->open = end;
#endif
}

static void set_size(struct memory *m, uint64_t size)
{
    uint64_t before = m->size;
    m->size = size;
    if (size < before) {
        memset(m->bytes + size, 0, before - size); /* a file that grows again has zeros there */
    }
    fence(m);
}

static struct memory *memory(enum fuzz_file file)
{
    struct memory *m = &files[file];
    if (!m->bytes) {
        void *p = MAP_FAILED;
        for (m->room = 2 * ROOM; p == MAP_FAILED && m->room > LARGEST;) {
            m->room /= 2;
            p = mmap(NULL, m->room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        }
        m->bytes = p == MAP_FAILED ? NULL : p;
        if (!m->bytes) {
            fuzz_fail("no address space for files");
        }
#ifdef POISON
        if (mprotect(m->bytes, LARGEST, PROT_READ | PROT_WRITE)) {
            fuzz_fail("mprotect");
        }
        __asan_poison_memory_region(m->bytes, LARGEST);
#endif
    }
    return m;
}

void fuzz_file_set(enum fuzz_file file, const void *bytes, size_t size)
{
    struct memory *m = memory(file);
    set_size(m, 0);
    set_size(m, size);
    if (size) {
        memcpy(m->bytes, bytes, size);
    }
    m->exists = true;
    random_state = 0;
}

void fuzz_file_remove(enum fuzz_file file)
{
    struct memory *m = memory(file);
    set_size(m, 0);
    m->exists = false;
}

bool fuzz_file_exists(enum fuzz_file file)
{
    return files[file].exists;
}

size_t fuzz_file_size(enum fuzz_file file)
{
    return files[file].size;
}

const uint8_t *fuzz_file_bytes(enum fuzz_file file)
{
    return memory(file)->bytes;
}

void fuzz_file_limit(uint64_t bytes)
{
    limit = bytes < LARGEST ? bytes : LARGEST;
}

void fuzz_file_drop_locks(void)
{
    for (unsigned i = 0; i < FUZZ_FILES; i++) {
        memset(files[i].lock, 0, sizeof files[i].lock);
    }
}

void fuzz_file_adopt(uint8_t *image, size_t size)
{
    (void)image; /* every file has the identity that the base stores were made with */
    (void)size;
}

/* ---- file.h ---- */

static struct memory *of(const struct rv_file *file)
{
    return &files[file->fd];
}

static int number_of(const char *path)
{
    for (int i = 0; i < FUZZ_FILES; i++) {
        if (strcmp(path, fuzz_path[i]) == 0) {
            return i;
        }
    }
    fuzz_fail("a file called '%s'", path);
}

static VisitStatus start(struct rv_file *file, const char *path, bool read_only)
{
    *file = (struct rv_file){.fd = -1, .read_only = read_only, .path = strdup(path)};
    if (!file->path) {
        fuzz_fail("out of memory");
    }
    file->fd = number_of(path);
    file->size = of(file)->size;
    return VISIT_OK;
}

VisitStatus rv_file_open(struct rv_file *file, const char *path, bool read_only)
{
    *file = (struct rv_file){.fd = -1, .read_only = read_only};
    return files[number_of(path)].exists
               ? start(file, path, read_only)
               : rv_fail(VISIT_ERROR_NOT_FOUND, path, "does not exist; create it");
}

VisitStatus rv_file_create(struct rv_file *file, const char *path, uint32_t mode)
{
    (void)mode;
    if (files[number_of(path)].exists) {
        fuzz_fail("%s is created though it is there", path);
    }
    memory((enum fuzz_file)number_of(path));
    file->unnamed = true;
    start(file, path, false);
    file->unnamed = true;
    return VISIT_OK;
}

VisitStatus rv_file_publish(struct rv_file *file)
{
    of(file)->exists = true;
    file->unnamed = false;
    return VISIT_OK;
}

void rv_file_begin_scan(struct rv_file *file)
{
    (void)file;
}

void rv_file_end_scan(struct rv_file *file)
{
    (void)file;
}

VisitStatus rv_file_sync_name(struct rv_file *file)
{
    (void)file;
    return VISIT_OK;
}

void rv_file_withdraw(struct rv_file *file)
{
    of(file)->exists = false;
    file->unnamed = true;
}

VisitStatus rv_file_map(struct rv_file *file, uint64_t least, uint64_t most)
{
    (void)most;
    if (least > of(file)->room) {
        fuzz_fail("a mapping of %llu bytes", (unsigned long long)least);
    }
    file->ro = of(file)->bytes;
    file->rw = file->read_only ? NULL : of(file)->bytes;
    file->mapped = of(file)->room;
    return VISIT_OK;
}

VisitStatus rv_file_grow(struct rv_file *file, uint64_t size)
{
    if (size > limit) {
        return rv_fail(VISIT_ERROR_NO_SPACE, file->path, "the disk is full; make room");
    }
    if (size > of(file)->size) {
        set_size(of(file), size);
    }
    file->size = of(file)->size;
    return VISIT_OK;
}

VisitStatus rv_file_fill_holes(struct rv_file *file)
{
    (void)file;
    return VISIT_OK;
}

VisitStatus rv_file_sync(struct rv_file *file)
{
    (void)file;
    return VISIT_OK;
}

VisitStatus rv_file_sync_busy(struct rv_file *file, uint64_t from)
{
    (void)from;
    return rv_file_sync(file);
}

bool rv_file_pin(struct rv_file *file, uint64_t size)
{
    (void)file;
    (void)size;
    return true;
}

VisitStatus rv_file_sync_range(struct rv_file *file, uint64_t offset, uint64_t size)
{
    (void)offset;
    (void)size;
    return rv_file_sync(file);
}

VisitStatus rv_file_refresh(struct rv_file *file)
{
    file->size = of(file)->size;
    return VISIT_OK;
}

/* Does another opener's lock stand in the way? */
static bool is_in_the_way(const struct lock *lock, const struct rv_file *file,
                          enum rv_lock_byte byte, enum rv_lock_kind kind)
{
    return lock->holder && lock->holder != file && lock->byte == byte && kind != RV_LOCK_NONE &&
           (kind == RV_LOCK_WRITE || lock->kind == RV_LOCK_WRITE);
}

VisitStatus rv_file_lock(struct rv_file *file, enum rv_lock_byte byte, enum rv_lock_kind kind,
                         uint32_t wait_ms)
{
    (void)wait_ms; /* nobody else would ever drop it */
    struct lock *lock = of(file)->lock;
    struct lock *place = NULL;
    for (unsigned i = 0; i < OPENERS * 3; i++) {
        if (is_in_the_way(&lock[i], file, byte, kind)) {
            return VISIT_ERROR_BUSY;
        }
        if (lock[i].holder == file && lock[i].byte == byte) {
            lock[i].holder = NULL;
        }
        place = lock[i].holder ? place : &lock[i];
    }
    if (kind != RV_LOCK_NONE) {
        *place = (struct lock){file, byte, kind};
    }
    return VISIT_OK;
}

static bool is_locked(struct rv_file *file, enum rv_lock_byte byte, enum rv_lock_kind kind)
{
    bool locked = false;
    for (unsigned i = 0; i < OPENERS * 3; i++) {
        locked = locked || is_in_the_way(&of(file)->lock[i], file, byte, kind);
    }
    return locked;
}

VisitStatus rv_file_is_locked(struct rv_file *file, enum rv_lock_byte byte, enum rv_lock_kind kind,
                              bool *ret_locked)
{
    *ret_locked = is_locked(file, byte, kind);
    return VISIT_OK;
}

VisitStatus rv_file_identify(struct rv_file *file, struct rv_identity *ret_identity)
{
    *ret_identity = (struct rv_identity){.mount = 1, .device = 2, .inode = 3 + (uint64_t)file->fd};
    memcpy(ret_identity->boot_id, fuzz_boot_id, sizeof fuzz_boot_id);
    return VISIT_OK;
}

VisitStatus rv_file_clear(struct rv_file *file)
{
    set_size(of(file), 0);
    file->size = 0;
    return VISIT_OK;
}

bool rv_file_exists(const char *path)
{
    return files[number_of(path)].exists;
}

/* The same each time: a store's hash seed decides what lies where. */
void rv_file_random(void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)bytes)[i] = (uint8_t)(random_state >> 56);
    }
}

void rv_file_close(struct rv_file *file)
{
    if (file->fd >= 0) {
        struct memory *m = of(file);
        for (unsigned i = 0; i < OPENERS * 3; i++) {
            m->lock[i].holder = m->lock[i].holder == file ? NULL : m->lock[i].holder;
        }
        if (file->unnamed) {
            set_size(m, 0);
        }
    }
    free(file->path);
    *file = (struct rv_file){.fd = -1, .read_only = file->read_only};
}

/* Nothing forks here. */
void rv_file_before_fork(void)
{
}

void rv_file_after_fork(bool child)
{
    (void)child;
}
