/* Engine, store and broker connections in the simulated world, with a scripted broker, scripted agents behind it and a
 * PuppetDB that knows their reports. Real PCP and PXP on the wire; what an agent does is the test's to say. */
#ifndef DALANG_ORCHESTRATOR_RIG_H
#define DALANG_ORCHESTRATOR_RIG_H

#include "base/map.h"
#include "net/ws_peer.h"
#include "orchestrator/brokers/brokers.h"
#include "orchestrator/jobs/engine.h"
#include "orchestrator/jobs/schedules.h"
#include "orchestrator/services/services.h"
#include "simulator/world/sim.h"

enum { RIG_AGENTS_MAX = 1200, RIG_BROKERS_MAX = 2 };

/* How an agent behaves; may be changed at any time. */
struct rig_agent {
    struct rig *rig;
    char name[64];
    int broker; /* -1: not connected */
    uint32_t takes_ms;
    int exitcode;
    const char *out, *err; /* of tasks */
    const char *status;    /* of Puppet runs: "changed" … */
    bool deaf;             /* answers nothing at all */
    bool no_provisional;   /* takes requests without a word */
    bool no_outcome;       /* never says by itself how it ended */
    bool forgetful;        /* knows no transaction when asked */
    bool no_report;        /* its reports never reach PuppetDB */
    bool unkillable;
    int loses_requests;    /* so many requests vanish on their way */
    const char *rpc_error; /* answers requests with this PXP error */
    const char *pcp_error; /* … or this PCP error */
    int runs;              /* how often something was really run */
    int status_queries, requests;
    struct buf last_params; /* of the last request */
};

struct rig_broker {
    struct rig *rig;
    struct world *w;
    struct http_server *server;
    struct world_tls *tls;
    struct ws_peer *controller;
    char uri[128]; /* the controller's */
    bool subscribed, deaf;
};

struct rig {
    struct sim *sim;
    struct world *w; /* the orchestrator's */
    struct orchestrator_config config;
    struct world_tls *tls;
    struct store *store;
    struct brokers *brokers;
    struct services *services;
    struct engine *engine;
    struct schedules *schedules;
    struct rig_broker broker[RIG_BROKERS_MAX];
    int broker_count;
    struct http_server *puppetdb;
    struct world_tls *puppetdb_tls;
    struct world *puppetdb_world;
    struct rig_agent *agents;
    int agent_count;
    struct map transactions; /* id → struct rig_transaction */
    json_t *reports;         /* array of rows */
    int report_queries;
    bool opened, with_services;
    bool no_catalogs; /* PuppetDB never shows one */
    int catalog_queries;
    /* results of calls */
    int64_t started_id;
    int started, start_failed;
    char start_error[64], start_details[256];
    uint32_t stop_counts[NODE_STATES];
    int stops;
    struct buf log;
};

/* Agents are "node1" … "nodeN", connected to the first broker; default behaviour: 100 ms, exit 0, {"ok":true}. */
struct rig *rig_new(uint64_t seed, int agents);
struct rig *rig_booted(int agents); /* seed 1, booted */
/* Before rig_boot(): rig->config may be changed. */
void rig_boot(struct rig *r);                 /* starts the orchestrator's parts and waits until they are ready */
void rig_boot_without_brokers(struct rig *r); /* the same, but brokers may be down */
void rig_crash(struct rig *r, enum sim_crash_kind kind);
void rig_shutdown(struct rig *r); /* an orderly end of the parts */
void rig_free(struct rig *r);     /* checks that nothing is left behind */

void rig_forget_transactions(struct rig *r);
void rig_connect(struct rig *r, int agent, int broker); /* -1: disconnects; tells subscribers */
void rig_broker_down(struct rig *r, int broker);
void rig_broker_up(struct rig *r, int broker);

/* Starts a task job on agents first…last (from 1); returns its id. req may be NULL, or holds what differs. */
int64_t rig_task(struct rig *r, int first, int last, const struct job_request *req);
int64_t rig_deploy(struct rig *r, int first, int last, const struct job_request *req);
void rig_stop(struct rig *r, int64_t job, bool force);
/* Runs until the job is over (as the store says). False when it is not within that time. */
bool rig_finish(struct rig *r, int64_t job, uint64_t within_us);
void rig_run(struct rig *r, uint64_t us);
bool rig_until_running(struct rig *r, int64_t job, uint32_t nodes); /* so many nodes are `running` */

enum job_state rig_state(struct rig *r, int64_t job);
void rig_counts(struct rig *r, int64_t job, uint32_t counts[NODE_STATES]);
/* The whole stream of a job's events as text: "node1 running\nnode1 finished\n…job_finished\n"; free it. */
char *rig_events(struct rig *r, int64_t job);
/* Is every node ended exactly once, the order of events legal, and job_finished (or job_aborted) last? */
void rig_check_events(struct rig *r, int64_t job);
bool rig_events_legal(struct rig *r, int64_t job); /* the same as an answer */
/* JSON of a node as the API shows it; new reference. */
json_t *rig_node(struct rig *r, int64_t job, const char *name);
/* Ends by state; and the events are legal. */
void rig_expect_counts(struct rig *r, int64_t job, uint32_t finished, uint32_t failed, uint32_t errored,
                       uint32_t skipped);
/* The node's result is an error whose message holds this text. */
void rig_expect_msg(struct rig *r, int64_t job, const char *node, const char *text);
/* The largest number of nodes of the job that were running at once, by the event stream. */
int rig_peak(struct rig *r, int64_t job);

#endif
