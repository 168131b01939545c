/* SPDX-License-Identifier: MIT */
/* A caller that knows the first header only: all six calls, with the meaning that they had. Takes
 * the path of a store to create. */
#include "recent_visits_v0.h"

#include "visit_layout.h"

#include <stdio.h>
#include <string.h>

static int checks;
static int failures;

static void check(bool condition, const char *what)
{
    checks++;
    if (!condition) {
        failures++;
        printf("failed: %s\n", what);
    }
}

static void check_refusals(VisitManager *manager)
{
    uint32_t ids[] = {1};
    size_t count = 99;
    check(!VisitManagerCreate("/nonexistent/folder/store", 10), "create in a missing folder");
    check(!VisitManagerAddVisit(NULL, 1, 1, "u", "t"), "add without manager");
    check(!VisitManagerAddVisit(manager, 1, 1, NULL, "t"), "add without url");
    check(!VisitManagerAddVisit(manager, 1, 1, "u", NULL), "add without text");
    check(!VisitManagerGetRecentVisits(manager, 1, NULL), "get without count");
    check(!VisitManagerGetRecentVisits(NULL, 1, &count), "get without manager");
    count = 99;
    check(!VisitManagerGetRecentVisits(manager, 77, &count) && count == 0, "unknown user");
    check(!VisitManagerDelete(manager, 77, ids, 1), "delete of an unknown user");
    check(!VisitManagerDelete(manager, 1, ids, 0), "delete of nothing");
    check(!VisitManagerDelete(manager, 1, NULL, 1), "delete without ids");
    check(!VisitManagerDelete(NULL, 1, ids, 1), "delete without manager");
    VisitManagerClear(manager, 77);
    VisitManagerFree(NULL);
}

static void check_visits(VisitManager *manager)
{
    uint32_t ids[] = {4, 9};
    size_t count = 0;
    for (uint32_t id = 1; id <= 4; id++)
        check(VisitManagerAddVisit(manager, 1, id, "https://example.org/", "text"), "add");
    check(VisitManagerAddVisit(manager, 1, 3, "other", "other"), "add of a known id");
    Visit **visits = VisitManagerGetRecentVisits(manager, 1, &count);
    check(count == 3, "count of a full user");
    for (size_t i = 0; i < count; i++) {
        check(visits[i]->visit_id == 4 - i, "newest first");
        check(!strcmp(visits[i]->url, "https://example.org/"), "url");
        check(!strcmp(visits[i]->text, "text"), "text");
        check(visits[i]->time.tv_sec > 1500000000 && visits[i]->time.tv_nsec < 1000000000, "time");
    }
    check(VisitManagerDelete(manager, 1, ids, 2), "delete");
    VisitManagerGetRecentVisits(manager, 1, &count);
    check(count == 2, "count after the delete");
}

static void check_kept(VisitManager *manager)
{
    size_t count = 0;
    Visit **visits = VisitManagerGetRecentVisits(manager, 1, &count);
    check(count == 2 && visits[0]->visit_id == 3 && visits[1]->visit_id == 2, "kept");
    VisitManagerClear(manager, 1);
    VisitManagerGetRecentVisits(manager, 1, &count);
    check(count == 0, "count after the clear");
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "";
    VisitManager *manager = VisitManagerCreate(path, 3);
    check(manager, "create");
    if (manager) {
        check_refusals(manager);
        check_visits(manager);
        VisitManagerFree(manager);
        manager = VisitManagerCreate(path, 3);
    }
    check(manager, "open again");
    if (manager)
        check_kept(manager);
    VisitManagerFree(manager);
    printf("%d checks, %d failed\n", checks, failures);
    return failures ? 1 : 0;
}
