/* SPDX-License-Identifier: MIT */
/*
 * All that a program can do with a file, and what must hold whatever the file is:
 *
 * - no call takes more work or memory than the file's size can ask for (bounds.c);
 * - an opening that fails leaves the file as it was, a read-only one always;
 * - a backup that succeeds is a store without a fault;
 * - a closed store in which verification finds no fault has none: every call works, reads agree
 *   with each other and with the backup, and after changes, a kill or a power cut verification
 *   still finds nothing.
 */
#include "fuzz.h"

#include "format.h"
#include "hash.h"

#include <stdlib.h>
#include <string.h>

/* ---- digests ---- */

static uint64_t visit_digest(const Visit *visit, uint64_t seed)
{
    seed = XXH3_64bits_withSeed(visit->url, strlen(visit->url) + 1, seed ^ visit->visit_id);
    seed = XXH3_64bits_withSeed(visit->text, strlen(visit->text) + 1, seed);
    return XXH3_64bits_withSeed(&visit->time, sizeof visit->time, seed);
}

static uint64_t packed_digest(const VisitPacked *packed, size_t i, uint64_t seed)
{
    const char *url = (const char *)packed + packed[i].url_offset;
    const char *text = url + packed[i].url_length + 1;
    struct timespec time = {.tv_sec = packed[i].time_ns / 1000000000,
                            .tv_nsec = packed[i].time_ns % 1000000000};
    if (time.tv_nsec < 0) {
        time.tv_nsec += 1000000000;
        time.tv_sec--;
    }
    seed = XXH3_64bits_withSeed(url, packed[i].url_length + 1, seed ^ packed[i].visit_id);
    seed = XXH3_64bits_withSeed(text, packed[i].text_length + 1, seed);
    return XXH3_64bits_withSeed(&time, sizeof time, seed);
}

uint64_t fuzz_user_digest(VisitManager *manager, VisitReader *reader, uint32_t user_id)
{
    const Visit *visits;
    size_t count;
    uint64_t digest = user_id + 1;
    (void)manager;
    if (VisitReaderGet(reader, user_id, 0, &visits, &count)) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        digest = visit_digest(&visits[i], digest);
    }
    return digest ? digest : 1;
}

static uint64_t packed_user_digest(VisitReader *reader, uint32_t user_id)
{
    const VisitPacked *packed;
    size_t size;
    size_t count;
    uint64_t digest = user_id + 1;
    if (VisitReaderGetPacked(reader, user_id, 0, &packed, &size, &count)) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        digest = packed_digest(packed, i, digest);
    }
    return digest ? digest : 1;
}

static uint64_t cached_user_digest(VisitManager *manager, uint32_t user_id)
{
    size_t count;
    uint64_t digest = user_id + 1;
    Visit **visits = VisitManagerGetRecentVisits(manager, user_id, &count);
    if (VisitLastStatus()) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        digest = visit_digest(visits[i], digest);
    }
    return digest ? digest : 1;
}

static uint32_t other_ways; /* whose visits are read in all ways: one user in four, by the script */

/* What a store holds, as far as it can be read. */
struct contents {
    uint64_t digest; /* of all users, in whatever order */
    size_t users;
    size_t faults; /* calls that failed */
};

static void read_user(VisitManager *manager, VisitReader *reader, uint32_t user,
                      struct contents *contents)
{
    uint64_t digest = fuzz_user_digest(manager, reader, user);
    bool same = true;
    /* Strings that end before their length differ here; verification knows them. */
    if ((user + other_ways) % 4 == 0) {
        VisitManagerPrefetch(manager, &user, 1);
        same = packed_user_digest(reader, user) == digest &&
               cached_user_digest(manager, user) == digest;
    }
    contents->digest += digest;
    contents->users++;
    contents->faults += !digest || !same;
}

static struct contents read_all(VisitManager *manager)
{
    struct contents contents = {0};
    VisitReader *reader;
    VisitUsers *users;
    uint32_t user;
    size_t count;
    VisitStatus status;
    if (VisitReaderOpen(manager, &reader) || VisitUsersOpen(manager, &users)) {
        fuzz_fail("no reader: %s", VisitLastError());
    }
    while ((status = VisitUsersNext(users, &user, &count)) != VISIT_END) {
        if (status) {
            contents.faults++;
        } else {
            read_user(manager, reader, user, &contents);
        }
    }
    VisitUsersFree(users);
    struct contents others = {0};
    for (user = 0; user < FUZZ_USERS; user += 7) {
        read_user(manager, reader, user, &others); /* also where the index does not lead to them */
    }
    VisitReaderFree(reader);
    VisitStats stats = {.size = sizeof stats};
    contents.faults += VisitManagerStats(manager, &stats) != VISIT_OK;
    return contents;
}

/* ---- opening ---- */

static VisitManager *open_store(enum fuzz_file file, uint32_t mode, uint32_t limit,
                                uint32_t recovery, VisitStatus *ret_status)
{
    VisitOptions options = {.size = sizeof options,
                            .mode = mode,
                            .create = VISIT_MUST_EXIST,
                            .max_visits = limit,
                            .checkpoint_interval_ms = -1,
                            .read_cache_users = 4,
                            .recovery = recovery};
    VisitManager *manager = NULL;
    *ret_status = VisitManagerOpen(fuzz_path[file], &options, &manager);
    if ((*ret_status == VISIT_OK) != (manager != NULL)) {
        fuzz_fail("a manager and status %d", *ret_status);
    }
    return manager;
}

static void check_unchanged(const uint8_t *image, size_t size, const char *when)
{
    if (fuzz_file_size(FUZZ_STORE) != size || memcmp(fuzz_file_bytes(FUZZ_STORE), image, size)) {
        fuzz_fail("the file was changed by %s", when);
    }
}

static uint32_t state_of(VisitManager *manager)
{
    VisitStats stats = {.size = sizeof stats};
    return VisitManagerStats(manager, &stats) ? UINT32_MAX : stats.state;
}

static const char *first_fault;

static int note_finding(void *data, const VisitFinding *finding)
{
    static char text[300];
    size_t *found = data;
    if ((*found)++ == 0) {
        strncpy(text, finding->message, sizeof text - 1);
        first_fault = text;
    }
    return 0;
}

/* Is the store whole? */
static bool verify(VisitManager *manager)
{
    size_t found = 0;
    first_fault = "";
    VisitStatus status = VisitManagerVerify(manager, note_finding, &found);
    if ((status == VISIT_ERROR_CORRUPT) != (found != 0)) {
        fuzz_fail("%zu findings and status %d: %s", found, status, VisitLastError());
    }
    return status == VISIT_OK;
}

static void must_be_whole(VisitManager *manager, const char *when)
{
    if (!verify(manager)) {
        fuzz_fail("%s verification finds: %s %s", when, first_fault, VisitLastError());
    }
}

static void must_agree(const struct contents *a, const struct contents *b, const char *when)
{
    if (b->faults || a->digest != b->digest || a->users != b->users) {
        fuzz_fail("%s %zu users are %zu, %zu faults, last: %s", when, a->users, b->users, b->faults,
                  VisitLastError());
    }
}

/* A backup, if there can be one, is whole; of a whole store there can be one, and it is equal. */
static void back_up(VisitManager *manager, const struct contents *whole)
{
    VisitStatus status = VisitManagerBackup(manager, fuzz_path[FUZZ_COPY], NULL, NULL);
    if (status && whole && status != VISIT_ERROR_NO_SPACE) {
        fuzz_fail("the backup of a whole store fails: %s", VisitLastError());
    }
    if (fuzz_file_exists(FUZZ_COPY) != (status == VISIT_OK)) {
        fuzz_fail("a backup that came to %d leaves a file, or none", status);
    }
    if (!status) {
        VisitManager *copy = open_store(FUZZ_COPY, VISIT_READ_ONLY, 0, 0, &status);
        if (!copy) {
            fuzz_fail("a backup does not open: %s", VisitLastError());
        }
        must_be_whole(copy, "in a backup");
        struct contents contents = read_all(copy);
        if (whole) {
            must_agree(whole, &contents, "in the backup");
        }
        VisitManagerFree(copy);
    }
    fuzz_file_remove(FUZZ_COPY);
}

/* ---- reading ---- */

struct found {
    bool opened;
    bool whole;     /* verification says so */
    uint32_t state; /* VISIT_FOUND_... */
    struct contents contents;
};

static struct found look(const uint8_t *image, size_t size, bool backup)
{
    struct found found = {0};
    VisitStatus status;
    VisitManager *manager = open_store(FUZZ_STORE, VISIT_READ_ONLY, 0, VISIT_RECOVER, &status);
    if (manager) {
        found.opened = true;
        found.state = state_of(manager);
        found.contents = read_all(manager);
        found.whole = verify(manager);
        if (found.whole && found.contents.faults) {
            fuzz_fail("verification overlooks what reading finds: %s", VisitLastError());
        }
        if (backup) {
            back_up(manager, found.whole ? &found.contents : NULL);
        }
        VisitManagerFree(manager);
    }
    check_unchanged(image, size, "reading");
    return found;
}

/* ---- changing ---- */

static VisitStatus add(VisitManager *manager, uint32_t user, uint32_t id, size_t length,
                       uint32_t flags)
{
    static char text[8192];
    memset(text, 'f', sizeof text);
    VisitInput input = {.user_id = user,
                        .visit_id = id,
                        .url = "fuzz",
                        .url_length = 4,
                        .text = text,
                        .text_length = length,
                        .time_ns = (int64_t)id * 1000,
                        .flags = flags};
    return VisitManagerAdd(manager, &input);
}

static VisitStatus change_once(VisitManager *manager, struct fuzz_random *r)
{
    uint32_t user = (uint32_t)fuzz_below(r, FUZZ_USERS + 5);
    uint32_t id = (uint32_t)fuzz_below(r, 1000);
    uint32_t ids[3] = {user, user + 100, id};
    switch (fuzz_below(r, 10)) {
    case 0:
        return VisitManagerClearUser(manager, user);
    case 1:
        return VisitManagerRemove(manager, user, ids, 3, NULL);
    case 2:
        return add(manager, user, id, 300, 0);
    case 3:
        return add(manager, user, id, 20, VISIT_AT_TIME);
    case 4:
        return add(manager, user, id, fuzz_below(r, 4000), 0);
    case 5:
        return VisitManagerSync(manager);
    case 6:
        return add(manager, 100000 + id, id, 10, 0);
    default:
        return add(manager, user, 5000 + id, 20, 0);
    }
}

/* In a whole store every change works, or there is no room. */
static void change(VisitManager *manager, struct fuzz_random *r, bool whole)
{
    uint64_t steps = fuzz_below(r, 3) ? fuzz_below(r, 24) : 0;
    uint64_t many = fuzz_once_in(r, 6) ? 100 : 0; /* the index splits */
    for (uint64_t i = 0; i < steps + many; i++) {
        VisitStatus status =
            i < steps ? change_once(manager, r) : add(manager, 200000 + (uint32_t)i, 1, 10, 0);
        if (whole && status && status != VISIT_ERROR_NO_SPACE && status != VISIT_ERROR_TOO_LONG) {
            fuzz_fail("a change of a whole store fails: %s", VisitLastError());
        }
    }
}

/* Read-only beside a writer, then a writer that is refused. */
static void look_beside(bool whole, const struct contents *contents)
{
    VisitStatus status;
    VisitManager *reader = open_store(FUZZ_STORE, VISIT_READ_ONLY, 0, VISIT_RECOVER, &status);
    if (reader) {
        struct contents read = read_all(reader);
        bool found_whole = verify(reader);
        if (whole && !found_whole) {
            fuzz_fail("beside a writer verification finds: %s", first_fault);
        }
        if (whole) {
            must_agree(contents, &read, "beside a writer");
        }
        VisitManagerFree(reader);
    } else if (whole) {
        fuzz_fail("a whole store does not open beside its writer: %s", VisitLastError());
    }
    VisitManager *writer = open_store(FUZZ_STORE, VISIT_EXCLUSIVE, 0, VISIT_RECOVER, &status);
    if (writer || status != VISIT_ERROR_BUSY) {
        fuzz_fail("a second writer gets %d", status);
    }
}

/* The file as a kill leaves it now, or with `reboot` as a power cut does that loses nothing. */
struct left {
    uint8_t *bytes;
    size_t size;
};

static struct left leave(bool reboot)
{
    struct left left = {.size = fuzz_file_size(FUZZ_STORE)};
    left.bytes = malloc(left.size + 1);
    if (!left.bytes) {
        fuzz_fail("out of memory");
    }
    memcpy(left.bytes, fuzz_file_bytes(FUZZ_STORE), left.size);
    if (reboot) {
        left.bytes[3 * RV_PAGE]++;
    }
    return left;
}

static void come_back(struct left *left, bool reboot, bool whole, const struct contents *contents)
{
    VisitStatus status;
    fuzz_file_set(FUZZ_STORE, left->bytes, left->size);
    VisitManager *manager = open_store(FUZZ_STORE, VISIT_EXCLUSIVE, 0, VISIT_RECOVER, &status);
    if (manager) {
        struct contents read = read_all(manager);
        if (whole && !reboot) {
            must_agree(contents, &read, "after a kill");
        }
        if (!verify(manager) && whole) {
            fuzz_fail("after a kill or power cut verification finds: %s", first_fault);
        }
        VisitManagerFree(manager);
    } else if (whole) {
        fuzz_fail("after a kill or power cut: %s", VisitLastError());
    }
    free(left->bytes);
}

static void change_and_check(VisitManager *manager, struct fuzz_random *r, bool whole)
{
    change(manager, r, whole);
    struct contents contents = read_all(manager);
    if (whole) {
        must_be_whole(manager, "after changes");
    } else {
        verify(manager);
    }
    if (fuzz_once_in(r, 2)) {
        look_beside(whole, &contents);
    }
    if (fuzz_once_in(r, 2)) {
        back_up(manager, whole ? &contents : NULL);
    }
    bool reboot = fuzz_once_in(r, 2);
    struct left left = leave(reboot);
    VisitManagerFree(manager);
    if (whole && VisitLastStatus()) {
        fuzz_fail("closing a whole store fails: %s", VisitLastError());
    }
    struct left closed = leave(false);
    struct found found = look(closed.bytes, closed.size, false);
    if (whole && (!found.whole || found.state != VISIT_FOUND_CLEAN)) {
        fuzz_fail("a whole store is not whole after a close");
    }
    if (whole) {
        must_agree(&contents, &found.contents, "after a close");
    }
    free(closed.bytes);
    come_back(&left, reboot, whole, &contents);
}

/* ---- all of it ---- */

/* Measured: a fault-free store of this size takes a tenth. */
static void set_bounds(size_t size)
{
    uint64_t bytes = size + 300000;
    fuzz_bound(bytes * 400, bytes * 4);
}

/* Opens for writing; an opening that is refused leaves the file as it was. */
static VisitManager *open_writer(const uint8_t *image, size_t size, const struct found *found,
                                 uint32_t limit)
{
    VisitStatus status;
    VisitManager *manager = open_store(FUZZ_STORE, VISIT_EXCLUSIVE, limit, VISIT_RECOVER, &status);
    bool foreign = size < 4 * RV_PAGE || memcmp(image + 3 * RV_PAGE, fuzz_boot_id, 16) != 0;
    bool clean = found->opened && found->state == VISIT_FOUND_CLEAN;
    if (!manager && found->whole && clean && status != VISIT_ERROR_INVALID &&
        status != VISIT_ERROR_NEWER_VERSION) {
        fuzz_fail("a whole store does not open: %s", VisitLastError());
    }
    if (!manager && limit == 0 && foreign) {
        check_unchanged(image, size, "an opening that was refused");
    }
    return manager;
}

static void refuse(const struct found *found, const uint8_t *image, size_t size)
{
    VisitStatus status;
    VisitManager *manager =
        open_store(FUZZ_STORE, VISIT_EXCLUSIVE, 0, VISIT_RECOVER_REFUSE, &status);
    if (manager) {
        fuzz_fail("a store that was not closed is opened, against the options");
    }
    check_unchanged(image, size, "an opening that refuses recovery");
    manager = open_store(FUZZ_STORE, VISIT_READ_ONLY, 0, VISIT_RECOVER_REFUSE, &status);
    if (manager || (found->opened && status != VISIT_ERROR_NOT_CLEAN)) {
        fuzz_fail("a reader that refuses recovery gets %d", status);
    }
}

void fuzz_exercise(const uint8_t *image, size_t size, uint64_t script)
{
    struct fuzz_random r = {script};
    other_ways = (uint32_t)fuzz_below(&r, 4);
    fuzz_file_drop_locks();
    fuzz_file_remove(FUZZ_COPY);
    fuzz_file_set(FUZZ_STORE, image, size);
    set_bounds(size);
    uint32_t limits[] = {0, 0, 0, 2, 5, 20};
    uint32_t limit = limits[fuzz_below(&r, 6)];
    struct found found = look(image, size, fuzz_once_in(&r, 2));
    if (found.opened && found.state == VISIT_FOUND_UNCLEAN) {
        refuse(&found, image, size);
    }
    bool whole = found.whole && found.state == VISIT_FOUND_CLEAN;
    VisitManager *manager = open_writer(image, size, &found, limit);
    if (manager) {
        struct contents contents = read_all(manager);
        if (whole && limit == 0) {
            must_agree(&found.contents, &contents, "opened for writing");
        }
        change_and_check(manager, &r, whole);
        if (fuzz_work() == 0) {
            fuzz_fail("work is not counted: see bounds.c");
        }
    }
    fuzz_file_remove(FUZZ_STORE);
}
