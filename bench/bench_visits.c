/* SPDX-License-Identifier: MIT */
/* Adds to and reads from a store and from floors below it; see README.md. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "report.h"

static const struct bench_engine *const all_engines[] = {
    &bench_engine_null,        &bench_engine_naive,      &bench_engine_floor_anon,
    &bench_engine_floor_huge,  &bench_engine_floor_file, &bench_engine_librv,
    &bench_engine_librv_batch,
};
enum { ENGINES = sizeof(all_engines) / sizeof(all_engines[0]) };

struct arguments {
    double scale;
    const char *folder, *json, *engines;
    uint64_t repetitions;
    bool latency;
    int32_t checkpoint_ms;
    struct bench_workload_options workload;
};

static const char usage[] =
    "Usage: bench_visits [OPTION]...\n"
    "Times adds and reads of librv and of floors below it.\n"
    "\n"
    "  --scale X        multiplies users, adds and reads (default 1)\n"
    "  --users K        default 1M\n"
    "  --adds K         default 10M\n"
    "  --reads K        half zipf, half uniform; default 10M\n"
    "  --visits N       visits kept per user, default 10\n"
    "  --skew X         zipf exponent, default 0.99\n"
    "  --seed K         default 1\n"
    "  --id-range K     visit ids are random below K and so repeat; default 0: they count up\n"
    "  --repeat K       repetitions, default 5\n"
    "  --engines LIST   of null naive floor-anon floor-huge floor-file librv librv-batch\n"
    "                   (default floor-anon,floor-file,librv,librv-batch)\n"
    "  --no-latency     skips the pass that times each add\n"
    "  --checkpoint MS  librv's checkpoint interval; default 0: the library's; -1: none\n"
    "  --dir FOLDER     where a folder for the files is made, default: the current folder\n"
    "  --json FILE      writes all figures as JSON\n";

static void set_option(struct arguments *arguments, const char *name, const char *value)
{
    struct bench_workload_options *w = &arguments->workload;
    if (strcmp(name, "scale") == 0)
        arguments->scale = strtod(value, NULL);
    else if (strcmp(name, "skew") == 0)
        w->skew = strtod(value, NULL);
    else if (strcmp(name, "checkpoint") == 0)
        arguments->checkpoint_ms = (int32_t)strtol(value, NULL, 10);
    else if (strcmp(name, "dir") == 0)
        arguments->folder = value;
    else if (strcmp(name, "json") == 0)
        arguments->json = value;
    else if (strcmp(name, "engines") == 0)
        arguments->engines = value;
    else if (strcmp(name, "users") == 0)
        w->users = (uint32_t)bench_parse_number(value, name);
    else if (strcmp(name, "adds") == 0)
        w->adds = bench_parse_number(value, name);
    else if (strcmp(name, "reads") == 0)
        w->zipf_reads = w->uniform_reads = bench_parse_number(value, name) / 2;
    else if (strcmp(name, "visits") == 0)
        w->max_visits = (uint32_t)bench_parse_number(value, name);
    else if (strcmp(name, "seed") == 0)
        w->seed = bench_parse_number(value, name);
    else if (strcmp(name, "id-range") == 0)
        w->id_range = (uint32_t)bench_parse_number(value, name);
    else if (strcmp(name, "repeat") == 0)
        arguments->repetitions = bench_parse_number(value, name);
}

static void apply_scale(struct arguments *arguments)
{
    struct bench_workload_options *w = &arguments->workload;
    if (!(arguments->scale > 0))
        bench_die("--scale must be above 0");
    w->users = (uint32_t)((double)w->users * arguments->scale);
    w->adds = (uint64_t)((double)w->adds * arguments->scale);
    w->zipf_reads = (uint64_t)((double)w->zipf_reads * arguments->scale);
    w->uniform_reads = (uint64_t)((double)w->uniform_reads * arguments->scale);
    if (w->users < 2 || w->max_visits == 0 || arguments->repetitions == 0)
        bench_die("too few users, visits or repetitions");
}

static void parse_arguments(int count, char **values, struct arguments *arguments)
{
    static const struct option options[] = {
        {"scale", required_argument, NULL, 's'},  {"users", required_argument, NULL, 's'},
        {"adds", required_argument, NULL, 's'},   {"reads", required_argument, NULL, 's'},
        {"visits", required_argument, NULL, 's'}, {"skew", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 's'},   {"id-range", required_argument, NULL, 's'},
        {"repeat", required_argument, NULL, 's'}, {"engines", required_argument, NULL, 's'},
        {"no-latency", no_argument, NULL, 'l'},   {"checkpoint", required_argument, NULL, 's'},
        {"dir", required_argument, NULL, 's'},    {"json", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int index = 0;
    for (int c; (c = getopt_long(count, values, "h", options, &index)) != -1;) {
        if (c == 's') {
            set_option(arguments, options[index].name, optarg);
        } else if (c == 'l') {
            arguments->latency = false;
        } else {
            fputs(usage, c == 'h' ? stdout : stderr);
            exit(c == 'h' ? 0 : 2);
        }
    }
    if (optind < count)
        bench_die("unexpected argument: %s", values[optind]);
    apply_scale(arguments);
}

static const struct bench_engine *engine_named(const char *name)
{
    for (size_t i = 0; i < ENGINES; i++) {
        if (strcmp(all_engines[i]->name, name) == 0)
            return all_engines[i];
    }
    bench_die("no such engine: %s", name);
}

static void choose_engines(const char *list, struct bench_report *report)
{
    char *copy = strdup(list);
    if (!copy)
        bench_die("no memory");
    for (char *name = strtok(copy, ","); name; name = strtok(NULL, ",")) {
        if (report->engine_count == BENCH_ENGINES_MAX)
            bench_die("too many engines");
        report->engines[report->engine_count++] = engine_named(name);
    }
    free(copy);
    if (report->engine_count == 0)
        bench_die("no engine chosen");
}

/* A, B, C, A, B, C ...: a drift of the machine falls on all alike. */
static void run_all(struct bench_report *report, const struct bench_workload *workload)
{
    struct bench_setup setup = {
        .path = bench_folder_file("store"),
        .users = workload->options.users,
        .max_visits = workload->options.max_visits,
        .checkpoint_ms = report->checkpoint_ms,
    };
    /* Once without a record: a fresh virtual machine gives its first pages slowly. */
    fprintf(stderr, "warming up\n");
    struct bench_result *unused = bench_alloc(1, sizeof(*unused));
    bench_run_times(&bench_engine_floor_anon, &setup, workload, unused);
    free(unused);
    for (size_t r = 0; r < report->repetitions; r++) {
        for (size_t e = 0; e < report->engine_count; e++) {
            struct bench_result *result = &report->results[e * report->repetitions + r];
            fprintf(stderr, "repetition %zu of %zu: %s\n", r + 1, report->repetitions,
                    report->engines[e]->name);
            bench_run_times(report->engines[e], &setup, workload, result);
            if (report->with_latency)
                bench_run_latency(report->engines[e], &setup, workload, result);
        }
    }
}

int main(int argument_count, char **argument_values)
{
    struct arguments arguments = {
        .scale = 1,
        .engines = "floor-anon,floor-file,librv,librv-batch",
        .repetitions = 5,
        .latency = true,
        .workload = {.seed = 1,
                     .adds = 10000000,
                     .zipf_reads = 5000000,
                     .uniform_reads = 5000000,
                     .users = 1000000,
                     .max_visits = 10,
                     .skew = 0.99},
    };
    parse_arguments(argument_count, argument_values, &arguments);
    struct bench_report report = {
        .repetitions = arguments.repetitions,
        .with_latency = arguments.latency,
        .workload = arguments.workload,
        .checkpoint_ms = arguments.checkpoint_ms,
        .slot_bytes = 256,
    };
    choose_engines(arguments.engines, &report);
    report.folder = bench_folder_make(arguments.folder);
    report.results = bench_alloc(report.engine_count * report.repetitions, sizeof(*report.results));
    struct bench_workload workload;
    bench_workload_make(&workload, &arguments.workload);
    run_all(&report, &workload);
    bench_report_table(&report, stdout);
    if (arguments.json) {
        FILE *out = bench_json_open(arguments.json);
        bench_report_json(&report, out);
        if (fclose(out) != 0)
            bench_die("can't write %s: %s", arguments.json, strerror(errno));
    }
    bool agree = bench_report_agree(&report);
    bench_workload_free(&workload);
    free(report.results);
    return agree ? 0 : 1;
}
