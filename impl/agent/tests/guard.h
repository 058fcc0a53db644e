/* A world before another one: it can die at any call, and leave out single syncs. */
#ifndef DALANG_AGENT_TESTS_GUARD_H
#define DALANG_AGENT_TESTS_GUARD_H

#include "agent/tests/bench.h"

struct guard {
    struct world world;
    struct bench *bench;
    unsigned calls, limit; /* calls with an effect so far; the limit-th and all later ones do not happen. 0: no limit */
    unsigned syncs, skipped; /* syncs so far; the skipped-th only claims to happen. 0: none */
    bool dead;
    void (*on_death)(struct bench *b); /* told once, in the middle of things: only sets a timer */
};

/* Before the agent is started. One guard at a time. */
void guard_install(struct guard *g, struct bench *b);
void guard_uninstall(struct guard *g);
void guard_revive(struct guard *g); /* after the crash; without a limit */

#endif
