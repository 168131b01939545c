/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_CLO_CHANGE(option)
#define RUNNING_ON_VALGRIND 0
#endif

/* ------------------------------------------------------------------------------------------------
 * Folders and files
 * --------------------------------------------------------------------------------------------- */

bool scratch_make(struct scratch *scratch)
{
    const char *base = getenv("TMPDIR");
    if (!base || !*base || strlen(base) > 200)
        base = "/tmp";
    snprintf(scratch->folder, sizeof scratch->folder, "%s/librv-test-XXXXXX", base);
    if (!mkdtemp(scratch->folder)) {
        perror(scratch->folder);
        return false;
    }
    snprintf(scratch->store, sizeof scratch->store, "%s/store.rv", scratch->folder);
    return true;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

void scratch_remove(const struct scratch *scratch)
{
    nftw(scratch->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int scratch_setup(void **state)
{
    struct scratch *scratch = calloc(1, sizeof *scratch);
    if (!scratch || !scratch_make(scratch)) {
        free(scratch);
        return -1;
    }
    *state = scratch;
    return 0;
}

int scratch_teardown(void **state)
{
    struct scratch *scratch = *state;
    scratch_remove(scratch);
    free(scratch);
    return 0;
}

const char *scratch_path(const struct scratch *scratch, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", scratch->folder, name);
    return path;
}

struct image image_read(const char *path)
{
    struct image image = {0};
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    image.size = (size_t)status.st_size;
    image.modified = status.st_mtim;
    image.bytes = malloc(image.size + 1);
    assert_non_null(image.bytes);
    assert_int_equal(pread(fd, image.bytes, image.size, 0), image.size);
    close(fd);
    return image;
}

uint64_t image_word(const struct image *image, uint64_t offset)
{
    uint64_t word;
    assert_true(offset + sizeof word <= image->size);
    memcpy(&word, image->bytes + offset, sizeof word);
    return word;
}

void image_set_word(struct image *image, uint64_t offset, uint64_t word)
{
    assert_true(offset + sizeof word <= image->size);
    memcpy(image->bytes + offset, &word, sizeof word);
}

void image_free(struct image *image)
{
    free(image->bytes);
    *image = (struct image){0};
}

bool image_equal(const struct image *a, const struct image *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

void assert_file_unchanged(const char *path, const struct image *image)
{
    struct image is = image_read(path);
    assert_int_equal(is.size, image->size);
    assert_true(image_equal(&is, image));
    assert_int_equal(timespec_ns(is.modified), timespec_ns(image->modified));
    image_free(&is);
}

void file_write(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

void file_write_at(const char *path, uint64_t offset, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), size);
    close(fd);
}

uint64_t file_size(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (uint64_t)status.st_size;
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

size_t folder_count(const char *folder)
{
    size_t count = 0;
    DIR *names = opendir(folder);
    assert_non_null(names);
    for (const struct dirent *name; (name = readdir(names));)
        count += strcmp(name->d_name, ".") != 0 && strcmp(name->d_name, "..") != 0;
    closedir(names);
    return count;
}

/* ------------------------------------------------------------------------------------------------
 * Children and statuses
 * --------------------------------------------------------------------------------------------- */

void skip_under_valgrind(const char *why)
{
    if (RUNNING_ON_VALGRIND) {
        print_message("skipped: valgrind %s\n", why);
        skip();
    }
}

/* Of a coverage build. */
extern void __gcov_dump(void) __attribute__((weak));

void child_exit(int result)
{
    fflush(NULL);
    if (__gcov_dump) {
        /* A test may have set a limit that the counts of a coverage build do not fit in. */
        struct rlimit limit;
        if (!getrlimit(RLIMIT_FSIZE, &limit)) {
            limit.rlim_cur = limit.rlim_max;
            setrlimit(RLIMIT_FSIZE, &limit);
        }
        __gcov_dump();
    }
    _exit(result);
}

pid_t fork_child(void)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        /* It would look for pointers in all the address space of an open store, for hours. */
        VALGRIND_CLO_CHANGE("--leak-check=no");
    }
    return child;
}

int in_child(int (*function)(void *data), void *data)
{
    pid_t child = fork_child();
    assert_true(child >= 0);
    if (child == 0)
        child_exit(function(data));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

void support_assert_last(VisitStatus expected, const char *part, const char *file, int line)
{
    VisitStatus last = VisitLastStatus();
    const char *message = VisitLastError();
    bool good = last == expected && message;
    if (good && expected == VISIT_OK)
        good = message[0] == 0;
    else if (good && expected < 0)
        good = message[0] != 0 && !strpbrk(message, "\r\n") && (!part || strstr(message, part));
    if (good)
        return;
    print_error("last status is %d (%s), message \"%s\"; expected %d (%s)%s%s\n", last,
                VisitStatusText(last), message ? message : "(null)", expected,
                VisitStatusText(expected), part ? " with " : "", part ? part : "");
    _fail(file, line);
}

void support_assert_status(VisitStatus is, VisitStatus expected, const char *call, const char *file,
                           int line)
{
    if (is != expected) {
        print_error("%s\nis %d (%s), message \"%s\"; expected %d (%s)\n", call, is,
                    VisitStatusText(is), VisitLastError(), expected, VisitStatusText(expected));
        _fail(file, line);
    }
    support_assert_last(expected, NULL, file, line);
}

/* ------------------------------------------------------------------------------------------------
 * Stores
 * --------------------------------------------------------------------------------------------- */

VisitManager *store_open(const char *path, size_t max_visits)
{
    VisitManager *manager = VisitManagerCreate(path, max_visits);
    assert_last(VISIT_OK, NULL);
    assert_non_null(manager);
    return manager;
}

VisitManager *store_open_with(const char *path, const VisitOptions *options)
{
    VisitManager *manager = NULL;
    assert_ok(VisitManagerOpen(path, options, &manager));
    assert_non_null(manager);
    return manager;
}

VisitManager *store_open_read_only(const char *path)
{
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    return store_open_with(path, &options);
}

void assert_open_fails(const char *path, const VisitOptions *options, VisitStatus status,
                       const char *part)
{
    VisitManager *manager = NULL;
    assert_status(VisitManagerOpen(path, options, &manager), status);
    assert_null(manager);
    assert_last(status, path);
    assert_last(status, part);
}

void store_close(VisitManager *manager)
{
    VisitManagerFree(manager);
    assert_last(VISIT_OK, NULL);
}

void store_make(const char *path, uint32_t count)
{
    VisitManager *manager = store_open(path, 10);
    for (uint32_t user = 0; user < count; user++)
        assert_true(VisitManagerAddVisit(manager, user, 1, "https://example.org/", "Example"));
    store_close(manager);
}

VisitInput visit_now(uint32_t user_id, uint32_t visit_id, const char *url, const char *text)
{
    return (VisitInput){.user_id = user_id,
                        .visit_id = visit_id,
                        .url = url,
                        .url_length = strlen(url),
                        .text = text,
                        .text_length = strlen(text)};
}

VisitInput visit_at(uint32_t user_id, uint32_t visit_id, const char *url, const char *text,
                    int64_t time_ns)
{
    VisitInput input = visit_now(user_id, visit_id, url, text);
    input.flags = VISIT_AT_TIME;
    input.time_ns = time_ns;
    return input;
}

/* Appends numbers to a line, for messages. */
static void line_add(char *line, size_t size, uint32_t number)
{
    size_t length = strlen(line);
    snprintf(line + length, size - length, " %u", number);
}

/* Whether the three read calls give these visits. The line gets what they gave. */
static bool visits_are(VisitManager *manager, VisitReader *reader, uint32_t user_id,
                       const uint32_t *ids, size_t count, char *line, size_t size)
{
    size_t got[3] = {0, 0, 0};
    size_t bytes = 0;
    const Visit *visits = NULL;
    const VisitPacked *packed = NULL;
    Visit **pointers = VisitManagerGetRecentVisits(manager, user_id, &got[0]);
    if (VisitReaderGet(reader, user_id, 0, &visits, &got[1]) != VISIT_OK)
        return false;
    bool same = got[0] == count && got[1] == count;
    for (size_t i = 0; i < got[0]; i++)
        line_add(line, size, pointers[i]->visit_id);
    for (size_t i = 0; same && i < count; i++)
        same = pointers[i]->visit_id == ids[i] && visits[i].visit_id == ids[i];
    if (VisitReaderGetPacked(reader, user_id, 0, &packed, &bytes, &got[2]) != VISIT_OK)
        return false;
    same = same && got[2] == count;
    for (size_t i = 0; same && i < count; i++)
        same = packed[i].visit_id == ids[i];
    return same;
}

void support_assert_visits(VisitManager *manager, uint32_t user_id, const uint32_t *ids,
                           size_t count, const char *file, int line)
{
    char is[400] = "";
    char expected[400] = "";
    VisitReader *reader = NULL;
    assert_ok(VisitReaderOpen(manager, &reader));
    bool same = visits_are(manager, reader, user_id, ids, count, is, sizeof is);
    VisitReaderFree(reader);
    if (same)
        return;
    for (size_t i = 0; i < count; i++)
        line_add(expected, sizeof expected, ids[i]);
    print_error("user %u has visits%s; expected%s; %s\n", user_id, is, expected, VisitLastError());
    _fail(file, line);
}

static int print_finding(void *data, const VisitFinding *finding)
{
    (void)data;
    print_error("finding at %llu: %s: %s", (unsigned long long)finding->offset, finding->rule,
                finding->message);
    if (finding->has_user)
        print_error(" (user %u)", finding->user_id);
    print_error("\n");
    return 0;
}

VisitStatus store_verify(VisitManager *manager)
{
    return VisitManagerVerify(manager, print_finding, NULL);
}

/* ------------------------------------------------------------------------------------------------
 * Times and strings
 * --------------------------------------------------------------------------------------------- */

int64_t timespec_ns(struct timespec time)
{
    return (int64_t)((uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec);
}

int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return timespec_ns(now);
}

char *string_make(uint64_t number, size_t length)
{
    char *string = malloc(length + 1);
    assert_non_null(string);
    uint64_t x = number * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < length; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        char byte = (char)(x >> 56);
        string[i] = byte ? byte : 'x';
    }
    string[length] = 0;
    return string;
}
