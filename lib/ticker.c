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
    uint32_t interval_ms;
    unsigned asked; /* RV_ASK_...; atomic */
    uint64_t seen;  /* D when it looked last */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
};

/* Waits for the time, a question or the end; returns what is to be done. Questions that come all
 * the time do not hold up the clock. */
static unsigned wait(struct rv_ticker *ticker, const struct timespec *until)
{
    unsigned todo = 0;
    int woken = 0;
    pthread_mutex_lock(&ticker->lock);
    while (!ticker->stop && woken != ETIMEDOUT && !todo) {
        todo = __atomic_exchange_n(&ticker->asked, 0, __ATOMIC_RELAXED);
        if (!todo) {
            woken = pthread_cond_timedwait(&ticker->wake, &ticker->lock, until);
        }
    }
    pthread_mutex_unlock(&ticker->lock);
    return rv_ms_until(until) == 0 ? todo | RV_ASK_CHECKPOINT : todo;
}

static bool stopped(struct rv_ticker *ticker)
{
    pthread_mutex_lock(&ticker->lock);
    bool stop = ticker->stop;
    pthread_mutex_unlock(&ticker->lock);
    return stop;
}

static void *tick(void *data)
{
    struct rv_ticker *ticker = data;
    struct timespec until = rv_later(CLOCK_MONOTONIC, ticker->interval_ms);
    while (!stopped(ticker)) {
        unsigned todo = wait(ticker, &until);
        if (todo & RV_ASK_ROOM && !stopped(ticker)) {
            /* Whoever needs room and finds none tries too, and reports it. */
            rv_alloc_reserve(ticker->st);
        }
        if (todo & RV_ASK_CHECKPOINT && !stopped(ticker)) {
            /* A sync that failed stays: the next write and the close report it. Where another
             * process holds things up, the next turn tries again. */
            rv_checkpoint_by_clock(ticker->st, &ticker->seen);
            until = rv_later(CLOCK_MONOTONIC, ticker->interval_ms);
        }
    }
    return NULL;
}

/* Signals are the business of the program's own threads. */
static int create_thread(struct rv_ticker *ticker)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&ticker->thread, NULL, tick, ticker);
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
    rv_condition_init(&ticker->wake);
    int error = create_thread(ticker);
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
    pthread_cond_signal(&ticker->wake);
    pthread_mutex_unlock(&ticker->lock);
    pthread_join(ticker->thread, NULL);
    pthread_cond_destroy(&ticker->wake);
    pthread_mutex_destroy(&ticker->lock);
    free(ticker);
    st->ticker = NULL;
}

void rv_ticker_ask(struct rv_store *st, unsigned what)
{
    struct rv_ticker *ticker = st->ticker;
    if (ticker && !(__atomic_load_n(&ticker->asked, __ATOMIC_RELAXED) & what)) {
        pthread_mutex_lock(&ticker->lock);
        __atomic_or_fetch(&ticker->asked, what, __ATOMIC_RELAXED);
        pthread_cond_signal(&ticker->wake);
        pthread_mutex_unlock(&ticker->lock);
    }
}
