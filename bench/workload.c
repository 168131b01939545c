/* SPDX-License-Identifier: MIT */
#include "workload.h"

#include <math.h>
#include <stdlib.h>

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
        users[i] = ids[bench_zipf_next(zipf, state) - 1];
    return users;
}

static uint32_t *make_uniform_users(uint32_t n, uint64_t count, uint64_t *state)
{
    uint32_t *users = bench_alloc(count, sizeof(*users));
    for (uint64_t i = 0; i < count; i++)
        users[i] = (uint32_t)random_below(state, n);
    return users;
}

/* Fills strings of random lengths with random letters; returns the byte after the last NUL. */
static char *make_strings(struct bench_string *strings, uint32_t min, uint32_t max, char *bytes,
                          uint64_t *state)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyz0123456789/?&=-_.:ABCDEFGHIJKLMNOPQRST";
    for (uint32_t i = 0; i < BENCH_POOL; i++) {
        uint32_t length = min + (uint32_t)random_below(state, max - min + 1);
        strings[i] = (struct bench_string){bytes, length};
        for (uint32_t j = 0; j < length; j++)
            *bytes++ = letters[bench_random(state) % (sizeof(letters) - 1)];
        *bytes++ = '\0';
    }
    return bytes;
}

void bench_workload_make(struct bench_workload *workload,
                         const struct bench_workload_options *options)
{
    uint64_t state = options->seed;
    struct bench_zipf zipf;
    bench_zipf_init(&zipf, options->users, options->skew);
    workload->options = *options;
    uint32_t *ids = make_permutation(options->users, &state);
    workload->add_users = make_zipf_users(&zipf, ids, options->adds, &state);
    workload->zipf_users = make_zipf_users(&zipf, ids, options->zipf_reads, &state);
    workload->uniform_users = make_uniform_users(options->users, options->uniform_reads, &state);
    free(ids);
    workload->pool = bench_alloc(BENCH_POOL, BENCH_URL_MAX + BENCH_TEXT_MAX + 2);
    char *bytes =
        make_strings(workload->urls, BENCH_URL_MIN, BENCH_URL_MAX, workload->pool, &state);
    make_strings(workload->texts, BENCH_TEXT_MIN, BENCH_TEXT_MAX, bytes, &state);
}

void bench_workload_free(struct bench_workload *workload)
{
    free(workload->add_users);
    free(workload->zipf_users);
    free(workload->uniform_users);
    free(workload->pool);
}
