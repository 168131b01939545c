/* SPDX-License-Identifier: MIT */
#include "colour.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool colour_wanted(int fd)
{
    const char *no = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return (no == NULL || *no == '\0') && terminal != NULL && strcmp(terminal, "dumb") != 0 &&
           isatty(fd);
}

const char *colour(int fd, enum colour colour)
{
    static const char *const sequences[] = {
        [COLOUR_PLAIN] = "\x1b[0m",   [COLOUR_BOLD] = "\x1b[1m",   [COLOUR_RED] = "\x1b[31m",
        [COLOUR_YELLOW] = "\x1b[33m", [COLOUR_GREEN] = "\x1b[32m", [COLOUR_DIM] = "\x1b[2m",
    };
    return colour_wanted(fd) ? sequences[colour] : "";
}
