/* Rows of the store. When given to a callback, spans borrow for the length of the call and end with a NUL.
 * Optional times are 0 when absent, optional texts and JSON have len 0. */
#ifndef DALANG_ORCHESTRATOR_ROWS_H
#define DALANG_ORCHESTRATOR_ROWS_H

#include "orchestrator/jobs/states.h"

enum { JOB_SALT_LEN = 16 };

struct store_job {
    int64_t id;
    enum job_type type;
    enum job_state state;
    struct span command;     /* "deploy", "task", "plan_task" … */
    struct span environment; /* may be empty */
    struct span description;
    struct span task; /* empty for deploys */
    struct span owner_login;
    uint32_t node_count;
    uint32_t counts[NODE_STATES]; /* nodes by state */
    uint32_t concurrency;         /* 0: no limit of its own */
    uint32_t timeout_s;           /* per node */
    bool noop;
    int64_t plan;     /* plan job id, 0: none */
    int64_t schedule; /* schedule id, 0: none */
    int64_t ts_ms;    /* last change of state */
    int64_t started_ms, finished_ms;
    /* State history: when each state was entered, 0: never. A state is left when the next one (in the order of time)
     * is entered. */
    int64_t entered_ms[JOB_STATES];
    struct span options;  /* JSON object as the API shows it; no secrets */
    struct span owner;    /* JSON object */
    struct span userdata; /* JSON object */
    /* For the engine only */
    uint8_t salt[JOB_SALT_LEN]; /* random; transaction ids are made from it */
    struct span request;        /* what to run, JSON without secrets, for going on after a restart */
    struct span secret;         /* sensitive parameters, AES-256-GCM; erased when the job ends */
    struct span edges;          /* JSON [[producer index, consumer index, flags]…]; empty: no order */
};

struct store_job_change {
    int64_t id;
    enum job_state state;
    uint32_t counts[NODE_STATES];
    int64_t ts_ms, started_ms, finished_ms;
    int64_t entered_ms[JOB_STATES];
    bool drop_secret;
};

struct store_node {
    int64_t job;
    uint32_t index;
    struct span name;
    enum node_state state;
    enum node_transport transport;
    int64_t ts_ms, started_ms, finished_ms;
    struct span run_uuid;       /* transaction_uuid of the Puppet run; empty for tasks */
    int64_t event;              /* latest-event-id, 0: none yet */
    enum event_type event_type; /* of that event */
    struct span event_detail;   /* of that event */
};

struct store_node_change {
    int64_t job;
    uint32_t index;
    enum node_state state;
    int64_t ts_ms, started_ms, finished_ms;
    struct span run_uuid;
    int64_t event;
};

struct store_event {
    int64_t id;
    int64_t job;
    int64_t node; /* index, -1: concerns the job */
    enum event_type type;
    int64_t ts_ms;
    struct span detail; /* JSON: `details.detail` of node events, `details` of job events */
    /* Filled when reading; ignored when writing. */
    struct span node_name;
    enum job_type job_type;
};

struct store_plan {
    int64_t id;
    enum plan_state state;
    struct span name; /* of the plan */
    struct span environment;
    struct span owner_login;
    bool outside; /* runs elsewhere (Bolt): plan_start … plan_finish */
    uint32_t timeout_s;
    int64_t schedule; /* 0: none */
    int64_t created_ms, ts_ms, finished_ms;
    struct span options; /* JSON as the API shows it */
    struct span owner;
    struct span userdata;
    struct span result; /* JSON, empty: none */
};

struct store_plan_event {
    int64_t id, plan;
    struct span type; /* "task_start", "plan_finished" … */
    int64_t ts_ms;
    struct span details; /* JSON object, whole */
};

struct store_schedule {
    int64_t id;
    bool enabled;
    struct span type; /* "deploy", "task", "plan" */
    struct span environment;
    struct span owner_login;
    struct span name; /* of the task or plan */
    int64_t start_ms;
    int64_t interval_s; /* 0: once */
    int64_t next_ms;    /* 0: never again */
    int64_t last_ms;    /* 0: never ran */
    int64_t last_job;   /* the job (or plan job) it started then; 0: it could not be started */
    bool first_api;     /* made by schedule_task / schedule_deploy / schedule_plan */
    struct span description;
    struct span owner;      /* JSON */
    struct span input;      /* JSON, without secrets */
    struct span userdata;   /* JSON */
    struct span last_error; /* JSON error object of the last start, or empty */
    struct span secret;     /* sensitive parameters, encrypted (jobs/secrets.h) */
};

struct store_target {
    int64_t id;
    struct span display_name;
    bool all_tasks;
    struct span tasks, nodes, node_groups; /* JSON arrays */
    struct span pql_query;                 /* text */
};

struct store_connection {
    struct span certname, connection_id, type;
    struct span parameters; /* JSON */
    struct span secret;     /* encrypted JSON of the sensitive parameters */
};

#endif
