/* SPDX-License-Identifier: MIT */
/*
 * Targets: rvdump import, one for each format. Whatever the input is, the store that it makes is
 * whole, and what export writes of it makes an equal store.
 */
#include "fuzz.h"

#include "open.h"
#include "rvdump.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT 5u
#define OUTPUT_MOST (8u << 20)
#define FUZZ_DISK (16u << 20)

/* An empty store, and what goes in and comes out. */
static uint8_t *empty_store;
static size_t empty_size;
static struct {
    const uint8_t *bytes;
    size_t size;
    size_t used;
    size_t piece; /* bytes that a read gives at most */
} input;
static struct output {
    char bytes[OUTPUT_MOST];
    size_t size;
} output[2];
static struct output *out_to;

/* What rvdump calls instead of the system's, by macros on the compiler's command line. */
ssize_t fuzz_read(int fd, void *bytes, size_t count);
ssize_t fuzz_write(int fd, const void *bytes, size_t count);
int fuzz_close(int fd);

ssize_t fuzz_read(int fd, void *bytes, size_t count)
{
    size_t n = input.size - input.used;
    (void)fd;
    n = n < input.piece ? n : input.piece;
    n = n < count ? n : count;
    if (n) {
        memcpy(bytes, input.bytes + input.used, n);
    }
    input.used += n;
    return (ssize_t)n;
}

ssize_t fuzz_write(int fd, const void *bytes, size_t count)
{
    if (fd == STDOUT_FILENO) {
        if (count > OUTPUT_MOST - out_to->size) {
            fuzz_fail("an export without end");
        }
        memcpy(out_to->bytes + out_to->size, bytes, count);
        out_to->size += count;
    }
    return (ssize_t)count;
}

int fuzz_close(int fd)
{
    (void)fd;
    return 0;
}

/* No checkpoints in the background. */
VisitStatus __wrap_rv_ticker_start(struct rv_store *st, uint32_t interval_ms);
VisitStatus __wrap_rv_ticker_start(struct rv_store *st, uint32_t interval_ms)
{
    (void)st;
    (void)interval_ms;
    return VISIT_OK;
}

static void make_empty(void)
{
    struct rv_options options = {
        .max_visits = LIMIT, .slot_log2 = 8, .block_log2 = 12, .shards = 1, .file_mode = 0600};
    struct rv_store *st;
    if (rv_store_open(fuzz_path[FUZZ_STORE], &options, &st) || rv_store_close(st)) {
        fuzz_fail("an empty store: %s", VisitLastError());
    }
    empty_size = fuzz_file_size(FUZZ_STORE);
    empty_store = malloc(empty_size);
    if (!empty_store) {
        fuzz_fail("out of memory");
    }
    memcpy(empty_store, fuzz_file_bytes(FUZZ_STORE), empty_size);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_file_limit(FUZZ_DISK);
    make_empty();
    return 0;
}

static int import(const void *bytes, size_t size, size_t piece, enum format format, bool strict)
{
    struct args args = {
        .store = fuzz_path[FUZZ_STORE], .format = format, .strict = strict, .first_visit_id = 1};
    fuzz_file_set(FUZZ_STORE, empty_store, empty_size);
    input.bytes = bytes;
    input.size = size;
    input.used = 0;
    input.piece = piece;
    return command_import(&args);
}

/* The store is whole; what it holds, as text. */
static void export_to(struct output *to)
{
    struct args args = {.store = fuzz_path[FUZZ_STORE], .format = FORMAT_JSONL};
    VisitOptions options = {.size = sizeof options, .mode = VISIT_READ_ONLY};
    VisitManager *manager;
    if (VisitManagerOpen(fuzz_path[FUZZ_STORE], &options, &manager) ||
        VisitManagerVerify(manager, NULL, NULL)) {
        fuzz_fail("after an import: %s", VisitLastError());
    }
    VisitManagerFree(manager);
    out_to = to;
    to->size = 0;
    int code = command_export(&args);
    if (code != EXIT_OK) {
        fuzz_fail("export ends with %d: %s", code, VisitLastError());
    }
}

static bool is_allowed(int code, bool strict)
{
    return code == EXIT_OK || code == EXIT_IO ||
           (code == EXIT_BAD_INPUT && (strict || FUZZ_FORMAT == FORMAT_CSV));
}

static void check_input(const uint8_t *data, size_t size)
{
    bool strict = size % 4 == 1;
    size_t piece = size % 3 ? SIZE_MAX : 1 + size % 7;
    fuzz_bound((size + 20000) * 2000, empty_size + 16 * size + 1000000);
    int code = import(data, size, piece, FUZZ_FORMAT, strict);
    if (!is_allowed(code, strict)) {
        fuzz_fail("import ends with %d: %s", code, VisitLastError());
    }
    if (code == EXIT_IO) {
        if (fuzz_file_size(FUZZ_STORE) < FUZZ_DISK / 2) {
            fuzz_fail("import cannot read or write, and the disk is not full: %s",
                      VisitLastError());
        }
        return;
    }
    export_to(&output[0]);
    code = import(output[0].bytes, output[0].size, SIZE_MAX, FORMAT_JSONL, true);
    if (code != EXIT_OK) {
        fuzz_fail("what export wrote is not taken: %d: %s", code, VisitLastError());
    }
    export_to(&output[1]);
    if (output[0].size != output[1].size ||
        memcmp(output[0].bytes, output[1].bytes, output[0].size)) {
        fuzz_fail("what export wrote makes another store");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_input(data, size);
    fuzz_tool_check();
    fuzz_file_remove(FUZZ_STORE);
    return 0;
}

/* ---- inputs to begin with ---- */

static const char *const seeds[] = {
#define HEADER "user_id,visit_id,url,text,time,url_base64,text_base64\r\n"
    [FORMAT_JSONL * 4] =
        "{\"user_id\":1,\"visit_id\":2,\"url\":\"http://a/\",\"text\":\"t\\u00e9\\n\",\"time\":"
        "\"2024-02-29T23:59:59.123456789Z\"}\n"
        "{\"user_id\":1,\"visit_id\":1,\"url\":\"\",\"text\":\"\",\"time\":\"2024-02-29T23:59:"
        "59Z\"}\n",
    [FORMAT_JSONL * 4 + 1] =
        "{\"user_id\":4294967295,\"visit_id\":0,\"url_base64\":\"gGE=\",\"text_base64\":\"/w==\","
        "\"time\":\"1677-09-21T00:12:43.145224192Z\"}\n{}\n[1]\n\n",
    [FORMAT_CSV * 4] = HEADER "1,2,http://a/,\"a \"\"b\"\", c\",2024-02-29T23:59:59.5Z,,\r\n"
                              "1,3,,,1970-01-01T00:00:00Z,gGE=,/w==\n",
    [FORMAT_CSV * 4 + 1] = "\xef\xbb\xbftime,text,url,visit_id,user_id\n"
                           "2262-04-11T23:47:16.854775807Z,\"two\nlines\",u,1,2\n\"open\n3,4\n",
    [FORMAT_CLF * 4] = "host.a - - [01/Aug/1995:00:00:01 -0400] \"GET /a HTTP/1.0\" 200 1839\n"
                       "host.b - u v [01/Aug/1995:00:00:02 -0400] \"GET /a \"b\" c\" 404 -\n",
    [FORMAT_CLF * 4 + 1] = "1.2.3.4 - [x] [31/Dec/1999:23:59:60 +1400] \"POST / HTTP/1.1\" - 0 "
                           "\"http://r/\" \"A \\\" B\"\n"
                           "h - - [29/Feb/2000:00:00:00 +0000] \"\" 400 0\n",
    [FORMAT_CLF * 4 + 3] = NULL,
};

uint8_t *fuzz_seed(unsigned i, size_t *ret_size)
{
    const char *text = i < 2 ? seeds[FUZZ_FORMAT * 4 + i] : NULL;
    if (!text) {
        return NULL;
    }
    *ret_size = strlen(text);
    uint8_t *bytes = malloc(*ret_size);
    if (!bytes) {
        fuzz_fail("out of memory");
    }
    memcpy(bytes, text, *ret_size);
    return bytes;
}
