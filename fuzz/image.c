/* SPDX-License-Identifier: MIT */
/*
 * Target: a file as a whole. The last 8 bytes of the superblock, which nobody reads, say what is
 * done with it.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#define SCRIPT 504u        /* byte offset; zero in every store */
#define LARGEST (1u << 20) /* image */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_file_limit(2u << 20);
    return 0;
}

static uint8_t *copy_of(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    if (!copy) {
        fuzz_fail("out of memory");
    }
    memcpy(copy, data, size);
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t script = 0;
    if (size > LARGEST) {
        return 0;
    }
    uint8_t *image = copy_of(size ? data : (const uint8_t *)"", size);
    if (size >= SCRIPT + sizeof script) {
        memcpy(&script, image + SCRIPT, sizeof script);
        memset(image + SCRIPT, 0, sizeof script);
    }
    fuzz_file_adopt(image, size);
    fuzz_exercise(image, size, script);
    free(image);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed)
{
    struct fuzz_random r = {seed};
    if (size < 4096 || fuzz_once_in(&r, 32)) {
        return LLVMFuzzerMutate(data, size, most);
    }
    uint64_t script;
    memcpy(&script, data + SCRIPT, sizeof script);
    fuzz_mutate(data, &size, most, &r);
    if (fuzz_once_in(&r, 2)) {
        script = fuzz_once_in(&r, 8) ? fuzz_next(&r) : fuzz_below(&r, 64);
    }
    if (size >= SCRIPT + sizeof script) {
        memcpy(data + SCRIPT, &script, sizeof script);
    }
    return size;
}

uint8_t *fuzz_seed(unsigned i, size_t *ret_size)
{
    if (i >= FUZZ_BASES) {
        return NULL;
    }
    const uint8_t *base = fuzz_base(i, ret_size);
    return copy_of(base, *ret_size);
}
