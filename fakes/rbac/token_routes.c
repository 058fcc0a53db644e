/* Login, token check and revocation over HTTP (rbac.md §4). */
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "fakes/rbac/model.h"
#include <string.h>

static const struct body_field login_fields[] = {
    {"login", BODY_STRING, true},  {"password", BODY_STRING, true},     {"lifetime", BODY_STRING_OR_INT, false},
    {"label", BODY_STRING, false}, {"description", BODY_STRING, false}, {"client", BODY_STRING, false},
    {NULL, BODY_ANY, false},
};

static struct span lifetime_text(const json_t *value, char buffer[24]) {
    if (json_is_string(value)) {
        return json_span(value);
    }
    snprintf(buffer, 24, "%lld", (long long)json_integer_value(value));
    return span_of(buffer);
}

/* The lifetime asked for, or the default; false after answering 400. */
static bool lifetime_of(struct fake_rbac *r, struct http_exchange *ex, const json_t *body, int64_t *ms) {
    const json_t *value = json_object_get(body, "lifetime");
    char buffer[24];
    *ms = r->model->settings.default_lifetime_ms;
    if (value == NULL || rbac_lifetime_parse(&r->model->settings, lifetime_text(value, buffer), ms)) {
        return true;
    }
    rbac_fail(ex, 400, "malformed-token-request", NULL,
              "The lifetime must be a number followed by y, d, h, m or s, for example 4h.");
    return false;
}

static void give_token(struct fake_rbac *r, struct http_exchange *ex, struct rbac_user *u, const json_t *body,
                       int64_t lifetime_ms, struct span label) {
    struct rbac_token *t;
    char *text = rbac_token_issue(r, u, lifetime_ms, &t);
    if (label.len > 0) {
        t->label = span_dup(label);
    }
    text_set(&t->description, json_str(body, "description"));
    text_set(&t->client, json_str(body, "client"));
    http_respond_json(ex, 200, json_pack("{s:s}", "token", text));
    mem_free_secret(text, strlen(text));
}

static void count_failure(struct fake_rbac *r, struct rbac_user *u) {
    unsigned limit = r->model->settings.failed_attempts_lockout;
    u->failed_attempts++;
    if (limit != 0 && u->failed_attempts >= limit && !u->revoked) {
        u->revoked = true;
        rbac_tokens_revoke_of(r->model, u);
        char *message = str_printf("User %s locked out after %u failed logins.", u->login, u->failed_attempts);
        rbac_log_activity(r, u, "users", u->id, u->login, "revoke", "user", message);
        mem_free(message);
    }
}

static void login_checked(struct fake_rbac *r, struct http_exchange *ex, struct rbac_user *u, bool matches,
                          const json_t *body) {
    if (u == NULL || !matches) {
        if (u != NULL) {
            count_failure(r, u);
        }
        rbac_fail(ex, 401, "invalid-credentials", NULL, "The login or the password is wrong.");
        return;
    }
    if (u->revoked) {
        rbac_fail(ex, 401, "user-revoked", NULL, "The user account is revoked.");
        return;
    }
    int64_t lifetime_ms;
    struct error err = ERROR_INIT;
    const json_t *label_value = json_object_get(body, "label");
    struct span label = span_trim(json_span(label_value));
    if (!lifetime_of(r, ex, body, &lifetime_ms)) {
        return;
    }
    if (label_value != NULL && !rbac_label_ok(r, u, label, &err)) {
        rbac_fail_error(ex, 400, &err);
        error_clear(&err);
        return;
    }
    u->failed_attempts = 0;
    u->last_login_ms = fake_now_ms(&r->base);
    char *message = str_printf("User %s logged in.", u->login);
    rbac_log_activity(r, u, "users", u->id, u->login, "login", "user", message);
    mem_free(message);
    give_token(r, ex, u, body, lifetime_ms, label);
}

static void token_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    json_t *body = body_read(ex, login_fields, rbac_fail);
    if (body == NULL) {
        return;
    }
    const char *login = json_str(body, "login");
    int64_t lifetime_ms;
    if (strcmp(login, "api_user") == 0) {
        rbac_fail(ex, 401, "api-user-login", NULL, "The API user cannot log in with a password.");
    } else if (lifetime_of(r, ex, body, &lifetime_ms)) {
        struct rbac_user *u = rbac_user_by_login(r->model, login);
        if (u != NULL && u->remote) {
            u = NULL; /* its password is the directory's business */
        }
        rbac_password_work(r, ex, u, json_str(body, "password"), NULL, body, login_checked);
    }
    json_decref(body);
}

static const struct body_field own_token_fields[] = {
    {"lifetime", BODY_STRING_OR_INT, false},
    {"description", BODY_STRING, false},
    {"client", BODY_STRING, false},
    {"label", BODY_STRING, false},
    {NULL, BODY_ANY, false},
};

static void own_token_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    struct rbac_user *u = rbac_require(r, ex);
    if (u == NULL) {
        return;
    }
    if (http_header(ex, "x-authentication") == NULL && http_query(ex, "token") == NULL) {
        rbac_fail(ex, 403, "permission-denied", NULL, "A certificate cannot be given a token.");
        return;
    }
    json_t *body = http_request(ex)->body.len == 0 ? json_object() : body_read(ex, own_token_fields, rbac_fail);
    int64_t lifetime_ms;
    if (body != NULL && lifetime_of(r, ex, body, &lifetime_ms)) {
        struct error err = ERROR_INIT;
        struct span label = span_trim(json_span(json_object_get(body, "label")));
        if (json_object_get(body, "label") != NULL && !rbac_label_ok(r, u, label, &err)) {
            rbac_fail_error(ex, 400, &err);
        } else {
            give_token(r, ex, u, body, lifetime_ms, label);
        }
        error_clear(&err);
    }
    json_decref(body);
}

static const struct body_field authenticate_fields[] = {
    {"token", BODY_STRING, true},
    {"update_last_activity?", BODY_BOOL, false},
    {NULL, BODY_ANY, false},
};

static json_t *seconds_json(int64_t ms) {
    char text[TIME_TEXT_LEN];
    time_format_s(ms, text);
    return json_string(text);
}

static void authenticate_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    json_t *body = body_read(ex, authenticate_fields, rbac_fail);
    if (body == NULL) {
        return;
    }
    struct error err = ERROR_INIT;
    struct rbac_user *u = NULL;
    const struct rbac_token *t = rbac_token_check(r, json_span(json_object_get(body, "token")),
                                                  json_bool(body, "update_last_activity?", false), &u, &err);
    json_decref(body);
    if (t == NULL) {
        rbac_fail_error(ex, strcmp(err.kind, "puppetlabs.rbac/invalid-token") == 0 ? 400 : 403, &err);
        error_clear(&err);
        return;
    }
    json_t *answer = rbac_user_json(r->model, u);
    json_set(answer, "user_id", json_string(u->id));
    json_set(answer, "creation", seconds_json(t->created_ms));
    json_set(answer, "expiration", seconds_json(t->expires_ms));
    json_set(answer, "last_active", seconds_json(t->last_active_ms));
    json_set(answer, "timeout", t->timeout_minutes > 0 ? json_integer((json_int_t)t->timeout_minutes) : json_null());
    json_set(answer, "label", t->label != NULL ? json_string(t->label) : json_null());
    json_set(answer, "description", t->description != NULL ? json_string(t->description) : json_null());
    json_set(answer, "client", t->client != NULL ? json_string(t->client) : json_null());
    http_respond_json(ex, 200, answer);
}

enum list_order { ORDER_CREATION, ORDER_EXPIRATION, ORDER_LAST_ACTIVE, ORDER_CLIENT, ORDER_COUNT };
static const char *const order_names[ORDER_COUNT] = {"creation_date", "expiration_date", "last_active_date", "client"};

static int compare_tokens(const struct rbac_token *a, const struct rbac_token *b, enum list_order by) {
    int64_t x = 0, y = 0;
    switch (by) {
    case ORDER_CLIENT:
        return strcmp(a->client != NULL ? a->client : "", b->client != NULL ? b->client : "");
    case ORDER_EXPIRATION:
        x = a->expires_ms;
        y = b->expires_ms;
        break;
    case ORDER_LAST_ACTIVE:
        x = a->last_active_ms;
        y = b->last_active_ms;
        break;
    case ORDER_CREATION:
    case ORDER_COUNT:
        x = a->created_ms;
        y = b->created_ms;
        break;
    }
    return (x > y) - (x < y);
}

static json_t *token_json(const struct rbac_token *t) {
    json_t *o = json_pack("{s:s, s:o, s:o, s:o, s:s, s:s}", "id", t->id, "creation_date", seconds_json(t->created_ms),
                          "expiration_date", seconds_json(t->expires_ms), "last_active_date",
                          seconds_json(t->last_active_ms), "client", t->client != NULL ? t->client : "", "description",
                          t->description != NULL ? t->description : "");
    if (t->timeout_minutes > 0) {
        json_set(o, "session_timeout", json_integer((json_int_t)t->timeout_minutes));
    }
    json_set(o, "label", t->label != NULL ? json_string(t->label) : json_null());
    return o;
}

/* The user's live tokens in order; the array is mem_free()d by the caller. */
static const struct rbac_token **live_tokens(const struct fake_rbac *r, const struct rbac_user *u, enum list_order by,
                                             bool descending, size_t *count) {
    const struct rbac_token **all = NULL;
    size_t cap = 0;
    *count = 0;
    LIST_EACH (k, &r->model->tokens) {
        const struct rbac_token *t = LIST_ITEM(k, struct rbac_token, link);
        if (t->revoked || t->password_reset || fake_now_ms(&r->base) >= t->expires_ms ||
            strcmp(t->user_id, u->id) != 0) {
            continue;
        }
        all = mem_grow(all, &cap, *count + 1, sizeof *all);
        size_t at = (*count)++;
        for (; at > 0; at--) {
            int order = compare_tokens(t, all[at - 1], by);
            if (descending ? order <= 0 : order >= 0) {
                break;
            }
            all[at] = all[at - 1];
        }
        all[at] = t;
    }
    return all;
}

/* A non-negative query parameter; false after answering 400. */
static bool count_param(struct http_exchange *ex, const char *name, uint64_t *value, bool *given) {
    const char *text = http_query(ex, name);
    *given = text != NULL;
    if (text == NULL || span_to_u64(span_of(text), value)) {
        return true;
    }
    rbac_fail(ex, 400, "schema-violation", NULL, "limit and offset are non-negative integers.");
    return false;
}

static void user_tokens_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_user *caller = rbac_require(r, ex);
    if (caller == NULL) {
        return;
    }
    const char *id = http_param(ex, "id");
    const struct rbac_user *u = rbac_user_find(r->model, id);
    if (u == NULL) {
        rbac_fail(ex, 404, "not-found", NULL, "No such user.");
        return;
    }
    if (u != caller && !rbac_holds(r, caller, "users", "disable", id)) {
        rbac_fail(ex, 403, "permission-denied", NULL, "You may not see this user's tokens.");
        return;
    }
    uint64_t limit = UINT64_MAX, offset = 0;
    bool limited, moved;
    if (!count_param(ex, "limit", &limit, &limited) || !count_param(ex, "offset", &offset, &moved)) {
        return;
    }
    const char *by_name = http_query(ex, "order_by") != NULL ? http_query(ex, "order_by") : order_names[0];
    const char *order = http_query(ex, "order") != NULL ? http_query(ex, "order") : "asc";
    unsigned by = 0;
    while (by < ORDER_COUNT && strcmp(order_names[by], by_name) != 0) {
        by++;
    }
    bool descending = strcmp(order, "desc") == 0;
    if (by == ORDER_COUNT || (!descending && strcmp(order, "asc") != 0)) {
        rbac_fail(ex, 400, "schema-violation", NULL, "Tokens cannot be ordered so.");
        return;
    }
    size_t total;
    const struct rbac_token **all = live_tokens(r, u, (enum list_order)by, descending, &total);
    json_t *items = json_array();
    for (size_t i = 0; i < total; i++) {
        if (i >= offset && i - offset < limit) {
            json_array_append_new(items, token_json(all[i]));
        }
    }
    mem_free(all);
    json_t *pagination = json_object();
    if (limited) {
        json_set(pagination, "limit", json_integer((json_int_t)limit));
    }
    json_set(pagination, "offset", json_integer((json_int_t)offset));
    json_set(pagination, "order_by", json_string(by_name));
    json_set(pagination, "order", json_string(order));
    json_set(pagination, "total", json_integer((json_int_t)total));
    http_respond_json(ex, 200, json_pack("{s:o, s:o}", "items", items, "pagination", pagination));
}

const struct fake_route rbac_token_routes[] = {
    {"POST", "/rbac-api/v1/auth/token", token_post, NULL},
    {"POST", "/rbac-api/v1/tokens", own_token_post, NULL},
    {"GET", "/rbac-api/v1/users/:id/tokens", user_tokens_get, NULL},
    {"POST", "/rbac-api/v2/auth/token/authenticate", authenticate_post, NULL},
    {NULL, NULL, NULL, NULL},
};
