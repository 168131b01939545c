/* SPDX-License-Identifier: MIT */
/*
 * rvdump import
 */
#include "import.h"
#include "group.h"
#include "interrupt.h"
#include "progress.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    REPORTS_MAX = 20, /* bad lines that are told one by one */
};

struct import {
    const struct args *args;
    const struct parser *parser;
    void *state;
    struct lines lines;
    struct batch *batch;
    struct group *group;  /* NULL for a format in time order */
    uint64_t input_bytes; /* 0: not known, as of a pipe */
    uint64_t records;
    uint64_t bad;
    bool stopped; /* by a signal, and what was read is in the store */
};

static int out_of_memory(void)
{
    say("out of memory");
    return EXIT_OTHER;
}

static const char *input_name(const struct args *args)
{
    return args->operand == NULL || strcmp(args->operand, "-") == 0 ? "standard input"
                                                                    : args->operand;
}

/* Returns EXIT_OK if the import goes on. */
static int take_bad_line(struct import *import, uint64_t number, const char *why)
{
    import->bad++;
    if (import->bad <= REPORTS_MAX || import->args->strict)
        say("%s: line %" PRIu64 ": %s", input_name(import->args), number, why);
    else if (import->bad == REPORTS_MAX + 1)
        say("more bad lines are counted, not told");
    return import->args->strict ? EXIT_BAD_INPUT : EXIT_OK;
}

/* What is wrong with a record that parsed, or NULL. */
static const char *check_record(const struct record *record)
{
    if (memchr(record->url, '\0', record->url_length) != NULL ||
        memchr(record->text, '\0', record->text_length) != NULL)
        return "a NUL byte";
    if (record->url_length > VISIT_STRINGS_MAX ||
        record->text_length > VISIT_STRINGS_MAX - record->url_length)
        return "url and text are too long";
    return NULL;
}

static int take_line(struct import *import, const char *line, size_t length)
{
    uint64_t number = import->lines.number;
    struct record record;
    const char *why;
    if (!import->parser->in_records && memchr(line, '\0', length) != NULL)
        why = "a NUL byte";
    else
        why = import->parser->parse(import->state, &import->lines, line, length, &record);
    if (why == NULL)
        why = check_record(&record);
    if (why != NULL && interrupted()) { /* it may be whole, and only the rest of it not read */
        import->records--;
        import->lines.number = number - 1;
        return EXIT_OK;
    }
    if (why != NULL)
        return take_bad_line(import, number, why);
    return import->group != NULL ? group_add(import->group, &record)
                                 : batch_add(import->batch, &record);
}

static int read_failed(struct import *import)
{
    say("%s: cannot read: %s", input_name(import->args), strerror(errno));
    return EXIT_IO;
}

/* Ends the import with this code: what was read before a bad line, a failed read or a signal still
 * goes into the store. */
static int add_rest(struct import *import, int code)
{
    int rest = import->group != NULL ? group_end(import->group) : EXIT_OK;
    if (rest == EXIT_OK)
        rest = batch_flush(import->batch);
    import->stopped = rest == EXIT_OK && code == EXIT_OTHER;
    return rest == EXIT_OK ? code : rest;
}

/* Takes all lines up to the end or to what stops the import. */
static int take_lines(struct import *import)
{
    for (;;) {
        const char *line;
        size_t length;
        if (interrupted())
            return add_rest(import, EXIT_OTHER);
        enum lines_result result = lines_next(&import->lines, &line, &length);
        if (result == LINES_END || result == LINES_ERROR)
            return add_rest(import, result == LINES_END ? EXIT_OK : read_failed(import));
        if (result == LINES_INTERRUPTED)
            continue;
        import->records++;
        int code = result == LINES_TOO_LONG
                       ? take_bad_line(import, import->lines.number, "the line is too long")
                       : take_line(import, line, length);
        if (code != EXIT_OK)
            return code == EXIT_BAD_INPUT ? add_rest(import, code) : code;
        if (import->records % 4096 == 0)
            progress_show_bytes("importing", import->lines.read, import->input_bytes);
    }
}

/* What stands before the first record: before the store is opened, so that an input that can't be
 * read, or is of another format, neither makes a store nor changes one's limit. */
static int begin_input(struct import *import)
{
    import->state = import->parser->open(import->args);
    if (import->state == NULL)
        return out_of_memory();
    const char *why = NULL;
    enum lines_result result = lines_begin(&import->lines);
    if (result == LINES_ERROR)
        return read_failed(import);
    errno = 0;
    if (import->parser->begin != NULL)
        why = import->parser->begin(import->state, &import->lines);
    if (interrupted())
        return EXIT_OTHER;
    if (why != NULL && errno != 0)
        return read_failed(import);
    if (why != NULL)
        say("%s: %s", input_name(import->args), why);
    return why != NULL ? EXIT_BAD_INPUT : EXIT_OK;
}

static void print_summary(const struct import *import)
{
    uint64_t imported = batch_end(import->batch);
    if (import->group != NULL)
        imported += group_left_out(import->group);
    say("%" PRIu64 " lines read, %" PRIu64 " imported, %" PRIu64 " bad", import->records, imported,
        import->bad);
    if (import->stopped)
        say("interrupted: what stands up to line %" PRIu64 " is in the store",
            import->lines.number);
}

/* The limit that group.h needs. */
static int get_limit(const struct args *args, VisitManager *manager, uint32_t *ret_limit)
{
    *ret_limit = args->max_visits;
    if (args->max_visits != 0)
        return EXIT_OK;
    VisitStats stats = {.size = sizeof stats};
    VisitStatus status = VisitManagerStats(manager, &stats);
    if (status != VISIT_OK)
        return store_failed(status);
    *ret_limit = stats.max_visits;
    return EXIT_OK;
}

static int prepare(struct import *import, VisitManager *manager)
{
    import->batch = batch_new(manager);
    if (import->batch == NULL)
        return out_of_memory();
    if (import->parser->in_time_order)
        return EXIT_OK;
    uint32_t limit;
    int code = get_limit(import->args, manager, &limit);
    if (code != EXIT_OK)
        return code;
    import->group = group_new(import->batch, limit);
    return import->group != NULL ? EXIT_OK : EXIT_OTHER;
}

static int import_into(struct import *import, VisitManager *manager)
{
    int code = prepare(import, manager);
    if (code == EXIT_OK) {
        code = take_lines(import);
        print_summary(import);
    }
    group_free(import->group);
    batch_free(import->batch);
    return code;
}

/* Opens the store for writing, imports, closes it. */
static int open_and_import(struct import *import)
{
    VisitOptions options = {
        .size = sizeof options, .max_visits = import->args->max_visits, .progress = store_progress};
    VisitManager *manager;
    VisitStatus status = VisitManagerOpen(import->args->store, &options, &manager);
    progress_clear();
    if (status != VISIT_OK)
        return store_failed(status);
    int code = import_into(import, manager);
    VisitManagerFree(manager);
    status = VisitLastStatus();
    if (status == VISIT_OK)
        return code;
    int close_code = store_failed(status);
    return code == EXIT_OK ? close_code : code;
}

/* Before the store is opened, so that a missing input leaves no new store behind. */
static int open_input(const struct args *args, int *ret_fd)
{
    *ret_fd = STDIN_FILENO;
    if (args->operand == NULL || strcmp(args->operand, "-") == 0)
        return EXIT_OK;
    *ret_fd = open(args->operand, O_RDONLY | O_CLOEXEC);
    if (*ret_fd >= 0)
        return EXIT_OK;
    say("%s: cannot open: %s", args->operand, strerror(errno));
    return EXIT_CANNOT_OPEN;
}

/* 0 if that cannot be told, as of a pipe. */
static uint64_t bytes_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
}

static const struct parser *parser_of(enum format format)
{
    return format == FORMAT_CSV ? &parser_csv : format == FORMAT_CLF ? &parser_clf : &parser_jsonl;
}

int command_import(const struct args *args)
{
    struct import import = {.args = args, .parser = parser_of(args->format)};
    int fd;
    int code = open_input(args, &fd);
    if (code != EXIT_OK)
        return code;
    import.input_bytes = bytes_of(fd);
    code = lines_open(&import.lines, fd) ? begin_input(&import) : out_of_memory();
    if (code == EXIT_OK)
        code = open_and_import(&import);
    if (import.state != NULL)
        import.parser->close(import.state);
    lines_close(&import.lines);
    if (fd != STDIN_FILENO)
        close(fd);
    return code;
}
