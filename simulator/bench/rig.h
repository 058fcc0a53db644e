/* A stack of our own to measure: `dalang up` with virtual agents, and beside it an orchestrator in a process of its
 * own, so that its processor time and memory are nobody else's. */
#ifndef DALANG_BENCH_RIG_H
#define DALANG_BENCH_RIG_H

#include "simulator/bench/api.h"
#include "simulator/bench/process.h"

struct rig {
    struct process up, orchestrator;
    struct bench_api api;
    char *dir, *database;
    json_t *stack; /* what `dalang up` printed */
};
struct rig_opts {
    struct world *world;
    const char *dir;                 /* files go to DIR/stack and DIR/orchestrator.db */
    const char *self, *orchestrator; /* programs: dalang, dalang-orchestrator */
    size_t agents;
};
/* Error kind "bench". The rig must be ended in any case. */
bool rig_up(struct rig *r, const struct rig_opts *opts, struct error *err);
/* Starts the orchestrator on DIR/orchestrator.db, made or there already, and waits until it answers. */
bool rig_orchestrate(struct rig *r, const struct rig_opts *opts, struct error *err);
void rig_end(struct rig *r);

#endif
