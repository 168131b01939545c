/* SPDX-License-Identifier: MIT */
#include "workload.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common.h"

/* A number below bound, from 0; bound is small against 2^64, so that the bias is of no account. */
static uint64_t random_below(uint64_t *state, uint64_t bound)
{
    return bench_random(state) % bound;
}

static double random_unit(uint64_t *state)
{
    return (double)(bench_random(state) >> 11) * 0x1p-53;
}

/*
 * Rejection-inversion for monotone discrete distributions (Hörmann and Derflinger, 1996): invert
 * the area under the continuous x^-skew, round to the nearest rank, and reject what the rank's bar
 * does not cover. Exact, no table, about 1.1 tries a sample.
 */
static double area(const struct bench_zipf *zipf, double x)
{
    double e = 1 - zipf->skew;
    return fabs(e) < 1e-12 ? log(x) : expm1(e * log(x)) / e;
}

static double area_inverse(const struct bench_zipf *zipf, double y)
{
    double e = 1 - zipf->skew;
    return fabs(e) < 1e-12 ? exp(y) : exp(log1p(e * y) / e);
}

static double bar(const struct bench_zipf *zipf, double k)
{
    return exp(-zipf->skew * log(k));
}

void bench_zipf_init(struct bench_zipf *zipf, uint32_t n, double skew)
{
    *zipf = (struct bench_zipf){.n = n, .skew = skew};
    zipf->area_first = area(zipf, 1.5) - 1;
    zipf->area_last = area(zipf, n + 0.5);
    zipf->shortcut = 2 - area_inverse(zipf, area(zipf, 2.5) - bar(zipf, 2));
}

uint32_t bench_zipf_next(const struct bench_zipf *zipf, uint64_t *random_state)
{
    for (;;) {
        double u =
            zipf->area_last + random_unit(random_state) * (zipf->area_first - zipf->area_last);
        double x = area_inverse(zipf, u);
        double k = floor(x + 0.5);
        if (k < 1)
            k = 1;
        if (k > zipf->n)
            k = zipf->n;
        if (k - x <= zipf->shortcut || u >= area(zipf, k + 0.5) - bar(zipf, k))
            return (uint32_t)k;
    }
}

/* ids[rank]: a random permutation, so that the hot users are not neighbours. */
static uint32_t *make_permutation(uint32_t n, uint64_t *state)
{
    uint32_t *ids = bench_alloc(n, sizeof(*ids));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = (uint32_t)random_below(state, (uint64_t)i + 1);
        ids[i] = ids[j];
        ids[j] = i;
    }
    return ids;
}

static uint32_t *make_zipf_users(const struct bench_zipf *zipf, const uint32_t *ids, uint64_t count,
                                 uint64_t *state)
{
    uint32_t *users = bench_alloc(count, sizeof(*users));
    for (uint64_t i = 0; i < count; i++)
        users[i] = ids ? ids[bench_zipf_next(zipf, state) - 1] : bench_zipf_next(zipf, state) - 1;
    return users;
}

static uint32_t *make_uniform_users(uint32_t n, uint64_t count, uint64_t *state)
{
    uint32_t *users = bench_alloc(count, sizeof(*users));
    for (uint64_t i = 0; i < count; i++)
        users[i] = (uint32_t)random_below(state, n);
    return users;
}

struct lengths {
    uint32_t min, max;
};

/* Fills strings of random lengths with random letters; returns the byte after the last NUL. */
static char *make_strings(struct bench_string *strings, uint64_t count, struct lengths lengths,
                          char *bytes, uint64_t *state)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyz0123456789/?&=-_.:ABCDEFGHIJKLMNOPQRST";
    for (uint64_t i = 0; i < count; i++) {
        uint32_t length =
            lengths.min + (uint32_t)random_below(state, lengths.max - lengths.min + 1);
        strings[i] = (struct bench_string){bytes, length};
        for (uint32_t j = 0; j < length; j++)
            *bytes++ = letters[bench_random(state) % (sizeof(letters) - 1)];
        *bytes++ = '\0';
    }
    return bytes;
}

static void make_pool(struct bench_workload *workload, uint64_t *state)
{
    uint64_t wanted = workload->options.string_bytes;
    struct lengths url = {BENCH_URL_MIN, BENCH_URL_MAX}, text = {BENCH_TEXT_MIN, BENCH_TEXT_MAX};
    if (wanted != BENCH_MIXED) {
        url.min = url.max = (uint32_t)(wanted / 2);
        text.min = text.max = (uint32_t)(wanted - wanted / 2);
    }
    uint32_t bits = BENCH_POOL_BITS;
    while (bits > 1 && ((uint64_t)text.max << bits) > BENCH_POOL_BYTES)
        bits--;
    workload->strings = UINT64_C(1) << bits;
    workload->repair_shift = bits;
    workload->urls = bench_alloc(workload->strings, sizeof(*workload->urls));
    workload->texts = bench_alloc(workload->strings, sizeof(*workload->texts));
    workload->pool = bench_alloc(workload->strings, (size_t)url.max + text.max + 2);
    char *bytes = make_strings(workload->urls, workload->strings, url, workload->pool, state);
    make_strings(workload->texts, workload->strings, text, bytes, state);
}

/* Who is read. ids: of the ranks, or NULL if ranks are ids. */
static void make_reads(struct bench_workload *workload, const struct bench_zipf *zipf,
                       const uint32_t *ids, uint64_t *state)
{
    const struct bench_workload_options *o = &workload->options;
    workload->zipf_users = make_zipf_users(zipf, ids, o->zipf_reads, state);
    workload->uniform_users = make_uniform_users(zipf->n, o->uniform_reads, state);
}

void bench_workload_make(struct bench_workload *workload,
                         const struct bench_workload_options *options)
{
    uint64_t state = options->seed;
    uint32_t users = (uint32_t)options->users;
    struct bench_zipf zipf;
    bench_zipf_init(&zipf, users, options->skew);
    *workload = (struct bench_workload){.options = *options};
    uint32_t *ids = make_permutation(users, &state);
    workload->add_users = make_zipf_users(&zipf, ids, options->adds, &state);
    make_reads(workload, &zipf, ids, &state);
    free(ids);
    make_pool(workload, &state);
}

void bench_workload_free(struct bench_workload *workload)
{
    free(workload->add_users);
    free(workload->zipf_users);
    free(workload->uniform_users);
    free(workload->urls);
    free(workload->texts);
    free(workload->pool);
}

/* ---- from a log ---- */

static char *read_file(const char *path, size_t *ret_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0)
        bench_die("can't open %s: %s", path, strerror(errno));
    size_t size = (size_t)status.st_size, done = 0;
    char *bytes = bench_alloc(size + 1, 1);
    while (done < size) {
        ssize_t n = read(fd, bytes + done, size - done);
        if (n <= 0)
            bench_die("can't read %s", path);
        done += (size_t)n;
    }
    close(fd);
    *ret_size = size;
    return bytes;
}

/* Hosts by name: open addressing, at most half full. */
struct hosts {
    struct host {
        const char *name; /* NULL: free */
        uint32_t id;
    } * table;
    uint64_t mask;
    uint32_t count;
};

static uint32_t host_id(struct hosts *hosts, const char *name)
{
    uint64_t i = XXH3_64bits(name, strlen(name)) & hosts->mask;
    while (hosts->table[i].name && strcmp(hosts->table[i].name, name) != 0)
        i = (i + 1) & hosts->mask;
    if (!hosts->table[i].name)
        hosts->table[i] = (struct host){name, hosts->count++};
    return hosts->table[i].id;
}

static struct bench_string string_of(char *begin, char *end)
{
    *end = '\0';
    return (struct bench_string){begin, (uint32_t)(end - begin)};
}

/* Takes `host ... "METHOD target protocol" status ...` apart, in place. False if it is not that. */
static bool take_line(char *line, const char **ret_host, struct bench_string *ret_url,
                      struct bench_string *ret_text)
{
    char *host_end = strchr(line, ' '), *open_quote = strchr(line, '"'),
         *close_quote = strrchr(line, '"');
    if (!host_end || !open_quote || open_quote == close_quote || host_end > open_quote)
        return false;
    char *method = open_quote + 1, *target = strchr(method, ' '), *status = close_quote + 2;
    if (!target || target > close_quote || close_quote[1] != ' ')
        return false;
    *host_end = *close_quote = '\0';
    *ret_host = line;
    char *target_end = strchr(target + 1, ' ');
    *ret_url = string_of(target + 1, target_end ? target_end : close_quote);
    /* The text is "METHOD status", put together where the target's blank and the protocol were: the
     * method moves up to the status, over what is no longer needed. */
    size_t method_length = (size_t)(target - method), status_length = strcspn(status, " ");
    char *text = close_quote + 1 - method_length;
    if (text <= ret_url->bytes + ret_url->length)
        return false;
    memmove(text, method, method_length);
    text[method_length] = ' ';
    *ret_text = string_of(text, status + status_length);
    return true;
}

static uint64_t count_lines(const char *bytes)
{
    uint64_t lines = 0;
    for (const char *at = bytes; (at = strchr(at, '\n')); at++)
        lines++;
    return lines;
}

static void take_lines(struct bench_workload *workload, struct hosts *hosts)
{
    uint64_t adds = 0;
    char *rest = NULL;
    for (char *line = strtok_r(workload->pool, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        const char *host;
        if (take_line(line, &host, &workload->urls[adds], &workload->texts[adds]))
            workload->add_users[adds++] = host_id(hosts, host);
    }
    workload->options.adds = adds;
    workload->options.users = hosts->count;
}

void bench_workload_load(struct bench_workload *workload,
                         const struct bench_workload_options *options, const char *path)
{
    *workload = (struct bench_workload){.options = *options, .repair_shift = 63};
    size_t size;
    workload->pool = read_file(path, &size);
    uint64_t lines = count_lines(workload->pool) + 1;
    for (workload->strings = 1; workload->strings < lines;)
        workload->strings *= 2;
    workload->urls = bench_alloc(workload->strings, sizeof(*workload->urls));
    workload->texts = bench_alloc(workload->strings, sizeof(*workload->texts));
    workload->add_users = bench_alloc(lines, sizeof(*workload->add_users));
    struct hosts hosts = {.mask = 2 * workload->strings - 1};
    hosts.table = bench_alloc(hosts.mask + 1, sizeof(*hosts.table));
    take_lines(workload, &hosts);
    free(hosts.table);
    if (workload->options.adds == 0)
        bench_die("%s has no line of a web server's log", path);
    uint64_t state = options->seed;
    struct bench_zipf zipf;
    bench_zipf_init(&zipf, (uint32_t)workload->options.users, options->skew);
    make_reads(workload, &zipf, NULL, &state);
}
