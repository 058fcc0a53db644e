/* What the files of `dalang simulate` share. */
#ifndef DALANG_SIMULATE_H
#define DALANG_SIMULATE_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

/* One job of one task on every agent (simulate_job.c). */
struct simulate_job {
    const char *task;
    uint64_t agents, brokers;
    const char *modules; /* NULL: ours */
    bool v1, json;
};
/* A run for each seed; prints each. False after setting err; *good: every node of every run finished. */
bool simulate_job(const struct simulate_job *job, uint64_t first, uint64_t last, bool *good, struct error *err);

double wall_seconds(void);

#endif
