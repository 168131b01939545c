/* SPDX-License-Identifier: MIT */
/*
 * Pictures of rectangles and text, as SVG or PNG. Inks have a colour for light and one for dark
 * surroundings.
 */
#ifndef RVDUMP_PICTURE_H
#define RVDUMP_PICTURE_H

#include "output.h"

enum ink {
    INK_PAPER,
    INK_TEXT,
    INK_FAINT, /* text that explains */
    INK_FREE,
    INK_USES,                 /* what blocks are used for: 5 */
    INK_SCALE = INK_USES + 5, /* from little to much: 5 */
    INKS = INK_SCALE + 5,
};

enum theme {
    THEME_AUTO, /* as the viewer has it; light if it has none */
    THEME_LIGHT,
    THEME_DARK,
};

enum anchor {
    ANCHOR_START,
    ANCHOR_END,
};

/* A colour, 0xRRGGBB. */
uint32_t ink_colour(enum ink ink, bool dark);

/* How a kind of picture is drawn. Rectangles come between begin and end, which name their ink.
 * Texts are UTF-8 without control characters. */
struct picture;
struct picture_kind {
    void (*begin)(struct picture *picture, enum ink ink);
    void (*rectangle)(struct picture *picture, double x, double y, double width, double height);
    void (*end)(struct picture *picture);
    void (*text)(struct picture *picture, double x, double y, enum anchor anchor, enum ink ink,
                 double size, bool bold, const char *text);
};

struct picture {
    const struct picture_kind *kind;
    struct out *out;
    enum theme theme;
    double width;
    double height;
    void *data; /* of its kind */
};

/* They write the picture that draw() draws. False after a message. */
typedef void draw_function(struct picture *picture, const void *data);
bool picture_svg(struct picture *picture, draw_function *draw, const void *data);
bool picture_html(struct picture *picture, const char *title, draw_function *draw,
                  const void *data);
bool picture_png_is_there(void); /* else it says so */
bool picture_png(struct picture *picture, draw_function *draw, const void *data);

#endif
