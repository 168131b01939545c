/* SPDX-License-Identifier: MIT */
/*
 * Proved are a user's visits that stand in the ring of a sound entry. Without one, all whole visits
 * of the user are looked at, of each visit id the newest copy. First come those of the ring that
 * has the newest visit: the ring in use has all that are left, also where older rings have newer
 * ones that were removed. The rest fills up to the limit.
 */
#include "choose.h"

#include <stdlib.h>

/* The highest number that the user's visits can have: of a closed store the change counter. After a
 * power cut the counter may be from before; then a version that is not the newest tells the number
 * of its newest visit. False if there is no bound. */
static bool bound_of(const struct rescue *rescue, const struct owner *owner,
                     const struct found *visits, size_t count, uint32_t *ret_bound)
{
    *ret_bound = owner->changes;
    if (rescue->image->clean)
        return true;
    for (size_t i = 0; i < count && owner->older; i++) {
        if (visits[i].rank == 1)
            *ret_bound = visits[i].seq;
    }
    return owner->older;
}

/* Has a visit of the user a higher number? Then the entry is from before. In a store that was
 * closed the one that has the change counter's number is in the ring: there is no later change. */
static bool is_outdated(const struct rescue *rescue, const struct owner *owner,
                        const struct found *visits, size_t count)
{
    uint32_t bound;
    if (!bound_of(rescue, owner, visits, count, &bound))
        return false;
    for (size_t i = 0; i < count; i++) {
        if ((int32_t)(visits[i].seq - bound) > 0 ||
            (rescue->image->clean && visits[i].seq == bound && visits[i].rank == 0))
            return true;
    }
    return false;
}

/* ---- Proved ---- */

/* Those in the ring first, oldest first. */
static int compare_ranks(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return (x->rank < y->rank) - (x->rank > y->rank);
}

static void choose_proved(const struct rescue *rescue, const struct owner *owner,
                          struct found *visits, size_t count, struct choice *choice)
{
    uint32_t expected = rescue_visible(rescue, owner->word);
    if (count > 0)
        qsort(visits, count, sizeof *visits, compare_ranks);
    while (choice->saved < count && visits[choice->saved].rank > 0)
        choice->saved++;
    choice->lost = expected - choice->saved;
}

/* ---- Unproved ---- */

static uint32_t class_of_full_ring(const struct rescue *rescue)
{
    uint32_t k = 0;
    while (UINT64_C(1) << k < (uint64_t)rescue->limit + 2)
        k++;
    return k;
}

/* Names the ring that a slot is in. Where the block's header is lost it is taken for a full ring:
 * too large is harmless, as only slots of one user are asked about. */
static uint64_t ring_of(const struct rescue *rescue, uint32_t slot)
{
    struct image *image = rescue->image;
    uint32_t slots_log2 = image->block_log2 - image->slot_log2;
    struct rv_disk_block header = {0};
    uint64_t block = slot >> slots_log2;
    uint32_t k = class_of_full_ring(rescue);
    if (block >= image->header_blocks && image_header(image, block, &header) &&
        run_kind(header.run) == RV_KIND_SLOTS && run_class(header.run) < slots_log2)
        k = run_class(header.run);
    return (uint64_t)k << 32 | slot >> k;
}

/* The newest visit's number; they wrap round. */
static uint32_t newest_seq(const struct found *visits, size_t count)
{
    uint32_t newest = visits[0].seq;
    for (size_t i = 1; i < count; i++) {
        if ((int32_t)(visits[i].seq - newest) > 0)
            newest = visits[i].seq;
    }
    return newest;
}

static int compare_rings(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return (x->ring > y->ring) - (x->ring < y->ring);
}

/* Marks the visits of each ring that has the newest one, or a copy of it. */
static void mark_current(const struct rescue *rescue, struct found *visits, size_t count)
{
    uint32_t newest = newest_seq(visits, count);
    for (size_t i = 0; i < count; i++) {
        visits[i].ring = ring_of(rescue, visits[i].slot);
        visits[i].age = newest - visits[i].seq;
    }
    qsort(visits, count, sizeof *visits, compare_rings);
    for (size_t i = 0; i < count;) {
        size_t end = i;
        bool current = false;
        for (; end < count && visits[end].ring == visits[i].ring; end++)
            current = current || visits[end].age == 0;
        for (; i < end; i++)
            visits[i].current = current;
    }
}

static int compare_preference(const struct found *x, const struct found *y)
{
    if (x->current != y->current)
        return x->current ? -1 : 1;
    return (x->age > y->age) - (x->age < y->age);
}

/* Of each visit id the best copy first. */
static int compare_copies(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->visit_id != y->visit_id)
        return x->visit_id < y->visit_id ? -1 : 1;
    int preference = compare_preference(x, y);
    return preference != 0 ? preference : (x->slot > y->slot) - (x->slot < y->slot);
}

static int compare_best(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    int preference = compare_preference(x, y);
    return preference != 0 ? preference : (x->visit_id > y->visit_id) - (x->visit_id < y->visit_id);
}

/* In the order in which they are added. */
static int compare_times(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return (x->age < y->age) - (x->age > y->age);
}

static void choose_unproved(const struct rescue *rescue, struct found *visits, size_t count,
                            struct choice *choice)
{
    uint32_t kept = 0;
    mark_current(rescue, visits, count);
    qsort(visits, count, sizeof *visits, compare_copies);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || visits[kept - 1].visit_id != visits[i].visit_id)
            visits[kept++] = visits[i];
    }
    qsort(visits, kept, sizeof *visits, compare_best);
    choice->saved = kept < rescue->limit ? kept : rescue->limit;
    choice->left_out = kept - choice->saved;
    qsort(visits, choice->saved, sizeof *visits, compare_times);
}

void choose(const struct rescue *rescue, const struct owner *owner, struct found *visits,
            size_t count, struct choice *ret_choice)
{
    *ret_choice = (struct choice){.proved = owner != NULL && owner->sound &&
                                            !is_outdated(rescue, owner, visits, count)};
    if (ret_choice->proved)
        choose_proved(rescue, owner, visits, count, ret_choice);
    else if (count > 0)
        choose_unproved(rescue, visits, count, ret_choice);
}
