/* Reading groups: lists, one, rules, nodes, children (classifier.md §8, §10, §11). */
#include "base/mem.h"
#include "fakes/classifier/model.h"
#include <string.h>

static bool wants_inherited(struct http_exchange *ex) {
    const char *value = http_query(ex, "inherited");
    return value != NULL && strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
}

static void groups_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    if (!caller_known(c, ex, &who)) {
        return;
    }
    bool inherited = wants_inherited(ex);
    size_t count;
    struct group **all = groups_sorted(c->model, &count);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (caller_may(&who, "view", all[i]->id)) {
            json_array_append_new(list,
                                  inherited ? group_json_inherited(c->model, all[i]) : group_json(c->model, all[i]));
        }
    }
    mem_free(all);
    list = page_of(ex, list);
    if (list != NULL) {
        http_respond_json(ex, 200, list);
    }
}

static void group_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    const struct group *g = group_asked(c, ex, &who);
    if (g != NULL) {
        http_respond_json(ex, 200, wants_inherited(ex) ? group_json_inherited(c->model, g) : group_json(c->model, g));
    }
}

static json_t *translated(const json_t *rule, enum rule_format format) {
    json_t *simple = rule_simplified(rule);
    json_t *query = rule_translate(simple, format);
    json_decref(simple);
    return query != NULL ? query : json_null();
}

static void rules_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    const struct group *g = group_asked(c, ex, &who);
    if (g == NULL) {
        return;
    }
    json_t *inherited = group_rule_inherited(c->model, g);
    json_t *nodes = inherited != NULL ? translated(inherited, RULE_FORMAT_NODES) : json_null();
    json_t *inventory = inherited != NULL ? translated(inherited, RULE_FORMAT_INVENTORY) : json_null();
    http_respond_json(ex, 200,
                      json_pack("{s:o, s:o, s:{s:o, s:o}}", "rule",
                                g->rule != NULL ? json_deep_copy(g->rule) : json_null(), "rule_with_inherited",
                                inherited != NULL ? inherited : json_null(), "translated", "nodes_query_format", nodes,
                                "inventory_query_format", inventory));
}

static json_t *node_names(struct fake_classifier *c, const struct group *g, struct error *err) {
    json_t *rule = g->rule != NULL ? group_rule_inherited(c->model, g) : NULL;
    if (rule == NULL) {
        return json_array();
    }
    json_t *query = translated(rule, RULE_FORMAT_INVENTORY);
    json_t *names = c->nodes_of(c->ctx, query, err);
    json_decref(query);
    json_decref(rule);
    return names;
}

static void nodes_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    const struct group *g = group_asked(c, ex, &who);
    if (g == NULL) {
        return;
    }
    if (c->nodes_of == NULL) {
        fake_respond_error(ex, 501, "dalang/not-implemented", NULL,
                           "the fake classifier was given no PuppetDB to ask for the nodes of a group");
        return;
    }
    struct error err = ERROR_INIT;
    json_t *names = node_names(c, g, &err);
    if (names == NULL) {
        classifier_fail(ex, 500, "application-error", NULL, err.msg);
        error_clear(&err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(names); i++) {
        json_array_append_new(list, json_pack("{s:O}", "name", json_array_get(names, i)));
    }
    json_decref(names);
    http_respond_json(ex, 200, list);
}

/* A walk over the groups below one. */
struct tree {
    const struct classifier_model *m;
    const struct caller *who;
    struct group **all; /* sorted */
    size_t count;
    uint64_t depth;
};

static bool is_child(const struct group *g, const struct group *of) {
    return !group_is_root(g) && strcmp(g->parent, of->id) == 0;
}

static json_t *tree_json(const struct tree *t, const struct group *g, uint64_t level) {
    json_t *children = json_array();
    json_int_t immediate = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (is_child(t->all[i], g)) {
            immediate++;
            if (level < t->depth) {
                json_array_append_new(children, tree_json(t, t->all[i], level + 1));
            }
        }
    }
    json_t *o = group_json(t->m, g);
    json_set(o, "immediate_child_count", json_integer(immediate));
    json_set(o, "children", children);
    return o;
}

/* One tree per highest group the caller may see. Permissions hold for descendants, so what is below one is visible. */
static void visible_trees(const struct tree *t, const struct group *g, uint64_t level, json_t *to) {
    if (level > t->depth) {
        return;
    }
    if (caller_may(t->who, "view", g->id)) {
        json_array_append_new(to, tree_json(t, g, level));
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        if (is_child(t->all[i], g)) {
            visible_trees(t, t->all[i], level + 1, to);
        }
    }
}

static void children_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    if (!caller_known(c, ex, &who)) {
        return;
    }
    const char *id = http_param(ex, "id");
    struct tree t = {.m = c->model, .who = &who, .depth = UINT64_MAX};
    bool given;
    if (!uuid_valid(span_of(id))) {
        json_t *shown = json_string(id);
        classifier_fail(ex, 400, "malformed-uuid", shown != NULL ? shown : json_null(), "The group id is not a UUID.");
        return;
    }
    const struct group *g = group_find(c->model, id);
    if (g == NULL) {
        classifier_fail(ex, 404, "not-found", json_string(http_request(ex)->path), "The resource could not be found.");
        return;
    }
    if (!count_asked(ex, "depth", &t.depth, &given)) {
        return;
    }
    t.all = groups_sorted(c->model, &t.count);
    json_t *list = json_array();
    visible_trees(&t, g, 0, list);
    mem_free(t.all);
    http_respond_json(ex, 200, list);
}

static void translate_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    if (!caller_known(c, ex, &who)) {
        return;
    }
    const char *format = http_query(ex, "format");
    if (format != NULL && strcmp(format, "nodes") != 0 && strcmp(format, "inventory") != 0) {
        classifier_fail(ex, 400, "invalid-format", NULL, "The format is nodes or inventory.");
        return;
    }
    json_t *rule = body_json(ex, classifier_fail);
    if (rule == NULL) {
        return;
    }
    struct error err = ERROR_INIT;
    if (!rule_check(rule, c->model->strict_rules, &err)) {
        json_t *details =
            json_pack("{s:O, s:s, s:s}", "submitted", rule, "schema", "a rule condition", "error", err.msg);
        classifier_fail(ex, 400, "schema-violation", details, "The object you submitted is not a rule.");
    } else {
        bool inventory = format != NULL && strcmp(format, "inventory") == 0;
        json_t *query = rule_translate(rule, inventory ? RULE_FORMAT_INVENTORY : RULE_FORMAT_NODES);
        if (query != NULL) {
            http_respond_json(ex, 200, json_pack("{s:o}", "query", query));
        } else {
            classifier_fail(ex, 422, "untranslatable-rule", json_incref(rule),
                            "The rule cannot be translated: it uses structured or trusted facts.");
        }
    }
    error_clear(&err);
    json_decref(rule);
}

const struct fake_route classifier_group_routes[] = {
    {"GET", "/classifier-api/v1/groups", groups_get, NULL},
    {"GET", "/classifier-api/v1/groups/:id", group_get, NULL},
    {"GET", "/classifier-api/v1/groups/:id/rules", rules_get, NULL},
    {"GET", "/classifier-api/v1/groups/:id/nodes", nodes_get, NULL},
    {"GET", "/classifier-api/v1/group-children/:id", children_get, NULL},
    {"POST", "/classifier-api/v1/rules/translate", translate_post, NULL},
    {NULL, NULL, NULL, NULL},
};
