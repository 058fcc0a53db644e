/* POST /command/task and plan_task (orchestrator-api.md §3.5, §3.7, orchestrator-jobs.md §5.1). */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include <string.h>

const struct api_field command_task_fields[] = {
    TASK_FIELDS,
    {.key = NULL},
};
const struct api_field command_plan_task_fields[] = {
    {.key = "task", .types = IS_STRING, .required = true},
    {.key = "params", .types = IS_OBJECT, .required = true, .secret = true},
    {.key = "scope", .types = IS_OBJECT, .required = true},
    {.key = "plan_job", .types = IS_STRING | IS_INTEGER, .required = true},
    {.key = "environment", .types = IS_STRING},
    {.key = "noop", .types = IS_BOOLEAN | IS_NULL},
    {.key = "description", .types = IS_STRING | IS_NULL},
    {.key = "targets", .types = IS_ARRAY, .secret = true},
    {.key = "timeout", .types = IS_INTEGER, .min = 1},
    {.key = "userdata", .types = IS_OBJECT},
    {.key = NULL},
};

struct task_state {
    const char *task;
    const char *environment; /* both borrow from the body */
    bool noop;
    bool constrained; /* not tasks:run: only where a task-target allows it */
    int64_t plan;     /* the outside plan it belongs to, 0: none */
    json_t *allowed;  /* object whose keys are the nodes allowed then */
    json_t *metadata, *files;
    json_t *params;    /* with defaults */
    json_t *sensitive; /* names */
};

static void task_state_free(void *state) {
    struct task_state *t = state;
    json_decref(t->allowed);
    json_decref(t->metadata);
    json_decref(t->files);
    json_decref(t->params);
    json_decref(t->sensitive);
    mem_free(t);
}

/* params without the secret ones: new reference. */
static json_t *open_params(const struct task_state *t, json_t *params) {
    json_t *open = json_copy(params);
    size_t i;
    json_t *name;
    json_array_foreach(t->sensitive, i, name) {
        json_object_del(open, json_string_value(name));
    }
    return open;
}

/* options as GET /jobs shows them: what was asked, without secrets. */
static json_t *task_options(const struct api_call *call, const struct task_state *t) {
    const char *description = json_str(call->body, "description");
    json_t *targets = json_object_get(call->body, "targets");
    json_t *options = json_object();
    json_set(options, "task", json_string(t->task));
    json_set(options, "params", open_params(t, t->params));
    json_set(options, "scope", json_incref(json_object_get(call->body, "scope")));
    if (t->plan == 0) {
        json_set(options, "environment", json_string(t->environment));
        json_set(options, "noop", json_boolean(t->noop));
        json_set(options, "scheduled-job-id", schedule_id_option(call));
    } else {
        json_set(options, "noop", json_incref(json_object_get(call->body, "noop")));
        json_set(options, "plan_job", json_integer((json_int_t)t->plan));
    }
    json_set(options, "description", json_string(description != NULL ? description : ""));
    json_set(options, "sensitive", json_incref(t->sensitive));
    json_set(options, "transport", json_string("pxp"));
    if (targets != NULL) {
        json_set(options, "targets", targets_without_secrets(targets));
    }
    return options;
}

/* ---- the end: a job, or a schedule */

static void on_started(void *ctx, int64_t id, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL) {
        api_reply_error(call, err);
    } else {
        api_started(call, id);
    }
}

void start_job(struct api_call *call, struct job_request *r, json_t *certnames) {
    size_t count = json_array_size(certnames), i;
    enum node_transport *transports = mem_array(count, sizeof(*transports));
    if (!targets_transports(call, json_object_get(call->body, "targets"), certnames, transports)) {
        mem_free(transports);
        return;
    }
    if (call->wish != NULL) {
        mem_free(transports);
        schedule_keep(call);
        return;
    }
    struct job_node *nodes = mem_array(count, sizeof(*nodes));
    json_t *name;
    json_array_foreach(certnames, i, name) {
        nodes[i] = (struct job_node){json_span(name), transports[i]};
    }
    json_t *no_data = json_object();
    json_t *userdata = json_object_get(call->body, "userdata");
    const char *description = json_str(call->body, "description");
    r->nodes = nodes;
    r->node_count = count;
    r->owner = call->subject;
    r->userdata = userdata != NULL ? userdata : no_data;
    r->description = description != NULL ? description : "";
    r->timeout_s = (uint32_t)json_int(call->body, "timeout", 0);
    r->concurrency = (uint32_t)json_int(call->body, "concurrency", 0);
    r->schedule = submission_schedule(call);
    struct error err = ERROR_INIT;
    if (!engine_start(call->api->parts.engine, r, on_started, call, &err)) {
        api_reply_error(call, &err);
        error_clear(&err);
    }
    json_decref(no_data);
    mem_free(transports);
    mem_free(nodes);
}

/* What a schedule keeps of the task: orchestrator-api.md §8.1. */
static void fill_wish(struct api_call *call, const struct task_state *t) {
    static const char *const kept[] = {"scope", "noop", "concurrency", "timeout", "transport"};
    struct schedule_wish *wish = call->wish;
    json_t *given = json_object_get(call->body, "params"), *targets = json_object_get(call->body, "targets");
    json_t *open = open_params(t, given), *wrapped = json_object(), *secret = json_object(), *value;
    const char *name;
    json_object_foreach(open, name, value) {
        json_set(wrapped, name, json_pack("{s:O}", "value", value));
    }
    size_t i;
    json_t *item;
    json_t *names = json_array();
    json_array_foreach(t->sensitive, i, item) {
        value = json_object_get(given, json_string_value(item));
        if (value != NULL) {
            json_object_set(secret, json_string_value(item), value);
            json_array_append(names, item);
        }
    }
    wish->input = json_pack("{s:s, s:o, s:o}", "name", t->task, "parameters", wrapped, "sensitive_parameters", names);
    wish->sensitive = json_object();
    for (i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        value = json_object_get(call->body, kept[i]);
        if (value != NULL) {
            json_object_set(wish->input, kept[i], value);
        }
    }
    if (targets != NULL) {
        json_set(wish->input, "targets", targets_without_secrets(targets));
        json_object_set(wish->sensitive, "targets", targets);
    }
    if (json_object_size(secret) != 0) {
        json_object_set(wish->sensitive, "parameters", secret);
    }
    json_decref(secret);
    json_decref(open);
}

/* Bolt's shims do more than a task: their jobs say what (orchestrator-api.md §3.7). */
static enum job_type plan_job_type(const char *task) {
    return str_eq(task, "bolt_shim::command")  ? JOB_PLAN_COMMAND
           : str_eq(task, "bolt_shim::script") ? JOB_PLAN_SCRIPT
           : str_eq(task, "bolt_shim::upload") ? JOB_PLAN_UPLOAD
                                               : JOB_PLAN_TASK;
}

static void refuse_task(struct api_call *call, const char *task) {
    api_reply_not_permitted(call, "You do not have permission to run task %s on these nodes", task);
}

static void on_nodes(struct api_call *call, json_t *certnames) {
    struct task_state *t = call->state;
    json_t *names = json_array(), *name;
    size_t i;
    json_array_foreach(certnames, i, name) {
        if (!t->constrained ||
            json_object_getn(t->allowed, json_string_value(name), json_string_length(name)) != NULL) {
            json_array_append(names, name);
        }
    }
    if (json_array_size(names) == 0) {
        json_decref(names);
        refuse_task(call, t->task);
        return;
    }
    if (call->wish != NULL) {
        fill_wish(call, t);
    }
    json_t *options = task_options(call, t);
    struct job_request r = {
        .type = t->plan != 0 ? plan_job_type(t->task) : JOB_TASK,
        .command = t->plan != 0 ? "plan_task" : "task",
        .environment = t->environment,
        .options = options,
        .noop = t->noop,
        .plan = t->plan,
        .task = t->task,
        .metadata = t->metadata,
        .files = t->files,
        .params = t->params,
        .sensitive = t->sensitive,
    };
    start_job(call, &r, names);
    json_decref(options);
    json_decref(names);
}

/* ---- the way there: permission, metadata, parameters, nodes */

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
    struct error wrong = ERROR_INIT;
    if (!params_check(t->task, t->metadata, json_object_get(call->body, "params"), &t->params, &t->sensitive, &wrong)) {
        api_reply_error(call, &wrong);
        error_clear(&wrong);
        return;
    }
    scope_resolve(call, json_object_get(call->body, "scope"), t->environment, on_nodes);
}

static void ask_task(struct api_call *call) {
    struct task_state *t = call->state;
    services_task(call->api->parts.services, t->environment, t->task, on_task, call);
}

static void on_constraints(struct api_call *call, const struct map *nodes) {
    struct task_state *t = call->state;
    t->allowed = json_object();
    for (struct map_iter i = map_iter(nodes); map_next(&i);) {
        json_object_setn_new(t->allowed, i.key.ptr, i.key.len, json_true());
    }
    if (json_object_size(t->allowed) == 0) {
        refuse_task(call, t->task);
    } else {
        ask_task(call);
    }
}

static void on_permissions(struct api_call *call, const json_t *answers) {
    struct task_state *t = call->state;
    t->constrained = !json_is_true(json_array_get(answers, 1));
    if (!json_is_true(json_array_get(answers, 0))) {
        api_reply_not_permitted(call, "You do not have permission to run jobs: orchestrator:view:* is needed");
    } else if (!scope_permitted(call, json_object_get(call->body, "scope"), answers, 2)) {
        return;
    } else if (t->constrained && json_array_size(json_object_get(call->body, "targets")) != 0) {
        refuse_task(call, t->task); /* nodes that PuppetDB does not know need the right to all nodes */
    } else if (t->constrained) {
        constraints_find(call, t->task, on_constraints);
    } else {
        ask_task(call);
    }
}

/* False: answered. */
static bool check_task(struct api_call *call) {
    const char *task = json_str(call->body, "task"), *environment = json_str(call->body, "environment");
    struct error err = ERROR_INIT;
    if (!name_is_task(task)) {
        api_reply_invalid(call, "task", json_object_get(call->body, "task"),
                          "\"%s\" is no task name: module or module::task", task);
        return false;
    }
    if (environment != NULL && !name_is_environment(environment)) {
        api_reply_invalid(call, "environment", json_object_get(call->body, "environment"),
                          "\"%s\" is no environment name: letters, digits and _", environment);
        return false;
    }
    if (!scope_check(json_object_get(call->body, "scope"), false, &err) ||
        !targets_check(json_object_get(call->body, "targets"), &err)) {
        api_reply_error(call, &err);
        error_clear(&err);
        return false;
    }
    return true;
}

static void begin_task(struct api_call *call, int64_t plan) {
    if (!check_task(call)) {
        return;
    }
    const char *task = json_str(call->body, "task"), *environment = json_str(call->body, "environment");
    struct task_state *t = mem_zalloc(sizeof(*t));
    t->task = task;
    t->environment = environment != NULL ? environment : "production";
    t->noop = json_bool(call->body, "noop", false);
    t->plan = plan;
    call->state = t;
    call->free_state = task_state_free;
    json_t *permissions = json_array();
    add_permission(permissions, "orchestrator", "view", "*");
    add_permission(permissions, "tasks", "run", task);
    scope_permissions(json_object_get(call->body, "scope"), permissions);
    api_permit(call, permissions, on_permissions);
}

void command_task(struct api_call *call) {
    begin_task(call, 0);
}

void command_plan_task(struct api_call *call) {
    int64_t plan;
    if (plan_read_id(call, &plan) && plan_check_running(call, plan)) {
        begin_task(call, plan);
    }
}
