/* SPDX-License-Identifier: MIT */
#include <leveldb/c.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "../common.h"
#include "kv.h"

enum { LOCKS = 256, BLOOM_BITS = 10 };
#define WRITE_BUFFER ((size_t)256 << 20)
#define BLOCK_CACHE ((size_t)4 << 30)

struct store {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *bloom;
    struct bench_setup setup;
    pthread_mutex_t locks[LOCKS]; /* by user: a change reads and writes */
};

struct session {
    struct kv_session kv;
    struct store *store;
    leveldb_readoptions_t *reading;
    leveldb_writeoptions_t *writing;
    leveldb_writebatch_t *batch;
    char *value; /* of the last get */
};

static void check(char *error, const char *what)
{
    if (error)
        bench_die("leveldb: %s: %s", what, error);
}

static void *open_leveldb(const struct bench_setup *setup)
{
    struct store *store = bench_alloc(1, sizeof(*store));
    size_t memory = setup->memory_bytes;
    char path[PATH_MAX], *error = NULL;
    bench_path(path, sizeof(path), setup->folder, "leveldb");
    store->setup = *setup;
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_init(&store->locks[i], NULL);
    store->cache = leveldb_cache_create_lru(memory ? memory / 2 : BLOCK_CACHE);
    store->bloom = leveldb_filterpolicy_create_bloom(BLOOM_BITS);
    store->options = leveldb_options_create();
    leveldb_options_set_create_if_missing(store->options, 1);
    leveldb_options_set_write_buffer_size(store->options, memory ? memory / 8 : WRITE_BUFFER);
    leveldb_options_set_cache(store->options, store->cache);
    leveldb_options_set_filter_policy(store->options, store->bloom);
    leveldb_options_set_compression(store->options, leveldb_no_compression);
    leveldb_options_set_max_file_size(store->options, 64 << 20);
    store->db = leveldb_open(store->options, path, &error);
    check(error, "open");
    return store;
}

/* Writes the memtable out, and compacts, so that reads find one level. */
static void sync_leveldb(void *opaque)
{
    struct store *store = opaque;
    leveldb_compact_range(store->db, NULL, 0, NULL, 0);
}

static void close_leveldb(void *opaque)
{
    struct store *store = opaque;
    leveldb_close(store->db);
    leveldb_options_destroy(store->options);
    leveldb_cache_destroy(store->cache);
    leveldb_filterpolicy_destroy(store->bloom);
    free(store);
}

static void begin_change(struct kv_session *kv)
{
    struct session *session = (struct session *)kv;
    leveldb_writebatch_clear(session->batch);
}

static void commit_change(struct kv_session *kv)
{
    struct session *session = (struct session *)kv;
    char *error = NULL;
    leveldb_write(session->store->db, session->writing, session->batch, &error);
    check(error, "write");
}

static char *fetch(struct session *session, uint32_t key, size_t *ret_size)
{
    char *error = NULL;
    char *value = leveldb_get(session->store->db, session->reading, (const char *)&key, sizeof(key),
                              ret_size, &error);
    check(error, "get");
    return value;
}

static void change(struct kv_session *kv, uint32_t user_id, const struct kv_add *adds, size_t count)
{
    struct session *session = (struct session *)kv;
    uint32_t key = kv_key(user_id);
    size_t size;
    char *old = fetch(session, key, &size);
    if (kv_apply(kv, old, adds, count, &size))
        leveldb_writebatch_put(session->batch, (const char *)&key, sizeof(key), kv->value, size);
    leveldb_free(old);
}

static bool get(struct kv_session *kv, uint32_t user_id, const void **ret_value, size_t *ret_size)
{
    struct session *session = (struct session *)kv;
    leveldb_free(session->value);
    session->value = fetch(session, kv_key(user_id), ret_size);
    *ret_value = session->value;
    return session->value != NULL;
}

static const struct kv_ops ops = {
    .begin = begin_change, .commit = commit_change, .change = change, .get = get};

static void *begin_session(void *opaque)
{
    struct store *store = opaque;
    struct session *session = bench_alloc(1, sizeof(*session));
    kv_session_init(&session->kv, &ops, &store->setup);
    session->store = store;
    session->batch = leveldb_writebatch_create();
    session->writing = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(session->writing, store->setup.durable);
    session->reading = leveldb_readoptions_create();
    return session;
}

static void end_session(void *opaque)
{
    struct session *session = opaque;
    leveldb_free(session->value);
    leveldb_writebatch_destroy(session->batch);
    leveldb_writeoptions_destroy(session->writing);
    leveldb_readoptions_destroy(session->reading);
    kv_session_release(&session->kv);
    free(session);
}

/* Others may change the same user between a read and a write. */
static void add_locked(void *opaque, const struct bench_add *add)
{
    struct session *session = opaque;
    if (session->kv.batch > 1 || session->store->setup.sessions <= 1) {
        kv_engine_add(session, add);
        return;
    }
    pthread_mutex_t *lock = &session->store->locks[add->user_id % LOCKS];
    pthread_mutex_lock(lock);
    kv_engine_add(session, add);
    pthread_mutex_unlock(lock);
}

#define LEVELDB_ENGINE(n, b, c)                                                                    \
    {                                                                                              \
        .name = n, .batch = b,                                                                     \
        .what = "LevelDB: one packed value a user; unsynced log (durable: synced), no "            \
                "compression, memtables of 256 MiB, block cache of 4 GiB, bloom filter of 10 "     \
                "bits, compacted before reads",                                                    \
        .can = (c) | BENCH_LASTS, .open = open_leveldb, .sync = sync_leveldb,                      \
        .close = close_leveldb, .begin = begin_session, .end = end_session, .add = add_locked,     \
        .flush = kv_engine_flush, .read = kv_engine_read                                           \
    }

const struct bench_engine bench_engine_leveldb =
    LEVELDB_ENGINE("leveldb", 1, BENCH_THREADS | BENCH_DURABLE);
const struct bench_engine bench_engine_leveldb_batch =
    LEVELDB_ENGINE("leveldb-batch", BENCH_BATCH, 0);
