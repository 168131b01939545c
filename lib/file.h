/* SPDX-License-Identifier: MIT */
/*
 * The file: every system call that touches a store is made here, so that a simulated disk can stand
 * in its place (tests/sim).
 */
#ifndef RV_FILE_H
#define RV_FILE_H

#include "recent_visits.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#define TOUCHED_PAGE 4096u

struct rv_file {
    int fd;
    bool read_only;
    bool unnamed; /* created, not yet under its name */
    bool busy;    /* others may write while it is synced: not while one writer opens or closes it */
    char *path;   /* as it was given */
    uint8_t *rw;  /* the writable mapping; NULL if read-only */
    const uint8_t *ro; /* the read-only mapping: what is handed out points here */
    uint64_t mapped;   /* bytes of address space of each mapping */
    uint8_t *
        touched; /* for each TOUCHED_PAGE, the round in which it was last written; NULL: not kept */
    uint8_t round;        /* goes up with each rv_file_sync_busy(); wraps to 1: 0 is never */
    uint64_t size;        /* bytes of the file that are known to be there; atomic */
    uint32_t scans;       /* how many go through the whole file at present; atomic */
    char *spare;          /* its temporary path, if it has one */
    struct rv_file *next; /* of all open files of this process */
    struct rv_file **previous;
};

/* What tells whether the page cache still has what a dead writer left in this file. */
struct rv_identity {
    uint8_t boot_id[16];
    uint64_t mount;
    uint64_t device;
    uint64_t inode;
    uint64_t pid_space; /* name space of process ids; 0: not known */
};

/* Bytes of the lock range; far above every offset that is used for data. */
enum rv_lock_byte {
    RV_LOCK_OPEN = 0,   /* held during a writer's open and close */
    RV_LOCK_WRITER = 1, /* held by a writer */
    RV_LOCK_BACKUP = 2, /* read-held by backups; keeps checkpoints waiting */
};
enum rv_lock_kind {
    RV_LOCK_NONE,
    RV_LOCK_READ,
    RV_LOCK_WRITE,
};

/* Opens an existing regular file. On failure nothing is left to close. */
VisitStatus rv_file_open(struct rv_file *file, const char *path, bool read_only);

/* Makes a new file that has no name yet. */
VisitStatus rv_file_create(struct rv_file *file, const char *path, uint32_t mode);

/* Gives a new, synced file its name, durably. VISIT_ERROR_EXISTS: another was faster. */
VisitStatus rv_file_publish(struct rv_file *file);

/* Makes the name of a file durable, in case its creator did not get that far. */
VisitStatus rv_file_sync_name(struct rv_file *file);

/* Takes the name away again from a file that nobody else can have opened for good. */
void rv_file_withdraw(struct rv_file *file);

/* Maps the file over at least `least` bytes of address space and at most `most`. The mapping begins
 * within a scan, the one that opening may need. */
VisitStatus rv_file_map(struct rv_file *file, uint64_t least, uint64_t most);

/*
 * While somebody scans the file, the system reads ahead of a page that is missing. Otherwise it
 * reads that page only: around the slots of one user lie those of others.
 */
void rv_file_begin_scan(struct rv_file *file);
void rv_file_end_scan(struct rv_file *file);

/* Makes the file `size` bytes long: space reserved, zeros, pages in memory. */
VisitStatus rv_file_grow(struct rv_file *file, uint64_t size);

/* Reserves space for holes that a sparse copy may have left. */
VisitStatus rv_file_fill_holes(struct rv_file *file);

/* All that was stored before is durable afterwards. */
VisitStatus rv_file_sync(struct rv_file *file);

/* The same of the bytes from `from` on, a page's first, while others go on writing: it costs them
 * as little as possible. */
VisitStatus rv_file_sync_busy(struct rv_file *file, uint64_t from);

/* Keeps the first bytes in memory, also when they could not be written back; false: it can't. */
bool rv_file_pin(struct rv_file *file, uint64_t size);

/* What was stored in these bytes, or at least in their pages, is durable afterwards. */
VisitStatus rv_file_sync_range(struct rv_file *file, uint64_t offset, uint64_t size);

/* Notes for rv_file_sync_busy() that the page is being written. */
static inline void rv_file_touch(struct rv_file *file, uint64_t offset)
{
    if (file->touched) {
        uint8_t round = __atomic_load_n(&file->round, __ATOMIC_RELAXED);
        uint8_t *touched = &file->touched[offset / TOUCHED_PAGE];
        if (__atomic_load_n(touched, __ATOMIC_RELAXED) != round) {
            __atomic_store_n(touched, round, __ATOMIC_RELAXED);
        }
    }
}

/* Looks how long the file is now. */
VisitStatus rv_file_refresh(struct rv_file *file);

/* Less than a second; a signal does not cut it short. */
static inline void rv_sleep_ms(uint32_t ms)
{
    struct timespec left = {.tv_nsec = (long)ms * 1000000};
    while (nanosleep(&left, &left) && errno == EINTR) {
    }
}

/* Takes, changes or drops a lock of this file description; waits up to wait_ms. VISIT_ERROR_BUSY,
 * without a message, if another has it. */
VisitStatus rv_file_lock(struct rv_file *file, enum rv_lock_byte byte, enum rv_lock_kind kind,
                         uint32_t wait_ms);

/* Does another file description hold a lock that keeps this one from taking `kind`? */
VisitStatus rv_file_is_locked(struct rv_file *file, enum rv_lock_byte byte, enum rv_lock_kind kind,
                              bool *ret_locked);

VisitStatus rv_file_identify(struct rv_file *file, struct rv_identity *ret_identity);

/* Makes the file empty again: what an interrupted creation left. */
VisitStatus rv_file_clear(struct rv_file *file);

/* Is there something under that name? */
bool rv_file_exists(const char *path);

/* Bytes that nobody can foresee. */
void rv_file_random(void *bytes, size_t count);

void rv_file_close(struct rv_file *file);

/*
 * Around a fork. The child closes the descriptors of all files, also of those that another thread
 * is just opening: it must not keep the parent's locks alive.
 */
void rv_file_before_fork(void);
void rv_file_after_fork(bool child);

#endif
