/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

/* A figure of one repetition. */
typedef double figure_function(const struct bench_report *report,
                               const struct bench_result *result);

static double per_operation(double ns, uint64_t count)
{
    return count ? ns / (double)count : 0;
}

static double add_ns(const struct bench_report *report, const struct bench_result *result)
{
    return per_operation(result->phase_ns[BENCH_ADD], report->workload.adds);
}

static double zipf_ns(const struct bench_report *report, const struct bench_result *result)
{
    return per_operation(result->phase_ns[BENCH_READ_ZIPF], report->workload.zipf_reads);
}

static double uniform_ns(const struct bench_report *report, const struct bench_result *result)
{
    return per_operation(result->phase_ns[BENCH_READ_UNIFORM], report->workload.uniform_reads);
}

static double add_thread_ns(const struct bench_report *report, const struct bench_result *result)
{
    return per_operation(result->thread_ns[BENCH_ADD], report->workload.adds);
}

static double zipf_thread_ns(const struct bench_report *report, const struct bench_result *result)
{
    return per_operation(result->thread_ns[BENCH_READ_ZIPF], report->workload.zipf_reads);
}

static double uniform_thread_ns(const struct bench_report *report,
                                const struct bench_result *result)
{
    return per_operation(result->thread_ns[BENCH_READ_UNIFORM], report->workload.uniform_reads);
}

static double add_user_ns(const struct bench_report *report, const struct bench_result *result)
{
    return per_operation(result->add_user_s * 1e9, report->workload.adds);
}

static double add_system_ns(const struct bench_report *report, const struct bench_result *result)
{
    return per_operation(result->add_system_s * 1e9, report->workload.adds);
}

static double add_faults(const struct bench_report *report, const struct bench_result *result)
{
    return per_operation((double)result->add_faults, report->workload.adds);
}

static double sync_s(const struct bench_report *report, const struct bench_result *result)
{
    (void)report;
    return result->phase_ns[BENCH_SYNC] * 1e-9;
}

static double close_s(const struct bench_report *report, const struct bench_result *result)
{
    (void)report;
    return result->phase_ns[BENCH_CLOSE] * 1e-9;
}

static double latency_p50(const struct bench_report *report, const struct bench_result *result)
{
    (void)report;
    return (double)bench_histogram_quantile(&result->latency, 0.5);
}

static double latency_p99(const struct bench_report *report, const struct bench_result *result)
{
    (void)report;
    return (double)bench_histogram_quantile(&result->latency, 0.99);
}

static double latency_p999(const struct bench_report *report, const struct bench_result *result)
{
    (void)report;
    return (double)bench_histogram_quantile(&result->latency, 0.999);
}

static double latency_p9999(const struct bench_report *report, const struct bench_result *result)
{
    (void)report;
    return (double)bench_histogram_quantile(&result->latency, 0.9999);
}

static double latency_max(const struct bench_report *report, const struct bench_result *result)
{
    (void)report;
    return (double)result->latency.max;
}

static const struct figure {
    const char *name; /* in the JSON */
    const char *title;
    figure_function *of;
    bool of_latency;
} figures[] = {
    {"add_ns", "add, ns", add_ns, false},
    {"read_zipf_ns", "zipf read, ns", zipf_ns, false},
    {"read_uniform_ns", "uniform read, ns", uniform_ns, false},
    {"add_thread_ns", "add: thread time, ns", add_thread_ns, false},
    {"read_zipf_thread_ns", "zipf: thread time, ns", zipf_thread_ns, false},
    {"read_uniform_thread_ns", "unif.: thread time, ns", uniform_thread_ns, false},
    {"add_user_ns", "add: user time, ns", add_user_ns, false},
    {"add_system_ns", "add: system time, ns", add_system_ns, false},
    {"add_faults", "add: page faults", add_faults, false},
    {"sync_s", "sync after adds, s", sync_s, false},
    {"close_s", "close, s", close_s, false},
    {"add_p50_ns", "add p50, ns", latency_p50, true},
    {"add_p99_ns", "add p99, ns", latency_p99, true},
    {"add_p999_ns", "add p99.9, ns", latency_p999, true},
    {"add_p9999_ns", "add p99.99, ns", latency_p9999, true},
    {"add_max_ns", "add max, ns", latency_max, true},
};
enum { FIGURES = sizeof(figures) / sizeof(figures[0]) };

static const struct {
    const char *above, *below;
    const char *name;
    figure_function *of;
} ratios[] = {
    {"librv", "floor-file", "adds", add_ns},
    {"librv-batch", "floor-file", "adds", add_ns},
    {"librv", "floor-file", "adds, thread time", add_thread_ns},
    {"librv-batch", "floor-file", "adds, thread time", add_thread_ns},
    {"librv", "floor-anon", "zipf reads", zipf_ns},
    {"librv-batch", "floor-anon", "zipf reads", zipf_ns},
    {"librv", "floor-anon", "zipf reads, thread time", zipf_thread_ns},
    {"librv-batch", "floor-anon", "zipf reads, thread time", zipf_thread_ns},
    {"librv", "floor-anon", "uniform reads", uniform_ns},
    {"librv-batch", "floor-anon", "uniform reads", uniform_ns},
    {"librv", "floor-anon", "uniform reads, thread time", uniform_thread_ns},
    {"librv-batch", "floor-anon", "uniform reads, thread time", uniform_thread_ns},
    {"floor-file", "floor-anon", "adds", add_ns},
    {"floor-file", "floor-anon", "uniform reads", uniform_ns},
};
enum { RATIOS = sizeof(ratios) / sizeof(ratios[0]) };

static const struct bench_result *result_at(const struct bench_report *report, size_t engine,
                                            size_t repetition)
{
    return &report->results[engine * report->repetitions + repetition];
}

static struct bench_spread spread_of(const struct bench_report *report, size_t engine,
                                     figure_function *of)
{
    double *values = bench_alloc(report->repetitions, sizeof(*values));
    for (size_t i = 0; i < report->repetitions; i++)
        values[i] = of(report, result_at(report, engine, i));
    struct bench_spread spread = bench_spread_of(values, report->repetitions);
    free(values);
    return spread;
}

static bool find_engine(const struct bench_report *report, const char *name, size_t *ret_engine)
{
    for (size_t i = 0; i < report->engine_count; i++) {
        if (strcmp(report->engines[i]->name, name) == 0) {
            *ret_engine = i;
            return true;
        }
    }
    return false;
}

/* The ratio within each repetition, so that a slow spell of the machine hits both sides. */
static bool ratio_of(const struct bench_report *report, size_t ratio,
                     struct bench_spread *ret_ratio)
{
    size_t above, below;
    if (!find_engine(report, ratios[ratio].above, &above) ||
        !find_engine(report, ratios[ratio].below, &below))
        return false;
    double *values = bench_alloc(report->repetitions, sizeof(*values));
    for (size_t i = 0; i < report->repetitions; i++) {
        double floor = ratios[ratio].of(report, result_at(report, below, i));
        values[i] = floor > 0 ? ratios[ratio].of(report, result_at(report, above, i)) / floor : 0;
    }
    *ret_ratio = bench_spread_of(values, report->repetitions);
    free(values);
    return true;
}

static void print_head(const struct bench_report *report, FILE *out)
{
    const struct bench_workload_options *w = &report->workload;
    fprintf(out,
            "workload  %" PRIu64 " adds, %" PRIu64 " zipf reads, %" PRIu64
            " uniform reads; %" PRIu32 " users, zipf %.2f; N = %" PRIu32 "; seed %" PRIu64 "\n",
            w->adds, w->zipf_reads, w->uniform_reads, w->users, w->skew, w->max_visits, w->seed);
    bench_print_machine(out, false, report->folder);
    fprintf(
        out,
        "state     every engine starts empty, in a process of its own; nothing is dropped from\n"
        "          caches; reads follow a sync of the adds, all pages are in memory\n"
        "figures   median [least..largest] of %zu interleaved repetitions\n\n",
        report->repetitions);
}

static void print_figures(const struct bench_report *report, FILE *out)
{
    for (size_t i = 0; i < FIGURES; i++) {
        if (figures[i].of_latency && !report->with_latency)
            continue;
        for (size_t e = 0; e < report->engine_count; e++) {
            struct bench_spread s = spread_of(report, e, figures[i].of);
            const char *format = s.median < 10 ? "%-24s%-12s %12.2f  [%.2f..%.2f]\n"
                                               : "%-24s%-12s %12.0f  [%.0f..%.0f]\n";
            fprintf(out, format, e == 0 ? figures[i].title : "", report->engines[e]->name, s.median,
                    s.min, s.max);
        }
    }
}

static void print_space(const struct bench_report *report, FILE *out)
{
    for (size_t e = 0; e < report->engine_count; e++) {
        const struct bench_result *r = result_at(report, e, 0);
        if (!report->engines[e]->has_file || r->visits == 0)
            continue;
        fprintf(out,
                "space     %-12s %.3f GB (%.3f allocated), %" PRIu64 " users, %" PRIu64
                " visits: %.2f x visits x %" PRIu32 ", %.0f bytes a user\n",
                report->engines[e]->name, (double)r->file_bytes * 1e-9,
                (double)r->file_allocated_bytes * 1e-9, r->users, r->visits,
                (double)r->file_bytes / ((double)r->visits * report->slot_bytes),
                report->slot_bytes, (double)r->file_bytes / (double)r->users);
    }
}

void bench_report_table(const struct bench_report *report, FILE *out)
{
    print_head(report, out);
    print_figures(report, out);
    fputc('\n', out);
    for (size_t i = 0; i < RATIOS; i++) {
        struct bench_spread s;
        if (ratio_of(report, i, &s))
            fprintf(out, "ratio     %-26s %11s / %-11s %6.2f  [%.2f..%.2f]\n", ratios[i].name,
                    ratios[i].above, ratios[i].below, s.median, s.min, s.max);
    }
    print_space(report, out);
}

static void print_json_head(const struct bench_report *report, FILE *out)
{
    const struct bench_workload_options *w = &report->workload;
    fprintf(out, "{\n  \"benchmark\": \"visits\",\n");
    bench_print_machine(out, true, report->folder);
    fprintf(out,
            "  \"workload\": {\"adds\": %" PRIu64 ", \"zipf_reads\": %" PRIu64
            ", \"uniform_reads\": %" PRIu64 ", \"users\": %" PRIu32 ", \"max_visits\": %" PRIu32
            ",\n    \"skew\": %g, \"seed\": %" PRIu64 ", \"id_range\": %" PRIu32
            ", \"slot_bytes\": %" PRIu32 ", \"checkpoint_ms\": %" PRId32 "},\n"
            "  \"repetitions\": %zu,\n  \"engines\": [",
            w->adds, w->zipf_reads, w->uniform_reads, w->users, w->max_visits, w->skew, w->seed,
            w->id_range, report->slot_bytes, report->checkpoint_ms, report->repetitions);
}

static void print_json_engine(const struct bench_report *report, size_t e, FILE *out)
{
    const struct bench_result *first = result_at(report, e, 0);
    fprintf(out, "%s\n    {\"name\": \"%s\"", e ? "," : "", report->engines[e]->name);
    fprintf(out,
            ", \"users\": %" PRIu64 ", \"visits\": %" PRIu64 ", \"file_bytes\": %" PRIu64
            ", \"file_allocated_bytes\": %" PRIu64 ", \"content\": \"%016" PRIx64 "\"",
            first->users, first->visits, first->file_bytes, first->file_allocated_bytes,
            first->content);
    for (size_t i = 0; i < FIGURES; i++) {
        if (figures[i].of_latency && !report->with_latency)
            continue;
        fprintf(out, ",\n     \"%s\": [", figures[i].name);
        for (size_t r = 0; r < report->repetitions; r++)
            fprintf(out, "%s%.6g", r ? ", " : "", figures[i].of(report, result_at(report, e, r)));
        fputc(']', out);
    }
    fputc('}', out);
}

void bench_report_json(const struct bench_report *report, FILE *out)
{
    print_json_head(report, out);
    for (size_t e = 0; e < report->engine_count; e++)
        print_json_engine(report, e, out);
    fprintf(out, "\n  ],\n  \"ratios\": [");
    bool first = true;
    for (size_t i = 0; i < RATIOS; i++) {
        struct bench_spread s;
        if (!ratio_of(report, i, &s))
            continue;
        fprintf(out,
                "%s\n    {\"what\": \"%s\", \"above\": \"%s\", \"below\": \"%s\", "
                "\"median\": %.4f, \"min\": %.4f, \"max\": %.4f}",
                first ? "" : ",", ratios[i].name, ratios[i].above, ratios[i].below, s.median, s.min,
                s.max);
        first = false;
    }
    fprintf(out, "\n  ]\n}\n");
}

static bool same_visits(const struct bench_result *left, const struct bench_result *right)
{
    return left->content == right->content && left->sum_zipf == right->sum_zipf &&
           left->sum_uniform == right->sum_uniform;
}

bool bench_report_agree(const struct bench_report *report)
{
    const struct bench_result *model = NULL;
    bool agree = true;
    for (size_t e = 0; e < report->engine_count; e++) {
        if (report->engines[e] == &bench_engine_null)
            continue;
        for (size_t r = 0; r < report->repetitions; r++) {
            const struct bench_result *result = result_at(report, e, r);
            model = model ? model : result;
            if (same_visits(model, result))
                continue;
            agree = false;
            fprintf(stderr, "bench: %s returned other visits (repetition %zu)\n",
                    report->engines[e]->name, r);
        }
    }
    return agree;
}
