/* SPDX-License-Identifier: MIT */
/*
 * Single rules of the format, broken by hand with checksums that are right: what a verification
 * finds, and what a read comes to. A second reader of the format, format-spec/reader, found that
 * these were not seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../lib/format.h"
#include "support.h"

#define BLOCK 65536u
#define SLOT 256u

static uint64_t header_at(uint64_t block)
{
    return BLOCK + (block - 1) * sizeof(struct rv_disk_block);
}

static uint64_t run_at(uint64_t block)
{
    return header_at(block) + offsetof(struct rv_disk_block, run);
}

/* The first block from `from` on whose header has these upper bits of `run`: kind, or kind, class
 * and shard. */
static uint64_t block_with(const struct image *image, uint64_t from, uint64_t run, unsigned shift)
{
    while (image_word(image, run_at(from)) >> shift != run)
        from++;
    assert_true(from < image->size / BLOCK);
    return from;
}

#define LIVE(field) (3 * RV_PAGE + offsetof(struct rv_disk_live, field))
#define SHARD(i, field)                                                                            \
    (4 * RV_PAGE + (i) * sizeof(struct rv_disk_shard) + offsetof(struct rv_disk_shard, field))

/* The entry of a user. */
static uint64_t entry_of(const struct image *image, uint32_t user_id)
{
    for (uint64_t block = 2; block < image->size / BLOCK; block++) {
        for (uint64_t i = 64;
             i < BLOCK && image_word(image, run_at(block)) >> 24 == RV_KIND_SEGMENT;
             i += sizeof(struct rv_disk_entry)) {
            const struct rv_disk_entry *entry = (const void *)(image->bytes + block * BLOCK + i);
            if (entry->user_id == user_id && entry->version[0].epoch)
                return block * BLOCK + i;
        }
    }
    fail_msg("user %u has no entry", user_id);
    return 0;
}

static struct rv_disk_entry *entry_in(struct image *image, uint32_t user_id)
{
    return (struct rv_disk_entry *)(void *)(image->bytes + entry_of(image, user_id));
}

/* The slot of the i-th older visit of a user with one version. */
static struct rv_disk_slot *slot_in(struct image *image, uint32_t user_id, uint32_t i)
{
    uint64_t word = entry_in(image, user_id)->version[0].word;
    uint64_t mask = (UINT64_C(1) << (word >> RV_WORD_SIZE_SHIFT & RV_WORD_SIZE)) - 1;
    uint64_t head = word >> 32;
    uint64_t slot = (head & ~mask) + ((head - i) & mask);
    return (struct rv_disk_slot *)(void *)(image->bytes + slot * SLOT);
}

/* Makes a slot's checksum right. */
static void seal(struct image *image, struct rv_disk_slot *slot)
{
    const uint8_t *run =
        slot->overflow ? image->bytes + (uint64_t)slot->overflow * SLOT : (const uint8_t *)slot;
    uint64_t strings = XXH3_64bits(run + sizeof *slot, slot->url_length + slot->text_length + 2u);
    slot->checksum = XXH3_64bits_withSeed((const uint8_t *)slot + 8, 32, strings);
}

/* Of both records. */
static void set_last_time(struct image *image, int64_t last_time)
{
    uint64_t seed = image_word(image, offsetof(struct rv_disk_superblock, uuid));
    for (uint64_t at = RV_PAGE; at <= 2 * RV_PAGE; at += RV_PAGE) {
        struct rv_disk_record *record = (void *)(image->bytes + at);
        record->last_time = last_time;
        record->checksum =
            XXH3_64bits_withSeed(record, offsetof(struct rv_disk_record, checksum), seed);
    }
}

/* ---- stores ---- */

/* A store that is closed, with one shard: user 1 has three visits, the newest with long strings. */
static struct image closed_store(const struct scratch *scratch)
{
    VisitOptions options = {.size = sizeof options, .shards = 1, .checkpoint_interval_ms = -1};
    char *text = string_make(5, 300);
    VisitManager *manager = store_open_with(scratch->store, &options);
    assert_true(VisitManagerAddVisit(manager, 1, 1, "https://example.org/", "First"));
    assert_true(VisitManagerAddVisit(manager, 1, 2, "https://example.org/", "Second"));
    assert_true(VisitManagerAddVisit(manager, 1, 3, "https://example.org/", text));
    assert_true(VisitManagerAddVisit(manager, 2, 1, "https://example.org/", "Other"));
    free(text);
    store_close(manager);
    return image_read(scratch->store);
}

/* The same as of its last checkpoint: copied while it is open and nothing is written. */
static struct image unclean_store(const struct scratch *scratch)
{
    VisitOptions options = {.size = sizeof options, .checkpoint_interval_ms = -1};
    struct image closed = closed_store(scratch);
    image_free(&closed);
    VisitManager *manager = store_open_with(scratch->store, &options);
    struct image image = image_read(scratch->store);
    store_close(manager);
    return image;
}

/* Adds a block of zeros that nothing uses yet; its number. */
static uint64_t add_block(struct image *image)
{
    image->bytes = realloc(image->bytes, image->size + BLOCK);
    assert_non_null(image->bytes);
    memset(image->bytes + image->size, 0, BLOCK);
    image->size += BLOCK;
    return image->size / BLOCK - 1;
}

struct expected {
    const char *rule;
    uint32_t count;
    uint32_t others;
};

static int on_finding(void *data, const VisitFinding *finding)
{
    struct expected *expected = data;
    bool it_is = strcmp(finding->rule, expected->rule) == 0;
    *(it_is ? &expected->count : &expected->others) += 1;
    if (!it_is)
        print_error("%s at %llu: %s\n", finding->rule, (unsigned long long)finding->offset,
                    finding->message);
    return 0;
}

/* Writes the image; a verification finds this rule broken and no other. */
static void assert_finds(const struct scratch *scratch, const struct image *image, const char *rule)
{
    struct expected expected = {.rule = rule};
    file_write(scratch->store, image->bytes, image->size);
    VisitManager *manager = store_open_read_only(scratch->store);
    assert_status(VisitManagerVerify(manager, on_finding, &expected), VISIT_ERROR_CORRUPT);
    assert_int_not_equal(expected.count, 0);
    assert_int_equal(expected.others, 0);
    store_close(manager);
}

static void assert_sound(const struct scratch *scratch, const struct image *image)
{
    file_write(scratch->store, image->bytes, image->size);
    VisitManager *manager = store_open_read_only(scratch->store);
    assert_ok(store_verify(manager));
    store_close(manager);
}

/* ---- as of a checkpoint ---- */

static void test_findings__cell_of_an_epoch_to_come_in_an_unclean_store(void **state)
{
    struct image image = unclean_store(*state);
    assert_sound(*state, &image);
    image_set_word(&image, header_at(3), UINT64_C(99) << 8);
    assert_finds(*state, &image, "block-cell");
    image_free(&image);
}

static void test_findings__change_counter_behind_in_an_unclean_store(void **state)
{
    struct image image = unclean_store(*state);
    entry_in(&image, 1)->changes = 1;
    assert_finds(*state, &image, "changes");
    image_free(&image);
}

/* A power cut may have kept the shard's from the disk: the record has it too. */
static void test_findings__shard_time_behind_in_an_unclean_store(void **state)
{
    struct image image = unclean_store(*state);
    image_set_word(&image, SHARD(0, last_time), 1);
    assert_sound(*state, &image);
    set_last_time(&image, 1);
    assert_finds(*state, &image, "shard-time");
    image_free(&image);
}

static void test_findings__two_versions_of_one_epoch_in_an_unclean_store(void **state)
{
    struct image image = unclean_store(*state);
    struct rv_disk_entry *entry = entry_in(&image, 1);
    entry->version[1] = entry->version[0];
    assert_finds(*state, &image, "epoch");
    image_free(&image);
}

/* Strings in an overflow run that would fit into their slot. */
static void test_findings__overflow_run_without_need(void **state)
{
    const struct scratch *scratch = *state;
    struct image image = unclean_store(scratch);
    struct rv_disk_slot *slot = slot_in(&image, 1, 0);
    uint8_t *strings = image.bytes + (uint64_t)slot->overflow * SLOT + sizeof *slot;
    slot->url_length = slot->text_length = 10;
    strings[10] = strings[21] = 0;
    seal(&image, slot);
    assert_finds(scratch, &image, "chain");
    VisitManager *manager = store_open_read_only(scratch->store);
    size_t count;
    assert_null(VisitManagerGetRecentVisits(manager, 1, &count));
    assert_last(VISIT_ERROR_CORRUPT, scratch->store);
    assert_visits(manager, 2, 1);
    store_close(manager);
    image_free(&image);
}

/* Two segments that each cover all of the shard. */
static void test_findings__two_segments_for_all_hashes(void **state)
{
    const struct scratch *scratch = *state;
    struct image image = unclean_store(scratch);
    uint64_t segment = block_with(&image, 2, RV_KIND_SEGMENT, 24);
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    uint64_t copy = add_block(&image);
    memcpy(image.bytes + header_at(copy), image.bytes + header_at(segment), 40);
    image_set_word(&image, LIVE(boot_id),
                   0); /* not to be taken for the store of a killed process */
    image_set_word(&image, LIVE(boot_id) + 8, 0);
    file_write(scratch->store, image.bytes, image.size);
    assert_open_fails(scratch->store, &options, VISIT_ERROR_CORRUPT, "overlap");
    assert_open_fails(scratch->store, NULL, VISIT_ERROR_CORRUPT, "overlap");
    image_free(&image);
}

/* A ring that lies over a segment of a later shard is damage of the user's, not of the segment. */
static void test_findings__ring_over_a_segment(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .shards = 2, .checkpoint_interval_ms = -1};
    VisitManager *manager = store_open_with(scratch->store, &options);
    for (uint32_t user = 0; user < 20; user++)
        assert_true(VisitManagerAddVisit(manager, user, 1, "https://example.org/", "First"));
    store_close(manager);
    manager = store_open_with(scratch->store, &options);
    struct image image = image_read(scratch->store);
    store_close(manager);
    uint64_t later = block_with(&image, 2, (uint64_t)RV_KIND_SEGMENT << 24 | 1, 0);
    uint32_t user = 0;
    while (entry_of(&image, user) / BLOCK == later)
        user++;
    struct rv_disk_version *version = &entry_in(&image, user)->version[0];
    version->word = (version->word & UINT32_MAX) | (later * BLOCK / SLOT) << 32;
    assert_finds(scratch, &image, "run");
    image_free(&image);
}

/* ---- of a closed store ---- */

/* A list of free runs has one that was never used, in the place of one that is lost: their number
 * is right all the same. */
static void test_findings__fresh_run_in_a_free_list(void **state)
{
    struct image image = closed_store(*state);
    uint64_t block = block_with(&image, 2, (uint64_t)RV_KIND_SLOTS << 24, 0);
    uint64_t place = header_at(block) + offsetof(struct rv_disk_block, free);
    uint64_t word = image_word(&image, place);
    uint64_t fresh = (word >> 16 & 0xffff) + 1;
    uint64_t slot = block * BLOCK / SLOT + fresh;
    ((struct rv_disk_slot *)(void *)(image.bytes + slot * SLOT))->link = (uint32_t)(word >> 32);
    image_set_word(&image, place, slot << 32 | fresh << 16 | (word & 0xffff));
    assert_finds(*state, &image, "free-list");
    image_free(&image);
}

static void test_findings__header_of_a_run_in_a_hand(void **state)
{
    struct image image = closed_store(*state);
    uint64_t block = add_block(&image);
    image_set_word(&image, LIVE(blocks), block + 1);
    image_set_word(&image, SHARD(0, hand), block << 8 | 0x80);
    image_set_word(&image, run_at(block), (uint64_t)RV_KIND_HAND << 24);
    assert_sound(*state, &image);
    image_set_word(&image, run_at(block), (uint64_t)RV_KIND_FREE << 24);
    assert_finds(*state, &image, "block-header");
    image_free(&image);
}

static void test_findings__header_of_a_block_map(void **state)
{
    struct image image = closed_store(*state);
    image_set_word(&image, run_at(1), image_word(&image, run_at(1)) | 1);
    assert_finds(*state, &image, "block-header");
    image_free(&image);
}

/* A user's ring in a block that the file has and the store has not: it would be given out again. */
static void test_findings__ring_beyond_the_blocks(void **state)
{
    struct image image = closed_store(*state);
    uint64_t last = add_block(&image);
    struct rv_disk_entry *entry = entry_in(&image, 2);
    struct rv_disk_slot *slot = slot_in(&image, 2, 0);
    uint64_t old = (uint64_t)((uint8_t *)slot - image.bytes) / BLOCK;
    uint64_t place = header_at(old) + offsetof(struct rv_disk_block, free);
    uint64_t word = image_word(&image, place);
    memcpy(image.bytes + last * BLOCK, slot, SLOT);
    slot->link = (uint32_t)(word >> 32);
    image_set_word(&image, place, (entry->version[0].word >> 32) << 32 | (((uint32_t)word) - 1));
    assert_int_not_equal(word & 0xffff, 0);
    entry->version[0].word = (entry->version[0].word & UINT32_MAX) | (last * BLOCK / SLOT) << 32;
    assert_finds(*state, &image, "blocks");
    image_free(&image);
}

/* A slot block of a shard that does not exist, with no run in use. */
static void test_findings__slot_block_of_no_shard(void **state)
{
    struct image image = closed_store(*state);
    uint64_t block = add_block(&image);
    image_set_word(&image, LIVE(blocks), block + 1);
    image_set_word(&image, run_at(block), (uint64_t)RV_KIND_SLOTS << 24 | 9);
    assert_finds(*state, &image, "block-header");
    image_free(&image);
}

/* In the list of those with room a full slot block stands in the place of one that has room: the
 * number of blocks in the lists is right all the same. */
static void test_findings__full_slot_block_in_the_list(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .shards = 1, .checkpoint_interval_ms = -1};
    VisitManager *manager = store_open_with(scratch->store, &options);
    for (uint32_t user = 0; user < 400; user++)
        assert_true(VisitManagerAddVisit(manager, user, 1, "https://example.org/", "First"));
    store_close(manager);
    struct image image = image_read(scratch->store);
    uint64_t room = image_word(&image, SHARD(0, partial));
    uint64_t full = block_with(&image, 2, (uint64_t)RV_KIND_SLOTS << 24, 0);
    assert_true(room && full != room);
    assert_int_equal(image_word(&image, header_at(full) + offsetof(struct rv_disk_block, free)) &
                         0xffff,
                     BLOCK / SLOT);
    assert_int_equal(image_word(&image, header_at(room) + offsetof(struct rv_disk_block, list)), 0);
    image_set_word(&image, SHARD(0, partial), full);
    image_set_word(&image, header_at(full) + offsetof(struct rv_disk_block, list), 0);
    assert_finds(scratch, &image, "slot-list");
    image_free(&image);
}

/* A broken chain says nothing about the ring: it is still the user's, and not lost space. */
static void test_findings__broken_chain_is_all_that_is_found(void **state)
{
    struct image image = closed_store(*state);
    slot_in(&image, 2, 0)->user_id = 77;
    assert_finds(*state, &image, "chain");
    image_free(&image);
}

/* The directory names no segment for the upper half of the hashes, though the lower half has one.
 */
static void test_findings__gap_in_the_directory(void **state)
{
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .shards = 1, .checkpoint_interval_ms = -1};
    VisitManager *manager = store_open_with(scratch->store, &options);
    VisitStatus status;
    VisitUsers *users;
    uint32_t user;
    for (user = 0; user < 1500; user++)
        assert_true(VisitManagerAddVisit(manager, user, 1, "https://example.org/", "First"));
    store_close(manager);
    struct image image = image_read(scratch->store);
    for (uint64_t i = RV_FANOUT / 2; i < RV_FANOUT; i++)
        image_set_word(&image, SHARD(0, root) + 8 * i, 0);
    file_write(scratch->store, image.bytes, image.size);
    image_free(&image);
    manager = store_open_read_only(scratch->store);
    assert_ok(VisitUsersOpen(manager, &users));
    while ((status = VisitUsersNext(users, &user, NULL)) == VISIT_OK)
        continue;
    assert_int_equal(status, VISIT_ERROR_CORRUPT);
    VisitUsersFree(users);
    assert_status(VisitManagerBackup(manager, scratch_path(scratch, "copy"), NULL, NULL),
                  VISIT_ERROR_CORRUPT);
    store_close(manager);
}

/* A node of the directory that is not aligned, over slots that nobody used yet. */
static void test_findings__node_out_of_line(void **state)
{
    const struct scratch *scratch = *state;
    struct image image = closed_store(scratch);
    uint64_t block = block_with(&image, 2, (uint64_t)RV_KIND_SLOTS << 24, 0);
    uint64_t slot = block * BLOCK / SLOT + BLOCK / SLOT / 2 + 1;
    memcpy(image.bytes + slot * SLOT, image.bytes + SHARD(0, root), RV_FANOUT * 8);
    for (uint64_t i = 0; i < RV_FANOUT; i++)
        image_set_word(&image, SHARD(0, root) + 8 * i, RV_POINTER_NODE | slot);
    assert_finds(scratch, &image, "directory");
    image_free(&image);
    VisitManager *manager = store_open_read_only(scratch->store);
    size_t count;
    assert_null(VisitManagerGetRecentVisits(manager, 1, &count));
    assert_last(VISIT_ERROR_CORRUPT, scratch->store);
    store_close(manager);
}

/* What lies behind the last whole block is ignored. */
static void test_findings__ring_behind_the_last_whole_block(void **state)
{
    const struct scratch *scratch = *state;
    struct image image = closed_store(scratch);
    uint64_t last = add_block(&image);
    uint64_t slot = last * BLOCK / SLOT;
    struct rv_disk_entry *entry = entry_in(&image, 2);
    memcpy(image.bytes + last * BLOCK, slot_in(&image, 2, 0), SLOT);
    entry->version[0].word = (entry->version[0].word & UINT32_MAX) | slot << 32;
    file_write(scratch->store, image.bytes, image.size - 4096);
    image_free(&image);
    VisitManager *manager = store_open_read_only(scratch->store);
    size_t count;
    assert_null(VisitManagerGetRecentVisits(manager, 2, &count));
    assert_last(VISIT_ERROR_CORRUPT, scratch->store);
    assert_visits(manager, 1, 3, 2, 1);
    store_close(manager);
}

/* Many visits that name one overflow run: the result would be larger than the file, and a checksum
 * of each would take long. */
static void test_findings__one_overflow_run_for_many_visits(void **state)
{
    enum { VISITS = 100, LENGTH = 1000000 };
    const struct scratch *scratch = *state;
    VisitOptions options = {.size = sizeof options, .shards = 1, .max_visits = VISITS};
    char *text = string_make(5, LENGTH);
    VisitManager *manager = store_open_with(scratch->store, &options);
    for (uint32_t id = 1; id < VISITS; id++)
        assert_true(VisitManagerAddVisit(manager, 1, id, "", "short"));
    assert_true(VisitManagerAddVisit(manager, 1, VISITS, "", text));
    free(text);
    store_close(manager);
    struct image image = image_read(scratch->store);
    struct rv_disk_slot *newest = slot_in(&image, 1, 0);
    assert_true(newest->overflow);
    for (uint32_t i = 1; i < VISITS; i++) {
        struct rv_disk_slot *slot = slot_in(&image, 1, i);
        slot->visit_id = newest->visit_id;
        slot->overflow = newest->overflow;
        slot->text_length = LENGTH;
    }
    entry_in(&image, 1)->version[0].word |= RV_WORD_OVERFLOW;
    file_write(scratch->store, image.bytes, image.size);
    image_free(&image);
    struct expected expected = {.rule = "chain"};
    manager = store_open_read_only(scratch->store);
    size_t count;
    assert_null(VisitManagerGetRecentVisits(manager, 1, &count));
    assert_last(VISIT_ERROR_CORRUPT, "more room than the file");
    assert_status(VisitManagerVerify(manager, on_finding, &expected), VISIT_ERROR_CORRUPT);
    assert_int_equal(expected.count, 1);
    store_close(manager);
}

static void test_findings__format_version_that_never_was(void **state)
{
    const struct scratch *scratch = *state;
    struct image image = closed_store(scratch);
    const struct rv_disk_superblock *super = (const void *)image.bytes;
    image_set_word(&image, 8, image_word(&image, 8) & ~(uint64_t)UINT32_MAX);
    image_set_word(&image, offsetof(struct rv_disk_superblock, checksum),
                   XXH3_64bits(super, offsetof(struct rv_disk_superblock, checksum)));
    file_write(scratch->store, image.bytes, image.size);
    image_free(&image);
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    assert_open_fails(scratch->store, &options, VISIT_ERROR_CORRUPT, NULL);
    assert_open_fails(scratch->store, NULL, VISIT_ERROR_CORRUPT, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_findings__cell_of_an_epoch_to_come_in_an_unclean_store),
        scratch_test(test_findings__change_counter_behind_in_an_unclean_store),
        scratch_test(test_findings__shard_time_behind_in_an_unclean_store),
        scratch_test(test_findings__two_versions_of_one_epoch_in_an_unclean_store),
        scratch_test(test_findings__overflow_run_without_need),
        scratch_test(test_findings__two_segments_for_all_hashes),
        scratch_test(test_findings__ring_over_a_segment),
        scratch_test(test_findings__fresh_run_in_a_free_list),
        scratch_test(test_findings__header_of_a_run_in_a_hand),
        scratch_test(test_findings__header_of_a_block_map),
        scratch_test(test_findings__ring_beyond_the_blocks),
        scratch_test(test_findings__slot_block_of_no_shard),
        scratch_test(test_findings__full_slot_block_in_the_list),
        scratch_test(test_findings__broken_chain_is_all_that_is_found),
        scratch_test(test_findings__gap_in_the_directory),
        scratch_test(test_findings__node_out_of_line),
        scratch_test(test_findings__ring_behind_the_last_whole_block),
        scratch_test(test_findings__one_overflow_run_for_many_visits),
        scratch_test(test_findings__format_version_that_never_was),
    };
    return cmocka_run_group_tests_name("findings", tests, NULL, NULL);
}
