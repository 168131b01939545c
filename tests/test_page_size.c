/* SPDX-License-Identifier: MIT */
/*
 * A machine with pages of 64 KiB, as arm64 may have. The system's calls are wrapped: as such a
 * system does, they refuse addresses that are no page's.
 */
#include "compare.h"
#include "model.h"
#include "support.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 65536u
#define LIMIT 10

/* The C library has two names for mmap(), of which the compiler chooses one. */
void *__real_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *address, size_t size);
int __wrap_munmap(void *address, size_t size);
int __real_msync(void *address, size_t size, int flags);
int __wrap_msync(void *address, size_t size, int flags);
int __real_madvise(void *address, size_t size, int advice);
int __wrap_madvise(void *address, size_t size, int advice);
long __real_sysconf(int name);
long __wrap_sysconf(int name);

static atomic_uint calls, refused;

static bool refuse(const void *address)
{
    bool bad = (uintptr_t)address % PAGE != 0;
    atomic_fetch_add(&calls, 1);
    atomic_fetch_add(&refused, bad);
    errno = bad ? EINVAL : errno;
    return bad;
}

/* What lies before and behind the aligned part stays reserved. */
void *__wrap_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (address || refuse((void *)(uintptr_t)offset)) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    uint8_t *p = __real_mmap64(NULL, size + PAGE, PROT_NONE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        return p;
    }
    p += PAGE - (uintptr_t)p % PAGE;
    return __real_mmap64(p, size, protection, flags | MAP_FIXED, fd, offset);
}

/* Also what the run-time of a coverage build calls. */
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    return __wrap_mmap64(address, size, protection, flags, fd, offset);
}

int __wrap_munmap(void *address, size_t size)
{
    return refuse(address) ? -1 : __real_munmap(address, size);
}

int __wrap_msync(void *address, size_t size, int flags)
{
    return refuse(address) ? -1 : __real_msync(address, size, flags);
}

int __wrap_madvise(void *address, size_t size, int advice)
{
    return refuse(address) ? -1 : __real_madvise(address, size, advice);
}

long __wrap_sysconf(int name)
{
    return name == _SC_PAGESIZE ? (long)PAGE : __real_sysconf(name);
}

/* ------------------------------------------------------------------------------------------------
 * A store's life
 * --------------------------------------------------------------------------------------------- */

static bool add_some(VisitManager *manager, struct model *model, uint32_t first, uint32_t count,
                     uint32_t id)
{
    for (uint32_t user = first; user < first + count; user++) {
        char *text = string_make(user + id, user % 97 == 0 ? 70000 : user % 90);
        VisitInput input = visit_at(user, id, "/", text, (int64_t)id * 1000 + 1);
        bool good = VisitManagerAdd(manager, &input) == VISIT_OK;
        model_add(model, &input, input.time_ns);
        free(text);
        if (!good) {
            return false;
        }
    }
    return true;
}

/* Adds with checkpoints by the clock and by request, copies, and is killed. */
static int live_and_be_killed(void *data)
{
    const struct scratch *scratch = data;
    struct model model;
    model_init(&model, LIMIT);
    VisitManager *manager = VisitManagerCreate(scratch->store, LIMIT);
    child_check(manager);
    for (uint32_t id = 1; id <= 20; id++) {
        child_check(add_some(manager, &model, 0, 3000, id));
        child_check(VisitManagerSync(manager) == VISIT_OK);
    }
    child_check(VisitManagerBackup(manager, scratch_path(scratch, "copy"), NULL, NULL) == VISIT_OK);
    child_check(compare_all(manager, &model) && compare_verify(manager));
    child_check(atomic_load(&calls) > 20 && atomic_load(&refused) == 0);
    child_exit(0);
}

static void test_page_size__a_store_lives(void **state)
{
    struct scratch *scratch = *state;
    static const uint32_t modes[] = {VISIT_SHARED, VISIT_EXCLUSIVE, VISIT_READ_ONLY};
    struct model model;
    model_init(&model, LIMIT);
    atomic_store(&calls, 0);
    assert_int_equal(in_child(live_and_be_killed, scratch), 0);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        VisitOptions options = {.size = sizeof options, .mode = modes[i]};
        VisitManager *manager = store_open_with(scratch->store, &options);
        assert_ok(store_verify(manager));
        assert_visits(manager, 5, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11);
        if (modes[i] != VISIT_READ_ONLY) {
            assert_true(add_some(manager, &model, 3000 + 1000 * (uint32_t)i, 1000, 1));
            assert_ok(VisitManagerSync(manager));
        }
        store_close(manager);
    }
    assert_true(atomic_load(&calls) > 20);
    assert_int_equal(atomic_load(&refused), 0);
    model_free(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_page_size__a_store_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
