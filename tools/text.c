/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The continuation bytes that a first byte calls for, or -1 if none begins with it. */
static int continuation_bytes(unsigned char first)
{
    if (first < 0x80)
        return 0;
    if (first >= 0xc2 && first <= 0xdf)
        return 1;
    if (first >= 0xe0 && first <= 0xef)
        return 2;
    if (first >= 0xf0 && first <= 0xf4)
        return 3;
    return -1;
}

/* Length in bytes of the UTF-8 sequence at p, or 0 if there is none. */
static size_t decode(const unsigned char *p, size_t available, uint32_t *ret_code)
{
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    static const unsigned char first_mask[] = {0x7f, 0x1f, 0x0f, 0x07};
    int more = continuation_bytes(p[0]);
    if (more < 0 || (size_t)more >= available)
        return 0;
    uint32_t code = p[0] & first_mask[more];
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (code < smallest[more] || code > 0x10ffff || surrogate)
        return 0;
    *ret_code = code;
    return (size_t)more + 1;
}

static bool is_unsafe(uint32_t code)
{
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f))
        return true;
    if (code < 0x61c)
        return false;
    return code == 0x61c || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/* Printable ASCII that needs no escape in text and JSON: most of what there is. */
static bool is_ordinary(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '\\' && c != '"';
}

/* The same of eight bytes at once. A high bit that is set, or comes to be set in one of the sums,
 * tells of a byte that is not; which one depends on the byte order, whether there is one does not.
 */
static bool are_ordinary(const char bytes[8])
{
    const uint64_t each = UINT64_C(0x0101010101010101);
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    uint64_t quote = (word ^ each * '"') - each;
    uint64_t backslash = (word ^ each * '\\') - each;
    uint64_t control = word - each * 0x20;
    return ((word | (word + each) | control | quote | backslash) & each * 0x80) == 0;
}

/* Where the next byte is that is not ordinary, from at on. */
static size_t skip_ordinary(const char *bytes, size_t at, size_t length)
{
    while (length - at >= 8 && are_ordinary(bytes + at))
        at += 8;
    while (at < length && is_ordinary((unsigned char)bytes[at]))
        at++;
    return at;
}

static bool all_decode(const char *bytes, size_t length, bool unsafe_allowed)
{
    const unsigned char *p = (const unsigned char *)bytes;
    size_t at = 0;
    while ((at = skip_ordinary(bytes, at, length)) < length) {
        uint32_t code;
        size_t n = decode(p + at, length - at, &code);
        if (n == 0 || (!unsafe_allowed && is_unsafe(code)))
            return false;
        at += n;
    }
    return true;
}

bool text_is_utf8(const char *bytes, size_t length)
{
    return all_decode(bytes, length, true);
}

bool text_is_plain(const char *bytes, size_t length)
{
    return all_decode(bytes, length, false);
}

/* Writes the ordinary bytes from at on; returns where the next other one is. */
static size_t out_ordinary(struct out *out, const char *bytes, size_t at, size_t length)
{
    size_t end = skip_ordinary(bytes, at, length);
    out_bytes(out, bytes + at, end - at);
    return end;
}

static void out_formatted(struct out *out, const char *format, uint32_t value)
{
    char text[16];
    snprintf(text, sizeof text, format, value);
    out_text(out, text);
}

static void out_escape(struct out *out, uint32_t code)
{
    static const char named[] = "\\\\\tt\nn\rr";
    for (const char *p = named; *p != '\0'; p += 2) {
        if ((uint32_t)*p == code) {
            out_char(out, '\\');
            out_char(out, p[1]);
            return;
        }
    }
    out_formatted(out, code < 0x80 ? "\\x%02x" : "\\u{%x}", code);
}

void out_escaped(struct out *out, const char *bytes, size_t length)
{
    size_t at = 0;
    while ((at = out_ordinary(out, bytes, at, length)) < length) {
        const unsigned char *p = (const unsigned char *)bytes + at;
        uint32_t code;
        size_t n = decode(p, length - at, &code);
        if (n == 0) {
            out_formatted(out, "\\x%02x", *p);
            at++;
            continue;
        }
        if (code == '\\' || is_unsafe(code))
            out_escape(out, code);
        else
            out_bytes(out, p, n);
        at += n;
    }
}

void out_shell_word(struct out *out, const char *word)
{
    static const char needs_no_quotes[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./+,:@%=-";
    size_t length = strlen(word);
    if (!text_is_plain(word, length) || strspn(word, needs_no_quotes) == length) {
        out_escaped(out, word, length);
        return;
    }
    out_char(out, '\'');
    for (size_t i = 0; i < length; i++) {
        if (word[i] == '\'')
            out_text(out, "'\\'");
        out_char(out, word[i]);
    }
    out_char(out, '\'');
}

static void out_json_code(struct out *out, const unsigned char *p, size_t n, uint32_t code)
{
    if (is_unsafe(code)) {
        out_formatted(out, "\\u%04x", code);
        return;
    }
    if (code == '"' || code == '\\')
        out_char(out, '\\');
    out_bytes(out, p, n);
}

void out_json_string(struct out *out, const char *bytes, size_t length)
{
    out_char(out, '"');
    size_t at = 0;
    while ((at = out_ordinary(out, bytes, at, length)) < length) {
        const unsigned char *p = (const unsigned char *)bytes + at;
        uint32_t code;
        size_t n = decode(p, length - at, &code);
        if (n == 0) { /* the caller's mistake; still JSON */
            out_text(out, "\\ufffd");
            at++;
            continue;
        }
        out_json_code(out, p, n, code);
        at += n;
    }
    out_char(out, '"');
}

void out_json_member(struct out *out, const char *name, const char *bytes, size_t length)
{
    bool utf8 = text_is_utf8(bytes, length);
    out_char(out, '"');
    out_text(out, name);
    out_text(out, utf8 ? "\":" : "_base64\":\"");
    if (utf8) {
        out_json_string(out, bytes, length);
        return;
    }
    out_base64(out, bytes, length);
    out_char(out, '"');
}

/* ---- Base64 ---- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void out_base64(struct out *out, const char *bytes, size_t length)
{
    const unsigned char *p = (const unsigned char *)bytes;
    for (size_t at = 0; at < length; at += 3) {
        size_t n = length - at < 3 ? length - at : 3;
        uint32_t bits = (uint32_t)p[at] << 16;
        bits |= n > 1 ? (uint32_t)p[at + 1] << 8 : 0;
        bits |= n > 2 ? p[at + 2] : 0;
        char four[4] = {base64_digits[bits >> 18], base64_digits[bits >> 12 & 63],
                        n > 1 ? base64_digits[bits >> 6 & 63] : '=',
                        n > 2 ? base64_digits[bits & 63] : '='};
        out_bytes(out, four, sizeof four);
    }
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes four characters, the last padding of which are '='. False for a foreign character or
 * for bits that an encoder leaves 0. */
static bool decode_four(const char *from, size_t padding, uint32_t *ret_bits)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < 4 - padding ? base64_value(from[i]) : 0;
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
    }
    *ret_bits = bits;
    return (bits & ((1U << 8 * padding) - 1)) == 0;
}

bool base64_decode(const char *from, size_t length, char *to, size_t *ret_length)
{
    if (length % 4 != 0)
        return false;
    size_t padding = 0;
    while (padding < 2 && padding < length && from[length - 1 - padding] == '=')
        padding++;
    size_t used = 0;
    for (size_t at = 0; at < length; at += 4) {
        size_t missing = at + 4 == length ? padding : 0;
        uint32_t bits;
        if (!decode_four(from + at, missing, &bits))
            return false;
        for (size_t i = 0; i < 3 - missing; i++)
            to[used++] = (char)(bits >> (16 - 8 * i) & 0xff);
    }
    *ret_length = used;
    return true;
}
