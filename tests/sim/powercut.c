/* SPDX-License-Identifier: MIT */
/*
 * Stores that lose power, or their process, at any instant: while they are created, opened,
 * repaired, recovered, written by several threads, checkpointed, copied and closed; several times
 * in a row. Whatever survives must open, obey every rule of the format, and hold exactly what it
 * must.
 *
 *   RV_SEEDS=100000 RV_SEED=1 powercut   so many seeds, beginning with that one
 *   powercut shared                      each writer is a process, and may be killed alone
 *   powercut failing, powercut shared failing   syncs fail too
 *   RV_VERBOSE=1                         says what happened how often
 *   RV_TRACE=1                           says how each life ended
 *   RV_IMAGES=FOLDER                     keeps what each life left: FOLDER/SEED-LIFE-HOW.rv, and
 * copies
 */
#include "alloc.h"
#include "disk.h"
#include "hash.h"
#include "course.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Seeds that once found a fault. */
/* clang-format off */
static const uint64_t known_seeds[] = {
    6, 331, 1160, 1393, 1614, 2872, 2971, 3036, 3072, 3405, 5324, 5860, 6940, 8514, 200780, 201658, 218656, 304961,
    336100, 1604890301101910, 1010037412002737};
/* clang-format on */
static const uint64_t known_shared_seeds[] = {5540, 18987, 3183412985900261};
static const uint64_t known_failing_seeds[] = {
    18897, 19043, 776710, 777588, 890930, 30101548, 30113274, 940016802, 1846669901701090};

/* What a seed is about. */
struct profile {
    struct rv_options options;
    uint32_t users;
    uint32_t ids;         /* visit ids that are used */
    uint32_t most_visits; /* limits are up to this */
    uint32_t weight[OP_BACKUP + 1];
    uint32_t timed;   /* one add in so many has a time of its own; 0: none */
    uint32_t longer;  /* one in so many overflows */
    uint32_t longest; /* bytes */
    uint32_t hot;     /* one operation in so many is on a random user, others on few */
    uint32_t writers;
    bool ticker;
    bool reader;
    bool builder;        /* lengthens the file ahead of need */
    bool empty_file;     /* the store is made in an empty file */
    uint32_t operations; /* of a life, at most */
};

static struct profile profile;
static uint32_t operations_left;
static unsigned writers_left;
static bool sharing; /* each writer is a process */
static uint64_t present_seed;
static bool failing; /* syncs may fail */

static struct {
    uint64_t lives;
    uint64_t ended[ENDINGS];
    uint64_t steps;
    uint64_t operations;
    uint64_t in_open;
    uint64_t in_work;
    uint64_t in_close;
    uint64_t lost; /* sharers that were killed while others went on */
    uint64_t elsewhere;
    uint64_t states[8];
} statistics;

/* ---- choosing ---- */

static void choose_file(struct profile *p)
{
    p->options = (struct rv_options){
        .slot_log2 = 7 + sim_below(2),
        .block_log2 = sim_once_in(24) ? RV_BLOCK_LOG2 : 12,
        .shards = 1u << sim_below(2),
        .file_mode = 0600,
    };
    p->empty_file = sim_once_in(6);
    p->longest = sim_once_in(50) ? 130000 : 4096;
    if (sim_once_in(40)) {
        p->options.slot_log2 = 12;
        p->options.block_log2 = RV_BLOCK_LOG2;
    }
}

static void choose_work(struct profile *p)
{
    p->users = 1 + (uint32_t)sim_spread(sim_once_in(8) ? 400 : 100);
    p->most_visits = 1 + (uint32_t)sim_spread(sim_once_in(8) ? ORACLE_VISITS - 2 : 14);
    p->ids = 1 + (uint32_t)sim_spread(200);
    static const uint32_t weights[][OP_BACKUP + 1] = {
        {0, 800, 100, 30, 20, 5, 2},  {0, 1000, 0, 0, 10, 0, 0},    {0, 300, 300, 100, 60, 10, 3},
        {0, 500, 10, 300, 30, 10, 1}, {0, 1000, 30, 10, 150, 0, 1},
    };
    memcpy(p->weight, weights[sim_below(5)], sizeof p->weight);
    p->timed = sim_once_in(2) ? 0 : (uint32_t)sim_spread(20);
    p->longer = sim_once_in(3) ? 0 : 2 + (uint32_t)sim_spread(200);
    p->hot = (uint32_t)sim_spread(8);
    p->writers = sim_once_in(2) ? 1 : 1 + sim_below(COURSE_WRITERS);
    p->ticker = sim_once_in(2);
    p->reader = sim_once_in(2);
    p->operations = 1 + (uint32_t)sim_spread(sim_once_in(6) ? 1500 : 300);
}

/* Kinds of work that came later: of the seeds that once found a fault none has them, and so they
 * all go on as they did. */
static void choose_more(struct profile *p, uint64_t seed)
{
    p->builder = !sharing && seed % 8 == 7;
    if (seed % 16 == 15) { /* most users have gone, and segments are renewed */
        static const uint32_t weights[] = {0, 1000, 0, 2000, 60, 10, 1};
        memcpy(p->weight, weights, sizeof p->weight);
        p->users = 400;
        p->hot = 1;
        p->operations = 1500;
    }
}

/* Users whose hashes begin alike make the index deep. */
static void choose_users(uint64_t hash_seed)
{
    static uint32_t ids[ORACLE_USERS];
    bool alike = sim_once_in(5);
    bool small = sim_once_in(2);
    uint32_t candidate = small ? 0 : (uint32_t)sim_random();
    unsigned bits = 6 + sim_below(3);
    for (uint32_t i = 0; i < profile.users;) {
        uint64_t hash = XXH3_64bits_withSeed(&candidate, sizeof candidate, hash_seed);
        if (!alike || hash >> (64 - bits) == 0) {
            ids[i++] = candidate;
        }
        candidate++;
    }
    oracle_reset(ids, profile.users);
}

static enum operation_kind choose_kind(void)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i <= OP_BACKUP; i++) {
        sum += profile.weight[i];
    }
    uint32_t n = sim_below(sum);
    unsigned kind = 0;
    while (n >= profile.weight[kind]) {
        n -= profile.weight[kind++];
    }
    return (enum operation_kind)kind;
}

static uint32_t choose_length(void)
{
    if (profile.longer && sim_once_in(profile.longer)) {
        return (uint32_t)sim_spread(profile.longest);
    }
    return (uint32_t)sim_spread((1u << profile.options.slot_log2) - 48) - 1;
}

static uint32_t choose_user(void)
{
    bool any = sim_once_in(profile.hot);
    return any ? sim_below(profile.users) : (uint32_t)sim_spread(profile.users) - 1;
}

static struct operation choose_operation(void)
{
    struct operation op = {.kind = choose_kind(), .user = choose_user()};
    if (op.kind == OP_ADD) {
        uint32_t length = choose_length();
        op.visit.visit_id = sim_below(profile.ids);
        op.visit.url_length = sim_below(length + 1);
        op.visit.text_length = length - op.visit.url_length;
        op.visit.pattern = sim_random();
        op.at_time = profile.timed && sim_once_in(profile.timed);
        op.visit.time_ns = INT64_C(1700000000000000000) + sim_below(2000000);
    } else if (op.kind == OP_REMOVE) {
        op.id_count = 1 + sim_below(4);
        for (uint32_t i = 0; i < op.id_count; i++) {
            op.ids[i] = sim_below(profile.ids);
        }
    }
    return op;
}

/* ---- the threads of a life ---- */

static void write_on(void *data)
{
    unsigned number = (unsigned)(uintptr_t)data;
    while (operations_left && !sim_disk_sync_failed()) {
        operations_left--;
        statistics.operations++;
        struct operation op = choose_operation();
        course_do(number, &op);
        if (sim_once_in(4)) {
            sim_yield();
        }
    }
    writers_left--;
}

/* ---- among sharers each writer is a process ---- */

static bool died[COURSE_WRITERS];

static void on_process_end(void)
{
    unsigned writer = sim_process() - 1;
    course_writer_died(writer);
    died[writer] = true;
    writers_left--;
    statistics.lost++;
}

static void share_on(void *data)
{
    unsigned number = (unsigned)(uintptr_t)data;
    sim_set_process(number + 1);
    if (sim_once_in(2)) {
        sim_end_process_after(sim_spread(3000));
    }
    bool open = course_writer_opens(number);
    while (operations_left && !sim_disk_sync_failed()) {
        operations_left--;
        statistics.operations++;
        struct operation op = choose_operation();
        course_do(number, &op);
        if (sim_once_in(4)) {
            sim_yield();
        }
    }
    if (open) {
        course_writer_closes(number);
    }
    sim_end_process_after(0);
    writers_left--;
}

/* Those that died come again. */
static void revive(void)
{
    for (unsigned i = 0; i < COURSE_WRITERS; i++) {
        if (died[i] && operations_left) {
            writers_left++;
            sim_spawn(share_on, (void *)(uintptr_t)i);
        }
        died[i] = false;
    }
}

/* A sharer that may still come, work and go while the first one closes: either is the last. */
static void straggle(void *data)
{
    (void)data;
    sim_set_process(1);
    if (!course_writer_opens(0)) {
        return;
    }
    for (uint64_t left = sim_spread(30); left; left--) {
        struct operation op = choose_operation();
        course_do(0, &op);
        if (sim_once_in(2)) {
            sim_yield();
        }
    }
    course_writer_closes(0);
}

static void let_one_straggle(void)
{
    sim_spawn(straggle, NULL);
    for (uint64_t rounds = sim_spread(100); rounds; rounds--) {
        sim_yield();
    }
}

static void tick(void *data)
{
    struct operation op = {.kind = OP_CHECKPOINT};
    (void)data;
    while (writers_left) {
        for (uint64_t rounds = sim_spread(64); rounds && writers_left; rounds--) {
            sim_yield();
        }
        course_do(COURSE_WRITERS - 1, &op);
    }
}

static void build(void *data)
{
    (void)data;
    for (unsigned i = 0; i < 4 && writers_left; i++) {
        for (uint64_t rounds = sim_spread(200); rounds && writers_left; rounds--) {
            sim_yield();
        }
        VisitStatus status = rv_alloc_reserve(course_store());
        if (status && status != VISIT_ERROR_NO_SPACE) {
            sim_fail("making room: %s", VisitLastError());
        }
    }
}

static void read_on(void *data)
{
    (void)data;
    while (writers_left) {
        course_read(choose_user());
        sim_yield();
    }
}

/* How long the process may live; most of the time it ends at its work. */
static void choose_end(uint64_t most)
{
    if (sim_once_in(4)) {
        static const enum sim_point points[] = {SIM_SYNC_BEGIN, SIM_SYNC_FLIGHT, SIM_SYNC_DONE};
        sim_end_after(0, sim_spread(8), points[sim_below(3)]);
    } else {
        sim_end_after(sim_spread(most), 0, SIM_STORE);
    }
}

static uint32_t choose_limit(void)
{
    if (course_limit() && !sim_once_in(4)) {
        return sim_once_in(2) ? 0 : course_limit();
    }
    return course_limit() || sim_steps() == 0 ? 1 + sim_below(profile.most_visits) : 0;
}

static void work(void)
{
    unsigned writers = profile.writers;
    writers = profile.ticker && writers == COURSE_WRITERS ? writers - 1 : writers;
    operations_left = 1 + sim_below(profile.operations);
    writers_left = writers;
    for (unsigned i = 0; i < writers; i++) {
        sim_spawn(sharing ? share_on : write_on, (void *)(uintptr_t)i);
    }
    if (profile.ticker) {
        sim_spawn(tick, NULL);
    }
    if (profile.reader) {
        sim_spawn(read_on, NULL);
    }
    if (profile.builder) {
        sim_spawn(build, NULL);
    }
    while (sim_threads() > 1) {
        sim_yield();
        revive();
    }
}

static void live(void *data)
{
    bool last = *(bool *)data;
    if (sim_once_in(4)) {
        course_look();
    }
    if (failing && !last && sim_once_in(2)) {
        sim_disk_fail_sync(sim_spread(16));
    }
    if (!course_open(choose_limit())) {
        return;
    }
    statistics.states[course_store()->state]++;
    if (!last && sim_once_in(2)) {
        choose_end(30000);
    }
    work();
    if (sim_once_in(2)) {
        course_check();
    }
    if (!last && sim_once_in(3)) {
        sim_end();
    }
    if (!last && sim_once_in(2)) {
        choose_end(300);
    }
    if (sharing && !failing && sim_once_in(2)) { /* or the straggler would recover the store */
        let_one_straggle();
    }
    course_close();
}

static void look_at_copy(void *data)
{
    (void)data;
    course_check_copy();
}

/* ---- one seed ---- */

static void count_end(enum ending how)
{
    const char *doing = course_doing();
    statistics.ended[how]++;
    statistics.in_open += strcmp(doing, "open") == 0;
    statistics.in_work += strcmp(doing, "work") == 0;
    statistics.in_close += strcmp(doing, "close") == 0;
}

static enum ending choose_ending(void)
{
    uint32_t n = sim_below(20);
    return n < 9 ? END_CUT : n < 17 ? END_KILLED : END_REMOUNTED;
}

/* RV_TRACE=1: what happens, life by life. */
static void trace(enum ending how)
{
    struct rv_disk_record record = {0};
    const struct rv_disk_live *live_state = sim_disk_live(SIM_STORE_FILE);
    if (getenv("RV_TRACE")) {
        sim_disk_record(SIM_STORE_FILE, &record);
        fprintf(stderr,
                "step %" PRIu64 ": %s while at %s; E %" PRIu64 ", D %" PRIu64 ", record %" PRIu64
                " of D %" PRIu64 ", flags %u, limit %u\n",
                sim_steps(), ending_name[how], course_doing(), live_state->epoch,
                live_state->durable, record.serial, record.durable, record.flags, record.limit);
    }
}

/* RV_IMAGES: the file as it is, for others to look at. */
static void keep_image(unsigned file, uint32_t number, const char *what)
{
    size_t size;
    char path[4096];
    const char *folder = getenv("RV_IMAGES");
    const void *bytes = sim_disk_bytes(file, &size);
    if (!folder || !bytes) {
        return;
    }
    snprintf(path, sizeof path, "%s/%" PRIu64 "-%u-%s.rv", folder, present_seed, number, what);
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(bytes, 1, size, out) != size || fclose(out)) {
        perror(path);
        exit(1);
    }
}

static void one_life(uint32_t number, bool last)
{
    enum ending how = END_CLOSED;
    sim_end_after(0, 0, SIM_STORE);
    if (!last && sim_once_in(2)) {
        choose_end(sim_once_in(2) ? 1000 : 30000);
    }
    sim_set_turns((uint32_t)sim_spread(300));
    memset(died, 0, sizeof died);
    sim_set_process(0);
    sim_spawn(live, &last);
    statistics.lives++;
    if (sim_run()) {
        how = choose_ending();
    }
    how = how != END_CUT && sim_disk_failure_known() ? END_FAILED : how;
    count_end(how);
    trace(how);
    course_ended(how);
    trace(how);
    if (how != END_CUT && !last && sim_once_in(8) && !sim_failed()) {
        keep_image(SIM_STORE_FILE, number, ending_name[how]);
        how = END_CUT;
        course_ended(how);
        statistics.ended[how]++;
    }
    keep_image(SIM_STORE_FILE, number, ending_name[how]);
    keep_image(SIM_COPY_FILE, number, "copy");
    if (!sim_failed()) {
        sim_end_after(0, 0, SIM_STORE);
        sim_spawn(look_at_copy, NULL);
        sim_run();
        sim_free_processes();
    }
}

static bool run_seed(const char *program, uint64_t seed)
{
    sim_set_command("RV_SEED=%" PRIu64 " RV_SEEDS=1 %s%s%s", seed, program,
                    sharing ? " shared" : "", failing ? " failing" : "");
    sim_forget_failure();
    sim_seed(seed);
    present_seed = seed;
    choose_file(&profile);
    choose_work(&profile);
    choose_more(&profile, seed);
    profile.options.mode = sharing ? VISIT_SHARED : VISIT_EXCLUSIVE;
    course_reset(seed, &profile.options);
    choose_users(sim_disk_hash_seed());
    sim_disk_limit(sim_once_in(12) ? UINT64_C(4096) * (60 + sim_below(200)) : 0);
    if (profile.empty_file) {
        sim_disk_touch(SIM_STORE_FILE);
    }
    uint32_t lives = 2 + sim_below(6);
    for (uint32_t i = 0; i <= lives && !sim_failed(); i++) {
        one_life(i, i == lives);
    }
    statistics.steps += sim_steps();
    return !sim_failed();
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void tell_statistics(void)
{
    printf("%" PRIu64 " lives, %" PRIu64 " operations, %" PRIu64 " stores and syncs\n",
           statistics.lives, statistics.operations, statistics.steps);
    for (unsigned i = 0; i < ENDINGS; i++) {
        printf("%s %" PRIu64 "  ", ending_name[i], statistics.ended[i]);
    }
    printf("\nat an open %" PRIu64 ", at work %" PRIu64 ", at a close %" PRIu64 "\n",
           statistics.in_open, statistics.in_work, statistics.in_close);
    if (sharing) {
        printf("sharers killed beside others: %" PRIu64 "\n", statistics.lost);
    }
    printf("found new %" PRIu64 ", clean %" PRIu64 ", killed %" PRIu64 ", crashed %" PRIu64 "\n",
           statistics.states[VISIT_FOUND_NEW], statistics.states[VISIT_FOUND_CLEAN],
           statistics.states[VISIT_FOUND_KILLED], statistics.states[VISIT_FOUND_CRASHED]);
}

static const uint64_t *known(void)
{
    return failing ? known_failing_seeds : sharing ? known_shared_seeds : known_seeds;
}

static size_t known_count(void)
{
    size_t bytes = failing   ? sizeof known_failing_seeds
                   : sharing ? sizeof known_shared_seeds
                             : sizeof known_seeds;
    return bytes / sizeof known_seeds[0];
}

int main(int argc, char **argv)
{
    uint64_t passed = 0;
    uint64_t failed = 0;
    uint64_t first = number_of("RV_SEED", 1);
    uint64_t count = number_of("RV_SEEDS", 2000);
    for (int i = 1; i < argc; i++) {
        sharing = sharing || strcmp(argv[i], "shared") == 0;
        failing = failing || strcmp(argv[i], "failing") == 0;
    }
    sim_process_ended = on_process_end;
    sim_catch_signals();
    bool again = count != 1 && !getenv("RV_IMAGES");
    for (size_t i = 0; again && i < known_count(); i++) {
        *(run_seed(argv[0], known()[i]) ? &passed : &failed) += 1;
    }
    for (uint64_t seed = first; seed < first + count && failed < 20; seed++) {
        *(run_seed(argv[0], seed) ? &passed : &failed) += 1;
        if (seed % 10000 == 0) {
            fprintf(stderr, "seed %" PRIu64 "\n", seed);
        }
    }
    if (getenv("RV_VERBOSE")) {
        tell_statistics();
    }
    printf("powercut: %" PRIu64 " passed, %" PRIu64 " failed\n", passed, failed);
    return failed != 0;
}
