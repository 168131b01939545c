/* SPDX-License-Identifier: MIT */
/*
 * Times as text: nanoseconds since 1970-01-01 UTC in the whole range of an int64_t, the years
 * 1677 to 2262.
 */
#ifndef RVDUMP_TIMETEXT_H
#define RVDUMP_TIMETEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TIME_TEXT_LENGTH = 30, /* 1995-07-01T04:00:01.000000000Z */
    CLF_TIME_LENGTH = 26,  /* 01/Jul/1995:00:00:01 -0400 */
};

/* Writes TIME_TEXT_LENGTH characters and a NUL. */
void time_to_text(int64_t time_ns, char text[TIME_TEXT_LENGTH + 1]);

/* RFC 3339: up to nine digits of fraction, Z or an offset. False if it is not one, or out of range.
 */
bool time_from_text(const char *text, size_t length, int64_t *ret_time_ns);

/* The time of the common log format, without its brackets. */
bool time_from_clf(const char text[CLF_TIME_LENGTH], int64_t *ret_time_ns);

#endif
