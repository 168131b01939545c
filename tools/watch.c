/* SPDX-License-Identifier: MIT */
/*
 * rvdump watch. Each look opens the store anew: then it does not matter what became of the file and
 * of its writers since the last one, and nobody is held up in between.
 */
#include "colour.h"
#include "entries.h"
#include "interrupt.h"
#include "rvdump.h"
#include "store.h"
#include "text.h"
#include "timetext.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FIGURES = 9, RATES = 4 };

/* What is shown; of the first ones also how fast they rise. */
static const struct {
    const char *label;
    const char *member;
    int width; /* of its column */
} figures[FIGURES] = {
    {"users", "users", 10},
    {"visits", "visits", 10},
    {"changes", "changes", 12},
    {"file bytes", "file_bytes", 14},
    {"free blocks", "blocks_free", 11},
    {"epoch", "epoch", 8},
    {"durable", "durable_epoch", 8},
    {"checkpoint", "checkpoint_age_ms", 11},
    {"holder", "holder_pid", 8},
};

struct look {
    int64_t time_ns; /* since 1970 */
    double seconds;  /* of a clock that nobody sets */
    uint32_t state;
    uint64_t figure[FIGURES];
};

struct watch {
    const struct args *args;
    bool terminal;
    uint32_t looks;
    struct look now;
    struct look before;
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static double clock_seconds(void)
{
    return (double)clock_ns(CLOCK_MONOTONIC) / 1e9;
}

/* ---- Looking ---- */

static bool add_changes(void *data, const struct segment *segment)
{
    uint64_t *changes = data;
    uint32_t left = segment->used;
    for (const struct rv_disk_entry *entry = segment->entries; left > 0; entry++) {
        if (!entry_is_used(entry))
            continue;
        *changes += entry->changes;
        left--;
    }
    return true;
}

/* The sum of the change counters, which goes on rising when every user has all visits it may have.
 * It falls when the index drops users who have gone. */
static int count_changes(const char *path, uint64_t *ret_changes)
{
    struct image image;
    uint64_t changes = 0;
    int code = image_open(path, &image);
    if (code != EXIT_OK)
        return code;
    code = entries_walk(&image, image.as_of, add_changes, &changes);
    image_close(&image);
    *ret_changes = changes;
    return code;
}

static int read_stats(const char *path, VisitStats *stats)
{
    VisitManager *manager;
    int code = store_open_read_only(path, &manager);
    if (code != EXIT_OK)
        return code;
    VisitStatus status = VisitManagerStats(manager, stats);
    if (status != VISIT_OK)
        code = store_failed(status);
    VisitManagerFree(manager);
    return code;
}

static int look(struct watch *watch)
{
    VisitStats stats = {.size = sizeof stats};
    uint64_t changes = 0;
    int code = read_stats(watch->args->store, &stats);
    if (code == EXIT_OK)
        code = count_changes(watch->args->store, &changes);
    if (code != EXIT_OK)
        return code;
    int64_t now_ns = clock_ns(CLOCK_REALTIME);
    int64_t age_ns; /* a file may say anything */
    if (__builtin_sub_overflow(now_ns, stats.checkpoint_time_ns, &age_ns))
        age_ns = 0;
    watch->before = watch->now;
    watch->now = (struct look){
        .time_ns = now_ns,
        .seconds = clock_seconds(),
        .state = stats.state,
        .figure = {stats.users, stats.visits, changes, stats.file_bytes, stats.blocks_free,
                   stats.epoch, stats.durable_epoch, age_ns > 0 ? (uint64_t)age_ns / 1000000 : 0,
                   stats.holder_pid},
    };
    watch->looks++;
    return EXIT_OK;
}

/* By how much a figure rises in a second; it may fall. */
static double rate(const struct watch *watch, int figure)
{
    double seconds = watch->now.seconds - watch->before.seconds;
    int64_t more = (int64_t)(watch->now.figure[figure] - watch->before.figure[figure]);
    return seconds > 0 ? (double)more / seconds : 0;
}

/* ---- Showing ---- */

static void out_json(struct out *out, const struct watch *watch)
{
    char text[TIME_TEXT_LENGTH + 1], number[40];
    time_to_text(watch->now.time_ns, text);
    out_text(out, "{\"time\":\"");
    out_text(out, text);
    out_text(out, "\",\"state\":\"");
    out_text(out, store_state_text(watch->now.state));
    out_char(out, '"');
    for (int i = 0; i < FIGURES; i++) {
        snprintf(number, sizeof number, ",\"%s\":", figures[i].member);
        out_text(out, number);
        out_number(out, watch->now.figure[i]);
    }
    for (int i = 0; i < RATES && watch->looks > 1; i++) {
        snprintf(number, sizeof number, ",\"%s_per_second\":", figures[i].member);
        out_text(out, number);
        snprintf(number, sizeof number, "%.1f", rate(watch, i));
        out_text(out, number);
    }
    out_text(out, "}\n");
}

static void out_cell(struct out *out, int width, const char *text)
{
    char cell[64];
    snprintf(cell, sizeof cell, " %*s", width, text);
    out_text(out, cell);
}

static void out_figure(struct out *out, const struct watch *watch, int figure)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, watch->now.figure[figure]);
    out_cell(out, figures[figure].width, text);
}

static void out_rate(struct out *out, const struct watch *watch, int figure, int width)
{
    char text[32] = "";
    if (watch->looks > 1)
        snprintf(text, sizeof text, "%.0f", rate(watch, figure));
    out_cell(out, width, text);
}

static void out_time(struct out *out, const struct watch *watch)
{
    char text[TIME_TEXT_LENGTH + 1];
    time_to_text(watch->now.time_ns, text);
    out_bytes(out, text, 19); /* to the second */
    out_char(out, 'Z');
}

static void out_headings(struct out *out)
{
    out_text(out, "time                 state  ");
    for (int i = 0; i < FIGURES; i++) {
        out_cell(out, figures[i].width, figures[i].label);
        if (i < RATES)
            out_cell(out, 10, "/s");
    }
    out_char(out, '\n');
}

static void out_line(struct out *out, const struct watch *watch)
{
    char state[16];
    if (watch->looks == 1)
        out_headings(out);
    out_time(out, watch);
    snprintf(state, sizeof state, " %-7s", store_state_text(watch->now.state));
    out_text(out, state);
    for (int i = 0; i < FIGURES; i++) {
        out_figure(out, watch, i);
        if (i < RATES)
            out_rate(out, watch, i, 10);
    }
    out_char(out, '\n');
}

/* On a terminal one look replaces the one before. */
static void out_screen(struct out *out, const struct watch *watch)
{
    char text[32];
    snprintf(text, sizeof text, "\x1b[%dA", FIGURES + 2);
    if (watch->looks > 1)
        out_text(out, text);
    out_time(out, watch);
    out_text(out, "  ");
    out_text(out, colour(out->fd, COLOUR_BOLD));
    out_text(out, store_state_text(watch->now.state));
    out_text(out, colour(out->fd, COLOUR_PLAIN));
    out_text(out, "\x1b[K\n                             now   per second\x1b[K\n");
    for (int i = 0; i < FIGURES; i++) {
        snprintf(text, sizeof text, "%-18s", figures[i].member);
        out_text(out, text);
        snprintf(text, sizeof text, "%" PRIu64, watch->now.figure[i]);
        out_cell(out, 13, text);
        if (i < RATES)
            out_rate(out, watch, i, 12);
        out_text(out, "\x1b[K\n");
    }
}

static void show(struct out *out, const struct watch *watch)
{
    if (watch->args->json)
        out_json(out, watch);
    else if (watch->terminal)
        out_screen(out, watch);
    else
        out_line(out, watch);
    out_flush(out);
}

/* ---- Again and again ---- */

/* A writer that is just opening the store makes it busy for a moment: the next look will tell. */
static bool goes_on(const struct watch *watch, int code)
{
    return code == EXIT_OK || (code == EXIT_BUSY && watch->looks > 0);
}

int command_watch(const struct args *args)
{
    struct watch watch = {.args = args, .terminal = isatty(STDOUT_FILENO)};
    struct out out;
    out_open(&out, STDOUT_FILENO);
    double interval = args->interval > 0 ? args->interval : 1, next = clock_seconds();
    int code;
    do {
        code = look(&watch);
        if (code == EXIT_OK)
            show(&out, &watch);
        next += interval;
        double left = next - clock_seconds();
        if (!goes_on(&watch, code) || out.error != 0 || watch.looks == args->count)
            break;
        if (left < 0) /* looking takes longer than that */
            next -= left;
        else if (!interrupt_sleep(left))
            break;
    } while (!interrupted());
    if (interrupted() && goes_on(&watch, code))
        code = EXIT_OK;
    interrupt_forget();
    return out_finish(&out, code);
}
