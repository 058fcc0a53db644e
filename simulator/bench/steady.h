/* A steady stream of small task jobs at half of what a stack takes: how long does a node take when nothing queues? And
 * how much a stack takes in such jobs, which are dearer than one large one: each has its request, its check of rights,
 * its transaction.
 *
 * Open loop: a job is sent when it is due, whether or not earlier ones have been answered. All its nodes are due with
 * it. A node's own latency is the time from that moment until its result is stored: committed and synced, as another
 * process that looks into the database every millisecond sees it. So a stall is in it wherever it happens: in the
 * client, before the request is answered, before the agent is asked, at the agent, after its answer. What the API calls
 * a node's duration is only a part: from the agent's "taken" to its result, in whole milliseconds; given beside it. */
#ifndef DALANG_BENCH_STEADY_H
#define DALANG_BENCH_STEADY_H

#include "simulator/bench/api.h"

enum { STEADY_NODES = 20 }; /* of each job, or all there are */

struct steady_opts {
    struct bench_api *api;
    const char *database; /* NULL: latencies are not measured */
    const json_t *names;  /* of nodes, at least one; each is taken once before any is taken again */
    double per_second;    /* nodes */
    double seconds;
};
struct steady {
    size_t nodes, per_job;               /* that ran; every one is in each distribution */
    double per_second;                   /* at which they were sent */
    double p50_ms, p99_ms, max_ms;       /* a node's own latency; 0: not measured */
    double run_p50_ms, run_p99_ms;       /* its duration, as the API tells it */
    double answer_p50_ms, answer_p99_ms; /* from the moment a job was due to the answer that names it */
    double busy;                         /* of the processors' time, whoever took it */
    double stolen;                       /* and by the host this machine is a guest of */
};
/* Closed loop: a job is sent when another has ended, so that there are always as many under way as are due in a second
 * of `per_second` nodes. *rate: nodes per second. Needs the database. Error kind "bench". */
bool steady_saturate(const struct steady_opts *opts, double *rate, struct error *err);
/* Every node must finish. Error kind "bench". */
bool steady_measure(const struct steady_opts *opts, struct steady *out, struct error *err);

#endif
