/* States and kinds of jobs, nodes and events, and their names (orchestrator-jobs.md §1-3, orchestrator-api.md §4, §5).
 * The numbers are stored in the database: append, never change. */
#ifndef DALANG_ORCHESTRATOR_STATES_H
#define DALANG_ORCHESTRATOR_STATES_H

#include "base/bytes.h"

enum job_type {
    JOB_DEPLOY,
    JOB_TASK,
    JOB_PLAN_TASK,
    JOB_PLAN_SCRIPT,
    JOB_PLAN_UPLOAD,
    JOB_PLAN_COMMAND,
    JOB_PLAN_WAIT,
    JOB_PLAN_APPLY,
    JOB_PLAN_APPLY_PREP,
    JOB_TYPES
};

enum job_state {
    JOB_NEW,
    JOB_READY,
    JOB_RUNNING,
    JOB_STOPPING,
    JOB_STOPPED, /* terminal from here on */
    JOB_FINISHED,
    JOB_FAILED,
    JOB_STATES
};

enum node_state {
    NODE_NEW,   /* waits for its dependencies */
    NODE_READY, /* waits for a concurrency place, or for its agent to appear */
    NODE_RUNNING,
    NODE_STOPPING, /* forced stop under way */
    NODE_FINISHED, /* terminal from here on */
    NODE_FAILED,
    NODE_ERRORED,
    NODE_SKIPPED,
    NODE_STOPPED,
    NODE_STATES
};

enum node_transport { TRANSPORT_PCP, TRANSPORT_SSH, TRANSPORT_WINRM, TRANSPORTS };

enum event_type {
    EVENT_NODE_RUNNING,
    EVENT_NODE_FINISHED,
    EVENT_NODE_FAILED,
    EVENT_NODE_ERRORED,
    EVENT_NODE_SKIPPED,
    EVENT_JOB_ABORTED,
    EVENT_JOB_STOPPING,
    EVENT_JOB_FINISHED,
    EVENT_TYPES
};

enum plan_state { PLAN_RUNNING, PLAN_SUCCESS, PLAN_FAILURE, PLAN_STATES };

const char *job_type_name(enum job_type t);
bool job_type_parse(const char *name, enum job_type *out);
const char *job_state_name(enum job_state s);
bool job_state_parse(const char *name, enum job_state *out);
const char *node_state_name(enum node_state s);
bool node_state_parse(const char *name, enum node_state *out);
const char *node_transport_name(enum node_transport t);
const char *event_type_name(enum event_type t);
const char *plan_state_name(enum plan_state s);

static inline bool job_state_final(enum job_state s) {
    return s >= JOB_STOPPED;
}
static inline bool node_state_final(enum node_state s) {
    return s >= NODE_FINISHED;
}
/* May a job (node) go from one state to the other? */
bool job_state_step(enum job_state from, enum job_state to);
bool node_state_step(enum node_state from, enum node_state to);

#endif
