/* SPDX-License-Identifier: MIT */
/* Target: a file as a whole. What is done with it says the file (FUZZ_SCRIPT). */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

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
    if (size >= FUZZ_SCRIPT + sizeof script) {
        memcpy(&script, image + FUZZ_SCRIPT, sizeof script);
        memset(image + FUZZ_SCRIPT, 0, sizeof script);
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
    fuzz_mutate_with_script(data, &size, most, &r);
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
