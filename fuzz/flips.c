/* SPDX-License-Identifier: MIT */
/*
 * Every bit of a small closed store is turned over, each on its own, and the store is cut off at
 * every length. What must hold:
 *
 * - the store opens all the same, unless the bit makes it one of a newer version;
 * - a user none of whose bytes was touched is read as before, or the bit lies in what leads to
 *   users; then reading fails, or verification tells;
 * - verification tells of each bit that a checksum covers, and of each that makes another user's
 *   visits unreadable.
 *
 *   flips [PARTS [PART]]     one bit and one length in so many; 1: all
 */
#include "fuzz.h"

#include "index.h"
#include "open.h"
#include "slot.h"
#include "version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NOBODY = 0xff,  /* free, or nothing that counts */
    LEADING = 0xfe, /* leads to users: header, directory, block map */
};

static struct {
    const uint8_t *bytes;
    size_t size;
    uint8_t *owner;   /* of each byte: a user, NOBODY, LEADING */
    uint8_t *entry;   /* of whose entry's versions it is; else NOBODY */
    uint8_t *covered; /* by a checksum */
    uint64_t digest[FUZZ_USERS];
} whole;

static struct {
    uint64_t flips;
    uint64_t lengths;
    uint64_t reported; /* flips that verification tells of */
} count;

/* ---- whose bytes are whose ---- */

static void own(uint64_t from, uint64_t bytes, uint8_t owner, bool covered)
{
    memset(whole.owner + from, owner, bytes);
    if (covered) {
        memset(whole.covered + from, 1, bytes);
    }
}

static void own_visit(const struct rv_store *st, uint8_t user, const struct rv_view *view)
{
    uint64_t slot = rv_slot_offset(st, view->slot);
    own(slot, sizeof(struct rv_disk_slot), user, false);
    memset(whole.covered + slot + 8, 1, 40);
    if (view->overflow) {
        own(rv_slot_offset(st, view->overflow), sizeof(struct rv_disk_overflow), user, false);
    }
    own((uint64_t)(view->strings - st->file.ro), rv_slot_bytes(view), user, true);
}

static void own_user(struct rv_store *st, uint8_t user)
{
    uint64_t hash = rv_hash(st, user);
    const struct rv_disk_entry *entry;
    struct rv_view views[16];
    uint64_t epoch;
    uint32_t visits;
    if (rv_index_lookup(st, rv_shard_of(st, hash), hash, user, &entry)) {
        fuzz_fail("%s", VisitLastError());
    }
    if (!entry) {
        return;
    }
    uint64_t versions = (uint64_t)((const uint8_t *)entry->version - st->file.ro);
    memset(whole.entry + versions, user, sizeof entry->version);
    uint64_t word = rv_word_as_of(entry->version, UINT64_MAX, &epoch);
    if (rv_slot_collect(st, st->file.ro, user, word, 16, views, &visits)) {
        fuzz_fail("%s", VisitLastError());
    }
    for (uint32_t i = 0; i < visits; i++) {
        own_visit(st, user, &views[i]);
    }
}

static void find_owners(void)
{
    struct rv_options options = {.mode = VISIT_READ_ONLY};
    struct rv_store *st;
    if (rv_store_open(fuzz_path[FUZZ_STORE], &options, &st)) {
        fuzz_fail("%s", VisitLastError());
    }
    whole.owner = malloc(whole.size);
    whole.entry = malloc(whole.size);
    whole.covered = calloc(whole.size, 1);
    if (!whole.owner || !whole.entry || !whole.covered) {
        fuzz_fail("out of memory");
    }
    memset(whole.owner, NOBODY, whole.size);
    memset(whole.entry, NOBODY, whole.size);
    uint64_t map = rv_block_offset(st, st->geo.header_blocks);
    own(0, map + ((uint64_t)1 << st->geo.block_log2), LEADING, false);
    for (uint64_t block = st->geo.header_blocks + 1; block < whole.size >> st->geo.block_log2;
         block++) {
        uint32_t kind = rv_run_kind(
            rv_load(&((const struct rv_disk_block *)rv_ro(st, rv_header_offset(st, block)))->run));
        if (kind == RV_KIND_SEGMENT) { /* where probing for one user passes others */
            own(rv_block_offset(st, block), (uint64_t)1 << st->geo.block_log2, LEADING, false);
        }
    }
    for (uint8_t user = 0; user < FUZZ_USERS; user++) {
        own_user(st, user);
    }
    memset(whole.covered, 1, offsetof(struct rv_disk_superblock, reserved2));
    memset(whole.covered + map - RV_PAGE, 1, offsetof(struct rv_disk_superblock, reserved2));
    memset(whole.covered + RV_PAGE, 1, sizeof(struct rv_disk_record));
    memset(whole.covered + 2 * RV_PAGE, 1, sizeof(struct rv_disk_record));
    if (rv_store_close(st)) {
        fuzz_fail("%s", VisitLastError());
    }
}

/* ---- reading ---- */

static VisitManager *open_store(uint32_t mode, VisitStatus *ret_status)
{
    VisitOptions options = {.size = sizeof options,
                            .mode = mode,
                            .create = VISIT_MUST_EXIST,
                            .checkpoint_interval_ms = -1};
    VisitManager *manager = NULL;
    fuzz_bound((whole.size + 300000) * 400, (whole.size + 300000) * 4);
    *ret_status = VisitManagerOpen(fuzz_path[FUZZ_STORE], &options, &manager);
    return manager;
}

/* The users that are not read as they were: their number, and one of them. */
static unsigned read_users(VisitManager *manager, uint8_t but, bool failing_is_fine, int *ret_one)
{
    VisitReader *reader;
    unsigned others = 0;
    if (VisitReaderOpen(manager, &reader)) {
        fuzz_fail("%s", VisitLastError());
    }
    for (uint8_t user = 0; user < FUZZ_USERS; user++) {
        uint64_t digest = fuzz_user_digest(manager, reader, user);
        bool same = digest == whole.digest[user] || (!digest && failing_is_fine);
        if (!same && user != but) {
            others++;
            *ret_one = user;
        }
    }
    VisitReaderFree(reader);
    return others;
}

static void read_whole(void)
{
    VisitStatus status;
    VisitReader *reader;
    VisitManager *manager = open_store(VISIT_READ_ONLY, &status);
    if (!manager || VisitManagerVerify(manager, NULL, NULL) || VisitReaderOpen(manager, &reader)) {
        fuzz_fail("the store to begin with: %s", VisitLastError());
    }
    for (uint8_t user = 0; user < FUZZ_USERS; user++) {
        whole.digest[user] = fuzz_user_digest(manager, reader, user);
    }
    VisitReaderFree(reader);
    VisitManagerFree(manager);
}

static bool makes_newer_version(size_t place)
{
    return place >= offsetof(struct rv_disk_superblock, format_version) &&
           place < offsetof(struct rv_disk_superblock, size);
}

static void check_flip(size_t place, unsigned bit)
{
    VisitStatus status;
    int one = 0;
    VisitManager *manager = open_store(VISIT_READ_ONLY, &status);
    if (!manager) {
        if (!makes_newer_version(place) || status != VISIT_ERROR_NEWER_VERSION) {
            fuzz_fail("bit %u of byte %zu: %s", bit, place, VisitLastError());
        }
        return;
    }
    uint8_t owner = whole.owner[place];
    /* No checksum covers a version: with a smaller count it is another one that can be. */
    uint8_t touched = owner == LEADING ? whole.entry[place] : owner;
    unsigned others = read_users(manager, touched, owner == LEADING, &one);
    status = VisitManagerVerify(manager, NULL, NULL);
    count.reported += status != VISIT_OK;
    if (others && (owner != LEADING || status == VISIT_OK)) {
        fuzz_fail("bit %u of byte %zu: user %d is not read as before; verification comes to %d",
                  bit, place, one, status);
    }
    if (status == VISIT_OK && (whole.covered[place] || read_users(manager, touched, false, &one))) {
        fuzz_fail("bit %u of byte %zu: verification finds nothing", bit, place);
    }
    VisitManagerFree(manager);
}

static void flip_all(size_t parts, size_t part)
{
    fuzz_file_set(FUZZ_STORE, whole.bytes, whole.size);
    uint8_t *file = (uint8_t *)(uintptr_t)fuzz_file_bytes(FUZZ_STORE);
    for (size_t i = part; i < whole.size * 8; i += parts) {
        file[i / 8] ^= (uint8_t)(1u << i % 8);
        check_flip(i / 8, i % 8);
        file[i / 8] ^= (uint8_t)(1u << i % 8);
        count.flips++;
    }
    if (memcmp(file, whole.bytes, whole.size)) {
        fuzz_fail("reading has changed the file");
    }
}

/* ---- cutting off ---- */

/* What is left is read as it was, or not at all; a writer leaves alone what it refuses. */
static void check_length(size_t size)
{
    VisitStatus status;
    int one = 0;
    fuzz_file_set(FUZZ_STORE, whole.bytes, size);
    VisitManager *manager = open_store(VISIT_READ_ONLY, &status);
    if (manager) {
        if (read_users(manager, NOBODY, true, &one)) {
            fuzz_fail("cut off at %zu user %d is read wrongly", size, one);
        }
        if (size < whole.size && VisitManagerVerify(manager, NULL, NULL) == VISIT_OK) {
            fuzz_fail("cut off at %zu verification finds nothing", size);
        }
        VisitManagerFree(manager);
    } else if (status != VISIT_ERROR_NOT_A_STORE && status != VISIT_ERROR_CORRUPT) {
        fuzz_fail("cut off at %zu: %s", size, VisitLastError());
    }
    manager = open_store(VISIT_EXCLUSIVE, &status);
    if (manager && size < whole.size) {
        fuzz_fail("cut off at %zu it opens for writing", size);
    }
    if (!manager && (fuzz_file_size(FUZZ_STORE) != size ||
                     memcmp(fuzz_file_bytes(FUZZ_STORE), whole.bytes, size))) {
        fuzz_fail("cut off at %zu it is changed by an opening that fails", size);
    }
    VisitManagerFree(manager);
}

static void cut_all(size_t parts, size_t part)
{
    for (size_t size = part; size < whole.size; size += parts) {
        check_length(size);
        count.lengths++;
    }
    for (size_t size = 0; size < whole.size; size += 4096) { /* and where pages end */
        check_length(size);
        check_length(size + 4095);
        count.lengths += 2;
    }
}

int main(int argc, char **argv)
{
    size_t parts = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    size_t part = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
    if (parts == 0 || part >= parts) {
        return 2;
    }
    fuzz_file_limit(2u << 20);
    whole.bytes = fuzz_base(0, &whole.size);
    fuzz_file_set(FUZZ_STORE, whole.bytes, whole.size);
    read_whole();
    find_owners();
    flip_all(parts, part);
    cut_all(parts, part);
    free(whole.owner);
    free(whole.entry);
    free(whole.covered);
    printf("%llu bits turned over, %llu of them reported, %llu lengths, 0 failed\n",
           (unsigned long long)count.flips, (unsigned long long)count.reported,
           (unsigned long long)count.lengths);
    return 0;
}
