/* SPDX-License-Identifier: MIT */
/*
 * Entries have no checksum. One counts if it lies in the segment of its user's hash, has epochs
 * that can be, and names a ring in which no whole visit speaks against it: of another user, out of
 * order, or with another slot for the next older one. What is not whole there was destroyed.
 */
#include "entries.h"
#include "output.h"
#include "rescue.h"
#include "rvdump.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct pass {
    struct rescue *rescue;
    bool failed;                     /* memory was short */
    bool counts;                     /* the segments are those that the record knows */
    bool torn;                       /* a segment lacks entries, or has what is none */
    uint64_t covered[RV_SHARDS_MAX]; /* of each shard's hashes, in units of 2^8 */
};

static int compare_to_slot(const void *key, const void *element)
{
    const uint32_t *slot = key;
    const struct found *found = element;
    return (*slot > found->slot) - (*slot < found->slot);
}

/* The whole visit in a slot, or NULL. The visits are in the order of their slots. */
static struct found *in_slot(const struct rescue *rescue, uint32_t slot)
{
    return rescue->found_count == 0 ? NULL
                                    : bsearch(&slot, rescue->found, rescue->found_count,
                                              sizeof *rescue->found, compare_to_slot);
}

/* Could the visit be one of the newest version's, by the entry's hints? */
static bool is_hinted(const struct rv_disk_entry *entry, uint32_t visit_id)
{
    return visit_id <= entry->newest &&
           (entry->filter & UINT32_C(1) << (visit_id * UINT32_C(0x9e3779b1) >> 27)) != 0;
}

/* Does each whole visit of the ring fit, and is there one? What was written after the last
 * checkpoint may be there in part: then its slots may hold what was there before. */
static bool ring_agrees(const struct rescue *rescue, const struct rv_disk_entry *entry,
                        const struct rv_disk_version *version, bool *ret_seen)
{
    const struct image *image = rescue->image;
    uint64_t word = version->word;
    bool is_new = image->has_record && !image->clean && version->epoch > image->record.durable;
    const struct found *newer = NULL;
    *ret_seen = false;
    for (uint32_t i = 0; i < rescue_visible(rescue, word); i++) {
        const struct found *found = in_slot(rescue, word_slot(word, i));
        if (found == NULL)
            continue;
        bool last = i + 1 == word_count(word);
        if (found->user_id != entry->user_id || (is_new && !is_hinted(entry, found->visit_id)) ||
            (!last && found->prev != word_slot(word, i + 1)) ||
            (newer != NULL &&
             ((int32_t)(newer->seq - found->seq) <= 0 || newer->time_ns < found->time_ns)))
            return false;
        newer = found;
        *ret_seen = true;
    }
    return true;
}

/* Finds the newest version that agrees with the visits, and of which there are any; only if there
 * is none, the newest one of which there are none. On a store that was closed, or may have been,
 * only the newest counts: an older one would bring back what was removed. Returns how many newer
 * ones were passed over, -1 if none agrees. */
static int version_of(const struct rescue *rescue, const struct rv_disk_entry *entry,
                      uint64_t *ret_word)
{
    const struct image *image = rescue->image;
    uint64_t as_of = UINT64_MAX;
    bool older_counts = image->has_record && !image->clean && !image->record_broken;
    int otherwise = -1;
    for (int passed = 0; passed == 0 || older_counts; passed++) {
        int newest = entry_newest(entry, as_of);
        if (newest < 0)
            break;
        const struct rv_disk_version *version = &entry->version[newest];
        bool seen;
        if (word_is_sane(image, version->word) && ring_agrees(rescue, entry, version, &seen)) {
            bool empty = version->word == 0 && image->has_record && passed == 0;
            if (seen || empty) {
                *ret_word = version->word;
                return passed;
            }
            if (image->has_record && passed == 0) {
                *ret_word = version->word;
                otherwise = 0;
            }
        }
        as_of = version->epoch - 1;
    }
    return otherwise;
}

static bool epochs_can_be(const struct image *image, const struct rv_disk_entry *entry)
{
    uint64_t most =
        image->has_record ? image->record.durable + (image->clean ? 0 : 2) : UINT64_C(1) << 55;
    for (int i = 0; i < 3; i++) {
        if (entry->version[i].epoch > most)
            return false;
    }
    return true;
}

static bool hash_belongs(const struct image *image, const struct segment *segment, uint32_t user_id)
{
    if (image->super_from == IMAGE_SUPER_NONE) /* then the seed is lost too */
        return true;
    uint64_t hash = XXH3_64bits_withSeed(&user_id, sizeof user_id, image->super.hash_seed);
    uint64_t prefix = segment->depth == 0 ? 0 : hash >> (64 - segment->depth);
    uint64_t own = segment->depth == 0 ? 0 : segment->prefix >> (64 - segment->depth);
    return hash % image->shards == segment->shard && prefix == own;
}

static bool take_entry(struct rescue *rescue, const struct rv_disk_entry *entry)
{
    uint64_t word = 0;
    int passed = version_of(rescue, entry, &word);
    void *array = rescue->owners;
    if (!rescue_grow(&array, sizeof *rescue->owners, rescue->owner_count, &rescue->owner_capacity))
        return false;
    rescue->owners = array;
    rescue->owners[rescue->owner_count++] = (struct owner){.word = word,
                                                           .user_id = entry->user_id,
                                                           .changes = entry->changes,
                                                           .sound = passed >= 0,
                                                           .older = passed > 0};
    return true;
}

static bool take_segment(void *data, const struct segment *segment)
{
    struct pass *pass = data;
    struct rescue *rescue = pass->rescue;
    if (segment->depth > RV_DEPTH_MAX || segment->shard >= rescue->image->shards)
        return true;
    pass->covered[segment->shard] +=
        pass->counts ? (UINT64_C(1) << RV_DEPTH_MAX) >> segment->depth : 0;
    uint32_t believed = 0;
    for (uint32_t i = 0; i < image_entries(rescue->image) && !pass->failed; i++) {
        const struct rv_disk_entry *entry = &segment->entries[i];
        if (entry_is_used(entry) && epochs_can_be(rescue->image, entry) &&
            hash_belongs(rescue->image, segment, entry->user_id)) {
            pass->failed = !take_entry(rescue, entry);
            believed++;
        }
    }
    /* A writer that was killed may have counted one that it did not come to make; after a power cut
     * the number means nothing. */
    bool off = segment->count < segment->used || segment->count > (uint64_t)segment->used + 1;
    pass->torn = pass->torn || believed != segment->used || (rescue->image->clean && off);
    return !pass->failed;
}

/* By user; of one user the entry with the most changes first. */
static int compare_owners(const void *a, const void *b)
{
    const struct owner *x = a, *y = b;
    if (x->user_id != y->user_id)
        return x->user_id < y->user_id ? -1 : 1;
    if (x->changes != y->changes)
        return x->changes > y->changes ? -1 : 1;
    return y->sound - x->sound;
}

static void keep_one_each(struct rescue *rescue)
{
    size_t kept = 0;
    if (rescue->owner_count > 0)
        qsort(rescue->owners, rescue->owner_count, sizeof *rescue->owners, compare_owners);
    for (size_t i = 0; i < rescue->owner_count; i++) {
        if (kept == 0 || rescue->owners[kept - 1].user_id != rescue->owners[i].user_id)
            rescue->owners[kept++] = rescue->owners[i];
    }
    rescue->owner_count = kept;
}

static void give_ranks(struct rescue *rescue)
{
    for (size_t i = 0; i < rescue->owner_count; i++) {
        const struct owner *owner = &rescue->owners[i];
        for (uint32_t n = 0; n < rescue_visible(rescue, owner->word); n++) {
            struct found *found = in_slot(rescue, word_slot(owner->word, n));
            if (found != NULL && found->user_id == owner->user_id)
                found->rank = n + 1;
        }
    }
}

/* Has the shard ever had a segment? */
static bool has_index(struct image *image, uint32_t number)
{
    struct rv_disk_shard shard;
    image_read(image, image_shard_offset(number), &shard, sizeof shard);
    uint64_t pointers = shard.first;
    for (uint32_t i = 0; i < RV_FANOUT; i++)
        pointers |= shard.root[i];
    return pointers != 0;
}

/* A shard's segments cover all hashes, or it has none. */
static bool is_complete(const struct pass *pass)
{
    const uint64_t all = UINT64_C(1) << RV_DEPTH_MAX;
    struct image *image = pass->rescue->image;
    bool complete = !pass->torn && image->has_record &&
                    image->size >> image->block_log2 >= image->record.blocks;
    for (uint32_t i = 0; i < image->shards && complete; i++)
        complete = pass->covered[i] == all || (pass->covered[i] == 0 && !has_index(image, i));
    return complete;
}

int rescue_find_owners(struct rescue *rescue)
{
    struct pass pass = {.rescue = rescue, .counts = rescue->image->as_of == UINT64_MAX};
    int code = entries_walk(rescue->image, UINT64_MAX, take_segment, &pass);
    /* What an unclean store's newest cells call a segment may be noise; as of its record it isn't.
     */
    pass.counts = true;
    if (code == EXIT_OK && rescue->image->as_of != UINT64_MAX)
        code = entries_walk(rescue->image, rescue->image->as_of, take_segment, &pass);
    if (pass.failed)
        say("out of memory");
    if (code == EXIT_OK) {
        keep_one_each(rescue);
        give_ranks(rescue);
        rescue->index_complete = is_complete(&pass);
    }
    return code;
}
