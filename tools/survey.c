/* SPDX-License-Identifier: MIT */
#include "survey.h"
#include "entries.h"
#include "rvdump.h"

struct pass {
    struct image *image;
    struct survey *survey;
};

static bool take_segment(void *data, const struct segment *segment)
{
    struct pass *pass = data;
    struct survey *survey = pass->survey;
    uint32_t entries = image_entries(pass->image);
    histogram_count_share(&survey->index_load, segment->used, entries);
    for (uint32_t i = 0; i < entries; i++) {
        const struct rv_disk_entry *entry = &segment->entries[i];
        int newest = entry_newest(entry, pass->image->as_of);
        uint64_t word = newest < 0 ? 0 : entry->version[newest].word;
        if (!entry_is_used(entry))
            continue;
        survey->changes += entry->changes;
        if (word == 0)
            survey->empty_entries++;
        else if (word_is_sane(pass->image, word))
            histogram_count_share(&survey->ring_fill, image_visible(pass->image, word),
                                  UINT64_C(1) << word_class(word));
    }
    return true;
}

/* The slots of the run that begins here; 0 if none does. */
static uint64_t slots_of_run(struct image *image, uint32_t slot)
{
    struct rv_disk_block header;
    uint64_t block = (uint64_t)slot >> (image->block_log2 - image->slot_log2);
    if (!image_has_slots(image, slot, 1) || !image_header(image, block, &header))
        return 0;
    uint32_t k = run_class(header.run);
    if (run_kind(header.run) == RV_KIND_LARGE || run_kind(header.run) == RV_KIND_SEGMENT)
        k += image->block_log2 - image->slot_log2;
    return k <= image_max_class(image) ? UINT64_C(1) << k : 0;
}

/* A chain that changes while it is read, or is broken, may have no end: there is a bound. */
static void take_limbo(struct pass *pass, uint64_t head)
{
    struct image *image = pass->image;
    uint64_t most = image->size >> image->slot_log2;
    uint32_t slot = head <= UINT32_MAX ? (uint32_t)head : 0;
    for (uint64_t steps = 0; slot != 0 && steps < most; steps++) {
        struct rv_disk_slot first;
        uint64_t slots = slots_of_run(image, slot);
        if (slots == 0)
            return;
        pass->survey->limbo_runs++;
        pass->survey->limbo_slots += slots;
        image_read(image, image_slot_offset(image, slot), &first, sizeof first);
        slot = first.link;
    }
}

static void take_shard(struct pass *pass, uint32_t number)
{
    struct rv_disk_shard shard;
    image_read(pass->image, image_shard_offset(number), &shard, sizeof shard);
    for (int i = 0; i < 3; i++)
        take_limbo(pass, shard.limbo[i].head);
    for (uint32_t i = 0; i < RV_HAND; i++) {
        if (shard.hand[i] != 0 && (shard.hand[i] & 0x7f) < RV_ORDERS)
            pass->survey->hand_blocks += UINT64_C(1) << (shard.hand[i] & 0x7f);
    }
}

int survey_take(struct image *image, struct survey *ret_survey)
{
    struct pass pass = {.image = image, .survey = ret_survey};
    *ret_survey = (struct survey){0};
    histogram_by_tenths(&ret_survey->ring_fill, "Rings: how much of them visits fill",
                        "ring_fill_percent");
    histogram_by_tenths(&ret_survey->index_load, "Segments of the index: how full they are",
                        "index_load_percent");
    int code = entries_walk(image, image->as_of, take_segment, &pass);
    /* What an unclean store's live state says means nothing before it is repaired. */
    for (uint32_t i = 0; i < image->shards && image->as_of == UINT64_MAX; i++)
        take_shard(&pass, i);
    return code;
}
