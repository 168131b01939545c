/* SPDX-License-Identifier: MIT */
/*
 * rvdump map: a picture of the file. Three charts, one above the other, have the same cells in the
 * same places, in the order of the file.
 */
#include "chart.h"
#include "picture.h"
#include "rvdump.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MARGIN = 24,
    AXIS = 68, /* room for the offsets at the left */
    CHART_WIDTH = 640,
    LEGEND_LINE = 20,
    LEGEND_COLUMNS = 3,
    LEVELS = 5,
    NAME_MOST = 60,
};

struct map {
    struct chart chart;
    const struct image *image;
    char name[NAME_MOST + 8];
    unsigned columns;
    unsigned rows;
    double side; /* of a cell */
};

/* ---- Words ---- */

static const char *size_text(char text[24], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double amount = (double)bytes;
    unsigned unit = 0;
    for (; amount >= 1024 && unit < 4; unit++)
        amount /= 1024;
    snprintf(text, 24, "%.4g %s", amount, units[unit]);
    return text;
}

/* The file's name without folders, escaped, and cut if it is long. */
static void name_store(char name[NAME_MOST + 8], const char *path)
{
    struct out escaped;
    const char *slash = strrchr(path, '/');
    out_open(&escaped, -1);
    path = slash != NULL && slash[1] != '\0' ? slash + 1 : path;
    out_escaped(&escaped, path, strnlen(path, 1024));
    size_t length = escaped.used;
    bool cut = length > NAME_MOST;
    if (cut)
        length = NAME_MOST;
    while (cut && (escaped.data[length] & 0xc0) == 0x80)
        length--;
    memcpy(name, escaped.data, length);
    strcpy(name + length, cut ? "..." : "");
}

/* ---- Charts ---- */

/* The inks of a cell, from the top down, and which share of it each has. */
struct stripe {
    enum ink ink;
    double share;
};
typedef unsigned stripes_function(const struct chart *chart, const struct chart_cell *cell,
                                  struct stripe stripes[USES]);

static enum ink use_ink(enum use use)
{
    return use == USE_FREE ? INK_FREE : (enum ink)(INK_USES + use);
}

static unsigned use_stripes(const struct chart *chart, const struct chart_cell *cell,
                            struct stripe stripes[USES])
{
    (void)chart;
    uint64_t all = 0;
    unsigned count = 0;
    for (int use = 0; use < USES; use++)
        all += cell->blocks[use];
    for (int use = 0; use < USES; use++) {
        if (cell->blocks[use] > 0)
            stripes[count++] =
                (struct stripe){use_ink((enum use)use), (double)cell->blocks[use] / (double)all};
    }
    return count;
}

static unsigned fill_stripes(const struct chart *chart, const struct chart_cell *cell,
                             struct stripe stripes[USES])
{
    (void)chart;
    stripes[0] = (struct stripe){INK_FREE, 1};
    if (cell->counted == 0)
        return 1;
    int level = (int)(cell->filled / (double)cell->counted * LEVELS - 1e-9);
    stripes[0].ink = (enum ink)(INK_SCALE + (level < LEVELS ? level : LEVELS - 1));
    return 1;
}

/* Epochs in as many equal parts as there are levels, or fewer if there are not so many epochs. */
static unsigned age_levels(const struct chart *chart)
{
    uint64_t span = chart->newest - chart->oldest + 1;
    return chart->oldest == 0 ? 0 : span < LEVELS ? (unsigned)span : LEVELS;
}

static uint64_t age_from(const struct chart *chart, unsigned level)
{
    uint64_t span = chart->newest - chart->oldest + 1, levels = age_levels(chart);
    return chart->oldest + span / levels * level + span % levels * level / levels;
}

static enum ink age_ink(const struct chart *chart, unsigned level)
{
    unsigned levels = age_levels(chart);
    return (enum ink)(INK_SCALE + (levels == 1 ? LEVELS - 1 : level * (LEVELS - 1) / (levels - 1)));
}

static unsigned age_stripes(const struct chart *chart, const struct chart_cell *cell,
                            struct stripe stripes[USES])
{
    stripes[0] = (struct stripe){INK_FREE, 1};
    if (cell->epoch == 0)
        return 1;
    unsigned level = age_levels(chart) - 1;
    while (level > 0 && age_from(chart, level) > cell->epoch)
        level--;
    stripes[0].ink = age_ink(chart, level);
    return 1;
}

/* Those parts of all cells that are of one ink. */
static void draw_ink(struct picture *picture, const struct map *map, double top, enum ink ink,
                     stripes_function *function)
{
    double gap = map->side > 15 ? 2 : 1, side = map->side - gap;
    picture->kind->begin(picture, ink);
    for (size_t i = 0; i < map->chart.cells; i++) {
        struct stripe stripes[USES];
        unsigned count = function(&map->chart, &map->chart.cell[i], stripes);
        double x = MARGIN + AXIS + (double)(i % map->columns) * map->side;
        double y = top + (double)(i / map->columns) * map->side;
        for (unsigned k = 0; k < count; k++) {
            if (stripes[k].ink == ink)
                picture->kind->rectangle(picture, x, y, side, side * stripes[k].share);
            y += side * stripes[k].share;
        }
    }
    picture->kind->end(picture);
}

static void draw_axis(struct picture *picture, const struct map *map, double top)
{
    uint64_t row_bytes = (map->columns * map->chart.blocks_per_cell) << map->image->block_log2;
    unsigned step = map->side >= 20 ? 1 : 4;
    for (unsigned row = 0; row < map->rows; row += step) {
        char text[24];
        picture->kind->text(picture, MARGIN + AXIS - 8, top + row * map->side + map->side / 2 + 4,
                            ANCHOR_END, INK_FAINT, 11, false, size_text(text, row * row_bytes));
    }
}

/* Title and cells; returns where the legend begins. */
static double draw_chart(struct picture *picture, const struct map *map, double top,
                         const char *title, const char *meaning, stripes_function *function)
{
    const struct picture_kind *kind = picture->kind;
    kind->text(picture, MARGIN, top + 14, ANCHOR_START, INK_TEXT, 15, true, title);
    kind->text(picture, MARGIN + AXIS, top + 14, ANCHOR_START, INK_FAINT, 12, false, meaning);
    top += 26;
    for (int ink = INK_FREE; ink < INKS; ink++)
        draw_ink(picture, map, top, (enum ink)ink, function);
    draw_axis(picture, map, top);
    return top + map->rows * map->side + 8;
}

static void draw_label(struct picture *picture, double top, unsigned place, enum ink ink,
                       const char *label)
{
    double x = MARGIN + AXIS + place % LEGEND_COLUMNS * (CHART_WIDTH / LEGEND_COLUMNS);
    double y = top + place / LEGEND_COLUMNS * LEGEND_LINE;
    picture->kind->begin(picture, ink);
    picture->kind->rectangle(picture, x, y, 12, 12);
    picture->kind->end(picture);
    picture->kind->text(picture, x + 18, y + 10.5, ANCHOR_START, INK_TEXT, 12, false, label);
}

/* Of each chart the legend has two lines. */
static double after_legend(double top)
{
    return top + 2 * LEGEND_LINE + 18;
}

static double draw_uses(struct picture *picture, const struct map *map, double top)
{
    static const char *const names[USES] = {"header and block maps",
                                            "slots of visits",
                                            "index",
                                            "large runs",
                                            "in a shard's hand",
                                            "free"};
    top = draw_chart(picture, map, top, "Use", "what blocks are used for", use_stripes);
    for (int use = 0; use < USES; use++) {
        char label[80];
        snprintf(label, sizeof label, "%s: %" PRIu64, names[use], map->chart.total[use]);
        draw_label(picture, top, (unsigned)use, use_ink((enum use)use), label);
    }
    return after_legend(top);
}

static double draw_fill(struct picture *picture, const struct map *map, double top)
{
    top = draw_chart(picture, map, top, "Fill",
                     "how much of slot blocks and index is in use, on average", fill_stripes);
    for (unsigned level = 0; level < LEVELS; level++) {
        char label[40];
        snprintf(label, sizeof label, "up to %u %%", (level + 1) * 100 / LEVELS);
        draw_label(picture, top, level, (enum ink)(INK_SCALE + level), label);
    }
    draw_label(picture, top, LEVELS, INK_FREE, "no such blocks");
    return after_legend(top);
}

static void draw_ages(struct picture *picture, const struct map *map, double top)
{
    const struct chart *chart = &map->chart;
    unsigned levels = age_levels(chart);
    top =
        draw_chart(picture, map, top, "Age",
                   "when those users last changed who have visits or their entry there, on average",
                   age_stripes);
    for (unsigned level = 0; level < levels; level++) {
        char label[64];
        uint64_t from = age_from(chart, level), to = age_from(chart, level + 1) - 1;
        if (from == to)
            snprintf(label, sizeof label, "epoch %" PRIu64, from);
        else
            snprintf(label, sizeof label, "epochs %" PRIu64 " to %" PRIu64, from, to);
        draw_label(picture, top, level, age_ink(chart, level), label);
    }
    draw_label(picture, top, levels, INK_FREE, "no such users");
}

static void draw(struct picture *picture, const void *data)
{
    const struct map *map = data;
    char text[200], size[24], block[24];
    picture->kind->text(picture, MARGIN, MARGIN + 16, ANCHOR_START, INK_TEXT, 20, true, map->name);
    int used = snprintf(text, sizeof text,
                        "%s: %" PRIu64 " blocks of %s, in the order of the file. A cell is ",
                        size_text(size, map->image->size), map->chart.blocks,
                        size_text(block, UINT64_C(1) << map->image->block_log2));
    if (map->chart.blocks_per_cell == 1)
        snprintf(text + used, sizeof text - (size_t)used, "one block.");
    else
        snprintf(text + used, sizeof text - (size_t)used, "%" PRIu64 " blocks.",
                 map->chart.blocks_per_cell);
    picture->kind->text(picture, MARGIN, MARGIN + 38, ANCHOR_START, INK_FAINT, 13, false, text);
    double top = draw_uses(picture, map, MARGIN + 62);
    top = draw_fill(picture, map, top);
    draw_ages(picture, map, top);
}

static void lay_out(struct map *map)
{
    size_t cells = map->chart.cells;
    map->columns = cells <= 64 ? 16 : cells <= 512 ? 32 : 64;
    map->rows = (unsigned)((cells + map->columns - 1) / map->columns);
    map->side = (double)CHART_WIDTH / map->columns;
}

/* ---- The command ---- */

static int write_picture(struct out *out, const struct map *map, const struct args *args)
{
    struct picture picture = {
        .out = out,
        .theme = args->theme,
        .width = 2 * MARGIN + AXIS + CHART_WIDTH,
        .height = MARGIN + 62 + 3 * (26 + map->rows * map->side + 8 + 2 * LEGEND_LINE + 18) - 18 +
                  MARGIN - 8,
    };
    bool done = args->format == FORMAT_SVG    ? picture_svg(&picture, draw, map)
                : args->format == FORMAT_HTML ? picture_html(&picture, map->name, draw, map)
                                              : picture_png(&picture, draw, map);
    return done ? EXIT_OK : EXIT_OTHER;
}

/* Standard output, or a file that is made or overwritten: but not the store. */
static int open_output(const struct args *args, const struct image *image, int *ret_fd)
{
    struct stat output, store;
    *ret_fd = STDOUT_FILENO;
    if (args->format == FORMAT_PNG && !picture_png_is_there())
        return EXIT_OTHER;
    if (args->output == NULL) {
        if (args->format != FORMAT_PNG || !isatty(STDOUT_FILENO))
            return EXIT_OK;
        say("a terminal does not show png: use -o FILE");
        return EXIT_USAGE;
    }
    int fd = open(args->output, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || fstat(fd, &output) != 0 || fstat(image->fd, &store) != 0) {
        say("%s: cannot open: %s", args->output, strerror(errno));
        return EXIT_CANNOT_OPEN;
    }
    if (output.st_dev == store.st_dev && output.st_ino == store.st_ino) {
        say("%s: is the store", args->output);
        close(fd);
        return EXIT_USAGE;
    }
    if (S_ISREG(output.st_mode) && ftruncate(fd, 0) != 0) {
        say("%s: cannot write: %s", args->output, strerror(errno));
        close(fd);
        return EXIT_IO;
    }
    *ret_fd = fd;
    return EXIT_OK;
}

static int make_map(const struct args *args, struct image *image, struct map *map)
{
    int fd;
    if (image->super_from == IMAGE_SUPER_NONE) {
        say("%s: not a store, or its superblock is damaged", args->store);
        return EXIT_NOT_A_STORE;
    }
    map->image = image;
    name_store(map->name, args->store);
    int code = chart_take(image, &map->chart);
    if (code == EXIT_OK)
        code = open_output(args, image, &fd);
    if (code != EXIT_OK)
        return code;
    lay_out(map);
    struct out out;
    out_open(&out, fd);
    code = write_picture(&out, map, args);
    return out_finish_as(&out, args->output != NULL ? args->output : "standard output", code);
}

int command_map(const struct args *args)
{
    struct image image;
    struct map *map = calloc(1, sizeof *map);
    if (map == NULL) {
        say("out of memory");
        return EXIT_OTHER;
    }
    int code = image_open(args->store, &image);
    if (code == EXIT_OK) {
        code = make_map(args, &image, map);
        image_close(&image);
    }
    free(map);
    return code;
}
