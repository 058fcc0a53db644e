/* POST /command/deploy: run Puppet (orchestrator-api.md §3.2, orchestrator-jobs.md §4). */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include <string.h>

const struct api_field command_deploy_fields[] = {
    {.key = "environment", .types = IS_STRING, .required = true},
    {.key = "scope", .types = IS_OBJECT},
    {.key = "target", .types = IS_STRING | IS_NULL},
    {.key = "description", .types = IS_STRING},
    DEPLOY_FIELDS,
    {.key = "userdata", .types = IS_OBJECT},
    {.key = NULL},
};

struct deploy_state {
    const char *environment; /* borrows from the body; "": none */
    json_t *scope;
    bool enforce;
};

static void deploy_state_free(void *state) {
    struct deploy_state *d = state;
    json_decref(d->scope);
    mem_free(d);
}

static json_t *deploy_options(const struct api_call *call, const struct deploy_state *d) {
    static const char *const flags[] = {"noop", "no_noop", "debug", "trace", "evaltrace"};
    static const char *const further[] = {"filetimeout",
                                          "http_connect_timeout",
                                          "http_keepalive_timeout",
                                          "http_read_timeout",
                                          "ordering",
                                          "skip_tags",
                                          "tags",
                                          "use_cached_catalog",
                                          "usecacheonfailure",
                                          "timeout"};
    json_t *options = json_object();
    json_set(options, "environment", json_string(d->environment));
    json_set(options, "scope", json_incref(d->scope));
    const char *target = json_str(call->body, "target");
    json_set(options, "target", target != NULL ? json_string(target) : json_null());
    json_set(options, "concurrency", json_incref(json_object_get(call->body, "concurrency")));
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        json_set(options, flags[i], json_boolean(json_bool(call->body, flags[i], false)));
    }
    json_set(options, "enforce_environment", json_boolean(d->enforce));
    const char *description = json_str(call->body, "description");
    json_set(options, "description", json_string(description != NULL ? description : ""));
    json_set(options, "scheduled-job-id", schedule_id_option(call));
    for (size_t i = 0; i < sizeof(further) / sizeof(further[0]); i++) {
        json_t *value = json_object_get(call->body, further[i]);
        if (value != NULL) {
            json_object_set(options, further[i], value);
        }
    }
    return options;
}

/* What a schedule keeps of it: the keys of the command without those it has beside its input. */
static void fill_wish(struct api_call *call, const struct deploy_state *d) {
    static const char *const beside[] = {"environment", "description",    "userdata",
                                         "target",      "scheduled_time", "schedule_options"};
    json_t *input = json_copy(call->body);
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        json_object_del(input, beside[i]);
    }
    json_object_set(input, "scope", d->scope);
    call->wish->input = input;
}

static void on_nodes(struct api_call *call, json_t *certnames) {
    struct deploy_state *d = call->state;
    if (call->wish != NULL) {
        fill_wish(call, d);
    }
    json_t *options = deploy_options(call, d);
    struct job_request r = {
        .type = JOB_DEPLOY,
        .command = "deploy",
        .environment = d->environment,
        .options = options,
        .noop = json_bool(call->body, "noop", false),
    };
    start_job(call, &r, certnames);
    json_decref(options);
}

static void on_environments(void *ctx, json_t *answer, const struct error *err) {
    struct api_call *call = ctx;
    struct deploy_state *d = call->state;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    if (json_object_get(json_object_get(answer, "environments"), d->environment) == NULL) {
        struct error unknown = ERROR_INIT;
        error_set_details(&unknown, "puppetlabs.orchestrator/unknown-environment",
                          json_pack("{s:s}", "environment", d->environment), "Unknown environment %s", d->environment);
        api_reply_error(call, &unknown);
        error_clear(&unknown);
        return;
    }
    scope_resolve(call, d->scope, d->environment, on_nodes);
}

static void on_permissions(struct api_call *call, const json_t *answers) {
    struct deploy_state *d = call->state;
    if (!json_is_true(json_array_get(answers, 0)) || !json_is_true(json_array_get(answers, 1))) {
        api_reply_not_permitted(
            call, "You do not have permission to run Puppet: puppet_agent:run:* and orchestrator:view:* are "
                  "needed");
    } else if (!scope_permitted(call, d->scope, answers, 2)) {
        return;
    } else if (d->environment[0] == '\0') {
        scope_resolve(call, d->scope, d->environment, on_nodes);
    } else {
        services_environments(call->api->parts.services, on_environments, call);
    }
}

/* A scope may be missing where an environment (or, of old, a target) is given. */
static json_t *scope_or_target(const struct api_call *call) {
    json_t *scope = json_object_get(call->body, "scope");
    const char *target = json_str(call->body, "target");
    if (scope != NULL) {
        return json_incref(scope);
    }
    return target != NULL && target[0] != '\0' ? json_pack("{s:s}", "application", target)
                                               : json_pack("{s:b}", "whole_environment", 1);
}

void command_deploy(struct api_call *call) {
    const char *environment = json_str(call->body, "environment");
    const json_t *enforce = json_object_get(call->body, "enforce_environment");
    if (environment[0] != '\0' && !name_is_environment(environment)) {
        api_reply_invalid(call, "environment", json_object_get(call->body, "environment"),
                          "\"%s\" is no environment name: letters, digits and _", environment);
        return;
    }
    if (environment[0] == '\0' && json_is_true(enforce)) {
        api_reply_invalid(call, "enforce_environment", enforce,
                          "enforce_environment must be false without an environment");
        return;
    }
    if (environment[0] == '\0' && json_object_get(call->body, "scope") == NULL) {
        api_reply_invalid(call, "scope", NULL, "scope is needed without an environment");
        return;
    }
    if (json_bool(call->body, "noop", false) && json_bool(call->body, "no_noop", false)) {
        api_reply_invalid(call, "no_noop", json_object_get(call->body, "no_noop"),
                          "noop and no_noop exclude each other");
        return;
    }
    uint32_t compiles = call->api->parts.config->global_concurrent_compiles;
    int64_t concurrency = json_int(call->body, "concurrency", 0);
    if (compiles != 0 && concurrency > compiles) {
        api_reply_invalid(call, "concurrency", json_object_get(call->body, "concurrency"),
                          "concurrency must be between 1 and %u", compiles);
        return;
    }
    struct deploy_state *d = mem_zalloc(sizeof(*d));
    d->environment = environment;
    d->scope = scope_or_target(call);
    d->enforce = environment[0] != '\0' && !json_is_false(enforce);
    call->state = d;
    call->free_state = deploy_state_free;
    struct error err = ERROR_INIT;
    if (!scope_check(d->scope, true, &err)) {
        api_reply_error(call, &err);
        error_clear(&err);
        return;
    }
    json_t *permissions = json_array();
    add_permission(permissions, "orchestrator", "view", "*");
    add_permission(permissions, "puppet_agent", "run", "*");
    scope_permissions(d->scope, permissions);
    api_permit(call, permissions, on_permissions);
}
