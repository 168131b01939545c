/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <lmdb.h>
#include <stdlib.h>

#include "../common.h"
#include "kv.h"

/* Address space; the file is sparse. */
#define MAP_BYTES ((size_t)1 << 37)

struct store {
    MDB_env *env;
    MDB_dbi dbi;
    struct bench_setup setup;
};

struct session {
    struct kv_session kv;
    struct store *store;
    MDB_txn *reader, *writer;
    MDB_cursor *cursor; /* of the writer */
    bool reading;
};

static void check(int error, const char *what)
{
    if (error != MDB_SUCCESS)
        bench_die("lmdb: %s: %s", what, mdb_strerror(error));
}

/* Without durability: the file is written through the mapping, nothing is synced, and a store that
 * is used by one thread alone is not locked. With it: the default, which syncs at each commit. */
static unsigned flags_of(const struct bench_setup *setup)
{
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NOMEMINIT;
    if (!setup->durable)
        flags |= MDB_WRITEMAP | MDB_NOSYNC | MDB_NOMETASYNC | MDB_MAPASYNC;
    if (setup->sessions <= 1 && !setup->processes)
        flags |= MDB_NOLOCK;
    if (setup->memory_bytes)
        flags |= MDB_NORDAHEAD;
    return flags;
}

static void open_dbi(struct store *store)
{
    MDB_txn *txn;
    check(mdb_txn_begin(store->env, NULL, 0, &txn), "begin");
    check(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY | MDB_CREATE, &store->dbi), "open");
    check(mdb_txn_commit(txn), "commit");
}

static void *open_lmdb(const struct bench_setup *setup)
{
    struct store *store = bench_alloc(1, sizeof(*store));
    char path[PATH_MAX];
    bench_path(path, sizeof(path), setup->folder, "lmdb");
    store->setup = *setup;
    check(mdb_env_create(&store->env), "create");
    check(mdb_env_set_mapsize(store->env, MAP_BYTES), "map size");
    check(mdb_env_set_maxreaders(store->env, 2 * setup->sessions + 8), "readers");
    check(mdb_env_open(store->env, path, flags_of(setup), 0600), "open");
    open_dbi(store);
    return store;
}

static void sync_lmdb(void *opaque)
{
    struct store *store = opaque;
    check(mdb_env_sync(store->env, 1), "sync");
}

/* Up to the last page in use; the file's size is that of the map. */
static uint64_t bytes_lmdb(void *opaque)
{
    struct store *store = opaque;
    MDB_envinfo info;
    MDB_stat stat;
    check(mdb_env_info(store->env, &info), "info");
    check(mdb_env_stat(store->env, &stat), "stat");
    return (info.me_last_pgno + 1) * stat.ms_psize;
}

static void close_lmdb(void *opaque)
{
    struct store *store = opaque;
    mdb_env_close(store->env);
    free(store);
}

static void stop_reading(struct session *session)
{
    if (session->reading)
        mdb_txn_reset(session->reader);
    session->reading = false;
}

static void begin_change(struct kv_session *kv)
{
    struct session *session = (struct session *)kv;
    stop_reading(session); /* or pages that it holds could not be used again */
    check(mdb_txn_begin(session->store->env, NULL, 0, &session->writer), "begin");
    check(mdb_cursor_open(session->writer, session->store->dbi, &session->cursor), "cursor");
}

static void commit_change(struct kv_session *kv)
{
    struct session *session = (struct session *)kv;
    mdb_cursor_close(session->cursor);
    check(mdb_txn_commit(session->writer), "commit");
}

static void change(struct kv_session *kv, uint32_t user_id, const struct kv_add *adds, size_t count)
{
    struct session *session = (struct session *)kv;
    MDB_val key = {sizeof(user_id), &user_id}, value = {0};
    int error = mdb_cursor_get(session->cursor, &key, &value, MDB_SET);
    if (error != MDB_NOTFOUND)
        check(error, "get");
    size_t size;
    if (!kv_apply(kv, error ? NULL : value.mv_data, adds, count, &size))
        return;
    value = (MDB_val){size, kv->value};
    check(mdb_cursor_put(session->cursor, &key, &value, error ? 0 : MDB_CURRENT), "put");
}

/* The value lies in the map; it stays while the read transaction does, until the next call. */
static bool get(struct kv_session *kv, uint32_t user_id, const void **ret_value, size_t *ret_size)
{
    struct session *session = (struct session *)kv;
    stop_reading(session);
    check(mdb_txn_renew(session->reader), "renew");
    session->reading = true;
    MDB_val key = {sizeof(user_id), &user_id}, value;
    int error = mdb_get(session->reader, session->store->dbi, &key, &value);
    if (error == MDB_NOTFOUND)
        return false;
    check(error, "get");
    *ret_value = value.mv_data;
    *ret_size = value.mv_size;
    return true;
}

static const struct kv_ops ops = {
    .begin = begin_change, .commit = commit_change, .change = change, .get = get};

static void *begin_session(void *opaque)
{
    struct store *store = opaque;
    struct session *session = bench_alloc(1, sizeof(*session));
    kv_session_init(&session->kv, &ops, &store->setup);
    session->store = store;
    check(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &session->reader), "begin");
    mdb_txn_reset(session->reader);
    return session;
}

static void end_session(void *opaque)
{
    struct session *session = opaque;
    mdb_txn_abort(session->reader);
    kv_session_release(&session->kv);
    free(session);
}

#define LMDB_ENGINE(n, b)                                                                          \
    {                                                                                              \
        .name = n, .batch = b,                                                                     \
        .what = "LMDB: one packed value a user, integer keys, one transaction a change or batch; " \
                "WRITEMAP NOSYNC NOMETASYNC MAPASYNC NOTLS NOMEMINIT, with one session NOLOCK; "   \
                "durable: NOTLS NOMEMINIT",                                                        \
        .can = BENCH_THREADS | BENCH_PROCESSES | BENCH_DURABLE | BENCH_LASTS, .open = open_lmdb,   \
        .sync = sync_lmdb, .bytes = bytes_lmdb, .close = close_lmdb, .begin = begin_session,       \
        .end = end_session, .add = kv_engine_add, .flush = kv_engine_flush, .read = kv_engine_read \
    }

const struct bench_engine bench_engine_lmdb = LMDB_ENGINE("lmdb", 1);
const struct bench_engine bench_engine_lmdb_batch = LMDB_ENGINE("lmdb-batch", BENCH_BATCH);
