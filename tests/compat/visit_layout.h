/* SPDX-License-Identifier: MIT */
/* The layout of Visit, which is part of the binary interface. Included behind either header. */
#ifndef VISIT_LAYOUT_H
#define VISIT_LAYOUT_H

#include <assert.h>

#if UINTPTR_MAX == UINT64_MAX
static_assert(sizeof(Visit) == 40, "layout of Visit");
static_assert(offsetof(Visit, visit_id) == 0, "layout of Visit");
static_assert(offsetof(Visit, url) == 8, "layout of Visit");
static_assert(offsetof(Visit, text) == 16, "layout of Visit");
static_assert(offsetof(Visit, time) == 24, "layout of Visit");
#endif

#endif
