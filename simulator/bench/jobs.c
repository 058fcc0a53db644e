/* See jobs.h. */
#include "simulator/bench/jobs.h"

#include "base/json.h"
#include "base/mem.h"
#include "simulator/bench/half_load.h"
#include "simulator/bench/histogram.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIZES_MAX = 8,
    FIRST_SIZE = 100,
    LOOK_MS = 20,      /* between looks at a job */
    PATIENCE_S = 300,  /* for one job */
    FLOOR_GROUP = 250, /* nodes a transaction */
    CONNECT_S = 600,
    STEADY_S = 5, /* of the steady stream */
    STEADY_SHORT_S = 1,
    STEADY_FULL = 1000, /* with at least so many nodes */
};

struct run {
    const struct bench_jobs *b;
    json_t *report;
    struct rig rig;
    struct bench_api *api;
    int64_t pid;
    const char *database;
    json_t *names; /* of nodes that are connected */
    size_t columns;
    struct error *err;
};

/* What a job cost. */
struct cost {
    double seconds, first_s; /* until the last result was visible to a client, and the first */
    double cpu_us, memory;   /* per node */
    double disk;             /* bytes per node */
    double p50_ms, p99_ms;   /* of a node's own run */
};

static const struct kind {
    const char *name, *path, *body; /* what stands in front of the scope */
    const char *key, *label;
} kinds[] = {
    {"task", "/orchestrator/v1/command/task", BENCH_TASK, "task", "task"},
    {"Puppet", "/orchestrator/v1/command/deploy", "{\"environment\":\"production\",\"scope\":", "puppet", "Puppet run"},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static void say(const struct run *r, const char *what, size_t nodes) {
    if (r->b->progress != NULL) {
        char *text = str_printf("%s on %zu nodes", what, nodes);
        r->b->progress(r->b->progress_ctx, text);
        mem_free(text);
    }
}

/* ---- one job */

static bool start_job(struct run *r, const struct kind *kind, size_t nodes, char **path) {
    char *body = bench_request(kind->body, r->names, 0, nodes);
    json_t *answer = NULL;
    const bool ok = bench_api_ask(r->api, kind->path, body, &answer, NULL, r->err);
    if (ok) {
        const char *name = json_str(json_object_get(answer, "job"), "name");
        *path = str_printf("/orchestrator/v1/jobs/%s", name != NULL ? name : "?");
    }
    json_decref(answer);
    mem_free(body);
    return ok;
}

/* Looks until the job is over. Every node must have finished: a job with failures measures something else. */
static bool follow(struct run *r, const char *path, size_t nodes, double begin, struct cost *c) {
    const double memory = (double)process_anon_bytes(r->pid);
    double most = memory;
    for (;;) {
        json_t *job = NULL;
        if (!bench_api_ask(r->api, path, NULL, &job, NULL, r->err)) {
            return false;
        }
        const double now = clock_s() - begin, used = (double)process_anon_bytes(r->pid);
        const int64_t finished = json_int(json_object_get(job, "node_states"), "finished", 0);
        const char *state = json_str(job, "state");
        const bool over = str_eq(state, "finished") || str_eq(state, "failed") || str_eq(state, "stopped");
        most = used > most ? used : most;
        c->first_s = c->first_s == 0 && finished > 0 ? now : c->first_s;
        json_decref(job);
        if (over || now > PATIENCE_S) {
            c->seconds = now;
            c->memory = (most - memory) / (double)nodes;
            return (finished == (int64_t)nodes) || error_set(r->err, "bench", "%s%s: %lld of %zu nodes have finished",
                                                             r->api->url, path, (long long)finished, nodes);
        }
        bench_api_wait(r->api, LOOK_MS);
    }
}

static bool note_durations(struct run *r, const char *path, struct cost *c) {
    struct histogram *h = mem_alloc(sizeof(*h));
    char *nodes = str_printf("%s/nodes", path);
    json_t *answer = NULL, *node;
    size_t i;
    const bool ok = bench_api_ask(r->api, nodes, NULL, &answer, NULL, r->err);
    histogram_clear(h);
    json_array_foreach(json_object_get(answer, "items"), i, node) {
        histogram_record(h, (uint64_t)(json_number_value(json_object_get(node, "duration")) * 1e6));
    }
    c->p50_ms = (double)histogram_percentile(h, 50) / 1000;
    c->p99_ms = (double)histogram_percentile(h, 99) / 1000;
    json_decref(answer);
    mem_free(nodes);
    mem_free(h);
    return ok;
}

static bool one_job(struct run *r, const struct kind *kind, size_t nodes, struct cost *c) {
    char *path = NULL;
    uint64_t before = 0, after = 0;
    *c = (struct cost){0};
    if (r->database != NULL && !sqlite_used_bytes(r->database, &before, r->err)) {
        return false;
    }
    const double cpu = process_cpu_us(r->pid), begin = clock_s();
    bool ok = start_job(r, kind, nodes, &path) && follow(r, path, nodes, begin, c);
    c->cpu_us = (process_cpu_us(r->pid) - cpu) / (double)nodes;
    ok = ok && note_durations(r, path, c) && (r->database == NULL || sqlite_used_bytes(r->database, &after, r->err));
    c->disk = after > before ? (double)(after - before) / (double)nodes : 0;
    mem_free(path);
    return ok;
}

/* ---- all sizes */

static void take_best(struct cost *best, const struct cost *c, bool first) {
    enum { MEMORY = offsetof(struct cost, memory) / sizeof(double) };
    const double *from = (const double *)(const void *)c;
    double *to = (double *)(void *)best;
    const double most = first || from[MEMORY] > to[MEMORY] ? from[MEMORY] : to[MEMORY];
    for (size_t i = 0; i < sizeof(*c) / sizeof(double); i++) {
        to[i] = first || from[i] < to[i] ? from[i] : to[i];
    }
    to[MEMORY] = most; /* the first job of a size takes it, later ones find it there */
}

static void put(struct run *r, const struct kind *kind, const char *key, const char *label, const char *unit,
                size_t column, double value) {
    char *full = str_printf("%s_%s", kind->key, key), *text = str_printf("%s: %s", kind->label, label);
    report_figure(r->report, full, text, unit, column, value);
    mem_free(full);
    mem_free(text);
}

static void report_cost(struct run *r, const struct kind *kind, size_t column, size_t nodes, const struct cost *c) {
    put(r, kind, "seconds", "until the last result is visible", "s", column, c->seconds);
    put(r, kind, "first_seconds", "until the first one is", "s", column, c->first_s);
    put(r, kind, "nodes_per_second", "nodes per second", "/s", column, (double)nodes / c->seconds);
    put(r, kind, "p50", "a node's own run, p50", "ms", column, c->p50_ms);
    put(r, kind, "p99", "a node's own run, p99", "ms", column, c->p99_ms);
    if (r->pid != 0) {
        put(r, kind, "cpu_per_node", "orchestrator's CPU per node-run", "us", column, c->cpu_us);
        put(r, kind, "memory_per_node", "its memory per node", "B", column, c->memory);
    }
    if (r->database != NULL) {
        put(r, kind, "disk_per_node", "its disk per node-run", "B", column, c->disk);
    }
}

static bool measure(struct run *r, const struct kind *kind, size_t column, size_t nodes) {
    struct cost best = {0}, c;
    for (unsigned round = 0; round < r->b->rounds; round++) {
        say(r, kind->name, nodes);
        if (!one_job(r, kind, nodes, &c)) {
            return false;
        }
        take_best(&best, &c, round == 0);
    }
    report_cost(r, kind, column, nodes, &best);
    return true;
}

static bool measure_floor(struct run *r, size_t column, size_t nodes) {
    struct sqlite_floor floor;
    char *path = str_printf("%s/floor-%zu.db", r->b->dir, nodes);
    const bool ok = sqlite_floor_measure(path, nodes, FLOOR_GROUP, &floor, r->err);
    if (ok) {
        report_figure(r->report, "sqlite_cpu_per_node", "SQLite alone: CPU per node-run", "us", column, floor.cpu_us);
        report_figure(r->report, "sqlite_seconds", "SQLite alone: seconds", "s", column, floor.seconds);
        report_figure(r->report, "sqlite_disk_per_node", "SQLite alone: disk per node-run", "B", column, floor.bytes);
    }
    mem_free(path);
    return ok;
}

/* ---- half load */

static bool measure_half_load(struct run *r, size_t column) {
    struct half_load h = {.stream = {.api = r->api,
                                     .database = r->database,
                                     .names = r->names,
                                     .seconds = r->b->nodes < STEADY_FULL ? STEADY_SHORT_S : STEADY_S},
                          .rounds = r->b->rounds,
                          .streams = r->b->streams,
                          .per_second = r->b->stream,
                          .no_floor = r->b->no_floor,
                          .progress = r->b->progress,
                          .progress_ctx = r->b->progress_ctx};
    return !report_value(r->report, "task_nodes_per_second", column, &h.stream.per_second) ||
           half_load_measure(&h, r->report, column, r->err);
}

/* ---- nodes */

/* Of all that are connected; waits until there are enough. */
static bool find_nodes(struct run *r) {
    const double begin = clock_s(), patience = r->b->url != NULL ? 1 : CONNECT_S;
    for (;;) {
        json_t *answer = NULL, *node;
        size_t i;
        const bool patient = clock_s() - begin < patience;
        if (!bench_api_ask(r->api, "/orchestrator/v1/inventory", NULL, &answer, NULL, patient ? NULL : r->err) &&
            !patient) { /* one that has just begun may have no broker yet */
            return false;
        }
        json_decref(r->names);
        r->names = json_array();
        json_array_foreach(json_object_get(answer, "items"), i, node) {
            if (json_bool(node, "connected", false)) {
                json_array_append(r->names, json_object_get(node, "name"));
            }
        }
        json_decref(answer);
        if (json_array_size(r->names) >= r->b->nodes) {
            return true;
        }
        if (!patient) {
            return error_set(r->err, "bench", "%s: %zu nodes are connected, %zu are needed", r->api->url,
                             json_array_size(r->names), r->b->nodes);
        }
        bench_api_wait(r->api, 10 * LOOK_MS);
    }
}

static bool use_given(struct run *r) {
    const struct bench_jobs *b = r->b;
    struct buf token = BUF_INIT;
    if (b->pid != 0 && !process_exists(b->pid)) {
        return error_set(r->err, "usage", "there is no process %lld", (long long)b->pid);
    }
    if (!world_file_read(b->world, b->token_file, 4096, &token, r->err)) {
        return false;
    }
    const struct span url = span_of(b->url);
    r->rig.api = (struct bench_api){.world = b->world,
                                    .url = span_dup(span_sub(url, 0, url.len - (span_ends_with(url, "/") ? 1 : 0))),
                                    .token = span_dup(span_trim(buf_span(&token))),
                                    .tls = world_tls_new(b->world, &(struct world_tls_files){.ca = b->ca}, r->err)};
    buf_free(&token);
    r->pid = b->pid;
    r->database = b->database;
    return r->rig.api.tls != NULL;
}

static bool begin(struct run *r) {
    const struct bench_jobs *b = r->b;
    const struct rig_opts opts = {b->world, b->dir, b->self, b->orchestrator, b->nodes};
    r->api = &r->rig.api;
    if (b->url != NULL) {
        return use_given(r) && find_nodes(r);
    }
    say(r, "bringing up a stack", b->nodes);
    if (!rig_up(&r->rig, &opts, r->err) || !rig_orchestrate(&r->rig, &opts, r->err)) {
        return false;
    }
    r->pid = r->rig.orchestrator.pid;
    r->database = r->rig.database;
    return find_nodes(r);
}

static void set_goals(struct run *r, size_t column, size_t nodes) {
    json_t *report = r->report;
    double many, few;
    if (nodes >= 10000) {
        report_goal(report, "task_seconds", column, REPORT_AT_MOST, 4);
        report_goal(report, "puppet_seconds", column, REPORT_AT_MOST, 8);
    }
    report_goal(report, "task_cpu_per_node", column, REPORT_AT_MOST, 150);
    report_goal(report, "task_memory_per_node", column, REPORT_AT_MOST, 2048);
    report_goal(report, "task_disk_per_node", column, REPORT_AT_MOST, 2048);
    report_goal(report, "puppet_disk_per_node", column, REPORT_AT_MOST, 2048);
    if (column > 0 && report_value(report, "task_cpu_per_node", column, &many) &&
        report_value(report, "task_cpu_per_node", 0, &few) && few > 0) {
        report_figure(report, "task_cpu_growth", "task: CPU per node-run, times that of the smallest job", "x", column,
                      many / few);
        report_goal(report, "task_cpu_growth", column, REPORT_AT_MOST, 1.1);
    }
}

bool bench_jobs_run(const struct bench_jobs *b, json_t *report, struct error *err) {
    struct run r = {.b = b, .report = report, .err = err};
    size_t sizes[SIZES_MAX], count = 0;
    for (size_t n = FIRST_SIZE; n < b->nodes && count < SIZES_MAX - 1; n *= 10) {
        sizes[count++] = n;
    }
    sizes[count++] = b->nodes;
    bool ok = begin(&r);
    for (size_t i = 0; ok && i < count; i++) {
        char *name = str_printf("%zu nodes", sizes[i]);
        const size_t column = report_column(report, name, false);
        mem_free(name);
        ok = measure(&r, &kinds[0], column, sizes[i]) && (b->no_puppet || measure(&r, &kinds[1], column, sizes[i])) &&
             (b->no_floor || measure_floor(&r, column, sizes[i]));
    }
    ok = ok && (b->no_steady || measure_half_load(&r, count - 1));
    if (ok) {
        set_goals(&r, count - 1, b->nodes);
    }
    rig_end(&r.rig);
    json_decref(r.names);
    return ok;
}
