/* SPDX-License-Identifier: MIT */
/*
 * Completions for shells, made from the table of commands.
 */
#ifndef RVDUMP_COMPLETION_H
#define RVDUMP_COMPLETION_H

#include "output.h"

/* Writes that of bash, zsh or fish; false if it is another name. */
bool completion_out(struct out *out, const char *shell);

#endif
