/* Calls of the engine, and what was written. */
#include "rig.h"

#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/jobs/render.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---------------------------------------------------------------------------------------- calls */

static void on_started(void *ctx, int64_t id, const struct error *err) {
    struct rig *r = ctx;
    r->started_id = id;
    r->started++;
    if (err != NULL) {
        r->start_failed++;
        snprintf(r->start_error, sizeof r->start_error, "%s", err->kind);
    }
}

static bool has_started(void *ctx) {
    return ((struct rig *)ctx)->started > 0;
}

static int64_t start_job(struct rig *r, int first, int last, struct job_request *req) {
    struct job_node *nodes = mem_array((size_t)(last - first + 1), sizeof *nodes);
    struct error err = ERROR_INIT;
    req->node_count = (size_t)(last - first + 1);
    for (int i = first; i <= last; i++) {
        nodes[i - first].name = span_of(r->agents[i - 1].name);
    }
    if (req->nodes == NULL) {
        req->nodes = nodes;
    }
    json_t *owner = json_pack("{s:s, s:s}", "id", "c2f9ae4e-62ad-4c0e-8f86-1b1d0d4f2a55", "login", "mira");
    json_t *userdata = json_object(), *options = req->options != NULL ? json_incref(req->options) : json_object();
    req->owner = owner;
    req->userdata = userdata;
    req->options = options;
    req->environment = req->environment != NULL ? req->environment : "production";
    r->started = r->start_failed = 0;
    r->started_id = 0;
    bool ok = engine_start(r->engine, req, on_started, r, &err);
    if (ok) {
        assert_true(sim_run_until(r->sim, 30 * SIM_SECOND, has_started, r));
    } else {
        r->start_failed++;
        snprintf(r->start_error, sizeof r->start_error, "%s", err.kind);
        char *details = err.details != NULL ? json_text(err.details) : str_dup("");
        snprintf(r->start_details, sizeof r->start_details, "%s", details);
        mem_free(details);
    }
    error_clear(&err);
    json_decref(owner);
    json_decref(userdata);
    json_decref(options);
    mem_free(nodes);
    return r->started_id;
}

int64_t rig_task(struct rig *r, int first, int last, const struct job_request *given) {
    struct job_request req = given != NULL ? *given : (struct job_request){0};
    json_t *files = json_pack("[{s:s, s:s, s:{s:s, s:{s:s}}}]", "filename", "init.sh", "sha256",
                              "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "uri", "path",
                              "/puppet/v3/file_content/tasks/echo/init.sh", "params", "environment", "production");
    json_t *metadata = json_pack("{s:s}", "input_method", "stdin");
    json_t *params = req.params != NULL ? json_incref(req.params) : json_pack("{s:s}", "message", "hello");
    req.type = req.type != 0 ? req.type : JOB_TASK;
    req.command = req.command != NULL ? req.command : "task";
    req.task = "echo";
    req.files = files;
    req.metadata = metadata;
    req.params = params;
    int64_t id = start_job(r, first, last, &req);
    json_decref(files);
    json_decref(metadata);
    json_decref(params);
    return id;
}

int64_t rig_deploy(struct rig *r, int first, int last, const struct job_request *given) {
    struct job_request req = given != NULL ? *given : (struct job_request){0};
    req.type = JOB_DEPLOY;
    req.command = "deploy";
    json_t *options = req.options != NULL ? json_incref(req.options) : json_pack("{s:s}", "environment", "production");
    req.options = options;
    int64_t id = start_job(r, first, last, &req);
    json_decref(options);
    return id;
}

static void on_stopped(void *ctx, const uint32_t *counts, const struct error *err) {
    struct rig *r = ctx;
    r->stops++;
    memset(r->stop_counts, 0, sizeof r->stop_counts);
    if (err == NULL) {
        memcpy(r->stop_counts, counts, sizeof r->stop_counts);
    } else {
        snprintf(r->start_error, sizeof r->start_error, "%s", err->kind);
    }
}

static bool has_stopped(void *ctx) {
    return ((struct rig *)ctx)->stops > 0;
}

void rig_stop(struct rig *r, int64_t job, bool force) {
    r->stops = 0;
    engine_stop(r->engine, job, force, on_stopped, r);
    assert_int_equal(r->stops, 0);
    assert_true(sim_run_until(r->sim, 30 * SIM_SECOND, has_stopped, r));
}

struct question {
    struct rig *rig;
    int64_t job;
    uint32_t nodes;
    struct store_job row;
};

static void take_job(void *ctx, const struct store_job *job) {
    *(struct store_job *)ctx = *job;
}

static struct store_job read_job(struct rig *r, int64_t job) {
    struct store_job row = {0};
    bool found;
    assert_true(store_job(r->store, job, take_job, &row, &found, NULL));
    assert_true(found);
    return row;
}

enum job_state rig_state(struct rig *r, int64_t job) {
    return read_job(r, job).state;
}

void rig_counts(struct rig *r, int64_t job, uint32_t counts[NODE_STATES]) {
    struct store_job row = read_job(r, job);
    memcpy(counts, row.counts, sizeof row.counts);
}

static bool is_over(void *ctx) {
    struct question *q = ctx;
    return q->rig->store != NULL && store_error(q->rig->store) == NULL && job_state_final(rig_state(q->rig, q->job));
}

bool rig_finish(struct rig *r, int64_t job, uint64_t within_us) {
    struct question q = {r, job, 0, {0}};
    return sim_run_until(r->sim, within_us, is_over, &q);
}

static bool are_running(void *ctx) {
    struct question *q = ctx;
    return read_job(q->rig, q->job).counts[NODE_RUNNING] >= q->nodes;
}

bool rig_until_running(struct rig *r, int64_t job, uint32_t nodes) {
    struct question q = {r, job, nodes, {0}};
    return sim_run_until(r->sim, 60 * SIM_SECOND, are_running, &q);
}

void rig_run(struct rig *r, uint64_t us) {
    sim_run(r->sim, sim_now_us(r->sim) + us);
}

/* ---------------------------------------------------------------------------------------- what was written */

static bool event_line(void *ctx, const struct store_event *e) {
    const char *type = event_type_name(e->type);
    if (e->node >= 0) {
        buf_printf(ctx, "%.*s %s\n", (int)e->node_name.len, e->node_name.ptr, type + 5); /* without "node_" */
    } else {
        buf_printf(ctx, "%s\n", type);
    }
    struct buf json = BUF_INIT;
    render_event(&json, e);
    json_t *parsed = json_parse(buf_span(&json), "test", NULL);
    assert_non_null(parsed);
    json_decref(parsed);
    buf_free(&json);
    return true;
}

char *rig_events(struct rig *r, int64_t job) {
    struct buf out = BUF_INIT;
    assert_true(store_events(r->store, job, 0, -1, event_line, &out, NULL));
    return buf_take(&out);
}

struct checked {
    int64_t last_id;
    struct map ended, running_nodes;
    bool over, legal;
    int running, peak;
};

static bool check_event(void *ctx, const struct store_event *e) {
    struct checked *c = ctx;
    c->legal = c->legal && e->id > c->last_id && !c->over;
    c->last_id = e->id;
    if (e->node < 0) {
        c->over = e->type == EVENT_JOB_FINISHED || e->type == EVENT_JOB_ABORTED;
    } else if (e->type == EVENT_NODE_RUNNING) {
        c->legal =
            c->legal && map_get(&c->ended, e->node_name) == NULL && map_put(&c->running_nodes, e->node_name, c) == NULL;
        c->running++;
        c->peak = c->running > c->peak ? c->running : c->peak;
    } else {
        c->legal = c->legal && map_put(&c->ended, e->node_name, c) == NULL;
        c->running -= map_get(&c->running_nodes, e->node_name) != NULL ? 1 : 0;
    }
    return true;
}

static struct checked check(struct rig *r, int64_t job) {
    struct checked c = {.legal = true};
    assert_true(store_events(r->store, job, 0, -1, check_event, &c, NULL));
    c.legal = c.legal && c.over && map_count(&c.ended) == read_job(r, job).node_count;
    map_free(&c.ended);
    map_free(&c.running_nodes);
    return c;
}

bool rig_events_legal(struct rig *r, int64_t job) {
    return check(r, job).legal;
}

void rig_check_events(struct rig *r, int64_t job) {
    assert_true(rig_events_legal(r, job));
}

int rig_peak(struct rig *r, int64_t job) {
    return check(r, job).peak;
}

struct wanted_node {
    const char *name;
    enum job_type type;
    json_t *json;
};

static bool take_node(void *ctx, const struct store_node *n) {
    struct wanted_node *w = ctx;
    struct buf text = BUF_INIT;
    if (span_eq_cstr(n->name, w->name)) {
        render_node(&text, n, w->type, n->ts_ms);
        w->json = json_parse(buf_span(&text), "test", NULL);
        assert_non_null(w->json);
    }
    buf_free(&text);
    return w->json == NULL;
}

json_t *rig_node(struct rig *r, int64_t job, const char *name) {
    struct wanted_node w = {name, read_job(r, job).type, NULL};
    struct store_page all = {.limit = -1};
    assert_true(store_nodes_page(r->store, job, &all, NULL, 0, take_node, &w, NULL, NULL));
    assert_non_null(w.json);
    return w.json;
}

struct rig *rig_booted(int agents) {
    struct rig *r = rig_new(1, agents);
    rig_boot(r);
    return r;
}

void rig_expect_counts(struct rig *r, int64_t job, uint32_t finished, uint32_t failed, uint32_t errored,
                       uint32_t skipped) {
    uint32_t c[NODE_STATES];
    rig_counts(r, job, c);
    assert_int_equal(c[NODE_FINISHED], finished);
    assert_int_equal(c[NODE_FAILED], failed);
    assert_int_equal(c[NODE_ERRORED], errored);
    assert_int_equal(c[NODE_SKIPPED], skipped);
    rig_check_events(r, job);
}

void rig_expect_msg(struct rig *r, int64_t job, const char *node, const char *text) {
    json_t *n = rig_node(r, job, node);
    const char *msg = json_str(json_object_get(n, "result"), "msg");
    assert_string_equal(json_str(json_object_get(n, "result"), "kind"), "puppetlabs.orchestrator/execution-failure");
    assert_string_equal(json_str(json_object_get(json_object_get(n, "result"), "details"), "node"), node);
    if (msg == NULL || strstr(msg, text) == NULL) {
        fail_msg("%s: \"%s\" is not about \"%s\"", node, msg, text);
    }
    json_decref(n);
}
