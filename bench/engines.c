/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "engine.h"
#include "figures.h"

/* Peers come twice: single adds, then batches. */
#ifdef HAVE_LMDB
#define LMDB &bench_engine_lmdb, &bench_engine_lmdb_batch
#else
#define LMDB NULL, NULL
#endif
#ifdef HAVE_SQLITE
#define SQLITE &bench_engine_sqlite, &bench_engine_sqlite_batch
#else
#define SQLITE NULL, NULL
#endif
#ifdef HAVE_ROCKSDB
#define ROCKSDB &bench_engine_rocksdb, &bench_engine_rocksdb_batch
#else
#define ROCKSDB NULL, NULL
#endif
#ifdef HAVE_LEVELDB
#define LEVELDB &bench_engine_leveldb, &bench_engine_leveldb_batch
#else
#define LEVELDB NULL, NULL
#endif
#ifdef HAVE_TDB
#define TDB &bench_engine_tdb, &bench_engine_tdb_batch
#else
#define TDB NULL, NULL
#endif
#ifdef HAVE_TKRZW
#define TKRZW &bench_engine_tkrzw, &bench_engine_tkrzw_batch
#else
#define TKRZW NULL, NULL
#endif
#ifdef HAVE_REDIS
#define REDIS &bench_engine_redis, &bench_engine_redis_batch
#else
#define REDIS NULL, NULL
#endif

static const struct bench_engine *const ours[] = {
    &bench_engine_null,
    &bench_engine_naive,
    &bench_engine_wrong,
    &bench_engine_floor_anon,
    &bench_engine_floor_huge,
    &bench_engine_floor_file,
    &bench_engine_floor_sync,
    &bench_engine_librv,
    &bench_engine_librv_batch,
    &bench_engine_librv_nosync,
    &bench_engine_librv_nosync_batch,
    &bench_engine_librv_threads,
};

static const struct peer {
    const char *name;
    const struct bench_engine *single, *batched;
} peers[] = {
    {"lmdb", LMDB}, {"sqlite", SQLITE}, {"rocksdb", ROCKSDB}, {"leveldb", LEVELDB},
    {"tdb", TDB},   {"tkrzw", TKRZW},   {"redis", REDIS},
};
enum {
    OURS = sizeof(ours) / sizeof(ours[0]),
    PEERS = sizeof(peers) / sizeof(peers[0]),
};

static void append(struct bench_engines *engines, const struct bench_engine *engine,
                   const char *name, unsigned can, struct bench_figures *report)
{
    if (!engine) {
        bench_figures_note(report, name, "left out: its library was not there at the build");
    } else if (engine->available && !engine->available()) {
        bench_figures_note(report, name, "left out: its program is not there");
    } else if ((engine->can & can) == can) {
        if (engines->count == BENCH_ENGINES_MAX)
            bench_die("too many engines");
        if (engine->what)
            bench_figures_note(report, engine->name, engine->what);
        engines->list[engines->count++] = engine;
    }
}

static bool append_ours(struct bench_engines *engines, const char *name, unsigned can,
                        struct bench_figures *report)
{
    for (size_t i = 0; i < OURS; i++) {
        if (strcmp(ours[i]->name, name) == 0) {
            append(engines, ours[i], name, can, report);
            return true;
        }
    }
    return false;
}

/* Is name the peer's, with or without "-batch"? */
static bool names_peer(const struct peer *peer, const char *name, bool *ret_batched)
{
    size_t length = strlen(peer->name);
    if (strncmp(name, peer->name, length) != 0)
        return false;
    *ret_batched = strcmp(name + length, "-batch") == 0;
    return *ret_batched || name[length] == '\0';
}

static bool append_peers(struct bench_engines *engines, const char *name, unsigned can,
                         struct bench_figures *report)
{
    bool found = false, all_single = strcmp(name, "peers") == 0,
         all_batched = strcmp(name, "batched") == 0;
    for (size_t i = 0; i < PEERS; i++) {
        bool batched = all_batched;
        if (!all_single && !all_batched && !names_peer(&peers[i], name, &batched))
            continue;
        append(engines, batched ? peers[i].batched : peers[i].single, peers[i].name, can, report);
        found = true;
    }
    return found;
}

void bench_engines_choose(struct bench_engines *engines, const char *names, unsigned can,
                          struct bench_figures *report)
{
    char *copy = strdup(names), *rest = NULL;
    if (!copy)
        bench_die("no memory");
    for (char *name = strtok_r(copy, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        if (!append_ours(engines, name, can, report) && !append_peers(engines, name, can, report))
            bench_die("no such engine: %s", name);
    }
    free(copy);
    if (engines->count == 0)
        bench_die("no engine is left of %s", names);
}

bool bench_engines_have(const struct bench_engines *engines, const struct bench_engine *engine)
{
    for (size_t i = 0; i < engines->count; i++) {
        if (engines->list[i] == engine)
            return true;
    }
    return false;
}

void *bench_engine_open(const struct bench_engine *engine, const struct bench_setup *setup)
{
    struct bench_setup own = *setup;
    own.batch = engine->batch;
    return engine->open(&own);
}

void *bench_engine_begin(const struct bench_engine *engine, void *store)
{
    return engine->begin ? engine->begin(store) : store;
}

void bench_engine_end(const struct bench_engine *engine, void *session)
{
    if (engine->end)
        engine->end(session);
}

void bench_engine_flush(const struct bench_engine *engine, void *session)
{
    if (engine->flush)
        engine->flush(session);
}

void bench_engine_sync(const struct bench_engine *engine, void *store)
{
    if (engine->sync)
        engine->sync(store);
}

uint64_t bench_engine_bytes(const struct bench_engine *engine, void *store, const char *folder)
{
    if (engine->bytes)
        return engine->bytes(store);
    uint64_t bytes, allocated;
    bench_folder_bytes(folder, &bytes, &allocated);
    return bytes;
}
