/* SPDX-License-Identifier: MIT */
/*
 * CSV of RFC 4180. The header names the columns; the last two of those known here are optional.
 */
#include "import.h"
#include "text.h"
#include "timetext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    USER_ID,
    VISIT_ID,
    URL,
    TEXT,
    TIME,
    URL_BASE64,
    TEXT_BASE64,
    KNOWN_COLUMNS,
    COLUMNS_MAX = 64,
};

static const char *const column_names[KNOWN_COLUMNS] = {
    "user_id", "visit_id", "url", "text", "time", "url_base64", "text_base64"};

struct field {
    const char *bytes;
    size_t length;
};

struct state {
    int columns;              /* of the header */
    int place[KNOWN_COLUMNS]; /* of each known column; -1: absent */
    struct field fields[COLUMNS_MAX];
    int field_count;
    char *unquoted; /* the fields' bytes without quotes */
    size_t capacity;
};

static void *csv_open(const struct args *args)
{
    (void)args;
    return calloc(1, sizeof(struct state));
}

static void csv_close(void *opaque)
{
    struct state *state = opaque;
    free(state->unquoted);
    free(state);
}

/* ---- One record ---- */

/* Copies a quoted field that begins behind its first quote. Returns where it ends, behind the last
 * quote, or NULL if that is not there. */
static const char *unquote(const char *at, const char *end, char **to)
{
    for (;;) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        if (quote == NULL)
            return NULL;
        memcpy(*to, at, (size_t)(quote - at));
        *to += quote - at;
        if (quote + 1 == end || quote[1] != '"')
            return quote + 1;
        *(*to)++ = '"';
        at = quote + 2;
    }
}

enum split_result {
    SPLIT_OK,
    SPLIT_OPEN_QUOTE, /* the record goes on with the next line */
    SPLIT_BAD,
    SPLIT_MANY, /* more fields than COLUMNS_MAX */
};

/* Takes one field that is not quoted; returns its end. NULL if it holds a quote. */
static const char *take_bare(const char *at, const char *end, struct field *ret_field)
{
    const char *comma = memchr(at, ',', (size_t)(end - at));
    const char *stop = comma != NULL ? comma : end;
    *ret_field = (struct field){at, (size_t)(stop - at)};
    return memchr(at, '"', ret_field->length) == NULL ? stop : NULL;
}

/* Splits a record, which has no line end, into fields. */
static enum split_result split(struct state *state, const char *at, const char *end)
{
    char *to = state->unquoted;
    state->field_count = 0;
    for (;;) {
        if (state->field_count == COLUMNS_MAX)
            return SPLIT_MANY;
        struct field *field = &state->fields[state->field_count++];
        if (at < end && *at == '"') {
            field->bytes = to;
            at = unquote(at + 1, end, &to);
            if (at == NULL)
                return SPLIT_OPEN_QUOTE;
            field->length = (size_t)(to - field->bytes);
        } else {
            at = take_bare(at, end, field);
        }
        if (at == end)
            return SPLIT_OK;
        if (at == NULL || *at != ',')
            return SPLIT_BAD;
        at++;
    }
}

static bool room_to_unquote(struct state *state, size_t length)
{
    if (length < state->capacity)
        return true;
    char *larger = realloc(state->unquoted, length * 2 + 1);
    if (larger == NULL)
        return false;
    state->unquoted = larger;
    state->capacity = length * 2 + 1;
    return true;
}

static enum split_result split_line(struct state *state, const char *line, size_t length)
{
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (!room_to_unquote(state, length))
        return SPLIT_BAD;
    return split(state, line, line + length);
}

/* Only a line with an odd number of quotes can close what is open: the others need not be looked at
 * more closely, which would take long in a long record. */
static bool has_odd_quotes(const char *bytes, size_t length)
{
    bool odd = false;
    const char *end = bytes + length;
    while ((bytes = memchr(bytes, '"', (size_t)(end - bytes))) != NULL) {
        odd = !odd;
        bytes++;
    }
    return odd;
}

/* Splits a record of as many lines as its quotes ask for. A record that is not one is given back
 * but for its first line, so that a stray quote costs one line only. */
static const char *read_record(struct state *state, struct lines *lines, const char *line,
                               size_t length)
{
    size_t first_length = length;
    uint64_t first_number = lines->number;
    enum split_result result = split_line(state, line, length);
    while (result == SPLIT_OPEN_QUOTE) {
        size_t seen = length;
        if (lines_extend(lines, &line, &length) != LINES_LINE)
            break;
        if (has_odd_quotes(line + seen, length - seen))
            result = split_line(state, line, length);
    }
    if (result == SPLIT_OK)
        return memchr(line, '\0', length) != NULL ? "a NUL byte" : NULL;
    lines_give_back(lines, first_length, first_number);
    return result == SPLIT_OPEN_QUOTE ? "a quoted field has no end"
                                      : "quotes or number of fields are wrong";
}

/* ---- Columns ---- */

static bool field_is(const struct field *field, const char *name)
{
    return field->length == strlen(name) && memcmp(field->bytes, name, field->length) == 0;
}

/* False if one is there twice. */
static bool find_columns(struct state *state)
{
    bool once = true;
    state->columns = state->field_count;
    for (int known = 0; known < KNOWN_COLUMNS; known++) {
        state->place[known] = -1;
        for (int i = 0; i < state->columns; i++) {
            if (!field_is(&state->fields[i], column_names[known]))
                continue;
            once = once && state->place[known] < 0;
            state->place[known] = i;
        }
    }
    return once;
}

static const char *csv_begin(void *opaque, struct lines *lines)
{
    static const char missing[] =
        "the first line must name the columns user_id, visit_id, url, text and time";
    struct state *state = opaque;
    const char *line;
    size_t length;
    enum lines_result result = lines_next(lines, &line, &length);
    if (result == LINES_ERROR)
        return "cannot read";
    errno = 0;
    if (result != LINES_LINE)
        return missing;
    enum split_result split = split_line(state, line, length);
    if (split != SPLIT_OK)
        return split == SPLIT_MANY ? "the first line names more than 64 columns" : missing;
    if (!find_columns(state))
        return "the first line names a column twice";
    for (int known = 0; known <= TIME; known++) {
        if (state->place[known] < 0)
            return missing;
    }
    return NULL;
}

static struct field get_field(const struct state *state, int known)
{
    if (state->place[known] < 0)
        return (struct field){"", 0};
    return state->fields[state->place[known]];
}

static bool get_id(const struct state *state, int known, uint32_t *ret_id)
{
    struct field field = get_field(state, known);
    char digits[16];
    if (field.length >= sizeof digits)
        return false;
    memcpy(digits, field.bytes, field.length);
    digits[field.length] = '\0';
    return parse_number(digits, UINT32_MAX, ret_id);
}

/* Base64 is decoded where it stands, in the line or in what was unquoted. */
static bool get_string(const struct state *state, int plain, int encoded, const char **ret_bytes,
                       size_t *ret_length)
{
    struct field field = get_field(state, plain);
    struct field base64 = get_field(state, encoded);
    *ret_bytes = field.bytes;
    *ret_length = field.length;
    if (base64.length == 0)
        return true;
    *ret_bytes = base64.bytes;
    return field.length == 0 &&
           base64_decode(base64.bytes, base64.length, (char *)base64.bytes, ret_length);
}

static const char *csv_parse(void *opaque, struct lines *lines, const char *line, size_t length,
                             struct record *ret_record)
{
    struct state *state = opaque;
    const char *why = read_record(state, lines, line, length);
    if (why != NULL)
        return why;
    if (state->field_count != state->columns)
        return "not as many fields as the header has";
    if (!get_id(state, USER_ID, &ret_record->user_id))
        return "user_id is not a number of 32 bits";
    if (!get_id(state, VISIT_ID, &ret_record->visit_id))
        return "visit_id is not a number of 32 bits";
    struct field time = get_field(state, TIME);
    if (!time_from_text(time.bytes, time.length, &ret_record->time_ns))
        return "time is not of RFC 3339, or out of range";
    if (!get_string(state, URL, URL_BASE64, &ret_record->url, &ret_record->url_length))
        return "url and url_base64 are both there, or it is malformed";
    if (!get_string(state, TEXT, TEXT_BASE64, &ret_record->text, &ret_record->text_length))
        return "text and text_base64 are both there, or it is malformed";
    return NULL;
}

const struct parser parser_csv = {
    .open = csv_open,
    .close = csv_close,
    .begin = csv_begin,
    .parse = csv_parse,
    .in_records = true,
};
