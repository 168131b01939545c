/* SPDX-License-Identifier: MIT */
/* Other processes: stores that are in use, whose writer died, or that a fork() left open. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/format.h"
#include "support.h"

/* ------------------------------------------------------------------------------------------------
 * In use
 * --------------------------------------------------------------------------------------------- */

static void test_process__second_writer_here_is_busy(void **state)
{
    const struct scratch *scratch = *state;
    char pid[20];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    VisitManager *manager = store_open(scratch->store, 5);
    assert_open_fails(scratch->store, NULL, VISIT_ERROR_BUSY, pid);
    assert_last(VISIT_ERROR_BUSY, "this process");
    assert_null(VisitManagerCreate(scratch->store, 3));
    assert_last(VISIT_ERROR_BUSY, scratch->store);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    store_close(manager);
    store_close(store_open(scratch->store, 5));
}

static void test_process__second_writer_by_another_name_is_busy(void **state)
{
    const struct scratch *scratch = *state;
    const char *name = scratch_path(scratch, "link.rv");
    VisitManager *other = NULL;
    VisitManager *manager = store_open(scratch->store, 5);
    assert_int_equal(symlink(scratch->store, name), 0);
    assert_status(VisitManagerOpen(name, NULL, &other), VISIT_ERROR_BUSY);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(link(scratch->store, name), 0);
    assert_status(VisitManagerOpen(name, NULL, &other), VISIT_ERROR_BUSY);
    store_close(manager);
}

static int open_busy(void *data)
{
    const struct scratch *scratch = data;
    char pid[20];
    VisitManager *manager = NULL;
    snprintf(pid, sizeof pid, "%d", (int)getppid());
    child_check(VisitManagerOpen(scratch->store, NULL, &manager) == VISIT_ERROR_BUSY);
    child_check(VisitLastStatus() == VISIT_ERROR_BUSY);
    child_check(strstr(VisitLastError(), scratch->store) && strstr(VisitLastError(), pid));
    child_check(!VisitManagerCreate(scratch->store, 5));
    return 0;
}

static void test_process__second_writer_elsewhere_is_busy(void **state)
{
    struct scratch *scratch = *state;
    VisitManager *manager = store_open(scratch->store, 5);
    assert_int_equal(in_child(open_busy, scratch), 0);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * Stores whose writer died
 * --------------------------------------------------------------------------------------------- */
static int add_and_die(void *data)
{
    const struct scratch *scratch = data;
    VisitManager *manager = VisitManagerCreate(scratch->store, 5);
    child_check(manager);
    for (uint32_t id = 1; id <= 7; id++)
        child_check(VisitManagerAddVisit(manager, id % 2, id, "u", "t"));
    raise(SIGKILL);
    return 1;
}

static void test_process__refused_recovery_is_not_clean(void **state)
{
    struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .recovery = VISIT_RECOVER_REFUSE};
    assert_int_equal(in_child(add_and_die, scratch), 1000 + SIGKILL);
    struct image before = image_read(scratch->store);
    assert_open_fails(scratch->store, &options, VISIT_ERROR_NOT_CLEAN, NULL);
    options.mode = VISIT_READ_ONLY;
    assert_open_fails(scratch->store, &options, VISIT_ERROR_NOT_CLEAN, NULL);
    options.mode = VISIT_EXCLUSIVE;
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
    VisitManager *manager = store_open_with(scratch->store, NULL);
    assert_visits(manager, 1, 7, 5, 3, 1); /* what was acknowledged is there */
    assert_visits(manager, 0, 6, 4, 2);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.state, VISIT_FOUND_KILLED);
    assert_ok(store_verify(manager));
    store_close(manager);
    store_close(store_open_with(scratch->store, &options));
    options.mode = VISIT_READ_ONLY;
    store_close(store_open_with(scratch->store, &options));
}

static int stop_progress(void *data, const char *what, uint64_t done, uint64_t total)
{
    int *calls = data;
    (void)done;
    (void)total;
    *calls += what && what[0] ? 1 : 1000;
    return 1;
}

static int follow_progress(void *data, const char *what, uint64_t done, uint64_t total)
{
    int *calls = data;
    *calls += what && what[0] && (total == 0 || done <= total) ? 1 : 1000000;
    return 0;
}

/* A store whose writer died before another boot; as of its last checkpoint it has users 0 to 2. */
static int add_more_and_die(void *data)
{
    const struct scratch *scratch = data;
    VisitOptions options = {.size = sizeof options, .checkpoint_interval_ms = -1};
    VisitManager *manager = NULL;
    child_check(VisitManagerOpen(scratch->store, &options, &manager) == VISIT_OK);
    for (uint32_t user = 2; user < 2000; user++)
        child_check(VisitManagerAddVisit(manager, user, 2, "u", "t"));
    raise(SIGKILL);
    return 1;
}

static void make_crashed(struct scratch *scratch)
{
    store_make(scratch->store, 3);
    assert_int_equal(in_child(add_more_and_die, scratch), 1000 + SIGKILL);
    file_write_at(scratch->store, 3 * RV_PAGE + offsetof(struct rv_disk_live, boot_id),
                  "not of this boot", 16);
}

static void test_process__callback_cancels_a_recovery(void **state)
{
    struct scratch *scratch = *state;
    int calls = 0;
    make_crashed(scratch);
    VisitOptions options = {
        .size = sizeof options, .progress = stop_progress, .progress_data = &calls};
    assert_open_fails(scratch->store, &options, VISIT_ERROR_CANCELLED, NULL);
    assert_int_equal(calls, 1);
    calls = 0;
    options.progress = follow_progress;
    VisitManager *manager = store_open_with(scratch->store, &options);
    assert_in_range(calls, 1, 999999);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.state, VISIT_FOUND_CRASHED);
    assert_int_equal(stats.users, 3);
    assert_visits(manager, 2, 1);
    assert_no_visits(manager, 3);
    assert_ok(store_verify(manager));
    store_close(manager);
}

static void test_process__crashed_store_is_not_clean(void **state)
{
    struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .recovery = VISIT_RECOVER_REFUSE};
    make_crashed(scratch);
    struct image before = image_read(scratch->store);
    assert_open_fails(scratch->store, &options, VISIT_ERROR_NOT_CLEAN, NULL);
    VisitManager *manager = store_open_read_only(scratch->store);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.state, VISIT_FOUND_UNCLEAN);
    assert_int_equal(stats.users, 3);
    assert_visits(manager, 2, 1);
    assert_no_visits(manager, 3);
    assert_ok(store_verify(manager));
    store_close(manager);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
}

/* ------------------------------------------------------------------------------------------------
 * Forked
 * --------------------------------------------------------------------------------------------- */
/* A manager and what belongs to it, inherited by a child. */
struct inherited {
    VisitManager *manager;
    VisitReader *reader;
    VisitUsers *users;
    const struct scratch *scratch;
    int pipe[2];
};

static bool forked(VisitStatus status)
{
    return status == VISIT_ERROR_FORKED && VisitLastStatus() == VISIT_ERROR_FORKED &&
           VisitLastError()[0] && !strchr(VisitLastError(), '\n');
}

static int child_reads(const struct inherited *in)
{
    const Visit *visits = NULL;
    const VisitPacked *packed = NULL;
    size_t count = 99;
    size_t size = 99;
    VisitReader *reader = NULL;
    VisitUsers *users = NULL;
    uint32_t user = 0;
    VisitStats stats = {.size = sizeof stats};
    child_check(!VisitManagerGetRecentVisits(in->manager, 1, &count));
    child_check(count == 0);
    child_check(forked(VisitLastStatus()));
    child_check(forked(VisitReaderOpen(in->manager, &reader)));
    child_check(forked(VisitReaderGet(in->reader, 1, 0, &visits, &count)));
    child_check(forked(VisitReaderGetPacked(in->reader, 1, 0, &packed, &size, &count)));
    child_check(forked(VisitUsersOpen(in->manager, &users)));
    child_check(forked(VisitUsersNext(in->users, &user, &count)));
    child_check(forked(VisitManagerStats(in->manager, &stats)));
    child_check(forked(VisitManagerVerify(in->manager, NULL, NULL)));
    return 0;
}

static int child_writes(const struct inherited *in)
{
    uint32_t ids[] = {1};
    size_t number = 0;
    VisitInput input = visit_now(1, 2, "u", "t");
    child_check(!VisitManagerAddVisit(in->manager, 1, 2, "u", "t"));
    child_check(forked(VisitLastStatus()));
    child_check(forked(VisitManagerAdd(in->manager, &input)));
    child_check(forked(VisitManagerAddMany(in->manager, &input, 1, &number)));
    child_check(!VisitManagerDelete(in->manager, 1, ids, 1));
    child_check(forked(VisitLastStatus()));
    child_check(forked(VisitManagerRemove(in->manager, 1, ids, 1, &number)));
    VisitManagerClear(in->manager, 1);
    child_check(forked(VisitLastStatus()));
    child_check(forked(VisitManagerClearUser(in->manager, 1)));
    child_check(forked(VisitManagerSync(in->manager)));
    child_check(
        forked(VisitManagerBackup(in->manager, scratch_path(in->scratch, "copy.rv"), NULL, NULL)));
    return 0;
}

static int use_inherited(void *data)
{
    const struct inherited *in = data;
    int result = child_reads(in);
    if (result == 0)
        result = child_writes(in);
    VisitUsersFree(in->users);
    VisitReaderFree(in->reader);
    VisitManagerFree(in->manager);
    VisitManager *manager = NULL;
    child_check(VisitManagerOpen(in->scratch->store, NULL, &manager) == VISIT_ERROR_BUSY);
    return result;
}

static void test_process__child_of_a_fork_is_told(void **state)
{
    struct inherited in = {.scratch = *state};
    store_make(in.scratch->store, 3);
    in.manager = store_open(in.scratch->store, 5);
    assert_ok(VisitReaderOpen(in.manager, &in.reader));
    assert_ok(VisitUsersOpen(in.manager, &in.users));
    for (int i = 0; i < 3; i++)
        assert_int_equal(in_child(use_inherited, &in), 0);
    assert_open_fails(in.scratch->store, NULL, VISIT_ERROR_BUSY, NULL); /* still locked */
    assert_true(VisitManagerAddVisit(in.manager, 1, 2, "u", "t"));
    assert_visits(in.manager, 1, 2, 1);
    assert_ok(VisitManagerSync(in.manager));
    assert_ok(store_verify(in.manager));
    VisitUsersFree(in.users);
    VisitReaderFree(in.reader);
    store_close(in.manager);
}

/* Opens the store, forks a child that waits for the end of a pipe, and is killed once that is
 * there: what it inherited is closed then. */
static int fork_and_die(void *data)
{
    const struct inherited *in = data;
    int ready[2];
    char byte = 0;
    child_check(pipe(ready) == 0);
    VisitManager *manager = VisitManagerCreate(in->scratch->store, 5);
    child_check(manager && VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    pid_t child = fork_child();
    child_check(child >= 0);
    if (child == 0) {
        close(in->pipe[1]);
        child_exit(write(ready[1], &byte, 1) != 1 || read(in->pipe[0], &byte, 1) != 0);
    }
    child_check(read(ready[0], &byte, 1) == 1);
    raise(SIGKILL);
    return 1;
}

static void test_process__child_that_outlives_a_killed_parent_keeps_no_lock(void **state)
{
    struct inherited in = {.scratch = *state};
    assert_int_equal(pipe(in.pipe), 0);
    assert_int_equal(in_child(fork_and_die, &in), 1000 + SIGKILL);
    VisitManager *manager = store_open_with(in.scratch->store, NULL);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.state, VISIT_FOUND_KILLED);
    assert_visits(manager, 1, 1);
    store_close(manager);
    close(in.pipe[0]);
    close(in.pipe[1]);
}

/* A child that ends without a word leaves the parent's store as it is. */
static int do_nothing(void *data)
{
    (void)data;
    return 0;
}

static void test_process__child_that_ends_changes_nothing(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = store_open(scratch->store, 5);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    assert_int_equal(in_child(do_nothing, NULL), 0);
    assert_open_fails(scratch->store, NULL, VISIT_ERROR_BUSY, NULL);
    store_close(manager);
    manager = store_open(scratch->store, 5);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.state, VISIT_FOUND_CLEAN);
    store_close(manager);
}

/* Many forks while other threads open, add, read, back up and close. */
struct busy {
    const struct scratch *scratch;
    VisitManager *manager;
    bool stop; /* atomic */
    bool good; /* atomic */
};

static void *keep_adding(void *data)
{
    struct busy *busy = data;
    for (uint32_t id = 1; !__atomic_load_n(&busy->stop, __ATOMIC_ACQUIRE); id++) {
        if (!VisitManagerAddVisit(busy->manager, id % 50, id, "url", "text") ||
            (id % 7 == 0 && VisitManagerClearUser(busy->manager, id % 11)) ||
            (id % 64 == 0 && VisitManagerSync(busy->manager)))
            __atomic_store_n(&busy->good, false, __ATOMIC_RELEASE);
    }
    return NULL;
}

/* Returns false if all goes well. */
static bool open_and_copy(const char *path, const char *copy)
{
    VisitManager *manager = NULL;
    if (VisitManagerOpen(path, NULL, &manager) || VisitManagerBackup(manager, copy, NULL, NULL))
        return true;
    VisitManagerFree(manager);
    if (VisitLastStatus() || VisitManagerOpen(copy, NULL, &manager))
        return true; /* nobody has it any more */
    VisitManagerFree(manager);
    return VisitLastStatus() != VISIT_OK;
}

/* A store of its own, made, copied and taken away again; always free when it is opened. */
static void *keep_opening(void *data)
{
    struct busy *busy = data;
    char path[320];
    char copy[320];
    snprintf(path, sizeof path, "%s/other.rv", busy->scratch->folder);
    snprintf(copy, sizeof copy, "%s/copy.rv", busy->scratch->folder);
    while (!__atomic_load_n(&busy->stop, __ATOMIC_ACQUIRE)) {
        if (open_and_copy(path, copy)) {
            print_error("open, back up, close: %s\n", VisitLastError());
            __atomic_store_n(&busy->good, false, __ATOMIC_RELEASE);
        }
        unlink(path);
        unlink(copy);
    }
    return NULL;
}

static int count_descriptors(void)
{
    int count = 0;
    for (int fd = 3; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int use_in_busy_child(void *data)
{
    const struct busy *busy = data;
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    VisitManager *manager = NULL;
    size_t count;
    child_check(!VisitManagerAddVisit(busy->manager, 1, 1, "u", "t"));
    child_check(forked(VisitLastStatus()));
    child_check(!VisitManagerGetRecentVisits(busy->manager, 1, &count));
    child_check(forked(VisitLastStatus()));
    child_check(forked(VisitManagerSync(busy->manager)));
    VisitManagerFree(busy->manager);
    child_check(VisitManagerOpen(busy->scratch->store, NULL, &manager) == VISIT_ERROR_BUSY);
    child_check(VisitManagerOpen(busy->scratch->store, &options, &manager) == VISIT_OK);
    VisitManagerGetRecentVisits(manager, 1, &count);
    child_check(VisitLastStatus() == VISIT_OK || VisitLastStatus() == VISIT_ERROR_BUSY);
    VisitManagerFree(manager);
    return 0;
}

/* Children that live on while the parent goes on. */
static int linger(int before)
{
    /* The folder and the boot id are descriptors too, for an instant. */
    int left = count_descriptors();
    usleep(20000);
    return left > before + 1 ? 98 : 0;
}

static void test_process__forks_while_threads_are_busy(void **state)
{
    struct busy busy = {.scratch = *state, .good = true};
    pthread_t threads[2];
    pid_t children[60];
    int status = 0;
    int before = count_descriptors();
    busy.manager = store_open(busy.scratch->store, 5);
    assert_int_equal(pthread_create(&threads[0], NULL, keep_adding, &busy), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, keep_opening, &busy), 0);
    for (int i = 0; i < 60; i++) {
        children[i] = fork_child();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            child_exit(i % 2 ? use_in_busy_child(&busy) : linger(before));
        usleep(1000);
    }
    for (int i = 0; i < 60; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    __atomic_store_n(&busy.stop, true, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_true(busy.good);
    assert_ok(store_verify(busy.manager));
    store_close(busy.manager);
    store_close(store_open(busy.scratch->store, 5));
}

static int read_after_fork(void *data)
{
    VisitManager *manager = data;
    size_t count;
    child_check(!VisitManagerGetRecentVisits(manager, 1, &count));
    child_check(forked(VisitLastStatus()));
    child_check(forked(VisitManagerVerify(manager, NULL, NULL)));
    VisitManagerFree(manager);
    return 0;
}

static void test_process__child_of_a_reader_is_told(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 3);
    VisitManager *manager = store_open_read_only(scratch->store);
    assert_visits(manager, 1, 1);
    assert_int_equal(in_child(read_after_fork, manager), 0);
    assert_visits(manager, 1, 1);
    store_close(manager);
}

/* What a child does with a store of its own, or with this one afterwards, is its own business. */
static int open_when_free(void *data)
{
    const struct inherited *in = data;
    VisitManagerFree(in->manager);
    VisitManager *manager = VisitManagerCreate(scratch_path(in->scratch, "child.rv"), 5);
    child_check(manager);
    child_check(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    VisitManagerFree(manager);
    child_check(VisitLastStatus() == VISIT_OK);
    return 0;
}

static void test_process__child_opens_a_store_of_its_own(void **state)
{
    skip_if_emulated("has no threads in a child of threads");
    struct inherited in = {.scratch = *state};
#ifdef __SANITIZE_THREAD__
    print_message("skipped: ThreadSanitizer knows no threads in a child of one with threads\n");
    skip();
#endif
    in.manager = store_open(in.scratch->store, 5);
    assert_int_equal(in_child(open_when_free, &in), 0);
    assert_true(VisitManagerAddVisit(in.manager, 1, 1, "u", "t"));
    store_close(in.manager);
    VisitManager *manager = store_open(scratch_path(in.scratch, "child.rv"), 5);
    assert_visits(manager, 1, 1);
    store_close(manager);
}

/* ------------------------------------------------------------------------------------------------
 * Names
 * --------------------------------------------------------------------------------------------- */

static void test_process__renamed_store_goes_on(void **state)
{
    const struct scratch *scratch = *state;
    char other[320];
    snprintf(other, sizeof other, "%s/renamed.rv", scratch->folder);
    VisitManager *manager = store_open(scratch->store, 5);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    assert_int_equal(rename(scratch->store, other), 0);
    assert_true(VisitManagerAddVisit(manager, 1, 2, "u", "t"));
    assert_ok(VisitManagerSync(manager));
    assert_open_fails(other, NULL, VISIT_ERROR_BUSY, NULL);
    VisitManager *second = store_open(scratch->store, 5); /* a new one under the old name */
    assert_no_visits(second, 1);
    store_close(second);
    store_close(manager);
    manager = store_open(other, 5);
    assert_visits(manager, 1, 2, 1);
    store_close(manager);
}

static void test_process__deleted_store_goes_on(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = store_open(scratch->store, 5);
    VisitManager *reader = store_open_read_only(scratch->store);
    assert_int_equal(unlink(scratch->store), 0);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    assert_ok(VisitManagerSync(manager));
    assert_visits(reader, 1, 1);
    assert_ok(VisitManagerBackup(manager, scratch_path(scratch, "copy.rv"), NULL, NULL));
    store_close(reader);
    store_close(manager);
    manager = store_open(scratch_path(scratch, "copy.rv"), 5);
    assert_visits(manager, 1, 1);
    store_close(manager);
    assert_false(file_exists(scratch->store));
}

static void test_process__replaced_store_is_another_one(void **state)
{
    const struct scratch *scratch = *state;
    char other[320];
    snprintf(other, sizeof other, "%s/other.rv", scratch->folder);
    store_make(other, 3);
    VisitManager *manager = store_open(scratch->store, 5);
    VisitManager *reader = store_open_read_only(scratch->store);
    assert_true(VisitManagerAddVisit(manager, 9, 9, "u", "t"));
    assert_int_equal(rename(other, scratch->store), 0);
    VisitManager *second = store_open(scratch->store, 5);
    assert_visits(second, 1, 1);
    assert_no_visits(second, 9);
    assert_visits(manager, 9, 9);
    assert_visits(reader, 9, 9);
    assert_true(VisitManagerAddVisit(manager, 9, 10, "u", "t"));
    assert_visits(reader, 9, 10, 9);
    store_close(reader);
    store_close(manager);
    assert_visits(second, 1, 1);
    store_close(second);
}

static void test_process__reader_by_another_name_reads_along(void **state)
{
    const struct scratch *scratch = *state;
    const char *name = scratch_path(scratch, "link.rv");
    VisitManager *manager = store_open(scratch->store, 5);
    assert_int_equal(link(scratch->store, name), 0);
    VisitManager *reader = store_open_read_only(name);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    assert_visits(reader, 1, 1);
    store_close(reader);
    assert_open_fails(name, NULL, VISIT_ERROR_BUSY, "this process"); /* no lock went with it */
    store_close(manager);
}

struct attempt {
    const char *path;
    VisitStatus status;
    char message[512];
};

static void *attempt_to_open(void *data)
{
    struct attempt *a = data;
    VisitManager *manager = NULL;
    a->status = VisitManagerOpen(a->path, NULL, &manager);
    snprintf(a->message, sizeof a->message, "%s", VisitLastError());
    VisitManagerFree(manager);
    return NULL;
}

static void lock_byte(int fd, int byte, short type)
{
    struct flock lock = {.l_type = type,
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)(UINT64_C(1) << 60) + byte,
                         .l_len = 1};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
}

/* Somebody makes a store of an empty file, which was empty when the other opened it too. */
static void test_process__writer_of_a_store_that_was_empty_is_named(void **state)
{
    const struct scratch *scratch = *state;
    struct attempt attempt = {.path = scratch->store};
    pthread_t thread;
    store_make(scratch->store, 1);
    struct image image = image_read(scratch->store);
    image_set_word(&image, 3 * RV_PAGE + offsetof(struct rv_disk_live, holder), 12345);
    file_write(scratch->store, "", 0);
    int fd = open(scratch->store, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    lock_byte(fd, 0, F_WRLCK); /* opening */
    assert_int_equal(pthread_create(&thread, NULL, attempt_to_open, &attempt), 0);
    usleep(100000); /* it has opened the file by now; if not, this shows nothing */
    file_write_at(scratch->store, 0, image.bytes, image.size);
    lock_byte(fd, 1, F_WRLCK); /* writing */
    lock_byte(fd, 0, F_UNLCK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(fd);
    image_free(&image);
    assert_int_equal(attempt.status, VISIT_ERROR_BUSY);
    assert_non_null(strstr(attempt.message, "process 12345"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_process__second_writer_here_is_busy),
        scratch_test(test_process__second_writer_by_another_name_is_busy),
        scratch_test(test_process__second_writer_elsewhere_is_busy),
        scratch_test(test_process__refused_recovery_is_not_clean),
        scratch_test(test_process__callback_cancels_a_recovery),
        scratch_test(test_process__crashed_store_is_not_clean),
        scratch_test(test_process__child_of_a_fork_is_told),
        scratch_test(test_process__child_that_outlives_a_killed_parent_keeps_no_lock),
        scratch_test(test_process__child_that_ends_changes_nothing),
        scratch_test(test_process__child_of_a_reader_is_told),
        scratch_test(test_process__child_opens_a_store_of_its_own),
        scratch_test(test_process__forks_while_threads_are_busy),
        scratch_test(test_process__renamed_store_goes_on),
        scratch_test(test_process__deleted_store_goes_on),
        scratch_test(test_process__replaced_store_is_another_one),
        scratch_test(test_process__reader_by_another_name_reads_along),
        scratch_test(test_process__writer_of_a_store_that_was_empty_is_named),
    };
    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
