/* SPDX-License-Identifier: MIT */
/* The superblock, its copy, and the geometry that follows from them. */
#ifndef RV_SUPER_H
#define RV_SUPER_H

#include "store.h"

/* Works out the geometry; a message and a status if it can't be. */
VisitStatus rv_geometry_make(const char *path, const struct rv_disk_superblock *super,
                             struct rv_geometry *ret_geometry);

/* Reads the superblock, or its copy, and checks all that it says; sets st->super and st->geo. */
VisitStatus rv_super_load(struct rv_store *st);

/* Does the file hold all of its header? It may have been truncated since it was loaded. */
VisitStatus rv_super_check_length(const struct rv_store *st);

/* That of a new store. */
void rv_super_make(const struct rv_options *options, struct rv_disk_superblock *super);

/* Writes both, durably: the last step of creating a store. */
VisitStatus rv_super_write(struct rv_store *st);

/* A damaged superblock, or its damaged copy, is made good again from the other. Also one that is
 * whole is stored `again` where the disk may have another than memory. */
void rv_super_restore(struct rv_store *st, bool again);

/* Is the file empty, or has it nothing but what a creation with these options may have left that
 * was interrupted? */
bool rv_super_unborn(const struct rv_store *st, const struct rv_options *options);

#endif
