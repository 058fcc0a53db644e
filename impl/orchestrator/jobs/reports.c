/* Reports of Puppet runs: one question a second per job, for all its runs that wait (orchestrator-jobs.md §7 step 8).
 */
#include "base/mem.h"
#include "orchestrator/jobs/internal.h"

#include <string.h>

#define NOT_STORED "report request times out: the report was not stored in PuppetDB"

static void ask(void *ctx);

static void schedule(struct job *j) {
    struct engine *e = j->engine;
    if (j->report_asks != 0 || (map_count(&j->reporting) == 0 && map_count(&j->cataloguing) == 0)) {
        return;
    }
    uint64_t now = world_now_us(e->world), next = j->asked_reports_us + REPORT_INTERVAL_MS * UINT64_C(1000);
    uint64_t delay = j->asked_reports_us != 0 && next > now ? (next - now + 999) / 1000 : 0;
    world_timer_start(e->world, &j->report_timer, delay, ask, j);
}

/* ---------------------------------------------------------------------------------------- ends */

static void finish(struct run *r) {
    struct job *j = r->job;
    struct engine *e = j->engine;
    struct deploy_outcome *o = r->deploy;
    struct buf detail = BUF_INIT;
    enum node_state state =
        outcome_deploy_detail(o, NOT_STORED, j->noop, j->no_noop, e->config->console_url, j->id, r->name, &detail);
    if (o->report == NULL) {
        e->metrics.reports_missing++;
    } else if (json_is_true(json_object_get(o->report, "corrective_change"))) {
        j->corrective++;
    } else if (strcmp(o->status, "changed") == 0) {
        j->intentional++;
    }
    char *uuid = str_dup(o->transaction_uuid); /* o goes with the run's end */
    run_end(r, state, buf_span(&detail), span_of(uuid));
    mem_free(uuid);
    buf_free(&detail);
}

static void found_report(struct run *r, json_t *row) {
    struct job *j = r->job;
    r->deploy->report = json_incref(row);
    if (order_feeds(r)) {
        map_remove(&j->reporting, span_of(r->deploy->transaction_uuid));
        map_put(&j->cataloguing, span_of(r->deploy->transaction_uuid), r);
    } else {
        finish(r);
    }
}

/* Runs whose time is over end without. Those that go on waiting move behind the others, for the next question. */
static void expire(struct job *j, struct map *waiting) {
    uint64_t now = world_now_us(j->engine->world);
    bool turn = map_count(waiting) > REPORT_BATCH_MAX;
    size_t left = map_count(waiting) < REPORT_BATCH_MAX ? map_count(waiting) : REPORT_BATCH_MAX;
    for (struct map_iter i = map_iter(waiting); left != 0 && map_next(&i); left--) {
        struct run *r = i.value;
        if (now >= r->deadline_us) {
            r->deploy->capability_late = waiting == &j->cataloguing;
            finish(r);
        } else if (turn) {
            map_remove(waiting, span_of(r->deploy->transaction_uuid));
            map_put(waiting, span_of(r->deploy->transaction_uuid), r);
        }
    }
}

/* ---------------------------------------------------------------------------------------- questions */

static json_t *condition_in(const char *field, json_t *values) {
    return json_pack("[s, s, [s, o]]", "in", field, "array", values);
}

/* The runs to ask for. *uncounted: some agent did not send its resource counts along. */
static json_t *uuids(const struct map *waiting, bool *uncounted) {
    json_t *list = json_array();
    *uncounted = false;
    for (struct map_iter i = map_iter(waiting); json_array_size(list) < REPORT_BATCH_MAX && map_next(&i);) {
        const struct run *r = i.value;
        json_array_append_new(list, json_stringn(i.key.ptr, i.key.len));
        *uncounted = *uncounted || json_object_size(r->deploy->metrics) == 0;
    }
    return list;
}

enum { REPORTS, CATALOGS };

static struct map *waiting_for(struct job *j, size_t what) {
    return what == REPORTS ? &j->reporting : &j->cataloguing;
}

static void take_row(struct job *j, size_t what, json_t *row) {
    struct map *waiting = waiting_for(j, what);
    const char *uuid = json_string_value(json_object_get(row, "transaction_uuid"));
    const char *certname = json_string_value(json_object_get(row, "certname"));
    struct run *r = uuid != NULL ? map_get_cstr(waiting, uuid) : NULL;
    if (r == NULL || certname == NULL || !span_eq_cstr(r->name, certname)) {
        return;
    }
    if (what == REPORTS) {
        found_report(r, row);
    } else {
        finish(r);
    }
}

static void work_through(void *ctx);

/* So many rows of one turn, each let go when it is done with: thousands of nodes that end in one commit would need as
 * much memory again. */
static void take_some(struct job *j, size_t what) {
    struct report_answer *a = &j->report_answers[what];
    for (size_t left = REPORT_ROWS_AT_ONCE; left > 0 && a->at < json_array_size(a->rows); left--) {
        json_t *row = json_incref(json_array_get(a->rows, a->at));
        json_array_set_new(a->rows, a->at++, json_null());
        take_row(j, what, row);
        json_decref(row);
    }
    if (a->rows == NULL) { /* the job has just ended */
        return;
    }
    if (a->at < json_array_size(a->rows)) {
        world_timer_start(j->engine->world, &j->rows_timer, 0, work_through, j);
        return;
    }
    json_decref(a->rows);
    a->rows = NULL;
    expire(j, waiting_for(j, what));
    if (j->report_asks != 0) { /* 0: likewise */
        j->report_asks--;
        schedule(j);
    }
}

static void work_through(void *ctx) {
    struct job *j = ctx;
    for (size_t what = REPORTS; what <= CATALOGS; what++) {
        if (j->report_answers[what].rows != NULL) {
            take_some(j, what);
        }
    }
}

static void take_answer(struct job *j, size_t what, json_t *rows, const struct error *err) {
    if (err != NULL) {
        log_warn(j->engine->log, "job %lld: PuppetDB cannot be asked for reports: %s", (long long)j->id, err->msg);
    }
    j->report_answers[what] = (struct report_answer){rows != NULL ? json_incref(rows) : json_array(), 0};
    take_some(j, what);
}

static void got_reports(void *ctx, json_t *rows, const struct error *err) {
    take_answer(ctx, REPORTS, rows, err);
}

static void got_catalogs(void *ctx, json_t *rows, const struct error *err) {
    take_answer(ctx, CATALOGS, rows, err);
}

/* A report's metrics are the largest part of it, and mostly known already. */
static void ask_reports(struct job *j) {
    bool metrics;
    json_t *wanted = uuids(&j->reporting, &metrics);
    json_t *fields = json_pack("[s, s, s, s, s, s, s]", "certname", "hash", "status", "environment",
                               "configuration_version", "transaction_uuid", "corrective_change");
    if (metrics) {
        json_array_append_new(fields, json_string("metrics"));
    }
    json_t *ast = json_pack("[s, s, [s, o, [s, [s, s, o], o]]]", "from", "reports", "extract", fields, "and", "=",
                            "job_id", json_sprintf("%lld", (long long)j->id), condition_in("transaction_uuid", wanted));
    services_puppetdb(j->engine->services, ast, got_reports, j);
    json_decref(ast);
}

static void ask_catalogs(struct job *j) {
    bool uncounted;
    json_t *ast = json_pack("[s, s, [s, [s, s], o]]", "from", "catalogs", "extract", "certname", "transaction_uuid",
                            condition_in("transaction_uuid", uuids(&j->cataloguing, &uncounted)));
    services_puppetdb(j->engine->services, ast, got_catalogs, j);
    json_decref(ast);
}

static void ask(void *ctx) {
    struct job *j = ctx;
    bool reports = map_count(&j->reporting) != 0, catalogs = map_count(&j->cataloguing) != 0;
    j->asked_reports_us = world_now_us(j->engine->world);
    j->report_asks = (reports ? 1u : 0u) + (catalogs ? 1u : 0u);
    j->engine->metrics.report_queries += j->report_asks;
    if (reports) {
        ask_reports(j);
    }
    if (catalogs) {
        ask_catalogs(j);
    }
}

/* ---------------------------------------------------------------------------------------- runs come and go */

void report_await(struct run *r) {
    struct job *j = r->job;
    struct engine *e = j->engine;
    if (e->services == NULL) {
        finish(r);
        return;
    }
    r->deadline_us = world_now_us(e->world) + (uint64_t)e->config->report_timeout_s * 1000000;
    struct run *other = map_put(&j->reporting, span_of(r->deploy->transaction_uuid), r);
    if (other != NULL) { /* two agents claim the same run: the first is believed */
        map_put(&j->reporting, span_of(r->deploy->transaction_uuid), other);
        finish(r);
        return;
    }
    schedule(j);
}

void report_forget(struct run *r) {
    struct job *j = r->job;
    struct span uuid = r->deploy == NULL ? SPAN("") : span_of(r->deploy->transaction_uuid);
    if (map_get(&j->reporting, uuid) == r) {
        map_remove(&j->reporting, uuid);
    }
    if (map_get(&j->cataloguing, uuid) == r) {
        map_remove(&j->cataloguing, uuid);
    }
}

void report_stop(struct job *j) {
    world_timer_stop(j->engine->world, &j->report_timer);
    world_timer_stop(j->engine->world, &j->rows_timer);
    for (size_t what = REPORTS; what <= CATALOGS; what++) {
        json_decref(j->report_answers[what].rows);
        j->report_answers[what] = (struct report_answer){NULL, 0};
    }
    if (j->engine->services != NULL && j->report_asks != 0) {
        services_forget(j->engine->services, j);
        j->report_asks = 0;
    }
}
