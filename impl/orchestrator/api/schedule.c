/* Commands that are kept for later: the first scheduling API's (orchestrator-api.md §3.10), and what both APIs share.
 * A command goes its whole way first; at its end, instead of a job, the schedule is stored. */
#include "base/clock.h"
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include <string.h>

#define SCHEDULE_FIELDS                                                                                                \
    {.key = "scheduled_time", .types = IS_STRING, .required = true}, {                                                 \
        .key = "schedule_options", .types = IS_OBJECT                                                                  \
    }

const struct api_field command_schedule_task_fields[] = {
    SCHEDULE_FIELDS,
    TASK_FIELDS,
    {.key = NULL},
};
const struct api_field command_schedule_deploy_fields[] = {
    SCHEDULE_FIELDS,
    {.key = "environment", .types = IS_STRING, .required = true},
    {.key = "scope", .types = IS_OBJECT, .required = true},
    DEPLOY_FIELDS,
    {.key = "description", .types = IS_STRING},
    {.key = "userdata", .types = IS_OBJECT},
    {.key = NULL},
};
const struct api_field command_schedule_plan_fields[] = {
    SCHEDULE_FIELDS,
    {.key = "plan", .types = IS_STRING},
    {.key = "plan_name", .types = IS_STRING},
    {.key = "params", .types = IS_OBJECT, .required = true, .secret = true},
    {.key = "environment", .types = IS_STRING},
    {.key = "description", .types = IS_STRING},
    {.key = "timeout", .types = IS_INTEGER, .min = 1},
    {.key = "userdata", .types = IS_OBJECT},
    {.key = NULL},
};

static const struct api_field interval_fields[] = {
    {.key = "units", .types = IS_STRING, .required = true},
    {.key = "value", .types = IS_INTEGER, .required = true, .min = 1},
    {.key = NULL},
};
enum { INTERVAL_MAX_S = INT32_MAX };

void schedule_wish_free(struct schedule_wish *wish) {
    if (wish != NULL) {
        json_decref(wish->input);
        json_decref(wish->sensitive);
        json_decref(wish->owner);
        mem_free(wish);
    }
}

/* ---- reading times */

bool schedule_read_interval(struct api_call *call, const json_t *interval, int64_t *seconds) {
    struct error err = ERROR_INIT;
    *seconds = 0;
    if (interval == NULL || json_is_null(interval)) {
        return true;
    }
    if (!api_check_body(interval_fields, interval, &err)) {
        api_reply_error(call, &err);
        error_clear(&err);
        return false;
    }
    *seconds = json_int(interval, "value", 0);
    if (!str_eq(json_str(interval, "units"), "seconds") || *seconds > INTERVAL_MAX_S) {
        api_reply_invalid(call, "interval", interval, "interval must be {\"units\": \"seconds\", \"value\": n}");
        return false;
    }
    return true;
}

bool schedule_read_time(struct api_call *call, const char *key, const json_t *text, int64_t *ms) {
    if (!time_parse(json_span(text), ms)) {
        api_reply_invalid(call, key, text, "%s must be an ISO 8601 time", key);
        return false;
    }
    return true;
}

bool schedule_in_future(struct api_call *call, const json_t *text, int64_t ms) {
    if (ms > now_ms(call)) {
        return true;
    }
    struct error err = ERROR_INIT;
    error_set_details(&err, "puppetlabs.orchestrator/invalid-time", json_pack("{s:O}", "scheduled_time", text),
                      "The scheduled time %s is not in the future", json_string_value(text));
    api_reply_error(call, &err);
    error_clear(&err);
    return false;
}

/* ---- the commands */

/* NULL: answered. */
static struct schedule_wish *read_wish(struct api_call *call, const char *type) {
    const json_t *time = json_object_get(call->body, "scheduled_time");
    const json_t *options = json_object_get(call->body, "schedule_options");
    const json_t *interval = json_object_get(options, "interval");
    int64_t start, seconds;
    if (json_object_size(options) != (interval != NULL ? 1 : 0)) {
        api_reply_invalid(call, "schedule_options", options, "schedule_options may only have the key interval");
        return NULL;
    }
    if (!schedule_read_time(call, "scheduled_time", time, &start) ||
        !schedule_read_interval(call, interval, &seconds) || !schedule_in_future(call, time, start)) {
        return NULL;
    }
    struct schedule_wish *wish = mem_zalloc(sizeof *wish);
    *wish = (struct schedule_wish){.type = type, .start_ms = start, .interval_s = seconds, .first_api = true};
    call->wish = wish;
    return wish;
}

void command_schedule_task(struct api_call *call) {
    if (read_wish(call, "task") != NULL) {
        command_task(call);
    }
}

void command_schedule_deploy(struct api_call *call) {
    if (read_wish(call, "deploy") != NULL) {
        command_deploy(call);
    }
}

void command_schedule_plan(struct api_call *call) {
    json_t *plan = json_object_get(call->body, "plan_name");
    plan = plan != NULL ? plan : json_object_get(call->body, "plan");
    if (plan == NULL) {
        api_reply_invalid(call, "plan_name", NULL, "plan_name is missing");
    } else if (read_wish(call, "plan") != NULL) {
        json_object_set(call->body, "plan_name", plan);
        command_plan_run(call);
    }
}

/* ---- storing */

static void on_kept(void *ctx, int64_t id, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    bool first = call->wish->first_api;
    char *url = link_to(call, first ? "/scheduled_jobs/%lld" : "/scheduled_jobs/environment_jobs/%lld", (long long)id);
    json_t *name = json_sprintf("%lld", (long long)id);
    json_t *body = json_pack("{s:{s:s, s:o}}", "scheduled_job", "id", url, "name", name);
    mem_free(url);
    api_reply_json(call, first ? 202 : 200, body);
}

static struct span text_of(const json_t *body, const char *key, const char *otherwise) {
    const char *text = json_str(body, key);
    return span_of(text != NULL ? text : otherwise);
}

void schedule_keep(struct api_call *call) {
    struct schedule_wish *wish = call->wish;
    struct schedules *schedules = call->api->parts.schedules;
    const json_t *owner = wish->owner != NULL ? wish->owner : call->subject;
    json_t *userdata = json_object_get(call->body, "userdata");
    struct buf input = BUF_INIT, owner_text = BUF_INIT, data = BUF_INIT;
    json_write(&input, wish->input);
    json_write(&owner_text, owner);
    if (userdata != NULL) {
        json_write(&data, userdata);
    } else {
        buf_append_cstr(&data, "{}");
    }
    struct store_schedule row = {
        .id = wish->id,
        .enabled = true,
        .type = span_of(wish->type),
        .environment = text_of(call->body, "environment", "production"),
        .owner_login = text_of(owner, "login", ""),
        .name = text_of(wish->input, "name", ""),
        .start_ms = wish->start_ms,
        .interval_s = wish->interval_s,
        .first_api = wish->first_api,
        .description = text_of(call->body, "description", ""),
        .owner = buf_span(&owner_text),
        .input = buf_span(&input),
        .userdata = buf_span(&data),
    };
    struct error err = ERROR_INIT;
    bool ok = wish->id == 0 ? schedules_add(schedules, &row, wish->sensitive, on_kept, call, &err)
                            : schedules_replace(schedules, &row, wish->sensitive, false, on_kept, call, &err);
    buf_free(&input);
    buf_free(&owner_text);
    buf_free(&data);
    if (!ok) {
        api_reply_error(call, &err);
        error_clear(&err);
    }
}

/* ---- a stored schedule as the command's body again */

/* {p: {"value": v}} to {p: v}: new reference. */
static json_t *unwrapped(const json_t *parameters) {
    json_t *params = json_object(), *wrapped;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)parameters, name, wrapped) {
        json_t *value = json_object_get(wrapped, "value");
        if (value != NULL) {
            json_object_set(params, name, value);
        }
    }
    return params;
}

static json_t *merged(json_t *params, const json_t *secret, bool wrap) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)secret, name, value) {
        json_set(params, name, wrap ? json_pack("{s:O}", "value", value) : json_incref(value));
    }
    return params;
}

json_t *schedule_command_body(const char *type, const json_t *input, const json_t *sensitive) {
    json_t *body = json_copy((json_t *)(uintptr_t)input);
    if (strcmp(type, "deploy") == 0) {
        return body;
    }
    bool plan = strcmp(type, "plan") == 0;
    const json_t *parameters = json_object_get(input, "parameters"), *targets = json_object_get(sensitive, "targets");
    json_t *params = plan ? json_copy((json_t *)(uintptr_t)parameters) : unwrapped(parameters);
    params = params != NULL ? params : json_object();
    json_set(body, "params", merged(params, json_object_get(sensitive, "parameters"), plan));
    json_object_set(body, plan ? "plan_name" : "task", json_object_get(input, "name"));
    json_object_del(body, "name");
    json_object_del(body, "parameters");
    json_object_del(body, "sensitive_parameters");
    if (targets != NULL) {
        json_object_set(body, "targets", (json_t *)(uintptr_t)targets);
    }
    return body;
}

json_t *schedule_body(const struct store_schedule *row, const json_t *sensitive) {
    json_t *input = json_parse(row->input, "input", NULL);
    char *type = span_dup(row->type);
    json_t *body = schedule_command_body(type, input, sensitive);
    json_set(body, "environment", json_str_new(row->environment));
    json_set(body, "description", json_str_new(row->description));
    json_set(body, "userdata", json_parse(row->userdata, "userdata", NULL));
    mem_free(type);
    json_decref(input);
    return body;
}
