/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "../common.h"
#include "kv.h"

struct store {
    struct bench_setup setup;
    char path[PATH_MAX];
    pthread_mutex_t lock; /* one writer at a time: waiting here beats SQLite's polling */
    sqlite3 *first;       /* a connection that keeps the log while sessions come and go */
};

struct session {
    struct kv_session kv;
    struct store *store;
    sqlite3 *db;
    sqlite3_stmt *select, *insert, *update, *begin, *commit;
};

static void check(sqlite3 *db, int error, const char *what)
{
    if (error != SQLITE_OK && error != SQLITE_DONE && error != SQLITE_ROW)
        bench_die("sqlite: %s: %s", what, db ? sqlite3_errmsg(db) : "no memory");
}

static void run(sqlite3 *db, const char *sql)
{
    check(db, sqlite3_exec(db, sql, NULL, NULL, NULL), sql);
}

static bool is_alone(const struct bench_setup *setup)
{
    return setup->sessions <= 1 && !setup->processes;
}

/* Alone and without durability there is no journal and the file stays locked; otherwise a
 * write-ahead log, which is not synced unless adds must be durable. */
static sqlite3 *connect(struct store *store)
{
    const struct bench_setup *setup = &store->setup;
    sqlite3 *db;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    check(NULL, sqlite3_open_v2(store->path, &db, flags, NULL), "open");
    sqlite3_busy_timeout(db, 60000);
    char cache[64];
    snprintf(
        cache, sizeof(cache), "pragma cache_size = -%lld",
        (long long)((setup->memory_bytes ? setup->memory_bytes / 2 : UINT64_C(4) << 30) >> 10));
    run(db, cache);
    /* Page faults would read ahead, which is of no use where memory is short. */
    run(db, setup->memory_bytes ? "pragma mmap_size = 0" : "pragma mmap_size = 1000000000000");
    if (is_alone(setup) && !setup->durable) {
        run(db, "pragma locking_mode = exclusive");
        run(db, "pragma journal_mode = off");
    } else {
        run(db, "pragma journal_mode = wal");
    }
    run(db, setup->durable ? "pragma synchronous = full" : "pragma synchronous = off");
    return db;
}

static void *open_sqlite(const struct bench_setup *setup)
{
    struct store *store = bench_alloc(1, sizeof(*store));
    store->setup = *setup;
    bench_path(store->path, sizeof(store->path), setup->folder, "sqlite");
    pthread_mutex_init(&store->lock, NULL);
    store->first = connect(store);
    run(store->first, "create table if not exists users (id integer primary key, visits blob)");
    if (is_alone(setup)) {
        sqlite3_close(store->first);
        store->first = NULL;
    }
    return store;
}

static void close_sqlite(void *opaque)
{
    struct store *store = opaque;
    sqlite3_close(store->first);
    free(store);
}

static void step(struct session *session, sqlite3_stmt *statement)
{
    check(session->db, sqlite3_step(statement), "step");
    sqlite3_reset(statement);
}

static void begin_change(struct kv_session *kv)
{
    struct session *session = (struct session *)kv;
    if (!is_alone(&session->store->setup))
        pthread_mutex_lock(&session->store->lock);
    step(session, session->begin);
}

static void commit_change(struct kv_session *kv)
{
    struct session *session = (struct session *)kv;
    step(session, session->commit);
    if (!is_alone(&session->store->setup))
        pthread_mutex_unlock(&session->store->lock);
}

/* Leaves the row's value valid until the statement is reset. */
static bool select_value(struct session *session, uint32_t user_id, const void **ret_value,
                         size_t *ret_size)
{
    sqlite3_bind_int64(session->select, 1, user_id);
    int error = sqlite3_step(session->select);
    check(session->db, error, "select");
    if (error != SQLITE_ROW)
        return false;
    *ret_value = sqlite3_column_blob(session->select, 0);
    *ret_size = (size_t)sqlite3_column_bytes(session->select, 0);
    return true;
}

static void change(struct kv_session *kv, uint32_t user_id, const struct kv_add *adds, size_t count)
{
    struct session *session = (struct session *)kv;
    const void *old;
    size_t size;
    bool there = select_value(session, user_id, &old, &size);
    bool changed = kv_apply(kv, there ? old : NULL, adds, count, &size);
    sqlite3_reset(session->select);
    if (!changed)
        return;
    sqlite3_stmt *statement = there ? session->update : session->insert;
    sqlite3_bind_int64(statement, 1, user_id);
    sqlite3_bind_blob64(statement, 2, kv->value, size, SQLITE_STATIC);
    step(session, statement);
}

static bool get(struct kv_session *kv, uint32_t user_id, const void **ret_value, size_t *ret_size)
{
    struct session *session = (struct session *)kv;
    bool there = select_value(session, user_id, ret_value, ret_size);
    if (there)
        *ret_value = kv_copy(kv, *ret_value, *ret_size);
    sqlite3_reset(session->select);
    return there;
}

static const struct kv_ops ops = {
    .begin = begin_change, .commit = commit_change, .change = change, .get = get};

static sqlite3_stmt *prepare(struct session *session, const char *sql)
{
    sqlite3_stmt *statement;
    check(session->db,
          sqlite3_prepare_v3(session->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL),
          sql);
    return statement;
}

static void *begin_session(void *opaque)
{
    struct store *store = opaque;
    struct session *session = bench_alloc(1, sizeof(*session));
    kv_session_init(&session->kv, &ops, &store->setup);
    session->store = store;
    session->db = connect(store);
    session->select = prepare(session, "select visits from users where id = ?1");
    session->insert = prepare(session, "insert into users values (?1, ?2)");
    session->update = prepare(session, "update users set visits = ?2 where id = ?1");
    session->begin = prepare(session, "begin immediate");
    session->commit = prepare(session, "commit");
    return session;
}

static void end_session(void *opaque)
{
    struct session *session = opaque;
    sqlite3_finalize(session->select);
    sqlite3_finalize(session->insert);
    sqlite3_finalize(session->update);
    sqlite3_finalize(session->begin);
    sqlite3_finalize(session->commit);
    sqlite3_close(session->db);
    kv_session_release(&session->kv);
    free(session);
}

#define SQLITE_ENGINE(n, b)                                                                        \
    {                                                                                              \
        .name = n, .batch = b,                                                                     \
        .what = "SQLite: one packed value a user in a table with an integer key, prepared "        \
                "statements, cache of 4 GiB, mmap_size beyond the file, 0 where memory is "        \
                "limited; one session: "                                                           \
                "synchronous=off, journal_mode=off, "                                              \
                "locking_mode=exclusive; several: synchronous=off, journal_mode=wal; durable: "    \
                "synchronous=full, journal_mode=wal",                                              \
        .can = BENCH_THREADS | BENCH_PROCESSES | BENCH_DURABLE | BENCH_LASTS, .open = open_sqlite, \
        .close = close_sqlite, .begin = begin_session, .end = end_session, .add = kv_engine_add,   \
        .flush = kv_engine_flush, .read = kv_engine_read                                           \
    }

const struct bench_engine bench_engine_sqlite = SQLITE_ENGINE("sqlite", 1);
const struct bench_engine bench_engine_sqlite_batch = SQLITE_ENGINE("sqlite-batch", BENCH_BATCH);
