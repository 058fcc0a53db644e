/* Reading jobs: list, one, nodes, report (orchestrator-api.md §4). Rows become text as they are read. */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include "orchestrator/jobs/render.h"
#include <string.h>

struct writer {
    struct buf out;
    const char *base;
    int64_t now_ms;
    enum job_type type;
    bool first;
};

static void separate(struct writer *w) {
    if (!w->first) {
        buf_append_char(&w->out, ',');
    }
    w->first = false;
}

static bool write_job(void *ctx, const struct store_job *job) {
    struct writer *w = ctx;
    separate(w);
    render_job(&w->out, job, w->base, w->now_ms);
    return true;
}

static void write_one_job(void *ctx, const struct store_job *job) {
    write_job(ctx, job);
}

void unknown_job(struct api_call *call, int64_t id) {
    char name[24];
    snprintf(name, sizeof(name), "%lld", (long long)id);
    struct error err = ERROR_INIT;
    error_set_details(&err, "puppetlabs.orchestrator/unknown-job", json_pack("{s:s}", "job", name), "Unknown job id %s",
                      name);
    api_reply_error(call, &err);
    error_clear(&err);
}

/* ---- GET /jobs */

static bool read_filter(struct api_call *call, struct store_jobs_filter *filter) {
    enum job_type type;
    const char *task = http_query(call->ex, "task");
    filter->type = http_query(call->ex, "type");
    if (filter->type != NULL && !job_type_parse(filter->type, &type)) {
        json_t *given = json_string(filter->type);
        api_reply_invalid(call, "type", given, "type must be deploy, task or plan_task");
        json_decref(given);
        return false;
    }
    if (task != NULL && str_eq(filter->type, "deploy")) {
        json_t *given = json_string(task);
        api_reply_invalid(call, "task", given, "task cannot be combined with type=deploy");
        json_decref(given);
        return false;
    }
    filter->task_contains = span_of(task);
    return api_query_time(call, "min_finish_timestamp", &filter->min_finish_ms) &&
           api_query_time(call, "max_finish_timestamp", &filter->max_finish_ms);
}

static void write_pagination(struct buf *out, const struct store_page *page, int64_t total, const char *type) {
    buf_append_cstr(out, "\"pagination\":{");
    if (page->limit >= 0) {
        buf_printf(out, "\"limit\":%lld,", (long long)page->limit);
    }
    buf_printf(out, "\"offset\":%lld,\"total\":%lld,\"order_by\":\"%s\",\"order\":\"%s\",\"type\":\"%s\"}",
               (long long)page->offset, (long long)total, page->order_by != NULL ? page->order_by : "timestamp",
               page->descending ? "desc" : "asc", type != NULL ? type : "");
}

void jobs_list(struct api_call *call) {
    struct store_page page;
    struct store_jobs_filter filter = {0};
    bool ordered;
    if (!api_read_page(call, STORE_JOBS, &page, &ordered) || !read_filter(call, &filter)) {
        return;
    }
    if (!ordered && page.limit > 0) {
        page.descending = true; /* only a limit: the newest that many */
    }
    struct writer w = {.base = call->base, .now_ms = now_ms(call), .first = true};
    struct error err = ERROR_INIT;
    int64_t total = 0;
    buf_append_cstr(&w.out, "{\"items\":[");
    if (store_jobs_page(call->api->parts.store, &page, &filter, write_job, &w, &total, &err)) {
        buf_append_cstr(&w.out, "],");
        write_pagination(&w.out, &page, total, filter.type);
        buf_append_char(&w.out, '}');
        api_reply(call, 200, buf_span(&w.out));
    } else {
        api_reply_store_error(call, &err);
        error_clear(&err);
    }
    buf_free(&w.out);
}

void jobs_get(struct api_call *call) {
    int64_t id;
    if (!api_path_id(call, "id", &id)) {
        return;
    }
    struct writer w = {.base = call->base, .now_ms = now_ms(call), .first = true};
    struct error err = ERROR_INIT;
    bool found = false;
    if (!store_job(call->api->parts.store, id, write_one_job, &w, &found, &err)) {
        api_reply_store_error(call, &err);
        error_clear(&err);
    } else if (!found) {
        unknown_job(call, id);
    } else {
        api_reply(call, 200, buf_span(&w.out));
    }
    buf_free(&w.out);
}

/* ---- what belongs to one job */

static void read_type(void *ctx, const struct store_job *job) {
    struct writer *w = ctx;
    w->type = job->type;
}

/* Reads the id and finds the job. False: answered. */
static bool find_job(struct api_call *call, int64_t *id, struct writer *w) {
    struct error err = ERROR_INIT;
    bool found = false;
    if (!api_path_id(call, "id", id)) {
        return false;
    }
    if (!store_job(call->api->parts.store, *id, read_type, w, &found, &err)) {
        api_reply_store_error(call, &err);
        error_clear(&err);
        return false;
    }
    if (!found) {
        unknown_job(call, *id);
    }
    return found;
}

static bool write_node(void *ctx, const struct store_node *node) {
    struct writer *w = ctx;
    separate(w);
    render_node(&w->out, node, w->type, w->now_ms);
    return true;
}

void jobs_nodes(struct api_call *call) {
    struct writer w = {.base = call->base, .now_ms = now_ms(call), .first = true};
    struct store_page page;
    enum node_state node_state;
    enum job_state job_state;
    bool ordered;
    int64_t id;
    const char *state = http_query(call->ex, "state");
    if (!find_job(call, &id, &w) || !api_read_page(call, STORE_NODES, &page, &ordered)) {
        return;
    }
    if (state != NULL && !node_state_parse(state, &node_state) && !job_state_parse(state, &job_state)) {
        json_t *given = json_string(state);
        api_reply_invalid(call, "state", given, "state must be the name of a node's state");
        json_decref(given);
        return;
    }
    long long next = (long long)store_event_horizon(call->api->parts.store);
    buf_printf(&w.out, "{\"next-events\":{\"id\":\"%s/jobs/%lld/events?start=%lld\",\"event\":\"%lld\"},\"items\":[",
               w.base, (long long)id, next, next);
    struct error err = ERROR_INIT;
    int64_t total;
    if (store_nodes_page(call->api->parts.store, id, &page, state, w.now_ms, write_node, &w, &total, &err)) {
        buf_append_cstr(&w.out, "]}");
        api_reply(call, 200, buf_span(&w.out));
    } else {
        api_reply_store_error(call, &err);
        error_clear(&err);
    }
    buf_free(&w.out);
}

/* ---- GET /jobs/:id/report: nodes in order, each with its events */

struct report {
    struct writer w;
    struct map events; /* node name -> struct buf * of its events */
};

static bool collect_event(void *ctx, const struct store_event *e) {
    struct report *r = ctx;
    struct buf *events = map_get(&r->events, e->node_name);
    if (events == NULL) {
        events = mem_zalloc(sizeof(*events));
        map_put(&r->events, e->node_name, events);
    } else {
        buf_append_char(events, ',');
    }
    render_event(events, e);
    return true;
}

static bool write_report_node(void *ctx, const struct store_node *node) {
    struct report *r = ctx;
    const struct buf *events = map_get(&r->events, node->name);
    separate(&r->w);
    buf_append_cstr(&r->w.out, "{\"node\":");
    json_write_string(&r->w.out, node->name);
    buf_printf(&r->w.out, ",\"state\":\"%s\",\"timestamp\":", node_state_name(node->state));
    render_time(&r->w.out, node->ts_ms);
    buf_append_cstr(&r->w.out, ",\"events\":[");
    if (events != NULL) {
        buf_append_span(&r->w.out, buf_span(events));
    }
    buf_append_cstr(&r->w.out, "]}");
    return true;
}

void jobs_report(struct api_call *call) {
    struct report r = {.w = {.base = call->base, .now_ms = now_ms(call), .first = true}};
    int64_t id, total;
    if (!find_job(call, &id, &r.w)) {
        return;
    }
    struct store_page page = {.limit = -1};
    struct error err = ERROR_INIT;
    buf_append_cstr(&r.w.out, "{\"items\":[");
    if (store_events_by_node(call->api->parts.store, id, collect_event, &r, &err) &&
        store_nodes_page(call->api->parts.store, id, &page, NULL, r.w.now_ms, write_report_node, &r, &total, &err)) {
        buf_append_cstr(&r.w.out, "]}");
        api_reply(call, 200, buf_span(&r.w.out));
    } else {
        api_reply_store_error(call, &err);
        error_clear(&err);
    }
    for (struct map_iter i = map_iter(&r.events); map_next(&i);) {
        buf_free(i.value);
        mem_free(i.value);
    }
    map_free(&r.events);
    buf_free(&r.w.out);
}

void jobs_events(struct api_call *call) {
    struct writer w = {.base = call->base};
    int64_t id, start = 0;
    if (find_job(call, &id, &w) && api_query_int(call, "start", 0, &start)) {
        events_answer(call, id, start);
    }
}
