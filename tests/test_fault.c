/* SPDX-License-Identifier: MIT */
/*
 * System calls that fail. This program defines the calls that the library makes; the dynamic linker
 * prefers them to the C library's. One call of one kind fails, or all from that one on; whatever
 * the library answers, the store must afterwards hold exactly what it acknowledged, or, if it was a
 * sync that failed, at least what was durable.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compare.h"
#include "model.h"
#include "support.h"

/* ------------------------------------------------------------------------------------------------
 * The calls
 * --------------------------------------------------------------------------------------------- */

enum call {
    CALL_NONE,
    CALL_OPEN,
    CALL_TMPFILE, /* open with O_TMPFILE */
    CALL_PWRITE,
    CALL_FALLOCATE,
    CALL_FTRUNCATE,
    CALL_SYNC, /* fdatasync or msync */
    CALL_FSYNC,
    CALL_MMAP,
    CALL_LINKAT,
    CALL_FCNTL,
};

static struct {
    enum call call;
    bool on; /* all from that one on */
    int error;
    atomic_int left; /* calls until the one that fails */
    atomic_int hits; /* calls that failed */
} fault;

/* Whether this call is to fail; sets errno. */
static bool fails(enum call call)
{
    if (fault.call != call)
        return false;
    int left = atomic_fetch_sub(&fault.left, 1);
    if (left > 1 || (left < 1 && !fault.on))
        return false;
    atomic_fetch_add(&fault.hits, 1);
    errno = fault.error;
    return true;
}

static void fault_arm(enum call call, int number, bool on, int error)
{
    fault.call = call;
    fault.on = on;
    fault.error = error;
    atomic_store(&fault.left, number);
    atomic_store(&fault.hits, 0);
}

static void fault_disarm(void)
{
    fault.call = CALL_NONE;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, int) : 0;
    va_end(arguments);
    if (fails((flags & O_TMPFILE) == O_TMPFILE ? CALL_TMPFILE : CALL_OPEN))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return fails(CALL_PWRITE) ? -1 : syscall(SYS_pwrite64, fd, bytes, size, offset);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    return fails(CALL_FALLOCATE) ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, size);
}

int ftruncate(int fd, off_t size)
{
    return fails(CALL_FTRUNCATE) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int fdatasync(int fd)
{
    return fails(CALL_SYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int msync(void *address, size_t size, int flags)
{
    return fails(CALL_SYNC) ? -1 : (int)syscall(SYS_msync, address, size, flags);
}

int fsync(int fd)
{
    return fails(CALL_FSYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (fd >= 0 && fails(CALL_MMAP))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    if (fails(CALL_LINKAT))
        return -1;
    return (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}

int fcntl(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return fails(CALL_FCNTL) ? -1 : (int)syscall(SYS_fcntl, fd, command, argument);
}

/* ------------------------------------------------------------------------------------------------
 * The work that is disturbed
 * --------------------------------------------------------------------------------------------- */

#define USERS 150

struct work {
    const struct scratch *scratch;
    VisitManager *manager;
    struct model model;   /* what was acknowledged */
    VisitStatus expected; /* what a call may fail with */
    size_t durable;       /* users when a sync last succeeded */
    char *text;
    bool good;
};

/* A call succeeds, or fails with the one status; true if it succeeded. */
static bool outcome(struct work *work, VisitStatus status, const char *what)
{
    if (status != VISIT_OK && status != work->expected) {
        print_error("%s: status %d, \"%s\"; expected %d or success\n", what, status,
                    VisitLastError(), work->expected);
        work->good = false;
    }
    return status == VISIT_OK;
}

static void work_add(struct work *work, uint32_t first, uint32_t last)
{
    for (uint32_t user = first; user < last; user++) {
        VisitInput input = visit_at(user, 1, "url", work->text, 1000 + user);
        if (user % 5)
            input.text_length = user;
        if (outcome(work, VisitManagerAdd(work->manager, &input), "add"))
            model_add(&work->model, &input, input.time_ns);
    }
}

static void work_sync(struct work *work)
{
    if (outcome(work, VisitManagerSync(work->manager), "sync"))
        work->durable = work->model.users;
}

static void work_backup(struct work *work)
{
    char path[320];
    snprintf(path, sizeof path, "%s/copy.rv", work->scratch->folder);
    VisitStatus status = VisitManagerBackup(work->manager, path, NULL, NULL);
    if (!outcome(work, status, "backup") && file_exists(path)) {
        print_error("a failed backup left its file\n");
        work->good = false;
    }
    remove(path);
}

static bool work_open(struct work *work)
{
    VisitOptions options = {.size = sizeof options, .max_visits = 4, .checkpoint_interval_ms = -1};
    VisitStatus status = VisitManagerOpen(work->scratch->store, &options, &work->manager);
    return outcome(work, status, "open");
}

static void work_close(struct work *work)
{
    VisitManagerFree(work->manager);
    work->manager = NULL;
    if (outcome(work, VisitLastStatus(), "close"))
        work->durable = work->model.users;
}

static void work_do(struct work *work)
{
    if (!work_open(work))
        return;
    work_add(work, 0, USERS / 2);
    work_sync(work);
    work_add(work, USERS / 2, USERS);
    work_backup(work);
    work_close(work);
}

/* After a failed sync: the users that are there are the first ones, and all durable ones. */
static bool check_durable(struct work *work)
{
    VisitStats stats = {.size = sizeof stats};
    size_t count = 0;
    if (VisitManagerStats(work->manager, &stats) != VISIT_OK)
        return false;
    if (stats.users < work->durable || stats.users > work->model.users) {
        print_error("%llu users after a failed sync; %zu durable, %zu acknowledged\n",
                    (unsigned long long)stats.users, work->durable, work->model.users);
        return false;
    }
    for (uint32_t user = 0; user < stats.users; user++) {
        VisitManagerGetRecentVisits(work->manager, user, &count);
        if (count != 1)
            return false;
    }
    return true;
}

/* With the fault gone, the store opens, is whole, and has what it must have; it works on. */
static bool work_check(struct work *work, bool sync_failed)
{
    if (VisitManagerOpen(work->scratch->store, NULL, &work->manager) != VISIT_OK) {
        print_error("opening afterwards: %s\n", VisitLastError());
        return false;
    }
    bool good = compare_verify(work->manager);
    if (sync_failed)
        good = good && check_durable(work);
    else if (work->model.visits) /* without, it may be a store with another limit */
        good = good && compare_all(work->manager, &work->model);
    good = good && VisitManagerAddVisit(work->manager, USERS + 1, 1, "u", "t");
    VisitManagerFree(work->manager);
    return good && VisitLastStatus() == VISIT_OK;
}

/* One run with the fault at call `number`. Returns whether the fault was met. */
static bool run(void **state, enum call call, int number, bool on, int error, VisitStatus expected)
{
    struct scratch scratch;
    (void)state;
    assert_true(scratch_make(&scratch));
    struct work work = {.scratch = &scratch, .expected = expected, .good = true};
    model_init(&work.model, 4);
    work.text = string_make(1, 20000);
    fault_arm(call, number, on, error);
    work_do(&work);
    fault_disarm();
    int hits = atomic_load(&fault.hits);
    bool sync_failed = hits && (call == CALL_SYNC || call == CALL_FSYNC);
    bool good = work.good && work_check(&work, sync_failed);
    size_t files = folder_count(scratch.folder);
    model_free(&work.model);
    free(work.text);
    scratch_remove(&scratch);
    if (!good || files != 1)
        print_error("call kind %d, number %d%s, error %d: %zu files\n", call, number,
                    on ? " and all after it" : "", error, files);
    assert_true(good);
    assert_int_equal(files, 1);
    return hits > 0;
}

/* Lets each call of the kind fail in turn; steps grow so that it ends soon. */
static void run_each(void **state, enum call call, int error, VisitStatus expected)
{
    int met = 0;
    for (int on = 0; on <= 1; on++) {
        for (int number = 1; run(state, call, number, on, error, expected);
             number += 1 + number / 3)
            met++;
    }
    if (!met)
        print_message("this call was not made\n");
}

/* ------------------------------------------------------------------------------------------------
 * Tests
 * --------------------------------------------------------------------------------------------- */

static void test_fault__undisturbed_work_succeeds(void **state)
{
    assert_false(run(state, CALL_NONE, 1, false, 0, VISIT_OK));
}

static void test_fault__open(void **state)
{
    run_each(state, CALL_OPEN, EIO, VISIT_ERROR_IO);
    run_each(state, CALL_OPEN, EMFILE, VISIT_ERROR_NO_MEMORY);
}

/* A file system without O_TMPFILE is no error; the new file has a name from the start. */
static void test_fault__tmpfile(void **state)
{
    run_each(state, CALL_TMPFILE, EIO, VISIT_ERROR_IO);
    run_each(state, CALL_TMPFILE, ENOSPC, VISIT_ERROR_NO_SPACE);
    run_each(state, CALL_TMPFILE, EOPNOTSUPP, VISIT_OK);
}

static void test_fault__pwrite(void **state)
{
    run_each(state, CALL_PWRITE, EIO, VISIT_ERROR_IO);
    run_each(state, CALL_PWRITE, ENOSPC, VISIT_ERROR_NO_SPACE);
    run_each(state, CALL_PWRITE, EDQUOT, VISIT_ERROR_NO_SPACE);
}

static void test_fault__fallocate(void **state)
{
    run_each(state, CALL_FALLOCATE, EIO, VISIT_ERROR_IO);
    run_each(state, CALL_FALLOCATE, ENOSPC, VISIT_ERROR_NO_SPACE);
    run_each(state, CALL_FALLOCATE, EFBIG, VISIT_ERROR_NO_SPACE);
    run_each(state, CALL_FALLOCATE, EOPNOTSUPP, VISIT_OK);
}

static void test_fault__ftruncate(void **state)
{
    run_each(state, CALL_FTRUNCATE, EIO, VISIT_ERROR_IO);
}

static void test_fault__sync(void **state)
{
    run_each(state, CALL_SYNC, EIO, VISIT_ERROR_IO);
    run_each(state, CALL_FSYNC, EIO, VISIT_ERROR_IO);
}

static void test_fault__mmap(void **state)
{
    run_each(state, CALL_MMAP, EIO, VISIT_ERROR_IO);
    for (int number = 1; run(state, CALL_MMAP, number, true, ENOMEM, VISIT_ERROR_NO_MEMORY);)
        number++;
    for (int number = 1; run(state, CALL_MMAP, number, false, ENOMEM, VISIT_ERROR_NO_MEMORY);)
        number++;
}

static void test_fault__linkat(void **state)
{
    run_each(state, CALL_LINKAT, EIO, VISIT_ERROR_IO);
    run_each(state, CALL_LINKAT, ENOSPC, VISIT_ERROR_NO_SPACE);
}

static void test_fault__lock(void **state)
{
    run_each(state, CALL_FCNTL, EIO, VISIT_ERROR_IO);
}

/* A signal that comes meanwhile is nobody's error. */
static void test_fault__interruption_is_not_seen(void **state)
{
    static const enum call calls[] = {CALL_PWRITE, CALL_SYNC, CALL_FALLOCATE, CALL_FCNTL};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        for (int number = 1; run(state, calls[i], number, false, EINTR, VISIT_OK);)
            number += 1 + number / 3;
    }
}

/* A sync that failed once is not forgotten: what the system threw away can't be written any more.
 */
static void check_failed_sync(const struct scratch *scratch, int number)
{
    VisitOptions options = {.size = sizeof options, .checkpoint_interval_ms = -1};
    VisitManager *manager = store_open_with(scratch->store, &options);
    VisitManagerClear(manager, 1);
    assert_true(VisitManagerAddVisit(manager, 1, 2, "u", "t"));
    fault_arm(CALL_SYNC, number, false, EIO);
    VisitStatus status = VisitManagerSync(manager);
    fault_disarm();
    assert_int_equal(status, VISIT_ERROR_IO);
    assert_last(VISIT_ERROR_IO, scratch->store);
    assert_false(VisitManagerAddVisit(manager, 1, 3, "u", "t"));
    assert_last(VISIT_ERROR_IO, scratch->store);
    assert_status(VisitManagerSync(manager), VISIT_ERROR_IO);
    VisitManagerFree(manager);
    assert_last(VISIT_ERROR_IO, scratch->store);
    manager = store_open(scratch->store, 10);
    assert_visits(manager, 0, 1);
    assert_true(VisitManagerAddVisit(manager, 1, 4, "u", "t"));
    assert_ok(store_verify(manager));
    store_close(manager);
}

/* The data's sync, and the record's. */
static void test_fault__failed_sync_stays_failed(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 3);
    check_failed_sync(scratch, 1);
    check_failed_sync(scratch, 2);
}

/* A background checkpoint that fails is told at the next change. */
static void test_fault__failed_background_sync_is_told(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .checkpoint_interval_ms = 1};
    store_make(scratch->store, 3);
    VisitManager *manager = store_open_with(scratch->store, &options);
    fault_arm(CALL_SYNC, 1, true, EIO);
    uint32_t id = 2;
    while (VisitManagerAddVisit(manager, 1, id, "u", "t")) {
        id++;
        usleep(1000);
    }
    assert_last(VISIT_ERROR_IO, scratch->store);
    VisitManagerFree(manager);
    assert_last(VISIT_ERROR_IO, NULL);
    fault_disarm();
    manager = store_open(scratch->store, 10);
    assert_visits(manager, 0, 1);
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * A disk that is full
 * --------------------------------------------------------------------------------------------- */

#define NO_MOUNT 97

static int fill_disk(void *data)
{
    const struct scratch *scratch = data;
    char path[320];
    size_t count = 0;
    uint32_t user = 0;
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", scratch->folder, "tmpfs", 0, "size=8m"))
        return NO_MOUNT;
    snprintf(path, sizeof path, "%s/full.rv", scratch->folder);
    VisitManager *manager = VisitManagerCreate(path, 3);
    child_check(manager);
    char *text = string_make(1, 5000);
    while (user < 100000 && VisitManagerAddVisit(manager, user, 1, "u", text))
        user++;
    child_check(VisitLastStatus() == VISIT_ERROR_NO_SPACE);
    child_check(strstr(VisitLastError(), path));
    for (uint32_t i = 0; i < user; i++) {
        VisitManagerGetRecentVisits(manager, i, &count);
        child_check(count == 1);
    }
    child_check(VisitManagerSync(manager) == VISIT_OK);
    child_check(VisitManagerVerify(manager, NULL, NULL) == VISIT_OK);
    for (uint32_t id = 2; id < 50; id++) { /* turning in place needs no room for ever */
        VisitManagerClear(manager, 0);
        child_check(VisitManagerAddVisit(manager, 0, id, "u", text));
    }
    VisitManagerFree(manager);
    child_check(VisitLastStatus() == VISIT_OK);
    free(text);
    return 0;
}

static void test_fault__full_disk_is_no_space(void **state)
{
    struct scratch *scratch = *state;
    int result = in_child(fill_disk, scratch);
    if (result == NO_MOUNT) {
        print_message("skipped: mounting a small file system is not allowed here\n");
        skip();
    }
    assert_int_equal(result, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fault__undisturbed_work_succeeds),
        cmocka_unit_test(test_fault__open),
        cmocka_unit_test(test_fault__tmpfile),
        cmocka_unit_test(test_fault__pwrite),
        cmocka_unit_test(test_fault__fallocate),
        cmocka_unit_test(test_fault__ftruncate),
        cmocka_unit_test(test_fault__sync),
        cmocka_unit_test(test_fault__mmap),
        cmocka_unit_test(test_fault__linkat),
        cmocka_unit_test(test_fault__lock),
        cmocka_unit_test(test_fault__interruption_is_not_seen),
        scratch_test(test_fault__failed_sync_stays_failed),
        scratch_test(test_fault__failed_background_sync_is_told),
        scratch_test(test_fault__full_disk_is_no_space),
    };
    return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
