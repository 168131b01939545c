/* SPDX-License-Identifier: MIT */
/*
 * What the key-value stores have in common: a user's newest visits are one value, and an add reads,
 * changes and writes it. For ten visits of some 100 bytes that is less work in each of these stores
 * than a key for each visit.
 *
 *   +-------+---------------------+-------------------------+
 *   | count | headers             | url NUL text NUL ...    |    both newest first
 *   +-------+---------------------+-------------------------+
 *
 * So what remains of the old value when a visit goes is the beginning of both parts.
 */
#ifndef BENCH_KV_H
#define BENCH_KV_H

#include "../engine.h"

/** An add, with the time at which it was asked for. */
struct kv_add {
    struct bench_add add;
    int64_t time_ns;
};

struct kv_session;

/** What each store brings. */
struct kv_ops {
    /** Around the changes of a batch, or around a single change; may be NULL. */
    void (*begin)(struct kv_session *session);
    void (*commit)(struct kv_session *session);

    /** Adds one user's visits, in order: kv_apply() tells how. */
    void (*change)(struct kv_session *session, uint32_t user_id, const struct kv_add *adds,
                   size_t count);

    /** The user's value, valid until the next call; false if there is none. */
    bool (*get)(struct kv_session *session, uint32_t user_id, const void **ret_value,
                size_t *ret_size);
};

/** A session of such a store begins with this. */
struct kv_session {
    const struct kv_ops *ops;
    uint32_t max_visits, batch;
    Visit *result;
    char *value; /* the new value that kv_apply() made */
    size_t value_room;
    char *copy; /* what kv_copy() made */
    size_t copy_room;
    struct kv_add *adds; /* of the batch */
    uint64_t *order;
    size_t batched;
};

void kv_session_init(struct kv_session *session, const struct kv_ops *ops,
                     const struct bench_setup *setup);
void kv_session_release(struct kv_session *session);

/**
 * Adds visits to a value: makes session->value of ret_size bytes. False if nothing changes, since
 * all the visit ids are there.
 *
 * @param old  NULL if there is no value yet.
 */
bool kv_apply(struct kv_session *session, const void *old, const struct kv_add *adds, size_t count,
              size_t *ret_size);

/** The adds that would make a value, oldest first: kv_count() of them. */
void kv_unpack(const void *value, struct kv_add *ret_adds);
size_t kv_count(const void *value);

/** Makes session->value of adds as they are, ids that repeat too: not a value yet, but what
 * kv_unpack() gives back. */
size_t kv_pack(struct kv_session *session, const struct kv_add *adds, size_t count);

/** Pads session->value with zeros to a multiple of step, and returns its new size. */
size_t kv_pad(struct kv_session *session, size_t size, size_t step);

/** Keeps a copy of a value that the store takes back. */
const void *kv_copy(struct kv_session *session, const void *value, size_t size);

/** bench_engine.add, flush and read of a store with such sessions. */
void kv_engine_add(void *session, const struct bench_add *add);
void kv_engine_flush(void *session);
void kv_engine_read(void *session, uint32_t user_id, struct bench_visits *ret_visits);

/** The key of a user where keys are compared as bytes: neighbours stay neighbours. */
static inline uint32_t kv_key(uint32_t user_id)
{
    return __builtin_bswap32(user_id);
}

#endif
