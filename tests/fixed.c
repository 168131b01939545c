/* SPDX-License-Identifier: MIT */
#include "fixed.h"

#include "file.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

uint8_t fixed_boot = 0xb0;
void (*fixed_on_store)(void *address, uint64_t value);

/* The linker leads calls here (--wrap). */
void __wrap_rv_file_random(void *bytes, size_t count);
VisitStatus __wrap_rv_file_identify(struct rv_file *file, struct rv_identity *ret_identity);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __real_clock_gettime(clockid_t clock, struct timespec *time);
pid_t __wrap_getpid(void);
void rv_sim_store(void *address, uint64_t value, unsigned bytes);

void __wrap_rv_file_random(void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)(0xa0 + i);
    }
}

VisitStatus __wrap_rv_file_identify(struct rv_file *file, struct rv_identity *ret_identity)
{
    (void)file;
    *ret_identity = (struct rv_identity){.mount = 21, .device = 2049, .inode = 1234};
    memset(ret_identity->boot_id, fixed_boot, sizeof ret_identity->boot_id);
    return VISIT_OK;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    if (clock != CLOCK_REALTIME) {
        return __real_clock_gettime(clock, time);
    }
    *time = (struct timespec){.tv_sec = FIXED_TIME_NS / 1000000000};
    return 0;
}

pid_t __wrap_getpid(void)
{
    return FIXED_PID;
}

void rv_sim_store(void *address, uint64_t value, unsigned bytes)
{
    if (bytes == 8) {
        __atomic_store_n((uint64_t *)address, value, __ATOMIC_RELEASE);
    } else {
        __atomic_store_n((uint32_t *)address, (uint32_t)value, __ATOMIC_RELEASE);
    }
    if (fixed_on_store) {
        fixed_on_store(address, value);
    }
}
