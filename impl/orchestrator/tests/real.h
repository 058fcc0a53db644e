/* dalang-orchestrator as a process on real sockets, with a stack from `dalang up` around it (broker, services, virtual
 * agents) and a client of its API in the test's own process. */
#ifndef DALANG_ORCHESTRATOR_TESTS_REAL_H
#define DALANG_ORCHESTRATOR_TESTS_REAL_H

#include "base/json.h"
#include "world/real.h"

struct real {
    struct world *world;
    char dir[64];
    struct world_tls *tls;
    struct world_process *up, *orchestrator;
    bool ended; /* the orchestrator */
    struct world_exit exit;
    struct buf up_output, output; /* the orchestrator's log */
    json_t *stack;                /* the line of `dalang up --json` */
    char *token;
    uint16_t port;
    /* of the request under way */
    bool answered;
    int status; /* 0: no answer */
    json_t *body;
};

struct real *real_new(int agents);
void real_free(struct real *r);
/* Starts it and waits until it takes requests. */
void real_start(struct real *r);
void real_signal_it(struct real *r, int signal);
int real_wait_end(struct real *r); /* its exit status, or 128 + signal */
/* Runs it with these arguments (NULL-terminated) to its end; its output is in r->output. */
int real_run_it(struct real *r, const char *const *arguments);
void real_pause(struct real *r, unsigned ms);
/* POST with a body, GET without. The answer is in r->status, r->body. */
void real_ask(struct real *r, const char *path, const char *body);
char *real_config(const struct real *r); /* path of its configuration file; mem_free() it */

#endif
