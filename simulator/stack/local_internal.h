/* What the files of local share. */
#ifndef DALANG_SIMULATOR_LOCAL_INTERNAL_H
#define DALANG_SIMULATOR_LOCAL_INTERNAL_H

#include "agent/agent.h"
#include "simulator/faults/live.h"
#include "simulator/fleet/reports.h"
#include "simulator/stack/local.h"

enum { LOCAL_COMPONENTS = 5, LOCAL_FILES_MAX = LOCAL_COMPONENTS + STACK_BROKERS_MAX };

/* A component's certificate files. */
struct files {
    char *component, *cert, *key;
};

struct real_agent {
    char *name, *spool, *cache, *state;
    char *puppet_conf;        /* "DALANG_PUPPET_CONF=…" */
    const char **environment; /* ours and that */
    struct agent_config config;
    struct world_tls *tls;
    struct agent *agent;
};

struct local {
    struct local_opts opts;
    struct certs_ca *ca;
    char *ca_path, *crl_path, *pxp_modules, *pxp_module_config;
    struct behaviours *behaviours;
    struct files files[LOCAL_FILES_MAX];
    size_t file_count;
    struct stack *stack;
    struct world_tls *client_tls;
    struct reports *reports; /* to a real PuppetDB; NULL: ours is in this process */
    struct fleet *fleet;
    char *broker_urls[STACK_BROKERS_MAX]; /* "wss://…/pcp2/" */
    const char *primary, *puppetdb;       /* base URLs, of the real ones where they were given */
    struct agent_config agent_config;
    struct real_agent *real_agents;
    struct logger agent_log;
    struct netfaults *net; /* NULL: no faults were asked for */
    struct live_faults *faults;
    char **names; /* who there is, NULL-terminated; NULL: nobody has asked */
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

/* local_agents.c: agents that really execute tasks */
bool local_start_real_agents(struct local *l, struct error *err);
void local_free_real_agents(struct local *l);
void local_launch_real_agent(struct local *l, struct real_agent *r); /* when it is down */
void local_kill_real_agent(struct real_agent *r);
/* Another certificate (one whose time is over), and it starts again with it. */
bool local_renew_real_agent(struct local *l, struct real_agent *r, bool expired, struct error *err);
/* Tells PuppetDB the facts of an agent. */
bool local_know_node(struct local *l, const char *name, uint32_t number, struct error *err);

/* local_faults.c */
void local_make_faulty(struct local *l);
void local_end_faults(struct local *l); /* before anything else ends */

#endif
