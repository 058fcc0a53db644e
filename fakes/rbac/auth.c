/* Who calls, what they may, and how errors are written (rbac.md §2, §13). */
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/activity/activity.h"
#include "fakes/rbac/model.h"
#include <string.h>

struct fake_rbac *rbac_of(struct fake *f) {
    return (struct fake_rbac *)(void *)f;
}

void rbac_fail(struct http_exchange *ex, int status, const char *kind, json_t *details, const char *msg) {
    if (!body_accepts(ex, "application/json")) {
        json_decref(details);
        http_respond(ex, status, "text/html; charset=utf-8", span_of(msg));
        return;
    }
    /* A request that could not be read may hold a password: nothing of it is echoed. */
    if (json_object_get(details, "body") != NULL) {
        json_object_del(details, "body");
        json_set(details, "error", json_string("The body is not JSON."));
    }
    char *full = strchr(kind, '/') != NULL ? str_dup(kind) : str_printf("puppetlabs.rbac/%s", kind);
    fake_respond_error(ex, status, full, details, "%s", msg);
    mem_free(full);
}

void rbac_fail_error(struct http_exchange *ex, int status, const struct error *err) {
    rbac_fail(ex, status, err->kind, json_incref(err->details), err->msg);
}

static bool on_allowlist(const struct rbac_model *m, const char *common_name) {
    for (size_t i = 0; common_name != NULL && i < json_array_size(m->allowlist); i++) {
        if (strcmp(json_string_value(json_array_get(m->allowlist, i)), common_name) == 0) {
            return true;
        }
    }
    return false;
}

/* The token of a request without its "|no_keepalive"; false when there is none. */
static bool token_of(struct http_exchange *ex, struct span *token, bool *keepalive) {
    const char *text = http_header(ex, "x-authentication");
    if (text == NULL || *text == '\0') {
        text = http_query(ex, "token");
    }
    if (text == NULL || *text == '\0') {
        return false;
    }
    *token = span_of(text);
    *keepalive = !span_ends_with(*token, "|no_keepalive");
    if (!*keepalive) {
        token->len -= strlen("|no_keepalive");
    }
    return true;
}

const struct rbac_user *fake_rbac_caller(struct fake_rbac *r, struct http_exchange *ex, struct error *err) {
    struct span token;
    bool keepalive;
    struct rbac_user *u = NULL;
    if (token_of(ex, &token, &keepalive)) {
        return rbac_token_check(r, token, keepalive, &u, err) != NULL ? u : NULL;
    }
    const struct world_identity *id = http_request(ex)->identity;
    if (id != NULL && on_allowlist(r->model, id->common_name)) {
        u = rbac_user_find(r->model, RBAC_API_USER_ID);
    }
    if (u == NULL) {
        error_set(err, "puppetlabs.rbac/user-unauthenticated", "Route requires authentication");
    }
    return u;
}

struct rbac_user *rbac_require(struct fake_rbac *r, struct http_exchange *ex) {
    struct error err = ERROR_INIT;
    const struct rbac_user *u = fake_rbac_caller(r, ex, &err);
    if (u == NULL) {
        rbac_fail_error(ex, 401, &err);
        error_clear(&err);
        return NULL;
    }
    return rbac_user_find(r->model, u->id);
}

struct rbac_user *rbac_require_permission(struct fake_rbac *r, struct http_exchange *ex, const char *type,
                                          const char *action, const char *instance) {
    struct rbac_user *u = rbac_require(r, ex);
    if (u != NULL && !rbac_holds(r, u, type, action, instance)) {
        char *msg = str_printf("You don't have the %s permission for %s %s.", action, type, instance);
        rbac_fail(ex, 403, "permission-denied", NULL, msg);
        mem_free(msg);
        return NULL;
    }
    return u;
}

void rbac_log_activity(struct fake_rbac *r, const struct rbac_user *subject, const char *object_type,
                       const char *object_id, const char *object_name, const char *type, const char *what,
                       const char *message) {
    struct fake *activity = fake_sibling(&r->base, "activity");
    if (activity == NULL) {
        return;
    }
    json_t *commit = json_pack("{s:{s:s}, s:{s:s, s:s}, s:[{s:s, s:s, s:s}]}", "service", "id", "rbac", "subject", "id",
                               subject != NULL ? subject->id : RBAC_API_USER_ID, "name",
                               subject != NULL ? subject->login : "api_user", "objects", "id", object_id, "name",
                               object_name, "type", object_type);
    json_t *events =
        json_pack("[{s:s, s:s, s:s, s:s}]", "type", type, "what", what, "description", what, "message", message);
    fake_activity_record(activity, commit, events);
}
