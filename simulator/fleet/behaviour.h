/* What virtual agents do: how long a task takes, what it prints, how it ends; how a Puppet run goes (harness.md §1).
 * The agent core is the real one; only this is made up. Pure: draws from the generator it is given.
 *
 * From JSON, as in a scenario's fleet entry:
 *   {"tasks": {"echo": {"takes": <duration>, "stdout": "…", "stderr": "…", "exit": 0, "signal": 9,
 *                       "unkillable": true}, "default": {…}},
 *    "puppet_run": {"takes": <duration>, "status": {"unchanged": 0.9, "changed": 0.09, "failed": 0.01}, "exit": 0,
 *                   "error": "agent_disabled", "report": true}}
 * <duration>: "200ms" · {"uniform": ["0s", "1s"]} · {"lognormal": {"p50": "200ms", "p99": "2s"}} · {"exponential":
 * "1s"}. unkillable: no signal ends it, as when it waits for a file server that is gone. Texts may hold {params.NAME}
 * (raw for strings, else JSON), {params} (the parameters as a JSON object), {node}, {task}. A task without an entry and
 * without "default": takes no time, prints its parameters as a JSON object, exit 0.
 */
#ifndef DALANG_FLEET_BEHAVIOUR_H
#define DALANG_FLEET_BEHAVIOUR_H

#include "base/error.h"
#include "base/json.h"
#include "simulator/world/dist.h"

struct behaviours;

/* spec NULL or {}: the defaults. Error kind "behaviour", naming the key. */
struct behaviours *behaviours_new(const json_t *spec, struct error *err);
void behaviours_free(struct behaviours *b);
bool duration_dist(const json_t *spec, struct dist *out_us, struct error *err); /* a <duration>, in microseconds */

/* One run of a made-up program, as the agent would have started it. */
struct invocation {
    const char *node;
    const char *const *argv; /* executable and arguments */
    const char *const *env;  /* "NAME=value"; may be NULL */
    struct span input;       /* standard input */
    int64_t wall_ms;         /* when it starts */
};
struct made_up {
    uint64_t takes_us;
    int status;
    int signal; /* 0: none */
    bool unkillable;
    struct buf out, err;
    json_t *report;        /* a Puppet run's report as PuppetDB's "store report" 8 takes it, or NULL */
    char *output_files[3]; /* a Puppet run of a non-blocking request: paths of stdout, stderr, exitcode; or NULL */
};
void made_up_free(struct made_up *m);

/* A task: named by _task among its parameters (environment PT__task or JSON on standard input). */
void behaviour_task(const struct behaviours *b, const struct invocation *i, struct rng *r, struct made_up *out);
/* pxp-module-puppet with action "metadata" or "run" (agent.md §17). */
void behaviour_puppet(const struct behaviours *b, const struct invocation *i, struct rng *r, struct made_up *out);

/* Of a shell's commands the made-up world understands one, by which the orchestrator ends a run by force: it names the
 * transaction (orchestrator-jobs.md §12.3). */
bool behaviour_is_shell(const char *const *argv);
/* Does this command end the run whose process id is in <spool>/<transaction id>/pid? pid_file may be NULL. */
bool behaviour_kills(const char *const *argv, const char *pid_file);
/* Whichever of the two argv[0] names. */
void behaviour_run(const struct behaviours *b, const struct invocation *i, struct rng *r, struct made_up *out);

extern const char puppet_module_name[];     /* "pxp-module-puppet" */
extern const char puppet_module_metadata[]; /* what it prints for "metadata" */

#endif
