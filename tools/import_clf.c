/* SPDX-License-Identifier: MIT */
/*
 * The common log format of web servers, and the combined one:
 *
 *   host ident user [01/Jul/1995:00:00:01 -0400] "GET /a HTTP/1.0" 200 6245
 *   host ident user [01/Jul/1995:00:00:01 -0400] "GET /a HTTP/1.0" 200 6245 "referrer" "agent"
 *
 * Real logs hold requests with quotes, spaces, no protocol, no target, so the fields around the
 * request are found first and the request is what lies between them.
 */
#include "import.h"
#include "timetext.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct piece {
    const char *bytes;
    size_t length;
};

struct state {
    uint64_t before_first; /* added to a line's number gives its visit id */
    char *text;
    size_t capacity;
    char time_text[CLF_TIME_LENGTH]; /* of the last line, which often has the time of the next */
    int64_t time_ns;
};

static void *clf_open(const struct args *args)
{
    struct state *state = calloc(1, sizeof *state);
    if (state != NULL)
        state->before_first = (uint64_t)args->first_visit_id - 1;
    return state;
}

static void clf_close(void *opaque)
{
    struct state *state = opaque;
    free(state->text);
    free(state);
}

static bool parse_time(struct state *state, const char *text)
{
    if (memcmp(state->time_text, text, CLF_TIME_LENGTH) == 0)
        return true;
    if (!time_from_clf(text, &state->time_ns))
        return false;
    memcpy(state->time_text, text, CLF_TIME_LENGTH);
    return true;
}

/* Finds ` [time] "` behind the host; returns where the request begins, or NULL. The user's name
 * may hold spaces and brackets. */
static const char *find_request(struct state *state, const char *at, const char *end)
{
    enum {
        /* The bytes from the opening bracket to the opening quote. */
        SPAN = CLF_TIME_LENGTH + 4,
    };
    while (end - at >= SPAN) {
        const char *bracket = memchr(at, '[', (size_t)(end - at));
        if (bracket == NULL || end - bracket < SPAN)
            return NULL;
        const char *behind = bracket + 1 + CLF_TIME_LENGTH;
        if (bracket[-1] == ' ' && memcmp(behind, "] \"", 3) == 0 && parse_time(state, bracket + 1))
            return behind + 3;
        at = bracket + 1;
    }
    return NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes `" status bytes` from quote on, and tells what lies behind it. False if it is not there. */
static bool take_status(const char *quote, const char *end, struct piece *ret_status,
                        const char **ret_behind)
{
    if (end - quote < 5 || quote[1] != ' ')
        return false;
    const char *at = quote + 2;
    size_t length = *at == '-' ? 1 : 3;
    if (length == 3 && !(is_digit(at[0]) && is_digit(at[1]) && is_digit(at[2])))
        return false;
    *ret_status = (struct piece){at, length};
    at += length;
    if (end - at < 2 || *at++ != ' ')
        return false;
    if (*at == '-')
        at++;
    else if (!is_digit(*at))
        return false;
    while (at < end && at[-1] != '-' && is_digit(*at))
        at++;
    *ret_behind = at;
    return true;
}

/* Something like ` "referrer" "agent"` to the end of the line. */
static bool begins_quoted(const char *at, const char *end)
{
    return end - at >= 6 && at[0] == ' ' && at[1] == '"' && end[-1] == '"';
}

static bool has_two_quoted(const char *at, const char *end)
{
    return memmem(at + 2, (size_t)(end - at) - 3, "\" \"", 3) != NULL;
}

struct fields {
    struct piece request;
    struct piece status;
    struct piece tail; /* the quoted referrer and agent; empty in the common format */
};

/* The request ends with the first quote behind which the rest of the line is as it must be. */
static bool find_fields(const char *request, const char *end, struct fields *ret_fields)
{
    const char *quote = request;
    while ((quote = memchr(quote, '"', (size_t)(end - quote))) != NULL) {
        const char *behind;
        ret_fields->request = (struct piece){request, (size_t)(quote - request)};
        ret_fields->tail = (struct piece){end, 0};
        if (take_status(quote++, end, &ret_fields->status, &behind)) {
            if (behind == end)
                return true;
            if (begins_quoted(behind, end)) {
                ret_fields->tail = (struct piece){behind + 1, (size_t)(end - behind - 1)};
                return has_two_quoted(behind, end); /* no later quote could give more */
            }
        }
    }
    return false;
}

/* Splits the request: the method ends at the first space, the protocol is the last word if it
 * begins with HTTP/, the target is what lies between, spaces and quotes included. */
static void split_request(struct piece request, struct piece *ret_method, struct piece *ret_target)
{
    const char *end = request.bytes + request.length;
    const char *space = memrchr(request.bytes, ' ', request.length);
    if (space != NULL && end - space > 6 && memcmp(space, " HTTP/", 6) == 0)
        end = space;
    size_t length = (size_t)(end - request.bytes);
    const char *first_space = memchr(request.bytes, ' ', length);
    if (first_space == NULL) {
        *ret_method = (struct piece){request.bytes, length};
        *ret_target = (struct piece){end, 0};
        return;
    }
    *ret_method = (struct piece){request.bytes, (size_t)(first_space - request.bytes)};
    *ret_target = (struct piece){first_space + 1, (size_t)(end - first_space - 1)};
}

static char *put(char *to, struct piece piece)
{
    memcpy(to, piece.bytes, piece.length);
    return to + piece.length;
}

/* `GET 200` or `GET 200 "referrer" "agent"`; `- 200` without a method. */
static bool build_text(struct state *state, struct piece method, const struct fields *fields,
                       struct record *ret_record)
{
    size_t needed = method.length + fields->status.length + fields->tail.length + 4;
    if (needed > state->capacity) {
        char *larger = realloc(state->text, needed * 2);
        if (larger == NULL)
            return false;
        state->text = larger;
        state->capacity = needed * 2;
    }
    char *to = put(state->text, method.length > 0 ? method : (struct piece){"-", 1});
    *to++ = ' ';
    to = put(to, fields->status);
    if (fields->tail.length > 0)
        *to++ = ' ';
    to = put(to, fields->tail);
    ret_record->text = state->text;
    ret_record->text_length = (size_t)(to - state->text);
    return true;
}

static const char *clf_parse(void *opaque, struct lines *lines, const char *line, size_t length,
                             struct record *ret_record)
{
    struct state *state = opaque;
    if (length > 0 && line[length - 1] == '\r')
        length--;
    const char *end = line + length;
    const char *host_end = memchr(line, ' ', length);
    if (host_end == NULL || host_end == line)
        return "no host";
    const char *request = find_request(state, host_end, end);
    if (request == NULL)
        return "no time and request";
    struct fields fields;
    if (!find_fields(request, end, &fields))
        return "no status and size behind the request";
    uint64_t visit_id = lines->number + state->before_first;
    if (visit_id > UINT32_MAX)
        return "its visit id would be above 4294967295";

    struct piece method, target;
    split_request(fields.request, &method, &target);
    ret_record->user_id = (uint32_t)XXH3_64bits(line, (size_t)(host_end - line));
    ret_record->visit_id = (uint32_t)visit_id;
    ret_record->time_ns = state->time_ns;
    ret_record->url = target.bytes;
    ret_record->url_length = target.length;
    return build_text(state, method, &fields, ret_record) ? NULL : "out of memory";
}

const struct parser parser_clf = {
    .open = clf_open,
    .close = clf_close,
    .parse = clf_parse,
    .in_time_order = true,
};
