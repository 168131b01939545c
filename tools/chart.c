/* SPDX-License-Identifier: MIT */
#include "chart.h"
#include "entries.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "rvdump.h"

#define EPOCH_MOST (UINT64_C(1) << 55) /* no store has a greater one */

struct pass {
    struct image *image;
    struct chart *chart;
};

static struct chart_cell *cell_of(struct chart *chart, uint64_t block)
{
    return &chart->cell[block / chart->blocks_per_cell];
}

/* ---- Uses, as the block headers have them ---- */

static void count_fill(struct chart *chart, uint64_t block, uint64_t part, uint64_t whole)
{
    struct chart_cell *cell = cell_of(chart, block);
    cell->counted++;
    cell->filled += part < whole ? (double)part / (double)whole : 1;
}

static void count_slots(struct pass *pass, uint64_t block, const struct rv_disk_block *header)
{
    uint32_t slots_log2 = pass->image->block_log2 - pass->image->slot_log2;
    uint32_t k = run_class(header->run);
    if (k <= slots_log2)
        count_fill(pass->chart, block, header->free & 0xffff, UINT64_C(1) << (slots_log2 - k));
}

/* What a block is that begins something; how many blocks that has. */
static enum use use_of(struct pass *pass, uint64_t block, const struct rv_disk_block *header,
                       uint64_t *ret_blocks)
{
    uint32_t k = run_class(header->run);
    *ret_blocks = 1;
    if (cell_use(header, pass->image->as_of) == RV_USE_SEGMENT)
        return USE_INDEX;
    if (run_kind(header->run) == RV_KIND_SLOTS) {
        count_slots(pass, block, header);
        return USE_SLOTS;
    }
    if (k < RV_ORDERS)
        *ret_blocks = UINT64_C(1) << k;
    if (run_kind(header->run) == RV_KIND_LARGE)
        return USE_LARGE;
    return run_kind(header->run) == RV_KIND_HAND ? USE_HAND : USE_FREE;
}

static int count_uses(struct pass *pass)
{
    struct image *image = pass->image;
    enum use use = USE_KEEPING;
    uint64_t left = image->header_blocks;
    for (uint64_t block = 0; block < pass->chart->blocks; block++) {
        struct rv_disk_block header;
        if (image_is_map(image, block)) {
            use = USE_KEEPING;
            left = 1;
        } else if (left == 0) {
            if (!image_header(image, block, &header)) {
                say("out of memory");
                return EXIT_OTHER;
            }
            use = use_of(pass, block, &header, &left);
        }
        cell_of(pass->chart, block)->blocks[use]++;
        pass->chart->total[use]++;
        left--;
    }
    return EXIT_OK;
}

/* ---- Ages, as the entries have them ---- */

static void count_epoch(struct chart *chart, uint64_t block, uint64_t epoch)
{
    struct chart_cell *cell = cell_of(chart, block);
    cell->users++;
    cell->epochs += (double)epoch;
}

static void take_ring(struct pass *pass, uint64_t word, uint64_t epoch)
{
    uint32_t slots_log2 = pass->image->block_log2 - pass->image->slot_log2;
    uint32_t k = word_class(word);
    uint64_t first = (uint64_t)(word_slot(word, 0) & ~((UINT64_C(1) << k) - 1)) >> slots_log2;
    uint64_t last = first + (k > slots_log2 ? UINT64_C(1) << (k - slots_log2) : 1);
    /* A ring may lie in a part of a block at the end, which is none. */
    for (uint64_t block = first; block < last && block < pass->chart->blocks; block++)
        count_epoch(pass->chart, block, epoch);
}

static bool take_segment(void *data, const struct segment *segment)
{
    struct pass *pass = data;
    uint32_t entries = image_entries(pass->image);
    count_fill(pass->chart, segment->block, segment->used, entries);
    for (uint32_t i = 0; i < entries; i++) {
        const struct rv_disk_entry *entry = &segment->entries[i];
        int newest = entry_newest(entry, pass->image->as_of);
        if (newest < 0 || entry->version[newest].epoch > EPOCH_MOST)
            continue;
        const struct rv_disk_version *version = &entry->version[newest];
        count_epoch(pass->chart, segment->block, version->epoch);
        if (version->word != 0 && word_is_sane(pass->image, version->word))
            take_ring(pass, version->word, version->epoch);
    }
    progress_show("reading blocks", segment->block, pass->chart->blocks);
    return !interrupted();
}

static void average_epochs(struct chart *chart)
{
    for (size_t i = 0; i < chart->cells; i++) {
        struct chart_cell *cell = &chart->cell[i];
        if (cell->users == 0)
            continue;
        cell->epoch = (uint64_t)(cell->epochs / (double)cell->users + 0.5);
        if (chart->oldest == 0 || cell->epoch < chart->oldest)
            chart->oldest = cell->epoch;
        if (cell->epoch > chart->newest)
            chart->newest = cell->epoch;
    }
}

int chart_take(struct image *image, struct chart *ret_chart)
{
    struct pass pass = {.image = image, .chart = ret_chart};
    *ret_chart = (struct chart){.blocks = image_blocks(image), .blocks_per_cell = 1};
    while (ret_chart->blocks > ret_chart->blocks_per_cell * CHART_CELLS_MOST)
        ret_chart->blocks_per_cell *= 2;
    ret_chart->cells =
        (ret_chart->blocks + ret_chart->blocks_per_cell - 1) / ret_chart->blocks_per_cell;
    int code = count_uses(&pass);
    if (code == EXIT_OK)
        code = entries_walk(image, image->as_of, take_segment, &pass);
    progress_clear();
    average_epochs(ret_chart);
    return code;
}
