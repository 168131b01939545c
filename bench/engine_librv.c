/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "common.h"
#include "engine.h"

enum { BATCH = 1000 };

struct librv {
    VisitManager *manager;
    VisitReader *reader; /* in the batch engine */
    VisitInput *batch;
    size_t batched;
};

static void *open_librv(const struct bench_setup *setup)
{
    struct librv *librv = bench_alloc(1, sizeof(*librv));
    VisitOptions options = {
        .size = sizeof(options),
        .create = VISIT_MUST_NOT_EXIST,
        .max_visits = setup->max_visits,
        .checkpoint_interval_ms = setup->checkpoint_ms,
    };
    if (VisitManagerOpen(setup->path, &options, &librv->manager) != VISIT_OK)
        bench_die("open: %s", VisitLastError());
    return librv;
}

static void add_librv(void *state, const struct bench_add *add)
{
    struct librv *librv = state;
    if (!VisitManagerAddVisit(librv->manager, add->user_id, add->visit_id, add->url.bytes,
                              add->text.bytes))
        bench_die("add: %s", VisitLastError());
}

static void sync_librv(void *state)
{
    struct librv *librv = state;
    if (VisitManagerSync(librv->manager) != VISIT_OK)
        bench_die("sync: %s", VisitLastError());
}

static void read_librv(void *state, uint32_t user_id, struct bench_visits *ret_visits)
{
    struct librv *librv = state;
    *ret_visits = (struct bench_visits){0};
    ret_visits->pointers = VisitManagerGetRecentVisits(librv->manager, user_id, &ret_visits->count);
    if (!ret_visits->pointers && VisitLastStatus() != VISIT_OK)
        bench_die("read: %s", VisitLastError());
}

static void close_librv(void *state)
{
    struct librv *librv = state;
    VisitReaderFree(librv->reader);
    VisitManagerFree(librv->manager);
    if (VisitLastStatus() != VISIT_OK)
        bench_die("close: %s", VisitLastError());
    free(librv->batch);
    free(librv);
}

static void *open_batch(const struct bench_setup *setup)
{
    struct librv *librv = open_librv(setup);
    librv->batch = bench_alloc(BATCH, sizeof(*librv->batch));
    if (VisitReaderOpen(librv->manager, &librv->reader) != VISIT_OK)
        bench_die("reader: %s", VisitLastError());
    return librv;
}

static void flush_batch(void *state)
{
    struct librv *librv = state;
    if (VisitManagerAddMany(librv->manager, librv->batch, librv->batched, NULL) != VISIT_OK)
        bench_die("add: %s", VisitLastError());
    librv->batched = 0;
}

static void add_batch(void *state, const struct bench_add *add)
{
    struct librv *librv = state;
    librv->batch[librv->batched++] = (VisitInput){
        .user_id = add->user_id,
        .visit_id = add->visit_id,
        .url = add->url.bytes,
        .url_length = add->url.length,
        .text = add->text.bytes,
        .text_length = add->text.length,
    };
    if (librv->batched == BATCH)
        flush_batch(librv);
}

static void read_batch(void *state, uint32_t user_id, struct bench_visits *ret_visits)
{
    struct librv *librv = state;
    *ret_visits = (struct bench_visits){0};
    if (VisitReaderGet(librv->reader, user_id, 0, &ret_visits->array, &ret_visits->count) !=
        VISIT_OK)
        bench_die("read: %s", VisitLastError());
}

const struct bench_engine bench_engine_librv = {
    .name = "librv",
    .has_file = true,
    .open = open_librv,
    .add = add_librv,
    .sync = sync_librv,
    .read = read_librv,
    .close = close_librv,
};

const struct bench_engine bench_engine_librv_batch = {
    .name = "librv-batch",
    .has_file = true,
    .open = open_batch,
    .add = add_batch,
    .flush = flush_batch,
    .sync = sync_librv,
    .read = read_batch,
    .close = close_librv,
};
