/* See story.h. */
#include "simulator/torture/story.h"

#include "base/json.h"
#include "base/mem.h"
#include <string.h>

enum { NODES = 2, READS = 3 };

static void put(struct world *w, const char *dir, const char *name, struct span text, struct error *err) {
    char *path = str_printf("%s/%s", dir, name);
    world_file_write(w, path, text, 0644, WORLD_WRITE_PLAIN, err);
    mem_free(path);
}

static bool fill_modules(void *ctx, struct world *puppetserver, const char *dir, struct error *err) {
    (void)ctx;
    char *tasks = str_printf("%s/echo/tasks", dir);
    bool ok = world_file_mkdir(puppetserver, tasks, 0755, true, err);
    put(puppetserver, tasks, "init.sh", SPAN("#!/bin/sh\necho hello\n"), err);
    put(puppetserver, tasks, "init.json",
        SPAN("{\"description\":\"echo\",\"parameters\":{\"message\":{\"type\":\"String\"}}}"), err);
    mem_free(tasks);
    return ok && !error_is_set(err);
}

static bool is_ready(void *ctx) {
    return simulated_ready(ctx);
}

static void on_started(void *ctx, const struct client_reply *r) {
    struct story *s = ctx;
    const json_t *job = json_object_get(r->body, "job");
    s->answered = true;
    s->acknowledged = r->err == NULL;
    s->job = s->acknowledged ? str_dup(json_str(job, "name")) : NULL;
    s->refused = r->err != NULL ? str_dup(r->err->kind) : NULL;
    if (r->err != NULL && (r->err->kind == NULL || r->err->msg == NULL || r->err->msg[0] == '\0')) {
        buf_append_cstr(&s->trouble, "the request was refused without a word\n");
    }
}

static bool is_answered(void *ctx) {
    return ((struct story *)ctx)->answered;
}

static struct world *host_of(const struct story *s, const char *name) {
    return sim_find_host(s->sim, name);
}

/* The machine dies in the middle of what the actor does: nothing it asks for works any more, and then it is gone. */
static void crash_when_dying(struct story *s, const struct story_opts *o) {
    struct world *host = host_of(s, o->host);
    struct error err = ERROR_INIT;
    if (!sim_disk_dying(host)) {
        return;
    }
    sim_disk_die_after(host, 0);
    bool ok = simulated_crash(s->simulated, o->host, o->fault == STORY_POWER ? SIM_CRASH_POWER : SIM_CRASH_KILL);
    sim_run(s->sim, sim_now_us(s->sim) + 3 * SIM_SECOND);
    if (!ok || !simulated_restart(s->simulated, o->host, &err)) {
        buf_printf(&s->trouble, "%s did not start again: %s\n", o->host, err.msg != NULL ? err.msg : "?");
    }
    error_clear(&err);
}

/* Runs on, event by event while the disk may die: what the dying actor does next must not be seen by anybody. */
static void run(struct story *s, const struct story_opts *o, uint64_t us, bool (*done)(void *ctx)) {
    uint64_t until = sim_now_us(s->sim) + us;
    bool may_die = o->fault == STORY_KILL || o->fault == STORY_POWER;
    while (sim_now_us(s->sim) < until && (done == NULL || !done(s))) {
        if (!may_die) {
            sim_run_until(s->sim, until - sim_now_us(s->sim), done != NULL ? done : is_answered, s);
            if (done == NULL) {
                sim_run(s->sim, until);
            }
            return;
        }
        if (!sim_step(s->sim)) {
            return;
        }
        crash_when_dying(s, o);
    }
}

static void arm(const struct story *s, const struct story_opts *o) {
    struct world *host = host_of(s, o->host);
    switch (o->fault) {
    case STORY_OPERATION:
        sim_file_fail_after(host, o->n, o->kind);
        break;
    case STORY_KILL:
    case STORY_POWER:
        sim_disk_die_after(host, o->n);
        break;
    case STORY_MEMORY:
        mem_fail_after(o->n);
        break;
    case STORY_NOTHING:
        break;
    }
}

static void on_read(void *ctx, const struct client_reply *r) {
    struct story *s = ctx;
    if (r->err != NULL) {
        buf_printf(&s->trouble, "the job cannot be read afterwards: %s\n", r->err->msg);
    }
    const json_t *items = json_object_get(r->body, "items");
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item) {
        const char *state = json_str(item, "name") != NULL ? json_str(item, "state") : NULL;
        if (state != NULL && (strcmp(state, "running") == 0 || strcmp(state, "ready") == 0)) {
            buf_printf(&s->trouble, "%s is still %s\n", json_str(item, "name"), state);
        }
    }
    s->answered = true;
}

/* Everything works again: what was acknowledged comes to its end and can be read. */
static void converge(struct story *s) {
    static const char *const parts[READS] = {"", "/nodes", "/events"};
    sim_run(s->sim, sim_now_us(s->sim) + 2 * SIM_HOUR);
    for (size_t i = 0; s->acknowledged && i < READS; i++) {
        char *path = str_printf("/jobs/%s%s", s->job, parts[i]);
        s->answered = false;
        client_call(simulated_client(s->simulated), "GET", path, NULL, on_read, s);
        sim_run_until(s->sim, 5 * SIM_MINUTE, is_answered, s);
        if (!s->answered) {
            buf_append_cstr(&s->trouble, "the orchestrator does not answer afterwards\n");
        }
        mem_free(path);
    }
    checks_finish(s->checks);
    for (size_t i = 0; i < checks_violation_count(s->checks); i++) {
        const struct violation *v = checks_violation(s->checks, i);
        buf_printf(&s->trouble, "invariant %d: %s\n", v->invariant, v->text);
    }
}

void story_play(struct story *s, const struct story_opts *o) {
    struct error err = ERROR_INIT;
    *s = (struct story){.sim = sim_new(&(struct sim_opts){.seed = 1})};
    s->checks = checks_new(s->sim, NULL);
    struct simulated_opts opts = {.sim = s->sim, .agents = NODES, .fill_modules = fill_modules};
    s->simulated = simulated_new(&opts, &err);
    if (s->simulated == NULL || !sim_run_until(s->sim, SIM_HOUR, is_ready, s->simulated)) {
        buf_printf(&s->trouble, "the stack did not come up: %s\n", err.msg != NULL ? err.msg : "not ready");
    } else {
        struct world *host = host_of(s, o->host);
        uint64_t before = sim_file_op_count(host);
        arm(s, o);
        json_t *request = json_pack("{s:s, s:s, s:{s:s}, s:{s:[s, s]}}", "environment", "production", "task", "echo",
                                    "params", "message", "hello", "scope", "nodes",
                                    simulated_agent_name(s->simulated, 0), simulated_agent_name(s->simulated, 1));
        client_call(simulated_client(s->simulated), "POST", "/command/task", request, on_started, s);
        run(s, o, 3 * SIM_MINUTE, is_answered);
        run(s, o, 2 * SIM_MINUTE, NULL);
        mem_fail_after(0);
        s->operations = sim_file_op_count(host) - before;
        sim_file_fail_after(host, 0, NULL);
        sim_disk_die_after(host, 0);
        converge(s);
    }
    simulated_free(s->simulated);
    struct buf report = BUF_INIT;
    sim_run(s->sim, sim_now_us(s->sim) + SIM_MINUTE);
    if (!sim_check_idle(s->sim, &report)) {
        buf_printf(&s->trouble, "left behind: %s\n", report.ptr);
    }
    buf_free(&report);
    checks_free(s->checks);
    sim_free(s->sim);
    error_clear(&err);
}

void story_free(struct story *s) {
    mem_free(s->job);
    mem_free(s->refused);
    buf_free(&s->trouble);
}
