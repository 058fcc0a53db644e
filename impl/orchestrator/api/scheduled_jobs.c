/* Scheduled jobs: the first API's list and deletion (orchestrator-api.md §7, only with scheduled-jobs-v1-api), and the
 * second API (§8). */
#include "base/clock.h"
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include "orchestrator/jobs/render.h"
#include <string.h>

enum { SCHEDULES_LIMIT = 50 };

static const struct api_field schedule_fields[] = {
    {.key = "start_time", .types = IS_STRING, .required = true},
    {.key = "interval", .types = IS_OBJECT | IS_NULL},
    {.key = NULL},
};
static const struct api_field plan_input_fields[] = {
    {.key = "name", .types = IS_STRING, .required = true},
    {.key = "parameters", .types = IS_OBJECT, .secret = true},
    {.key = "sensitive_parameters", .types = IS_ARRAY, .strings = true},
    {.key = "timeout", .types = IS_INTEGER, .min = 1},
    {.key = NULL},
};
static const struct api_field task_input_fields[] = {
    {.key = "name", .types = IS_STRING, .required = true},
    {.key = "parameters", .types = IS_OBJECT, .secret = true},
    {.key = "sensitive_parameters", .types = IS_ARRAY, .strings = true},
    {.key = "scope", .types = IS_OBJECT, .required = true},
    {.key = "targets", .types = IS_ARRAY, .secret = true},
    {.key = "noop", .types = IS_BOOLEAN | IS_NULL},
    {.key = "concurrency", .types = IS_INTEGER | IS_NULL, .min = 1},
    {.key = "transport", .types = IS_STRING},
    {.key = "timeout", .types = IS_INTEGER, .min = 1},
    {.key = NULL},
};
static const struct api_field deploy_input_fields[] = {
    {.key = "scope", .types = IS_OBJECT, .required = true},
    DEPLOY_FIELDS,
    {.key = NULL},
};
static const struct {
    const char *type;
    const struct api_field *input;
    void (*command)(struct api_call *call);
} types[] = {
    {"task", task_input_fields, command_task},
    {"deploy", deploy_input_fields, command_deploy},
    {"plan", plan_input_fields, command_environment_plan_run},
};
enum { TYPES = sizeof types / sizeof types[0] };

const struct api_field environment_jobs_post_fields[] = {
    {.key = "type", .types = IS_STRING, .required = true},
    {.key = "input", .types = IS_OBJECT, .required = true, .secret = true},
    {.key = "environment", .types = IS_STRING, .required = true},
    {.key = "schedule", .types = IS_OBJECT, .required = true},
    {.key = "description", .types = IS_STRING, .required = true},
    {.key = "userdata", .types = IS_OBJECT, .required = true},
    {.key = NULL},
};
const struct api_field environment_jobs_put_fields[] = {
    {.key = "type", .types = IS_STRING},        {.key = "input", .types = IS_OBJECT, .secret = true},
    {.key = "environment", .types = IS_STRING}, {.key = "schedule", .types = IS_OBJECT},
    {.key = "description", .types = IS_STRING}, {.key = "userdata", .types = IS_OBJECT},
    {.key = "enabled", .types = IS_BOOLEAN},    {.key = NULL},
};

/* ---- rendering */

struct writer {
    struct buf out;
    const struct api_call *call;
    bool first;
};

static void separate(struct writer *w) {
    if (!w->first) {
        buf_append_char(&w->out, ',');
    }
    w->first = false;
}

static void write_text(struct buf *out, const char *key, struct span text) {
    buf_printf(out, ",\"%s\":", key);
    json_write_string(out, text);
}

static void write_raw(struct buf *out, const char *key, struct span json) {
    buf_printf(out, ",\"%s\":", key);
    buf_append_span(out, json.len != 0 ? json : SPAN("{}"));
}

static void write_interval(struct buf *out, int64_t seconds) {
    if (seconds == 0) {
        buf_append_cstr(out, "null");
    } else {
        buf_printf(out, "{\"units\":\"seconds\",\"value\":%lld}", (long long)seconds);
    }
}

static void write_last_run(struct writer *w, const struct store_schedule *row) {
    struct buf *out = &w->out;
    buf_append_cstr(out, ",\"last_run\":");
    if (row->last_ms == 0) {
        buf_append_cstr(out, "null");
        return;
    }
    buf_append_cstr(out, "{\"time\":");
    render_time(out, row->last_ms);
    if (row->last_job != 0) {
        buf_printf(out, ",\"job\":{\"id\":\"%s/%s/%lld\",\"name\":%lld}}", w->call->base,
                   span_eq_cstr(row->type, "plan") ? "plan_jobs" : "jobs", (long long)row->last_job,
                   (long long)row->last_job);
    } else {
        buf_append_cstr(out, ",\"job\":{\"submission_error\":");
        buf_append_span(out, row->last_error.len != 0 ? row->last_error : SPAN("{}"));
        buf_append_cstr(out, ",\"name\":null}}");
    }
}

static bool write_schedule(void *ctx, const struct store_schedule *row) {
    struct writer *w = ctx;
    long long id = row->id;
    separate(w);
    buf_printf(&w->out, "{\"id\":\"%s/scheduled_jobs/environment_jobs/%lld\",\"name\":\"%lld\",\"enabled\":%s",
               w->call->base, id, id, row->enabled ? "true" : "false");
    write_text(&w->out, "type", row->type);
    write_text(&w->out, "environment", row->environment);
    write_raw(&w->out, "owner", row->owner);
    write_text(&w->out, "description", row->description);
    write_raw(&w->out, "input", row->input);
    write_raw(&w->out, "userdata", row->userdata);
    buf_append_cstr(&w->out, ",\"schedule\":{\"start_time\":");
    render_time(&w->out, row->start_ms);
    buf_append_cstr(&w->out, ",\"interval\":");
    write_interval(&w->out, row->interval_s);
    buf_append_cstr(&w->out, "},\"next_run\":");
    if (row->next_ms == 0) {
        buf_append_cstr(&w->out, "null");
    } else {
        buf_append_cstr(&w->out, "{\"time\":");
        render_time(&w->out, row->next_ms);
        buf_append_char(&w->out, '}');
    }
    write_last_run(w, row);
    buf_append_char(&w->out, '}');
    return true;
}

static void write_one(void *ctx, const struct store_schedule *row) {
    write_schedule(ctx, row);
}

/* The first API's form (§7.1). */
static bool write_first_form(void *ctx, const struct store_schedule *row) {
    struct writer *w = ctx;
    json_t *input = json_parse(row->input, "input", NULL), *scope = json_object_get(input, "scope");
    bool deploy = span_eq_cstr(row->type, "deploy");
    long long id = row->id;
    separate(w);
    buf_printf(&w->out, "{\"id\":\"%s/scheduled_jobs/%lld\",\"name\":\"%lld\"", w->call->base, id, id);
    write_text(&w->out, "type", row->type);
    if (!deploy) {
        write_text(&w->out, span_eq_cstr(row->type, "plan") ? "plan" : "task", row->name);
    }
    buf_append_cstr(&w->out, ",\"scope\":");
    if (scope != NULL) {
        json_write(&w->out, scope);
    } else {
        buf_append_cstr(&w->out, "{}");
    }
    write_text(&w->out, "environment", row->environment);
    write_raw(&w->out, "owner", row->owner);
    write_text(&w->out, "description", row->description);
    buf_append_cstr(&w->out, ",\"scheduled_time\":");
    render_time(&w->out, row->start_ms);
    buf_printf(&w->out, ",\"noop\":%s,\"next_run\":", json_bool(input, "noop", false) ? "true" : "false");
    render_time(&w->out, row->next_ms);
    buf_append_cstr(&w->out, row->interval_s != 0 ? ",\"schedule_options\":{\"interval\":" : ",\"schedule_options\":{");
    if (row->interval_s != 0) {
        write_interval(&w->out, row->interval_s);
    }
    buf_append_char(&w->out, '}');
    write_raw(&w->out, "job_options", row->input);
    buf_append_char(&w->out, '}');
    json_decref(input);
    return true;
}

/* ---- lists */

static void list(struct api_call *call, bool (*write)(void *ctx, const struct store_schedule *row)) {
    struct store_page page;
    bool ordered;
    const char *type = http_query(call->ex, "type");
    if (!api_read_page(call, STORE_SCHEDULES, &page, &ordered)) {
        return;
    }
    bool known = type == NULL;
    for (size_t i = 0; i < TYPES; i++) {
        known = known || strcmp(type, types[i].type) == 0;
    }
    if (!known) {
        json_t *given = json_string(type);
        api_reply_invalid(call, "type", given, "type must be task, deploy or plan");
        json_decref(given);
        return;
    }
    page.limit = page.limit < 0 ? SCHEDULES_LIMIT : page.limit;
    struct writer w = {.call = call, .first = true};
    struct error err = ERROR_INIT;
    int64_t total = 0;
    const char *order_by = page.order_by != NULL       ? page.order_by
                           : write == write_first_form ? "next_run"
                                                       : "next_run_time";
    buf_append_cstr(&w.out, "{\"items\":[");
    if (store_schedules_page(call->api->parts.store, &page, type, write, &w, &total, &err)) {
        buf_printf(&w.out,
                   "],\"pagination\":{\"limit\":%lld,\"offset\":%lld,\"total\":%lld,\"order_by\":\"%s\","
                   "\"order\":\"%s\",\"type\":\"%s\"}}",
                   (long long)page.limit, (long long)page.offset, (long long)total, order_by,
                   page.descending ? "desc" : "asc", type != NULL ? type : "");
        api_reply(call, 200, buf_span(&w.out));
    } else {
        api_reply_store_error(call, &err);
        error_clear(&err);
    }
    buf_free(&w.out);
}

/* The first API's reading part is there only when asked for; the answer is the one for any unknown path. */
static bool first_api(struct api_call *call) {
    if (call->api->parts.config->scheduled_jobs_v1_api) {
        return true;
    }
    struct error err = ERROR_INIT;
    error_set(&err, "puppetlabs.orchestrator/not-found",
              "There is nothing at %s: orchestrator.scheduled-jobs-v1-api is off", http_request(call->ex)->path);
    api_reply_error(call, &err);
    error_clear(&err);
    return false;
}

void scheduled_jobs_list(struct api_call *call) {
    if (first_api(call)) {
        list(call, write_first_form);
    }
}

/* Reading the second API needs orchestrator:view; its lack is told as query-error, as the product does (§8.2). */
static bool may_read(struct api_call *call, const json_t *answers) {
    if (json_is_true(json_array_get(answers, 0))) {
        return true;
    }
    struct error err = ERROR_INIT;
    error_set_details(&err, "puppetlabs.orchestrator/query-error", json_pack("{s:n}", "query"),
                      "You do not have permission to view scheduled jobs: orchestrator:view:* is needed");
    api_reply_error(call, &err);
    error_clear(&err);
    return false;
}

static void read_permitted(struct api_call *call, void (*then)(struct api_call *call, const json_t *answers)) {
    json_t *permissions = json_array();
    add_permission(permissions, "orchestrator", "view", "*");
    call->query_errors = true;
    api_permit(call, permissions, then);
}

static void on_may_list(struct api_call *call, const json_t *answers) {
    if (may_read(call, answers)) {
        list(call, write_schedule);
    }
}

void environment_jobs_list(struct api_call *call) {
    read_permitted(call, on_may_list);
}

static void unknown_schedule(struct api_call *call, int64_t id) {
    struct error err = ERROR_INIT;
    error_set_details(&err, "puppetlabs.orchestrator/unknown-job",
                      json_pack("{s:o}", "job", json_sprintf("%lld", (long long)id)), "Unknown scheduled job %lld",
                      (long long)id);
    api_reply_error(call, &err);
    error_clear(&err);
}

static void on_may_get(struct api_call *call, const json_t *answers) {
    struct writer w = {.call = call, .first = true};
    struct error err = ERROR_INIT;
    bool found = false;
    int64_t id;
    if (!may_read(call, answers) || !api_path_id(call, "id", &id)) {
        return;
    }
    if (!store_schedule(call->api->parts.store, id, write_one, &w, &found, &err)) {
        api_reply_store_error(call, &err);
        error_clear(&err);
    } else if (!found) {
        unknown_schedule(call, id);
    } else {
        api_reply(call, 200, buf_span(&w.out));
    }
    buf_free(&w.out);
}

void environment_jobs_get(struct api_call *call) {
    read_permitted(call, on_may_get);
}

/* ---- POST: a schedule is a command with a time */

/* The command for call->body = {type, input, environment, schedule …} with the wish set; replaces the body. */
static void begin_command(struct api_call *call, const json_t *sensitive) {
    struct error err = ERROR_INIT;
    const char *type = call->wish->type;
    json_t *input = json_object_get(call->body, "input");
    size_t t = 0;
    while (strcmp(types[t].type, type) != 0) {
        t++;
    }
    if (!api_check_body(types[t].input, input, &err)) {
        api_reply_error(call, &err);
        error_clear(&err);
        return;
    }
    const char *name;
    json_t *wrapped;
    json_object_foreach(json_object_get(input, "parameters"), name, wrapped) {
        if (!json_is_object(wrapped) || json_object_get(wrapped, "value") == NULL) {
            api_reply_invalid(call, "parameters", NULL, "parameter %s must be an object with the key value", name);
            return;
        }
    }
    static const char *const beside[] = {"environment", "description", "userdata"};
    json_t *body = schedule_command_body(type, input, sensitive);
    for (size_t i = 0; i < 3; i++) {
        json_object_set(body, beside[i], json_object_get(call->body, beside[i]));
    }
    json_decref(call->body);
    call->body = body;
    types[t].command(call);
}

/* False: answered. *text: the start time, borrowed. */
static bool read_schedule(struct api_call *call, const json_t *schedule, int64_t *start_ms, int64_t *interval_s,
                          const json_t **text) {
    struct error err = ERROR_INIT;
    if (!api_check_body(schedule_fields, schedule, &err)) {
        api_reply_error(call, &err);
        error_clear(&err);
        return false;
    }
    *text = json_object_get(schedule, "start_time");
    return schedule_read_time(call, "start_time", *text, start_ms) &&
           schedule_read_interval(call, json_object_get(schedule, "interval"), interval_s);
}

void environment_jobs_post(struct api_call *call) {
    const json_t *type = json_object_get(call->body, "type"), *time;
    int64_t start, interval;
    const char *known = NULL;
    for (size_t i = 0; i < TYPES; i++) {
        known = str_eq(json_string_value(type), types[i].type) ? types[i].type : known;
    }
    if (known == NULL) {
        api_reply_invalid(call, "type", type, "type must be task, deploy or plan");
        return;
    }
    if (!read_schedule(call, json_object_get(call->body, "schedule"), &start, &interval, &time) ||
        !schedule_in_future(call, time, start)) {
        return;
    }
    call->wish = mem_zalloc(sizeof *call->wish);
    *call->wish = (struct schedule_wish){.type = known, .start_ms = start, .interval_s = interval};
    begin_command(call, NULL);
}

/* ---- changing and ending one: the owner, or who may delete others' */

struct stored {
    bool enabled, first_api;
    const char *type;
    int64_t id, start_ms, interval_s;
    json_t *owner, *input, *sensitive, *userdata;
    json_t *environment, *description;
    const struct api *api;
    void (*then)(struct api_call *call);
};

static void stored_free(void *state) {
    struct stored *s = state;
    json_decref(s->owner);
    json_decref(s->input);
    json_decref(s->sensitive);
    json_decref(s->userdata);
    json_decref(s->environment);
    json_decref(s->description);
    mem_free(s);
}

static void read_stored(void *ctx, const struct store_schedule *row) {
    struct stored *s = ctx;
    for (size_t i = 0; i < TYPES; i++) {
        s->type = span_eq_cstr(row->type, types[i].type) ? types[i].type : s->type;
    }
    s->enabled = row->enabled;
    s->first_api = row->first_api;
    s->start_ms = row->start_ms;
    s->interval_s = row->interval_s;
    s->owner = json_parse(row->owner, "owner", NULL);
    s->input = json_parse(row->input, "input", NULL);
    s->userdata = json_parse(row->userdata, "userdata", NULL);
    s->environment = json_str_new(row->environment);
    s->description = json_str_new(row->description);
    struct buf clear = BUF_INIT;
    if (row->secret.len != 0 && secret_open(s->api->secret_key, "schedule", row->secret, &clear)) {
        s->sensitive = json_parse(buf_span(&clear), "secrets", NULL);
    }
    if (clear.ptr != NULL) {
        mem_zero(clear.ptr, clear.cap);
    }
    buf_free(&clear);
}

static void on_may_change(struct api_call *call, const json_t *answers) {
    const struct stored *s = call->state;
    if (json_is_true(json_array_get(answers, 0))) {
        s->then(call);
    } else {
        api_reply_not_permitted(call, "Not authorized to delete job %lld", (long long)s->id);
    }
}

/* Reads the schedule of the path into call->state and calls then if the caller may change it. */
static void with_stored(struct api_call *call, void (*then)(struct api_call *call)) {
    struct error err = ERROR_INIT;
    bool found = false;
    int64_t id;
    if (!api_path_id(call, "id", &id)) {
        return;
    }
    struct stored *s = mem_zalloc(sizeof *s);
    s->api = call->api;
    s->id = id;
    s->then = then;
    call->state = s;
    call->free_state = stored_free;
    if (!store_schedule(call->api->parts.store, id, read_stored, s, &found, &err)) {
        api_reply_store_error(call, &err);
        error_clear(&err);
        return;
    }
    if (!found) {
        unknown_schedule(call, id);
        return;
    }
    const char *owner = json_str(s->owner, "id");
    if (str_eq(owner, json_str(call->subject, "id"))) {
        then(call);
        return;
    }
    json_t *permissions = json_array();
    add_permission(permissions, "scheduled_jobs", "delete", owner != NULL ? owner : "*");
    api_permit(call, permissions, on_may_change);
}

static void on_disabled(void *ctx, int64_t id, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL) {
        api_reply_error(call, err);
    } else if (call->body == NULL) { /* DELETE */
        api_reply(call, 204, SPAN(""));
    } else {
        char *url = link_to(call, "/scheduled_jobs/environment_jobs/%lld", (long long)id);
        json_t *name = json_sprintf("%lld", (long long)id);
        json_t *body = json_pack("{s:{s:s, s:o}}", "scheduled_job", "id", url, "name", name);
        mem_free(url);
        api_reply_json(call, 200, body);
    }
}

static void disable(struct api_call *call) {
    const struct stored *s = call->state;
    struct error err = ERROR_INIT;
    if (!schedules_disable(call->api->parts.schedules, s->id, on_disabled, call, &err)) {
        api_reply_error(call, &err);
        error_clear(&err);
    }
}

void scheduled_jobs_delete(struct api_call *call) {
    if (first_api(call)) {
        with_stored(call, disable);
    }
}

static json_t *either(const struct api_call *call, const char *key, json_t *stored) {
    json_t *given = json_object_get(call->body, key);
    return json_incref(given != NULL ? given : stored);
}

static void refuse_disabled(struct api_call *call, int64_t id) {
    struct error err = ERROR_INIT;
    error_set_details(&err, "puppetlabs.orchestrator/disabled-scheduled-job",
                      json_pack("{s:o}", "id", json_sprintf("%lld", (long long)id)), "Scheduled job %lld is disabled",
                      (long long)id);
    api_reply_error(call, &err);
    error_clear(&err);
}

static void change(struct api_call *call) {
    const struct stored *s = call->state;
    const json_t *type = json_object_get(call->body, "type"), *schedule = json_object_get(call->body, "schedule");
    const json_t *enabled = json_object_get(call->body, "enabled"), *time = NULL;
    int64_t start = s->start_ms, interval = s->interval_s;
    if (!s->enabled && !(json_is_false(enabled) && json_object_size(call->body) == 1)) {
        refuse_disabled(call, s->id);
        return;
    }
    if (json_is_false(enabled)) {
        disable(call);
        return;
    }
    if (type != NULL && !str_eq(json_string_value(type), s->type)) {
        api_reply_invalid(call, "type", type, "type cannot change: it is %s", s->type);
        return;
    }
    if (schedule != NULL && !read_schedule(call, schedule, &start, &interval, &time)) {
        return;
    }
    if ((start != s->start_ms || interval != s->interval_s) && !schedule_in_future(call, time, start)) {
        return;
    }
    call->wish = mem_zalloc(sizeof *call->wish);
    *call->wish = (struct schedule_wish){
        .type = s->type, .id = s->id, .start_ms = start, .interval_s = interval, .owner = json_incref(s->owner)};
    bool own_input = json_object_get(call->body, "input") != NULL;
    json_t *sensitive = own_input ? NULL : json_incref(s->sensitive);
    json_t *body = json_object();
    json_set(body, "input", either(call, "input", s->input));
    json_set(body, "environment", either(call, "environment", s->environment));
    json_set(body, "description", either(call, "description", s->description));
    json_set(body, "userdata", either(call, "userdata", s->userdata));
    json_decref(call->body);
    call->body = body;
    stored_free(call->state);
    call->state = NULL;
    call->free_state = NULL;
    begin_command(call, sensitive);
    json_decref(sensitive);
}

void environment_jobs_put(struct api_call *call) {
    with_stored(call, change);
}
