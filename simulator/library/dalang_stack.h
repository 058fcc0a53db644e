/* A whole stack for tests in C: broker, orchestrator, fakes and agents on this machine, from one call.
 *
 *     char why[DALANG_STACK_ERROR_MAX];
 *     struct dalang_stack *s = dalang_stack_start(&(struct dalang_stack_opts){.agents = 20}, why, sizeof(why));
 *     char *events = NULL;
 *     const char *const run[] = {"puppet-task", "run", "echo", "message=hi", "--query", "nodes[certname]{}", NULL};
 *     assert(dalang_stack_run(s, run, &events, NULL) == 0);
 *     … your client against dalang_stack_get(s, "orchestrator"), with dalang_stack_token(s) and dalang_stack_ca(s) …
 *     dalang_stack_fault(s, "{\"restart\": \"broker-1\", \"down_for\": \"2s\"}", why, sizeof(why));
 *     dalang_stack_stop(s);
 *
 * Each stack has a directory and free ports of its own, so tests run in parallel. It ends with the process that started
 * it. Needs the program `dalang` and nothing but the C library; not for several threads at once on one stack.
 * CMake: find_package(Dalang), target_link_libraries(… Dalang::stack); #include <dalang/dalang_stack.h>, or for cmocka
 * <dalang/dalang_cmocka.h>. */
#ifndef DALANG_STACK_H
#define DALANG_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { DALANG_STACK_ERROR_MAX = 512 };

struct dalang_stack_opts {
    const char *program;     /* path of `dalang`; NULL: $DALANG_PROGRAM, else the one find_package(Dalang) found, else
                              * the one in $PATH */
    unsigned agents;         /* virtual ones, node-0001.example.com … */
    unsigned real_agents;    /* that execute tasks on this machine */
    unsigned brokers;        /* 0: 1 */
    const char *dir;         /* NULL: a temporary one, removed at the end */
    const char *modules;     /* directory with your modules; NULL: those that come with Dalang */
    const char *behaviour;   /* JSON file: what virtual agents do; see dalang up --help */
    const char *state;       /* JSON file: users, roles, groups, nodes of the services */
    const char *const *more; /* further arguments of `dalang up`, NULL-terminated; or NULL */
    unsigned timeout_ms;     /* to be ready; 0: 60 000 */
};

struct dalang_stack;

/* Returns when everything is up and all agents are connected. NULL: `why` holds one line. opts may be NULL. */
static inline struct dalang_stack *dalang_stack_start(const struct dalang_stack_opts *opts, char *why, size_t why_size);
/* Ends it and waits. NULL is fine. */
void dalang_stack_stop(struct dalang_stack *s);

/* What `dalang up --json` said: "orchestrator", "broker", "broker_v1", "rbac", "classifier", "puppetdb",
 * "puppetserver", "console", "dir", "ca", "token_file", "cert", "key". NULL when there is no such text. Lives as long
 * as the stack. */
const char *dalang_stack_get(const struct dalang_stack *s, const char *key);
const char *dalang_stack_ca(const struct dalang_stack *s);    /* PEM file */
const char *dalang_stack_token(const struct dalang_stack *s); /* the administrator's, for X-Authentication */

/* Runs a program that comes with dalang ("puppet-task", "puppet-job", "puppet-query", "dalang" …) against this stack,
 * or any other by its path or from $PATH (it finds DALANG_DIR in its environment). Its exit code; 128 + N: ended by
 * signal N; -1: it could not be started, or argv names none. *out and *err (may be NULL): what it printed; free() them.
 */
int dalang_stack_run(const struct dalang_stack *s, const char *const *argv, char **out, char **err);
/* A task on the nodes of a PQL query (NULL: all of them); params: {"name=value", …, NULL} or NULL. True: every node
 * succeeded. *json (may be NULL): what happened, as `puppet-task --format json` prints it; free() it. */
bool dalang_stack_task(const struct dalang_stack *s, const char *task, const char *const *params, const char *query,
                       char **json);

/* A fault, as in a scenario (see dalang fault --help), on brokers, orchestrator, services, links and single agents:
 * {"restart": "broker-1"}, {"partition": {"a": "node-0001.example.com"}, "for": "2s"}, {"service": {…}} … */
bool dalang_stack_fault(const struct dalang_stack *s, const char *json, char *why, size_t why_size);
bool dalang_stack_heal(const struct dalang_stack *s, char *why, size_t why_size); /* ends all faults */

/* Asks again and again until holds(ctx); false after timeout_ms. */
bool dalang_stack_wait(bool (*holds)(void *ctx), void *ctx, unsigned timeout_ms);

/* What dalang_stack_start() is made of. found: the program to run when nobody names another; NULL: the one in $PATH. */
struct dalang_stack *dalang_stack_start_with(const char *found, const struct dalang_stack_opts *opts, char *why,
                                             size_t why_size);
#ifndef DALANG_STACK_PROGRAM /* find_package(Dalang) defines it */
#define DALANG_STACK_PROGRAM NULL
#endif
static inline struct dalang_stack *dalang_stack_start(const struct dalang_stack_opts *opts, char *why,
                                                      size_t why_size) {
    return dalang_stack_start_with(DALANG_STACK_PROGRAM, opts, why, why_size);
}

#ifdef __cplusplus
}
#endif
#endif
