/* The stage in the real world: the whole stack and its fleet in this process, on free ports of this machine, in a
 * directory of its own. */
#include "scenarios/runner/stage.h"

#include "base/map.h"
#include "base/mem.h"
#include "scenarios/runner/real_agents.h"
#include "scenarios/runner/service_fault.h"
#include "scenarios/runner/settings.h"
#include "simulator/faults/live.h"
#include "world/real.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UPDATE_MS = 50 };

struct stage_real {
    struct stage base;
    const struct scenario *scenario;
    const struct scenario_stack *plan;
    struct logger log;
    char *dir, *ca_path, *crl_path, *modules, *tools;
    struct world *world;
    struct netfaults *net;
    struct certs_ca *ca;
    struct map files; /* component -> struct paths */
    struct map tls;   /* certificate name -> struct world_tls */
    struct world_tls *fetch_tls;
    struct stack *stack;
    struct real_agents *agents;
    struct live_faults *faults;
    size_t component_count;
    char *components[8 + SCENARIO_BROKERS_MAX];
    uint64_t began_us;
};

struct paths {
    char *cert, *key;
};

static struct stage_real *real_stage(const struct stage *s) {
    return (struct stage_real *)(uintptr_t)s;
}

/* ---- certificates */

static const struct paths *issue(struct stage_real *s, const char *name, struct error *err) {
    struct paths *known = map_get_cstr(&s->files, name);
    if (known != NULL) {
        return known;
    }
    const char *const dns[] = {name, "localhost", NULL}, *const ip[] = {"127.0.0.1", NULL};
    struct certs_issue what = {
        .common_name = span_of(name), .dns_names = dns, .ip_addresses = ip, .now_ms = world_wall_ms(s->world)};
    struct certs_paths paths = {NULL, NULL};
    if (!certs_dir_issue(s->ca, s->dir, &what, &paths, err)) {
        return NULL;
    }
    struct paths *own = mem_zalloc(sizeof(*own));
    own->cert = str_dup(paths.cert);
    own->key = str_dup(paths.key);
    certs_paths_free(&paths);
    map_put(&s->files, span_of(name), own);
    return own;
}

static bool files_of(struct stage_real *s, const char *name, struct world_tls_files *out, struct error *err) {
    *out = (struct world_tls_files){.ca = s->ca_path, .crl = s->crl_path};
    const struct paths *paths = name != NULL ? issue(s, name, err) : NULL;
    if (paths != NULL) {
        out->cert = paths->cert;
        out->key = paths->key;
    }
    return name == NULL || paths != NULL;
}

static struct world_tls *tls(struct stage *base, const char *name, struct error *err) {
    struct stage_real *s = real_stage(base);
    struct world_tls *known = map_get_cstr(&s->tls, name != NULL ? name : "");
    struct world_tls_files files;
    if (known != NULL || !files_of(s, name, &files, err)) {
        return known;
    }
    struct world_tls *made = world_tls_new(s->world, &files, err);
    if (made != NULL) {
        map_put(&s->tls, span_of(name != NULL ? name : ""), made);
    }
    return made;
}

static bool client_files(struct stage *base, struct world_tls_files *out, struct error *err) {
    return files_of(real_stage(base), "client", out, err);
}

/* ---- what stack_new() asks for */

static struct world *world_of(void *ctx, const char *component) {
    return netfaults_host(((struct stage_real *)ctx)->net, component);
}
static bool tls_of(void *ctx, const char *component, struct world_tls_files *out, struct error *err) {
    return files_of(ctx, component, out, err);
}
static const char *address_of(void *ctx, const char *component) {
    (void)ctx, (void)component;
    return "127.0.0.1";
}
static void configure_orchestrator(void *ctx, struct orchestrator_config *config) {
    settings_orchestrator(((struct stage_real *)ctx)->plan->orchestrator, config);
}
static void configure_broker(void *ctx, size_t index, struct broker_config *config) {
    (void)index;
    config->update_interval_ms = UPDATE_MS;
    settings_broker(((struct stage_real *)ctx)->plan->broker, config);
}

static void add_component(struct stage_real *s, const char *name) {
    s->components[s->component_count++] = str_dup(name);
}

static bool start_stack(struct stage_real *s, struct error *err) {
    char *store = str_printf("%s/orchestrator", s->dir);
    struct stack_opts opts = {.env = {.world_of = world_of, .tls_of = tls_of, .address_of = address_of, .ctx = s},
                              .listen_host = "127.0.0.1",
                              .brokers = s->plan->brokers,
                              .dir = store,
                              .modules = s->modules,
                              .state = s->plan->state,
                              .configure_orchestrator = configure_orchestrator,
                              .configure_broker = configure_broker,
                              .configure_ctx = s,
                              .log = &s->log};
    bool ok = world_file_mkdir(s->world, store, 0700, true, err) &&
              world_file_mkdir(s->world, s->modules, 0755, true, err) &&
              stage_fill_modules(s->plan, s->world, s->modules, err) && (s->stack = stack_new(&opts, err)) != NULL;
    mem_free(store);
    static const char *const names[] = {"orchestrator", "console", "puppetdb", "puppetserver"};
    for (size_t i = 0; ok && i < sizeof(names) / sizeof(names[0]); i++) {
        add_component(s, names[i]);
    }
    for (size_t i = 0; ok && i < s->plan->brokers; i++) {
        char name[32];
        snprintf(name, sizeof(name), "broker-%zu", i + 1);
        add_component(s, name);
    }
    for (size_t i = 0; i < s->component_count; i++) {
        netfaults_port(s->net, stack_port(s->stack, s->components[i]), s->components[i]);
    }
    return ok;
}

static bool make_certificates(struct stage_real *s, struct error *err) {
    struct certs_ca_opts opts = {.now_ms = world_wall_ms(s->world)};
    s->ca = certs_dir_open(s->dir, &opts, err);
    if (s->ca == NULL || !certs_dir_write_crl(s->ca, s->dir, opts.now_ms, err)) {
        return false;
    }
    s->ca_path = str_printf("%s/ca.pem", s->dir);
    s->crl_path = str_printf("%s/crl.pem", s->dir);
    return true;
}

static bool start_agents(struct stage_real *s, uint64_t seed, struct error *err) {
    s->fetch_tls = tls(&s->base, "client", err);
    if (s->fetch_tls == NULL) {
        return false;
    }
    s->agents = real_agents_new(&(struct real_agents_opts){.scenario = s->scenario,
                                                           .world = s->world,
                                                           .net = s->net,
                                                           .stack = s->stack,
                                                           .ca = s->ca,
                                                           .ca_file = s->ca_path,
                                                           .crl_file = s->crl_path,
                                                           .fetch_tls = s->fetch_tls,
                                                           .seed = seed,
                                                           .log = &s->log},
                                err);
    return s->agents != NULL;
}

/* ---- what faults ask for */

static bool is_component(const struct stage_real *s, const char *name) {
    for (size_t i = 0; i < s->component_count; i++) {
        if (strcmp(s->components[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static const char *host_at(void *ctx, size_t i) {
    const struct stage_real *s = ctx;
    if (i < s->component_count) {
        return s->components[i];
    }
    i -= s->component_count;
    return i < real_agents_count(s->agents)    ? real_agents_name(s->agents, i)
           : i == real_agents_count(s->agents) ? "client"
                                               : NULL;
}

static const char *find_host(void *ctx, const char *name) {
    const char *host;
    for (size_t i = 0; (host = host_at(ctx, i)) != NULL && strcmp(host, name) != 0; i++) {
    }
    return host;
}

static bool mortal(const char *name) {
    return strcmp(name, "orchestrator") == 0 || strncmp(name, "broker-", 7) == 0;
}

static bool kill_host(void *ctx, const char *name, struct error *err) {
    struct stage_real *s = ctx;
    if (real_agents_kill(s->agents, name)) {
        return true;
    }
    if (!is_component(s, name) || !mortal(name)) {
        return error_set(err, "fault/unsupported", "%s cannot be killed; agents, brokers and the orchestrator can",
                         name);
    }
    stack_kill(s->stack, name);
    return true;
}

static bool start_host(void *ctx, const char *name, struct error *err) {
    struct stage_real *s = ctx;
    return real_agents_start(s->agents, name) || stack_revive(s->stack, name, err);
}

static bool service(void *ctx, const char *name, const json_t *fault, struct error *err) {
    return service_fault(((struct stage_real *)ctx)->stack, name, fault, err);
}

static bool revoke(void *ctx, const char *name, struct error *err) {
    struct stage_real *s = ctx;
    X509 *cert = real_agents_certificate(s->agents, name);
    if (cert == NULL) {
        return error_set(err, "fault", "%s is no agent with a certificate", name);
    }
    int64_t now = world_wall_ms(s->world);
    certs_revoke(s->ca, cert, now);
    X509_free(cert);
    X509_CRL *crl = certs_crl(s->ca, now);
    char *pem = certs_pem_crl(crl);
    bool ok = world_file_write(s->world, s->crl_path, span_of(pem), 0644, WORLD_WRITE_ATOMIC, err);
    X509_CRL_free(crl);
    mem_free(pem);
    return ok && stack_reload_tls(s->stack, err);
}

static bool expire(void *ctx, const char *name, struct error *err) {
    return real_agents_renew(((struct stage_real *)ctx)->agents, name, true, err);
}
static bool renew(void *ctx, const char *name, struct error *err) {
    return real_agents_renew(((struct stage_real *)ctx)->agents, name, false, err);
}

/* ---- the stage's functions */

static bool ready(const struct stage *base, bool all_agents) {
    const struct stage_real *s = real_stage(base);
    return stack_ready(s->stack) && (!all_agents || stack_connected_agents(s->stack) == scenario_agents(s->scenario));
}
static bool turn(struct stage *base) {
    return real_world_turn(real_stage(base)->world, true);
}
static void turn_world(struct world *w) {
    real_world_turn(netfaults_below(w), true);
}
static uint64_t now_us(const struct stage *base) {
    const struct stage_real *s = real_stage(base);
    return world_now_us(s->world) - s->began_us;
}
static void timer_start(struct stage *base, struct timer *t, uint64_t delay_us, void (*fire)(void *ctx), void *ctx) {
    world_timer_start(real_stage(base)->world, t, (delay_us + 999) / 1000, fire, ctx);
}
static void timer_stop(struct stage *base, struct timer *t) {
    world_timer_stop(real_stage(base)->world, t);
}
static bool fault(struct stage *base, const json_t *spec, struct error *err) {
    return live_faults_apply(real_stage(base)->faults, spec, err);
}
static bool heal(struct stage *base, struct error *err) {
    return live_faults_heal(real_stage(base)->faults, err);
}
static bool sound(struct stage *base, struct buf *violations) {
    (void)base, (void)violations;
    return true;
}
static uint64_t hash(const struct stage *base) {
    (void)base;
    return 0;
}

static void free_stage(struct stage *base, struct buf *left) {
    struct stage_real *s = real_stage(base);
    (void)left;
    live_faults_free(s->faults);
    real_agents_free(s->agents);
    stack_free(s->stack);
    for (struct map_iter i = map_iter(&s->tls); map_next(&i);) {
        world_tls_free(i.value);
    }
    map_free(&s->tls);
    for (struct map_iter i = map_iter(&s->files); map_next(&i);) {
        struct paths *p = i.value;
        mem_free(p->cert);
        mem_free(p->key);
        mem_free(p);
    }
    map_free(&s->files);
    certs_ca_free(s->ca);
    if (s->net != NULL) {
        netfaults_free(s->net);
    }
    if (s->world != NULL) {
        real_world_free(s->world);
    }
    for (size_t i = 0; i < s->component_count; i++) {
        mem_free(s->components[i]);
    }
    mem_free(s->dir);
    mem_free(s->ca_path);
    mem_free(s->crl_path);
    mem_free(s->modules);
    mem_free(s->tools);
    mem_free(s);
}

static const struct stage_ops ops = {
    .free = free_stage,
    .ready = ready,
    .turn = turn,
    .turn_world = turn_world,
    .now_us = now_us,
    .timer_start = timer_start,
    .timer_stop = timer_stop,
    .fault = fault,
    .heal = heal,
    .tls = tls,
    .client_files = client_files,
    .sound = sound,
    .hash = hash,
};

struct stage *stage_real_new(const struct stage_opts *opts, struct error *err) {
    struct stage_real *s = mem_zalloc(sizeof(*s));
    s->base.ops = &ops;
    s->scenario = opts->scenario;
    s->plan = opts->stack;
    s->log = journal_logger(opts->journal, LOG_INFO);
    s->dir = str_dup(opts->dir);
    s->modules = str_printf("%s/modules", s->dir);
    s->tools = str_printf("%s/people", s->dir);
    s->world = real_world_new(err);
    if (s->world == NULL || !real_keylog(s->world, getenv("SSLKEYLOGFILE"), err)) {
        free_stage(&s->base, NULL);
        return NULL;
    }
    s->began_us = world_now_us(s->world);
    s->net = netfaults_new(s->world, opts->seed);
    if (!make_certificates(s, err) || !start_stack(s, err) || !start_agents(s, opts->seed, err)) {
        free_stage(&s->base, NULL);
        return NULL;
    }
    s->faults = live_faults_new(s->world, s->net,
                                &(struct live_faults_hooks){.find = find_host,
                                                            .at = host_at,
                                                            .kill = kill_host,
                                                            .start = start_host,
                                                            .service = service,
                                                            .revoke = revoke,
                                                            .expire = expire,
                                                            .renew = renew,
                                                            .ctx = s},
                                opts->seed);
    s->base.stack = s->stack;
    s->base.world = netfaults_host(s->net, "client");
    s->base.modules_world = s->world;
    s->base.modules_dir = s->modules;
    s->base.client_dir = s->tools;
    return &s->base;
}
