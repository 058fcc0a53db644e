/* The fixture of classifier.md §18.1 to a model and back, and what makes a group acceptable. */
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/classifier/model.h"
#include <string.h>

static const struct body_field state_fields[] = {
    {"groups", BODY_ARRAY, false},
    {"environments", BODY_STRINGS, false},
    {"classes", BODY_ARRAY, false},
    {"nodes", BODY_OBJECT, false},
    {"options", BODY_OBJECT, false},
    {"check_ins", BODY_OBJECT, false},
    {"last_update", BODY_STRING_OR_NULL, false},
    {NULL, BODY_ANY, false},
};
static const struct body_field option_fields[] = {
    {"allow_config_data", BODY_BOOL, false},
    {"strict_rules", BODY_BOOL, false},
    {"check_ins", BODY_BOOL, false},
    {NULL, BODY_ANY, false},
};
static const struct body_field class_fields[] = {
    {"name", BODY_STRING, true},
    {"environment", BODY_STRING, true},
    {"parameters", BODY_OBJECT, false},
    {NULL, BODY_ANY, false},
};
static const struct body_field group_fields[] = {
    {"name", BODY_STRING, true},
    {"id", BODY_STRING, false},
    {"parent", BODY_STRING, true},
    {"classes", BODY_OBJECT, true},
    {"environment", BODY_STRING, false},
    {"environment_trumps", BODY_BOOL, false},
    {"description", BODY_STRING_OR_NULL, false},
    {"rule", BODY_ARRAY_OR_NULL, false},
    {"variables", BODY_OBJECT, false},
    {"config_data", BODY_OBJECT, false},
    {"deleted", BODY_OBJECT, false},
    {"last_edited", BODY_STRING, false},
    {"serial_number", BODY_INT, false},
    {NULL, BODY_ANY, false},
};

/* class -> parameter -> value; both levels are objects. */
static bool check_classes(const json_t *classes, const char *key, struct error *err) {
    const char *name;
    json_t *parameters;
    json_object_foreach((json_t *)(uintptr_t)classes, name, parameters) {
        if (!json_is_object(parameters)) {
            return error_set(err, "schema-violation", "\"%s\": the parameters of %s are not an object", key, name);
        }
    }
    return true;
}

static json_t *copy_or_empty(const json_t *o, const char *key) {
    const json_t *value = json_object_get(o, key);
    return value != NULL ? json_deep_copy(value) : json_object();
}

/* A config_data entry without values stores nothing. */
static json_t *without_empty(json_t *config) {
    const char *name;
    json_t *values;
    void *next;
    json_object_foreach_safe(config, next, name, values) {
        if (json_object_size(values) == 0) {
            json_object_del(config, name);
        }
    }
    return config;
}

static void fill(const struct classifier_model *m, struct group *g, const json_t *o) {
    const char *parent = json_str(o, "parent");
    const json_t *rule = json_object_get(o, "rule");
    int64_t edited;
    text_assign(&g->description, json_str(o, "description"));
    if (json_str(o, "environment") != NULL) {
        text_assign(&g->environment, json_str(o, "environment"));
    }
    memcpy(g->parent, strcmp(parent, "root") == 0 ? CLASSIFIER_ROOT_ID : parent, UUID_LEN);
    g->environment_trumps = json_bool(o, "environment_trumps", false);
    g->rule = json_is_array(rule) ? (m->strict_rules ? json_deep_copy(rule) : rule_normalized(rule)) : NULL;
    json_decref(g->classes);
    json_decref(g->variables);
    json_decref(g->config_data);
    g->classes = copy_or_empty(o, "classes");
    g->variables = copy_or_empty(o, "variables");
    g->config_data = without_empty(copy_or_empty(o, "config_data"));
    g->serial_number = json_int(o, "serial_number", 1);
    if (json_str(o, "last_edited") != NULL && time_parse(span_of(json_str(o, "last_edited")), &edited)) {
        g->last_edited_ms = edited;
    }
}

struct group *group_read(const struct classifier_model *m, const json_t *o, const char *id, struct error *err) {
    if (!body_check(o, group_fields, err)) {
        return NULL;
    }
    const char *parent = json_str(o, "parent");
    const json_t *rule = json_object_get(o, "rule");
    if (strcmp(parent, "root") != 0 && !uuid_valid(span_of(parent))) {
        error_set(err, "schema-violation", "\"parent\": \"%s\" is not a UUID", parent);
        return NULL;
    }
    if (*json_str(o, "name") == '\0') {
        error_set(err, "schema-violation", "\"name\" is empty");
        return NULL;
    }
    if (json_object_get(o, "config_data") != NULL && !m->allow_config_data) {
        error_set(err, "schema-violation", "\"config_data\" is not enabled");
        return NULL;
    }
    if ((json_is_array(rule) && !rule_check(rule, m->strict_rules, err)) ||
        !check_classes(json_object_get(o, "classes"), "classes", err) ||
        !check_classes(json_object_get(o, "config_data"), "config_data", err)) {
        return NULL;
    }
    struct group *g = group_new(id, json_str(o, "name"));
    fill(m, g, o);
    return g;
}

static bool check_unique(const struct classifier_model *m, const struct group *g, struct error *err) {
    LIST_EACH (k, &m->groups) {
        const struct group *other = LIST_ITEM(k, struct group, link);
        if (strcmp(other->id, g->id) != 0 && strcmp(other->name, g->name) == 0 &&
            strcmp(other->environment, g->environment) == 0) {
            error_set_details(
                err, "uniqueness-violation",
                json_pack("{s:{s:s, s:s}, s:s}", "conflict", "name", g->name, "environment_name", g->environment,
                          "constraintName", "group_unique_name_in_environment"),
                "Could not complete the request because it violates a uniqueness constraint. A group with "
                "name = %s, environment_name = %s already exists.",
                g->name, g->environment);
            return false;
        }
    }
    return true;
}

static bool check_tree(const struct classifier_model *m, const struct group *g, struct error *err) {
    if (group_is_root(g)) {
        return true;
    }
    if (strcmp(g->parent, g->id) != 0 && group_find(m, g->parent) == NULL) {
        error_set_details(err, "missing-parent", group_json(m, g), "The parent group with id %s does not exist.",
                          g->parent);
        return false;
    }
    json_t *cycle = json_array();
    const struct group *at = g;
    size_t steps = 0;
    do {
        json_array_append_new(cycle, group_json(m, at));
        if (strcmp(at->parent, g->id) == 0) {
            error_set_details(err, "inheritance-cycle", cycle, "Group %s would be its own ancestor.", g->name);
            return false;
        }
        at = group_parent(m, at);
    } while (at != NULL && ++steps <= m->groups.count);
    json_decref(cycle);
    return true;
}

bool group_check(const struct classifier_model *m, const struct group *g, bool references, struct error *err) {
    if (!check_unique(m, g, err) || !check_tree(m, g, err)) {
        return false;
    }
    if (!references) {
        return true;
    }
    json_t *missing = group_missing_referents(m, g);
    if (json_array_size(missing) == 0) {
        json_decref(missing);
        return true;
    }
    error_set_details(err, "missing-referents", missing,
                      "The group %s refers to classes or parameters that do not exist.", g->name);
    return false;
}

static void computed_id(const char *name, const char *environment, char out[UUID_LEN + 1]) {
    char *text = str_printf("node group:%s:%s", environment != NULL ? environment : "production", name);
    uint8_t digest[SHA256_LEN];
    sha256_of(span_of(text), digest);
    uuid_format(digest, out);
    mem_free(text);
}

static bool load_group(struct classifier_model *m, const json_t *o, int64_t now_ms, struct error *err) {
    char id[UUID_LEN + 1];
    const char *name = json_str(o, "name");
    const char *given = json_str(o, "id");
    if (given != NULL && strcmp(given, "root") == 0) {
        given = CLASSIFIER_ROOT_ID;
    }
    if (given != NULL && !uuid_valid(span_of(given))) {
        return error_set(err, "schema-violation", "group id \"%s\" is not a UUID", given);
    }
    if (given != NULL) {
        memcpy(id, given, sizeof id);
    } else {
        computed_id(name != NULL ? name : "", json_str(o, "environment"), id);
    }
    struct group *g = group_read(m, o, id, err);
    if (g == NULL) {
        return error_prefix(err, "group %s", name != NULL ? name : "without name");
    }
    struct group *old = group_find(m, id);
    if (g->last_edited_ms == 0) {
        g->last_edited_ms = now_ms;
    }
    if (old != NULL && group_is_root(old)) {
        group_replace(m, old, g);
        return true;
    }
    if (old != NULL || m->groups.count >= CLASSIFIER_GROUPS_MAX) {
        group_free(g);
        return error_set(err, "schema-violation", "group %s: its id is used twice, or there are too many", name);
    }
    group_add(m, g);
    return true;
}

static bool load_groups(struct classifier_model *m, const json_t *groups, int64_t now_ms, struct error *err) {
    struct group *root = group_new(CLASSIFIER_ROOT_ID, "All Nodes");
    root->rule = json_pack("[s, s, s]", "~", "name", ".*");
    root->last_edited_ms = now_ms;
    root->serial_number = 1;
    group_add(m, root);
    size_t i;
    json_t *o;
    json_array_foreach((json_t *)(uintptr_t)groups, i, o) {
        if (!load_group(m, o, now_ms, err)) {
            return false;
        }
    }
    LIST_EACH (k, &m->groups) {
        if (!group_check(m, LIST_ITEM(k, struct group, link), false, err)) {
            return false;
        }
    }
    return true;
}

static bool load_all(struct classifier_model *m, const json_t *state, int64_t now_ms, struct error *err) {
    const json_t *options = json_object_get(state, "options");
    if (options != NULL && !body_check(options, option_fields, err)) {
        return false;
    }
    m->allow_config_data = json_bool(options, "allow_config_data", true);
    m->strict_rules = json_bool(options, "strict_rules", true);
    m->record_check_ins = json_bool(options, "check_ins", false);
    size_t i;
    json_t *class;
    json_array_foreach(json_object_get(state, "classes"), i, class) {
        if (!body_check(class, class_fields, err)) {
            return error_prefix(err, "class");
        }
        json_t *copy = json_deep_copy(class);
        if (json_object_get(copy, "parameters") == NULL) {
            json_set(copy, "parameters", json_object());
        }
        json_array_append_new(m->classes, copy);
    }
    if (json_object_get(state, "environments") != NULL) {
        json_array_extend(m->environments, json_object_get(state, "environments"));
    } else {
        json_array_append_new(m->environments, json_string("production"));
    }
    const char *name;
    json_t *node;
    json_object_foreach(json_object_get(state, "nodes"), name, node) {
        if (!json_is_object(node)) {
            return error_set(err, "schema-violation", "node %s is not an object", name);
        }
        if (!check_classes(json_object_get(node, "classes"), "classes", err) ||
            !check_classes(json_object_get(node, "config_data"), "config_data", err)) {
            return false;
        }
        json_set(m->nodes, name, json_deep_copy(node));
    }
    json_object_update(m->check_ins, json_object_get(state, "check_ins"));
    const char *updated = json_str(state, "last_update");
    if (updated != NULL && !time_parse(span_of(updated), &m->last_update_ms)) {
        return error_set(err, "schema-violation", "last_update: \"%s\" is not an ISO 8601 time", updated);
    }
    return load_groups(m, json_object_get(state, "groups"), now_ms, err);
}

struct classifier_model *classifier_model_load(const json_t *state, int64_t now_ms, struct error *err) {
    if (!body_check(state, state_fields, err)) {
        return NULL;
    }
    struct classifier_model *m = classifier_model_new();
    if (!load_all(m, state, now_ms, err)) {
        classifier_model_free(m);
        return NULL;
    }
    return m;
}

json_t *classifier_model_dump(const struct classifier_model *m) {
    json_t *groups = json_array();
    LIST_EACH (k, &m->groups) {
        json_t *o = group_json(m, LIST_ITEM(k, struct group, link));
        json_object_del(o, "deleted");
        json_array_append_new(groups, o);
    }
    json_t *updated = json_null();
    if (m->last_update_ms >= 0) {
        char text[TIME_TEXT_LEN];
        time_format_ms(m->last_update_ms, text);
        updated = json_string(text);
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:{s:b, s:b, s:b}}", "groups", groups, "environments",
                     json_deep_copy(m->environments), "classes", json_deep_copy(m->classes), "nodes",
                     json_deep_copy(m->nodes), "check_ins", json_deep_copy(m->check_ins), "last_update", updated,
                     "options", "allow_config_data", (int)m->allow_config_data, "strict_rules", (int)m->strict_rules,
                     "check_ins", (int)m->record_check_ins);
}
