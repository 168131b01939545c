/* SPDX-License-Identifier: MIT */
/*
 * The floors: what the work costs at least, with nothing that makes a store of it. No checksum, no
 * lock, no version, no durability, a table whose final size is known.
 *
 *   table (power of two, at most half full)     rings, in the order of the users' first adds
 *   +------+------+------+------+               +--------------------+--------------------+
 *   | user | free | user | free | ...           | N slots of user 7  | N slots of user 3  | ...
 *   +------+------+------+------+               +--------------------+--------------------+
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "engine.h"

enum { SLOT_BYTES = 256, LINE_BYTES = 64, SLOT_HEADER_BYTES = 32 };

struct floor_entry {
    uint32_t user_id;
    uint32_t ring;    /* 1 + the ring's number; 0: the entry is free */
    uint32_t head;    /* the newest visit's slot in the ring */
    uint32_t count;   /* visits */
    uint32_t largest; /* the largest visit id seen, and a filter with a bit for each id seen: */
    uint32_t filter;  /* together they tell that an id is surely new */
    uint64_t reserved;
};
_Static_assert(sizeof(struct floor_entry) == 32, "two entries a cache line");

struct floor_slot {
    uint32_t visit_id, user_id;
    uint32_t url_length, text_length;
    struct timespec time;
    char strings[SLOT_BYTES - SLOT_HEADER_BYTES]; /* url NUL text NUL */
};
_Static_assert(sizeof(struct floor_slot) == SLOT_BYTES, "slots are 256 bytes");

struct floor {
    struct floor_entry *table;
    struct floor_slot *slots;
    uint32_t table_shift; /* 32 - log2 of the table's size */
    uint32_t table_mask;
    uint32_t rings_used, rings_max;
    uint32_t max_visits;
    Visit *result; /* reused by every read */
    void *mapping;
    size_t mapping_bytes;
    pthread_t syncer; /* of floor-sync; with these: */
    pthread_mutex_t lock;
    pthread_cond_t closed;
    bool syncs, closes;
};

static void set_sizes(struct floor *floor, const struct bench_setup *setup)
{
    uint32_t bits = 1;
    while ((UINT64_C(1) << bits) < 2 * (uint64_t)setup->users)
        bits++;
    size_t table_bytes = sizeof(struct floor_entry) << bits;
    floor->table_shift = 32 - bits;
    floor->table_mask = (uint32_t)((UINT64_C(1) << bits) - 1);
    floor->rings_max = setup->users;
    floor->max_visits = setup->max_visits;
    table_bytes = (table_bytes + 4095) / 4096 * 4096;
    floor->mapping_bytes = table_bytes + (size_t)setup->users * setup->max_visits * SLOT_BYTES;
    floor->result = bench_alloc(setup->max_visits, sizeof(Visit));
}

static void *open_floor(const struct bench_setup *setup, int fd)
{
    struct floor *floor = bench_alloc(1, sizeof(*floor));
    set_sizes(floor, setup);
    if (fd >= 0 && ftruncate(fd, (off_t)floor->mapping_bytes) != 0)
        bench_die("can't make the file in %s large: %s", setup->folder, strerror(errno));
    floor->mapping =
        mmap(NULL, floor->mapping_bytes, PROT_READ | PROT_WRITE,
             fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, fd, 0);
    if (floor->mapping == MAP_FAILED)
        bench_die("can't map %zu bytes: %s", floor->mapping_bytes, strerror(errno));
    floor->table = floor->mapping;
    size_t slots_bytes = (size_t)floor->rings_max * floor->max_visits * SLOT_BYTES;
    floor->slots = (void *)((char *)floor->mapping + (floor->mapping_bytes - slots_bytes));
    return floor;
}

static void *open_anon(const struct bench_setup *setup)
{
    return open_floor(setup, -1);
}

static void *open_huge(const struct bench_setup *setup)
{
    struct floor *floor = open_floor(setup, -1);
    madvise(floor->mapping, floor->mapping_bytes, MADV_HUGEPAGE);
    return floor;
}

static void *open_file(const struct bench_setup *setup)
{
    char path[PATH_MAX];
    bench_path(path, sizeof(path), setup->folder, "floor");
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        bench_die("can't make %s: %s", path, strerror(errno));
    void *floor = open_floor(setup, fd);
    close(fd);
    return floor;
}

static void sync_floor(void *state)
{
    struct floor *floor = state;
    if (msync(floor->mapping, floor->mapping_bytes, MS_SYNC) != 0)
        bench_die("msync: %s", strerror(errno));
}

/* The rings of users that came; the file has room for all. */
static uint64_t bytes_floor(void *state)
{
    const struct floor *floor = state;
    size_t ring_bytes = (size_t)floor->max_visits * SLOT_BYTES;
    return floor->mapping_bytes - (floor->rings_max - floor->rings_used) * ring_bytes;
}

/* All that changed goes to the disk, torn or not. */
static void *sync_each_second(void *state)
{
    struct floor *floor = state;
    struct timespec until;
    pthread_mutex_lock(&floor->lock);
    while (!floor->closes) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        if (pthread_cond_timedwait(&floor->closed, &floor->lock, &until) == ETIMEDOUT)
            sync_floor(floor);
    }
    pthread_mutex_unlock(&floor->lock);
    return NULL;
}

static void *open_sync(const struct bench_setup *setup)
{
    struct floor *floor = open_file(setup);
    pthread_mutex_init(&floor->lock, NULL);
    pthread_cond_init(&floor->closed, NULL);
    floor->syncs = pthread_create(&floor->syncer, NULL, sync_each_second, floor) == 0;
    if (!floor->syncs)
        bench_die("can't start a thread");
    return floor;
}

static void end_syncs(struct floor *floor)
{
    pthread_mutex_lock(&floor->lock);
    floor->closes = true;
    pthread_cond_signal(&floor->closed);
    pthread_mutex_unlock(&floor->lock);
    pthread_join(floor->syncer, NULL);
}

static void close_floor(void *state)
{
    struct floor *floor = state;
    if (floor->syncs)
        end_syncs(floor);
    munmap(floor->mapping, floor->mapping_bytes);
    free(floor->result);
    free(floor);
}

/* A 32-bit mixer that spreads any set of ids, not only dense ones. */
static inline uint32_t hash_user(uint32_t id)
{
    id = (id ^ (id >> 16)) * UINT32_C(0x7feb352d);
    return (id ^ (id >> 15)) * UINT32_C(0x846ca68b);
}

/* The user's entry, or the free one where it would be. */
static inline struct floor_entry *find_entry(const struct floor *floor, uint32_t user_id)
{
    uint32_t i = hash_user(user_id) >> floor->table_shift;
    struct floor_entry *entry = &floor->table[i];
    while (entry->ring != 0 && entry->user_id != user_id) {
        i = (i + 1) & floor->table_mask;
        entry = &floor->table[i];
    }
    return entry;
}

static inline struct floor_slot *ring_of(const struct floor *floor, const struct floor_entry *entry)
{
    return floor->slots + (size_t)(entry->ring - 1) * floor->max_visits;
}

static inline uint32_t filter_bit(uint32_t visit_id)
{
    return UINT32_C(1) << ((visit_id * UINT32_C(0x9e3779b9)) >> 27);
}

/* Looks for the id in the ring, and narrows the filter to what is there. */
static bool scan_ring(struct floor_entry *entry, const struct floor_slot *ring, uint32_t size,
                      uint32_t visit_id)
{
    uint32_t filter = 0, i = entry->head;
    bool found = false;
    for (uint32_t n = 0; n < entry->count; n++, i = i ? i - 1 : size - 1) {
        found |= ring[i].visit_id == visit_id;
        filter |= filter_bit(ring[i].visit_id);
    }
    entry->filter = filter;
    return found;
}

static inline bool has_visit(struct floor_entry *entry, const struct floor_slot *ring,
                             uint32_t size, uint32_t visit_id)
{
    if (entry->count == 0 || visit_id > entry->largest || !(entry->filter & filter_bit(visit_id)))
        return false;
    return scan_ring(entry, ring, size, visit_id);
}

static inline void prefetch_slot_for_write(const struct floor_slot *slot)
{
    for (int line = 0; line < 3; line++)
        __builtin_prefetch((const char *)slot + line * LINE_BYTES, 1);
}

static inline void write_slot(struct floor_slot *slot, const struct bench_add *add)
{
    size_t url_size = strlen(add->url.bytes) + 1, text_size = strlen(add->text.bytes) + 1;
    if (url_size + text_size > sizeof(slot->strings))
        bench_die("strings too long for a slot of the floor");
    slot->visit_id = add->visit_id;
    slot->user_id = add->user_id;
    slot->url_length = (uint32_t)url_size - 1;
    slot->text_length = (uint32_t)text_size - 1;
    clock_gettime(CLOCK_REALTIME, &slot->time);
    memcpy(slot->strings, add->url.bytes, url_size);
    memcpy(slot->strings + url_size, add->text.bytes, text_size);
}

static void add_floor(void *state, const struct bench_add *add)
{
    struct floor *floor = state;
    struct floor_entry *entry = find_entry(floor, add->user_id);
    uint32_t size = floor->max_visits;
    if (entry->ring == 0) {
        if (floor->rings_used == floor->rings_max)
            bench_die("more users than the floor was opened for");
        *entry = (struct floor_entry){.user_id = add->user_id, .ring = ++floor->rings_used};
        entry->head = size - 1;
    }
    struct floor_slot *ring = ring_of(floor, entry);
    uint32_t next = entry->head + 1 == size ? 0 : entry->head + 1;
    prefetch_slot_for_write(&ring[next]);
    if (has_visit(entry, ring, size, add->visit_id))
        return;
    write_slot(&ring[next], add);
    entry->head = next;
    entry->count += entry->count < size;
    entry->largest = add->visit_id > entry->largest ? add->visit_id : entry->largest;
    entry->filter |= filter_bit(add->visit_id);
}

/* All slots at once, so that the misses overlap: the header and what mostly holds the text. */
static inline void prefetch_ring(const struct floor_slot *ring, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch((const char *)&ring[i]);
        __builtin_prefetch((const char *)&ring[i] + LINE_BYTES);
    }
}

static void read_floor(void *state, uint32_t user_id, struct bench_visits *ret_visits)
{
    struct floor *floor = state;
    struct floor_entry *entry = find_entry(floor, user_id);
    *ret_visits = (struct bench_visits){.array = floor->result};
    if (entry->ring == 0)
        return;
    struct floor_slot *ring = ring_of(floor, entry);
    /* A ring that is not full holds its visits in its first slots. */
    prefetch_ring(ring, entry->count);
    uint32_t i = entry->head;
    for (uint32_t n = 0; n < entry->count; n++, i = i ? i - 1 : floor->max_visits - 1) {
        floor->result[n] = (Visit){
            .visit_id = ring[i].visit_id,
            .url = ring[i].strings,
            .text = ring[i].strings + ring[i].url_length + 1,
            .time = ring[i].time,
        };
    }
    ret_visits->count = entry->count;
}

const struct bench_engine bench_engine_floor_anon = {
    .name = "floor-anon",
    .what = "hash table and rings in anonymous memory",
    .batch = 1,
    .open = open_anon,
    .add = add_floor,
    .read = read_floor,
    .close = close_floor,
};

const struct bench_engine bench_engine_floor_huge = {
    .name = "floor-huge",
    .what = "the same with huge pages",
    .batch = 1,
    .open = open_huge,
    .add = add_floor,
    .read = read_floor,
    .close = close_floor,
};

const struct bench_engine bench_engine_floor_file = {
    .name = "floor-file",
    .what = "the same in a shared mapping of a file that is not populated",
    .batch = 1,
    .bytes = bytes_floor,
    .open = open_file,
    .add = add_floor,
    .sync = sync_floor,
    .read = read_floor,
    .close = close_floor,
};

const struct bench_engine bench_engine_floor_sync = {
    .name = "floor-sync",
    .what = "the same, all synced once a second",
    .batch = 1,
    .can = BENCH_SYNCS,
    .bytes = bytes_floor,
    .open = open_sync,
    .add = add_floor,
    .sync = sync_floor,
    .read = read_floor,
    .close = close_floor,
};
