/* SPDX-License-Identifier: MIT */
/* The open store: what all modules below the public functions share. */
#ifndef RV_STORE_H
#define RV_STORE_H

#include "error.h"
#include "file.h"
#include "format.h"
#include "word.h"

#include <pthread.h>
#include <stdbool.h>

static_assert(sizeof(void *) == 8, "librv needs a 64-bit machine");

/* Options with every default filled in. block_log2 is for tests: small blocks split sooner. */
struct rv_options {
    uint32_t mode;
    uint32_t create;
    uint32_t max_visits; /* 0: as the store has it */
    uint32_t slot_log2;
    uint32_t block_log2;
    uint32_t shards;
    uint32_t file_mode;
    uint32_t recovery;
    uint32_t backup_wait_ms;
    uint32_t lock_wait_ms;
    bool erase;
    VisitProgress *progress;
    void *progress_data;
};

/* What is constant for a store, worked out from its superblock. */
struct rv_geometry {
    uint32_t block_log2;
    uint32_t slot_log2;
    uint32_t slots_log2; /* slots of a block */
    uint32_t shards;
    uint32_t header_blocks; /* the first block map is the block after them */
    uint32_t map_span;      /* blocks that one block map describes, itself included: 2^k */
    uint32_t entries;       /* of a segment */
    uint32_t max_class;     /* of a run: half of what lies between two block maps */
    uint64_t seed;
};

/* A shard in this process. */
struct rv_shard {
    pthread_mutex_t lock;
    struct rv_disk_shard *disk;       /* writable; NULL if read-only */
    const struct rv_disk_shard *view; /* the same through the read-only mapping */
    uint32_t index;
    struct rv_view *scratch; /* for the operation that holds the lock */
    size_t scratch_count;
    /* A bit for each chain that was found damaged: operations leave it alone. Else each try would
     * make room for it in the hand, by what the last one has taken. */
    unsigned broken_limbo;
    uint64_t limbo_slots; /* that went into limbo since the open, less those that left it;
                             of sharers, since another's checkpoint */
} __attribute__((aligned(64)));

/* One segment of a store that is read as of its last checkpoint. */
struct rv_private_segment {
    uint32_t shard;
    uint32_t block;
    uint64_t prefix;
};

struct rv_store {
    struct rv_file file;
    struct rv_geometry geo;
    struct rv_disk_superblock super;
    struct rv_disk_live *live;       /* writable; NULL if read-only */
    const struct rv_disk_live *view; /* the same through the read-only mapping */
    struct rv_shard *shard;
    pthread_mutex_t alloc_lock;
    pthread_mutex_t grow_lock; /* of the file's length; the last to be taken */
    struct rv_ticker *ticker;  /* NULL: none */
    uint32_t limit;            /* N */
    bool trimmed;              /* no user has more than N visits in the file */
    bool header_safe;          /* a checkpoint may leave the header out */
    uint32_t state;            /* VISIT_FOUND_... */
    uint32_t backup_wait_ms;
    uint32_t recovery; /* VISIT_RECOVER, VISIT_RECOVER_REFUSE */

    /* Sharers: several processes write. */
    bool shared;
    bool erase; /* what is freed is overwritten with zeros */
    uint32_t lock_wait_ms;
    uint64_t pid;
    /* What to do when a lock's owner has died; sh NULL: the allocator's. */
    VisitStatus (*repair)(struct rv_store *st, struct rv_shard *sh);

    /* Checkpoints; from beginning to end of one, `checkpointing` is somebody's (lock.h). */
    pthread_mutex_t checkpoint_lock; /* of that, and of `backups` */
    pthread_cond_t checkpoint_end;
    pthread_cond_t checkpoint_joined;
    bool checkpointing;
    unsigned joined[2]; /* threads that came for an even, and for an odd epoch */
    unsigned expected;  /* so many of them are waited for before one begins; 0: it does not wait */
    unsigned backups;   /* read-only: that keep checkpoints waiting */
    unsigned record_index;        /* of the newest record: 0 or 1 */
    struct rv_disk_record record; /* its content */
    bool broken_record;           /* the other one is neither valid nor zero */

    /* Read-only on a store that was not closed: what counts is epochs up to `as_of`. */
    uint64_t as_of;  /* UINT64_MAX: the newest */
    uint64_t serial; /* the opening serial at which that was found out */
    struct rv_private_segment *segments;
    size_t segment_count;

    VisitProgress *progress;
    void *progress_data;
};

static inline uint64_t rv_block_offset(const struct rv_store *st, uint64_t block)
{
    return block << st->geo.block_log2;
}

static inline uint64_t rv_slot_offset(const struct rv_store *st, uint64_t slot)
{
    return slot << st->geo.slot_log2;
}

static inline uint32_t rv_slot_block(const struct rv_store *st, uint32_t slot)
{
    return slot >> st->geo.slots_log2;
}

/* Other processes may change what the file holds, and how long it is. */
static inline bool rv_others_write(const struct rv_store *st)
{
    return st->file.read_only || st->shared;
}

/* Has a writer opened the store since this reader found out what counts? */
static inline bool rv_opened_since(const struct rv_store *st)
{
    return rv_load_acquire(&st->view->serial) != st->serial;
}

static inline uint64_t rv_file_size(const struct rv_store *st)
{
    return __atomic_load_n(&st->file.size, __ATOMIC_RELAXED);
}

static inline bool rv_is_map(const struct rv_store *st, uint64_t block)
{
    return block >= st->geo.header_blocks &&
           ((block - st->geo.header_blocks) & (st->geo.map_span - 1)) == 0;
}

/* Does the number name a whole block of the file that holds data? */
static inline bool rv_block_valid(const struct rv_store *st, uint64_t block)
{
    return block > st->geo.header_blocks && !rv_is_map(st, block) &&
           block < rv_file_size(st) >> st->geo.block_log2;
}

/* Do `count` slots from `slot` lie in the file's whole blocks, behind the header? */
static inline bool rv_slots_valid(const struct rv_store *st, uint64_t slot, uint64_t count)
{
    return slot >> st->geo.slots_log2 > st->geo.header_blocks && slot <= UINT32_MAX &&
           (slot + count - 1) >> st->geo.slots_log2 < rv_file_size(st) >> st->geo.block_log2;
}

/* The offset of a block's header in its block map. */
static inline uint64_t rv_header_offset(const struct rv_store *st, uint64_t block)
{
    uint64_t index = (block - st->geo.header_blocks) & (st->geo.map_span - 1);
    return rv_block_offset(st, block - index) + index * sizeof(struct rv_disk_block);
}

static inline struct rv_disk_block *rv_header(struct rv_store *st, uint64_t block)
{
    return (struct rv_disk_block *)(st->file.rw + rv_header_offset(st, block));
}

static inline void *rv_rw(struct rv_store *st, uint64_t offset)
{
    return st->file.rw + offset;
}

/* Notes that the page with this word is being written: see rv_file_sync_busy(). */
static inline void rv_touch(struct rv_store *st, const void *word)
{
    rv_file_touch(&st->file, (uint64_t)((const uint8_t *)word - st->file.rw));
}

static inline const void *rv_ro(const struct rv_store *st, uint64_t offset)
{
    return st->file.ro + offset;
}

/* block header: run */
static inline uint64_t rv_run_word(uint32_t kind, uint32_t run_class, uint32_t shard)
{
    return (uint64_t)kind << 24 | run_class << 16 | shard;
}

static inline uint32_t rv_run_kind(uint64_t run)
{
    return (uint32_t)(run >> 24);
}

static inline uint32_t rv_run_class(uint64_t run)
{
    return (uint32_t)(run >> 16) & 0xff;
}

static inline uint32_t rv_run_shard(uint64_t run)
{
    return (uint32_t)run & 0xffff;
}

/* A run's class: log2 of its slots. From slots_log2 on it is whole blocks. */
static inline uint32_t rv_class_for(uint64_t slots)
{
    return slots > 1 ? 64 - (uint32_t)__builtin_clzll(slots - 1) : 0;
}

/* The class of a full ring of `limit` visits: with two slots to turn in. */
static inline uint32_t rv_ring_class(uint32_t limit)
{
    return rv_class_for((uint64_t)limit + 2);
}

/* Damage that an operation meets: says where, and what can be done. */
#define rv_corrupt(st, offset, what)                                                               \
    rv_fail(VISIT_ERROR_CORRUPT, (st)->file.path,                                                  \
            "damaged at byte %llu: %s; run 'rvdump verify', restore a backup",                     \
            (unsigned long long)(offset), what)

#endif
