/* The orchestrator: jobs, tasks, Puppet runs over PCP brokers, behind the HTTP API (orchestrator-api.md,
 * orchestrator-jobs.md).
 *
 * One `struct orchestrator` is one service. It owns, in this order of construction:
 *   store     (store/store.h)        SQLite: everything that outlives a process
 *   services  (services/services.h)  RBAC, classifier, PuppetDB, Puppet Server, activity
 *   brokers   (brokers/brokers.h)    connections to the PCP brokers as controller
 *   engine    (jobs/engine.h)        runs jobs
 *   schedules (jobs/schedules.h)     starts jobs later
 *   api       (api/api.h)            HTTP
 * Each part gets the ones above it through `struct orchestrator_parts`. Everything is single-threaded on one world. */
#ifndef DALANG_ORCHESTRATOR_H
#define DALANG_ORCHESTRATOR_H

#include "world/world.h"

enum {
    ORCHESTRATOR_BROKERS_MAX = 32,
    ORCHESTRATOR_ALLOWED_MAX = 64,
    ORCHESTRATOR_PORT = 8143,
};

/* What becomes of unfinished jobs when the service starts (orchestrator-jobs.md §2). */
enum restart_policy {
    RESTART_RESUME, /* they go on: agents are asked what became of what was in flight */
    RESTART_FAIL,   /* the product's way: they fail with event job_aborted */
};

/* Configuration (orchestrator-jobs.md §12.2, §12.3). Strings are borrowed and must outlive the orchestrator.
 * orchestrator_config_defaults() fills in every default; what is NULL there without a default must be set. */
struct orchestrator_config {
    /* webserver.conf */
    const char *host;           /* ssl-host; "0.0.0.0" */
    uint16_t port;              /* ssl-port; 8143; 0: any free one */
    struct world_tls_files tls; /* own certificate; also presented to brokers and services. client_auth: want */
    const char *crl;            /* ssl-crl-path, or NULL (copied into tls by main) */
    const char *public_url;     /* base of ids when a request has no Host header; NULL: https://<own CN>:<port> */

    /* orchestrator.conf, below `orchestrator` */
    uint32_t global_concurrent_compiles; /* global-concurrent-compiles; 8; 0: unlimited */
    uint32_t task_concurrency;           /* task-concurrency; 250 */
    uint32_t job_prune_days;             /* job-prune-days-threshold; 30, at least 2 */
    uint32_t pcp_timeout_s;              /* pcp-timeout; 30 */
    uint32_t allowed_status_requests;    /* allowed-pcp-status-requests; 35 */
    uint32_t status_interval_s;          /* pcp-status-interval; 12 */
    uint32_t report_timeout_s;           /* report-timeout; 30 */
    uint32_t deploy_node_timeout_s;      /* default-deploy-node-timeout; 2400 */
    uint32_t task_node_timeout_s;        /* default-task-node-timeout; 2400 */
    uint32_t plan_timeout_s;             /* default-plan-timeout; 3600 */
    uint32_t plans_max;                  /* jruby-max-active-instances; 1 */
    bool scheduled_jobs_v1_api;          /* scheduled-jobs-v1-api; false */
    bool app_management;                 /* app-management; true (application-orchestration.md §2.2) */
    enum restart_policy restart_policy;  /* restart-policy; "resume" or "fail" */

    const char *database;        /* database; path of the SQLite file */
    const char *secret_key_file; /* secret-key-file; 32 random bytes, created with mode 0600 when absent; NULL: beside
                                    the database, "<database>.key" */
    const char
        *brokers[ORCHESTRATOR_BROKERS_MAX]; /* pcp-broker-urls: wss://host:8142 (path /pcp2/ is added when absent) */
    size_t broker_count;
    const char *rbac_url;          /* rbac-url, https://…:4433/rbac-api */
    const char *classifier_url;    /* classifier-url, https://…:4433/classifier-api */
    const char *puppetdb_url;      /* puppetdb-url, https://…:8081 */
    const char *puppet_server_url; /* puppet-server-url, https://…:8140 */
    const char *activity_url;      /* activity-url, https://…:4433/activity-api; NULL: nothing is reported */
    const char *console_url;       /* console-url, https://…; NULL: no report-url in events */
    const char *certificate_allowlist[ORCHESTRATOR_ALLOWED_MAX]; /* certificate-allowlist: common names */
    size_t allowed_count;

    /* Command template that ends a transaction by force on a node; @ID@ is the transaction id. See jobs/engine.h. */
    const char *kill_command;

    /* Limits of ours */
    uint32_t job_nodes_max;     /* job-nodes-max; 100 000 nodes in one job */
    uint32_t jobs_active_max;   /* jobs-active-max; 1 000 unfinished jobs; more are refused with 503 */
    uint64_t request_body_max;  /* request-body-max; 64 MiB */
    uint32_t pcp_message_max;   /* pcp-message-max; 64 MiB */
    uint32_t event_streams_max; /* event-streams-max; 1 000 */

    /* What the API's HTTP server logs its access lines to; NULL: nothing. */
    const struct logger *access_log;
};

void orchestrator_config_defaults(struct orchestrator_config *c);
/* Names the key at fault; kind "configuration". */
bool orchestrator_config_check(const struct orchestrator_config *c, struct error *err);

struct orchestrator;

/* Opens the database, loads keys and certificates; nothing runs yet. `config` is copied, its strings are not.
 * error kinds: "configuration", "world/…", "store/newer-schema". A database that is locked, full or corrupt is no
 * error: the service starts, answers 503 with the reason, and goes on by itself once the cause is gone. */
struct orchestrator *orchestrator_new(struct world *w, const struct orchestrator_config *config,
                                      const struct logger *log, struct error *err);
/* Connects to brokers, resumes jobs, listens. False (err names it) when the port cannot be had. */
bool orchestrator_start(struct orchestrator *o, struct error *err);
uint16_t orchestrator_port(const struct orchestrator *o);
/* Stops taking requests. With drain_ms > 0 running nodes may still end for that long; then everything is committed and
 * closed and `done` (may be NULL) runs. What still ran is resumed at the next start. */
void orchestrator_stop(struct orchestrator *o, uint64_t drain_ms, void (*done)(void *ctx), void *ctx);
/* Frees it. Without a finished orchestrator_stop() this is an abrupt end (as after kill -9): nothing is flushed. */
void orchestrator_free(struct orchestrator *o);
/* Reads certificate, key, CA and CRL anew (SIGHUP); on error the old state stays. */
bool orchestrator_reload(struct orchestrator *o, struct error *err);

/* For the parts themselves and for tests. */
struct orchestrator_parts {
    struct world *world;
    const struct orchestrator_config *config;
    const struct logger *log;
    struct world_tls *tls;
    struct store *store;
    struct services *services;
    struct brokers *brokers;
    struct engine *engine;
    struct schedules *schedules;
};
const struct orchestrator_parts *orchestrator_parts(const struct orchestrator *o);

/* The two entry points that api/ provides (api/api.h):
 *   struct api *api_new(const struct orchestrator_parts *parts, struct error *err);      // listens
 *   uint16_t api_port(const struct api *api);
 *   void api_close(struct api *api, uint64_t grace_ms, void (*done)(void *ctx), void *ctx); // frees it
 * and services/ (services/services.h): services_new, services_free. */

#endif
