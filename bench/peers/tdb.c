/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <tdb.h>

#include "../common.h"
#include "kv.h"

/* One thread, so that the store is its own session. */
struct store {
    struct kv_session kv;
    TDB_CONTEXT *tdb;
};

/* Values take room in steps of this, so that most changes overwrite in place: a larger value moves,
 * and the search of the free list for its new place takes 10 times as long as all else. */
enum { STEP_BYTES = 1024 };

/* No sync. Alone without locks, with other processes by mutexes in the file. */
static int flags_of(const struct bench_setup *setup)
{
    int flags = TDB_NOSYNC | TDB_INCOMPATIBLE_HASH;
    return flags | (setup->processes ? TDB_MUTEX_LOCKING | TDB_CLEAR_IF_FIRST : TDB_NOLOCK);
}

static TDB_DATA key_of(const uint32_t *user_id)
{
    return (TDB_DATA){(unsigned char *)(uintptr_t)user_id, sizeof(*user_id)};
}

static TDB_DATA fetch(struct store *store, const uint32_t *user_id)
{
    return tdb_fetch(store->tdb, key_of(user_id));
}

static void change(struct kv_session *kv, uint32_t user_id, const struct kv_add *adds, size_t count)
{
    struct store *store = (struct store *)kv;
    if (tdb_chainlock(store->tdb, key_of(&user_id)) != 0)
        bench_die("tdb: lock: %s", tdb_errorstr(store->tdb));
    TDB_DATA old = fetch(store, &user_id);
    size_t size;
    if (kv_apply(kv, old.dptr, adds, count, &size)) {
        size_t room = kv_pad(kv, size, STEP_BYTES);
        TDB_DATA value = {(unsigned char *)kv->value, room};
        if (tdb_store(store->tdb, key_of(&user_id), value, TDB_REPLACE) != 0)
            bench_die("tdb: store: %s", tdb_errorstr(store->tdb));
    }
    free(old.dptr);
    tdb_chainunlock(store->tdb, key_of(&user_id));
}

struct found {
    struct kv_session *kv;
    const void **value;
    size_t *size;
};

static int take(TDB_DATA key, TDB_DATA value, void *opaque)
{
    (void)key;
    struct found *found = opaque;
    *found->value = kv_copy(found->kv, value.dptr, value.dsize);
    *found->size = value.dsize;
    return 0;
}

static bool get(struct kv_session *kv, uint32_t user_id, const void **ret_value, size_t *ret_size)
{
    struct store *store = (struct store *)kv;
    struct found found = {kv, ret_value, ret_size};
    return tdb_parse_record(store->tdb, key_of(&user_id), take, &found) == 0;
}

static const struct kv_ops ops = {.change = change, .get = get};

static void *open_tdb(const struct bench_setup *setup)
{
    struct store *store = bench_alloc(1, sizeof(*store));
    char path[PATH_MAX];
    bench_path(path, sizeof(path), setup->folder, "tdb");
    kv_session_init(&store->kv, &ops, setup);
    int hash_size = (int)(setup->users + setup->users / 4) | 1;
    store->tdb = tdb_open(path, hash_size, flags_of(setup), O_RDWR | O_CREAT, 0600);
    if (!store->tdb)
        bench_die("tdb: open: %s", strerror(errno));
    return store;
}

static void close_tdb(void *opaque)
{
    struct store *store = opaque;
    tdb_close(store->tdb);
    kv_session_release(&store->kv);
    free(store);
}

#define TDB_ENGINE(n, b)                                                                           \
    {                                                                                              \
        .name = n, .batch = b,                                                                     \
        .what = "TDB: one packed value a user; a hash bucket a user, padded to 1 KiB; NOSYNC "     \
                "NOLOCK, with processes MUTEX_LOCKING",                                            \
        .can = BENCH_PROCESSES, .open = open_tdb, .close = close_tdb, .add = kv_engine_add,        \
        .flush = kv_engine_flush, .read = kv_engine_read                                           \
    }

const struct bench_engine bench_engine_tdb = TDB_ENGINE("tdb", 1);
const struct bench_engine bench_engine_tdb_batch = TDB_ENGINE("tdb-batch", BENCH_BATCH);
