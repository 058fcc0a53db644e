/* What the users of a soak do, from a file (`dalang simulate --workload FILE`), in JSON or HOCON:
 *
 *   for: 10m                        # workload and faults; without it drawn from the seed
 *   jobs: 40                        # spread over that time; without it drawn
 *   stop: 0.01                      # chance that somebody who looks at a job stops it
 *   mix: [
 *     {weight: 3, task: "app::restart", params: {service: "web-{n}"}, nodes: 0.5}   # {n}: the number of the job
 *     {weight: 1, deploy: {noop: true, concurrency: 5}, nodes: 1}
 *     {task: "soak::echo", params: {message: "m-{n}"}, user: limited}
 *   ]
 *   tasks: {"app::restart": {takes: 200ms, exit: 0}}      # and puppet_run: what agents do, see fleet/behaviour.h
 *
 * nodes: the part of the fleet that a job goes to (without it drawn for each). user: admin, or limited, who may run
 * soak::echo and nothing else. Tasks: soak::echo {message}, soak::flaky {}, soak::secret {password} are there, the
 * others are made up by their names. */
#ifndef DALANG_SOAK_WORKLOAD_H
#define DALANG_SOAK_WORKLOAD_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/json.h"

enum { WORKLOAD_ITEMS_MAX = 100, WORKLOAD_JOBS_MAX = 100000 };

struct workload_item {
    uint32_t weight;
    const char *task;      /* NULL: a Puppet run */
    const json_t *params;  /* of a task, or NULL */
    const json_t *options; /* of a Puppet run */
    uint32_t nodes_ppm;    /* part of the fleet; 0: drawn */
    bool limited;          /* the user who may not do much */
};

struct workload {
    uint64_t for_us; /* 0: drawn */
    uint32_t jobs;   /* 0: drawn */
    uint32_t stop_ppm;
    struct workload_item items[WORKLOAD_ITEMS_MAX];
    size_t count;
    json_t *file; /* what the texts are borrowed from; also {"tasks": …, "puppet_run": …} */
};

/* The error (kind "workload") begins with "NAME:LINE:COLUMN: " where there is one. */
struct workload *workload_new(const char *name, struct span text, struct error *err);
void workload_free(struct workload *w);
/* A copy of params in which {n} is replaced; new reference. */
json_t *workload_params(const struct workload_item *item, uint64_t n);

#endif
