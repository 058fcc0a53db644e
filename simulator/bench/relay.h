/* What the machine itself makes of a steady stream of jobs: the floor of its latencies. Four bare processes hand small
 * jobs on as a stack does — client, orchestrator, broker, two groups of agents, and back — at the same even intervals
 * and taking the same share of the processors, but all they do is count: no TLS, no JSON, no database, no disk. How far
 * the p99 stands above the median here is what the processors' number, their load, the kernel's scheduler and, in a
 * virtual machine, its host make of such a load; what a stack has beyond that is its own. */
#ifndef DALANG_BENCH_RELAY_H
#define DALANG_BENCH_RELAY_H

#include "base/error.h"

#include <stddef.h>

struct relay_opts {
    size_t per_job;    /* nodes */
    double per_second; /* nodes */
    double seconds;
    double busy; /* the share of all processors' time it is to take, below 1 */
};
struct relay {
    double steps; /* of counting per node; 0: not known yet. Each stream corrects it for the next */
};
struct relay_found {
    size_t nodes;
    double p50_ms, p99_ms; /* of a node: from the moment its job was due until the client has it back */
    double busy, stolen;   /* as steady.h has them */
};
/* One stream; the first is preceded by a short one that finds out how much counting is so much time. Its processes end
 * with it. Error kind "bench". */
bool relay_measure(struct relay *relay, const struct relay_opts *opts, struct relay_found *out, struct error *err);

#endif
