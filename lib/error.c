/* SPDX-License-Identifier: MIT */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local struct rv_thread thread;

struct rv_thread *rv_thread(void)
{
    return &thread;
}

/* A message is one line, whatever bytes a path has. */
static void flatten(char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f) {
            *s = '?';
        }
    }
}

VisitStatus rv_fail(VisitStatus status, const char *path, const char *format, ...)
{
    char *message = thread.message;
    const size_t room = sizeof thread.message;
    size_t used = 0;
    if (path) {
        used = (size_t)snprintf(message, room / 2, "%s: ", path);
        used = used < room / 2 ? used : room / 2 - 1;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message + used, room - used, format, arguments);
    va_end(arguments);
    flatten(message);
    thread.status = status;
    return status;
}

struct cause {
    int error;
    VisitStatus status;
    const char *remedy;
};

static const struct cause causes[] = {
    {ENOENT, VISIT_ERROR_NOT_FOUND, "check the path"},
    {ENOTDIR, VISIT_ERROR_NOT_FOUND, "check the path"},
    {EEXIST, VISIT_ERROR_EXISTS, "choose another path, or open without VISIT_MUST_NOT_EXIST"},
    {EACCES, VISIT_ERROR_ACCESS, "check owner and permissions, or open read-only"},
    {EPERM, VISIT_ERROR_ACCESS, "check owner and permissions, or open read-only"},
    {EROFS, VISIT_ERROR_ACCESS, "the file system is read-only: open read-only"},
    {ENOSPC, VISIT_ERROR_NO_SPACE, "make room on the disk and try again"},
    {EDQUOT, VISIT_ERROR_NO_SPACE, "make room in the quota and try again"},
    {EFBIG, VISIT_ERROR_NO_SPACE, "raise the limit of file sizes (ulimit -f) and try again"},
    {ENOMEM, VISIT_ERROR_NO_MEMORY, "free memory or raise the limit of address space (ulimit -v)"},
    {EMFILE, VISIT_ERROR_NO_MEMORY, "close files or raise their limit (ulimit -n)"},
    {ENFILE, VISIT_ERROR_NO_MEMORY, "close files"},
    {ENODEV, VISIT_ERROR_UNSUPPORTED, "use a file system whose files can be mapped"},
    {EOPNOTSUPP, VISIT_ERROR_UNSUPPORTED, "use a local file system"},
    {EISDIR, VISIT_ERROR_NOT_A_STORE, "name a file, not a folder"},
    {ELOOP, VISIT_ERROR_INVALID, "check the symbolic links of the path"},
    {ENAMETOOLONG, VISIT_ERROR_INVALID, "use a shorter path"},
    {0, VISIT_ERROR_IO, "check the disk and the system log"},
};

/* The C library's name of an error. */
static const char *name_of(int error, char *text, size_t size)
{
#ifdef __GLIBC__
    return strerror_r(error, text, size);
#else
    return strerror_r(error, text, size) ? "unknown error" : text;
#endif
}

VisitStatus rv_fail_errno(const char *path, const char *what, int error)
{
    const struct cause *cause = causes;
    while (cause->error && cause->error != error) {
        cause++;
    }
    char text[96];
    return rv_fail(cause->status, path, "cannot %s: %s; %s", what,
                   name_of(error, text, sizeof text), cause->remedy);
}

VisitStatus VisitLastStatus(void)
{
    return thread.status;
}

const char *VisitLastError(void)
{
    return thread.message;
}

const char *VisitVersion(void)
{
    return VISIT_VERSION_STRING;
}

const char *VisitStatusText(VisitStatus status)
{
    switch (status) {
    case VISIT_OK:
        return "success";
    case VISIT_END:
        return "no more";
    case VISIT_ERROR_INVALID:
        return "invalid argument";
    case VISIT_ERROR_IO:
        return "input/output error";
    case VISIT_ERROR_NO_SPACE:
        return "no space left";
    case VISIT_ERROR_BUSY:
        return "store is in use";
    case VISIT_ERROR_CORRUPT:
        return "store is damaged";
    case VISIT_ERROR_NOT_A_STORE:
        return "not a store";
    case VISIT_ERROR_NEWER_VERSION:
        return "store needs a newer version of librv";
    case VISIT_ERROR_TOO_LONG:
        return "strings are too long";
    case VISIT_ERROR_READ_ONLY:
        return "store is open read-only";
    case VISIT_ERROR_NO_MEMORY:
        return "out of memory";
    case VISIT_ERROR_FORKED:
        return "store was opened before a fork";
    case VISIT_ERROR_NOT_FOUND:
        return "no such file";
    case VISIT_ERROR_EXISTS:
        return "file exists";
    case VISIT_ERROR_ACCESS:
        return "permission denied";
    case VISIT_ERROR_NOT_CLEAN:
        return "store was not closed";
    case VISIT_ERROR_CANCELLED:
        return "cancelled";
    case VISIT_ERROR_UNSUPPORTED:
        return "not supported here";
    }
    return "unknown status";
}
