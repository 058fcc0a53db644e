/* The stage in the simulated world: every actor a host of its own, virtual time, the invariants watched. */
#include "scenarios/runner/stage.h"

#include "base/map.h"
#include "base/mem.h"
#include "scenarios/runner/service_fault.h"
#include "scenarios/runner/settings.h"
#include "simulator/checks/checks.h"
#include "simulator/faults/faults.h"
#include "simulator/soak/trace_json.h"
#include "simulator/stack/simulated.h"
#include <inttypes.h>
#include <string.h>

static const uint64_t AFTERMATH_US = SIM_HOUR; /* programs that agents left behind end within it */

struct stage_sim {
    struct stage base;
    const struct scenario *scenario;
    const struct scenario_stack *stack;
    struct logger log;
    struct sim *sim;
    struct checks *checks;
    struct faults *faults;
    struct simulated *simulated;
    struct trace_json *trace;
    struct agent_group *groups;
    struct map tls;         /* certificate name -> struct world_tls */
    size_t violations_told; /* of the checks' */
};

static struct stage_sim *sim_stage(const struct stage *s) {
    return (struct stage_sim *)(uintptr_t)s;
}

/* ---- what simulated_new() asks for */

bool stage_fill_modules(const struct scenario_stack *stack, struct world *w, const char *dir, struct error *err) {
    for (size_t i = 0; i < stack->file_count; i++) {
        const struct module_file *f = &stack->files[i];
        char *path = str_printf("%s/%s", dir, f->path), *parent = str_dup(path);
        *strrchr(parent, '/') = '\0';
        bool ok = world_file_mkdir(w, parent, 0755, true, err) &&
                  world_file_write(w, path, (struct span){f->bytes, f->len}, f->mode, WORLD_WRITE_PLAIN, err);
        mem_free(parent);
        mem_free(path);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static const char modules_dir[] = "/etc/puppetlabs/modules";

static bool fill_modules(void *ctx, struct world *puppetserver, const char *dir, struct error *err) {
    return stage_fill_modules(((struct stage_sim *)ctx)->stack, puppetserver, dir, err);
}

static void configure_orchestrator(void *ctx, struct orchestrator_config *config) {
    settings_orchestrator(((struct stage_sim *)ctx)->stack->orchestrator, config);
}

static void configure_broker(void *ctx, size_t index, struct broker_config *config) {
    (void)index;
    settings_broker(((struct stage_sim *)ctx)->stack->broker, config);
}

static void make_groups(struct stage_sim *s) {
    const struct scenario *sc = s->scenario;
    s->groups = mem_array(sc->fleet_count + 1, sizeof(*s->groups));
    for (size_t i = 0; i < sc->fleet_count; i++) {
        const struct fleet_entry *e = &sc->fleet[i];
        s->groups[i] = (struct agent_group){.count = e->count,
                                            .name_format = e->name,
                                            .version = e->version,
                                            .brokers = e->brokers,
                                            .broker_count = e->broker_count,
                                            .behaviours = e->behaviours,
                                            .facts = e->facts,
                                            .connect_after_us = e->connect_after_us,
                                            .unknown = !e->known};
    }
}

/* ---- what faults ask for */

static bool crash(void *ctx, const char *host, enum sim_crash_kind kind) {
    return simulated_crash(((struct stage_sim *)ctx)->simulated, host, kind);
}
static bool restart(void *ctx, const char *host, struct error *err) {
    return simulated_restart(((struct stage_sim *)ctx)->simulated, host, err);
}
static bool service(void *ctx, const char *name, const json_t *fault, struct error *err) {
    return service_fault(((struct stage_sim *)ctx)->base.stack, name, fault, err);
}
static bool revoke(void *ctx, const char *name, struct error *err) {
    return simulated_revoke(((struct stage_sim *)ctx)->simulated, name, err);
}
static bool expire(void *ctx, const char *name, struct error *err) {
    return simulated_expire(((struct stage_sim *)ctx)->simulated, name, err);
}
static bool renew(void *ctx, const char *name, struct error *err) {
    return simulated_renew(((struct stage_sim *)ctx)->simulated, name, err);
}

/* ---- the stage's functions */

static bool ready(const struct stage *base, bool all_agents) {
    const struct stage_sim *s = sim_stage(base);
    return all_agents ? simulated_ready(s->simulated) : stack_ready(base->stack);
}

static bool turn(struct stage *base) {
    return sim_step(sim_stage(base)->sim);
}
static void turn_world(struct world *w) {
    sim_step(sim_of(w));
}
static uint64_t now_us(const struct stage *base) {
    return sim_now_us(sim_stage(base)->sim);
}
static void timer_start(struct stage *base, struct timer *t, uint64_t delay_us, void (*fire)(void *ctx), void *ctx) {
    sim_timer_start(sim_stage(base)->sim, t, delay_us, fire, ctx);
}
static void timer_stop(struct stage *base, struct timer *t) {
    sim_timer_stop(sim_stage(base)->sim, t);
}
static bool fault(struct stage *base, const json_t *spec, struct error *err) {
    return faults_apply(sim_stage(base)->faults, spec, err);
}
static bool heal(struct stage *base, struct error *err) {
    return faults_heal(sim_stage(base)->faults, err);
}
static uint64_t hash(const struct stage *base) {
    return sim_trace_hash(sim_stage(base)->sim);
}

static struct world_tls *tls(struct stage *base, const char *name, struct error *err) {
    struct stage_sim *s = sim_stage(base);
    struct world_tls *known = map_get_cstr(&s->tls, name != NULL ? name : "");
    if (known != NULL) {
        return known;
    }
    struct world_tls_files files = sim_tls_files(base->world, name != NULL ? name : "client");
    if (name == NULL) {
        files.cert = files.key = NULL;
    }
    struct world_tls *made = world_tls_new(base->world, &files, err);
    if (made != NULL) {
        map_put(&s->tls, span_of(name != NULL ? name : ""), made);
    }
    return made;
}

static bool client_files(struct stage *base, struct world_tls_files *out, struct error *err) {
    (void)err;
    *out = sim_tls_files(base->world, "client");
    return true;
}

static bool sound(struct stage *base, struct buf *violations) {
    struct stage_sim *s = sim_stage(base);
    size_t count = checks_violation_count(s->checks);
    for (; s->violations_told < count; s->violations_told++) {
        const struct violation *v = checks_violation(s->checks, s->violations_told);
        buf_printf(violations, "%sinvariant %d (%s) at %" PRIu64 ".%03" PRIu64 "s: %s",
                   violations->len != 0 ? "\n" : "", v->invariant, checks_invariant(v->invariant),
                   v->at_us / SIM_SECOND, v->at_us / 1000 % 1000, v->text);
    }
    return violations->len == 0;
}

static void free_stage(struct stage *base, struct buf *left) {
    struct stage_sim *s = sim_stage(base);
    for (struct map_iter i = map_iter(&s->tls); map_next(&i);) {
        world_tls_free(i.value);
    }
    map_free(&s->tls);
    faults_free(s->faults);
    simulated_free(s->simulated);
    if (s->sim != NULL) {
        sim_run(s->sim, sim_now_us(s->sim) + AFTERMATH_US);
        sim_check_idle(s->sim, left);
    }
    trace_json_end(s->trace);
    checks_free(s->checks);
    if (s->sim != NULL) {
        sim_free(s->sim);
    }
    mem_free(s->groups);
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

/* ---- beginning */

static void watch(struct stage_sim *s) {
    struct orchestrator_config config;
    orchestrator_config_defaults(&config);
    settings_orchestrator(s->stack->orchestrator, &config);
    s->checks = checks_new(s->sim, &(struct checks_opts){.task_limit = config.task_concurrency,
                                                         .deploy_limit = config.global_concurrent_compiles});
    for (size_t i = 0; i < s->stack->brokers; i++) {
        char name[32];
        snprintf(name, sizeof(name), "broker-%zu", i + 1);
        checks_broker(s->checks, name, (uint16_t)(8142 + 100 * i));
    }
}

struct stage *stage_sim_new(const struct stage_opts *opts, struct error *err) {
    struct stage_sim *s = mem_zalloc(sizeof(*s));
    s->base.ops = &ops;
    s->scenario = opts->scenario;
    s->stack = opts->stack;
    s->log = journal_logger(opts->journal, LOG_INFO);
    s->sim = sim_new(&(struct sim_opts){.seed = opts->seed});
    if (opts->trace != NULL) {
        s->trace = trace_json_start(s->sim, opts->trace, opts->trace_ctx);
    }
    watch(s);
    make_groups(s);
    struct simulated_opts simulated = {.sim = s->sim,
                                       .brokers = opts->stack->brokers,
                                       .state = opts->stack->state,
                                       .fill_modules = fill_modules,
                                       .configure_orchestrator = configure_orchestrator,
                                       .configure_broker = configure_broker,
                                       .configure_ctx = s,
                                       .groups = s->groups,
                                       .group_count = opts->scenario->fleet_count,
                                       .log = &s->log};
    s->simulated = simulated_new(&simulated, err);
    if (s->simulated == NULL) {
        free_stage(&s->base, NULL);
        return NULL;
    }
    s->faults = faults_new(s->sim, &(struct faults_hooks){.crash = crash,
                                                          .restart = restart,
                                                          .service = service,
                                                          .revoke = revoke,
                                                          .expire = expire,
                                                          .renew = renew,
                                                          .ctx = s});
    s->base.stack = simulated_stack(s->simulated);
    s->base.world = sim_host(s->sim, "client");
    s->base.modules_world = sim_host(s->sim, "puppetserver");
    s->base.modules_dir = modules_dir;
    return &s->base;
}
