/* SPDX-License-Identifier: MIT */
/*
 * rvdump stats
 */
#include "histogram.h"
#include "progress.h"
#include "rvdump.h"
#include "store.h"
#include "suggest.h"
#include "survey.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct figures {
    VisitStats stats;
    int64_t newest; /* time of the newest visit */
    struct histogram visits;
    struct histogram url;
    struct histogram text;
    struct histogram slot_use;
    struct histogram age;
    struct suggest suggest;
    struct survey survey;
};

static void set_up(struct figures *figures)
{
    const char *visits_title = "Users: how many visits they have";
    if (figures->stats.max_visits <= 20)
        histogram_by_ones(&figures->visits, visits_title, "visits_per_user",
                          figures->stats.max_visits);
    else
        histogram_by_powers(&figures->visits, visits_title, "visits_per_user");
    histogram_by_powers(&figures->url, "Visits: bytes of the url", "url_bytes");
    histogram_by_powers(&figures->text, "Visits: bytes of the text", "text_bytes");
    histogram_by_tenths(&figures->slot_use, "Visits: how much of the slot they fill",
                        "slot_use_percent");
    histogram_range(&figures->slot_use, UINT32_MAX, "outside");

    const uint64_t minute = 60, day = 86400;
    figures->age =
        (struct histogram){.title = "Visits: how much older they are than the store's newest visit",
                           .member = "age_seconds"};
    histogram_range(&figures->age, minute, "up to 1 minute");
    histogram_range(&figures->age, 60 * minute, "up to 1 hour");
    histogram_range(&figures->age, day, "up to 1 day");
    histogram_range(&figures->age, 7 * day, "up to 1 week");
    histogram_range(&figures->age, 30 * day, "up to 30 days");
    histogram_range(&figures->age, 365 * day, "up to 1 year");
    histogram_range(&figures->age, 3650 * day, "up to 10 years");
    histogram_range(&figures->age, UINT32_MAX * UINT64_C(10), "more");
    figures->suggest.max_visits = figures->stats.max_visits;
}

static void take_visit(struct figures *figures, const VisitPacked *visit)
{
    uint64_t strings = (uint64_t)visit->url_length + visit->text_length + 2;
    uint64_t bytes = sizeof(struct rv_disk_slot) + strings;
    histogram_count(&figures->url, visit->url_length);
    histogram_count(&figures->text, visit->text_length);
    if (bytes > figures->stats.slot_size)
        histogram_count(&figures->slot_use, UINT32_MAX);
    else
        histogram_count_share(&figures->slot_use, bytes, figures->stats.slot_size);
    uint64_t age_ns =
        figures->newest < visit->time_ns ? 0 : (uint64_t)figures->newest - (uint64_t)visit->time_ns;
    histogram_count(&figures->age, age_ns / 1000000000 + (age_ns % 1000000000 > 0));
    suggest_take_visit(&figures->suggest, strings);
}

static void take_user(struct figures *figures, const VisitPacked *visits, size_t count)
{
    if (count == 0) /* it has lost them since the list of users was made */
        return;
    histogram_count(&figures->visits, count);
    suggest_take_user(&figures->suggest, count);
    for (size_t i = 0; i < count; i++)
        take_visit(figures, &visits[i]);
}

static void take_newest(struct figures *figures, const VisitPacked *visits, size_t count)
{
    if (count > 0 && visits[0].time_ns > figures->newest)
        figures->newest = visits[0].time_ns;
}

/* Has a function take each user's newest visits, at most `limit`. */
static int each_user(VisitReader *reader, const struct user *users, size_t user_count, size_t limit,
                     struct figures *figures,
                     void (*take)(struct figures *, const VisitPacked *, size_t))
{
    int code = EXIT_OK;
    for (size_t i = 0; i < user_count; i++) {
        const VisitPacked *visits;
        size_t count;
        VisitStatus status = store_read(reader, users[i].user_id, limit, &visits, &count);
        if (status == VISIT_OK) {
            take(figures, visits, count);
        } else if (limit == 0 || status != VISIT_ERROR_CORRUPT) { /* else it is told later */
            code = store_failed(status);
            if (status != VISIT_ERROR_CORRUPT)
                return code;
            say("user %" PRIu32 " is left out", users[i].user_id);
        }
        progress_show(limit == 1 ? "reading times" : "reading users", i + 1, user_count);
    }
    return code;
}

static int take_users(VisitManager *manager, struct figures *figures)
{
    struct user *users;
    size_t count;
    int code = store_users(manager, &users, &count);
    if (code != EXIT_OK)
        return code;
    VisitReader *reader;
    VisitStatus status = VisitReaderOpen(manager, &reader);
    if (status == VISIT_OK) {
        figures->newest = INT64_MIN;
        code = each_user(reader, users, count, 1, figures, take_newest);
        if (code == EXIT_OK)
            code = each_user(reader, users, count, 0, figures, take_user);
        VisitReaderFree(reader);
    } else {
        code = store_failed(status);
    }
    progress_clear();
    free(users);
    return code;
}

static int take_file(const char *path, struct figures *figures)
{
    struct image image;
    int code = image_open(path, &image);
    if (code != EXIT_OK)
        return code;
    code = survey_take(&image, &figures->survey);
    image_close(&image);
    return code;
}

static void out_limbo(struct out *out, const struct figures *figures, bool json)
{
    char text[320];
    uint64_t bytes = figures->survey.limbo_slots * figures->stats.slot_size;
    snprintf(text, sizeof text,
             json ? "{\"limbo_runs\":%" PRIu64 ",\"limbo_slots\":%" PRIu64
                    ",\"limbo_bytes\":%" PRIu64 ",\"blocks_in_hand\":%" PRIu64
                    ",\"entries_without_visits\":%" PRIu64 "}\n"
                  : "Limbo: %" PRIu64 " runs of %" PRIu64 " slots, %" PRIu64
                    " bytes, are free after the next checkpoints.\nIn hand: %" PRIu64
                    " blocks that shards have taken and not yet used.\n"
                    "Users without visits: %" PRIu64 " entries of the index.\n\n",
             figures->survey.limbo_runs, figures->survey.limbo_slots, bytes,
             figures->survey.hand_blocks, figures->survey.empty_entries);
    out_text(out, text);
}

static bool out_figures(struct out *out, const struct figures *figures, bool json)
{
    const struct histogram *const all[] = {
        &figures->visits,
        &figures->url,
        &figures->text,
        &figures->age,
        &figures->slot_use,
        &figures->survey.ring_fill,
        &figures->survey.index_load,
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!histogram_out(out, all[i], json))
            return false;
        if (!json)
            out_char(out, '\n');
    }
    out_limbo(out, figures, json);
    return suggest_out(out, &figures->suggest, &figures->stats, json);
}

int command_stats(const struct args *args)
{
    VisitManager *manager;
    int code = store_open_read_only(args->store, &manager);
    if (code != EXIT_OK)
        return code;
    struct figures figures = {.stats = {.size = sizeof figures.stats}};
    VisitStatus status = VisitManagerStats(manager, &figures.stats);
    if (status != VISIT_OK)
        code = store_failed(status);
    set_up(&figures);
    if (code == EXIT_OK)
        code = take_users(manager, &figures);
    VisitManagerFree(manager);
    int file_code =
        code == EXIT_OK || code == EXIT_DAMAGED ? take_file(args->store, &figures) : code;
    if (file_code != EXIT_OK)
        return file_code;

    struct out out;
    out_open(&out, STDOUT_FILENO);
    if (!out_figures(&out, &figures, args->json))
        code = EXIT_OTHER;
    return out_finish(&out, code);
}
