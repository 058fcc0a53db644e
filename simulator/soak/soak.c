/* See soak.h. */
#include "simulator/soak/internal.h"

#include "base/mem.h"
#include <inttypes.h>
#include <string.h>

static const uint64_t READY_WITHIN_US = 10 * SIM_MINUTE;
static const uint64_t CONVERGE_WITHIN_US = 3 * SIM_HOUR; /* a node whose agent never answers is given up after 40 min */
static const uint64_t QUIET_US = 20 * SIM_MINUTE;        /* longer than an idle time-out, and than TCP tries */
static const uint64_t AFTER_US = 35 * SIM_MINUTE;        /* and than a download that nobody answers */
enum { COMPONENTS_MAX = 4, AGENTS_MOST = 60, BROKERS_MOST = 3, JOBS_MOST = 30, AGENTS_A_PLACE = 50, LOAD_PERCENT = 50 };

static const uint32_t STOP_PPM = 30000;

static const char *const services[] = {"console", "puppetdb", "puppetserver"};
enum { SERVICES = sizeof(services) / sizeof(services[0]) };

/* ---- what the stack is */

static void configure_orchestrator(void *ctx, struct orchestrator_config *config) {
    const struct soak *s = ctx;
    config->task_concurrency = s->task_limit;
    config->global_concurrent_compiles = s->deploy_limit;
}

/* One more user, who may run one task and nothing else. */
static json_t *state(void) {
    static const char text[] =
        "{\"rbac\": {\"users\": [{\"login\": \"limited\", \"password\": \"quietstone\", \"roles\": [\"Echo\"]}],"
        "\"roles\": [{\"display_name\": \"Echo\", \"permissions\": ["
        "{\"object_type\": \"tasks\", \"action\": \"run\", \"instance\": \"soak::echo\"},"
        "{\"object_type\": \"orchestrator\", \"action\": \"view\", \"instance\": \"*\"}]}],"
        "\"tokens\": [{\"token\": \"" SOAK_LIMITED_TOKEN "\", \"login\": \"limited\"}],"
        "\"settings\": {\"scrypt_n\": 16}}}";
    return json_parse(span_of(text), "soak", NULL);
}

static bool permitted(void *ctx, const char *token, const char *common_name, const char *command,
                      const json_t *request) {
    (void)ctx;
    (void)common_name;
    return !str_eq(token, SOAK_LIMITED_TOKEN) ||
           (strcmp(command, "task") == 0 && str_eq(json_str(request, "task"), "soak::echo"));
}

static void node_seen(void *ctx, const char *job, const json_t *node) {
    users_see_node(ctx, job, node);
}

/* Fakes may hold on to a request that was told to hang and whose client then vanished without a word. */
static bool level_counts(void *ctx, const char *host) {
    (void)ctx;
    for (size_t i = 0; i < SERVICES; i++) {
        if (strcmp(services[i], host) == 0) {
            return false;
        }
    }
    return true;
}

static struct sim_link draw_link(struct rng *rng) {
    struct sim_link link = sim_link_default();
    uint64_t p50 = rng_between(rng, 100, 50000);
    link.latency_us = dist_lognormal(p50, p50 * rng_between(rng, 1, 20));
    link.split_ppm = (uint32_t)rng_below(rng, 500000);
    return link;
}

/* Nobody's clock is quite right, some agents' are far off. */
static void skew_clocks(struct soak *s, struct rng *rng) {
    for (size_t i = 0; i < sim_host_count(s->sim); i++) {
        struct world *host = sim_host_at(s->sim, i);
        bool of_agent = strncmp(sim_host_name(host), "node-", 5) == 0;
        int64_t most_ms = of_agent && rng_chance(rng, 300000) ? 600000 : 2000;
        sim_clock_jump(host, (int64_t)rng_below(rng, (uint64_t)(2 * most_ms + 1)) - most_ms);
        sim_clock_drift(host, (int32_t)rng_below(rng, 401) - 200);
    }
}

static bool is_ready(void *ctx) {
    return simulated_ready(((struct soak *)ctx)->simulated);
}

static uint64_t given_or(uint64_t given, struct rng *rng, uint64_t least, uint64_t most) {
    uint64_t drawn = rng_between(rng, least, most); /* drawn in any case: the rest of the run stays the same */
    return given != 0 ? given : drawn;
}

/* What is not said on the command line may be said by the workload. */
static void take_workload(struct soak *s) {
    const struct workload *w = s->opts.workload;
    s->stop_ppm = w != NULL ? w->stop_ppm : STOP_PPM;
    if (w != NULL) {
        s->opts.for_us = s->opts.for_us != 0 ? s->opts.for_us : w->for_us;
        s->opts.jobs = s->opts.jobs != 0 ? s->opts.jobs : w->jobs;
    }
}

static uint32_t load_of(const struct soak_opts *opts, uint32_t agents) {
    return opts->load_percent != 0 ? opts->load_percent : agents > AGENTS_MOST ? LOAD_PERCENT : 0;
}

/* drawn: 1 … JOBS_MOST. One every half minute to two minutes. */
static uint32_t steady_jobs(uint64_t for_us, uint32_t drawn) {
    uint64_t every_us = 30 * SIM_SECOND + 90 * SIM_SECOND * (JOBS_MOST - drawn) / (JOBS_MOST - 1);
    uint64_t jobs = for_us / every_us;
    return jobs < 1 ? 1 : jobs > WORKLOAD_JOBS_MAX ? WORKLOAD_JOBS_MAX : (uint32_t)jobs;
}

static bool set_up(struct soak *s, struct error *err) {
    take_workload(s);
    struct rng rng = rng_derive(s->opts.seed, "soak", "stack");
    struct sim_link link = draw_link(&rng);
    s->sim = sim_new(
        &(struct sim_opts){.seed = s->opts.seed, .link = &link, .strict_directories = rng_chance(&rng, 500000)});
    struct soak_result *r = s->result;
    r->agents = (uint32_t)given_or(s->opts.agents, &rng, 1, AGENTS_MOST);
    r->brokers = (uint32_t)given_or(s->opts.brokers, &rng, 1, BROKERS_MOST);
    s->task_limit = (uint32_t)rng_between(&rng, 1, 100);
    s->deploy_limit = (uint32_t)rng_between(&rng, 1, 20);
    uint32_t least = r->agents / AGENTS_A_PLACE; /* or the jobs of a large fleet would take days */
    s->task_limit = s->task_limit > least ? s->task_limit : least;
    s->deploy_limit = s->deploy_limit > least ? s->deploy_limit : least;
    s->opts.for_us = given_or(s->opts.for_us, &rng, 1, 20) * (s->opts.for_us != 0 ? 1 : SIM_MINUTE);
    r->load_percent = load_of(&s->opts, r->agents);
    s->jobs_left = (uint32_t)given_or(s->opts.jobs, &rng, 1, JOBS_MOST);
    if (s->opts.jobs == 0 && r->load_percent != 0) {
        s->jobs_left = steady_jobs(s->opts.for_us, s->jobs_left);
    }
    r->jobs = s->jobs_left;
    r->for_us = s->opts.for_us;
    s->job_every_us = s->opts.for_us / s->jobs_left;
    s->checks = checks_new(s->sim, &(struct checks_opts){.task_limit = s->task_limit,
                                                         .deploy_limit = s->deploy_limit,
                                                         .permitted = permitted,
                                                         .node = node_seen,
                                                         .level_counts = level_counts,
                                                         .ctx = s});
    if (s->opts.started != NULL) {
        s->opts.started(s->opts.ctx, s->sim, s->checks);
    }
    for (uint32_t i = 0; i < r->brokers; i++) {
        char name[24];
        snprintf(name, sizeof(name), "broker-%u", i + 1);
        checks_broker(s->checks, name, (uint16_t)(8142 + 100 * i));
    }
    checks_secret(s->checks, SOAK_SECRET);
    s->flaky_exit = (int)rng_below(&rng, 3);
    s->behaviours = soak_behaviours(s->opts.workload, &rng, s->flaky_exit, r->load_percent != 0);
    json_t *known = state();
    struct simulated_opts opts = {.sim = s->sim,
                                  .agents = r->agents,
                                  .brokers = r->brokers,
                                  .behaviours = s->behaviours,
                                  .state = known,
                                  .v1 = s->opts.v1,
                                  .fill_modules = soak_fill_modules,
                                  .configure_orchestrator = configure_orchestrator,
                                  .configure_ctx = s,
                                  .log_to_trace = true};
    s->simulated = simulated_new(&opts, err);
    json_decref(known);
    if (s->simulated != NULL) {
        skew_clocks(s, &rng);
    }
    return s->simulated != NULL;
}

/* ---- faults */

static bool crash(void *ctx, const char *host, enum sim_crash_kind kind) {
    return simulated_crash(((struct soak *)ctx)->simulated, host, kind);
}

static bool restart(void *ctx, const char *host, struct error *err) {
    return simulated_restart(((struct soak *)ctx)->simulated, host, err);
}

static bool revoke(void *ctx, const char *name, struct error *err) {
    return simulated_revoke(((struct soak *)ctx)->simulated, name, err);
}

static bool renew(void *ctx, const char *name, struct error *err) {
    return simulated_renew(((struct soak *)ctx)->simulated, name, err);
}

/* Past the network: what is asked for over a broken one may come after what ends it. */
static bool service(void *ctx, const char *name, const json_t *fault, struct error *err) {
    return stack_service_fault(simulated_stack(((struct soak *)ctx)->simulated), name, fault, err);
}

static struct swarm draw_swarm(const struct soak_opts *opts, struct rng *rng) {
    struct swarm swarm = swarm_of(opts->faults, rng);
    for (size_t i = 0; i < swarm_kind_count(); i++) {
        swarm.weights[i] = (opts->without >> i & 1u) != 0 ? 0 : swarm.weights[i];
    }
    return swarm;
}

struct swarm soak_swarm(const struct soak_opts *opts) {
    struct rng rng = rng_derive(opts->seed, "soak", "faults");
    return draw_swarm(opts, &rng);
}

static void start_faults(struct soak *s, char **description) {
    static const char *const components[COMPONENTS_MAX] = {"orchestrator", "broker-1", "broker-2", "broker-3"};
    struct rng rng = rng_derive(s->opts.seed, "soak", "faults");
    struct swarm swarm = draw_swarm(&s->opts, &rng);
    s->faults = faults_new(
        s->sim,
        &(struct faults_hooks){
            .crash = crash, .restart = restart, .service = service, .revoke = revoke, .renew = renew, .ctx = s});
    struct swarm_targets targets = {.components = components,
                                    .component_count = 1 + s->result->brokers,
                                    .agents = s->agent_names,
                                    .agent_count = s->result->agents,
                                    .services = services,
                                    .service_count = SERVICES};
    faults_swarm(s->faults, &swarm, &targets, s->opts.for_us, rng);
    *description = s->opts.faults != FAULTS_NONE ? swarm_text(&swarm) : str_dup("no faults");
}

/* ---- the end */

static bool has_converged(void *ctx) {
    const struct soak *s = ctx;
    return s->awaited == 0 && users_all_over(s) && simulated_ready(s->simulated);
}

static bool nothing_asked(void *ctx) {
    return list_empty(&((struct soak *)ctx)->asks);
}

static char *what_is_missing(const struct soak *s) {
    struct buf text = BUF_INIT;
    struct stack *stack = simulated_stack(s->simulated);
    buf_printf(&text, "the stack is %s; %zu of %u agents are connected", stack_ready(stack) ? "ready" : "not ready",
               stack_connected_agents(stack), s->result->agents);
    for (size_t i = 0; i < s->job_count; i++) {
        if (!s->jobs[i]->over) {
            buf_printf(&text, "; job %s has not ended", s->jobs[i]->id);
        }
    }
    return buf_take(&text);
}

static void converge(struct soak *s) {
    struct error err = ERROR_INIT;
    users_stop(s);
    rogues_end(s);
    if (!faults_heal(s->faults, &err)) {
        s->result->stuck = str_printf("after the faults: %s", err.msg);
        error_clear(&err);
        return;
    }
    s->result->converged = sim_run_until(s->sim, CONVERGE_WITHIN_US, has_converged, s);
    if (!s->result->converged) {
        s->result->stuck = what_is_missing(s);
    }
    users_look_away(s);
    sim_run(s->sim, sim_now_us(s->sim) + AFTER_US);
    users_read_everything(s);
    sim_run_until(s->sim, QUIET_US, nothing_asked, s);
    checks_finish(s->checks);
    checks_level_end(s->checks);
}

static void take_violations(struct soak *s) {
    struct soak_result *r = s->result;
    struct buf left = BUF_INIT;
    bool idle = sim_check_idle(s->sim, &left);
    size_t count = checks_violation_count(s->checks);
    r->violations = mem_array(count + 1, sizeof(*r->violations));
    for (size_t i = 0; i < count; i++) {
        const struct violation *v = checks_violation(s->checks, i);
        r->violations[r->violation_count++] = (struct violation){v->invariant, v->at_us, str_dup(v->text)};
    }
    if (!idle) {
        r->violations[r->violation_count++] = (struct violation){11, sim_now_us(s->sim), buf_take(&left)};
    }
    buf_free(&left);
    r->seen = checks_seen(s->checks);
}

static void work(struct soak *s) {
    struct soak_result *r = s->result;
    r->ready = sim_run_until(s->sim, READY_WITHIN_US, is_ready, s);
    if (!r->ready) {
        r->stuck = what_is_missing(s);
        return;
    }
    s->users = sim_host(s->sim, "users");
    struct world_tls_files files = sim_tls_files(s->users, "users");
    s->tls = world_tls_new(s->users, &files, NULL);
    s->api = str_dup(stack_url(simulated_stack(s->simulated), "orchestrator"));
    s->agent_names = mem_array(r->agents, sizeof(char *));
    for (uint32_t i = 0; i < r->agents; i++) {
        s->agent_names[i] = simulated_agent_name(s->simulated, i);
    }
    sim_run(s->sim, sim_now_us(s->sim) + QUIET_US);
    checks_level_start(s->checks);
    char *swarm = NULL, load[32] = "";
    start_faults(s, &swarm);
    mem_free(r->description);
    if (r->load_percent != 0) {
        snprintf(load, sizeof(load), " at %u %% load", r->load_percent);
    }
    r->description =
        str_printf("%u agents, %u brokers, %u jobs in %" PRIu64 " s%s, limits %u tasks and %u deploys; %s", r->agents,
                   r->brokers, s->jobs_left, s->opts.for_us / SIM_SECOND, load, s->task_limit, s->deploy_limit, swarm);
    mem_free(swarm);
    users_start(s);
    rogues_start(s);
    sim_run(s->sim, sim_now_us(s->sim) + s->opts.for_us);
    converge(s);
    r->refused = s->refused;
    r->faults = faults_injected_total(s->faults);
}

void soak_run(const struct soak_opts *opts, struct soak_result *out) {
    struct soak s = {.opts = *opts, .result = out, .rng = rng_derive(opts->seed, "soak", "users")};
    struct error err = ERROR_INIT;
    *out = (struct soak_result){.seed = opts->seed};
    list_init(&s.asks);
    if (set_up(&s, &err)) {
        work(&s);
    } else {
        out->stuck = str_printf("the stack does not start: %s", err.msg);
        error_clear(&err);
    }
    users_end(&s);
    rogues_end(&s);
    faults_free(s.faults);
    simulated_free(s.simulated);
    out->virtual_us = sim_now_us(s.sim);
    world_tls_free(s.tls);
    sim_run(s.sim, sim_now_us(s.sim) + SIM_HOUR); /* connections that are half open end */
    take_violations(&s);
    out->trace_hash = sim_trace_hash(s.sim);
    out->events = sim_event_count(s.sim);
    if (opts->ended != NULL) {
        opts->ended(opts->ctx, s.sim);
    }
    checks_free(s.checks);
    sim_free(s.sim);
    json_decref(s.behaviours);
    mem_free(s.api);
    mem_free(s.agent_names);
}

bool soak_good(const struct soak_result *r) {
    return r->ready && r->converged && r->violation_count == 0;
}

void soak_result_free(struct soak_result *r) {
    for (size_t i = 0; i < r->violation_count; i++) {
        mem_free(r->violations[i].text);
    }
    mem_free(r->violations);
    mem_free(r->description);
    mem_free(r->stuck);
    *r = (struct soak_result){0};
}

json_t *soak_result_json(const struct soak_result *r) {
    json_t *o = json_object(), *violations = json_array();
    char hash[20];
    snprintf(hash, sizeof(hash), "%016" PRIx64, r->trace_hash);
    for (size_t i = 0; i < r->violation_count; i++) {
        json_array_append_new(violations, json_pack("{s:i, s:I, s:s}", "invariant", r->violations[i].invariant, "at_us",
                                                    (json_int_t)r->violations[i].at_us, "text", r->violations[i].text));
    }
    json_set(o, "seed", json_integer((json_int_t)r->seed));
    json_set(o, "trace_hash", json_string(hash));
    json_set(o, "nodes", json_integer(r->agents));
    json_set(o, "brokers", json_integer(r->brokers));
    json_set(o, "load_percent", r->load_percent != 0 ? json_integer((json_int_t)r->load_percent) : json_null());
    json_set(o, "ready", json_boolean(r->ready));
    json_set(o, "converged", json_boolean(r->converged));
    json_set(o, "events", json_integer((json_int_t)r->events));
    json_set(o, "virtual_s", json_integer((json_int_t)(r->virtual_us / SIM_SECOND)));
    json_set(o, "jobs", json_integer((json_int_t)r->seen.jobs_acknowledged));
    json_set(o, "refused", json_integer((json_int_t)r->refused));
    json_set(o, "job_events", json_integer((json_int_t)r->seen.events));
    json_set(o, "runs", json_integer((json_int_t)r->seen.runs));
    json_set(o, "messages", json_integer((json_int_t)r->seen.messages_to_broker));
    json_set(o, "messages_lost", json_integer((json_int_t)r->seen.messages_lost));
    json_set(o, "faults", json_integer((json_int_t)r->faults));
    json_set(o, "description", json_string(r->description != NULL ? r->description : ""));
    json_set(o, "stuck", r->stuck != NULL ? json_string(r->stuck) : json_null());
    json_set(o, "violations", violations);
    return o;
}
