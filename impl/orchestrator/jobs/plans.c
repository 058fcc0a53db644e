/* Plan jobs: a record with events, begun and ended by whoever runs the plan. */
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/jobs/internal.h"

#include <stdio.h>
#include <string.h>

struct plan {
    struct engine *engine;
    int64_t id;
    bool durable, ending;
    struct timer limit;
    void (*done)(void *ctx, int64_t id, const struct error *err);
    void *ctx;
};

static void over_limit(void *ctx);

static struct plan *find(const struct engine *e, int64_t id) {
    return map_get(&e->plans, id_key(&id));
}

static void drop(struct plan *p) {
    world_timer_stop(p->engine->world, &p->limit);
    map_remove(&p->engine->plans, id_key(&p->id));
    mem_free(p);
}

bool engine_plan_running(const struct engine *e, int64_t plan) {
    const struct plan *p = find(e, plan);
    return p != NULL && p->durable && !p->ending;
}

/* Tells whoever waits for what is durable now (or failed). */
static void tell(struct plan *p, const struct error *err) {
    void (*done)(void *ctx, int64_t id, const struct error *err) = p->done;
    p->done = NULL;
    if (done != NULL) {
        done(p->ctx, err == NULL ? p->id : 0, err);
    }
}

static void write_event(struct engine *e, struct store_batch *b, int64_t plan, const char *type, struct span details) {
    struct store_plan_event event = {
        .id = store_next_id(e->store, STORE_EVENT_ID),
        .plan = plan,
        .type = span_of(type),
        .ts_ms = world_wall_ms(e->world),
        .details = details,
    };
    store_plan_event_insert(b, &event);
    e->metrics.events++;
}

void engine_plan_event(struct engine *e, int64_t plan, const char *type, json_t *details) {
    struct buf text = BUF_INIT;
    json_write(&text, details);
    write_event(e, store_standing(e->store), plan, type, buf_span(&text));
    buf_free(&text);
}

void plan_job_started(struct store_batch *b, struct engine *e, const struct job *j) {
    static const char *const types[JOB_TYPES] = {
        [JOB_DEPLOY] = "task_start",
        [JOB_TASK] = "task_start",
        [JOB_PLAN_TASK] = "task_start",
        [JOB_PLAN_SCRIPT] = "script_start",
        [JOB_PLAN_UPLOAD] = "upload_start",
        [JOB_PLAN_COMMAND] = "command_start",
        [JOB_PLAN_WAIT] = "wait_start",
        [JOB_PLAN_APPLY] = "apply_start",
        [JOB_PLAN_APPLY_PREP] = "apply_prep_start",
    };
    char details[64];
    snprintf(details, sizeof details, "{\"job-id\":\"%lld\"}", (long long)j->id);
    write_event(e, b, j->plan, types[j->type], span_of(details));
}

/* ---------------------------------------------------------------------------------------- begin */

static void start_committed(void *ctx, const struct error *err) {
    struct plan *p = ctx;
    p->durable = err == NULL;
    tell(p, err);
    if (err != NULL) {
        drop(p);
    }
}

void engine_plan_start(struct engine *e, const struct store_plan *row,
                       void (*done)(void *ctx, int64_t id, const struct error *err), void *ctx) {
    struct plan *p = mem_zalloc(sizeof *p);
    struct store_plan stored = *row;
    p->engine = e;
    p->id = stored.id = store_next_id(e->store, STORE_PLAN_ID);
    p->done = done;
    p->ctx = ctx;
    map_put(&e->plans, id_key(&p->id), p);
    stored.state = PLAN_RUNNING;
    stored.created_ms = stored.ts_ms = world_wall_ms(e->world);
    stored.timeout_s = row->timeout_s != 0 ? row->timeout_s : e->config->plan_timeout_s;
    world_timer_start(e->world, &p->limit, (uint64_t)stored.timeout_s * 1000, over_limit, p);
    struct store_batch *b = store_batch_new(e->store);
    store_plan_insert(b, &stored);
    store_commit(e->store, b, start_committed, p);
}

/* ---------------------------------------------------------------------------------------- end */

static void write_end(struct engine *e, struct store_batch *b, int64_t plan, enum plan_state state,
                      struct span result) {
    int64_t now = world_wall_ms(e->world);
    store_plan_update(
        b, &(struct store_plan){.id = plan, .state = state, .ts_ms = now, .finished_ms = now, .result = result});
    struct buf details = BUF_INIT;
    buf_printf(&details, "{\"plan-id\":\"%lld\",\"result\":", (long long)plan);
    buf_append_span(&details, result.len != 0 ? result : SPAN("null"));
    buf_append_char(&details, '}');
    write_event(e, b, plan, state == PLAN_SUCCESS ? "plan_finished" : "plan_failed", buf_span(&details));
    buf_free(&details);
}

static void end_committed(void *ctx, const struct error *err) {
    struct plan *p = ctx;
    tell(p, err);
    if (err == NULL) {
        drop(p);
    } else {
        p->ending = false; /* it goes on; whoever asked may ask again */
    }
}

/* An answer that no commit stands behind. */
struct refusal {
    struct list_link link;
    struct engine *engine;
    struct world_task task;
    struct error err;
    void (*done)(void *ctx, int64_t id, const struct error *err);
    void *ctx;
};

static void refusal_free(struct refusal *r) {
    world_undefer(r->engine->world, &r->task);
    list_remove(&r->engine->refusals, &r->link);
    error_clear(&r->err);
    mem_free(r);
}

static void refuse(void *ctx) {
    struct refusal *r = ctx;
    if (r->done != NULL) {
        r->done(r->ctx, 0, &r->err);
    }
    refusal_free(r);
}

static void only_whether(void *ctx, const struct store_plan *row) {
    (void)ctx, (void)row;
}

static void no_such_plan(struct engine *e, int64_t plan, struct error *err) {
    bool found = false;
    if (!store_plan(e->store, plan, only_whether, NULL, &found, err)) {
        return;
    }
    json_t *id = json_sprintf("%lld", (long long)plan);
    if (found || find(e, plan) != NULL) {
        error_set_details(err, "puppetlabs.orchestrator/plan-already-finished", json_pack("{s:o}", "plan_job", id),
                          "Plan job %lld has already finished", (long long)plan);
    } else {
        error_set_details(err, "puppetlabs.orchestrator/unknown-job", json_pack("{s:o}", "job", id),
                          "Unknown plan job %lld", (long long)plan);
    }
}

void engine_plan_finish(struct engine *e, int64_t plan, enum plan_state state, struct span result,
                        void (*done)(void *ctx, int64_t id, const struct error *err), void *ctx) {
    struct plan *p = find(e, plan);
    if (p == NULL || !p->durable || p->ending) {
        struct refusal *r = mem_zalloc(sizeof *r);
        r->engine = e;
        r->done = done;
        r->ctx = ctx;
        no_such_plan(e, plan, &r->err);
        list_push_back(&e->refusals, &r->link);
        world_defer(e->world, &r->task, refuse, r);
        return;
    }
    p->ending = true;
    p->done = done;
    p->ctx = ctx;
    struct store_batch *b = store_batch_new(e->store);
    write_end(e, b, plan, state, result);
    store_commit(e->store, b, end_committed, p);
}

static void over_limit(void *ctx) {
    struct plan *p = ctx;
    static const char result[] = "{\"kind\":\"puppetlabs.orchestrator/plan-timeout\","
                                 "\"msg\":\"the time limit of the plan is over\",\"details\":{}}";
    if (p->ending || !p->durable) {
        return;
    }
    p->ending = true;
    write_end(p->engine, store_standing(p->engine->store), p->id, PLAN_FAILURE, span_of(result));
    drop(p);
}

/* ---------------------------------------------------------------------------------------- the service's start and end
 */

static bool fail_one(void *ctx, const struct store_plan *row) {
    static const char result[] = "{\"kind\":\"puppetlabs.orchestrator/plan-interrupted\","
                                 "\"msg\":\"the service was restarted\",\"details\":{}}";
    struct engine *e = ctx;
    write_end(e, store_standing(e->store), row->id, PLAN_FAILURE, span_of(result));
    return true;
}

bool plans_resume(struct engine *e, struct error *err) {
    return store_unfinished_plans(e->store, fail_one, e, err);
}

void plans_forget(struct engine *e, void *ctx) {
    for (struct map_iter i = map_iter(&e->plans); map_next(&i);) {
        struct plan *p = i.value;
        p->done = p->ctx == ctx ? NULL : p->done;
    }
    LIST_EACH (it, &e->refusals) {
        struct refusal *r = LIST_ITEM(it, struct refusal, link);
        r->done = r->ctx == ctx ? NULL : r->done;
    }
}

void plans_free(struct engine *e) {
    for (struct map_iter i = map_iter(&e->plans); map_next(&i);) {
        struct plan *p = i.value;
        store_forget(e->store, p);
        world_timer_stop(e->world, &p->limit);
        mem_free(p);
    }
    map_free(&e->plans);
    for (struct list_link *it; (it = list_first(&e->refusals)) != NULL;) {
        refusal_free(LIST_ITEM(it, struct refusal, link));
    }
}
