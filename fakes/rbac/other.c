/* Allow-listed certificates (rbac.md §12), directory settings (§11) and the switch for old answers. */
#include "base/mem.h"
#include "fakes/activity/activity.h"
#include "fakes/rbac/model.h"
#include <string.h>

static bool on_list(const struct rbac_model *m, const char *cn) {
    for (size_t i = 0; i < json_array_size(m->allowlist); i++) {
        if (strcmp(json_string_value(json_array_get(m->allowlist, i)), cn) == 0) {
            return true;
        }
    }
    return false;
}

/* v1 says "whitelisted", v2 "allowlisted"; route->data is the key. */
static void cert_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    struct fake_rbac *r = rbac_of(f);
    const char *key = route->data;
    if (strcmp(key, "allowlisted") == 0 && !r->model->settings.certs_v2) {
        fake_respond_text(ex, 404, "Not Found");
        return;
    }
    if (rbac_require(r, ex) == NULL) {
        return;
    }
    const char *cn = http_param(ex, "cn");
    const struct rbac_user *u = on_list(r->model, cn) ? rbac_user_find(r->model, RBAC_API_USER_ID) : NULL;
    json_t *name = json_string(cn);
    http_respond_json(ex, 200,
                      json_pack("{s:o, s:b, s:o}", "cn", name != NULL ? name : json_null(), key, u != NULL, "subject",
                                u != NULL ? rbac_user_json(r->model, u) : json_null()));
}

static bool may_see_directory(struct fake_rbac *r, struct http_exchange *ex) {
    return rbac_require_permission(r, ex, "directory_service", "edit", "*") != NULL;
}

static void ds_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    if (may_see_directory(r, ex)) {
        json_t *shown = json_deep_copy(r->model->directory);
        json_object_del(shown, "password");
        json_object_del(shown, "test");
        http_respond_json(ex, 200, shown);
    }
}

static bool all_null(const json_t *settings) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)settings, key, value) {
        if (!json_is_null(value)) {
            return false;
        }
    }
    return true;
}

static void ds_put(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    if (!may_see_directory(r, ex)) {
        return;
    }
    json_t *body = body_json(ex, rbac_fail);
    if (body == NULL) {
        return;
    }
    if (!json_is_object(body)) {
        rbac_fail(ex, 400, "schema-violation", NULL, "The settings are not an object.");
        json_decref(body);
        return;
    }
    json_t *test = json_incref(json_object_get(r->model->directory, "test"));
    json_object_clear(r->model->directory);
    if (!all_null(body)) {
        json_object_update(r->model->directory, body);
    }
    json_decref(body);
    if (test != NULL) {
        json_set(r->model->directory, "test", test);
    }
    ds_get(f, ex, route);
}

/* There is no directory: the answer is the fixture's "directory": {"test": {…}}. */
static void ds_test(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    if (may_see_directory(r, ex)) {
        json_t *answer = json_object_get(r->model->directory, "test");
        http_respond_json(ex, 200,
                          answer != NULL
                              ? json_deep_copy(answer)
                              : json_pack("{s:i, s:s}", "elapsed", 0, "error", "No directory is connected."));
    }
}

static const struct body_field legacy_fields[] = {
    {"certs_v2", BODY_BOOL, false},
    {"activity_v2", BODY_BOOL, false},
    {NULL, BODY_ANY, false},
};

/* Answers 404 on the newer routes, so that clients fall back. */
static void legacy_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_rbac *r = rbac_of(f);
    json_t *body = body_read(ex, legacy_fields, rbac_fail);
    if (body == NULL) {
        return;
    }
    r->model->settings.certs_v2 = json_bool(body, "certs_v2", r->model->settings.certs_v2);
    struct fake *activity = fake_sibling(f, "activity");
    if (activity != NULL && json_object_get(body, "activity_v2") != NULL) {
        fake_activity_set_v2(activity, json_bool(body, "activity_v2", true));
    }
    json_decref(body);
    fake_respond_empty(ex, 204);
}

const struct fake_route rbac_other_routes[] = {
    {"GET", "/rbac-api/v1/certs/:cn", cert_get, "whitelisted"},
    {"GET", "/rbac-api/v2/certs/:cn", cert_get, "allowlisted"},
    {"GET", "/rbac-api/v1/ds", ds_get, NULL},
    {"PUT", "/rbac-api/v1/ds", ds_put, NULL},
    {"GET", "/rbac-api/v1/ds/test", ds_test, NULL},
    {"PUT", "/rbac-api/v1/ds/test", ds_test, NULL},
    {"POST", "/_fake/legacy", legacy_post, NULL},
    /* SAML belongs to later releases and is not served. */
    {NULL, "/rbac-api/v1/saml", NULL, NULL},
    {NULL, "/rbac-api/v1/saml/meta", NULL, NULL},
    {NULL, NULL, NULL, NULL},
};
