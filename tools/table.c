/* SPDX-License-Identifier: MIT */
#include "table.h"
#include "colour.h"

#include <libsmartcols.h>

#include <inttypes.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct table {
    struct libscols_table *rows;
    struct libscols_line *last;
    size_t columns;
    bool failed; /* memory was short */
};

static bool set_up(struct table *table, const struct column *columns, bool colours)
{
    /* As wide as it needs to be: what the terminal does with a long line is its business. */
    if (scols_table_set_termforce(table->rows, SCOLS_TERMFORCE_NEVER) != 0 ||
        scols_table_enable_colors(table->rows, colours) != 0)
        return false;
    for (size_t i = 0; i < table->columns; i++) {
        int flags = columns[i].kind == COLUMN_RIGHT ? SCOLS_FL_RIGHT : 0;
        struct libscols_column *column =
            scols_table_new_column(table->rows, columns[i].name, 0, flags);
        if (column == NULL || scols_cell_set_color(scols_column_get_header(column), "bold") != 0)
            return false;
    }
    return true;
}

struct table *table_new(const struct column *columns, size_t count)
{
    struct table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    table->columns = count;
    table->rows = scols_new_table();
    table->failed = table->rows == NULL || !set_up(table, columns, colour_wanted(1));
    return table;
}

void table_free(struct table *table)
{
    if (table == NULL)
        return;
    scols_unref_table(table->rows);
    free(table);
}

void table_row(struct table *table, const char *const *cells)
{
    if (table == NULL || table->failed)
        return;
    table->last = scols_table_new_line(table->rows, NULL);
    table->failed = table->last == NULL;
    for (size_t i = 0; i < table->columns && !table->failed; i++)
        table->failed = scols_line_set_data(table->last, i, cells[i]) != 0;
}

void table_emphasize(struct table *table)
{
    if (table != NULL && !table->failed)
        table->failed = scols_line_set_color(table->last, "green") != 0;
}

/* Without the spaces at the ends of lines. */
static void out_trimmed(struct out *out, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        size_t trimmed = length;
        while (trimmed > 0 && text[trimmed - 1] == ' ')
            trimmed--;
        out_bytes(out, text, trimmed);
        out_char(out, '\n');
        text += length + (text[length] == '\n');
    }
}

bool table_out(struct out *out, struct table *table)
{
    char *text = NULL;
    bool done =
        table != NULL && !table->failed && scols_print_table_to_string(table->rows, &text) == 0;
    if (done && text != NULL)
        out_trimmed(out, text);
    free(text);
    table_free(table);
    if (!done)
        say("out of memory");
    return done;
}

/* ---- Cells ---- */

const char *cell_number(struct cell *cell, uint64_t number)
{
    snprintf(cell->text, sizeof cell->text, "%" PRIu64, number);
    return cell->text;
}

const char *cell_share(struct cell *cell, uint64_t part, uint64_t whole)
{
    double share = whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
    snprintf(cell->text, sizeof cell->text, "%.1f %%", share);
    return cell->text;
}

const char *cell_bar(char bar[BAR_BYTES], uint64_t value, uint64_t most)
{
    static const char *const eighths[] = {"",       "\u258f", "\u258e", "\u258d",
                                          "\u258c", "\u258b", "\u258a", "\u2589"};
    bool blocks = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    double length = most == 0 ? 0 : (double)value / (double)most * BAR_CELLS;
    unsigned length8 = (unsigned)(length * 8 + 0.5);
    if (value > 0 && length8 == 0)
        length8 = 1;
    char *at = bar;
    for (unsigned i = 0; i < length8 / 8; i++)
        at = stpcpy(at, blocks ? "\u2588" : "#");
    if (length8 % 8 != 0)
        at = stpcpy(at, blocks ? eighths[length8 % 8] : length8 % 8 >= 4 ? "#" : ".");
    *at = '\0';
    return bar;
}
