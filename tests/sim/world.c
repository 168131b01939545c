/* SPDX-License-Identifier: MIT */
#undef _FORTIFY_SOURCE /* its longjmp() does not go to other stacks */
#include "world.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define THREADS 8u
#define STACK_BYTES (512u * 1024)
#define PIECES 4096u
#define STEPS_MAX UINT64_C(100000000) /* more than any life has: something goes in a circle */
#define WAITS_MAX UINT64_C(1000000)   /* between two steps */

/* Where a thread goes on. */
struct place {
    ucontext_t context;
    jmp_buf jump; /* unless it is fresh */
    bool fresh;   /* it has not begun */
};

struct thread {
    struct place place;
    void (*function)(void *data);
    void *data;
    bool alive;
    unsigned process;
    uint64_t steps_left; /* of its process; 0: it lives on */
    uint8_t *stack;
};

static struct {
    uint64_t random;
    struct place outside;
    struct thread thread[THREADS];
    struct thread *current; /* NULL: outside */
    unsigned alive;
    bool ended;
    uint64_t steps;
    uint64_t waits; /* since the last step */
    uint64_t steps_left;
    uint64_t syncs_left;
    enum sim_point end_point;
    uint32_t turns;
    uint32_t turn_left;
    bool failed;
    char command[256];
    struct {
        void *p;
        unsigned process;
    } piece[PIECES];
    size_t pieces;
    unsigned process; /* whose turn it is */
    int64_t clock;
} world;

void sim_set_process(unsigned process)
{
    *(world.current ? &world.current->process : &world.process) = process;
}

unsigned sim_process(void)
{
    return world.current ? world.current->process : world.process;
}

/* ---- chance ---- */

uint64_t sim_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t sim_random(void)
{
    world.random += UINT64_C(0x9e3779b97f4a7c15);
    return sim_mix(world.random);
}

uint64_t sim_spread(uint64_t most)
{
    unsigned bits = 0;
    while (bits < 63 && UINT64_C(1) << bits < most) {
        bits++;
    }
    uint64_t n = 1 + sim_random() % (UINT64_C(1) << sim_below(bits + 1));
    return n < most ? n : most;
}

void sim_seed(uint64_t seed)
{
    world.random = sim_mix(seed + 1);
    world.steps = 0;
    world.turns = 0;
    world.clock = INT64_C(1700000000000000000);
    sim_end_after(0, 0, SIM_STORE);
}

/* ---- threads ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZER 1
#endif
#endif

/*
 * Goes on elsewhere. swapcontext() asks the system for the signal mask each time, which took four
 * fifths of all the time; a jump does not. Sanitizers know the one and not the other.
 */
#ifdef SANITIZER
static void change(struct place *from, struct place *to)
{
    swapcontext(&from->context, &to->context);
}
#else
__attribute__((noinline)) static void change(struct place *from, struct place *to)
{
    if (_setjmp(from->jump)) {
        return;
    }
    if (to->fresh) {
        to->fresh = false;
        setcontext(&to->context);
    }
    _longjmp(to->jump, 1);
}
#endif

static void leave(void)
{
    struct thread *me = world.current;
    world.current = NULL;
    change(&me->place, &world.outside);
}

static void begin(void)
{
    struct thread *me = world.current;
    me->function(me->data);
    me->alive = false;
    world.alive--;
    leave();
}

void sim_spawn(void (*function)(void *data), void *data)
{
    struct thread *t = world.thread;
    while (t->alive) {
        t++;
    }
    if (!t->stack) {
        t->stack = aligned_alloc(4096, STACK_BYTES);
    }
    getcontext(&t->place.context);
    t->place.context.uc_stack.ss_sp = t->stack;
    t->place.context.uc_stack.ss_size = STACK_BYTES;
    t->place.context.uc_link = NULL;
    t->place.fresh = true;
    t->function = function;
    t->data = data;
    t->alive = true;
    t->process = sim_process();
    t->steps_left = 0;
    makecontext(&t->place.context, begin, 0);
    world.alive++;
}

static struct thread *choose(void)
{
    unsigned n = world.alive > 1 ? sim_below(world.alive) : 0;
    struct thread *t = world.thread;
    for (;; t++) {
        if (t->alive && n-- == 0) {
            return t;
        }
    }
}

bool sim_run(void)
{
    world.ended = false;
    while (world.alive && !world.ended) {
        world.current = choose();
        change(&world.outside, &world.current->place);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        world.thread[i].alive = false;
    }
    world.alive = 0;
    return world.ended;
}

void sim_yield(void)
{
    if (world.current && world.alive > 1) {
        leave();
    }
}

unsigned sim_threads(void)
{
    return world.alive;
}

void (*sim_process_ended)(void);

void sim_end_process_after(uint64_t steps)
{
    world.current->steps_left = steps;
}

/* The process, which has this one thread, is no more; the others go on. */
static void end_process(void)
{
    sim_process_ended();
    world.current->alive = false;
    world.alive--;
    leave();
}

void sim_end(void)
{
    world.ended = true;
    leave();
}

void sim_end_after(uint64_t steps, uint64_t syncs, enum sim_point point)
{
    world.steps_left = steps;
    world.syncs_left = syncs;
    world.end_point = point;
}

uint64_t sim_steps(void)
{
    return world.steps;
}

void sim_set_turns(uint32_t steps)
{
    world.turns = steps;
    world.turn_left = 1;
}

/* Others work while a sync is under way: rarely little, sometimes much. */
static void wait_for_disk(void)
{
    uint64_t rounds = world.alive > 1 ? sim_spread(1000) : 0;
    while (rounds-- && world.alive > 1) {
        sim_yield();
    }
}

void sim_step(enum sim_point point)
{
    if (!world.current) {
        return;
    }
    if (world.syncs_left && point == world.end_point && --world.syncs_left == 0) {
        sim_end();
    }
    if (world.steps_left && --world.steps_left == 0) {
        sim_end();
    }
    if (world.current->steps_left && --world.current->steps_left == 0) {
        end_process();
    }
    if (++world.steps > STEPS_MAX) {
        sim_fail("the library goes in a circle");
    }
    world.waits = 0;
    if (point == SIM_SYNC_FLIGHT) {
        wait_for_disk();
    } else if (world.alive > 1 && world.turns && --world.turn_left == 0) {
        world.turn_left = 1 + sim_below(world.turns * 2);
        sim_yield();
    }
}

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

static void wait_for_others(void)
{
    if (world.alive == 1 || ++world.waits > WAITS_MAX) {
        sim_fail("a thread waits for what nobody will do");
    }
    sim_yield();
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (!world.current) {
        return __real_pthread_mutex_lock(mutex);
    }
    while (pthread_mutex_trylock(mutex)) {
        wait_for_others();
    }
    return 0;
}

int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until);

/* Wakes after each other thread's turn, whether or not there is a reason. */
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    if (!world.current) {
        return __real_pthread_cond_wait(condition, mutex);
    }
    pthread_mutex_unlock(mutex);
    wait_for_others();
    return pthread_mutex_lock(mutex);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until)
{
    (void)until;
    if (world.current && world.alive == 1) {
        return ETIMEDOUT; /* nobody else will do anything before */
    }
    __wrap_pthread_cond_wait(condition, mutex);
    return sim_once_in(8) ? ETIMEDOUT : 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *time);

/* A clock that sometimes goes back. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    (void)clock;
    world.clock += sim_once_in(16) ? -INT64_C(50000) : INT64_C(1000);
    time->tv_sec = world.clock / 1000000000;
    time->tv_nsec = world.clock % 1000000000;
    return 0;
}

/* ---- memory ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
int __real_posix_memalign(void **p, size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);
int __wrap_posix_memalign(void **p, size_t alignment, size_t size);

static void *keep(void *p)
{
    if (world.current && p) {
        if (world.pieces == PIECES) {
            sim_fail("the library holds more than %u pieces of memory", PIECES);
        }
        world.piece[world.pieces].p = p;
        world.piece[world.pieces++].process = sim_process();
    }
    return p;
}

static void forget(void *p)
{
    for (size_t i = world.pieces; p && i-- > 0;) {
        if (world.piece[i].p == p) {
            world.piece[i] = world.piece[--world.pieces];
            return;
        }
    }
}

void *__wrap_malloc(size_t size)
{
    return keep(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return keep(__real_calloc(count, size));
}

void *__wrap_realloc(void *p, size_t size)
{
    forget(p);
    return keep(__real_realloc(p, size));
}

void __wrap_free(void *p)
{
    forget(p);
    __real_free(p);
}

int __wrap_posix_memalign(void **p, size_t alignment, size_t size)
{
    int error = __real_posix_memalign(p, alignment, size);
    if (!error) {
        keep(*p);
    }
    return error;
}

size_t sim_free_all(void)
{
    size_t count = 0;
    for (size_t i = world.pieces; i-- > 0;) {
        if (world.piece[i].process == sim_process()) {
            __real_free(world.piece[i].p);
            world.piece[i] = world.piece[--world.pieces];
            count++;
        }
    }
    return count;
}

size_t sim_free_processes(void)
{
    size_t count = world.pieces;
    while (world.pieces) {
        __real_free(world.piece[--world.pieces].p);
    }
    return count;
}

/* ---- failures ---- */

void sim_fail(const char *format, ...)
{
    if (!world.failed) {
        va_list arguments;
        va_start(arguments, format);
        fputs("FAILED: ", stderr);
        vfprintf(stderr, format, arguments);
        fprintf(stderr, "\n  again: %s\n", world.command);
        va_end(arguments);
    }
    world.failed = true;
    if (world.current) {
        sim_end();
    }
}

bool sim_failed(void)
{
    return world.failed;
}

void sim_forget_failure(void)
{
    world.failed = false;
}

void sim_set_command(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world.command, sizeof world.command, format, arguments);
    va_end(arguments);
}

static void on_signal(int number)
{
    static const char text[] = "FAILED: a signal ended the test\n  again: ";
    if (write(2, text, sizeof text - 1) < 0 || write(2, world.command, strlen(world.command)) < 0 ||
        write(2, "\n", 1) < 0) {
        _exit(2);
    }
    signal(number, SIG_DFL);
    raise(number);
}

void sim_catch_signals(void)
{
    static uint8_t space[16384];
    stack_t stack = {.ss_sp = space, .ss_size = sizeof space};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    sigaltstack(&stack, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGABRT, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}
