/* SPDX-License-Identifier: MIT */
/*
 * Buffered data on stdout, messages on stderr.
 *
 * Data may hold any bytes, so nothing of it reaches a terminal unescaped: the functions of text.h
 * write it. Messages are escaped here.
 */
#ifndef RVDUMP_OUTPUT_H
#define RVDUMP_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { OUT_CAPACITY = 65536 };

/* The data written. The first failed write is kept in error; what follows it is dropped. */
struct out {
    size_t used;
    int fd;
    int error; /* errno, 0 while all is well */
    /* Waits until it may write; false: what there is shall be dropped. NULL: it always may. */
    bool (*may_write)(struct out *out);
    char data[OUT_CAPACITY];
};

void out_open(struct out *out, int fd);
void out_number(struct out *out, uint64_t number);
void out_flush(struct out *out);
/* Bytes for which there is no room. */
void out_beyond(struct out *out, const void *bytes, size_t length);

static inline void out_bytes(struct out *out, const void *bytes, size_t length)
{
    if (length > sizeof out->data - out->used) {
        out_beyond(out, bytes, length);
        return;
    }
    memcpy(out->data + out->used, bytes, length);
    out->used += length;
}

static inline void out_text(struct out *out, const char *text)
{
    out_bytes(out, text, strlen(text));
}

static inline void out_char(struct out *out, char c)
{
    out_bytes(out, &c, 1);
}

/* Flushes stdout and closes it, as some errors come at the close only. Returns code, or EXIT_IO
 * with a message if any write failed. */
int out_finish(struct out *out, int code);
/* The same for a file of that name. */
int out_finish_as(struct out *out, const char *name, int code);

/* One message on stderr, as a line that begins with "rvdump: ". */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
