/* Changing and resetting passwords (rbac.md §11). */
#include "base/mem.h"
#include "fakes/rbac/model.h"
#include <string.h>

/* POST /users/:id/password/reset: the bare text of a token that is good for one POST /auth/reset. */
static void reset_token_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const char *id = http_param(ex, "id");
    const struct rbac_user *caller = rbac_require_permission(r, ex, "users", "reset_password", id);
    struct rbac_user *u = caller != NULL ? rbac_user_asked(r, ex, id) : NULL;
    if (u == NULL) {
        return;
    }
    if (u->remote || strcmp(u->id, RBAC_API_USER_ID) == 0) {
        rbac_fail(ex, 403, "permission-denied", NULL, "This user has no password here.");
        return;
    }
    struct rbac_token *t;
    char *text = rbac_token_issue(r, u, r->model->settings.password_reset_ms, &t);
    t->password_reset = true;
    http_respond(ex, 201, "text/plain; charset=utf-8", span_of(text));
    mem_free_secret(text, strlen(text));
}

static const struct body_field reset_fields[] = {
    {"token", BODY_STRING, true},
    {"password", BODY_STRING, true},
    {NULL, BODY_ANY, false},
};

static bool long_enough(struct http_exchange *ex, const char *password) {
    if (strlen(password) >= RBAC_PASSWORD_MIN) {
        return true;
    }
    rbac_fail(ex, 400, "schema-violation", NULL, "The password has less than 6 characters.");
    return false;
}

static void reset_done(struct fake_rbac *r, struct http_exchange *ex, struct rbac_user *u, bool matches,
                       const json_t *body) {
    (void)r;
    (void)matches;
    (void)body;
    if (u != NULL) {
        u->revoked = false;
        u->failed_attempts = 0;
    }
    fake_respond_empty(ex, 200);
}

static void reset_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    json_t *body = body_read(ex, reset_fields, rbac_fail);
    if (body == NULL) {
        return;
    }
    const char *password = json_str(body, "password");
    struct rbac_token *t = rbac_token_find(r->model, json_span(json_object_get(body, "token")));
    struct rbac_user *u = t != NULL ? rbac_user_find(r->model, t->user_id) : NULL;
    if (u == NULL || !t->password_reset || t->revoked || fake_now_ms(f) >= t->expires_ms) {
        rbac_fail(ex, 403, "permission-denied", NULL, "The password reset token is invalid or was used already.");
    } else if (long_enough(ex, password)) {
        t->revoked = true;
        rbac_password_work(r, ex, u, NULL, password, NULL, reset_done);
    }
    json_decref(body);
}

static const struct body_field own_fields[] = {
    {"current_password", BODY_STRING, true},
    {"password", BODY_STRING, true},
    {NULL, BODY_ANY, false},
};

static void own_done(struct fake_rbac *r, struct http_exchange *ex, struct rbac_user *u, bool matches,
                     const json_t *body) {
    (void)r;
    (void)body;
    if (u != NULL && matches) {
        fake_respond_empty(ex, 200);
    } else {
        rbac_fail(ex, 403, "permission-denied", NULL, "The current password is wrong.");
    }
}

static void own_put(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    struct rbac_user *u = rbac_require(r, ex);
    json_t *body = u != NULL ? body_read(ex, own_fields, rbac_fail) : NULL;
    if (body == NULL) {
        return;
    }
    if (u->remote) {
        rbac_fail(ex, 403, "permission-denied", NULL, "The passwords of remote users are kept in the directory.");
    } else if (long_enough(ex, json_str(body, "password"))) {
        rbac_password_work(r, ex, u, json_str(body, "current_password"), json_str(body, "password"), NULL, own_done);
    }
    json_decref(body);
}

static const struct body_field password_fields[] = {
    {"password", BODY_STRING, true},
    {"reset-token", BODY_STRING, false},
    {NULL, BODY_ANY, false},
};
static const struct body_field login_fields[] = {{"login", BODY_STRING, true}, {NULL, BODY_ANY, false}};

static void answer_valid(struct http_exchange *ex, const char *failure) {
    json_t *failures = failure != NULL ? json_pack("[{s:s}]", "msg", failure) : json_array();
    http_respond_json(ex, 200, json_pack("{s:b, s:o}", "valid", failure == NULL, "failures", failures));
}

static void validate_password_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    json_t *body = rbac_require(rbac_of(f), ex) != NULL ? body_read(ex, password_fields, rbac_fail) : NULL;
    if (body != NULL) {
        bool good = strlen(json_str(body, "password")) >= RBAC_PASSWORD_MIN;
        answer_valid(ex, good ? NULL : "The password has less than 6 characters.");
        json_decref(body);
    }
}

static void validate_login_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    json_t *body = rbac_require(rbac_of(f), ex) != NULL ? body_read(ex, login_fields, rbac_fail) : NULL;
    if (body != NULL) {
        bool good = *json_str(body, "login") != '\0';
        answer_valid(ex, good ? NULL : "The login is empty.");
        json_decref(body);
    }
}

const struct fake_route rbac_password_routes[] = {
    {"POST", "/rbac-api/v1/users/:id/password/reset", reset_token_post, NULL},
    {"POST", "/rbac-api/v1/auth/reset", reset_post, NULL},
    {"PUT", "/rbac-api/v1/users/current/password", own_put, NULL},
    {"POST", "/rbac-api/v1/command/validate-password", validate_password_post, NULL},
    {"POST", "/rbac-api/v1/command/validate-login", validate_login_post, NULL},
    {NULL, NULL, NULL, NULL},
};
