/* Half load: how many nodes a second a stack takes in small jobs, then streams at half of that rate, each beside one of
 * bare processes that take as much of the processors (relay.h). The part of `dalang bench jobs` about latency. */
#ifndef DALANG_BENCH_HALF_LOAD_H
#define DALANG_BENCH_HALF_LOAD_H

#include "simulator/bench/report.h"
#include "simulator/bench/steady.h"

struct half_load {
    struct steady_opts stream; /* per_second: what the stack took in one large job */
    unsigned rounds;           /* the most of so many counts */
    unsigned streams;          /* the best of so many */
    double per_second;         /* of a stream; 0: half of what the stack takes in small jobs */
    bool no_floor;             /* without bare processes */
    void (*progress)(void *ctx, const char *what);
    void *progress_ctx;
};
/* Fills a column of the report. Error kind "bench". */
bool half_load_measure(const struct half_load *h, json_t *report, size_t column, struct error *err);

#endif
