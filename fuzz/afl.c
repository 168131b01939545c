/* SPDX-License-Identifier: MIT */
/* The mutator of whole files for AFL++: AFL_CUSTOM_MUTATOR_LIBRARY. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#define MOST (1u << 20)

struct mutator {
    struct fuzz_random random;
    uint8_t image[MOST];
};

void *afl_custom_init(void *afl, unsigned int seed);
size_t afl_custom_fuzz(void *data, uint8_t *bytes, size_t size, uint8_t **ret_bytes, uint8_t *other,
                       size_t other_size, size_t most);
void afl_custom_deinit(void *data);

void *afl_custom_init(void *afl, unsigned int seed)
{
    (void)afl;
    struct mutator *mutator = calloc(1, sizeof *mutator);
    if (mutator) {
        mutator->random.state = seed;
    }
    return mutator;
}

size_t afl_custom_fuzz(void *data, uint8_t *bytes, size_t size, uint8_t **ret_bytes, uint8_t *other,
                       size_t other_size, size_t most)
{
    struct mutator *mutator = data;
    (void)other;
    (void)other_size;
    most = most < MOST ? most : MOST;
    size = size < most ? size : most;
    memcpy(mutator->image, bytes, size);
    if (size >= 4096) {
        fuzz_mutate_with_script(mutator->image, &size, most, &mutator->random);
    }
    *ret_bytes = mutator->image;
    return size;
}

void afl_custom_deinit(void *data)
{
    free(data);
}
