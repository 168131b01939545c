/* SPDX-License-Identifier: MIT */
/*
 * Colours: on a terminal only, and not if NO_COLOR is set (no-color.org).
 */
#ifndef RVDUMP_COLOUR_H
#define RVDUMP_COLOUR_H

#include <stdbool.h>

enum colour {
    COLOUR_PLAIN,
    COLOUR_BOLD,
    COLOUR_RED,
    COLOUR_YELLOW,
    COLOUR_GREEN,
    COLOUR_DIM,
};

bool colour_wanted(int fd);

/* What turns a colour on (COLOUR_PLAIN: all off); "" if fd gets none. */
const char *colour(int fd, enum colour colour);

#endif
