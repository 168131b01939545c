/* SPDX-License-Identifier: MIT */
/*
 * What was measured: for a case, an engine and the name of a figure, a value of each repetition.
 *
 * A case is what distinguishes measurements of one program, as words "name=value name=value"; "" if
 * there is only one. The name of a figure ends with its unit.
 */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <stdbool.h>
#include <stdio.h>

#include "histogram.h"
#include "options.h"

struct bench_figures;

/** folder: where the files are. */
struct bench_figures *bench_figures_new(const char *benchmark, const char *folder,
                                        const struct bench_option *options);
void bench_figures_free(struct bench_figures *figures);

/** A value of the next repetition. */
void bench_figure(struct bench_figures *figures, const char *name_of_case, const char *engine,
                  const char *name, double value);

/** Percentiles of a histogram, as figures whose names begin with prefix. */
void bench_figure_latency(struct bench_figures *figures, const char *name_of_case,
                          const char *engine, const char *prefix,
                          const struct bench_histogram *histogram);

/** A fact about an engine, such as how it was configured, or why it is not there. */
void bench_figures_note(struct bench_figures *figures, const char *engine, const char *text);

/**
 * The ratio of one engine's figure to another's, formed within each repetition, so that a slow
 * spell of the machine hits both sides. Nothing if one of them is not there.
 */
void bench_figures_ratio(struct bench_figures *figures, const char *name_of_case, const char *name,
                         const char *above, const char *below);

/** Prints the figures for people; writes them as JSON if path is not NULL. */
void bench_figures_report(const struct bench_figures *figures, const char *path);

#endif
