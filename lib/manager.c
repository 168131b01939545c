/* SPDX-License-Identifier: MIT */
/* The public functions that open, close, add and remove. */
#include "manager.h"

#include "index.h"
#include "ring.h"
#include "ticker.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define DEFAULT_INTERVAL_MS 1000
#define DEFAULT_CACHE_USERS 64u
#define MOST_CACHE_USERS (1u << 20)
#define DEFAULT_BACKUP_WAIT_MS 60000u
#define DEFAULT_LOCK_WAIT_MS 10000u

VisitStatus rv_not_entered(const struct VisitManager *manager)
{
    if (!manager) {
        return rv_fail(VISIT_ERROR_INVALID, NULL, "the manager is NULL; open a store first");
    }
    return rv_fail(VISIT_ERROR_FORKED, manager->st->file.path,
                   "was opened before a fork: open it again in this process");
}

VisitStatus rv_enter_writing(struct VisitManager *manager)
{
    VisitStatus status = rv_enter(manager);
    if (status) {
        return status;
    }
    if (manager->st->file.read_only) {
        return rv_fail(
            VISIT_ERROR_READ_ONLY, manager->st->file.path,
            "is open read-only; open it with VISIT_EXCLUSIVE or VISIT_SHARED to change it");
    }
    return rv_checkpoint_allows_writing(manager->st);
}

VisitStatus rv_lock_view(struct VisitManager *manager)
{
    struct rv_store *st = manager->st;
    pthread_rwlock_rdlock(&manager->refresh_lock);
    if (!rv_opened_since(st)) {
        return VISIT_OK;
    }
    pthread_rwlock_unlock(&manager->refresh_lock);
    pthread_rwlock_wrlock(&manager->refresh_lock);
    VisitStatus status = rv_store_refresh(st);
    pthread_rwlock_unlock(&manager->refresh_lock);
    if (!status) {
        pthread_rwlock_rdlock(&manager->refresh_lock);
    }
    return status;
}

/* ---- options ---- */

static VisitStatus bad_option(const char *path, const char *what)
{
    return rv_fail(VISIT_ERROR_INVALID, path, "VisitOptions: %s", what);
}

/* The caller's struct may be of an older or a newer header. */
static VisitStatus copy_options(const char *path, const VisitOptions *given, VisitOptions *ret)
{
    *ret = (VisitOptions){.size = sizeof *ret};
    if (!given) {
        return VISIT_OK;
    }
    if (given->size < offsetof(VisitOptions, max_visits)) {
        return bad_option(path, "size is too small; set it to sizeof(VisitOptions)");
    }
    const char *bytes = (const char *)given;
    for (size_t i = sizeof *ret; i < given->size; i++) {
        if (bytes[i]) {
            return bad_option(path, "has options that this version of librv does not know");
        }
    }
    memcpy(ret, given, given->size < sizeof *ret ? given->size : sizeof *ret);
    return VISIT_OK;
}

static bool power_of_two(uint32_t n, uint32_t least, uint32_t most)
{
    return n >= least && n <= most && (n & (n - 1)) == 0;
}

static VisitStatus check_modes(const char *path, const VisitOptions *o)
{
    if (o->mode > VISIT_SHARED) {
        return bad_option(path, "mode must be VISIT_EXCLUSIVE, VISIT_READ_ONLY or VISIT_SHARED");
    }
    if (o->create > VISIT_MUST_NOT_EXIST) {
        return bad_option(path, "create has no such value");
    }
    if (o->recovery > VISIT_RECOVER_REFUSE) {
        return bad_option(path, "recovery has no such value");
    }
    if (o->mode == VISIT_READ_ONLY && (o->max_visits || o->create == VISIT_MUST_NOT_EXIST)) {
        return bad_option(path, "a read-only manager neither creates nor sets max_visits");
    }
    return VISIT_OK;
}

static VisitStatus check_options(const char *path, const VisitOptions *o)
{
    VisitStatus status = check_modes(path, o);
    if (status) {
        return status;
    }
    if (o->max_visits > VISIT_LIMIT_MAX) {
        return bad_option(path, "max_visits must be 1 to 65535, or 0 for the store's own");
    }
    if (o->slot_size && !power_of_two(o->slot_size, 128, 4096)) {
        return bad_option(path, "slot_size must be a power of two from 128 to 4096, or 0 for 256");
    }
    if (o->shards && !power_of_two(o->shards, 1, RV_SHARDS_MAX)) {
        return bad_option(path, "shards must be a power of two from 1 to 256, or 0 for 16");
    }
    if (o->file_mode & ~0777u) {
        return bad_option(path, "file_mode must be permission bits, such as 0600");
    }
    if (o->read_cache_users > MOST_CACHE_USERS) {
        return bad_option(path, "read_cache_users must be at most 1048576");
    }
    if (o->erase > VISIT_ERASE_LATER) {
        return bad_option(path, "erase has no such value");
    }
    return o->reserved ? bad_option(path, "reserved must be 0") : VISIT_OK;
}

static struct rv_options internal_options(const VisitOptions *o)
{
    return (struct rv_options){
        .mode = o->mode,
        .create = o->create,
        .max_visits = o->max_visits,
        .slot_log2 = o->slot_size ? (uint32_t)__builtin_ctz(o->slot_size) : RV_SLOT_LOG2,
        .block_log2 = RV_BLOCK_LOG2,
        .shards = o->shards ? o->shards : RV_SHARDS,
        .file_mode = o->file_mode ? o->file_mode : 0600,
        .recovery = o->recovery,
        .erase = o->erase == VISIT_ERASE,
        .lock_wait_ms = o->lock_wait_ms ? o->lock_wait_ms : DEFAULT_LOCK_WAIT_MS,
        .backup_wait_ms = o->backup_wait_ms ? o->backup_wait_ms : DEFAULT_BACKUP_WAIT_MS,
        .progress = o->progress,
        .progress_data = o->progress_data,
    };
}

/* ---- open and close ---- */

static void free_manager(VisitManager *manager)
{
    while (manager->caches) {
        struct rv_thread_cache *next = manager->caches->next;
        rv_cache_free(manager->caches->cache);
        free(manager->caches);
        manager->caches = next;
    }
    pthread_mutex_destroy(&manager->cache_lock);
    pthread_rwlock_destroy(&manager->refresh_lock);
    free(manager);
}

static VisitStatus start(VisitManager *manager, const VisitOptions *o)
{
    static uint64_t last_id;
    manager->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
    manager->cache_users = o->read_cache_users ? o->read_cache_users : DEFAULT_CACHE_USERS;
    VisitStatus status = VISIT_OK;
    rv_fork_register(manager);
    if (o->mode != VISIT_READ_ONLY) {
        int32_t interval = o->checkpoint_interval_ms;
        interval = interval < 0 ? 0 : interval == 0 ? DEFAULT_INTERVAL_MS : interval;
        status = rv_ticker_start(manager->st, (uint32_t)interval);
    }
    return status;
}

static VisitStatus open_manager(const char *path, const VisitOptions *o, VisitManager **ret)
{
    VisitManager *manager = calloc(1, sizeof *manager);
    if (!manager) {
        return rv_fail_errno(path, "open", ENOMEM);
    }
    pthread_mutex_init(&manager->cache_lock, NULL);
    pthread_rwlock_init(&manager->refresh_lock, NULL);
    struct rv_options options = internal_options(o);
    VisitStatus status = rv_fork_install(path);
    if (!status) {
        status = rv_store_open(path, &options, &manager->st);
    }
    if (status) {
        free_manager(manager);
        return status;
    }
    status = start(manager, o);
    if (status) {
        rv_fork_forget(manager);
        rv_store_close(manager->st);
        free_manager(manager);
        return status;
    }
    *ret = manager;
    return VISIT_OK;
}

VisitStatus VisitManagerOpen(const char *path, const VisitOptions *options, VisitManager **manager)
{
    rv_clear_error();
    if (!path || !*path || !manager) {
        return rv_fail(VISIT_ERROR_INVALID, NULL,
                       "the path or the place for the manager is missing");
    }
    VisitOptions o;
    VisitStatus status = copy_options(path, options, &o);
    if (!status) {
        status = check_options(path, &o);
    }
    if (!status) {
        status = open_manager(path, &o, manager);
    }
    if (!status) {
        rv_clear_error();
    }
    return status;
}

VisitManager *VisitManagerCreate(const char *path, size_t max_visits)
{
    rv_clear_error();
    if (max_visits == 0 || max_visits > VISIT_LIMIT_MAX) {
        rv_fail(VISIT_ERROR_INVALID, path, "max_visits must be 1 to 65535");
        return NULL;
    }
    VisitOptions options = {.size = sizeof options, .max_visits = (uint32_t)max_visits};
    VisitManager *manager = NULL;
    return VisitManagerOpen(path, &options, &manager) ? NULL : manager;
}

void VisitManagerFree(VisitManager *manager)
{
    rv_clear_error();
    if (!manager) {
        return;
    }
    rv_fork_forget(manager);
    VisitStatus status = VISIT_OK;
    if (manager->forked) {
        rv_ticker_abandon(manager->st);
        rv_store_abandon(manager->st);
    } else {
        rv_ticker_stop(manager->st);
        status = rv_store_close(manager->st);
    }
    free_manager(manager);
    if (!status) {
        rv_clear_error(); /* all is safe, whatever else did not work */
    }
}

/* ---- adding ---- */

/* Strings as a slot has them, filled up to whole words; short ones without a call of malloc. */
struct packed_strings {
    uint64_t *words;
    uint64_t space[512];
};

static bool pack(struct packed_strings *p, const VisitInput *input)
{
    size_t bytes = input->url_length + input->text_length + 2;
    p->words = p->space;
    if (rv_words(bytes) > sizeof p->space / 8) {
        p->words = malloc(rv_words(bytes) * 8);
        if (!p->words) {
            return false;
        }
    }
    char *to = (char *)p->words;
    p->words[rv_words(bytes) - 1] = 0;
    if (input->url_length) {
        memcpy(to, input->url, input->url_length);
    }
    to[input->url_length] = '\0';
    to += input->url_length + 1;
    if (input->text_length) {
        memcpy(to, input->text, input->text_length);
    }
    to[input->text_length] = '\0';
    return true;
}

static VisitStatus check_string(const char *path, const char *name, const char *s, size_t length)
{
    if (!s && length) {
        return rv_fail(VISIT_ERROR_INVALID, path, "%s is NULL and its length is not 0", name);
    }
    if (length && memchr(s, '\0', length)) {
        return rv_fail(VISIT_ERROR_INVALID, path,
                       "%s has a NUL byte inside; remove it or encode it", name);
    }
    return VISIT_OK;
}

static VisitStatus check_lengths(const char *path, const VisitInput *input)
{
    if (input->url_length > VISIT_STRINGS_MAX || input->text_length > VISIT_STRINGS_MAX ||
        input->url_length + input->text_length > VISIT_STRINGS_MAX) {
        return rv_fail(VISIT_ERROR_TOO_LONG, path,
                       "url and text have more than %d bytes together; shorten them",
                       VISIT_STRINGS_MAX);
    }
    return VISIT_OK;
}

static VisitStatus check_input(const char *path, const VisitInput *input)
{
    if (input->flags & ~(uint32_t)VISIT_AT_TIME || input->reserved) {
        return rv_fail(VISIT_ERROR_INVALID, path,
                       "VisitInput: unknown flags, or reserved is not 0");
    }
    VisitStatus status = check_lengths(path, input);
    if (!status) {
        status = check_string(path, "url", input->url, input->url_length);
    }
    return status ? status : check_string(path, "text", input->text, input->text_length);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A full disk may have room once limbo is freed: then an operation is worth a second try, also if
 * it was the background thread that has just freed it. */
static bool worth_retrying(struct rv_store *st, VisitStatus *status, unsigned *tries)
{
    bool full = *status == VISIT_ERROR_NO_SPACE || *status == VISIT_ERROR_NO_MEMORY;
    if (!full || (*tries)++) {
        return false;
    }
    VisitStatus reclaimed = rv_checkpoint_reclaim(st);
    *status = reclaimed ? reclaimed : *status; /* as the message has it */
    return !reclaimed;
}

static VisitStatus add_packed(struct rv_store *st, uint64_t hash, const VisitInput *input,
                              const uint64_t *strings)
{
    bool at_time = input->flags & VISIT_AT_TIME;
    struct rv_new_visit visit = {
        .user_id = input->user_id,
        .visit_id = input->visit_id,
        .url_length = (uint32_t)input->url_length,
        .text_length = (uint32_t)input->text_length,
        .time_ns = at_time ? input->time_ns : now_ns(),
        .at_time = at_time,
        .strings = strings,
        .strings_hash = rv_slot_strings_hash(strings, input->url_length + input->text_length + 2),
    };
    unsigned tries = 0;
    VisitStatus status;
    do {
        status = rv_ring_add(st, hash, &visit);
    } while (worth_retrying(st, &status, &tries));
    return status;
}

static VisitStatus add(struct rv_store *st, uint64_t hash, const VisitInput *input)
{
    struct packed_strings p;
    uint64_t bytes = (uint64_t)input->url_length + input->text_length + 2;
    if (bytes > rv_slot_room(st) && rv_slot_overflow_class(st, bytes) > st->geo.max_class) {
        return rv_fail(VISIT_ERROR_TOO_LONG, st->file.path, "the strings do not fit into a run");
    }
    if (!pack(&p, input)) {
        return rv_fail_errno(st->file.path, "add to", ENOMEM);
    }
    VisitStatus status = add_packed(st, hash, input, p.words);
    if (p.words != p.space) {
        free(p.words);
    }
    return status;
}

static VisitStatus add_one(struct rv_store *st, const VisitInput *input)
{
    uint64_t hash = rv_hash(st, input->user_id);
    /* On its way while the strings are copied and hashed. */
    rv_index_prefetch(st, st->file.rw, hash);
    return add(st, hash, input);
}

VisitStatus VisitManagerAdd(VisitManager *manager, const VisitInput *input)
{
    VisitStatus status = rv_enter_writing(manager);
    if (status) {
        return status;
    }
    if (!input) {
        return rv_fail(VISIT_ERROR_INVALID, manager->st->file.path, "the input is NULL");
    }
    status = check_input(manager->st->file.path, input);
    if (!status) {
        status = add_one(manager->st, input);
    }
    if (!status) {
        rv_clear_error();
    }
    return status;
}

/*
 * Group prefetching (Chen et al., 2004): entries two groups ahead, slots one. What is asked for
 * alone holds up what follows until its page is translated; translations of a group go on together.
 */
#define GROUP 8u

struct ahead {
    uint64_t hash;
    const struct rv_disk_entry *home;
};

/* The inputs from `first` on, as far as there are any. */
static size_t group_size(size_t count, size_t first)
{
    return first >= count ? 0 : count - first < GROUP ? count - first : GROUP;
}

static void fetch_entries(const struct rv_store *st, const VisitInput *inputs, size_t count,
                          struct ahead *ahead)
{
    for (size_t i = 0; i < count; i++) {
        ahead[i].hash = rv_hash(st, inputs[i].user_id);
    }
    for (size_t i = 0; i < count; i++) {
        ahead[i].home = rv_index_prefetch(st, st->file.rw, ahead[i].hash);
    }
}

static void fetch_rings(const struct rv_store *st, const VisitInput *inputs, size_t count,
                        const struct ahead *ahead)
{
    uint64_t word[GROUP];
    for (size_t i = 0; i < count; i++) {
        word[i] = rv_index_peek(st, ahead[i].home, inputs[i].user_id);
    }
    for (size_t i = 0; i < count; i++) {
        rv_ring_prefetch(st, word[i]);
    }
}

static VisitStatus add_group(struct rv_store *st, const VisitInput *inputs, size_t count,
                             const struct ahead *ahead, size_t *done)
{
    VisitStatus status = rv_checkpoint_allows_writing(st); /* a sync may fail meanwhile */
    for (size_t i = 0; i < count && !status; i++) {
        status = check_input(st->file.path, &inputs[i]);
        if (!status) {
            status = add(st, ahead[i].hash, &inputs[i]);
        }
        *done += !status;
    }
    return status;
}

static VisitStatus add_groups(struct rv_store *st, const VisitInput *inputs, size_t count,
                              size_t *done)
{
    struct ahead ahead[3][GROUP];
    VisitStatus status = VISIT_OK;
    fetch_entries(st, inputs, group_size(count, 0), ahead[0]);
    if (count > GROUP) {
        fetch_entries(st, inputs + GROUP, group_size(count, GROUP), ahead[1]);
    }
    fetch_rings(st, inputs, group_size(count, 0), ahead[0]);
    for (size_t first = 0, g = 0; !status && first < count; first += GROUP, g++) {
        size_t next = first + GROUP;
        size_t after = next + GROUP;
        if (after < count) {
            fetch_entries(st, inputs + after, group_size(count, after), ahead[(g + 2) % 3]);
        }
        if (next < count) {
            fetch_rings(st, inputs + next, group_size(count, next), ahead[(g + 1) % 3]);
        }
        status = add_group(st, inputs + first, group_size(count, first), ahead[g % 3], done);
    }
    return status;
}

VisitStatus VisitManagerAddMany(VisitManager *manager, const VisitInput *inputs, size_t count,
                                size_t *added)
{
    size_t done = 0;
    VisitStatus status = rv_enter_writing(manager);
    if (!status && !inputs && count) {
        status = rv_fail(VISIT_ERROR_INVALID, manager->st->file.path, "the inputs are NULL");
    }
    if (!status && count) {
        status = add_groups(manager->st, inputs, count, &done);
    }
    if (added) {
        *added = done;
    }
    if (!status) {
        rv_clear_error();
    }
    return status;
}

bool VisitManagerAddVisit(VisitManager *manager, uint32_t user_id, uint32_t visit_id,
                          const char *url, const char *text)
{
    VisitStatus status = rv_enter_writing(manager);
    if (!status && (!url || !text)) {
        status = rv_fail(VISIT_ERROR_INVALID, manager->st->file.path, "url or text is NULL");
    }
    if (status) {
        return false;
    }
    VisitInput input = {
        .user_id = user_id,
        .visit_id = visit_id,
        .url = url,
        .url_length = strlen(url), /* so there is no NUL inside */
        .text = text,
        .text_length = strlen(text),
    };
    status = check_lengths(manager->st->file.path, &input);
    if (!status) {
        status = add_one(manager->st, &input);
    }
    if (!status) {
        rv_clear_error();
    }
    return !status;
}

/* ---- removing ---- */

VisitStatus VisitManagerRemove(VisitManager *manager, uint32_t user_id, const uint32_t *visit_ids,
                               size_t count, size_t *removed)
{
    size_t gone = 0;
    unsigned tries = 0;
    VisitStatus status = rv_enter_writing(manager);
    if (!status && !visit_ids && count) {
        status = rv_fail(VISIT_ERROR_INVALID, manager->st->file.path, "the visit ids are NULL");
    }
    if (!status && count) {
        do {
            status = rv_ring_remove(manager->st, user_id, visit_ids, count, &gone);
        } while (worth_retrying(manager->st, &status, &tries));
    }
    if (removed) {
        *removed = gone;
    }
    if (!status) {
        rv_clear_error();
    }
    return status;
}

bool VisitManagerDelete(VisitManager *manager, uint32_t user_id, uint32_t *visitIds,
                        size_t visit_count)
{
    size_t removed = 0;
    return VisitManagerRemove(manager, user_id, visitIds, visit_count, &removed) == VISIT_OK &&
           removed;
}

VisitStatus VisitManagerClearUser(VisitManager *manager, uint32_t user_id)
{
    VisitStatus status = rv_enter_writing(manager);
    if (!status) {
        status = rv_ring_clear(manager->st, user_id);
    }
    if (!status) {
        rv_clear_error();
    }
    return status;
}

void VisitManagerClear(VisitManager *manager, uint32_t user_id)
{
    VisitManagerClearUser(manager, user_id);
}

VisitStatus VisitManagerSync(VisitManager *manager)
{
    VisitStatus status = rv_enter_writing(manager);
    if (!status) {
        status = rv_checkpoint(manager->st);
    }
    if (!status) {
        rv_clear_error(); /* of a lock that is not needed */
    }
    return status;
}
