/* SPDX-License-Identifier: MIT */
/* The machine that a benchmark runs on. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <jansson.h>

/** Processor, memory, kernel, and the file system of folder, as a JSON object. */
json_t *bench_machine_json(const char *folder);

#endif
