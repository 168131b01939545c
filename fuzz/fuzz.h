/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share.
 *
 *   driver.c or libFuzzer or AFL++  ->  target: image.c, patch.c, import.c
 *                                         -> exercise.c: every call, and what must hold
 *                                         -> memory.c: files in memory, in the place of file.c
 *                                         -> bounds.c: how much work and memory a call may take
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "recent_visits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the target, as libFuzzer knows it ---- */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed);

/* libFuzzer's; also the driver's. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* The inputs to begin with: number `i`, to be freed; NULL: there are no more. */
uint8_t *fuzz_seed(unsigned i, size_t *ret_size);

/* ---- failing ---- */

/* Something that must hold does not: says what, and aborts. */
void fuzz_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* ---- chance that is the same each time ---- */

struct fuzz_random {
    uint64_t state;
};
uint64_t fuzz_next(struct fuzz_random *random);
uint64_t fuzz_below(struct fuzz_random *random, uint64_t n);
bool fuzz_once_in(struct fuzz_random *random, uint64_t n);

/* ---- files in memory (memory.c) ---- */

enum fuzz_file { FUZZ_STORE, FUZZ_COPY, FUZZ_FILES };
extern const char *const fuzz_path[FUZZ_FILES];

/* Puts these bytes under the name. */
void fuzz_file_set(enum fuzz_file file, const void *bytes, size_t size);
void fuzz_file_remove(enum fuzz_file file);
bool fuzz_file_exists(enum fuzz_file file);
size_t fuzz_file_size(enum fuzz_file file);

/* The bytes as they are: of memory.c the file itself. */
const uint8_t *fuzz_file_bytes(enum fuzz_file file);

/* How long a file may become. */
void fuzz_file_limit(uint64_t bytes);

/* The process that had files open is gone, and with it its locks. */
void fuzz_file_drop_locks(void);

/* A file that was last written here, or elsewhere: its identity in the live state (file_real.c
 * needs the real one). */
void fuzz_file_adopt(uint8_t *image, size_t size);
extern const uint8_t fuzz_boot_id[16];

/* ---- bounds (bounds.c) ---- */

/* From here on the calls of one step may take so much work, in basic blocks, and no single piece of
 * memory may be larger than this. */
void fuzz_bound(uint64_t blocks, size_t bytes);
uint64_t fuzz_work(void);

/* ---- rvdump's memory (buffers.c) ---- */

/* None of its large buffers is in use. */
void fuzz_tool_check(void);

/* ---- stores (base.c) ---- */

#define FUZZ_BASES 10u

/* A store in a certain state, made by the library: closed, killed, cut off. */
const uint8_t *fuzz_base(unsigned i, size_t *ret_size);

/* ---- changing an image with knowledge of its structure (mutate.c) ---- */

void fuzz_mutate(uint8_t *image, size_t *size, size_t most, struct fuzz_random *random);

/* The last 8 bytes of the superblock, which nobody reads and which are zero in every store: what
 * is done with the file. */
#define FUZZ_SCRIPT 504u
void fuzz_mutate_with_script(uint8_t *image, size_t *size, size_t most, struct fuzz_random *random);

/* Makes the checksums of superblock and records right again, and with `slots` those of visits. */
void fuzz_resum(uint8_t *image, size_t size, bool slots);

/* ---- calling everything (exercise.c) ---- */

/* Opens the image in every way, calls all that there is, checks what must hold. */
void fuzz_exercise(const uint8_t *image, size_t size, uint64_t script);

/* ---- digests of what can be read (exercise.c) ---- */

/* The visits of one user; 0 if they cannot be read. */
uint64_t fuzz_user_digest(VisitManager *manager, VisitReader *reader, uint32_t user_id);

#define FUZZ_USERS 20u /* that the base stores have: 0 to 19 */

#endif
