/* Classification of a node (classifier.md §12) and its check-ins (§14). */
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/classifier/model.h"
#include <string.h>

static const struct body_field node_fields[] = {
    {"fact", BODY_OBJECT, false},
    {"trusted", BODY_OBJECT, false},
    {"transaction_uuid", BODY_STRING, false},
    {NULL, BODY_ANY, false},
};
static const struct body_field explained_fields[] = {
    {"fact", BODY_OBJECT, true},
    {"trusted", BODY_OBJECT, false},
    {NULL, BODY_ANY, false},
};

/* {"name", "fact", "trusted"} from path and body; NULL after answering 400. */
static json_t *node_asked(struct http_exchange *ex, const struct body_field *fields) {
    bool empty = http_request(ex)->body.len == 0 && fields == node_fields;
    json_t *body = empty ? json_object() : body_read(ex, fields, classifier_fail);
    if (body == NULL) {
        return NULL;
    }
    json_t *name = json_string(http_param(ex, "name"));
    if (name == NULL) {
        json_decref(body);
        classifier_fail(ex, 400, "malformed-request", NULL, "The name of the node is not UTF-8.");
        return NULL;
    }
    json_set(body, "name", name);
    if (json_object_get(body, "fact") == NULL) {
        json_set(body, "fact", json_object());
    }
    if (json_object_get(body, "trusted") == NULL) {
        json_set(body, "trusted", json_object());
    }
    return body;
}

static json_t *explanations(const struct classifier_model *m, const struct classification *c, const json_t *node) {
    json_t *all = json_object();
    for (size_t i = 0; i < c->matching_count; i++) {
        json_t *rule = group_rule_inherited(m, c->matching[i]);
        json_set(all, c->matching[i]->id, rule_explain(rule, node));
        json_decref(rule);
    }
    return all;
}

static void record_check_in(struct fake_classifier *c, const json_t *node, const struct classification *result) {
    const char *name = json_str(node, "name");
    if (!c->model->record_check_ins) {
        return;
    }
    json_t *all = json_object_get(c->model->check_ins, name);
    if (all == NULL) {
        all = json_array();
        json_set(c->model->check_ins, name, all);
    }
    char time[TIME_TEXT_LEN];
    time_format_ms(fake_now_ms(&c->base), time);
    json_array_append_new(all, json_pack("{s:s, s:o, s:s?}", "time", time, "explanation",
                                         explanations(c->model, result, node), "transaction_uuid",
                                         json_str(node, "transaction_uuid")));
    if (json_array_size(all) > CLASSIFIER_CHECK_INS_MAX) {
        json_array_remove(all, 0);
    }
}

static json_t *answer_v1(const struct classification *c, const json_t *node) {
    json_t *groups = json_array();
    for (size_t i = 0; i < c->matching_count; i++) {
        json_array_append_new(groups, json_string(c->matching[i]->id));
    }
    json_t *o = json_pack("{s:O, s:o, s:O, s:O, s:O}", "name", json_object_get(node, "name"), "groups", groups,
                          "environment", json_object_get(c->final, "environment"), "parameters",
                          json_object_get(c->final, "variables"), "classes", json_object_get(c->final, "classes"));
    json_t *config = json_object_get(c->final, "config_data");
    if (json_object_size(config) > 0) {
        json_object_set(o, "config_data", config);
    }
    return o;
}

static json_t *answer_v2(const struct classification *c, const json_t *node) {
    json_t *groups = json_array();
    for (size_t i = 0; i < c->matching_count; i++) {
        size_t at = 0;
        while (at < json_array_size(groups) &&
               strcmp(json_str(json_array_get(groups, at), "name"), c->matching[i]->name) <= 0) {
            at++;
        }
        json_array_insert_new(groups, at,
                              json_pack("{s:s, s:s}", "id", c->matching[i]->id, "name", c->matching[i]->name));
    }
    json_t *classes = json_array();
    const char *name;
    json_t *parameters;
    json_object_foreach(json_object_get(c->final, "classes"), name, parameters) {
        json_array_append_new(classes, json_string(name));
    }
    return json_pack("{s:O, s:o, s:O, s:o, s:O}", "name", json_object_get(node, "name"), "groups", groups,
                     "environment", json_object_get(c->final, "environment"), "classes", classes, "parameters",
                     json_object_get(c->final, "classes"));
}

static void classified_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    if (!caller_known(c, ex, &who)) {
        return;
    }
    json_t *node = node_asked(ex, node_fields);
    if (node == NULL) {
        return;
    }
    struct classification result;
    classify(c->model, node, &result);
    record_check_in(c, node, &result);
    if (result.conflicts != NULL) {
        classifier_fail(ex, 500, "classification-conflict", json_incref(result.conflicts),
                        "The node could not be classified: its groups disagree.");
    } else {
        http_respond_json(ex, 200, route->data != NULL ? answer_v2(&result, node) : answer_v1(&result, node));
    }
    classification_clear(&result);
    json_decref(node);
}

static json_t *leaf_groups(const struct classifier_model *m, const struct classification *c) {
    json_t *leaves = json_object();
    for (size_t i = 0; i < c->leaf_count; i++) {
        json_set(leaves, c->leaves[i]->id, group_json(m, c->leaves[i]));
    }
    return leaves;
}

static void explanation_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    if (!caller_known(c, ex, &who)) {
        return;
    }
    json_t *node = node_asked(ex, explained_fields);
    if (node == NULL) {
        return;
    }
    struct classification result;
    classify(c->model, node, &result);
    json_t *answer = json_pack("{s:O, s:o, s:o, s:O, s:O, s:O}", "node_as_received", node, "match_explanations",
                               explanations(c->model, &result, node), "leaf_groups", leaf_groups(c->model, &result),
                               "inherited_classifications", result.inherited, "individual_classification",
                               result.individual, "classification_sources", result.sources);
    if (result.conflicts != NULL) {
        json_object_set(answer, "conflicts", result.conflicts);
    } else {
        json_object_set(answer, "final_classification", result.final);
    }
    http_respond_json(ex, 200, answer);
    classification_clear(&result);
    json_decref(node);
}

static json_t *node_json(const struct classifier_model *m, const char *name) {
    return json_pack("{s:s, s:O}", "name", name, "check_ins", json_object_get(m->check_ins, name));
}

static void nodes_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    if (!caller_known(c, ex, &who)) {
        return;
    }
    json_t *all = json_array();
    const char *name;
    json_t *check_ins;
    json_object_foreach(c->model->check_ins, name, check_ins) {
        json_array_append_new(all, node_json(c->model, name));
    }
    all = page_of(ex, all);
    if (all != NULL) {
        http_respond_json(ex, 200, all);
    }
}

static void node_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    const char *name = http_param(ex, "name");
    if (!caller_known(c, ex, &who)) {
        return;
    }
    if (json_object_get(c->model->check_ins, name) == NULL) {
        classifier_fail(ex, 404, "not-found", json_string(http_request(ex)->path), "The resource could not be found.");
        return;
    }
    http_respond_json(ex, 200, node_json(c->model, name));
}

const struct fake_route classifier_classify_routes[] = {
    {"POST", "/classifier-api/v1/classified/nodes/:name", classified_post, NULL},
    {"POST", "/classifier-api/v2/classified/nodes/:name", classified_post, "v2"},
    {"POST", "/classifier-api/v1/classified/nodes/:name/explanation", explanation_post, NULL},
    {"GET", "/classifier-api/v1/nodes", nodes_get, NULL},
    {"GET", "/classifier-api/v1/nodes/:name", node_get, NULL},
    {NULL, NULL, NULL, NULL},
};
