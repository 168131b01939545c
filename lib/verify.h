/* SPDX-License-Identifier: MIT */
/* Verification: every rule of the format, every checksum. */
#ifndef RV_VERIFY_H
#define RV_VERIFY_H

#include "store.h"

/*
 * Reports all that is wrong. The caller holds every lock of a store that is open for writing, so
 * that nothing changes; with `quiet` false a writer in another process may, and only what can be
 * read again is checked.
 */
VisitStatus rv_verify(struct rv_store *st, bool quiet, VisitFindingFunction *function, void *data);

#endif
