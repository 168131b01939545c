/* SPDX-License-Identifier: MIT */
/*
 * Processes with several threads each add, remove, clear and read in one store; one after the other
 * is killed, or stopped for a while, and comes again. What they did stands in memory that outlives
 * them, with the beginning and the end of each operation. It must be linearizable; nothing that was
 * acknowledged may be lost; the store must be whole, with no slot lost.
 *
 *   RV_KILLS=3000 RV_PAUSE_MS=100 RV_PROCESSES=4 RV_THREADS=2 RV_SEED=7 stress
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linear.h"
#include "support.h"

#define PROCESSES_MOST 8u
#define THREADS_MOST 8u
#define COMMON 8u        /* users that all change */
#define OWN 300u         /* users that one thread alone changes */
#define OWN_BASE 1000u   /* id of the first of them */
#define OPERATIONS 3000u /* of a thread in a round */
#define LONGEST 3000u    /* bytes of a text */

enum state {
    VOID,  /* it failed: it has changed nothing */
    BEGUN, /* under way, or it never returned */
    DONE,
};

struct note {
    uint32_t user;
    struct linear_op op;
    _Atomic enum state state;
};

/* What a thread leaves behind; its successor after a kill goes on with it. */
struct journal {
    atomic_uint next;    /* note; those before are begun */
    atomic_bool resting; /* until the next round */
    struct note note[OPERATIONS];
    uint32_t newest[OWN]; /* of each own user: the last visit that was acknowledged */
    uint32_t begun[OWN];  /* the one under way, or the same */
};

struct shared {
    _Atomic uint64_t clock;
    atomic_uint round;
    atomic_bool stop;
    atomic_uint errors;
    _Atomic uint64_t busy;
    struct journal journal[PROCESSES_MOST * THREADS_MOST];
};

static struct shared *shared;
static struct scratch scratch;
static uint32_t processes;
static uint32_t threads;
static uint64_t seed;

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t tick(void)
{
    return atomic_fetch_add(&shared->clock, 1) + 1;
}

static void wrong(const char *what, uint32_t user, uint64_t number)
{
    if (atomic_fetch_add(&shared->errors, 1) < 20)
        fprintf(stderr,
                "FAILED: %s: user %u, %" PRIu64 "; status %d, \"%s\" (RV_SEED=%" PRIu64 ")\n", what,
                user, number, (int)VisitLastStatus(), VisitLastError(), seed);
}

/* ------------------------------------------------------------------------------------------------
 * Operations
 * --------------------------------------------------------------------------------------------- */

/* Strings follow from user and visit; some are too long for a slot. */
static size_t text_of(uint32_t user, uint32_t id, char text[LONGEST])
{
    uint64_t random = mix((uint64_t)user << 32 | id);
    size_t length = random % 20 == 0 ? random / 20 % LONGEST : random / 20 % 150;
    memset(text, 'a' + (int)(random >> 40) % 26, length);
    return length;
}

static bool is_text(uint32_t user, uint32_t id, const char *text, size_t length)
{
    char expected[LONGEST];
    return text_of(user, id, expected) == length && memcmp(text, expected, length) == 0;
}

static VisitStatus add(VisitManager *manager, uint32_t user, uint32_t id)
{
    char text[LONGEST];
    VisitInput input = {
        .user_id = user, .visit_id = id, .url = "url", .url_length = 3, .text = text};
    input.text_length = text_of(user, id, text);
    return VisitManagerAdd(manager, &input);
}

static VisitStatus read_packed(VisitReader *reader, uint32_t user, struct linear_list *found)
{
    const VisitPacked *packed;
    size_t size;
    size_t count;
    VisitStatus status = VisitReaderGetPacked(reader, user, 0, &packed, &size, &count);
    *found = (struct linear_list){0};
    for (size_t i = 0; !status && i < count && i < LINEAR_LIMIT; i++) {
        const char *url = (const char *)packed + packed[i].url_offset;
        found->id[found->count++] = packed[i].visit_id;
        if (!is_text(user, packed[i].visit_id, url + packed[i].url_length + 1,
                     packed[i].text_length))
            wrong("text", user, packed[i].visit_id);
    }
    if (!status && count > LINEAR_LIMIT)
        wrong("too many visits", user, count);
    return status;
}

static VisitStatus read_cached(VisitManager *manager, uint32_t user, struct linear_list *found)
{
    size_t count;
    Visit **visits = VisitManagerGetRecentVisits(manager, user, &count);
    *found = (struct linear_list){0};
    for (size_t i = 0; i < count && i < LINEAR_LIMIT; i++) {
        found->id[found->count++] = visits[i]->visit_id;
        if (!is_text(user, visits[i]->visit_id, visits[i]->text, strlen(visits[i]->text)))
            wrong("text", user, visits[i]->visit_id);
    }
    return VisitLastStatus();
}

/* A process's managers and a thread's readers. */
struct worker {
    VisitManager *manager;
    VisitManager *read_only;
    VisitReader *reader;
    VisitReader *read_only_reader;
    struct journal *journal;
    uint32_t number;
    uint64_t random;
};

static uint32_t draw(struct worker *w, uint32_t n)
{
    w->random = w->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(w->random >> 33) % n;
}

static VisitStatus read_somehow(struct worker *w, uint32_t user, struct linear_list *found)
{
    switch (draw(w, 3)) {
    case 0:
        return read_cached(w->manager, user, found);
    case 1:
        return read_packed(w->read_only_reader, user, found);
    default:
        return read_packed(w->reader, user, found);
    }
}

static VisitStatus do_it(struct worker *w, uint32_t user, struct linear_op *op)
{
    size_t removed = 0;
    VisitStatus status = VISIT_OK;
    switch (op->kind) {
    case LINEAR_ADD:
        return add(w->manager, user, op->id[0]);
    case LINEAR_REMOVE:
        status = VisitManagerRemove(w->manager, user, op->id, 2, &removed);
        op->removed = (uint32_t)removed;
        return status;
    case LINEAR_CLEAR:
        return VisitManagerClearUser(w->manager, user);
    case LINEAR_READ:
        return read_somehow(w, user, &op->found);
    }
    return VISIT_ERROR_INVALID;
}

/* One operation on a user that all change; half of these users get new ids all the time. */
static void change_common(struct worker *w, struct note *note)
{
    uint32_t kind = draw(w, 100);
    note->user = draw(w, COMMON);
    note->op = (struct linear_op){.kind = kind < 45   ? LINEAR_ADD
                                          : kind < 60 ? LINEAR_REMOVE
                                          : kind < 63 ? LINEAR_CLEAR
                                                      : LINEAR_READ};
    note->op.id[0] = note->user % 2 ? draw(w, 9) : (uint32_t)tick();
    note->op.id[1] = draw(w, 9);
    note->op.begin = tick();
    atomic_store(&note->state, BEGUN);
    atomic_fetch_add(&w->journal->next, 1);
    VisitStatus status = do_it(w, note->user, &note->op);
    note->op.end = tick();
    /* Busy: somebody was stopped for long, or a reader was too slow. */
    if (status && status != VISIT_ERROR_BUSY)
        wrong("operation", note->user, note->op.kind);
    atomic_fetch_add(&shared->busy, status == VISIT_ERROR_BUSY);
    atomic_store(&note->state, status ? VOID : DONE);
}

static uint32_t own_user(uint32_t number, uint32_t i)
{
    return OWN_BASE + number * OWN + i;
}

/* The visits 1, 2, 3... of a user that nobody else changes. */
static void change_own(struct worker *w)
{
    uint32_t i = draw(w, OWN);
    uint32_t user = own_user(w->number, i);
    uint32_t id = w->journal->newest[i] + 1;
    struct linear_list found;
    w->journal->begun[i] = id;
    VisitStatus status = add(w->manager, user, id);
    if (status == VISIT_OK)
        w->journal->newest[i] = id;
    else if (status != VISIT_ERROR_BUSY)
        wrong("add", user, id);
    if (!status && draw(w, 8) == 0 && read_somehow(w, user, &found) == VISIT_OK &&
        (found.count == 0 || found.id[0] != id))
        wrong("own visit is not there", user, id);
}

/* ------------------------------------------------------------------------------------------------
 * Workers
 * --------------------------------------------------------------------------------------------- */

static void *thread_main(void *data)
{
    struct worker *w = data;
    if (VisitReaderOpen(w->manager, &w->reader) ||
        VisitReaderOpen(w->read_only, &w->read_only_reader))
        wrong("reader", 0, 0);
    while (!atomic_load(&shared->stop)) {
        unsigned next = atomic_load(&w->journal->next);
        atomic_store(&w->journal->resting, next == OPERATIONS);
        if (next == OPERATIONS) {
            nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
            continue;
        }
        change_common(w, &w->journal->note[next]);
        for (uint32_t i = draw(w, 6); i > 0; i--)
            change_own(w);
    }
    VisitReaderFree(w->read_only_reader);
    VisitReaderFree(w->reader);
    return NULL;
}

static VisitManager *open_in(uint32_t mode)
{
    VisitOptions options = {.size = sizeof options, .mode = mode, .checkpoint_interval_ms = 20};
    VisitManager *manager = NULL;
    options.max_visits = mode == VISIT_READ_ONLY ? 0 : LINEAR_LIMIT;
    VisitStatus status;
    do {
        status = VisitManagerOpen(scratch.store, &options, &manager);
    } while (status == VISIT_ERROR_BUSY);
    if (status)
        wrong("open", 0, 0);
    return manager;
}

static int process_main(uint32_t process, uint64_t life)
{
    struct worker worker[THREADS_MOST];
    pthread_t thread[THREADS_MOST];
    VisitManager *manager = open_in(VISIT_SHARED);
    VisitManager *read_only = manager ? open_in(VISIT_READ_ONLY) : NULL;
    if (!manager || !read_only)
        return 1;
    for (uint32_t i = 0; i < threads; i++) {
        uint32_t number = process * threads + i;
        worker[i] = (struct worker){.manager = manager,
                                    .read_only = read_only,
                                    .journal = &shared->journal[number],
                                    .number = number,
                                    .random = mix(seed * 1000003 + life * 64 + i)};
        if (pthread_create(&thread[i], NULL, thread_main, &worker[i]))
            return 1;
    }
    for (uint32_t i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    VisitManagerFree(read_only);
    VisitManagerFree(manager);
    if (VisitLastStatus())
        wrong("close", 0, 0);
    return 0;
}

static pid_t start_process(uint32_t process)
{
    static uint64_t life;
    life++;
    pid_t child = fork_child();
    if (child == 0)
        child_exit(process_main(process, life));
    return child;
}

/* ------------------------------------------------------------------------------------------------
 * The one who kills
 * --------------------------------------------------------------------------------------------- */

struct hunt {
    pid_t child[PROCESSES_MOST];
    uint64_t kills;
    uint64_t stops;
    uint64_t operations;
    uint64_t rounds;
    uint64_t pause_ms;
    uint64_t random;
    struct linear_list start[COMMON];
};

static void pause_ms(uint64_t ms)
{
    nanosleep(
        &(struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000},
        NULL);
}

/* What its threads had under way had its instant before now, or never. */
static void bury(uint32_t process)
{
    for (uint32_t i = 0; i < threads; i++) {
        struct journal *journal = &shared->journal[process * threads + i];
        unsigned next = atomic_load(&journal->next);
        atomic_store(&journal->resting, false);
        /* It may have died between noting the beginning and counting the note. */
        if (next < OPERATIONS && atomic_load(&journal->note[next].state) == BEGUN)
            atomic_store(&journal->note[next].state, VOID);
        if (next && atomic_load(&journal->note[next - 1].state) == BEGUN) {
            journal->note[next - 1].op.pending = true;
            journal->note[next - 1].op.end = tick();
            atomic_store(&journal->note[next - 1].state, DONE);
        }
    }
}

static void kill_one(struct hunt *hunt, uint32_t process, bool again)
{
    int status;
    kill(hunt->child[process], SIGKILL);
    waitpid(hunt->child[process], &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        wrong("a process ended by itself", process, (uint64_t)status);
    bury(process);
    hunt->kills++;
    if (again)
        hunt->child[process] = start_process(process);
}

/* Seldom all at once: then the next one to open finds a store that nobody has open. */
static void strike(struct hunt *hunt)
{
    hunt->random = mix(hunt->random + 1);
    uint32_t process = (uint32_t)(hunt->random % processes);
    if (hunt->random >> 8 & 3) {
        kill_one(hunt, process, true);
    } else if (hunt->random >> 10 & 7) {
        kill(hunt->child[process], SIGSTOP);
        pause_ms(5);
        kill(hunt->child[process], SIGCONT);
        hunt->stops++;
    } else {
        for (uint32_t i = 0; i < processes; i++)
            kill(hunt->child[i], SIGSTOP);
        for (uint32_t i = 0; i < processes; i++)
            kill_one(hunt, i, false);
        for (uint32_t i = 0; i < processes; i++)
            hunt->child[i] = start_process(i);
    }
}

static bool round_is_over(void)
{
    for (uint32_t i = 0; i < processes * threads; i++) {
        struct journal *journal = &shared->journal[i];
        if (atomic_load(&journal->next) < OPERATIONS || !atomic_load(&journal->resting))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------
 * Checks, while all are at rest
 * --------------------------------------------------------------------------------------------- */

static const char *const kind_name[] = {"add", "remove", "clear", "read"};

static void print_op(const struct linear_op *op, const char *mark)
{
    fprintf(stderr, "  %s %" PRIu64 "-%" PRIu64 " %s %u %u%s", mark, op->begin, op->end,
            kind_name[op->kind], op->id[0], op->id[1], op->pending ? " (never returned)" : "");
    for (uint32_t i = 0; op->kind == LINEAR_READ && i < op->found.count; i++)
        fprintf(stderr, "%s%u", i ? " " : ": ", op->found.id[i]);
    if (op->kind == LINEAR_REMOVE)
        fprintf(stderr, ": %u", op->removed);
    fputc('\n', stderr);
}

static void print_neighbours(const struct linear_op *ops, size_t count, size_t bad)
{
    for (size_t i = 0; i < count; i++) {
        if (ops[i].begin < ops[bad].end && ops[i].end + 200 > ops[bad].begin)
            print_op(&ops[i], i == bad ? "->" : "  ");
    }
}

static void check_common(struct hunt *hunt, VisitManager *manager, uint32_t user)
{
    size_t most = (size_t)processes * threads * OPERATIONS + 1;
    struct linear_op *ops = calloc(most, sizeof *ops);
    size_t count = 0;
    size_t bad;
    VisitReader *reader;
    for (uint32_t i = 0; i < processes * threads; i++) {
        for (uint32_t k = 0; k < OPERATIONS; k++) {
            const struct note *note = &shared->journal[i].note[k];
            if (note->user == user && note->state == DONE)
                ops[count++] = note->op;
        }
    }
    ops[count] = (struct linear_op){.kind = LINEAR_READ, .begin = tick()};
    if (VisitReaderOpen(manager, &reader) || read_packed(reader, user, &ops[count].found))
        wrong("read", user, 0);
    VisitReaderFree(reader);
    ops[count].end = tick();
    count++;
    if (!linear_check(&hunt->start[user], ops, count, &bad)) {
        wrong("not linearizable", user, ops[bad].end);
        print_neighbours(ops, count, bad);
    }
    hunt->start[user] = ops[count - 1].found;
    hunt->operations += count - 1;
    free(ops);
}

/* Of an own user the last visits that were acknowledged are there, perhaps one more. */
static void check_own(VisitReader *reader, uint32_t number)
{
    struct journal *journal = &shared->journal[number];
    for (uint32_t i = 0; i < OWN; i++) {
        uint32_t user = own_user(number, i);
        struct linear_list found;
        if (read_packed(reader, user, &found))
            wrong("read", user, 0);
        uint32_t newest = found.count ? found.id[0] : 0;
        if (newest != journal->newest[i] && newest != journal->begun[i])
            wrong("an acknowledged visit is lost", user, journal->newest[i]);
        if (found.count != (newest < LINEAR_LIMIT ? newest : LINEAR_LIMIT))
            wrong("visits are lost", user, found.count);
        for (uint32_t k = 1; k < found.count; k++) {
            if (found.id[k] != newest - k)
                wrong("another visit", user, found.id[k]);
        }
        journal->newest[i] = newest;
    }
}

static int on_finding(void *data, const VisitFinding *finding)
{
    (void)data;
    fprintf(stderr, "  %s at %" PRIu64 ": %s\n", finding->rule, finding->offset, finding->message);
    return 0;
}

static void check_store(VisitManager *manager)
{
    VisitReader *reader;
    if (VisitReaderOpen(manager, &reader))
        wrong("reader", 0, 0);
    for (uint32_t i = 0; i < processes * threads; i++)
        check_own(reader, i);
    VisitReaderFree(reader);
    if (VisitManagerVerify(manager, on_finding, NULL))
        wrong("verification", 0, 0);
}

static void check_round(struct hunt *hunt)
{
    VisitManager *manager = open_in(VISIT_SHARED);
    if (!manager)
        return;
    for (uint32_t user = 0; user < COMMON; user++)
        check_common(hunt, manager, user);
    check_store(manager);
    VisitManagerFree(manager);
    hunt->rounds++;
    for (uint32_t i = 0; i < processes * threads; i++) {
        for (uint32_t k = 0; k < OPERATIONS; k++)
            atomic_store(&shared->journal[i].note[k].state, VOID);
        atomic_store(&shared->journal[i].next, 0);
    }
}

/* All go; the last one closes the store. */
static void finish(struct hunt *hunt)
{
    int status;
    atomic_store(&shared->stop, true);
    for (uint32_t i = 0; i < processes; i++) {
        waitpid(hunt->child[i], &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status))
            wrong("a process ended badly", i, (uint64_t)status);
    }
    VisitStats stats = {.size = sizeof stats};
    VisitManager *manager = open_in(VISIT_EXCLUSIVE);
    if (!manager || VisitManagerStats(manager, &stats) || stats.state != VISIT_FOUND_CLEAN)
        wrong("the store was not closed well", 0, stats.state);
    if (manager)
        check_store(manager);
    VisitManagerFree(manager);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

int main(void)
{
    struct hunt hunt = {.pause_ms = number_from("RV_PAUSE_MS", 10)};
    uint64_t kills = number_from("RV_KILLS", 60);
    processes = (uint32_t)number_from("RV_PROCESSES", 3);
    threads = (uint32_t)number_from("RV_THREADS", 2);
    seed = number_from("RV_SEED", 1);
    hunt.random = mix(seed);
    if (!processes || processes > PROCESSES_MOST || !threads || threads > THREADS_MOST)
        return 2;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !scratch_make(&scratch))
        return 2;
    for (uint32_t i = 0; i < processes; i++)
        hunt.child[i] = start_process(i);
    bool over = false;
    while (!atomic_load(&shared->errors) && !over) {
        pause_ms(hunt.pause_ms);
        if (hunt.kills < kills)
            strike(&hunt);
        if (round_is_over()) {
            over = hunt.kills >= kills;
            check_round(&hunt);
        }
    }
    finish(&hunt);
    scratch_remove(&scratch);
    if (atomic_load(&shared->busy) > hunt.operations / 4)
        wrong("too many are busy", 0, 0);
    unsigned errors = atomic_load(&shared->errors);
    printf("%" PRIu64 " kills, %" PRIu64 " stops, %" PRIu64 " rounds, %" PRIu64
           " operations on common users checked, %" PRIu64 " busy\n",
           hunt.kills, hunt.stops, hunt.rounds, hunt.operations, atomic_load(&shared->busy));
    printf("stress: 1 run, %u failed\n", errors ? 1 : 0);
    return errors ? 1 : 0;
}
