/* SPDX-License-Identifier: MIT */
#include "marks.h"

#include <errno.h>
#include <stdlib.h>

VisitStatus rv_marks_make(struct rv_store *st, uint64_t blocks, struct rv_marks *ret_marks)
{
    struct rv_marks marks = {.blocks = blocks};
    marks.used = calloc(((blocks << st->geo.slots_log2) + 63) / 64, sizeof *marks.used);
    marks.content = calloc(blocks, sizeof *marks.content);
    if (!marks.used || !marks.content) {
        rv_marks_free(&marks);
        return rv_fail_errno(st->file.path, "examine", ENOMEM);
    }
    *ret_marks = marks;
    return VISIT_OK;
}

void rv_marks_free(struct rv_marks *marks)
{
    free(marks->used);
    free(marks->content);
    *marks = (struct rv_marks){0};
}

const char *rv_marks_blocks(const struct rv_store *st, struct rv_marks *marks, uint64_t block,
                            uint32_t order, uint64_t run)
{
    uint64_t end = block + (UINT64_C(1) << order);
    for (uint64_t i = block; i < end; i++) {
        if (i >= marks->blocks || rv_is_map(st, i)) {
            return "a run lies over a block map, or ends beyond the file";
        }
        if (marks->content[i]) {
            return "two runs share a block";
        }
    }
    for (uint64_t i = block; i < end; i++) {
        marks->content[i] = i == block ? (uint32_t)run : RV_MARKS_REST;
    }
    return NULL;
}

const char *rv_marks_run(const struct rv_store *st, struct rv_marks *marks, uint32_t slot,
                         uint32_t run_class, uint32_t shard)
{
    uint64_t size = UINT64_C(1) << run_class;
    uint64_t block = slot >> st->geo.slots_log2;
    if (slot & (size - 1)) {
        return "a run is not aligned to its size";
    }
    if (!rv_slots_valid(st, slot, size) || slot + size > marks->blocks << st->geo.slots_log2) {
        return "a run lies outside the file";
    }
    if (run_class >= st->geo.slots_log2) {
        uint32_t order = run_class - st->geo.slots_log2;
        return rv_marks_blocks(st, marks, block, order, rv_run_word(RV_KIND_LARGE, order, shard));
    }
    uint32_t content = (uint32_t)rv_run_word(RV_KIND_SLOTS, run_class, shard);
    if (rv_is_map(st, block) || (marks->content[block] && marks->content[block] != content)) {
        return "a run does not fit the use of its block";
    }
    marks->content[block] = content;
    for (uint64_t i = slot; i < slot + size; i++) {
        if (rv_marks_is_used(marks, i)) {
            return "two runs share a slot";
        }
        marks->used[i / 64] |= UINT64_C(1) << i % 64;
    }
    return NULL;
}

const char *rv_marks_segment(const struct rv_store *st, struct rv_marks *marks, uint64_t block,
                             uint32_t shard)
{
    if (rv_is_map(st, block) || block >= marks->blocks || marks->content[block]) {
        return "a segment lies where something else is";
    }
    marks->content[block] = (uint32_t)rv_run_word(RV_KIND_SEGMENT, 0, shard);
    return NULL;
}
