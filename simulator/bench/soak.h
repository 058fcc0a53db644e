/* dalang bench soak: thousands of clients that connect, talk, are rude and vanish for minutes; afterwards the broker's
 * memory and descriptors must be what they were. */
#ifndef DALANG_BENCH_SOAK_H
#define DALANG_BENCH_SOAK_H

#include "simulator/bench/report.h"
#include "world/world.h"

struct bench_soak {
    struct world *world;
    const char *dir;
    const char *program; /* dalang-broker */
    size_t clients;      /* at a time, about */
    uint64_t for_ms;
    uint64_t seed;
    void (*progress)(void *ctx, const char *what);
    void *progress_ctx;
};
/* Fills the report with one column. Error kind "bench". */
bool bench_soak_run(const struct bench_soak *b, json_t *report, struct error *err);

#endif
