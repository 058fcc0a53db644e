/* Groups and their tree. */
#include "fakes/classifier/model.h"
#include "base/clock.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

void text_assign(char **to, const char *text) {
    char *copy = str_dup(text);
    mem_free(*to);
    *to = copy;
}

struct group *group_new(const char *id, const char *name) {
    struct group *g = mem_zalloc(sizeof *g);
    memcpy(g->id, id, UUID_LEN);
    memcpy(g->parent, CLASSIFIER_ROOT_ID, UUID_LEN);
    g->name = str_dup(name);
    g->environment = str_dup("production");
    g->classes = json_object();
    g->config_data = json_object();
    g->variables = json_object();
    return g;
}

void group_free(struct group *g) {
    if (g == NULL) {
        return;
    }
    mem_free(g->name);
    mem_free(g->description);
    mem_free(g->environment);
    json_decref(g->rule);
    json_decref(g->classes);
    json_decref(g->config_data);
    json_decref(g->variables);
    mem_free(g);
}

struct group *group_copy(const struct group *g) {
    struct group *copy = mem_alloc(sizeof *copy);
    *copy = *g;
    copy->link = (struct list_link){NULL, NULL};
    copy->name = str_dup(g->name);
    copy->description = str_dup(g->description);
    copy->environment = str_dup(g->environment);
    copy->rule = json_deep_copy(g->rule);
    copy->classes = json_deep_copy(g->classes);
    copy->config_data = json_deep_copy(g->config_data);
    copy->variables = json_deep_copy(g->variables);
    return copy;
}

struct classifier_model *classifier_model_new(void) {
    struct classifier_model *m = mem_zalloc(sizeof *m);
    list_init(&m->groups);
    map_init(&m->by_id);
    m->environments = json_array();
    m->classes = json_array();
    m->nodes = json_object();
    m->check_ins = json_object();
    m->last_update_ms = -1;
    m->allow_config_data = true;
    m->strict_rules = true;
    return m;
}

void classifier_model_free(struct classifier_model *m) {
    if (m == NULL) {
        return;
    }
    while (!list_empty(&m->groups)) {
        group_remove(m, LIST_ITEM(list_first(&m->groups), struct group, link));
    }
    map_free(&m->by_id);
    json_decref(m->environments);
    json_decref(m->classes);
    json_decref(m->nodes);
    json_decref(m->check_ins);
    mem_free(m);
}

void group_add(struct classifier_model *m, struct group *g) {
    list_push_back(&m->groups, &g->link);
    map_put(&m->by_id, span_of(g->id), g);
}

void group_remove(struct classifier_model *m, struct group *g) {
    list_remove(&m->groups, &g->link);
    map_remove(&m->by_id, span_of(g->id));
    group_free(g);
}

void group_replace(struct classifier_model *m, struct group *g, struct group *next) {
    list_insert_before(&m->groups, &g->link, &next->link);
    list_remove(&m->groups, &g->link);
    map_put(&m->by_id, span_of(next->id), next);
    group_free(g);
}

struct group *group_find(const struct classifier_model *m, const char *id) {
    return map_get_cstr(&m->by_id, id);
}

bool group_is_root(const struct group *g) {
    return strcmp(g->id, CLASSIFIER_ROOT_ID) == 0;
}

struct group *group_parent(const struct classifier_model *m, const struct group *g) {
    return group_is_root(g) ? NULL : group_find(m, g->parent);
}

bool group_has_children(const struct classifier_model *m, const struct group *g) {
    LIST_EACH (k, &m->groups) {
        const struct group *child = LIST_ITEM(k, struct group, link);
        if (!group_is_root(child) && strcmp(child->parent, g->id) == 0) {
            return true;
        }
    }
    return false;
}

static json_t *describe(const struct classifier_model *m, const struct group *g, json_t *deleted) {
    char time[TIME_TEXT_LEN];
    time_format_ms(g->last_edited_ms, time);
    json_t *o = json_object();
    json_set(o, "name", json_string(g->name));
    json_set(o, "id", json_string(g->id));
    if (g->description != NULL) {
        json_set(o, "description", json_string(g->description));
    }
    json_set(o, "environment", json_string(g->environment));
    json_set(o, "environment_trumps", json_boolean(g->environment_trumps));
    json_set(o, "parent", json_string(g->parent));
    json_set(o, "rule", g->rule != NULL ? json_deep_copy(g->rule) : json_null());
    json_set(o, "classes", json_deep_copy(g->classes));
    if (m->allow_config_data) {
        json_set(o, "config_data", json_deep_copy(g->config_data));
    }
    json_set(o, "variables", json_deep_copy(g->variables));
    if (deleted != NULL) {
        json_set(o, "deleted", deleted);
    }
    json_set(o, "last_edited", json_string(time));
    json_set(o, "serial_number", json_integer((json_int_t)g->serial_number));
    return o;
}

json_t *group_json(const struct classifier_model *m, const struct group *g) {
    return describe(m, g, group_deleted(m, g));
}

json_t *group_json_inherited(const struct classifier_model *m, const struct group *g) {
    json_t *o = group_json(m, g);
    json_t *inherited = inherited_classification(m, g);
    json_set(o, "classes", json_incref(json_object_get(inherited, "classes")));
    json_set(o, "variables", json_incref(json_object_get(inherited, "variables")));
    if (m->allow_config_data) {
        json_set(o, "config_data", json_incref(json_object_get(inherited, "config_data")));
    }
    json_decref(inherited);
    return o;
}

json_t *group_rule_inherited(const struct classifier_model *m, const struct group *g) {
    json_t *all = json_pack("[s]", "and");
    size_t steps = 0;
    for (const struct group *at = g; at != NULL && steps <= m->groups.count; at = group_parent(m, at), steps++) {
        if (at->rule != NULL) {
            json_array_append_new(all, json_deep_copy(at->rule));
        }
    }
    if (json_array_size(all) == 1) {
        json_decref(all);
        return NULL;
    }
    return all;
}

bool group_holds(const struct classifier_model *m, const struct group *g, const json_t *node) {
    if (g->rule == NULL) {
        return false;
    }
    size_t steps = 0;
    for (const struct group *at = g; at != NULL && steps <= m->groups.count; at = group_parent(m, at), steps++) {
        if (at->rule != NULL && !rule_matches(at->rule, node)) {
            return false;
        }
    }
    return true;
}

static int compare_groups(const void *a, const void *b) {
    const struct group *x = *(const struct group *const *)a, *y = *(const struct group *const *)b;
    int by_name = strcmp(x->name, y->name);
    return by_name != 0 ? by_name : strcmp(x->id, y->id);
}

struct group **groups_sorted(const struct classifier_model *m, size_t *count) {
    struct group **all = mem_array(m->groups.count + 1, sizeof(struct group *));
    *count = 0;
    LIST_EACH (k, &m->groups) {
        all[(*count)++] = LIST_ITEM(k, struct group, link);
    }
    qsort(all, *count, sizeof(struct group *), compare_groups);
    return all;
}
