/* SPDX-License-Identifier: MIT */
#include "picture.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

uint32_t ink_colour(enum ink ink, bool dark)
{
    static const uint32_t colours[INKS][2] = {
        [INK_PAPER] = {0xffffff, 0x16191d},     [INK_TEXT] = {0x1b1f24, 0xe8eaed},
        [INK_FAINT] = {0x5b636d, 0xa3abb5},     [INK_FREE] = {0xe6e9ed, 0x2b3037},
        [INK_USES] = {0x6b7480, 0x8b95a1},      [INK_USES + 1] = {0x2f74c0, 0x5aa0ea},
        [INK_USES + 2] = {0xe0861a, 0xf2a541},  [INK_USES + 3] = {0x8a4fc7, 0xb98af0},
        [INK_USES + 4] = {0x1f9d8b, 0x45cdb9},  [INK_SCALE] = {0xc7e1cf, 0x27463a},
        [INK_SCALE + 1] = {0x93c8a8, 0x2f6a52}, [INK_SCALE + 2] = {0x57a97f, 0x3a926c},
        [INK_SCALE + 3] = {0x25835a, 0x5cbd8d}, [INK_SCALE + 4] = {0x0b5637, 0xa5ecc4},
    };
    return colours[ink][dark];
}

/* ---- Rectangles, one path for each ink ---- */

static void out_length(struct out *out, const char *before, double length)
{
    char text[32];
    snprintf(text, sizeof text, "%s%.4g", before, length);
    out_text(out, text);
}

static void begin(struct picture *picture, enum ink ink)
{
    char text[32];
    snprintf(text, sizeof text, "<path class=\"i%d\" d=\"", ink);
    out_text(picture->out, text);
}

static void rectangle(struct picture *picture, double x, double y, double width, double height)
{
    struct out *out = picture->out;
    out_length(out, "M", x);
    out_length(out, " ", y);
    out_length(out, "h", width);
    out_length(out, "v", height);
    out_length(out, "h", -width);
    out_char(out, 'z');
}

static void end(struct picture *picture)
{
    out_text(picture->out, "\"/>\n");
}

/* ---- Text ---- */

static void out_xml(struct out *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<')
            out_text(out, "&lt;");
        else if (*text == '&')
            out_text(out, "&amp;");
        else
            out_char(out, *text);
    }
}

static void text(struct picture *picture, double x, double y, enum anchor anchor, enum ink ink,
                 double size, bool bold, const char *string)
{
    struct out *out = picture->out;
    char start[128];
    snprintf(start, sizeof start,
             "<text class=\"i%d\" x=\"%.4g\" y=\"%.4g\" font-size=\"%.4g\"%s%s>", ink, x, y, size,
             anchor == ANCHOR_END ? " text-anchor=\"end\"" : "",
             bold ? " font-weight=\"bold\"" : "");
    out_text(out, start);
    out_xml(out, string);
    out_text(out, "</text>\n");
}

static const struct picture_kind svg = {begin, rectangle, end, text};

/* ---- The whole ---- */

static void out_inks(struct out *out, bool dark)
{
    for (int ink = 0; ink < INKS; ink++) {
        char rule[40];
        snprintf(rule, sizeof rule, ".i%d{fill:#%06" PRIx32 "}", ink,
                 ink_colour((enum ink)ink, dark));
        out_text(out, rule);
    }
    out_char(out, '\n');
}

static void out_style(struct out *out, enum theme theme)
{
    out_text(out, "<style>text{font-family:system-ui,sans-serif}\n");
    out_inks(out, theme == THEME_DARK);
    if (theme == THEME_AUTO) {
        out_text(out, "@media (prefers-color-scheme:dark){\n");
        out_inks(out, true);
        out_text(out, "}\n");
    }
    out_text(out, "</style>\n");
}

bool picture_svg(struct picture *picture, draw_function *draw, const void *data)
{
    char start[160];
    picture->kind = &svg;
    snprintf(start, sizeof start,
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.4g %.4g\" width=\"%.4g\" "
             "height=\"%.4g\">\n",
             picture->width, picture->height, picture->width, picture->height);
    out_text(picture->out, start);
    out_style(picture->out, picture->theme);
    begin(picture, INK_PAPER);
    rectangle(picture, 0, 0, picture->width, picture->height);
    end(picture);
    draw(picture, data);
    out_text(picture->out, "</svg>\n");
    return true;
}

static void out_page_style(struct out *out, enum theme theme)
{
    char rule[160];
    snprintf(rule, sizeof rule,
             "<style>body{margin:0;background:#%06" PRIx32 "}svg{display:block;margin:auto;"
             "max-width:100%%;height:auto}\n",
             ink_colour(INK_PAPER, theme == THEME_DARK));
    out_text(out, rule);
    snprintf(rule, sizeof rule,
             "@media (prefers-color-scheme:dark){body{background:#%06" PRIx32 "}}\n",
             ink_colour(INK_PAPER, true));
    if (theme == THEME_AUTO)
        out_text(out, rule);
    out_text(out, "</style>\n");
}

bool picture_html(struct picture *picture, const char *title, draw_function *draw, const void *data)
{
    struct out *out = picture->out;
    out_text(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
    out_xml(out, title);
    out_text(out, "</title>\n");
    out_page_style(out, picture->theme);
    out_text(out, "</head>\n<body>\n");
    bool done = picture_svg(picture, draw, data);
    out_text(out, "</body>\n</html>\n");
    return done;
}
