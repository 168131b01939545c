/* SPDX-License-Identifier: MIT */
#ifndef RV_BACKUP_H
#define RV_BACKUP_H

#include "store.h"

/* Copies all users as of one checkpoint into a new store; checkpoints wait meanwhile. */
VisitStatus rv_backup(struct rv_store *st, const char *path, VisitProgress *progress,
                      void *progress_data);

#endif
