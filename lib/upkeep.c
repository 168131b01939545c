/* SPDX-License-Identifier: MIT */
/* The public functions that go through a whole store. */
#include "manager.h"

#include "alloc.h"
#include "backup.h"
#include "lock.h"
#include "verify.h"

VisitStatus VisitManagerBackup(VisitManager *manager, const char *path, VisitProgress *progress,
                               void *progress_data)
{
    VisitStatus status = rv_enter(manager);
    if (status) {
        return status;
    }
    if (!path || !*path) {
        return rv_fail(VISIT_ERROR_INVALID, manager->st->file.path,
                       "the path of the copy is missing");
    }
    if (rv_file_exists(path)) {
        return rv_fail(VISIT_ERROR_EXISTS, path,
                       "is there already; choose another path for the copy");
    }
    unsigned tries = 0;
    do {
        status = rv_begin_reading(manager);
        if (status) {
            return status;
        }
        rv_file_begin_scan(&manager->st->file);
        status = rv_backup(manager->st, path, progress, progress_data);
        rv_file_end_scan(&manager->st->file);
    } while (rv_end_reading(manager, status, &tries));
    if (!status) {
        rv_clear_error(); /* of what took more than one try */
    }
    return status;
}

/* Nothing changes meanwhile, in no process. */
static VisitStatus verify_quietly(struct rv_store *st, VisitFindingFunction *function, void *data)
{
    VisitStatus status = rv_lock_all(st);
    if (status) {
        return status;
    }
    status = rv_checkpoint_follow(st);
    if (!status) {
        status = rv_alloc_look(st);
    }
    if (!status) {
        status = rv_verify(st, true, function, data);
    }
    rv_unlock_all(st);
    return status;
}

VisitStatus VisitManagerVerify(VisitManager *manager, VisitFindingFunction *function, void *data)
{
    VisitStatus status = rv_enter(manager);
    if (!status) {
        status = rv_begin_reading(manager);
    }
    if (status) {
        return status;
    }
    struct rv_store *st = manager->st;
    rv_file_begin_scan(&st->file);
    if (st->file.read_only) {
        status = rv_file_refresh(&st->file); /* it may have become longer, or shorter */
        status = status ? status : rv_verify(st, st->state != VISIT_FOUND_IN_USE, function, data);
        /* Which may look like damage, or like fewer users. */
        if ((!status || status == VISIT_ERROR_CORRUPT) && rv_opened_since(st)) {
            status = rv_fail(VISIT_ERROR_BUSY, st->file.path,
                             "a writer has opened it during the verification; try again");
        }
    } else {
        status = verify_quietly(st, function, data);
    }
    rv_file_end_scan(&st->file);
    rv_release_view(manager);
    return status;
}
