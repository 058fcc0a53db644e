/* Where a scenario runs: a whole stack with its fleet in the simulated or in the real world, behind one interface.
 * Everything the runner does, it does from timers of the stage: outside of every actor. */
#ifndef DALANG_SCENARIO_STAGE_H
#define DALANG_SCENARIO_STAGE_H

#include "scenarios/runner/journal.h"
#include "scenarios/runner/scenario.h"
#include "simulator/stack/stack.h"

struct stage;
struct stage_opts {
    const struct scenario *scenario;
    const struct scenario_stack *stack; /* with the default modules' files */
    uint64_t seed;
    const char *dir; /* real world only */
    struct journal *journal;
    void (*trace)(void *ctx, struct span text);
    void *trace_ctx;
};

struct stage_ops {
    /* Adds to `left` (may be NULL) what actors left behind. */
    void (*free)(struct stage *s, struct buf *left);
    bool (*ready)(const struct stage *s, bool all_agents);
    /* Lets something happen; false: nothing ever will again. */
    bool (*turn)(struct stage *s);
    /* The same, for who knows the runner's world alone. */
    void (*turn_world)(struct world *w);
    uint64_t (*now_us)(const struct stage *s);
    void (*timer_start)(struct stage *s, struct timer *t, uint64_t delay_us, void (*fire)(void *ctx), void *ctx);
    void (*timer_stop)(struct stage *s, struct timer *t);
    /* Of faults.h; services and certificates are done here, too. */
    bool (*fault)(struct stage *s, const json_t *spec, struct error *err);
    bool (*heal)(struct stage *s, struct error *err);
    /* Client context that shows this name's certificate (issued when it does not exist); NULL name: none. The stage
     * owns it. */
    struct world_tls *(*tls)(struct stage *s, const char *name, struct error *err);
    /* The files of the certificate "client", of the CA and its CRL, in the runner's world. */
    bool (*client_files)(struct stage *s, struct world_tls_files *out, struct error *err);
    /* Invariants that were found broken: appended, one a line. */
    bool (*sound)(struct stage *s, struct buf *violations);
    uint64_t (*hash)(const struct stage *s);
};
struct stage {
    const struct stage_ops *ops;
    struct world *world; /* of the runner: "client" */
    struct stack *stack;
    struct world *modules_world; /* where modules lie, and in which directory */
    const char *modules_dir;
    const char *client_dir; /* real: the directory with client-tools/; NULL in the simulated world */
};

struct stage *stage_sim_new(const struct stage_opts *opts, struct error *err);
struct stage *stage_real_new(const struct stage_opts *opts, struct error *err);

/* Writes the files of a stack into the directory. */
bool stage_fill_modules(const struct scenario_stack *stack, struct world *w, const char *dir, struct error *err);

#endif
