/* A job's states: from its start to its end (orchestrator-jobs.md §2, §8). */
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/jobs/internal.h"
#include "orchestrator/jobs/render.h"

#include <assert.h>
#include <string.h>

#define USAGE_TASKS "nodes_affected_by_task_runs"
#define USAGE_PLANS "nodes_affected_by_plan_runs"
#define USAGE_CORRECTIVE "corrective_agent_changes"
#define USAGE_INTENTIONAL "intentional_agent_changes"
enum { DAY_MS = 86400000 };

struct job *job_find(const struct engine *e, int64_t id) {
    return map_get(&e->jobs, id_key(&id));
}

void job_mark(struct job *j) {
    if (!list_linked(&j->dirty_link)) {
        list_push_back(&j->engine->dirty, &j->dirty_link);
    }
}

void job_set_counts(struct job *j, enum node_state from, enum node_state to) {
    j->counts[from]--;
    j->counts[to]++;
    job_mark(j);
}

void job_enter(struct job *j, enum job_state state) {
    assert(job_state_step(j->state, state));
    int64_t now = world_wall_ms(j->engine->world);
    j->state = state;
    j->ts_ms = now;
    j->entered_ms[state] = now;
    j->finished_ms = job_state_final(state) ? now : 0;
    job_mark(j);
    if (job_state_final(state)) { /* what clients wait for */
        store_hasten(j->engine->store);
    }
}

/* ---------------------------------------------------------------------------------------- events and watchers */

static void tell_watchers(void *ctx) {
    struct job *j = ctx;
    bool more = j->last_event >= store_event_horizon(j->engine->store); /* younger than the transaction that ended */
    bool over = job_state_final(j->state) && !more;
    if (more) {
        store_after(j->engine->store, &j->fresh, tell_watchers, j);
    }
    for (size_t left = j->watchers.count; left != 0; left--) {
        struct list_link *it = list_pop_front(&j->watchers);
        struct engine_watch *w = LIST_ITEM(it, struct engine_watch, link);
        if (!over) {
            list_push_back(&j->watchers, it);
        }
        w->fresh(w->ctx, over);
    }
    if (over) {
        map_remove(&j->engine->jobs, id_key(&j->id));
        job_free(j);
    }
}

int64_t job_event(struct job *j, int64_t node, enum event_type type, struct span detail) {
    struct engine *e = j->engine;
    struct store_event event = {
        .id = store_next_id(e->store, STORE_EVENT_ID),
        .job = j->id,
        .node = node,
        .type = type,
        .ts_ms = world_wall_ms(e->world),
        .detail = detail,
    };
    store_event_insert(store_standing(e->store), &event);
    e->metrics.events++;
    j->last_event = event.id;
    if (!list_linked(&j->fresh.link)) {
        store_after(e->store, &j->fresh, tell_watchers, j);
    }
    return event.id;
}

bool engine_watch(struct engine *e, struct engine_watch *w, int64_t job, void (*fresh)(void *ctx, bool over),
                  void *ctx) {
    struct job *j = job_find(e, job);
    if (j == NULL) {
        return false;
    }
    *w = (struct engine_watch){.job = job, .fresh = fresh, .ctx = ctx};
    list_push_back(&j->watchers, &w->link);
    return true;
}

void engine_unwatch(struct engine *e, struct engine_watch *w) {
    struct job *j = job_find(e, w->job);
    if (j != NULL) {
        list_remove(&j->watchers, &w->link);
    }
}

/* ---------------------------------------------------------------------------------------- end */

static void count_usage(struct job *j) {
    struct store_batch *b = store_standing(j->engine->store);
    int64_t day = j->finished_ms / DAY_MS;
    uint32_t ran = j->counts[NODE_FINISHED] + j->counts[NODE_FAILED];
    if (j->type != JOB_DEPLOY && ran != 0) {
        store_usage_add(b, day, j->type == JOB_TASK ? USAGE_TASKS : USAGE_PLANS, ran);
    }
    if (j->corrective != 0) {
        store_usage_add(b, day, USAGE_CORRECTIVE, j->corrective);
    }
    if (j->intentional != 0) {
        store_usage_add(b, day, USAGE_INTENTIONAL, j->intentional);
    }
}

static void end_event(struct job *j) {
    struct buf detail = BUF_INIT;
    buf_printf(&detail, "{\"state\":\"%s\",\"node_states\":", job_state_name(j->state));
    render_counts(&detail, j->counts, false);
    buf_append_char(&detail, '}');
    job_event(j, -1, EVENT_JOB_FINISHED, buf_span(&detail));
    buf_free(&detail);
}

static uint32_t nodes_over(const struct job *j) {
    uint32_t over = 0;
    for (int s = NODE_FINISHED; s < NODE_STATES; s++) {
        over += j->counts[s];
    }
    return over;
}

/* Called after each node's end. The job itself is freed once its end is durable. */
void job_check_end(struct job *j) {
    struct engine_metrics *m = &j->engine->metrics;
    if (job_state_final(j->state) || nodes_over(j) != j->run_count) {
        return;
    }
    enum job_state end = j->stop_asked                              ? JOB_STOPPED
                         : j->counts[NODE_FINISHED] == j->run_count ? JOB_FINISHED
                                                                    : JOB_FAILED;
    if (end == JOB_FINISHED && j->state == JOB_READY) {
        job_enter(j, JOB_RUNNING);
    }
    job_enter(j, end);
    m->jobs_stopped += end == JOB_STOPPED ? 1 : 0;
    m->jobs_finished += end == JOB_FINISHED ? 1 : 0;
    m->jobs_failed += end == JOB_FAILED ? 1 : 0;
    m->jobs_active--;
    m->nodes_active -= j->run_count;
    report_stop(j);
    end_event(j);
    count_usage(j);
}

void job_abort(struct job *j, const char *why) {
    struct engine *e = j->engine;
    struct buf detail = BUF_INIT;
    for (uint32_t i = 0; i < j->run_count; i++) {
        struct run *r = &j->runs[i];
        if (!node_state_final((enum node_state)r->state)) {
            buf_clear(&detail);
            outcome_error(&detail, r->name, span_of(why));
            job_set_counts(j, (enum node_state)r->state, NODE_ERRORED);
            int64_t now = world_wall_ms(e->world), event = job_event(j, i, EVENT_NODE_ERRORED, buf_span(&detail));
            store_node_update(store_standing(e->store), &(struct store_node_change){.job = j->id,
                                                                                    .index = i,
                                                                                    .state = NODE_ERRORED,
                                                                                    .ts_ms = now,
                                                                                    .started_ms = r->started_ms,
                                                                                    .finished_ms = now,
                                                                                    .event = event});
            r->state = NODE_ERRORED;
            r->phase = PHASE_ENDED;
        }
    }
    buf_clear(&detail);
    buf_printf(&detail, "{\"error\":{\"kind\":\"puppetlabs.orchestrator/job-aborted\",\"msg\":");
    json_write_string(&detail, span_of(why));
    buf_append_cstr(&detail, ",\"details\":{}}}");
    job_enter(j, JOB_FAILED);
    job_event(j, -1, EVENT_JOB_ABORTED, buf_span(&detail));
    buf_free(&detail);
    e->metrics.jobs_failed++;
    e->metrics.jobs_active--;
    e->metrics.nodes_active -= j->run_count;
}

void job_free(struct job *j) {
    struct engine *e = j->engine;
    while (list_pop_front(&j->watchers) != NULL) {
        /* nobody is told: the service ends */
    }
    for (uint32_t i = 0; i < j->run_count; i++) {
        struct run *r = &j->runs[i];
        world_timer_stop(e->world, &r->timer);
        run_unwatch_host(r);
        deploy_outcome_free(r->deploy);
    }
    report_stop(j);
    map_free(&j->reporting);
    map_free(&j->cataloguing);
    list_remove(&j->pool->turns, &j->turn_link);
    list_remove(&e->dirty, &j->dirty_link);
    store_unwait(e->store, &j->fresh);
    if (j->body.ptr != NULL) {
        mem_zero(j->body.ptr, j->body.len);
    }
    buf_free(&j->body);
    mem_free(j->runs);
    mem_free(j->names);
    mem_free(j->edges);
    mem_free(j->edge_first);
    mem_free(j->task);
    mem_free(j->owner_id);
    mem_free(j->owner_login);
    mem_free(j);
}

/* ---------------------------------------------------------------------------------------- stop */

struct ask {
    struct list_link link; /* in engine->asks */
    struct engine *engine;
    struct store_waiter waiter;
    struct world_task task; /* for an answer that needs no commit */
    uint32_t counts[NODE_STATES];
    struct error err;
    void (*done)(void *ctx, const uint32_t *counts, const struct error *err);
    void *ctx;
};

static void ask_free(struct ask *a) {
    store_unwait(a->engine->store, &a->waiter);
    world_undefer(a->engine->world, &a->task);
    list_remove(&a->engine->asks, &a->link);
    error_clear(&a->err);
    mem_free(a);
}

void asks_free(struct engine *e) {
    for (struct list_link *it; (it = list_first(&e->asks)) != NULL;) {
        ask_free(LIST_ITEM(it, struct ask, link));
    }
}

void asks_forget(struct engine *e, void *ctx) {
    LIST_EACH (it, &e->asks) {
        struct ask *a = LIST_ITEM(it, struct ask, link);
        a->done = a->ctx == ctx ? NULL : a->done;
    }
}

static void stop_durable(void *ctx) {
    struct ask *a = ctx;
    if (a->done != NULL) {
        a->done(a->ctx, error_is_set(&a->err) ? NULL : a->counts, error_is_set(&a->err) ? &a->err : NULL);
    }
    ask_free(a);
}

static void stopped_already(void *ctx, const struct store_job *row) {
    memcpy(((struct ask *)ctx)->counts, row->counts, sizeof row->counts);
}

static void skip_waiting(struct job *j) {
    for (uint32_t i = 0; i < j->run_count; i++) {
        struct run *r = &j->runs[i];
        if (r->phase == PHASE_BLOCKED || r->phase == PHASE_QUEUED || r->phase == PHASE_ABSENT) {
            run_skip(r, "the job was stopped");
        }
    }
}

static void force_running(struct job *j) {
    for (uint32_t i = 0; i < j->run_count; i++) {
        run_force(&j->runs[i]);
    }
}

static void stop_job(struct job *j, bool force) {
    if (job_state_final(j->state)) {
        return;
    }
    if (!j->stop_asked) {
        j->stop_asked = true;
        if (j->state == JOB_RUNNING || j->running != 0) {
            job_enter(j, JOB_STOPPING);
        }
        admit_update(j);
        if (j->running != 0) {
            job_event(j, -1, EVENT_JOB_STOPPING, SPAN("{}"));
        }
        skip_waiting(j);
    }
    if (force) {
        force_running(j);
    }
}

void engine_stop(struct engine *e, int64_t job, bool force,
                 void (*done)(void *ctx, const uint32_t *counts, const struct error *err), void *ctx) {
    struct ask *a = mem_zalloc(sizeof *a);
    a->engine = e;
    a->done = done;
    a->ctx = ctx;
    list_push_back(&e->asks, &a->link);
    struct job *j = job_find(e, job);
    bool found = true;
    if (store_error(e->store) != NULL) {
        error_set(&a->err, store_error(e->store)->kind, "%s", store_error(e->store)->msg);
    } else if (j != NULL && j->durable) {
        stop_job(j, force);
        memcpy(a->counts, j->counts, sizeof a->counts);
    } else if (store_job(e->store, job, stopped_already, a, &found, &a->err) && !found) {
        json_t *details = json_pack("{s:o}", "job", json_sprintf("%lld", (long long)job));
        error_set_details(&a->err, "puppetlabs.orchestrator/unknown-job", details, "Unknown job %lld", (long long)job);
    }
    if (error_is_set(&a->err)) {
        world_defer(e->world, &a->task, stop_durable, a);
    } else {
        store_after(e->store, &a->waiter, stop_durable, a);
        store_hasten(e->store);
    }
}
