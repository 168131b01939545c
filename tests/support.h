/* SPDX-License-Identifier: MIT */
/* What the tests of the public API share: scratch folders, files, children, checks of a status. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

#include <cmocka.h>

#include "recent_visits.h"

/* Built with a sanitizer that watches memory or threads. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

/* Skips the test under an emulator (RV_EMULATED, set by scripts/machines.sh) that lacks something.
 */
#define skip_if_emulated(reason)                                                                   \
    do {                                                                                           \
        if (getenv("RV_EMULATED")) {                                                               \
            print_message("skipped: an emulator %s\n", (reason));                                  \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

/* Skips the test under valgrind. */
void skip_under_valgrind(const char *why);

/* A fresh folder for one test, and the path of a store in it. */
struct scratch {
    char folder[256];
    char store[300];
};

/* Setup and teardown of a test that is handed a struct scratch. */
int scratch_setup(void **state);
int scratch_teardown(void **state);

/* The same without cmocka. Returns false, with a message, if there can be no folder. */
bool scratch_make(struct scratch *scratch);
void scratch_remove(const struct scratch *scratch);

/* A path in the folder; valid until the next call. */
const char *scratch_path(const struct scratch *scratch, const char *name);

/* An entry for a cmocka test that gets a scratch folder. */
#define scratch_test(function)                                                                     \
    cmocka_unit_test_setup_teardown(function, scratch_setup, scratch_teardown)

/* The bytes of a file and what the system says about it. */
struct image {
    uint8_t *bytes;
    size_t size;
    struct timespec modified;
};

struct image image_read(const char *path);
void image_free(struct image *image);
bool image_equal(const struct image *a, const struct image *b);

/* The eight bytes there; within the image. */
uint64_t image_word(const struct image *image, uint64_t offset);
void image_set_word(struct image *image, uint64_t offset, uint64_t word);

/* Asserts that the file has the image's bytes and modification time. */
void assert_file_unchanged(const char *path, const struct image *image);

void file_write(const char *path, const void *bytes, size_t size);
void file_write_at(const char *path, uint64_t offset, const void *bytes, size_t size);
uint64_t file_size(const char *path);
bool file_exists(const char *path);

/* Number of names in a folder. */
size_t folder_count(const char *folder);

/* fork(); valgrind does not look for leaks in the child, since that may end with a store open. */
pid_t fork_child(void);

/* Runs the function in a child of its own; returns its result, or 1000 + the signal it died of.
 * The function must not use cmocka's assertions. */
int in_child(int (*function)(void *data), void *data);

/* Ends a child without what the parent has for its own end. */
void child_exit(int result) __attribute__((noreturn));

/* Checks inside a child: says what failed and returns a number other than 0. */
#define child_check(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("%s:%d: in the child: %s; %s\n", __FILE__, __LINE__, #condition,           \
                        VisitLastError());                                                         \
            return 99;                                                                             \
        }                                                                                          \
    } while (0)

/* Asserts the status of a call, and that VisitLastStatus() and VisitLastError() agree with it. */
#define assert_status(call, status)                                                                \
    support_assert_status((call), (status), #call, __FILE__, __LINE__)
#define assert_ok(call) assert_status(call, VISIT_OK)

void support_assert_status(VisitStatus is, VisitStatus expected, const char *call, const char *file,
                           int line);

/* Asserts that the last call failed thus, and that its message is one line that has the part. */
#define assert_last(status, part) support_assert_last((status), (part), __FILE__, __LINE__)
void support_assert_last(VisitStatus expected, const char *part, const char *file, int line);

/* Opens a store, or fails the test. */
VisitManager *store_open(const char *path, size_t max_visits);
VisitManager *store_open_with(const char *path, const VisitOptions *options);
VisitManager *store_open_read_only(const char *path);

/* Opens, expecting an error whose message has the path and the part, which may be NULL. */
void assert_open_fails(const char *path, const VisitOptions *options, VisitStatus status,
                       const char *part);

/* Closes a store, and asserts that this went well. */
void store_close(VisitManager *manager);

/* Makes a store with one visit for each of the users 0 to count - 1, and closes it. */
void store_make(const char *path, uint32_t count);

/* A visit to add, with the present time or with a time. */
VisitInput visit_now(uint32_t user_id, uint32_t visit_id, const char *url, const char *text);
VisitInput visit_at(uint32_t user_id, uint32_t visit_id, const char *url, const char *text,
                    int64_t time_ns);

/* Asserts that the user has exactly these visits, newest first; through every read call. */
#define assert_visits(manager, user_id, ...)                                                       \
    support_assert_visits((manager), (user_id), (const uint32_t[]){__VA_ARGS__},                   \
                          sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), __FILE__,    \
                          __LINE__)
#define assert_no_visits(manager, user_id)                                                         \
    support_assert_visits((manager), (user_id), NULL, 0, __FILE__, __LINE__)
void support_assert_visits(VisitManager *manager, uint32_t user_id, const uint32_t *ids,
                           size_t count, const char *file, int line);

/* Verifies the store; prints what is found. */
VisitStatus store_verify(VisitManager *manager);

/* The present time in nanoseconds since 1970. */
int64_t now_ns(void);
int64_t timespec_ns(struct timespec time);

/* A string of that many bytes, none of them NUL, made from the number; to be freed. */
char *string_make(uint64_t number, size_t length);

#endif
