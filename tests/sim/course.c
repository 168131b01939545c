/* SPDX-License-Identifier: MIT */
#include "course.h"

#include "backup.h"
#include "checkpoint.h"
#include "disk.h"
#include "index.h"
#include "read.h"
#include "ring.h"
#include "sweep.h"
#include "verify.h"
#include "version.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *const ending_name[ENDINGS] = {"closed", "killed", "remounted", "cut", "failed"};

/* What outlives a process: what must be true of the file. */
struct facts {
    bool born;             /* an open has succeeded */
    bool was_open;         /* the newest open has succeeded; since then not closed */
    bool limit_in_between; /* an open with another limit has not succeeded */
    uint32_t limit;
    uint32_t attempt; /* the other limit */
    uint64_t as_of;   /* what must be there: ORACLE_NEWEST, or what a recovery will find */
    enum ending last;
    int64_t newest_now; /* the newest clock time that an add was given */
    uint32_t maybe_limit;
    unsigned maybe_count;
    struct operation maybe[COURSE_WRITERS]; /* in flight when the process was killed */
    bool copy_begun;
    bool copy_done;
};

static struct {
    struct rv_options options;
    struct facts facts;
    struct rv_store *st;
    struct rv_store *own[COURSE_WRITERS]; /* sharers: each writer's; NULL: `st` */
    struct operation flying[COURSE_WRITERS];
    const char *doing;
    bool closed;
} course;

static struct oracle_state copy_state[ORACLE_USERS];
static uint64_t packed[ORACLE_PACK_BYTES / 8];

static void remember_copy(unsigned file)
{
    if (file == SIM_COPY_FILE) {
        uint64_t durable = rv_load(&sim_disk_live(SIM_STORE_FILE)->durable);
        course.facts.copy_begun = true;
        for (uint32_t i = 0; i < oracle_users(); i++) {
            copy_state[i] = *oracle_as_of(i, durable);
        }
    }
}

void course_reset(uint64_t seed, const struct rv_options *options)
{
    sim_disk_reset(seed);
    sim_disk_created = remember_copy;
    course.options = *options;
    course.options.erase = seed & 1;
    course.options.lock_wait_ms =
        1000; /* others have their turn meanwhile, and time stands still */
    course.facts = (struct facts){.as_of = ORACLE_NEWEST};
    course.st = NULL;
    course.doing = "nothing";
    memset(course.flying, 0, sizeof course.flying);
}

uint32_t course_limit(void)
{
    bool sure = !course.facts.limit_in_between && course.facts.as_of == ORACLE_NEWEST;
    return sure ? course.facts.limit : 0;
}

struct rv_store *course_store(void)
{
    return course.st;
}

bool course_was_closed(void)
{
    return course.closed;
}

const char *course_doing(void)
{
    return course.doing;
}

/* ---- comparing ---- */

struct comparison {
    const struct oracle_state *expected;
    uint32_t limit;
    bool any_time; /* of the newest visit */
    bool same;
    int64_t newest_time;
};

static bool same_visit(const struct rv_view *view, const struct oracle_visit *visit, bool any_time)
{
    if (view->visit_id != visit->visit_id || view->url_length != visit->url_length ||
        view->text_length != visit->text_length || (view->time_ns != visit->time_ns && !any_time)) {
        return false;
    }
    size_t bytes = oracle_pack(visit, packed);
    return memcmp(packed, view->strings, bytes) == 0;
}

static VisitStatus compare_visits(void *data, const struct rv_found *found)
{
    struct comparison *c = data;
    struct rv_views memory = {0};
    VisitStatus status = rv_read_views(found, &memory);
    const struct rv_view *views = memory.at;
    uint32_t count = status ? 0 : found->count;
    uint32_t expected = c->expected->count < c->limit ? c->expected->count : c->limit;
    c->same = count == expected;
    c->newest_time = count ? views[0].time_ns : 0;
    for (uint32_t i = 0; i < count && c->same; i++) {
        c->same = same_visit(&views[i], &c->expected->visit[i], c->any_time && i == 0);
    }
    free(memory.at);
    return status;
}

/* Does the store say that the user has these visits? */
static bool compare(struct rv_store *st, uint32_t user, struct comparison *c)
{
    struct rv_token token = {0};
    c->limit = st->limit;
    c->same = false;
    VisitStatus status = rv_read(st, oracle_user_id(user), 0, &token, compare_visits, c);
    if (status) {
        sim_fail("reading user %u (%u): %s", user, oracle_user_id(user), VisitLastError());
    }
    if (token.word == 0) {
        c->same = c->expected->count == 0;
    }
    return c->same;
}

static bool is_state(struct rv_store *st, uint32_t user, const struct oracle_state *state)
{
    struct comparison c = {.expected = state};
    return compare(st, user, &c);
}

/* Is the user as it is after an operation that may have been done? */
static bool is_after(struct rv_store *st, const struct operation *op, uint32_t limit,
                     const struct oracle_state *before, struct oracle_state *after)
{
    *after = *before;
    if (!oracle_apply(op, limit, after)) {
        return false;
    }
    bool untimed = op->kind == OP_ADD && !op->at_time;
    struct comparison c = {.expected = after, .any_time = untimed};
    if (!compare(st, op->user, &c)) {
        return false;
    }
    if (untimed) {
        after->visit[0].time_ns = c.newest_time;
    }
    return true;
}

static void print_state(const char *name, const struct oracle_state *state)
{
    fprintf(stderr, "  %s:", name);
    for (uint32_t i = 0; i < state->count; i++) {
        fprintf(stderr, " %u@%" PRId64, state->visit[i].visit_id, state->visit[i].time_ns);
    }
    fputc('\n', stderr);
}

static VisitStatus print_visits(void *data, const struct rv_found *found)
{
    struct rv_walk walk = rv_walk_begin(found->st, found->st->file.ro, found->user_id, found->word);
    struct rv_view view;
    (void)data;
    fputs("  found:", stderr);
    for (uint32_t i = 0; i < found->count && rv_walk_next(&walk, &view); i++) {
        fprintf(stderr, " %u@%" PRId64, view.visit_id, view.time_ns);
    }
    fputc('\n', stderr);
    return VISIT_OK;
}

static void wrong_visits(struct rv_store *st, uint32_t user, const char *where,
                         const struct oracle_state *expected)
{
    struct rv_token token = {0};
    fprintf(stderr, "  limit %u\n", st->limit);
    print_state("expected", expected);
    for (unsigned i = 0; i < course.facts.maybe_count; i++) {
        const struct operation *op = &course.facts.maybe[i];
        fprintf(stderr, "  in flight: kind %d, user %u, visit %u at %" PRId64 "\n", op->kind,
                op->user, op->visit.visit_id, op->at_time ? op->visit.time_ns : 0);
    }
    rv_read(st, oracle_user_id(user), 0, &token, print_visits, NULL);
    sim_fail("%s: user %u (id %u) has other visits; after '%s', D %" PRIu64 ", E %" PRIu64, where,
             user, oracle_user_id(user), ending_name[course.facts.last],
             rv_load(&st->view->durable), rv_load(&st->view->epoch));
}

static void expect_state(struct rv_store *st, uint32_t user, const char *where,
                         const struct oracle_state *state)
{
    if (!is_state(st, user, state)) {
        wrong_visits(st, user, where, state);
    }
}

/* No more users than expected have visits. */
static void check_count(struct rv_store *st, const char *where, uint32_t expected)
{
    struct rv_cursor cursor = {0};
    struct rv_seats seats;
    uint32_t count = 0;
    VisitStatus status = rv_seats_make(st, &seats);
    while (!status && !(status = rv_sweep_next(st, &cursor, UINT64_MAX, &seats))) {
        count += seats.count;
    }
    free(seats.at);
    if (status != VISIT_END) {
        sim_fail("%s: going through the users: %s", where, VisitLastError());
    }
    if (count != expected) {
        sim_fail("%s: %u users have visits, not %u", where, count, expected);
    }
}

/* Findings of a verification; a record that the power cut has torn is none. */
struct findings {
    unsigned count;
    unsigned torn;
};

static int on_finding(void *data, const VisitFinding *finding)
{
    struct findings *f = data;
    if (strcmp(finding->rule, "record") == 0) {
        f->torn++;
        return 0;
    }
    fprintf(stderr, "  %s at %" PRIu64 ": %s\n", finding->rule, finding->offset, finding->message);
    return ++f->count > 5;
}

static void verify(struct rv_store *st, const char *where)
{
    struct findings found = {0};
    VisitStatus status = rv_verify(st, true, on_finding, &found);
    if (found.count || (status && !(found.torn && st->file.read_only))) {
        sim_fail("%s: verification after '%s': %s", where, ending_name[course.facts.last],
                 VisitLastError());
    }
}

/* A sync has failed, and with it the call that made it, or one that came after. */
static bool is_excused(VisitStatus status)
{
    bool excused = status == VISIT_ERROR_IO && sim_disk_sync_failed();
    if (excused) {
        sim_disk_failure_told();
    }
    return excused;
}

/* ---- opening ---- */

/* The epoch of what the store has of a user. */
static uint64_t epoch_of(struct rv_store *st, uint32_t user)
{
    struct rv_disk_entry *entry = NULL;
    uint64_t epoch = 0;
    uint32_t id = oracle_user_id(user);
    uint64_t hash = rv_hash(st, id);
    if (rv_index_find(st, rv_shard_of(st, hash), hash, id, false, &entry) || !entry) {
        sim_fail("user %u has no entry", user);
    }
    rv_word_as_of(entry->version, UINT64_MAX, &epoch);
    return epoch;
}

/* What was in flight when the process was killed was done, or was not. */
static bool settle_maybe(struct rv_store *st, uint32_t user, bool adopt)
{
    struct oracle_state after;
    for (unsigned i = 0; i < course.facts.maybe_count; i++) {
        const struct operation *op = &course.facts.maybe[i];
        if (op->user == user && is_after(st, op, course.facts.maybe_limit,
                                         oracle_as_of(user, course.facts.as_of), &after)) {
            if (adopt) {
                oracle_set(user, epoch_of(st, user), 0, &after);
            }
            return true;
        }
    }
    return false;
}

static void check_contents(struct rv_store *st, const char *where, uint64_t as_of, bool adopt)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < oracle_users(); i++) {
        const struct oracle_state *state = oracle_as_of(i, as_of);
        if (!is_state(st, i, state) && !settle_maybe(st, i, adopt)) {
            wrong_visits(st, i, where, state);
        }
        count += is_state(st, i, oracle_as_of(i, as_of)) ? oracle_as_of(i, as_of)->count != 0 : 0;
    }
    if (course.facts.maybe_count == 0) {
        check_count(st, where, count);
    }
}

static bool holds(struct rv_store *st, uint64_t as_of)
{
    uint64_t before = course.facts.as_of;
    bool good = true;
    course.facts.as_of = as_of;
    for (uint32_t i = 0; i < oracle_users() && good; i++) {
        good = is_state(st, i, oracle_as_of(i, as_of)) || settle_maybe(st, i, false);
    }
    course.facts.as_of = before;
    return good;
}

/*
 * After a kill that was taken for more at first: a recovery may have been killed at its very end,
 * or before it began. Where both leave the same, the epochs of what it takes back are forgotten:
 * less is expected then.
 */
static bool is_all_there(struct rv_store *st)
{
    return !holds(st, course.facts.as_of) && holds(st, ORACLE_NEWEST);
}

static void check_limit(const struct rv_store *st, uint32_t asked)
{
    const struct facts *f = &course.facts;
    bool good = asked ? st->limit == asked
                      : st->limit == f->limit || (f->limit_in_between && st->limit == f->attempt);
    if (f->born && !good) {
        sim_fail("the limit is %u after an open that asked for %u; it was %u", st->limit, asked,
                 f->limit);
    }
}

static void check_how_found(const struct rv_store *st)
{
    const struct facts *f = &course.facts;
    uint64_t e = rv_load(&st->live->epoch);
    uint64_t d = rv_load(&st->live->durable);
    if (e != d + 1 && e != d + 2) {
        sim_fail("opened with E %" PRIu64 ", D %" PRIu64, e, d);
    }
    bool joined = course.options.mode == VISIT_SHARED && st->state == VISIT_FOUND_IN_USE;
    if (f->born && f->last == END_CLOSED && st->state != VISIT_FOUND_CLEAN && !joined) {
        sim_fail("a store that was closed is found in state %u", st->state);
    }
    if (f->born && f->last == END_KILLED && f->was_open && st->state == VISIT_FOUND_CRASHED) {
        sim_fail("a store whose process was killed is recovered as after a power cut");
    }
    if (f->born && st->state == VISIT_FOUND_NEW) {
        sim_fail("the store is gone");
    }
}

static bool begin_open(uint32_t max_visits)
{
    struct facts *f = &course.facts;
    course.doing = "open";
    course.closed = false;
    course.options.max_visits = max_visits;
    if (max_visits && max_visits != f->limit && f->born) {
        f->limit_in_between = true;
        f->attempt = max_visits;
    }
    VisitStatus status = rv_store_open(sim_path[SIM_STORE_FILE], &course.options, &course.st);
    if (status) {
        course.st = NULL;
        if (!is_excused(status)) {
            sim_fail("opening after '%s': %s", ending_name[f->last], VisitLastError());
        }
    }
    return !status;
}

/* Before anything of what was in flight is taken to be there: that may carry a later epoch. */
static void forget_lost(void)
{
    if (course.facts.as_of != ORACLE_NEWEST) {
        oracle_forget_after(course.facts.as_of);
    }
    course.facts.as_of = ORACLE_NEWEST;
}

static void opened(void)
{
    struct facts *f = &course.facts;
    forget_lost();
    f->maybe_count = 0;
    f->limit = course.st->limit;
    f->limit_in_between = false;
    f->born = true;
    f->was_open = true;
    oracle_truncate(f->limit);
    course.doing = "work";
}

bool course_open(uint32_t max_visits)
{
    if (!begin_open(max_visits)) {
        return false;
    }
    check_limit(course.st, max_visits);
    check_how_found(course.st);
    if (course.facts.as_of != ORACLE_NEWEST && course.st->state == VISIT_FOUND_KILLED &&
        is_all_there(course.st)) {
        course.facts.as_of = ORACLE_NEWEST;
    }
    forget_lost();
    check_contents(course.st, "after open", ORACLE_NEWEST, true);
    verify(course.st, "after open");
    opened();
    return true;
}

void course_open_only(uint32_t max_visits)
{
    begin_open(max_visits);
    opened();
}

void course_look(void)
{
    struct rv_options options = course.options;
    struct rv_disk_record record;
    struct rv_store *st;
    if (!course.facts.born || course.facts.maybe_count || course.facts.limit_in_between ||
        !sim_disk_record(SIM_STORE_FILE, &record)) {
        return;
    }
    course.doing = "look";
    options.mode = VISIT_READ_ONLY;
    options.max_visits = 0;
    VisitStatus status = rv_store_open(sim_path[SIM_STORE_FILE], &options, &st);
    if (status) {
        sim_fail("opening read-only after '%s': %s", ending_name[course.facts.last],
                 VisitLastError());
    }
    uint64_t as_of = st->state == VISIT_FOUND_UNCLEAN ? record.durable : ORACLE_NEWEST;
    as_of = as_of < course.facts.as_of ? as_of : course.facts.as_of;
    check_contents(st, "read-only", as_of, false);
    verify(st, "read-only");
    rv_store_close(st);
}

/* ---- operations ---- */

static struct rv_store *store_of(unsigned writer)
{
    return course.own[writer] ? course.own[writer] : course.st;
}

static unsigned writer_of(const struct operation *op)
{
    unsigned writer = 0;
    while (&course.flying[writer] != op) {
        writer++;
    }
    return writer;
}

static VisitStatus try_operation(const struct operation *op)
{
    static struct {
        uint64_t words[ORACLE_PACK_BYTES / 8];
    } strings[COURSE_WRITERS];
    unsigned writer = writer_of(op);
    struct rv_store *st = store_of(writer);
    uint32_t id = oracle_user_id(op->user);
    size_t removed;
    if (op->kind == OP_REMOVE) {
        return rv_ring_remove(st, id, op->ids, op->id_count, &removed);
    }
    if (op->kind == OP_CLEAR) {
        return rv_ring_clear(st, id);
    }
    size_t bytes = oracle_pack(&op->visit, strings[writer].words);
    struct rv_new_visit visit = {
        .user_id = id,
        .visit_id = op->visit.visit_id,
        .url_length = op->visit.url_length,
        .text_length = op->visit.text_length,
        .time_ns = op->visit.time_ns,
        .at_time = op->at_time,
        .strings = strings[writer].words,
        .strings_hash = rv_slot_strings_hash(strings[writer].words, bytes),
    };
    return rv_ring_add(st, rv_hash(st, id), &visit);
}

/* As manager.c does it: a full disk may have room once limbo is freed. */
static VisitStatus change(const struct operation *op)
{
    VisitStatus status = rv_checkpoint_allows_writing(store_of(writer_of(op)));
    if (status) {
        return status;
    }
    status = try_operation(op);
    if (status == VISIT_ERROR_NO_SPACE &&
        rv_checkpoint_reclaim(store_of(writer_of(op))) == VISIT_OK) {
        status = try_operation(op);
    }
    return status;
}

/* The time that an add without one was given. */
static void check_time(struct rv_store *st, struct operation *op, const struct oracle_state *before,
                       struct oracle_state *after)
{
    struct comparison c = {.expected = after, .any_time = true};
    if (!compare(st, op->user, &c)) {
        wrong_visits(st, op->user, "after an add", after);
    }
    int64_t previous = before->count ? before->visit[0].time_ns : INT64_MIN;
    int64_t most = course.facts.newest_now > previous ? course.facts.newest_now : previous;
    if (c.newest_time < op->visit.time_ns || c.newest_time < previous || c.newest_time > most) {
        sim_fail("an add was given the time %" PRId64, c.newest_time);
    }
    after->visit[0].time_ns = c.newest_time;
}

/* The operation has returned: from now on it must be there. No other thread has had its turn. */
static void acknowledge(struct operation *op)
{
    struct rv_store *st = store_of(writer_of(op));
    const struct oracle_state *before = oracle_as_of(op->user, ORACLE_NEWEST);
    struct oracle_state after = *before;
    if (!oracle_apply(op, st->limit, &after)) {
        return;
    }
    if (op->kind == OP_ADD && !op->at_time) {
        check_time(st, op, before, &after);
    } else if (sim_once_in(4)) {
        expect_state(st, op->user, "after a change", &after);
    }
    uint64_t hash = rv_hash(st, oracle_user_id(op->user));
    oracle_set(op->user, rv_load(&rv_shard_of(st, hash)->disk->changed),
               sim_disk_durable(SIM_STORE_FILE), &after);
}

/* All that was acknowledged before a call that promises so is durable. */
static void check_promise(uint64_t newest_epoch, const char *what)
{
    if (newest_epoch > sim_disk_durable(SIM_STORE_FILE)) {
        sim_fail("%s returned, and epoch %" PRIu64 " is not durable: only %" PRIu64 " is", what,
                 newest_epoch, sim_disk_durable(SIM_STORE_FILE));
    }
}

static uint64_t newest_epoch(void)
{
    uint64_t newest = 0;
    for (uint32_t i = 0; i < oracle_users(); i++) {
        newest = oracle_epoch(i) > newest ? oracle_epoch(i) : newest;
    }
    return newest;
}

static void back_up(struct rv_store *st)
{
    struct facts *f = &course.facts;
    if (f->copy_begun) {
        return;
    }
    f->copy_begun = true;
    VisitStatus status = rv_backup(st, sim_path[SIM_COPY_FILE], NULL, NULL);
    f->copy_done = status == VISIT_OK;
    if (status && status != VISIT_ERROR_NO_SPACE && !is_excused(status)) {
        sim_fail("backup: %s", VisitLastError());
    }
}

static void on_store(struct rv_store *st, enum operation_kind kind)
{
    uint64_t newest = newest_epoch();
    VisitStatus status = VISIT_OK;
    if (kind == OP_BACKUP) {
        back_up(st);
    } else if (kind == OP_CHECKPOINT) {
        status = rv_checkpoint(st);
    } else {
        status = rv_checkpoint_reclaim(st);
    }
    if (status && !is_excused(status)) {
        sim_fail("checkpoint: %s", VisitLastError());
    }
    if (kind != OP_BACKUP && !status) {
        check_promise(newest, "a checkpoint");
    }
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void course_do(unsigned writer, const struct operation *operation)
{
    struct operation *op = &course.flying[writer];
    *op = *operation;
    if (op->kind >= OP_CHECKPOINT) {
        on_store(store_of(writer), op->kind);
        op->kind = OP_NONE;
        return;
    }
    if (op->kind == OP_ADD && !op->at_time) {
        op->visit.time_ns = now();
        if (op->visit.time_ns > course.facts.newest_now) {
            course.facts.newest_now = op->visit.time_ns;
        }
    }
    VisitStatus status = change(op);
    if (status == VISIT_OK) {
        acknowledge(op);
    } else if (status != VISIT_ERROR_NO_SPACE && !is_excused(status)) {
        sim_fail("operation %d: %s", op->kind, VisitLastError());
    }
    op->kind = OP_NONE;
}

void course_read(uint32_t user)
{
    struct oracle_state after;
    const struct oracle_state *state = oracle_as_of(user, ORACLE_NEWEST);
    bool good = is_state(course.st, user, state);
    for (unsigned i = 0; i < COURSE_WRITERS && !good; i++) {
        const struct operation *op = &course.flying[i];
        good = op->kind != OP_NONE && op->kind < OP_CHECKPOINT && op->user == user &&
               is_after(course.st, op, course.st->limit, oracle_as_of(user, ORACLE_NEWEST), &after);
    }
    if (!good) {
        wrong_visits(course.st, user, "a reader", oracle_as_of(user, ORACLE_NEWEST));
    }
}

void course_check(void)
{
    if (course.st->shared &&
        (rv_checkpoint_pass_locks(course.st) || rv_checkpoint_follow(course.st))) {
        sim_fail("locks: %s", VisitLastError());
    }
    check_contents(course.st, "at work", ORACLE_NEWEST, false);
    verify(course.st, "at work");
}

void course_close(void)
{
    uint64_t newest = newest_epoch();
    course.doing = "close";
    VisitStatus status = rv_store_close(course.st);
    if (status && !is_excused(status)) {
        sim_fail("close: %s", VisitLastError());
    }
    if (!status) {
        check_promise(newest, "a close");
    }
    course.closed = true;
}

/* ---- copies ---- */

static void check_copy(void)
{
    struct rv_store *st;
    struct rv_options options = course.options;
    options.max_visits = 0;
    options.create = VISIT_MUST_EXIST;
    course.doing = "look at a copy";
    if (rv_store_open(sim_path[SIM_COPY_FILE], &options, &st)) {
        sim_fail("opening a copy: %s", VisitLastError());
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < oracle_users(); i++) {
        expect_state(st, i, "a copy", &copy_state[i]);
        count += copy_state[i].count != 0;
    }
    check_count(st, "a copy", count);
    verify(st, "a copy");
    if (rv_store_close(st)) {
        sim_fail("closing a copy: %s", VisitLastError());
    }
}

void course_check_copy(void)
{
    if (sim_disk_exists(SIM_COPY_FILE)) {
        check_copy();
    } else if (course.facts.copy_done) {
        sim_fail("a finished copy is gone");
    }
    sim_disk_remove(SIM_COPY_FILE);
    course.facts.copy_begun = course.facts.copy_done = false;
}

/* ---- sharers ---- */

void course_share(bool shared)
{
    course.options.mode = shared ? VISIT_SHARED : VISIT_EXCLUSIVE;
}

/* The user is as it was before what a dead process had in flight, or as after it. */
static void settle_flying(struct operation *op)
{
    struct oracle_state after;
    rv_file_refresh(&course.st->file);
    if (op->kind != OP_NONE && op->kind < OP_CHECKPOINT &&
        is_after(course.st, op, course.st->limit, oracle_as_of(op->user, ORACLE_NEWEST), &after)) {
        oracle_set(op->user, epoch_of(course.st, op->user), sim_disk_durable(SIM_STORE_FILE),
                   &after);
    }
    op->kind = OP_NONE;
}

void course_writer_died(unsigned writer)
{
    struct operation op = course.flying[writer];
    sim_free_all();
    sim_disk_lose_process();
    course.own[writer] = NULL;
    course.flying[writer].kind = OP_NONE;
    settle_flying(&op);
}

bool course_writer_opens(unsigned writer)
{
    struct rv_options options = course.options;
    struct rv_store *st;
    options.max_visits = 0;
    VisitStatus status = rv_store_open(sim_path[SIM_STORE_FILE], &options, &st);
    if (status && !is_excused(status)) {
        sim_fail("a further sharer: %s", VisitLastError());
    }
    course.own[writer] = status ? NULL : st;
    return !status;
}

void course_writer_closes(unsigned writer)
{
    uint64_t newest = newest_epoch();
    struct rv_store *st = course.own[writer];
    course.own[writer] = NULL;
    VisitStatus status = rv_store_close(st);
    if (status && !is_excused(status)) {
        sim_fail("close of a sharer: %s", VisitLastError());
    }
    if (!status) {
        check_promise(newest, "a sharer's close");
    }
}

void course_switch(struct rv_store *st)
{
    course.st = st;
    course.doing = "work";
}

void course_check_beside(void)
{
    check_contents(course.st, "beside the dead", ORACLE_NEWEST, true);
    course.facts.maybe_count = 0;
}

/* ---- the end ---- */

static void keep_flying(struct facts *f)
{
    f->maybe_limit = f->limit;
    for (unsigned i = 0; i < COURSE_WRITERS && f->was_open; i++) {
        if (course.flying[i].kind != OP_NONE && course.flying[i].kind < OP_CHECKPOINT) {
            f->maybe[f->maybe_count++] = course.flying[i];
        }
    }
}

/* The record that survived a power cut, or a sync that failed, decides what must be there. */
static void after_loss(struct facts *f, void (*what)(void))
{
    struct rv_disk_record record;
    uint64_t floor = sim_disk_durable(SIM_STORE_FILE);
    what();
    if (!sim_disk_record(SIM_STORE_FILE, &record)) {
        if (f->born) {
            sim_fail("no record has survived");
        }
        return;
    }
    if (f->born && record.durable < floor) {
        sim_fail("D is %" PRIu64 " after a loss, and was %" PRIu64, record.durable, floor);
    }
    if (f->born && record.limit != f->limit &&
        !(f->limit_in_between && record.limit == f->attempt)) {
        sim_fail("the limit is %u after a loss, and was %u", record.limit, f->limit);
    }
    /* What was in flight had not been acknowledged; a checkpoint during the next open may have made
     * it durable all the same. */
    if (!f->limit_in_between) {
        f->maybe_count = 0;
    }
    oracle_forget_after(record.durable < f->as_of ? record.durable : f->as_of);
    f->as_of = ORACLE_NEWEST;
}

/*
 * Mounted elsewhere, nothing is sure but what the record in memory names. If the next recovery does
 * not begin and the file system is mounted where it was, it is a mere kill after all.
 */
static void after_remount(struct facts *f)
{
    struct rv_disk_record record;
    sim_disk_kill();
    sim_disk_remount(f->as_of != ORACLE_NEWEST && !f->limit_in_between);
    if (f->born && sim_disk_record(SIM_STORE_FILE, &record) && !(record.flags & RV_RECORD_CLEAN)) {
        f->as_of = record.durable < f->as_of ? record.durable : f->as_of;
    }
}

void course_ended(enum ending how)
{
    struct facts *f = &course.facts;
    size_t pieces = sim_free_processes();
    bool failed = sim_disk_failure_known();
    if (how == END_CLOSED && pieces) {
        sim_fail("the library has kept %zu pieces of memory", pieces);
    }
    bool worked = strcmp(course.doing, "work") == 0 || strcmp(course.doing, "close") == 0;
    if ((how == END_KILLED || how == END_REMOUNTED) && worked) {
        keep_flying(f);
    }
    memset(course.flying, 0, sizeof course.flying);
    course.st = NULL;
    memset(course.own, 0, sizeof course.own);
    course.closed = false;
    course.doing = "nothing";
    if (how == END_CUT) {
        after_loss(f, sim_disk_cut);
    } else if (failed) {
        after_loss(f, sim_disk_kill);
        how = END_FAILED;
    } else if (how == END_REMOUNTED) {
        after_remount(f);
    } else {
        sim_disk_kill();
    }
    f->was_open = f->was_open && how == END_KILLED;
    f->last = how;
}

void course_lost_process(void)
{
    struct facts *f = &course.facts;
    sim_free_all();
    if (strcmp(course.doing, "work") == 0) {
        keep_flying(f);
    }
    memset(course.flying, 0, sizeof course.flying);
    course.st = NULL;
    memset(course.own, 0, sizeof course.own);
    course.closed = false;
    course.doing = "nothing";
    sim_disk_lose_process();
    f->last = END_KILLED;
}

struct course_image {
    struct facts facts;
    struct sim_image *disk;
    struct oracle_image *oracle;
};

struct course_image *course_save(void)
{
    struct course_image *image = malloc(sizeof *image);
    if (!image) {
        abort();
    }
    image->facts = course.facts;
    image->disk = sim_disk_save();
    image->oracle = oracle_save();
    return image;
}

void course_load(const struct course_image *image)
{
    course.facts = image->facts;
    sim_disk_load(image->disk);
    oracle_load(image->oracle);
}

void course_image_free(struct course_image *image)
{
    sim_image_free(image->disk);
    oracle_image_free(image->oracle);
    free(image);
}
