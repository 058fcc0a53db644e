/* Directory groups (rbac.md §9). */
#include "base/mem.h"
#include "fakes/rbac/model.h"
#include <string.h>

static json_t *group_json(const struct rbac_group *g) {
    return json_pack("{s:s, s:s, s:s, s:o, s:O, s:b, s:b, s:b, s:b}", "id", g->id, "login", g->login, "display_name",
                     g->display_name, "role_ids", id_set_json(&g->roles), "user_ids", g->members, "is_group", 1,
                     "is_remote", 1, "is_superuser", 0, "is_revoked", 0);
}

static void groups_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    json_t *ids;
    if (rbac_require(r, ex) == NULL || !rbac_ids_asked(ex, &ids)) {
        return;
    }
    json_t *all = json_array();
    LIST_EACH (k, &r->model->groups) {
        const struct rbac_group *g = LIST_ITEM(k, struct rbac_group, link);
        if (rbac_id_wanted(ids, g->id)) {
            json_array_append_new(all, group_json(g));
        }
    }
    json_decref(ids);
    http_respond_json(ex, 200, all);
}

/* The group of ":id"; NULL after answering 400 or 404. */
static struct rbac_group *group_asked(struct fake_rbac *r, struct http_exchange *ex) {
    const char *id = http_param(ex, "id");
    if (!uuid_valid(span_of(id))) {
        rbac_fail(ex, 400, "invalid-uuid", NULL, "The id of the group is not a UUID.");
        return NULL;
    }
    struct rbac_group *g = rbac_group_find(r->model, id);
    if (g == NULL) {
        rbac_fail(ex, 404, "not-found", NULL, "No such group.");
    }
    return g;
}

static void group_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_group *g = rbac_require(r, ex) != NULL ? group_asked(r, ex) : NULL;
    if (g != NULL) {
        http_respond_json(ex, 200, group_json(g));
    }
}

static void set_roles(struct rbac_group *g, const json_t *ids) {
    id_set_clear(&g->roles);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        id_set_add(&g->roles, json_integer_value(json_array_get(ids, i)));
    }
}

static const struct body_field create_fields[] = {
    {"login", BODY_STRING, true},
    {"role_ids", BODY_INTS, true},
    {NULL, BODY_ANY, false},
};

static void groups_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_user *caller = rbac_require_permission(r, ex, "user_groups", "import", "*");
    json_t *body = caller != NULL ? body_read(ex, create_fields, rbac_fail) : NULL;
    if (body == NULL) {
        return;
    }
    const char *login = json_str(body, "login");
    if (*login == '\0') {
        rbac_fail(ex, 400, "schema-violation", NULL, "The login is empty.");
    } else if (rbac_login_taken(r->model, login)) {
        rbac_fail(ex, 409, "conflict", NULL, "A user or group with this login exists already.");
    } else if (rbac_roles_exist(r->model, ex, json_object_get(body, "role_ids"))) {
        char id[UUID_LEN + 1];
        world_uuid(f->world, id);
        struct rbac_group *g = rbac_group_add(r->model, id, login);
        set_roles(g, json_object_get(body, "role_ids"));
        char *location = str_printf("/rbac-api/v1/groups/%s", id);
        char *message = str_printf("User group %s imported.", login);
        rbac_log_activity(r, caller, "user_groups", g->id, g->login, "import", "user_group", message);
        http_set_header(ex, "Location", location);
        http_respond_json(ex, 201, group_json(g));
        mem_free(location);
        mem_free(message);
    }
    json_decref(body);
}

static const struct body_field put_fields[] = {
    {"id", BODY_STRING, true},
    {"login", BODY_STRING, true},
    {"display_name", BODY_STRING, false},
    {"role_ids", BODY_INTS, true},
    {"user_ids", BODY_STRINGS, false},
    {"is_group", BODY_BOOL, false},
    {"is_remote", BODY_BOOL, false},
    {"is_superuser", BODY_BOOL, false},
    {"is_revoked", BODY_BOOL, false},
    {"identity_provider_id", BODY_ANY, false},
    {NULL, BODY_ANY, false},
};

static void group_put(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_user *caller = rbac_require_permission(r, ex, "user_groups", "import", "*");
    struct rbac_group *g = caller != NULL ? group_asked(r, ex) : NULL;
    json_t *body = g != NULL ? body_read(ex, put_fields, rbac_fail) : NULL;
    if (body == NULL) {
        return;
    }
    if (strcmp(json_str(body, "id"), g->id) != 0) {
        rbac_fail(ex, 400, "inconsistent-id",
                  json_pack("{s:s, s:O}", "url-id", g->id, "body-id", json_object_get(body, "id")),
                  "The id in the URL and the one in the body differ.");
    } else if (rbac_roles_exist(r->model, ex, json_object_get(body, "role_ids"))) {
        set_roles(g, json_object_get(body, "role_ids"));
        http_respond_json(ex, 200, group_json(g));
    }
    json_decref(body);
}

static void group_delete(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    const struct rbac_user *caller = rbac_require_permission(r, ex, "user_groups", "delete", http_param(ex, "id"));
    struct rbac_group *g = caller != NULL ? group_asked(r, ex) : NULL;
    if (g != NULL) {
        char *message = str_printf("User group %s deleted.", g->login);
        rbac_log_activity(r, caller, "user_groups", g->id, g->login, "delete", "user_group", message);
        mem_free(message);
        rbac_group_remove(r->model, g);
        fake_respond_empty(ex, 204);
    }
}

const struct fake_route rbac_group_routes[] = {
    {"GET", "/rbac-api/v1/groups", groups_get, NULL},          {"POST", "/rbac-api/v1/groups", groups_post, NULL},
    {"GET", "/rbac-api/v1/groups/:id", group_get, NULL},       {"PUT", "/rbac-api/v1/groups/:id", group_put, NULL},
    {"DELETE", "/rbac-api/v1/groups/:id", group_delete, NULL}, {NULL, NULL, NULL, NULL},
};
