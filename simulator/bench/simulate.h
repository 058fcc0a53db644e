/* dalang bench simulate: what simulated time costs. */
#ifndef DALANG_BENCH_SIMULATE_H
#define DALANG_BENCH_SIMULATE_H

#include "simulator/bench/report.h"

#include <stdint.h>

struct bench_simulate {
    const char *dir;      /* for the output of the runs */
    const char *self;     /* program: dalang */
    uint64_t agents;      /* of one task job */
    uint64_t busy_agents; /* of a mixed workload under heavy faults … */
    uint64_t for_ms;      /* … that goes on for so long, in virtual time */
    uint64_t seed;
    void (*progress)(void *ctx, const char *what);
    void *progress_ctx;
};
/* Runs `dalang simulate` twice, each in a process of its own. Error kind "bench". */
bool bench_simulate_run(const struct bench_simulate *b, json_t *report, struct error *err);

#endif
