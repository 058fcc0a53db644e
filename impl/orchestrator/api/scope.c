/* Scopes: which nodes a command means (orchestrator-api.md §3.1). */
#include "base/map.h"
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include <string.h>

static const struct {
    const char *key;
    unsigned types;
    bool deploy_only;
} scope_keys[] = {
    {"nodes", IS_ARRAY, false},       {"query", IS_STRING | IS_ARRAY, false},  {"node_group", IS_STRING, false},
    {"application", IS_STRING, true}, {"whole_environment", IS_BOOLEAN, true},
};

static bool wrong_scope(struct error *err, const json_t *scope, const char *text) {
    json_t *details = json_pack("{s:s, s:O, s:s}", "schema", "scope", "value", scope, "error", text);
    return error_set_details(err, "puppetlabs.orchestrator/validation-error", details, "%s", text);
}

static bool right_type(const json_t *value, unsigned types) {
    return (json_is_string(value) && (types & IS_STRING) != 0) || (json_is_array(value) && (types & IS_ARRAY) != 0) ||
           (json_is_true(value) && (types & IS_BOOLEAN) != 0);
}

bool scope_check(const json_t *scope, bool deploy, struct error *err) {
    if (!json_is_object(scope) || json_object_size(scope) != 1) {
        return wrong_scope(err, scope, "scope must be an object with exactly one key");
    }
    for (size_t i = 0; i < sizeof(scope_keys) / sizeof(scope_keys[0]); i++) {
        const json_t *value = json_object_get(scope, scope_keys[i].key);
        if (value == NULL || (scope_keys[i].deploy_only && !deploy)) {
            continue;
        }
        if (!right_type(value, scope_keys[i].types)) {
            return wrong_scope(err, scope, "the scope's value has the wrong type");
        }
        if (strcmp(scope_keys[i].key, "nodes") == 0) { /* none at all is well formed: it selects nobody, empty-target */
            size_t k;
            json_t *name;
            json_array_foreach((json_t *)(uintptr_t)value, k, name) {
                if (!json_is_string(name) || json_string_length(name) == 0 || span_has_nul(json_span(name))) {
                    return wrong_scope(err, scope, "scope.nodes must hold node names only");
                }
            }
        }
        return true;
    }
    return wrong_scope(err, scope, "scope must have one of the keys nodes, query and node_group");
}

void scope_permissions(const json_t *scope, json_t *permissions) {
    const char *group = json_str(scope, "node_group");
    if (json_object_get(scope, "query") != NULL) {
        add_permission(permissions, "nodes", "view_data", "*");
    } else if (group != NULL) {
        add_permission(permissions, "node_groups", "view", group);
    }
}

bool scope_permitted(struct api_call *call, const json_t *scope, const json_t *answers, size_t at) {
    const json_t *query = json_object_get(scope, "query");
    const char *group = json_str(scope, "node_group");
    if ((query == NULL && group == NULL) || json_is_true(json_array_get(answers, at))) {
        return true;
    }
    struct error err = ERROR_INIT;
    if (query != NULL) {
        error_set_details(&err, "puppetlabs.orchestrator/query-error", json_pack("{s:O}", "query", query),
                          "You do not have permission to query PuppetDB: nodes:view_data:* is needed");
    } else {
        error_set(&err, "puppetlabs.orchestrator/not-permitted", "You do not have permission to view node group %s",
                  group);
    }
    api_reply_error(call, &err);
    error_clear(&err);
    return false;
}

/* ---- resolving */

struct resolve {
    struct api_call *call;
    json_t *scope;
    const char *environment; /* of the caller, "" for none */
    void (*then)(struct api_call *call, json_t *certnames);
    bool any; /* no node is an answer too */
    void *outer_state;
    void (*outer_free)(void *state);
};

static void resolve_free(void *state) {
    struct resolve *r = state;
    if (r->outer_free != NULL) {
        r->outer_free(r->outer_state);
    }
    json_decref(r->scope);
    mem_free(r);
}

/* Kinds, sentences and details as recorded (application-orchestration.md §2.2). text: NULL, or more than the recorded
 * sentence tells. */
static void empty_target(struct api_call *call, const json_t *scope, const char *environment, const char *text) {
    struct error err = ERROR_INIT;
    const char *target = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)scope));
    const char *application = json_str(scope, "application");
    if (json_object_get(scope, "whole_environment") != NULL) {
        error_set_details(&err, "puppetlabs.orchestrator/empty-environment",
                          json_pack("{s:s}", "environment", environment), "No node is in environment %s", environment);
    } else if (application != NULL) {
        error_set_details(&err, "puppetlabs.orchestrator/unknown-target",
                          json_pack("{s:s, s:s}", "environment", environment, "target", application),
                          "The target was not found%s%s: %s", environment[0] != '\0' ? " in environment " : "",
                          environment, application);
    } else {
        error_set_details(&err, "puppetlabs.orchestrator/empty-target",
                          json_pack("{s:s, s:s}", "environment", environment, "target", target), "%s",
                          text != NULL ? text : "No nodes were found for the specified target. Nothing to do.");
    }
    api_reply_error(call, &err);
    error_clear(&err);
}

/* Hands the names on, or answers when there are none. Steals certnames. */
static void resolved(struct api_call *call, json_t *certnames) {
    struct resolve r = *(struct resolve *)call->state;
    mem_free(call->state);
    call->state = r.outer_state;
    call->free_state = r.outer_free;
    if (json_array_size(certnames) == 0 && !r.any) {
        empty_target(call, r.scope, r.environment, NULL);
    } else {
        r.then(call, certnames);
    }
    json_decref(r.scope);
    json_decref(certnames);
}

static json_t *unique(const json_t *names) {
    json_t *list = json_array();
    struct map seen = MAP_INIT;
    size_t i;
    json_t *name;
    json_array_foreach((json_t *)(uintptr_t)names, i, name) {
        if (map_put(&seen, json_span(name), list) == NULL) {
            json_array_append(list, name);
        }
    }
    map_free(&seen);
    return list;
}

static void on_rows(void *ctx, json_t *rows, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    json_t *names = json_array();
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        json_t *certname = json_object_get(row, "certname");
        if (!json_is_string(certname)) {
            struct resolve *r = call->state;
            struct error missing = ERROR_INIT;
            error_set_details(&missing, "puppetlabs.orchestrator/query-error",
                              json_pack("{s:O}", "query", json_object_get(r->scope, "query")),
                              "The query's answer has a row without certname");
            json_decref(names);
            api_reply_error(call, &missing);
            error_clear(&missing);
            return;
        }
        json_array_append(names, certname);
    }
    json_t *list = unique(names);
    json_decref(names);
    resolved(call, list);
}

/* The group itself must have a rule; rules only on ancestors do not count. */
json_t *scope_group_query(const json_t *rules) {
    json_t *query = json_object_get(json_object_get(rules, "translated"), "inventory_query_format");
    if (json_is_null(json_object_get(rules, "rule")) || !json_is_array(query)) {
        return NULL;
    }
    return json_pack("[s, s, [s, s, O]]", "from", "inventory", "extract", "certname", query);
}

static void on_group_rules(void *ctx, json_t *rules, const struct error *err) {
    struct api_call *call = ctx;
    const struct resolve *r = call->state;
    if (err != NULL && error_is(err, "puppetlabs.orchestrator/empty-target")) { /* there is no such group */
        empty_target(call, r->scope, r->environment, err->msg);
        return;
    }
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    json_t *ast = scope_group_query(rules);
    if (ast == NULL) {
        resolved(call, json_array());
        return;
    }
    services_user_query(call->api->parts.services, call->token, ast, on_rows, call);
    json_decref(ast);
}

static void resolve_environment(struct api_call *call, const char *environment) {
    json_t *ast = json_pack("[s, s, [s, [s], [s, s, s]]]", "from", "nodes", "extract", "certname", "=",
                            "catalog_environment", environment);
    services_user_query(call->api->parts.services, call->token, ast, on_rows, call);
    json_decref(ast);
}

static void resolve(struct api_call *call, const json_t *scope, const char *environment, bool any,
                    void (*then)(struct api_call *call, json_t *certnames)) {
    struct resolve *r = mem_alloc(sizeof(*r));
    *r = (struct resolve){
        call, json_incref((json_t *)(uintptr_t)scope), environment, then, any, call->state, call->free_state};
    call->state = r;
    call->free_state = resolve_free;
    const json_t *nodes = json_object_get(scope, "nodes");
    const char *group = json_str(scope, "node_group");
    json_t *query = json_object_get(scope, "query");
    if (nodes != NULL) {
        resolved(call, unique(nodes));
    } else if (query != NULL) {
        services_user_query(call->api->parts.services, call->token, query, on_rows, call);
    } else if (group != NULL) {
        services_group_rules(call->api->parts.services, call->token, group, on_group_rules, call);
    } else if (json_object_get(scope, "whole_environment") != NULL) {
        resolve_environment(call, environment);
    } else if (!call->api->parts.config->app_management) {
        api_reply_no_app_management(call);
    } else {
        resolved(call, json_array()); /* no release without application orchestration knows any application */
    }
}

void scope_resolve(struct api_call *call, const json_t *scope, const char *environment,
                   void (*then)(struct api_call *call, json_t *certnames)) {
    resolve(call, scope, environment, false, then);
}

void scope_resolve_any(struct api_call *call, const json_t *scope,
                       void (*then)(struct api_call *call, json_t *certnames)) {
    resolve(call, scope, "", true, then);
}
