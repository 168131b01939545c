/* SPDX-License-Identifier: MIT */
/*
 * The background thread of a writer: checkpoints by the clock, or sooner when limbo has grown
 * large; and room in the file before it is needed.
 */
#ifndef RV_TICKER_H
#define RV_TICKER_H

#include "store.h"

/* What the thread may be asked for. */
enum {
    RV_ASK_CHECKPOINT = 1,
    RV_ASK_ROOM = 2,
};

VisitStatus rv_ticker_start(struct rv_store *st, uint32_t interval_ms);
void rv_ticker_stop(struct rv_store *st); /* does nothing if there is none */

/* Asks, and does not wait; without a thread nothing happens. Locks may be held. */
void rv_ticker_ask(struct rv_store *st, unsigned what);

#endif
