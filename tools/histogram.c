/* SPDX-License-Identifier: MIT */
#include "histogram.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>

void histogram_range(struct histogram *histogram, uint64_t to, const char *label)
{
    struct range *range = &histogram->range[histogram->ranges];
    range->from = histogram->ranges == 0 ? 0 : range[-1].to + 1;
    range->to = to;
    range->count = 0;
    snprintf(range->label, sizeof range->label, "%s", label);
    histogram->ranges++;
}

static void add_numbers(struct histogram *histogram, uint64_t from, uint64_t to, const char *unit)
{
    char label[28];
    if (from == to)
        snprintf(label, sizeof label, "%" PRIu64 "%s", to, unit);
    else
        snprintf(label, sizeof label, "%" PRIu64 " to %" PRIu64 "%s", from, to, unit);
    histogram_range(histogram, to, label);
}

void histogram_by_powers(struct histogram *histogram, const char *title, const char *member)
{
    *histogram = (struct histogram){.title = title, .member = member};
    add_numbers(histogram, 0, 0, "");
    for (int i = 0; i < 32; i++)
        add_numbers(histogram, UINT64_C(1) << i, (UINT64_C(2) << i) - 1, "");
}

void histogram_by_ones(struct histogram *histogram, const char *title, const char *member,
                       uint64_t most)
{
    *histogram = (struct histogram){.title = title, .member = member};
    for (uint64_t i = 1; i <= most; i++)
        add_numbers(histogram, i, i, "");
    histogram->range[0].from = 1;
}

void histogram_by_tenths(struct histogram *histogram, const char *title, const char *member)
{
    *histogram = (struct histogram){.title = title, .member = member};
    for (uint64_t i = 0; i < 10; i++)
        add_numbers(histogram, i * 10 + (i > 0), i * 10 + 10, " %");
}

void histogram_count(struct histogram *histogram, uint64_t value)
{
    for (size_t i = 0; i < histogram->ranges; i++) {
        if (value <= histogram->range[i].to) {
            histogram->range[i].count++;
            return;
        }
    }
    histogram->range[histogram->ranges - 1].count++;
}

void histogram_count_share(struct histogram *histogram, uint64_t part, uint64_t whole)
{
    histogram_count(histogram, whole == 0 ? 0 : (part * 100 + whole - 1) / whole);
}

static void out_range_json(struct out *out, const char *member, const struct range *range)
{
    char line[160];
    snprintf(line, sizeof line,
             "{\"histogram\":\"%s\",\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"count\":%" PRIu64
             "}\n",
             member, range->from, range->to, range->count);
    out_text(out, line);
}

static void add_row(struct table *table, const struct range *range, uint64_t all, uint64_t most)
{
    struct cell count, share;
    char bar[BAR_BYTES];
    const char *cells[] = {range->label, cell_number(&count, range->count),
                           cell_share(&share, range->count, all),
                           cell_bar(bar, range->count, most)};
    table_row(table, cells);
}

bool histogram_out(struct out *out, const struct histogram *histogram, bool json)
{
    static const struct column columns[] = {
        {"", COLUMN_RIGHT}, {"count", COLUMN_RIGHT}, {"share", COLUMN_RIGHT}, {"", COLUMN_LEFT}};
    size_t first = histogram->ranges, last = 0;
    uint64_t all = 0, most = 0;
    for (size_t i = 0; i < histogram->ranges; i++) {
        uint64_t count = histogram->range[i].count;
        all += count;
        most = count > most ? count : most;
        if (count > 0) {
            first = i < first ? i : first;
            last = i;
        }
    }
    if (json) {
        for (size_t i = first; i <= last; i++)
            out_range_json(out, histogram->member, &histogram->range[i]);
        return true;
    }
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    for (size_t i = first; i <= last; i++)
        add_row(table, &histogram->range[i], all, most);
    out_text(out, histogram->title);
    out_text(out, all == 0 ? ": none\n" : "\n");
    if (all == 0) {
        table_free(table);
        return true;
    }
    return table_out(out, table);
}
