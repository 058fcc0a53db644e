/* POST /command/task (orchestrator-api.md §3.5, orchestrator-jobs.md §5.1). */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include <string.h>

const struct api_field command_task_fields[] = {
    {.key = "task", .types = IS_STRING, .required = true},
    {.key = "params", .types = IS_OBJECT, .required = true},
    {.key = "scope", .types = IS_OBJECT, .required = true},
    {.key = "environment", .types = IS_STRING},
    {.key = "noop", .types = IS_BOOLEAN | IS_NULL},
    {.key = "description", .types = IS_STRING},
    {.key = "targets", .types = IS_ARRAY},
    {.key = "timeout", .types = IS_INTEGER, .min = 1},
    {.key = "userdata", .types = IS_OBJECT},
    {.key = NULL},
};

struct task_state {
    const char *task;
    const char *environment; /* both borrow from the body */
    bool noop;
    json_t *metadata, *files;
    json_t *params;    /* with defaults */
    json_t *sensitive; /* names */
};

static void task_state_free(void *state) {
    struct task_state *t = state;
    json_decref(t->metadata);
    json_decref(t->files);
    json_decref(t->params);
    json_decref(t->sensitive);
    mem_free(t);
}

/* options as GET /jobs shows them: what was asked, without the values of sensitive parameters. */
static json_t *task_options(const struct api_call *call, const struct task_state *t) {
    json_t *params = json_copy(t->params);
    size_t i;
    json_t *name;
    json_array_foreach(t->sensitive, i, name) {
        json_object_del(params, json_string_value(name));
    }
    json_t *options = json_object();
    json_set(options, "task", json_string(t->task));
    json_set(options, "params", params);
    json_set(options, "scope", json_incref(json_object_get(call->body, "scope")));
    json_set(options, "environment", json_string(t->environment));
    json_set(options, "noop", json_boolean(t->noop));
    const char *description = json_str(call->body, "description");
    json_set(options, "description", json_string(description != NULL ? description : ""));
    json_set(options, "sensitive", json_incref(t->sensitive));
    json_set(options, "scheduled-job-id", json_null());
    json_set(options, "transport", json_string("pxp"));
    return options;
}

static void on_started(void *ctx, int64_t id, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    char *url = link_to(call, "/jobs/%lld", (long long)id);
    char name[24];
    snprintf(name, sizeof(name), "%lld", (long long)id);
    json_t *body = json_pack("{s:{s:s, s:s}}", "job", "id", url, "name", name);
    mem_free(url);
    api_reply_json(call, 202, body);
}

void start_job(struct api_call *call, struct job_request *r, json_t *certnames) {
    struct job_node *nodes = mem_array(json_array_size(certnames), sizeof(*nodes));
    size_t i;
    json_t *name;
    json_array_foreach(certnames, i, name) {
        nodes[i] = (struct job_node){json_span(name), TRANSPORT_PCP};
    }
    json_t *no_data = json_object();
    json_t *userdata = json_object_get(call->body, "userdata");
    const char *description = json_str(call->body, "description");
    r->nodes = nodes;
    r->node_count = json_array_size(certnames);
    r->owner = call->subject;
    r->userdata = userdata != NULL ? userdata : no_data;
    r->description = description != NULL ? description : "";
    r->timeout_s = (uint32_t)json_int(call->body, "timeout", 0);
    struct error err = ERROR_INIT;
    if (!engine_start(call->api->parts.engine, r, on_started, call, &err)) {
        api_reply_error(call, &err);
        error_clear(&err);
    }
    json_decref(no_data);
    mem_free(nodes);
}

static void on_nodes(struct api_call *call, json_t *certnames) {
    struct task_state *t = call->state;
    json_t *options = task_options(call, t);
    struct job_request r = {
        .type = JOB_TASK,
        .command = "task",
        .environment = t->environment,
        .options = options,
        .noop = t->noop,
        .task = t->task,
        .metadata = t->metadata,
        .files = t->files,
        .params = t->params,
        .sensitive = t->sensitive,
    };
    start_job(call, &r, certnames);
    json_decref(options);
}

static bool is_optional(const json_t *spec) {
    const char *type = json_str(spec, "type");
    return json_object_get(spec, "default") != NULL || (type != NULL && strncmp(type, "Optional[", 9) == 0);
}

/* Fills defaults in, collects the sensitive names; unknown and missing parameters are refused. */
static bool read_params(struct api_call *call, struct task_state *t) {
    json_t *specs = json_object_get(t->metadata, "parameters");
    json_t *given = json_object_get(call->body, "params");
    t->params = json_copy(given);
    t->sensitive = json_array();
    const char *name;
    json_t *value;
    json_object_foreach(given, name, value) {
        if (json_is_object(specs) && json_object_get(specs, name) == NULL && name[0] != '_') {
            api_reply_invalid(call, "params", value, "Task %s has no parameter %s", t->task, name);
            return false;
        }
    }
    json_object_foreach(specs, name, value) {
        if (json_is_true(json_object_get(value, "sensitive"))) {
            json_array_append_new(t->sensitive, json_string(name));
        }
        json_t *otherwise = json_object_get(value, "default");
        if (json_object_get(given, name) != NULL) {
            continue;
        }
        if (otherwise != NULL) {
            json_object_set(t->params, name, otherwise);
        } else if (!is_optional(value)) {
            api_reply_invalid(call, "params", NULL, "Task %s needs the parameter %s", t->task, name);
            return false;
        }
    }
    return true;
}

static void on_task(void *ctx, json_t *task, const struct error *err) {
    struct api_call *call = ctx;
    struct task_state *t = call->state;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    json_t *metadata = json_object_get(task, "metadata"), *files = json_object_get(task, "files");
    t->metadata = json_is_object(metadata) ? json_incref(metadata) : json_object();
    t->files = json_is_array(files) ? json_incref(files) : json_array();
    if (t->noop && !json_is_true(json_object_get(t->metadata, "supports_noop"))) {
        api_reply_invalid(call, "noop", json_object_get(call->body, "noop"), "Task %s does not support noop", t->task);
        return;
    }
    if (read_params(call, t)) {
        scope_resolve(call, json_object_get(call->body, "scope"), t->environment, on_nodes);
    }
}

static void on_permissions(struct api_call *call, const json_t *answers) {
    struct task_state *t = call->state;
    if (!json_is_true(json_array_get(answers, 0))) {
        api_reply_not_permitted(call, "You do not have permission to run jobs: orchestrator:view:* is needed");
    } else if (!json_is_true(json_array_get(answers, 1))) {
        api_reply_not_permitted(call, "You do not have permission to run task %s on these nodes", t->task);
    } else if (scope_permitted(call, json_object_get(call->body, "scope"), answers, 2)) {
        services_task(call->api->parts.services, t->environment, t->task, on_task, call);
    }
}

void command_task(struct api_call *call) {
    const char *task = json_str(call->body, "task"), *environment = json_str(call->body, "environment");
    const json_t *scope = json_object_get(call->body, "scope");
    struct error err = ERROR_INIT;
    if (!name_is_task(task)) {
        api_reply_invalid(call, "task", json_object_get(call->body, "task"),
                          "\"%s\" is no task name: module or module::task", task);
        return;
    }
    if (environment != NULL && !name_is_environment(environment)) {
        api_reply_invalid(call, "environment", json_object_get(call->body, "environment"),
                          "\"%s\" is no environment name: letters, digits and _", environment);
        return;
    }
    if (!scope_check(scope, false, &err)) {
        api_reply_error(call, &err);
        error_clear(&err);
        return;
    }
    struct task_state *t = mem_zalloc(sizeof(*t));
    t->task = task;
    t->environment = environment != NULL ? environment : "production";
    t->noop = json_bool(call->body, "noop", false);
    call->state = t;
    call->free_state = task_state_free;
    json_t *permissions = json_array();
    add_permission(permissions, "orchestrator", "view", "*");
    add_permission(permissions, "tasks", "run", task);
    scope_permissions(scope, permissions);
    api_permit(call, permissions, on_permissions);
}
