/* SPDX-License-Identifier: MIT */
/* Verification of stores that are damaged in many places: what it tells, and that it can be ended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/format.h"
#include "support.h"

#define USERS 300u
#define MOST 4096

/* A store that has used all that there is: rings that grew, overflow runs, limbo, free blocks. */
static void make_busy_store(const char *path)
{
    VisitOptions options = {
        .size = sizeof options, .max_visits = 10, .shards = 2, .checkpoint_interval_ms = -1};
    VisitManager *manager = store_open_with(path, &options);
    char *text = string_make(7, 70000);
    for (uint32_t id = 0; id < 12; id++) {
        for (uint32_t user = 0; user < USERS; user++) {
            VisitInput input = visit_now(user, id, "https://example.org/", text);
            input.text_length = user % 50 == 9 ? 70000 : id % 4 == 1 ? 900 : 20;
            assert_ok(VisitManagerAdd(manager, &input));
        }
        if (id % 5 == 0)
            assert_ok(VisitManagerSync(manager));
    }
    for (uint32_t user = 0; user < USERS; user += 3)
        VisitManagerClear(manager, user);
    free(text);
    store_close(manager);
}

static uint64_t random_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *state >> 33;
}

/* Flips bits all over: each header and list, and some of the rest. The superblock and the newer
 * record stay, or nothing could be opened. */
static void damage(struct image *image, uint64_t seed, unsigned once_in)
{
    for (uint64_t offset = 3 * RV_PAGE; offset + 8 <= image->size; offset += 8) {
        uint64_t word;
        memcpy(&word, image->bytes + offset, 8);
        if (word && random_next(&seed) % once_in == 0)
            image->bytes[offset + random_next(&seed) % 8] ^= (uint8_t)(1 << random_next(&seed) % 8);
    }
}

struct log {
    size_t count;
    size_t end; /* verification is to end with this one; 0: never */
    char rule[MOST][16];
    uint64_t offset[MOST];
};

static int note(void *data, const VisitFinding *finding)
{
    struct log *log = data;
    if (log->count < MOST) {
        snprintf(log->rule[log->count], sizeof log->rule[0], "%s", finding->rule);
        log->offset[log->count] = finding->offset;
    }
    return ++log->count == log->end;
}

static bool told_the_same(const struct log *a, const struct log *b, size_t i)
{
    return strcmp(a->rule[i], b->rule[i]) == 0 && a->offset[i] == b->offset[i];
}

/* Ends verification with the finding of that number: those before it are told, none after it. */
static void end_with(VisitManager *manager, const struct log *all, size_t number)
{
    static struct log log;
    log.count = 0;
    log.end = number;
    assert_status(VisitManagerVerify(manager, note, &log), VISIT_ERROR_CANCELLED);
    assert_int_equal(log.count, number);
    for (size_t i = 0; i < number; i++)
        assert_true(told_the_same(&log, all, i));
}

/* Ends at the first and the last finding of each kind in a row. */
static size_t end_everywhere(const char *path)
{
    static struct log all;
    VisitManager *manager = NULL;
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    if (VisitManagerOpen(path, &options, &manager))
        return 0;
    memset(&all, 0, sizeof all);
    VisitStatus status = VisitManagerVerify(manager, note, &all);
    assert_int_equal(status, all.count ? VISIT_ERROR_CORRUPT : VISIT_OK);
    size_t count = all.count < MOST ? all.count : MOST - 1;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || i + 1 == count || strcmp(all.rule[i], all.rule[i - 1]) != 0 ||
            strcmp(all.rule[i], all.rule[i + 1]) != 0)
            end_with(manager, &all, i + 1);
    }
    store_close(manager);
    return count;
}

static void test_verify__ends_with_any_finding(void **state)
{
    const struct scratch *scratch = *state;
    make_busy_store(scratch->store);
    size_t found = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct image image = image_read(scratch->store);
        static const unsigned once_in[] = {20, 300, 2000, 20000};
        damage(&image, seed, once_in[seed % 4]);
        const char *path = scratch_path(scratch, "damaged.rv");
        file_write(path, image.bytes, image.size);
        found += end_everywhere(path);
        image_free(&image);
    }
    assert_true(found > 1000);
}

/* ------------------------------------------------------------------------------------------------
 * One fault each
 * --------------------------------------------------------------------------------------------- */

#define BLOCK 65536u /* block 0 is the header, block 1 the block map */
#define SLOT 256u

/* A field of a block's header. */
#define HEADER(block, field)                                                                       \
    (BLOCK + ((block)-1) * sizeof(struct rv_disk_block) + offsetof(struct rv_disk_block, field))

#define SHARD(shard, field)                                                                        \
    (4 * RV_PAGE + (shard) * sizeof(struct rv_disk_shard) + offsetof(struct rv_disk_shard, field))

/* The first block, from one on, whose header calls it that. */
static uint64_t block_that_is(const struct image *image, uint64_t run, uint64_t from)
{
    while (image_word(image, HEADER(from, run)) != run) {
        from++;
        assert_true(from < image->size / BLOCK);
    }
    return from;
}

static uint64_t segment_of(const struct image *image, uint64_t shard)
{
    return block_that_is(image, (uint64_t)RV_KIND_SEGMENT << 24 | shard, 2);
}

/* The word of the newest version of an entry; 0: it is of nobody, or has no visits. */
static uint64_t newest_version(const struct image *image, uint64_t entry)
{
    uint64_t place = 0;
    uint64_t newest = 0;
    for (unsigned i = 0; i < 3; i++) {
        uint64_t version = entry + offsetof(struct rv_disk_entry, version) + 16 * i;
        if (image_word(image, version) > newest) {
            newest = image_word(image, version);
            place = version + 8;
        }
    }
    return place && image_word(image, place) ? place : 0;
}

/* The first entry of a segment whose newest version has one of these flags. */
static uint64_t version_with(const struct image *image, uint64_t segment, uint64_t flags)
{
    for (uint64_t entry = segment * BLOCK + 64; entry < (segment + 1) * BLOCK; entry += 64) {
        uint64_t place = newest_version(image, entry);
        if (place && image_word(image, place) & flags)
            return place;
    }
    fail_msg("%s", "no such entry");
    return 0;
}

struct wanted {
    const char *rule;
    const char *message;
    bool found;
};

static int look_for(void *data, const VisitFinding *finding)
{
    struct wanted *wanted = data;
    wanted->found = wanted->found || (strcmp(finding->rule, wanted->rule) == 0 &&
                                      strstr(finding->message, wanted->message));
    return 0;
}

static void assert_tells(VisitManager *manager, const char *rule, const char *message)
{
    struct wanted wanted = {rule, message, false};
    assert_status(VisitManagerVerify(manager, look_for, &wanted), VISIT_ERROR_CORRUPT);
    assert_true(wanted.found);
}

static void assert_told(const struct scratch *scratch, struct image *image, const char *rule,
                        const char *message)
{
    const char *path = scratch_path(scratch, "damaged.rv");
    file_write(path, image->bytes, image->size);
    image_free(image);
    VisitManager *manager = store_open_read_only(path);
    assert_tells(manager, rule, message);
    store_close(manager);
}

static void test_verify__version_that_hides_an_overflow_run(void **state)
{
    const struct scratch *scratch = *state;
    make_busy_store(scratch->store);
    struct image image = image_read(scratch->store);
    uint64_t version = version_with(&image, segment_of(&image, 0), RV_WORD_OVERFLOW);
    image_set_word(&image, version, image_word(&image, version) & ~RV_WORD_OVERFLOW);
    assert_told(scratch, &image, "version", "hides an overflow run");
}

static void test_verify__ring_in_a_segment(void **state)
{
    const struct scratch *scratch = *state;
    make_busy_store(scratch->store);
    struct image image = image_read(scratch->store);
    uint64_t version = version_with(&image, segment_of(&image, 0), RV_WORD_COUNT);
    uint64_t head = segment_of(&image, 1) * BLOCK / SLOT;
    image_set_word(&image, version, head << 32 | (image_word(&image, version) & UINT32_MAX));
    assert_told(scratch, &image, "run", "does not fit the use of its block");
}

static void test_verify__limbo_of_another_shard(void **state)
{
    const struct scratch *scratch = *state;
    make_busy_store(scratch->store);
    struct image image = image_read(scratch->store);
    image_set_word(&image, SHARD(0, limbo) + offsetof(struct rv_disk_limbo, head),
                   segment_of(&image, 1) * BLOCK / SLOT);
    assert_told(scratch, &image, "limbo", "holds no runs of this shard");
}

static void test_verify__hand_whose_blocks_are_called_something_else(void **state)
{
    const struct scratch *scratch = *state;
    make_busy_store(scratch->store);
    struct image image = image_read(scratch->store);
    uint64_t free = block_that_is(&image, (uint64_t)RV_KIND_FREE << 24, 2);
    image_set_word(&image, SHARD(0, hand), free << 8 | 0x80);
    assert_told(scratch, &image, "block-header", "calls it something else");
}

/* Each node of the directory begins with the next one. */
static void test_verify__directory_with_too_many_levels(void **state)
{
    const struct scratch *scratch = *state;
    const uint64_t slots = RV_FANOUT * 8 / SLOT;
    make_busy_store(scratch->store);
    struct image image = image_read(scratch->store);
    /* A block of free runs, as long as a node, that becomes shard 0's. */
    uint64_t block = block_that_is(&image, (uint64_t)RV_KIND_FREE << 24, 2);
    image_set_word(&image, HEADER(block, run), (uint64_t)RV_KIND_SLOTS << 24 | 2 << 16);
    uint64_t node = block * BLOCK / SLOT;
    image_set_word(&image, SHARD(0, root), RV_POINTER_NODE | node);
    for (unsigned level = 1; level < RV_DEPTH_MAX / RV_FANOUT_LOG2; level++) {
        image_set_word(&image, node * SLOT, RV_POINTER_NODE | (node + slots));
        node += slots;
    }
    assert_told(scratch, &image, "directory", "too many levels");
}

static void test_verify__large_run_of_two_users(void **state)
{
    const struct scratch *scratch = *state;
    const uint64_t class = 9; /* two blocks */
    make_busy_store(scratch->store);
    struct image image = image_read(scratch->store);
    for (uint64_t shard = 0; shard < 2; shard++) {
        uint64_t version = version_with(&image, segment_of(&image, shard), RV_WORD_COUNT);
        image_set_word(&image, version,
                       UINT64_C(4) * BLOCK / SLOT << 32 | class << RV_WORD_SIZE_SHIFT | 1);
    }
    assert_told(scratch, &image, "run", "two runs share a block");
}

/* The second block map is block 1025. */
static void test_verify__large_run_over_a_block_map(void **state)
{
    const struct scratch *scratch = *state;
    const uint64_t class = 9;
    make_busy_store(scratch->store);
    struct image image = image_read(scratch->store);
    uint64_t version = version_with(&image, segment_of(&image, 0), RV_WORD_COUNT);
    uint64_t word = UINT64_C(1024) * BLOCK / SLOT << 32 | class << RV_WORD_SIZE_SHIFT | 1;
    image_free(&image);
    file_write_at(scratch->store, version, &word, sizeof word);
    assert_int_equal(truncate(scratch->store, UINT64_C(1030) * BLOCK), 0);
    VisitManager *manager = store_open_read_only(scratch->store);
    assert_tells(manager, "run", "lies over a block map");
    store_close(manager);
}

/* What a power cut could bring back must fit into twice the file, or a small file would keep
 * verification busy for long. A writer looks at it. */
static void test_verify__older_versions_larger_than_the_file(void **state)
{
    const struct scratch *scratch = *state;
    const uint64_t class = 10;
    make_busy_store(scratch->store);
    VisitManager *manager = store_open(scratch->store, 10);
    for (uint32_t user = 0; user < USERS; user++)
        assert_true(VisitManagerAddVisit(manager, user, 100, "https://example.org/", "later"));
    struct image image = image_read(scratch->store);
    uint64_t word =
        (image.size / SLOT / 2 >> class << class) << 32 | class << RV_WORD_SIZE_SHIFT | 1;
    for (uint64_t shard = 0; shard < 2; shard++) {
        uint64_t entry = segment_of(&image, shard) * BLOCK;
        for (unsigned i = 1; i < BLOCK / 64; i++) {
            uint64_t newest = newest_version(&image, entry += 64);
            for (uint64_t place = entry + 24; newest && place < entry + 64; place += 16) {
                if (place != newest)
                    file_write_at(scratch->store, place, &word, sizeof word);
            }
        }
    }
    image_free(&image);
    assert_tells(manager, "version", "need more room than there is");
    VisitManagerFree(manager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_verify__ends_with_any_finding),
        scratch_test(test_verify__version_that_hides_an_overflow_run),
        scratch_test(test_verify__ring_in_a_segment),
        scratch_test(test_verify__limbo_of_another_shard),
        scratch_test(test_verify__hand_whose_blocks_are_called_something_else),
        scratch_test(test_verify__directory_with_too_many_levels),
        scratch_test(test_verify__large_run_of_two_users),
        scratch_test(test_verify__large_run_over_a_block_map),
        scratch_test(test_verify__older_versions_larger_than_the_file),
    };
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
