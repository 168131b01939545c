/* SPDX-License-Identifier: MIT */
/*
 * rvdump backup, rvdump copy
 */
#include "progress.h"
#include "rvdump.h"
#include "store.h"

int command_backup(const struct args *args)
{
    VisitManager *manager;
    int code = store_open_read_only(args->store, &manager);
    if (code != EXIT_OK)
        return code;
    VisitStats stats = {.size = sizeof stats};
    VisitStatus status = VisitManagerStats(manager, &stats);
    if (status == VISIT_OK)
        status = VisitManagerBackup(manager, args->operand, store_progress, &stats.users);
    progress_clear();
    if (status != VISIT_OK)
        code = store_failed(status);
    VisitManagerFree(manager);
    return code;
}
