/* What must always hold, checked by those who only watch (harness.md §2): independent of the code of broker, agent and
 * orchestrator, from what crosses the network, which programs are started, and what reaches a disk or a log.
 *
 *   1  every node of an acknowledged job ends in exactly one final state, exactly once in the event stream
 *   2  a task runs at most once per transaction id on an agent
 *   3  an acknowledged job is never lost
 *   4  every message to the broker is delivered once, or answered with an error, or lost with a connection
 *   5  concurrency limits are never exceeded; a job that could run is not starved
 *   6  event ids increase over the whole server, no event is ever missing, reading again gives the same
 *   7  node and job states only move along legal transitions
 *   8  no message reaches a URI other than its target; no sender differs from its certificate
 *   9  no job exists whose user lacked the permission when it was created
 *   10 no sensitive value appears in logs, database, traces or errors
 *   11 at the end timers, connections and files are back at the start's level
 *
 *     struct checks *c = checks_new(sim, &opts);
 *     checks_secret(c, "s3cret"); … run … at the end read every job, its nodes and its events once through the API …
 *     checks_finish(c);
 *     for (i…) checks_violation(c, i)->text
 *
 * Violations are found as soon as they can be; 1, 3 and the vanished messages of 4 only by checks_finish(). */
#ifndef DALANG_SIMULATOR_CHECKS_H
#define DALANG_SIMULATOR_CHECKS_H

#include "base/json.h"
#include "simulator/world/sim.h"

enum { INVARIANTS = 11, VIOLATIONS_MAX = 1000 };

struct checks_opts {
    const char *orchestrator; /* host; NULL: "orchestrator" */
    uint16_t api_port;        /* 0: 8143 */
    uint16_t broker_port;     /* of every PCP broker; 0: 8142. Brokers at other ports: add them with checks_broker() */
    uint32_t task_limit;      /* task_concurrency; 0: not checked */
    uint32_t deploy_limit;    /* global_concurrent_compiles; 0: not checked */
    /* May who shows this token (or, NULL, this certificate) give this command now? NULL: 9 is not checked. */
    bool (*permitted)(void *ctx, const char *token, const char *common_name, const char *command,
                      const json_t *request);
    /* A node of a job, each time a whole list shows it otherwise than before. May be NULL. */
    void (*node)(void *ctx, const char *job, const json_t *node);
    /* Does this host's level count (11)? NULL: every host's. */
    bool (*level_counts)(void *ctx, const char *host);
    void *ctx;
};

struct violation {
    int invariant; /* 1 … INVARIANTS */
    uint64_t at_us;
    char *text;
};

struct checks;
struct checks *checks_new(struct sim *sim, const struct checks_opts *opts); /* opts may be NULL */
void checks_free(struct checks *c);
void checks_broker(struct checks *c, const char *host, uint16_t port);
/* This text (at least 4 bytes) must not be seen anywhere but on a connection between orchestrator, broker and agent,
 * in a request to the API and on a program's standard input. */
void checks_secret(struct checks *c, const char *text);
/* The level everything must be back at; and whether it is. Both between events, with nothing under way. */
void checks_level_start(struct checks *c);
void checks_level_end(struct checks *c);
/* Everything has converged: what has not ended by now never will. */
void checks_finish(struct checks *c);

/* For whoever drives the run and knows more: what it found wrong. */
void checks_report(struct checks *c, int invariant, const char *text);
size_t checks_violation_count(const struct checks *c); /* at most VIOLATIONS_MAX are kept */
const struct violation *checks_violation(const struct checks *c, size_t i);
const char *checks_invariant(int number); /* one line */

/* What was seen, so that a quiet checker can be told from a blind one. */
struct checks_seen {
    uint64_t messages_to_broker, messages_delivered, messages_refused, messages_lost;
    uint64_t jobs_acknowledged, events, runs, api_responses;
};
struct checks_seen checks_seen(const struct checks *c);

/* Each message as it arrives: HTTP requests and responses of the API, PCP messages between clients and brokers. */
struct checks_message {
    const char *from, *to; /* hosts */
    const char *text;      /* "GET /orchestrator/v1/jobs/1", "200", "rpc_non_blocking_request pcp://… -> pcp://…" */
};
void checks_on_message(struct checks *c, void (*on_message)(void *ctx, const struct checks_message *m), void *ctx);

/* The ids of jobs that were acknowledged so far, in order; for who reads them all at the end. */
size_t checks_job_count(const struct checks *c);
const char *checks_job_id(const struct checks *c, size_t i);

#endif
