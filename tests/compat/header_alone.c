/* SPDX-License-Identifier: MIT */
/* The header needs nothing before it; compiled as strict C11, without extensions. Running it proves
 * that the library has what the header declares. */
#include "recent_visits.h"

#include "visit_layout.h"

#include <stdio.h>
#include <string.h>

/* Exactly these types; another declaration of the same function must agree with the header's. */
VisitManager *VisitManagerCreate(const char *path, size_t max_visits);
void VisitManagerFree(VisitManager *manager);
bool VisitManagerAddVisit(VisitManager *manager, uint32_t user_id, uint32_t visit_id,
                          const char *url, const char *text);
Visit **VisitManagerGetRecentVisits(VisitManager *manager, uint32_t user_id, size_t *count);
bool VisitManagerDelete(VisitManager *manager, uint32_t user_id, uint32_t *visitIds,
                        size_t visit_count);
void VisitManagerClear(VisitManager *manager, uint32_t user_id);

/* The structs whose size a caller hands over, and those that cross in arrays. */
#if UINTPTR_MAX == UINT64_MAX
static_assert(sizeof(VisitOptions) == 80, "layout of VisitOptions");
static_assert(offsetof(VisitOptions, progress) == 56, "layout of VisitOptions");
static_assert(offsetof(VisitOptions, lock_wait_ms) == 72, "layout of VisitOptions");
static_assert(sizeof(VisitInput) == 56, "layout of VisitInput");
static_assert(sizeof(VisitPacked) == 32, "layout of VisitPacked");
static_assert(sizeof(VisitFinding) == 32, "layout of VisitFinding");
static_assert(offsetof(VisitStats, file_bytes) == 48, "layout of VisitStats");
static_assert(sizeof(VisitStats) == 176, "layout of VisitStats");
#endif

int main(void)
{
    VisitOptions options = {.size = sizeof options};
    bool good = options.mode == VISIT_EXCLUSIVE && !strcmp(VisitVersion(), VISIT_VERSION_STRING);
    printf("1 test, %d failed\n", good ? 0 : 1);
    return good ? 0 : 1;
}
