/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The mount that holds path is the one with the same device; statfs() numbers can't part ext2-4. */
static const char *file_system(const char *path)
{
    static char type[64];
    snprintf(type, sizeof(type), "unknown");
    struct stat file, mount;
    FILE *table = setmntent("/proc/self/mounts", "r");
    if (!table)
        return type;
    if (stat(path, &file) == 0) {
        for (struct mntent *entry; (entry = getmntent(table));) {
            if (stat(entry->mnt_dir, &mount) == 0 && mount.st_dev == file.st_dev)
                snprintf(type, sizeof(type), "%s", entry->mnt_type);
        }
    }
    endmntent(table);
    return type;
}

/* Copies the first line of a file that begins with prefix, from after the next ": " if there is
 * one. */
static void read_line(const char *path, const char *prefix, char *ret_line, size_t size)
{
    snprintf(ret_line, size, "unknown");
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    char line[512];
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, prefix, strlen(prefix)) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        const char *value = prefix[0] ? strstr(line, ": ") : NULL;
        snprintf(ret_line, size, "%.*s", (int)size - 1, value ? value + 2 : line);
        break;
    }
    fclose(file);
}

json_t *bench_machine_json(const char *folder)
{
    char cpu[128], huge[128], clock[64];
    read_line("/proc/cpuinfo", "model name", cpu, sizeof(cpu));
    read_line("/sys/kernel/mm/transparent_hugepage/enabled", "", huge, sizeof(huge));
    read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", "", clock,
              sizeof(clock));
    struct utsname name;
    uname(&name);
    char system[256];
    snprintf(system, sizeof(system), "%.80s %.80s %.80s", name.sysname, name.release, name.machine);
    double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 1e9;
    char date[16];
    time_t now = time(NULL);
    strftime(date, sizeof(date), "%Y-%m-%d", gmtime(&now));
    const char *version = getenv("RV_BENCH_VERSION");
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:f, s:s, s:s, s:s}", "date", date, "version",
                     version ? version : "unknown", "system", system, "cpu", cpu, "cpus",
                     (int)sysconf(_SC_NPROCESSORS_ONLN), "memory_gb", memory, "file_system",
                     file_system(folder), "huge_pages", huge, "clock", clock);
}
