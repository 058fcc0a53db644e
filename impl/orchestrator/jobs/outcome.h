/* What an agent's answer says about a node: pure text and JSON (orchestrator-jobs.md §10). */
#ifndef DALANG_ORCHESTRATOR_OUTCOME_H
#define DALANG_ORCHESTRATOR_OUTCOME_H

#include "orchestrator/jobs/states.h"
#include <jansson.h>

/* A task (or command, script) ended: appends the node's result to *detail and says which state it means. stdout may
 * be any text; a JSON object becomes the result, byte for byte where nothing has to be changed. */
enum node_state outcome_task(int64_t exitcode, struct span stdout_text, struct span stderr_text, struct buf *detail);
/* The same from the `results` of a response; false: they have no exit code. */
bool outcome_task_results(const json_t *results, enum node_state *state, struct buf *detail);

/* What pxp-module-puppet reported. Texts are the owner's, freed by deploy_outcome_free(). */
struct deploy_outcome {
    char *status;             /* "changed", "unchanged", "failed", "unknown" */
    char *transaction_uuid;   /* NULL: unknown; there will be no report */
    char *environment;        /* NULL: unknown */
    json_t *metrics;          /* object or NULL */
    char *error_type, *error; /* NULL: none */
    json_t *report;           /* PuppetDB's row, once it came */
    bool capability_late;     /* what others consume was not in PuppetDB in time */
};
/* NULL when results are nothing the module would send. */
struct deploy_outcome *outcome_deploy(const json_t *results);
void deploy_outcome_free(struct deploy_outcome *o);
/* Did the agent get as far as a run of its own? Otherwise the node is `errored`. */
bool deploy_outcome_ran(const struct deploy_outcome *o);
/* Appends the node's result. Without o->report there is no hash and no report-url, and `missing` says why. console:
 * base URL or NULL. */
enum node_state outcome_deploy_detail(const struct deploy_outcome *o, const char *missing, bool noop, bool no_noop,
                                      const char *console, int64_t job, struct span node, struct buf *detail);

/* Appends the result of a node that could not be run, or whose end is unknown:
 * {"kind", "msg", "details": {"node"}, "_error": the same} — the last for clients that look there. */
void outcome_error(struct buf *detail, struct span node, struct span msg);
/* Appends {"reason": …} */
void outcome_skip(struct buf *detail, const char *reason);

#endif
