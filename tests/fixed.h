/* SPDX-License-Identifier: MIT */
/*
 * The library with everything that differs from run to run replaced: randomness, the clock, the
 * process id, the identity of the file. For the tests of the format, which link its sources.
 */
#ifndef TESTS_FIXED_H
#define TESTS_FIXED_H

#include <stdint.h>

#define FIXED_TIME_NS INT64_C(1700000000000000000)
#define FIXED_PID 4242

/* The first byte of the boot id: another one is another boot. */
extern uint8_t fixed_boot;

/* Called after each store to a mapping, if set: from inside an operation. */
extern void (*fixed_on_store)(void *address, uint64_t value);

#endif
