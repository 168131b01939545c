/* SPDX-License-Identifier: MIT */
#include "timetext.h"

#include <string.h>
#include <time.h>

static const int64_t ns_per_second = 1000000000;
static const int64_t seconds_per_day = 86400;

/* The system's conversions take longer than all the rest, and the next time is often of the same
 * day: so each thread keeps the last day. */

/* "1995-07-01T" for a day since 1970-01-01. */
static const char *date_of_day(int64_t day)
{
    static _Thread_local int64_t last;
    static _Thread_local char date[12];
    if (date[0] != '\0' && day == last)
        return date;
    time_t seconds = (time_t)(day * seconds_per_day);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    strftime(date, sizeof date, "%Y-%m-%dT", &tm);
    last = day;
    return date;
}

/* The first second of a day since 1970; month and day from 1. */
static int64_t day_begins(int year, int month, int day)
{
    static _Thread_local struct {
        int year, month, day;
        int64_t begins;
    } last;
    if (day != last.day || month != last.month || year != last.year) {
        struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
        last.year = year;
        last.month = month;
        last.day = day;
        last.begins = timegm(&tm);
    }
    return last.begins;
}

static char *put_digits(char *at, unsigned number, size_t width, char after)
{
    for (size_t i = width; i-- > 0; number /= 10)
        at[i] = (char)('0' + number % 10);
    at[width] = after;
    return at + width + 1;
}

void time_to_text(int64_t time_ns, char text[TIME_TEXT_LENGTH + 1])
{
    int64_t fraction = time_ns % ns_per_second;
    int64_t seconds = time_ns / ns_per_second;
    if (fraction < 0) {
        fraction += ns_per_second;
        seconds--;
    }
    int64_t day = seconds / seconds_per_day;
    if (seconds % seconds_per_day < 0)
        day--;
    unsigned second = (unsigned)(seconds - day * seconds_per_day);
    memcpy(text, date_of_day(day), 11);
    char *at = put_digits(text + 11, second / 3600, 2, ':');
    at = put_digits(at, second / 60 % 60, 2, ':');
    at = put_digits(at, second % 60, 2, '.');
    at = put_digits(at, (unsigned)fraction, 9, 'Z');
    *at = '\0';
}

/* Reads exactly width digits. */
static bool get_digits(const char *text, size_t width, int *ret_number)
{
    int number = 0;
    for (size_t i = 0; i < width; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (text[i] - '0');
    }
    *ret_number = number;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* tm as the text has it: the year in full, the month from 1. Second 60 is a leap second, which
 * is the next second's time. */
static bool fields_allowed(const struct tm *tm)
{
    return tm->tm_year > 0 && tm->tm_mon >= 1 && tm->tm_mon <= 12 && tm->tm_mday >= 1 &&
           tm->tm_mday <= days_in_month(tm->tm_year, tm->tm_mon) && tm->tm_hour <= 23 &&
           tm->tm_min <= 59 && tm->tm_sec <= 60;
}

static bool to_nanoseconds(int64_t seconds, int64_t fraction, int64_t *ret_time_ns)
{
    if (seconds < 0 && fraction > 0) { /* so that the product of the first second fits */
        seconds++;
        fraction -= ns_per_second;
    }
    int64_t time_ns;
    if (__builtin_mul_overflow(seconds, ns_per_second, &time_ns))
        return false;
    return !__builtin_add_overflow(time_ns, fraction, ret_time_ns);
}

static bool combine(struct tm tm, int64_t fraction, int offset_seconds, int64_t *ret_time_ns)
{
    if (!fields_allowed(&tm))
        return false;
    int64_t seconds = day_begins(tm.tm_year, tm.tm_mon, tm.tm_mday) + tm.tm_hour * 3600 +
                      tm.tm_min * 60 + tm.tm_sec;
    return to_nanoseconds(seconds - offset_seconds, fraction, ret_time_ns);
}

/* "+hh" and "mm", wherever the minutes stand. */
static bool get_offset(const char *hours, const char *minutes, int *ret_seconds)
{
    int h, m;
    if (*hours != '+' && *hours != '-')
        return false;
    if (!get_digits(hours + 1, 2, &h) || !get_digits(minutes, 2, &m) || h > 23 || m > 59)
        return false;
    int seconds = h * 3600 + m * 60;
    *ret_seconds = *hours == '-' ? -seconds : seconds;
    return true;
}

/* One to nine digits after the dot; returns their number, or 0. */
static size_t get_fraction(const char *text, size_t length, int64_t *ret_fraction)
{
    size_t digits = 0;
    int64_t fraction = 0;
    while (digits < length && text[digits] >= '0' && text[digits] <= '9')
        digits++;
    if (digits > 9)
        return 0;
    for (size_t i = 0; i < 9; i++)
        fraction = fraction * 10 + (i < digits ? text[i] - '0' : 0);
    *ret_fraction = fraction;
    return digits;
}

static bool get_zone(const char *text, size_t length, int *ret_seconds)
{
    *ret_seconds = 0;
    if (length == 1)
        return *text == 'Z' || *text == 'z';
    return length == 6 && text[3] == ':' && get_offset(text, text + 4, ret_seconds);
}

bool time_from_text(const char *text, size_t length, int64_t *ret_time_ns)
{
    struct tm tm = {0};
    if (length < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':')
        return false;
    if (text[10] != 'T' && text[10] != 't')
        return false;
    if (!get_digits(text, 4, &tm.tm_year) || !get_digits(text + 5, 2, &tm.tm_mon) ||
        !get_digits(text + 8, 2, &tm.tm_mday) || !get_digits(text + 11, 2, &tm.tm_hour) ||
        !get_digits(text + 14, 2, &tm.tm_min) || !get_digits(text + 17, 2, &tm.tm_sec))
        return false;
    size_t at = 19;
    int64_t fraction = 0;
    if (text[at] == '.') {
        size_t digits = get_fraction(text + at + 1, length - at - 1, &fraction);
        if (digits == 0)
            return false;
        at += digits + 1;
    }
    int offset_seconds;
    return get_zone(text + at, length - at, &offset_seconds) &&
           combine(tm, fraction, offset_seconds, ret_time_ns);
}

static bool get_month(const char *text, int *ret_month)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++) {
        if (memcmp(names + i * 3, text, 3) == 0) {
            *ret_month = i + 1;
            return true;
        }
    }
    return false;
}

bool time_from_clf(const char text[CLF_TIME_LENGTH], int64_t *ret_time_ns)
{
    struct tm tm = {0};
    if (text[2] != '/' || text[6] != '/' || text[11] != ':' || text[14] != ':' || text[17] != ':' ||
        text[20] != ' ')
        return false;
    if (!get_digits(text, 2, &tm.tm_mday) || !get_month(text + 3, &tm.tm_mon) ||
        !get_digits(text + 7, 4, &tm.tm_year) || !get_digits(text + 12, 2, &tm.tm_hour) ||
        !get_digits(text + 15, 2, &tm.tm_min) || !get_digits(text + 18, 2, &tm.tm_sec))
        return false;
    int offset_seconds;
    return get_offset(text + 21, text + 24, &offset_seconds) &&
           combine(tm, 0, offset_seconds, ret_time_ns);
}
