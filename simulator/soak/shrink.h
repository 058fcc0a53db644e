/* A failing seed made small: fewer kinds of faults, agents, brokers, jobs and less time, while the same invariant still
 * breaks. */
#ifndef DALANG_SOAK_SHRINK_H
#define DALANG_SOAK_SHRINK_H

#include "simulator/soak/soak.h"

enum { SHRINK_RUNS = 200 };

/* Runs opts, which must fail, and smaller ones, at most `runs` of them; *opts is the smallest that still fails the same
 * way. Returns how many runs it took; 0 when opts does not fail. opts->started and ended are called for each run. */
size_t shrink(struct soak_opts *opts, size_t runs);
/* What repeats it: "dalang simulate --seed 7 --agents 3 …"; workload: its file's name, or NULL. mem_free() it. */
char *shrink_command(const struct soak_opts *opts, const char *workload);

#endif
