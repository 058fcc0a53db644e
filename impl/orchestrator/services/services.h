/* The services around the orchestrator, asked with its own certificate (orchestrator-jobs.md §13): RBAC, classifier,
 * PuppetDB, Puppet Server, activity.
 *
 * Every call is asynchronous: `done` runs once, never inside the call. services_forget(ctx) drops the callbacks of an
 * owner that goes away. JSON handed to done is borrowed (json_incref to keep).
 *
 * The part below is what the engine needs; what the API needs stands in services/asks.h. */
#ifndef DALANG_ORCHESTRATOR_SERVICES_H
#define DALANG_ORCHESTRATOR_SERVICES_H

#include "orchestrator/orchestrator.h"

struct services;

struct services *services_new(struct world *w, const struct orchestrator_config *config, struct world_tls *tls,
                              const struct logger *log);
void services_free(struct services *s); /* running requests are cancelled, no callback */
void services_forget(struct services *s, void *ctx);

/* Rows: array, or NULL with err (kinds "puppetlabs.orchestrator/puppetdb-error", "…/query-error"). */
typedef void services_rows(void *ctx, json_t *rows, const struct error *err);

/* POST /pdb/query/v4 {"query": ast} with our certificate. ast is borrowed. The engine asks:
 * - reports of a job, at most once a second, for the runs whose agents have ended:
 *   ["from","reports",["extract",["certname","hash","status","environment","configuration_version","transaction_uuid",
 *   "corrective_change"],["and",["=","job_id","42"],["in","transaction_uuid",["array",[…]]]]]], and "metrics" when an
 *   agent did not count its resources itself
 * - catalogs of producers others wait for: ["from","catalogs",["extract",["certname","transaction_uuid"],…]] */
void services_puppetdb(struct services *s, json_t *ast, services_rows *done, void *ctx);

/* What the activity service is told when nodes of a job end (rbac.md §15): one bundle for many nodes. Failures are
 * logged and forgotten; nobody waits. */
struct services_activity {
    const char *subject_id, *subject_name; /* the owner */
    bool deploy;
    const char *task; /* of tasks */
    int64_t job;
    int64_t schedule; /* 0: none */
    const struct span *nodes;
    size_t node_count;
};
void services_record(struct services *s, const struct services_activity *a);

#endif
