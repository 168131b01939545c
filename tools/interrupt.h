/* SPDX-License-Identifier: MIT */
/*
 * SIGINT, SIGTERM and SIGHUP during long work: the work notices, ends in order, and then the
 * program ends as the signal asks. A second signal ends it at once.
 */
#ifndef RVDUMP_INTERRUPT_H
#define RVDUMP_INTERRUPT_H

#include <pthread.h>
#include <stdbool.h>

/* From here on the signals do not end the program but set a mark. */
void interrupt_catch(void);

/* Has one come? */
bool interrupted(void);

/* Waits until fd can be read without waiting; false if a signal comes first. */
bool interrupt_wait(int fd);

/* Waits so many seconds; false if a signal comes first. */
bool interrupt_sleep(double seconds);

/* Starts a thread that no signal goes to; returns as pthread_create() does. */
int interrupt_start_thread(pthread_t *ret_thread, void *(*run)(void *), void *data);

/* For work that has no other end than a signal. */
void interrupt_forget(void);

/* If a signal has come, ends the program as it would have been ended by it. */
void interrupt_follow(void);

#endif
