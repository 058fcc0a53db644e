/* Who may do what (rbac.md §6.3, §6.4). */
#include "base/digest.h"
#include "base/mem.h"
#include "fakes/rbac/model.h"
#include <string.h>

enum { GROUP_DEPTH_MAX = 1000 }; /* ancestors walked; a cycle cannot hold us */

static bool grants(const struct rbac_permission *p, const char *type, const char *action) {
    if (strcmp(p->object_type, type) != 0) {
        return false;
    }
    if (strcmp(p->action, action) == 0) {
        return true;
    }
    /* Whoever may change a node group may see it. */
    return strcmp(type, "node_groups") == 0 && strcmp(action, "view") == 0;
}

static bool covers(const struct fake_rbac *r, const char *held, const char *type, const char *asked) {
    if (strcmp(held, "*") == 0) {
        return true;
    }
    bool groups = strcmp(type, "node_groups") == 0;
    if (groups && strcmp(held, RBAC_ROOT_GROUP) == 0) {
        return true;
    }
    if (strcmp(asked, "*") == 0) {
        return false;
    }
    const char *id = asked;
    for (int depth = 0; depth < GROUP_DEPTH_MAX; depth++) {
        if (strcmp(held, id) == 0) {
            return true;
        }
        if (!groups || r->parent_of == NULL || !r->parent_of(r->parent_ctx, id, &id)) {
            return false;
        }
    }
    return false;
}

static bool role_holds(const struct fake_rbac *r, int64_t role_id, const char *type, const char *action,
                       const char *instance) {
    const struct rbac_role *role = rbac_role_find(r->model, role_id);
    for (size_t i = 0; role != NULL && i < role->permission_count; i++) {
        const struct rbac_permission *p = &role->permissions[i];
        if (grants(p, type, action) && covers(r, p->instance, type, instance)) {
            return true;
        }
    }
    return false;
}

static bool set_holds(const struct fake_rbac *r, const struct id_set *roles, const char *type, const char *action,
                      const char *instance) {
    for (size_t i = 0; i < roles->count; i++) {
        if (role_holds(r, roles->items[i], type, action, instance)) {
            return true;
        }
    }
    return false;
}

bool rbac_holds(const struct fake_rbac *r, const struct rbac_user *u, const char *type, const char *action,
                const char *instance) {
    if (u->revoked || !rbac_action_known(type, action)) {
        return false;
    }
    if (u->superuser || set_holds(r, &u->roles, type, action, instance)) {
        return true;
    }
    LIST_EACH (k, &r->model->groups) {
        const struct rbac_group *g = LIST_ITEM(k, struct rbac_group, link);
        if (rbac_group_has(g, u->id) && set_holds(r, &g->roles, type, action, instance)) {
            return true;
        }
    }
    return false;
}

bool fake_rbac_permitted(const struct fake_rbac *r, const struct rbac_user *user, const char *type, const char *action,
                         const char *instance) {
    return rbac_holds(r, user, type, action, instance);
}

bool fake_rbac_token_permits(void *rbac, const char *token, const char *permission, struct error *err) {
    struct fake_rbac *r = rbac;
    struct rbac_user *u = NULL;
    struct span rest = span_of(permission), type = {0}, action = {0};
    if (rbac_token_check(r, span_of(token), true, &u, err) == NULL) {
        return false;
    }
    span_split(&rest, ':', &type);
    span_split(&rest, ':', &action);
    char *parts[] = {span_dup(type), span_dup(action), span_dup(rest)};
    bool holds = rbac_holds(r, u, parts[0], parts[1], parts[2]);
    for (size_t i = 0; i < 3; i++) {
        mem_free(parts[i]);
    }
    return holds || error_set(err, "denied", "%s lacks the permission %s", u->login, permission);
}

static void types_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    if (rbac_require(rbac_of(f), ex) != NULL) {
        http_respond_json(ex, 200, rbac_types_json());
    }
}

static const struct body_field permitted_fields[] = {
    {"token", BODY_STRING, true},
    {"permissions", BODY_ARRAY, true},
    {NULL, BODY_ANY, false},
};
static const struct body_field permission_fields[] = {
    {"object_type", BODY_STRING, true},
    {"action", BODY_STRING, true},
    {"instance", BODY_STRING, true},
    {NULL, BODY_ANY, false},
};

static json_t *answers(const struct fake_rbac *r, const struct rbac_user *u, const json_t *permissions,
                       struct error *err) {
    json_t *all = json_array();
    size_t i;
    json_t *p;
    json_array_foreach((json_t *)(uintptr_t)permissions, i, p) {
        if (!body_check(p, permission_fields, err)) {
            json_decref(all);
            return NULL;
        }
        json_array_append_new(all,
                              json_boolean(u != NULL && rbac_holds(r, u, json_str(p, "object_type"),
                                                                   json_str(p, "action"), json_str(p, "instance"))));
    }
    return all;
}

static void permitted_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    if (rbac_require(r, ex) == NULL) {
        return;
    }
    json_t *body = body_read(ex, permitted_fields, rbac_fail);
    if (body == NULL) {
        return;
    }
    const char *id = json_str(body, "token");
    struct error err = ERROR_INIT;
    if (!uuid_valid(span_of(id))) {
        rbac_fail(ex, 400, "invalid-uuid", NULL, "The subject id in \"token\" is not a UUID.");
    } else {
        json_t *all = answers(r, rbac_user_find(r->model, id), json_object_get(body, "permissions"), &err);
        if (all != NULL) {
            http_respond_json(ex, 200, all);
        } else {
            rbac_fail_error(ex, 400, &err);
        }
    }
    error_clear(&err);
    json_decref(body);
}

static void collect_role(const struct fake_rbac *r, int64_t role_id, const char *type, const char *action,
                         struct map *instances) {
    const struct rbac_role *role = rbac_role_find(r->model, role_id);
    for (size_t i = 0; role != NULL && i < role->permission_count; i++) {
        const struct rbac_permission *p = &role->permissions[i];
        if (grants(p, type, action)) {
            map_put(instances, span_of(p->instance), p->instance);
        }
    }
}

/* The instances a user may act on; ["*"] when all. */
static json_t *instances_of(const struct fake_rbac *r, const struct rbac_user *u, const char *type,
                            const char *action) {
    if (rbac_holds(r, u, type, action, "*")) {
        return json_pack("[s]", "*");
    }
    struct map found = MAP_INIT;
    for (size_t i = 0; i < u->roles.count && !u->revoked; i++) {
        collect_role(r, u->roles.items[i], type, action, &found);
    }
    LIST_EACH (k, &r->model->groups) {
        const struct rbac_group *g = LIST_ITEM(k, struct rbac_group, link);
        for (size_t i = 0; i < g->roles.count && !u->revoked && rbac_group_has(g, u->id); i++) {
            collect_role(r, g->roles.items[i], type, action, &found);
        }
    }
    json_t *all = json_array();
    for (struct map_iter i = map_iter(&found); map_next(&i);) {
        json_array_append_new(all, json_str_new(i.key));
    }
    map_free(&found);
    return all;
}

static void instances_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_user *u = rbac_require(r, ex);
    if (u == NULL) {
        return;
    }
    const char *type = http_param(ex, "type");
    const char *action = http_param(ex, "action");
    const char *id = http_param(ex, "id");
    if (id != NULL && !uuid_valid(span_of(id))) {
        rbac_fail(ex, 400, "invalid-uuid", NULL, "The id in the path is not a UUID.");
        return;
    }
    const struct rbac_user *subject = id != NULL ? rbac_user_find(r->model, id) : u;
    if (subject == NULL || !rbac_action_known(type, action)) {
        rbac_fail(ex, 404, "not-found", NULL, subject == NULL ? "No such user." : "No such type or action.");
        return;
    }
    http_respond_json(ex, 200, instances_of(r, subject, type, action));
}

const struct fake_route rbac_permission_routes[] = {
    {"GET", "/rbac-api/v1/types", types_get, NULL},
    {"POST", "/rbac-api/v1/permitted", permitted_post, NULL},
    {"GET", "/rbac-api/v1/permitted/:type/:action", instances_get, NULL},
    {"GET", "/rbac-api/v1/permitted/:type/:action/:id", instances_get, NULL},
    {NULL, NULL, NULL, NULL},
};
