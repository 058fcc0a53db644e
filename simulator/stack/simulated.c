/* See simulated.h. */
#include "simulator/stack/simulated.h"

#include "agent/agent.h"
#include "agent/exec.h"
#include "agent/modules.h"
#include "base/map.h"
#include "base/mem.h"
#include "fakes/puppetdb/puppetdb.h"
#include "simulator/fleet/fleet_name.h"
#include "simulator/stack/facts.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char store_dir[] = "/var/lib/orchestrator";
static const char modules_dir[] = "/etc/puppetlabs/modules";
static const char spool_dir[] = "/opt/puppetlabs/pxp-agent/spool";
static const char cache_dir[] = "/opt/puppetlabs/pxp-agent/tasks-cache";

struct sim_group {
    struct behaviours *behaviours;
    struct agent_config config;
    char *broker_urls[STACK_BROKERS_MAX];
    const struct sim_agent *agents; /* of this group, by number */
    json_t *facts;                  /* of each, or NULL */
    int64_t facts_ms;               /* when they were found */
};

struct sim_agent {
    struct simulated *all;
    const struct sim_group *group;
    char *name;
    struct logger log;
    struct world *host;
    struct world_tls *tls;
    struct agent *agent; /* NULL while it is down */
    struct timer start;
    struct list running; /* struct sim_run */
};

struct simulated {
    struct simulated_opts opts;
    struct logger log;
    struct stack *stack;
    struct agent_modules *modules;
    struct agent_group alike; /* the one group of who gave none */
    struct sim_group *groups;
    const char *primary;
    struct sim_agent *agents;
    uint32_t agent_count;
    struct map by_name; /* certname -> struct sim_agent */
    struct client *client;
    struct world_tls *client_tls;
    uint64_t programs_started;
};

/* ---- the stack's surroundings */

static struct world *world_of(void *ctx, const char *component) {
    return sim_host(((struct simulated *)ctx)->opts.sim, component);
}

static bool tls_of(void *ctx, const char *component, struct world_tls_files *out, struct error *err) {
    (void)err;
    *out = sim_tls_files(world_of(ctx, component), component);
    return true;
}

static const char *address_of(void *ctx, const char *component) {
    (void)ctx;
    return component;
}

static bool start_stack(struct simulated *s, struct error *err) {
    struct world *puppetserver = world_of(s, "puppetserver"), *orchestrator = world_of(s, "orchestrator");
    if (!world_file_mkdir(orchestrator, store_dir, 0700, true, err) ||
        !world_file_mkdir(puppetserver, modules_dir, 0755, true, err) ||
        (s->opts.fill_modules != NULL &&
         !s->opts.fill_modules(s->opts.configure_ctx, puppetserver, modules_dir, err))) {
        return false;
    }
    struct stack_opts opts = {
        .env = {.world_of = world_of, .tls_of = tls_of, .address_of = address_of, .ctx = s},
        .port_base = STACK_PRODUCT_PORTS,
        .brokers = s->opts.brokers,
        .dir = store_dir,
        .modules = modules_dir,
        .state = s->opts.state,
        .admin_password = "simulated",
        .configure_orchestrator = s->opts.configure_orchestrator,
        .configure_broker = s->opts.configure_broker,
        .configure_ctx = s->opts.configure_ctx,
        .log = s->opts.log != NULL    ? s->opts.log
               : s->opts.log_to_trace ? &s->log
                                      : NULL,
    };
    s->stack = stack_new(&opts, err);
    if (s->stack == NULL) {
        return false;
    }
    s->primary = stack_url(s->stack, "puppetserver");
    return true;
}

/* ---- programs: dalang-exec and what it runs */

enum { MODULE_WRITE_FAILED = 5 }; /* how an external module says so */

struct sim_run {
    struct sim_agent *agent;
    struct list_link link;
    int64_t pid;
    struct made_up result;
    char *spool_dir, *pid_file; /* or NULL */
};

static void write_pid(struct sim_exec *x, const struct agent_exec *exec, struct sim_run *run) {
    char text[24];
    int len = snprintf(text, sizeof(text), "%lld\n", (long long)x->pid);
    run->pid_file = exec->spool_dir != NULL ? str_printf("%s/pid", exec->spool_dir) : str_dup(exec->pid_file);
    if (run->pid_file != NULL) {
        world_file_write(x->host, run->pid_file, span_bytes(text, (size_t)len), 0640, WORLD_WRITE_PLAIN, NULL);
    }
}

static int obey_shell(const struct sim_agent *a, const char *const *argv) {
    int status = 1;
    LIST_EACH_SAFE (link, next, &a->running) {
        const struct sim_run *run = LIST_ITEM(link, struct sim_run, link);
        if (behaviour_kills(argv, run->pid_file) && world_pid_signal(a->host, run->pid, SIGKILL, true)) {
            status = 0;
        }
    }
    return status;
}

static void run_program(void *ctx, struct sim_exec *x) {
    struct simulated *s = ctx;
    struct sim_agent *a = map_get_cstr(&s->by_name, sim_host_name(x->host));
    if (a == NULL) {
        x->status = AGENT_EXEC_NOT_FOUND;
        return;
    }
    struct sim_run *run = mem_zalloc(sizeof(*run));
    run->agent = a;
    run->pid = x->pid;
    list_push_back(&a->running, &run->link);
    x->data = run;
    s->programs_started++;
    struct agent_exec exec = {.argv = x->argv};
    bool wrapped = agent_exec_parse(x->argv, &exec);
    if (wrapped) {
        run->spool_dir = str_dup(exec.spool_dir);
        write_pid(x, &exec, run);
        if (exec.spool_dir != NULL && x->input.len < exec.input_size) {
            x->status = AGENT_EXEC_INCOMPLETE;
            return;
        }
    }
    if (behaviour_is_shell(exec.argv)) {
        x->status = obey_shell(a, exec.argv);
        return;
    }
    struct invocation i = {
        .node = a->name, .argv = exec.argv, .env = x->env, .input = x->input, .wall_ms = world_wall_ms(x->host)};
    behaviour_run(a->group->behaviours, &i, x->rng, &run->result);
    x->takes_us = run->result.takes_us;
    x->unkillable = run->result.unkillable;
    x->status = run->result.signal != 0 && run->spool_dir != NULL ? run->result.signal : run->result.status;
    x->signal = run->spool_dir == NULL ? run->result.signal : 0;
    if (run->spool_dir == NULL && run->result.output_files[0] == NULL) {
        buf_append_span(&x->out, buf_span(&run->result.out));
        buf_append_span(&x->err, buf_span(&run->result.err));
    }
}

static bool store(struct world *host, const char *dir, const char *name, struct span bytes, enum world_write how) {
    char *path = dir != NULL ? str_printf("%s/%s", dir, name) : str_dup(name);
    bool ok = world_file_write(host, path, bytes, 0640, how, NULL) &&
              (how != WORLD_WRITE_PLAIN || world_file_sync(host, path, NULL));
    mem_free(path);
    return ok;
}

static void drop_program(void *ctx, struct sim_exec *x) {
    struct sim_run *run = x->data;
    (void)ctx;
    if (run != NULL) {
        list_remove(&run->agent->running, &run->link);
        made_up_free(&run->result);
        mem_free(run->spool_dir);
        mem_free(run->pid_file);
        mem_free(run);
        x->data = NULL;
    }
}

static void end_program(void *ctx, struct sim_exec *x, int killed) {
    struct simulated *s = ctx;
    struct sim_run *run = x->data;
    if (run == NULL) {
        return;
    }
    struct made_up *m = &run->result;
    char code[16];
    int len = snprintf(code, sizeof(code), "%d\n", x->status);
    struct span exitcode = span_bytes(code, (size_t)len);
    if (killed == 0 && run->spool_dir != NULL && x->status != AGENT_EXEC_INCOMPLETE) {
        if (m->out.len > 0 && m->out.ptr[m->out.len - 1] != '\n') {
            buf_append_char(&m->out, '\n');
        }
        bool stored = store(x->host, run->spool_dir, "stdout", buf_span(&m->out), WORLD_WRITE_PLAIN) &&
                      store(x->host, run->spool_dir, "stderr", buf_span(&m->err), WORLD_WRITE_PLAIN) &&
                      store(x->host, run->spool_dir, "exitcode", exitcode, WORLD_WRITE_ATOMIC);
        x->status = stored ? x->status : AGENT_EXEC_LOST;
    } else if (killed == 0 && m->output_files[0] != NULL && m->output_files[1] != NULL && m->output_files[2] != NULL) {
        bool stored = store(x->host, NULL, m->output_files[0], buf_span(&m->out), WORLD_WRITE_PLAIN) &&
                      store(x->host, NULL, m->output_files[1], buf_span(&m->err), WORLD_WRITE_PLAIN) &&
                      store(x->host, NULL, m->output_files[2], exitcode, WORLD_WRITE_ATOMIC);
        x->status = stored ? x->status : MODULE_WRITE_FAILED;
    }
    if (killed == 0 && m->report != NULL) {
        fake_puppetdb_command(stack_puppetdb(s->stack), "store report", m->report, NULL);
    }
    drop_program(ctx, x);
}

/* ---- agents */

static void destroy_agent(void *ctx) {
    struct sim_agent *a = ctx;
    if (a->agent != NULL) {
        agent_free(a->agent);
        a->agent = NULL;
    }
    world_tls_free(a->tls);
    a->tls = NULL;
}

/* False: it does not come up, its disk is full or broken. */
static bool launch(struct sim_agent *a, struct error *err) {
    struct world_tls_files files = sim_tls_files(a->host, a->name);
    a->tls = world_tls_new(a->host, &files, err);
    if (a->tls == NULL || !world_file_mkdir(a->host, spool_dir, 0750, true, err) ||
        !world_file_mkdir(a->host, cache_dir, 0750, true, err)) {
        destroy_agent(a);
        return false;
    }
    struct agent_self self = {.name = a->name, .tls = a->tls, .spool_dir = spool_dir, .task_cache_dir = cache_dir};
    sim_on_crash(a->host, destroy_agent, a);
    a->agent = agent_new(a->host, &a->group->config, &self, NULL, a->log.write != NULL ? &a->log : NULL);
    agent_start(a->agent);
    return true;
}

static void on_start(void *ctx) {
    struct sim_agent *a = ctx;
    struct error err = ERROR_INIT;
    if (!launch(a, &err)) {
        sim_note(a->all->opts.sim, a->host, err.msg);
        error_clear(&err);
    }
}

static bool make_group(struct simulated *s, const struct agent_group *from, struct sim_group *g, struct error *err) {
    size_t all = s->opts.brokers != 0 ? s->opts.brokers : 1;
    size_t count = from->brokers != NULL ? from->broker_count : all;
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "broker-%zu", (from->brokers != NULL ? from->brokers[i] : i) + 1);
        g->broker_urls[i] = str_printf("%s/%s/", stack_url(s->stack, name), from->version == PCP_V1 ? "pcp" : "pcp2");
    }
    g->behaviours = behaviours_new(from->behaviours, err);
    g->config = agent_config_default();
    g->config.brokers = (const char *const *)g->broker_urls;
    g->config.broker_count = count;
    g->config.primaries = &s->primary;
    g->config.primary_count = 1;
    g->config.version = from->version;
    g->config.modules = s->modules;
    g->config.exec_wrapper = "dalang-exec";
    g->config.shell = "/bin/sh";
    return g->behaviours != NULL;
}

/* PuppetDB knows them; it makes their facts up when somebody asks. */
static const char *promised_name(void *ctx, size_t i) {
    return ((const struct sim_group *)ctx)->agents[i].name;
}

static json_t *promised_facts(void *ctx, size_t i) {
    const struct sim_group *g = ctx;
    return node_facts(g->agents[i].name, (uint32_t)i + 1, g->facts, g->facts_ms);
}

static void promise_facts(struct simulated *s, const struct agent_group *from, struct sim_group *g) {
    struct promised_facts all = {.count = from->count,
                                 .environment = FACTS_ENVIRONMENT,
                                 .producer = FACTS_PRODUCER,
                                 .certname = promised_name,
                                 .make = promised_facts,
                                 .ctx = g};
    g->facts = json_incref((json_t *)(uintptr_t)from->facts);
    g->facts_ms = all.produced_ms = world_wall_ms(world_of(s, "puppetdb"));
    fake_puppetdb_promise_facts(stack_puppetdb(s->stack), &all);
}

static bool make_agent(struct simulated *s, const struct agent_group *from, const struct sim_group *g, uint32_t number,
                       uint64_t start_us, struct error *err) {
    struct sim_agent *a = &s->agents[s->agent_count++];
    a->all = s;
    list_init(&a->running);
    a->group = g;
    a->name = fleet_format_name(from->name_format, number);
    a->host = sim_host(s->opts.sim, a->name);
    if (s->opts.log != NULL) {
        a->log = *s->opts.log;
        a->log.name = a->name;
    }
    if (map_put(&s->by_name, span_of(a->name), a) != NULL) {
        return error_set(err, "usage", "two agents are called %s", a->name);
    }
    sim_timer_start(s->opts.sim, &a->start, start_us, on_start, a);
    return true;
}

/* Who gives no groups has one of agents that are alike. */
static void complete_groups(struct simulated *s) {
    if (s->opts.groups == NULL) {
        s->alike = (struct agent_group){.count = s->opts.agents,
                                        .name_format = s->opts.name_format,
                                        .version = s->opts.v1 ? PCP_V1 : PCP_V2,
                                        .behaviours = s->opts.behaviours,
                                        .facts = s->opts.facts};
        s->opts.groups = &s->alike;
        s->opts.group_count = 1;
    }
    s->opts.agents = 0;
    for (size_t i = 0; i < s->opts.group_count; i++) {
        s->opts.agents += s->opts.groups[i].count;
    }
}

static bool make_agents(struct simulated *s, struct error *err) {
    struct rng rng = sim_rng(s->opts.sim, "agents", "start");
    uint64_t spread = s->opts.connect_spread_us != 0 ? s->opts.connect_spread_us : SIM_SECOND;
    complete_groups(s);
    s->modules = agent_modules_new();
    if (!agent_modules_add(s->modules, puppet_module_name, puppet_module_name, span_of(puppet_module_metadata), NULL,
                           err)) {
        return false;
    }
    sim_program(s->opts.sim, NULL, NULL,
                &(struct sim_program){.run = run_program, .at_end = end_program, .ctx = s, .drop = drop_program});
    s->agents = mem_array(s->opts.agents, sizeof(*s->agents));
    s->groups = mem_array(s->opts.group_count, sizeof(*s->groups));
    for (size_t i = 0; i < s->opts.group_count; i++) {
        const struct agent_group *from = &s->opts.groups[i];
        if (!make_group(s, from, &s->groups[i], err)) {
            return false;
        }
        s->groups[i].agents = &s->agents[s->agent_count];
        for (uint32_t n = 1; n <= from->count; n++) {
            uint64_t start_us = from == &s->alike ? rng_below(&rng, spread) : dist_draw(&from->connect_after_us, &rng);
            if (!make_agent(s, from, &s->groups[i], n, start_us, err)) {
                return false;
            }
        }
        if (!from->unknown) {
            promise_facts(s, from, &s->groups[i]);
        }
    }
    return true;
}

struct simulated *simulated_new(const struct simulated_opts *opts, struct error *err) {
    struct simulated *s = mem_zalloc(sizeof(*s));
    s->opts = *opts;
    s->log = (struct logger){
        .level = LOG_INFO, .name = "sim", .write = sim_log_write, .ctx = sim_host(opts->sim, "orchestrator")};
    if (!start_stack(s, err) || !make_agents(s, err)) {
        simulated_free(s);
        return NULL;
    }
    return s;
}

bool simulated_ready(const struct simulated *s) {
    return stack_ready(s->stack) && stack_connected_agents(s->stack) == s->opts.agents;
}

struct stack *simulated_stack(const struct simulated *s) {
    return s->stack;
}

struct client *simulated_client(struct simulated *s) {
    if (s->client == NULL) {
        struct world *w = world_of(s, "client");
        struct world_tls_files files = sim_tls_files(w, "client");
        s->client_tls = world_tls_new(w, &files, NULL);
        s->client = client_new(w, &(struct client_opts){.url = stack_url(s->stack, "orchestrator"),
                                                        .token = stack_admin_token(s->stack),
                                                        .tls = s->client_tls});
    }
    return s->client;
}

struct world *simulated_agent_host(const struct simulated *s, uint32_t index) {
    return s->agents[index].host;
}

const char *simulated_agent_name(const struct simulated *s, uint32_t index) {
    return s->agents[index].name;
}

uint64_t simulated_programs_started(const struct simulated *s) {
    return s->programs_started;
}

/* ---- crash and return */

struct kill {
    struct stack *stack;
    const char *component;
};

/* Within the crash: the disk no longer takes anything, connections are gone already. */
static void destroy_component(void *ctx) {
    struct kill *kill = ctx;
    stack_kill(kill->stack, kill->component);
}

bool simulated_crash(struct simulated *s, const char *component, enum sim_crash_kind kind) {
    struct world *host = sim_find_host(s->opts.sim, component);
    if (host == NULL) {
        return false;
    }
    struct kill kill = {s->stack, component};
    if (map_get_cstr(&s->by_name, component) == NULL) {
        sim_on_crash(host, destroy_component, &kill);
    }
    sim_crash(host, kind);
    return true;
}

bool simulated_restart(struct simulated *s, const char *component, struct error *err) {
    struct world *host = sim_find_host(s->opts.sim, component);
    if (host != NULL) {
        sim_power_on(host);
    }
    struct sim_agent *a = map_get_cstr(&s->by_name, component);
    if (a == NULL) {
        return stack_revive(s->stack, component, err);
    }
    return a->agent != NULL || launch(a, err);
}

/* ---- certificates */

bool simulated_revoke(struct simulated *s, const char *certname, struct error *err) {
    struct sim_agent *a = map_get_cstr(&s->by_name, certname);
    const struct sim_certificate *cert = a != NULL ? sim_tls_certificate(a->host, certname) : NULL;
    if (cert == NULL) {
        return error_set(err, "usage", "%s is no agent with a certificate", certname);
    }
    sim_revoke(s->opts.sim, cert);
    for (size_t i = 0; i < (s->opts.brokers != 0 ? s->opts.brokers : 1); i++) {
        char name[32];
        snprintf(name, sizeof(name), "broker-%zu", i + 1);
        sim_tls_update_crl(world_of(s, name));
    }
    sim_tls_update_crl(world_of(s, "orchestrator"));
    return true;
}

static bool change_certificate(struct simulated *s, const char *certname,
                               void (*change)(struct world *host, const char *common_name), struct error *err) {
    struct sim_agent *a = map_get_cstr(&s->by_name, certname);
    if (a == NULL) {
        return error_set(err, "usage", "%s is no agent", certname);
    }
    change(a->host, certname);
    if (a->agent == NULL) {
        return true; /* whoever starts it again */
    }
    simulated_crash(s, certname, SIM_CRASH_KILL);
    return launch(a, err);
}

bool simulated_expire(struct simulated *s, const char *certname, struct error *err) {
    return change_certificate(s, certname, sim_tls_expire, err);
}

bool simulated_renew(struct simulated *s, const char *certname, struct error *err) {
    return change_certificate(s, certname, sim_tls_forget, err);
}

void simulated_free(struct simulated *s) {
    if (s == NULL) {
        return;
    }
    sim_programs_drop(s->opts.sim);
    client_free(s->client);
    world_tls_free(s->client_tls);
    for (uint32_t i = 0; s->agents != NULL && i < s->opts.agents; i++) {
        struct sim_agent *a = &s->agents[i];
        if (a->all != NULL) {
            sim_timer_stop(s->opts.sim, &a->start);
            sim_on_crash(a->host, NULL, NULL);
            destroy_agent(a);
            mem_free(a->name);
        }
    }
    mem_free(s->agents);
    map_free(&s->by_name);
    stack_free(s->stack);
    for (size_t i = 0; s->groups != NULL && i < s->opts.group_count; i++) {
        for (size_t k = 0; k < STACK_BROKERS_MAX; k++) {
            mem_free(s->groups[i].broker_urls[k]);
        }
        behaviours_free(s->groups[i].behaviours);
        json_decref(s->groups[i].facts);
    }
    mem_free(s->groups);
    if (s->modules != NULL) {
        agent_modules_free(s->modules);
    }
    mem_free(s);
}
