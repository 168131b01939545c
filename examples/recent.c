/* SPDX-License-Identifier: MIT */
/*
 * Adds a few visits to a store, then prints a user's recent ones, newest first.
 *
 *     recent STORE
 */
#include <recent_visits.h>

#include <inttypes.h>
#include <stdio.h>

static int failed(const char *what)
{
    fprintf(stderr, "recent: %s: %s\n", what, VisitLastError());
    return 1;
}

static bool add_visits(VisitManager *manager, uint32_t user)
{
    return VisitManagerAddVisit(manager, user, 1, "https://example.org/", "Home") &&
           VisitManagerAddVisit(manager, user, 2, "https://example.org/news", "News") &&
           VisitManagerAddVisit(manager, user, 3, "https://example.org/about", "About us") &&
           VisitManagerAddVisit(manager, user, 4, "https://example.org/contact", "Contact");
}

static void print_visits(VisitManager *manager, uint32_t user)
{
    size_t count;
    Visit **visits = VisitManagerGetRecentVisits(manager, user, &count);
    for (size_t i = 0; i < count; i++)
        printf("%" PRIu32 "  %s  %s\n", visits[i]->visit_id, visits[i]->url, visits[i]->text);
}

int main(int argc, char **argv)
{
    const uint32_t user = 42;
    if (argc != 2) {
        fprintf(stderr, "usage: recent STORE\n");
        return 2;
    }
    VisitManager *manager = VisitManagerCreate(argv[1], 3); /* each user keeps three visits */
    if (manager == NULL)
        return failed("cannot open the store");
    if (!add_visits(manager, user)) {
        int code = failed("cannot add a visit");
        VisitManagerFree(manager);
        return code;
    }
    print_visits(manager, user); /* 4, 3, 2: visit 1 has made room */
    VisitManagerFree(manager);
    return VisitLastStatus() == VISIT_OK ? 0 : failed("cannot close the store");
}
