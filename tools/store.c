/* SPDX-License-Identifier: MIT */
#include "store.h"
#include "interrupt.h"
#include "progress.h"
#include "rvdump.h"
#include "text.h"
#include "timetext.h"

#include <stdlib.h>
#include <time.h>

static int exit_code(VisitStatus status)
{
    switch (status) {
    case VISIT_OK:
    case VISIT_END:
        return EXIT_OK;
    case VISIT_ERROR_CORRUPT:
        return EXIT_DAMAGED;
    case VISIT_ERROR_BUSY:
        return EXIT_BUSY;
    case VISIT_ERROR_IO:
    case VISIT_ERROR_NO_SPACE:
        return EXIT_IO;
    case VISIT_ERROR_NOT_FOUND:
    case VISIT_ERROR_EXISTS:
    case VISIT_ERROR_ACCESS:
        return EXIT_CANNOT_OPEN;
    case VISIT_ERROR_NOT_A_STORE:
    case VISIT_ERROR_NEWER_VERSION:
        return EXIT_NOT_A_STORE;
    case VISIT_ERROR_INVALID:
        return EXIT_USAGE;
    default:
        return EXIT_OTHER;
    }
}

int store_failed_with(VisitStatus status, const char *message)
{
    say("%s", message != NULL && *message != '\0' ? message : VisitStatusText(status));
    return exit_code(status);
}

int store_failed(VisitStatus status)
{
    return store_failed_with(status, VisitLastError());
}

int store_progress(void *data, const char *what, uint64_t done, uint64_t total)
{
    const uint64_t *known = data;
    progress_show(what, done, total == 0 && known != NULL ? *known : total);
    return interrupted();
}

int store_open_read_only(const char *path, VisitManager **ret_manager)
{
    VisitOptions options = {
        .size = sizeof options, .mode = VISIT_READ_ONLY, .progress = store_progress};
    VisitStatus status = VisitManagerOpen(path, &options, ret_manager);
    progress_clear();
    return status == VISIT_OK ? EXIT_OK : store_failed(status);
}

const char *store_state_text(uint32_t state)
{
    static const char *const texts[] = {
        [VISIT_FOUND_NEW] = "new",       [VISIT_FOUND_CLEAN] = "clean",
        [VISIT_FOUND_KILLED] = "killed", [VISIT_FOUND_CRASHED] = "crashed",
        [VISIT_FOUND_IN_USE] = "in use", [VISIT_FOUND_UNCLEAN] = "unclean",
    };
    return state < sizeof texts / sizeof texts[0] ? texts[state] : "unknown";
}

VisitStatus store_read(VisitReader *reader, uint32_t user_id, size_t limit,
                       const VisitPacked **ret_visits, size_t *ret_count)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    for (int tries = 0;; tries++) {
        size_t size;
        VisitStatus status =
            VisitReaderGetPacked(reader, user_id, limit, ret_visits, &size, ret_count);
        if (status != VISIT_ERROR_BUSY || tries == 200)
            return status;
        nanosleep(&pause, NULL);
    }
}

/* ---- Users ---- */

static int compare_users(const void *a, const void *b)
{
    const struct user *x = a, *y = b;
    return (x->user_id > y->user_id) - (x->user_id < y->user_id);
}

struct user_list {
    struct user *users;
    size_t count;
    size_t capacity;
};

static bool append_user(struct user_list *list, uint32_t user_id, size_t visits)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 1024 : list->capacity * 2;
        struct user *larger = realloc(list->users, capacity * sizeof *larger);
        if (larger == NULL)
            return false;
        list->users = larger;
        list->capacity = capacity;
    }
    list->users[list->count++] = (struct user){user_id, (uint32_t)visits};
    return true;
}

static int collect_users(VisitUsers *iterator, struct user_list *list)
{
    for (;;) {
        uint32_t user_id;
        size_t visits;
        VisitStatus status = VisitUsersNext(iterator, &user_id, &visits);
        if (status == VISIT_END)
            return EXIT_OK;
        if (status != VISIT_OK)
            return store_failed(status);
        if (!append_user(list, user_id, visits)) {
            say("out of memory");
            return EXIT_OTHER;
        }
        if (interrupted())
            return EXIT_OTHER;
        progress_show("listing users", list->count, 0);
    }
}

int store_users(VisitManager *manager, struct user **ret_users, size_t *ret_count)
{
    VisitUsers *iterator;
    VisitStatus status = VisitUsersOpen(manager, &iterator);
    if (status != VISIT_OK)
        return store_failed(status);
    struct user_list list = {0};
    int code = collect_users(iterator, &list);
    VisitUsersFree(iterator);
    progress_clear();
    if (code != EXIT_OK) {
        free(list.users);
        return code;
    }
    if (list.count > 0)
        qsort(list.users, list.count, sizeof *list.users, compare_users);
    *ret_users = list.users;
    *ret_count = list.count;
    return EXIT_OK;
}

/* ---- Visits ---- */

const char *packed_url(const VisitPacked *visits, const VisitPacked *visit)
{
    return (const char *)visits + visit->url_offset;
}

const char *packed_text(const VisitPacked *visits, const VisitPacked *visit)
{
    return packed_url(visits, visit) + visit->url_length + 1;
}

void out_visit_object(struct out *out, uint32_t user_id, const VisitPacked *visits,
                      const VisitPacked *visit)
{
    char time[TIME_TEXT_LENGTH + 1];
    out_text(out, "{\"user_id\":");
    out_number(out, user_id);
    out_text(out, ",\"visit_id\":");
    out_number(out, visit->visit_id);
    out_char(out, ',');
    out_json_member(out, "url", packed_url(visits, visit), visit->url_length);
    out_char(out, ',');
    out_json_member(out, "text", packed_text(visits, visit), visit->text_length);
    time_to_text(visit->time_ns, time);
    out_text(out, ",\"time\":\"");
    out_text(out, time);
    out_text(out, "\"}");
}

void out_visit_json(struct out *out, uint32_t user_id, const VisitPacked *visits,
                    const VisitPacked *visit)
{
    out_visit_object(out, user_id, visits, visit);
    out_char(out, '\n');
}
