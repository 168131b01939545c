/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    BAR_LENGTH = 20,
    LINE_MOST = 200, /* of a wide terminal that much is used */
};

static bool visible;
static struct timespec shown;   /* last */
static struct timespec started; /* the present work */
static char work[40];

static double seconds_between(const struct timespec *from, const struct timespec *to)
{
    return (double)(to->tv_sec - from->tv_sec) + (double)(to->tv_nsec - from->tv_nsec) / 1e9;
}

/* True at most five times a second, and never if stderr is not a terminal. */
static bool is_due(struct timespec *ret_now)
{
    static int terminal = -1;
    if (terminal < 0)
        terminal = isatty(STDERR_FILENO);
    if (!terminal)
        return false;
    clock_gettime(CLOCK_MONOTONIC, ret_now);
    if (seconds_between(&shown, ret_now) < 0.2)
        return false;
    shown = *ret_now;
    return true;
}

static void format_amount(char text[24], double amount, bool bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    if (!bytes) {
        snprintf(text, 24, "%.0f", amount);
        return;
    }
    for (; amount >= 1024 && unit < 4; unit++)
        amount /= 1024;
    snprintf(text, 24, unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
}

/* " 45 % [#########...........]  " */
static int format_bar(char *line, size_t room, uint64_t done, uint64_t total)
{
    char bar[BAR_LENGTH + 1];
    size_t filled = (size_t)((double)done / (double)total * BAR_LENGTH);
    memset(bar, '.', BAR_LENGTH);
    memset(bar, '#', filled);
    bar[BAR_LENGTH] = '\0';
    return snprintf(line, room, "%3.0f %% [%s]  ", 100.0 * (double)done / (double)total, bar);
}

/* ", 0:02 left" */
static int format_left(char *line, size_t room, double seconds)
{
    uint64_t left = seconds < 360000 ? (uint64_t)seconds + 1 : 360000;
    if (left < 3600)
        return snprintf(line, room, ", %" PRIu64 ":%02" PRIu64 " left", left / 60, left % 60);
    return snprintf(line, room, ", %" PRIu64 ":%02" PRIu64 ":%02" PRIu64 " left", left / 3600,
                    left / 60 % 60, left % 60);
}

static void format_line(char line[LINE_MOST], uint64_t done, uint64_t total, double seconds,
                        bool bytes)
{
    char amount[24], whole[24], rate[24];
    double per_second = seconds > 0.5 ? (double)done / seconds : 0;
    int used = snprintf(line, LINE_MOST, "%s  ", work);
    format_amount(amount, (double)done, bytes);
    format_amount(whole, (double)total, bytes);
    format_amount(rate, per_second, bytes);
    if (total > 0)
        used += format_bar(line + used, LINE_MOST - (size_t)used, done, total);
    used += snprintf(line + used, LINE_MOST - (size_t)used, total > 0 ? "%s of %s" : "%s", amount,
                     whole);
    if (per_second >= 1)
        used += snprintf(line + used, LINE_MOST - (size_t)used, ", %s/s", rate);
    if (per_second >= 1 && total > 0)
        format_left(line + used, LINE_MOST - (size_t)used, (double)(total - done) / per_second);
}

/* A line that is longer than the terminal is wide could not be cleared again. */
static void cut_to_terminal(char line[LINE_MOST])
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_col < LINE_MOST)
        line[size.ws_col - 1] = '\0';
}

static void show(const char *what, uint64_t done, uint64_t total, bool bytes)
{
    struct timespec now;
    if (!is_due(&now))
        return;
    if (strncmp(work, what, sizeof work - 1) != 0) {
        started = now;
        snprintf(work, sizeof work, "%s", what);
    }
    char line[LINE_MOST];
    format_line(line, done, total > 0 && total < done ? done : total,
                seconds_between(&started, &now), bytes);
    cut_to_terminal(line);
    fprintf(stderr, "\r\x1b[K%s", line);
    fflush(stderr);
    visible = true;
}

void progress_show(const char *what, uint64_t done, uint64_t total)
{
    show(what, done, total, false);
}

void progress_show_bytes(const char *what, uint64_t done, uint64_t total)
{
    show(what, done, total, true);
}

void progress_clear(void)
{
    if (!visible)
        return;
    fputs("\r\x1b[K", stderr);
    fflush(stderr);
    visible = false;
}
