/* SPDX-License-Identifier: MIT */
/*
 * The first public header of the library, declaration for declaration. Programs that were compiled
 * against it must go on to work with librv.so: this file does not change, whatever is added to
 * include/recent_visits.h.
 */
#ifndef RECENT_VISITS_V0_H
#define RECENT_VISITS_V0_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef struct {
    uint32_t visit_id;    /* The ID of the visit */
    char *url;            /* NUL-terminated */
    char *text;           /* NUL-terminated */
    struct timespec time; /* Timestamp, UTC */
} Visit;

typedef struct VisitManager VisitManager;

VisitManager *VisitManagerCreate(const char *path, size_t max_visits);
void VisitManagerFree(VisitManager *manager);
bool VisitManagerAddVisit(VisitManager *manager, uint32_t user_id, uint32_t visit_id,
                          const char *url, const char *text);
Visit **VisitManagerGetRecentVisits(VisitManager *manager, uint32_t user_id, size_t *count);
bool VisitManagerDelete(VisitManager *manager, uint32_t user_id, uint32_t *visitIds,
                        size_t visit_count);
void VisitManagerClear(VisitManager *manager, uint32_t user_id);

#endif
