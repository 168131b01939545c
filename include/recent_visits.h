/* SPDX-License-Identifier: MIT */
/**
 * @file recent_visits.h
 * librv: a memory-mapped store of the newest N visits of each user.
 *
 * A store is one file. For each user (a uint32_t) it keeps that user's newest N visits; an older
 * one makes room by itself. Nothing has to be compacted, collected or replayed.
 *
 * Things to know before the first call:
 *
 * - Durability. An added visit survives the death of the process at once. It survives a power cut
 *   after the next checkpoint: within VisitOptions.checkpoint_interval_ms, when VisitManagerSync()
 *   returns, and when VisitManagerFree() returns. After a power cut the store is exactly what it
 *   was at the last checkpoint.
 * - One process writes, or several do that all open the store with VISIT_SHARED. Beside writers any
 *   number may open it read-only.
 * - Threads. Every function may be called from any thread at any time, unless it says otherwise. A
 *   manager must not be freed while another thread is inside a call on it. No function may be
 *   called from a signal handler, and no thread be cancelled inside one.
 *   A manager that writes has up to two threads of its own: for checkpoints, and to lengthen the
 *   file ahead of need.
 * - fork(). A manager belongs to the process that opened it. In a child every call that can fail
 *   does, with VISIT_ERROR_FORKED; open the store again there.
 * - Should the system fail to write the file back, every later change and VisitManagerSync() fails
 *   with VISIT_ERROR_IO until the store is opened anew: then it is as of its last checkpoint.
 * - The file must not be copied while a writer has it open; for a copy there is
 *   VisitManagerBackup().
 * - The file must not be truncated. If another program does it all the same while the store is
 * open, a touch of what is gone ends the process with SIGBUS. No call touches what lies beyond the
 *   length that the file had at the last look: when it was opened, at each VisitManagerVerify(),
 *   and read-only also at VisitManagerStats() and VisitManagerBackup().
 * - Strings are bytes ended by NUL. No encoding is asked for and none is checked.
 */
#ifndef RECENT_VISITS_H
#define RECENT_VISITS_H

#include <sched.h> /* struct timespec, also where strict C99 leaves it out of <time.h> */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

/** The version of this header; VisitVersion() gives the library's. */
#define VISIT_VERSION_MAJOR 0
#define VISIT_VERSION_MINOR 1
#define VISIT_VERSION_PATCH 0
#define VISIT_VERSION_STRING "0.1.0"

/** Most bytes that url and text of one visit may have together, without their NULs. */
#define VISIT_STRINGS_MAX 1048576
/** Largest number of visits a user can be allowed. */
#define VISIT_LIMIT_MAX 65535

/** One visit, as it is read. */
typedef struct {
    uint32_t visit_id;    /* The ID of the visit */
    char *url;            /* NUL-terminated */
    char *text;           /* NUL-terminated */
    struct timespec time; /* Timestamp, UTC */
} Visit;

/** An open store. */
typedef struct VisitManager VisitManager;

/* ---------------------------------------------------------------------------------------------
 * The basic calls
 * ------------------------------------------------------------------------------------------ */

/**
 * Opens the store at path for writing, or creates it.
 *
 * Equal to VisitManagerOpen() with default options and this limit.
 *
 * @param path        the file; its folder must exist.
 * @param max_visits  1 to VISIT_LIMIT_MAX: how many visits each user keeps from now on. With a
 *                    smaller limit than before each user keeps the newest ones; a larger one lets
 *                    them grow.
 * @return the manager, to be freed with VisitManagerFree(); or NULL: VisitLastStatus() and
 *         VisitLastError() tell why. A file that is refused is left as it was; where opening fails
 *         later (disk, memory, a thread), it may have been repaired, and the limit may hold.
 */
VisitManager *VisitManagerCreate(const char *path, size_t max_visits);

/**
 * Closes a store. When it returns, all that was added is safe on disk.
 *
 * All results that came from the manager end here. Its readers and iterators must be freed before.
 * If the last checkpoint fails, VisitLastStatus() tells; the next open recovers what was durable.
 *
 * @param manager  NULL is allowed. In a forked child this frees memory only.
 */
void VisitManagerFree(VisitManager *manager);

/**
 * Adds a visit with the present time. The strings are copied.
 *
 * A visit id that the user already has: nothing changes, true. The user is full: the oldest visit
 * goes. Should the clock have been set back, the newest time that it gave in the user's part of the
 * store (shard), after a recovery in all of the store, is used. If the user's newest visit has a
 * later time, which a caller gave, that one is used.
 *
 * @param url, text  NUL-terminated, together at most VISIT_STRINGS_MAX bytes.
 * @return false if manager, url or text is NULL, or on an error, which VisitLastStatus() tells;
 *         the store is then unchanged.
 */
bool VisitManagerAddVisit(VisitManager *manager, uint32_t user_id, uint32_t visit_id,
                          const char *url, const char *text);

/**
 * A user's visits, newest first.
 *
 * The result belongs to the manager; the caller frees and changes nothing. It stays valid until
 * that user is changed through this manager, until the calling thread reads that user again after
 * a change, until that thread has read VisitOptions.read_cache_users other users, or until the
 * manager is freed, whichever comes first; it outlives the thread. So the results of a thread that
 * ends take memory until then: a program with many short-lived threads uses a VisitReader. One
 * thread must not change a user while another uses that user's result: VisitReaderGetPacked() has
 * no such rule.
 *
 * In exclusive mode the strings lie in the mapped file itself, which is read-only here: a program
 * that writes through them is stopped by the system. In the other modes they are copies: what other
 * processes do leaves a result as it is.
 *
 * @param[out] count  the number of visits; 0 if there are none, or on an error.
 * @return an array of count pointers; NULL if count is 0, or if manager or count is NULL.
 *         VisitLastStatus() tells an error from a user without visits.
 */
Visit **VisitManagerGetRecentVisits(VisitManager *manager, uint32_t user_id, size_t *count);

/**
 * Removes visits of a user.
 *
 * @return true if at least one of them was there; false if none was, for an unknown user,
 *         visit_count 0, a NULL pointer, or on an error, which VisitLastStatus() tells.
 */
bool VisitManagerDelete(VisitManager *manager, uint32_t user_id, uint32_t *visitIds,
                        size_t visit_count);

/** Removes all visits of a user; an unknown user is fine. VisitLastStatus() tells of an error. */
void VisitManagerClear(VisitManager *manager, uint32_t user_id);

/* ---------------------------------------------------------------------------------------------
 * Status
 * ------------------------------------------------------------------------------------------ */

/** What a call came to. Numbers are never reused. */
typedef enum VisitStatus {
    VISIT_OK = 0,
    VISIT_END = 1,             /**< an iterator is at its end */
    VISIT_ERROR_INVALID = -1,  /**< an argument is not allowed */
    VISIT_ERROR_IO = -2,       /**< the system reported an input/output error */
    VISIT_ERROR_NO_SPACE = -3, /**< the disk or a quota is full, or a file size limit is reached */
    VISIT_ERROR_BUSY = -4,     /**< another manager or process has the store, kept the call waiting
                                    for too long, or changed what was read again and again */
    VISIT_ERROR_CORRUPT = -5,  /**< the store is damaged */
    VISIT_ERROR_NOT_A_STORE = -6,   /**< the file is something else */
    VISIT_ERROR_NEWER_VERSION = -7, /**< the store needs a newer librv */
    VISIT_ERROR_TOO_LONG = -8,      /**< the strings exceed VISIT_STRINGS_MAX */
    VISIT_ERROR_READ_ONLY = -9,     /**< the manager is read-only */
    VISIT_ERROR_NO_MEMORY = -10,    /**< memory or address space is used up */
    VISIT_ERROR_FORKED = -11,       /**< the manager was opened before a fork: open again */
    VISIT_ERROR_NOT_FOUND = -12,    /**< there is no such file or folder */
    VISIT_ERROR_EXISTS = -13,       /**< the store is there, and must not be */
    VISIT_ERROR_ACCESS = -14,       /**< permission denied */
    VISIT_ERROR_NOT_CLEAN = -15,    /**< the store needs recovery, which the options refuse */
    VISIT_ERROR_CANCELLED = -16,    /**< a callback asked to stop */
    VISIT_ERROR_UNSUPPORTED = -17,  /**< the system or file system cannot do what is needed */
} VisitStatus;

/** A short English text for a status; never NULL, never freed. */
const char *VisitStatusText(VisitStatus status);

/**
 * The status of the calling thread's last call into the library that can fail, also after those
 * that return a pointer, a bool or nothing. VISIT_OK after a success, and after VISIT_END.
 */
VisitStatus VisitLastStatus(void);

/**
 * A message for VisitLastStatus(): cause and remedy, with the path where there is one, in one line
 * without control characters; "" after a success. A path's bytes are as they were given, and the
 * system's own words are in the program's locale.
 *
 * @return a string of the calling thread, valid until its next call into the library.
 */
const char *VisitLastError(void);

/** The version of the library that is loaded, like VISIT_VERSION_STRING. Static. */
const char *VisitVersion(void);

/* ---------------------------------------------------------------------------------------------
 * Opening with options
 * ------------------------------------------------------------------------------------------ */

/** Values of VisitOptions.mode. */
enum {
    VISIT_EXCLUSIVE = 0, /**< this manager alone writes; read-only managers may come beside it */
    VISIT_READ_ONLY = 1, /**< reads beside any writer; never writes a byte */
    VISIT_SHARED = 2,    /**< several processes write, all of them in this mode */
};

/** Values of VisitOptions.create. A read-only manager never creates. */
enum {
    VISIT_CREATE_IF_MISSING = 0, /**< also where there is nothing but what an interrupted creation
                                      left: zeros, and words of a new header in their places, up
                                      to the size of a new store */
    VISIT_MUST_EXIST = 1,        /**< VISIT_ERROR_NOT_FOUND if it does not */
    VISIT_MUST_NOT_EXIST = 2,    /**< VISIT_ERROR_EXISTS if it does */
};

/** Values of VisitOptions.recovery: what to do with a store that was not closed. */
enum {
    VISIT_RECOVER = 0,        /**< repair or recover it; read-only: read its last checkpoint */
    VISIT_RECOVER_REFUSE = 1, /**< VISIT_ERROR_NOT_CLEAN, nothing is touched */
};

/**
 * Values of VisitOptions.erase: what becomes of the bytes of visits that are removed. Of sharers
 * any may be the one that frees their place: they are erased for sure if all ask for it.
 */
enum {
    VISIT_ERASE = 0, /**< overwritten with zeros in the file, copies of them too, after the next
                          checkpoint; when VisitManagerSync() or VisitManagerFree() returns. The
                          zeros are durable with the checkpoint after that, which comes with the
                          next change, or when VisitManagerFree() of the last writer returns; a
                          power cut before it leaves what is on the disk to the next opening, which
                          erases it too */
    VISIT_ERASE_LATER = 1, /**< left until their place is used again */
};

/**
 * Tells how long work goes on; called from the thread that does the work. It must not call
 * functions on the same manager: they may wait for the work.
 *
 * @param what         a short English phrase, such as "recovering"; valid during the call.
 * @param done, total  in units of the work; total 0 means not known.
 * @return non-zero to stop the work, which then fails with VISIT_ERROR_CANCELLED.
 */
typedef int VisitProgress(void *data, const char *what, uint64_t done, uint64_t total);

/**
 * How to open a store. Zero everywhere but in size means the default:
 * `VisitOptions options = {.size = sizeof options};`
 */
typedef struct VisitOptions {
    size_t size;         /**< sizeof(VisitOptions); lets the struct grow */
    uint32_t mode;       /**< VISIT_EXCLUSIVE, VISIT_READ_ONLY, VISIT_SHARED */
    uint32_t create;     /**< VISIT_CREATE_IF_MISSING, ... */
    uint32_t max_visits; /**< 1 to VISIT_LIMIT_MAX; 0: as the store has it, 10 in a new one;
                              not for read-only. At most 32 MiB / slot_size - 2 */
    uint32_t slot_size;  /**< bytes, a power of two from 128 to 4,096; 0: 256. Only when
                              creating; a store keeps its own */
    uint32_t shards;     /**< a power of two from 1 to 256; 0: 16. Only when creating */
    uint32_t file_mode;  /**< permissions of a new file, bits of 0777, less the umask; 0: 0600 */
    int32_t checkpoint_interval_ms; /**< at most, from the end of one background checkpoint to the
                                         next, which comes sooner when it makes much of the file
                                         usable again; of sharers at most twice as long; 0: 1,000;
                                         negative: none */
    uint32_t read_cache_users;      /**< results kept per thread, see
                                         VisitManagerGetRecentVisits(), at most 1,048,576;
                                         0: 64 */
    uint32_t recovery;              /**< VISIT_RECOVER, VISIT_RECOVER_REFUSE */
    uint32_t backup_wait_ms;        /**< how long a checkpoint waits for another process's backup
                                         before it makes that backup fail; 0: 60,000 */
    uint32_t reserved;              /**< 0 */
    VisitProgress *progress;        /**< told, during the opening, of recovery, and of the sweep
                                         over all users before a larger max_visits; NULL: nobody */
    void *progress_data;            /**< handed to progress */
    uint32_t lock_wait_ms; /**< shared: how long a call waits for a lock of another process,
                                which may have been stopped, before it fails with
                                VISIT_ERROR_BUSY; it takes at most two; 0: 10,000 */
    uint32_t erase;        /**< VISIT_ERASE, VISIT_ERASE_LATER */
} VisitOptions;

/**
 * Opens a store.
 *
 * Shared mode. Every process opens the store with VISIT_SHARED; an exclusive opener gets
 * VISIT_ERROR_BUSY with their process ids, and the other way round. When a process dies in the
 * middle of a change, the next one that gets there repairs it; its acknowledged changes are there.
 * A process that is stopped makes others wait, at most VisitOptions.lock_wait_ms: then their calls
 * fail with VISIT_ERROR_BUSY and change nothing. Checkpoints wait for it too: until it goes on or
 * dies, what others change is not durable, and VisitManagerSync() says so. max_visits must be 0 or
 * what the store has by then. Background checkpoints are run by one of them, that with the
 * shortest interval; should it die, the next one comes within two intervals. Verification and
 * backups hold up other processes' changes and checkpoints as they do other threads'. All processes
 * must run on one machine, in one process id namespace (container), with the same C library.
 *
 * A store that was left open by a process that died is repaired: everything that was acknowledged
 * is there. After a power cut or a system crash it is recovered to its last checkpoint, in a time
 * that grows with the store. A read-only manager opens such a store as of its last checkpoint.
 *
 * @param options       NULL: the defaults.
 * @param[out] manager  set on VISIT_OK only; to be freed with VisitManagerFree().
 * @return VISIT_OK; VISIT_ERROR_INVALID for path or manager NULL or an option that is not allowed;
 *         or VISIT_ERROR_NOT_FOUND, _EXISTS, _ACCESS, _BUSY, _NOT_A_STORE, _NEWER_VERSION,
 *         _CORRUPT, _NOT_CLEAN, _NO_SPACE, _NO_MEMORY, _IO, _CANCELLED (by progress) or
 *         _UNSUPPORTED.
 */
VisitStatus VisitManagerOpen(const char *path, const VisitOptions *options, VisitManager **manager);

/* ---------------------------------------------------------------------------------------------
 * Adding and removing
 * ------------------------------------------------------------------------------------------ */

/** Values of VisitInput.flags. */
enum {
    VISIT_AT_TIME = 1, /**< time_ns is given */
};

/** A visit to add. The strings need no NUL at their end and must have none inside. */
typedef struct VisitInput {
    uint32_t user_id;
    uint32_t visit_id;
    const char *url; /**< may be NULL if url_length is 0 */
    size_t url_length;
    const char *text; /**< may be NULL if text_length is 0 */
    size_t text_length;
    int64_t time_ns;   /**< with VISIT_AT_TIME: nanoseconds since 1970-01-01 UTC, any value */
    uint32_t flags;    /**< 0: the present time; or VISIT_AT_TIME */
    uint32_t reserved; /**< 0 */
} VisitInput;

/**
 * Adds a visit.
 *
 * With VISIT_AT_TIME the visit goes to its place by time; among visits of the same time the one
 * that was added last is the newest. One that is older than all visits of a full user changes
 * nothing, which is a success. A visit id that the
 * user already has changes nothing, which is a success. On an error the store is unchanged.
 */
VisitStatus VisitManagerAdd(VisitManager *manager, const VisitInput *input);

/**
 * Adds visits in order, as VisitManagerAdd() does for each; faster than single calls.
 *
 * @param[out] added  how many of the inputs succeeded before an error; may be NULL. Those are
 *                    added, the rest is not.
 */
VisitStatus VisitManagerAddMany(VisitManager *manager, const VisitInput *inputs, size_t count,
                                size_t *added);

/**
 * Removes visits of a user, all at once.
 *
 * @param[out] removed  how many were there; may be NULL.
 */
VisitStatus VisitManagerRemove(VisitManager *manager, uint32_t user_id, const uint32_t *visit_ids,
                               size_t count, size_t *removed);

/** VisitManagerClear() with a status. */
VisitStatus VisitManagerClearUser(VisitManager *manager, uint32_t user_id);

/* ---------------------------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------------------------ */

/**
 * Reads with results of its own: one for each thread, goroutine or coroutine. One reader must not
 * be used by two threads at once; different readers are independent.
 */
typedef struct VisitReader VisitReader;

/**
 * Makes a reader.
 *
 * @param[out] reader  set on VISIT_OK only; to be freed with VisitReaderFree() before its manager.
 */
VisitStatus VisitReaderOpen(VisitManager *manager, VisitReader **reader);

/**
 * A user's newest visits, newest first, as an array of structures.
 *
 * @param limit        at most so many; 0: all.
 * @param[out] visits  valid until the next call on this reader, and no longer than the user stays
 *                     unchanged in exclusive mode, where the strings lie in the mapped file. NULL
 *                     if there are none.
 * @param[out] count   0 for an unknown user.
 */
VisitStatus VisitReaderGet(VisitReader *reader, uint32_t user_id, size_t limit,
                           const Visit **visits, size_t *count);

/** One visit in a packed result. Offsets count bytes from the start of the result. */
typedef struct VisitPacked {
    int64_t time_ns;     /**< nanoseconds since 1970-01-01 UTC */
    uint64_t url_offset; /**< the url, NUL-terminated; the text follows at
                              url_offset + url_length + 1, NUL-terminated */
    uint32_t visit_id;
    uint32_t url_length;
    uint32_t text_length;
    uint32_t reserved;
} VisitPacked;

/**
 * A user's newest visits, newest first, copied into one contiguous buffer: count VisitPacked, then
 * the strings. It is a snapshot: true at one instant of the call, whatever other threads do.
 *
 * @param limit         at most so many; 0: all.
 * @param[out] packed   the buffer, valid until the next call on this reader; NULL if there are
 *                      none.
 * @param[out] size     bytes of the buffer.
 * @param[out] count    0 for an unknown user.
 */
VisitStatus VisitReaderGetPacked(VisitReader *reader, uint32_t user_id, size_t limit,
                                 const VisitPacked **packed, size_t *size, size_t *count);

/** Frees a reader and its results. NULL is allowed. */
void VisitReaderFree(VisitReader *reader);

/**
 * Says that these users will be read or added to soon: what that needs is brought into the
 * processor's cache, for all of them at once (group prefetching; Chen et al., 2004). A single read
 * mostly waits for memory, twice, one wait after the other; those of different users can overlap.
 * For 8 to 32 users at a time. Changes nothing, cannot fail: a manager that is NULL or was opened
 * before a fork, or user_ids NULL, is passed over. From any thread.
 */
void VisitManagerPrefetch(VisitManager *manager, const uint32_t *user_ids, size_t count);

/** An iteration over the users. Not for two threads at once. */
typedef struct VisitUsers VisitUsers;

/**
 * Begins an iteration over all users that have visits.
 *
 * @param[out] users  set on VISIT_OK only; to be freed with VisitUsersFree() before the manager.
 */
VisitStatus VisitUsersOpen(VisitManager *manager, VisitUsers **users);

/**
 * The next user, in no particular order. A user that has visits all the while comes exactly once;
 * one that comes or goes meanwhile at most once.
 *
 * @param[out] count  the number of that user's visits; may be NULL.
 * @return VISIT_OK, VISIT_END, or an error.
 */
VisitStatus VisitUsersNext(VisitUsers *users, uint32_t *user_id, size_t *count);

/** Ends an iteration. NULL is allowed. */
void VisitUsersFree(VisitUsers *users);

/* ---------------------------------------------------------------------------------------------
 * Upkeep
 * ------------------------------------------------------------------------------------------ */

/**
 * Runs a checkpoint: all that was added or removed before the call survives a power cut once it
 * returns VISIT_OK. Returns at once if nothing changed. Calls of several threads share one
 * checkpoint.
 *
 * @return VISIT_ERROR_READ_ONLY through a read-only manager; VISIT_ERROR_BUSY if a sharer or a
 *         backup holds it up; VISIT_ERROR_IO if the system could not write: see the top;
 *         VISIT_ERROR_CORRUPT if damage kept it from erasing what was removed: the rest is durable.
 */
VisitStatus VisitManagerSync(VisitManager *manager);

/** Values of VisitStats.state: how the store was found when it was opened; read-only: or when a
    writer opened it last. */
enum {
    VISIT_FOUND_NEW = 0,     /**< it was created */
    VISIT_FOUND_CLEAN = 1,   /**< it had been closed */
    VISIT_FOUND_KILLED = 2,  /**< its writer had died; repaired */
    VISIT_FOUND_CRASHED = 3, /**< the system had crashed; recovered to the last checkpoint */
    VISIT_FOUND_IN_USE = 4,  /**< read-only: a writer has it open; shared: others have it open */
    VISIT_FOUND_UNCLEAN = 5, /**< read-only: its writer died or the system crashed; what is read is
                                  the last checkpoint */
};

/** Figures of a store. */
typedef struct VisitStats {
    size_t size;      /**< set to sizeof(VisitStats) before the call */
    uint8_t uuid[16]; /**< made at creation */
    uint32_t format_version;
    uint32_t state; /**< VISIT_FOUND_NEW, ... */
    uint32_t max_visits;
    uint32_t slot_size; /**< bytes */
    uint32_t shards;
    uint32_t holder_pid; /**< the writing process, of sharers one; 0 if there is none */
    uint64_t file_bytes;
    uint64_t users; /**< that have visits */
    uint64_t visits;
    uint64_t ring_slots;        /**< slots of all rings, used or not */
    uint64_t index_entries;     /**< entries in use, users without visits included */
    uint64_t index_capacity;    /**< entries there is room for without a split of a segment */
    uint64_t block_bytes;       /**< size of a block */
    uint64_t blocks;            /**< of the file */
    uint64_t blocks_free;       /**< this and the next three: 0 if state is VISIT_FOUND_UNCLEAN */
    uint64_t blocks_slots;      /**< in slot blocks */
    uint64_t blocks_large;      /**< in runs of whole blocks */
    uint64_t blocks_segments;   /**< in the index */
    uint64_t epoch;             /**< the current epoch */
    uint64_t durable_epoch;     /**< the epoch of the last checkpoint */
    int64_t checkpoint_time_ns; /**< when the last checkpoint was written, since 1970 UTC */
    int64_t created_time_ns;    /**< when the store was created, since 1970 UTC */
} VisitStats;

/**
 * Figures of the store. Counts users and visits by reading the whole index: its time grows with
 * the number of users. Under concurrent changes the counts are those of some moment per user.
 */
VisitStatus VisitManagerStats(VisitManager *manager, VisitStats *stats);

/** One thing that VisitManagerVerify() found. */
typedef struct VisitFinding {
    uint64_t offset;     /**< byte offset in the file */
    const char *rule;    /**< a short static name of the broken rule, such as "slot-checksum" */
    const char *message; /**< one line of English; valid during the call */
    uint32_t user_id;    /**< the user it concerns, if has_user */
    bool has_user;
} VisitFinding;

/**
 * Receives a finding. Returns non-zero to stop: the call fails with VISIT_ERROR_CANCELLED. It must
 * not call functions on the same manager: they may wait for the verification.
 */
typedef int VisitFindingFunction(void *data, const VisitFinding *finding);

/**
 * Checks every rule of the format and every checksum, and reports all that it finds.
 *
 * In exclusive mode writers wait meanwhile; in shared mode at most their lock_wait_ms, then they
 * get VISIT_ERROR_BUSY: there rather verify a backup, or through a read-only manager. Such a one
 * beside a writer checks what can be checked while it changes; on an unclean store it checks the
 * last checkpoint. Other calls on a read-only manager go on; but once a writer opens the store they
 * wait until the verification ends. The same holds for VisitManagerBackup().
 *
 * @param function  may be NULL.
 * @return VISIT_OK if all is well, VISIT_ERROR_CORRUPT if there was a finding; VISIT_ERROR_BUSY if
 *         a writer opened the store while a read-only manager verified it: try again.
 */
VisitStatus VisitManagerVerify(VisitManager *manager, VisitFindingFunction *function, void *data);

/**
 * Writes a copy of the store to path, which must not exist: all users as of one checkpoint, with
 * little free space. Others may write meanwhile; checkpoints wait until it ends, those of other
 * sharers no longer than their lock_wait_ms: then their VisitManagerSync() is busy. The copy
 * appears under its name when it is complete and durable, and has an identity (uuid) of its own.
 * Through a read-only manager it begins again, and so does progress, if a writer opens the store
 * meanwhile.
 *
 * @param progress  may be NULL.
 * @return VISIT_ERROR_BUSY if a writer in another process went on to a new checkpoint meanwhile
 *         (VisitOptions.backup_wait_ms): try again. VISIT_ERROR_EXISTS if there is a file at path;
 *         VISIT_ERROR_CORRUPT if a visit is damaged: nothing is left at path then.
 */
VisitStatus VisitManagerBackup(VisitManager *manager, const char *path, VisitProgress *progress,
                               void *progress_data);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
