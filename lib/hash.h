/* SPDX-License-Identifier: MIT */
/* xxHash, inlined: an id takes 4 bytes, and a call would cost as much as the hash. */
#ifndef RV_HASH_H
#define RV_HASH_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#endif
