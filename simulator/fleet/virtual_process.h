/* Made-up child processes in real (or any) time: a process facet of world.h in which programs are behaviours.
 * One `virtual_processes` serves many agents; each agent's world gets a facet of its own with virtual_processes_join().
 * It plays dalang-exec (agent/exec.h): what the made-up program prints lands where the real one would put it. */
#ifndef DALANG_FLEET_VIRTUAL_PROCESS_H
#define DALANG_FLEET_VIRTUAL_PROCESS_H

#include "simulator/fleet/behaviour.h"
#include "world/world.h"

struct virtual_processes_opts {
    struct world *clock; /* whose time and timers are used */
    uint64_t seed;
    /* A Puppet run ended: its report as "store report" 8; borrowed. May be NULL. */
    void (*report)(void *ctx, const char *node, const json_t *report);
    void *report_ctx;
};
struct virtual_processes;
struct virtual_processes *virtual_processes_new(const struct virtual_processes_opts *opts);
void virtual_processes_free(struct virtual_processes *v); /* what runs ends without a trace */
size_t virtual_processes_running(const struct virtual_processes *v);
uint64_t virtual_processes_started(const struct virtual_processes *v);

/* Sets the process facet of `w` (an agent's own struct world, whose file facet must be set). `behaviours` and `node`
 * are borrowed and must live as long as w does. Frees with virtual_processes_leave(). */
void virtual_processes_join(struct virtual_processes *v, struct world *w, const struct behaviours *behaviours,
                            const char *node);
void virtual_processes_leave(struct virtual_processes *v, struct world *w);

#endif
