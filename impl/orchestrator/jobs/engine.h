/* The job engine: takes resolved, authorized requests and brings every node of them to one end (orchestrator-jobs.md
 * §2-8).
 *
 * Life of a job. engine_start() writes job and nodes; when they are durable it tells (answer 202 then) and the job
 * runs. Admission: nodes of a job start in the given order; jobs take turns, so a large one does not starve a small
 * one. A node takes a place of its kind (global_concurrent_compiles for deploys, task_concurrency for all else) and one
 * of its job's `concurrency` from its request until its end. Waiting for an agent to appear takes none.
 *
 * Transactions. A node's transaction id is made from 16 random bytes of the job and the node's number, so it is durable
 * before the first request leaves and the same after a restart: a request sent again can never run twice.
 *
 * What the engine needs of a node lies in one block per job; nothing is asked, sorted or scanned per node. */
#ifndef DALANG_ORCHESTRATOR_ENGINE_H
#define DALANG_ORCHESTRATOR_ENGINE_H

#include "orchestrator/orchestrator.h"
#include "orchestrator/store/store.h"

struct engine;
struct brokers;
struct services;

struct engine_opts {
    struct store *store;
    struct brokers *brokers;   /* the engine sets its handler */
    struct services *services; /* reports, activity; NULL: deploys end by the agent's own words, nothing is recorded */
    const struct orchestrator_config *config;
    const uint8_t *secret_key; /* 32 bytes, see jobs/secrets.h; copied */
    const struct logger *log;
};

struct engine *engine_new(struct world *w, const struct engine_opts *opts);
/* Takes up unfinished jobs by the restart policy. Call once the store is open. False: the store failed just now. */
bool engine_resume(struct engine *e, struct error *err);
bool engine_ready(const struct engine *e); /* resumed: requests may be taken */
/* The database works again: what was held back goes on. */
void engine_wake(struct engine *e);
/* No new node starts; done when no node runs, or after drain_ms. */
void engine_drain(struct engine *e, uint64_t drain_ms, void (*done)(void *ctx), void *ctx);
void engine_free(struct engine *e); /* writes nothing */

/* ------------------------------------------------------------------------------------------ starting */

struct job_node {
    struct span name;
    enum node_transport transport; /* anything but PCP ends `errored`: no Bolt server or ACE is attached */
};

struct job_edge {
    uint32_t producer, consumer; /* indices into nodes */
    bool capability; /* the consumer needs the producer's catalog in PuppetDB (application-orchestration.md §4.3) */
};

/* Everything is borrowed for the length of the call. */
struct job_request {
    enum job_type type;
    const char *command;     /* "task", "deploy", "plan_task" */
    const char *environment; /* "" : none */
    const char *description; /* "" : none */
    json_t *options;  /* object as GET /jobs shows it: without secrets. "scheduled-job-id" and such are the caller's */
    json_t *owner;    /* RBAC's user record */
    json_t *userdata; /* object */
    const struct job_node *nodes; /* without duplicates, at least one */
    size_t node_count;
    uint32_t concurrency; /* 0: null */
    uint32_t timeout_s;   /* 0: the configured default */
    bool noop;
    int64_t plan;     /* plan job id: adds its task_start (script_start …) event; 0: none */
    int64_t schedule; /* 0: none */

    /* Deploys: flags are made from options (jobs/flags.h). Run order: */
    const struct job_edge *edges;
    size_t edge_count;

    /* Tasks and what else runs through PXP `task run` */
    const char *task;
    json_t *metadata;  /* of the task, as Puppet Server gave it; object */
    json_t *files;     /* array as Puppet Server gave it */
    json_t *params;    /* object with defaults filled in and secrets in clear */
    json_t *sensitive; /* array of names of params that are secret, or NULL */
};

/* False with err at once: "puppetlabs.orchestrator/validation-error" (a flag's value),
 * "puppetlabs.orchestrator/dependency-cycle", "orchestrator/limit" (too many nodes or jobs: answer 503), or what
 * store_error() says. Else done follows, with the job's id once it is durable, or id 0 and an error. Cancel with
 * engine_forget(). */
bool engine_start(struct engine *e, const struct job_request *r,
                  void (*done)(void *ctx, int64_t id, const struct error *err), void *ctx, struct error *err);
/* No done callback with this ctx will be called any more. */
void engine_forget(struct engine *e, void *ctx);

/* Idempotent; a plain stop followed by a forced one escalates. done: counts of the job's nodes by state as they are
 * then (durable), or err: "puppetlabs.orchestrator/unknown-job", store errors. Forced: the transaction is ended on the
 * node by the configured command, sent as PXP `command run`; it belongs to a pool of its own. A node that does not
 * report within pcp_timeout is given up as `stopped`. */
void engine_stop(struct engine *e, int64_t job, bool force,
                 void (*done)(void *ctx, const uint32_t *counts, const struct error *err), void *ctx);

/* ------------------------------------------------------------------------------------------ plan jobs */

/* Records a plan job (id is given out here). Outside plans that never finish end `failure` after their time limit
 * (row->timeout_s, 0: default-plan-timeout) and when the service restarts. */
void engine_plan_start(struct engine *e, const struct store_plan *row,
                       void (*done)(void *ctx, int64_t id, const struct error *err), void *ctx);
/* state: PLAN_SUCCESS or PLAN_FAILURE; result: JSON text. Adds plan_finished or plan_failed. err of done:
 * "puppetlabs.orchestrator/unknown-job", "puppetlabs.orchestrator/plan-already-finished". */
void engine_plan_finish(struct engine *e, int64_t plan, enum plan_state state, struct span result,
                        void (*done)(void *ctx, int64_t id, const struct error *err), void *ctx);
bool engine_plan_running(const struct engine *e, int64_t plan);
/* Adds an event ("out_message", "plan_start" …); details is borrowed. Not for a finished plan. */
void engine_plan_event(struct engine *e, int64_t plan, const char *type, json_t *details);

/* ------------------------------------------------------------------------------------------ watching */

/* Tells that a job has new durable events (read them with store_events()), or is over. Called at most once a turn. */
struct engine_watch {
    struct list_link link;
    int64_t job;
    void (*fresh)(void *ctx, bool over);
    void *ctx;
};
/* False: the job is not running; what the store has is all there will be. */
bool engine_watch(struct engine *e, struct engine_watch *w, int64_t job, void (*fresh)(void *ctx, bool over),
                  void *ctx);
void engine_unwatch(struct engine *e, struct engine_watch *w);

struct engine_metrics {
    uint64_t jobs_started, jobs_finished, jobs_failed, jobs_stopped, jobs_active;
    uint64_t nodes_active;  /* of unfinished jobs */
    uint64_t nodes_running; /* hold a place */
    uint64_t nodes_waiting; /* for a place */
    uint64_t nodes_absent;  /* for their agent */
    uint64_t nodes_ended[NODE_STATES];
    uint64_t requests_sent, requests_repeated, status_queries, status_timeouts, kills_sent;
    uint64_t responses, strays; /* strays: answers to transactions nobody waits for */
    uint64_t report_queries, reports_missing;
    uint64_t events;
};
const struct engine_metrics *engine_metrics(const struct engine *e);

#endif
