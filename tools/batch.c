/* SPDX-License-Identifier: MIT */
#include "batch.h"
#include "interrupt.h"
#include "rvdump.h"
#include "store.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct load {
    char *strings;
    size_t used;
    size_t count;
    VisitInput inputs[BATCH_VISITS];
};

struct batch {
    VisitManager *manager;
    struct load loads[2];
    struct load *filling; /* by the caller */
    pthread_t thread;
    pthread_mutex_t lock; /* of adding and ends */
    pthread_cond_t changed;
    struct load *adding; /* by the thread; NULL: it has nothing to do */
    bool ends;
    /* What the thread writes; the caller's while adding is NULL. */
    uint64_t added;
    VisitStatus status;
    char *message; /* of the status */
};

/* ---- The thread ---- */

static void add_load(struct batch *batch, struct load *load)
{
    size_t added = 0;
    VisitStatus status = VisitManagerAddMany(batch->manager, load->inputs, load->count, &added);
    load->count = 0;
    load->used = 0;
    batch->added += added;
    batch->status = status;
    batch->message = status == VISIT_OK ? NULL : strdup(VisitLastError());
}

static void *add_loads(void *data)
{
    struct batch *batch = data;
    pthread_mutex_lock(&batch->lock);
    while (batch->adding != NULL || !batch->ends) {
        if (batch->adding == NULL) {
            pthread_cond_wait(&batch->changed, &batch->lock);
            continue;
        }
        pthread_mutex_unlock(&batch->lock);
        add_load(batch, batch->adding);
        pthread_mutex_lock(&batch->lock);
        batch->adding = NULL;
        pthread_cond_signal(&batch->changed);
    }
    pthread_mutex_unlock(&batch->lock);
    return NULL;
}

/* ---- The caller ---- */

static void free_memory(struct batch *batch)
{
    free(batch->loads[0].strings);
    free(batch->loads[1].strings);
    free(batch->message);
    pthread_cond_destroy(&batch->changed);
    pthread_mutex_destroy(&batch->lock);
    free(batch);
}

struct batch *batch_new(VisitManager *manager)
{
    struct batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return NULL;
    batch->manager = manager;
    batch->filling = &batch->loads[0];
    batch->loads[0].strings = malloc(BATCH_BYTES);
    batch->loads[1].strings = malloc(BATCH_BYTES);
    pthread_mutex_init(&batch->lock, NULL);
    pthread_cond_init(&batch->changed, NULL);
    if (batch->loads[0].strings == NULL || batch->loads[1].strings == NULL ||
        interrupt_start_thread(&batch->thread, add_loads, batch) != 0) {
        free_memory(batch);
        return NULL;
    }
    return batch;
}

void batch_free(struct batch *batch)
{
    if (batch == NULL)
        return;
    pthread_mutex_lock(&batch->lock);
    batch->ends = true;
    pthread_cond_signal(&batch->changed);
    pthread_mutex_unlock(&batch->lock);
    pthread_join(batch->thread, NULL);
    free_memory(batch);
}

/* Waits until the thread has nothing to do, and tells how its last load went. */
static int wait_for_thread(struct batch *batch)
{
    pthread_mutex_lock(&batch->lock);
    while (batch->adding != NULL)
        pthread_cond_wait(&batch->changed, &batch->lock);
    pthread_mutex_unlock(&batch->lock);
    if (batch->status == VISIT_OK)
        return EXIT_OK;
    int code = store_failed_with(batch->status, batch->message);
    free(batch->message);
    batch->message = NULL;
    batch->status = VISIT_OK;
    return code;
}

/* Hands over what is there, once the load before it is in the store. */
static int hand_over(struct batch *batch)
{
    struct load *load = batch->filling;
    int code = wait_for_thread(batch);
    if (code != EXIT_OK)
        load->count = 0; /* nothing of it may follow what failed */
    if (load->count == 0)
        return code;
    batch->filling = load == &batch->loads[0] ? &batch->loads[1] : &batch->loads[0];
    pthread_mutex_lock(&batch->lock);
    batch->adding = load;
    pthread_cond_signal(&batch->changed);
    pthread_mutex_unlock(&batch->lock);
    return EXIT_OK;
}

int batch_flush(struct batch *batch)
{
    int code = hand_over(batch);
    return code == EXIT_OK ? wait_for_thread(batch) : code;
}

uint64_t batch_end(struct batch *batch)
{
    wait_for_thread(batch);
    return batch->added;
}

static const char *keep(struct load *load, const char *bytes, size_t length)
{
    char *copy = load->strings + load->used;
    memcpy(copy, bytes, length);
    load->used += length;
    return copy;
}

int batch_add(struct batch *batch, const struct record *record)
{
    size_t bytes = record->url_length + record->text_length;
    struct load *load = batch->filling;
    if (load->count == BATCH_VISITS || bytes > BATCH_BYTES - load->used) {
        int code = hand_over(batch);
        if (code != EXIT_OK)
            return code;
        load = batch->filling;
    }
    load->inputs[load->count++] = (VisitInput){
        .user_id = record->user_id,
        .visit_id = record->visit_id,
        .url = keep(load, record->url, record->url_length),
        .url_length = record->url_length,
        .text = keep(load, record->text, record->text_length),
        .text_length = record->text_length,
        .time_ns = record->time_ns,
        .flags = VISIT_AT_TIME,
    };
    return EXIT_OK;
}
