/* SPDX-License-Identifier: MIT */
/* The command line of a benchmark, from a table. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum bench_option_kind {
    BENCH_NUMBER, /* uint64_t; the suffixes k, M and G are powers of 1,000 */
    BENCH_REAL,   /* double */
    BENCH_TEXT,   /* const char * */
    BENCH_FLAG,   /* bool, set to true; has no argument */
};

/** A number that was not given and has no default. */
#define BENCH_UNSET UINT64_MAX

struct bench_option {
    const char *name; /* NULL ends the table */
    enum bench_option_kind kind;
    void *value; /* holds the default before */
    const char *help;
};

/** Sets the values that the arguments name. Prints usage and ends the process if asked or wrong. */
void bench_options_parse(int count, char **arguments, const char *summary,
                         const struct bench_option *options);

/** All options with their values, as a JSON object. */
json_t *bench_options_json(const struct bench_option *options);

/** Splits "1,2,8" into numbers, at most max; returns how many. */
size_t bench_options_list(const char *text, uint64_t *ret_numbers, size_t max);

/** What all programs have. */
struct bench_common {
    const char *folder, *json, *engines, *once;
    uint64_t repetitions, seed;
};

#define BENCH_COMMON_OPTIONS(common)                                                               \
    {"dir", BENCH_TEXT, &(common)->folder,                                                         \
     "where a folder for the files is made; default: the current folder"},                         \
        {"json", BENCH_TEXT, &(common)->json, "writes all figures to this file"},                  \
        {"repeat", BENCH_NUMBER, &(common)->repetitions, "repetitions; engines take turns"},       \
    {                                                                                              \
        "seed", BENCH_NUMBER, &(common)->seed, "of the workload"                                   \
    }

#define BENCH_ENGINES_OPTION(common)                                                               \
    {                                                                                              \
        "engines", BENCH_TEXT, &(common)->engines, "names, separated by commas"                    \
    }

#define BENCH_ONCE_OPTION(common)                                                                  \
    {                                                                                              \
        "once", BENCH_TEXT, &(common)->once,                                                       \
            "which of the engines run in the first repetition only"                                \
    }

#endif
