/* Client of the orchestrator's API: one call, or a whole job — connect, run, follow events, cancel.
 * Runs on any world, never blocks. The CLI, the scenario runner and the benchmarks use it.
 * (orchestrator-api.md §3–5, clients.md §2.)
 *
 *     struct client *c = client_new(world, &opts);
 *     client_job_start(c, "task", request, &handler, ctx);   // on_created, on_event…, on_done
 *
 * Everything given in `client_opts` is copied. */
#ifndef DALANG_CLIENT_H
#define DALANG_CLIENT_H

#include "base/json.h"
#include "world/world.h"

struct client_opts {
    const char *url;        /* "https://host:8143", a trailing path such as /orchestrator/v1 is accepted */
    const char *prefix;     /* path put before every call; NULL: "/orchestrator/v1" (RBAC: "" with its own url) */
    const char *token;      /* sent as X-Authentication; NULL: none (a client certificate speaks then) */
    struct world_tls *tls;  /* trust and, if wanted, the client certificate; must outlive the client */
    const char *user_agent; /* NULL: "dalang/<version>" */
    uint64_t timeout_ms;    /* of one call; 0: 60 000 */
    uint64_t poll_ms;       /* between polls where the server does not stream events; 0: 1 000 */
};

struct client;
struct client *client_new(struct world *w, const struct client_opts *opts);
void client_set_token(struct client *c, const char *token);
const char *client_url(const struct client *c);
/* Cancels what is under way (its callbacks are not called). */
void client_free(struct client *c);

/* The answer to a call. err, status and body live until the callback returns. */
struct client_reply {
    /* NULL: 2xx. Else the API's own {kind, msg, details}; for an answer that is none of the API's, or none at all, kind
     * is "client/…" ("client/refused", "client/tls", "client/timeout", "client/not-json", "client/http-status" …). */
    const struct error *err;
    int status;         /* 0: no answer came */
    const json_t *body; /* NULL: empty or not JSON */
};
struct client_call;
/* method GET, POST, PUT or DELETE; path below the prefix, with query. Steals body (may be NULL). */
struct client_call *client_call(struct client *c, const char *method, const char *path, json_t *body,
                                void (*done)(void *ctx, const struct client_reply *r), void *ctx);
void client_call_cancel(struct client_call *call);

/* A job that is run or followed. Order of callbacks: on_created, on_event (any number), on_done (once, last). */
struct client_job;
struct client_job_handler {
    void (*on_created)(void *ctx, struct client_job *job,
                       const char *name); /* the job's id; not for client_job_follow */
    void (*on_event)(void *ctx, struct client_job *job, const json_t *event); /* in order, each once */
    /* A call failed for now and is tried again in wait_ms (the job runs on without us); may be NULL. */
    void (*on_retry)(void *ctx, struct client_job *job, const struct error *err, uint64_t wait_ms);
    /* err NULL: the job is over and `job_object` is its final state (orchestrator-api.md §4.1). Else it was refused or
     * cannot be followed any more. The job is freed when this returns. */
    void (*on_done)(void *ctx, struct client_job *job, const struct error *err, const json_t *job_object);
};
/* command: "task", "deploy", "plan_run". Steals request. */
struct client_job *client_job_start(struct client *c, const char *command, json_t *request,
                                    const struct client_job_handler *handler, void *ctx);
/* Follows an existing job from event id `from` (0: its first). */
struct client_job *client_job_follow(struct client *c, const char *name, uint64_t from,
                                     const struct client_job_handler *handler, void *ctx);
/* The same for a plan job (its events and final object are those of orchestrator-api.md §6). */
struct client_job *client_plan_follow(struct client *c, const char *name, uint64_t from,
                                      const struct client_job_handler *handler, void *ctx);
const char *client_job_name(const struct client_job *job); /* NULL before on_created */
/* Asks the orchestrator to stop it; callbacks go on until the job is over. */
void client_job_stop(struct client_job *job, bool force);
/* Stops following; the job itself runs on. No further callbacks; frees it. */
void client_job_leave(struct client_job *job);

#endif
