/* A stack in a simulated world: the parts of stack.h on hosts of a `struct sim`, with virtual agents on hosts of their
 * own and made-up programs. Everything is repeatable from the sim's seed. */
#ifndef DALANG_SIMULATOR_SIMULATED_H
#define DALANG_SIMULATOR_SIMULATED_H

#include "client/client.h"
#include "simulator/fleet/behaviour.h"
#include "simulator/stack/group.h"
#include "simulator/stack/stack.h"
#include "simulator/world/sim.h"

struct simulated_opts {
    struct sim *sim;
    uint32_t agents;
    const char *name_format;    /* NULL: "node-{n:04}.example.com" */
    size_t brokers;             /* 0: 1 */
    const json_t *behaviours;   /* of the agents, or NULL */
    const json_t *facts;        /* of every agent, or NULL */
    const json_t *state;        /* of the fakes, or NULL */
    bool v1;                    /* agents speak PCP v1 */
    uint64_t connect_spread_us; /* agents start at seeded times within this; 0: one second */
    /* Fills the directory that the Puppet Server serves as modules of production; NULL: copies nothing. */
    bool (*fill_modules)(void *ctx, struct world *puppetserver, const char *dir, struct error *err);
    void (*configure_orchestrator)(void *ctx, struct orchestrator_config *config);
    void (*configure_broker)(void *ctx, size_t index, struct broker_config *config);
    void *configure_ctx;
    bool log_to_trace; /* the parts' log lines go into the trace (and its hash) */
    /* Agents that differ: instead of agents, name_format, behaviours, facts, v1 and connect_spread_us. NULL: alike. */
    const struct agent_group *groups;
    size_t group_count;
    const struct logger *log; /* instead of the trace; agents log by their names, too. Or NULL */
};

struct simulated;
struct simulated *simulated_new(const struct simulated_opts *opts, struct error *err);
bool simulated_ready(const struct simulated *s);
struct stack *simulated_stack(const struct simulated *s);
/* A client of the orchestrator on a host of its own ("client"), with the admin's token. Freed with the rest. */
struct client *simulated_client(struct simulated *s);
/* By number, 0-based. */
struct world *simulated_agent_host(const struct simulated *s, uint32_t index);
const char *simulated_agent_name(const struct simulated *s, uint32_t index);
/* kill -9 of an agent, a broker or the orchestrator ("broker-1", "orchestrator", or a certname), and its return. */
bool simulated_crash(struct simulated *s, const char *component, enum sim_crash_kind kind);
bool simulated_restart(struct simulated *s, const char *component, struct error *err);
/* An agent's certificate is revoked, and brokers and orchestrator get the new list; it gets one whose time is over, or
 * another good one, and starts again with it. */
bool simulated_revoke(struct simulated *s, const char *certname, struct error *err);
bool simulated_expire(struct simulated *s, const char *certname, struct error *err);
bool simulated_renew(struct simulated *s, const char *certname, struct error *err);
uint64_t simulated_programs_started(const struct simulated *s);
/* Frees all cores at once, and programs with them; the sim stays. */
void simulated_free(struct simulated *s);

#endif
