/* SPDX-License-Identifier: MIT */
/*
 * rvdump top
 */
#include "progress.h"
#include "rvdump.h"
#include "store.h"
#include "table.h"
#include "timetext.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TOP_DEFAULT = 10 };

struct busy {
    uint64_t bytes; /* of all strings */
    int64_t newest; /* time of the newest visit */
    uint32_t user_id;
    uint32_t visits;
};

static int compare_ids(const struct busy *x, const struct busy *y)
{
    return (x->user_id > y->user_id) - (x->user_id < y->user_id);
}

static int by_visits(const void *a, const void *b)
{
    const struct busy *x = a, *y = b;
    return x->visits != y->visits ? (x->visits < y->visits ? 1 : -1) : compare_ids(x, y);
}

static int by_bytes(const void *a, const void *b)
{
    const struct busy *x = a, *y = b;
    return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1) : compare_ids(x, y);
}

static int by_recency(const void *a, const void *b)
{
    const struct busy *x = a, *y = b;
    return x->newest != y->newest ? (x->newest < y->newest ? 1 : -1) : compare_ids(x, y);
}

static struct busy look_at(uint32_t user_id, const VisitPacked *visits, size_t count)
{
    struct busy busy = {.user_id = user_id, .visits = (uint32_t)count, .newest = visits[0].time_ns};
    for (size_t i = 0; i < count; i++)
        busy.bytes += (uint64_t)visits[i].url_length + visits[i].text_length;
    return busy;
}

/* One after the other; a user whose visits are damaged is told and left out. */
static int look_at_all(VisitReader *reader, const struct user *users, size_t user_count,
                       struct busy *ret_all, size_t *ret_count)
{
    int code = EXIT_OK;
    size_t found = 0;
    for (size_t i = 0; i < user_count; i++) {
        const VisitPacked *visits;
        size_t count;
        VisitStatus status = store_read(reader, users[i].user_id, 0, &visits, &count);
        if (status == VISIT_OK && count > 0) {
            ret_all[found++] = look_at(users[i].user_id, visits, count);
        } else if (status != VISIT_OK) {
            code = store_failed(status);
            if (status != VISIT_ERROR_CORRUPT)
                break;
            say("user %" PRIu32 " is left out", users[i].user_id);
        }
        progress_show("reading users", i + 1, user_count);
    }
    progress_clear();
    *ret_count = found;
    return code;
}

static void out_busy_json(struct out *out, const struct busy *busy)
{
    char line[160], time[TIME_TEXT_LENGTH + 1];
    time_to_text(busy->newest, time);
    snprintf(line, sizeof line,
             "{\"user_id\":%" PRIu32 ",\"visits\":%" PRIu32 ",\"bytes\":%" PRIu64
             ",\"newest\":\"%s\"}\n",
             busy->user_id, busy->visits, busy->bytes, time);
    out_text(out, line);
}

static bool out_table(struct out *out, const struct busy *all, size_t count)
{
    static const struct column columns[] = {{"user", COLUMN_RIGHT},
                                            {"visits", COLUMN_RIGHT},
                                            {"bytes", COLUMN_RIGHT},
                                            {"newest visit", COLUMN_LEFT}};
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) {
        struct cell user, visits, bytes;
        char time[TIME_TEXT_LENGTH + 1];
        time_to_text(all[i].newest, time);
        const char *cells[] = {cell_number(&user, all[i].user_id),
                               cell_number(&visits, all[i].visits),
                               cell_number(&bytes, all[i].bytes), time};
        table_row(table, cells);
    }
    return table_out(out, table);
}

static int print_top(const struct args *args, struct busy *all, size_t count, int code)
{
    int (*const compare[])(const void *, const void *) = {
        [BY_VISITS] = by_visits, [BY_BYTES] = by_bytes, [BY_RECENCY] = by_recency};
    size_t most = args->count != 0 ? args->count : TOP_DEFAULT;
    struct out out;
    out_open(&out, STDOUT_FILENO);
    if (count > 0)
        qsort(all, count, sizeof *all, compare[args->by]);
    count = count < most ? count : most;
    for (size_t i = 0; i < count && args->json; i++)
        out_busy_json(&out, &all[i]);
    if (!args->json && !out_table(&out, all, count))
        code = EXIT_OTHER;
    return out_finish(&out, code);
}

static int top_of(const struct args *args, VisitManager *manager)
{
    struct user *users;
    size_t user_count, count = 0;
    int code = store_users(manager, &users, &user_count);
    if (code != EXIT_OK)
        return code;
    struct busy *all = malloc((user_count + 1) * sizeof *all);
    VisitReader *reader;
    VisitStatus status = VisitReaderOpen(manager, &reader);
    if (all == NULL) {
        say("out of memory");
        code = EXIT_OTHER;
    } else if (status != VISIT_OK) {
        code = store_failed(status);
    } else {
        code = look_at_all(reader, users, user_count, all, &count);
        if (code == EXIT_OK || code == EXIT_DAMAGED)
            code = print_top(args, all, count, code);
    }
    if (status == VISIT_OK)
        VisitReaderFree(reader);
    free(all);
    free(users);
    return code;
}

int command_top(const struct args *args)
{
    VisitManager *manager;
    int code = store_open_read_only(args->store, &manager);
    if (code != EXIT_OK)
        return code;
    code = top_of(args, manager);
    VisitManagerFree(manager);
    return code;
}
