/* Environments, as Puppet Server knows them, and their applications (orchestrator-api.md §14). Puppet Servers without
 * application orchestration know no environment graph: they have no applications. */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include <string.h>

static json_t *environment_object(const struct api_call *call, const char *name, const json_t *environment) {
    char *id = link_to(call, "/environments/%s", name),
         *applications = link_to(call, "/environments/%s/applications", name);
    json_t *object = json_pack("{s:s, s:s, s:{s:s}}", "id", id, "name", name, "applications", "id", applications);
    json_t *settings = json_object_get(environment, "settings");
    json_set(object, "settings", json_is_object(settings) ? json_incref(settings) : json_object());
    mem_free(id);
    mem_free(applications);
    return object;
}

static void on_list(void *ctx, json_t *answer, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    json_t *items = json_array(), *environment;
    const char *name;
    json_object_foreach(json_object_get(answer, "environments"), name, environment) {
        json_array_append_new(items, environment_object(call, name, environment));
    }
    api_reply_json(call, 200, json_pack("{s:o}", "items", items));
}

void environments_list(struct api_call *call) {
    services_environments(call->api->parts.services, on_list, call);
}

static void unknown(struct api_call *call, const char *name) {
    struct error err = ERROR_INIT;
    error_set_details(&err, "puppetlabs.orchestrator/unknown-environment", json_pack("{s:s}", "environment", name),
                      "Unknown environment %s", name);
    api_reply_error(call, &err);
    error_clear(&err);
}

/* The environment of the path; NULL: answered. */
static const char *read_name(struct api_call *call) {
    const char *name = http_param(call->ex, "environment");
    if (name_is_environment(name)) {
        return name;
    }
    json_t *given = json_string(name);
    api_reply_invalid(call, "environment", given, "\"%s\" is no environment name: letters, digits and _",
                      given != NULL ? name : "");
    json_decref(given);
    return NULL;
}

static void on_one(void *ctx, json_t *answer, const struct error *err) {
    struct api_call *call = ctx;
    const char *name = http_param(call->ex, "environment");
    json_t *environment = json_object_get(json_object_get(answer, "environments"), name);
    if (err != NULL) {
        api_reply_error(call, err);
    } else if (environment == NULL) {
        unknown(call, name);
    } else {
        api_reply_json(call, 200, environment_object(call, name, environment));
    }
}

void environments_get(struct api_call *call) {
    if (read_name(call) != NULL) {
        services_environments(call->api->parts.services, on_one, call);
    }
}

/* ---- applications and instances: no server of today declares any */

static void answer_none(struct api_call *call, bool links) {
    const char *name = http_param(call->ex, "environment");
    json_t *body = json_pack("{s:[]}", "items");
    if (links) {
        char *url = link_to(call, "/environments/%s/instances", name);
        json_set(body, "instances", json_pack("{s:s}", "id", url));
        mem_free(url);
    }
    api_reply_json(call, 200, body);
}

static void on_known(void *ctx, json_t *answer, const struct error *err, bool links) {
    struct api_call *call = ctx;
    const char *name = http_param(call->ex, "environment");
    if (err != NULL) {
        api_reply_error(call, err);
    } else if (json_object_get(json_object_get(answer, "environments"), name) == NULL) {
        unknown(call, name);
    } else {
        answer_none(call, links);
    }
}

static void on_applications(void *ctx, json_t *answer, const struct error *err) {
    on_known(ctx, answer, err, true);
}

static void on_instances(void *ctx, json_t *answer, const struct error *err) {
    on_known(ctx, answer, err, false);
}

static bool may_have_applications(struct api_call *call) {
    if (!call->api->parts.config->app_management) {
        api_reply_no_app_management(call);
        return false;
    }
    return true;
}

void environments_applications(struct api_call *call) {
    if (read_name(call) != NULL && may_have_applications(call)) {
        services_environments(call->api->parts.services, on_applications, call);
    }
}

void environments_instances(struct api_call *call) {
    if (read_name(call) != NULL && may_have_applications(call)) {
        services_environments(call->api->parts.services, on_instances, call);
    }
}
