/* Private to jobs/: the engine's structures and what its files call of each other.
 *
 *   engine.c   life, draining                 jobs.c    a job's states, events, end, stop
 *   start.c    new jobs, jobs after a restart
 *   admit.c    who may start next             runs.c    one node's way from request to end
 *   answers.c  what brokers deliver           reports.c Puppet's reports
 *   request.c  PXP bodies and ids             order.c   run order (application orchestration)
 *   outcome.c  what an agent's words mean     plans.c   plan jobs                              */
#ifndef DALANG_ORCHESTRATOR_JOBS_INTERNAL_H
#define DALANG_ORCHESTRATOR_JOBS_INTERNAL_H

#include "base/map.h"
#include "orchestrator/brokers/brokers.h"
#include "orchestrator/jobs/engine.h"
#include "orchestrator/jobs/outcome.h"
#include "orchestrator/services/services.h"

enum {
    RESENDS_MAX = 3,           /* of a request the agent knows nothing of */
    ADMIT_PER_TURN = 256,      /* requests sent in one loop turn, so that answers are not kept waiting */
    STALE_RETRY_MS = 1000,     /* the inventory still lists a node the broker could not reach */
    REPORT_INTERVAL_MS = 1000, /* between two questions for reports of one job */
    REPORT_BATCH_MAX = 5000,   /* runs asked for in one question */
    REPORT_ROWS_AT_ONCE = 500, /* of its answer, in one turn of the loop */
    TXID_LEN = 36,
    TXID_TAIL = 9,  /* what follows the first group tells which run an id belongs to */
    TXID_KIND = 14, /* the version digit tells what the id stands for */
};

/* An id made for a run: its transaction, a message that carries the request, a status query, a kill. */
enum id_kind { ID_RUN = '4', ID_STATUS = '5', ID_KILL = '6' };

enum run_phase {
    PHASE_BLOCKED,   /* waits for other nodes of the job */
    PHASE_QUEUED,    /* waits for a place: in job->queue */
    PHASE_ABSENT,    /* its turn had come, but its agent is not connected */
    PHASE_REQUESTED, /* the request is out, no provisional response yet */
    PHASE_RUNNING,
    PHASE_REPORT, /* the agent is done, its report is awaited */
    PHASE_ENDED,
};

/* One node of one job. */
struct run {
    struct job *job;
    struct span name;
    uint32_t index;
    uint32_t blocked;      /* producers that have not finished */
    uint8_t phase, state;  /* enum run_phase, enum node_state */
    uint8_t sends;         /* of the request, also before a restart (then at least 1) */
    uint8_t status_misses; /* status queries without an answer, in a row */
    uint8_t transport;
    bool asked; /* a status query is out */
    bool has_place;
    bool was_refused; /* the broker could not reach it once already */
    bool forced;      /* a forced stop is under way */
    bool maybe_known; /* the agent may know the transaction from before: ask rather than wait */
    int64_t started_ms;
    int64_t event;        /* its last one */
    uint64_t deadline_us; /* of the phase: give up */
    struct timer timer;
    struct list_link link;      /* in job->queue or job->reporting */
    struct list_link host_link; /* in host->runs, while its agent's presence matters */
    struct host *host;
    struct deploy_outcome *deploy; /* while the report is awaited */
};

/* A node some run waits for or works on. */
struct host {
    struct list runs;
    struct span name;
    char bytes[];
};

/* Places for nodes at work. Jobs that could use one take turns. */
struct pool {
    uint32_t limit; /* 0: none */
    uint32_t used;
    struct list turns; /* struct job */
};

struct job {
    struct engine *engine;
    int64_t id;
    enum job_type type;
    enum job_state state;
    bool noop, no_noop;
    bool stop_asked;
    bool durable; /* committed: may run */
    bool dirty;   /* its row is to be written */
    bool secret;  /* the body holds sensitive values */
    int64_t plan, schedule;
    uint32_t concurrency, timeout_s;
    uint32_t running; /* runs with a place */
    uint32_t counts[NODE_STATES];
    int64_t ts_ms, started_ms, finished_ms, entered_ms[JOB_STATES];
    uint8_t salt[JOB_SALT_LEN];
    char *task, *owner_id, *owner_login;
    struct run *runs;
    uint32_t run_count;
    char *names;       /* all certnames, one after the other */
    struct buf body;   /* of the request, from behind the transaction id on */
    bool body_missing; /* its sensitive part could not be had after a restart */
    struct pool *pool;
    struct list queue;           /* struct run */
    struct list_link turn_link;  /* in pool->turns */
    struct list_link dirty_link; /* in engine->dirty */
    struct job_edge *edges;      /* sorted by producer */
    uint32_t edge_count;
    uint32_t *edge_first;      /* run i's consumers: edges[edge_first[i]] … edges[edge_first[i + 1] - 1] */
    struct list order_pending; /* struct run: ended, their consumers not yet looked at */
    bool order_busy;
    struct list watchers;
    struct store_waiter fresh; /* tells watchers after the commit */
    int64_t last_event;        /* id; 0: none since the start */
    /* reports.c */
    struct map reporting;   /* transaction_uuid → struct run: its report is awaited */
    struct map cataloguing; /* likewise: its catalog, which others consume */
    struct timer report_timer;
    uint64_t asked_reports_us;
    uint32_t report_asks; /* questions under way, or answers being worked through */
    struct report_answer {
        json_t *rows;    /* NULL: none */
        size_t at;       /* those before are done with, and freed */
    } report_answers[2]; /* reports, catalogs */
    struct timer rows_timer;
    uint32_t corrective, intentional;
    /* while it is being created */
    void (*created)(void *ctx, int64_t id, const struct error *err);
    void *created_ctx;
};

struct engine {
    struct world *world;
    struct engine_opts opts;
    const struct orchestrator_config *config;
    uint8_t secret_key[32];
    struct store *store;
    struct brokers *brokers;
    struct services *services;
    const struct logger *log;
    bool ready, draining;
    struct map jobs;  /* id (8 bytes) → struct job, unfinished ones */
    struct map runs;  /* tail of the transaction id → struct run, those at work */
    struct map hosts; /* certname → struct host */
    struct map plans; /* id (8 bytes) → struct plan */
    struct pool deploys, tasks;
    struct list dirty;    /* struct job */
    struct list asks;     /* struct ask: stop requests to be answered */
    struct list refusals; /* struct refusal: of plan jobs */
    struct timer admit_timer, drain_timer;
    void (*drained)(void *ctx);
    void *drained_ctx;
    struct engine_metrics metrics;
};

/* jobs.c: stop requests waiting for their answer */
void asks_free(struct engine *e);
void asks_forget(struct engine *e, void *ctx);

/* start.c */
bool jobs_resume(struct engine *e, struct error *err);

/* engine.c */
struct span id_key(const int64_t *id); /* for maps keyed by number */
void engine_check_drained(struct engine *e);

/* jobs.c */
struct job *job_find(const struct engine *e, int64_t id);
void job_mark(struct job *j); /* its row will be written with this turn's commit */
void job_enter(struct job *j, enum job_state state);
int64_t job_event(struct job *j, int64_t node, enum event_type type, struct span detail);
void job_check_end(struct job *j);
void job_abort(struct job *j, const char *why);
void job_free(struct job *j);
void job_set_counts(struct job *j, enum node_state from, enum node_state to);

/* admit.c */
void admit_update(struct job *j); /* after a change of its queue, places or state */
void admit_soon(struct engine *e);
bool pool_has_room(const struct pool *p);
void run_take_place(struct run *r);
void run_give_place(struct run *r);

/* runs.c */
void run_queue(struct run *r, bool first);
void run_start(struct run *r);  /* its turn has come */
void run_resume(struct run *r); /* was at work when the service ended */
void run_end(struct run *r, enum node_state state, struct span detail, struct span run_uuid);
void run_error(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void run_skip(struct run *r, const char *reason);
void run_force(struct run *r);                           /* ends it on its node */
void run_taken(struct run *r);                           /* the agent has the request */
void run_answered(struct run *r, const json_t *results); /* outcome of the module */
void run_failed(struct run *r, struct span description); /* PXP error */
void run_status(struct run *r, const json_t *results);
void run_refused(struct run *r, enum id_kind kind, struct span text);
void run_presence(struct run *r, bool connected);
void run_ask(struct run *r);

/* request.c */
void txid_of(const struct run *r, char out[TXID_LEN + 1]);
void id_make(struct run *r, enum id_kind kind, char out[TXID_LEN + 1]); /* fresh first group */
bool request_send(struct run *r);
bool status_send(struct run *r);
bool kill_send(struct run *r);
/* The stored form of a request, and the body made from it and the secrets (object or NULL). */
void request_store(const struct job_request *req, json_t *flags, int64_t job, struct buf *stored, struct buf *secrets);
bool request_body(struct job *j, struct span stored, json_t *secrets);

/* answers.c */
extern const struct brokers_handler engine_brokers_handler;
void run_register(struct run *r); /* answers to it are looked for from now on */
void run_unregister(struct run *r);
void run_watch_host(struct run *r);
void run_unwatch_host(struct run *r);

/* reports.c */
void report_await(struct run *r);
void report_forget(struct run *r);
void report_stop(struct job *j);

/* order.c */
bool order_set(struct job *j, const struct job_edge *edges, size_t count, struct error *err);
void order_ended(struct run *r);
void order_store(const struct job *j, struct buf *out);
bool order_load(struct job *j, struct span stored);
void order_resume(struct job *j);
bool order_feeds(const struct run *r); /* another node consumes what it produces */

/* plans.c */
struct plan;
void plans_free(struct engine *e);
void plans_forget(struct engine *e, void *ctx);
bool plans_resume(struct engine *e, struct error *err);
void plan_job_started(struct store_batch *b, struct engine *e, const struct job *j);

#endif
