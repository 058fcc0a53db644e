/* A steady stream of small task jobs at half of what a stack takes: how long is a node's own run when nothing queues?
 * Open loop: a job is sent when it is due, whether or not earlier ones have been answered. */
#ifndef DALANG_BENCH_STEADY_H
#define DALANG_BENCH_STEADY_H

#include "simulator/bench/api.h"

enum { STEADY_NODES = 20 }; /* of each job, or all there are */

struct steady_opts {
    struct bench_api *api;
    const json_t *names; /* of nodes, at least one; taken in turn */
    double per_second;   /* nodes */
    double seconds;
};
struct steady {
    size_t nodes;                        /* that ran */
    double per_second;                   /* at which they were sent */
    double run_p50_ms, run_p99_ms;       /* a node's own run, as the API tells it */
    double answer_p50_ms, answer_p99_ms; /* from the moment a job was due to the answer that names it */
};
/* Every node must finish. Error kind "bench". */
bool steady_measure(const struct steady_opts *opts, struct steady *out, struct error *err);

#endif
