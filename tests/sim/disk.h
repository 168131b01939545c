/* SPDX-License-Identifier: MIT */
/*
 * A disk in memory, in the place of lib/file.c.
 *
 * A file is what the page cache has; beside it lies a log of all that was stored since the last
 * completed sync began. After a power cut every aligned 8-byte word of the file has, each on its
 * own, one of the values that it had since then, and so has the file's length (spec: I4). After a
 * kill the file is as it was.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "file.h"
#include "format.h"

#include <stdbool.h>

#define SIM_FILES 2
extern const char *const sim_path[SIM_FILES];
#define SIM_STORE_FILE 0
#define SIM_COPY_FILE 1

/* Called when the library makes a file that has no name yet. */
extern void (*sim_disk_created)(unsigned file);

/* An empty disk. The seed decides what the library gets for random bytes. */
void sim_disk_reset(uint64_t seed);

/* How long a file may become: beyond, the disk is full. */
void sim_disk_limit(uint64_t bytes);

/* Puts an empty file under the name. */
void sim_disk_touch(unsigned file);
void sim_disk_remove(unsigned file);
bool sim_disk_exists(unsigned file);

/* All processes ended: files without a name are gone, locks are free. */
void sim_disk_kill(void);

/* The present process ended, others go on: its locks on files are free, its mutexes have lost their
 * owner. */
void sim_disk_lose_process(void);

/* Where to write what the library sees at an address in a file's mapping; NULL: it is in none. */
void *sim_disk_writable(const void *address);

/* The power was cut: the process ended, and the words are what chance makes of them. */
void sim_disk_cut(void);

/*
 * The store's sync with that number, from 1, fails; 0: none does. As with a real one some pages may
 * have been written all the same, some are written by the next sync, and some are lost: they are
 * clean in memory and old on the disk, until somebody stores to them again. Once all processes have
 * ended memory may forget what the disk does not have.
 */
void sim_disk_fail_sync(uint64_t number);

/* Has one failed since the processes began? */
bool sim_disk_sync_failed(void);

/* The library has returned its error to somebody. */
void sim_disk_failure_told(void);

/* Has one failed, and is that known to anybody: to a caller, or by the live state? A process that
 * is killed before may take the knowledge along; then this world loses nothing. */
bool sim_disk_failure_known(void);

/* The file system was mounted elsewhere, without anything being lost; `back`: perhaps where it was
 * before. Never where the live state says that its holder had it, unless `back`. */
void sim_disk_remount(bool back);

/* The record that counts, as the file's bytes have it. */
bool sim_disk_record(unsigned file, struct rv_disk_record *ret_record);

/* The newest epoch whose record a completed sync has made durable. */
uint64_t sim_disk_durable(unsigned file);

/* The live state, as the file's bytes have it. */
const struct rv_disk_live *sim_disk_live(unsigned file);

/* The file's bytes; NULL if there is no such file. */
const void *sim_disk_bytes(unsigned file, size_t *ret_size);

/* The disk as it is, to be put back later. */
struct sim_image;
struct sim_image *sim_disk_save(void);
void sim_disk_load(const struct sim_image *image);
void sim_image_free(struct sim_image *image);

/* The hash seed that a store on this disk gets. */
uint64_t sim_disk_hash_seed(void);

/* Words that were stored since the last sync, and so may be lost. */
size_t sim_disk_pending(unsigned file);

#endif
