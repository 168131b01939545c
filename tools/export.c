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
#include <pthread.h>
#include <sched.h>
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

/* ---- Parts ---- */

enum {
    PART = 32, /* users, whose visits are on their way from memory together */
    THREADS_MAX = 8,
};

/* Several threads make a part each; what they made is written in the order of the users. */
struct job {
    enum format format;
    VisitManager *manager;
    const struct user *users;
    size_t user_count;
    pthread_mutex_t lock; /* of what follows, of messages and the progress */
    pthread_cond_t turned;
    size_t next;    /* part that nobody makes yet */
    size_t turn;    /* part that is to be written */
    bool cut_short; /* nothing may follow */
    int code;
    int error; /* errno of a write */
};

struct maker {
    struct out out; /* the first: wait_for_turn() knows the maker by it */
    struct job *job;
    VisitReader *reader;
    size_t part;
};

static size_t parts_of(const struct job *job)
{
    return (job->user_count + PART - 1) / PART;
}

static bool wait_for_turn(struct out *out)
{
    struct maker *maker = (struct maker *)out;
    struct job *job = maker->job;
    pthread_mutex_lock(&job->lock);
    while (job->turn != maker->part)
        pthread_cond_wait(&job->turned, &job->lock);
    bool cut_short = job->cut_short;
    pthread_mutex_unlock(&job->lock);
    return !cut_short;
}

/* Tells of a user that cannot be read, when it is its turn; true if the others can. */
static bool leave_out(struct maker *maker, uint32_t user_id, VisitStatus status)
{
    struct job *job = maker->job;
    if (!wait_for_turn(&maker->out))
        return false;
    pthread_mutex_lock(&job->lock);
    bool damaged = status == VISIT_ERROR_CORRUPT;
    int code = store_failed(status);
    if (damaged)
        say("user %" PRIu32 " is left out", user_id);
    if (job->code == EXIT_OK || !damaged)
        job->code = code;
    pthread_mutex_unlock(&job->lock);
    return damaged;
}

static void prefetch(const struct job *job, size_t from, size_t to)
{
    uint32_t user_ids[PART];
    for (size_t i = from; i < to; i++)
        user_ids[i - from] = job->users[i].user_id;
    VisitManagerPrefetch(job->manager, user_ids, to - from);
}

/* Leaves out a user whose visits are damaged and goes on: the rest may be all that is left. False
 * if nothing may follow. */
static bool make_part(struct maker *maker)
{
    const struct job *job = maker->job;
    size_t i = maker->part * PART, end = i + PART;
    end = end < job->user_count ? end : job->user_count;
    prefetch(job, i, end);
    for (; i < end && maker->out.error == 0; i++) {
        const VisitPacked *visits;
        size_t count;
        uint32_t user_id = job->users[i].user_id;
        if (interrupted())
            return false;
        VisitStatus status = store_read(maker->reader, user_id, 0, &visits, &count);
        if (status == VISIT_OK)
            export_user(&maker->out, job->format, user_id, visits, count);
        else if (!leave_out(maker, user_id, status))
            return false;
    }
    return maker->out.error == 0;
}

static bool take_part(struct maker *maker)
{
    struct job *job = maker->job;
    pthread_mutex_lock(&job->lock);
    bool any = job->next < parts_of(job) && !job->cut_short;
    maker->part = job->next;
    job->next += any;
    pthread_mutex_unlock(&job->lock);
    return any;
}

/* The part is written: the next one's turn. */
static void end_part(struct maker *maker, bool whole)
{
    struct job *job = maker->job;
    pthread_mutex_lock(&job->lock);
    if (!job->cut_short)
        job->error = maker->out.error;
    job->cut_short = job->cut_short || !whole || maker->out.error != 0;
    job->turn++;
    size_t done = job->turn * PART;
    progress_show("exporting users", done < job->user_count ? done : job->user_count,
                  job->user_count);
    pthread_cond_broadcast(&job->turned);
    pthread_mutex_unlock(&job->lock);
}

static void *make_parts(void *data)
{
    struct maker *maker = data;
    while (take_part(maker)) {
        bool whole = make_part(maker);
        out_flush(&maker->out); /* in its turn, also if there is nothing to write */
        end_part(maker, whole);
    }
    return NULL;
}

static VisitStatus open_maker(struct job *job, struct maker *maker)
{
    maker->job = job;
    out_open(&maker->out, STDOUT_FILENO);
    maker->out.may_write = wait_for_turn;
    return VisitReaderOpen(job->manager, &maker->reader);
}

/* By as many threads as processors, or as many as memory is there for: one will do. */
static void export_by(struct job *job, struct maker *makers, size_t count)
{
    pthread_t threads[THREADS_MAX];
    size_t started = 0, opened = 0;
    VisitStatus status = VISIT_OK;
    while (opened < count && (status = open_maker(job, &makers[opened])) == VISIT_OK)
        opened++;
    if (opened == 0) {
        job->code = store_failed(status);
        return;
    }
    while (started + 1 < opened &&
           interrupt_start_thread(&threads[started], make_parts, &makers[started + 1]) == 0)
        started++;
    make_parts(&makers[0]);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < opened; i++)
        VisitReaderFree(makers[i].reader);
}

static size_t threads_for(const struct job *job)
{
    cpu_set_t processors;
    size_t parts = parts_of(job);
    /* It fails where there are more processors than such a set has places. */
    bool known = sched_getaffinity(0, sizeof processors, &processors) == 0;
    size_t count = known ? (size_t)CPU_COUNT(&processors) : THREADS_MAX;
    count = count < THREADS_MAX ? count : THREADS_MAX;
    count = count < parts ? count : parts;
    return count > 0 ? count : 1;
}

static void export_users(struct job *job)
{
    size_t count = threads_for(job);
    struct maker *makers = calloc(count, sizeof *makers);
    if (makers == NULL) {
        say("out of memory");
        job->code = EXIT_OTHER;
        return;
    }
    pthread_mutex_init(&job->lock, NULL);
    pthread_cond_init(&job->turned, NULL);
    export_by(job, makers, count);
    pthread_cond_destroy(&job->turned);
    pthread_mutex_destroy(&job->lock);
    free(makers);
    progress_clear();
}

/* ---- The command ---- */

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
    out_flush(&out);
    struct job job = {.format = args->format,
                      .manager = manager,
                      .users = users,
                      .user_count = count,
                      .code = EXIT_OK};
    if (out.error == 0) {
        export_users(&job);
        out.error = job.error;
    }
    free(users);
    return out_finish(&out, job.code);
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
