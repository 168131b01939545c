/* SPDX-License-Identifier: MIT */
/*
 * PNG by way of cairo, if rvdump was built with it.
 */
#include "picture.h"

#ifdef HAVE_CAIRO

#include <cairo.h>
#include <fontconfig/fontconfig.h>

static const double scale = 2; /* dots for one of the picture's units */

static void set_ink(struct picture *picture, enum ink ink)
{
    uint32_t colour = ink_colour(ink, picture->theme == THEME_DARK);
    cairo_set_source_rgb(picture->data, (colour >> 16) / 255.0, (colour >> 8 & 255) / 255.0,
                         (colour & 255) / 255.0);
}

static void begin(struct picture *picture, enum ink ink)
{
    set_ink(picture, ink);
}

static void rectangle(struct picture *picture, double x, double y, double width, double height)
{
    cairo_rectangle(picture->data, x, y, width, height);
}

static void end(struct picture *picture)
{
    cairo_fill(picture->data);
}

static void text(struct picture *picture, double x, double y, enum anchor anchor, enum ink ink,
                 double size, bool bold, const char *string)
{
    cairo_text_extents_t extents;
    set_ink(picture, ink);
    cairo_select_font_face(picture->data, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(picture->data, size);
    cairo_text_extents(picture->data, string, &extents);
    cairo_move_to(picture->data, anchor == ANCHOR_END ? x - extents.x_advance : x, y);
    cairo_show_text(picture->data, string);
}

static const struct picture_kind png = {begin, rectangle, end, text};

static cairo_status_t write_some(void *closure, const unsigned char *bytes, unsigned length)
{
    out_bytes(closure, bytes, length);
    return CAIRO_STATUS_SUCCESS;
}

bool picture_png_is_there(void)
{
    return true;
}

bool picture_png(struct picture *picture, draw_function *draw, const void *data)
{
    cairo_surface_t *surface = cairo_image_surface_create(
        CAIRO_FORMAT_RGB24, (int)(picture->width * scale), (int)(picture->height * scale));
    cairo_t *cairo = cairo_create(surface);
    cairo_scale(cairo, scale, scale);
    picture->kind = &png;
    picture->data = cairo;
    set_ink(picture, INK_PAPER);
    cairo_paint(cairo);
    draw(picture, data);
    cairo_status_t status = cairo_status(cairo);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_write_to_png_stream(surface, write_some, picture->out);
    if (status != CAIRO_STATUS_SUCCESS)
        say("cannot draw: %s", cairo_status_to_string(status));
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
    cairo_debug_reset_static_data(); /* what is kept for a next picture */
    FcFini();
    return status == CAIRO_STATUS_SUCCESS;
}

#else

bool picture_png_is_there(void)
{
    say("this rvdump was built without cairo, which png needs; svg and html need nothing");
    return false;
}

bool picture_png(struct picture *picture, draw_function *draw, const void *data)
{
    (void)picture;
    (void)draw;
    (void)data;
    return false;
}

#endif
