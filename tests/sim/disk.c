/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include "error.h"
#include "hash.h"
#include "locks.h"
#include "word.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define AREA (UINT64_C(32) << 20)
#define DESCRIPTOR 1000 /* of file 0 */
#define DESCRIPTIONS 16u
#define LOCK_BYTES 3u

void (*sim_disk_created)(unsigned file);
const char *const sim_path[SIM_FILES] = {"store", "copy"};

/* One change of a word, or of the file's length. */
struct change {
    uint32_t word;
    uint32_t
        before; /* the change before this one of the same word + 1; made when the power is cut */
    uint64_t old;
    uint64_t new;
    uint64_t when; /* rises from change to change */
};
#define LENGTH UINT32_MAX /* as a word: the file's length */

struct sim_file {
    uint8_t *memory; /* ours */
    uint8_t *view;   /* the library's, read-only: a store around rv_sim_store() faults */
    uint64_t size;
    uint64_t touched; /* beyond, all is zero */
    bool exists;
    bool named;
    bool name_durable;
    unsigned maker; /* process */
    uint64_t durable;
    struct change *log;
    size_t count;
    size_t room;
    uint64_t now; /* of the next change */
};

/* An open file description: locks are between these. */
struct description {
    int fd; /* 0: none */
    unsigned process;
    enum rv_lock_kind lock[LOCK_BYTES];
    bool to_be_told; /* a sync through another one has failed: the next one through this says so */
};

static struct {
    struct sim_file file[SIM_FILES];
    struct description description[DESCRIPTIONS];
    int opened;
    uint64_t seed;
    uint64_t limit;
    uint64_t boot;
    uint64_t mount;
    uint32_t *last; /* of each word: its last change + 1 */
} disk;

#define STORE_PAGES (AREA / RV_PAGE)

/* Of the store's syncs one fails. */
static struct {
    uint64_t syncs_left; /* 0: none fails */
    bool failed;
    unsigned process;              /* that was told first */
    bool noted;                    /* the library has written that down, or told somebody */
    bool any_lost;                 /* of these: */
    bool lost[STORE_PAGES];        /* clean in memory, old on the disk */
    uint64_t dirtied[STORE_PAGES]; /* when it was stored to again */
} failure;

/* The library's calls are wrapped; the disk outlives the process. */
void *__real_malloc(size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);

static void *area(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    return p;
}

static void make_memory(struct sim_file *f)
{
    int fd = memfd_create("sim", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, AREA)) {
        perror("memfd_create");
        abort();
    }
    f->memory = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    f->view = mmap(NULL, AREA, PROT_READ, MAP_SHARED, fd, 0);
    if (f->memory == MAP_FAILED || f->view == MAP_FAILED) {
        perror("mmap");
        abort();
    }
    close(fd);
}

static void empty(struct sim_file *f)
{
    if (!f->memory) {
        make_memory(f);
    }
    memset(f->memory, 0, f->touched);
    *f = (struct sim_file){.memory = f->memory, .view = f->view, .log = f->log, .room = f->room};
}

void sim_disk_reset(uint64_t seed)
{
    for (unsigned i = 0; i < SIM_FILES; i++) {
        empty(&disk.file[i]);
    }
    if (!disk.last) {
        disk.last = area(AREA / 8 * sizeof *disk.last);
    }
    memset(&failure, 0, sizeof failure);
    disk.seed = seed;
    disk.limit = AREA;
    disk.boot = 1;
    disk.mount = 1;
}

void sim_disk_limit(uint64_t bytes)
{
    disk.limit = bytes && bytes < AREA ? bytes : AREA;
}

void sim_disk_touch(unsigned file)
{
    empty(&disk.file[file]);
    disk.file[file].exists = disk.file[file].named = disk.file[file].name_durable = true;
}

void sim_disk_remove(unsigned file)
{
    empty(&disk.file[file]);
}

bool sim_disk_exists(unsigned file)
{
    return disk.file[file].exists && disk.file[file].named;
}

size_t sim_disk_pending(unsigned file)
{
    return disk.file[file].count;
}

/* ---- stores ---- */

static void note(struct sim_file *f, uint32_t word, uint64_t old, uint64_t new)
{
    if (f->count == f->room) {
        f->room = f->room ? f->room * 2 : 4096;
        f->log = __real_realloc(f->log, f->room * sizeof *f->log);
        if (!f->log) {
            abort();
        }
    }
    f->log[f->count++] = (struct change){.word = word, .old = old, .new = new, .when = f->now++};
}

static struct sim_file *file_at(const void *address)
{
    for (unsigned i = 0; i < SIM_FILES; i++) {
        if ((uint64_t)((const uint8_t *)address - disk.file[i].view) < AREA) {
            return &disk.file[i];
        }
    }
    return NULL;
}

/* A page that was lost is dirty again, whatever is stored there. */
static void touch(struct sim_file *f, uint64_t offset, uint64_t value)
{
    uint64_t page = offset / RV_PAGE;
    if (failure.lost[page]) {
        failure.lost[page] = false;
        failure.dirtied[page] = f->now++;
    }
    if (offset == 3 * RV_PAGE + offsetof(struct rv_disk_live, failed) && value) {
        failure.noted = true;
    }
}

/* Does a sync that began then write what was stored before? */
static bool is_written(const struct sim_file *f, const struct change *c, uint64_t when)
{
    if (!failure.any_lost || f != &disk.file[SIM_STORE_FILE] || c->word == LENGTH) {
        return true;
    }
    uint64_t page = (uint64_t)c->word * 8 / RV_PAGE;
    return !failure.lost[page] && failure.dirtied[page] < when;
}

void rv_sim_store(void *address, uint64_t value, unsigned bytes)
{
    struct sim_file *f = file_at(address);
    if (!f) {
        /* Ordinary memory: lines of a segment in the making. */
        memcpy(address, &value, bytes);
        return;
    }
    sim_step(SIM_STORE);
    uint64_t offset = (uint64_t)((uint8_t *)address - f->view);
    if (offset + bytes > f->size || offset % bytes) {
        sim_fail("a store at %llu, in a file of %llu bytes", (unsigned long long)offset,
                 (unsigned long long)f->size);
        return;
    }
    if (failure.any_lost && f == &disk.file[SIM_STORE_FILE]) {
        touch(f, offset, value);
    }
    uint64_t *word = (uint64_t *)(f->memory + offset / 8 * 8);
    uint64_t old = *word;
    memcpy(f->memory + offset, &value, bytes);
    if (*word != old) {
        note(f, (uint32_t)(offset / 8), old, *word);
    }
}

/* ---- a power cut ---- */

enum fate {
    OLDEST,
    NEWEST,
    ANY,
    UP_TO, /* what it was at an instant that is the same for many words */
};

/* How the words of one cut are chosen. */
struct policy {
    unsigned kind;
    uint32_t odd_one;    /* the word that goes against the rule */
    size_t until;        /* for UP_TO */
    uint32_t noise;      /* one in so many words goes against the rule; 0: none */
    bool but_one;        /* for RECORD */
    enum fate region[4]; /* records, live state, block maps and segments, everything else */
    uint64_t page_seed;
};

enum {
    UNIFORM,
    MOSTLY_OLD,
    MOSTLY_NEW,
    ALL_OLD_BUT_ONE,
    ALL_NEW_BUT_ONE,
    PREFIX,
    PAGES,
    REGIONS,
    RECORD, /* the record in flight lands, or all of it but one word, or one word of it */
    POLICIES,
};

static struct policy choose_policy(const struct sim_file *f)
{
    struct policy p = {.kind = sim_below(POLICIES), .page_seed = sim_random()};
    p.but_one = sim_once_in(2);
    if (f->count) {
        p.odd_one = f->log[sim_below((uint32_t)f->count)].word;
        p.until = sim_below((uint32_t)f->count + 1);
    }
    p.noise = sim_once_in(2) ? 0 : (uint32_t)sim_spread(1000);
    for (unsigned i = 0; i < 4; i++) {
        p.region[i] = (enum fate)sim_below(4);
    }
    return p;
}

static unsigned region_of(uint32_t word)
{
    uint64_t page = (uint64_t)word * 8 / RV_PAGE;
    return page == 1 || page == 2 ? 0 : page < 8 ? 1 : page % 8 == 0 ? 2 : 3;
}

static enum fate fate_of(struct policy *p, uint32_t word, size_t changes)
{
    switch (p->kind) {
    case MOSTLY_OLD:
        return sim_once_in(8) ? ANY : OLDEST;
    case MOSTLY_NEW:
        return sim_once_in(8) ? ANY : NEWEST;
    case ALL_OLD_BUT_ONE:
        return word == p->odd_one ? NEWEST : OLDEST;
    case ALL_NEW_BUT_ONE:
        return word == p->odd_one ? OLDEST : NEWEST;
    case PREFIX:
        return p->noise && sim_once_in(p->noise) ? ANY : UP_TO;
    case PAGES:
        p->until = sim_mix(p->page_seed + word / 512) % (changes + 1);
        return UP_TO;
    case RECORD:
        if (region_of(word) == 0) {
            bool odd = word % 512 == p->page_seed % 16; /* more often than not there is none */
            return p->but_one != odd ? NEWEST : OLDEST;
        }
        return p->region[word == LENGTH ? 0 : region_of(word)];
    case REGIONS:
        return p->noise && sim_once_in(p->noise) ? ANY : p->region[region_of(word)];
    default:
        return ANY;
    }
}

/* The value of one of a word's changes, of which `i` is the last; 0 stands for the old value. */
static uint64_t value_of(const struct sim_file *f, struct policy *p, size_t i)
{
    size_t chain[64];
    size_t n = 0;
    size_t first = i;
    size_t seen = 0;
    size_t kept = SIZE_MAX; /* the last one up to the policy's instant */
    enum fate fate = fate_of(p, f->log[i].word, f->count);
    for (size_t at = i + 1; at; at = f->log[at - 1].before) {
        first = at - 1;
        if (kept == SIZE_MAX && first < p->until) {
            kept = first;
        }
        /* A sample if there are many. */
        size_t place = n < 64 ? n++ : sim_below((uint32_t)seen + 1);
        if (place < 64) {
            chain[place] = first;
        }
        seen++;
    }
    uint32_t any = fate == ANY ? sim_below((uint32_t)n + 1) : 0;
    switch (fate) {
    case NEWEST:
        return f->log[i].new;
    case ANY:
        return any ? f->log[chain[any - 1]].new : f->log[first].old;
    case UP_TO:
        return kept == SIZE_MAX ? f->log[first].old : f->log[kept].new;
    default:
        return f->log[first].old;
    }
}

static uint64_t cut_length(struct sim_file *f, struct policy *p)
{
    size_t last = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (f->log[i].word == LENGTH) {
            f->log[i].before = (uint32_t)last;
            last = i + 1;
        }
    }
    return last ? value_of(f, p, last - 1) : f->size;
}

static void cut_words(struct sim_file *f, struct policy *p)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->log[i].word != LENGTH) {
            f->log[i].before = disk.last[f->log[i].word];
            disk.last[f->log[i].word] = (uint32_t)i + 1;
        }
    }
    for (size_t i = 0; i < f->count; i++) {
        uint32_t word = f->log[i].word;
        if (word != LENGTH && disk.last[word] == i + 1) {
            *(uint64_t *)(f->memory + (uint64_t)word * 8) = value_of(f, p, i);
            disk.last[word] = 0;
        }
    }
}

static void cut_file(struct sim_file *f)
{
    struct policy p = choose_policy(f);
    uint64_t length = cut_length(f, &p);
    cut_words(f, &p);
    memset(f->memory + length, 0, f->touched > length ? f->touched - length : 0);
    f->size = length;
    f->touched = length;
    f->count = 0;
    if (!f->name_durable && sim_once_in(2)) {
        empty(f);
    }
    f->name_durable = f->named;
}

/* Memory forgets some of the pages that were lost; there are none beyond the end. */
static void forget_lost(struct sim_file *f)
{
    struct policy p = choose_policy(f);
    uint64_t seed = sim_random();
    size_t left = 0;
    for (size_t i = 0; i < f->count; i++) {
        uint32_t word = f->log[i].word;
        uint64_t page = (uint64_t)word * 8 / RV_PAGE;
        bool gone = word != LENGTH && (uint64_t)word * 8 < f->size && failure.lost[page] &&
                    sim_mix(seed + page) % 2;
        f->log[i].before = gone ? disk.last[word] : UINT32_MAX;
        if (gone) {
            disk.last[word] = (uint32_t)i + 1;
        }
    }
    for (size_t i = 0; i < f->count; i++) {
        uint32_t word = f->log[i].word;
        if (f->log[i].before != UINT32_MAX && disk.last[word] == i + 1) {
            *(uint64_t *)(f->memory + (uint64_t)word * 8) = value_of(f, &p, i);
            disk.last[word] = 0;
        }
    }
    for (size_t i = 0; i < f->count; i++) {
        if (f->log[i].before == UINT32_MAX) {
            f->log[left++] = f->log[i];
        }
    }
    f->count = left;
}

/* Killed before it could write down what it was told: of that nothing is promised. */
static void excuse_failure(void)
{
    memset(failure.lost, 0, sizeof failure.lost);
    memset(failure.dirtied, 0, sizeof failure.dirtied);
    failure.any_lost = false;
}

/* No process is left. */
static void end_failure(void)
{
    if (failure.failed && failure.noted) {
        forget_lost(&disk.file[SIM_STORE_FILE]);
    } else if (failure.failed) {
        excuse_failure();
    }
    failure.failed = failure.noted = false;
    failure.syncs_left = 0;
}

void *sim_disk_writable(const void *address)
{
    struct sim_file *f = file_at(address);
    return f ? f->memory + ((const uint8_t *)address - f->view) : NULL;
}

void sim_disk_lose_process(void)
{
    if (failure.failed && !failure.noted && failure.process == sim_process()) {
        excuse_failure();
    }
    for (unsigned i = 0; i < DESCRIPTIONS; i++) {
        if (disk.description[i].process == sim_process()) {
            disk.description[i].fd = 0;
        }
    }
    for (unsigned i = 0; i < SIM_FILES; i++) {
        if (!disk.file[i].named && disk.file[i].maker == sim_process()) {
            empty(&disk.file[i]);
        }
    }
    struct rv_disk_live *live = (struct rv_disk_live *)(disk.file[0].memory + 3 * RV_PAGE);
    const struct rv_disk_superblock *super = (const void *)disk.file[0].memory;
    struct rv_disk_shard *shard = (struct rv_disk_shard *)(disk.file[0].memory + 4 * RV_PAGE);
    if (live->lock_abi) {
        sim_lock_lose_owner(&live->alloc_lock);
        sim_lock_lose_owner(&live->checkpoint_lock);
        for (uint32_t i = 0; i < super->shards; i++) {
            sim_lock_lose_owner(&shard[i].lock);
        }
    }
}

void sim_disk_kill(void)
{
    memset(disk.description, 0, sizeof disk.description);
    end_failure();
    for (unsigned i = 0; i < SIM_FILES; i++) {
        if (!disk.file[i].named) {
            empty(&disk.file[i]);
        }
    }
}

void sim_disk_cut(void)
{
    sim_disk_kill();
    for (unsigned i = 0; i < SIM_FILES; i++) {
        cut_file(&disk.file[i]);
    }
    if (failure.any_lost) {
        memset(&failure, 0, sizeof failure);
    }
    disk.boot++;
}

void sim_disk_remount(bool back)
{
    uint64_t held = sim_disk_live(SIM_STORE_FILE)->mount;
    disk.mount = disk.mount == 1 ? 2 : 1;
    while (disk.mount == held && !back) {
        disk.mount++;
    }
}

/* ---- what the bytes say ---- */

/* The superblock, or its copy; NULL: neither is whole. */
static const struct rv_disk_superblock *super_of(const struct sim_file *f)
{
    for (uint64_t offset = 0; offset + RV_PAGE <= f->size && offset < 1u << 21; offset += RV_PAGE) {
        const struct rv_disk_superblock *super = (const void *)(f->memory + offset);
        if (super->magic == RV_MAGIC &&
            super->checksum == XXH3_64bits(super, offsetof(struct rv_disk_superblock, checksum))) {
            return super;
        }
    }
    return NULL;
}

static bool record_of(const struct sim_file *f, struct rv_disk_record *ret_record)
{
    bool any = false;
    const struct rv_disk_superblock *super = super_of(f);
    if (f->size < 4 * RV_PAGE || !super) {
        return false;
    }
    uint64_t uuid;
    memcpy(&uuid, super->uuid, 8);
    for (unsigned i = 1; i <= 2; i++) {
        const struct rv_disk_record *r = (const struct rv_disk_record *)(f->memory + i * RV_PAGE);
        if (r->serial && r->checksum == XXH3_64bits_withSeed(r, 56, uuid) &&
            (!any || r->serial > ret_record->serial)) {
            *ret_record = *r;
            any = true;
        }
    }
    return any;
}

const void *sim_disk_bytes(unsigned file, size_t *ret_size)
{
    *ret_size = disk.file[file].size;
    return sim_disk_exists(file) ? disk.file[file].memory : NULL;
}

bool sim_disk_record(unsigned file, struct rv_disk_record *ret_record)
{
    return record_of(&disk.file[file], ret_record);
}

uint64_t sim_disk_durable(unsigned file)
{
    return disk.file[file].durable;
}

const struct rv_disk_live *sim_disk_live(unsigned file)
{
    return (const struct rv_disk_live *)(disk.file[file].memory + 3 * RV_PAGE);
}

/* ---- images ---- */

struct sim_image {
    struct sim_file file[SIM_FILES];
    uint64_t boot;
    uint64_t mount;
};

static void *copy_of(const void *p, size_t bytes)
{
    void *copy = __real_malloc(bytes ? bytes : 1);
    if (!copy) {
        abort();
    }
    memcpy(copy, p, bytes);
    return copy;
}

struct sim_image *sim_disk_save(void)
{
    struct sim_image *image = __real_malloc(sizeof *image);
    if (!image) {
        abort();
    }
    image->boot = disk.boot;
    image->mount = disk.mount;
    for (unsigned i = 0; i < SIM_FILES; i++) {
        const struct sim_file *f = &disk.file[i];
        image->file[i] = *f;
        image->file[i].memory = copy_of(f->memory, f->touched);
        image->file[i].log =
            copy_of(f->count ? (const void *)f->log : "", f->count * sizeof *f->log);
    }
    return image;
}

void sim_disk_load(const struct sim_image *image)
{
    disk.boot = image->boot;
    disk.mount = image->mount;
    for (unsigned i = 0; i < SIM_FILES; i++) {
        struct sim_file *f = &disk.file[i];
        const struct sim_file *saved = &image->file[i];
        struct sim_file was = *f;
        empty(f);
        *f = *saved;
        f->memory = was.memory;
        f->log = was.log;
        f->room = was.room;
        memcpy(f->memory, saved->memory, saved->touched);
        f->count = 0;
        for (size_t k = 0; k < saved->count; k++) {
            note(f, saved->log[k].word, saved->log[k].old, saved->log[k].new);
        }
    }
}

void sim_image_free(struct sim_image *image)
{
    for (unsigned i = 0; i < SIM_FILES; i++) {
        __real_free(image->file[i].memory);
        __real_free(image->file[i].log);
    }
    __real_free(image);
}

/* ---- lib/file.h ---- */

static unsigned number_of(int fd)
{
    return (unsigned)(fd - DESCRIPTOR) % SIM_FILES;
}

static struct sim_file *of(const struct rv_file *file)
{
    return &disk.file[number_of(file->fd)];
}

static struct description *find_description(int fd)
{
    for (unsigned i = 0; i < DESCRIPTIONS; i++) {
        if (disk.description[i].fd == fd) {
            return &disk.description[i];
        }
    }
    return NULL;
}

static unsigned find_name(const char *path)
{
    return strcmp(path, sim_path[SIM_COPY_FILE]) == 0 ? SIM_COPY_FILE : SIM_STORE_FILE;
}

static void start(struct rv_file *file, unsigned number, bool read_only)
{
    struct description *description = find_description(0);
    if (!description) {
        sim_fail("more than %u files are open", DESCRIPTIONS);
        return;
    }
    *description = (struct description){
        .fd = DESCRIPTOR + (int)number + SIM_FILES * ++disk.opened,
        .process = sim_process(),
    };
    *file = (struct rv_file){
        .fd = description->fd,
        .read_only = read_only,
        .path = (char *)(uintptr_t)sim_path[number],
        .size = disk.file[number].size,
    };
}

VisitStatus rv_file_open(struct rv_file *file, const char *path, bool read_only)
{
    unsigned number = find_name(path);
    *file = (struct rv_file){.fd = -1, .read_only = read_only};
    if (!sim_disk_exists(number)) {
        return rv_fail(VISIT_ERROR_NOT_FOUND, path, "does not exist");
    }
    start(file, number, read_only);
    return VISIT_OK;
}

VisitStatus rv_file_create(struct rv_file *file, const char *path, uint32_t mode)
{
    (void)mode;
    unsigned number = find_name(path);
    if (sim_disk_exists(number)) {
        sim_fail("a second file called %s is created", path);
    }
    empty(&disk.file[number]);
    disk.file[number].exists = true;
    disk.file[number].maker = sim_process();
    start(file, number, false);
    file->unnamed = true;
    if (sim_disk_created) {
        sim_disk_created(number);
    }
    return VISIT_OK;
}

VisitStatus rv_file_publish(struct rv_file *file)
{
    struct sim_file *f = of(file);
    sim_step(SIM_PUBLISH);
    f->named = true;
    file->unnamed = false;
    sim_step(SIM_PUBLISH);
    f->name_durable = true;
    sim_step(SIM_PUBLISH);
    return VISIT_OK;
}

VisitStatus rv_file_map(struct rv_file *file, uint64_t least, uint64_t most)
{
    (void)least;
    (void)most;
    file->ro = of(file)->view;
    file->rw = file->read_only ? NULL : of(file)->view;
    file->mapped = AREA;
    return VISIT_OK;
}

void rv_file_begin_scan(struct rv_file *file)
{
    (void)file;
}

void rv_file_end_scan(struct rv_file *file)
{
    (void)file;
}

VisitStatus rv_file_sync_name(struct rv_file *file)
{
    sim_step(SIM_PUBLISH);
    of(file)->name_durable = of(file)->named;
    return VISIT_OK;
}

void rv_file_withdraw(struct rv_file *file)
{
    of(file)->named = false;
    file->unnamed = true;
}

static void set_length(struct sim_file *f, uint64_t size)
{
    if (size != f->size) {
        note(f, LENGTH, f->size, size);
    }
    f->size = size;
    f->touched = size > f->touched ? size : f->touched;
}

VisitStatus rv_file_grow(struct rv_file *file, uint64_t size)
{
    struct sim_file *f = of(file);
    sim_step(SIM_GROW);
    if (size > disk.limit) {
        return rv_fail(VISIT_ERROR_NO_SPACE, file->path, "the disk is full");
    }
    if (size > f->size) {
        set_length(f, size);
    }
    sim_step(SIM_GROW);
    file->size = f->size;
    return VISIT_OK;
}

VisitStatus rv_file_fill_holes(struct rv_file *file)
{
    (void)file;
    return VISIT_OK;
}

/* Takes the changes before `when` of some words off the log: they are durable. */
static void settle(struct sim_file *f, uint64_t when, uint64_t from, uint64_t to)
{
    size_t left = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct change *c = &f->log[i];
        if (c->when >= when || c->word < from || c->word >= to || !is_written(f, c, when)) {
            f->log[left++] = f->log[i];
        }
    }
    f->count = left;
}

/* What becomes of the pages that a failing sync was to write. */
static void lose(struct sim_file *f, uint64_t when, uint64_t from, uint64_t to)
{
    size_t left = 0;
    uint64_t seed = sim_random();
    uint32_t kinds = 1 + sim_below(3); /* all lost; or some written; or some still to be written */
    for (size_t i = 0; i < f->count; i++) {
        const struct change *c = &f->log[i];
        uint64_t page = (uint64_t)c->word * 8 / RV_PAGE;
        uint32_t fate = (uint32_t)(sim_mix(seed + page) % kinds);
        bool meant = c->when < when && c->word >= from && c->word < to && c->word != LENGTH &&
                     is_written(f, c, when);
        if (meant && fate == 0) {
            failure.lost[page] = true;
        }
        if (!meant || fate != 1) {
            f->log[left++] = f->log[i];
        }
    }
    f->count = left;
    failure.failed = true;
    failure.process = sim_process();
    failure.any_lost = true;
}

void sim_disk_fail_sync(uint64_t number)
{
    failure.syncs_left = number;
}

bool sim_disk_sync_failed(void)
{
    return failure.failed;
}

void sim_disk_failure_told(void)
{
    failure.noted = true;
}

bool sim_disk_failure_known(void)
{
    return failure.failed && failure.noted;
}

/*
 * What was stored before it began is durable when it is complete; what comes meanwhile is not. The
 * file's length, as a word, lies behind all words.
 */
static VisitStatus sync_words(struct rv_file *file, uint64_t from, uint64_t to)
{
    struct sim_file *f = of(file);
    sim_step(SIM_SYNC_BEGIN);
    uint64_t when = f->now;
    struct rv_disk_record record;
    bool lost = failure.any_lost && (failure.lost[1] || failure.lost[2]);
    uint64_t durable = !lost && record_of(f, &record) ? record.durable : 0;
    sim_step(SIM_SYNC_FLIGHT);
    if (f == &disk.file[SIM_STORE_FILE] && failure.syncs_left && --failure.syncs_left == 0) {
        lose(f, when, from, to);
        for (unsigned i = 0; i < DESCRIPTIONS; i++) {
            struct description *d = &disk.description[i];
            d->to_be_told = (d->fd - DESCRIPTOR) % SIM_FILES == SIM_STORE_FILE && d->fd != file->fd;
        }
        return rv_fail(VISIT_ERROR_IO, sim_path[SIM_STORE_FILE], "a sync has failed");
    }
    settle(f, when, from, to);
    struct description *description = find_description(file->fd);
    if (description->to_be_told) {
        description->to_be_told = false;
        return rv_fail(VISIT_ERROR_IO, sim_path[SIM_STORE_FILE], "a sync has failed before");
    }
    f->durable = durable > f->durable ? durable : f->durable;
    sim_step(SIM_SYNC_DONE);
    return VISIT_OK;
}

VisitStatus rv_file_sync(struct rv_file *file)
{
    return sync_words(file, 0, UINT64_MAX);
}

/* The file has at least these bytes for good. */
static void settle_length(struct sim_file *f, uint64_t when, uint64_t size)
{
    size_t left = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct change *c = &f->log[i];
        if (c->word != LENGTH || c->when >= when || c->new > size) {
            f->log[left++] = f->log[i];
        }
    }
    f->count = left;
}

/* As far as the caller knows that the file goes. */
VisitStatus rv_file_sync_busy(struct rv_file *file, uint64_t from)
{
    struct sim_file *f = of(file);
    uint64_t when = f->now;
    uint64_t size = file->size;
    VisitStatus status = sync_words(file, from / 8, size < f->size ? size / 8 : UINT64_MAX);
    settle_length(f, when, size);
    return status;
}

bool rv_file_pin(struct rv_file *file, uint64_t size)
{
    (void)file;
    (void)size;
    return true;
}

VisitStatus rv_file_sync_range(struct rv_file *file, uint64_t offset, uint64_t size)
{
    return sync_words(file, offset / 8, (offset + size + 7) / 8);
}

VisitStatus rv_file_refresh(struct rv_file *file)
{
    file->size = of(file)->size;
    return VISIT_OK;
}

VisitStatus rv_file_lock(struct rv_file *file, enum rv_lock_byte byte, enum rv_lock_kind kind,
                         uint32_t wait_ms)
{
    bool locked = true;
    /* Between a sharer's last checkpoint and its leaving others may do much. */
    for (uint64_t rounds = byte == RV_LOCK_OPEN && sim_threads() > 1 ? sim_spread(100) : 0; rounds;
         rounds--) {
        sim_yield();
    }
    while (rv_file_is_locked(file, byte, kind, &locked), locked) {
        if (!wait_ms || sim_threads() < 2) {
            return VISIT_ERROR_BUSY; /* nobody else will have a turn before */
        }
        sim_yield();
    }
    find_description(file->fd)->lock[byte] = kind;
    return VISIT_OK;
}

VisitStatus rv_file_is_locked(struct rv_file *file, enum rv_lock_byte byte, enum rv_lock_kind kind,
                              bool *ret_locked)
{
    *ret_locked = false;
    for (unsigned i = 0; i < DESCRIPTIONS && kind != RV_LOCK_NONE; i++) {
        const struct description *other = &disk.description[i];
        if (other->fd && other->fd != file->fd && number_of(other->fd) == number_of(file->fd) &&
            other->lock[byte] != RV_LOCK_NONE &&
            (kind == RV_LOCK_WRITE || other->lock[byte] == RV_LOCK_WRITE)) {
            *ret_locked = true;
        }
    }
    return VISIT_OK;
}

VisitStatus rv_file_identify(struct rv_file *file, struct rv_identity *ret_identity)
{
    *ret_identity =
        (struct rv_identity){.mount = disk.mount, .device = 7, .inode = 40, .pid_space = 3};
    ret_identity->inode += number_of(file->fd);
    memcpy(ret_identity->boot_id, &disk.boot, 8);
    return VISIT_OK;
}

VisitStatus rv_file_clear(struct rv_file *file)
{
    struct sim_file *f = of(file);
    sim_step(SIM_GROW);
    /* The words beyond the end are gone for good only with the length; so they are stores too. A
     * page that was lost is none any more. */
    for (uint64_t i = 0; i < f->size; i += 8) {
        if (f == &disk.file[SIM_STORE_FILE]) {
            touch(f, i, 0);
        }
        uint64_t *word = (uint64_t *)(f->memory + i);
        if (*word) {
            note(f, (uint32_t)(i / 8), *word, 0);
            *word = 0;
        }
    }
    set_length(f, 0);
    sim_step(SIM_GROW);
    file->size = 0;
    return VISIT_OK;
}

bool rv_file_exists(const char *path)
{
    return sim_disk_exists(find_name(path));
}

static void random_bytes(void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)sim_mix(disk.seed * 1000 + count * 100 + i);
    }
}

void rv_file_before_fork(void)
{
}

void rv_file_after_fork(bool child)
{
    (void)child;
}

void rv_file_random(void *bytes, size_t count)
{
    random_bytes(bytes, count);
}

uint64_t sim_disk_hash_seed(void)
{
    uint64_t seed;
    random_bytes(&seed, sizeof seed);
    return seed;
}

void rv_file_close(struct rv_file *file)
{
    struct description *description = file->fd >= 0 ? find_description(file->fd) : NULL;
    if (file->fd >= 0 && file->unnamed) {
        empty(of(file));
    }
    if (description) {
        description->fd = 0;
    }
    *file = (struct rv_file){.fd = -1, .read_only = file->read_only};
}
