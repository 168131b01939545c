/* SPDX-License-Identifier: MIT */
/*
 * Long random sequences of calls, held against the model.
 *
 *   test_random            RV_SEEDS seeds (default: 12), from RV_FIRST_SEED on (default: 1)
 *   test_random 17 18      these seeds
 *   RV_SEED=17 test_random the same for one
 *
 * A seed decides everything but the present time: geometry of the store, users, strings, calls.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "model.h"
#include "support.h"

#define BATCH_MAX 40
#define BYTES_MAX (UINT64_C(48) << 20) /* strings of a store, so that a run stays small */

static const char *program;

/* One run: a store, its model, and what the seed made of them. */
struct run {
    struct scratch scratch;
    struct model model;
    VisitManager *manager;
    VisitReader *reader;
    uint64_t random;
    uint32_t slot_size;
    uint32_t shards;
    uint32_t users;  /* how many different ones may come */
    uint32_t ids;    /* how many different visit ids a user may have */
    uint32_t verify; /* one step in so many verifies */
    uint32_t steps;
    uint32_t step;
    int64_t newest_ns; /* highest time that any visit ever had */
    char does[160];    /* the call under way, for the message */
};

/* ------------------------------------------------------------------------------------------------
 * Chance
 * --------------------------------------------------------------------------------------------- */

static uint64_t chance(struct run *run)
{
    run->random += 0x9e3779b97f4a7c15u;
    uint64_t x = run->random;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint32_t below(struct run *run, uint32_t end)
{
    return (uint32_t)(chance(run) % end);
}

static bool one_in(struct run *run, uint32_t count)
{
    return below(run, count) == 0;
}

/* A user: half of the draws come from the first sixteenth. The ids lie all over the range. */
static uint32_t any_user(struct run *run)
{
    uint32_t few = run->users / 16 + 1;
    uint32_t number = below(run, one_in(run, 2) ? few : run->users);
    if (number == 0)
        return 0;
    if (number == 1)
        return UINT32_MAX;
    return number % 2 ? number : number * 2654435761u;
}

static uint32_t any_visit_id(struct run *run)
{
    uint32_t number = below(run, run->ids);
    return number == 1 ? UINT32_MAX : number;
}

/* Mostly short strings; some that fill a slot to the byte; a few that need whole blocks. */
static size_t any_length(struct run *run)
{
    uint32_t kind = below(run, 1000);
    if (run->model.bytes > BYTES_MAX)
        return below(run, 20);
    if (kind < 100)
        return 0;
    if (kind < 700)
        return below(run, 80);
    if (kind < 850)
        return below(run, run->slot_size);
    if (kind < 930)
        return run->slot_size - 48 + below(run, 8) - 4;
    if (kind < 985)
        return below(run, 5000);
    if (kind < 997)
        return below(run, 200000);
    return below(run, VISIT_STRINGS_MAX + 1);
}

/* Strings for a visit; together no longer than allowed, now and then exactly that. */
static VisitInput any_input(struct run *run)
{
    VisitInput input = {.user_id = any_user(run), .visit_id = any_visit_id(run)};
    input.url_length = any_length(run);
    input.text_length = any_length(run);
    if (input.url_length + input.text_length > VISIT_STRINGS_MAX)
        input.text_length = VISIT_STRINGS_MAX - input.url_length;
    input.url = string_make(chance(run), input.url_length);
    input.text = string_make(chance(run), input.text_length);
    return input;
}

static void free_input(const VisitInput *input)
{
    free((char *)input->url);
    free((char *)input->text);
}

/* A time: of a visit that is there, near it, or anywhere. */
static int64_t any_time(struct run *run, uint32_t user_id)
{
    const struct model_user *user = model_find(&run->model, user_id);
    uint32_t kind = below(run, 100);
    if (kind == 0)
        return one_in(run, 2) ? INT64_MIN : -1 - (int64_t)below(run, 1000);
    if (kind == 1 && run->users > 4 && one_in(run, 20))
        return one_in(run, 2) ? INT64_MAX : INT64_MAX - below(run, 10);
    if (user && user->count && kind < 80) {
        int64_t time_ns = user->visits[below(run, (uint32_t)user->count)].time_ns;
        int64_t shift = (int64_t)below(run, 3) - 1;
        bool fits = time_ns > INT64_MIN && time_ns < INT64_MAX;
        return fits ? time_ns + shift : time_ns;
    }
    return INT64_C(1700000000000000000) + below(run, 1000000);
}

/* ------------------------------------------------------------------------------------------------
 * Steps: each makes one call and does the same to the model. False: they differ, and that is said.
 * --------------------------------------------------------------------------------------------- */

static bool good(bool condition, const char *what)
{
    if (!condition)
        print_error("%s: status %d, \"%s\"\n", what, VisitLastStatus(), VisitLastError());
    return condition;
}

static void note_time(struct run *run, int64_t time_ns)
{
    if (time_ns > run->newest_ns)
        run->newest_ns = time_ns;
}

/* Reads back the time that an ordinary add got, checks that it may be, and tells the model. */
static bool learn_add(struct run *run, const VisitInput *input, int64_t before_ns, int64_t after_ns)
{
    if (model_has(&run->model, input->user_id, input->visit_id))
        return true;
    const Visit *visits = NULL;
    size_t count = 0;
    VisitReaderGet(run->reader, input->user_id, 1, &visits, &count);
    if (!good(count == 1 && visits[0].visit_id == input->visit_id, "added visit is not the newest"))
        return false;
    int64_t time_ns = timespec_ns(visits[0].time);
    const struct model_user *user = model_find(&run->model, input->user_id);
    int64_t least = user && user->count && user->visits[0].time_ns > before_ns
                        ? user->visits[0].time_ns
                        : before_ns;
    int64_t most = run->newest_ns > after_ns ? run->newest_ns : after_ns;
    if (time_ns < least || time_ns > most) {
        print_error("time of an add is %" PRId64 ", may be %" PRId64 " to %" PRId64 "\n", time_ns,
                    least, most);
        return false;
    }
    model_add(&run->model, input, time_ns);
    note_time(run, time_ns);
    return true;
}

static bool step_add(struct run *run)
{
    VisitInput input = any_input(run);
    bool old_style = one_in(run, 2);
    snprintf(run->does, sizeof run->does, "%s user %u visit %u lengths %zu %zu",
             old_style ? "VisitManagerAddVisit" : "VisitManagerAdd", input.user_id, input.visit_id,
             input.url_length, input.text_length);
    int64_t before_ns = now_ns();
    bool added = old_style ? VisitManagerAddVisit(run->manager, input.user_id, input.visit_id,
                                                  input.url, input.text)
                           : VisitManagerAdd(run->manager, &input) == VISIT_OK;
    bool same = good(added, "add") && learn_add(run, &input, before_ns, now_ns());
    free_input(&input);
    return same;
}

static void make_timed(struct run *run, VisitInput *input)
{
    input->flags = VISIT_AT_TIME;
    input->time_ns = any_time(run, input->user_id);
}

static bool step_add_at(struct run *run)
{
    VisitInput input = any_input(run);
    make_timed(run, &input);
    snprintf(run->does, sizeof run->does,
             "VisitManagerAdd user %u visit %u lengths %zu %zu at %" PRId64, input.user_id,
             input.visit_id, input.url_length, input.text_length, input.time_ns);
    bool same = good(VisitManagerAdd(run->manager, &input) == VISIT_OK, "add at a time");
    model_add(&run->model, &input, input.time_ns);
    note_time(run, input.time_ns);
    free_input(&input);
    return same;
}

/* Times in a batch are always given: those of ordinary adds could not be told apart afterwards. */
static bool step_add_many(struct run *run)
{
    VisitInput inputs[BATCH_MAX];
    size_t count = below(run, BATCH_MAX + 1);
    size_t added = SIZE_MAX;
    bool one_user = one_in(run, 2);
    for (size_t i = 0; i < count; i++) {
        inputs[i] = any_input(run);
        if (one_user)
            inputs[i].user_id = inputs[0].user_id;
        make_timed(run, &inputs[i]);
    }
    snprintf(run->does, sizeof run->does, "VisitManagerAddMany of %zu, first user %u", count,
             count ? inputs[0].user_id : 0);
    VisitStatus status = VisitManagerAddMany(run->manager, inputs, count, &added);
    for (size_t i = 0; i < count; i++) {
        model_add(&run->model, &inputs[i], inputs[i].time_ns);
        note_time(run, inputs[i].time_ns);
        free_input(&inputs[i]);
    }
    return good(status == VISIT_OK && added == count, "batch");
}

/* Ids that the user has, others, and some twice. */
static size_t any_ids(struct run *run, uint32_t user_id, uint32_t *ids, size_t room)
{
    const struct model_user *user = model_find(&run->model, user_id);
    size_t count = below(run, one_in(run, 4) ? (uint32_t)room + 1 : 4);
    for (size_t i = 0; i < count; i++) {
        if (user && user->count && !one_in(run, 4))
            ids[i] = user->visits[below(run, (uint32_t)user->count)].id;
        else
            ids[i] = any_visit_id(run);
        if (i && one_in(run, 8))
            ids[i] = ids[i - 1];
    }
    return count;
}

static bool step_remove(struct run *run)
{
    uint32_t ids[BATCH_MAX];
    uint32_t user_id = any_user(run);
    size_t count = any_ids(run, user_id, ids, BATCH_MAX);
    size_t expected = model_remove(&run->model, user_id, ids, count);
    size_t removed = SIZE_MAX;
    if (one_in(run, 2)) {
        snprintf(run->does, sizeof run->does, "VisitManagerDelete user %u, %zu ids", user_id,
                 count);
        return good(VisitManagerDelete(run->manager, user_id, ids, count) == (expected > 0),
                    "result of the delete");
    }
    snprintf(run->does, sizeof run->does, "VisitManagerRemove user %u, %zu ids", user_id, count);
    VisitStatus status = VisitManagerRemove(run->manager, user_id, ids, count, &removed);
    return good(status == VISIT_OK, "remove") && good(removed == expected, "number removed");
}

static bool step_clear(struct run *run)
{
    uint32_t user_id = any_user(run);
    snprintf(run->does, sizeof run->does, "VisitManagerClear user %u", user_id);
    model_clear(&run->model, user_id);
    if (one_in(run, 2)) {
        VisitManagerClear(run->manager, user_id);
        return good(VisitLastStatus() == VISIT_OK, "clear");
    }
    return good(VisitManagerClearUser(run->manager, user_id) == VISIT_OK, "clear");
}

static bool step_read(struct run *run)
{
    uint32_t user_id = any_user(run);
    size_t limit = one_in(run, 2) ? 0 : below(run, (uint32_t)run->model.limit + 2);
    snprintf(run->does, sizeof run->does, "read user %u, limit %zu", user_id, limit);
    return compare_user(run->manager, run->reader, &run->model, user_id, limit);
}

static bool step_sync(struct run *run)
{
    snprintf(run->does, sizeof run->does, "VisitManagerSync");
    return good(VisitManagerSync(run->manager) == VISIT_OK, "sync");
}

static bool step_users(struct run *run)
{
    snprintf(run->does, sizeof run->does, "iteration and statistics");
    return compare_users(run->manager, &run->model) && compare_stats(run->manager, &run->model);
}

static bool step_verify(struct run *run)
{
    snprintf(run->does, sizeof run->does, "VisitManagerVerify");
    return compare_verify(run->manager);
}

/* ------------------------------------------------------------------------------------------------
 * Opening and closing
 * --------------------------------------------------------------------------------------------- */

static bool run_open(struct run *run, size_t limit)
{
    VisitOptions options = {.size = sizeof options,
                            .max_visits = (uint32_t)limit,
                            .slot_size = run->slot_size,
                            .shards = run->shards,
                            .checkpoint_interval_ms = one_in(run, 2) ? -1 : 5};
    snprintf(run->does, sizeof run->does, "VisitManagerOpen with limit %zu", limit);
    VisitStatus status = VisitManagerOpen(run->scratch.store, &options, &run->manager);
    return good(status == VISIT_OK, "open") &&
           good(VisitReaderOpen(run->manager, &run->reader) == VISIT_OK, "reader");
}

static bool run_close(struct run *run)
{
    VisitReaderFree(run->reader);
    run->reader = NULL;
    VisitManagerFree(run->manager);
    run->manager = NULL;
    return good(VisitLastStatus() == VISIT_OK, "close");
}

static size_t any_limit(struct run *run)
{
    static const uint16_t limits[] = {1, 2, 3, 10, 100, 1000};
    return limits[below(run, 6)];
}

static bool step_reopen(struct run *run)
{
    size_t limit = one_in(run, 2) ? any_limit(run) : run->model.limit;
    bool keeps = limit == run->model.limit && one_in(run, 2);
    snprintf(run->does, sizeof run->does, "close");
    if (!run_close(run) || !run_open(run, keeps ? 0 : limit))
        return false;
    model_set_limit(&run->model, limit);
    snprintf(run->does, sizeof run->does, "reads after opening with limit %zu (%s)", limit,
             keeps ? "given as 0" : "given");
    return !one_in(run, 4) || compare_all(run->manager, &run->model);
}

/* Another manager reads the store beside the writer. */
static bool step_read_only(struct run *run)
{
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    VisitManager *other = NULL;
    snprintf(run->does, sizeof run->does, "read-only manager beside the writer");
    bool same = good(VisitManagerOpen(run->scratch.store, &options, &other) == VISIT_OK, "open") &&
                compare_all(other, &run->model);
    VisitManagerFree(other);
    return same;
}

static bool step_backup(struct run *run)
{
    VisitOptions options = {.size = sizeof options, .create = VISIT_MUST_EXIST};
    VisitManager *copy = NULL;
    const char *path = scratch_path(&run->scratch, "copy.rv");
    snprintf(run->does, sizeof run->does, "VisitManagerBackup");
    bool same = good(VisitManagerBackup(run->manager, path, NULL, NULL) == VISIT_OK, "backup") &&
                good(VisitManagerOpen(path, &options, &copy) == VISIT_OK, "opening the backup") &&
                compare_all(copy, &run->model) && compare_verify(copy);
    VisitManagerFree(copy);
    remove(path);
    return same;
}

/* ------------------------------------------------------------------------------------------------
 * Runs
 * --------------------------------------------------------------------------------------------- */

static bool step_any(struct run *run)
{
    uint32_t kind = below(run, 10000);
    if (one_in(run, run->verify))
        return step_verify(run);
    if (kind < 5500)
        return step_add(run);
    if (kind < 6500)
        return step_add_at(run);
    if (kind < 6700)
        return step_add_many(run);
    if (kind < 7600)
        return step_remove(run);
    if (kind < 7900)
        return step_clear(run);
    if (kind < 9900)
        return step_read(run);
    if (kind < 9930)
        return step_sync(run);
    if (kind < 9955)
        return step_users(run);
    if (kind < 9990)
        return step_reopen(run);
    if (kind < 9996)
        return step_read_only(run);
    return step_backup(run);
}

/* One seed in four has so many users that segments split; the others go deep. */
static void run_choose(struct run *run)
{
    static const uint32_t few[] = {1, 2, 5, 50, 400};
    bool wide = one_in(run, 4);
    run->slot_size = 128u << below(run, 6);
    run->shards = 1u << below(run, 5);
    run->users = wide ? 2000 + below(run, 20000) : few[below(run, 5)];
    model_init(&run->model, any_limit(run));
    run->ids = one_in(run, 2) ? (uint32_t)run->model.limit * 2 + 4 : UINT32_MAX;
    run->steps = wide ? 24000 : 6000;
    run->verify = wide ? 8000 : 1000;
    const char *steps = getenv("RV_STEPS");
    if (steps)
        run->steps = (uint32_t)strtoul(steps, NULL, 10);
}

static bool run_steps(struct run *run)
{
    if (!run_open(run, run->model.limit))
        return false;
    for (run->step = 0; run->step < run->steps; run->step++) {
        if (!step_any(run))
            return false;
    }
    snprintf(run->does, sizeof run->does, "comparison at the end");
    if (!compare_all(run->manager, &run->model) || !step_verify(run) || !run_close(run))
        return false;
    if (!run_open(run, 0))
        return false;
    snprintf(run->does, sizeof run->does, "comparison after the last opening");
    return compare_all(run->manager, &run->model) && step_verify(run) && run_close(run);
}

static bool run_seed(uint64_t seed)
{
    struct run run = {.random = seed * 0x2545f4914f6cdd1du, .newest_ns = INT64_MIN};
    if (!scratch_make(&run.scratch))
        return false;
    run_choose(&run);
    size_t first_limit = run.model.limit;
    bool same = run_steps(&run);
    if (!same)
        print_error("seed %" PRIu64 " (slots of %u, %u shards, %u users, first limit %zu, now %zu):"
                    " step %u: %s\nreproduce: RV_SEED=%" PRIu64 " %s\n",
                    seed, run.slot_size, run.shards, run.users, first_limit, run.model.limit,
                    run.step, run.does, seed, program);
    VisitReaderFree(run.reader);
    VisitManagerFree(run.manager);
    model_free(&run.model);
    scratch_remove(&run.scratch);
    return same;
}

static void test_random__agrees_with_the_model(void **state)
{
    assert_true(run_seed(*(const uint64_t *)*state));
}

/* One cmocka test a seed. */
static int run_seeds(const uint64_t *seeds, size_t count)
{
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    char(*names)[64] = calloc(count, sizeof *names);
    if (!tests || !names)
        return 1;
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "test_random__agrees_with_the_model: seed %" PRIu64,
                 seeds[i]);
        tests[i] = (struct CMUnitTest){.name = names[i],
                                       .test_func = test_random__agrees_with_the_model,
                                       .initial_state = (void *)&seeds[i]};
    }
    int failed = _cmocka_run_group_tests("random", tests, count, NULL, NULL);
    free(tests);
    free(names);
    return failed;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    program = argv[0];
    uint64_t first = number_of("RV_FIRST_SEED", 1);
    size_t count = (size_t)number_of("RV_SEEDS", 12);
    if (argc > 1 || getenv("RV_SEED"))
        count = argc > 1 ? (size_t)argc - 1 : 1;
    uint64_t *seeds = calloc(count + 1, sizeof *seeds);
    if (!seeds)
        return 1;
    for (size_t i = 0; i < count; i++)
        seeds[i] = argc > 1 ? strtoull(argv[i + 1], NULL, 10) : number_of("RV_SEED", first + i);
    int failed = run_seeds(seeds, count);
    free(seeds);
    return failed;
}
