/* SPDX-License-Identifier: MIT */
#include "output.h"
#include "progress.h"
#include "rvdump.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void out_open(struct out *out, int fd)
{
    out->used = 0;
    out->fd = fd;
    out->error = 0;
    out->may_write = NULL;
}

static void write_all(struct out *out, const char *bytes, size_t length)
{
    if (out->may_write != NULL && !out->may_write(out))
        return;
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

void out_beyond(struct out *out, const void *bytes, size_t length)
{
    out_flush(out);
    if (length > sizeof out->data)
        write_all(out, bytes, length);
    else
        out_bytes(out, bytes, length);
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
    return out_finish_as(out, "standard output", code);
}

int out_finish_as(struct out *out, const char *name, int code)
{
    out_flush(out);
    if (close(out->fd) != 0 && out->error == 0 && errno != EINTR)
        out->error = errno;
    if (out->error == 0)
        return code;
    if (out->error != EPIPE) /* who closes the pipe has read enough, as head(1) does */
        say("cannot write to %s: %s", name, strerror(out->error));
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
