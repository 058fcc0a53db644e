/* Users (rbac.md §8). */
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/rbac/model.h"
#include <string.h>

json_t *rbac_time_json(int64_t ms) {
    char text[TIME_TEXT_LEN];
    if (ms < 0) {
        return json_null();
    }
    time_format_ms(ms, text);
    return json_string(text);
}

const char *rbac_user_id(const struct rbac_user *u) {
    return u->id;
}

const char *rbac_user_login(const struct rbac_user *u) {
    return u->login;
}

json_t *rbac_user_json(const struct rbac_model *m, const struct rbac_user *u) {
    struct id_set inherited = {0};
    json_t *groups = json_array();
    LIST_EACH (k, &m->groups) {
        const struct rbac_group *g = LIST_ITEM(k, struct rbac_group, link);
        if (rbac_group_has(g, u->id)) {
            json_array_append_new(groups, json_string(g->id));
            for (size_t i = 0; i < g->roles.count; i++) {
                id_set_add(&inherited, g->roles.items[i]);
            }
        }
    }
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:b, s:b, s:b, s:o}", "id", u->id, "login", u->login,
                          "display_name", u->display_name, "email", u->email != NULL ? u->email : "", "role_ids",
                          id_set_json(&u->roles), "is_superuser", (int)u->superuser, "is_revoked", (int)u->revoked,
                          "is_remote", (int)u->remote, "is_group", 0, "last_login", rbac_time_json(u->last_login_ms));
    if (u->remote || json_array_size(groups) > 0) {
        json_set(o, "inherited_role_ids", id_set_json(&inherited));
        json_object_set(o, "group_ids", groups);
    }
    json_decref(groups);
    id_set_clear(&inherited);
    return o;
}

bool rbac_roles_exist(const struct rbac_model *m, struct http_exchange *ex, const json_t *ids) {
    for (size_t i = 0; i < json_array_size(ids); i++) {
        if (rbac_role_find(m, json_integer_value(json_array_get(ids, i))) == NULL) {
            rbac_fail(ex, 422, "invalid-associated-id", json_incref(json_array_get(ids, i)),
                      "One of the role ids does not exist.");
            return false;
        }
    }
    return true;
}

bool rbac_ids_asked(struct http_exchange *ex, json_t **ids) {
    const char *list = http_query(ex, "id");
    *ids = NULL;
    if (list == NULL) {
        return true;
    }
    json_t *all = json_array();
    struct span rest = span_of(list);
    struct span part;
    while (span_split(&rest, ',', &part)) {
        if (!uuid_valid(part)) {
            json_decref(all);
            rbac_fail(ex, 400, "invalid-id-filter", NULL, "The id filter is not a comma-separated list of UUIDs.");
            return false;
        }
        json_array_append_new(all, json_str_new(part));
    }
    *ids = all;
    return true;
}

bool rbac_id_wanted(const json_t *ids, const char *id) {
    for (size_t i = 0; i < json_array_size(ids); i++) {
        if (strcmp(json_string_value(json_array_get(ids, i)), id) == 0) {
            return true;
        }
    }
    return ids == NULL;
}

static void set_roles(struct id_set *to, const json_t *ids) {
    id_set_clear(to);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        id_set_add(to, json_integer_value(json_array_get(ids, i)));
    }
}

static void users_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    json_t *ids;
    if (rbac_require(r, ex) == NULL || !rbac_ids_asked(ex, &ids)) {
        return;
    }
    json_t *all = json_array();
    LIST_EACH (k, &r->model->users) {
        const struct rbac_user *u = LIST_ITEM(k, struct rbac_user, link);
        if (rbac_id_wanted(ids, u->id)) {
            json_array_append_new(all, rbac_user_json(r->model, u));
        }
    }
    json_decref(ids);
    http_respond_json(ex, 200, all);
}

struct rbac_user *rbac_user_asked(struct fake_rbac *r, struct http_exchange *ex, const char *id) {
    if (!uuid_valid(span_of(id))) {
        rbac_fail(ex, 400, "invalid-uuid", NULL, "The id of the user is not a UUID.");
        return NULL;
    }
    struct rbac_user *u = rbac_user_find(r->model, id);
    if (u == NULL) {
        rbac_fail(ex, 404, "not-found", NULL, "No such user.");
    }
    return u;
}

static void user_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_user *u = rbac_require(r, ex);
    const char *id = http_param(ex, "id");
    if (u != NULL && strcmp(id, "current") != 0) {
        u = rbac_user_asked(r, ex, id);
    }
    if (u != NULL) {
        http_respond_json(ex, 200, rbac_user_json(r->model, u));
    }
}

static const struct body_field create_fields[] = {
    {"login", BODY_STRING, true},  {"email", BODY_STRING_OR_NULL, true}, {"display_name", BODY_STRING, true},
    {"role_ids", BODY_INTS, true}, {"password", BODY_STRING, false},     {NULL, BODY_ANY, false},
};

static void created(struct fake_rbac *r, struct http_exchange *ex, struct rbac_user *u, bool matches,
                    const json_t *body) {
    (void)matches;
    (void)body;
    if (u == NULL) {
        rbac_fail(ex, 500, "server-error", NULL, "The user was deleted at once.");
        return;
    }
    char *location = str_printf("/rbac-api/v1/users/%s", u->id);
    http_set_header(ex, "Location", location);
    http_respond_json(ex, 201, rbac_user_json(r->model, u));
    mem_free(location);
}

static void create_user(struct fake_rbac *r, struct http_exchange *ex, const struct rbac_user *caller, json_t *body) {
    const char *login = json_str(body, "login");
    const char *password = json_str(body, "password");
    if (*login == '\0' || (password != NULL && strlen(password) < RBAC_PASSWORD_MIN)) {
        rbac_fail(ex, 400, "schema-violation", NULL, "The login is empty or the password has less than 6 characters.");
        return;
    }
    if (rbac_login_taken(r->model, login)) {
        rbac_fail(ex, 409, "conflict", NULL, "A user or group with this login exists already.");
        return;
    }
    if (!rbac_roles_exist(r->model, ex, json_object_get(body, "role_ids"))) {
        return;
    }
    char id[UUID_LEN + 1];
    world_uuid(r->base.world, id);
    struct rbac_user *u = rbac_user_add(r->model, id, login);
    u->created_ms = fake_now_ms(&r->base);
    text_set(&u->display_name, json_str(body, "display_name"));
    text_set(&u->email, json_str(body, "email"));
    set_roles(&u->roles, json_object_get(body, "role_ids"));
    char *message = str_printf("User %s (%s) created.", u->display_name, u->login);
    rbac_log_activity(r, caller, "users", u->id, u->login, "create", "user", message);
    mem_free(message);
    if (password != NULL) {
        rbac_password_work(r, ex, u, NULL, password, NULL, created);
    } else {
        created(r, ex, u, true, NULL);
    }
}

static void users_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_user *caller = rbac_require_permission(r, ex, "users", "create", "*");
    json_t *body = caller != NULL ? body_read(ex, create_fields, rbac_fail) : NULL;
    if (body != NULL) {
        create_user(r, ex, caller, body);
        json_decref(body);
    }
}

static const struct body_field put_fields[] = {
    {"id", BODY_STRING, true},
    {"login", BODY_STRING, true},
    {"email", BODY_STRING_OR_NULL, true},
    {"display_name", BODY_STRING, true},
    {"role_ids", BODY_INTS, true},
    {"is_revoked", BODY_BOOL, true},
    {"is_group", BODY_BOOL, true},
    {"is_remote", BODY_BOOL, true},
    {"is_superuser", BODY_BOOL, true},
    {"last_login", BODY_STRING_OR_NULL, true},
    {"inherited_role_ids", BODY_INTS, false},
    {"group_ids", BODY_STRINGS, false},
    {"identity_provider_id", BODY_ANY, false},
    {NULL, BODY_ANY, false},
};

static bool is_fixed(const struct rbac_user *u) {
    return strcmp(u->id, RBAC_ADMIN_ID) == 0 || strcmp(u->id, RBAC_API_USER_ID) == 0;
}

static bool has_role(const json_t *ids, int64_t role) {
    for (size_t i = 0; i < json_array_size(ids); i++) {
        if (json_integer_value(json_array_get(ids, i)) == role) {
            return true;
        }
    }
    return false;
}

/* What may not be changed about admin and api_user; false after answering 403. */
static bool fixed_user_kept(struct http_exchange *ex, const struct rbac_user *u, const json_t *body) {
    if (!is_fixed(u)) {
        return true;
    }
    if (!has_role(json_object_get(body, "role_ids"), RBAC_ROLE_ADMINISTRATORS)) {
        rbac_fail(ex, 403, "admin-user-not-in-admin-role", NULL, "This user must stay in the Administrators role.");
        return false;
    }
    const char *email = json_str(body, "email");
    if (strcmp(u->login, json_str(body, "login")) != 0 ||
        strcmp(u->display_name, json_str(body, "display_name")) != 0 ||
        strcmp(u->email != NULL ? u->email : "", email != NULL ? email : "") != 0) {
        rbac_fail(ex, 403, "admin-user-immutable", NULL, "This user's data cannot be changed.");
        return false;
    }
    return true;
}

static void set_revoked(struct fake_rbac *r, struct rbac_user *u, bool revoked) {
    if (revoked && !u->revoked) {
        rbac_tokens_revoke_of(r->model, u);
    }
    if (!revoked) {
        u->failed_attempts = 0;
    }
    u->revoked = revoked;
}

static void update_user(struct fake_rbac *r, struct http_exchange *ex, const struct rbac_user *caller,
                        struct rbac_user *u, const json_t *body) {
    if (!fixed_user_kept(ex, u, body) || !rbac_roles_exist(r->model, ex, json_object_get(body, "role_ids"))) {
        return;
    }
    if (!u->remote) {
        if (!rbac_user_rename(r->model, u, json_str(body, "login"))) {
            rbac_fail(ex, 409, "conflict", NULL, "A user or group with this login exists already.");
            return;
        }
        text_set(&u->display_name, json_str(body, "display_name"));
        text_set(&u->email, json_str(body, "email"));
    }
    set_roles(&u->roles, json_object_get(body, "role_ids"));
    set_revoked(r, u, json_bool(body, "is_revoked", false));
    char *message = str_printf("User %s (%s) changed.", u->display_name, u->login);
    rbac_log_activity(r, caller, "users", u->id, u->login, "edit", "user", message);
    mem_free(message);
    http_respond_json(ex, 200, rbac_user_json(r->model, u));
}

static void user_put(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const char *id = http_param(ex, "id");
    const struct rbac_user *caller = rbac_require_permission(r, ex, "users", "edit", id);
    struct rbac_user *u = caller != NULL ? rbac_user_asked(r, ex, id) : NULL;
    json_t *body = u != NULL ? body_read(ex, put_fields, rbac_fail) : NULL;
    if (body == NULL) {
        return;
    }
    if (strcmp(json_str(body, "id"), id) != 0) {
        rbac_fail(ex, 400, "inconsistent-id",
                  json_pack("{s:s, s:O}", "url-id", id, "body-id", json_object_get(body, "id")),
                  "The id in the URL and the one in the body differ.");
    } else {
        update_user(r, ex, caller, u, body);
    }
    json_decref(body);
}

static void user_delete(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const char *id = http_param(ex, "id");
    const struct rbac_user *caller = rbac_require_permission(r, ex, "users", "edit", id);
    struct rbac_user *u = caller != NULL ? rbac_user_asked(r, ex, id) : NULL;
    if (u == NULL) {
        return;
    }
    if (is_fixed(u)) {
        rbac_fail(ex, 403, "admin-user-immutable", NULL, "This user cannot be deleted.");
        return;
    }
    char *message = str_printf("User %s (%s) deleted.", u->display_name, u->login);
    rbac_log_activity(r, caller, "users", u->id, u->login, "delete", "user", message);
    mem_free(message);
    rbac_user_remove(r->model, u);
    fake_respond_empty(ex, 204);
}

static const struct body_field user_roles_fields[] = {
    {"user_id", BODY_STRING, true},
    {"role_ids", BODY_INTS, true},
    {NULL, BODY_ANY, false},
};
static const struct body_field user_id_fields[] = {{"user_id", BODY_STRING, true}, {NULL, BODY_ANY, false}};

/* POST /command/users/{add-roles,remove-roles}: route->data is set for removal. */
static void user_roles_command(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_user *caller = rbac_require(r, ex);
    json_t *body = caller != NULL ? body_read(ex, user_roles_fields, rbac_fail) : NULL;
    if (body == NULL) {
        return;
    }
    const json_t *ids = json_object_get(body, "role_ids");
    struct rbac_user *u = rbac_user_asked(r, ex, json_str(body, "user_id"));
    bool remove = route->data != NULL;
    bool allowed = true;
    char instance[24];
    for (size_t i = 0; u != NULL && allowed && i < json_array_size(ids); i++) {
        snprintf(instance, sizeof instance, "%lld", (long long)json_integer_value(json_array_get(ids, i)));
        allowed = rbac_holds(r, caller, "user_roles", "edit_members", instance);
    }
    if (u != NULL && !allowed) {
        rbac_fail(ex, 403, "permission-denied", NULL, "You may not change who has these roles.");
    } else if (u != NULL && remove && is_fixed(u) && has_role(ids, RBAC_ROLE_ADMINISTRATORS)) {
        rbac_fail(ex, 403, "admin-user-not-in-admin-role", NULL, "This user must stay in the Administrators role.");
    } else if (u != NULL && (remove || rbac_roles_exist(r->model, ex, ids))) {
        for (size_t i = 0; i < json_array_size(ids); i++) {
            int64_t id = json_integer_value(json_array_get(ids, i));
            if (remove) {
                id_set_remove(&u->roles, id);
            } else {
                id_set_add(&u->roles, id);
            }
        }
        fake_respond_empty(ex, 204);
    }
    json_decref(body);
}

/* POST /command/users/{revoke,reinstate}: route->data is set for reinstating. */
static void revoke_command(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_user *caller = rbac_require(r, ex);
    json_t *body = caller != NULL ? body_read(ex, user_id_fields, rbac_fail) : NULL;
    if (body == NULL) {
        return;
    }
    struct rbac_user *u = rbac_user_asked(r, ex, json_str(body, "user_id"));
    json_decref(body);
    if (u != NULL && !rbac_holds(r, caller, "users", "disable", u->id)) {
        rbac_fail(ex, 403, "permission-denied", NULL, "You may not revoke or reinstate this user.");
    } else if (u != NULL) {
        set_revoked(r, u, route->data == NULL);
        fake_respond_empty(ex, 204);
    }
}

const struct fake_route rbac_user_routes[] = {
    {"GET", "/rbac-api/v1/users", users_get, NULL},
    {"POST", "/rbac-api/v1/users", users_post, NULL},
    {"GET", "/rbac-api/v1/users/:id", user_get, NULL},
    {"PUT", "/rbac-api/v1/users/:id", user_put, NULL},
    {"DELETE", "/rbac-api/v1/users/:id", user_delete, NULL},
    {"POST", "/rbac-api/v1/command/users/add-roles", user_roles_command, NULL},
    {"POST", "/rbac-api/v1/command/users/remove-roles", user_roles_command, "remove"},
    {"POST", "/rbac-api/v1/command/users/revoke", revoke_command, NULL},
    {"POST", "/rbac-api/v1/command/users/reinstate", revoke_command, "reinstate"},
    {NULL, NULL, NULL, NULL},
};
