/* Changing groups: create, replace, delta, delete, validate, import (classifier.md §8, §14). */
#include "base/mem.h"
#include "fakes/classifier/model.h"
#include <string.h>

static void stamp(struct fake_classifier *c, struct group *g, int64_t serial) {
    g->last_edited_ms = fake_now_ms(&c->base);
    g->serial_number = serial;
}

static bool denied(struct http_exchange *ex, const struct caller *who, const char *action, const char *group_id) {
    if (caller_may(who, action, group_id)) {
        return false;
    }
    char *msg = str_printf("You don't have the %s permission on node group %s.", action, group_id);
    classifier_fail(ex, 403, "permission-denied", NULL, msg);
    mem_free(msg);
    return true;
}

/* A new group out of a body; NULL after answering. The id may be given in the body. */
static struct group *group_from_body(struct fake_classifier *c, struct http_exchange *ex, const json_t *body,
                                     const char *id) {
    struct error err = ERROR_INIT;
    struct group *g = group_read(c->model, body, id, &err);
    if (g != NULL && !group_check(c->model, g, true, &err)) {
        group_free(g);
        g = NULL;
    }
    if (g == NULL) {
        classifier_fail_error(ex, &err);
    }
    error_clear(&err);
    return g;
}

static void group_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    bool only_validate = route->data != NULL;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    if (!caller_known(c, ex, &who)) {
        return;
    }
    json_t *body = body_json(ex, classifier_fail);
    if (body == NULL) {
        return;
    }
    char id[UUID_LEN + 1];
    const char *given = json_str(body, "id");
    world_uuid(f->world, id);
    if (given != NULL && uuid_valid(span_of(given)) && (only_validate || group_find(c->model, given) == NULL)) {
        memcpy(id, given, sizeof id);
    }
    struct group *g = group_from_body(c, ex, body, id);
    json_decref(body);
    if (g == NULL) {
        return;
    }
    if (only_validate) {
        http_respond_json(ex, 200, group_json(c->model, g));
        group_free(g);
    } else if (denied(ex, &who, "modify_children", g->parent)) {
        group_free(g);
    } else if (c->model->groups.count >= CLASSIFIER_GROUPS_MAX) {
        classifier_fail(ex, 500, "application-error", NULL, "There are too many groups.");
        group_free(g);
    } else {
        stamp(c, g, 1);
        group_add(c->model, g);
        char *location = str_printf("/classifier-api/v1/groups/%s", id);
        http_set_header(ex, "Location", location);
        fake_respond_empty(ex, 303);
        mem_free(location);
    }
}

/* The id of the path, valid; NULL after answering 400. An id in the body must be the same. */
static const char *path_id(struct http_exchange *ex, const json_t *body) {
    const char *id = http_param(ex, "id");
    const char *submitted = json_str(body, "id");
    if (!uuid_valid(span_of(id))) {
        json_t *shown = json_string(id);
        classifier_fail(ex, 400, "malformed-uuid", shown != NULL ? shown : json_null(), "The group id is not a UUID.");
        return NULL;
    }
    if (submitted != NULL && strcmp(submitted, id) != 0) {
        classifier_fail(ex, 400, "conflicting-ids", json_pack("{s:s, s:s}", "submitted", submitted, "fromUrl", id),
                        "The group id in the URL and the one in the body differ.");
        return NULL;
    }
    return id;
}

static bool same_group(const struct classifier_model *m, const struct group *a, const struct group *b) {
    json_t *x = group_json(m, a), *y = group_json(m, b);
    static const char *const bookkeeping[] = {"last_edited", "serial_number"};
    for (size_t i = 0; i < sizeof bookkeeping / sizeof bookkeeping[0]; i++) {
        json_object_del(x, bookkeeping[i]);
        json_object_del(y, bookkeeping[i]);
    }
    bool same = json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return same;
}

static bool root_rule_changed(const struct group *old, const struct group *next) {
    return group_is_root(old) && !json_equal(old->rule, next->rule);
}

/* The same classes, perhaps with other parameters? */
static bool same_names(const json_t *a, const json_t *b) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)a, name, value) {
        if (json_object_get(b, name) == NULL) {
            return false;
        }
    }
    return json_object_size(a) == json_object_size(b);
}

/* A change and the permissions of which one is enough for it (classifier.md §15): on the group itself, or on its
 * parent, where modify_children stands for all but the environment. */
struct change {
    bool happened;
    const char *on_group[3], *on_parent[2];
};

static bool one_is_enough(const struct caller *who, const struct change *change, const struct group *g) {
    bool may = false;
    for (size_t i = 0; i < 3 && change->on_group[i] != NULL && !may; i++) {
        may = caller_may(who, change->on_group[i], g->id);
    }
    for (size_t i = 0; i < 2 && change->on_parent[i] != NULL && !may; i++) {
        may = caller_may(who, change->on_parent[i], g->parent);
    }
    return may;
}

static bool may_change(struct http_exchange *ex, const struct caller *who, const struct group *old,
                       const struct group *next) {
    bool renamed = strcmp(old->name, next->name) != 0 || !str_eq(old->description, next->description);
    bool moved = strcmp(old->parent, next->parent) != 0;
    bool environment =
        strcmp(old->environment, next->environment) != 0 || old->environment_trumps != next->environment_trumps;
    bool values = !json_equal(old->classes, next->classes) || !json_equal(old->variables, next->variables);
    const struct change changes[] = {
        {renamed, {"edit_classification"}, {"modify_children"}},
        {moved, {NULL}, {"modify_children"}},
        {environment, {"set_environment"}, {NULL}},
        {!json_equal(old->rule, next->rule), {NULL}, {"edit_child_rules", "modify_children"}},
        {!same_names(old->classes, next->classes), {"edit_classification"}, {"modify_children"}},
        {values, {"edit_classification", "edit_params_and_vars"}, {"modify_children"}},
        {!json_equal(old->config_data, next->config_data),
         {"edit_config_data", "edit_classification"},
         {"modify_children"}},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const struct change *c = &changes[i];
        if (c->happened && !one_is_enough(who, c, old)) {
            const char *needed = c->on_group[0] != NULL ? c->on_group[0] : c->on_parent[0];
            return !denied(ex, who, needed, c->on_group[0] != NULL ? old->id : old->parent);
        }
    }
    return !moved || !denied(ex, who, "modify_children", next->parent); /* it is a new child there */
}

static void group_put(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    if (!caller_known(c, ex, &who)) {
        return;
    }
    json_t *body = body_json(ex, classifier_fail);
    if (body == NULL) {
        return;
    }
    const char *id = path_id(ex, body);
    struct error err = ERROR_INIT;
    struct group *next = id != NULL ? group_read(c->model, body, id, &err) : NULL;
    json_decref(body);
    if (id == NULL) {
        return;
    }
    struct group *old = group_find(c->model, id);
    /* References to classes that are gone may be kept. */
    if (next == NULL || !group_check(c->model, next, false, &err)) {
        classifier_fail_error(ex, &err);
        error_clear(&err);
        group_free(next);
        return;
    }
    if (old != NULL && same_group(c->model, old, next)) {
        http_respond_json(ex, 200, group_json(c->model, old));
        group_free(next);
        return;
    }
    if (old != NULL && root_rule_changed(old, next)) {
        classifier_fail(ex, 422, "root-rule-edit", NULL, "The rule of the root group cannot be changed.");
        group_free(next);
        return;
    }
    if (old != NULL ? !may_change(ex, &who, old, next) : denied(ex, &who, "modify_children", next->parent)) {
        group_free(next);
        return;
    }
    stamp(c, next, old != NULL ? old->serial_number + 1 : 1);
    if (old != NULL) {
        group_replace(c->model, old, next);
    } else {
        group_add(c->model, next);
    }
    http_respond_json(ex, 201, group_json(c->model, next));
}

static const struct body_field delta_fields[] = {
    {"id", BODY_STRING, false},
    {"name", BODY_STRING, false},
    {"parent", BODY_STRING, false},
    {"environment", BODY_STRING, false},
    {"environment_trumps", BODY_BOOL, false},
    {"description", BODY_STRING_OR_NULL, false},
    {"rule", BODY_ARRAY_OR_NULL, false},
    {"classes", BODY_OBJECT, false},
    {"variables", BODY_OBJECT, false},
    {"config_data", BODY_OBJECT, false},
    {"serial_number", BODY_INT, false},
    {NULL, BODY_ANY, false},
};

/* The group as it would be after the delta. */
static json_t *apply_delta(const struct classifier_model *m, const struct group *g, const json_t *delta) {
    static const char *const merged[] = {"classes", "config_data", "variables"};
    json_t *o = group_json(m, g);
    const char *key;
    json_t *value;
    json_object_del(o, "deleted");
    json_object_foreach((json_t *)(uintptr_t)delta, key, value) {
        bool merge = false;
        for (size_t i = 0; i < sizeof merged / sizeof merged[0]; i++) {
            merge = merge || strcmp(merged[i], key) == 0;
        }
        json_set(o, key, merge ? fake_merge_patch(json_object_get(o, key), value) : json_deep_copy(value));
    }
    return o;
}

static size_t count_missing(const struct classifier_model *m, const struct group *g) {
    json_t *missing = group_missing_referents(m, g);
    size_t n = json_array_size(missing);
    json_decref(missing);
    return n;
}

static bool delta_acceptable(const struct classifier_model *m, const struct group *old, const struct group *next,
                             struct error *err) {
    bool more_missing = count_missing(m, next) > count_missing(m, old);
    return group_check(m, next, more_missing, err);
}

static void answer_delta(struct fake_classifier *c, struct http_exchange *ex, const struct caller *who,
                         struct group *old, const json_t *body) {
    struct error err = ERROR_INIT;
    if (!body_check(body, delta_fields, &err)) {
        classifier_fail_error(ex, &err);
        error_clear(&err);
        return;
    }
    if (json_int(body, "serial_number", old->serial_number) != old->serial_number) {
        classifier_fail(ex, 409, "serial-number-conflict", json_integer((json_int_t)old->serial_number),
                        "The group was changed since you read it.");
        return;
    }
    json_t *merged = apply_delta(c->model, old, body);
    struct group *next = group_read(c->model, merged, old->id, &err);
    json_decref(merged);
    if (next == NULL || !delta_acceptable(c->model, old, next, &err)) {
        classifier_fail_error(ex, &err);
        error_clear(&err);
        group_free(next);
    } else if (root_rule_changed(old, next)) {
        classifier_fail(ex, 422, "root-rule-edit", NULL, "The rule of the root group cannot be changed.");
        group_free(next);
    } else if (same_group(c->model, old, next)) {
        http_respond_json(ex, 200, group_json(c->model, old));
        group_free(next);
    } else if (!may_change(ex, who, old, next)) {
        group_free(next);
    } else {
        stamp(c, next, old->serial_number + 1);
        group_replace(c->model, old, next);
        http_respond_json(ex, 200, group_json(c->model, next));
    }
}

static void group_delta(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    struct group *old = group_asked(c, ex, &who);
    if (old == NULL) {
        return;
    }
    json_t *body = body_json(ex, classifier_fail);
    if (body != NULL && path_id(ex, body) != NULL) {
        answer_delta(c, ex, &who, old, body);
    }
    json_decref(body);
}

static void group_delete(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    struct group *g = group_asked(c, ex, &who);
    if (g == NULL || denied(ex, &who, "modify_children", g->parent)) {
        return;
    }
    if (group_is_root(g)) {
        classifier_fail(ex, 403, "permission-denied", NULL, "The root group cannot be deleted.");
        return;
    }
    if (!group_has_children(c->model, g)) {
        group_remove(c->model, g);
        fake_respond_empty(ex, 204);
        return;
    }
    json_t *children = json_array();
    LIST_EACH (k, &c->model->groups) {
        const struct group *child = LIST_ITEM(k, struct group, link);
        if (!group_is_root(child) && strcmp(child->parent, g->id) == 0) {
            json_array_append_new(children, group_json(c->model, child));
        }
    }
    json_t *details = json_pack("{s:o, s:o}", "group", group_json(c->model, g), "children", children);
    classifier_fail(ex, 422, "children-present", details, "The group has children and cannot be deleted.");
}

static bool reaches_root(const struct classifier_model *m, const struct group *g) {
    size_t steps = 0;
    while (g != NULL && !group_is_root(g) && steps++ <= m->groups.count) {
        g = group_parent(m, g);
    }
    return g != NULL && group_is_root(g);
}

/* What hangs in the air after an import: groups whose ancestors end nowhere, or run in a circle. */
static bool check_import(const struct classifier_model *m, struct error *err) {
    json_t *unreachable = json_array();
    LIST_EACH (k, &m->groups) {
        const struct group *g = LIST_ITEM(k, struct group, link);
        if (!group_check(m, g, false, err) && !error_is(err, "missing-parent")) {
            json_decref(unreachable);
            return false;
        }
        error_clear(err);
        if (!reaches_root(m, g)) {
            json_array_append_new(unreachable, group_json(m, g));
        }
    }
    if (json_array_size(unreachable) == 0) {
        json_decref(unreachable);
        return true;
    }
    error_set_details(err, "unreachable-groups", unreachable, "Some groups are not descendants of the root group.");
    return false;
}

static bool fill_import(struct fake_classifier *c, struct classifier_model *m, const json_t *groups,
                        struct error *err) {
    size_t i;
    json_t *o;
    json_array_foreach((json_t *)(uintptr_t)groups, i, o) {
        const char *id = json_str(o, "id");
        if (id == NULL || !uuid_valid(span_of(id)) || group_find(m, id) != NULL || i >= CLASSIFIER_GROUPS_MAX) {
            return error_set(err, "schema-violation", "each group needs an id of its own");
        }
        struct group *g = group_read(m, o, id, err);
        if (g == NULL) {
            return false;
        }
        stamp(c, g, json_int(o, "serial_number", 1));
        group_add(m, g);
    }
    if (group_find(m, CLASSIFIER_ROOT_ID) == NULL) {
        return error_set(err, "schema-violation", "the root group is missing");
    }
    return check_import(m, err);
}

static void import_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    if (!caller_known(c, ex, &who) || denied(ex, &who, "modify_children", CLASSIFIER_ROOT_ID)) {
        return;
    }
    json_t *body = body_json(ex, classifier_fail);
    if (body == NULL) {
        return;
    }
    struct error err = ERROR_INIT;
    struct classifier_model *m = classifier_model_new();
    m->allow_config_data = c->model->allow_config_data;
    m->strict_rules = c->model->strict_rules;
    bool good = json_is_array(body) ? fill_import(c, m, body, &err)
                                    : error_set(&err, "schema-violation", "the body is not an array of groups");
    json_decref(body);
    if (good) {
        /* Only the groups are new: everything else is kept. */
        json_t **keep[][2] = {{&m->environments, &c->model->environments},
                              {&m->classes, &c->model->classes},
                              {&m->nodes, &c->model->nodes},
                              {&m->check_ins, &c->model->check_ins}};
        for (size_t i = 0; i < sizeof keep / sizeof keep[0]; i++) {
            json_t *swap = *keep[i][0];
            *keep[i][0] = *keep[i][1];
            *keep[i][1] = swap;
        }
        m->last_update_ms = c->model->last_update_ms;
        m->record_check_ins = c->model->record_check_ins;
        classifier_model_free(c->model);
        c->model = m;
        fake_respond_empty(ex, 204);
    } else {
        classifier_fail_error(ex, &err);
        classifier_model_free(m);
    }
    error_clear(&err);
}

const struct fake_route classifier_edit_routes[] = {
    {"POST", "/classifier-api/v1/groups", group_post, NULL},
    {"PUT", "/classifier-api/v1/groups/:id", group_put, NULL},
    {"POST", "/classifier-api/v1/groups/:id", group_delta, NULL},
    {"DELETE", "/classifier-api/v1/groups/:id", group_delete, NULL},
    {"POST", "/classifier-api/v1/validate/group", group_post, "validate"},
    {"POST", "/classifier-api/v1/import-hierarchy", import_post, NULL},
    {NULL, NULL, NULL, NULL},
};
