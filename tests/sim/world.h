/* SPDX-License-Identifier: MIT */
/*
 * A small world for the library to live in: threads that take turns where the seed says so, memory
 * that is taken back when a process ends, and an end that may come before any store to the file.
 *
 * Everything is decided by one seed, so that a failure can be repeated.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- chance ---- */

void sim_seed(uint64_t seed);
uint64_t sim_random(void);
uint64_t sim_mix(uint64_t x);

/* 0 to n - 1. */
static inline uint32_t sim_below(uint32_t n)
{
    return n ? (uint32_t)(sim_random() % n) : 0;
}

/* True once in n times. */
static inline bool sim_once_in(uint32_t n)
{
    return sim_below(n) == 0;
}

/* 1 to `most`; each order of magnitude as likely as the next. */
uint64_t sim_spread(uint64_t most);

/* ---- threads of the process that is simulated ---- */

/* Whose threads run from now on: 0 unless there are several processes. Memory, file descriptions
 * and locks belong to the process that got them. */
void sim_set_process(unsigned process);
unsigned sim_process(void);

/* What the disk tells: places where a thread may lose its turn, or the process its life. */
enum sim_point {
    SIM_STORE,
    SIM_GROW,
    SIM_SYNC_BEGIN,
    SIM_SYNC_FLIGHT, /* begun and not complete: others may work meanwhile */
    SIM_SYNC_DONE,
    SIM_PUBLISH,
};
void sim_step(enum sim_point point);

/* Starts a thread; it runs in sim_run(), or at once if called by another thread. */
void sim_spawn(void (*function)(void *data), void *data);

/* Runs until all threads are through, or until the end of the process; true if it was ended. */
bool sim_run(void);

/* Gives the turn to another thread. */
void sim_yield(void);

/* Threads that are not through, the caller included. */
unsigned sim_threads(void);

/* The process is no more. Does not return. */
void sim_end(void);

/* When the process ends, counted from now: before so many steps (0: not by steps), and at so many
 * syncs (0: not by syncs), at the given one of their points. */
void sim_end_after(uint64_t steps, uint64_t syncs, enum sim_point point);

/* Steps since the world began. */
uint64_t sim_steps(void);

/* How often threads change: about every so many steps. */
void sim_set_turns(uint32_t steps);

/* ---- memory of the process ---- */

/* Frees what the present process still had when it ended; how many pieces. */
size_t sim_free_all(void);

/* ---- failures ---- */

/* Notes that this seed failed, says why, and ends the process if it is running. */
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool sim_failed(void);
void sim_forget_failure(void);

/* What to print before a failure, and when a signal ends the test: how to repeat it. */
void sim_set_command(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sim_catch_signals(void);

#endif
