/* SPDX-License-Identifier: MIT */
/*
 * Every kind of operation, with the process killed before each of its stores in turn. What was
 * acknowledged is there afterwards, what was under way is there as a whole or not at all, and
 * nothing leaks. The same with a second kill during the repair, and with a power cut.
 *
 * Then the same among sharers: the one that was killed is not the only one that has the store open,
 * and the others go on.
 *
 *   RV_ALL=1 kill         before each store; otherwise of a long operation's many only some
 *   RV_FEW=1 kill         a tenth of that, for sanitizers and valgrind
 *   RV_SEED=7 kill        other second kills and other cuts
 *   RV_ONLY=split kill    one kind; RV_AT=100: one instant
 *   RV_VERBOSE=1          how many stores each kind has
 */
#include "disk.h"
#include "hash.h"
#include "course.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 10u
#define USERS 120u

/* What happens before, how that process ended, and what is cut short. */
struct scenario {
    const char *name;
    void (*prepare)(void);
    enum ending ending;
    void (*run)(void);
    bool opens;         /* `run` opens the store itself */
    unsigned alike;     /* users whose hashes have so many first bits 0 */
    uint32_t slot_log2; /* 0: 256 bytes */
    bool empty_file;    /* there is an empty file in the store's place */
};

static const char *program;
static uint32_t next_visit;

/* ---- what scenarios are made of ---- */

static void do_it(struct operation op)
{
    course_do(0, &op);
}

static struct operation add_of(uint32_t user, uint32_t bytes)
{
    struct operation op = {.kind = OP_ADD, .user = user};
    op.visit.visit_id = next_visit++;
    op.visit.url_length = bytes / 3;
    op.visit.text_length = bytes - bytes / 3;
    op.visit.pattern = sim_mix(op.visit.visit_id);
    return op;
}

static void add(uint32_t user, uint32_t bytes)
{
    do_it(add_of(user, bytes));
}

static void add_many(uint32_t user, uint32_t count, uint32_t bytes)
{
    while (count--) {
        add(user, bytes);
    }
}

static void users_with(uint32_t from, uint32_t to, uint32_t visits)
{
    for (uint32_t user = from; user < to; user++) {
        add_many(user, visits, 30);
    }
}

static void remove_visits(uint32_t user, uint32_t first, uint32_t count)
{
    struct operation op = {.kind = OP_REMOVE, .user = user, .id_count = count};
    for (uint32_t i = 0; i < count; i++) {
        op.ids[i] = first + i;
    }
    do_it(op);
}

static void clear(uint32_t user)
{
    do_it((struct operation){.kind = OP_CLEAR, .user = user});
}

static void checkpoint(void)
{
    do_it((struct operation){.kind = OP_CHECKPOINT});
}

static void reclaim(void)
{
    do_it((struct operation){.kind = OP_RECLAIM});
}

/* ---- before ---- */

static void nothing(void)
{
}

static void three_visits(void)
{
    add_many(0, 3, 30);
}

static void four_visits(void)
{
    add_many(0, 4, 30);
}

/* A checkpoint holds the full ring: the next add finds its slot covered. */
static void covered_ring(void)
{
    add_many(0, LIMIT + 2, 30);
    checkpoint();
    add_many(0, 6, 30);
}

static void long_visits(void)
{
    add(0, 500);
    add(0, 30);
    add(0, 5000);
    checkpoint();
    add(0, 700);
}

static void full_of_long_visits(void)
{
    add_many(0, LIMIT, 600);
}

static void before_a_split(void)
{
    users_with(0, 46, 1);
    checkpoint();
}

static void much_that_is_freed(void)
{
    users_with(0, 40, 3);
    add_many(50, 5, 9000);
    add_many(51, 5, 600);
    checkpoint();
    for (uint32_t user = 0; user < 30; user++) {
        clear(user);
    }
    clear(50);
    clear(51);
    users_with(30, 40, 2);
}

/* If it is erased, it leaves limbo with the checkpoint. */
static void much_in_limbo(void)
{
    much_that_is_freed();
    checkpoint();
}

static void some_of_all(void)
{
    much_in_limbo();
    add_many(52, 4, 600);
    users_with(0, 20, 2);
    clear(3);
    remove_visits(35, next_visit - 50, 3);
}

/* A ring with more visits than the limit that holds. */
static void more_than_the_limit(void)
{
    users_with(0, 20, 8);
    add_many(21, 8, 600);
    checkpoint();
    course_close();
    course_open(4);
    users_with(0, 3, 1);
}

/* ---- what is cut short ---- */

static void add_to_first(void)
{
    add(0, 30);
}

static void add_long_to_first(void)
{
    add(0, 6000);
}

static void add_other(void)
{
    add(100, 30);
}

static void grow(void)
{
    uint64_t size = rv_file_size(course_store());
    for (uint32_t user = 0; rv_file_size(course_store()) == size; user++) {
        add(user % USERS, 3000);
    }
}

static void add_in_between(void)
{
    struct operation op = add_of(0, 600);
    op.at_time = true;
    op.visit.time_ns = INT64_C(1700000000000000000);
    do_it(op);
    op = add_of(0, 30);
    op.at_time = true;
    op.visit.time_ns = INT64_C(1800000000000000000);
    do_it(op);
}

static void remove_some(void)
{
    remove_visits(0, 1, 2);
}

static void remove_all(void)
{
    remove_visits(0, 0, 4);
}

static void clear_first(void)
{
    clear(0);
}

static void add_new_users(void)
{
    users_with(46, 50, 1);
}

static void add_while_draining(void)
{
    users_with(60, 64, 2);
}

static void back_up(void)
{
    do_it((struct operation){.kind = OP_BACKUP});
}

static void open_as_it_is(void)
{
    course_open_only(0);
}

static void open_new(void)
{
    course_open_only(LIMIT);
}

static void open_with_less(void)
{
    course_open_only(3);
}

static void open_with_more(void)
{
    course_open_only(9);
}

static void open_and_close(void)
{
    course_open_only(0);
    course_close();
}

static const struct scenario scenarios[] = {
    {.name = "create", .ending = END_CLOSED, .run = open_new, .opens = true},
    {.name = "create-in-empty-file",
     .ending = END_CLOSED,
     .run = open_new,
     .opens = true,
     .empty_file = true},
    {.name = "first-add", .prepare = nothing, .ending = END_KILLED, .run = add_to_first},
    {.name = "add-in-place", .prepare = three_visits, .ending = END_KILLED, .run = add_to_first},
    {.name = "add-with-move", .prepare = four_visits, .ending = END_KILLED, .run = add_to_first},
    {.name = "add-to-covered-ring",
     .prepare = covered_ring,
     .ending = END_KILLED,
     .run = add_to_first},
    {.name = "add-long", .prepare = long_visits, .ending = END_KILLED, .run = add_long_to_first},
    {.name = "add-long-to-full-ring",
     .prepare = full_of_long_visits,
     .ending = END_KILLED,
     .run = add_long_to_first},
    {.name = "add-short-to-full-ring",
     .prepare = full_of_long_visits,
     .ending = END_KILLED,
     .run = add_to_first},
    {.name = "add-at-times", .prepare = long_visits, .ending = END_KILLED, .run = add_in_between},
    {.name = "add-at-times-to-full-ring",
     .prepare = full_of_long_visits,
     .ending = END_KILLED,
     .run = add_in_between},
    {.name = "growth", .prepare = three_visits, .ending = END_KILLED, .run = grow, .slot_log2 = 7},
    {.name = "remove-some", .prepare = four_visits, .ending = END_KILLED, .run = remove_some},
    {.name = "remove-some-long", .prepare = long_visits, .ending = END_KILLED, .run = remove_some},
    {.name = "remove-all", .prepare = four_visits, .ending = END_KILLED, .run = remove_all},
    {.name = "remove-all-long", .prepare = long_visits, .ending = END_KILLED, .run = remove_all},
    {.name = "clear", .prepare = three_visits, .ending = END_KILLED, .run = clear_first},
    {.name = "clear-long",
     .prepare = full_of_long_visits,
     .ending = END_KILLED,
     .run = clear_first},
    {.name = "split", .prepare = before_a_split, .ending = END_KILLED, .run = add_new_users},
    {.name = "deep-split",
     .prepare = before_a_split,
     .ending = END_KILLED,
     .run = add_new_users,
     .alike = 9},
    {.name = "drain", .prepare = much_that_is_freed, .ending = END_KILLED, .run = reclaim},
    {.name = "drain-by-adds",
     .prepare = much_in_limbo,
     .ending = END_KILLED,
     .run = add_while_draining},
    {.name = "checkpoint", .prepare = some_of_all, .ending = END_KILLED, .run = checkpoint},
    {.name = "add-after-all", .prepare = some_of_all, .ending = END_KILLED, .run = add_other},
    {.name = "close",
     .prepare = some_of_all,
     .ending = END_CLOSED,
     .run = open_and_close,
     .opens = true},
    {.name = "close-after-kill",
     .prepare = some_of_all,
     .ending = END_KILLED,
     .run = open_and_close,
     .opens = true},
    {.name = "open-clean",
     .prepare = some_of_all,
     .ending = END_CLOSED,
     .run = open_as_it_is,
     .opens = true},
    {.name = "open-killed",
     .prepare = some_of_all,
     .ending = END_KILLED,
     .run = open_as_it_is,
     .opens = true},
    {.name = "open-remounted",
     .prepare = some_of_all,
     .ending = END_REMOUNTED,
     .run = open_as_it_is,
     .opens = true},
    {.name = "open-cut",
     .prepare = some_of_all,
     .ending = END_CUT,
     .run = open_as_it_is,
     .opens = true},
    {.name = "open-cut-deep",
     .prepare = before_a_split,
     .ending = END_CUT,
     .run = open_as_it_is,
     .opens = true,
     .alike = 9},
    {.name = "limit-less",
     .prepare = some_of_all,
     .ending = END_KILLED,
     .run = open_with_less,
     .opens = true},
    {.name = "limit-more",
     .prepare = more_than_the_limit,
     .ending = END_KILLED,
     .run = open_with_more,
     .opens = true},
    {.name = "limit-more-clean",
     .prepare = more_than_the_limit,
     .ending = END_CLOSED,
     .run = open_with_more,
     .opens = true},
    {.name = "backup", .prepare = some_of_all, .ending = END_KILLED, .run = back_up},
};
#define SCENARIOS (sizeof scenarios / sizeof scenarios[0])

/* A limit of its own, or what only a lone opener does. */
static bool is_for_sharers(const struct scenario *s)
{
    return s->run != open_new && s->run != open_with_less && s->run != open_with_more;
}

/* ---- running them ---- */

static const struct scenario *now_playing;
static uint64_t seed;
static uint64_t kill_at; /* the number of the step before which the process ends */
static bool to_the_end;  /* it did not: the operation was through */
static uint64_t kills;
#define LEAST_KILLS 8u /* with any operation: one in each way */

static void choose_users(void)
{
    static uint32_t ids[USERS];
    uint64_t hash_seed = sim_disk_hash_seed();
    uint32_t candidate = 1;
    for (uint32_t i = 0; i < USERS; candidate++) {
        uint64_t hash = XXH3_64bits_withSeed(&candidate, sizeof candidate, hash_seed);
        if (!now_playing->alike || hash >> (64 - now_playing->alike) == 0) {
            ids[i++] = candidate;
        }
    }
    oracle_reset(ids, USERS);
}

static void prepare_thread(void *data)
{
    (void)data;
    course_open(LIMIT);
    now_playing->prepare();
    if (now_playing->ending == END_CLOSED) {
        course_close();
    } else {
        sim_end();
    }
}

static void play_thread(void *data)
{
    (void)data;
    if (!now_playing->opens) {
        course_open_only(0);
    }
    sim_end_after(kill_at, 0, SIM_STORE);
    now_playing->run();
    sim_end_after(0, 0, SIM_STORE);
    to_the_end = true;
    sim_end();
}

/* The repair, and what follows at once. LIMIT is also what a new store has. */
static void repair_thread(void *data)
{
    (void)data;
    course_open(0);
    users_with(80, 82, 3);
    clear(80);
    sim_end();
}

/* All is well, and the store can be worked with. */
static void check_thread(void *data)
{
    (void)data;
    course_check_copy();
    course_open(0);
    users_with(90, 93, 2);
    add_many(0, 3, 400);
    clear(90);
    checkpoint();
    course_check();
    reclaim();
    course_check();
    course_close();
}

static void reopen_thread(void *data)
{
    (void)data;
    course_open(0);
    course_close();
}

static void run_thread(void (*function)(void *data))
{
    sim_spawn(function, NULL);
    sim_run();
}

static void run_whole(void (*function)(void *data))
{
    if (!sim_failed()) {
        sim_end_after(0, 0, SIM_STORE);
        run_thread(function);
        course_ended(sim_failed() ? END_KILLED : END_CLOSED);
    }
}

/* What comes after the kill, and after a second one during the repair. */
static const struct variant {
    const char *name;
    enum ending first;
    enum ending second; /* END_CLOSED: none */
} variants[] = {
    {"kill", END_KILLED, END_CLOSED},       {"kill, kill", END_KILLED, END_KILLED},
    {"kill, cut", END_KILLED, END_CUT},     {"cut", END_CUT, END_CLOSED},
    {"cut, kill", END_CUT, END_KILLED},     {"cut, cut", END_CUT, END_CUT},
    {"remount", END_REMOUNTED, END_CLOSED},
};
#define VARIANTS (sizeof variants / sizeof variants[0])

/* Returns false if something was wrong. */
static bool play(const struct course_image *image, const struct variant *variant)
{
    sim_set_command("RV_SEED=%" PRIu64 " RV_ONLY=%s RV_AT=%" PRIu64 " %s   # %s", seed,
                    now_playing->name, kill_at, program, variant->name);
    sim_seed(seed * 1000 + kill_at);
    sim_forget_failure();
    course_load(image);
    next_visit = 1000;
    to_the_end = false;
    run_thread(play_thread);
    course_ended(variant->first);
    if (variant->second != END_CLOSED && !sim_failed()) {
        sim_end_after(sim_spread(400), 0, SIM_STORE);
        run_thread(repair_thread);
        course_ended(variant->second);
    }
    run_whole(check_thread);
    run_whole(reopen_thread);
    kills += !to_the_end;
    return !sim_failed();
}

/* ---- among sharers ---- */

enum { DYING = 1, FIRST = 2, SECOND = 3 }; /* processes */

static struct rv_store *sharer[4];

static void run_process(unsigned process, void (*function)(void *data))
{
    if (!sim_failed()) {
        sim_set_process(process);
        sim_end_after(0, 0, SIM_STORE);
        run_thread(function);
    }
}

static void join_thread(void *data)
{
    (void)data;
    course_open(0);
    sharer[sim_process()] = course_store();
}

/* Goes on where another one was killed. */
static void go_on_thread(void *data)
{
    (void)data;
    course_switch(sharer[sim_process()]);
    course_check_beside();
    users_with(80, 82, 3);
    clear(80);
    course_check();
}

static void look_and_leave_thread(void *data)
{
    (void)data;
    course_switch(sharer[sim_process()]);
    course_check_beside();
    course_close();
}

static void finish_thread(void *data)
{
    (void)data;
    course_switch(sharer[sim_process()]);
    users_with(90, 93, 2);
    add_many(0, 3, 400);
    clear(90);
    checkpoint();
    course_check();
    reclaim();
    course_check();
    course_close();
}

static void leave_thread(void *data)
{
    (void)data;
    course_switch(sharer[sim_process()]);
    course_close();
}

/* One that goes on is killed too, in its repair or soon after; the other one goes on alone. */
static void lose_first(void)
{
    sim_set_process(FIRST);
    sim_end_after(sim_spread(200), 0, SIM_STORE);
    run_thread(go_on_thread);
    course_lost_process();
    run_process(SECOND, go_on_thread);
}

static const struct sharing {
    const char *name;
    bool lose_first;
    bool lose_last;     /* in its close */
    enum ending ending; /* of them all */
} sharings[] = {
    {"beside others", false, false, END_CLOSED},
    {"beside others, who leave", false, false, END_CLOSED},
    {"beside others, kill", false, false, END_KILLED},
    {"beside others, cut", false, false, END_CUT},
    {"beside others, one more", true, false, END_CLOSED},
    {"beside others, one more, kill", true, false, END_KILLED},
    {"beside others, the last one", false, true, END_KILLED},
    {"beside others, the last one, cut", false, true, END_CUT},
};
#define LEAVING 1u
#define SHARINGS (sizeof sharings / sizeof sharings[0])

static void end_all(enum ending how)
{
    sim_set_process(0);
    course_ended(sim_failed() ? END_KILLED : how);
}

/* All but the dying one are there; then it is killed. */
static void lose_one(void)
{
    course_share(true);
    run_process(FIRST, join_thread);
    run_process(SECOND, join_thread);
    if (sim_failed()) {
        return;
    }
    sim_set_process(DYING);
    run_thread(play_thread);
    course_lost_process();
}

/* Others work on, and perhaps end too. */
static void go_on(const struct sharing *sharing)
{
    if (sharing->lose_first && !sim_failed()) {
        lose_first();
    } else {
        run_process(FIRST, go_on_thread);
    }
    if (sharing->ending == END_CLOSED || sharing->lose_last) {
        run_process(SECOND, finish_thread);
    }
    if (sharing->lose_last && !sim_failed()) {
        sim_set_process(FIRST);
        sim_end_after(sim_spread(60), 0, SIM_STORE);
        run_thread(leave_thread);
    } else if (sharing->ending == END_CLOSED && !sharing->lose_first) {
        run_process(FIRST, leave_thread);
    }
}

static bool play_shared(const struct course_image *image, const struct sharing *sharing)
{
    sim_set_command("RV_SEED=%" PRIu64 " RV_ONLY=%s RV_AT=%" PRIu64 " %s   # %s", seed,
                    now_playing->name, kill_at, program, sharing->name);
    sim_seed(seed * 1000 + kill_at);
    sim_forget_failure();
    course_load(image);
    next_visit = 1000;
    to_the_end = false;
    lose_one();
    if (sharing == &sharings[LEAVING]) {
        run_process(SECOND, look_and_leave_thread);
        run_process(FIRST, leave_thread);
    } else {
        go_on(sharing);
    }
    end_all(sharing->ending);
    course_share(false);
    run_whole(check_thread);
    run_whole(reopen_thread);
    kills += !to_the_end;
    return !sim_failed();
}

static struct course_image *prepare(const struct scenario *scenario)
{
    struct rv_options options = {
        .slot_log2 = scenario->slot_log2 ? scenario->slot_log2 : 8,
        .block_log2 = 12,
        .shards = 1,
        .file_mode = 0600,
    };
    now_playing = scenario;
    next_visit = 0;
    sim_set_command("RV_SEED=%" PRIu64 " RV_ONLY=%s RV_AT=1 %s   # before the first kill", seed,
                    scenario->name, program);
    sim_seed(seed);
    sim_forget_failure();
    course_reset(seed, &options);
    choose_users();
    if (scenario->empty_file) {
        sim_disk_touch(SIM_STORE_FILE);
    }
    if (scenario->prepare) {
        run_thread(prepare_thread);
        course_ended(sim_failed() ? END_KILLED : scenario->ending);
    }
    return course_save();
}

/* The next instant: most stores of a long operation fill a fresh block, one like the other. */
static uint64_t after(uint64_t at)
{
    static const uint64_t closely = 250;
    if (getenv("RV_FEW")) {
        return at + 1 + at / 4;
    }
    return at < closely || getenv("RV_ALL") ? at + 1 : at + 1 + sim_below((uint32_t)(at / 50));
}

/* What follows the kill, in all ways. */
static bool play_all(const struct course_image *image, bool among_sharers)
{
    bool good = true;
    for (size_t i = 0; i < VARIANTS && good && !among_sharers; i++) {
        good = play(image, &variants[i]);
    }
    for (size_t i = 0; i < SHARINGS && good && among_sharers; i++) {
        good = play_shared(image, &sharings[i]);
    }
    return good;
}

/* One kind of operation, killed at every instant. */
static bool run_instants(const struct course_image *image, uint64_t only_at, bool among_sharers)
{
    bool good = true;
    uint64_t before = kills;
    to_the_end = false;
    for (kill_at = only_at ? only_at : 1; good && !to_the_end; kill_at = after(kill_at)) {
        good = play_all(image, among_sharers);
        if (only_at) {
            break;
        }
    }
    if (getenv("RV_VERBOSE")) {
        printf("%s%s: %" PRIu64 " stores and syncs\n", now_playing->name,
               among_sharers ? " among sharers" : "", kill_at - 1);
    }
    if (good && !only_at && kills - before < LEAST_KILLS) {
        sim_fail("%" PRIu64 " kills: the operation was not what this is about", kills - before);
        good = false;
    }
    return good;
}

static bool run_scenario(const struct scenario *scenario, uint64_t only_at)
{
    struct course_image *image = prepare(scenario);
    bool good = !sim_failed() && run_instants(image, only_at, false);
    if (good && is_for_sharers(scenario)) {
        good = run_instants(image, only_at, true);
    }
    course_image_free(image);
    return good;
}

int main(int argc, char **argv)
{
    const char *only = getenv("RV_ONLY");
    const char *at = getenv("RV_AT");
    unsigned passed = 0;
    unsigned failed = 0;
    seed = getenv("RV_SEED") ? strtoull(getenv("RV_SEED"), NULL, 10) : 1;
    program = argc ? argv[0] : "kill";
    sim_catch_signals();
    for (size_t i = 0; i < SCENARIOS; i++) {
        if (!only || strcmp(only, scenarios[i].name) == 0) {
            bool good = run_scenario(&scenarios[i], at ? strtoull(at, NULL, 10) : 0);
            *(good ? &passed : &failed) += 1;
        }
    }
    printf("%" PRIu64 " kills\nkill: %u passed, %u failed\n", kills, passed, failed);
    return failed != 0;
}
