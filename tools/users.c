/* SPDX-License-Identifier: MIT */
/*
 * rvdump users
 */
#include "rvdump.h"
#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Most visits first, then by id. */
static int compare_busy(const void *a, const void *b)
{
    const struct user *x = a, *y = b;
    if (x->visits != y->visits)
        return x->visits < y->visits ? 1 : -1;
    return (x->user_id > y->user_id) - (x->user_id < y->user_id);
}

static void out_user(struct out *out, const struct user *user, bool json)
{
    char line[64];
    snprintf(line, sizeof line,
             json ? "{\"user_id\":%" PRIu32 ",\"visits\":%" PRIu32 "}\n"
                  : "%" PRIu32 "\t%" PRIu32 "\n",
             user->user_id, user->visits);
    out_text(out, line);
}

static int print_users(const struct args *args, struct user *users, size_t count)
{
    struct out out;
    out_open(&out, STDOUT_FILENO);
    if (args->top > 0 && count > 0)
        qsort(users, count, sizeof *users, compare_busy);
    if (args->top > 0 && args->top < count)
        count = args->top;
    for (size_t i = 0; i < count && out.error == 0; i++)
        out_user(&out, &users[i], args->json);
    return out_finish(&out, EXIT_OK);
}

int command_users(const struct args *args)
{
    VisitManager *manager;
    int code = store_open_read_only(args->store, &manager);
    if (code != EXIT_OK)
        return code;
    struct user *users;
    size_t count;
    code = store_users(manager, &users, &count);
    VisitManagerFree(manager);
    if (code != EXIT_OK)
        return code;
    code = print_users(args, users, count);
    free(users);
    return code;
}
