/* SPDX-License-Identifier: MIT */
/*
 * The background threads of a writer: one for checkpoints, by the clock or sooner when limbo has
 * grown large; one that makes room in the file before it is needed, also during a checkpoint.
 */
#ifndef RV_TICKER_H
#define RV_TICKER_H

#include "store.h"

/* What they may be asked for. */
enum {
    RV_ASK_CHECKPOINT = 1,
    RV_ASK_ROOM = 2,
};

VisitStatus rv_ticker_start(struct rv_store *st, uint32_t interval_ms); /* 0: no checkpoints */
void rv_ticker_stop(struct rv_store *st);    /* does nothing if there is none */
void rv_ticker_abandon(struct rv_store *st); /* in a forked child, where the threads are not */

/* Asks for one of them, and does not wait; without a thread nothing happens. Locks may be held. */
void rv_ticker_ask(struct rv_store *st, unsigned what);

#endif
