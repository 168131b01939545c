/* SPDX-License-Identifier: MIT */
#include "findings.h"
#include "colour.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

/* The rules of lib/verify.c. One costs visits if what it is about decides what a user has, or
 * whether it is found; the rest is derived from that, or there twice. */
static const struct rule {
    const char *name;
    bool costs;
    const char *meaning;
} rules[FINDINGS_RULES] = {
    {"slot-checksum", true, "a visit is not as it was written"},
    {"slot-strings", true, "a visit is not as it was written"},
    {"slot-time", true, "a user's visits are out of order"},
    {"chain", true, "visits of a user cannot be read"},
    {"run", true, "visits of a user lie where others' do, or where none can lie"},
    {"version", true, "where a user's visits are is not known"},
    {"epoch", true, "which of a user's states is the newest is not known"},
    {"entry-place", true, "a user is not found"},
    {"entry-probe", true, "a user is not found, or is there twice"},
    {"segment", true, "a part of the index is not what it should be"},
    {"directory", true, "users of a part of the index are not found"},
    {"index", true, "users of a part of the index are not found"},
    {"file-length", true, "the end of the file is missing"},
    {"space", true, "what has taken space is not known; it may have been a user's visits"},
    {"record", true, "what was added last may be missing"},
    {"superblock", false, "the store's description is there twice, and whole once"},
    {"hint", false, "a visit id that is there could be added again"},
    {"changes", false, "a program could take a user's old visits for the present ones"},
    {"shard-time", false, "a visit to come could get a time before those that are there"},
    {"block-cell", false, "the use of a block would change some day"},
    {"block-header", false, "what a block is used for is noted wrongly"},
    {"blocks", false, "how long the file is is noted wrongly"},
    {"free-list", false, "free space is noted wrongly"},
    {"slot-list", false, "free space is noted wrongly"},
    {"block-list", false, "free space is noted wrongly"},
    {"limbo", false, "free space is noted wrongly"},
    {"hand", false, "free space is noted wrongly"},
    {"undo", false, "a change is noted as not completed"},
    {"other", true, "this rvdump does not know the rule; a newer one does"},
};

static size_t number_of(const char *name)
{
    size_t i = 0;
    while (i + 1 < FINDINGS_RULES && strcmp(rules[i].name, name) != 0)
        i++;
    return i;
}

static void take_user(struct findings *findings, uint32_t user_id)
{
    if (findings->users > 0 && findings->last_user == user_id)
        return;
    if (findings->users < FINDINGS_USERS)
        findings->user_id[findings->users] = user_id;
    findings->users++;
    findings->last_user = user_id;
}

void findings_take(struct findings *findings, const VisitFinding *finding)
{
    size_t number = number_of(finding->rule);
    uint64_t before = findings->count[number]++;
    if (finding->has_user)
        take_user(findings, finding->user_id);
    if (before >= FINDINGS_PLACES)
        return;
    struct place *place = &findings->places[number][before];
    *place = (struct place){
        .offset = finding->offset, .user_id = finding->user_id, .has_user = finding->has_user};
    snprintf(place->message, sizeof place->message, "%s", finding->message);
}

bool findings_cost_visits(const struct findings *findings)
{
    for (size_t i = 0; i < FINDINGS_RULES; i++) {
        if (rules[i].costs && findings->count[i] > 0)
            return true;
    }
    return false;
}

/* ---- Writing ---- */

static void out_more(struct out *out, uint64_t count)
{
    out_text(out, " and ");
    out_number(out, count);
    out_text(out, " more");
}

static void out_place(struct out *out, const struct place *place)
{
    out_text(out, "    offset ");
    out_number(out, place->offset);
    if (place->has_user) {
        out_text(out, ", user ");
        out_number(out, place->user_id);
    }
    out_text(out, ": ");
    out_escaped(out, place->message, strlen(place->message));
    out_char(out, '\n');
}

static void out_rule(struct out *out, const struct findings *findings, size_t number)
{
    uint64_t count = findings->count[number];
    out_text(out, "  ");
    out_text(out, rules[number].name);
    out_text(out, ", ");
    out_number(out, count);
    out_text(out, count == 1 ? " time: " : " times: ");
    out_text(out, rules[number].meaning);
    out_char(out, '\n');
    for (uint64_t i = 0; i < count && i < FINDINGS_PLACES; i++)
        out_place(out, &findings->places[number][i]);
    if (count > FINDINGS_PLACES) {
        out_text(out, "   ");
        out_more(out, count - FINDINGS_PLACES);
        out_char(out, '\n');
    }
}

static void out_heading(struct out *out, const char *text)
{
    out_text(out, colour(out->fd, COLOUR_BOLD));
    out_text(out, text);
    out_text(out, colour(out->fd, COLOUR_PLAIN));
    out_char(out, '\n');
}

static void out_rules(struct out *out, const struct findings *findings, bool costs,
                      const char *heading)
{
    for (size_t i = 0; i < FINDINGS_RULES; i++) {
        if (rules[i].costs != costs || findings->count[i] == 0)
            continue;
        if (heading != NULL)
            out_heading(out, heading);
        heading = NULL;
        out_rule(out, findings, i);
    }
}

static void out_users(struct out *out, const struct findings *findings)
{
    if (findings->users == 0)
        return;
    out_text(out, "  Users concerned: ");
    for (uint64_t i = 0; i < findings->users && i < FINDINGS_USERS; i++) {
        out_text(out, i == 0 ? "" : ", ");
        out_number(out, findings->user_id[i]);
    }
    if (findings->users > FINDINGS_USERS)
        out_more(out, findings->users - FINDINGS_USERS);
    out_char(out, '\n');
}

static void out_command(struct out *out, const char *before, const char *path, const char *after)
{
    out_text(out, "      rvdump ");
    out_text(out, before);
    out_char(out, ' ');
    out_shell_word(out, path);
    out_text(out, after);
    out_char(out, '\n');
}

static void out_advice(struct out *out, const struct findings *findings, const char *path)
{
    out_heading(out, "What to do");
    out_text(out, "  End programs that write to the store. Go on with a new one:\n");
    if (findings_cost_visits(findings)) {
        out_text(out,
                 "  restore a backup; or have all that is whole, and a list of what is lost:\n");
        out_command(out, "salvage", path, " NEW");
    } else {
        out_text(out, "  no visit is lost, so a copy has all, without the damage:\n");
        out_command(out, "backup", path, " NEW");
    }
    out_text(out, "  Bytes that change by themselves come from a failing disk or memory.\n"
                  "  Each finding, and the bytes around one:\n");
    out_command(out, "verify", path, " --json");
    out_command(out, "page", path, " --offset OFFSET");
}

void findings_out(struct out *out, const struct findings *findings, const char *path)
{
    out_rules(out, findings, true, "Damage that costs visits, or may");
    out_rules(out, findings, false, "Damage that costs no visits");
    out_users(out, findings);
    out_advice(out, findings, path);
}
