/* Who calls, and may they (orchestrator-api.md §1.4, §1.5; rbac.md §5). */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include <string.h>

/* ---- after authentication: permission of the route, then its body, then the endpoint */

static bool read_body(struct api_call *call) {
    if (call->route->body == NULL) {
        return true;
    }
    const char *type = http_header(call->ex, "content-type");
    if (type == NULL || !span_starts_with(span_of(type), "application/json")) {
        struct error err = ERROR_INIT;
        error_set(&err, "puppetlabs.orchestrator/unsupported-media-type",
                  "A request with a body must have Content-Type: application/json");
        api_reply_error(call, &err);
        error_clear(&err);
        return false;
    }
    struct error err = ERROR_INIT;
    call->body = json_parse(http_request(call->ex)->body, "puppetlabs.orchestrator/validation-error", &err);
    if (call->body == NULL) {
        api_reply_invalid(call, "body", NULL, "The body is %s", err.msg);
        error_clear(&err);
        return false;
    }
    if (!api_check_body(call->route->body, call->body, &err)) {
        api_reply_error(call, &err);
        error_clear(&err);
        return false;
    }
    return true;
}

static void enter(struct api_call *call) {
    if (read_body(call)) {
        call->route->handle(call);
    }
}

/* Whoever is known but not allowed gets the orchestrator's not-permitted: orchestrator-api.md §1.4 says so of all its
 * endpoints, and the official client knows no other word (clients.md §2). rbac.md §7 infers RBAC's own word where no
 * manual names one; that is left for the node inventory, a service of its own. */
static void refuse(struct api_call *call, const char *permission) {
    if (!span_starts_with(span_of(http_request(call->ex)->path), "/inventory/")) {
        api_reply_not_permitted(call, "You do not have permission to do this: %s:* is needed", permission);
        return;
    }
    struct error err = ERROR_INIT;
    error_set_details(&err, "puppetlabs.rbac/permission-denied", json_pack("{s:s}", "permission", permission),
                      "You do not have permission to do this: %s:* is needed", permission);
    api_reply_error(call, &err);
    error_clear(&err);
}

static void on_route_permission(struct api_call *call, const json_t *answers) {
    if (!json_is_true(json_array_get(answers, 0))) {
        refuse(call, call->route->permission);
        return;
    }
    enter(call);
}

void call_set_subject(struct api_call *call, json_t *user) {
    /* The owner object of orchestrator-api.md §1.8: the user record without what belongs to the token. */
    static const char *const keys[] = {"id",         "login",     "display_name",       "email",
                                       "is_revoked", "is_remote", "is_group",           "is_superuser",
                                       "last_login", "role_ids",  "inherited_role_ids", "group_ids"};
    call->subject = json_object();
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        json_t *value = json_object_get(user, keys[i]);
        if (value != NULL) {
            json_object_set(call->subject, keys[i], value);
        }
    }
}

static void on_subject(struct api_call *call, json_t *subject) {
    call_set_subject(call, subject);
    if (call->route->permission == NULL) {
        enter(call);
        return;
    }
    struct span rest = span_of(call->route->permission), type;
    span_split(&rest, ':', &type);
    char *object_type = span_dup(type);
    json_t *permissions = json_array();
    add_permission(permissions, object_type, rest.ptr, "*");
    mem_free(object_type);
    api_permit(call, permissions, on_route_permission);
}

/* ---- the caller */

static void on_authenticated(void *ctx, json_t *subject, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL) {
        api_reply_error(call, err);
    } else {
        on_subject(call, subject);
    }
}

static bool allow_listed(const struct api_call *call) {
    const struct world_identity *id = http_request(call->ex)->identity;
    const struct orchestrator_config *config = call->api->parts.config;
    for (size_t i = 0; id != NULL && id->common_name != NULL && i < config->allowed_count; i++) {
        if (strcmp(id->common_name, config->certificate_allowlist[i]) == 0) {
            return true;
        }
    }
    return false;
}

static const char *token_of(struct http_exchange *ex) {
    const char *token = http_header(ex, "x-authentication");
    if (token == NULL || token[0] == '\0') {
        token = http_query(ex, "token");
    }
    return token != NULL && token[0] != '\0' ? token : NULL;
}

void authenticate_call(struct api_call *call) {
    struct services *services = call->api->parts.services;
    if (call->route->open) {
        enter(call);
        return;
    }
    const struct error *trouble = call->api->parts.store != NULL ? store_error(call->api->parts.store) : NULL;
    if (trouble != NULL) {
        api_reply_store_error(call, trouble);
        return;
    }
    if (!engine_ready(call->api->parts.engine)) {
        struct error err = ERROR_INIT;
        error_set(&err, "puppetlabs.orchestrator/unavailable", "The orchestrator is starting");
        api_reply_error(call, &err);
        error_clear(&err);
        return;
    }
    const char *token = token_of(call->ex);
    if (token != NULL) {
        call->token = str_dup(token);
        json_t *known = services_cached_subject(services, token);
        if (known != NULL) {
            on_subject(call, known);
        } else {
            services_authenticate(services, token, on_authenticated, call);
        }
    } else if (allow_listed(call)) {
        services_api_user(services, on_authenticated, call);
    } else {
        struct error err = ERROR_INIT;
        error_set(&err, "puppetlabs.rbac/user-unauthenticated", "Route requires authentication");
        api_reply_error(call, &err);
        error_clear(&err);
    }
}

/* ---- permissions */

void add_permission(json_t *list, const char *object_type, const char *action, const char *instance) {
    json_array_append_new(
        list, json_pack("{s:s, s:s, s:s}", "object_type", object_type, "action", action, "instance", instance));
}

struct permit_wait {
    struct api_call *call;
    void (*then)(struct api_call *call, const json_t *answers);
    void *outer_state; /* what the endpoint had as its state, given back */
    void (*outer_free)(void *state);
    size_t count;
};

static void permit_wait_free(void *state) {
    struct permit_wait *w = state;
    if (w->outer_free != NULL) {
        w->outer_free(w->outer_state);
    }
    mem_free(w);
}

static void on_permitted(void *ctx, json_t *answers, const struct error *err) {
    struct api_call *call = ctx;
    struct permit_wait w = *(struct permit_wait *)call->state;
    mem_free(call->state);
    call->state = w.outer_state;
    call->free_state = w.outer_free;
    if (err != NULL) {
        api_reply_error(call, err);
    } else if (!json_is_array(answers) || json_array_size(answers) != w.count) {
        struct error strange = ERROR_INIT;
        error_set(&strange, "puppetlabs.orchestrator/unknown-error", "RBAC did not answer every permission asked for");
        api_reply_error(call, &strange);
        error_clear(&strange);
    } else {
        w.then(call, answers);
    }
}

static json_t *all_true(size_t count) {
    json_t *answers = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(answers, json_true());
    }
    return answers;
}

void api_permit(struct api_call *call, json_t *permissions,
                void (*then)(struct api_call *call, const json_t *answers)) {
    size_t count = json_array_size(permissions);
    const char *id = json_str(call->subject, "id");
    if (count == 0 || id == NULL || json_bool(call->subject, "is_superuser", false)) {
        json_t *answers = all_true(id != NULL ? count : 0); /* RBAC says so too: superusers may do everything */
        json_decref(permissions);
        then(call, answers);
        json_decref(answers);
        return;
    }
    struct permit_wait *w = mem_alloc(sizeof(*w));
    *w = (struct permit_wait){call, then, call->state, call->free_state, count};
    call->state = w;
    call->free_state = permit_wait_free;
    services_permitted(call->api->parts.services, id, permissions, on_permitted, call);
}
