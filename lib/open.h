/* SPDX-License-Identifier: MIT */
/* Creating, opening and closing a store. */
#ifndef RV_OPEN_H
#define RV_OPEN_H

#include "store.h"

VisitStatus rv_store_open(const char *path, const struct rv_options *options,
                          struct rv_store **ret_store);

/* Makes a store that has no name yet, for rv_store_finish(). */
VisitStatus rv_store_create_unnamed(const char *path, const struct rv_options *options,
                                    struct rv_store **ret_store);

/* Makes it durable, gives it its name and frees the memory; also when it fails. */
VisitStatus rv_store_finish(struct rv_store *st);

/* Checkpoint, clean record, unlock, free. The memory is freed also when it fails. */
VisitStatus rv_store_close(struct rv_store *st);

/* Frees the memory and touches nothing else: after a fork, and for simulations. */
void rv_store_abandon(struct rv_store *st);

/* Read-only: finds out anew how the store stands, if its opening serial has moved. */
VisitStatus rv_store_refresh(struct rv_store *st);

#endif
