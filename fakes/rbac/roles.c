/* Roles (rbac.md §10). */
#include "base/mem.h"
#include "fakes/rbac/model.h"
#include <string.h>

static json_t *permissions_json(const struct rbac_role *role) {
    json_t *all = json_array();
    for (size_t i = 0; i < role->permission_count; i++) {
        const struct rbac_permission *p = &role->permissions[i];
        json_array_append_new(all, json_pack("{s:s, s:s, s:s}", "object_type", p->object_type, "action", p->action,
                                             "instance", p->instance));
    }
    return all;
}

static json_t *role_json(const struct rbac_model *m, const struct rbac_role *role) {
    json_t *users = json_array(), *groups = json_array();
    LIST_EACH (k, &m->users) {
        const struct rbac_user *u = LIST_ITEM(k, struct rbac_user, link);
        if (id_set_has(&u->roles, role->id)) {
            json_array_append_new(users, json_string(u->id));
        }
    }
    LIST_EACH (k, &m->groups) {
        const struct rbac_group *g = LIST_ITEM(k, struct rbac_group, link);
        if (id_set_has(&g->roles, role->id)) {
            json_array_append_new(groups, json_string(g->id));
        }
    }
    return json_pack("{s:I, s:s, s:s?, s:o, s:o, s:o}", "id", (json_int_t)role->id, "display_name", role->display_name,
                     "description", role->description, "permissions", permissions_json(role), "user_ids", users,
                     "group_ids", groups);
}

static bool is_default(const struct rbac_role *role) {
    return role->id < RBAC_ROLE_FIRST_OWN;
}

static void roles_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    if (rbac_require(r, ex) == NULL) {
        return;
    }
    json_t *all = json_array();
    LIST_EACH (k, &r->model->roles) {
        json_array_append_new(all, role_json(r->model, LIST_ITEM(k, struct rbac_role, link)));
    }
    http_respond_json(ex, 200, all);
}

/* The role of ":id"; NULL after answering 404. */
static struct rbac_role *role_asked(struct fake_rbac *r, struct http_exchange *ex) {
    int64_t id;
    struct rbac_role *role = span_to_i64(span_of(http_param(ex, "id")), &id) ? rbac_role_find(r->model, id) : NULL;
    if (role == NULL) {
        rbac_fail(ex, 404, "not-found", NULL, "No such role.");
    }
    return role;
}

static void role_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_role *role = rbac_require(r, ex) != NULL ? role_asked(r, ex) : NULL;
    if (role != NULL) {
        http_respond_json(ex, 200, role_json(r->model, role));
    }
}

static const struct body_field role_fields[] = {
    {"display_name", BODY_STRING, true},
    {"description", BODY_STRING_OR_NULL, false},
    {"permissions", BODY_ARRAY, true},
    {"user_ids", BODY_STRINGS, true},
    {"group_ids", BODY_STRINGS, true},
    {"id", BODY_INT, false},
    {NULL, BODY_ANY, false},
};
static const struct body_field permission_fields[] = {
    {"object_type", BODY_STRING, true},
    {"action", BODY_STRING, true},
    {"instance", BODY_STRING, true},
    {NULL, BODY_ANY, false},
};

/* Permissions are triples; false after answering 400. */
static bool permissions_ok(struct http_exchange *ex, const json_t *permissions) {
    struct error err = ERROR_INIT;
    for (size_t i = 0; i < json_array_size(permissions); i++) {
        if (!body_check(json_array_get(permissions, i), permission_fields, &err)) {
            rbac_fail_error(ex, 400, &err);
            error_clear(&err);
            return false;
        }
    }
    return true;
}

static bool unknown_id(struct http_exchange *ex, json_t *id) {
    rbac_fail(ex, 422, "invalid-associated-id", json_incref(id), "One of the user or group ids does not exist.");
    return false;
}

/* False after answering 422. */
static bool members_exist(const struct rbac_model *m, struct http_exchange *ex, const json_t *users,
                          const json_t *groups) {
    for (size_t i = 0; i < json_array_size(users); i++) {
        json_t *id = json_array_get(users, i);
        if (rbac_user_find(m, json_string_value(id)) == NULL) {
            return unknown_id(ex, id);
        }
    }
    for (size_t i = 0; i < json_array_size(groups); i++) {
        json_t *id = json_array_get(groups, i);
        if (rbac_group_find(m, json_string_value(id)) == NULL) {
            return unknown_id(ex, id);
        }
    }
    return true;
}

static void grant_all(struct rbac_role *role, const json_t *permissions) {
    for (size_t i = 0; i < json_array_size(permissions); i++) {
        const json_t *p = json_array_get(permissions, i);
        rbac_role_grant(role, json_str(p, "object_type"), json_str(p, "action"), json_str(p, "instance"));
    }
}

static bool listed(const json_t *ids, const char *id) {
    for (size_t i = 0; i < json_array_size(ids); i++) {
        if (strcmp(json_string_value(json_array_get(ids, i)), id) == 0) {
            return true;
        }
    }
    return false;
}

static void set_member(struct id_set *roles, int64_t role, bool member) {
    if (member) {
        id_set_add(roles, role);
    } else {
        id_set_remove(roles, role);
    }
}

static void set_members(struct rbac_model *m, const struct rbac_role *role, const json_t *users, const json_t *groups) {
    LIST_EACH (k, &m->users) {
        struct rbac_user *u = LIST_ITEM(k, struct rbac_user, link);
        set_member(&u->roles, role->id, listed(users, u->id));
    }
    LIST_EACH (k, &m->groups) {
        struct rbac_group *g = LIST_ITEM(k, struct rbac_group, link);
        set_member(&g->roles, role->id, listed(groups, g->id));
    }
}

static void log_role(struct fake_rbac *r, const struct rbac_user *caller, const struct rbac_role *role,
                     const char *type) {
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)role->id);
    char *message = str_printf("Role %s: %s.", role->display_name, type);
    rbac_log_activity(r, caller, "roles", id, role->display_name, type, "role", message);
    mem_free(message);
}

static void roles_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_user *caller = rbac_require_permission(r, ex, "user_roles", "create", "*");
    json_t *body = caller != NULL ? body_read(ex, role_fields, rbac_fail) : NULL;
    if (body == NULL) {
        return;
    }
    const json_t *users = json_object_get(body, "user_ids"), *groups = json_object_get(body, "group_ids");
    const json_t *permissions = json_object_get(body, "permissions");
    if (permissions_ok(ex, permissions) && members_exist(r->model, ex, users, groups)) {
        if (rbac_role_by_name(r->model, json_str(body, "display_name")) != NULL) {
            rbac_fail(ex, 409, "conflict", NULL, "A role with this name exists already.");
        } else {
            struct rbac_role *role =
                rbac_role_add(r->model, r->model->last_role_id + 1, json_str(body, "display_name"));
            text_set(&role->description, json_str(body, "description"));
            grant_all(role, permissions);
            set_members(r->model, role, users, groups);
            log_role(r, caller, role, "create");
            char *location = str_printf("/rbac-api/v1/roles/%lld", (long long)role->id);
            http_set_header(ex, "Location", location);
            http_respond_json(ex, 201, role_json(r->model, role));
            mem_free(location);
        }
    }
    json_decref(body);
}

/* What may not be changed about a default role; false after answering 403. */
static bool default_kept(struct http_exchange *ex, const struct rbac_role *role, const json_t *body) {
    if (!is_default(role)) {
        return true;
    }
    if (strcmp(role->display_name, json_str(body, "display_name")) != 0 ||
        !str_eq(role->description, json_str(body, "description"))) {
        rbac_fail(ex, 403, "default-roles-immutable", NULL, "The default roles keep their names and descriptions.");
        return false;
    }
    const json_t *users = json_object_get(body, "user_ids");
    if (role->id == RBAC_ROLE_ADMINISTRATORS && (!listed(users, RBAC_ADMIN_ID) || !listed(users, RBAC_API_USER_ID))) {
        rbac_fail(ex, 403, "admin-user-not-in-admin-role", NULL, "admin and api_user stay in the Administrators role.");
        return false;
    }
    return true;
}

/* admin and api_user, and not everybody who may edit a role may change who has it. */
static void update_role(struct fake_rbac *r, struct http_exchange *ex, const struct rbac_user *caller,
                        struct rbac_role *role, const json_t *body) {
    const json_t *users = json_object_get(body, "user_ids"), *groups = json_object_get(body, "group_ids");
    const struct rbac_role *same_name = rbac_role_by_name(r->model, json_str(body, "display_name"));
    if (json_int(body, "id", role->id) != role->id) {
        rbac_fail(ex, 400, "inconsistent-id",
                  json_pack("{s:I, s:O}", "url-id", (json_int_t)role->id, "body-id", json_object_get(body, "id")),
                  "The id in the URL and the one in the body differ.");
    } else if (same_name != NULL && same_name != role) {
        rbac_fail(ex, 409, "conflict", NULL, "A role with this name exists already.");
    } else if (permissions_ok(ex, json_object_get(body, "permissions")) && members_exist(r->model, ex, users, groups) &&
               default_kept(ex, role, body)) {
        text_set(&role->display_name, json_str(body, "display_name"));
        text_set(&role->description, json_str(body, "description"));
        rbac_role_clear(role);
        grant_all(role, json_object_get(body, "permissions"));
        set_members(r->model, role, users, groups);
        log_role(r, caller, role, "edit");
        http_respond_json(ex, 200, role_json(r->model, role));
    }
}

static void role_put(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_user *caller = rbac_require_permission(r, ex, "user_roles", "edit", http_param(ex, "id"));
    struct rbac_role *role = caller != NULL ? role_asked(r, ex) : NULL;
    json_t *body = role != NULL ? body_read(ex, role_fields, rbac_fail) : NULL;
    if (body != NULL) {
        update_role(r, ex, caller, role, body);
        json_decref(body);
    }
}

static void role_delete(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_user *caller = rbac_require_permission(r, ex, "user_roles", "edit", http_param(ex, "id"));
    struct rbac_role *role = caller != NULL ? role_asked(r, ex) : NULL;
    if (role == NULL) {
        return;
    }
    if (is_default(role)) {
        rbac_fail(ex, 403, "default-roles-immutable", NULL, "The default roles cannot be deleted.");
        return;
    }
    log_role(r, caller, role, "delete");
    rbac_role_remove(r->model, role);
    fake_respond_empty(ex, 204);
}

/* What a role command does. */
struct command {
    const char *key; /* "user_ids", "group_ids", "permissions" */
    bool remove;
    const char *action; /* of user_roles, needed */
};

static const struct body_field command_fields[] = {
    {"role_id", BODY_INT, true},        {"user_ids", BODY_STRINGS, false}, {"group_ids", BODY_STRINGS, false},
    {"permissions", BODY_ARRAY, false}, {NULL, BODY_ANY, false},
};

static void apply_members(struct fake_rbac *r, const struct rbac_role *role, const json_t *ids, bool remove) {
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        struct rbac_user *u = rbac_user_find(r->model, id);
        struct rbac_group *g = rbac_group_find(r->model, id);
        if (u != NULL) {
            set_member(&u->roles, role->id, !remove);
        } else if (g != NULL) {
            set_member(&g->roles, role->id, !remove);
        }
    }
}

static void apply_permissions(struct rbac_role *role, const json_t *permissions, bool remove) {
    if (!remove) {
        grant_all(role, permissions);
        return;
    }
    for (size_t i = 0; i < json_array_size(permissions); i++) {
        const json_t *p = json_array_get(permissions, i);
        rbac_role_withdraw(role, json_str(p, "object_type"), json_str(p, "action"), json_str(p, "instance"));
    }
}

static void run_command(struct fake_rbac *r, struct http_exchange *ex, const struct command *c, struct rbac_role *role,
                        const json_t *items) {
    bool permissions = strcmp(c->key, "permissions") == 0;
    bool users = strcmp(c->key, "user_ids") == 0;
    if (c->remove && users && role->id == RBAC_ROLE_ADMINISTRATORS &&
        (listed(items, RBAC_ADMIN_ID) || listed(items, RBAC_API_USER_ID))) {
        rbac_fail(ex, 403, "admin-user-not-in-admin-role", NULL, "admin and api_user stay in the Administrators role.");
        return;
    }
    if (permissions ? !permissions_ok(ex, items)
                    : !c->remove && !members_exist(r->model, ex, users ? items : NULL, users ? NULL : items)) {
        return;
    }
    if (permissions) {
        apply_permissions(role, items, c->remove);
    } else {
        apply_members(r, role, items, c->remove);
    }
    fake_respond_empty(ex, 204);
}

static void role_command(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    const struct command *c = route->data;
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_user *caller = rbac_require(r, ex);
    json_t *body = caller != NULL ? body_read(ex, command_fields, rbac_fail) : NULL;
    if (body == NULL) {
        return;
    }
    const json_t *items = json_object_get(body, c->key);
    int64_t id = json_int(body, "role_id", 0);
    struct rbac_role *role = rbac_role_find(r->model, id);
    char instance[24];
    snprintf(instance, sizeof instance, "%lld", (long long)id);
    if (items == NULL) {
        rbac_fail(ex, 400, "schema-violation", NULL, "The list of what to add or remove is missing.");
    } else if (!rbac_holds(r, caller, "user_roles", c->action, instance)) {
        rbac_fail(ex, 403, "permission-denied", NULL, "You may not change this role.");
    } else if (role == NULL && c->remove) {
        fake_respond_empty(ex, 204);
    } else if (role == NULL) {
        rbac_fail(ex, 404, "not-found", NULL, "No such role.");
    } else {
        run_command(r, ex, c, role, items);
    }
    json_decref(body);
}

static const struct command add_users = {"user_ids", false, "edit_members"},
                            remove_users = {"user_ids", true, "edit_members"},
                            add_groups = {"group_ids", false, "edit_members"},
                            remove_groups = {"group_ids", true, "edit_members"},
                            add_permissions = {"permissions", false, "edit"},
                            remove_permissions = {"permissions", true, "edit"};

const struct fake_route rbac_role_routes[] = {
    {"GET", "/rbac-api/v1/roles", roles_get, NULL},
    {"POST", "/rbac-api/v1/roles", roles_post, NULL},
    {"GET", "/rbac-api/v1/roles/:id", role_get, NULL},
    {"PUT", "/rbac-api/v1/roles/:id", role_put, NULL},
    {"DELETE", "/rbac-api/v1/roles/:id", role_delete, NULL},
    {"POST", "/rbac-api/v1/command/roles/add-users", role_command, &add_users},
    {"POST", "/rbac-api/v1/command/roles/remove-users", role_command, &remove_users},
    {"POST", "/rbac-api/v1/command/roles/add-groups", role_command, &add_groups},
    {"POST", "/rbac-api/v1/command/roles/remove-groups", role_command, &remove_groups},
    {"POST", "/rbac-api/v1/command/roles/add-permissions", role_command, &add_permissions},
    {"POST", "/rbac-api/v1/command/roles/remove-permissions", role_command, &remove_permissions},
    {NULL, NULL, NULL, NULL},
};
