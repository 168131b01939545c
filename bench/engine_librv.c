/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdlib.h>

#include "common.h"
#include "engine.h"

struct librv {
    VisitManager *manager;
    bool durable;
};

struct session {
    struct librv *librv;
    VisitReader *reader;
    VisitInput batch[BENCH_BATCH];
    size_t batched;
};

static void check(VisitStatus status, const char *what)
{
    if (status != VISIT_OK)
        bench_die("%s: %s", what, VisitLastError());
}

static void *open_librv(const struct bench_setup *setup)
{
    struct librv *librv = bench_alloc(1, sizeof(*librv));
    VisitOptions options = {
        .size = sizeof(options),
        .mode = setup->processes ? VISIT_SHARED : VISIT_EXCLUSIVE,
        .create = setup->existing ? VISIT_MUST_EXIST : VISIT_MUST_NOT_EXIST,
        .max_visits = setup->existing ? 0 : setup->max_visits,
        .slot_size = setup->existing ? 0 : setup->slot_bytes,
        .checkpoint_interval_ms = setup->durable ? -1 : setup->checkpoint_ms,
    };
    char path[PATH_MAX];
    bench_path(path, sizeof(path), setup->folder, "visits.rv");
    check(VisitManagerOpen(path, &options, &librv->manager), "open");
    librv->durable = setup->durable;
    return librv;
}

/* Nothing is durable until it is closed. */
static void *open_nosync(const struct bench_setup *setup)
{
    struct bench_setup changed = *setup;
    changed.checkpoint_ms = -1;
    return open_librv(&changed);
}

static void sync_librv(void *store)
{
    struct librv *librv = store;
    check(VisitManagerSync(librv->manager), "sync");
}

static void close_librv(void *store)
{
    struct librv *librv = store;
    VisitManagerFree(librv->manager);
    check(VisitLastStatus(), "close");
    free(librv);
}

/* ---- librv: the two basic calls ---- */

static void add_basic(void *store, const struct bench_add *add)
{
    struct librv *librv = store;
    if (!VisitManagerAddVisit(librv->manager, add->user_id, add->visit_id, add->url.bytes,
                              add->text.bytes))
        bench_die("add: %s", VisitLastError());
}

static void read_basic(void *store, uint32_t user_id, struct bench_visits *ret_visits)
{
    struct librv *librv = store;
    *ret_visits = (struct bench_visits){0};
    ret_visits->pointers = VisitManagerGetRecentVisits(librv->manager, user_id, &ret_visits->count);
    if (!ret_visits->pointers && VisitLastStatus() != VISIT_OK)
        bench_die("read: %s", VisitLastError());
}

/* ---- sessions with a reader ---- */

static void *begin_session(void *store)
{
    struct librv *librv = store;
    struct session *session = bench_alloc(1, sizeof(*session));
    session->librv = librv;
    check(VisitReaderOpen(librv->manager, &session->reader), "reader");
    return session;
}

static void end_session(void *opaque)
{
    struct session *session = opaque;
    VisitReaderFree(session->reader);
    free(session);
}

static VisitInput input_of(const struct bench_add *add)
{
    return (VisitInput){
        .user_id = add->user_id,
        .visit_id = add->visit_id,
        .url = add->url.bytes,
        .url_length = add->url.length,
        .text = add->text.bytes,
        .text_length = add->text.length,
    };
}

static void flush_batch(void *opaque)
{
    struct session *session = opaque;
    if (session->batched == 0)
        return;
    check(VisitManagerAddMany(session->librv->manager, session->batch, session->batched, NULL),
          "add");
    session->batched = 0;
    if (session->librv->durable)
        sync_librv(session->librv);
}

static void add_batched(void *opaque, const struct bench_add *add)
{
    struct session *session = opaque;
    session->batch[session->batched++] = input_of(add);
    if (session->batched == BENCH_BATCH)
        flush_batch(session);
}

static void read_reader(void *opaque, uint32_t user_id, struct bench_visits *ret_visits)
{
    struct session *session = opaque;
    *ret_visits = (struct bench_visits){0};
    check(VisitReaderGet(session->reader, user_id, 0, &ret_visits->array, &ret_visits->count),
          "read");
}

static void add_single(void *opaque, const struct bench_add *add)
{
    struct session *session = opaque;
    VisitInput input = input_of(add);
    check(VisitManagerAdd(session->librv->manager, &input), "add");
    if (session->librv->durable)
        sync_librv(session->librv);
}

/* Copied out, since another thread may change the user meanwhile. */
static void read_packed(void *opaque, uint32_t user_id, struct bench_visits *ret_visits)
{
    struct session *session = opaque;
    size_t size;
    *ret_visits = (struct bench_visits){0};
    check(VisitReaderGetPacked(session->reader, user_id, 0, &ret_visits->packed, &size,
                               &ret_visits->count),
          "read");
}

#define BASIC_CALLS                                                                                \
    .batch = 1, .sync = sync_librv, .close = close_librv, .add = add_basic, .read = read_basic

#define BATCHES                                                                                    \
    .batch = BENCH_BATCH, .sync = sync_librv, .close = close_librv, .begin = begin_session,        \
    .end = end_session, .add = add_batched, .flush = flush_batch, .read = read_reader

const struct bench_engine bench_engine_librv = {
    .name = "librv",
    .what = "VisitManagerAddVisit, VisitManagerGetRecentVisits; default options",
    .can = BENCH_LASTS | BENCH_SYNCS,
    .open = open_librv,
    BASIC_CALLS,
};

const struct bench_engine bench_engine_librv_batch = {
    .name = "librv-batch",
    .what = "VisitManagerAddMany of 1,000, VisitReaderGet; default options",
    .can = BENCH_LASTS | BENCH_SYNCS,
    .open = open_librv,
    BATCHES,
};

const struct bench_engine bench_engine_librv_nosync = {
    .name = "librv-nosync",
    .what = "as librv, without checkpoints",
    .can = BENCH_LASTS,
    .open = open_nosync,
    BASIC_CALLS,
};

const struct bench_engine bench_engine_librv_nosync_batch = {
    .name = "librv-nosync-batch",
    .what = "as librv-batch, without checkpoints",
    .can = BENCH_LASTS,
    .open = open_nosync,
    BATCHES,
};

const struct bench_engine bench_engine_librv_threads = {
    .name = "librv-packed",
    .what = "VisitManagerAdd, and VisitManagerSync if durable; VisitReaderGetPacked",
    .batch = 1,
    .can = BENCH_THREADS | BENCH_PROCESSES | BENCH_DURABLE | BENCH_LASTS | BENCH_SYNCS,
    .open = open_librv,
    .sync = sync_librv,
    .close = close_librv,
    .begin = begin_session,
    .end = end_session,
    .add = add_single,
    .read = read_packed,
};
