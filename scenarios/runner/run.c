/* A run from its stage's beginning to its end. */
#include "scenarios/runner/run_internal.h"

#include "base/mem.h"
#include "scenarios/runner/journal_trace.h"
#include <string.h>
#include <time.h>

static const uint64_t READY_POLL_US = 5000;
static const uint64_t READY_WITHIN_US = 10 * 60 * 1000000ull, READY_WITHIN_REAL_US = 120 * 1000000ull;
static const uint64_t LIMIT_US = 24 * 3600 * 1000000ull, LIMIT_REAL_US = 300 * 1000000ull;

static uint64_t wall_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t stage_now(void *ctx) {
    const struct stage *s = ctx;
    return s->ops->now_us(s);
}

/* ---- before the first step */

/* The modules that come with Dalang first: the scenario's own files may stand in for them. */
static bool put_modules_together(struct run *r, struct error *err) {
    const struct scenario_stack *own = &r->scenario->stack;
    r->stack = *own;
    r->stack.files = NULL;
    r->stack.file_count = r->stack.file_cap = 0;
    if (r->opts->default_modules != NULL && !module_files_read(&r->stack, r->opts->default_modules, err)) {
        return false;
    }
    for (size_t i = 0; i < own->file_count; i++) {
        const struct module_file *f = &own->files[i];
        module_files_add(&r->stack, f->path, (struct span){f->bytes, f->len}, f->mode);
    }
    return true;
}

static void drop_modules(struct run *r) {
    for (size_t i = 0; i < r->stack.file_count; i++) {
        mem_free(r->stack.files[i].path);
        mem_free(r->stack.files[i].bytes);
    }
    mem_free(r->stack.files);
}

static json_t *stack_vars(const struct run *r) {
    static const char *const names[] = {"orchestrator", "console", "puppetdb", "puppetserver"};
    json_t *stack = json_object();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        json_set(stack, names[i], json_string(stack_url(r->stage->stack, names[i])));
    }
    for (size_t i = 0; i < r->stack.brokers; i++) {
        char name[32];
        snprintf(name, sizeof(name), "broker-%zu", i + 1);
        json_set(stack, name, json_string(stack_url(r->stage->stack, name)));
    }
    json_set(stack, "admin_token", json_string(stack_admin_token(r->stage->stack)));
    json_set(stack, "admin_password", json_string(stack_admin_password(r->stage->stack)));
    return stack;
}

static json_t *user_vars(const struct run *r) {
    json_t *users = json_object();
    const json_t *rbac = json_object_get(r->stack.state, "rbac"), *tokens = json_object_get(rbac, "tokens");
    size_t i;
    json_t *token;
    json_array_foreach(tokens, i, token) {
        const char *login = json_str(token, "login"), *text = json_str(token, "token");
        if (login != NULL && text != NULL && json_object_get(users, login) == NULL) {
            json_set(users, login, json_pack("{s:s}", "token", text));
        }
    }
    return users;
}

static void make_vars(struct run *r) {
    r->vars = json_object();
    json_set(r->vars, "seed", json_integer((json_int_t)r->opts->seed));
    json_set(r->vars, "world", json_string(r->opts->world == SCENARIO_SIM ? "sim" : "real"));
    json_set(r->vars, "stack", stack_vars(r));
    json_set(r->vars, "users", user_vars(r));
}

static void on_limit(void *ctx) {
    struct run *r = ctx;
    char *what = r->step != NULL ? str_printf("%s did not end within the scenario's time", r->step->kind->name)
                                 : str_dup("the scenario did not end within its time");
    run_fail(r, what, NULL, NULL);
    mem_free(what);
}

static void on_not_ready(void *ctx) {
    struct run *r = ctx;
    char *seen = str_printf("the stack is %s; %zu of %zu agents are connected",
                            stack_ready(r->stage->stack) ? "ready" : "not ready",
                            stack_connected_agents(r->stage->stack), scenario_agents(r->scenario));
    run_fail(r, "the stack came up", "a stack that is ready, with all agents", seen);
    mem_free(seen);
}

static void look_ready(void *ctx) {
    struct run *r = ctx;
    struct stage *s = r->stage;
    if (!s->ops->ready(s, r->scenario->wait_for_agents)) {
        s->ops->timer_start(s, &r->ready, READY_POLL_US, look_ready, r);
        return;
    }
    uint64_t limit = r->scenario->timeout_us;
    limit = limit != 0 ? limit : r->opts->world == SCENARIO_SIM ? LIMIT_US : LIMIT_REAL_US;
    s->ops->timer_start(s, &r->limit, limit, on_limit, r);
    r->began_us = s->ops->now_us(s);
    run_begin(r);
}

static bool set_stage(struct run *r, struct error *err) {
    if (!put_modules_together(r, err)) {
        return false;
    }
    struct stage_opts opts = {.scenario = r->scenario,
                              .stack = &r->stack,
                              .seed = r->opts->seed,
                              .dir = r->opts->dir,
                              .journal = r->journal,
                              .trace = r->opts->trace,
                              .trace_ctx = r->opts->trace_ctx};
    r->stage = r->opts->world == SCENARIO_SIM ? stage_sim_new(&opts, err) : stage_real_new(&opts, err);
    return r->stage != NULL;
}

/* ---- to the end */

static void play(struct run *r) {
    struct stage *s = r->stage;
    journal_clock(r->journal, stage_now, s);
    make_vars(r);
    s->ops->timer_start(s, &r->limit, r->opts->world == SCENARIO_SIM ? READY_WITHIN_US : READY_WITHIN_REAL_US,
                        on_not_ready, r);
    s->ops->timer_start(s, &r->ready, 0, look_ready, r);
    while (!r->over) {
        if (r->blocking != NULL) {
            void (*fn)(struct run *) = r->blocking;
            r->blocking = NULL;
            fn(r);
        } else if (!s->ops->turn(s)) {
            run_fail(r, "nothing can happen any more", NULL, NULL);
        }
    }
    r->result->took_us = s->ops->now_us(s) - r->began_us;
}

static void check_sound(struct run *r) {
    struct buf broken = BUF_INIT;
    if (!r->stage->ops->sound(r->stage, &broken) && r->result->passed) {
        run_fail(r, "an invariant was broken", "all invariants hold", broken.ptr);
    }
    buf_free(&broken);
}

static void strike(struct run *r) {
    struct stage *s = r->stage;
    struct buf left = BUF_INIT;
    run_request_cancel(r);
    run_look_clear(r);
    if (r->release != NULL) {
        r->release(r, r->state);
        r->release = NULL;
    }
    run_clients_end(r);
    struct timer *timers[] = {&r->next, &r->limit, &r->ready, &r->reply};
    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
        s->ops->timer_stop(s, timers[i]);
    }
    r->result->hash = s->ops->hash(s);
    journal_clock(r->journal, NULL, NULL);
    s->ops->free(s, &left);
    r->stage = NULL;
    if (left.len != 0 && r->result->passed) {
        run_fail(r, "something was left behind", "nothing is left when all actors have ended", left.ptr);
    }
    buf_free(&left);
}

void run_scenario(const struct run_opts *opts, struct run_result *out) {
    struct run r = {.opts = opts, .scenario = opts->scenario, .result = out, .journal = journal_new()};
    struct error err = ERROR_INIT;
    uint64_t began = wall_us();
    *out = (struct run_result){.passed = true, .agents = scenario_agents(opts->scenario)};
    list_init(&r.clients);
    bool traced = opts->trace != NULL && opts->world == SCENARIO_REAL; /* the simulated world has a better one */
    struct journal_trace *trace = traced ? journal_trace_start(r.journal, opts->trace, opts->trace_ctx) : NULL;
    if (set_stage(&r, &err)) {
        play(&r);
        check_sound(&r);
        strike(&r);
    } else {
        run_fail(&r, "the stack could not be started", NULL, err.msg);
        error_clear(&err);
    }
    out->wall_us = wall_us() - began;
    json_decref(r.vars);
    json_decref(r.args);
    drop_modules(&r);
    journal_trace_end(trace);
    journal_free(r.journal);
}

void run_result_free(struct run_result *r) {
    mem_free(r->where);
    mem_free(r->what);
    mem_free(r->expected);
    mem_free(r->seen);
    mem_free(r->logs);
    *r = (struct run_result){.passed = false};
}
