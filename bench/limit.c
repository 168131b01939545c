/* SPDX-License-Identifier: MIT */
#include "limit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where groups with a limit on memory are made. */
struct place {
    char folder[PATH_MAX];
    const char *limit_file;
};

/* The path of this process's group in a hierarchy: that with the controller, or version 2's. */
static bool own_group(const char *controller, char *ret_path, size_t size)
{
    FILE *file = fopen("/proc/self/cgroup", "r");
    char line[PATH_MAX];
    bool found = false;
    while (file && !found && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'),
             *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = '\0';
        found = strcmp(controllers + 1, controller) == 0;
        if (found)
            snprintf(ret_path, size, "%s", path);
    }
    if (file)
        fclose(file);
    return found;
}

static bool find_mount(const char *type, const char *option, char *ret_folder, size_t size)
{
    FILE *table = setmntent("/proc/self/mounts", "r");
    bool found = false;
    for (struct mntent *entry; table && !found && (entry = getmntent(table));) {
        found = strcmp(entry->mnt_type, type) == 0 && (!option || hasmntopt(entry, option));
        if (found)
            snprintf(ret_folder, size, "%s", entry->mnt_dir);
    }
    if (table)
        endmntent(table);
    return found;
}

static bool join(struct place *place, const char *mount, const char *group)
{
    int length = snprintf(place->folder, sizeof(place->folder), "%s%s", mount,
                          strcmp(group, "/") == 0 ? "" : group);
    return length > 0 && (size_t)length < sizeof(place->folder) - 64;
}

/* Version 1: below our own group. */
static bool find_first(struct place *ret_place)
{
    char mount[PATH_MAX / 2], group[PATH_MAX / 2];
    ret_place->limit_file = "memory.limit_in_bytes";
    return find_mount("cgroup", "memory", mount, sizeof(mount)) &&
           own_group("memory", group, sizeof(group)) && join(ret_place, mount, group);
}

/* Version 2: beside our own group, since one that has processes can't have limited ones below. */
static bool find_second(struct place *ret_place)
{
    char mount[PATH_MAX / 2], group[PATH_MAX / 2];
    ret_place->limit_file = "memory.max";
    if (!find_mount("cgroup2", NULL, mount, sizeof(mount)) || !own_group("", group, sizeof(group)))
        return false;
    char *slash = strrchr(group, '/');
    if (slash && slash > group)
        *slash = '\0';
    else
        snprintf(group, sizeof(group), "/");
    return join(ret_place, mount, group);
}

static bool write_file(const char *folder, const char *name, uint64_t number)
{
    char path[PATH_MAX], text[32];
    snprintf(path, sizeof(path), "%.*s/%s", (int)(sizeof(path) - 64), folder, name);
    int length = snprintf(text, sizeof(text), "%" PRIu64, number);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, (size_t)length) == length;
    if (fd >= 0)
        close(fd);
    return ok;
}

static void group_of(const struct place *place, pid_t maker, char *ret_path, size_t size)
{
    snprintf(ret_path, size, "%.*s/librv-bench-%d", (int)(size - 64), place->folder, (int)maker);
}

static bool (*const finders[])(struct place *) = {find_first, find_second};
enum { FINDERS = sizeof(finders) / sizeof(finders[0]) };

bool bench_limit_make(uint64_t bytes)
{
    for (int i = 0; i < FINDERS; i++) {
        struct place place;
        char group[PATH_MAX];
        if (!finders[i](&place))
            continue;
        group_of(&place, getpid(), group, sizeof(group));
        if (mkdir(group, 0700) != 0)
            continue;
        if (write_file(group, place.limit_file, bytes)) {
            write_file(group, "memory.swap.max", 0);
            return true;
        }
        rmdir(group);
    }
    return false;
}

bool bench_limit_enter(void)
{
    for (int i = 0; i < FINDERS; i++) {
        struct place place;
        char group[PATH_MAX];
        if (!finders[i](&place))
            continue;
        group_of(&place, getppid(), group, sizeof(group));
        if (write_file(group, "cgroup.procs", (uint64_t)getpid()))
            return true;
    }
    return false;
}

void bench_limit_remove(pid_t maker)
{
    for (int i = 0; i < FINDERS; i++) {
        struct place place;
        char group[PATH_MAX];
        if (!finders[i](&place))
            continue;
        group_of(&place, maker, group, sizeof(group));
        rmdir(group);
    }
}
