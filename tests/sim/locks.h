/* SPDX-License-Identifier: MIT */
/*
 * Robust mutexes of several simulated processes. A mutex in a file's mapping says itself who has
 * it; one elsewhere is the C library's.
 */
#ifndef SIM_LOCKS_H
#define SIM_LOCKS_H

#include "format.h"

/* The present process ended: does it own the mutex, the next one will be told. */
void sim_lock_lose_owner(struct rv_disk_lock *lock);

#endif
