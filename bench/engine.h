/* SPDX-License-Identifier: MIT */
/* What a benchmark asks of a store, so that the same sequence runs through several. */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include <recent_visits.h>
#include <stdio.h>

#include "workload.h"

/** How to open. Zero means: no, or the engine's choice. */
struct bench_setup {
    const char *folder;    /* exists; for the engine's files */
    uint32_t users;        /* how many different users will come */
    uint32_t max_visits;   /* N */
    uint32_t batch;        /* adds that become visible together; 1: each alone */
    uint32_t sessions;     /* how many there will be at a time, of all processes; 1: no other */
    bool durable;          /* each batch survives a power cut once add() or flush() returns */
    bool existing;         /* the folder has the store */
    bool processes;        /* other processes use it too */
    bool ids_repeat;       /* visit ids of one user may repeat */
    uint64_t memory_bytes; /* not more memory than this for caches; 0: plenty */
    uint32_t slot_bytes;   /* for librv, VisitOptions.slot_size */
    int32_t checkpoint_ms; /* for librv, VisitOptions.checkpoint_interval_ms */
};

/** A user's visits, newest first: an array, or pointers, or packed. Valid until the next read. */
struct bench_visits {
    const Visit *array;
    Visit *const *pointers;    /* not NULL: use this */
    const VisitPacked *packed; /* not NULL: use this */
    size_t count;
};

static inline Visit bench_visit_at(const struct bench_visits *visits, size_t i)
{
    if (visits->pointers)
        return *visits->pointers[i];
    if (!visits->packed)
        return visits->array[i];
    const VisitPacked *packed = &visits->packed[i];
    char *url = (char *)(uintptr_t)visits->packed + packed->url_offset;
    return (Visit){
        .visit_id = packed->visit_id,
        .url = url,
        .text = url + packed->url_length + 1,
        .time = {packed->time_ns / 1000000000, packed->time_ns % 1000000000},
    };
}

/** What an engine can do beside adds and reads by one thread. */
enum {
    BENCH_THREADS = 1,   /* several sessions at once, each with a thread of its own */
    BENCH_PROCESSES = 2, /* several processes at once */
    BENCH_DURABLE = 4,   /* bench_setup.durable */
    BENCH_LASTS = 8,     /* a store can be closed and opened again */
    BENCH_SYNCS = 16,    /* makes all durable at intervals by itself */
};

struct bench_engine {
    const char *name;
    const char *what; /* its configuration, in a line */
    uint32_t batch;   /* for bench_setup.batch */
    unsigned can;     /* BENCH_THREADS, ... */

    /** NULL: always. Otherwise whether what it needs besides its library is there. */
    bool (*available)(void);
    void *(*open)(const struct bench_setup *setup);
    void (*sync)(void *store);      /* makes all durable, also beside sessions; may be NULL */
    uint64_t (*bytes)(void *store); /* space used; NULL: the sizes of the folder's files */
    void (*close)(void *store);

    /** A thread's access to the store; NULL: the store itself. */
    void *(*begin)(void *store);
    void (*end)(void *session);
    void (*add)(void *session, const struct bench_add *add);
    void (*flush)(void *session); /* ends a batch that is not full; may be NULL */
    void (*read)(void *session, uint32_t user_id, struct bench_visits *ret_visits);
};

extern const struct bench_engine bench_engine_null;        /* does nothing: the loop's own time */
extern const struct bench_engine bench_engine_naive;       /* obviously right, not fast */
extern const struct bench_engine bench_engine_wrong;       /* to see that checks notice */
extern const struct bench_engine bench_engine_floor_anon;  /* table and rings in anonymous memory */
extern const struct bench_engine bench_engine_floor_huge;  /* the same with huge pages asked for */
extern const struct bench_engine bench_engine_floor_file;  /* the same in a shared file mapping */
extern const struct bench_engine bench_engine_floor_sync;  /* that is synced each second */
extern const struct bench_engine bench_engine_librv;       /* the two basic calls */
extern const struct bench_engine bench_engine_librv_batch; /* batches of 1,000, and a reader */
extern const struct bench_engine bench_engine_librv_nosync; /* both without checkpoints */
extern const struct bench_engine bench_engine_librv_nosync_batch;
extern const struct bench_engine bench_engine_librv_threads; /* single adds, packed results */

/* bench/peers; each as it is, and with batches. */
extern const struct bench_engine bench_engine_lmdb, bench_engine_lmdb_batch;
extern const struct bench_engine bench_engine_sqlite, bench_engine_sqlite_batch;
extern const struct bench_engine bench_engine_rocksdb, bench_engine_rocksdb_batch;
extern const struct bench_engine bench_engine_leveldb, bench_engine_leveldb_batch;
extern const struct bench_engine bench_engine_tdb, bench_engine_tdb_batch;
extern const struct bench_engine bench_engine_tkrzw, bench_engine_tkrzw_batch;
extern const struct bench_engine bench_engine_redis, bench_engine_redis_batch;

enum { BENCH_BATCH = 1000, BENCH_ENGINES_MAX = 24 };

/** A choice of engines. */
struct bench_engines {
    const struct bench_engine *list[BENCH_ENGINES_MAX];
    size_t count;
};

/**
 * Finds engines by names, separated by commas; "peers" means all peers, "batched" their batched
 * forms. One that was not built or lacks something is left out, which report gets to know; a name
 * that never existed ends the process. Those that can't do all of can are left out silently.
 */
struct bench_figures;
void bench_engines_choose(struct bench_engines *engines, const char *names, unsigned can,
                          struct bench_figures *report);

/** Is the engine one of these? */
bool bench_engines_have(const struct bench_engines *engines, const struct bench_engine *engine);

/** Opens the store that setup asks for in the engine's way. */
void *bench_engine_open(const struct bench_engine *engine, const struct bench_setup *setup);

/** A session; the store itself if the engine has none. */
void *bench_engine_begin(const struct bench_engine *engine, void *store);
void bench_engine_end(const struct bench_engine *engine, void *session);
void bench_engine_flush(const struct bench_engine *engine, void *session);
void bench_engine_sync(const struct bench_engine *engine, void *store);

/** Space that the store uses. */
uint64_t bench_engine_bytes(const struct bench_engine *engine, void *store, const char *folder);

#endif
