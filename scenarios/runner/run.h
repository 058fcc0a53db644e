/* One scenario under way in one world: a state machine that never blocks. Steps wait on timers and observations of the
 * stage they run on, so the same code runs in virtual and in real time. */
#ifndef DALANG_SCENARIO_RUN_H
#define DALANG_SCENARIO_RUN_H

#include "scenarios/runner/stage.h"
#include "scenarios/runner/steps/steps.h"

struct run_opts {
    const struct scenario *scenario;
    enum scenario_world world;
    uint64_t seed;
    const char *dir;             /* real world: a private, absolute directory */
    const char *default_modules; /* directory of the modules that come with Dalang, or NULL */
    bool verbose;                /* steps are told on stderr as they begin */
    /* Trace-event JSON goes here (Perfetto opens it); NULL: none. */
    void (*trace)(void *ctx, struct span text);
    void *trace_ctx;
};

struct run_result {
    bool passed;
    uint64_t took_us; /* the world's time */
    uint64_t wall_us; /* the clock on the wall */
    uint64_t hash;    /* of the simulated world's trace */
    char *where;      /* "file:line" of the step that failed; NULL: none */
    char *what;       /* the step in short, or what went wrong otherwise */
    char *expected, *seen;
    char *logs; /* the last lines of every actor */
    size_t agents;
};
/* Runs it to the end. */
void run_scenario(const struct run_opts *opts, struct run_result *out);
void run_result_free(struct run_result *r);

/* ------------------------------------------------------------------------------------------ for the steps */

struct run;
struct stage *run_stage(const struct run *r);
const json_t *run_vars(const struct run *r);
void run_set(struct run *r, const char *name, json_t *value); /* steals value */
/* The step is over. result (stolen, may be NULL) is what `as` names. */
void run_step_done(struct run *r, json_t *result);
/* It failed: what was expected (one line or more), and what was last seen. Both are copied. */
void run_step_failed(struct run *r, const char *expected, const char *seen);
/* How long the step may still wait; at first the step's `within`, or `otherwise_us`. */
uint64_t run_time_left_us(struct run *r, uint64_t otherwise_us);
/* What is waited for will never hold. */
void run_give_up(struct run *r);
bool run_has_within(const struct run *r);
bool run_is_over(const struct run *r);
/* Calls fn once, later; only one at a time. */
void run_later(struct run *r, uint64_t delay_us, void (*fn)(struct run *r));
/* Lines for people: into the journal (and with verbose to stderr). */
void run_say(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Begins the inner steps of the step under way (steps:, include:); it is done when they are. */
void run_enter(struct run *r);
/* State of the step under way; freed with `release` when the step is over, however it ends. */
void run_keep(struct run *r, void *state, void (*release)(struct run *r, void *state));
void *run_kept(const struct run *r);
/* Something that must block (a command line program): called with nothing else on the stack; it turns the stage. */
void run_blocking(struct run *r, void (*fn)(struct run *r));

/* Raw PCP clients of this run (steps/pcp.c). */
struct list *run_clients(struct run *r);

/* ---- requests */

struct ask {
    const char *method, *url;
    json_t *headers; /* {name: text} or NULL; borrowed */
    struct span body;
    const char *content_type; /* NULL: application/json when there is a body */
    const char *user;         /* whose token; NULL: admin; "": nobody's */
    const char *certificate;  /* shown as the client's; NULL: none */
    uint64_t timeout_us;      /* 0: 60 s */
};
struct answer {
    int status;        /* 0: none came, see error */
    const char *error; /* or NULL */
    json_t *headers;   /* {name: text}, names in lower case */
    json_t *json;      /* NULL: empty or not JSON */
    const char *text;  /* the body */
};
/* One request at a time; cancelled when the step ends. False: it could not even be made (the step has failed). */
bool run_request(struct run *r, const struct ask *a, void (*answered)(struct run *r, const struct answer *a));
/* "orchestrator", "rbac", "broker-1" …: base URL, or NULL. */
const char *run_service_url(const struct run *r, const char *service);

/* Asks again and again until `holds` says so or the time is up. holds returns true with *result (may stay NULL), or
 * false after writing into seen what it saw. url may be changed by it for the next look (mem_free'd string). */
struct look {
    char *url; /* stolen */
    const char *user;
    char *expected; /* stolen: for the report */
    bool (*holds)(struct run *r, const struct answer *a, struct buf *seen, json_t **result);
};
void run_look(struct run *r, const struct look *look);

#endif
