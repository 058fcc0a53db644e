/* Plans: outside ones that record themselves here (plan_start, plan_finish), their stop, and running one on the server
 * (orchestrator-api.md §3.4, §3.7-3.9). */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include <string.h>

const struct api_field command_plan_start_fields[] = {
    {.key = "plan_name", .types = IS_STRING, .required = true},
    {.key = "description", .types = IS_STRING | IS_NULL},
    {.key = "params", .types = IS_OBJECT, .secret = true},
    {.key = "sensitive", .types = IS_ARRAY, .strings = true},
    {.key = "environment", .types = IS_STRING},
    {.key = "timeout", .types = IS_INTEGER, .min = 1},
    {.key = "userdata", .types = IS_OBJECT},
    {.key = NULL},
};
enum { IS_ANYTHING = 127 };
const struct api_field command_plan_finish_fields[] = {
    {.key = "plan_job", .types = IS_STRING | IS_INTEGER, .required = true},
    {.key = "result", .types = IS_ANYTHING, .min = INT64_MIN},
    {.key = "status", .types = IS_STRING, .required = true},
    {.key = NULL},
};
const struct api_field command_stop_plan_fields[] = {
    {.key = "plan_job", .types = IS_STRING | IS_INTEGER, .required = true},
    {.key = NULL},
};
const struct api_field command_plan_run_fields[] = {
    {.key = "plan_name", .types = IS_STRING, .required = true},
    {.key = "params", .types = IS_OBJECT, .secret = true},
    {.key = "environment", .types = IS_STRING},
    {.key = "description", .types = IS_STRING},
    {.key = "timeout", .types = IS_INTEGER, .min = 1},
    {.key = "userdata", .types = IS_OBJECT},
    {.key = NULL},
};
const struct api_field command_environment_plan_run_fields[] = {
    {.key = "plan_name", .types = IS_STRING, .required = true},
    {.key = "params", .types = IS_OBJECT, .required = true, .secret = true},
    {.key = "environment", .types = IS_STRING},
    {.key = "description", .types = IS_STRING},
    {.key = "timeout", .types = IS_INTEGER, .min = 1},
    {.key = "userdata", .types = IS_OBJECT},
    {.key = NULL},
};

/* ---- ids */

bool plan_read_id(struct api_call *call, int64_t *id) {
    const json_t *given = json_object_get(call->body, "plan_job");
    uint64_t number;
    if (json_is_integer(given) && json_integer_value(given) >= 0) {
        *id = json_integer_value(given);
        return true;
    }
    if (json_is_string(given) && span_to_u64(json_span(given), &number) && number <= INT64_MAX) {
        *id = (int64_t)number;
        return true;
    }
    api_reply_invalid(call, "plan_job", given, "plan_job must be a plan job's id, decimal");
    return false;
}

struct known_plan {
    enum plan_state state;
};
static void read_state(void *ctx, const struct store_plan *row) {
    ((struct known_plan *)ctx)->state = row->state;
}

/* False: answered. */
static bool find_plan(struct api_call *call, int64_t id, enum plan_state *state) {
    struct known_plan known = {0};
    struct error err = ERROR_INIT;
    bool found = false;
    if (!store_plan(call->api->parts.store, id, read_state, &known, &found, &err)) {
        api_reply_store_error(call, &err);
        error_clear(&err);
        return false;
    }
    if (!found) {
        unknown_job(call, id);
        return false;
    }
    *state = known.state;
    return true;
}

bool plan_check_running(struct api_call *call, int64_t id) {
    enum plan_state state;
    if (engine_plan_running(call->api->parts.engine, id)) {
        return true;
    }
    if (find_plan(call, id, &state)) {
        struct error err = ERROR_INIT;
        error_set_details(&err, "puppetlabs.orchestrator/plan-already-finished",
                          json_pack("{s:o}", "plan_job", json_sprintf("%lld", (long long)id)),
                          "Plan job %lld has already finished", (long long)id);
        api_reply_error(call, &err);
        error_clear(&err);
    }
    return false;
}

static void reply_name(struct api_call *call, int64_t id) {
    api_reply_json(call, 202, json_pack("{s:o}", "name", json_sprintf("%lld", (long long)id)));
}

static void on_done(void *ctx, int64_t id, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL) {
        api_reply_error(call, err);
    } else {
        reply_name(call, id);
    }
}

/* ---- outside plans */

static json_t *outside_options(const struct api_call *call) {
    const char *description = json_str(call->body, "description"), *environment = json_str(call->body, "environment");
    json_t *given = json_object_get(call->body, "params"), *sensitive = json_object_get(call->body, "sensitive");
    json_t *params = given != NULL ? json_copy(given) : json_object();
    size_t i;
    json_t *name;
    json_array_foreach(sensitive, i, name) {
        json_object_del(params, json_string_value(name)); /* clients leave them out; should one not, it is not kept */
    }
    json_t *options =
        json_pack("{s:s, s:s, s:o, s:n}", "description", description != NULL ? description : "", "plan_name",
                  json_str(call->body, "plan_name"), "parameters", params, "scheduled_job_id");
    json_set(options, "environment", environment != NULL ? json_string(environment) : json_null());
    json_set(options, "sensitive", sensitive != NULL ? json_incref(sensitive) : json_array());
    return options;
}

void command_plan_start(struct api_call *call) {
    const char *environment = json_str(call->body, "environment");
    json_t *name = json_object_get(call->body, "plan_name"), *userdata = json_object_get(call->body, "userdata");
    if (json_string_length(name) == 0) {
        api_reply_invalid(call, "plan_name", name, "plan_name must not be empty");
        return;
    }
    struct buf options = BUF_INIT, owner = BUF_INIT, data = BUF_INIT;
    json_t *object = outside_options(call);
    json_write(&options, object);
    json_write(&owner, call->subject);
    if (userdata != NULL) {
        json_write(&data, userdata);
    } else {
        buf_append_cstr(&data, "{}");
    }
    const char *login = json_str(call->subject, "login");
    struct store_plan row = {
        .name = json_span(name),
        .environment = span_of(environment),
        .owner_login = span_of(login),
        .outside = true,
        .timeout_s = (uint32_t)json_int(call->body, "timeout", 0),
        .options = buf_span(&options),
        .owner = buf_span(&owner),
        .userdata = buf_span(&data),
    };
    engine_plan_start(call->api->parts.engine, &row, on_done, call);
    json_decref(object);
    buf_free(&options);
    buf_free(&owner);
    buf_free(&data);
}

void command_plan_finish(struct api_call *call) {
    const json_t *status = json_object_get(call->body, "status"), *result = json_object_get(call->body, "result");
    int64_t id;
    bool success = str_eq(json_string_value(status), "success");
    if (!success && !str_eq(json_string_value(status), "failure")) {
        api_reply_invalid(call, "status", status, "status must be success or failure");
    } else if (plan_read_id(call, &id)) {
        struct buf text = BUF_INIT;
        if (result != NULL) {
            json_write(&text, result);
        }
        engine_plan_finish(call->api->parts.engine, id, success ? PLAN_SUCCESS : PLAN_FAILURE, buf_span(&text), on_done,
                           call);
        buf_free(&text);
    }
}

/* A plan that has ended meanwhile is as stopped as can be. */
static void on_plan_stopped(void *ctx, int64_t id, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL && error_is(err, "puppetlabs.orchestrator/plan-already-finished") && plan_read_id(call, &id)) {
        reply_name(call, id);
    } else {
        on_done(ctx, id, err);
    }
}

void command_stop_plan(struct api_call *call) {
    static const char result[] = "{\"kind\":\"puppetlabs.orchestrator/plan-stopped\",\"msg\":\"The plan was stopped\","
                                 "\"details\":{}}";
    int64_t id;
    enum plan_state state;
    if (!plan_read_id(call, &id) || !find_plan(call, id, &state)) {
        return;
    }
    if (state != PLAN_RUNNING) {
        reply_name(call, id);
        return;
    }
    engine_plan_finish(call->api->parts.engine, id, PLAN_FAILURE, span_of(result), on_plan_stopped, call);
}

/* ---- running one here */

struct run_state {
    const char *plan, *environment; /* borrow from the body */
    json_t *params;                 /* {p: {"value", "type"?}} */
    json_t *pending;                /* [[name, scope]…]: still to be resolved */
    json_t *metadata;
};

static void run_state_free(void *state) {
    struct run_state *r = state;
    json_decref(r->params);
    json_decref(r->pending);
    json_decref(r->metadata);
    mem_free(r);
}

/* What a schedule keeps: parameters as they were given, those of type Sensitive apart. */
static void fill_wish(struct api_call *call, const struct run_state *r) {
    json_t *specs = json_object_get(r->metadata, "parameters"), *wrapped;
    json_t *open = json_object(), *names = json_array(), *secret = json_object();
    const char *name;
    json_object_foreach(r->params, name, wrapped) {
        const char *type = json_str(json_object_get(specs, name), "type");
        if (type != NULL && strncmp(type, "Sensitive", strlen("Sensitive")) == 0) {
            json_object_set(secret, name, json_object_get(wrapped, "value"));
            json_array_append_new(names, json_string(name));
        } else {
            json_object_set(open, name, wrapped);
        }
    }
    call->wish->input =
        json_pack("{s:s, s:o, s:o}", "name", r->plan, "parameters", open, "sensitive_parameters", names);
    json_t *timeout = json_object_get(call->body, "timeout");
    if (timeout != NULL) {
        json_object_set(call->wish->input, "timeout", timeout);
    }
    call->wish->sensitive = json_pack("{s:o}", "parameters", secret);
}

/* Everything about the plan is right. There is no executor to hand it to, and saying otherwise would be a lie. */
static void end_of_way(struct api_call *call) {
    struct run_state *r = call->state;
    if (call->wish != NULL) {
        fill_wish(call, r);
        schedule_keep(call);
        return;
    }
    struct error err = ERROR_INIT;
    error_set_details(&err, "puppetlabs.orchestrator/unknown-error",
                      json_pack("{s:s, s:s}", "plan", r->plan, "environment", r->environment),
                      "Plan %s cannot run: this orchestrator has no plan executor", r->plan);
    api_reply_error(call, &err);
    error_clear(&err);
}

static void resolve_next(struct api_call *call);

static void on_certnames(struct api_call *call, json_t *certnames) {
    struct run_state *r = call->state;
    const char *name = json_string_value(json_array_get(json_array_get(r->pending, 0), 0));
    if (call->wish == NULL) { /* a schedule resolves it anew each time */
        json_set(r->params, name, json_pack("{s:O}", "value", certnames));
    }
    json_array_remove(r->pending, 0);
    resolve_next(call);
}

static void resolve_next(struct api_call *call) {
    struct run_state *r = call->state;
    json_t *next = json_array_get(r->pending, 0);
    if (next != NULL) {
        scope_resolve_any(call, json_array_get(next, 1), on_certnames);
    } else {
        end_of_way(call);
    }
}

static void on_plan(void *ctx, json_t *plan, const struct error *err) {
    struct api_call *call = ctx;
    struct run_state *r = call->state;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    r->metadata = json_incref(json_object_get(plan, "metadata"));
    resolve_next(call);
}

static void on_permissions(struct api_call *call, const json_t *answers) {
    struct run_state *r = call->state;
    if (!json_is_true(json_array_get(answers, 0)) || !json_is_true(json_array_get(answers, 1))) {
        api_reply_not_permitted(call, "You do not have permission to run plan %s", r->plan);
        return;
    }
    size_t i;
    json_t *item;
    json_array_foreach(r->pending, i, item) {
        if (!scope_permitted(call, json_array_get(item, 1), answers, 2 + i)) {
            return;
        }
    }
    services_plan(call->api->parts.services, r->environment, r->plan, on_plan, call);
}

/* Collects the parameters that stand for nodes. False: answered. */
static bool read_wrapped(struct api_call *call, struct run_state *r) {
    const char *name;
    json_t *wrapped;
    json_object_foreach(r->params, name, wrapped) {
        const char *type = json_str(wrapped, "type");
        json_t *value = json_object_get(wrapped, "value");
        if (!json_is_object(wrapped) || value == NULL) {
            api_reply_invalid(call, "params", NULL, "Parameter %s must be an object with the key value", name);
            return false;
        }
        if (type == NULL) {
            continue;
        }
        bool query = strcmp(type, "query") == 0;
        if ((!query && strcmp(type, "node_group") != 0) ||
            !(json_is_string(value) || (query && json_is_array(value)))) {
            api_reply_invalid(call, "params", NULL, "The type of parameter %s must be query or node_group, of a text",
                              name);
            return false;
        }
        json_array_append_new(r->pending, json_pack("[s, {s:O}]", name, type, value));
    }
    return true;
}

/* wrapped_params is stolen. */
static void plan_begin(struct api_call *call, const char *plan, json_t *wrapped_params) {
    const char *environment = json_str(call->body, "environment");
    struct run_state *r = mem_zalloc(sizeof *r);
    r->plan = plan;
    r->environment = environment != NULL ? environment : "production";
    r->params = wrapped_params;
    r->pending = json_array();
    call->state = r;
    call->free_state = run_state_free;
    if (!name_is_plan(plan)) {
        api_reply_invalid(call, "plan_name", json_object_get(call->body, "plan_name"),
                          "\"%s\" is no plan name: module or module::plan", plan);
        return;
    }
    if (!name_is_environment(r->environment)) {
        api_reply_invalid(call, "environment", json_object_get(call->body, "environment"),
                          "\"%s\" is no environment name: letters, digits and _", environment);
        return;
    }
    if (!read_wrapped(call, r)) {
        return;
    }
    json_t *permissions = json_array();
    add_permission(permissions, "orchestrator", "view", "*");
    add_permission(permissions, "plans", "run", plan);
    size_t i;
    json_t *item;
    json_array_foreach(r->pending, i, item) {
        scope_permissions(json_array_get(item, 1), permissions);
    }
    api_permit(call, permissions, on_permissions);
}

void command_plan_run(struct api_call *call) {
    json_t *wrapped = json_object(), *value;
    const char *name;
    json_object_foreach(json_object_get(call->body, "params"), name, value) {
        json_set(wrapped, name, json_pack("{s:O}", "value", value));
    }
    plan_begin(call, json_str(call->body, "plan_name"), wrapped);
}

void command_environment_plan_run(struct api_call *call) {
    json_t *params = json_object_get(call->body, "params");
    plan_begin(call, json_str(call->body, "plan_name"), json_copy(params));
}
