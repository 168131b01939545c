/* SPDX-License-Identifier: MIT */
/*
 * No room: full disks, limits of file sizes and of address space. The call that needs room fails
 * with its status, everything else goes on, and it works again when there is room.
 *
 *   test_full limits | tmpfs | ext4
 *
 * The last two mount a small file system in a mount namespace of their own, which root may do;
 * otherwise they are skipped.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/format.h"
#include "compare.h"
#include "model.h"
#include "support.h"

#define SKIP 77
#define LIMIT 3
#define MOST_USERS 100000u
#define FEW 30u /* users that fit in any case */
#define MIB (UINT64_C(1) << 20)

/* ------------------------------------------------------------------------------------------------
 * Filling a store
 * --------------------------------------------------------------------------------------------- */

static char text[5001];

static bool add(VisitManager *manager, struct model *model, uint32_t user, uint32_t id)
{
    static int64_t time_ns;
    VisitInput input = visit_at(user, id, "url", text, ++time_ns);
    bool good = VisitManagerAdd(manager, &input) == VISIT_OK;
    if (good)
        model_add(model, &input, input.time_ns);
    return good;
}

/* One shard: so what is freed is free for all, and not kept by another shard's users. */
static VisitManager *open_store(const char *path)
{
    VisitOptions options = {.size = sizeof options, .max_visits = LIMIT, .shards = 1};
    VisitManager *manager = NULL;
    return VisitManagerOpen(path, &options, &manager) == VISIT_OK ? manager : NULL;
}

/* New users until the store can't grow. */
static int fill(VisitManager *manager, struct model *model, VisitStatus expected)
{
    uint32_t user = (uint32_t)model->users;
    while (user < MOST_USERS && add(manager, model, user, 1))
        user++;
    child_check(VisitLastStatus() == expected);
    child_check(VisitLastError()[0]);
    return 0;
}

/* All that needs no room works; what is freed can be used again. */
static int use_when_full(VisitManager *manager, struct model *model)
{
    static uint32_t id = 100; /* another one each time */
    child_check(model->users > 20);
    child_check(compare_all(manager, model));
    child_check(VisitManagerSync(manager) == VISIT_OK);
    child_check(compare_verify(manager));
    for (uint32_t last = id + 40; id < last; id++) {
        VisitManagerClear(manager, 0);
        child_check(VisitLastStatus() == VISIT_OK);
        model_clear(model, 0);
        child_check(add(manager, model, 0, id));
    }
    for (uint32_t user = 0; user < 10; user++) {
        const struct model_user *known = model_find(model, user);
        size_t removed = 0;
        uint32_t newest = known && known->count ? known->visits[0].id : 0;
        child_check(VisitManagerRemove(manager, user, &newest, 1, &removed) == VISIT_OK);
        child_check(removed == model_remove(model, user, &newest, 1));
    }
    id++;
    for (uint32_t user = 0; user < 8; user++)
        child_check(add(manager, model, user, id));
    child_check(compare_all(manager, model));
    child_check(compare_verify(manager));
    return 0;
}

/* ------------------------------------------------------------------------------------------------
 * A small file system
 * --------------------------------------------------------------------------------------------- */

static struct scratch disk; /* the folder is where it is mounted */
static struct scratch outside;

/* Takes all the room that is left. */
static int take_room(void)
{
    static char bytes[4096];
    int fd = open(scratch_path(&disk, "ballast"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    child_check(fd >= 0);
    while (write(fd, bytes, sizeof bytes) > 0)
        continue;
    child_check(errno == ENOSPC);
    close(fd);
    return 0;
}

static void give_room(void)
{
    remove(scratch_path(&disk, "ballast"));
}

/* On a loop device, which goes away with the namespace. */
static bool mount_image(void)
{
    char command[1200];
    snprintf(command, sizeof command, "PATH=$PATH:/sbin:/usr/sbin; mount -t ext4 -o loop '%s' '%s'",
             scratch_path(&outside, "ext4"), disk.folder);
    return system(command) == 0; /* NOLINT */
}

static void begin_disk(struct model *model)
{
    model_init(model, LIMIT);
    remove(disk.store);
    give_room();
}

static void test_full__growth_fails_and_works_again(void **state)
{
    struct model model;
    (void)state;
    begin_disk(&model);
    VisitManager *manager = open_store(disk.store);
    assert_non_null(manager);
    assert_true(add(manager, &model, 0, 1));
    assert_int_equal(take_room(), 0);
    assert_int_equal(fill(manager, &model, VISIT_ERROR_NO_SPACE), 0);
    give_room();
    assert_true(add(manager, &model, MOST_USERS, 1));
    assert_int_equal(fill(manager, &model, VISIT_ERROR_NO_SPACE), 0);
    assert_int_equal(take_room(), 0);
    assert_int_equal(use_when_full(manager, &model), 0);
    store_close(manager);
    manager = open_store(disk.store);
    assert_non_null(manager); /* clean; no room is needed */
    assert_true(compare_all(manager, &model));
    store_close(manager);
    model_free(&model);
}

static void test_full__store_is_not_made(void **state)
{
    struct model model;
    (void)state;
    begin_disk(&model);
    assert_int_equal(take_room(), 0);
    size_t files = folder_count(disk.folder);
    assert_null(open_store(disk.store));
    assert_last(VISIT_ERROR_NO_SPACE, disk.store);
    assert_int_equal(folder_count(disk.folder), files);
    file_write(disk.store, "", 0); /* in a file that is there */
    assert_null(open_store(disk.store));
    assert_last(VISIT_ERROR_NO_SPACE, disk.store);
    give_room();
    store_close(open_store(disk.store));
    model_free(&model);
}

static void test_full__backup_leaves_nothing(void **state)
{
    struct model model;
    (void)state;
    begin_disk(&model);
    VisitManager *manager = open_store(disk.store);
    assert_non_null(manager);
    for (uint32_t user = 0; user < 200; user++)
        assert_true(add(manager, &model, user, 1));
    assert_int_equal(take_room(), 0);
    size_t files = folder_count(disk.folder);
    const char *copy = scratch_path(&disk, "copy.rv");
    assert_status(VisitManagerBackup(manager, copy, NULL, NULL), VISIT_ERROR_NO_SPACE);
    assert_int_equal(folder_count(disk.folder), files);
    assert_true(compare_all(manager, &model));
    VisitManagerClear(manager, 0); /* what is freed in the file is free */
    assert_true(add(manager, &model, 0, 2));
    store_close(manager);
    model_free(&model);
}

static int fill_and_die(void *data)
{
    struct model *model = data;
    VisitManager *manager = open_store(disk.store);
    child_check(manager);
    for (uint32_t user = 0; user < FEW; user++)
        child_check(add(manager, model, user, 1));
    child_check(take_room() == 0);
    if (fill(manager, model, VISIT_ERROR_NO_SPACE))
        return 1;
    raise(SIGKILL);
    return 1;
}

/* How many users a store has that was filled until there was no room. */
static uint64_t users_of(VisitManager *manager)
{
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    return stats.users;
}

static void test_full__store_is_repaired(void **state)
{
    struct model model;
    (void)state;
    begin_disk(&model);
    assert_int_equal(in_child(fill_and_die, &model), 1000 + SIGKILL);
    VisitManager *manager = open_store(disk.store);
    assert_non_null(manager);
    assert_in_range(users_of(manager), FEW, MOST_USERS);
    for (uint32_t user = 0; user < FEW; user++)
        assert_visits(manager, user, 1);
    assert_ok(store_verify(manager));
    store_close(manager);
    model_free(&model);
}

static int fill_sync_and_die(void *data)
{
    struct model *model = data;
    VisitManager *manager = open_store(disk.store);
    child_check(manager);
    if (fill(manager, model, VISIT_ERROR_NO_SPACE))
        return 1;
    child_check(VisitManagerSync(manager) == VISIT_OK);
    VisitManagerClear(manager, 0);
    raise(SIGKILL);
    return 1;
}

static void test_full__store_is_recovered(void **state)
{
    struct model model;
    (void)state;
    begin_disk(&model);
    assert_int_equal(in_child(fill_sync_and_die, &model), 1000 + SIGKILL);
    file_write_at(disk.store, 3 * RV_PAGE + offsetof(struct rv_disk_live, boot_id),
                  "not of this boot", 16);
    assert_int_equal(take_room(), 0);
    VisitManager *manager = open_store(disk.store);
    assert_non_null(manager);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.state, VISIT_FOUND_CRASHED);
    assert_visits(manager, 0, 1); /* cleared after the last checkpoint */
    assert_ok(store_verify(manager));
    store_close(manager);
    model_free(&model);
}

/* Does the system tell one mount of a file system from the next? Linux 6.8 does. */
static bool mounts_have_ids(void)
{
#ifdef __GLIBC__
    struct statx st;
    return statx(AT_FDCWD, disk.folder, 0, 0x4000, &st) == 0 && st.stx_mask & 0x4000;
#else
    return false;
#endif
}

static int add_sync_add_and_die(void *data)
{
    VisitOptions options = {.size = sizeof options, .checkpoint_interval_ms = -1};
    VisitManager *manager = NULL;
    (void)data;
    child_check(VisitManagerOpen(disk.store, &options, &manager) == VISIT_OK);
    child_check(VisitManagerAddVisit(manager, 1, 1, "u", "t"));
    child_check(VisitManagerSync(manager) == VISIT_OK);
    child_check(VisitManagerAddVisit(manager, 1, 2, "u", "t"));
    raise(SIGKILL);
    return 1;
}

/* Between two mounts the system may have lost what it could not write. */
static void test_full__store_of_another_mount_is_recovered(void **state)
{
    (void)state;
    if (!file_exists(scratch_path(&outside, "ext4"))) {
        skip(); /* a tmpfs does not outlast its mount */
    }
    if (!mounts_have_ids()) {
        print_message("skipped: this system gives a mount the number of an earlier one\n");
        skip();
    }
    remove(disk.store);
    give_room();
    assert_int_equal(in_child(add_sync_add_and_die, NULL), 1000 + SIGKILL);
    assert_int_equal(umount(disk.folder), 0);
    assert_true(mount_image());
    VisitManager *manager = open_store(disk.store);
    assert_non_null(manager);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.state, VISIT_FOUND_CRASHED);
    assert_visits(manager, 1, 1);
    store_close(manager);
}

/* Holes would be written to without room: so they are filled when the store is opened. */
static void test_full__holes_are_not_opened(void **state)
{
    struct model model;
    (void)state;
    begin_disk(&model);
    VisitManager *manager = open_store(disk.store);
    assert_non_null(manager);
    assert_true(add(manager, &model, 0, 1));
    store_close(manager);
    uint64_t size = file_size(disk.store);
    assert_int_equal(truncate(disk.store, (off_t)(size + MIB)), 0);
    assert_int_equal(take_room(), 0);
    assert_open_fails(disk.store, NULL, VISIT_ERROR_NO_SPACE, "make room");
    give_room();
    manager = open_store(disk.store);
    assert_non_null(manager);
    assert_true(compare_all(manager, &model));
    assert_ok(store_verify(manager));
    store_close(manager);
    model_free(&model);
}

/* ------------------------------------------------------------------------------------------------
 * Limits of a process
 * --------------------------------------------------------------------------------------------- */

static int set_limit(int resource, uint64_t bytes)
{
    struct rlimit limit;
    child_check(getrlimit(resource, &limit) == 0);
    limit.rlim_cur = bytes && bytes < limit.rlim_max ? bytes : limit.rlim_max;
    child_check(setrlimit(resource, &limit) == 0);
    return 0;
}

static int limit_file_size(void *data)
{
    const struct scratch *scratch = data;
    struct model model;
    model_init(&model, LIMIT);
    child_check(set_limit(RLIMIT_FSIZE, 40000) == 0);
    child_check(!open_store(scratch->store));
    child_check(VisitLastStatus() == VISIT_ERROR_NO_SPACE);
    child_check(folder_count(scratch->folder) == 0);
    child_check(set_limit(RLIMIT_FSIZE, 3 * MIB) == 0);
    VisitManager *manager = open_store(scratch->store);
    child_check(manager);
    if (fill(manager, &model, VISIT_ERROR_NO_SPACE) || use_when_full(manager, &model))
        return 1;
    VisitManagerFree(manager);
    child_check(VisitLastStatus() == VISIT_OK);
    child_check(set_limit(RLIMIT_FSIZE, MIB) == 0); /* below the file's size */
    manager = open_store(scratch->store);
    child_check(manager);
    if (use_when_full(manager, &model))
        return 1;
    const char *copy = scratch_path(scratch, "copy.rv");
    child_check(VisitManagerBackup(manager, copy, NULL, NULL) == VISIT_ERROR_NO_SPACE);
    child_check(folder_count(scratch->folder) == 1);
    child_check(set_limit(RLIMIT_FSIZE, 0) == 0);
    child_check(add(manager, &model, MOST_USERS + 1, 1));
    for (uint32_t user = 2000; user < 2100; user++)
        child_check(add(manager, &model, user, 1));
    child_check(compare_all(manager, &model) && compare_verify(manager));
    VisitManagerFree(manager);
    child_check(VisitLastStatus() == VISIT_OK);
    model_free(&model);
    return 0;
}

static void test_full__file_size_limit(void **state)
{
    assert_int_equal(in_child(limit_file_size, *state), 0);
}

/* A growth makes the file longer before it fails; who looks at the length meanwhile is not misled.
 */
static void test_full__growth_that_failed_is_not_counted_on(void **state)
{
    const struct scratch *scratch = *state;
    struct model model;
    model_init(&model, LIMIT);
    VisitManager *manager = open_store(scratch->store);
    assert_non_null(manager);
    assert_true(add(manager, &model, 0, 1));
    uint64_t size = file_size(scratch->store);
    assert_int_equal(truncate(scratch->store, (off_t)(size + 4 * MIB)), 0);
    assert_ok(store_verify(manager));
    assert_int_equal(truncate(scratch->store, (off_t)size), 0);
    for (uint32_t user = 1; user < 400; user++)
        assert_true(add(manager, &model, user, 1));
    assert_true(file_size(scratch->store) > size);
    assert_true(compare_all(manager, &model));
    assert_ok(store_verify(manager));
    store_close(manager);
    model_free(&model);
}

/* Bytes of address space that this process uses. */
static uint64_t address_space(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Two stores, a reader beside, a backup, checkpoints: all of it in 1 GiB. */
static int live_in_1_gib(void *data)
{
    const struct scratch *scratch = data;
    struct model model;
    char other_path[320];
    VisitOptions read_only = {.size = sizeof read_only, .mode = VISIT_READ_ONLY};
    VisitManager *reader = NULL;
    snprintf(other_path, sizeof other_path, "%s/other.rv", scratch->folder);
    model_init(&model, LIMIT);
    child_check(set_limit(RLIMIT_AS, 1024 * MIB) == 0);
    VisitManager *manager = open_store(scratch->store);
    child_check(manager);
    VisitManager *other = VisitManagerCreate(other_path, LIMIT);
    child_check(other);
    child_check(VisitManagerOpen(scratch->store, &read_only, &reader) == VISIT_OK);
    for (uint32_t user = 0; user < 3000; user++) {
        child_check(add(manager, &model, user, 1));
        child_check(VisitManagerAddVisit(other, user, 1, "url", "text"));
    }
    child_check(compare_all(manager, &model) && compare_all(reader, &model));
    child_check(compare_verify(manager) && compare_verify(reader));
    const char *copy = scratch_path(scratch, "copy.rv");
    child_check(VisitManagerBackup(manager, copy, NULL, NULL) == VISIT_OK);
    VisitManagerFree(reader);
    VisitManagerFree(other);
    child_check(VisitLastStatus() == VISIT_OK);
    VisitManagerFree(manager);
    child_check(VisitLastStatus() == VISIT_OK);
    model_free(&model);
    return 0;
}

static void test_full__1_gib_of_address_space(void **state)
{
    skip_under_valgrind("needs more address space than that");
#ifdef SANITIZED
    print_message("skipped: a sanitizer needs more address space than that\n");
    skip();
#endif
    assert_int_equal(in_child(live_in_1_gib, *state), 0);
}

/* Without a limit: each store reserves 2 TiB, of 128 that there are; later ones less and less. */
static int open_too_many(void *data)
{
    enum { MOST = 200 };
    const struct scratch *scratch = data;
    VisitManager *manager[MOST] = {NULL};
    VisitOptions options = {.size = sizeof options, .shards = 1};
    unsigned count = 0;
    VisitStatus status = VISIT_OK;
    while (count < MOST && status == VISIT_OK) {
        char path[320];
        snprintf(path, sizeof path, "%s/%u.rv", scratch->folder, count);
        status = VisitManagerOpen(path, &options, &manager[count]);
        count += status == VISIT_OK;
    }
    child_check(status == VISIT_OK || status == VISIT_ERROR_NO_MEMORY);
    child_check(count > 60);
    void *p = mmap(NULL, 512 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    child_check(p != MAP_FAILED); /* what is left is enough to go on */
    for (unsigned i = 0; i < count; i++) {
        child_check(VisitManagerAddVisit(manager[i], 1, 1, "url", "text"));
        VisitManagerFree(manager[i]);
        child_check(VisitLastStatus() == VISIT_OK);
    }
    return 0;
}

static void test_full__more_stores_than_address_space(void **state)
{
    skip_under_valgrind("needs more address space than that");
#ifdef SANITIZED
    print_message("skipped: a sanitizer has another share of the address space\n");
    skip();
#endif
    assert_int_equal(in_child(open_too_many, *state), 0);
}

static int fill_address_space(void *data)
{
    const struct scratch *scratch = data;
    struct model model;
    VisitOptions read_only = {.size = sizeof read_only, .mode = VISIT_READ_ONLY};
    VisitManager *reader = NULL;
    model_init(&model, LIMIT);
    child_check(set_limit(RLIMIT_AS, address_space() + 60 * MIB) == 0);
    VisitManager *manager = open_store(scratch->store);
    child_check(manager);
    child_check(VisitManagerOpen(scratch->store, &read_only, &reader) == VISIT_OK);
    if (fill(manager, &model, VISIT_ERROR_NO_MEMORY))
        return 1;
    child_check(strstr(VisitLastError(), "ulimit -v"));
    child_check(set_limit(RLIMIT_AS, 0) == 0); /* the mappings stay as they are */
    if (use_when_full(manager, &model))
        return 1;
    VisitStats stats = {.size = sizeof stats};
    VisitStatus status = VisitManagerStats(reader, &stats);
    child_check(status == VISIT_OK || status == VISIT_ERROR_NO_MEMORY);
    VisitManagerFree(reader);
    VisitManagerFree(manager);
    child_check(VisitLastStatus() == VISIT_OK);
    manager = open_store(scratch->store);
    child_check(manager && compare_all(manager, &model));
    for (uint32_t user = 0; user < 3000; user++)
        child_check(add(manager, &model, MOST_USERS + user, 1));
    child_check(compare_all(manager, &model) && compare_verify(manager));
    VisitManagerFree(manager);
    child_check(VisitLastStatus() == VISIT_OK);
    model_free(&model);
    return 0;
}

static void test_full__address_space_limit(void **state)
{
    skip_if_emulated("applies no limit of address space");
#ifdef SANITIZED
    print_message("skipped: a sanitizer takes the address space\n");
    skip();
#endif
    assert_int_equal(in_child(fill_address_space, *state), 0);
}

/* ------------------------------------------------------------------------------------------------
 * Mounting
 * --------------------------------------------------------------------------------------------- */

static bool mount_tmpfs(void)
{
    return mount("none", disk.folder, "tmpfs", 0, "size=8m") == 0;
}

static bool mount_ext4(void)
{
    char command[1200];
    const char *image = scratch_path(&outside, "ext4");
    snprintf(command, sizeof command,
             "PATH=$PATH:/sbin:/usr/sbin; truncate -s 16M '%s' && "
             "mkfs.ext4 -q -F -m 0 '%s' >/dev/null 2>&1",
             image, image);
    return system(command) == 0 && mount_image(); /* NOLINT */
}

static bool mount_disk(const char *kind)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
           (strcmp(kind, "tmpfs") == 0 ? mount_tmpfs() : mount_ext4());
}

static int test_limits(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_full__file_size_limit),
        scratch_test(test_full__growth_that_failed_is_not_counted_on),
        scratch_test(test_full__1_gib_of_address_space),
        scratch_test(test_full__more_stores_than_address_space),
        scratch_test(test_full__address_space_limit),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}

static int test_disk(const char *kind)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full__growth_fails_and_works_again),
        cmocka_unit_test(test_full__store_is_not_made),
        cmocka_unit_test(test_full__backup_leaves_nothing),
        cmocka_unit_test(test_full__store_is_repaired),
        cmocka_unit_test(test_full__store_is_recovered),
        cmocka_unit_test(test_full__holes_are_not_opened),
        cmocka_unit_test(test_full__store_of_another_mount_is_recovered),
    };
    if (!scratch_make(&disk) || !scratch_make(&outside))
        return 1;
    int result = SKIP;
    if (mount_disk(kind)) {
        result = cmocka_run_group_tests_name(kind, tests, NULL, NULL);
        umount(disk.folder);
    } else {
        printf("SKIP: a small %s can't be mounted here; run the tests as root\n", kind);
    }
    scratch_remove(&disk);
    scratch_remove(&outside);
    return result;
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "limits";
    memset(text, 'x', sizeof text - 1);
    return strcmp(kind, "limits") == 0 ? test_limits() : test_disk(kind);
}
