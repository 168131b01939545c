/* SPDX-License-Identifier: MIT */
#include "ticker.h"

#include "alloc.h"
#include "checkpoint.h"
#include "lock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

struct rv_ticker {
    struct rv_store *st;
    uint32_t interval_ms; /* 0: no checkpoints by the clock */
    unsigned asked;       /* RV_ASK_...; atomic */
    uint64_t seen;        /* D when it looked last */
    pthread_mutex_t lock;
    pthread_cond_t wake_clock;
    pthread_cond_t wake_builder;
    pthread_t clock;
    pthread_t builder; /* comes with the first question for room */
    bool has_builder;
    bool stop;
};

/* Waits for the time, if there is one, a question or the end, which it returns false for. */
static bool wait(struct rv_ticker *ticker, pthread_cond_t *wake, unsigned what,
                 const struct timespec *until)
{
    int woken = 0;
    pthread_mutex_lock(&ticker->lock);
    while (!ticker->stop && woken != ETIMEDOUT &&
           !(__atomic_load_n(&ticker->asked, __ATOMIC_RELAXED) & what)) {
        woken = until ? pthread_cond_timedwait(wake, &ticker->lock, until)
                      : pthread_cond_wait(wake, &ticker->lock);
    }
    __atomic_and_fetch(&ticker->asked, ~what, __ATOMIC_RELAXED);
    bool stop = ticker->stop;
    pthread_mutex_unlock(&ticker->lock);
    return !stop;
}

static void *run_checkpoints(void *data)
{
    struct rv_ticker *ticker = data;
    struct timespec until = rv_later(CLOCK_MONOTONIC, ticker->interval_ms);
    while (wait(ticker, &ticker->wake_clock, RV_ASK_CHECKPOINT, &until)) {
        /* A sync that failed stays: the next write and the close report it. Damage too, or the next
         * call of VisitManagerSync(). Where another process holds things up, the next turn tries
         * again. */
        rv_checkpoint_by_clock(ticker->st, &ticker->seen);
        until = rv_later(CLOCK_MONOTONIC, ticker->interval_ms);
    }
    return NULL;
}

static void *make_room(void *data)
{
    struct rv_ticker *ticker = data;
    while (wait(ticker, &ticker->wake_builder, RV_ASK_ROOM, NULL)) {
        /* Whoever needs room and finds none tries too, and reports it. */
        rv_alloc_reserve(ticker->st);
    }
    return NULL;
}

/* Signals are the business of the program's own threads. */
static int create_thread(struct rv_ticker *ticker, void *(*run)(void *), pthread_t *ret_thread)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(ret_thread, NULL, run, ticker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

VisitStatus rv_ticker_start(struct rv_store *st, uint32_t interval_ms)
{
    struct rv_ticker *ticker = calloc(1, sizeof *ticker);
    if (!ticker) {
        return rv_fail_errno(st->file.path, "start the checkpoint thread of", ENOMEM);
    }
    ticker->st = st;
    ticker->interval_ms = interval_ms;
    ticker->seen = rv_load(&st->live->durable);
    pthread_mutex_init(&ticker->lock, NULL);
    rv_condition_init(&ticker->wake_clock);
    rv_condition_init(&ticker->wake_builder);
    int error = interval_ms ? create_thread(ticker, run_checkpoints, &ticker->clock) : 0;
    if (error) {
        free(ticker);
        return rv_fail_errno(st->file.path, "start the checkpoint thread of",
                             error == EAGAIN ? ENOMEM : error);
    }
    st->ticker = ticker;
    return VISIT_OK;
}

void rv_ticker_stop(struct rv_store *st)
{
    struct rv_ticker *ticker = st->ticker;
    if (!ticker) {
        return;
    }
    pthread_mutex_lock(&ticker->lock);
    ticker->stop = true;
    pthread_cond_signal(&ticker->wake_clock);
    pthread_cond_signal(&ticker->wake_builder);
    pthread_mutex_unlock(&ticker->lock);
    if (ticker->interval_ms) {
        pthread_join(ticker->clock, NULL);
    }
    if (ticker->has_builder) {
        pthread_join(ticker->builder, NULL);
    }
    pthread_cond_destroy(&ticker->wake_clock);
    pthread_cond_destroy(&ticker->wake_builder);
    pthread_mutex_destroy(&ticker->lock);
    free(ticker);
    st->ticker = NULL;
}

void rv_ticker_abandon(struct rv_store *st)
{
    free(st->ticker);
    st->ticker = NULL;
}

/* The lock is held. Without the thread whoever needs room makes it, and the next one asks again. */
static void start_builder(struct rv_ticker *ticker)
{
    if (!ticker->has_builder && !ticker->stop) {
        ticker->has_builder = create_thread(ticker, make_room, &ticker->builder) == 0;
    }
    if (!ticker->has_builder) {
        __atomic_and_fetch(&ticker->asked, ~(unsigned)RV_ASK_ROOM, __ATOMIC_RELAXED);
    }
}

void rv_ticker_ask(struct rv_store *st, unsigned what)
{
    struct rv_ticker *ticker = st->ticker;
    if (!ticker || __atomic_load_n(&ticker->asked, __ATOMIC_RELAXED) & what) {
        return;
    }
    pthread_mutex_lock(&ticker->lock);
    __atomic_or_fetch(&ticker->asked, what, __ATOMIC_RELAXED);
    if (what & RV_ASK_ROOM) {
        start_builder(ticker);
        pthread_cond_signal(&ticker->wake_builder);
    } else {
        pthread_cond_signal(&ticker->wake_clock);
    }
    pthread_mutex_unlock(&ticker->lock);
}
