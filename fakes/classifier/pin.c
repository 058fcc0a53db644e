/* Pinning nodes to groups (classifier.md §9, §14). */
#include "base/mem.h"
#include "fakes/classifier/model.h"
#include <string.h>

/* Names from ?nodes=a,b or {"nodes": […]}; NULL after answering 400. */
static json_t *nodes_asked(struct http_exchange *ex) {
    static const struct body_field fields[] = {{"nodes", BODY_STRINGS, true}, {NULL, BODY_ANY, false}};
    const char *query = http_query(ex, "nodes");
    if (query == NULL && http_request(ex)->body.len == 0) {
        classifier_fail(ex, 400, "missing-parameters", NULL, "Name the nodes in the query or in the body.");
        return NULL;
    }
    if (query == NULL) {
        json_t *body = body_read(ex, fields, classifier_fail);
        json_t *names = json_incref(json_object_get(body, "nodes"));
        json_decref(body);
        return names;
    }
    json_t *names = json_array();
    struct span rest = span_of(query);
    struct span part;
    while (span_split(&rest, ',', &part)) {
        json_t *name = json_str_new(span_trim(part));
        if (name != NULL && json_string_length(name) > 0) {
            json_array_append(names, name);
        }
        json_decref(name);
    }
    return names;
}

static bool may_edit_rule(const struct caller *who, const struct group *g) {
    return caller_may(who, "edit_child_rules", g->parent) || caller_may(who, "modify_children", g->parent);
}

static void set_rule(struct fake_classifier *c, struct group *g, json_t *rule) {
    if (!json_equal(rule, g->rule)) {
        g->last_edited_ms = fake_now_ms(&c->base);
        g->serial_number++;
    }
    json_decref(g->rule);
    g->rule = rule;
}

static void pin_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    json_t *(*edit)(const json_t *rule, const char *node) = route->data != NULL ? rule_unpin : rule_pin;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    struct group *g = group_asked(c, ex, &who);
    if (g == NULL) {
        return;
    }
    if (!may_edit_rule(&who, g)) {
        classifier_fail(ex, 403, "permission-denied", NULL, "You may not change the rule of this group.");
        return;
    }
    if (group_is_root(g)) {
        classifier_fail(ex, 422, "root-rule-edit", NULL, "The rule of the root group cannot be changed.");
        return;
    }
    json_t *names = nodes_asked(ex);
    if (names == NULL) {
        return;
    }
    json_t *rule = json_incref(g->rule);
    for (size_t i = 0; i < json_array_size(names); i++) {
        json_t *next = edit(rule, json_string_value(json_array_get(names, i)));
        json_decref(rule);
        rule = next;
    }
    json_decref(names);
    set_rule(c, g, rule);
    fake_respond_empty(ex, 204);
}

static json_t *unpin_everywhere(struct fake_classifier *c, const struct caller *who, const char *node) {
    json_t *groups = json_array();
    size_t count;
    struct group **all = groups_sorted(c->model, &count);
    for (size_t i = 0; i < count; i++) {
        struct group *g = all[i];
        if (rule_pins(g->rule, node) && caller_may(who, "view", g->id) && may_edit_rule(who, g)) {
            set_rule(c, g, rule_unpin(g->rule, node));
            json_array_append_new(
                groups, json_pack("{s:s, s:s, s:s}", "id", g->id, "name", g->name, "environment", g->environment));
        }
    }
    mem_free(all);
    return groups;
}

static void unpin_from_all_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    if (!caller_known(c, ex, &who)) {
        return;
    }
    json_t *names = nodes_asked(ex);
    if (names == NULL) {
        return;
    }
    json_t *nodes = json_array();
    for (size_t i = 0; i < json_array_size(names); i++) {
        json_t *name = json_array_get(names, i);
        json_t *groups = unpin_everywhere(c, &who, json_string_value(name));
        if (json_array_size(groups) > 0) {
            json_array_append_new(nodes, json_pack("{s:O, s:O}", "name", name, "groups", groups));
        }
        json_decref(groups);
    }
    json_decref(names);
    http_respond_json(ex, 200, json_pack("{s:o}", "nodes", nodes));
}

const struct fake_route classifier_rule_routes[] = {
    {"POST", "/classifier-api/v1/groups/:id/pin", pin_post, NULL},
    {"POST", "/classifier-api/v1/groups/:id/unpin", pin_post, "unpin"},
    {"POST", "/classifier-api/v1/commands/unpin-from-all", unpin_from_all_post, NULL},
    {NULL, NULL, NULL, NULL},
};
