/* Inheritance and classification (classifier.md §6, §12). */
#include "base/mem.h"
#include "fakes/classifier/model.h"
#include <string.h>

/* The chain from the root to the group; mem_free() it. */
static const struct group **chain_to(const struct classifier_model *m, const struct group *g, size_t *count) {
    const struct group **chain = mem_array(m->groups.count + 1, sizeof(struct group *));
    *count = 0;
    for (const struct group *at = g; at != NULL && *count <= m->groups.count; at = group_parent(m, at)) {
        chain[(*count)++] = at;
    }
    for (size_t i = 0; i < *count / 2; i++) {
        const struct group *swap = chain[i];
        chain[i] = chain[*count - 1 - i];
        chain[*count - 1 - i] = swap;
    }
    return chain;
}

/* Classes: the union; of a parameter the later value. */
static void merge_classes(json_t *into, const json_t *more) {
    const char *name;
    json_t *parameters;
    json_object_foreach((json_t *)(uintptr_t)more, name, parameters) {
        json_t *have = json_object_get(into, name);
        if (have == NULL) {
            json_set(into, name, json_deep_copy(parameters));
        } else {
            json_object_update(have, parameters);
        }
    }
}

json_t *inherited_classification(const struct classifier_model *m, const struct group *leaf) {
    size_t n;
    const struct group **chain = chain_to(m, leaf, &n);
    json_t *classes = json_object(), *variables = json_object(), *config = json_object();
    for (size_t i = 0; i < n; i++) {
        merge_classes(classes, chain[i]->classes);
        merge_classes(config, chain[i]->config_data);
        json_object_update(variables, chain[i]->variables);
    }
    mem_free(chain);
    return json_pack("{s:s, s:b, s:o, s:o, s:o}", "environment", leaf->environment, "environment_trumps",
                     (int)leaf->environment_trumps, "classes", classes, "variables", variables, "config_data", config);
}

static bool is_ancestor(const struct classifier_model *m, const struct group *above, const struct group *below) {
    size_t steps = 0;
    for (const struct group *at = group_parent(m, below); at != NULL && steps <= m->groups.count;
         at = group_parent(m, at), steps++) {
        if (at == above) {
            return true;
        }
    }
    return false;
}

static void find_groups(const struct classifier_model *m, const json_t *node, struct classification *c) {
    c->matching = mem_array(m->groups.count + 1, sizeof *c->matching);
    c->leaves = mem_array(m->groups.count + 1, sizeof *c->leaves);
    LIST_EACH (k, &m->groups) {
        struct group *g = LIST_ITEM(k, struct group, link);
        if (group_holds(m, g, node)) {
            c->matching[c->matching_count++] = g;
        }
    }
    for (size_t i = 0; i < c->matching_count; i++) {
        bool leaf = true;
        for (size_t k = 0; k < c->matching_count && leaf; k++) {
            leaf = !is_ancestor(m, c->matching[i], c->matching[k]);
        }
        if (leaf) {
            c->leaves[c->leaf_count++] = c->matching[i];
        }
    }
}

/* Where a value comes from: the closest group on the leaf's chain that sets it. `kind` is "classes", "config_data" or
 * "variables"; parameter NULL for variables. */
static const struct group *definer(const struct classifier_model *m, const struct group *leaf, const char *kind,
                                   const char *name, const char *parameter) {
    size_t steps = 0;
    for (const struct group *at = leaf; at != NULL && steps <= m->groups.count; at = group_parent(m, at), steps++) {
        const json_t *all = strcmp(kind, "variables") == 0     ? at->variables
                            : strcmp(kind, "config_data") == 0 ? at->config_data
                                                               : at->classes;
        const json_t *value = json_object_get(all, name);
        if (parameter != NULL) {
            value = json_object_get(value, parameter);
        }
        if (value != NULL) {
            return at;
        }
    }
    return leaf;
}

static json_t *value_detail(const struct classifier_model *m, const struct group *leaf, const struct group *by,
                            const json_t *value) {
    return json_pack("{s:o, s:o, s:o}", "value", json_deep_copy(value), "from", group_json(m, leaf), "defined_by",
                     group_json(m, by));
}

static const json_t *value_in(const json_t *inherited, const char *kind, const char *name, const char *parameter) {
    const json_t *value = json_object_get(json_object_get(inherited, kind), name);
    return parameter != NULL ? json_object_get(value, parameter) : value;
}

/* Value details of one datum when the leaves disagree on it; NULL when they agree. */
static json_t *disagreement(const struct classifier_model *m, const struct classification *c, const char *kind,
                            const char *name, const char *parameter) {
    const json_t *first = NULL;
    bool differs = false;
    for (size_t i = 0; i < c->leaf_count; i++) {
        const json_t *v = value_in(json_object_get(c->inherited, c->leaves[i]->id), kind, name, parameter);
        if (v != NULL && first == NULL) {
            first = v;
        } else if (v != NULL && !json_equal(first, v)) {
            differs = true;
        }
    }
    if (!differs) {
        return NULL;
    }
    json_t *details = json_array();
    for (size_t i = 0; i < c->leaf_count; i++) {
        const struct group *leaf = c->leaves[i];
        const json_t *v = value_in(json_object_get(c->inherited, leaf->id), kind, name, parameter);
        if (v != NULL) {
            json_array_append_new(details, value_detail(m, leaf, definer(m, leaf, kind, name, parameter), v));
        }
    }
    return details;
}

static json_t *child_object(json_t *in, const char *key) {
    json_t *child = json_object_get(in, key);
    if (child == NULL) {
        child = json_object();
        json_set(in, key, child);
    }
    return child;
}

/* Compares and merges what the leaves say about classes or config data. */
static void join_classes(const struct classifier_model *m, struct classification *c, const char *kind, json_t *merged,
                         json_t *conflicts) {
    for (size_t i = 0; i < c->leaf_count; i++) {
        const json_t *own = json_object_get(json_object_get(c->inherited, c->leaves[i]->id), kind);
        const char *name, *parameter;
        json_t *parameters, *value;
        json_object_foreach((json_t *)(uintptr_t)own, name, parameters) {
            json_t *class = child_object(merged, name);
            json_object_foreach(parameters, parameter, value) {
                json_t *details =
                    json_object_get(class, parameter) == NULL ? disagreement(m, c, kind, name, parameter) : NULL;
                if (details != NULL) {
                    json_set(child_object(child_object(conflicts, kind), name), parameter, details);
                }
                if (json_object_get(class, parameter) == NULL) {
                    json_set(class, parameter, json_deep_copy(value));
                }
            }
        }
    }
}

static void join_variables(const struct classifier_model *m, struct classification *c, json_t *merged,
                           json_t *conflicts) {
    for (size_t i = 0; i < c->leaf_count; i++) {
        const json_t *own = json_object_get(json_object_get(c->inherited, c->leaves[i]->id), "variables");
        const char *name;
        json_t *value;
        json_object_foreach((json_t *)(uintptr_t)own, name, value) {
            if (json_object_get(merged, name) != NULL) {
                continue;
            }
            json_t *details = disagreement(m, c, "variables", name, NULL);
            if (details != NULL) {
                json_set(child_object(conflicts, "variables"), name, details);
            }
            json_set(merged, name, json_deep_copy(value));
        }
    }
}

/* §6.3: leaves that trump go first; they, or else all leaves, must agree. */
static const char *join_environment(const struct classifier_model *m, struct classification *c, json_t *conflicts) {
    bool any_trumps = false;
    for (size_t i = 0; i < c->leaf_count; i++) {
        any_trumps = any_trumps || c->leaves[i]->environment_trumps;
    }
    const char *chosen = NULL;
    bool differs = false;
    for (size_t i = 0; i < c->leaf_count; i++) {
        const struct group *g = c->leaves[i];
        if (any_trumps && !g->environment_trumps) {
            continue;
        }
        differs = differs || (chosen != NULL && strcmp(chosen, g->environment) != 0);
        chosen = chosen != NULL ? chosen : g->environment;
    }
    if (differs) {
        json_t *details = json_array();
        for (size_t i = 0; i < c->leaf_count; i++) {
            const struct group *g = c->leaves[i];
            if (!any_trumps || g->environment_trumps) {
                json_t *value = json_string(g->environment);
                json_array_append_new(details, value_detail(m, g, g, value));
                json_decref(value);
            }
        }
        json_set(conflicts, "environment", details);
    }
    return chosen != NULL ? chosen : "production";
}

static json_t *individual_of(const struct classifier_model *m, const char *name) {
    const json_t *own = json_object_get(m->nodes, name);
    json_t *o = json_object();
    static const char *const keys[] = {"classes", "variables", "config_data"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *value = json_object_get(own, keys[i]);
        json_set(o, keys[i], value != NULL ? json_deep_copy(value) : json_object());
    }
    if (json_str(own, "environment") != NULL) {
        json_set(o, "environment", json_string(json_str(own, "environment")));
    }
    return o;
}

/* Ids of the groups that give a value ("node" when the node's own data do). */
static json_t *sources_of(const struct classification *c, const struct classifier_model *m, const char *kind,
                          const char *name, const char *parameter) {
    json_t *ids = json_array();
    if (value_in(c->individual, kind, name, parameter) != NULL) {
        json_array_append_new(ids, json_string("node"));
        return ids;
    }
    for (size_t i = 0; i < c->leaf_count; i++) {
        const struct group *leaf = c->leaves[i];
        if (value_in(json_object_get(c->inherited, leaf->id), kind, name, parameter) != NULL) {
            const struct group *by = definer(m, leaf, kind, name, parameter);
            bool known = false;
            for (size_t k = 0; k < json_array_size(ids); k++) {
                known = known || strcmp(json_string_value(json_array_get(ids, k)), by->id) == 0;
            }
            if (!known) {
                json_array_append_new(ids, json_string(by->id));
            }
        }
    }
    return ids;
}

static json_t *annotated(const json_t *value, json_t *sources) {
    return json_pack("{s:o, s:o}", "value", json_deep_copy(value), "sources", sources);
}

static json_t *annotate_classes(const struct classifier_model *m, const struct classification *c, const char *kind,
                                const json_t *classes) {
    json_t *all = json_object();
    const char *name, *parameter;
    json_t *parameters, *value;
    json_object_foreach((json_t *)(uintptr_t)classes, name, parameters) {
        json_t *class = json_pack("{s:o}", "puppetlabs.classifier/sources", sources_of(c, m, kind, name, NULL));
        json_object_foreach(parameters, parameter, value) {
            json_set(class, parameter, annotated(value, sources_of(c, m, kind, name, parameter)));
        }
        json_set(all, name, class);
    }
    return all;
}

static json_t *environment_sources(const struct classification *c, const char *environment) {
    json_t *ids = json_array();
    if (json_str(c->individual, "environment") != NULL) {
        json_array_append_new(ids, json_string("node"));
        return ids;
    }
    for (size_t i = 0; i < c->leaf_count; i++) {
        if (strcmp(c->leaves[i]->environment, environment) == 0) {
            json_array_append_new(ids, json_string(c->leaves[i]->id));
        }
    }
    return ids;
}

static void build_sources(const struct classifier_model *m, struct classification *c) {
    json_t *variables = json_object();
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(c->final, "variables"), name, value) {
        json_set(variables, name, annotated(value, sources_of(c, m, "variables", name, NULL)));
    }
    json_t *environment = json_object_get(c->final, "environment");
    c->sources =
        json_pack("{s:o, s:o, s:o, s:o}", "environment",
                  annotated(environment, environment_sources(c, json_string_value(environment))), "variables",
                  variables, "classes", annotate_classes(m, c, "classes", json_object_get(c->final, "classes")),
                  "config_data", annotate_classes(m, c, "config_data", json_object_get(c->final, "config_data")));
}

static void put_individual(struct classification *c) {
    merge_classes(json_object_get(c->final, "classes"), json_object_get(c->individual, "classes"));
    merge_classes(json_object_get(c->final, "config_data"), json_object_get(c->individual, "config_data"));
    json_object_update(json_object_get(c->final, "variables"), json_object_get(c->individual, "variables"));
    json_t *environment = json_object_get(c->individual, "environment");
    if (environment != NULL) {
        json_object_set(c->final, "environment", environment);
    }
}

void classify(const struct classifier_model *m, const json_t *node, struct classification *out) {
    *out = (struct classification){0};
    find_groups(m, node, out);
    out->inherited = json_object();
    for (size_t i = 0; i < out->leaf_count; i++) {
        json_set(out->inherited, out->leaves[i]->id, inherited_classification(m, out->leaves[i]));
    }
    json_t *classes = json_object(), *variables = json_object(), *config = json_object(), *conflicts = json_object();
    join_classes(m, out, "classes", classes, conflicts);
    join_classes(m, out, "config_data", config, conflicts);
    join_variables(m, out, variables, conflicts);
    const char *environment = join_environment(m, out, conflicts);
    out->individual = individual_of(m, json_str(node, "name"));
    out->final = json_pack("{s:s, s:o, s:o, s:o}", "environment", environment, "classes", classes, "variables",
                           variables, "config_data", config);
    put_individual(out);
    build_sources(m, out);
    if (json_object_size(conflicts) > 0) {
        out->conflicts = conflicts;
        json_decref(out->final);
        out->final = NULL;
    } else {
        json_decref(conflicts);
    }
}

void classification_clear(struct classification *c) {
    mem_free(c->matching);
    mem_free(c->leaves);
    json_decref(c->inherited);
    json_decref(c->conflicts);
    json_decref(c->final);
    json_decref(c->individual);
    json_decref(c->sources);
    *c = (struct classification){0};
}
