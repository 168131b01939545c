/* SPDX-License-Identifier: MIT */
/*
 * Threads on one manager. Every snapshot must be a state that the store was in: what a user's
 * writers do makes such a state recognisable. Built with a thread sanitizer, neither the library
 * nor this file has a data race.
 *
 *   RV_FACTOR=20 test_threads   does twenty times as much
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#define LIMIT 10
#define WRITERS 3
#define READERS 3
#define KEEPERS 2
#define CROWD 400       /* users that all threads change */
#define CROWD_BASE 1000 /* the writers' own users have lower ids */

/* What all threads of a test share. */
struct stage {
    VisitManager *manager;
    VisitManager *seen; /* what the readers and the upkeep use: the same, or a read-only one */
    struct scratch scratch;
    uint32_t adds;         /* of each writer */
    atomic_bool stop;      /* set once the writers are done */
    atomic_uint errors;    /* what went wrong was printed */
    atomic_uint snapshots; /* that were checked */
    atomic_uint busy;      /* reads that gave up */
};

struct part {
    struct stage *stage;
    uint32_t number;
    pthread_t thread;
};

static void fail_part(struct stage *stage, const char *what, uint32_t user, uint64_t number)
{
    if (atomic_fetch_add(&stage->errors, 1) < 20)
        print_error("%s: user %u, %llu; status %d, \"%s\"\n", what, user,
                    (unsigned long long)number, VisitLastStatus(), VisitLastError());
}

static bool part_check(struct stage *stage, bool condition, const char *what, uint32_t user,
                       uint64_t number)
{
    if (!condition)
        fail_part(stage, what, user, number);
    return condition;
}

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

/* The strings of a visit follow from its user and its id; some are too long for a slot. */
static void strings_of(uint32_t user, uint32_t id, char *url, size_t size, char text[40])
{
    size_t length = id % 50 == 0 ? 1500 : id % 200;
    snprintf(text, 40, "text %u %u", user, id);
    length = length < size ? length : size - 1;
    memset(url, 'a' + (int)(mix(user ^ id) % 26), length);
    url[length] = 0;
}

static bool add_visit(struct stage *stage, uint32_t user, uint32_t id)
{
    char url[2000];
    char text[40];
    strings_of(user, id, url, sizeof url, text);
    bool added = VisitManagerAddVisit(stage->manager, user, id, url, text);
    return part_check(stage, added, "add", user, id);
}

/* ------------------------------------------------------------------------------------------------
 * Readers
 * --------------------------------------------------------------------------------------------- */

/* What must hold of any snapshot of any user. */
static bool check_any(struct stage *stage, uint32_t user, const VisitPacked *packed, size_t size,
                      size_t count)
{
    char url[2000];
    char text[40];
    bool good = part_check(stage, count <= LIMIT, "count above the limit", user, count);
    for (size_t i = 0; good && i < count; i++) {
        const VisitPacked *visit = &packed[i];
        uint64_t end = visit->url_offset + visit->url_length + visit->text_length + 2;
        good = part_check(stage, end <= size, "end of the strings", user, end);
        if (!good)
            break;
        const char *is = (const char *)packed + visit->url_offset;
        strings_of(user, visit->visit_id, url, sizeof url, text);
        good = part_check(stage, strcmp(is, url) == 0, "url", user, visit->visit_id) &&
               part_check(stage, strcmp(is + visit->url_length + 1, text) == 0, "text", user,
                          visit->visit_id) &&
               part_check(stage, i == 0 || visit->time_ns <= packed[i - 1].time_ns, "time", user,
                          visit->visit_id);
    }
    return good;
}

/* A user whose one writer adds 1, 2, 3...: the ids fall by one from the head. */
static bool check_own(struct stage *stage, uint32_t user, const VisitPacked *packed, size_t count,
                      uint32_t *last)
{
    bool good = true;
    for (size_t i = 1; good && i < count; i++)
        good = part_check(stage, packed[i].visit_id == packed[0].visit_id - i, "gap in the ids",
                          user, packed[i].visit_id);
    uint32_t newest = count ? packed[0].visit_id : *last;
    good = good &&
           part_check(stage, newest >= *last, "snapshot older than the one before", user, newest);
    *last = newest;
    return good;
}

/* A user of the crowd: no id twice. */
static bool check_crowd(struct stage *stage, uint32_t user, const VisitPacked *packed, size_t count)
{
    bool good = true;
    for (size_t i = 1; good && i < count; i++) {
        for (size_t k = 0; good && k < i; k++)
            good = part_check(stage, packed[i].visit_id != packed[k].visit_id, "id twice", user,
                              packed[i].visit_id);
    }
    return good;
}

/* A read-only manager gives up when a writer is too fast for it. */
static bool may_be_busy(const struct stage *stage, VisitStatus status)
{
    return status == VISIT_ERROR_BUSY && stage->seen != stage->manager;
}

static bool read_one(struct stage *stage, VisitReader *reader, uint32_t user, uint32_t *last)
{
    const VisitPacked *packed = NULL;
    size_t size = 0;
    size_t count = 0;
    VisitStatus status = VisitReaderGetPacked(reader, user, 0, &packed, &size, &count);
    if (may_be_busy(stage, status)) {
        atomic_fetch_add(&stage->busy, 1);
        return true;
    }
    if (!part_check(stage, status == VISIT_OK, "read", user, 0))
        return false;
    atomic_fetch_add(&stage->snapshots, 1);
    return check_any(stage, user, packed, size, count) &&
           (user < CROWD_BASE ? check_own(stage, user, packed, count, &last[user])
                              : check_crowd(stage, user, packed, count));
}

static void *reader_main(void *data)
{
    struct part *part = data;
    struct stage *stage = part->stage;
    VisitReader *reader = NULL;
    uint32_t last[WRITERS] = {0};
    if (!part_check(stage, VisitReaderOpen(stage->seen, &reader) == VISIT_OK, "reader", 0, 0))
        return NULL;
    for (uint32_t turn = 0; !atomic_load(&stage->stop); turn++) {
        uint32_t number = mix(turn * READERS + part->number);
        uint32_t user = number % 2 ? number / 2 % WRITERS : CROWD_BASE + number / 2 % CROWD;
        if (!read_one(stage, reader, user, last))
            break;
    }
    VisitReaderFree(reader);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------
 * Writers
 * --------------------------------------------------------------------------------------------- */

/* Changes a user of the crowd, as others do at the same time. */
static void change_crowd(struct stage *stage, uint32_t number)
{
    uint32_t user = CROWD_BASE + number % CROWD;
    uint32_t ids[] = {number / 7 % 30, number / 11 % 30};
    uint32_t kind = number / 1000 % 20;
    if (kind == 0)
        part_check(stage, VisitManagerClearUser(stage->manager, user) == VISIT_OK, "clear", user,
                   0);
    else if (kind < 5)
        part_check(stage, VisitManagerRemove(stage->manager, user, ids, 2, NULL) == VISIT_OK,
                   "remove", user, ids[0]);
    else
        add_visit(stage, user, ids[0]);
}

/* The writer's own results are its own to use: nobody else changes that user. */
static void check_own_result(struct stage *stage, uint32_t user, uint32_t id)
{
    size_t count = 0;
    Visit **visits = VisitManagerGetRecentVisits(stage->manager, user, &count);
    bool good =
        part_check(stage, count > 0 && visits[0]->visit_id == id, "own add not seen", user, id);
    char url[2000];
    char text[40];
    strings_of(user, id, url, sizeof url, text);
    if (good)
        part_check(stage, strcmp(visits[0]->url, url) == 0 && strcmp(visits[0]->text, text) == 0,
                   "own strings", user, id);
}

static void *writer_main(void *data)
{
    struct part *part = data;
    struct stage *stage = part->stage;
    uint32_t user = part->number;
    for (uint32_t id = 1; id <= stage->adds && atomic_load(&stage->errors) == 0; id++) {
        if (id % 97 == 0)
            VisitManagerClear(stage->manager, user);
        add_visit(stage, user, id);
        if (id % 16 == 0)
            check_own_result(stage, user, id);
        for (uint32_t i = 0; i < 3; i++)
            change_crowd(stage, mix(id * 12 + i * 4 + part->number));
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------
 * Upkeep beside them
 * --------------------------------------------------------------------------------------------- */

static void iterate(struct stage *stage)
{
    static const uint32_t most = CROWD + WRITERS;
    VisitUsers *users = NULL;
    VisitStatus status = VisitUsersOpen(stage->seen, &users);
    uint8_t *seen = calloc(CROWD_BASE + CROWD, 1);
    uint32_t user = 0;
    uint32_t total = 0;
    size_t count = 0;
    while (status == VISIT_OK && seen) {
        status = VisitUsersNext(users, &user, &count);
        if (status != VISIT_OK)
            break;
        if (!part_check(stage, user < CROWD_BASE + CROWD, "unknown user", user, 0))
            break;
        part_check(stage, !seen[user], "user twice", user, 0);
        part_check(stage, count >= 1 && count <= LIMIT, "count of a user", user, count);
        seen[user] = 1;
        total++;
    }
    part_check(stage, status == VISIT_END && total <= most, "iteration", 0, total);
    free(seen);
    VisitUsersFree(users);
}

static int report_finding(void *data, const VisitFinding *finding)
{
    fail_part(data, finding->message, finding->user_id, finding->offset);
    return 0;
}

static void back_up(struct stage *stage, uint32_t keeper, uint32_t turn)
{
    char path[320];
    snprintf(path, sizeof path, "%s/copy-%u-%u.rv", stage->scratch.folder, keeper, turn);
    VisitStatus status = VisitManagerBackup(stage->seen, path, NULL, NULL);
    part_check(stage, status == VISIT_OK, "backup", 0, turn);
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    VisitManager *copy = NULL;
    status = VisitManagerOpen(path, &options, &copy);
    part_check(stage, status == VISIT_OK, "opening the backup", 0, turn);
    part_check(stage, VisitManagerVerify(copy, report_finding, stage) == VISIT_OK,
               "verifying the backup", 0, turn);
    VisitManagerFree(copy);
    remove(path);
}

static void *upkeep_main(void *data)
{
    struct part *part = data;
    struct stage *stage = part->stage;
    for (uint32_t turn = 0; !atomic_load(&stage->stop); turn++) {
        VisitStats stats = {.size = sizeof stats};
        VisitStatus status = VisitManagerStats(stage->seen, &stats);
        part_check(stage, status == VISIT_OK, "stats", 0, turn);
        part_check(stage, stats.users <= CROWD + WRITERS && stats.visits <= stats.users * LIMIT,
                   "counts", 0, stats.visits);
        iterate(stage);
        status = VisitManagerSync(stage->manager);
        part_check(stage, status == VISIT_OK, "sync", 0, turn);
        if (turn % 8 == 0) {
            status = VisitManagerVerify(stage->seen, report_finding, stage);
            part_check(stage, status == VISIT_OK, "verify", 0, turn);
        }
        if (turn % 32 == 5)
            back_up(stage, part->number, turn);
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------
 * Tests
 * --------------------------------------------------------------------------------------------- */

static void start(struct part *part, struct stage *stage, uint32_t number, void *(*main)(void *))
{
    *part = (struct part){.stage = stage, .number = number};
    assert_int_equal(pthread_create(&part->thread, NULL, main, part), 0);
}

static void run_stage(struct stage *stage)
{
    struct part writers[WRITERS];
    struct part others[READERS + KEEPERS];
    for (uint32_t i = 0; i < READERS; i++)
        start(&others[i], stage, i, reader_main);
    for (uint32_t i = 0; i < KEEPERS; i++)
        start(&others[READERS + i], stage, i, upkeep_main);
    for (uint32_t i = 0; i < WRITERS; i++)
        start(&writers[i], stage, i, writer_main);
    for (uint32_t i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    atomic_store(&stage->stop, true);
    for (uint32_t i = 0; i < READERS + KEEPERS; i++)
        pthread_join(others[i].thread, NULL);
}

/* The writers' own users have what was added last. */
static void check_end(VisitManager *manager, uint32_t adds)
{
    size_t count = 0;
    for (uint32_t user = 0; user < WRITERS; user++) {
        Visit **visits = VisitManagerGetRecentVisits(manager, user, &count);
        assert_true(count > 0);
        assert_int_equal(visits[0]->visit_id, adds);
    }
    assert_ok(store_verify(manager));
}

static void check_stage(void **state, const VisitOptions *options, uint32_t adds, bool read_only)
{
    const struct scratch *scratch = *state;
    const char *factor = getenv("RV_FACTOR");
    adds *= factor ? (uint32_t)strtoul(factor, NULL, 10) : 1;
    struct stage stage = {.scratch = *scratch, .adds = adds};
    stage.manager = store_open_with(scratch->store, options);
    stage.seen = read_only ? store_open_read_only(scratch->store) : stage.manager;
    run_stage(&stage);
    if (read_only)
        store_close(stage.seen);
    assert_int_equal(atomic_load(&stage.errors), 0);
    assert_true(atomic_load(&stage.snapshots) > atomic_load(&stage.busy));
    check_end(stage.manager, adds);
    store_close(stage.manager);
    stage.manager = store_open(scratch->store, LIMIT);
    check_end(stage.manager, adds);
    store_close(stage.manager);
}

static void test_threads__share_a_manager(void **state)
{
    VisitOptions options = {
        .size = sizeof options, .max_visits = LIMIT, .checkpoint_interval_ms = 1};
    check_stage(state, &options, 4000, false);
}

static void test_threads__share_one_shard(void **state)
{
    VisitOptions options = {
        .size = sizeof options, .max_visits = LIMIT, .checkpoint_interval_ms = 1, .shards = 1};
    options.slot_size = 128;
    check_stage(state, &options, 4000, false);
}

static void test_threads__need_no_background_checkpoints(void **state)
{
    VisitOptions options = {
        .size = sizeof options, .max_visits = LIMIT, .checkpoint_interval_ms = -1};
    check_stage(state, &options, 2000, false);
}

static void test_threads__read_beside_a_writer(void **state)
{
    VisitOptions options = {
        .size = sizeof options, .max_visits = LIMIT, .checkpoint_interval_ms = 1};
    check_stage(state, &options, 4000, true);
}

/* Many threads come, make one change and one read, and go. */
static void *visitor_main(void *data)
{
    struct part *part = data;
    add_visit(part->stage, part->number % 10, part->number);
    check_own_result(part->stage, CROWD_BASE + part->number % 8, 1);
    return NULL;
}

static void test_threads__come_and_go(void **state)
{
    const struct scratch *scratch = *state;
    struct stage stage = {.scratch = *scratch};
    stage.manager = store_open(scratch->store, LIMIT);
    for (uint32_t user = 0; user < 8; user++)
        add_visit(&stage, CROWD_BASE + user, 1);
    for (uint32_t round = 0; round < 50; round++) {
        struct part parts[8];
        for (uint32_t i = 0; i < 8; i++)
            start(&parts[i], &stage, round * 8 + i, visitor_main);
        for (uint32_t i = 0; i < 8; i++)
            pthread_join(parts[i].thread, NULL);
    }
    assert_int_equal(atomic_load(&stage.errors), 0);
    store_close(stage.manager);
}

/* Each thread opens and closes a store of its own, and tries one that is in use. */
static void *opener_main(void *data)
{
    struct part *part = data;
    struct stage *stage = part->stage;
    char path[320];
    for (uint32_t turn = 0; turn < 20; turn++) {
        VisitManager *manager = NULL;
        snprintf(path, sizeof path, "%s/own-%u.rv", stage->scratch.folder, part->number);
        VisitStatus status = VisitManagerOpen(path, NULL, &manager);
        if (!part_check(stage, status == VISIT_OK, "open", part->number, turn))
            break;
        bool added = VisitManagerAddVisit(manager, 1, turn, "u", "t");
        part_check(stage, added, "add", part->number, turn);
        VisitManagerFree(manager);
        status = VisitManagerOpen(stage->scratch.store, NULL, &manager);
        part_check(stage, status == VISIT_ERROR_BUSY, "busy", part->number, turn);
    }
    return NULL;
}

static void test_threads__open_and_close(void **state)
{
    const struct scratch *scratch = *state;
    struct stage stage = {.scratch = *scratch};
    struct part parts[4];
    stage.manager = store_open(scratch->store, LIMIT);
    for (uint32_t i = 0; i < 4; i++)
        start(&parts[i], &stage, i, opener_main);
    for (uint32_t i = 0; i < 4; i++)
        pthread_join(parts[i].thread, NULL);
    assert_int_equal(atomic_load(&stage.errors), 0);
    store_close(stage.manager);
}

/* Several threads create the same store at once: one gets it, or one after the other. */
static void *creator_main(void *data)
{
    struct part *part = data;
    VisitManager *manager = NULL;
    VisitStatus status = VisitManagerOpen(part->stage->scratch.store, NULL, &manager);
    part_check(part->stage, status == VISIT_OK || status == VISIT_ERROR_BUSY, "create", 0,
               part->number);
    if (status == VISIT_OK)
        VisitManagerAddVisit(manager, 1, part->number, "u", "t");
    if (status == VISIT_OK)
        atomic_fetch_add(&part->stage->snapshots, 1);
    VisitManagerFree(manager);
    return NULL;
}

static void test_threads__create_one_store(void **state)
{
    const struct scratch *scratch = *state;
    for (uint32_t round = 0; round < 10; round++) {
        struct stage stage = {.scratch = *scratch};
        struct part parts[8];
        size_t count = 0;
        for (uint32_t i = 0; i < 8; i++)
            start(&parts[i], &stage, i, creator_main);
        for (uint32_t i = 0; i < 8; i++)
            pthread_join(parts[i].thread, NULL);
        assert_int_equal(atomic_load(&stage.errors), 0);
        assert_int_equal(folder_count(scratch->folder), 1);
        VisitManager *manager = store_open(scratch->store, LIMIT);
        VisitManagerGetRecentVisits(manager, 1, &count);
        assert_int_equal(count, atomic_load(&stage.snapshots));
        assert_true(count > 0);
        store_close(manager);
        assert_int_equal(remove(scratch->store), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_threads__share_a_manager),
        scratch_test(test_threads__share_one_shard),
        scratch_test(test_threads__need_no_background_checkpoints),
        scratch_test(test_threads__read_beside_a_writer),
        scratch_test(test_threads__come_and_go),
        scratch_test(test_threads__open_and_close),
        scratch_test(test_threads__create_one_store),
    };
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
