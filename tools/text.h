/* SPDX-License-Identifier: MIT */
/*
 * Untrusted strings: UTF-8, escapes, base64.
 *
 * A code point is called unsafe here if a terminal may obey it instead of showing it: the control
 * characters (C0, DEL, C1), the line and paragraph separators, and those that turn the direction
 * of writing.
 */
#ifndef RVDUMP_TEXT_H
#define RVDUMP_TEXT_H

#include "output.h"

#include <stdbool.h>
#include <stddef.h>

bool text_is_utf8(const char *bytes, size_t length);

/* UTF-8 without an unsafe code point. */
bool text_is_plain(const char *bytes, size_t length);

/* For people: backslash, unsafe code points and bytes that are not UTF-8 as \\ \t \n \r \xHH
 * \u{H...}. */
void out_escaped(struct out *out, const char *bytes, size_t length);

/* A word of a command that can be pasted into a shell; escaped, where it is not for a terminal. */
void out_shell_word(struct out *out, const char *word);

/* A JSON string with its quotes. The bytes must be UTF-8. Unsafe code points become \uHHHH. */
void out_json_string(struct out *out, const char *bytes, size_t length);

/* Any bytes as a JSON member: "name":"..." or, if they are not UTF-8, "name_base64":"...". */
void out_json_member(struct out *out, const char *name, const char *bytes, size_t length);

void out_base64(struct out *out, const char *bytes, size_t length);

/* Decodes RFC 4648 base64 with padding into to, which has room for length / 4 * 3 bytes and may be
 * from itself. False if it is not exactly what an encoder writes. */
bool base64_decode(const char *from, size_t length, char *to, size_t *ret_length);

#endif
