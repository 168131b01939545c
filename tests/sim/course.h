/* SPDX-License-Identifier: MIT */
/* A process that has the store open, and what must be true after it ended, however it did. */
#ifndef SIM_COURSE_H
#define SIM_COURSE_H

#include "open.h"
#include "oracle.h"

#define COURSE_WRITERS 3u

/* How a process ended, and what became of the machine. */
enum ending {
    END_CLOSED,
    END_KILLED,
    END_REMOUNTED, /* killed, and the file system was mounted anew */
    END_CUT,       /* the power was cut */
    END_FAILED,    /* however it ended: a sync has failed before */
    ENDINGS,
};
extern const char *const ending_name[ENDINGS];

/* Nothing is known, the disk is empty. The options are those of every open that follows. */
void course_reset(uint64_t seed, const struct rv_options *options);

/* The limit that holds; 0 before the store was born. */
uint32_t course_limit(void);

/* The open store; NULL if there is none. */
struct rv_store *course_store(void);

/* The following are called by a simulated thread, and fail the seed if something is wrong. */

/* Opens the store and checks everything: contents, state, rules. max_visits 0: as it is. false: a
 * sync has failed (sim_disk_fail_sync()), and the opening with it. */
bool course_open(uint32_t max_visits);

/* The same without a check. */
void course_open_only(uint32_t max_visits);

/* Does one operation; `writer` tells the threads apart. */
void course_do(unsigned writer, const struct operation *operation);

/* Is what a reader sees a state that the user may be in? */
void course_read(uint32_t user);

/* Contents and rules; nobody else may be at work. */
void course_check(void);

/* Closes it; all must be durable. */
void course_close(void);

/* Opens read-only what the process before left, and checks it. */
void course_look(void);

/* Checks the copy that a backup has made, if there is one, and removes it. */
void course_check_copy(void);

/* Are the opens that follow for sharers? */
void course_share(bool shared);

/* Sharers: work goes on with another process's store, which must be open. */
void course_switch(struct rv_store *st);

/* Sharers: a writer that is a process of its own, beside the one that has course_store(). */
bool course_writer_opens(unsigned writer); /* false: as course_open() */
void course_writer_closes(unsigned writer);
void course_writer_died(unsigned writer);

/* Sharers: another one was killed. Checks that all it did is there, or that what was in flight is
 * not, before any lock is taken; then works with what that settled. */
void course_check_beside(void);

/* The opposite side: after sim_run(). Takes the process's memory and works out what must be true
 * now. `how` is END_CLOSED only if course_close() returned. */
void course_ended(enum ending how);
bool course_was_closed(void);

/* The present process was killed, other sharers go on. */
void course_lost_process(void);

/* What the process was doing when it ended. */
const char *course_doing(void);

/* The state of things, for trying different endings of the same beginning. */
struct course_image;
struct course_image *course_save(void);
void course_load(const struct course_image *image);
void course_image_free(struct course_image *image);

#endif
