/* SPDX-License-Identifier: MIT */
#include "figures.h"

#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "machine.h"

enum { NAME_BYTES = 96 };

struct series {
    char name_of_case[NAME_BYTES], engine[NAME_BYTES], name[NAME_BYTES];
    double *values;
    size_t count, room;
};

struct list {
    struct series *series;
    size_t count, room;
};

struct bench_figures {
    const char *benchmark;
    json_t *options, *machine, *notes;
    struct list figures, ratios; /* of a ratio, engine is "above / below" */
};

struct bench_figures *bench_figures_new(const char *benchmark, const char *folder,
                                        const struct bench_option *options)
{
    struct bench_figures *figures = bench_alloc(1, sizeof(*figures));
    figures->benchmark = benchmark;
    figures->options = bench_options_json(options);
    figures->machine = bench_machine_json(folder);
    figures->notes = json_object();
    return figures;
}

static void free_list(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->series[i].values);
    free(list->series);
}

void bench_figures_free(struct bench_figures *figures)
{
    json_decref(figures->options);
    json_decref(figures->machine);
    json_decref(figures->notes);
    free_list(&figures->figures);
    free_list(&figures->ratios);
    free(figures);
}

static struct series *find(const struct list *list, const char *name_of_case, const char *engine,
                           const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        struct series *s = &list->series[i];
        if (strcmp(s->name, name) == 0 && strcmp(s->engine, engine) == 0 &&
            strcmp(s->name_of_case, name_of_case) == 0)
            return s;
    }
    return NULL;
}

static void *grow(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room ? 2 * *room : 8;
    array = realloc(array, *room * size);
    if (!array)
        bench_die("no memory");
    return array;
}

static void copy_name(char *ret_name, const char *name)
{
    if (strlen(name) >= NAME_BYTES)
        bench_die("the name %s is too long", name);
    memcpy(ret_name, name, strlen(name) + 1);
}

static void append(struct list *list, const char *name_of_case, const char *engine,
                   const char *name, double value)
{
    struct series *s = find(list, name_of_case, engine, name);
    if (!s) {
        list->series = grow(list->series, list->count, &list->room, sizeof(*list->series));
        s = &list->series[list->count++];
        *s = (struct series){0};
        copy_name(s->name_of_case, name_of_case);
        copy_name(s->engine, engine);
        copy_name(s->name, name);
    }
    s->values = grow(s->values, s->count, &s->room, sizeof(*s->values));
    s->values[s->count++] = value;
}

void bench_figure(struct bench_figures *figures, const char *name_of_case, const char *engine,
                  const char *name, double value)
{
    append(&figures->figures, name_of_case, engine, name, value);
}

void bench_figure_latency(struct bench_figures *figures, const char *name_of_case,
                          const char *engine, const char *prefix,
                          const struct bench_histogram *histogram)
{
    static const struct {
        const char *name;
        double share;
    } percentiles[] = {{"p50", 0.5},     {"p90", 0.9},       {"p99", 0.99},
                       {"p99.9", 0.999}, {"p99.99", 0.9999}, {"max", 1}};
    for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof(name), "%s_%s_ns", prefix, percentiles[i].name);
        bench_figure(figures, name_of_case, engine, name,
                     (double)bench_histogram_quantile(histogram, percentiles[i].share));
    }
}

void bench_figures_note(struct bench_figures *figures, const char *engine, const char *text)
{
    json_object_set_new(figures->notes, engine, json_string(text));
}

void bench_figures_ratio(struct bench_figures *figures, const char *name_of_case, const char *name,
                         const char *above, const char *below)
{
    const struct series *a = find(&figures->figures, name_of_case, above, name);
    const struct series *b = find(&figures->figures, name_of_case, below, name);
    if (!a || !b)
        return;
    char both[NAME_BYTES];
    snprintf(both, sizeof(both), "%s / %s", above, below);
    for (size_t i = 0; i < a->count && i < b->count; i++)
        append(&figures->ratios, name_of_case, both, name,
               b->values[i] > 0 ? a->values[i] / b->values[i] : 0);
}

static void print_value(double value, FILE *out)
{
    double size = value < 0 ? -value : value;
    if (size >= 1e7)
        fprintf(out, "%.3e", value);
    else
        fprintf(out, "%.*f", size < 10 ? 2 : size < 100 ? 1 : 0, value);
}

static void print_series(const struct series *s, const char *title, FILE *out)
{
    struct bench_spread spread = bench_spread_of(s->values, s->count);
    fprintf(out, "  %-28s %-30s ", title, s->engine);
    print_value(spread.median, out);
    if (s->count > 1) {
        fprintf(out, "  [");
        print_value(spread.min, out);
        fprintf(out, "..");
        print_value(spread.max, out);
        fputc(']', out);
    }
    fputc('\n', out);
}

static bool same_case(const struct series *a, const struct series *b)
{
    return strcmp(a->name_of_case, b->name_of_case) == 0;
}

static bool same_figure(const struct series *a, const struct series *b)
{
    return same_case(a, b) && strcmp(a->name, b->name) == 0;
}

/* Is s the first of its kind? */
static bool is_first(const struct list *list, const struct series *s,
                     bool (*same)(const struct series *, const struct series *))
{
    for (const struct series *before = list->series; before < s; before++) {
        if (same(before, s))
            return false;
    }
    return true;
}

/* Engines with the same figure of the same case stand below each other, in order of appearance. */
static void print_case(const struct list *list, const struct series *head, FILE *out)
{
    if (head->name_of_case[0])
        fprintf(out, "%s\n", head->name_of_case);
    const struct series *end = list->series + list->count;
    for (const struct series *s = head; s < end; s++) {
        if (!same_case(s, head) || !is_first(list, s, same_figure))
            continue;
        for (const struct series *t = s; t < end; t++) {
            if (same_figure(s, t))
                print_series(t, s == t ? t->name : "", out);
        }
    }
}

static void print_list(const struct list *list, FILE *out)
{
    for (size_t i = 0; i < list->count; i++) {
        if (is_first(list, &list->series[i], same_case))
            print_case(list, &list->series[i], out);
    }
}

static void print_json_line(const char *title, json_t *object, FILE *out)
{
    char *text = json_dumps(object, JSON_PRESERVE_ORDER);
    fprintf(out, "%-9s %s\n", title, text ? text : "");
    free(text);
}

static void print(const struct bench_figures *figures, FILE *out)
{
    print_json_line(figures->benchmark, figures->options, out);
    print_json_line("machine", figures->machine, out);
    if (json_object_size(figures->notes))
        print_json_line("notes", figures->notes, out);
    fprintf(out, "figures   median [least..largest] of the repetitions\n");
    print_list(&figures->figures, out);
    if (figures->ratios.count)
        fprintf(out, "ratios    formed within each repetition\n");
    print_list(&figures->ratios, out);
}

static json_t *list_json(const struct list *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++) {
        const struct series *s = &list->series[i];
        struct bench_spread spread = bench_spread_of(s->values, s->count);
        json_t *values = json_array();
        for (size_t j = 0; j < s->count; j++)
            json_array_append_new(values, json_real(s->values[j]));
        json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:o}", "case",
                                               s->name_of_case, "engine", s->engine, "figure",
                                               s->name, "median", spread.median, "min", spread.min,
                                               "max", spread.max, "values", values));
    }
    return array;
}

static void write_json(const struct bench_figures *figures, const char *path)
{
    json_t *object =
        json_pack("{s:s, s:O, s:O, s:O, s:o, s:o}", "benchmark", figures->benchmark, "machine",
                  figures->machine, "options", figures->options, "notes", figures->notes, "figures",
                  list_json(&figures->figures), "ratios", list_json(&figures->ratios));
    if (json_dump_file(object, path, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6)))
        bench_die("can't write %s", path);
    json_decref(object);
}

void bench_figures_report(const struct bench_figures *figures, const char *path)
{
    print(figures, stdout);
    if (path)
        write_json(figures, path);
}
