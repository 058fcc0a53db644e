/* Nodes without an agent: `targets` of a task (orchestrator-api.md §3.5) and stored connections (§13). Their work would
 * go through Bolt server; none is attached, so the engine ends such nodes `errored`. */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include "orchestrator/brokers/brokers.h"
#include <string.h>

static const struct api_field target_fields[] = {
    {.key = "hostnames", .types = IS_ARRAY, .required = true, .strings = true},
    {.key = "user", .types = IS_STRING, .required = true},
    {.key = "transport", .types = IS_STRING, .required = true},
    {.key = "password", .types = IS_STRING, .secret = true},
    {.key = "private-key-content", .types = IS_STRING, .secret = true},
    {.key = "port", .types = IS_INTEGER, .min = 1},
    {.key = "run-as", .types = IS_STRING},
    {.key = "sudo-password", .types = IS_STRING, .secret = true},
    {.key = "run-as-command", .types = IS_STRING},
    {.key = "connect-timeout", .types = IS_INTEGER},
    {.key = "tty", .types = IS_BOOLEAN},
    {.key = "tmpdir", .types = IS_STRING},
    {.key = "extensions", .types = IS_STRING},
    {.key = NULL},
};
static const char *const secrets[] = {"password", "private-key-content", "sudo-password"};
enum { PORT_MAX = 65535 };

static bool wrong_target(struct error *err, const char *text) {
    json_t *details = json_pack("{s:s, s:n, s:s}", "schema", "targets", "value", "error", text);
    return error_set_details(err, "puppetlabs.orchestrator/validation-error", details, "%s", text);
}

bool targets_check(const json_t *targets, struct error *err) {
    size_t i;
    json_t *t;
    json_array_foreach((json_t *)(uintptr_t)targets, i, t) {
        if (!json_is_object(t)) {
            return wrong_target(err, "targets must hold objects");
        }
        if (!api_check_body(target_fields, t, err)) {
            return false;
        }
        const char *transport = json_str(t, "transport");
        if (!str_eq(transport, "ssh") && !str_eq(transport, "winrm")) {
            return wrong_target(err, "a target's transport must be ssh or winrm");
        }
        if ((json_object_get(t, "password") != NULL) == (json_object_get(t, "private-key-content") != NULL)) {
            return wrong_target(err, "a target needs either password or private-key-content");
        }
        if (json_int(t, "port", 1) > PORT_MAX) {
            return wrong_target(err, "a target's port must be between 1 and 65535");
        }
        if (json_object_get(t, "run-as") == NULL &&
            (json_object_get(t, "sudo-password") != NULL || json_object_get(t, "run-as-command") != NULL)) {
            return wrong_target(err, "a target's sudo-password and run-as-command need run-as");
        }
    }
    return true;
}

json_t *targets_without_secrets(const json_t *targets) {
    json_t *list = json_array();
    size_t i;
    json_t *t;
    json_array_foreach((json_t *)(uintptr_t)targets, i, t) {
        json_t *shown = json_copy(t);
        for (size_t k = 0; k < sizeof secrets / sizeof secrets[0]; k++) {
            json_object_del(shown, secrets[k]);
        }
        json_array_append_new(list, shown);
    }
    return list;
}

/* ---- who is reached how */

static const enum node_transport ssh = TRANSPORT_SSH, winrm = TRANSPORT_WINRM;

static void *transport_value(const char *name) {
    return (void *)(uintptr_t)(str_eq(name, "winrm") ? &winrm : &ssh);
}

static bool load_connection(void *ctx, const struct store_connection *c) {
    struct api *api = ctx;
    map_put(&api->agentless, c->certname, transport_value(span_eq_cstr(c->type, "winrm") ? "winrm" : "ssh"));
    return true;
}

static bool know_connections(struct api *api, struct error *err) {
    if (!api->agentless_known) {
        api->agentless_known = store_connections(api->parts.store, NULL, 0, load_connection, api, err);
    }
    return api->agentless_known;
}

static void not_in_scope(struct api_call *call, const json_t *host) {
    struct error err = ERROR_INIT;
    const char *environment = json_str(call->body, "environment");
    error_set_details(&err, "puppetlabs.orchestrator/empty-target",
                      json_pack("{s:s, s:O}", "environment", environment != NULL ? environment : "", "target", host),
                      "The target %s is not in the scope", json_string_value(host));
    api_reply_error(call, &err);
    error_clear(&err);
}

/* All names of `targets` with their transport. False: answered. */
static bool read_hosts(struct api_call *call, const json_t *targets, const struct map *names, struct map *hosts) {
    size_t i, k;
    json_t *t, *host;
    json_array_foreach((json_t *)(uintptr_t)targets, i, t) {
        json_array_foreach(json_object_get(t, "hostnames"), k, host) {
            if (map_get(names, json_span(host)) == NULL) {
                not_in_scope(call, host);
                return false;
            }
            map_put(hosts, json_span(host), transport_value(json_str(t, "transport")));
        }
    }
    return true;
}

bool targets_transports(struct api_call *call, const json_t *targets, const json_t *certnames,
                        enum node_transport *transports) {
    struct api *api = call->api;
    struct error err = ERROR_INIT;
    struct map names = MAP_INIT, hosts = MAP_INIT;
    size_t i;
    json_t *name;
    if (!know_connections(api, &err)) {
        api_reply_store_error(call, &err);
        error_clear(&err);
        return false;
    }
    if (json_array_size(targets) != 0) {
        json_array_foreach((json_t *)(uintptr_t)certnames, i, name) {
            map_put(&names, json_span(name), name);
        }
    }
    bool ok = read_hosts(call, targets, &names, &hosts);
    json_array_foreach((json_t *)(uintptr_t)certnames, i, name) {
        struct brokers_node node;
        const enum node_transport *t = map_get(&hosts, json_span(name));
        if (t == NULL && map_count(&api->agentless) != 0 && !brokers_find(api->parts.brokers, json_span(name), &node)) {
            t = map_get(&api->agentless, json_span(name));
        }
        transports[i] = t != NULL ? *t : TRANSPORT_PCP;
    }
    map_free(&names);
    map_free(&hosts);
    return ok;
}
