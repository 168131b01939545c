/* SPDX-License-Identifier: MIT */
/* Managers that only read: what they see, and that they never write a byte. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

static uint32_t state_of(VisitManager *manager)
{
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(manager, &stats));
    return stats.state;
}

/* Every call that reads, once. */
static void read_all(VisitManager *manager, uint32_t users)
{
    VisitUsers *iteration = NULL;
    uint32_t user = 0;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < users; i++)
        assert_visits(manager, i, 1);
    assert_no_visits(manager, users);
    assert_ok(VisitUsersOpen(manager, &iteration));
    while (VisitUsersNext(iteration, &user, NULL) == VISIT_OK)
        seen++;
    VisitUsersFree(iteration);
    assert_int_equal(seen, users);
    assert_ok(store_verify(manager));
}

static void test_readonly__never_creates(void **state)
{
    const struct scratch *scratch = *state;
    for (uint32_t create = VISIT_CREATE_IF_MISSING; create <= VISIT_MUST_EXIST; create++) {
        VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY, .create = create};
        assert_open_fails(scratch->store, &options, VISIT_ERROR_NOT_FOUND, NULL);
        assert_int_equal(folder_count(scratch->folder), 0);
    }
}

static void test_readonly__writes_nothing_to_a_clean_store(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 200);
    struct image before = image_read(scratch->store);
    VisitManager *manager = store_open_read_only(scratch->store);
    assert_int_equal(state_of(manager), VISIT_FOUND_CLEAN);
    read_all(manager, 200);
    assert_false(VisitManagerAddVisit(manager, 1, 2, "u", "t"));
    VisitManagerClear(manager, 1);
    store_close(manager);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
    assert_int_equal(folder_count(scratch->folder), 1);
}

static int read_as_nobody(void *data)
{
    const struct scratch *scratch = data;
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    VisitManager *manager = NULL;
    size_t count = 0;
    if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
        return 98;
    child_check(VisitManagerOpen(scratch->store, NULL, &manager) == VISIT_ERROR_ACCESS);
    child_check(VisitManagerOpen(scratch->store, &options, &manager) == VISIT_OK);
    VisitManagerGetRecentVisits(manager, 5, &count);
    child_check(count == 1);
    child_check(VisitManagerVerify(manager, NULL, NULL) == VISIT_OK);
    VisitManagerFree(manager);
    return 0;
}

static void test_readonly__needs_no_permission_to_write(void **state)
{
    struct scratch *scratch = *state;
    store_make(scratch->store, 20);
    struct image before = image_read(scratch->store);
    assert_int_equal(chmod(scratch->store, 0444), 0);
    assert_int_equal(chmod(scratch->folder, 0555), 0);
    int result = in_child(read_as_nobody, scratch);
    assert_int_equal(chmod(scratch->folder, 0700), 0);
    assert_int_equal(result, 0);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
}

static void test_readonly__many_at_once(void **state)
{
    const struct scratch *scratch = *state;
    VisitManager *managers[10];
    store_make(scratch->store, 20);
    for (int i = 0; i < 10; i++)
        managers[i] = store_open_read_only(scratch->store);
    for (int i = 0; i < 10; i++) {
        read_all(managers[i], 20);
        store_close(managers[i]);
    }
}

static void test_readonly__sees_what_a_writer_here_does(void **state)
{
    const struct scratch *scratch = *state;
    uint32_t ids[] = {1};
    VisitManager *writer = store_open(scratch->store, 3);
    VisitManager *reader = store_open_read_only(scratch->store);
    assert_int_equal(state_of(reader), VISIT_FOUND_IN_USE);
    assert_no_visits(reader, 7);
    for (uint32_t id = 1; id <= 5; id++)
        assert_true(VisitManagerAddVisit(writer, 7, id, "u", "t"));
    assert_visits(reader, 7, 5, 4, 3);
    ids[0] = 4;
    assert_true(VisitManagerDelete(writer, 7, ids, 1));
    assert_visits(reader, 7, 5, 3);
    VisitManagerClear(writer, 7);
    assert_no_visits(reader, 7);
    for (uint32_t user = 0; user < 3000; user++) /* the file grows, segments split */
        assert_true(VisitManagerAddVisit(writer, user, 1, "u", "t"));
    read_all(reader, 3000);
    store_close(reader);
    assert_visits(writer, 2999, 1);
    store_close(writer);
}

static void test_readonly__does_not_keep_a_writer_out(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 5);
    VisitManager *reader = store_open_read_only(scratch->store);
    VisitManager *writer = store_open(scratch->store, 10);
    assert_true(VisitManagerAddVisit(writer, 3, 2, "u", "t"));
    assert_visits(reader, 3, 2, 1);
    store_close(writer);
    assert_visits(reader, 3, 2, 1);
    writer = store_open(scratch->store, 1); /* another limit: seen by those who read */
    assert_visits(reader, 3, 2);
    assert_true(VisitManagerAddVisit(writer, 3, 3, "u", "t"));
    assert_visits(reader, 3, 3);
    store_close(writer);
    store_close(reader);
}

/* The result of a read-only manager is a copy: it stays though the writer goes on. */
static void test_readonly__results_are_copies(void **state)
{
    const struct scratch *scratch = *state;
    size_t count = 0;
    VisitManager *writer = store_open(scratch->store, 3);
    assert_true(VisitManagerAddVisit(writer, 1, 1, "the url", "the text"));
    VisitManager *reader = store_open_read_only(scratch->store);
    Visit **visits = VisitManagerGetRecentVisits(reader, 1, &count);
    for (uint32_t id = 2; id < 200; id++) {
        assert_true(VisitManagerAddVisit(writer, 1, id, "overwritten", "overwritten"));
        assert_ok(VisitManagerSync(writer));
    }
    assert_int_equal(count, 1);
    assert_int_equal(visits[0]->visit_id, 1);
    assert_string_equal(visits[0]->url, "the url");
    assert_string_equal(visits[0]->text, "the text");
    store_close(reader);
    store_close(writer);
}

/* ------------------------------------------------------------------------------------------------
 * Beside a writer in another process
 * --------------------------------------------------------------------------------------------- */

/* A writer in a child, which takes orders one byte at a time: 'a' add, 'c' close, 'k' die. */
struct writer {
    pid_t pid;
    int orders;
    int answers;
    bool dies;
};

static void writer_obey(const char *path, int orders, int answers)
{
    VisitManager *manager = VisitManagerCreate(path, 5);
    uint32_t id = 0;
    char order;
    char answer = manager ? '+' : '-';
    while (write(answers, &answer, 1) == 1 && read(orders, &order, 1) == 1) {
        if (order == 'k')
            raise(SIGKILL);
        if (order == 'a')
            answer = VisitManagerAddVisit(manager, 1, ++id, "u", "t") ? '+' : '-';
        if (order == 'c') {
            VisitManagerFree(manager);
            answer = VisitLastStatus() == VISIT_OK ? '+' : '-';
        }
    }
}

static void writer_await(struct writer *writer)
{
    char answer = 0;
    assert_int_equal(read(writer->answers, &answer, 1), 1);
    assert_int_equal(answer, '+');
}

static void writer_order(struct writer *writer, char order)
{
    assert_int_equal(write(writer->orders, &order, 1), 1);
    writer->dies = order == 'k';
    if (!writer->dies)
        writer_await(writer);
}

static struct writer writer_start(const char *path)
{
    int orders[2];
    int answers[2];
    assert_int_equal(pipe(orders), 0);
    assert_int_equal(pipe(answers), 0);
    struct writer writer = {.pid = fork_child(), .orders = orders[1], .answers = answers[0]};
    assert_true(writer.pid >= 0);
    if (writer.pid == 0) {
        close(orders[1]);
        close(answers[0]);
        writer_obey(path, orders[0], answers[1]);
        child_exit(0);
    }
    close(orders[0]);
    close(answers[1]);
    writer_await(&writer);
    return writer;
}

static void writer_end(struct writer *writer)
{
    close(writer->orders);
    close(writer->answers);
    int status;
    assert_int_equal(waitpid(writer->pid, &status, 0), writer->pid);
    assert_true(writer->dies ? WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL
                             : WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_readonly__sees_what_a_writer_elsewhere_does(void **state)
{
    const struct scratch *scratch = *state;
    struct writer writer = writer_start(scratch->store);
    VisitManager *reader = store_open_read_only(scratch->store);
    VisitStats stats = {.size = sizeof stats};
    assert_ok(VisitManagerStats(reader, &stats));
    assert_int_equal(stats.state, VISIT_FOUND_IN_USE);
    assert_int_equal(stats.holder_pid, writer.pid);
    writer_order(&writer, 'a');
    assert_visits(reader, 1, 1);
    for (int i = 0; i < 6; i++)
        writer_order(&writer, 'a');
    assert_visits(reader, 1, 7, 6, 5, 4, 3);
    assert_ok(store_verify(reader));
    writer_order(&writer, 'c');
    assert_visits(reader, 1, 7, 6, 5, 4, 3);
    assert_ok(VisitManagerStats(reader, &stats));
    assert_int_equal(stats.holder_pid, 0);
    store_close(reader);
    writer_end(&writer);
}

/* Without a checkpoint there is nothing to see; with one, that. Nothing is repaired. */
static void test_readonly__writes_nothing_to_a_store_whose_writer_died(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 5);
    struct writer writer = writer_start(scratch->store);
    writer_order(&writer, 'a');
    writer_order(&writer, 'a');
    writer_order(&writer, 'k');
    writer_end(&writer);
    struct image before = image_read(scratch->store);
    VisitManager *reader = store_open_read_only(scratch->store);
    assert_int_equal(state_of(reader), VISIT_FOUND_UNCLEAN);
    for (uint32_t user = 2; user < 5; user++)
        assert_visits(reader, user, 1);
    assert_ok(store_verify(reader));
    store_close(reader);
    assert_file_unchanged(scratch->store, &before);
    image_free(&before);
    VisitManager *manager = store_open(scratch->store, 5);
    assert_int_equal(state_of(manager), VISIT_FOUND_KILLED);
    assert_visits(manager, 1, 2, 1);
    store_close(manager);
}

/* A reader that is there when the writer dies, and when the next one repairs the store. */
static void test_readonly__goes_on_after_the_writer_died(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 5);
    struct writer writer = writer_start(scratch->store);
    VisitManager *reader = store_open_read_only(scratch->store);
    writer_order(&writer, 'a');
    writer_order(&writer, 'a');
    assert_visits(reader, 1, 2, 1);
    writer_order(&writer, 'k');
    writer_end(&writer);
    assert_visits(reader, 4, 1);
    VisitManager *manager = store_open(scratch->store, 5);
    assert_visits(reader, 1, 2, 1);
    assert_true(VisitManagerAddVisit(manager, 1, 3, "u", "t"));
    assert_visits(reader, 1, 3, 2, 1);
    store_close(manager);
    assert_visits(reader, 1, 3, 2, 1);
    store_close(reader);
}

static void test_readonly__backs_up_beside_a_writer(void **state)
{
    const struct scratch *scratch = *state;
    store_make(scratch->store, 100);
    struct writer writer = writer_start(scratch->store);
    VisitManager *reader = store_open_read_only(scratch->store);
    const char *path = scratch_path(scratch, "copy.rv");
    assert_ok(VisitManagerBackup(reader, path, NULL, NULL));
    VisitManager *copy = store_open_read_only(path);
    read_all(copy, 100);
    store_close(copy);
    store_close(reader);
    writer_order(&writer, 'c');
    writer_end(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_readonly__never_creates),
        scratch_test(test_readonly__writes_nothing_to_a_clean_store),
        scratch_test(test_readonly__needs_no_permission_to_write),
        scratch_test(test_readonly__many_at_once),
        scratch_test(test_readonly__sees_what_a_writer_here_does),
        scratch_test(test_readonly__does_not_keep_a_writer_out),
        scratch_test(test_readonly__results_are_copies),
        scratch_test(test_readonly__sees_what_a_writer_elsewhere_does),
        scratch_test(test_readonly__writes_nothing_to_a_store_whose_writer_died),
        scratch_test(test_readonly__goes_on_after_the_writer_died),
        scratch_test(test_readonly__backs_up_beside_a_writer),
    };
    return cmocka_run_group_tests_name("readonly", tests, NULL, NULL);
}
