/* SPDX-License-Identifier: MIT */
#include "output.h"
#include "rvdump.h"
#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void out_open(struct out *out, int fd)
{
    out->used = 0;
    out->fd = fd;
    out->error = 0;
}

static void write_all(struct out *out, const char *bytes, size_t length)
{
    while (length > 0 && out->error == 0) {
        ssize_t n = write(out->fd, bytes, length);
        if (n < 0) {
            if (errno != EINTR)
                out->error = errno;
            continue;
        }
        bytes += n;
        length -= (size_t)n;
    }
}

void out_flush(struct out *out)
{
    write_all(out, out->data, out->used);
    out->used = 0;
}

void out_bytes(struct out *out, const void *bytes, size_t length)
{
    if (length > sizeof out->data - out->used)
        out_flush(out);
    if (length > sizeof out->data) {
        write_all(out, bytes, length);
        return;
    }
    memcpy(out->data + out->used, bytes, length);
    out->used += length;
}

void out_text(struct out *out, const char *text)
{
    out_bytes(out, text, strlen(text));
}

void out_char(struct out *out, char c)
{
    if (out->used == sizeof out->data)
        out_flush(out);
    out->data[out->used++] = c;
}

void out_number(struct out *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    out_bytes(out, digits + at, sizeof digits - at);
}

int out_finish(struct out *out, int code)
{
    out_flush(out);
    if (close(out->fd) != 0 && out->error == 0 && errno != EINTR)
        out->error = errno;
    if (out->error == 0)
        return code;
    if (out->error != EPIPE) /* who closes the pipe has read enough, as head(1) does */
        say("cannot write to standard output: %s", strerror(out->error));
    return EXIT_IO;
}

/* ---- Messages ---- */

void say(const char *format, ...)
{
    char *message;
    va_list list;
    va_start(list, format);
    int length = vasprintf(&message, format, list);
    va_end(list);
    progress_clear();
    if (length < 0)
        return;

    struct out err;
    out_open(&err, STDERR_FILENO);
    out_text(&err, "rvdump: ");
    out_escaped(&err, message, (size_t)length);
    out_char(&err, '\n');
    out_flush(&err);
    free(message);
}

static bool progress_visible;

/* True at most five times a second, and never if stderr is not a terminal. */
static bool progress_due(void)
{
    static int terminal = -1;
    static struct timespec last;
    if (terminal < 0)
        terminal = isatty(STDERR_FILENO);
    if (!terminal)
        return false;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t passed_ms =
        (int64_t)(now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000;
    if (passed_ms < 200)
        return false;
    last = now;
    return true;
}

void progress_show(const char *what, uint64_t done, uint64_t total)
{
    if (!progress_due())
        return;
    fprintf(stderr, "\r\x1b[K%s: %" PRIu64, what, done);
    if (total > 0)
        fprintf(stderr, " of %" PRIu64, total);
    fflush(stderr);
    progress_visible = true;
}

void progress_clear(void)
{
    if (!progress_visible)
        return;
    fputs("\r\x1b[K", stderr);
    fflush(stderr);
    progress_visible = false;
}
