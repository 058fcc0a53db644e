/* One seed of a simulation with everything: a stack and its agents, users who start, watch and stop jobs, a swarm of
 * faults; then the faults end, the world must converge, and every invariant must have held (harness.md §2). */
#ifndef DALANG_SIMULATOR_SOAK_H
#define DALANG_SIMULATOR_SOAK_H

#include "base/json.h"
#include "simulator/checks/checks.h"
#include "simulator/faults/faults.h"
#include "simulator/soak/workload.h"

struct soak_opts {
    uint64_t seed;
    uint32_t agents;  /* 0: drawn, 1 … 60 */
    uint32_t brokers; /* 0: drawn, 1 … 3 */
    enum faults_level faults;
    uint32_t without;                /* kinds of faults that are left out: bits by swarm_kind_name() */
    uint64_t for_us;                 /* of workload and faults; 0: drawn, 1 … 20 minutes */
    uint32_t jobs;                   /* 0: drawn, 1 … 30; with a load: one every 30 s to 2 minutes */
    uint32_t load_percent;           /* of what the orchestrator may run at once that jobs ask for; 0: of more than 60
                                        agents half, of fewer whatever is drawn, now and then far more than it can do */
    bool v1;                         /* agents speak PCP v1 */
    const struct workload *workload; /* NULL: ours, of everything; for_us and jobs above go before its own */
    /* Called when the sim exists and nothing has happened yet: to watch it. May be NULL. */
    void (*started)(void *ctx, struct sim *sim, struct checks *checks);
    void (*ended)(void *ctx, struct sim *sim); /* before both are freed */
    void *ctx;
};

struct soak_result {
    uint64_t seed;
    uint32_t agents, brokers, jobs; /* as drawn */
    uint32_t load_percent;          /* 0: as drawn */
    uint64_t for_us;
    bool ready;     /* the stack came up with all agents */
    bool converged; /* every job ended and every agent was connected again */
    struct violation *violations;
    size_t violation_count;
    struct checks_seen seen;
    uint64_t trace_hash, events, refused, faults;
    uint64_t virtual_us; /* as long as the stack was there */
    char *description;   /* what was drawn: one line */
    char *stuck;         /* when it did not get ready or converge: what was missing; else NULL */
};

/* The faults that these options draw. */
struct swarm soak_swarm(const struct soak_opts *opts);
void soak_run(const struct soak_opts *opts, struct soak_result *out);
void soak_result_free(struct soak_result *r);
bool soak_good(const struct soak_result *r); /* ready, converged, no violation */
/* {"seed", "trace_hash", "nodes", "events", …, "violations": [{"invariant", "at_us", "text"}]}; new reference */
json_t *soak_result_json(const struct soak_result *r);

#endif
