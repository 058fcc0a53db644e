/* See real_agents.h. */
#include "scenarios/runner/real_agents.h"

#include "agent/agent.h"
#include "agent/modules.h"
#include "base/map.h"
#include "base/mem.h"
#include "fakes/puppetdb/puppetdb.h"
#include "simulator/fleet/credentials.h"
#include "simulator/fleet/fleet_name.h"
#include "simulator/fleet/shared_fetch.h"
#include "simulator/fleet/virtual_process.h"
#include "simulator/stack/facts.h"
#include "world/memory_files.h"
#include <stdio.h>

static const char spool_dir[] = "/spool";
static const char cache_dir[] = "/tasks-cache";

struct group {
    struct behaviours *behaviours;
    struct agent_config config;
    char *broker_urls[SCENARIO_BROKERS_MAX];
};

struct one {
    struct world world;
    struct real_agents *all;
    const struct group *group;
    char *name;
    struct logger log;
    struct real_credential *credential;
    struct agent *agent; /* NULL while it is down */
    struct timer start;
    bool joined;
};

struct real_agents {
    struct real_agents_opts opts;
    struct world_tls *tls;
    struct agent_modules *modules;
    struct memory_store *store;
    struct shared_fetch *fetches;
    struct virtual_processes *processes;
    EVP_PKEY *key;
    const char *primary;
    struct group *groups;
    struct one *items;
    size_t count;
    struct map by_name;
};

static void launch(void *ctx) {
    struct one *m = ctx;
    struct agent_self self = {.name = m->name,
                              .tls = m->all->tls,
                              .credential = m->credential,
                              .spool_dir = spool_dir,
                              .task_cache_dir = cache_dir};
    if (m->agent == NULL) {
        m->agent = agent_new(&m->world, &m->group->config, &self, NULL, &m->log);
        agent_start(m->agent);
    }
}

static bool know(struct real_agents *a, const struct fleet_entry *e, const char *name, uint32_t number,
                 struct error *err) {
    if (!e->known) {
        return true;
    }
    json_t *facts = node_facts(name, number, e->facts, world_wall_ms(a->opts.world));
    bool ok = fake_puppetdb_command(stack_puppetdb(a->opts.stack), "replace facts", facts, err);
    json_decref(facts);
    return ok;
}

static bool make_one(struct real_agents *a, const struct fleet_entry *e, const struct group *g, uint32_t number,
                     struct rng *rng, struct error *err) {
    struct one *m = &a->items[a->count++];
    m->all = a;
    m->group = g;
    m->name = fleet_format_name(e->name, number);
    m->log = *a->opts.log;
    m->log.name = m->name;
    if (map_put(&a->by_name, span_of(m->name), m) != NULL) {
        return error_set(err, "scenario", "two agents are called %s", m->name);
    }
    m->credential = certs_mint(a->opts.ca, m->name, a->key, world_wall_ms(a->opts.world), err);
    if (m->credential == NULL) {
        return false;
    }
    m->world = *a->opts.world;
    shared_fetch_join(a->fetches, &m->world);
    netfaults_join(a->opts.net, &m->world, m->name);
    memory_files_join(a->store, &m->world);
    virtual_processes_join(a->processes, &m->world, g->behaviours, m->name);
    m->joined = true;
    if (!world_file_mkdir(&m->world, spool_dir, 0750, false, err) ||
        !world_file_mkdir(&m->world, cache_dir, 0750, false, err) || !know(a, e, m->name, number, err)) {
        return false;
    }
    world_timer_start(a->opts.world, &m->start, dist_draw(&e->connect_after_us, rng) / 1000, launch, m);
    return true;
}

static bool make_group(struct real_agents *a, const struct fleet_entry *e, struct group *g, struct error *err) {
    for (size_t i = 0; i < e->broker_count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "broker-%zu", e->brokers[i] + 1);
        g->broker_urls[i] = str_printf("%s/%s/", stack_url(a->opts.stack, name), e->version == PCP_V1 ? "pcp" : "pcp2");
    }
    g->behaviours = behaviours_new(e->behaviours, err);
    g->config = agent_config_default();
    g->config.brokers = (const char *const *)g->broker_urls;
    g->config.broker_count = e->broker_count;
    g->config.primaries = &a->primary;
    g->config.primary_count = 1;
    g->config.version = e->version;
    g->config.modules = a->modules;
    g->config.exec_wrapper = "dalang-exec";
    g->config.shell = "/bin/sh";
    return g->behaviours != NULL;
}

static void on_report(void *ctx, const char *node, const json_t *report) {
    struct real_agents *a = ctx;
    (void)node;
    fake_puppetdb_command(stack_puppetdb(a->opts.stack), "store report", report, NULL);
}

static bool make_all(struct real_agents *a, struct error *err) {
    const struct scenario *s = a->opts.scenario;
    struct rng rng = rng_derive(a->opts.seed, "agents", "start");
    a->groups = mem_array(s->fleet_count + 1, sizeof(*a->groups));
    a->items = mem_array(scenario_agents(s) + 1, sizeof(*a->items));
    for (size_t i = 0; i < s->fleet_count; i++) {
        if (!make_group(a, &s->fleet[i], &a->groups[i], err)) {
            return false;
        }
        for (uint32_t n = 1; n <= s->fleet[i].count; n++) {
            if (!make_one(a, &s->fleet[i], &a->groups[i], n, &rng, err)) {
                return false;
            }
        }
    }
    return true;
}

struct real_agents *real_agents_new(const struct real_agents_opts *opts, struct error *err) {
    struct real_agents *a = mem_zalloc(sizeof(*a));
    a->opts = *opts;
    a->primary = stack_url(opts->stack, "puppetserver");
    a->key = certs_key_new(CERTS_KEY_EC_P256);
    a->store = memory_store_new();
    memory_store_share(a->store, cache_dir);
    a->fetches = shared_fetch_new(opts->world, opts->fetch_tls);
    a->processes = virtual_processes_new(&(struct virtual_processes_opts){
        .clock = opts->world, .seed = opts->seed, .report = on_report, .report_ctx = a});
    a->modules = agent_modules_new();
    a->tls = world_tls_new(opts->world, &(struct world_tls_files){.ca = opts->ca_file, .crl = opts->crl_file}, err);
    bool ok = a->tls != NULL && agent_modules_add(a->modules, puppet_module_name, puppet_module_name,
                                                  span_of(puppet_module_metadata), NULL, err);
    if (!ok || !make_all(a, err)) {
        real_agents_free(a);
        return NULL;
    }
    return a;
}

void real_agents_free(struct real_agents *a) {
    if (a == NULL) {
        return;
    }
    for (size_t i = 0; i < a->count; i++) {
        struct one *m = &a->items[i];
        world_timer_stop(a->opts.world, &m->start);
        if (m->agent != NULL) {
            agent_free(m->agent);
        }
        if (m->joined) {
            virtual_processes_leave(a->processes, &m->world);
            memory_files_leave(&m->world);
        }
        real_credential_free(m->credential);
        mem_free(m->name);
    }
    virtual_processes_free(a->processes);
    shared_fetch_free(a->fetches);
    memory_store_free(a->store);
    agent_modules_free(a->modules);
    for (size_t i = 0; a->groups != NULL && i < a->opts.scenario->fleet_count; i++) {
        for (size_t k = 0; k < SCENARIO_BROKERS_MAX; k++) {
            mem_free(a->groups[i].broker_urls[k]);
        }
        behaviours_free(a->groups[i].behaviours);
    }
    world_tls_free(a->tls);
    EVP_PKEY_free(a->key);
    map_free(&a->by_name);
    mem_free(a->groups);
    mem_free(a->items);
    mem_free(a);
}

size_t real_agents_count(const struct real_agents *a) {
    return a->count;
}

const char *real_agents_name(const struct real_agents *a, size_t i) {
    return a->items[i].name;
}

bool real_agents_kill(struct real_agents *a, const char *name) {
    struct one *m = map_get_cstr(&a->by_name, name);
    if (m == NULL) {
        return false;
    }
    world_timer_stop(a->opts.world, &m->start);
    if (m->agent != NULL) {
        agent_free(m->agent);
        m->agent = NULL;
    }
    return true;
}

bool real_agents_start(struct real_agents *a, const char *name) {
    struct one *m = map_get_cstr(&a->by_name, name);
    if (m != NULL) {
        launch(m);
    }
    return m != NULL;
}

X509 *real_agents_certificate(const struct real_agents *a, const char *name) {
    const struct one *m = map_get_cstr(&a->by_name, name);
    return m != NULL ? real_credential_cert(m->credential) : NULL;
}

bool real_agents_renew(struct real_agents *a, const char *name, bool expired, struct error *err) {
    struct one *m = map_get_cstr(&a->by_name, name);
    if (m == NULL) {
        return error_set(err, "fault", "%s is no agent", name);
    }
    int64_t now = world_wall_ms(a->opts.world);
    struct real_credential *fresh =
        expired ? credential_expired(a->opts.ca, name, now, err) : certs_mint(a->opts.ca, name, a->key, now, err);
    if (fresh == NULL) {
        return false;
    }
    bool up = m->agent != NULL;
    real_agents_kill(a, name);
    real_credential_free(m->credential);
    m->credential = fresh;
    if (up) {
        launch(m);
    }
    return true;
}
