/* SPDX-License-Identifier: MIT */
/* Who has the store open: locks on the file, sharers in the live state, messages about others. */
#ifndef RV_SHARE_H
#define RV_SHARE_H

#include "store.h"

/*
 * The locks on the file under which a writer opens a store. *ret_joins: other sharers have it open,
 * else nobody has. VISIT_ERROR_BUSY says who is in the way.
 */
VisitStatus rv_share_enter(struct rv_store *st, bool shared, bool *ret_joins);

/* The first sharer, once all else is done: others may join from now on. */
VisitStatus rv_share_begin(struct rv_store *st, const struct rv_identity *identity);

/* A further one. */
VisitStatus rv_share_join(struct rv_store *st, const struct rv_identity *identity);

/* At the close of a sharer. *ret_last: it is alone now, and nobody can join. */
VisitStatus rv_share_leave(struct rv_store *st, bool *ret_last);

/* Forgets all sharers: for a writer that is alone. */
void rv_share_clear(struct rv_store *st);

#endif
