/* Made-up histories for the checkers: what a trace of the simulated world would hold. */
#ifndef DALANG_CHECKS_TESTS_HISTORY_H
#define DALANG_CHECKS_TESTS_HISTORY_H

#include "simulator/checks/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct history {
    struct sim *sim;
    struct checks *c;
    uint64_t next_id;
};

void history_start(struct history *h, const struct checks_opts *opts);
/* Ends the run: exactly these invariants must have been violated, in this order; 0 ends the list. */
void history_expect(struct history *h, ...);
void history_end(struct history *h);
void history_clean(struct history *h); /* finish, no violation, end */

/* One request to the API and its answer. body and answer: JSON texts. */
void history_api(struct history *h, const char *method, const char *target, const char *body, int status,
                 const char *answer);
/* POST /command/task for these nodes, answered with that job. */
void history_task(struct history *h, const char *job, const char *nodes);
void history_job(struct history *h, const char *job, const char *state);
/* "a:finished b:failed" */
void history_nodes(struct history *h, const char *job, const char *nodes);
/* "1:node_running:a 2:node_finished:a 3:job_finished", read from `start`, next event `next`. */
void history_events(struct history *h, const char *job, uint64_t start, const char *events, uint64_t next);
/* The three reads of a job that ended well on one node "a", with event ids first, first + 1, first + 2. */
void history_whole_job(struct history *h, const char *job, uint64_t first);

/* A client of broker-1 with a certificate of that name; returns the connection. */
uint64_t history_client(struct history *h, const char *name, const char *type);
/* The same in two steps: it is on its way; the broker takes it. */
uint64_t history_connect(struct history *h, const char *name);
void history_accept(struct history *h, uint64_t connection, const char *name, const char *type);
void history_close(struct history *h, uint64_t connection);
enum history_place { TO_BROKER, FROM_BROKER, AT_CLIENT_END };
void history_message(struct history *h, uint64_t connection, enum history_place place, const char *id,
                     const char *sender, const char *target, const char *type, const char *in_reply_to);
void history_event(struct history *h, const char *host, enum sim_event_kind kind, uint64_t id, bool server_end,
                   const char *text, struct span bytes);

#endif
