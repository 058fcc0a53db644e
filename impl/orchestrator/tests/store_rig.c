/* See store_rig.h. */
#include "orchestrator/tests/store_rig.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void store_rig_on_open(void *ctx) {
    ((struct store_rig *)ctx)->opens++;
}

void store_rig_on_health(void *ctx, const struct error *err) {
    struct store_rig *f = ctx;
    f->healthy = err == NULL;
    snprintf(f->kind, sizeof f->kind, "%s", err != NULL ? err->kind : "");
}

bool store_rig_is_open(void *ctx) {
    return ((struct store_rig *)ctx)->opens > 0;
}

void store_rig_open(struct store_rig *f) {
    struct store_opts opts = {
        .path = STORE_RIG_PATH, .on_open = store_rig_on_open, .on_health = store_rig_on_health, .ctx = f};
    struct error err = ERROR_INIT;
    f->opens = 0;
    f->store = store_new(f->w, &opts, &err);
    assert_non_null(f->store);
    f->healthy = true;
    assert_true(sim_run_until(f->sim, SIM_SECOND, store_rig_is_open, f));
}

void store_rig_reopen(struct store_rig *f) {
    store_finish(f->store);
    store_rig_open(f);
}

void store_rig_begin(struct store_rig *f, uint64_t seed) {
    *f = (struct store_rig){.healthy = true};
    f->sim = sim_new(&(struct sim_opts){.seed = seed});
    f->w = sim_host(f->sim, "orchestrator");
    assert_true(world_file_mkdir(f->w, "/var/lib", 0755, true, NULL));
    store_rig_open(f);
}

int store_rig_setup(void **state) {
    struct store_rig *f = mem_zalloc(sizeof *f);
    store_rig_begin(f, 1);
    *state = f;
    return 0;
}

void store_rig_finish(struct store_rig *f) {
    store_finish(f->store);
    struct buf report = BUF_INIT;
    if (!sim_check_idle(f->sim, &report)) {
        fail_msg("left behind: %s", report.ptr);
    }
    buf_free(&report);
    sim_free(f->sim);
}

int store_rig_teardown(void **state) {
    store_rig_finish(*state);
    mem_free(*state);
    return 0;
}

void store_rig_done(void *ctx, const struct error *err) {
    struct store_rig *f = ctx;
    f->dones++;
    snprintf(f->kind, sizeof f->kind, "%s", err != NULL ? err->kind : "");
}

bool store_rig_is_done(void *ctx) {
    return ((struct store_rig *)ctx)->dones > 0;
}

void put_job(struct store_batch *b, int64_t id, const char *owner, int64_t ts_ms) {
    struct store_job job = {
        .id = id,
        .type = id % 2 == 0 ? JOB_TASK : JOB_DEPLOY,
        .state = JOB_READY,
        .command = SPAN("task"),
        .environment = SPAN("production"),
        .task = id % 2 == 0 ? SPAN("service::restart") : SPAN(""),
        .owner_login = span_of(owner),
        .node_count = 2,
        .counts = {[NODE_READY] = 2},
        .ts_ms = ts_ms,
        .started_ms = ts_ms,
        .entered_ms = {ts_ms, ts_ms},
        .options = SPAN("{\"noop\":false}"),
        .owner = SPAN("{}"),
        .userdata = SPAN("{}"),
        .request = SPAN("{}"),
        .secret = SPAN("\1\2\3"),
    };
    memset(job.salt, 7, sizeof job.salt);
    store_job_insert(b, &job);
    store_node_insert(b, id, 0, SPAN("web1"), NODE_READY, TRANSPORT_PCP, ts_ms);
    store_node_insert(b, id, 1, SPAN("web2"), NODE_READY, TRANSPORT_PCP, ts_ms);
}

void commit(struct store_rig *f, struct store_batch *b) {
    f->dones = 0;
    store_commit(f->store, b, store_rig_done, f);
    assert_int_equal(f->dones, 0);
    assert_true(sim_run_until(f->sim, 10 * SIM_SECOND, store_rig_is_done, f));
}

void commit_job(struct store_rig *f, const char *owner, int64_t ts_ms) {
    struct store_batch *b = store_batch_new(f->store);
    put_job(b, store_next_id(f->store, STORE_JOB_ID), owner, ts_ms);
    commit(f, b);
}

void store_rig_take_job(void *ctx, const struct store_job *job) {
    struct store_rig *f = ctx;
    f->ids[0] = job->id;
    assert_int_equal(job->node_count, 2);
    assert_true(span_eq_cstr(job->command, "task"));
    assert_true(span_eq_cstr(job->options, "{\"noop\":false}"));
    assert_int_equal(job->salt[3], 7);
    assert_int_equal(job->secret.len, 3);
    assert_int_equal(job->counts[NODE_READY], 2);
    assert_int_equal(job->entered_ms[JOB_READY], 1000);
}

bool job_exists(struct store_rig *f, int64_t id) {
    bool found;
    struct error err = ERROR_INIT;
    assert_true(store_job(f->store, id, store_rig_take_job, f, &found, &err));
    return found;
}

static void waited(void *ctx) {
    ((struct store_rig *)ctx)->waits++;
}

static bool is_waited(void *ctx) {
    return ((struct store_rig *)ctx)->waits > 0;
}

void put_event(struct store_rig *f, int64_t job, int64_t node, enum event_type type, const char *detail) {
    struct store_event e = {.id = store_next_id(f->store, STORE_EVENT_ID),
                            .job = job,
                            .node = node,
                            .type = type,
                            .ts_ms = 2000,
                            .detail = span_of(detail)};
    store_event_insert(store_standing(f->store), &e);
}

void settle(struct store_rig *f) {
    struct store_waiter w = {0};
    f->waits = 0;
    store_after(f->store, &w, waited, f);
    assert_true(sim_run_until(f->sim, SIM_SECOND, is_waited, f));
}

static bool take_event(void *ctx, const struct store_event *e) {
    struct store_rig *f = ctx;
    f->ids[f->rows++] = e->id;
    if (e->node == 1) {
        assert_true(span_eq_cstr(e->node_name, "web2"));
    }
    return true;
}

int events_from(struct store_rig *f, int64_t job, int64_t start, int64_t limit) {
    struct error err = ERROR_INIT;
    f->rows = 0;
    assert_true(store_events(f->store, job, start, limit, take_event, f, &err));
    return f->rows;
}
