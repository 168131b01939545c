/* SPDX-License-Identifier: MIT */
#include "suggest.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>

#define SLOT_HEADER 48u
#define SMALLEST_LOG2 7u

static unsigned class_for(uint64_t slots)
{
    unsigned k = 0;
    while (UINT64_C(1) << k < slots)
        k++;
    return k;
}

/* The ring that a store made anew would have: format-spec, limits. */
void suggest_take_user(struct suggest *suggest, size_t visits)
{
    bool full = visits >= suggest->max_visits;
    suggest->rings[class_for(full ? (uint64_t)suggest->max_visits + 2 : visits)]++;
    suggest->visits += visits;
}

void suggest_take_visit(struct suggest *suggest, uint64_t string_bytes)
{
    uint64_t bytes = SLOT_HEADER + string_bytes;
    for (unsigned i = 0; i < SLOT_SIZES; i++) {
        uint64_t size = UINT64_C(1) << (SMALLEST_LOG2 + i);
        if (bytes > size) {
            suggest->with[i].overflow_visits++;
            suggest->with[i].overflow_bytes += size << class_for((bytes + size - 1) / size);
        }
    }
}

static uint64_t ring_slots(const struct suggest *suggest)
{
    uint64_t slots = 0;
    for (unsigned k = 0; k < 33; k++)
        slots += suggest->rings[k] << k;
    return slots;
}

static uint64_t bytes_with(const struct suggest *suggest, unsigned i)
{
    return (ring_slots(suggest) << (SMALLEST_LOG2 + i)) + suggest->with[i].overflow_bytes;
}

/* The fewest bytes; of equals the larger size, which has fewer visits outside. */
static unsigned best_size(const struct suggest *suggest)
{
    unsigned best = 0;
    for (unsigned i = 1; i < SLOT_SIZES; i++) {
        if (bytes_with(suggest, i) <= bytes_with(suggest, best))
            best = i;
    }
    return best;
}

/* A shard has a block for each class of runs in use, and a segment; about half of that is empty. */
static uint64_t shard_cost(const struct suggest *suggest, uint64_t block_bytes)
{
    unsigned classes = 1;
    for (unsigned k = 0; k < 33; k++)
        classes += suggest->rings[k] > 0;
    return classes * block_bytes / 2;
}

/* As many as cost no more than a tenth of what the visits take. */
static uint32_t best_shards(const struct suggest *suggest, uint64_t visit_bytes, uint64_t cost)
{
    uint32_t shards = 1;
    (void)suggest;
    while (shards < 256 && cost * shards * 2 <= visit_bytes / 10)
        shards *= 2;
    return shards;
}

static bool out_sizes(struct out *out, const struct suggest *suggest, uint32_t present)
{
    static const struct column columns[] = {{"slot bytes", COLUMN_RIGHT},
                                            {"rings", COLUMN_RIGHT},
                                            {"overflow runs", COLUMN_RIGHT},
                                            {"together", COLUMN_RIGHT},
                                            {"visits outside their slot", COLUMN_RIGHT},
                                            {"", COLUMN_LEFT}};
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    unsigned best = best_size(suggest);
    for (unsigned i = 0; i < SLOT_SIZES; i++) {
        struct cell size, rings, overflow, all, share;
        uint32_t bytes = UINT32_C(1) << (SMALLEST_LOG2 + i);
        const char *mark = i == best ? bytes == present ? "suggested, present" : "suggested"
                           : bytes == present ? "present"
                                              : "";
        const char *cells[] = {
            cell_number(&size, bytes),
            cell_number(&rings, ring_slots(suggest) << (SMALLEST_LOG2 + i)),
            cell_number(&overflow, suggest->with[i].overflow_bytes),
            cell_number(&all, bytes_with(suggest, i)),
            cell_share(&share, suggest->with[i].overflow_visits, suggest->visits),
            mark,
        };
        table_row(table, cells);
        if (i == best)
            table_emphasize(table);
    }
    out_text(out, "Slot size: the bytes that these visits would take in a new store\n");
    return table_out(out, table);
}

static void out_json(struct out *out, const struct suggest *suggest, const VisitStats *stats,
                     uint32_t shards)
{
    char line[200];
    for (unsigned i = 0; i < SLOT_SIZES; i++) {
        snprintf(line, sizeof line,
                 "{\"slot_size\":%u,\"bytes\":%" PRIu64 ",\"overflow_visits\":%" PRIu64 "}\n",
                 1u << (SMALLEST_LOG2 + i), bytes_with(suggest, i),
                 suggest->with[i].overflow_visits);
        out_text(out, line);
    }
    snprintf(line, sizeof line,
             "{\"suggestion\":\"slot_size\",\"present\":%" PRIu32 ",\"suggested\":%u}\n"
             "{\"suggestion\":\"shards\",\"present\":%" PRIu32 ",\"suggested\":%" PRIu32 "}\n",
             stats->slot_size, 1u << (SMALLEST_LOG2 + best_size(suggest)), stats->shards, shards);
    out_text(out, line);
}

bool suggest_out(struct out *out, const struct suggest *suggest, const VisitStats *stats, bool json)
{
    uint64_t cost = shard_cost(suggest, stats->block_bytes);
    uint32_t shards = best_shards(suggest, bytes_with(suggest, best_size(suggest)), cost);
    if (json) {
        out_json(out, suggest, stats, shards);
        return true;
    }
    if (!out_sizes(out, suggest, stats->slot_size))
        return false;
    char line[320];
    snprintf(line, sizeof line,
             "\nShards: %" PRIu32 " suggested, %" PRIu32 " present. Each leaves about %" PRIu64
             " bytes of blocks unused, and\nwriters that want the same one wait for each other: "
             "with more data, or with several threads\nthat write at once, take four for each "
             "thread.\n",
             shards, stats->shards, cost);
    out_text(out, line);
    return true;
}
