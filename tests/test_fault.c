/* SPDX-License-Identifier: MIT */
/*
 * System calls and allocations that fail. Each operation is run once for each call of each kind
 * that it makes, with that call failing, and once more with all from that one on failing. Whatever
 * the library answers, it says so with the status that fits, leaks nothing, and the store holds
 * afterwards exactly what was acknowledged, or, if it was a sync that failed, what one of its last
 * checkpoints had.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/format.h"
#include "compare.h"
#include "faults.h"
#include "model.h"
#include "support.h"

/* ------------------------------------------------------------------------------------------------
 * The work that is disturbed
 * --------------------------------------------------------------------------------------------- */

#define LIMIT 4
#define USERS 24u
#define SNAPSHOTS 8

/* What a fault may lead to. */
struct injury {
    enum fault kind;
    int error;
    VisitStatus expected;
    enum { MAY_PASS, REPORTED_FOR_GOOD, REPORTED } told; /* must some call fail for it? */
    enum fault also;                                     /* fails after it */
};

struct work {
    const struct injury *injury;
    bool killed; /* the store was a dead writer's */
    VisitManager *manager;
    VisitManager *beside;              /* a second manager of the same store */
    struct model model;                /* what was acknowledged */
    struct model snapshots[SNAPSHOTS]; /* what may be durable; the first is */
    size_t snapshot_count;
    bool failed; /* a call failed */
    bool good;
    bool unsure; /* the last sync failed: what is there is one of the snapshots */
};

/* Stores to begin with: their bytes, and what is in them. */
enum begin {
    BEGIN_NOTHING,
    BEGIN_EMPTY,   /* an empty file */
    BEGIN_UNBORN,  /* what an interrupted creation leaves */
    BEGIN_CLEAN,   /* a store that was closed */
    BEGIN_KILLED,  /* its writer died */
    BEGIN_CRASHED, /* and then the system crashed */
    BEGINS,
};

static struct start {
    struct image image;
    struct model model;
} starts[BEGINS];

static struct scratch place; /* all of it happens here: identity of the file included */

/* Runs a call of the library with the fault on. */
#define DISTURBED(work, call) ended((work), (fault_resume(), (call)), #call)

/* A call succeeds, or fails with the one status; true if it succeeded. */
static bool ended(struct work *work, VisitStatus status, const char *what)
{
    fault_pause();
    bool told = status == VisitLastStatus() && (status == VISIT_OK) == (VisitLastError()[0] == 0);
    bool fits = status == VISIT_OK || status == work->injury->expected ||
                (work->injury->also && status == VISIT_ERROR_IO);
    if (!fits || !told) {
        print_error("%s\ncame to %d, last status %d, \"%s\"; expected %d or success\n", what,
                    status, VisitLastStatus(), VisitLastError(), work->injury->expected);
        work->good = false;
    }
    work->failed = work->failed || status != VISIT_OK;
    return status == VISIT_OK;
}

/* Is it a call that makes what the file has durable? */
static bool syncs(enum fault kind)
{
    return kind == FAULT_FDATASYNC || kind == FAULT_MSYNC;
}

static void model_copy(struct model *to, const struct model *from)
{
    model_init(to, from->limit);
    for (size_t i = 0; i < from->lines; i++) {
        const struct model_user *user = &from->table[i];
        for (size_t k = user->used ? user->count : 0; k-- > 0;) {
            const struct model_visit *v = &user->visits[k];
            VisitInput input = visit_at(user->id, v->id, v->url, v->text, v->time_ns);
            input.text_length = v->text_length;
            model_add(to, &input, v->time_ns);
        }
    }
}

static void forget_snapshots(struct work *work)
{
    while (work->snapshot_count)
        model_free(&work->snapshots[--work->snapshot_count]);
}

/* A checkpoint may make true from now on what was acknowledged. */
static void snapshot(struct work *work)
{
    if (work->snapshot_count == SNAPSHOTS)
        model_free(&work->snapshots[--work->snapshot_count]);
    model_copy(&work->snapshots[work->snapshot_count++], &work->model);
}

/* All that was acknowledged is durable. */
static void durable(struct work *work)
{
    forget_snapshots(work);
    snapshot(work);
}

static char long_text[70001];

/* Some visits overflow into a run of slots, a few into a run of blocks. */
static VisitInput input_of(uint32_t user, uint32_t id)
{
    static int64_t time_ns = 1000;
    VisitInput input = visit_at(user, id, "https://example.org/", long_text, ++time_ns);
    input.text_length = user % 11 == 5 && id % 5 == 4 ? 70000 : id % 3 == 2 ? 700 : 10 + user;
    return input;
}

static void add(struct work *work, uint32_t user, uint32_t id)
{
    VisitInput input = input_of(user, id);
    if (DISTURBED(work, VisitManagerAdd(work->manager, &input)))
        model_add(&work->model, &input, input.time_ns);
}

static void add_each(struct work *work, uint32_t first_id, uint32_t last_id)
{
    for (uint32_t id = first_id; id <= last_id; id++) {
        for (uint32_t user = 0; user < USERS; user++)
            add(work, user, id);
    }
}

static VisitOptions options(void)
{
    return (VisitOptions){.size = sizeof(VisitOptions),
                          .max_visits = LIMIT,
                          .shards = 2,
                          .checkpoint_interval_ms = -1};
}

static bool open_store(struct work *work, const VisitOptions *o)
{
    snapshot(work);
    bool open = DISTURBED(work, VisitManagerOpen(place.store, o, &work->manager));
    if (!open && syncs(work->injury->kind)) {
        /* What a dead writer left may not have reached the disk. */
        work->unsure = true;
        if (work->killed)
            model_copy(&work->snapshots[work->snapshot_count++], &starts[BEGIN_CRASHED].model);
    }
    return open;
}

static void sync_store(struct work *work)
{
    snapshot(work);
    if (DISTURBED(work, VisitManagerSync(work->manager)))
        durable(work);
}

static void close_store(struct work *work)
{
    snapshot(work);
    VisitManager *manager = work->manager;
    work->manager = NULL;
    if (DISTURBED(work, (VisitManagerFree(manager), VisitLastStatus())))
        durable(work);
    else
        work->unsure = syncs(work->injury->kind);
}

static void back_up(struct work *work, VisitManager *manager)
{
    const char *path = scratch_path(&place, "copy.rv");
    snapshot(work);
    bool made = DISTURBED(work, VisitManagerBackup(manager, path, NULL, NULL));
    bool stuck = work->injury->kind == FAULT_UNLINK || work->injury->also == FAULT_UNLINK;
    if (!made && file_exists(path) && !stuck) {
        print_error("a failed backup left its file\n");
        work->good = false;
    }
    if (made) {
        VisitManager *copy = VisitManagerCreate(path, LIMIT);
        work->good = work->good && copy && compare_verify(copy) && compare_all(copy, &work->model);
        VisitManagerFree(copy);
    }
    remove(path);
}

/* ------------------------------------------------------------------------------------------------
 * Stores to begin with: their bytes, and what is in them
 * --------------------------------------------------------------------------------------------- */

static void fill(struct work *work)
{
    add_each(work, 1, 5);
    sync_store(work);
}

static void change_more(struct work *work)
{
    uint32_t ids[] = {4, 5};
    size_t removed;
    add_each(work, 6, 7);
    for (uint32_t user = 0; user < 6; user++) {
        DISTURBED(work, VisitManagerRemove(work->manager, user, ids, 2, &removed));
        model_remove(&work->model, user, ids, 2);
    }
    DISTURBED(work, VisitManagerClearUser(work->manager, 7));
    model_clear(&work->model, 7);
}

static int fill_and_die(void *data)
{
    struct work *work = data;
    VisitOptions o = options();
    child_check(open_store(work, &o));
    fill(work);
    change_more(work);
    child_check(work->good);
    raise(SIGKILL);
    return 1;
}

/* The child's work, done once more for its model alone. */
static void make_killed(struct work *work)
{
    VisitOptions o = options();
    remove(place.store);
    assert_int_equal(in_child(fill_and_die, work), 1000 + SIGKILL);
    starts[BEGIN_KILLED].image = image_read(place.store);
    remove(place.store);
    assert_true(open_store(work, &o));
    fill(work);
    model_free(&starts[BEGIN_CRASHED].model);
    model_copy(&starts[BEGIN_CRASHED].model, &work->model);
    change_more(work);
    model_free(&starts[BEGIN_KILLED].model);
    model_copy(&starts[BEGIN_KILLED].model, &work->model);
    close_store(work);
}

/* The bytes that a test begins with. A writer that died is asked for the file's inode. */
static void put(enum begin begin)
{
    const struct image *image = &starts[begin].image;
    struct stat status;
    file_write(place.store, image->bytes, image->size);
    assert_int_equal(stat(place.store, &status), 0);
    uint64_t inode = status.st_ino;
    if (begin == BEGIN_KILLED)
        file_write_at(place.store, 3 * RV_PAGE + offsetof(struct rv_disk_live, inode), &inode, 8);
}

static const struct injury unhurt = {FAULT_NONE, 0, VISIT_OK, MAY_PASS, FAULT_NONE};

static void work_begin(struct work *work, const struct injury *injury, enum begin begin)
{
    *work = (struct work){.injury = injury, .killed = begin == BEGIN_KILLED, .good = true};
    if (begin == BEGIN_NOTHING)
        remove(place.store);
    else
        put(begin);
    model_copy(&work->model, &starts[begin].model);
    durable(work);
}

static void work_end(struct work *work)
{
    forget_snapshots(work);
    model_free(&work->model);
}

static struct image image_of(const struct image *image, size_t size)
{
    struct image copy = {.size = size, .bytes = calloc(1, size + 1)};
    assert_non_null(copy.bytes);
    if (image->bytes)
        memcpy(copy.bytes, image->bytes, size < image->size ? size : image->size);
    return copy;
}

static int atfork_result;

/* Its handlers are installed once for the process: so in a child that has none yet. */
static int open_without_atfork(void *data)
{
    VisitManager *manager = NULL;
    (void)data;
    fault_arm(FAULT_ATFORK, 1, true, ENOMEM);
    fault_resume();
    struct fault_use before = fault_in_use();
    child_check(VisitManagerOpen(place.store, NULL, &manager) == VISIT_ERROR_NO_MEMORY);
    child_check(VisitLastStatus() == VISIT_ERROR_NO_MEMORY);
    struct fault_use now = fault_in_use();
    child_check(now.memory == before.memory && now.descriptors == before.descriptors &&
                now.mappings == before.mappings);
    return fault_disarm() == 1 ? 0 : 1;
}

static int make_starts(void **state)
{
    struct work work;
    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    if (!scratch_make(&place))
        return -1;
    atfork_result = in_child(open_without_atfork, NULL);
    for (int i = 0; i < BEGINS; i++)
        model_init(&starts[i].model, LIMIT);
    work_begin(&work, &unhurt, BEGIN_NOTHING);
    make_killed(&work);
    starts[BEGIN_CLEAN].image = image_read(place.store);
    model_free(&starts[BEGIN_CLEAN].model);
    model_copy(&starts[BEGIN_CLEAN].model, &work.model);
    work_end(&work);
    starts[BEGIN_CRASHED].image =
        image_of(&starts[BEGIN_KILLED].image, starts[BEGIN_KILLED].image.size);
    memset(starts[BEGIN_CRASHED].image.bytes + 3 * RV_PAGE + offsetof(struct rv_disk_live, boot_id),
           1, 16);
    struct image nothing = {.bytes = NULL};
    starts[BEGIN_EMPTY].image = image_of(&nothing, 0);
    starts[BEGIN_UNBORN].image = image_of(&nothing, RV_PAGE * (size_t)2);
    return 0;
}

static int forget_starts(void **state)
{
    (void)state;
    for (int i = 0; i < BEGINS; i++) {
        image_free(&starts[i].image);
        model_free(&starts[i].model);
    }
    scratch_remove(&place);
    return 0;
}

/* ------------------------------------------------------------------------------------------------
 * Operations
 * --------------------------------------------------------------------------------------------- */

struct operation {
    const char *name;
    enum begin begin;
    void (*prepare)(struct work *work); /* undisturbed */
    void (*run)(struct work *work);     /* disturbed */
};

static void open_now(struct work *work)
{
    VisitOptions o = options();
    open_store(work, &o);
}

/* A file system without O_TMPFILE. */
static void lack_tmpfile(struct work *work)
{
    (void)work;
    fault_no_tmpfile = true;
}

static void open_with_thread(struct work *work)
{
    VisitOptions o = options();
    o.checkpoint_interval_ms = 1000000;
    open_store(work, &o);
}

static void open_with_larger_limit(struct work *work)
{
    VisitOptions o = options();
    o.max_visits = LIMIT + 3;
    snapshot(work);
    model_set_limit(&work->model, LIMIT + 3);
    work->unsure = !open_store(work, &o);
}

static void make_limit_smaller(struct work *work)
{
    VisitOptions o = options();
    o.max_visits = LIMIT - 1;
    assert_true(open_store(work, &o));
    model_set_limit(&work->model, LIMIT - 1);
    close_store(work);
}

static void grow(struct work *work)
{
    for (uint32_t id = 20; id < 27; id++) {
        for (uint32_t user = 0; user < 2 * USERS; user += 5)
            add(work, user, id);
    }
}

static void add_many(struct work *work)
{
    VisitInput inputs[40];
    size_t added = 0;
    for (uint32_t i = 0; i < 40; i++)
        inputs[i] = input_of(100 + i / 4, i);
    DISTURBED(work, VisitManagerAddMany(work->manager, inputs, 40, &added));
    for (size_t i = 0; i < added; i++)
        model_add(&work->model, &inputs[i], inputs[i].time_ns);
}

static void remove_and_clear(struct work *work)
{
    for (uint32_t user = 0; user < USERS; user++) {
        uint32_t ids[] = {3, 4, 77};
        size_t removed = 0;
        if (user % 3 == 0) {
            if (DISTURBED(work, VisitManagerClearUser(work->manager, user)))
                model_clear(&work->model, user);
        } else if (DISTURBED(work, VisitManagerRemove(work->manager, user, ids, 3, &removed))) {
            work->good = work->good && model_remove(&work->model, user, ids, 3) == removed;
        }
    }
}

static void sync_twice(struct work *work)
{
    remove_and_clear(work);
    sync_store(work);
    grow(work);
    sync_store(work);
    add_each(work, 30, 30);
}

static void change_and_close(struct work *work)
{
    add_each(work, 8, 8);
    close_store(work);
}

static void open_without_tmpfile(struct work *work)
{
    open_now(work);
    fault_no_tmpfile = true;
}

static void back_up_here(struct work *work)
{
    back_up(work, work->manager);
}

static void read_user(struct work *work, VisitManager *manager, VisitReader *reader, uint32_t user)
{
    const struct model_user *known = model_find(&work->model, user);
    size_t expected = known ? known->count : 0;
    size_t count = 0;
    size_t size = 0;
    const Visit *visits;
    const VisitPacked *packed;
    fault_resume();
    VisitManagerGetRecentVisits(manager, user, &count);
    bool good = !ended(work, VisitLastStatus(), "get") || count == expected;
    good =
        (!DISTURBED(work, VisitReaderGet(reader, user, 0, &visits, &count)) || count == expected) &&
        good;
    good = (!DISTURBED(work, VisitReaderGetPacked(reader, user, 0, &packed, &size, &count)) ||
            count == expected) &&
           good;
    work->good = work->good && good;
}

static void iterate(struct work *work, VisitManager *manager)
{
    VisitUsers *users = NULL;
    uint32_t user;
    size_t seen = 0;
    if (!DISTURBED(work, VisitUsersOpen(manager, &users)))
        return;
    fault_resume();
    VisitStatus status;
    while ((status = VisitUsersNext(users, &user, NULL)) == VISIT_OK)
        seen++;
    VisitUsersFree(users);
    if (status != VISIT_END)
        ended(work, status, "iteration");
    fault_pause();
    work->good = work->good && (status != VISIT_END || seen == work->model.users);
}

static void read_all(struct work *work, VisitManager *manager)
{
    VisitReader *reader = NULL;
    VisitStats stats = {.size = sizeof stats};
    if (DISTURBED(work, VisitReaderOpen(manager, &reader))) {
        for (uint32_t user = 0; user < USERS + 1; user += 3)
            read_user(work, manager, reader, user);
        fault_resume();
        VisitReaderFree(reader);
        fault_pause();
    }
    iterate(work, manager);
    if (DISTURBED(work, VisitManagerStats(manager, &stats)))
        work->good = work->good && stats.users == work->model.users;
    DISTURBED(work, VisitManagerVerify(manager, NULL, NULL));
}

static void read_here(struct work *work)
{
    read_all(work, work->manager);
}

/* Opens read-only and reads; nothing is ever written. */
static void read_only(struct work *work)
{
    VisitOptions o = {.size = sizeof o, .mode = VISIT_READ_ONLY};
    if (!DISTURBED(work, VisitManagerOpen(place.store, &o, &work->beside)))
        return;
    read_all(work, work->beside);
    back_up(work, work->beside);
    fault_resume();
    VisitManagerFree(work->beside);
    fault_pause();
    work->beside = NULL;
}

/* Its index is its own, and has to be made anew when a writer comes. */
static void open_read_only(struct work *work)
{
    VisitOptions o = {.size = sizeof o, .mode = VISIT_READ_ONLY};
    assert_ok(VisitManagerOpen(place.store, &o, &work->beside));
    open_now(work);
}

static void read_beside(struct work *work)
{
    read_all(work, work->beside);
}

static const struct operation operations[] = {
    {"create", BEGIN_NOTHING, NULL, open_now},
    {"create without O_TMPFILE", BEGIN_NOTHING, lack_tmpfile, open_now},
    {"create in an empty file", BEGIN_EMPTY, NULL, open_now},
    {"create once more", BEGIN_UNBORN, NULL, open_now},
    {"open", BEGIN_CLEAN, NULL, open_with_thread},
    {"open after a kill", BEGIN_KILLED, NULL, open_now},
    {"open after a crash", BEGIN_CRASHED, NULL, open_now},
    {"open with a larger limit", BEGIN_CLEAN, make_limit_smaller, open_with_larger_limit},
    {"grow", BEGIN_CLEAN, open_now, grow},
    {"add many", BEGIN_CLEAN, open_now, add_many},
    {"remove and clear", BEGIN_CLEAN, open_now, remove_and_clear},
    {"checkpoint", BEGIN_CLEAN, open_now, sync_twice},
    {"close", BEGIN_CLEAN, open_now, change_and_close},
    {"close after a recovery", BEGIN_CRASHED, open_now, change_and_close},
    {"back up", BEGIN_CLEAN, open_now, back_up_here},
    {"back up without O_TMPFILE", BEGIN_CLEAN, open_without_tmpfile, back_up_here},
    {"read", BEGIN_CLEAN, open_now, read_here},
    {"read only, a closed store", BEGIN_CLEAN, NULL, read_only},
    {"read only, a crashed store", BEGIN_CRASHED, NULL, read_only},
    {"read only, beside a writer", BEGIN_CLEAN, open_now, read_only},
    {"read only, a writer came", BEGIN_CRASHED, open_read_only, read_beside},
};
#define OPERATIONS (sizeof operations / sizeof operations[0])

/* ------------------------------------------------------------------------------------------------
 * Afterwards
 * --------------------------------------------------------------------------------------------- */

#define SURELY(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("afterwards: %s; %s\n", #condition, VisitLastError());                     \
            return false;                                                                          \
        }                                                                                          \
    } while (0)

/* The store goes on, unless a sync has failed: then it reads what it has, and refuses changes. */
static bool check_open(struct work *work, bool sync_kind)
{
    VisitStatus status = VisitManagerSync(work->manager);
    SURELY(status == VISIT_OK || (sync_kind && status == VISIT_ERROR_IO));
    work->unsure = status != VISIT_OK;
    SURELY(compare_verify(work->manager));
    SURELY(compare_all(work->manager, &work->model));
    if (!work->unsure) {
        add_each(work, 40, 42);
        SURELY(VisitManagerVerify(work->manager, NULL, NULL) == VISIT_OK);
    } else {
        SURELY(!VisitManagerAddVisit(work->manager, 1, 99, "u", "t"));
        SURELY(VisitLastStatus() == VISIT_ERROR_IO);
        SURELY(VisitManagerClearUser(work->manager, 1) == VISIT_ERROR_IO);
    }
    snapshot(work);
    VisitManagerFree(work->manager);
    work->manager = NULL;
    SURELY(VisitLastStatus() == (work->unsure ? VISIT_ERROR_IO : VISIT_OK));
    return true;
}

/* Opened anew the store is whole, and has what it must have; it works on. */
static bool check_reopened(struct work *work)
{
    VisitOptions o = options();
    bool same = false;
    o.max_visits = work->model.users ? 0 : LIMIT;
    SURELY(VisitManagerOpen(place.store, &o, &work->manager) == VISIT_OK);
    SURELY(compare_verify(work->manager));
    compare_quiet = true;
    for (size_t i = 0; i < work->snapshot_count && work->unsure; i++)
        same = same || compare_all(work->manager, &work->snapshots[i]);
    compare_quiet = false;
    SURELY(same || compare_all(work->manager, &work->model));
    SURELY(VisitManagerAddVisit(work->manager, USERS + 1, 1000, "u", "t"));
    VisitManagerFree(work->manager);
    work->manager = NULL;
    SURELY(VisitLastStatus() == VISIT_OK);
    return true;
}

/* What a file is called that could not be taken away again. */
static void remove_leftovers(void)
{
    DIR *names = opendir(place.folder);
    assert_non_null(names);
    for (const struct dirent *name; (name = readdir(names));) {
        if (strncmp(name->d_name, ".rv-", 4) == 0 || strcmp(name->d_name, "copy.rv") == 0)
            remove(scratch_path(&place, name->d_name));
    }
    closedir(names);
}

static bool check_use(const struct injury *injury, struct fault_use before)
{
    struct fault_use now = fault_in_use();
    SURELY(now.memory == before.memory);
    SURELY(now.descriptors == before.descriptors);
    SURELY(now.mappings == before.mappings);
    size_t files = file_exists(place.store) ? 1 : 0;
    if (injury->kind == FAULT_UNLINK || injury->also == FAULT_UNLINK)
        remove_leftovers();
    SURELY(folder_count(place.folder) == files);
    return true;
}

static bool check_all(struct work *work, int hits, bool on)
{
    const struct injury *injury = work->injury;
    work->injury = &unhurt;
    if (work->beside)
        VisitManagerFree(work->beside);
    work->beside = NULL;
    SURELY(work->good);
    if (hits && !work->failed)
        SURELY(injury->told == MAY_PASS || (injury->told == REPORTED_FOR_GOOD && !on));
    if (work->manager && !check_open(work, syncs(injury->kind)))
        return false;
    if (!file_exists(place.store)) {
        SURELY(work->failed && work->model.users == 0);
        return true;
    }
    return check_reopened(work);
}

/* Runs the operation with the fault; returns whether it was met. */
static bool run(const struct operation *operation, const struct injury *injury, int number, bool on)
{
    struct work work;
    struct fault_use before = fault_in_use();
    work_begin(&work, &unhurt, operation->begin);
    if (operation->prepare)
        operation->prepare(&work);
    work.injury = injury;
    work.failed = false;
    fault_arm(injury->kind, number, on, injury->error);
    fault_also(injury->also, EIO);
    operation->run(&work);
    int hits = fault_disarm();
    bool good = check_all(&work, hits, on);
    work_end(&work);
    fault_no_tmpfile = false;
    good = check_use(injury, before) && good;
    if (!good)
        print_error("%s: %s number %d%s fails with %d (%s)\n", operation->name,
                    fault_name[injury->kind], number, on ? " and all after it" : "", injury->error,
                    strerror(injury->error));
    assert_true(good);
    return hits > 0;
}

/* Lets each call of each operation fail in turn, once and for good. */
static void run_each(const struct injury *injury)
{
    int met = 0;
    for (size_t i = 0; i < OPERATIONS; i++) {
        for (int on = 0; on <= (injury->error != EINTR); on++) {
            for (int number = 1; run(&operations[i], injury, number, on); number++)
                met++;
        }
    }
    print_message("%s, %s: %d failures\n", fault_name[injury->kind],
                  injury->error == FAULT_SHORT ? "half" : strerror(injury->error), met);
    assert_true(met);
}

/* ------------------------------------------------------------------------------------------------
 * Tests
 * --------------------------------------------------------------------------------------------- */

static void test_fault__undisturbed_work_succeeds(void **state)
{
    (void)state;
    for (size_t i = 0; i < OPERATIONS; i++)
        assert_false(run(&operations[i], &unhurt, 1, false));
}

/* One test a line: the calls of one kind, failing with one error. */
#define FAULT_TEST(name, kind, error, expected, told)                                              \
    FAULT_PAIR_TEST(name, kind, error, expected, told, FAULT_NONE)
#define FAULT_PAIR_TEST(name, kind, error, expected, told, also)                                   \
    static void test_fault__##name(void **state)                                                   \
    {                                                                                              \
        static const struct injury injury = {kind, error, expected, told, also};                   \
        (void)state;                                                                               \
        run_each(&injury);                                                                         \
    }

FAULT_TEST(open, FAULT_OPEN, EIO, VISIT_ERROR_IO, REPORTED)
FAULT_TEST(open_without_descriptors, FAULT_OPEN, EMFILE, VISIT_ERROR_NO_MEMORY, REPORTED)
FAULT_TEST(tmpfile, FAULT_TMPFILE, EIO, VISIT_ERROR_IO, REPORTED)
FAULT_TEST(tmpfile_without_room, FAULT_TMPFILE, ENOSPC, VISIT_ERROR_NO_SPACE, REPORTED)
FAULT_TEST(tmpfile_is_not_needed, FAULT_TMPFILE, EOPNOTSUPP, VISIT_OK, MAY_PASS)
FAULT_TEST(proc_is_not_needed, FAULT_ACCESS, ENOENT, VISIT_OK, MAY_PASS)
FAULT_TEST(close_is_not_seen, FAULT_CLOSE, EIO, VISIT_OK, MAY_PASS)
FAULT_TEST(read, FAULT_READ, EIO, VISIT_ERROR_IO, REPORTED)
FAULT_TEST(fstat, FAULT_FSTAT, EIO, VISIT_ERROR_IO, REPORTED)
FAULT_TEST(lstat, FAULT_LSTAT, EIO, VISIT_ERROR_IO, MAY_PASS)
FAULT_TEST(statx, FAULT_STATX, EIO, VISIT_ERROR_IO, MAY_PASS)
FAULT_TEST(limits_are_not_needed, FAULT_RLIMIT, EIO, VISIT_OK, MAY_PASS)
FAULT_TEST(fallocate, FAULT_FALLOCATE, EIO, VISIT_ERROR_IO, REPORTED)
FAULT_TEST(fallocate_without_room, FAULT_FALLOCATE, ENOSPC, VISIT_ERROR_NO_SPACE, MAY_PASS)
FAULT_TEST(fallocate_beyond_a_limit, FAULT_FALLOCATE, EFBIG, VISIT_ERROR_NO_SPACE, MAY_PASS)
FAULT_TEST(fallocate_is_not_needed, FAULT_FALLOCATE, EOPNOTSUPP, VISIT_OK, MAY_PASS)
FAULT_TEST(fallocate_is_interrupted, FAULT_FALLOCATE, EINTR, VISIT_OK, MAY_PASS)
FAULT_TEST(pwrite, FAULT_PWRITE, EIO, VISIT_ERROR_IO, REPORTED)
FAULT_TEST(pwrite_without_room, FAULT_PWRITE, ENOSPC, VISIT_ERROR_NO_SPACE, MAY_PASS)
FAULT_TEST(pwrite_beyond_a_quota, FAULT_PWRITE, EDQUOT, VISIT_ERROR_NO_SPACE, MAY_PASS)
FAULT_TEST(pwrite_is_interrupted, FAULT_PWRITE, EINTR, VISIT_OK, MAY_PASS)
FAULT_TEST(pwrite_writes_half, FAULT_PWRITE, FAULT_SHORT, VISIT_OK, MAY_PASS)
FAULT_TEST(ftruncate, FAULT_FTRUNCATE, EIO, VISIT_ERROR_IO, MAY_PASS)
FAULT_TEST(fdatasync, FAULT_FDATASYNC, EIO, VISIT_ERROR_IO, REPORTED)
FAULT_TEST(fdatasync_is_interrupted, FAULT_FDATASYNC, EINTR, VISIT_OK, MAY_PASS)
FAULT_TEST(msync, FAULT_MSYNC, EIO, VISIT_ERROR_IO, REPORTED)
FAULT_TEST(msync_is_interrupted, FAULT_MSYNC, EINTR, VISIT_OK, MAY_PASS)
FAULT_TEST(fsync, FAULT_FSYNC, EIO, VISIT_ERROR_IO, REPORTED)
FAULT_TEST(fsync_of_folders_is_not_needed, FAULT_FSYNC, EINVAL, VISIT_OK, MAY_PASS)
FAULT_TEST(mmap, FAULT_MMAP, EIO, VISIT_ERROR_IO, REPORTED)
FAULT_TEST(mmap_without_room, FAULT_MMAP, ENOMEM, VISIT_ERROR_NO_MEMORY, REPORTED_FOR_GOOD)
FAULT_TEST(anonymous_memory_is_not_needed, FAULT_ANONYMOUS, ENOMEM, VISIT_OK, MAY_PASS)
FAULT_TEST(madvise_is_not_needed, FAULT_MADVISE, EINVAL, VISIT_OK, MAY_PASS)
FAULT_TEST(mlock_is_not_needed, FAULT_MLOCK, ENOMEM, VISIT_OK, MAY_PASS)
FAULT_TEST(munmap_is_not_seen, FAULT_MUNMAP, EINVAL, VISIT_OK, MAY_PASS)
FAULT_TEST(linkat, FAULT_LINKAT, EIO, VISIT_ERROR_IO, REPORTED)
FAULT_TEST(linkat_without_room, FAULT_LINKAT, ENOSPC, VISIT_ERROR_NO_SPACE, REPORTED)
FAULT_TEST(unlink_is_not_seen, FAULT_UNLINK, EIO, VISIT_OK, MAY_PASS)
FAULT_TEST(realpath, FAULT_REALPATH, EIO, VISIT_ERROR_IO, MAY_PASS)
FAULT_TEST(fcntl, FAULT_FCNTL, EIO, VISIT_ERROR_IO, MAY_PASS)
FAULT_TEST(randomness_is_not_needed, FAULT_RANDOM, ENOSYS, VISIT_OK, MAY_PASS)
FAULT_TEST(memory, FAULT_MEMORY, ENOMEM, VISIT_ERROR_NO_MEMORY, REPORTED_FOR_GOOD)
FAULT_PAIR_TEST(pwrite_then_ftruncate, FAULT_PWRITE, ENOSPC, VISIT_ERROR_NO_SPACE, MAY_PASS,
                FAULT_FTRUNCATE)
FAULT_PAIR_TEST(mmap_then_munmap, FAULT_MMAP, EIO, VISIT_ERROR_IO, REPORTED, FAULT_MUNMAP)
FAULT_PAIR_TEST(read_then_close, FAULT_READ, EIO, VISIT_ERROR_IO, REPORTED, FAULT_CLOSE)
FAULT_PAIR_TEST(access_then_close, FAULT_ACCESS, ENOENT, VISIT_OK, MAY_PASS, FAULT_CLOSE)
FAULT_PAIR_TEST(linkat_then_unlink, FAULT_LINKAT, EIO, VISIT_ERROR_IO, REPORTED, FAULT_UNLINK)
FAULT_PAIR_TEST(pwrite_then_unlink, FAULT_PWRITE, EIO, VISIT_ERROR_IO, REPORTED, FAULT_UNLINK)
FAULT_PAIR_TEST(fsync_then_unlink, FAULT_FSYNC, EIO, VISIT_ERROR_IO, REPORTED, FAULT_UNLINK)
FAULT_TEST(threads, FAULT_THREAD, EAGAIN, VISIT_ERROR_NO_MEMORY, REPORTED)

/* A sync that failed once is not forgotten: what the system threw away can't be written any more.
 */
static void check_failed_sync(const struct scratch *scratch, bool first, uint32_t users,
                              enum fault kind, int number, int error)
{
    static uint32_t id; /* another one in each call: no add repeats one */
    VisitOptions options = {.size = sizeof options, .checkpoint_interval_ms = -1};
    VisitManager *manager = store_open_with(scratch->store, &options);
    VisitManagerClear(manager, 1);
    id++;
    if (!first) {
        VisitManagerClear(manager, 5001);
        assert_true(VisitManagerAddVisit(manager, 5001, 1, "u", "t"));
        assert_ok(VisitManagerSync(manager));
    }
    for (uint32_t user = 2; user < 2 + users; user++)
        assert_true(VisitManagerAddVisit(manager, user, 1 + id, "u", "t"));
    assert_true(VisitManagerAddVisit(manager, 1, 2, "u", "t"));
    fault_arm(kind, number, false, error);
    fault_also(error == EINTR ? kind : FAULT_NONE, EIO);
    fault_resume();
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

/* The data's sync, and the record's; of the first checkpoint, which is of the whole file, and of
 * others; when little was written, and when much was; at once, and when it is tried again. */
static void test_fault__failed_sync_stays_failed(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 5000);
    check_failed_sync(scratch, true, 0, FAULT_FDATASYNC, 1, EIO);
    check_failed_sync(scratch, true, 0, FAULT_FDATASYNC, 1, EINTR);
    check_failed_sync(scratch, true, 0, FAULT_MSYNC, 1, EIO);
    for (int first = 0; first < 2; first++) {
        check_failed_sync(scratch, first, 4000, FAULT_MSYNC, 1, EIO);
        check_failed_sync(scratch, first, 4000, FAULT_MSYNC, 2, EIO);
        check_failed_sync(scratch, first, 4000, FAULT_MSYNC, 1, EINTR);
    }
    check_failed_sync(scratch, false, 0, FAULT_MSYNC, 1, EIO);
    check_failed_sync(scratch, false, 0, FAULT_MSYNC, 1, EINTR);
    check_failed_sync(scratch, false, 0, FAULT_MSYNC, 2, EIO);
}

/* A background checkpoint that fails is told at the next change. */
static void test_fault__failed_background_sync_is_told(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .checkpoint_interval_ms = 1};
    store_make(scratch->store, 3);
    VisitManager *manager = store_open_with(scratch->store, &options);
    fault_arm(FAULT_MSYNC, 1, true, EIO);
    fault_resume();
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

/* Visits stand in the order of their adds, and no time is below an older visit's; closed or not. */
static void test_fault__clock_set_back(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = store_open(scratch->store, 10);
    int64_t times[4];
    for (uint32_t id = 1; id <= 4; id++) {
        fault_clock_offset_ns = id == 3 ? INT64_C(-3600) * 1000000000 : 0;
        if (id == 4)
            fault_clock_offset_ns = INT64_C(-86400) * 1000000000;
        assert_true(VisitManagerAddVisit(manager, 1, id, "u", "t"));
        store_close(manager);
        manager = store_open(scratch->store, 10);
    }
    fault_clock_offset_ns = 0;
    assert_visits(manager, 1, 4, 3, 2, 1);
    size_t count;
    Visit **visits = VisitManagerGetRecentVisits(manager, 1, &count);
    for (size_t i = 0; i < count; i++)
        times[i] = timespec_ns(visits[i]->time);
    for (size_t i = 0; i + 1 < count; i++)
        assert_true(times[i] >= times[i + 1]);
    assert_true(times[0] >= now_ns() - INT64_C(3600) * 1000000000);
    store_close(manager);
}

static void test_fault__no_handlers_for_forks_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(atfork_result, 0);
}

/* Of all that was called while faults were on: no place that did not see its call fail. */
static void test_fault__every_place_has_failed(void **state)
{
    int all = 0;
    (void)state;
    for (int kind = FAULT_NONE + 1; kind < FAULT_ATFORK; kind++) {
        int failed;
        int count = fault_places((enum fault)kind, &failed);
        if (failed != count || kind == FAULT_MEMORY)
            print_message("%s: failed at %d of %d places\n", fault_name[kind], failed, count);
        assert_true(failed == count);
        all += count;
    }
    print_message("%d places that call\n", all);
    assert_in_range(all, 40, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fault__undisturbed_work_succeeds),
        cmocka_unit_test(test_fault__open),
        cmocka_unit_test(test_fault__open_without_descriptors),
        cmocka_unit_test(test_fault__tmpfile),
        cmocka_unit_test(test_fault__tmpfile_without_room),
        cmocka_unit_test(test_fault__tmpfile_is_not_needed),
        cmocka_unit_test(test_fault__proc_is_not_needed),
        cmocka_unit_test(test_fault__close_is_not_seen),
        cmocka_unit_test(test_fault__read),
        cmocka_unit_test(test_fault__fstat),
        cmocka_unit_test(test_fault__lstat),
        cmocka_unit_test(test_fault__statx),
        cmocka_unit_test(test_fault__limits_are_not_needed),
        cmocka_unit_test(test_fault__fallocate),
        cmocka_unit_test(test_fault__fallocate_without_room),
        cmocka_unit_test(test_fault__fallocate_beyond_a_limit),
        cmocka_unit_test(test_fault__fallocate_is_not_needed),
        cmocka_unit_test(test_fault__fallocate_is_interrupted),
        cmocka_unit_test(test_fault__pwrite),
        cmocka_unit_test(test_fault__pwrite_without_room),
        cmocka_unit_test(test_fault__pwrite_beyond_a_quota),
        cmocka_unit_test(test_fault__pwrite_is_interrupted),
        cmocka_unit_test(test_fault__pwrite_writes_half),
        cmocka_unit_test(test_fault__ftruncate),
        cmocka_unit_test(test_fault__fdatasync),
        cmocka_unit_test(test_fault__fdatasync_is_interrupted),
        cmocka_unit_test(test_fault__msync),
        cmocka_unit_test(test_fault__msync_is_interrupted),
        cmocka_unit_test(test_fault__fsync),
        cmocka_unit_test(test_fault__fsync_of_folders_is_not_needed),
        cmocka_unit_test(test_fault__mmap),
        cmocka_unit_test(test_fault__mmap_without_room),
        cmocka_unit_test(test_fault__anonymous_memory_is_not_needed),
        cmocka_unit_test(test_fault__madvise_is_not_needed),
        cmocka_unit_test(test_fault__mlock_is_not_needed),
        cmocka_unit_test(test_fault__munmap_is_not_seen),
        cmocka_unit_test(test_fault__linkat),
        cmocka_unit_test(test_fault__linkat_without_room),
        cmocka_unit_test(test_fault__unlink_is_not_seen),
        cmocka_unit_test(test_fault__realpath),
        cmocka_unit_test(test_fault__fcntl),
        cmocka_unit_test(test_fault__randomness_is_not_needed),
        cmocka_unit_test(test_fault__memory),
        cmocka_unit_test(test_fault__pwrite_then_ftruncate),
        cmocka_unit_test(test_fault__mmap_then_munmap),
        cmocka_unit_test(test_fault__read_then_close),
        cmocka_unit_test(test_fault__access_then_close),
        cmocka_unit_test(test_fault__linkat_then_unlink),
        cmocka_unit_test(test_fault__pwrite_then_unlink),
        cmocka_unit_test(test_fault__fsync_then_unlink),
        cmocka_unit_test(test_fault__threads),
        cmocka_unit_test(test_fault__no_handlers_for_forks_is_an_error),
        scratch_test(test_fault__failed_sync_stays_failed),
        scratch_test(test_fault__clock_set_back),
        scratch_test(test_fault__failed_background_sync_is_told),
        cmocka_unit_test(test_fault__every_place_has_failed),
    };
    return cmocka_run_group_tests_name("fault", tests, make_starts, forget_starts);
}
