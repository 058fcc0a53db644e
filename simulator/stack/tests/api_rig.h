/* For tests of the orchestrator's API: a whole stack in the simulated world with users, groups, modules and two agents,
 * and a person's HTTP client. Requests and expected answers are data. */
#ifndef DALANG_STACK_TESTS_API_RIG_H
#define DALANG_STACK_TESTS_API_RIG_H

#include "base/json.h"
#include "simulator/stack/simulated.h"

struct api_rig {
    struct sim *sim;
    struct simulated *stack;
    struct world *person;                 /* a host of its own */
    struct world_tls *tls, *stranger_tls; /* with the allow-listed certificate "client", and with another one */
    json_t *state;
    const char *accept; /* header of the requests; NULL: none */
    /* Settings, before api_rig_start(). */
    void (*configure)(struct orchestrator_config *config);
    const json_t *behaviours;
    size_t brokers;                   /* 0: 1 */
    const struct agent_group *groups; /* instead of two agents that are alike; NULL: those */
    size_t group_count;
    const char *content_type; /* of the bodies; NULL: application/json */
};

/* The people: */
#define ADMIN "token-admin"       /* superuser */
#define VIEWER "token-viewer"     /* orchestrator:view only */
#define OPERATOR "token-operator" /* may run Puppet, the tasks echo and typed, query nodes, plans demo */
#define LIMITED "token-limited"   /* run_with_constraints of task-target 1 */
#define GRANTED "token-granted"   /* run_with_constraints of task-target 2 */
#define TASKER "token-tasker"     /* may run the task echo, but not query nodes */
#define NOBODY "token-nobody"     /* no permission at all */
#define EXPIRED "token-expired"
#define REVOKED "token-revoked"
#define TIMED_OUT "token-idle"    /* was not used for too long */
#define REVOKED_USER "token-gone" /* its user is revoked */
#define CERTIFICATE "certificate" /* no token: the allow-listed certificate */
#define STRANGER NULL             /* neither */
/* Node groups: with a rule that selects both agents; without a rule; one whose rule selects nobody. */
#define GROUP_ALL "11111111-1111-4111-8111-111111111111"
#define GROUP_BARE "22222222-2222-4222-8222-222222222222"
#define GROUP_NONE "33333333-3333-4333-8333-333333333333"
/* The agents. */
#define NODE_1 "node-0001.example.com"
#define NODE_2 "node-0002.example.com"

void api_rig_start(struct api_rig *rig);
void api_rig_end(struct api_rig *rig);
void api_rig_run(struct api_rig *rig, uint64_t us);

struct reply {
    int status;
    json_t *body; /* NULL: empty or not JSON */
    char *text;
};
/* body: JSON text or NULL. json_free with reply_free(). */
struct reply api_ask(struct api_rig *rig, const char *who, const char *method, const char *path, const char *body);
void reply_free(struct reply *r);
/* Polls a job until it is over; fails the test when it takes longer than five minutes. Its final state: static text. */
const char *api_wait_job(struct api_rig *rig, const char *id);

/* One request and what must come back. */
struct exchange {
    const char *who, *method, *path, *body;
    int status;
    const char *kind;    /* of the error; behind "puppetlabs.orchestrator/" unless it has a '/' of its own */
    const char *details; /* its keys, sorted, separated by blanks; NULL: not looked at */
    const char *shape;   /* of a success; see shape.h; NULL: not looked at */
    uint64_t then_us;    /* time that passes afterwards */
};
#define FAILS(person, verb, target, text, code, what, keys)                                                            \
    { .who = person, .method = verb, .path = target, .body = text, .status = code, .kind = what, .details = keys }
#define REFUSED(verb, target, text) FAILS(ADMIN, verb, target, text, 400, "validation-error", "error schema value")
#define GIVES(person, verb, target, text, code, form)                                                                  \
    { .who = person, .method = verb, .path = target, .body = text, .status = code, .shape = form }
void api_exchanges(struct api_rig *rig, const struct exchange *list, size_t count);

#endif
