/* SPDX-License-Identifier: MIT */
/*
 * What the store must hold: of each user the visits as of every epoch that may still come back.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORACLE_USERS 512u
#define ORACLE_VISITS 48u /* of a user: the largest limit */
#define ORACLE_NEWEST UINT64_MAX

struct oracle_visit {
    uint32_t visit_id;
    uint32_t url_length;
    uint32_t text_length;
    int64_t time_ns;
    uint64_t pattern; /* decides the strings' bytes */
};

/* A user's visits, newest first. */
struct oracle_state {
    uint32_t count;
    struct oracle_visit visit[ORACLE_VISITS];
};

/* An operation on one user, or on the store. */
struct operation {
    enum operation_kind {
        OP_NONE,
        OP_ADD,
        OP_REMOVE,
        OP_CLEAR,
        OP_CHECKPOINT,
        OP_RECLAIM,
        OP_BACKUP,
    } kind;
    uint32_t user; /* an index; oracle_user_id() */
    struct oracle_visit visit;
    bool at_time;
    uint32_t ids[4];
    uint32_t id_count;
};

/* Users 0 to count - 1, none of which has visits. */
void oracle_reset(const uint32_t *user_ids, uint32_t count);
uint32_t oracle_users(void);
uint32_t oracle_user_id(uint32_t user);

/* What the operation makes of a state; false if it changes nothing. */
bool oracle_apply(const struct operation *operation, uint32_t limit, struct oracle_state *state);

/* The user as of an epoch. */
const struct oracle_state *oracle_as_of(uint32_t user, uint64_t epoch);

/* The epoch of the user's newest state. */
uint64_t oracle_epoch(uint32_t user);

/* A new state. Older ones that no epoch from `durable` on can show are forgotten. */
void oracle_set(uint32_t user, uint64_t epoch, uint64_t durable, const struct oracle_state *state);

/* What came after an epoch never was. */
void oracle_forget_after(uint64_t epoch);

/* A smaller limit holds. */
void oracle_truncate(uint32_t limit);

/* All of it, to be put back later. */
struct oracle_image;
struct oracle_image *oracle_save(void);
void oracle_load(const struct oracle_image *image);
void oracle_image_free(struct oracle_image *image);

/* The bytes of a visit's strings, with their NULs; filled up with zeros to whole words. */
size_t oracle_pack(const struct oracle_visit *visit, uint64_t *words);
#define ORACLE_PACK_BYTES (400u * 1024)

#endif
