/* Who calls, what they may see, and how errors are written (classifier.md §15, §16). */
#include "base/mem.h"
#include "fakes/classifier/model.h"
#include <string.h>

struct fake_classifier *classifier_of(struct fake *f) {
    return (struct fake_classifier *)(void *)f;
}

void classifier_fail(struct http_exchange *ex, int status, const char *kind, json_t *details, const char *msg) {
    fake_respond_error(ex, status, kind, details, "%s", msg);
}

static const struct {
    const char *kind;
    int status;
} statuses[] = {
    {"schema-violation", 400},     {"malformed-request", 400},  {"malformed-uuid", 400},
    {"conflicting-ids", 400},      {"permission-denied", 403},  {"serial-number-conflict", 409},
    {"uniqueness-violation", 422}, {"missing-referents", 422},  {"missing-parent", 422},
    {"inheritance-cycle", 422},    {"unreachable-groups", 422}, {"children-present", 422},
    {"untranslatable-rule", 422},  {"root-rule-edit", 422},
};

void classifier_fail_error(struct http_exchange *ex, const struct error *err) {
    int status = 500;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (strcmp(statuses[i].kind, err->kind) == 0) {
            status = statuses[i].status;
        }
    }
    classifier_fail(ex, status, err->kind, json_incref(err->details), err->msg);
}

bool caller_known(struct fake_classifier *c, struct http_exchange *ex, struct caller *who) {
    struct fake *rbac = fake_sibling(&c->base, "rbac");
    *who = (struct caller){0};
    if (rbac == NULL) {
        return true;
    }
    struct error err = ERROR_INIT;
    who->rbac = (struct fake_rbac *)(void *)rbac;
    who->user = fake_rbac_caller((struct fake_rbac *)(void *)rbac, ex, &err);
    if (who->user == NULL) {
        http_respond_error(ex, 401, &err);
    }
    error_clear(&err);
    return who->user != NULL;
}

bool caller_may(const struct caller *who, const char *action, const char *group_id) {
    return who->user == NULL || fake_rbac_permitted(who->rbac, who->user, "node_groups", action, group_id);
}

struct group *group_asked(struct fake_classifier *c, struct http_exchange *ex, struct caller *who) {
    if (!caller_known(c, ex, who)) {
        return NULL;
    }
    const char *id = http_param(ex, "id");
    if (!uuid_valid(span_of(id))) {
        json_t *given = json_string(id);
        classifier_fail(ex, 400, "malformed-uuid", given != NULL ? given : json_null(), "The group id is not a UUID.");
        return NULL;
    }
    struct group *g = group_find(c->model, id);
    if (g == NULL) {
        classifier_fail(ex, 404, "not-found", json_string(http_request(ex)->path), "The resource could not be found.");
        return NULL;
    }
    if (!caller_may(who, "view", id)) {
        classifier_fail(ex, 403, "permission-denied", NULL, "You may not view this group.");
        return NULL;
    }
    return g;
}

bool count_asked(struct http_exchange *ex, const char *name, uint64_t *value, bool *given) {
    const char *text = http_query(ex, name);
    int64_t number;
    *given = text != NULL;
    if (text == NULL) {
        return true;
    }
    if (!span_to_i64(span_of(text), &number)) {
        json_t *shown = json_string(text);
        classifier_fail(ex, 400, "malformed-number", shown != NULL ? shown : json_null(),
                        "The parameter is not an integer.");
        return false;
    }
    if (number < 0) {
        classifier_fail(ex, 400, "illegal-count", json_integer((json_int_t)number), "The parameter is negative.");
        return false;
    }
    *value = (uint64_t)number;
    return true;
}

json_t *page_of(struct http_exchange *ex, json_t *all) {
    uint64_t limit = UINT64_MAX, offset = 0;
    bool given;
    if (!count_asked(ex, "limit", &limit, &given) || !count_asked(ex, "offset", &offset, &given)) {
        json_decref(all);
        return NULL;
    }
    json_t *page = json_array();
    for (size_t i = 0; i < json_array_size(all); i++) {
        if (i >= offset && i - offset < limit) {
            json_array_append(page, json_array_get(all, i));
        }
    }
    json_decref(all);
    return page;
}
