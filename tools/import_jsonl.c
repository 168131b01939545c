/* SPDX-License-Identifier: MIT */
/*
 * JSON lines: one object a line, as export writes it.
 */
#include "import.h"
#include "text.h"
#include "timetext.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct state {
    json_t *object;   /* of the last line: its strings are in use */
    char *decoded[2]; /* url and text that came as base64 */
    char why[JSON_ERROR_TEXT_LENGTH + 32];
};

enum {
    URL,
    TEXT,
};

static void *jsonl_open(const struct args *args)
{
    (void)args;
    return calloc(1, sizeof(struct state));
}

static void forget_line(struct state *state)
{
    json_decref(state->object);
    state->object = NULL;
    free(state->decoded[URL]);
    free(state->decoded[TEXT]);
    state->decoded[URL] = state->decoded[TEXT] = NULL;
}

static void jsonl_close(void *opaque)
{
    forget_line(opaque);
    free(opaque);
}

static bool get_id(const json_t *object, const char *name, uint32_t *ret_id)
{
    const json_t *value = json_object_get(object, name);
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number > UINT32_MAX)
        return false;
    *ret_id = (uint32_t)number;
    return true;
}

static bool get_time(const json_t *object, int64_t *ret_time_ns)
{
    const json_t *value = json_object_get(object, "time");
    return json_is_string(value) &&
           time_from_text(json_string_value(value), json_string_length(value), ret_time_ns);
}

static bool decode(const json_t *value, char **ret_bytes, size_t *ret_length)
{
    size_t length = json_string_length(value);
    char *bytes = malloc(length + 1);
    if (bytes == NULL)
        return false;
    *ret_bytes = bytes;
    return base64_decode(json_string_value(value), length, bytes, ret_length);
}

/* A string under its plain name or, as base64, under its other one; exactly one of them. */
static bool get_string(struct state *state, int which, const char **ret_bytes, size_t *ret_length)
{
    static const char *const names[][2] = {
        [URL] = {"url", "url_base64"}, [TEXT] = {"text", "text_base64"}};
    const json_t *plain = json_object_get(state->object, names[which][0]);
    const json_t *encoded = json_object_get(state->object, names[which][1]);
    if (plain != NULL && encoded == NULL && json_is_string(plain)) {
        *ret_bytes = json_string_value(plain);
        *ret_length = json_string_length(plain);
        return true;
    }
    if (plain != NULL || !json_is_string(encoded) ||
        !decode(encoded, &state->decoded[which], ret_length))
        return false;
    *ret_bytes = state->decoded[which];
    return true;
}

static const char *jsonl_parse(void *opaque, struct lines *lines, const char *line, size_t length,
                               struct record *ret_record)
{
    struct state *state = opaque;
    (void)lines;
    forget_line(state);
    json_error_t error;
    state->object = json_loadb(line, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (state->object == NULL) {
        snprintf(state->why, sizeof state->why, "cannot be read as JSON: %s", error.text);
        return state->why;
    }
    if (!json_is_object(state->object))
        return "not a JSON object";
    if (!get_id(state->object, "user_id", &ret_record->user_id))
        return "user_id is missing or not a number of 32 bits";
    if (!get_id(state->object, "visit_id", &ret_record->visit_id))
        return "visit_id is missing or not a number of 32 bits";
    if (!get_time(state->object, &ret_record->time_ns))
        return "time is missing, not of RFC 3339, or out of range";
    if (!get_string(state, URL, &ret_record->url, &ret_record->url_length))
        return "neither url nor url_base64 is there, or both, or it is malformed";
    if (!get_string(state, TEXT, &ret_record->text, &ret_record->text_length))
        return "neither text nor text_base64 is there, or both, or it is malformed";
    return NULL;
}

const struct parser parser_jsonl = {
    .open = jsonl_open,
    .close = jsonl_close,
    .parse = jsonl_parse,
};
