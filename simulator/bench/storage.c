/* See storage.h. */
#include "simulator/bench/storage.h"

#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/store/store.h"
#include "simulator/bench/histogram.h"
#include "simulator/bench/jobs.h"
#include "world/real.h"

#include <stdio.h>
#include <string.h>

enum { JOB_MS = 4000, JOBS_PER_COMMIT = 4 };

struct run {
    const struct bench_storage *b;
    json_t *report;
    struct rig rig;
    struct rig_opts opts;
    struct store *store;
    bool open;
    size_t committing;
    struct error *err;
};

static void say(const struct run *r, const char *what, size_t done, size_t all) {
    if (r->b->progress != NULL) {
        char *text = str_printf("%s, %zu of %zu", what, done, all);
        r->b->progress(r->b->progress_ctx, text);
        mem_free(text);
    }
}

/* ---- filling */

static void on_open(void *ctx) {
    ((struct run *)ctx)->open = true;
}

static void on_health(void *ctx, const struct error *err) {
    struct run *r = ctx;
    if (err != NULL && !error_is_set(r->err)) {
        error_set(r->err, "bench", "%s", err->msg);
    }
}

static void on_done(void *ctx, const struct error *err) {
    struct run *r = ctx;
    r->committing--;
    on_health(r, err);
}

static int64_t put_event(struct run *r, struct store_batch *batch, int64_t job, int64_t node, enum event_type type,
                         int64_t ts_ms, struct span detail) {
    const struct store_event e = {.id = store_next_id(r->store, STORE_EVENT_ID),
                                  .job = job,
                                  .node = node,
                                  .type = type,
                                  .ts_ms = ts_ms,
                                  .detail = detail};
    store_event_insert(batch, &e);
    return e.id;
}

/* As the engine leaves a task behind: two events a node, the second with what the task said. */
static void put_node(struct run *r, struct store_batch *batch, int64_t job, uint32_t index, int64_t ts_ms) {
    char name[40];
    snprintf(name, sizeof(name), "node-%04u.example.com", index + 1);
    store_node_insert(batch, job, index, span_of(name), NODE_FINISHED, TRANSPORT_PCP, ts_ms);
    put_event(r, batch, job, index, EVENT_NODE_RUNNING, ts_ms + index, SPAN("{\"noop\":false}"));
    const int64_t event = put_event(r, batch, job, index, EVENT_NODE_FINISHED, ts_ms + index + 20,
                                    SPAN("{\"message\":\"hello from a task\",\"_output\":\"in a few words\"}"));
    const struct store_node_change change = {.job = job,
                                             .index = index,
                                             .state = NODE_FINISHED,
                                             .ts_ms = ts_ms + index + 20,
                                             .started_ms = ts_ms + index,
                                             .finished_ms = ts_ms + index + 20,
                                             .event = event};
    store_node_update(batch, &change);
}

static void put_job(struct run *r, struct store_batch *batch, int64_t ts_ms) {
    const uint32_t nodes = (uint32_t)r->b->nodes;
    struct store_job job = {
        .id = store_next_id(r->store, STORE_JOB_ID),
        .type = JOB_TASK,
        .state = JOB_FINISHED,
        .command = SPAN("task"),
        .environment = SPAN("production"),
        .task = SPAN("echo"),
        .description = SPAN("one of many"),
        .owner_login = SPAN("admin"),
        .node_count = nodes,
        .counts = {[NODE_FINISHED] = nodes},
        .ts_ms = ts_ms,
        .started_ms = ts_ms,
        .finished_ms = ts_ms + nodes + 40,
        .entered_ms = {ts_ms, ts_ms, ts_ms},
        .options =
            SPAN("{\"task\":\"echo\",\"params\":{\"message\":\"hello\"},\"scope\":{\"query\":\"nodes[certname]{}\"},"
                 "\"environment\":\"production\",\"noop\":false}"),
        .owner = SPAN("{\"id\":\"42bf351c-f9ec-40af-84ad-e976fec7f4bd\",\"login\":\"admin\"}"),
        .userdata = SPAN("{}"),
        .request = SPAN("{}"),
    };
    job.entered_ms[JOB_FINISHED] = job.finished_ms;
    store_job_insert(batch, &job);
    for (uint32_t i = 0; i < nodes; i++) {
        put_node(r, batch, job.id, i, ts_ms);
    }
    put_event(r, batch, job.id, -1, EVENT_JOB_FINISHED, job.finished_ms, SPAN("{\"state\":\"finished\"}"));
}

static bool fill(struct run *r) {
    const struct store_opts opts = {.path = r->rig.database, .on_open = on_open, .on_health = on_health, .ctx = r};
    r->store = store_new(r->b->world, &opts, r->err);
    while (r->store != NULL && !r->open && !error_is_set(r->err)) {
        real_world_turn(r->b->world, true);
    }
    int64_t ts_ms = world_wall_ms(r->b->world) - (int64_t)r->b->jobs * JOB_MS;
    for (size_t done = 0; r->open && done < r->b->jobs && !error_is_set(r->err);) {
        struct store_batch *batch = store_batch_new(r->store);
        for (int i = 0; i < JOBS_PER_COMMIT && done < r->b->jobs; i++, done++, ts_ms += JOB_MS) {
            put_job(r, batch, ts_ms);
        }
        r->committing++;
        store_commit(r->store, batch, on_done, r);
        while (r->committing > 0) {
            real_world_turn(r->b->world, true);
        }
        say(r, "storing jobs", done, r->b->jobs);
    }
    if (r->store != NULL) {
        store_finish(r->store);
    }
    return !error_is_set(r->err);
}

/* ---- asking */

static uint64_t same(const struct bench_storage *b, size_t job) {
    (void)b;
    return job;
}

static uint64_t last_page(const struct bench_storage *b, size_t job) {
    (void)job;
    return b->jobs > 50 ? b->jobs - 50 : 0;
}

static const struct page {
    const char *key, *label, *path, *more; /* path, a number, more; without more: path alone */
    uint64_t (*number)(const struct bench_storage *b, size_t job);
} pages[] = {
    {"jobs", "jobs, newest 50", "/orchestrator/v1/jobs?limit=50", NULL, NULL},
    {"jobs_last_page", "jobs, the last page", "/orchestrator/v1/jobs?limit=50&offset=", "", last_page},
    {"job", "one job", "/orchestrator/v1/jobs/", "", same},
    {"nodes", "nodes of a job, 100", "/orchestrator/v1/jobs/", "/nodes?limit=100", same},
    {"events_all", "events of a job, all of them", "/orchestrator/v1/jobs/", "/events", same},
    {"events", "events of a job, last 100", "/orchestrator/v1/jobs/", "/events?start=", same},
};
enum { POLLED_EVENTS = 100 };

static char *path_of(const struct run *r, const struct page *page, size_t job) {
    struct buf path = BUF_INIT;
    buf_append_cstr(&path, page->path);
    if (page->more != NULL) {
        buf_printf(&path, "%llu%s", (unsigned long long)page->number(r->b, job), page->more);
    }
    if (span_ends_with(buf_span(&path), "start=")) { /* events are numbered as they were stored */
        const uint64_t last = (uint64_t)job * (2 * r->b->nodes + 1);
        buf_printf(&path, "%llu", (unsigned long long)(last > POLLED_EVENTS ? last - POLLED_EVENTS + 1 : 1));
    }
    return buf_take(&path);
}

static bool measure(struct run *r, const struct page *page, size_t column) {
    struct histogram *h = mem_alloc(sizeof(*h));
    bool ok = true;
    const double cpu = process_cpu_us(r->rig.orchestrator.pid);
    histogram_clear(h);
    say(r, page->label, r->b->requests, r->b->requests);
    for (size_t i = 0; ok && i < r->b->requests; i++) {
        char *path = path_of(r, page, 1 + i * 7919 % r->b->jobs);
        double took_ms = 0;
        ok = bench_api_ask(&r->rig.api, path, NULL, NULL, &took_ms, r->err);
        histogram_record(h, (uint64_t)(took_ms * 1000));
        mem_free(path);
    }
    if (ok) {
        const char *const keys[] = {"p50", "p99"};
        for (size_t i = 0; i < 2; i++) {
            char *key = str_printf("%s_%s", page->key, keys[i]), *label = str_printf("%s: %s", page->label, keys[i]);
            report_figure(r->report, key, label, "ms", column,
                          (double)histogram_percentile(h, i == 0 ? 50 : 99) / 1000);
            if (i == 0) {
                report_goal(r->report, key, column, REPORT_AT_MOST, 5);
            }
            mem_free(key);
            mem_free(label);
        }
        char *key = str_printf("%s_cpu", page->key), *label = str_printf("%s: orchestrator's CPU", page->label);
        report_figure(r->report, key, label, "us", column,
                      (process_cpu_us(r->rig.orchestrator.pid) - cpu) / (double)r->b->requests);
        mem_free(key);
        mem_free(label);
    }
    mem_free(h);
    return ok;
}

bool bench_storage_run(const struct bench_storage *b, json_t *report, struct error *err) {
    struct run r = {.b = b, .report = report, .err = err};
    uint64_t bytes = 0;
    r.opts = (struct rig_opts){b->world, b->dir, b->self, b->orchestrator, 1};
    bool ok = rig_up(&r.rig, &r.opts, err) && fill(&r) && sqlite_used_bytes(r.rig.database, &bytes, err);
    if (ok) {
        char *name = str_printf("%zu jobs of %zu nodes", b->jobs, b->nodes);
        const size_t column = report_column(report, name, false);
        mem_free(name);
        report_figure(report, "disk_per_node", "disk per node-run", "B", column,
                      (double)bytes / (double)(b->jobs * b->nodes));
        report_goal(report, "disk_per_node", column, REPORT_AT_MOST, 2048);
        ok = rig_orchestrate(&r.rig, &r.opts, err);
        for (size_t i = 0; ok && i < sizeof(pages) / sizeof(pages[0]); i++) {
            ok = measure(&r, &pages[i], column);
        }
    }
    rig_end(&r.rig);
    return ok;
}
