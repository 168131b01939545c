/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdlib.h>
#include <tkrzw_langc.h>

#include "../common.h"
#include "kv.h"

struct store {
    TkrzwDBM *dbm;
    struct bench_setup setup;
};

struct session {
    struct kv_session kv;
    TkrzwDBM *dbm;
};

static _Noreturn void die(const char *what)
{
    bench_die("tkrzw: %s: %s", what, tkrzw_get_last_status_message());
}

/* A change in one call: the callback gets the old value and gives the new one. */
struct change {
    struct kv_session *kv;
    const struct kv_add *adds;
    size_t count;
};

static const char *change_value(void *opaque, const char *key, int32_t key_size, const char *value,
                                int32_t value_size, int32_t *ret_size)
{
    (void)key, (void)key_size, (void)value_size;
    struct change *change = opaque;
    size_t size;
    if (!kv_apply(change->kv, value, change->adds, change->count, &size))
        return TKRZW_REC_PROC_NOOP;
    *ret_size = (int32_t)size;
    return change->kv->value;
}

static void change(struct kv_session *kv, uint32_t user_id, const struct kv_add *adds, size_t count)
{
    struct session *session = (struct session *)kv;
    struct change argument = {kv, adds, count};
    if (!tkrzw_dbm_process(session->dbm, (const char *)&user_id, sizeof(user_id), change_value,
                           &argument, true))
        die("process");
}

struct found {
    struct kv_session *kv;
    const void **value;
    size_t *size;
    bool there;
};

static const char *take_value(void *opaque, const char *key, int32_t key_size, const char *value,
                              int32_t value_size, int32_t *ret_size)
{
    (void)key, (void)key_size, (void)ret_size;
    struct found *found = opaque;
    if (value) {
        *found->value = kv_copy(found->kv, value, (size_t)value_size);
        *found->size = (size_t)value_size;
        found->there = true;
    }
    return TKRZW_REC_PROC_NOOP;
}

static bool get(struct kv_session *kv, uint32_t user_id, const void **ret_value, size_t *ret_size)
{
    struct session *session = (struct session *)kv;
    struct found found = {kv, ret_value, ret_size, false};
    if (!tkrzw_dbm_process(session->dbm, (const char *)&user_id, sizeof(user_id), take_value,
                           &found, false))
        die("process");
    return found.there;
}

static const struct kv_ops ops = {.change = change, .get = get};

static void *open_tkrzw(const struct bench_setup *setup)
{
    struct store *store = bench_alloc(1, sizeof(*store));
    char path[PATH_MAX], parameters[256];
    bench_path(path, sizeof(path), setup->folder, "tkrzw.tkh");
    snprintf(parameters, sizeof(parameters), "dbm=HashDBM,num_buckets=%u,offset_width=5",
             2 * setup->users + 1);
    store->dbm = tkrzw_dbm_open(path, true, parameters);
    if (!store->dbm)
        die("open");
    store->setup = *setup;
    return store;
}

static void sync_tkrzw(void *opaque)
{
    struct store *store = opaque;
    if (!tkrzw_dbm_synchronize(store->dbm, true, NULL, NULL, ""))
        die("synchronize");
}

static void close_tkrzw(void *opaque)
{
    struct store *store = opaque;
    if (!tkrzw_dbm_close(store->dbm))
        die("close");
    free(store);
}

static void *begin_session(void *opaque)
{
    struct store *store = opaque;
    struct session *session = bench_alloc(1, sizeof(*session));
    kv_session_init(&session->kv, &ops, &store->setup);
    session->dbm = store->dbm;
    return session;
}

static void end_session(void *opaque)
{
    struct session *session = opaque;
    kv_session_release(&session->kv);
    free(session);
}

#define TKRZW_ENGINE(n, b)                                                                         \
    {                                                                                              \
        .name = n, .batch = b,                                                                     \
        .what = "Tkrzw: HashDBM, one packed value a user, two buckets a user",                     \
        .can = BENCH_THREADS | BENCH_LASTS, .open = open_tkrzw, .sync = sync_tkrzw,                \
        .close = close_tkrzw, .begin = begin_session, .end = end_session, .add = kv_engine_add,    \
        .flush = kv_engine_flush, .read = kv_engine_read                                           \
    }

const struct bench_engine bench_engine_tkrzw = TKRZW_ENGINE("tkrzw", 1);
const struct bench_engine bench_engine_tkrzw_batch = TKRZW_ENGINE("tkrzw-batch", BENCH_BATCH);
