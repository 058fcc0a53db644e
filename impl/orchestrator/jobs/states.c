#include "orchestrator/jobs/states.h"

#include <string.h>

static const char *const job_types[JOB_TYPES] = {
    [JOB_DEPLOY] = "deploy",
    [JOB_TASK] = "task",
    [JOB_PLAN_TASK] = "plan_task",
    [JOB_PLAN_SCRIPT] = "plan_script",
    [JOB_PLAN_UPLOAD] = "plan_upload",
    [JOB_PLAN_COMMAND] = "plan_command",
    [JOB_PLAN_WAIT] = "plan_wait",
    [JOB_PLAN_APPLY] = "plan_apply",
    [JOB_PLAN_APPLY_PREP] = "plan_apply_prep",
};

static const char *const job_states[JOB_STATES] = {
    [JOB_NEW] = "new",         [JOB_READY] = "ready",       [JOB_RUNNING] = "running", [JOB_STOPPING] = "stopping",
    [JOB_STOPPED] = "stopped", [JOB_FINISHED] = "finished", [JOB_FAILED] = "failed",
};

static const char *const node_states[NODE_STATES] = {
    [NODE_NEW] = "new",           [NODE_READY] = "ready",       [NODE_RUNNING] = "running",
    [NODE_STOPPING] = "stopping", [NODE_FINISHED] = "finished", [NODE_FAILED] = "failed",
    [NODE_ERRORED] = "errored",   [NODE_SKIPPED] = "skipped",   [NODE_STOPPED] = "stopped",
};

static const char *const transports[TRANSPORTS] = {"pcp", "ssh", "winrm"};

static const char *const event_types[EVENT_TYPES] = {
    [EVENT_NODE_RUNNING] = "node_running", [EVENT_NODE_FINISHED] = "node_finished", [EVENT_NODE_FAILED] = "node_failed",
    [EVENT_NODE_ERRORED] = "node_errored", [EVENT_NODE_SKIPPED] = "node_skipped",   [EVENT_JOB_ABORTED] = "job_aborted",
    [EVENT_JOB_STOPPING] = "job_stopping", [EVENT_JOB_FINISHED] = "job_finished",
};

static const char *const plan_states[PLAN_STATES] = {"running", "success", "failure"};

#define BIT(state) (1u << (state))

/* Which states may follow. A restart may find a node that never was announced as running at its end. */
static const unsigned job_steps[JOB_STATES] = {
    [JOB_NEW] = BIT(JOB_READY) | BIT(JOB_STOPPED) | BIT(JOB_FAILED),
    [JOB_READY] = BIT(JOB_RUNNING) | BIT(JOB_STOPPING) | BIT(JOB_STOPPED) | BIT(JOB_FAILED),
    [JOB_RUNNING] = BIT(JOB_STOPPING) | BIT(JOB_FINISHED) | BIT(JOB_FAILED),
    [JOB_STOPPING] = BIT(JOB_STOPPED) | BIT(JOB_FAILED),
};

static const unsigned node_steps[NODE_STATES] = {
    [NODE_NEW] = BIT(NODE_READY) | BIT(NODE_SKIPPED) | BIT(NODE_ERRORED),
    [NODE_READY] = BIT(NODE_RUNNING) | BIT(NODE_STOPPING) | BIT(NODE_SKIPPED) | BIT(NODE_ERRORED),
    [NODE_RUNNING] = BIT(NODE_STOPPING) | BIT(NODE_FINISHED) | BIT(NODE_FAILED) | BIT(NODE_ERRORED),
    [NODE_STOPPING] = BIT(NODE_FINISHED) | BIT(NODE_ERRORED) | BIT(NODE_STOPPED),
};

static bool find(const char *const *names, size_t count, const char *name, size_t *out) {
    for (size_t i = 0; name != NULL && i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

const char *job_type_name(enum job_type t) {
    return job_types[t];
}

bool job_type_parse(const char *name, enum job_type *out) {
    size_t i;
    if (!find(job_types, JOB_TYPES, name, &i)) {
        return false;
    }
    *out = (enum job_type)i;
    return true;
}

const char *job_state_name(enum job_state s) {
    return job_states[s];
}

bool job_state_parse(const char *name, enum job_state *out) {
    size_t i;
    if (!find(job_states, JOB_STATES, name, &i)) {
        return false;
    }
    *out = (enum job_state)i;
    return true;
}

const char *node_state_name(enum node_state s) {
    return node_states[s];
}

bool node_state_parse(const char *name, enum node_state *out) {
    size_t i;
    if (!find(node_states, NODE_STATES, name, &i)) {
        return false;
    }
    *out = (enum node_state)i;
    return true;
}

const char *node_transport_name(enum node_transport t) {
    return transports[t];
}

const char *event_type_name(enum event_type t) {
    return event_types[t];
}

const char *plan_state_name(enum plan_state s) {
    return plan_states[s];
}

bool job_state_step(enum job_state from, enum job_state to) {
    return (job_steps[from] & BIT(to)) != 0;
}

bool node_state_step(enum node_state from, enum node_state to) {
    return (node_steps[from] & BIT(to)) != 0;
}
