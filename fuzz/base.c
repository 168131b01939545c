/* SPDX-License-Identifier: MIT */
/*
 * Stores for the mutations to begin with, as small as the format allows: blocks of 4 KiB, one or
 * two shards. The library makes them; a look at each of its stores to the file tells when to take
 * the file as a kill would leave it.
 */
#include "fuzz.h"

#include "open.h"

#include <stdlib.h>
#include <string.h>

struct image {
    uint8_t *bytes;
    size_t size;
};

static struct image bases[FUZZ_BASES];
static struct image taken;
static uint64_t countdown; /* stores until the file is taken; 0: never */

static void take(struct image *image)
{
    free(image->bytes);
    image->size = fuzz_file_size(FUZZ_STORE);
    image->bytes = malloc(image->size + 1);
    if (!image->bytes) {
        fuzz_fail("out of memory");
    }
    memcpy(image->bytes, fuzz_file_bytes(FUZZ_STORE), image->size);
}

void rv_sim_store(void *address, uint64_t value, unsigned bytes);
void rv_sim_store(void *address, uint64_t value, unsigned bytes)
{
    if (countdown && --countdown == 0) {
        take(&taken);
    }
    if (bytes == 8) {
        __atomic_store_n((uint64_t *)address, value, __ATOMIC_RELEASE);
    } else {
        __atomic_store_n((uint32_t *)address, (uint32_t)value, __ATOMIC_RELEASE);
    }
}

static void must(VisitStatus status)
{
    if (status) {
        fuzz_fail("a base store: %s", VisitLastError());
    }
}

static void make(uint32_t block_log2, uint32_t slot_log2, uint32_t shards)
{
    struct rv_options options = {.max_visits = 5,
                                 .slot_log2 = slot_log2,
                                 .block_log2 = block_log2,
                                 .shards = shards,
                                 .file_mode = 0600};
    struct rv_store *st;
    fuzz_file_remove(FUZZ_STORE);
    must(rv_store_open(fuzz_path[FUZZ_STORE], &options, &st));
    must(rv_store_close(st));
}

static VisitManager *open_base(uint32_t max_visits)
{
    VisitOptions options = {
        .size = sizeof options, .checkpoint_interval_ms = -1, .max_visits = max_visits};
    VisitManager *manager;
    must(VisitManagerOpen(fuzz_path[FUZZ_STORE], &options, &manager));
    return manager;
}

static void add(VisitManager *manager, uint32_t user, uint32_t id, size_t length, bool at_time)
{
    static char text[8192];
    memset(text, 't', sizeof text);
    VisitInput input = {.user_id = user,
                        .visit_id = id,
                        .url = "http://e.org/",
                        .url_length = 13,
                        .text = text,
                        .text_length = length,
                        .time_ns = INT64_C(1600000000000000000) - id,
                        .flags = at_time ? VISIT_AT_TIME : 0};
    VisitStatus status = VisitManagerAdd(manager, &input);
    must(status == VISIT_ERROR_TOO_LONG ? VISIT_OK : status);
}

/* Users of every kind: one visit to more than the limit, short and long, given times, removed. */
static void fill(VisitManager *manager, uint32_t users)
{
    for (uint32_t u = 0; u < users; u++) {
        for (uint32_t i = 0; i < 1 + (u < FUZZ_USERS ? u % 7 : 0); i++) {
            size_t length = u == 3 ? 200 + 90 * i : u == 5 ? 900 : u % 60;
            add(manager, u, 100 * i + u, length, u % 6 == 1);
        }
    }
    add(manager, 7, 9000, 4000, false);
    must(VisitManagerSync(manager));
    for (uint32_t u = 2; u < users; u += 5) {
        uint32_t ids[] = {u, u + 100};
        must(VisitManagerRemove(manager, u, ids, 2, NULL));
    }
    must(VisitManagerClearUser(manager, 9));
    must(VisitManagerSync(manager));
}

static void fill_and_close(uint32_t users, uint32_t limit)
{
    VisitManager *manager = open_base(limit);
    fill(manager, users);
    VisitManagerFree(manager);
    must(VisitLastStatus());
}

static void change(VisitManager *manager)
{
    for (uint32_t u = 0; u < FUZZ_USERS; u += 3) {
        add(manager, u, 5000 + u, u % 2 ? 20 : 300, false);
    }
    must(VisitManagerClearUser(manager, 12));
}

/* Left open by a process that was killed, after so many stores of the last operations. */
static void make_killed(uint32_t users, uint64_t stores)
{
    make(12, 7, 1);
    VisitManager *manager = open_base(0);
    fill(manager, users);
    change(manager);
    countdown = stores;
    for (uint32_t i = 0; countdown || (!stores && i < 4); i++) {
        add(manager, 1000 + i, i, 30, false);
        if (i % 16 == 15) {
            must(VisitManagerSync(manager));
        }
    }
    if (!stores) {
        take(&taken);
    }
    VisitManagerFree(manager);
}

static void make_base(unsigned i)
{
    make(i == 6 ? 13 : 12, i == 6 ? 8 : i == 7 ? 12 : 7, i == 6 ? 2 : 1);
    if (i == 0 || i == 6) {
        fill_and_close(FUZZ_USERS, 0);
    } else if (i == 2) {
        fill_and_close(60, 0); /* the index has been split */
    } else if (i == 5) {
        fill_and_close(FUZZ_USERS, 0); /* then a smaller limit, which has not been made true */
        fill_and_close(0, 2);
    } else if (i == 7) {
        fill_and_close(4, 3);
    } else if (i == 3 || i == 4) {
        make_killed(FUZZ_USERS, 0); /* 4: and the machine has been started anew since */
    } else if (i >= 8) {
        make_killed(FUZZ_USERS, i == 8 ? 200 : 900); /* in a move; in a split */
    }
    bool killed = i == 3 || i == 4 || i >= 8;
    if (!killed) {
        take(&taken);
    }
    bases[i] = taken;
    taken = (struct image){0};
    if (i == 4) {
        memset(bases[i].bytes + 3 * RV_PAGE, 0x11, 16);
    }
}

const uint8_t *fuzz_base(unsigned i, size_t *ret_size)
{
    if (!bases[i].bytes) {
        make_base(i);
        fuzz_file_remove(FUZZ_STORE);
    }
    *ret_size = bases[i].size;
    return bases[i].bytes;
}
