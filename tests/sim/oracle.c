/* SPDX-License-Identifier: MIT */
#include "oracle.h"

#include "world.h"

#include <stdlib.h>
#include <string.h>

#define VERSIONS 10u

struct user {
    uint32_t id;
    uint32_t count;
    uint64_t epoch[VERSIONS]; /* rising */
    struct oracle_state state[VERSIONS];
};

static struct user users[ORACLE_USERS];
static uint32_t user_count;
static const struct oracle_state nothing;

void oracle_reset(const uint32_t *user_ids, uint32_t count)
{
    user_count = count;
    for (uint32_t i = 0; i < count; i++) {
        users[i].id = user_ids[i];
        users[i].count = 0;
    }
}

uint32_t oracle_users(void)
{
    return user_count;
}

uint32_t oracle_user_id(uint32_t user)
{
    return users[user].id;
}

static bool apply_add(const struct operation *op, uint32_t limit, struct oracle_state *s)
{
    uint32_t position = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->visit[i].visit_id == op->visit.visit_id) {
            return false;
        }
    }
    while (op->at_time && position < s->count && s->visit[position].time_ns > op->visit.time_ns) {
        position++;
    }
    if (position == limit) {
        return false;
    }
    s->count += s->count < limit;
    memmove(&s->visit[position + 1], &s->visit[position],
            (s->count - 1 - position) * sizeof s->visit[0]);
    s->visit[position] = op->visit;
    return true;
}

static bool apply_remove(const struct operation *op, struct oracle_state *s)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        bool gone = false;
        for (uint32_t k = 0; k < op->id_count; k++) {
            gone = gone || op->ids[k] == s->visit[i].visit_id;
        }
        if (!gone) {
            s->visit[kept++] = s->visit[i];
        }
    }
    bool any = kept != s->count;
    s->count = kept;
    return any;
}

bool oracle_apply(const struct operation *op, uint32_t limit, struct oracle_state *state)
{
    bool any;
    switch (op->kind) {
    case OP_ADD:
        return apply_add(op, limit, state);
    case OP_REMOVE:
        return apply_remove(op, state);
    case OP_CLEAR:
        any = state->count != 0;
        state->count = 0;
        return any;
    default:
        return false;
    }
}

const struct oracle_state *oracle_as_of(uint32_t user, uint64_t epoch)
{
    const struct user *u = &users[user];
    for (uint32_t i = u->count; i-- > 0;) {
        if (u->epoch[i] <= epoch) {
            return &u->state[i];
        }
    }
    return &nothing;
}

uint64_t oracle_epoch(uint32_t user)
{
    return users[user].count ? users[user].epoch[users[user].count - 1] : 0;
}

static void copy_state(struct oracle_state *to, const struct oracle_state *from)
{
    to->count = from->count;
    memcpy(to->visit, from->visit, from->count * sizeof from->visit[0]);
}

static void drop_oldest(struct user *u)
{
    for (uint32_t i = 1; i < u->count; i++) {
        u->epoch[i - 1] = u->epoch[i];
        copy_state(&u->state[i - 1], &u->state[i]);
    }
    u->count--;
}

void oracle_set(uint32_t user, uint64_t epoch, uint64_t durable, const struct oracle_state *state)
{
    struct user *u = &users[user];
    if (oracle_epoch(user) > epoch) {
        sim_fail("user %u changed in epoch %llu, after a change in %llu", u->id,
                 (unsigned long long)epoch, (unsigned long long)oracle_epoch(user));
    }
    while (u->count > 1 && u->epoch[1] <= durable) {
        drop_oldest(u);
    }
    if (!u->count || u->epoch[u->count - 1] != epoch) {
        if (u->count == VERSIONS) {
            sim_fail("user %u has too many epochs", u->id);
        }
        u->count++;
    }
    u->epoch[u->count - 1] = epoch;
    copy_state(&u->state[u->count - 1], state);
}

void oracle_forget_after(uint64_t epoch)
{
    for (uint32_t i = 0; i < user_count; i++) {
        while (users[i].count && users[i].epoch[users[i].count - 1] > epoch) {
            users[i].count--;
        }
    }
}

void oracle_truncate(uint32_t limit)
{
    for (uint32_t i = 0; i < user_count; i++) {
        for (uint32_t k = 0; k < users[i].count; k++) {
            struct oracle_state *s = &users[i].state[k];
            s->count = s->count < limit ? s->count : limit;
        }
    }
}

struct oracle_image {
    uint32_t count;
    struct user user[];
};

static void copy_user(struct user *to, const struct user *from)
{
    to->id = from->id;
    to->count = from->count;
    for (uint32_t i = 0; i < from->count; i++) {
        to->epoch[i] = from->epoch[i];
        copy_state(&to->state[i], &from->state[i]);
    }
}

struct oracle_image *oracle_save(void)
{
    struct oracle_image *image = malloc(sizeof *image + user_count * sizeof users[0]);
    if (!image) {
        abort();
    }
    image->count = user_count;
    for (uint32_t i = 0; i < user_count; i++) {
        copy_user(&image->user[i], &users[i]);
    }
    return image;
}

void oracle_load(const struct oracle_image *image)
{
    user_count = image->count;
    for (uint32_t i = 0; i < user_count; i++) {
        copy_user(&users[i], &image->user[i]);
    }
}

void oracle_image_free(struct oracle_image *image)
{
    free(image);
}

size_t oracle_pack(const struct oracle_visit *visit, uint64_t *words)
{
    size_t bytes = (size_t)visit->url_length + visit->text_length + 2;
    size_t count = (bytes + 7) / 8;
    for (size_t i = 0; i < count; i++) {
        words[i] = sim_mix(visit->pattern + i) | UINT64_C(0x0101010101010101);
    }
    uint8_t *p = (uint8_t *)words;
    p[visit->url_length] = 0;
    memset(p + bytes - 1, 0, count * 8 - bytes + 1);
    return bytes;
}
