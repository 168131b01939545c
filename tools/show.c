/* SPDX-License-Identifier: MIT */
/*
 * rvdump show
 */
#include "rvdump.h"
#include "store.h"
#include "text.h"
#include "timetext.h"

#include <inttypes.h>
#include <unistd.h>

static void out_visit(struct out *out, const VisitPacked *visits, const VisitPacked *visit)
{
    char time[TIME_TEXT_LENGTH + 1];
    time_to_text(visit->time_ns, time);
    out_text(out, time);
    out_char(out, '\t');
    out_number(out, visit->visit_id);
    out_char(out, '\t');
    out_escaped(out, packed_url(visits, visit), visit->url_length);
    out_char(out, '\t');
    out_escaped(out, packed_text(visits, visit), visit->text_length);
    out_char(out, '\n');
}

static int print_visits(const struct args *args, uint32_t user_id, const VisitPacked *visits,
                        size_t count)
{
    struct out out;
    out_open(&out, STDOUT_FILENO);
    for (size_t i = 0; i < count && out.error == 0; i++) {
        if (args->json)
            out_visit_json(&out, user_id, visits, &visits[i]);
        else
            out_visit(&out, visits, &visits[i]);
    }
    return out_finish(&out, EXIT_OK);
}

static int show_user(const struct args *args, VisitReader *reader, uint32_t user_id)
{
    const VisitPacked *visits;
    size_t count;
    VisitStatus status = store_read(reader, user_id, 0, &visits, &count);
    if (status != VISIT_OK)
        return store_failed(status);
    if (count == 0) {
        say("%s: user %" PRIu32 " has no visits", args->store, user_id);
        return EXIT_NO_USER;
    }
    return print_visits(args, user_id, visits, count);
}

int command_show(const struct args *args)
{
    uint32_t user_id;
    if (!parse_number(args->operand, UINT32_MAX, &user_id)) {
        say("not a user id, 0 to %" PRIu32 ": %s", UINT32_MAX, args->operand);
        return EXIT_USAGE;
    }
    VisitManager *manager;
    int code = store_open_read_only(args->store, &manager);
    if (code != EXIT_OK)
        return code;
    VisitReader *reader;
    VisitStatus status = VisitReaderOpen(manager, &reader);
    if (status == VISIT_OK) {
        code = show_user(args, reader, user_id);
        VisitReaderFree(reader);
    } else {
        code = store_failed(status);
    }
    VisitManagerFree(manager);
    return code;
}
