/* SPDX-License-Identifier: MIT */
/*
 * Makes a store with a history that only a program can give it: visits that were removed, users
 * that were cleared, rings that moved, with or without overwriting what is removed.
 *
 *   make-store PATH SEED USERS CHANGES MAX_VISITS SLOT_SIZE erase|later [CHECKPOINT_EVERY]
 *
 * Writes "ready" when all is done, waits for the end of its input, then closes the store.
 */
#include <recent_visits.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* In the place of the system's for the library too, so that a seed makes the same store each time.
 */
ssize_t getrandom(void *bytes, size_t length, unsigned flags);
static uint64_t own_randomness = 1;
ssize_t getrandom(void *bytes, size_t length, unsigned flags)
{
    (void)flags;
    for (size_t i = 0; i < length; i++) {
        own_randomness = own_randomness * UINT64_C(6364136223846793005) + 1;
        ((uint8_t *)bytes)[i] = (uint8_t)(own_randomness >> 40);
    }
    return (ssize_t)length;
}

struct maker {
    VisitManager *manager;
    uint64_t random;
    uint32_t users;
    uint32_t next_id;
    int64_t clock_ns;
};

static uint64_t draw(struct maker *maker, uint64_t below)
{
    maker->random = maker->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (maker->random >> 33) % below;
}

static void check(VisitStatus status)
{
    if (status == VISIT_OK)
        return;
    fprintf(stderr, "make-store: %s\n", VisitLastError());
    exit(1);
}

static void add(struct maker *maker, uint32_t user_id)
{
    static char text[6000];
    char url[64];
    uint32_t id = maker->next_id++;
    bool is_long = draw(maker, 12) == 0;
    size_t length = (size_t)draw(maker, is_long ? sizeof text : 60);
    memset(text, 'a' + (int)(id % 26), length);
    maker->clock_ns += (int64_t)draw(maker, 1000);
    VisitInput input = {
        .user_id = user_id,
        .visit_id = id,
        .url = url,
        .url_length = (size_t)snprintf(url, sizeof url, "u%" PRIu32 "v%" PRIu32, user_id, id),
        .text = text,
        .text_length = length,
        /* Some go to an older place. */
        .time_ns = maker->clock_ns - (draw(maker, 20) == 0 ? (int64_t)draw(maker, 100000) : 0),
        .flags = VISIT_AT_TIME,
    };
    check(VisitManagerAdd(maker->manager, &input));
}

/* Removes up to three of the user's visits, mostly new ones. */
static void remove_some(struct maker *maker, uint32_t user_id)
{
    VisitReader *reader;
    const Visit *visits;
    size_t count, some = 0;
    uint32_t ids[3];
    check(VisitReaderOpen(maker->manager, &reader));
    check(VisitReaderGet(reader, user_id, 0, &visits, &count));
    for (size_t i = 0; i < count && some < 3; i++) {
        if (draw(maker, 3) == 0)
            ids[some++] = visits[i].visit_id;
    }
    VisitReaderFree(reader);
    check(VisitManagerRemove(maker->manager, user_id, ids, some, NULL));
}

static void change(struct maker *maker)
{
    /* Few users are busy. */
    uint32_t user_id = (uint32_t)draw(maker, draw(maker, maker->users) + 1) * 7919;
    uint64_t kind = draw(maker, 100);
    if (kind < 92)
        add(maker, user_id);
    else if (kind < 99)
        remove_some(maker, user_id);
    else
        check(VisitManagerClearUser(maker->manager, user_id));
}

int main(int argc, char **argv)
{
    if (argc != 8 && argc != 9)
        return 2;
    struct maker maker = {.random = strtoull(argv[2], NULL, 10),
                          .users = (uint32_t)strtoul(argv[3], NULL, 10),
                          .clock_ns = INT64_C(1000000000000000000)};
    own_randomness += maker.random;
    VisitOptions options = {
        .size = sizeof options,
        .create = VISIT_MUST_NOT_EXIST,
        .max_visits = (uint32_t)strtoul(argv[5], NULL, 10),
        .slot_size = (uint32_t)strtoul(argv[6], NULL, 10),
        .shards = 4,
        .checkpoint_interval_ms = -1,
        .erase = strcmp(argv[7], "later") == 0 ? VISIT_ERASE_LATER : VISIT_ERASE,
    };
    check(VisitManagerOpen(argv[1], &options, &maker.manager));
    uint64_t changes = strtoull(argv[4], NULL, 10);
    uint64_t every = argc == 9 ? strtoull(argv[8], NULL, 10) : 5000;
    for (uint64_t i = 0; i < changes; i++) {
        change(&maker);
        if (i % every == every - 1)
            check(VisitManagerSync(maker.manager));
    }
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    VisitManagerFree(maker.manager);
    check(VisitLastStatus());
    return 0;
}
