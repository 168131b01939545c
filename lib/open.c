/* SPDX-License-Identifier: MIT */
#include "open.h"

#include "checkpoint.h"
#include "index.h"
#include "lock.h"
#include "recover.h"
#include "share.h"
#include "super.h"
#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define OPEN_WAIT_MS 10000u
#define SITUATE_TRIES 4u
#define ADDRESS_SPACE (UINT64_C(1) << 40)
#ifdef __SANITIZE_THREAD__
#define ADDRESS_SPACE_MOST (UINT64_C(1) << 34) /* it has little room for mappings */
#else
#define ADDRESS_SPACE_MOST ADDRESS_SPACE
#endif

/* ---- memory ---- */

static VisitStatus attach(struct rv_store *st)
{
    st->view = rv_ro(st, 3 * RV_PAGE);
    st->live = st->file.rw ? rv_rw(st, 3 * RV_PAGE) : NULL;
    if (posix_memalign((void **)&st->shard, 64, st->geo.shards * sizeof *st->shard)) {
        st->shard = NULL;
        return rv_fail_errno(st->file.path, "open", ENOMEM);
    }
    for (uint32_t i = 0; i < st->geo.shards; i++) {
        uint64_t offset = 4 * RV_PAGE + i * sizeof(struct rv_disk_shard);
        st->shard[i] = (struct rv_shard){
            .disk = st->file.rw ? rv_rw(st, offset) : NULL,
            .view = rv_ro(st, offset),
            .index = i,
        };
        pthread_mutex_init(&st->shard[i].lock, NULL);
    }
    return VISIT_OK;
}

void rv_store_abandon(struct rv_store *st)
{
    for (uint32_t i = 0; st->shard && i < st->geo.shards; i++) {
        free(st->shard[i].scratch);
    }
    free(st->shard);
    free(st->segments);
    rv_file_close(&st->file);
    free(st);
}

/* ---- creation ---- */

static VisitStatus check_limit(const struct rv_store *st, uint32_t limit)
{
    if (limit && rv_ring_class(limit) > st->geo.max_class) {
        return rv_fail(VISIT_ERROR_INVALID, st->file.path,
                       "%u visits of %u bytes do not fit into one ring; use smaller slots or at "
                       "most %u visits",
                       limit, 1u << st->geo.slot_log2, (1u << st->geo.max_class) - 2);
    }
    return VISIT_OK;
}

/* What a new store is to be. */
static VisitStatus plan(struct rv_store *st, const struct rv_options *options)
{
    rv_super_make(options, &st->super);
    VisitStatus status = rv_geometry_make(st->file.path, &st->super, &st->geo);
    return status ? status : check_limit(st, options->max_visits);
}

/* The planned store, without users, in a file of zeros; the superblock last, so that half of it is
 * none. */
static VisitStatus format(struct rv_store *st, const struct rv_options *options)
{
    uint64_t blocks = st->super.header_blocks + 1;
    VisitStatus status = rv_file_grow(&st->file, blocks << options->block_log2);
    if (!status && !st->file.ro) {
        status = rv_file_map(&st->file, st->file.size, ADDRESS_SPACE_MOST);
    }
    if (status) {
        return status;
    }
    st->live = rv_rw(st, 3 * RV_PAGE);
    st->view = rv_ro(st, 3 * RV_PAGE);
    st->limit = options->max_visits ? options->max_visits : 10;
    st->trimmed = true;
    rv_store(&rv_header(st, st->super.header_blocks)->run, rv_run_word(RV_KIND_MAP, 0, 0));
    rv_store(&st->live->blocks, blocks);
    rv_store(&st->live->limit, st->limit);
    rv_store(&st->live->epoch, 1);
    st->record = (struct rv_disk_record){0};
    st->record_index = 1;
    status = rv_checkpoint_record(st, RV_RECORD_CLEAN);
    if (status) {
        return status;
    }
    return rv_super_write(st);
}

/* In a file that has no name yet. */
static VisitStatus make(struct rv_store *st, const char *path, const struct rv_options *options)
{
    VisitStatus status = rv_file_create(&st->file, path, options->file_mode);
    if (!status) {
        status = plan(st, options);
    }
    return status ? status : format(st, options);
}

static VisitStatus create(struct rv_store *st, const char *path, const struct rv_options *options)
{
    VisitStatus status = make(st, path, options);
    return status ? status : rv_file_publish(&st->file);
}

/* ---- writing ---- */

static void write_identity(struct rv_store *st, const struct rv_identity *identity)
{
    rv_copy_in(st->live->boot_id, identity->boot_id, 2);
    rv_store(&st->live->mount, identity->mount);
    rv_store(&st->live->device, identity->device);
    rv_store(&st->live->inode, identity->inode);
    rv_store(&st->live->holder, (uint64_t)getpid());
}

/* Was the store left by a process of this boot, through this file: is the page cache whole? */
static bool same_identity(const struct rv_store *st, const struct rv_identity *identity)
{
    static const uint8_t none[16];
    uint8_t boot_id[16];
    rv_copy_out(boot_id, st->view->boot_id, 2);
    return memcmp(boot_id, none, 16) != 0 && memcmp(boot_id, identity->boot_id, 16) == 0 &&
           rv_load(&st->view->mount) == identity->mount &&
           rv_load(&st->view->device) == identity->device &&
           rv_load(&st->view->inode) == identity->inode && rv_load(&st->view->failed) == 0;
}

static bool is_clean(const struct rv_store *st)
{
    return st->record.flags & RV_RECORD_CLEAN && !st->broken_record;
}

/* After a close the live state's number of blocks is true, and the allocator relies on it: if it
 * makes no sense, what is derived is made anew. */
static bool blocks_valid(const struct rv_store *st)
{
    uint64_t blocks = rv_load(&st->view->blocks);
    return blocks >= st->record.blocks && blocks <= st->file.size >> st->geo.block_log2;
}

static VisitStatus begin_clean(struct rv_store *st)
{
    VisitStatus status = rv_checkpoint_begin_writing(st, false);
    if (!status) {
        rv_store(&st->live->durable, st->record.durable);
        rv_store(&st->live->epoch, st->record.durable + 1);
        rv_store(&st->live->failed, 0);
        st->state = VISIT_FOUND_CLEAN;
    }
    return status;
}

/* The limit is the record's: a new one is written there before anything relies on it. */
static VisitStatus begin_killed(struct rv_store *st)
{
    st->state = VISIT_FOUND_KILLED;
    VisitStatus status = rv_checkpoint_begin_writing(st, true);
    if (!status) {
        status = rv_repair(st);
    }
    /* A checkpoint that came as far as its record: it is durable by now, so D may say so too. A
     * later record must not name an older epoch. */
    if (!status && rv_load(&st->live->epoch) > st->record.durable) {
        rv_store_release(&st->live->durable, st->record.durable);
    }
    return status;
}

static VisitStatus not_clean(const struct rv_store *st)
{
    return rv_fail(VISIT_ERROR_NOT_CLEAN, st->file.path,
                   "was not closed; open it with VISIT_RECOVER to %s it",
                   st->file.read_only ? "read the last checkpoint of" : "repair");
}

static VisitStatus begin_unclean(struct rv_store *st, const struct rv_identity *identity)
{
    VisitStatus status = VISIT_ERROR_CORRUPT;
    if (same_identity(st, identity) && rv_repair_possible(st)) {
        status = begin_killed(st);
    }
    if (status == VISIT_ERROR_CORRUPT) {
        status = rv_recover(st);
        st->state = VISIT_FOUND_CRASHED;
    }
    return status;
}

/* Brings the live state up, whatever state the store was left in. */
static VisitStatus begin_writing(struct rv_store *st)
{
    struct rv_identity identity;
    bool clean = is_clean(st) && blocks_valid(st);
    if (!clean && st->recovery == VISIT_RECOVER_REFUSE) {
        return not_clean(st);
    }
    VisitStatus status = rv_file_identify(&st->file, &identity);
    if (!status) {
        status = rv_file_sync_name(&st->file);
    }
    if (!status) {
        status = clean ? begin_clean(st) : begin_unclean(st, &identity);
    }
    if (!status) {
        st->broken_record = false; /* it was wiped; recovery has drawn its conclusions */
        rv_share_clear(st);
        write_identity(st, &identity);
        rv_store_release(&st->live->serial, rv_load(&st->live->serial) + 1);
    }
    return status;
}

/* Makes a new limit true. A larger one must not bring back what a smaller one has hidden. */
static VisitStatus set_limit(struct rv_store *st, uint32_t limit)
{
    VisitStatus status = VISIT_OK;
    if (limit > st->limit && !st->trimmed) {
        status = rv_sweep_trim(st);
        /* Durable before a record has the larger limit. */
        status = status ? status : rv_checkpoint_durable(st);
        st->trimmed = !status;
    }
    if (status || limit == 0 || limit == st->limit) {
        rv_store(&st->live->limit, st->limit);
        return status;
    }
    st->trimmed = st->trimmed && limit > st->limit;
    st->limit = limit;
    status = rv_checkpoint_always(st);
    rv_store(&st->live->limit, st->limit);
    return status;
}

/*
 * Makes a store of an empty file, or of what an interrupted creation left. If that fails the file
 * is empty again: after a sync that failed the disk may have less of it than memory has. Or more:
 * so that it is empty becomes durable first, lest a power cut mix what two attempts wrote.
 */
static VisitStatus format_in_place(struct rv_store *st, const struct rv_options *options)
{
    VisitStatus status = plan(st, options);
    if (status) {
        return status;
    }
    status = rv_file_clear(&st->file);
    if (!status) {
        status = rv_file_sync(&st->file);
    }
    if (!status) {
        status = format(st, options);
    }
    if (status && st->file.size) {
        VisitStatus cleared = rv_file_clear(&st->file);
        status = cleared ? cleared : status;
    }
    return status;
}

/* With a superblock, or its copy, a record and a block map it is a store, however empty. */
static bool is_store(struct rv_store *st)
{
    return rv_super_load(st) == VISIT_OK && rv_checkpoint_load(st) == VISIT_OK &&
           rv_load(&rv_header(st, st->geo.header_blocks)->run) == rv_run_word(RV_KIND_MAP, 0, 0);
}

static VisitStatus open_writer(struct rv_store *st, const char *path,
                               const struct rv_options *options, bool *ret_created, bool *ret_joins)
{
    VisitStatus status = rv_file_open(&st->file, path, false);
    if (!status) {
        status = rv_file_map(&st->file, st->file.size ? st->file.size : 1, ADDRESS_SPACE_MOST);
    }
    if (!status) {
        status = rv_share_enter(st, options->mode == VISIT_SHARED, ret_joins);
    }
    if (!status && !*ret_joins && rv_super_unborn(st, options) && !is_store(st)) {
        status = options->create == VISIT_MUST_EXIST
                     ? rv_fail(VISIT_ERROR_NOT_A_STORE, path,
                               "is empty; open it without "
                               "VISIT_MUST_EXIST to make it a store")
                     : format_in_place(st, options);
        *ret_created = !status;
    }
    return status;
}

static VisitStatus check_record(const struct rv_store *st)
{
    if (st->record.limit == 0 || st->record.limit > VISIT_LIMIT_MAX) {
        return rv_corrupt(st, (1 + st->record_index) * RV_PAGE, "the limit makes no sense");
    }
    if (st->record.blocks > st->file.size >> st->geo.block_log2) {
        return rv_corrupt(st, st->file.size, "the file is shorter than its checkpoint record says");
    }
    return VISIT_OK;
}

/* What the file says of itself. */
static VisitStatus look_at_store(struct rv_store *st, const struct rv_options *options)
{
    VisitStatus status = rv_super_load(st);
    if (!status) {
        status = check_limit(st, options->max_visits);
    }
    if (!status) {
        status = attach(st);
    }
    return status ? status : rv_checkpoint_load(st);
}

static VisitStatus go_on_as_writer(struct rv_store *st, const struct rv_options *options)
{
    VisitStatus status = look_at_store(st, options);
    if (status) {
        return status;
    }
    st->limit = st->record.limit;
    st->trimmed = st->record.flags & RV_RECORD_TRIMMED;
    status = check_record(st);
    if (!status && (check_limit(st, st->limit) || st->record.blocks <= st->geo.header_blocks ||
                    !rv_checkpoint_has_room(&st->record))) {
        status = rv_corrupt(st, (1 + st->record_index) * RV_PAGE, "the record makes no sense");
    }
    if (!status) {
        status = begin_writing(st);
    }
    return status ? status : set_limit(st, options->max_visits);
}

/* ---- sharing ---- */

static VisitStatus go_on_as_first_sharer(struct rv_store *st, const struct rv_options *options)
{
    struct rv_identity identity;
    VisitStatus status = go_on_as_writer(st, options);
    if (!status) {
        status = rv_file_identify(&st->file, &identity);
    }
    return status ? status : rv_share_begin(st, &identity);
}

/* Other sharers have it open: all is as they have it, the limit too. */
static VisitStatus go_on_as_further_sharer(struct rv_store *st, const struct rv_options *options)
{
    struct rv_identity identity;
    VisitStatus status = look_at_store(st, options);
    if (!status) {
        status = rv_file_identify(&st->file, &identity);
    }
    if (status) {
        return status;
    }
    st->state = VISIT_FOUND_IN_USE;
    st->limit = (uint32_t)rv_load(&st->live->limit);
    st->trimmed = st->record.flags & RV_RECORD_TRIMMED;
    st->broken_record = false;
    if (st->limit == 0 || st->limit > VISIT_LIMIT_MAX || check_limit(st, st->limit)) {
        return rv_corrupt(st, 3 * RV_PAGE, "the limit makes no sense");
    }
    if (options->max_visits && options->max_visits != st->limit) {
        return rv_fail(
            VISIT_ERROR_BUSY, st->file.path,
            "is open in shared mode by process %u with a limit of %u visits: ask for the "
            "same or for none (max_visits 0), or close it there",
            (unsigned)rv_load(&st->live->holder), st->limit);
    }
    return rv_share_join(st, &identity);
}

/* ---- reading only ---- */

static VisitStatus private_index(struct rv_store *st)
{
    free(st->segments);
    st->segments = NULL;
    st->as_of = st->record.durable;
    st->state = VISIT_FOUND_UNCLEAN;
    if (st->record.blocks > st->file.size >> st->geo.block_log2) {
        return rv_corrupt(st, st->file.size, "the file is shorter than its checkpoint record says");
    }
    return rv_recover_segments(st, st->as_of, &st->segments, &st->segment_count);
}

/* Waits while a writer opens or closes; then tells whether one has the store open. */
static VisitStatus find_writer(struct rv_store *st, bool *ret_open)
{
    for (uint32_t waited = 0;; waited += 5) {
        bool busy_now = false;
        VisitStatus status = rv_file_is_locked(&st->file, RV_LOCK_WRITER, RV_LOCK_WRITE, ret_open);
        if (!status && *ret_open) {
            status = rv_file_is_locked(&st->file, RV_LOCK_OPEN, RV_LOCK_WRITE, &busy_now);
        }
        if (!status && busy_now) {
            /* Whoever comes or goes beside sharers changes nothing. */
            status = rv_file_is_locked(&st->file, RV_LOCK_WRITER, RV_LOCK_READ, &busy_now);
        }
        if (status || !busy_now) {
            return status;
        }
        if (waited > OPEN_WAIT_MS) {
            return rv_fail(VISIT_ERROR_BUSY, st->file.path,
                           "a writer has been opening or closing it for long; try again");
        }
        rv_sleep_ms(5);
    }
}

static VisitStatus look_around(struct rv_store *st)
{
    bool open = false;
    VisitStatus status = find_writer(st, &open);
    uint64_t synced = rv_load_acquire(&st->view->synced);
    if (!status) {
        status = rv_file_refresh(&st->file);
    }
    if (!status) {
        status = rv_super_check_length(st);
    }
    if (!status) {
        status = rv_checkpoint_load(st);
    }
    if (status) {
        return status;
    }
    /* Beside a writer one may have been half written just then; but not the one it has synced. */
    st->broken_record = st->broken_record && (!open || st->record.serial < synced);
    st->limit = open ? (uint32_t)rv_load(&st->view->limit) : st->record.limit;
    if (st->limit == 0 || st->limit > VISIT_LIMIT_MAX) {
        return rv_corrupt(st, 3 * RV_PAGE, "the limit makes no sense");
    }
    if (!open && !is_clean(st)) {
        return st->recovery == VISIT_RECOVER_REFUSE ? not_clean(st) : private_index(st);
    }
    free(st->segments);
    st->segments = NULL;
    st->as_of = UINT64_MAX;
    st->state = open ? VISIT_FOUND_IN_USE : VISIT_FOUND_CLEAN;
    return VISIT_OK;
}

/* Has a writer come since this reader began to look around? */
static bool is_overtaken(struct rv_store *st)
{
    bool open = false;
    return rv_opened_since(st) ||
           (!rv_file_is_locked(&st->file, RV_LOCK_WRITER, RV_LOCK_WRITE, &open) && open);
}

/* The serial comes first: a writer that opens the store meanwhile is noticed at the next look. What
 * was found while one came may be neither what was there before nor what it made of that. */
static VisitStatus situate(struct rv_store *st)
{
    VisitStatus status;
    unsigned tries = 0;
    bool doubtful;
    do {
        st->serial = rv_load_acquire(&st->view->serial);
        status = look_around(st);
        doubtful = status == VISIT_ERROR_CORRUPT || status == VISIT_ERROR_NOT_CLEAN ||
                   (!status && st->broken_record);
    } while (doubtful && ++tries < SITUATE_TRIES && is_overtaken(st));
    if (status) {
        st->serial = ~st->serial; /* to be looked at anew */
    } else if (tries) {
        rv_clear_error();
    }
    return status;
}

VisitStatus rv_store_refresh(struct rv_store *st)
{
    return rv_opened_since(st) ? situate(st) : VISIT_OK;
}

static VisitStatus open_reader(struct rv_store *st, const char *path)
{
    VisitStatus status = rv_file_open(&st->file, path, true);
    if (!status) {
        status = rv_file_map(&st->file, st->file.size ? st->file.size : 1, ADDRESS_SPACE_MOST);
    }
    if (!status) {
        status = rv_super_load(st);
    }
    if (!status) {
        status = attach(st);
    }
    return status ? status : situate(st);
}

/* ---- both ---- */

static VisitStatus open_or_create(struct rv_store *st, const char *path,
                                  const struct rv_options *options, bool *ret_created,
                                  bool *ret_joins)
{
    VisitStatus status = VISIT_ERROR_NOT_FOUND;
    if (options->create != VISIT_MUST_NOT_EXIST) {
        status = open_writer(st, path, options, ret_created, ret_joins);
    }
    if (status != VISIT_ERROR_NOT_FOUND || options->create == VISIT_MUST_EXIST) {
        return status;
    }
    rv_file_close(&st->file);
    if (options->create == VISIT_MUST_NOT_EXIST && rv_file_exists(path)) {
        /* Before a folder that may not be written, or a full disk, can be the reason. */
        return rv_fail_errno(path, "create", EEXIST);
    }
    status = create(st, path, options);
    if (status == VISIT_ERROR_EXISTS && options->create != VISIT_MUST_NOT_EXIST) {
        /* Another was faster: that one it is. */
        rv_file_close(&st->file);
        return open_writer(st, path, options, ret_created, ret_joins);
    }
    *ret_created = !status;
    return status ? status : rv_share_enter(st, options->mode == VISIT_SHARED, ret_joins);
}

static VisitStatus open_for_writing(struct rv_store *st, const char *path,
                                    const struct rv_options *options)
{
    bool created = false;
    bool joins = false;
    VisitStatus status = open_or_create(st, path, options, &created, &joins);
    if (!status) {
        status = joins                           ? go_on_as_further_sharer(st, options)
                 : options->mode == VISIT_SHARED ? go_on_as_first_sharer(st, options)
                                                 : go_on_as_writer(st, options);
    }
    if (!status) {
        status = rv_file_lock(&st->file, RV_LOCK_OPEN, RV_LOCK_NONE, 0);
    }
    st->state = created ? VISIT_FOUND_NEW : st->state;
    return status;
}

static struct rv_store *new_store(const char *path, const struct rv_options *options)
{
    struct rv_store *st = calloc(1, sizeof *st);
    if (!st) {
        rv_fail_errno(path, "open", ENOMEM);
        return NULL;
    }
    st->file.fd = -1;
    st->as_of = UINT64_MAX;
    st->backup_wait_ms = options->backup_wait_ms;
    st->recovery = options->recovery;
    st->lock_wait_ms = options->lock_wait_ms;
    st->erase = options->erase;
    st->pid = (uint64_t)getpid();
    st->repair = rv_repair_beside;
    st->progress = options->progress;
    st->progress_data = options->progress_data;
    pthread_mutex_init(&st->alloc_lock, NULL);
    pthread_mutex_init(&st->grow_lock, NULL);
    pthread_mutex_init(&st->checkpoint_lock, NULL);
    rv_condition_init(&st->checkpoint_end);
    rv_condition_init(&st->checkpoint_joined);
    return st;
}

VisitStatus rv_store_create_unnamed(const char *path, const struct rv_options *options,
                                    struct rv_store **ret_store)
{
    struct rv_store *st = new_store(path, options);
    if (!st) {
        return VISIT_ERROR_NO_MEMORY;
    }
    VisitStatus status = make(st, path, options);
    if (!status) {
        status = go_on_as_writer(st, options);
    }
    if (status) {
        rv_store_abandon(st);
        return status;
    }
    *ret_store = st;
    return VISIT_OK;
}

VisitStatus rv_store_open(const char *path, const struct rv_options *options,
                          struct rv_store **ret_store)
{
    if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__) {
        return rv_fail(VISIT_ERROR_UNSUPPORTED, path,
                       "a store is little-endian and this machine is not");
    }
    struct rv_store *st = new_store(path, options);
    if (!st) {
        return VISIT_ERROR_NO_MEMORY;
    }
    VisitStatus status = options->mode == VISIT_READ_ONLY ? open_reader(st, path)
                                                          : open_for_writing(st, path, options);
    if (status) {
        rv_store_abandon(st);
        return status;
    }
    rv_file_end_scan(&st->file);
    st->file.busy = true;
    *ret_store = st;
    return VISIT_OK;
}

/* All is quiet: what the live state says becomes true for the next opener. */
static VisitStatus write_clean(struct rv_store *st)
{
    VisitStatus status = rv_checkpoint(st);
    if (!status) {
        rv_store(&st->live->holder, 0);
        status = rv_checkpoint_record(st, RV_RECORD_CLEAN);
    }
    return status;
}

static VisitStatus lock_open(struct rv_store *st)
{
    VisitStatus status = rv_file_lock(&st->file, RV_LOCK_OPEN, RV_LOCK_WRITE, OPEN_WAIT_MS);
    /* Somebody else's attempt to open hangs: closing goes before. */
    return status == VISIT_ERROR_BUSY ? VISIT_OK : status;
}

static VisitStatus close_writer(struct rv_store *st)
{
    VisitStatus status = lock_open(st);
    return status ? status : write_clean(st);
}

/* Others may go on; the last one sees to what the dead have left. */
static VisitStatus close_sharer(struct rv_store *st)
{
    bool last = false;
    VisitStatus saved = rv_checkpoint(st);
    VisitStatus status = lock_open(st);
    if (!status) {
        status = rv_share_leave(st, &last);
    }
    if (!status && last) {
        status = rv_checkpoint_pass_locks(st);
        if (!status) {
            status = rv_checkpoint_follow(st); /* others may have written records meanwhile */
        }
        if (!status) {
            st->shared = false;
            st->header_safe = false; /* the record may be a dead sharer's */
            rv_share_clear(st);
            return write_clean(st);
        }
    }
    return saved ? saved : status;
}

VisitStatus rv_store_finish(struct rv_store *st)
{
    VisitStatus status = write_clean(st);
    if (!status) {
        status = rv_file_publish(&st->file);
        if (status) {
            rv_file_withdraw(&st->file);
        }
    }
    rv_store_abandon(st);
    return status;
}

VisitStatus rv_store_close(struct rv_store *st)
{
    st->file.busy = st->shared;
    VisitStatus status = !st->file.rw ? VISIT_OK : st->shared ? close_sharer(st) : close_writer(st);
    if (st->file.rw) {
        /* A child that was forked meanwhile may keep the description, and with it the locks. */
        rv_file_lock(&st->file, RV_LOCK_WRITER, RV_LOCK_NONE, 0);
        rv_file_lock(&st->file, RV_LOCK_OPEN, RV_LOCK_NONE, 0);
    }
    rv_store_abandon(st);
    return status;
}
