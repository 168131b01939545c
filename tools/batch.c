/* SPDX-License-Identifier: MIT */
#include "batch.h"
#include "rvdump.h"
#include "store.h"

#include <stdlib.h>
#include <string.h>

struct batch *batch_new(VisitManager *manager)
{
    struct batch *batch = malloc(sizeof *batch);
    char *strings = malloc(BATCH_BYTES);
    if (batch == NULL || strings == NULL) {
        free(batch);
        free(strings);
        return NULL;
    }
    batch->manager = manager;
    batch->strings = strings;
    batch->used = 0;
    batch->count = 0;
    batch->added = 0;
    return batch;
}

void batch_free(struct batch *batch)
{
    if (batch == NULL)
        return;
    free(batch->strings);
    free(batch);
}

int batch_flush(struct batch *batch)
{
    if (batch->count == 0)
        return EXIT_OK;
    size_t added = 0;
    VisitStatus status = VisitManagerAddMany(batch->manager, batch->inputs, batch->count, &added);
    batch->added += added;
    batch->count = 0;
    batch->used = 0;
    return status == VISIT_OK ? EXIT_OK : store_failed(status);
}

static const char *keep(struct batch *batch, const char *bytes, size_t length)
{
    char *copy = batch->strings + batch->used;
    memcpy(copy, bytes, length);
    batch->used += length;
    return copy;
}

int batch_add(struct batch *batch, const struct record *record)
{
    size_t bytes = record->url_length + record->text_length;
    if (batch->count == BATCH_VISITS || bytes > BATCH_BYTES - batch->used) {
        int code = batch_flush(batch);
        if (code != EXIT_OK)
            return code;
    }
    batch->inputs[batch->count++] = (VisitInput){
        .user_id = record->user_id,
        .visit_id = record->visit_id,
        .url = keep(batch, record->url, record->url_length),
        .url_length = record->url_length,
        .text = keep(batch, record->text, record->text_length),
        .text_length = record->text_length,
        .time_ns = record->time_ns,
        .flags = VISIT_AT_TIME,
    };
    return EXIT_OK;
}
