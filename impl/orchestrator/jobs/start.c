/* New jobs, and those an earlier run of the service left unfinished. */
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/jobs/flags.h"
#include "orchestrator/jobs/internal.h"
#include "orchestrator/jobs/secrets.h"

#include <assert.h>
#include <string.h>

enum { DAY_MS = 86400000 };

static struct job *job_new(struct engine *e, int64_t id, enum job_type type, uint32_t run_count) {
    struct job *j = mem_zalloc(sizeof *j);
    j->engine = e;
    j->id = id;
    j->type = type;
    j->pool = type == JOB_DEPLOY ? &e->deploys : &e->tasks;
    j->runs = mem_array(run_count, sizeof *j->runs);
    j->run_count = run_count;
    list_init(&j->queue);
    list_init(&j->watchers);
    list_init(&j->order_pending);
    map_put(&e->jobs, id_key(&j->id), j);
    for (uint32_t i = 0; i < run_count; i++) {
        j->runs[i].job = j;
        j->runs[i].index = i;
    }
    return j;
}

static void job_drop(struct job *j) {
    map_remove(&j->engine->jobs, id_key(&j->id));
    job_free(j);
}

static void activate(struct job *j) {
    struct engine_metrics *m = &j->engine->metrics;
    j->durable = true;
    m->jobs_started++;
    m->jobs_active++;
    m->nodes_active += j->run_count;
}

static uint32_t default_timeout(const struct engine *e, enum job_type type) {
    return type == JOB_DEPLOY ? e->config->deploy_node_timeout_s : e->config->task_node_timeout_s;
}

/* ---------------------------------------------------------------------------------------- a new one */

static void take_nodes(struct job *j, const struct job_node *nodes) {
    size_t total = 0;
    for (uint32_t i = 0; i < j->run_count; i++) {
        total += nodes[i].name.len;
    }
    char *at = j->names = mem_alloc(total);
    for (uint32_t i = 0; i < j->run_count; i++) {
        memcpy(at, nodes[i].name.ptr, nodes[i].name.len);
        j->runs[i].name = span_bytes(at, nodes[i].name.len);
        j->runs[i].transport = (uint8_t)nodes[i].transport;
        at += nodes[i].name.len;
    }
}

static void take_request(struct job *j, const struct job_request *r) {
    struct engine *e = j->engine;
    int64_t now = world_wall_ms(e->world);
    j->state = JOB_READY;
    j->noop = r->noop;
    j->no_noop = json_bool(r->options, "no_noop", false);
    j->plan = r->plan;
    j->schedule = r->schedule;
    j->concurrency = r->concurrency;
    j->timeout_s = r->timeout_s != 0 ? r->timeout_s : default_timeout(e, r->type);
    j->ts_ms = j->started_ms = j->entered_ms[JOB_NEW] = j->entered_ms[JOB_READY] = now;
    j->task = str_dup(r->task);
    j->owner_id = str_dup(json_str(r->owner, "id"));
    j->owner_login = str_dup(json_str(r->owner, "login"));
    world_random(e->world, j->salt, sizeof j->salt);
    for (uint32_t i = 0; i < j->run_count; i++) {
        j->runs[i].state = j->runs[i].blocked != 0 ? NODE_NEW : NODE_READY;
        j->counts[j->runs[i].state]++;
    }
}

static void write_job(struct job *j, const struct job_request *r, struct span request, struct span secret,
                      struct store_batch *b) {
    struct buf edges = BUF_INIT, options = BUF_INIT, owner = BUF_INIT, userdata = BUF_INIT;
    order_store(j, &edges);
    json_write(&options, r->options);
    json_write(&owner, r->owner);
    json_write(&userdata, r->userdata);
    struct store_job row = {
        .id = j->id,
        .type = j->type,
        .state = j->state,
        .command = span_of(r->command),
        .environment = span_of(r->environment),
        .description = span_of(r->description),
        .task = span_of(r->task),
        .owner_login = span_of(j->owner_login),
        .node_count = j->run_count,
        .concurrency = j->concurrency,
        .timeout_s = j->timeout_s,
        .noop = j->noop,
        .plan = j->plan,
        .schedule = j->schedule,
        .ts_ms = j->ts_ms,
        .started_ms = j->started_ms,
        .options = buf_span(&options),
        .owner = buf_span(&owner),
        .userdata = buf_span(&userdata),
        .request = request,
        .secret = secret,
        .edges = buf_span(&edges),
    };
    memcpy(row.counts, j->counts, sizeof row.counts);
    memcpy(row.entered_ms, j->entered_ms, sizeof row.entered_ms);
    memcpy(row.salt, j->salt, sizeof row.salt);
    store_job_insert(b, &row);
    for (uint32_t i = 0; i < j->run_count; i++) {
        const struct run *run = &j->runs[i];
        store_node_insert(b, j->id, i, run->name, (enum node_state)run->state, (enum node_transport)run->transport,
                          j->ts_ms);
        if (run->transport != TRANSPORT_PCP) {
            store_usage_agentless(b, j->ts_ms / DAY_MS, run->name);
        }
    }
    buf_free(&edges);
    buf_free(&options);
    buf_free(&owner);
    buf_free(&userdata);
}

static void record_activity(struct job *j) {
    struct engine *e = j->engine;
    if (e->services == NULL || j->owner_id == NULL) {
        return;
    }
    struct span *names = mem_array(j->run_count, sizeof *names);
    for (uint32_t i = 0; i < j->run_count; i++) {
        names[i] = j->runs[i].name;
    }
    struct services_activity a = {
        .subject_id = j->owner_id,
        .subject_name = j->owner_login,
        .deploy = j->type == JOB_DEPLOY,
        .task = j->task,
        .job = j->id,
        .schedule = j->schedule,
        .nodes = names,
        .node_count = j->run_count,
    };
    services_record(e->services, &a);
    mem_free(names);
}

static void queue_ready(struct job *j) {
    for (uint32_t i = 0; i < j->run_count; i++) {
        struct run *r = &j->runs[i];
        if (r->phase == PHASE_BLOCKED && r->blocked == 0 && !node_state_final((enum node_state)r->state)) {
            run_queue(r, false);
        }
    }
}

static void on_created(void *ctx, const struct error *err) {
    struct job *j = ctx;
    void (*created)(void *ctx, int64_t id, const struct error *err) = j->created;
    void *created_ctx = j->created_ctx;
    int64_t id = j->id;
    j->created = NULL;
    if (err == NULL) {
        activate(j);
        record_activity(j);
        queue_ready(j);
    } else {
        job_drop(j);
    }
    if (created != NULL) {
        created(created_ctx, err == NULL ? id : 0, err);
    }
}

static bool within_limits(const struct engine *e, const struct job_request *r, struct error *err) {
    if (store_error(e->store) != NULL) {
        return error_set(err, store_error(e->store)->kind, "%s", store_error(e->store)->msg);
    }
    if (!e->ready || e->draining) {
        return error_set(err, "orchestrator/limit", "the service is %s", e->ready ? "stopping" : "starting");
    }
    if (map_count(&e->jobs) >= e->config->jobs_active_max) {
        return error_set(err, "orchestrator/limit", "%u jobs are unfinished: no more are taken",
                         e->config->jobs_active_max);
    }
    if (r->node_count > e->config->job_nodes_max) {
        return error_set(err, "orchestrator/limit", "a job may have at most %u nodes", e->config->job_nodes_max);
    }
    if (r->plan != 0 && !engine_plan_running(e, r->plan)) {
        return error_set_details(err, "puppetlabs.orchestrator/plan-already-finished",
                                 json_pack("{s:o}", "plan_job", json_sprintf("%lld", (long long)r->plan)),
                                 "Plan job %lld has already finished", (long long)r->plan);
    }
    return true;
}

bool engine_start(struct engine *e, const struct job_request *r,
                  void (*done)(void *ctx, int64_t id, const struct error *err), void *ctx, struct error *err) {
    assert(r->node_count != 0);
    if (!within_limits(e, r, err)) {
        return false;
    }
    json_t *flags = r->type == JOB_DEPLOY ? deploy_flags(r->options, err) : NULL;
    if (r->type == JOB_DEPLOY && flags == NULL) {
        return false;
    }
    struct job *j = job_new(e, store_next_id(e->store, STORE_JOB_ID), r->type, (uint32_t)r->node_count);
    j->created = done;
    j->created_ctx = ctx;
    take_nodes(j, r->nodes);
    if (!order_set(j, r->edges, r->edge_count, err)) {
        json_decref(flags);
        job_drop(j);
        return false;
    }
    take_request(j, r);

    struct buf request = BUF_INIT, secrets = BUF_INIT, sealed = BUF_INIT;
    request_store(r, flags, j->id, &request, &secrets);
    if (secrets.len != 0) {
        secret_seal(e->world, e->secret_key, "job", buf_span(&secrets), &sealed);
    }
    json_t *clear = secrets.len != 0 ? json_parse(buf_span(&secrets), "secrets", NULL) : NULL;
    request_body(j, buf_span(&request), clear);
    struct store_batch *b = store_batch_new(e->store);
    write_job(j, r, buf_span(&request), buf_span(&sealed), b);
    if (j->plan != 0) {
        plan_job_started(b, e, j);
    }
    store_commit(e->store, b, on_created, j);

    json_decref(clear);
    json_decref(flags);
    if (secrets.ptr != NULL) {
        mem_zero(secrets.ptr, secrets.cap);
    }
    buf_free(&secrets);
    buf_free(&sealed);
    buf_free(&request);
    return true;
}

/* ---------------------------------------------------------------------------------------- after a restart */

struct resume {
    struct engine *engine;
    struct job *job;
    struct buf names;
    size_t *offsets;
    struct list jobs; /* struct job by dirty_link: found unfinished */
};

static bool load_node(void *ctx, const struct store_node *n) {
    struct resume *l = ctx;
    if (n->index >= l->job->run_count) {
        return true;
    }
    struct run *r = &l->job->runs[n->index];
    l->offsets[n->index] = l->names.len;
    r->name.len = n->name.len;
    buf_append_span(&l->names, n->name);
    r->state = (uint8_t)n->state;
    r->transport = (uint8_t)n->transport;
    r->started_ms = n->started_ms;
    r->event = n->event;
    r->phase = node_state_final(n->state) ? PHASE_ENDED : PHASE_BLOCKED;
    r->maybe_known = true;
    l->job->counts[n->state]++;
    return true;
}

static void load_body(struct job *j, const struct store_job *row) {
    struct buf clear = BUF_INIT;
    json_t *secrets = NULL;
    if (row->secret.len != 0) {
        if (secret_open(j->engine->secret_key, "job", row->secret, &clear)) {
            secrets = json_parse(buf_span(&clear), "secrets", NULL);
        }
        j->body_missing = secrets == NULL;
        if (clear.ptr != NULL) {
            mem_zero(clear.ptr, clear.cap);
        }
    }
    if (!request_body(j, row->request, secrets)) {
        j->body_missing = true;
    }
    json_decref(secrets);
    buf_free(&clear);
}

static bool load_job(void *ctx, const struct store_job *row) {
    struct resume *l = ctx;
    struct job *j = job_new(l->engine, row->id, row->type, row->node_count);
    json_t *owner = json_parse(row->owner, "owner", NULL), *options = json_parse(row->options, "options", NULL);
    j->state = row->state;
    j->stop_asked = row->state == JOB_STOPPING;
    j->noop = row->noop;
    j->no_noop = json_bool(options, "no_noop", false);
    j->plan = row->plan;
    j->schedule = row->schedule;
    j->concurrency = row->concurrency;
    j->timeout_s = row->timeout_s;
    j->ts_ms = row->ts_ms;
    j->started_ms = row->started_ms;
    memcpy(j->entered_ms, row->entered_ms, sizeof j->entered_ms);
    memcpy(j->salt, row->salt, sizeof j->salt);
    j->task = row->task.len != 0 ? span_dup(row->task) : NULL;
    j->owner_id = str_dup(json_str(owner, "id"));
    j->owner_login = str_dup(json_str(owner, "login"));
    load_body(j, row);
    order_load(j, row->edges);
    json_decref(owner);
    json_decref(options);
    list_push_back(&l->jobs, &j->dirty_link);
    return true;
}

static bool load_nodes(struct resume *l, struct job *j, struct error *err) {
    struct store_page all = {.limit = -1};
    l->job = j;
    l->names = (struct buf)BUF_INIT;
    l->offsets = mem_array(j->run_count, sizeof *l->offsets);
    bool ok = store_nodes_page(l->engine->store, j->id, &all, NULL, 0, load_node, l, NULL, err);
    j->names = buf_take(&l->names);
    for (uint32_t i = 0; i < j->run_count; i++) {
        j->runs[i].name.ptr = j->names + l->offsets[i];
    }
    mem_free(l->offsets);
    return ok;
}

/* Whoever was at work is asked; whoever waited waits again. */
static void resume_job(struct job *j) {
    for (uint32_t i = 0; i < j->run_count; i++) {
        struct run *r = &j->runs[i];
        if (r->state == NODE_RUNNING || r->state == NODE_STOPPING) {
            r->forced = r->state == NODE_STOPPING;
            if (j->state == JOB_READY) {
                job_enter(j, JOB_RUNNING);
            }
            run_resume(r);
        }
    }
    order_resume(j);
    queue_ready(j);
    job_check_end(j); /* its last node's end was durable, its own was not: never so within one commit, but harmless */
}

bool jobs_resume(struct engine *e, struct error *err) {
    struct resume l = {.engine = e};
    list_init(&l.jobs);
    bool ok = store_unfinished_jobs(e->store, load_job, &l, err);
    for (struct list_link *it; (it = list_pop_front(&l.jobs)) != NULL;) {
        struct job *j = LIST_ITEM(it, struct job, dirty_link);
        ok = ok && load_nodes(&l, j, err);
        if (!ok) {
            job_drop(j);
            continue;
        }
        activate(j);
        e->metrics.jobs_started--;
        if (e->config->restart_policy == RESTART_FAIL) {
            job_abort(j, "the service was restarted");
        } else {
            resume_job(j);
        }
    }
    return ok;
}
