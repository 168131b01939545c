/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <rocksdb/c.h>
#include <stdlib.h>
#include <unistd.h>

#include "../common.h"
#include "kv.h"

/*
 * An add is a merge: it is written without reading what is there. The merge operator folds adds
 * into the value when they are read or compacted, and the memtable when a user has had some.
 */
enum {
    MERGES = 8,               /* this many adds of a user make a memtable fold them */
    WRITE_BUFFER = 256 << 20, /* bytes of a memtable */
    BLOCK_CACHE_MB = 4096,    /* plenty: the data fits */
    BUCKET_BYTES = 256,       /* a bucket of a memtable's hash table for so many bytes of it */
    KEY_BYTES = 4,
};

struct store {
    rocksdb_t *db;
    rocksdb_options_t *options;
    struct bench_setup setup;
};

struct session {
    struct kv_session kv;
    struct store *store;
    rocksdb_readoptions_t *reading;
    rocksdb_writeoptions_t *writing;
    rocksdb_writebatch_t *batch;
    rocksdb_pinnableslice_t *value; /* of the last get */
};

static void check(char *error, const char *what)
{
    if (error)
        bench_die("rocksdb: %s: %s", what, error);
}

/* ---- the merge operator ---- */

static char *merge(void *opaque, const char *key, size_t key_size, const char *existing,
                   size_t existing_size, const char *const *operands, const size_t *operand_sizes,
                   int operand_count, unsigned char *ret_success, size_t *ret_size)
{
    (void)key, (void)key_size, (void)existing_size, (void)operand_sizes;
    size_t count = 0;
    for (int i = 0; i < operand_count; i++)
        count += kv_count(operands[i]);
    struct kv_add *adds = bench_alloc(count, sizeof(*adds));
    struct kv_add *next = adds;
    for (int i = 0; i < operand_count; next += kv_count(operands[i]), i++)
        kv_unpack(operands[i], next);
    struct kv_session scratch = {.max_visits = *(const uint32_t *)opaque};
    if (!kv_apply(&scratch, existing, adds, count, ret_size)) {
        /* All were there: the value stays. */
        kv_copy(&scratch, existing, existing_size);
        scratch.value = scratch.copy;
        *ret_size = existing_size;
    }
    free(adds);
    *ret_success = 1;
    return scratch.value;
}

/* Adds without the value below them can't be folded: which are dropped depends on it. */
static char *merge_partly(void *opaque, const char *key, size_t key_size,
                          const char *const *operands, const size_t *operand_sizes,
                          int operand_count, unsigned char *ret_success, size_t *ret_size)
{
    (void)opaque, (void)key, (void)key_size, (void)operands, (void)operand_sizes;
    (void)operand_count;
    *ret_success = 0;
    *ret_size = 0;
    return NULL;
}

static void free_nothing(void *opaque)
{
    (void)opaque;
}

static void free_value(void *opaque, const char *value, size_t size)
{
    (void)opaque, (void)size;
    free((void *)(uintptr_t)value);
}

static const char *merge_name(void *opaque)
{
    (void)opaque;
    return "newest visits";
}

/* ---- the store ---- */

static rocksdb_options_t *make_options(struct store *store)
{
    const struct bench_setup *setup = &store->setup;
    rocksdb_options_t *options = rocksdb_options_create();
    uint64_t cache_mb = setup->memory_bytes ? setup->memory_bytes >> 21 : BLOCK_CACHE_MB;
    size_t buffer = setup->memory_bytes ? setup->memory_bytes / 8 : WRITE_BUFFER;
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_optimize_for_point_lookup(options, cache_mb + 1);
    rocksdb_options_increase_parallelism(options, (int)sysconf(_SC_NPROCESSORS_ONLN));
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(options, buffer);
    rocksdb_options_set_max_write_buffer_number(options, 4);
    rocksdb_options_set_allow_mmap_reads(options, 1);
    rocksdb_options_set_max_successive_merges(options, MERGES);
    /* A memtable that is a hash table: for keys of 4 bytes, each a prefix of its own. */
    rocksdb_options_set_prefix_extractor(options,
                                         rocksdb_slicetransform_create_fixed_prefix(KEY_BYTES));
    rocksdb_options_set_allow_concurrent_memtable_write(options, 0);
    rocksdb_options_set_hash_skip_list_rep(options, buffer / BUCKET_BYTES, 4, 4);
    rocksdb_options_set_merge_operator(
        options, rocksdb_mergeoperator_create(&store->setup.max_visits, free_nothing, merge,
                                              merge_partly, free_value, merge_name));
    return options;
}

static void *open_rocksdb(const struct bench_setup *setup)
{
    struct store *store = bench_alloc(1, sizeof(*store));
    char path[PATH_MAX], *error = NULL;
    bench_path(path, sizeof(path), setup->folder, "rocksdb");
    store->setup = *setup;
    store->options = make_options(store);
    store->db = rocksdb_open(store->options, path, &error);
    check(error, "open");
    return store;
}

/* Without a log, durable is what has been flushed. Compacted as well, so that reads find one level.
 */
static void sync_rocksdb(void *opaque)
{
    struct store *store = opaque;
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    char *error = NULL;
    rocksdb_flush(store->db, options, &error);
    check(error, "flush");
    rocksdb_flushoptions_destroy(options);
    rocksdb_compact_range(store->db, NULL, 0, NULL, 0);
}

static void close_rocksdb(void *opaque)
{
    struct store *store = opaque;
    rocksdb_close(store->db);
    rocksdb_options_destroy(store->options);
    free(store);
}

/* ---- sessions ---- */

static void begin_change(struct kv_session *kv)
{
    struct session *session = (struct session *)kv;
    rocksdb_writebatch_clear(session->batch);
}

static void commit_change(struct kv_session *kv)
{
    struct session *session = (struct session *)kv;
    char *error = NULL;
    rocksdb_write(session->store->db, session->writing, session->batch, &error);
    check(error, "write");
}

static void change(struct kv_session *kv, uint32_t user_id, const struct kv_add *adds, size_t count)
{
    struct session *session = (struct session *)kv;
    uint32_t key = kv_key(user_id);
    size_t size = kv_pack(kv, adds, count);
    rocksdb_writebatch_merge(session->batch, (const char *)&key, sizeof(key), kv->value, size);
}

static void drop_value(struct session *session)
{
    if (session->value)
        rocksdb_pinnableslice_destroy(session->value);
    session->value = NULL;
}

static bool get(struct kv_session *kv, uint32_t user_id, const void **ret_value, size_t *ret_size)
{
    struct session *session = (struct session *)kv;
    uint32_t key = kv_key(user_id);
    char *error = NULL;
    drop_value(session);
    session->value = rocksdb_get_pinned(session->store->db, session->reading, (const char *)&key,
                                        sizeof(key), &error);
    check(error, "get");
    if (!session->value)
        return false;
    *ret_value = rocksdb_pinnableslice_value(session->value, ret_size);
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
    session->batch = rocksdb_writebatch_create();
    session->writing = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(session->writing, !store->setup.durable);
    rocksdb_writeoptions_set_sync(session->writing, store->setup.durable);
    session->reading = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(session->reading, 0);
    return session;
}

static void end_session(void *opaque)
{
    struct session *session = opaque;
    drop_value(session);
    rocksdb_writebatch_destroy(session->batch);
    rocksdb_writeoptions_destroy(session->writing);
    rocksdb_readoptions_destroy(session->reading);
    kv_session_release(&session->kv);
    free(session);
}

#define ROCKSDB_ENGINE(n, b)                                                                       \
    {                                                                                              \
        .name = n, .batch = b,                                                                     \
        .what =                                                                                    \
            "RocksDB: one packed value a user, adds are merges; no log (durable: synced log), "    \
            "no compression, no checksums on reads, mmap reads, memtables of 256 MiB, hash "       \
            "skip lists, block cache of 4 GiB, optimize_for_point_lookup, compacted before reads", \
        .can = BENCH_THREADS | BENCH_DURABLE | BENCH_LASTS, .open = open_rocksdb,                  \
        .sync = sync_rocksdb, .close = close_rocksdb, .begin = begin_session, .end = end_session,  \
        .add = kv_engine_add, .flush = kv_engine_flush, .read = kv_engine_read                     \
    }

const struct bench_engine bench_engine_rocksdb = ROCKSDB_ENGINE("rocksdb", 1);
const struct bench_engine bench_engine_rocksdb_batch = ROCKSDB_ENGINE("rocksdb-batch", BENCH_BATCH);
