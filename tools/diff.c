/* SPDX-License-Identifier: MIT */
/*
 * rvdump diff: what two stores have for their users; not how they are made.
 */
#include "progress.h"
#include "rvdump.h"
#include "store.h"
#include "text.h"
#include "timetext.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One of the two stores. */
struct side {
    VisitManager *manager;
    VisitReader *reader;
    struct user *users;
    size_t count;
    size_t at; /* the next user */
    const VisitPacked *visits;
    size_t visit_count;
    char sign; /* of what only this one has */
    const char *name;
    uint64_t only; /* visits that only this one has */
};

struct diff {
    const struct args *args;
    struct out *out;
    struct side side[2];
    uint64_t users; /* that differ */
};

static bool same_visit(const VisitPacked *a_visits, const VisitPacked *a,
                       const VisitPacked *b_visits, const VisitPacked *b)
{
    return a->visit_id == b->visit_id && a->time_ns == b->time_ns &&
           a->url_length == b->url_length && a->text_length == b->text_length &&
           memcmp(packed_url(a_visits, a), packed_url(b_visits, b), a->url_length) == 0 &&
           memcmp(packed_text(a_visits, a), packed_text(b_visits, b), a->text_length) == 0;
}

/* Text, with tabs between: sign, user, time, visit id, url, text. */
static void out_visit(struct diff *diff, const struct side *side, uint32_t user_id,
                      const VisitPacked *visit)
{
    struct out *out = diff->out;
    char time[TIME_TEXT_LENGTH + 1];
    time_to_text(visit->time_ns, time);
    out_char(out, side->sign);
    out_char(out, '\t');
    out_number(out, user_id);
    out_char(out, '\t');
    out_text(out, time);
    out_char(out, '\t');
    out_number(out, visit->visit_id);
    out_char(out, '\t');
    out_escaped(out, packed_url(side->visits, visit), visit->url_length);
    out_char(out, '\t');
    out_escaped(out, packed_text(side->visits, visit), visit->text_length);
    out_char(out, '\n');
}

static void take_only(struct diff *diff, int which, uint32_t user_id, const VisitPacked *visit)
{
    struct side *side = &diff->side[which];
    side->only++;
    if (!diff->args->json) {
        out_visit(diff, side, user_id, visit);
        return;
    }
    out_text(diff->out, "{\"only_in\":\"");
    out_text(diff->out, side->name);
    out_text(diff->out, "\",\"visit\":");
    out_visit_object(diff->out, user_id, side->visits, visit);
    out_text(diff->out, "}\n");
}

static int compare_ids(const void *a, const void *b)
{
    const VisitPacked *const *x = a, *const *y = b;
    return ((*x)->visit_id > (*y)->visit_id) - ((*x)->visit_id < (*y)->visit_id);
}

/* Tells the visits of one side that are not on the other, whose visits come in order of id. */
static void take_side(struct diff *diff, int which, uint32_t user_id,
                      const VisitPacked *const *others)
{
    const struct side *mine = &diff->side[which], *other = &diff->side[!which];
    for (size_t i = 0; i < mine->visit_count; i++) {
        const VisitPacked *visit = &mine->visits[i];
        const VisitPacked *const *found =
            other->visit_count == 0
                ? NULL
                : bsearch(&visit, others, other->visit_count, sizeof *others, compare_ids);
        if (found == NULL || !same_visit(mine->visits, visit, other->visits, *found))
            take_only(diff, which, user_id, visit);
    }
}

static bool take_sides(struct diff *diff, uint32_t user_id)
{
    bool done = true;
    for (int which = 0; which < 2 && done; which++) {
        const struct side *other = &diff->side[!which];
        const VisitPacked **others = malloc((other->visit_count + 1) * sizeof *others);
        done = others != NULL;
        for (size_t i = 0; i < other->visit_count && done; i++)
            others[i] = &other->visits[i];
        if (done && other->visit_count > 0)
            qsort(others, other->visit_count, sizeof *others, compare_ids);
        if (done)
            take_side(diff, which, user_id, others);
        free(others);
    }
    return done;
}

static bool same_sequence(const struct diff *diff)
{
    const struct side *a = &diff->side[0], *b = &diff->side[1];
    bool same = a->visit_count == b->visit_count;
    for (size_t i = 0; i < a->visit_count && same; i++)
        same = same_visit(a->visits, &a->visits[i], b->visits, &b->visits[i]);
    return same;
}

static void take_other_order(struct diff *diff, uint32_t user_id)
{
    if (diff->args->json)
        out_text(diff->out, "{\"other_order\":");
    else
        out_text(diff->out, "~\t");
    out_number(diff->out, user_id);
    out_text(diff->out, diff->args->json ? "}\n" : "\tthe same visits in another order\n");
}

static int compare_user(struct diff *diff, uint32_t user_id)
{
    if (same_sequence(diff))
        return EXIT_OK;
    uint64_t before = diff->side[0].only + diff->side[1].only;
    if (!take_sides(diff, user_id)) {
        say("out of memory");
        return EXIT_OTHER;
    }
    if (diff->side[0].only + diff->side[1].only == before)
        take_other_order(diff, user_id);
    diff->users++;
    return EXIT_OK;
}

/* Reads the visits of a user; none, if the side has not that user next. */
static int read_side(struct side *side, uint32_t user_id)
{
    side->visits = NULL;
    side->visit_count = 0;
    if (side->at == side->count || side->users[side->at].user_id != user_id)
        return EXIT_OK;
    side->at++;
    VisitStatus status = store_read(side->reader, user_id, 0, &side->visits, &side->visit_count);
    return status == VISIT_OK ? EXIT_OK : store_failed(status);
}

static uint32_t next_user(const struct diff *diff)
{
    uint32_t user_id = UINT32_MAX;
    for (int i = 0; i < 2; i++) {
        const struct side *side = &diff->side[i];
        if (side->at < side->count && side->users[side->at].user_id < user_id)
            user_id = side->users[side->at].user_id;
    }
    return user_id;
}

static int compare(struct diff *diff)
{
    struct side *a = &diff->side[0], *b = &diff->side[1];
    while ((a->at < a->count || b->at < b->count) && diff->out->error == 0) {
        uint32_t user_id = next_user(diff);
        int code = read_side(a, user_id);
        if (code == EXIT_OK)
            code = read_side(b, user_id);
        if (code != EXIT_OK)
            return code;
        code = compare_user(diff, user_id);
        if (code != EXIT_OK)
            return code;
        progress_show("comparing users", a->at + b->at, a->count + b->count);
    }
    progress_clear();
    if (diff->users == 0)
        return EXIT_OK;
    say("%" PRIu64 " users differ: %" PRIu64 " visits only in %s, %" PRIu64 " only in %s",
        diff->users, a->only, diff->args->store, b->only, diff->args->operand);
    return EXIT_DIFFERENT;
}

static int open_side(const char *path, struct side *side)
{
    int code = store_open_read_only(path, &side->manager);
    if (code != EXIT_OK)
        return code;
    code = store_users(side->manager, &side->users, &side->count);
    if (code != EXIT_OK)
        return code;
    VisitStatus status = VisitReaderOpen(side->manager, &side->reader);
    return status == VISIT_OK ? EXIT_OK : store_failed(status);
}

static void close_side(struct side *side)
{
    VisitReaderFree(side->reader);
    free(side->users);
    VisitManagerFree(side->manager);
}

int command_diff(const struct args *args)
{
    struct out out;
    out_open(&out, STDOUT_FILENO);
    struct diff diff = {.args = args,
                        .out = &out,
                        .side = {{.sign = '-', .name = "first"}, {.sign = '+', .name = "second"}}};
    int code = open_side(args->store, &diff.side[0]);
    if (code == EXIT_OK)
        code = open_side(args->operand, &diff.side[1]);
    if (code == EXIT_OK)
        code = compare(&diff);
    for (int i = 0; i < 2; i++)
        close_side(&diff.side[i]);
    return out_finish(&out, code);
}
