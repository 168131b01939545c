/* SPDX-License-Identifier: MIT */
/*
 * Loaded before a program (LD_PRELOAD), it has the same randomness and the same time of day in each
 * run: then what rvdump shows of stores that were made alike is alike.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

ssize_t getrandom(void *bytes, size_t length, unsigned flags);
ssize_t getrandom(void *bytes, size_t length, unsigned flags)
{
    static uint64_t state = 1;
    (void)flags;
    for (size_t i = 0; i < length; i++) {
        state = state * UINT64_C(6364136223846793005) + 1;
        ((uint8_t *)bytes)[i] = (uint8_t)(state >> 40);
    }
    return (ssize_t)length;
}

typedef int clock_function(clockid_t clock, struct timespec *time);

int clock_gettime(clockid_t clock, struct timespec *time)
{
    static clock_function *real;
    if (clock == CLOCK_REALTIME) {
        *time = (struct timespec){.tv_sec = 1767225600}; /* 2026-01-01 */
        return 0;
    }
    if (real == NULL) {
        void *found = dlsym(RTLD_NEXT, "clock_gettime");
        memcpy(&real, &found, sizeof real);
    }
    return real(clock, time);
}
