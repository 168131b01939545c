/* SPDX-License-Identifier: MIT */
/*
 * rvdump info
 */
#include "rvdump.h"
#include "store.h"
#include "text.h"
#include "timetext.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum kind {
    KIND_TEXT,
    KIND_NUMBER,
};

/* One figure, as text and as JSON. */
struct figure {
    const char *label;
    const char *member;
    enum kind kind;
    const char *text;
    uint64_t number;
};

static void uuid_to_text(const uint8_t uuid[16], char text[37])
{
    for (int i = 0; i < 16; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        text += sprintf(text, dash ? "-%02x" : "%02x", uuid[i]);
    }
}

static void out_figure(struct out *out, const struct figure *figure)
{
    char line[32];
    snprintf(line, sizeof line, "%-18s", figure->label);
    out_text(out, line);
    if (figure->kind == KIND_TEXT)
        out_escaped(out, figure->text, strlen(figure->text));
    else
        out_number(out, figure->number);
    out_char(out, '\n');
}

static void out_figure_json(struct out *out, const struct figure *figure, bool first)
{
    out_char(out, first ? '{' : ',');
    if (figure->kind == KIND_TEXT) {
        out_json_member(out, figure->member, figure->text, strlen(figure->text));
        return;
    }
    out_char(out, '"');
    out_text(out, figure->member);
    out_text(out, "\":");
    out_number(out, figure->number);
}

static void out_figures(struct out *out, const struct figure *figures, size_t count, bool json)
{
    for (size_t i = 0; i < count; i++) {
        if (json)
            out_figure_json(out, &figures[i], i == 0);
        else
            out_figure(out, &figures[i]);
    }
    if (json)
        out_text(out, "}\n");
}

static void out_stats(struct out *out, const struct args *args, const VisitStats *stats)
{
    char uuid[37], created[TIME_TEXT_LENGTH + 1], checkpoint[TIME_TEXT_LENGTH + 1];
    uuid_to_text(stats->uuid, uuid);
    time_to_text(stats->created_time_ns, created);
    time_to_text(stats->checkpoint_time_ns, checkpoint);
    const struct figure figures[] = {
        {"store", "store", KIND_TEXT, args->store, 0},
        {"uuid", "uuid", KIND_TEXT, uuid, 0},
        {"format version", "format_version", KIND_NUMBER, NULL, stats->format_version},
        {"state", "state", KIND_TEXT, store_state_text(stats->state), 0},
        {"holder's pid", "holder_pid", KIND_NUMBER, NULL, stats->holder_pid},
        {"created", "created", KIND_TEXT, created, 0},
        {"last checkpoint", "checkpoint", KIND_TEXT, checkpoint, 0},
        {"current epoch", "epoch", KIND_NUMBER, NULL, stats->epoch},
        {"durable epoch", "durable_epoch", KIND_NUMBER, NULL, stats->durable_epoch},
        {"limit", "max_visits", KIND_NUMBER, NULL, stats->max_visits},
        {"users", "users", KIND_NUMBER, NULL, stats->users},
        {"visits", "visits", KIND_NUMBER, NULL, stats->visits},
        {"ring slots", "ring_slots", KIND_NUMBER, NULL, stats->ring_slots},
        {"index entries", "index_entries", KIND_NUMBER, NULL, stats->index_entries},
        {"index capacity", "index_capacity", KIND_NUMBER, NULL, stats->index_capacity},
        {"shards", "shards", KIND_NUMBER, NULL, stats->shards},
        {"file bytes", "file_bytes", KIND_NUMBER, NULL, stats->file_bytes},
        {"slot bytes", "slot_size", KIND_NUMBER, NULL, stats->slot_size},
        {"block bytes", "block_bytes", KIND_NUMBER, NULL, stats->block_bytes},
        {"blocks", "blocks", KIND_NUMBER, NULL, stats->blocks},
        {"free blocks", "blocks_free", KIND_NUMBER, NULL, stats->blocks_free},
        {"slot blocks", "blocks_slots", KIND_NUMBER, NULL, stats->blocks_slots},
        {"large run blocks", "blocks_large", KIND_NUMBER, NULL, stats->blocks_large},
        {"segment blocks", "blocks_segments", KIND_NUMBER, NULL, stats->blocks_segments},
    };
    out_figures(out, figures, sizeof figures / sizeof figures[0], args->json);
}

int command_info(const struct args *args)
{
    VisitManager *manager;
    int code = store_open_read_only(args->store, &manager);
    if (code != EXIT_OK)
        return code;
    VisitStats stats = {.size = sizeof stats};
    VisitStatus status = VisitManagerStats(manager, &stats);
    if (status != VISIT_OK)
        code = store_failed(status);
    VisitManagerFree(manager);
    if (code != EXIT_OK)
        return code;

    struct out out;
    out_open(&out, STDOUT_FILENO);
    out_stats(&out, args, &stats);
    return out_finish(&out, EXIT_OK);
}
