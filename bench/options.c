/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

enum { OPTIONS_MAX = 40 };

static double factor_of(const char *suffix)
{
    static const char suffixes[] = "kMG";
    double factor = 1;
    if (*suffix == '\0')
        return factor;
    for (const char *s = suffixes; *s; s++) {
        factor *= 1e3;
        if (*suffix == *s && suffix[1] == '\0')
            return factor;
    }
    return 0;
}

static uint64_t parse_number(const char *text, const char *option)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || !(value >= 0) || value > 1e15 || factor_of(end) == 0)
        bench_die("--%s: not a number: %s", option, text);
    return (uint64_t)(value * factor_of(end) + 0.5);
}

static void set_value(const struct bench_option *option, const char *text)
{
    char *end;
    switch (option->kind) {
    case BENCH_NUMBER:
        *(uint64_t *)option->value = parse_number(text, option->name);
        break;
    case BENCH_REAL:
        *(double *)option->value = strtod(text, &end);
        if (end == text || *end)
            bench_die("--%s: not a number: %s", option->name, text);
        break;
    case BENCH_TEXT:
        *(const char **)option->value = text;
        break;
    case BENCH_FLAG:
        *(bool *)option->value = true;
        break;
    }
}

static void print_default(const struct bench_option *option, FILE *out)
{
    if (option->kind == BENCH_NUMBER && *(uint64_t *)option->value != BENCH_UNSET)
        fprintf(out, " (%" PRIu64 ")", *(uint64_t *)option->value);
    else if (option->kind == BENCH_REAL)
        fprintf(out, " (%g)", *(double *)option->value);
    else if (option->kind == BENCH_TEXT && *(const char **)option->value)
        fprintf(out, " (%s)", *(const char **)option->value);
}

static void print_usage(const char *program, const char *summary,
                        const struct bench_option *options, FILE *out)
{
    const char *slash = strrchr(program, '/');
    fprintf(out, "Usage: %s [OPTION]...\n%s\n\n", slash ? slash + 1 : program, summary);
    static const char *const arguments[] = {"K", "X", "TEXT", ""};
    for (const struct bench_option *o = options; o->name; o++) {
        int width = fprintf(out, "  --%s %s", o->name, arguments[o->kind]);
        fprintf(out, "%*s%s", width < 22 ? 22 - width : 1, "", o->help);
        print_default(o, out);
        fputc('\n', out);
    }
}

void bench_options_parse(int count, char **arguments, const char *summary,
                         const struct bench_option *options)
{
    struct option table[OPTIONS_MAX + 2] = {{0}};
    size_t n = 0;
    for (; options[n].name; n++) {
        if (n == OPTIONS_MAX)
            bench_die("too many options");
        table[n] = (struct option){options[n].name, options[n].kind != BENCH_FLAG, NULL, 's'};
    }
    table[n] = (struct option){"help", no_argument, NULL, 'h'};
    int index = 0;
    for (int c; (c = getopt_long(count, arguments, "h", table, &index)) != -1;) {
        if (c == 's') {
            set_value(&options[index], optarg);
        } else {
            print_usage(arguments[0], summary, options, c == 'h' ? stdout : stderr);
            exit(c == 'h' ? 0 : 2);
        }
    }
    if (optind < count)
        bench_die("unexpected argument: %s", arguments[optind]);
}

/* Of a path its last part: where files lie is no part of what was measured. */
static json_t *text_of(const char *text)
{
    const char *slash = text ? strrchr(text, '/') : NULL;
    return text ? json_string(slash ? slash + 1 : text) : json_null();
}

static json_t *number_of(uint64_t number)
{
    return number == BENCH_UNSET ? json_null() : json_integer((json_int_t)number);
}

static json_t *value_of(const struct bench_option *option)
{
    switch (option->kind) {
    case BENCH_NUMBER:
        return number_of(*(uint64_t *)option->value);
    case BENCH_REAL:
        return json_real(*(double *)option->value);
    case BENCH_FLAG:
        return json_boolean(*(bool *)option->value);
    default:
        return text_of(*(const char **)option->value);
    }
}

static bool is_place(const char *name)
{
    return strcmp(name, "dir") == 0 || strcmp(name, "json") == 0;
}

json_t *bench_options_json(const struct bench_option *options)
{
    json_t *object = json_object();
    for (const struct bench_option *o = options; o->name; o++) {
        if (!is_place(o->name))
            json_object_set_new(object, o->name, value_of(o));
    }
    return object;
}

size_t bench_options_list(const char *text, uint64_t *ret_numbers, size_t max)
{
    size_t count = 0;
    char *copy = strdup(text), *rest = NULL;
    if (!copy)
        bench_die("no memory");
    for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (count == max)
            bench_die("more than %zu numbers: %s", max, text);
        ret_numbers[count++] = parse_number(word, "list");
    }
    free(copy);
    return count;
}
