/* SPDX-License-Identifier: MIT */
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common.h"

enum { CHUNK = 256 * BENCH_PAGE };

static void make_room(struct bench_pages *pages, size_t count)
{
    if (count <= pages->room)
        return;
    size_t room = 2 * count;
    uint64_t *hashes = realloc(pages->hashes, room * sizeof(*hashes));
    if (!hashes)
        bench_die("no memory");
    memset(hashes + pages->room, 0, (room - pages->room) * sizeof(*hashes));
    pages->hashes = hashes;
    pages->room = room;
}

/* Of the pages from offset on; a last one that is cut short counts as one. */
static void hash_chunk(struct bench_pages *pages, size_t first, const char *bytes, size_t size)
{
    size_t end = first + (size + BENCH_PAGE - 1) / BENCH_PAGE;
    make_room(pages, end);
    for (size_t done = 0; done < size; done += BENCH_PAGE) {
        size_t length = size - done < BENCH_PAGE ? size - done : BENCH_PAGE;
        pages->hashes[first + done / BENCH_PAGE] = XXH3_64bits(bytes + done, length);
    }
    if (end > pages->count)
        pages->count = end;
}

/* Sparse files may be very large: what is a hole is left out. */
static void take_file(const char *path, void *argument)
{
    static char chunk[CHUNK];
    struct bench_pages *pages = argument;
    size_t base = pages->count;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        bench_die("can't open %s: %s", path, strerror(errno));
    for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0;) {
        at = at / BENCH_PAGE * BENCH_PAGE;
        off_t end = lseek(fd, at, SEEK_HOLE);
        while (at < end) {
            size_t wanted = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
            ssize_t n = pread(fd, chunk, wanted, at);
            if (n <= 0)
                bench_die("can't read %s", path);
            hash_chunk(pages, base + (size_t)at / BENCH_PAGE, chunk, (size_t)n);
            at += n;
        }
    }
    close(fd);
}

void bench_pages_take(struct bench_pages *pages, const char *folder)
{
    bench_pages_free(pages);
    bench_folder_each(folder, take_file, pages);
}

static uint64_t hash_at(const struct bench_pages *pages, size_t i)
{
    return i < pages->count ? pages->hashes[i] : 0;
}

uint64_t bench_pages_changed(const struct bench_pages *before, const struct bench_pages *after)
{
    uint64_t changed = 0;
    for (size_t i = 0; i < before->count || i < after->count; i++)
        changed += hash_at(before, i) != hash_at(after, i);
    return changed;
}

void bench_pages_free(struct bench_pages *pages)
{
    free(pages->hashes);
    *pages = (struct bench_pages){0};
}
