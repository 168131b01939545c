/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a store, and nothing else. format-spec/README.md explains them: whoever changes one
 * changes the other. Little-endian; all stores to the mapping are of aligned 8-byte words, but for
 * the four-byte fields that are named so.
 *
 *   page 0        superblock
 *   page 1, 2     checkpoint records
 *   page 3        live state: identity of the holder, epochs, block allocator
 *   page 4...     live state: 2 KiB for each shard
 *   ...           the last page of the header: copy of the superblock
 *   block H       block map, then 1 block map every RV_MAP_SPAN blocks; between them data blocks
 */
#ifndef RV_FORMAT_H
#define RV_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define RV_PAGE 4096u
#define RV_MAGIC UINT64_C(0x0a1a0a0d53565289) /* bytes 89 'R' 'V' 'S' 0d 0a 1a 0a */
#define RV_FORMAT_VERSION 1u
#define RV_BLOCK_LOG2 16u /* default; 12 to 20 */
#define RV_SLOT_LOG2 8u   /* default; 7 to 12 */
#define RV_SHARDS 16u     /* default */
#define RV_SHARDS_MAX 256u

/* Page 0, and again in the header's last page. Constant after creation. */
struct rv_disk_superblock {
    uint64_t magic;               /*   0 */
    uint32_t format_version;      /*   8 */
    uint32_t size;                /*  12: of this struct, 512 */
    uint64_t compatible;          /*  16: features that a reader may ignore */
    uint64_t incompatible;        /*  24: features that a reader must know */
    uint64_t writer_incompatible; /* 32: features that a writer must know */
    uint8_t uuid[16];             /*  40 */
    uint64_t hash_seed;           /*  56 */
    uint32_t block_log2;          /*  64 */
    uint32_t slot_log2;           /*  68 */
    uint32_t shards;              /*  72: a power of two */
    uint32_t header_blocks;       /*  76: blocks before the first block map */
    int64_t created_ns;           /*  80 */
    uint64_t reserved[51];        /*  88: zero */
    uint64_t checksum;            /* 496: XXH3-64 of the 496 bytes before */
    uint64_t reserved2;           /* 504: zero */
};
static_assert(sizeof(struct rv_disk_superblock) == 512, "spec: superblock");
static_assert(offsetof(struct rv_disk_superblock, hash_seed) == 56, "spec: superblock");
static_assert(offsetof(struct rv_disk_superblock, created_ns) == 80, "spec: superblock");
static_assert(offsetof(struct rv_disk_superblock, checksum) == 496, "spec: superblock");

/* Pages 1 and 2, written in turn. The valid one with the higher serial counts. */
struct rv_disk_record {
    uint64_t serial;   /*  0: rises by one with each record */
    uint64_t durable;  /*  8: D, the epoch that is durable */
    uint64_t blocks;   /* 16: blocks of the file as of D */
    uint32_t limit;    /* 24: N */
    uint32_t flags;    /* 28: RV_RECORD_... */
    int64_t time_ns;   /* 32: when it was written */
    int64_t last_time; /* 40: no shard's last_time was above it as of D */
    uint64_t reserved; /* 48: zero */
    uint64_t checksum; /* 56: XXH3-64 of the 56 bytes before, seeded with the first half of uuid */
};
static_assert(sizeof(struct rv_disk_record) == 64, "spec: record");
static_assert(offsetof(struct rv_disk_record, checksum) == 56, "spec: record");
enum {
    RV_RECORD_CLEAN = 1,   /* closed: the live state is true too */
    RV_RECORD_TRIMMED = 2, /* no user has more than N visits in the file */
};

/* A log of old words, so that an operation that was cut short by a kill can be taken back. */
struct rv_disk_undo_pair {
    uint64_t offset; /* of the word, bytes from the start of the file */
    uint64_t old;
};

#define RV_UNDO_LIVE 96u  /* pairs in the allocator's log */
#define RV_UNDO_SHARD 30u /* pairs in a shard's log */

struct rv_disk_undo {
    uint64_t count;          /*  0: pairs in use; 0: nothing in flight */
    uint64_t publish_offset; /*  8: of the word that makes the operation true; 0: none yet */
    uint64_t publish_value;  /* 16: what that word becomes */
    uint64_t reserved;       /* 24: zero */
};
static_assert(sizeof(struct rv_disk_undo) == 32, "spec: undo log");

/* A lock that processes share; means something only while sharers have the store open. */
struct rv_disk_lock {
    uint64_t mutex[6]; /*  0: the C library's robust mutex */
    uint64_t repair;   /* 48: 1: an owner died; what the lock guards is yet to be repaired */
    uint64_t holder;   /* 56: process id of the one who took it last */
};
static_assert(sizeof(struct rv_disk_lock) == 64, "spec: lock");

#define RV_SHARERS 32u /* of which the process ids are known */
#define RV_ORDERS 16u  /* free lists of the allocator: runs of 2^0 to 2^15 blocks */

/* Page 3. */
struct rv_disk_live {
    uint8_t boot_id[16];      /*   0: of the boot in which the store was opened for writing */
    uint64_t mount;           /*  16 */
    uint64_t device;          /*  24 */
    uint64_t inode;           /*  32 */
    uint64_t holder;          /*  40: process id of the writer; 0: none */
    uint64_t serial;          /*  48: opening serial: odd while a writer opens */
    uint64_t epoch;           /*  56: E */
    uint64_t durable;         /*  64: D */
    uint64_t failed;          /*  72: errno of a sync that failed; 0: none */
    uint64_t limit;           /*  80: N */
    uint64_t blocks;          /*  88: blocks that are set up; the file may be longer */
    uint64_t synced;          /*  96: serial of the newest record known to be durable */
    uint64_t reserved[3];     /* 104: zero */
    uint64_t free[RV_ORDERS]; /* 128: first free run of 2^k blocks; 0: none */
    struct rv_disk_undo undo; /* 256: the allocator's log */
    struct rv_disk_undo_pair pair[RV_UNDO_LIVE]; /* 288 */
    uint64_t lock_abi;     /* 1824: what the sharers' mutexes are; 0: there are no sharers */
    uint64_t pid_space;    /* 1832: name space of the sharers' process ids */
    uint64_t reserved2[2]; /* 1840: zero */
    struct rv_disk_lock alloc_lock;      /* 1856 */
    struct rv_disk_lock checkpoint_lock; /* 1920 */
    uint64_t sharers[RV_SHARERS];        /* 1984: process ids, for messages; 0: none */
    uint64_t reserved3[232];             /* 2240: zero */
};
static_assert(offsetof(struct rv_disk_live, free) == 128, "spec: live state");
static_assert(offsetof(struct rv_disk_live, undo) == 256, "spec: live state");
static_assert(offsetof(struct rv_disk_live, pair) == 288, "spec: live state");
static_assert(offsetof(struct rv_disk_live, alloc_lock) == 1856, "spec: live state");
static_assert(offsetof(struct rv_disk_live, sharers) == 1984, "spec: live state");
static_assert(sizeof(struct rv_disk_live) == RV_PAGE, "spec: live state");

#define RV_CLASSES                                                                                 \
    14u /* run sizes that lie inside a block: 2^0 to 2^12 slots, and one to spare                  \
         */
#define RV_HAND 4u
#define RV_FANOUT_LOG2 7u
#define RV_FANOUT (1u << RV_FANOUT_LOG2)
#define RV_DEPTH_MAX 56u /* of a segment: 8 levels of 7 bits */

/* Runs that are free now but that a retained version may reach. */
struct rv_disk_limbo {
    uint64_t epoch; /* 0: the newest epoch in which one of them was freed */
    uint64_t head;  /* 8: slot number of the first run, linked by `link`; 0: none */
};

/* 2 KiB for each shard, from page 4. */
struct rv_disk_shard {
    struct rv_disk_lock lock; /*    0: for sharers */
    uint64_t structure;       /*   64: structure counter */
    uint64_t changed;         /*   72: the newest epoch in which something changed here */
    uint64_t last_time;       /*   80: the newest time given to a visit (int64 ns) */
    uint64_t first;           /*   88: block of the shard's first segment; 0: none yet */
    uint64_t
        hand[RV_HAND]; /*  96: runs of blocks taken and not yet used: block << 8 | order | 0x80 */
    uint64_t partial[RV_CLASSES];  /* 128: first slot block of class k with a free run; 0: none */
    struct rv_disk_limbo limbo[3]; /* 240 */
    uint64_t reserved[4];          /*  288: zero */
    struct rv_disk_undo undo;      /* 320 */
    struct rv_disk_undo_pair pair[RV_UNDO_SHARD]; /* 352 */
    uint64_t reserved2[24];                       /* 832: zero */
    uint64_t root[RV_FANOUT];                     /* 1024: the directory's first node */
};
static_assert(offsetof(struct rv_disk_shard, limbo) == 240, "spec: shard");
static_assert(offsetof(struct rv_disk_shard, undo) == 320, "spec: shard");
static_assert(offsetof(struct rv_disk_shard, pair) == 352, "spec: shard");
static_assert(offsetof(struct rv_disk_shard, root) == 1024, "spec: shard");
static_assert(sizeof(struct rv_disk_shard) == 2048, "spec: shard");

/* A directory pointer: 0, a segment's block, or the first slot of a run that holds a node of
 * RV_FANOUT pointers. */
#define RV_POINTER_SEGMENT UINT64_C(0x0100000000000000)
#define RV_POINTER_NODE UINT64_C(0x0200000000000000)
#define RV_POINTER_KIND UINT64_C(0xff00000000000000)

/* One header in a block map. Only `cell`, and `segment` and `prefix` of a segment, count after a
 * power cut; the rest is derived. */
struct rv_disk_block {
    uint64_t cell[3]; /*  0: epoch << 8 | use, see RV_USE_... */
    uint64_t segment; /* 24: shard << 8 | depth of the prefix in bits */
    uint64_t prefix;  /* 32: the high bits of the hashes, left-aligned */
    uint64_t run;     /* 40: kind << 24 | class << 16 | shard: what the block holds */
    uint64_t list;    /* 48: next block << 32 | previous block, in the list that the kind implies */
    uint64_t free; /* 56: slot blocks: first free run's slot << 32 | never used from << 16 | used */
};
static_assert(sizeof(struct rv_disk_block) == 64, "spec: block header");
static_assert(offsetof(struct rv_disk_block, run) == 40, "spec: block header");

enum { /* uses in a cell */
       RV_USE_NONE = 0,
       RV_USE_SEGMENT = 1,
};
enum { /* kinds in `run` */
       RV_KIND_UNUSED = 0,
       RV_KIND_FREE = 1,    /* first of a free run of 2^class blocks */
       RV_KIND_SLOTS = 2,   /* holds runs of 2^class slots of `shard` */
       RV_KIND_LARGE = 3,   /* first of a run of 2^class blocks in use */
       RV_KIND_SEGMENT = 4, /* a segment of `shard`; its class is 0 */
       RV_KIND_MAP = 5,     /* a block map */
       RV_KIND_HAND = 6,    /* first of a run of 2^class blocks in a shard's hand */
};

/* A slot's first 48 bytes; then url, NUL, text, NUL, unless overflow says where they are. */
struct rv_disk_slot {
    uint32_t prev;        /*  0: slot of the next older visit; 0: none */
    uint32_t link;        /*  4: next run in limbo or among the free; means nothing otherwise */
    uint32_t user_id;     /*  8 */
    uint32_t visit_id;    /* 12 */
    int64_t time_ns;      /* 16: since 1970-01-01 UTC */
    uint32_t seq;         /* 24: rises from visit to visit of a user; wraps */
    uint32_t url_length;  /* 28: bytes without the NUL */
    uint32_t text_length; /* 32: bytes without the NUL */
    uint32_t overflow;    /* 36: first slot of the run with the strings; 0: they are here */
    uint64_t checksum; /* 40: XXH3-64 of bytes 8-39, seeded with XXH3-64 of the strings with their
                          NULs */
};
static_assert(sizeof(struct rv_disk_slot) == 48, "spec: slot");
static_assert(offsetof(struct rv_disk_slot, checksum) == 40, "spec: slot");

/* An overflow run begins with 48 bytes too; the strings follow, across slots. */
struct rv_disk_overflow {
    uint32_t reserved;     /*  0: zero */
    uint32_t link;         /*  4: as in a slot */
    uint32_t user_id;      /*  8 */
    uint32_t visit_id;     /* 12 */
    uint64_t reserved2[4]; /* 16: zero */
};
static_assert(sizeof(struct rv_disk_overflow) == sizeof(struct rv_disk_slot), "spec: overflow");

/* A user's visits as of an epoch. */
struct rv_disk_version {
    uint64_t epoch; /* 0: none */
    uint64_t word;  /* see RV_WORD_... */
};
/* word: head slot << 32 | flags << 25 | log2 of the ring's size << 20 | count; 0: no visits */
#define RV_WORD_COUNT 0xfffffu
#define RV_WORD_SIZE_SHIFT 20u
#define RV_WORD_SIZE 0x1fu
#define RV_WORD_EXPLICIT                                                                           \
    (UINT64_C(1) << 25)                      /* a visit's time may have been given by the caller   \
                                              */
#define RV_WORD_OVERFLOW (UINT64_C(1) << 26) /* a visit may have an overflow run */
#define RV_WORD_RESERVED UINT64_C(0xf8000000)

/* One user's line in a segment. */
struct rv_disk_entry {
    uint32_t user_id;                  /*  0: with `changes` one word */
    uint32_t changes;                  /*  4: rises before each change; readers compare it */
    uint32_t newest;                   /*  8: hint: no visit has a larger id */
    uint32_t filter;                   /* 12: hint: Bloom filter of the visit ids, one bit each */
    struct rv_disk_version version[3]; /* 16 */
};
static_assert(sizeof(struct rv_disk_entry) == 64, "spec: entry");

/* A segment: a block; line 0 is this, the others are entries. */
struct rv_disk_segment {
    uint32_t reserved;     /*  0: zero */
    uint32_t link;         /*  4: as in a slot: one that was replaced is freed as a run */
    uint64_t moved;        /*  8: blocks of the two halves, left << 32 | right; both the same if it
                                  was renewed; 0: not replaced */
    uint64_t count;        /* 16: hint: entries in use */
    uint32_t changes;      /* 24: where the change counters of new entries begin: at the largest of
                                  those of entries that splits and renewals have left behind */
    uint32_t reserved2;    /* 28: zero */
    uint64_t reserved3[4]; /* 32: zero */
};
static_assert(sizeof(struct rv_disk_segment) == 64, "spec: segment");
static_assert(offsetof(struct rv_disk_segment, link) == offsetof(struct rv_disk_slot, link),
              "spec: link");

#endif
