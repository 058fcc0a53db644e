/* Reading plan jobs and their events (orchestrator-api.md §6). */
#include "base/map.h"
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include "orchestrator/jobs/render.h"
#include <string.h>

struct writer {
    struct buf out;
    const struct api_call *call;
    int64_t now_ms, next, plan;
    bool results, first, whole;
};

static void separate(struct writer *w) {
    if (!w->first) {
        buf_append_char(&w->out, ',');
    }
    w->first = false;
}

static void write_raw(struct buf *out, const char *key, struct span json, const char *otherwise) {
    buf_printf(out, ",\"%s\":", key);
    buf_append_span(out, json.len != 0 ? json : span_of(otherwise));
}

static void write_members(struct writer *w, const struct store_plan *p) {
    struct buf *out = &w->out;
    const char *base = w->call->base;
    long long id = p->id;
    buf_printf(out, "\"id\":\"%s/plan_jobs/%lld\",\"name\":\"%lld\",\"state\":\"%s\"", base, id, id,
               plan_state_name(p->state));
    write_raw(out, "options", p->options, "{}");
    if (w->results) {
        write_raw(out, "result", p->result, "null");
    }
    write_raw(out, "owner", p->owner, "{}");
    buf_append_cstr(out, ",\"created_timestamp\":");
    render_time(out, p->created_ms);
    buf_append_cstr(out, ",\"finished_timestamp\":");
    render_time(out, p->finished_ms);
    buf_append_cstr(out, ",\"duration\":");
    render_duration(out, (p->finished_ms != 0 ? p->finished_ms : w->now_ms) - p->created_ms);
    buf_printf(out, ",\"events\":{\"id\":\"%s/plan_jobs/%lld/events\"}", base, id);
    write_raw(out, "userdata", p->userdata, "{}");
}

/* ---- GET /plan_jobs */

static bool write_plan(void *ctx, const struct store_plan *p) {
    struct writer *w = ctx;
    separate(w);
    buf_append_char(&w->out, '{');
    write_members(w, p);
    buf_append_char(&w->out, '}');
    return true;
}

static bool read_results(struct api_call *call, bool *include) {
    const char *results = http_query(call->ex, "results");
    *include = results == NULL || strcmp(results, "include") == 0;
    if (!*include && strcmp(results, "exclude") != 0) {
        json_t *given = json_string(results);
        api_reply_invalid(call, "results", given, "results must be include or exclude");
        json_decref(given);
        return false;
    }
    return true;
}

void plan_jobs_list(struct api_call *call) {
    struct store_page page;
    struct store_plans_filter filter = {0};
    bool ordered;
    if (!api_read_page(call, STORE_PLANS, &page, &ordered) || !read_results(call, &filter.results) ||
        !api_query_time(call, "min_finish_timestamp", &filter.min_finish_ms) ||
        !api_query_time(call, "max_finish_timestamp", &filter.max_finish_ms)) {
        return;
    }
    page.descending = ordered ? page.descending : true; /* by name, the newest first */
    struct writer w = {.call = call, .now_ms = now_ms(call), .results = filter.results, .first = true};
    struct error err = ERROR_INIT;
    int64_t total = 0;
    buf_append_cstr(&w.out, "{\"items\":[");
    if (store_plans_page(call->api->parts.store, &page, &filter, write_plan, &w, &total, &err)) {
        buf_append_cstr(&w.out, "],\"pagination\":{");
        if (page.limit >= 0) {
            buf_printf(&w.out, "\"limit\":%lld,", (long long)page.limit);
        }
        buf_printf(&w.out, "\"offset\":%lld,\"total\":%lld,\"order_by\":\"%s\",\"order\":\"%s\"}}",
                   (long long)page.offset, (long long)total, page.order_by != NULL ? page.order_by : "name",
                   page.descending ? "desc" : "asc");
        api_reply(call, 200, buf_span(&w.out));
    } else {
        api_reply_store_error(call, &err);
        error_clear(&err);
    }
    buf_free(&w.out);
}

/* ---- GET /plan_jobs/:id */

static void write_whole_plan(void *ctx, const struct store_plan *p) {
    struct writer *w = ctx;
    buf_append_char(&w->out, '{');
    write_members(w, p);
    buf_append_cstr(&w->out, ",\"timestamp\":");
    render_time(&w->out, p->ts_ms);
}

static bool write_job_status(void *ctx, const struct store_job *job) {
    struct writer *w = ctx;
    separate(w);
    buf_printf(&w->out, "\"%lld\":", (long long)job->id);
    render_job_status(&w->out, job->entered_ms);
    return true;
}

void plan_jobs_get(struct api_call *call) {
    struct store *store = call->api->parts.store;
    struct store_page all = {.limit = -1, .order_by = "name"};
    struct writer w = {.call = call, .now_ms = now_ms(call), .results = true, .first = true};
    struct error err = ERROR_INIT;
    bool found = false;
    int64_t id;
    if (!api_path_id(call, "id", &id)) {
        return;
    }
    struct store_jobs_filter filter = {.plan = id};
    bool ok = store_plan(store, id, write_whole_plan, &w, &found, &err);
    if (ok && found) {
        buf_append_cstr(&w.out, ",\"status\":{");
        ok = store_jobs_page(store, &all, &filter, write_job_status, &w, NULL, &err);
        buf_append_cstr(&w.out, "}}");
    }
    if (!ok) {
        api_reply_store_error(call, &err);
        error_clear(&err);
    } else if (!found) {
        unknown_job(call, id);
    } else {
        api_reply(call, 200, buf_span(&w.out));
    }
    buf_free(&w.out);
}

/* ---- events */

static void nothing(void *ctx, const struct store_plan *p) {
    (void)ctx, (void)p;
}

/* False: answered. */
static bool find_plan(struct api_call *call, int64_t *id) {
    struct error err = ERROR_INIT;
    bool found = false;
    if (!api_path_id(call, "id", id)) {
        return false;
    }
    if (!store_plan(call->api->parts.store, *id, nothing, NULL, &found, &err)) {
        api_reply_store_error(call, &err);
        error_clear(&err);
        return false;
    }
    if (!found) {
        unknown_job(call, *id);
    }
    return found;
}

static bool write_event(void *ctx, const struct store_plan_event *e) {
    struct writer *w = ctx;
    separate(w);
    render_plan_event(&w->out, e, false);
    w->next = e->id + 1;
    return true;
}

void plan_jobs_events(struct api_call *call) {
    int64_t id, start = 0;
    if (!find_plan(call, &id) || !api_query_int(call, "start", 0, &start)) {
        return;
    }
    struct writer w = {.call = call, .first = true, .next = start};
    struct error err = ERROR_INIT;
    if (store_plan_events(call->api->parts.store, id, start, -1, write_event, &w, &err)) {
        struct buf out = BUF_INIT;
        buf_printf(&out,
                   "{\"next-events\":{\"id\":\"%s/plan_jobs/%lld/events?start=%lld\",\"event\":\"%lld\"},\"items\":[",
                   call->base, (long long)id, (long long)w.next, (long long)w.next);
        buf_append_span(&out, buf_span(&w.out));
        buf_append_cstr(&out, "]}");
        api_reply(call, 200, buf_span(&out));
        buf_free(&out);
    } else {
        api_reply_store_error(call, &err);
        error_clear(&err);
    }
    buf_free(&w.out);
}

static void write_whole_event(void *ctx, const struct store_plan_event *e) {
    struct writer *w = ctx;
    w->plan = e->plan;
    render_plan_event(&w->out, e, true);
}

void plan_jobs_event(struct api_call *call) {
    struct writer w = {.call = call};
    struct error err = ERROR_INIT;
    int64_t id, event;
    bool found = false;
    if (!find_plan(call, &id) || !api_path_id(call, "event", &event)) {
        return;
    }
    if (!store_plan_event(call->api->parts.store, event, write_whole_event, &w, &found, &err)) {
        api_reply_store_error(call, &err);
        error_clear(&err);
    } else if (!found || w.plan != id) {
        error_set_details(&err, "puppetlabs.orchestrator/mismatched-job-event-id",
                          json_pack("{s:o, s:o}", "job", json_sprintf("%lld", (long long)id), "event",
                                    json_sprintf("%lld", (long long)event)),
                          "Event %lld does not belong to plan job %lld", (long long)event, (long long)id);
        api_reply_error(call, &err);
        error_clear(&err);
    } else {
        api_reply(call, 200, buf_span(&w.out));
    }
    buf_free(&w.out);
}
