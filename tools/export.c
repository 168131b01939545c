/* SPDX-License-Identifier: MIT */
/*
 * rvdump export. Users come in ascending order of id, so that equal contents give equal exports,
 * whatever the stores' hash seeds are.
 */
#include "interrupt.h"
#include "progress.h"
#include "rvdump.h"
#include "store.h"
#include "text.h"
#include "timetext.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void out_csv_field(struct out *out, const char *bytes, size_t length)
{
    bool quoted = memchr(bytes, ',', length) != NULL || memchr(bytes, '"', length) != NULL;
    if (!quoted) {
        out_bytes(out, bytes, length);
        return;
    }
    out_char(out, '"');
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '"')
            out_char(out, '"');
        out_char(out, bytes[i]);
    }
    out_char(out, '"');
}

/* A string that is not plain goes as base64 into a column of its own; so each record is one line,
 * and no byte of it is one that a terminal obeys. */
static void out_visit_csv(struct out *out, uint32_t user_id, const VisitPacked *visits,
                          const VisitPacked *visit)
{
    char time[TIME_TEXT_LENGTH + 1];
    const char *url = packed_url(visits, visit), *text = packed_text(visits, visit);
    bool url_plain = text_is_plain(url, visit->url_length);
    bool text_plain = text_is_plain(text, visit->text_length);
    time_to_text(visit->time_ns, time);

    out_number(out, user_id);
    out_char(out, ',');
    out_number(out, visit->visit_id);
    out_char(out, ',');
    out_csv_field(out, url, url_plain ? visit->url_length : 0);
    out_char(out, ',');
    out_csv_field(out, text, text_plain ? visit->text_length : 0);
    out_char(out, ',');
    out_text(out, time);
    out_char(out, ',');
    out_base64(out, url, url_plain ? 0 : visit->url_length);
    out_char(out, ',');
    out_base64(out, text, text_plain ? 0 : visit->text_length);
    out_text(out, "\r\n");
}

static void export_user(struct out *out, enum format format, uint32_t user_id,
                        const VisitPacked *visits, size_t count)
{
    for (size_t i = 0; i < count && out->error == 0; i++) {
        if (format == FORMAT_CSV)
            out_visit_csv(out, user_id, visits, &visits[i]);
        else
            out_visit_json(out, user_id, visits, &visits[i]);
    }
}

/* Leaves out a user whose visits are damaged and goes on: the rest may be all that is left. */
static int export_users(struct out *out, enum format format, VisitManager *manager,
                        VisitReader *reader, const struct user *users, size_t user_count)
{
    int code = EXIT_OK;
    for (size_t i = 0; i < user_count && out->error == 0 && !interrupted(); i++) {
        const VisitPacked *visits;
        size_t count;
        store_prefetch(manager, users, i, user_count);
        VisitStatus status = store_read(reader, users[i].user_id, 0, &visits, &count);
        if (status == VISIT_OK) {
            export_user(out, format, users[i].user_id, visits, count);
        } else {
            code = store_failed(status);
            if (status != VISIT_ERROR_CORRUPT)
                break;
            say("user %" PRIu32 " is left out", users[i].user_id);
        }
        progress_show("exporting users", i + 1, user_count);
    }
    progress_clear();
    return code;
}

static int export_store(const struct args *args, VisitManager *manager)
{
    struct user *users;
    size_t count;
    int code = store_users(manager, &users, &count);
    if (code != EXIT_OK)
        return code;

    struct out out;
    out_open(&out, STDOUT_FILENO);
    if (args->format == FORMAT_CSV)
        out_text(&out, "user_id,visit_id,url,text,time,url_base64,text_base64\r\n");
    VisitReader *reader;
    VisitStatus status = VisitReaderOpen(manager, &reader);
    if (status == VISIT_OK) {
        code = export_users(&out, args->format, manager, reader, users, count);
        VisitReaderFree(reader);
    } else {
        code = store_failed(status);
    }
    free(users);
    return out_finish(&out, code);
}

int command_export(const struct args *args)
{
    VisitManager *manager;
    int code = store_open_read_only(args->store, &manager);
    if (code != EXIT_OK)
        return code;
    code = export_store(args, manager);
    VisitManagerFree(manager);
    return code;
}
