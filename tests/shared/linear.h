/* SPDX-License-Identifier: MIT */
/*
 * Is a history linearizable: can each operation on a user be given one instant between its
 * beginning and its end, so that in the order of these instants every result is what one process
 * alone would have got?
 *
 * The check goes through beginnings and ends in the order of time, with all configurations that are
 * possible so far: the user's visits, and which of the operations under way have had their instant
 * (Wing and Gong, 1993; operations are given an instant only when an end asks for it: Lowe, 2017).
 */
#ifndef SHARED_LINEAR_H
#define SHARED_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINEAR_LIMIT 5u /* visits of a user */

struct linear_list {
    uint32_t count;
    uint32_t id[LINEAR_LIMIT]; /* newest first */
};

struct linear_op {
    enum linear_kind {
        LINEAR_ADD,
        LINEAR_REMOVE,
        LINEAR_CLEAR,
        LINEAR_READ,
    } kind;
    uint32_t id[2];           /* added: the first; removed: both */
    bool pending;             /* it never returned: it may have had its instant, or not */
    uint32_t removed;         /* what a removal said */
    struct linear_list found; /* what a reader got */
    uint64_t begin;
    uint64_t end; /* of one that never returned: when its process was no more */
};

/* What the operation makes of the visits; false if that is not what it said. */
bool linear_apply(const struct linear_op *op, struct linear_list *list);

/*
 * Checks the history of one user, in any order, that began with these visits. Sets *ret_op to the
 * first operation whose end no configuration allows. False if there is one.
 */
bool linear_check(const struct linear_list *start, const struct linear_op *ops, size_t count,
                  size_t *ret_op);

#endif
