/* A stack on this machine, in this process: certificates, stack, virtual agents, real agents, and the files people need
 * to use it. `dalang up` is this plus a command line; the scenario runner's real world and the C test library use it
 * too. */
#ifndef DALANG_SIMULATOR_LOCAL_H
#define DALANG_SIMULATOR_LOCAL_H

#include "simulator/fleet/fleet.h"
#include "simulator/stack/stack.h"

struct local_opts {
    struct world *world;     /* the real one */
    const char *dir;         /* absolute; made when absent. Certificates, tokens, database, logs, real agents */
    const char *modules;     /* NULL: the modules that come with Dalang */
    const char *listen_host; /* NULL: 127.0.0.1 */
    uint32_t port_base;      /* as in stack_opts */
    size_t brokers;
    uint32_t agents;    /* virtual ones; at most LOCAL_AGENTS_MAX */
    uint32_t elsewhere; /* virtual ones in other processes, numbered after these: known to PuppetDB, waited for */
    uint32_t real_agents;
    const char *name_format;        /* of the virtual ones */
    const char *storage;            /* of the virtual ones: fleet_opts.storage */
    const char *exec_path;          /* dalang-exec, for real agents */
    const char *puppet_module;      /* the program pxp-module-puppet, for real agents; NULL: they cannot run Puppet */
    const char *puppet_bin;         /* what it runs as `puppet` */
    const char *const *environment; /* of the tasks of real agents: "NAME=value", NULL-terminated */
    const json_t *behaviours;       /* of the virtual agents, or NULL */
    const json_t *facts;            /* of every agent, merged over the generated ones; or NULL */
    const json_t *state;            /* of the fakes, or NULL */
    uint64_t seed;
    bool faults; /* local_fault() may be called: connections to every component can be made faulty */
    const char *puppetdb_url, *puppetserver_url, *rbac_url, *classifier_url; /* real services, or NULL */
    void (*configure_orchestrator)(void *ctx, struct orchestrator_config *config);
    void (*configure_broker)(void *ctx, size_t index, struct broker_config *config);
    void *configure_ctx;
    const struct logger *log;
};
enum { LOCAL_AGENTS_MAX = 1000, LOCAL_REAL_AGENTS_MAX = 100 };

struct local;
/* error kinds: "world/…" (a port in use, an unwritable directory …), "certs/…", "behaviour", "usage". */
struct local *local_new(const struct local_opts *opts, struct error *err);
/* Everything is up and every agent is in the orchestrator's inventory. */
bool local_ready(const struct local *l);
/* Why it will never be ready: a real PuppetDB did not take the nodes' facts. NULL: nothing is known against it. */
const char *local_trouble(const struct local *l);
/* What `dalang up --json` prints (design: "The programs"); new reference. */
json_t *local_describe(const struct local *l);
struct stack *local_stack(const struct local *l);
struct fleet *local_fleet(const struct local *l); /* NULL without virtual agents */
/* Begins a fault of simulator/faults/live.h on components ("broker-1", "orchestrator", "console", "puppetdb",
 * "puppetserver"), agents and "client" (who shows no certificate, or that of people). Agents of other processes can be
 * cut off, not killed. Error kinds: "usage", and those of live_faults_apply(). */
bool local_fault(struct local *l, const json_t *spec, struct error *err);
/* Ends all of them, and every fault of the fakes. */
bool local_heal(struct local *l, struct error *err);
/* Ends agents, then the stack; done when all is closed. Freed by then. */
void local_stop(struct local *l, void (*done)(void *ctx), void *ctx);
void local_free(struct local *l);

#endif
