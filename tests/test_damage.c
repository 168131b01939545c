/* SPDX-License-Identifier: MIT */
/* Files that are no stores, that are damaged, or that need a newer library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../lib/format.h"
#include "support.h"

/* Asserts that neither way of opening gets past the file, that the message names it, and that the
 * file is left as it was. */
static void assert_refused(const char *path, VisitStatus status, const char *part)
{
    VisitManager *manager = NULL;
    struct image before = image_read(path);
    assert_status(VisitManagerOpen(path, NULL, &manager), status);
    assert_null(manager);
    assert_last(status, path);
    assert_last(status, part);
    assert_null(VisitManagerCreate(path, 5));
    assert_last(status, path);
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    assert_status(VisitManagerOpen(path, &options, &manager), status);
    assert_null(manager);
    assert_file_unchanged(path, &before);
    image_free(&before);
}

/* ------------------------------------------------------------------------------------------------
 * Files that are no stores, or damaged, or too new
 * --------------------------------------------------------------------------------------------- */

static void test_damage__foreign_files_are_not_stores(void **state)
{
    const struct scratch *scratch = *state;
    char *noise = string_make(1, 300000);
    file_write(scratch->store, "To be, or not to be\n", 20);
    assert_refused(scratch->store, VISIT_ERROR_NOT_A_STORE, NULL);
    file_write(scratch->store, "x", 1);
    assert_refused(scratch->store, VISIT_ERROR_NOT_A_STORE, NULL);
    file_write(scratch->store, noise, 300000);
    assert_refused(scratch->store, VISIT_ERROR_NOT_A_STORE, NULL);
    memset(noise, 0, 300000);
    file_write(scratch->store, noise, 300000);
    assert_refused(scratch->store, VISIT_ERROR_NOT_A_STORE, NULL);
    free(noise);
    assert_int_equal(folder_count(scratch->folder), 1);
}

static void test_damage__empty_file_is_not_a_store_to_a_reader(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    VisitManager *manager = NULL;
    file_write(scratch->store, "", 0);
    assert_status(VisitManagerOpen(scratch->store, &options, &manager), VISIT_ERROR_NOT_A_STORE);
    assert_null(manager);
    assert_int_equal(file_size(scratch->store), 0);
}

/* A store that lost its end: an error, whatever is left; never a crash, never a new store. */
static void test_damage__truncated_store_is_refused(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 1000);
    struct image whole = image_read(scratch->store);
    const size_t sizes[] = {8, 511, 4096, 8192, 65536, whole.size / 2, whole.size - 65536};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        VisitManager *manager = NULL;
        file_write(scratch->store, whole.bytes, sizes[i]);
        struct image before = image_read(scratch->store);
        VisitStatus status = VisitManagerOpen(scratch->store, NULL, &manager);
        assert_true(status == VISIT_ERROR_CORRUPT || status == VISIT_ERROR_NOT_A_STORE);
        assert_file_unchanged(scratch->store, &before);
        image_free(&before);
    }
    image_free(&whole);
}

static struct rv_disk_superblock superblock_read(const char *path)
{
    struct rv_disk_superblock superblock;
    struct image image = image_read(path);
    assert_true(image.size >= sizeof superblock);
    memcpy(&superblock, image.bytes, sizeof superblock);
    image_free(&image);
    assert_true(superblock.magic == RV_MAGIC);
    assert_true(superblock.checksum ==
                XXH3_64bits(&superblock, offsetof(struct rv_disk_superblock, checksum)));
    return superblock;
}

/* Writes both copies, with a checksum that is right. */
static void superblock_write(const char *path, struct rv_disk_superblock *superblock)
{
    uint64_t header = (uint64_t)superblock->header_blocks << superblock->block_log2;
    superblock->checksum = XXH3_64bits(superblock, offsetof(struct rv_disk_superblock, checksum));
    file_write_at(path, 0, superblock, sizeof *superblock);
    file_write_at(path, header - RV_PAGE, superblock, sizeof *superblock);
}

static void test_damage__newer_format_is_newer_version(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 1);
    struct rv_disk_superblock superblock = superblock_read(scratch->store);
    superblock.format_version = RV_FORMAT_VERSION + 1;
    superblock_write(scratch->store, &superblock);
    assert_refused(scratch->store, VISIT_ERROR_NEWER_VERSION, NULL);
}

static void test_damage__unknown_feature_is_newer_version(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 1);
    struct rv_disk_superblock superblock = superblock_read(scratch->store);
    superblock.incompatible = UINT64_C(1) << 63;
    superblock_write(scratch->store, &superblock);
    assert_refused(scratch->store, VISIT_ERROR_NEWER_VERSION, NULL);
}

static void test_damage__unknown_feature_for_writers_lets_readers_in(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = NULL;
    store_make(scratch->store, 1);
    struct rv_disk_superblock superblock = superblock_read(scratch->store);
    superblock.compatible = UINT64_C(1) << 63;
    superblock.writer_incompatible = UINT64_C(1) << 63;
    superblock_write(scratch->store, &superblock);
    struct image before = image_read(scratch->store);
    assert_status(VisitManagerOpen(scratch->store, NULL, &manager), VISIT_ERROR_NEWER_VERSION);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
    manager = store_open_read_only(scratch->store);
    assert_visits(manager, 0, 1);
    store_close(manager);
}

static void test_damage__one_damaged_superblock_is_survived(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 10);
    struct image whole = image_read(scratch->store);
    struct rv_disk_superblock superblock = superblock_read(scratch->store);
    uint64_t copy = ((uint64_t)superblock.header_blocks << superblock.block_log2) - RV_PAGE;
    for (int i = 0; i < 2; i++) {
        file_write(scratch->store, whole.bytes, whole.size);
        file_write_at(scratch->store, (i ? copy : 0) + 60, "damage", 6);
        VisitManager *manager = NULL;
        assert_ok(VisitManagerOpen(scratch->store, NULL, &manager));
        assert_visits(manager, 5, 1);
        store_close(manager);
        struct image mended = image_read(scratch->store);
        assert_memory_equal(mended.bytes, whole.bytes, sizeof superblock);
        assert_memory_equal(mended.bytes + copy, whole.bytes, sizeof superblock);
        image_free(&mended);
    }
    image_free(&whole);
}

static void test_damage__damaged_superblocks_are_corrupt(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 10);
    struct rv_disk_superblock superblock = superblock_read(scratch->store);
    uint64_t copy = ((uint64_t)superblock.header_blocks << superblock.block_log2) - RV_PAGE;
    file_write_at(scratch->store, 60, "damage", 6);
    file_write_at(scratch->store, copy + 60, "damage", 6);
    assert_refused(scratch->store, VISIT_ERROR_CORRUPT, NULL);
}

/* Also of a store so empty that an interrupted creation could have left the rest. */
static void test_damage__superblock_of_impossible_sizes_is_corrupt(void **state)
{
    const struct scratch *scratch = *state;
    static const uint8_t zeros[3 * RV_PAGE];
    store_close(store_open(scratch->store, 10));
    struct rv_disk_superblock superblock = superblock_read(scratch->store);
    superblock.shards = 3;
    superblock_write(scratch->store, &superblock);
    file_write_at(scratch->store, RV_PAGE, zeros, sizeof zeros);
    assert_refused(scratch->store, VISIT_ERROR_CORRUPT, NULL);
}

static void test_damage__damaged_records_are_corrupt(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 10);
    file_write_at(scratch->store, RV_PAGE + 16, "damage", 6);
    file_write_at(scratch->store, 2 * RV_PAGE + 16, "damage", 6);
    assert_refused(scratch->store, VISIT_ERROR_CORRUPT, NULL);
}

/* What a call may come to on a store full of damage: success or corrupt; and the rest of the calls
 * still answer. */
static void assert_survives(VisitManager *manager)
{
    size_t count = 0;
    bool corrupt = VisitManagerVerify(manager, NULL, NULL) == VISIT_ERROR_CORRUPT;
    assert_true(corrupt);
    assert_last(VISIT_ERROR_CORRUPT, NULL);
    for (uint32_t user = 0; user < 100; user++) {
        Visit **visits = VisitManagerGetRecentVisits(manager, user, &count);
        VisitStatus status = VisitLastStatus();
        assert_true(status == VISIT_OK || status == VISIT_ERROR_CORRUPT);
        assert_true(status == VISIT_OK || (!visits && count == 0));
    }
    for (uint32_t user = 0; user < 100; user++) {
        bool added = VisitManagerAddVisit(manager, user, 2, "u", "t");
        VisitStatus status = VisitLastStatus();
        assert_int_equal(added, status == VISIT_OK);
        assert_true(status == VISIT_OK || status == VISIT_ERROR_CORRUPT);
    }
}

static int cancel_at_once(void *data, const VisitFinding *finding)
{
    size_t *findings = data;
    bool whole = finding->rule && finding->rule[0] && finding->message && finding->message[0] &&
                 !strchr(finding->message, '\n');
    *findings += whole ? 1 : 1000;
    return 1;
}

static int count_findings(void *data, const VisitFinding *finding)
{
    cancel_at_once(data, finding);
    return 0;
}

/* Destroys all visits of a closed store, but not the index: finds the strings that store_make()
 * wrote and overwrites the headers before them. */
static void destroy_slots(const char *path)
{
    static const char url[] = "https://example.org/";
    struct image image = image_read(path);
    size_t destroyed = 0;
    for (size_t i = RV_PAGE; i + sizeof url < image.size; i++) {
        if (memcmp(image.bytes + i, url, sizeof url) == 0) {
            memset(image.bytes + i - 48, 0xa5, 40);
            destroyed++;
        }
    }
    assert_true(destroyed >= 100);
    file_write_at(path, 0, image.bytes, image.size);
    image_free(&image);
}

static void test_damage__destroyed_visits_are_corrupt(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *manager = NULL;
    size_t count = 99;
    size_t findings = 0;
    store_make(scratch->store, 100);
    destroy_slots(scratch->store);
    VisitStatus status = VisitManagerOpen(scratch->store, NULL, &manager);
    if (status != VISIT_OK) {
        assert_int_equal(status, VISIT_ERROR_CORRUPT);
        return;
    }
    assert_null(VisitManagerGetRecentVisits(manager, 5, &count));
    assert_last(VISIT_ERROR_CORRUPT, scratch->store);
    assert_int_equal(count, 0);
    assert_status(VisitManagerVerify(manager, count_findings, &findings), VISIT_ERROR_CORRUPT);
    assert_in_range(findings, 100, 900);
    assert_survives(manager);
    VisitManagerFree(manager);
}

static void test_damage__callback_cancels_verify(void **state)
{
    const struct scratch *scratch = *state;
    size_t findings = 0;
    store_make(scratch->store, 100);
    destroy_slots(scratch->store);
    VisitManager *manager = store_open_read_only(scratch->store);
    assert_status(VisitManagerVerify(manager, cancel_at_once, &findings), VISIT_ERROR_CANCELLED);
    assert_int_equal(findings, 1);
    assert_status(VisitManagerVerify(NULL, NULL, NULL), VISIT_ERROR_INVALID);
    VisitManagerFree(manager);
}

/* All that follows the header is noise: the store opens or not, and nothing crashes. */
static void test_damage__noise_behind_the_header_is_corrupt(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 100);
    struct rv_disk_superblock superblock = superblock_read(scratch->store);
    size_t header = (size_t)superblock.header_blocks << superblock.block_log2;
    size_t size = (size_t)file_size(scratch->store) - header;
    char *noise = string_make(3, size);
    file_write_at(scratch->store, header, noise, size);
    free(noise);
    VisitManager *manager = NULL;
    VisitStatus status = VisitManagerOpen(scratch->store, NULL, &manager);
    if (status == VISIT_OK) {
        assert_survives(manager);
        VisitManagerFree(manager);
    } else {
        assert_int_equal(status, VISIT_ERROR_CORRUPT);
        assert_last(VISIT_ERROR_CORRUPT, scratch->store);
    }
}

/* ------------------------------------------------------------------------------------------------
 * Numbers in a file that lead nowhere: errors, never a crash and never an endless loop
 * --------------------------------------------------------------------------------------------- */

#define BLOCK 65536u /* with the defaults the first block map is block 1 */

static void set_word(const char *path, uint64_t offset, uint64_t word)
{
    file_write_at(path, offset, &word, sizeof word);
}

/* The offset of the header of the first block of a kind. */
static uint64_t header_of_kind(const struct image *image, uint64_t kind)
{
    uint64_t offset = BLOCK;
    while (image_word(image, offset + offsetof(struct rv_disk_block, run)) >> 24 != kind)
        offset += sizeof(struct rv_disk_block);
    assert_true(offset < BLOCK + image->size / BLOCK * sizeof(struct rv_disk_block));
    return offset;
}

static uint64_t block_of(uint64_t header)
{
    return 1 + (header - BLOCK) / sizeof(struct rv_disk_block);
}

/* All calls come to an end, and those that must meet the damage say so. */
static void assert_survived(const struct scratch *scratch, bool readers_see_it)
{
    const char *copy = scratch_path(scratch, "copy");
    VisitManager *manager = store_open_read_only(scratch->store);
    VisitUsers *users;
    uint32_t user;
    VisitStatus status;
    bool seen = false;
    assert_status(VisitManagerVerify(manager, NULL, NULL), VISIT_ERROR_CORRUPT);
    assert_ok(VisitUsersOpen(manager, &users));
    for (unsigned i = 0; (status = VisitUsersNext(users, &user, NULL)) != VISIT_END; i++) {
        assert_true(i < 100000);
        seen = seen || status == VISIT_ERROR_CORRUPT;
    }
    VisitUsersFree(users);
    assert_int_equal(seen, readers_see_it);
    status = VisitManagerBackup(manager, copy, NULL, NULL);
    assert_int_equal(status, readers_see_it ? VISIT_ERROR_CORRUPT : VISIT_OK);
    store_close(manager);
    if (VisitManagerOpen(scratch->store, NULL, &manager))
        return;
    for (uint32_t i = 0; i < 20000; i++)
        VisitManagerAddVisit(manager, i, i, "https://example.org/", "Example");
    VisitManagerVerify(manager, NULL, NULL);
    VisitManagerFree(manager);
}

static void test_damage__directory_pointer_beyond_all_slots(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 1000);
    for (uint64_t i = 0; i < RV_SHARDS; i++) {
        uint64_t shard = 4 * RV_PAGE + i * sizeof(struct rv_disk_shard);
        for (uint64_t k = 0; k < RV_FANOUT; k++)
            set_word(scratch->store, shard + offsetof(struct rv_disk_shard, root) + 8 * k,
                     RV_POINTER_NODE | UINT64_C(0x00fffffffffffffc));
    }
    assert_survived(scratch, true);
}

/* Half of a shard's directory. Going on with the next shard would leave users out without a word.
 */
static void test_damage__directory_pointers_that_are_gone(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .shards = 1, .max_visits = 5};
    store_close(store_open_with(scratch->store, &options));
    store_make(scratch->store, 3000);
    store_close(
        store_open(scratch->store, 2)); /* a limit to be made true by the next, larger one */
    uint64_t root = 4 * RV_PAGE + offsetof(struct rv_disk_shard, root);
    for (unsigned i = RV_FANOUT / 2; i < RV_FANOUT; i++)
        set_word(scratch->store, root + 8 * i, 0);
    options.max_visits = 8;
    assert_open_fails(scratch->store, &options, VISIT_ERROR_CORRUPT, "leads nowhere");
    options.max_visits = 0; /* as it is */
    VisitManager *manager = store_open_with(scratch->store, &options);
    VisitUsers *users;
    uint32_t user;
    VisitStatus status;
    size_t count = 0;
    assert_ok(VisitUsersOpen(manager, &users));
    while ((status = VisitUsersNext(users, &user, NULL)) == VISIT_OK)
        count++;
    assert_int_equal(status, VISIT_ERROR_CORRUPT);
    assert_last(VISIT_ERROR_CORRUPT, "leads nowhere");
    assert_in_range(count, 1000, 2000);
    VisitUsersFree(users);
    /* New users must not make a first segment, which would hide all others. */
    unsigned added = 0;
    for (user = 5000; user < 5100; user++)
        added += VisitManagerAddVisit(manager, user, 1, "https://example.org/", "Example");
    assert_in_range(added, 1, 99);
    size_t still = 0;
    for (user = 0; user < 3000; user++) {
        size_t visits;
        VisitManagerGetRecentVisits(manager, user, &visits);
        still += visits;
    }
    assert_int_equal(still, count);
    VisitManagerFree(manager);
}

static void test_damage__segment_with_a_wrong_depth(void **state)
{
    const struct scratch *scratch = *state;
    const uint64_t depths[] = {1, 56, 57, 64, 255};
    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        remove(scratch->store);
        store_make(scratch->store, 1000);
        struct image image = image_read(scratch->store);
        uint64_t place =
            header_of_kind(&image, RV_KIND_SEGMENT) + offsetof(struct rv_disk_block, segment);
        set_word(scratch->store, place, image_word(&image, place) | depths[i]);
        image_free(&image);
        assert_survived(scratch, true);
    }
}

static void test_damage__segment_with_a_wrong_prefix(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 1000);
    struct image image = image_read(scratch->store);
    set_word(scratch->store,
             header_of_kind(&image, RV_KIND_SEGMENT) + offsetof(struct rv_disk_block, prefix),
             UINT64_C(0xdeadbeef));
    image_free(&image);
    assert_survived(scratch, true);
}

static void test_damage__free_run_beyond_the_file(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 1000);
    struct image image = image_read(scratch->store);
    uint64_t header = header_of_kind(&image, RV_KIND_FREE);
    uint64_t free = 3 * RV_PAGE + offsetof(struct rv_disk_live, free);
    for (uint64_t i = 0; i < RV_ORDERS; i++)
        set_word(scratch->store, free + 8 * i, i + 1 == RV_ORDERS ? block_of(header) : 0);
    set_word(scratch->store, header + offsetof(struct rv_disk_block, run),
             (uint64_t)RV_KIND_FREE << 24 | (RV_ORDERS - 1) << 16);
    set_word(scratch->store, header + offsetof(struct rv_disk_block, list), 0);
    image_free(&image);
    assert_survived(scratch, false);
}

static void make_store_of_one_shard(const char *path)
{
    VisitOptions options = {.size = sizeof options, .shards = 1, .max_visits = 10};
    store_close(store_open_with(path, &options));
    store_make(path, 1000);
}

/* A block that says that its rings are four times as large: who has one there can't give it back,
 * since that would erase the neighbours' too. All others go on, also if it is the block that the
 * next ring would have come from. */
static void clear_beside_larger_runs(const struct scratch *scratch, bool next)
{
    make_store_of_one_shard(scratch->store);
    struct image image = image_read(scratch->store);
    uint64_t header = header_of_kind(&image, RV_KIND_SLOTS);
    uint64_t word = image_word(&image, header + offsetof(struct rv_disk_block, run));
    if (next) {
        uint64_t partial = 4 * RV_PAGE + offsetof(struct rv_disk_shard, partial);
        uint64_t block = image_word(&image, partial + 8 * (word >> 16 & 0xff));
        assert_true(block > block_of(header));
        header = BLOCK + (block - 1) * sizeof(struct rv_disk_block);
    }
    set_word(scratch->store, header + offsetof(struct rv_disk_block, run), word + (2 << 16));
    image_free(&image);
    VisitManager *manager = store_open(scratch->store, 10);
    unsigned refused = 0;
    for (uint32_t user = 0; user < 1000; user += 2) {
        VisitStatus status = VisitManagerClearUser(manager, user);
        assert_true(status == VISIT_OK || status == VISIT_ERROR_CORRUPT);
        if (status) {
            assert_last(VISIT_ERROR_CORRUPT, "not what a user has in it");
            assert_visits(manager, user, 1);
            refused++;
        }
    }
    assert_in_range(refused, 1, 499);
    assert_ok(VisitManagerSync(manager));
    for (uint32_t user = 2001; user < 3000; user += 2)
        assert_true(VisitManagerAddVisit(manager, user, 1, "https://example.org/", "Example"));
    for (uint32_t user = 1; user < 3000; user += user == 999 ? 1002 : 2)
        assert_visits(manager, user, 1);
    store_close(manager);
    remove(scratch->store);
}

static void test_damage__runs_that_are_larger_than_they_were(void **state)
{
    clear_beside_larger_runs(*state, false);
    clear_beside_larger_runs(*state, true);
}

/* Room is lost, and each checkpoint tells it; changes and backups go on. */
static void test_damage__limbo_that_leads_nowhere(void **state)
{
    const struct scratch *scratch = *state;
    const char *copy = scratch_path(scratch, "copy");
    make_store_of_one_shard(scratch->store);
    uint64_t limbo = 4 * RV_PAGE + offsetof(struct rv_disk_shard, limbo);
    set_word(scratch->store, limbo + offsetof(struct rv_disk_limbo, head), 7);
    VisitManager *manager = store_open(scratch->store, 10);
    for (uint32_t id = 2; id <= 3; id++) {
        for (uint32_t user = 0; user < 1000; user++)
            assert_true(VisitManagerAddVisit(manager, user, id, "https://example.org/", "Example"));
        assert_status(VisitManagerSync(manager), VISIT_ERROR_CORRUPT);
        assert_last(VISIT_ERROR_CORRUPT, "limbo");
    }
    assert_ok(VisitManagerBackup(manager, copy, NULL, NULL));
    VisitManagerFree(manager);
    assert_last(VISIT_ERROR_CORRUPT, "limbo");
    manager = store_open_read_only(copy);
    for (uint32_t user = 0; user < 1000; user++)
        assert_visits(manager, user, 3, 2, 1);
    assert_ok(store_verify(manager));
    store_close(manager);
}

/* A closed store of one shard, without a thread for checkpoints: with free runs of two orders or
 * more.
 */
static VisitManager *open_store_of_one_shard(const char *path)
{
    VisitOptions options = {
        .size = sizeof options, .shards = 1, .max_visits = 10, .checkpoint_interval_ms = -1};
    return store_open_with(path, &options);
}

static void make_store_with_free_runs(const char *path)
{
    VisitManager *manager = open_store_of_one_shard(path);
    char *text = string_make(5, 3 * BLOCK);
    for (uint32_t user = 0; user < 1000; user++)
        assert_true(VisitManagerAddVisit(manager, user, 1, "https://example.org/", "Example"));
    for (uint32_t user = 5000; user < 5004; user++) /* four blocks each */
        assert_true(VisitManagerAddVisit(manager, user, 1, "https://example.org/", text));
    for (uint32_t user = 5001; user < 5004; user++)
        assert_ok(VisitManagerClearUser(manager, user));
    assert_ok(VisitManagerSync(manager));
    for (uint32_t user = 5001; user < 5004; user++) /* what was cleared leaves limbo */
        assert_true(VisitManagerAddVisit(manager, user, 2, "https://example.org/", "Example"));
    free(text);
    store_close(manager);
}

/* Damages what the allocator knows of one list: the word that begins it, or the first run's links.
 */
static void damage_list(const struct image *image, const char *path, uint32_t order, unsigned how)
{
    const uint64_t heads[] = {1, 1000, UINT64_MAX};
    uint64_t head = 3 * RV_PAGE + offsetof(struct rv_disk_live, free) + 8 * order;
    uint64_t block = image_word(image, head);
    uint64_t links =
        BLOCK + (block - 1) * sizeof(struct rv_disk_block) + offsetof(struct rv_disk_block, list);
    if (how < 3)
        set_word(path, head, heads[how]);
    else if (how == 3)
        set_word(path, links, UINT64_C(7) << 32); /* the next one */
    else if (how == 4)
        set_word(path, links, block << 32); /* it follows itself: it would be handed out twice */
    else
        set_word(path, links, image_word(image, links) | 7); /* the one before */
}

/* Room that is lost, and lists that lead nowhere, but nothing that has two owners. */
static int only_lost_room(void *data, const VisitFinding *finding)
{
    (void)data;
    assert_true(strcmp(finding->rule, "block-list") == 0 || strcmp(finding->rule, "space") == 0);
    return 0;
}

/* Whatever list it is, all goes on with what others have, or with what the file grows by. */
static void test_damage__lists_of_free_blocks(void **state)
{
    const struct scratch *scratch = *state;
    for (unsigned how = 0; how < 6; how++) {
        make_store_with_free_runs(scratch->store);
        struct image image = image_read(scratch->store);
        unsigned damaged = 0;
        for (uint32_t order = 0; order < RV_ORDERS; order++) {
            uint64_t head = 3 * RV_PAGE + offsetof(struct rv_disk_live, free) + 8 * order;
            if (image_word(&image, head)) {
                damage_list(&image, scratch->store, order, how);
                damaged++;
            }
        }
        assert_in_range(damaged, 2, RV_ORDERS);
        image_free(&image);
        VisitManager *manager = open_store_of_one_shard(scratch->store);
        assert_status(VisitManagerVerify(manager, only_lost_room, NULL), VISIT_ERROR_CORRUPT);
        for (uint32_t id = 2; id <= 12; id++) {
            for (uint32_t user = 0; user < 1000; user++)
                assert_true(
                    VisitManagerAddVisit(manager, user, id, "https://example.org/", "Example"));
            assert_ok(VisitManagerSync(manager));
        }
        for (uint32_t user = 0; user < 1000; user += 2)
            assert_ok(VisitManagerClearUser(manager, user));
        assert_ok(VisitManagerSync(manager));
        assert_status(VisitManagerVerify(manager, only_lost_room, NULL), VISIT_ERROR_CORRUPT);
        for (uint32_t user = 1; user < 1000; user += 2)
            assert_visits(manager, user, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3);
        store_close(manager);
        remove(scratch->store);
    }
}

/* A number of blocks that is too low would have blocks in use made free: a free run behind it
 * tells.
 */
static void test_damage__free_run_behind_the_last_block(void **state)
{
    const struct scratch *scratch = *state;
    make_store_with_free_runs(scratch->store);
    struct image image = image_read(scratch->store);
    uint64_t blocks = 0;
    for (uint32_t order = 0; order < RV_ORDERS; order++) {
        uint64_t head = 3 * RV_PAGE + offsetof(struct rv_disk_live, free) + 8 * order;
        uint64_t block = image_word(&image, head);
        blocks = block > blocks ? block : blocks;
    }
    image_free(&image);
    VisitManager *manager = open_store_of_one_shard(scratch->store);
    set_word(scratch->store, 3 * RV_PAGE + offsetof(struct rv_disk_live, blocks), blocks);
    VisitStatus status = VISIT_OK;
    for (uint32_t user = 6000; user < 9000 && !status; user++) {
        VisitInput visit = visit_now(user, 1, "https://example.org/", "Example");
        status = VisitManagerAdd(manager, &visit);
    }
    assert_status(status, VISIT_ERROR_CORRUPT);
    assert_last(VISIT_ERROR_CORRUPT, "number of blocks");
    for (uint32_t user = 0; user < 1000; user++)
        assert_visits(manager, user, 1);
    store_close(manager);
}

/* It is derived: verification sees it, and the next writer makes it anew. */
static void test_damage__number_of_blocks_that_cannot_be(void **state)
{
    const struct scratch *scratch = *state;
    const uint64_t blocks[] = {0, 1, UINT64_C(1) << 48, UINT64_MAX};
    VisitOptions refuse = {.size = sizeof refuse, .recovery = VISIT_RECOVER_REFUSE};
    store_make(scratch->store, 1000);
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        set_word(scratch->store, 3 * RV_PAGE + offsetof(struct rv_disk_live, blocks), blocks[i]);
        VisitManager *manager = store_open_read_only(scratch->store);
        assert_status(VisitManagerVerify(manager, NULL, NULL), VISIT_ERROR_CORRUPT);
        assert_visits(manager, 999, 1);
        store_close(manager);
        assert_open_fails(scratch->store, &refuse, VISIT_ERROR_NOT_CLEAN, NULL);
        manager = store_open(scratch->store, 10);
        assert_visits(manager, 999, 1);
        assert_ok(store_verify(manager));
        store_close(manager);
    }
}

/* The header of the first entry in use is copied over the one that follows it, or is changed. */
static uint64_t used_entry(const struct image *image)
{
    uint64_t offset = block_of(header_of_kind(image, RV_KIND_SEGMENT)) * BLOCK;
    do {
        offset += sizeof(struct rv_disk_entry);
    } while (image_word(image, offset + offsetof(struct rv_disk_entry, version)) == 0);
    return offset;
}

static void test_damage__user_with_two_entries(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 1000);
    struct image image = image_read(scratch->store);
    uint64_t entry = used_entry(&image);
    file_write_at(scratch->store, entry + sizeof(struct rv_disk_entry), image.bytes + entry,
                  sizeof(struct rv_disk_entry));
    image_free(&image);
    VisitManager *manager = store_open_read_only(scratch->store);
    assert_status(VisitManagerVerify(manager, NULL, NULL), VISIT_ERROR_CORRUPT);
    assert_status(VisitManagerBackup(manager, scratch_path(scratch, "copy"), NULL, NULL),
                  VISIT_ERROR_CORRUPT);
    store_close(manager);
    assert_int_equal(folder_count(scratch->folder), 1);
}

static void test_damage__version_without_a_count(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 1000);
    struct image image = image_read(scratch->store);
    uint64_t word = used_entry(&image) + offsetof(struct rv_disk_entry, version) + 8;
    set_word(scratch->store, word, image_word(&image, word) & ~(uint64_t)RV_WORD_COUNT);
    image_free(&image);
    VisitManager *manager = store_open_read_only(scratch->store);
    assert_status(VisitManagerVerify(manager, NULL, NULL), VISIT_ERROR_CORRUPT);
    assert_status(VisitManagerBackup(manager, scratch_path(scratch, "copy"), NULL, NULL),
                  VISIT_ERROR_CORRUPT);
    store_close(manager);
}

/* A ring in what is left of the last block. */
static void test_damage__length_that_is_no_number_of_blocks(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 1000);
    struct image image = image_read(scratch->store);
    uint64_t last = image.size / BLOCK - 1;
    uint64_t word = used_entry(&image) + offsetof(struct rv_disk_entry, version) + 8;
    set_word(scratch->store, word,
             (image_word(&image, word) & UINT32_MAX) | (last * BLOCK / 256) << 32);
    struct image changed = image_read(scratch->store);
    file_write(scratch->store, changed.bytes, changed.size - 4096);
    image_free(&changed);
    image_free(&image);
    VisitManager *manager = store_open_read_only(scratch->store);
    assert_status(VisitManagerVerify(manager, NULL, NULL), VISIT_ERROR_CORRUPT);
    store_close(manager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_damage__foreign_files_are_not_stores),
        scratch_test(test_damage__empty_file_is_not_a_store_to_a_reader),
        scratch_test(test_damage__truncated_store_is_refused),
        scratch_test(test_damage__newer_format_is_newer_version),
        scratch_test(test_damage__unknown_feature_is_newer_version),
        scratch_test(test_damage__unknown_feature_for_writers_lets_readers_in),
        scratch_test(test_damage__one_damaged_superblock_is_survived),
        scratch_test(test_damage__damaged_superblocks_are_corrupt),
        scratch_test(test_damage__superblock_of_impossible_sizes_is_corrupt),
        scratch_test(test_damage__damaged_records_are_corrupt),
        scratch_test(test_damage__destroyed_visits_are_corrupt),
        scratch_test(test_damage__callback_cancels_verify),
        scratch_test(test_damage__noise_behind_the_header_is_corrupt),
        scratch_test(test_damage__directory_pointer_beyond_all_slots),
        scratch_test(test_damage__directory_pointers_that_are_gone),
        scratch_test(test_damage__segment_with_a_wrong_depth),
        scratch_test(test_damage__segment_with_a_wrong_prefix),
        scratch_test(test_damage__free_run_beyond_the_file),
        scratch_test(test_damage__runs_that_are_larger_than_they_were),
        scratch_test(test_damage__limbo_that_leads_nowhere),
        scratch_test(test_damage__lists_of_free_blocks),
        scratch_test(test_damage__free_run_behind_the_last_block),
        scratch_test(test_damage__number_of_blocks_that_cannot_be),
        scratch_test(test_damage__user_with_two_entries),
        scratch_test(test_damage__version_without_a_count),
        scratch_test(test_damage__length_that_is_no_number_of_blocks),
    };
    return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
