/* SPDX-License-Identifier: MIT */
#include "shim.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A reader that nobody uses at the moment. */
struct seat {
    VisitReader *reader;
    struct seat *next;
};

struct rv_py_store {
    pthread_mutex_t lock; /* for all that follows */
    pthread_cond_t idle;  /* no call is under way, or the manager is gone */
    VisitManager *manager;
    struct seat *seats;
    struct rv_py_users *users;
    unsigned calls; /* under way */
    unsigned references;
    bool closed;
    struct rv_py_store *next; /* of all stores of the process */
    struct rv_py_store **previous;
};

struct rv_py_users {
    struct rv_py_store *store;
    VisitUsers *users; /* NULL once the store is closed */
    struct rv_py_users *next;
    struct rv_py_users **previous;
};

/* A reader keeps the memory of its largest result; one that grew beyond this is not kept. */
#define READER_ROOM_MAX 1048576

/* ---- fork ---- */

/*
 * Threads that are inside a call vanish in the child. So nobody is inside a lock during a fork, and
 * the child counts calls from 0.
 */
static pthread_mutex_t stores_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int registered;
static struct rv_py_store *stores;

static void before_fork(void)
{
    pthread_mutex_lock(&stores_lock);
    for (struct rv_py_store *s = stores; s; s = s->next) {
        pthread_mutex_lock(&s->lock);
    }
}

static void in_parent(void)
{
    for (struct rv_py_store *s = stores; s; s = s->next) {
        pthread_mutex_unlock(&s->lock);
    }
    pthread_mutex_unlock(&stores_lock);
}

static void in_child(void)
{
    for (struct rv_py_store *s = stores; s; s = s->next) {
        s->calls = 0;
        if (s->closed) {
            s->manager = NULL; /* the thread that was closing it is not here */
        }
        /* Waiting threads of the parent are counted in it. */
        pthread_cond_init(&s->idle, NULL);
    }
    in_parent();
}

static void install(void)
{
    registered = pthread_atfork(before_fork, in_parent, in_child);
}

static void enlist(struct rv_py_store *store)
{
    pthread_mutex_lock(&stores_lock);
    store->next = stores;
    store->previous = &stores;
    if (stores) {
        stores->previous = &store->next;
    }
    stores = store;
    pthread_mutex_unlock(&stores_lock);
}

static void delist(struct rv_py_store *store)
{
    pthread_mutex_lock(&stores_lock);
    *store->previous = store->next;
    if (store->next) {
        store->next->previous = store->previous;
    }
    pthread_mutex_unlock(&stores_lock);
}

/* ---- callbacks ---- */

/* A call that calls back, while it does. Also a signal's handler is inside then: Python runs it in
 * whatever it is just doing. */
struct callback {
    const struct rv_py_store *store;
    VisitProgress *progress;
    VisitFindingFunction *finding;
    void *data;
    const struct callback *outer;
};

static _Thread_local const struct callback *innermost;

static bool is_inside(const struct rv_py_store *store)
{
    const struct callback *c = innermost;
    while (c && c->store != store) {
        c = c->outer;
    }
    return c != NULL;
}

static int on_progress(void *data, const char *what, uint64_t done, uint64_t total)
{
    struct callback *c = data;
    c->outer = innermost;
    innermost = c;
    int result = c->progress(c->data, what, done, total);
    innermost = c->outer;
    return result;
}

static int on_finding(void *data, const VisitFinding *finding)
{
    struct callback *c = data;
    c->outer = innermost;
    innermost = c;
    int result = c->finding(c->data, finding);
    innermost = c->outer;
    return result;
}

/* ---- the guard ---- */

static int enter(struct rv_py_store *store)
{
    if (is_inside(store)) {
        return RV_PY_INSIDE;
    }
    pthread_mutex_lock(&store->lock);
    bool open = !store->closed;
    store->calls += open;
    pthread_mutex_unlock(&store->lock);
    return open ? VISIT_OK : RV_PY_CLOSED;
}

/* The lock is held. */
static void end_call(struct rv_py_store *store)
{
    store->calls -= store->calls > 0; /* a child that was forked in a callback counts none */
    if (store->closed && store->calls == 0) {
        pthread_cond_broadcast(&store->idle);
    }
}

static int leave(struct rv_py_store *store, VisitStatus status)
{
    pthread_mutex_lock(&store->lock);
    end_call(store);
    pthread_mutex_unlock(&store->lock);
    return status;
}

/* Enters with a reader; leave_reader() must follow on VISIT_OK only. */
static int enter_reader(struct rv_py_store *store, struct seat **ret_seat)
{
    if (is_inside(store)) {
        return RV_PY_INSIDE;
    }
    pthread_mutex_lock(&store->lock);
    bool open = !store->closed;
    struct seat *seat = open ? store->seats : NULL;
    store->calls += open;
    store->seats = seat ? seat->next : store->seats;
    pthread_mutex_unlock(&store->lock);
    if (!open || seat) {
        *ret_seat = seat;
        return open ? VISIT_OK : RV_PY_CLOSED;
    }
    seat = calloc(1, sizeof *seat);
    VisitStatus status =
        seat ? VisitReaderOpen(store->manager, &seat->reader) : VISIT_ERROR_NO_MEMORY;
    if (status) {
        free(seat);
        return leave(store, status);
    }
    *ret_seat = seat;
    return VISIT_OK;
}

static void leave_reader(struct rv_py_store *store, struct seat *seat, size_t result_size)
{
    bool keep = result_size <= READER_ROOM_MAX;
    if (!keep) {
        VisitReaderFree(seat->reader);
        free(seat);
    }
    pthread_mutex_lock(&store->lock);
    if (keep) {
        seat->next = store->seats;
        store->seats = seat;
    }
    end_call(store);
    pthread_mutex_unlock(&store->lock);
}

/* ---- open and close ---- */

int rv_py_open(const char *path, const VisitOptions *options, struct rv_py_store **ret_store)
{
    pthread_once(&once, install);
    struct rv_py_store *store = registered ? NULL : calloc(1, sizeof *store);
    if (!store) {
        return VISIT_ERROR_NO_MEMORY;
    }
    VisitStatus status = VisitManagerOpen(path, options, &store->manager);
    if (status) {
        free(store);
        return status;
    }
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->idle, NULL);
    store->references = 1;
    enlist(store);
    *ret_store = store;
    return VISIT_OK;
}

static void free_results(struct rv_py_store *store)
{
    while (store->seats) {
        struct seat *next = store->seats->next;
        VisitReaderFree(store->seats->reader);
        free(store->seats);
        store->seats = next;
    }
    for (struct rv_py_users *u = store->users; u; u = u->next) {
        VisitUsersFree(u->users);
        u->users = NULL;
    }
}

int rv_py_close(struct rv_py_store *store)
{
    if (is_inside(store)) {
        return RV_PY_INSIDE;
    }
    pthread_mutex_lock(&store->lock);
    bool first = !store->closed;
    store->closed = true;
    while (first ? store->calls > 0 : store->manager != NULL) {
        pthread_cond_wait(&store->idle, &store->lock);
    }
    if (!first) {
        pthread_mutex_unlock(&store->lock);
        return VISIT_OK;
    }
    free_results(store);
    VisitManager *manager = store->manager;
    pthread_mutex_unlock(&store->lock);
    /* Without the lock: it waits for the disk, and a fork waits for the lock. */
    VisitManagerFree(manager);
    VisitStatus status = VisitLastStatus();
    pthread_mutex_lock(&store->lock);
    store->manager = NULL;
    pthread_cond_broadcast(&store->idle);
    pthread_mutex_unlock(&store->lock);
    return status;
}

static void drop(struct rv_py_store *store)
{
    pthread_mutex_lock(&store->lock);
    bool last = --store->references == 0;
    pthread_mutex_unlock(&store->lock);
    if (last) {
        delist(store);
        pthread_mutex_destroy(&store->lock);
        pthread_cond_destroy(&store->idle);
        free(store);
    }
}

void rv_py_free(struct rv_py_store **place)
{
    if (*place) {
        rv_py_close(*place);
        drop(*place);
    }
}

const char *rv_py_message(int status)
{
    /* Another call of this thread, say of a signal handler, may have come between. */
    bool same = VisitLastStatus() == (VisitStatus)status && VisitLastError()[0];
    return same ? VisitLastError() : VisitStatusText((VisitStatus)status);
}

/* ---- adding and removing ---- */

int rv_py_add(struct rv_py_store *store, uint32_t user_id, uint32_t visit_id, const char *url,
              size_t url_length, const char *text, size_t text_length)
{
    VisitInput input = {
        .user_id = user_id,
        .visit_id = visit_id,
        .url = url,
        .url_length = url_length,
        .text = text,
        .text_length = text_length,
    };
    int status = enter(store);
    return status ? status : leave(store, VisitManagerAdd(store->manager, &input));
}

int rv_py_add_at(struct rv_py_store *store, uint32_t user_id, uint32_t visit_id, const char *url,
                 size_t url_length, const char *text, size_t text_length, int64_t time_ns)
{
    VisitInput input = {
        .user_id = user_id,
        .visit_id = visit_id,
        .url = url,
        .url_length = url_length,
        .text = text,
        .text_length = text_length,
        .time_ns = time_ns,
        .flags = VISIT_AT_TIME,
    };
    int status = enter(store);
    return status ? status : leave(store, VisitManagerAdd(store->manager, &input));
}

/* The string from *at on up to a NUL or to end; *at becomes what follows the NUL, NULL at the end.
 */
static bool take_string(const char **at, const char *end, const char **ret_string,
                        size_t *ret_length)
{
    if (!*at) {
        return false;
    }
    const char *nul = memchr(*at, 0, (size_t)(end - *at));
    *ret_string = *at;
    *ret_length = (size_t)((nul ? nul : end) - *at);
    *at = nul ? nul + 1 : NULL;
    return true;
}

static bool split(VisitInput *inputs, size_t count, const char *strings, size_t size)
{
    const char *at = strings;
    const char *end = strings + size;
    for (size_t i = 0; i < count; i++) {
        if (!take_string(&at, end, &inputs[i].url, &inputs[i].url_length) ||
            !take_string(&at, end, &inputs[i].text, &inputs[i].text_length)) {
            return false;
        }
    }
    return at == NULL;
}

int rv_py_add_many(struct rv_py_store *store, size_t count, const uint32_t *user_ids,
                   const uint32_t *visit_ids, const int64_t *times, const char *timed,
                   const char *strings, size_t size, size_t *ret_added)
{
    VisitInput *inputs = calloc(count + 1, sizeof *inputs);
    if (!inputs) {
        return VISIT_ERROR_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        inputs[i].user_id = user_ids[i];
        inputs[i].visit_id = visit_ids[i];
        if (timed && timed[i]) {
            inputs[i].time_ns = times[i];
            inputs[i].flags = VISIT_AT_TIME;
        }
    }
    int status = split(inputs, count, strings, size) ? VISIT_OK : RV_PY_NUL_INSIDE;
    if (!status) {
        status = enter(store);
    }
    if (!status) {
        status = leave(store, VisitManagerAddMany(store->manager, inputs, count, ret_added));
    }
    free(inputs);
    return status;
}

int rv_py_remove(struct rv_py_store *store, uint32_t user_id, const uint32_t *visit_ids,
                 size_t count, size_t *ret_removed)
{
    int status = enter(store);
    return status ? status
                  : leave(store, VisitManagerRemove(store->manager, user_id, visit_ids, count,
                                                    ret_removed));
}

int rv_py_clear(struct rv_py_store *store, uint32_t user_id)
{
    int status = enter(store);
    return status ? status : leave(store, VisitManagerClearUser(store->manager, user_id));
}

/* ---- reading ---- */

/* url, NUL, text, NUL of a visit; returns what follows. */
static char *copy_strings(char *to, const VisitPacked *packed, const VisitPacked *visit)
{
    size_t size = (size_t)visit->url_length + visit->text_length + 2;
    memcpy(to, (const char *)packed + visit->url_offset, size);
    return to + size;
}

static size_t strings_size(const VisitPacked *packed, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += (size_t)packed[i].url_length + packed[i].text_length + 2;
    }
    return size;
}

static void write_out(char *out, const VisitPacked *packed, size_t count)
{
    char *strings = out + count * RV_PY_NUMBERS_SIZE;
    for (size_t i = 0; i < count; i++) {
        uint32_t numbers[3] = {packed[i].visit_id, packed[i].url_length, packed[i].text_length};
        memcpy(out, numbers, sizeof numbers);
        memcpy(out + sizeof numbers, &packed[i].time_ns, sizeof packed->time_ns);
        out += RV_PY_NUMBERS_SIZE;
        strings = copy_strings(strings, packed, &packed[i]);
    }
}

int64_t rv_py_read(struct rv_py_store *store, uint32_t user_id, size_t limit, char *out,
                   size_t room)
{
    struct seat *seat;
    int status = enter_reader(store, &seat);
    if (status) {
        return status;
    }
    const VisitPacked *packed = NULL;
    size_t packed_size = 0;
    size_t count = 0;
    int64_t result =
        VisitReaderGetPacked(seat->reader, user_id, limit, &packed, &packed_size, &count);
    if (result == VISIT_OK && count) {
        size_t size = strings_size(packed, count) + count * RV_PY_NUMBERS_SIZE;
        result = (int64_t)(size << 16);
        if (size > room) {
            result = -result;
        } else {
            write_out(out, packed, count);
            result |= (int64_t)count;
        }
    }
    leave_reader(store, seat, packed_size);
    return result;
}

struct rv_py_block *rv_py_block_new(void)
{
    return calloc(1, sizeof(struct rv_py_block));
}

void rv_py_block_free(struct rv_py_block *block)
{
    if (block) {
        free(block->counts);
        free(block->times);
        free(block->visit_ids);
        free(block->lengths);
        free(block->strings);
        free(block);
    }
}

static bool grow(void *memory, size_t unit, size_t want)
{
    void **at = memory;
    void *more = realloc(*at, want * unit);
    if (more) {
        *at = more;
    }
    return more != NULL;
}

/* Makes room for more visits and bytes; at least doubles what it has. */
static bool make_room(struct rv_py_block *b, size_t visits, size_t size)
{
    if (b->visits + visits > b->visits_room) {
        size_t want = 2 * b->visits_room + visits;
        if (!grow(&b->times, sizeof *b->times, want) ||
            !grow(&b->visit_ids, sizeof *b->visit_ids, want) ||
            !grow(&b->lengths, 2 * sizeof *b->lengths, want)) {
            return false;
        }
        b->visits_room = want;
    }
    if (b->size + size > b->strings_room) {
        size_t want = 2 * b->strings_room + size;
        if (!grow(&b->strings, 1, want)) {
            return false;
        }
        b->strings_room = want;
    }
    return true;
}

static bool append(struct rv_py_block *b, const VisitPacked *packed, size_t count)
{
    if (!make_room(b, count, strings_size(packed, count))) {
        return false;
    }
    char *strings = b->strings + b->size;
    for (size_t i = 0; i < count; i++) {
        b->times[b->visits] = packed[i].time_ns;
        b->visit_ids[b->visits] = packed[i].visit_id;
        b->lengths[2 * b->visits] = packed[i].url_length;
        b->lengths[2 * b->visits + 1] = packed[i].text_length;
        b->visits++;
        strings = copy_strings(strings, packed, &packed[i]);
    }
    b->size = count ? (size_t)(strings - b->strings) : b->size;
    return true;
}

#define TOGETHER 16u /* users that are prefetched at once */

int rv_py_read_many(struct rv_py_store *store, const uint32_t *user_ids, size_t count, size_t limit,
                    struct rv_py_block *block)
{
    block->visits = 0;
    block->size = 0;
    if (count > block->counts_room) {
        if (!grow(&block->counts, sizeof *block->counts, count)) {
            return VISIT_ERROR_NO_MEMORY;
        }
        block->counts_room = count;
    }
    struct seat *seat;
    int status = enter_reader(store, &seat);
    if (status) {
        return status;
    }
    size_t largest = 0;
    for (size_t i = 0; !status && i < count; i++) {
        const VisitPacked *packed;
        size_t size;
        size_t visits;
        if (i % TOGETHER == 0) {
            size_t next = count - i < TOGETHER ? count - i : TOGETHER;
            VisitManagerPrefetch(store->manager, user_ids + i, next);
        }
        status = VisitReaderGetPacked(seat->reader, user_ids[i], limit, &packed, &size, &visits);
        if (!status && !append(block, packed, visits)) {
            status = VISIT_ERROR_NO_MEMORY;
        }
        block->counts[i] = status ? 0 : (uint32_t)visits;
        largest = !status && size > largest ? size : largest;
    }
    leave_reader(store, seat, largest);
    return status;
}

/* ---- users ---- */

int rv_py_users_open(struct rv_py_store *store, struct rv_py_users **ret_users)
{
    int entered = enter(store);
    if (entered) {
        return entered;
    }
    struct rv_py_users *u = calloc(1, sizeof *u);
    VisitStatus status = u ? VisitUsersOpen(store->manager, &u->users) : VISIT_ERROR_NO_MEMORY;
    if (status) {
        free(u);
        return leave(store, status);
    }
    pthread_mutex_lock(&store->lock);
    u->store = store;
    u->next = store->users;
    u->previous = &store->users;
    if (store->users) {
        store->users->previous = &u->next;
    }
    store->users = u;
    store->references++;
    end_call(store);
    pthread_mutex_unlock(&store->lock);
    *ret_users = u;
    return VISIT_OK;
}

int rv_py_users_next(struct rv_py_users *users, uint32_t *user_ids, uint32_t *counts, size_t room,
                     size_t *ret_count)
{
    size_t n = 0;
    VisitStatus status = VISIT_OK;
    int entered = enter(users->store);
    if (entered) {
        return entered;
    }
    while (!status && n < room) {
        size_t visits = 0;
        status = VisitUsersNext(users->users, &user_ids[n], &visits);
        if (!status) {
            counts[n++] = (uint32_t)visits;
        }
    }
    *ret_count = n;
    return leave(users->store, status);
}

void rv_py_users_free(struct rv_py_users **place)
{
    struct rv_py_users *users = *place;
    if (!users) {
        return;
    }
    struct rv_py_store *store = users->store;
    pthread_mutex_lock(&store->lock);
    *users->previous = users->next;
    if (users->next) {
        users->next->previous = users->previous;
    }
    /* Before the lock is released: close() must not free the manager under it. */
    VisitUsersFree(users->users);
    pthread_mutex_unlock(&store->lock);
    free(users);
    drop(store);
}

/* ---- upkeep ---- */

int rv_py_sync(struct rv_py_store *store)
{
    int status = enter(store);
    return status ? status : leave(store, VisitManagerSync(store->manager));
}

int rv_py_stats(struct rv_py_store *store, VisitStats *stats)
{
    int status = enter(store);
    return status ? status : leave(store, VisitManagerStats(store->manager, stats));
}

int rv_py_verify(struct rv_py_store *store, VisitFindingFunction *function, void *data)
{
    struct callback callback = {.store = store, .finding = function, .data = data};
    int status = enter(store);
    return status ? status
                  : leave(store, VisitManagerVerify(store->manager, on_finding, &callback));
}

int rv_py_backup(struct rv_py_store *store, const char *path, VisitProgress *progress, void *data)
{
    struct callback callback = {.store = store, .progress = progress, .data = data};
    int status = enter(store);
    return status ? status
                  : leave(store, VisitManagerBackup(store->manager, path,
                                                    progress ? on_progress : NULL, &callback));
}
