/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <stdlib.h>
#include <string.h>

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static char *copy_string(const char *bytes, size_t length)
{
    char *copy = must(malloc(length + 1));
    if (length)
        memcpy(copy, bytes, length);
    copy[length] = 0;
    return copy;
}

/* ------------------------------------------------------------------------------------------------
 * Users: an open table
 * --------------------------------------------------------------------------------------------- */

static struct model_user *table_line(struct model_user *table, size_t lines, uint32_t user_id)
{
    size_t line = (user_id * 2654435761u) & (lines - 1);
    while (table[line].used && table[line].id != user_id)
        line = (line + 1) & (lines - 1);
    return &table[line];
}

static void table_grow(struct model *model)
{
    size_t lines = model->lines * 2;
    struct model_user *table = must(calloc(lines, sizeof *table));
    for (size_t i = 0; i < model->lines; i++) {
        if (model->table[i].used)
            *table_line(table, lines, model->table[i].id) = model->table[i];
    }
    free(model->table);
    model->table = table;
    model->lines = lines;
}

static struct model_user *table_insert(struct model *model, uint32_t user_id)
{
    if (model->known * 2 >= model->lines)
        table_grow(model);
    struct model_user *user = table_line(model->table, model->lines, user_id);
    if (!user->used) {
        *user = (struct model_user){.id = user_id, .used = true};
        model->known++;
    }
    return user;
}

void model_init(struct model *model, size_t limit)
{
    *model = (struct model){.limit = limit, .lines = 16};
    model->table = must(calloc(model->lines, sizeof *model->table));
}

struct model_user *model_find(const struct model *model, uint32_t user_id)
{
    struct model_user *user = table_line(model->table, model->lines, user_id);
    return user->used ? user : NULL;
}

/* ------------------------------------------------------------------------------------------------
 * Visits: an array, newest first
 * --------------------------------------------------------------------------------------------- */

static size_t visit_place(const struct model_user *user, uint32_t visit_id)
{
    size_t i = 0;
    while (i < user->count && user->visits[i].id != visit_id)
        i++;
    return i;
}

bool model_has(const struct model *model, uint32_t user_id, uint32_t visit_id)
{
    const struct model_user *user = model_find(model, user_id);
    return user && visit_place(user, visit_id) < user->count;
}

static void visit_drop(struct model *model, struct model_user *user, size_t place)
{
    struct model_visit *visit = &user->visits[place];
    model->bytes -= visit->url_length + visit->text_length;
    model->visits--;
    free(visit->url);
    free(visit->text);
    user->count--;
    memmove(visit, visit + 1, (user->count - place) * sizeof *visit);
    if (user->count == 0)
        model->users--;
}

static void visit_insert(struct model *model, struct model_user *user, size_t place,
                         const VisitInput *input, int64_t time_ns)
{
    if (user->count == user->capacity) {
        user->capacity = user->capacity ? user->capacity * 2 : 4;
        user->visits = must(realloc(user->visits, user->capacity * sizeof *user->visits));
    }
    struct model_visit *visit = &user->visits[place];
    memmove(visit + 1, visit, (user->count - place) * sizeof *visit);
    *visit = (struct model_visit){.id = input->visit_id,
                                  .time_ns = time_ns,
                                  .url = copy_string(input->url, input->url_length),
                                  .text = copy_string(input->text, input->text_length),
                                  .url_length = input->url_length,
                                  .text_length = input->text_length};
    model->bytes += input->url_length + input->text_length;
    model->visits++;
    model->users += user->count == 0;
    user->count++;
}

void model_add(struct model *model, const VisitInput *input, int64_t time_ns)
{
    struct model_user *user = table_insert(model, input->user_id);
    if (visit_place(user, input->visit_id) < user->count)
        return;
    size_t place = 0; /* above those of the same time */
    while (place < user->count && user->visits[place].time_ns > time_ns)
        place++;
    visit_insert(model, user, place, input, time_ns);
    if (user->count > model->limit) /* older than all of a full user: the visit itself goes */
        visit_drop(model, user, user->count - 1);
}

size_t model_remove(struct model *model, uint32_t user_id, const uint32_t *ids, size_t count)
{
    struct model_user *user = model_find(model, user_id);
    size_t removed = 0;
    for (size_t i = 0; user && i < count; i++) {
        size_t place = visit_place(user, ids[i]);
        if (place < user->count) {
            visit_drop(model, user, place);
            removed++;
        }
    }
    return removed;
}

static void user_truncate(struct model *model, struct model_user *user, size_t count)
{
    while (user->count > count)
        visit_drop(model, user, user->count - 1);
}

void model_clear(struct model *model, uint32_t user_id)
{
    struct model_user *user = model_find(model, user_id);
    if (user)
        user_truncate(model, user, 0);
}

void model_set_limit(struct model *model, size_t limit)
{
    model->limit = limit;
    for (size_t i = 0; i < model->lines; i++)
        user_truncate(model, &model->table[i], limit);
}

void model_free(struct model *model)
{
    for (size_t i = 0; i < model->lines; i++) {
        user_truncate(model, &model->table[i], 0);
        free(model->table[i].visits);
    }
    free(model->table);
    *model = (struct model){0};
}
