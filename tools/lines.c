/* SPDX-License-Identifier: MIT */
#include "lines.h"
#include "interrupt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FIRST_CAPACITY = 256 << 10,
};

bool lines_open(struct lines *lines, int fd)
{
    *lines = (struct lines){.fd = fd, .capacity = FIRST_CAPACITY, .data = malloc(FIRST_CAPACITY)};
    return lines->data != NULL;
}

void lines_close(struct lines *lines)
{
    free(lines->data);
    lines->data = NULL;
}

/* Makes room behind the bytes that are there: moves them to the front, or takes a larger buffer. */
static bool make_room(struct lines *lines)
{
    if (lines->filled < lines->capacity)
        return true;
    if (lines->start > 0) {
        size_t shift = lines->start;
        memmove(lines->data, lines->data + shift, lines->filled - shift);
        lines->start = 0;
        lines->next -= shift;
        lines->filled -= shift;
        return true;
    }
    char *larger = realloc(lines->data, lines->capacity * 2);
    if (larger == NULL)
        return false;
    lines->data = larger;
    lines->capacity *= 2;
    return true;
}

/* Reads more bytes, at least one. */
static enum lines_result fill(struct lines *lines)
{
    if (lines->at_end)
        return LINES_END;
    if (!make_room(lines))
        return LINES_ERROR;
    if (!interrupt_wait(lines->fd))
        return LINES_INTERRUPTED;
    ssize_t n;
    do
        n = read(lines->fd, lines->data + lines->filled, lines->capacity - lines->filled);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return LINES_ERROR;
    lines->at_end = n == 0;
    lines->filled += (size_t)n;
    lines->read += (uint64_t)n;
    return n == 0 ? LINES_END : LINES_LINE;
}

/* Finds the end of the line that begins at next. */
static enum lines_result find_end(struct lines *lines, size_t *ret_length)
{
    size_t seen = 0; /* bytes of the line without a newline */
    for (;;) {
        const char *from = lines->data + lines->next + seen;
        const char *newline = memchr(from, '\n', lines->filled - lines->next - seen);
        if (newline != NULL) {
            *ret_length = (size_t)(newline - (lines->data + lines->next));
            size_t record = (size_t)(newline - (lines->data + lines->start));
            return record > LINE_MAX_BYTES ? LINES_TOO_LONG : LINES_LINE;
        }
        seen = lines->filled - lines->next;
        if (lines->filled - lines->start > LINE_MAX_BYTES)
            return LINES_TOO_LONG;
        enum lines_result result = fill(lines);
        if (result == LINES_END && seen > 0) { /* the last line has no newline */
            *ret_length = seen;
            return LINES_LINE;
        }
        if (result != LINES_LINE)
            return result;
    }
}

/* Moves on behind a line's newline, or to the end of the file. */
static void step_over(struct lines *lines, size_t length)
{
    lines->next += length;
    if (lines->next < lines->filled)
        lines->next++;
    lines->number++;
}

/* Drops the bytes of a line that is too long, in pieces. */
static enum lines_result skip_line(struct lines *lines)
{
    for (;;) {
        const char *from = lines->data + lines->start;
        const char *newline = memchr(from, '\n', lines->filled - lines->start);
        lines->start = newline != NULL ? (size_t)(newline - lines->data) + 1 : lines->filled;
        lines->next = lines->start;
        if (newline != NULL)
            break;
        enum lines_result result = fill(lines);
        if (result == LINES_END)
            break;
        if (result != LINES_LINE)
            return result;
    }
    lines->number++;
    return LINES_TOO_LONG;
}

enum lines_result lines_begin(struct lines *lines)
{
    static const char byte_order_mark[] = {'\xef', '\xbb', '\xbf'};
    enum lines_result result = LINES_LINE;
    while (result == LINES_LINE && lines->filled < sizeof byte_order_mark)
        result = fill(lines);
    if (lines->filled >= sizeof byte_order_mark &&
        memcmp(lines->data, byte_order_mark, sizeof byte_order_mark) == 0)
        lines->next = sizeof byte_order_mark;
    return result;
}

enum lines_result lines_next(struct lines *lines, const char **ret_line, size_t *ret_length)
{
    lines->start = lines->next;
    size_t length;
    enum lines_result result = find_end(lines, &length);
    if (result == LINES_TOO_LONG)
        return skip_line(lines);
    if (result != LINES_LINE)
        return result;
    step_over(lines, length);
    *ret_line = lines->data + lines->start;
    *ret_length = length;
    return LINES_LINE;
}

enum lines_result lines_extend(struct lines *lines, const char **ret_line, size_t *ret_length)
{
    size_t length;
    enum lines_result result = find_end(lines, &length);
    if (result != LINES_LINE)
        return result;
    size_t end = lines->next + length;
    step_over(lines, length);
    *ret_line = lines->data + lines->start;
    *ret_length = end - lines->start;
    return LINES_LINE;
}

void lines_give_back(struct lines *lines, size_t first_length, uint64_t first_number)
{
    lines->next = lines->start + first_length;
    if (lines->next < lines->filled)
        lines->next++;
    lines->number = first_number;
}
