/* SPDX-License-Identifier: MIT */
#include "share.h"

#include "lock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define OPEN_WAIT_MS 10000u

static bool is_gone(uint64_t pid)
{
    return pid == 0 || pid > INT32_MAX || (kill((pid_t)pid, 0) && errno == ESRCH);
}

/* ---- who it is ---- */

static bool have_sharers(const struct rv_disk_live *live)
{
    return rv_load(&live->lock_abi) != 0;
}

/* The process ids of sharers that still run; "" if none is known. */
static void name_sharers(const struct rv_disk_live *live, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < RV_SHARERS; i++) {
        uint64_t pid = rv_load(&live->sharers[i]);
        if (is_gone(pid)) {
            continue;
        }
        if (used + 60 > size) {
            snprintf(text + used, size - used, " and others");
            return;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%llu%s", used ? ", " : "",
                                 (unsigned long long)pid,
                                 pid == (uint64_t)getpid() ? " (this process)" : "");
    }
}

static VisitStatus busy_with_sharers(struct rv_store *st, const struct rv_disk_live *live)
{
    char pids[200];
    name_sharers(live, pids, sizeof pids);
    return rv_fail(
        VISIT_ERROR_BUSY, st->file.path,
        "is open in shared mode by process %s: open it with VISIT_SHARED or read-only, or "
        "close it there",
        pids[0] ? pids : "unknown");
}

static VisitStatus busy(struct rv_store *st, bool shared)
{
    const struct rv_disk_live *live = rv_ro(st, 3 * RV_PAGE);
    uint64_t pid = 0;
    if (st->file.size >= 4 * RV_PAGE && rv_load((const uint64_t *)st->file.ro) == RV_MAGIC) {
        if (have_sharers(live)) {
            return busy_with_sharers(st, live);
        }
        pid = rv_load(&live->holder);
    }
    if (pid == (uint64_t)getpid()) {
        return rv_fail(VISIT_ERROR_BUSY, st->file.path,
                       "is open for writing already by this process (%u): use that manager, or "
                       "open read-only",
                       (unsigned)pid);
    }
    return rv_fail(VISIT_ERROR_BUSY, st->file.path,
                   shared ? "is open for writing by process %u alone: close it there or open it "
                            "there with VISIT_SHARED, or open read-only"
                          : "is open for writing by process %u: close it there, or open read-only",
                   (unsigned)pid);
}

/* ---- coming and going ---- */

VisitStatus rv_share_enter(struct rv_store *st, bool shared, bool *ret_joins)
{
    *ret_joins = false;
    VisitStatus status = rv_file_lock(&st->file, RV_LOCK_OPEN, RV_LOCK_WRITE, OPEN_WAIT_MS);
    if (status == VISIT_ERROR_BUSY) {
        /* Not even to join sharers: it may be in a recovery, and two who came too early would take
         * each other for those who had done it. */
        return rv_fail(status, st->file.path,
                       "another process has been opening or closing it for long: try again, or end "
                       "that process if it is stopped");
    }
    if (!status) {
        status = rv_file_lock(&st->file, RV_LOCK_WRITER, RV_LOCK_WRITE, 0);
    }
    if (status == VISIT_ERROR_BUSY && shared) {
        status = rv_file_lock(&st->file, RV_LOCK_WRITER, RV_LOCK_READ, 0);
        if (!status) {
            /* The one that was there may have died since: then there is nobody to join. */
            VisitStatus alone = rv_file_lock(&st->file, RV_LOCK_WRITER, RV_LOCK_WRITE, 0);
            *ret_joins = alone == VISIT_ERROR_BUSY;
            status = *ret_joins ? VISIT_OK : alone;
        }
    }
    if (status && status != VISIT_ERROR_BUSY) {
        return status;
    }
    /* Also for the message: since it was opened, the file may have become a store, or empty. */
    VisitStatus refreshed = rv_file_refresh(&st->file);
    return refreshed || !status ? refreshed : busy(st, shared);
}

/* A place of one that is gone, if there is one. */
static void sign_in(struct rv_store *st)
{
    for (unsigned i = 0; i < RV_SHARERS; i++) {
        if (is_gone(rv_load(&st->live->sharers[i]))) {
            rv_store(&st->live->sharers[i], st->pid);
            return;
        }
    }
}

/* The holder that others are told of is one that stays. */
static void sign_out(struct rv_store *st)
{
    bool done = false;
    uint64_t other = 0;
    for (unsigned i = 0; i < RV_SHARERS; i++) {
        uint64_t pid = rv_load(&st->live->sharers[i]);
        if (pid == st->pid && !done) {
            rv_store(&st->live->sharers[i], 0);
            done = true;
        } else if (!is_gone(pid)) {
            other = pid;
        }
    }
    if (other && rv_load(&st->live->holder) == st->pid) {
        rv_store(&st->live->holder, other);
    }
}

void rv_share_clear(struct rv_store *st)
{
    for (unsigned i = 0; i < RV_SHARERS && have_sharers(st->live); i++) {
        rv_store(&st->live->sharers[i], 0);
    }
    if (have_sharers(st->live)) {
        rv_store(&st->live->lock_abi, 0);
    }
}

VisitStatus rv_share_begin(struct rv_store *st, const struct rv_identity *identity)
{
    rv_share_clear(st);
    VisitStatus status = rv_lock_make(st);
    if (status) {
        return status;
    }
    for (unsigned i = 0; i < RV_SHARERS; i++) {
        rv_store(&st->live->sharers[i], 0);
    }
    sign_in(st);
    rv_store(&st->live->pid_space, identity->pid_space);
    rv_store_release(&st->live->lock_abi, rv_lock_abi());
    st->shared = true;
    /* Turning the lock into one for reading cannot fail: nobody else has one. */
    return rv_file_lock(&st->file, RV_LOCK_WRITER, RV_LOCK_READ, 0);
}

VisitStatus rv_share_join(struct rv_store *st, const struct rv_identity *identity)
{
    uint64_t holder = rv_load(&st->live->holder);
    if (rv_load(&st->live->lock_abi) != rv_lock_abi()) {
        return rv_fail(
            VISIT_ERROR_UNSUPPORTED, st->file.path,
            "is open in shared mode by process %llu, whose C library has other locks: use "
            "the same one in all processes, or open it read-only",
            (unsigned long long)holder);
    }
    if (!identity->pid_space) {
        return rv_fail(VISIT_ERROR_UNSUPPORTED, st->file.path,
                       "cannot be shared without /proc, which tells whether process ids mean the "
                       "same here: mount it, or open read-only");
    }
    if (rv_load(&st->live->pid_space) != identity->pid_space) {
        return rv_fail(VISIT_ERROR_UNSUPPORTED, st->file.path,
                       "is open in shared mode by process %llu of another process id namespace "
                       "(container): its locks cannot be shared; open it read-only",
                       (unsigned long long)holder);
    }
    sign_in(st);
    st->shared = true;
    return VISIT_OK;
}

VisitStatus rv_share_leave(struct rv_store *st, bool *ret_last)
{
    sign_out(st);
    VisitStatus status = rv_file_lock(&st->file, RV_LOCK_WRITER, RV_LOCK_WRITE, 0);
    *ret_last = !status;
    return status == VISIT_ERROR_BUSY ? VISIT_OK : status;
}
