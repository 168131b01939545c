/* SPDX-License-Identifier: MIT */
/*
 * Stores that an earlier build of the library wrote can still be opened, read and changed.
 *
 * golden/NAME.rv are such stores, their words that are not zero in hexadecimal. golden/NAME.txt is
 * what they hold, golden/NAME.durable.txt what they held at their last checkpoint; both were noted
 * from the store that was alive then. With RV_UPDATE set all are made anew: for a new version of
 * the format only, and under new names.
 */
#include "fixed.h"
#include "support.h"

#include "index.h"
#include "manager.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USERS 100u

/* ---- stores as text ---- */

static const char *golden_path(const char *name, const char *suffix)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s%s", getenv("RV_GOLDEN"), name, suffix);
    return path;
}

/* Lines "offset word ...", and "offset *count word" for a row of equal words. */
static void encode(const struct image *image, const char *path)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fprintf(out, "%zx\n", image->size);
    const uint64_t *word = (const uint64_t *)(const void *)image->bytes;
    size_t words = image->size / 8;
    for (size_t i = 0; i < words;) {
        size_t same = 1;
        size_t n = 0;
        while (i + same < words && word[i + same] == word[i]) {
            same++;
        }
        if (word[i] == 0) {
            i += same;
        } else if (same > 2) {
            fprintf(out, "%zx *%zx %" PRIx64 "\n", i * 8, same, word[i]);
            i += same;
        } else {
            fprintf(out, "%zx", i * 8);
            for (; i < words && word[i] && n < 8; i++, n++) {
                fprintf(out, " %" PRIx64, word[i]);
            }
            fputc('\n', out);
        }
    }
    assert_int_equal(fclose(out), 0);
}

static void decode_line(char *line, uint64_t *words, size_t count)
{
    char *p;
    size_t i = strtoull(line, &p, 16) / 8;
    size_t repeat = 1;
    if (p[0] == ' ' && p[1] == '*') {
        repeat = strtoull(p + 2, &p, 16);
    }
    while (*p == ' ') {
        uint64_t value = strtoull(p, &p, 16);
        for (size_t k = 0; k < repeat; k++, i++) {
            assert_true(i < count);
            words[i] = value;
        }
    }
}

static void decode(const char *name, const char *to)
{
    FILE *in = fopen(golden_path(name, ".rv"), "r");
    char line[512];
    assert_non_null(in);
    assert_non_null(fgets(line, sizeof line, in));
    size_t size = strtoull(line, NULL, 16);
    uint64_t *words = calloc(size / 8, 8);
    assert_non_null(words);
    while (fgets(line, sizeof line, in)) {
        decode_line(line, words, size / 8);
    }
    fclose(in);
    file_write(to, words, size);
    free(words);
}

/* ---- contents as text ---- */

static uint32_t short_hash(const char *s)
{
    uint32_t hash = 2166136261u;
    for (; *s; s++) {
        hash = (hash ^ (uint8_t)*s) * 16777619u;
    }
    return hash;
}

/* All users with their visits, newest first: user, visit, time, lengths and hashes of the strings.
 */
static char *contents(VisitManager *manager)
{
    char *text = NULL;
    size_t size = 0;
    size_t users = 0;
    FILE *out = open_memstream(&text, &size);
    VisitStats stats = {.size = sizeof stats};
    assert_non_null(out);
    for (uint32_t user = 0; user < USERS; user++) {
        size_t count;
        Visit **visits = VisitManagerGetRecentVisits(manager, user, &count);
        assert_int_equal(VisitLastStatus(), VISIT_OK);
        users += count > 0;
        for (size_t i = 0; i < count; i++) {
            fprintf(out, "user %u visit %u time %" PRId64 " url %zu %08x text %zu %08x\n", user,
                    visits[i]->visit_id, timespec_ns(visits[i]->time), strlen(visits[i]->url),
                    short_hash(visits[i]->url), strlen(visits[i]->text),
                    short_hash(visits[i]->text));
        }
    }
    assert_ok(VisitManagerStats(manager, &stats));
    assert_int_equal(stats.users, users);
    fprintf(out, "%zu users, N %u\n", users, stats.max_visits);
    fclose(out);
    return text;
}

static void assert_contents(VisitManager *manager, const char *name, const char *suffix)
{
    char *text = contents(manager);
    struct image expected = image_read(golden_path(name, suffix));
    char *wanted = calloc(expected.size + 1, 1);
    assert_non_null(wanted);
    memcpy(wanted, expected.bytes, expected.size);
    assert_string_equal(text, wanted);
    free(wanted);
    image_free(&expected);
    free(text);
}

/* ---- making them ---- */

static const VisitOptions options = {
    .size = sizeof(VisitOptions), .max_visits = 4, .checkpoint_interval_ms = -1};

/* A store with small blocks, so that a small file has splits and large runs. */
static VisitManager *make_small(const char *path)
{
    struct rv_options small = {
        .max_visits = 4, .slot_log2 = 7, .block_log2 = 12, .shards = 1, .file_mode = 0600};
    struct rv_store *st;
    assert_int_equal(rv_store_open(path, &small, &st), VISIT_OK);
    assert_int_equal(rv_store_close(st), VISIT_OK);
    return store_open_with(path, &options);
}

static void add(VisitManager *manager, uint32_t user, uint32_t visit, size_t length,
                int64_t time_ns)
{
    char *text = string_make(user * 1000 + visit, length);
    VisitInput input = time_ns ? visit_at(user, visit, "https://example.org/", text, time_ns)
                               : visit_now(user, visit, "https://example.org/", text);
    assert_ok(VisitManagerAdd(manager, &input));
    free(text);
}

/* Visits of all kinds: in the slot, in overflow runs, in large runs; rings that are full; removed
 * and cleared ones. */
static void fill(VisitManager *manager)
{
    add(manager, 0, 0, 0, 0);
    for (uint32_t visit = 1; visit <= 7; visit++) {
        add(manager, 1, visit, 10 + visit, 0);
    }
    add(manager, 2, 1, 200, 0);
    add(manager, 2, 2, 3000, 0);
    add(manager, 2, 3, 30, 0);
    add(manager, 3, 30, 5, FIXED_TIME_NS - 1000);
    add(manager, 3, 10, 5, FIXED_TIME_NS - 3000);
    add(manager, 3, 20, 300, FIXED_TIME_NS - 2000);
    add(manager, 4, 1, 5, -5);
    add(manager, 4, 2, 5, 0);
    add(manager, 5, 1, 90, 0);
    add(manager, 6, 1, 200, 0);
    add(manager, 6, 2, 20, 0);
    VisitManagerClear(manager, 5);
    assert_true(VisitManagerDelete(manager, 6, (uint32_t[]){1}, 1));
}

static void fill_until(VisitManager *manager, uint32_t from, uint32_t to)
{
    for (uint32_t user = from; user < to; user++) {
        add(manager, user, user, 8, 0);
    }
}

static void note(const char *name, const char *suffix, VisitManager *manager)
{
    char *text = contents(manager);
    file_write(golden_path(name, suffix), text, strlen(text));
    free(text);
}

static void keep(const char *name, const struct image *image)
{
    encode(image, golden_path(name, ".rv"));
}

/* The instant at which a store is caught. */
static struct {
    const char *path;
    struct rv_store *st;
    bool split; /* after a split was published; otherwise before a move is */
    bool done;
    struct image image;
} moment;

static bool is_moment(void *address, uint64_t value)
{
    const struct rv_disk_undo *undo = &moment.st->shard[0].disk->undo;
    if (!moment.split) {
        return address == &undo->publish_offset && value;
    }
    uint64_t offset = (uint64_t)((uint8_t *)address - moment.st->file.rw);
    uint64_t block = offset >> moment.st->geo.block_log2;
    return undo->count && undo->publish_offset == offset && rv_block_valid(moment.st, block) &&
           rv_run_kind(rv_header(moment.st, block)->run) == RV_KIND_SEGMENT &&
           offset - rv_block_offset(moment.st, block) == offsetof(struct rv_disk_segment, moved);
}

static void watch(void *address, uint64_t value)
{
    if (!moment.done && is_moment(address, value)) {
        moment.done = true;
        moment.image = image_read(moment.path);
    }
}

static void catch (VisitManager *manager, const char *path, bool split)
{
    moment.path = path;
    moment.st = manager->st;
    moment.split = split;
    moment.done = false;
    fixed_on_store = watch;
}

static void caught(const char *name)
{
    fixed_on_store = NULL;
    assert_true(moment.done);
    keep(name, &moment.image);
    image_free(&moment.image);
}

/* A checkpoint, changes after it, and an operation that is cut short by a kill. */
static void make_killed(const char *path, bool split)
{
    const char *name = split ? "killed-in-split" : "killed-in-move";
    VisitManager *manager = make_small(path);
    uint32_t user = 7;
    fill(manager);
    assert_ok(VisitManagerSync(manager));
    note(name, ".durable.txt", manager);
    add(manager, 0, 1, 200, 0);
    assert_true(VisitManagerDelete(manager, 2, (uint32_t[]){2}, 1));
    VisitManagerClear(manager, 1);
    if (split) {
        fill_until(manager, user, 46);
        user = 46;
    }
    note(name, ".txt", manager);
    catch (manager, path, split);
    add(manager, split ? user : 3, 99, 200, 0);
    caught(name);
    store_close(manager);
}

static void make_all(const struct scratch *scratch)
{
    VisitManager *manager = store_open_with(scratch->store, &options);
    note("empty", ".txt", manager);
    store_close(manager);
    struct image image = image_read(scratch->store);
    keep("empty", &image);
    image_free(&image);

    manager = make_small(scratch_path(scratch, "closed"));
    fill(manager);
    assert_ok(VisitManagerSync(manager));
    fill_until(manager, 7, 60);
    note("closed", ".txt", manager);
    store_close(manager);
    image = image_read(scratch_path(scratch, "closed"));
    keep("closed", &image);
    image_free(&image);

    char path[300];
    snprintf(path, sizeof path, "%s", scratch_path(scratch, "move"));
    make_killed(path, false);
    snprintf(path, sizeof path, "%s", scratch_path(scratch, "split"));
    make_killed(path, true);
}

/* ---- the tests ---- */

static uint32_t state_of(VisitManager *manager)
{
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    return stats.state;
}

static void check_read_only(const char *path, const char *name, const char *suffix, uint32_t state)
{
    decode(name, path);
    struct image before = image_read(path);
    VisitManager *manager = store_open_read_only(path);
    assert_int_equal(state_of(manager), state);
    assert_contents(manager, name, suffix);
    assert_ok(store_verify(manager));
    store_close(manager);
    assert_file_unchanged(path, &before);
    image_free(&before);
}

/* Opens for writing, compares, changes; closes, and looks again. */
static void check_writing(const char *path, const char *name, const char *suffix, uint32_t state)
{
    VisitOptions any = {.size = sizeof any, .checkpoint_interval_ms = -1};
    decode(name, path);
    VisitManager *manager = store_open_with(path, &any);
    assert_int_equal(state_of(manager), state);
    assert_contents(manager, name, suffix);
    assert_ok(store_verify(manager));
    fill(manager);
    /* Checkpoints in between, so that what was freed is used again. */
    for (uint32_t user = 200; user < 300; user++) {
        add(manager, user, 1, 100, 0);
        if (user % 10 == 0) {
            assert_ok(VisitManagerSync(manager));
        }
    }
    assert_ok(store_verify(manager));
    store_close(manager);
    manager = store_open_read_only(path);
    assert_int_equal(state_of(manager), VISIT_FOUND_CLEAN);
    assert_visits(manager, 1, 7, 6, 5, 4);
    assert_visits(manager, 299, 1);
    assert_ok(store_verify(manager));
    store_close(manager);
}

static void check_closed(struct scratch *scratch, const char *name)
{
    check_read_only(scratch->store, name, ".txt", VISIT_FOUND_CLEAN);
    check_writing(scratch->store, name, ".txt", VISIT_FOUND_CLEAN);
}

static void check_killed(struct scratch *scratch, const char *name)
{
    check_read_only(scratch->store, name, ".durable.txt", VISIT_FOUND_UNCLEAN);
    check_writing(scratch->store, name, ".txt", VISIT_FOUND_KILLED);
    /* After another boot it is a crash: what the page cache had is not to be trusted. */
    fixed_boot++;
    check_writing(scratch->store, name, ".durable.txt", VISIT_FOUND_CRASHED);
    fixed_boot--;
}

static void test_golden__empty_store(void **state)
{
    check_closed(*state, "empty");
}

static void test_golden__closed_store(void **state)
{
    check_closed(*state, "closed");
}

static void test_golden__killed_before_a_move_was_published(void **state)
{
    check_killed(*state, "killed-in-move");
}

static void test_golden__killed_after_a_split_was_published(void **state)
{
    check_killed(*state, "killed-in-split");
}

static int update(void **state)
{
    struct scratch scratch;
    (void)state;
    if (getenv("RV_UPDATE")) {
        assert_true(scratch_make(&scratch));
        make_all(&scratch);
        scratch_remove(&scratch);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_golden__empty_store),
        scratch_test(test_golden__closed_store),
        scratch_test(test_golden__killed_before_a_move_was_published),
        scratch_test(test_golden__killed_after_a_split_was_published),
    };
    return cmocka_run_group_tests(tests, update, NULL);
}
