/* Known classes, and references of groups to unknown ones. */
#include "base/mem.h"
#include "fakes/classifier/model.h"
#include <string.h>

/* References are checked only where the environment's classes are known. */
static bool environment_has_classes(const struct classifier_model *m, const char *environment) {
    size_t i;
    json_t *class;
    json_array_foreach(m->classes, i, class) {
        if (strcmp(json_str(class, "environment"), environment) == 0) {
            return true;
        }
    }
    return false;
}

json_t *class_find(const struct classifier_model *m, const char *environment, const char *name) {
    size_t i;
    json_t *class;
    json_array_foreach(m->classes, i, class) {
        if (strcmp(json_str(class, "name"), name) == 0 && strcmp(json_str(class, "environment"), environment) == 0) {
            return class;
        }
    }
    return NULL;
}

static void add_missing(json_t *to, const char *kind, json_t *missing, const struct group *g) {
    json_array_append_new(to, json_pack("{s:s, s:o, s:s, s:s, s:s}", "kind", kind, "missing", missing, "environment",
                                        g->environment, "group", g->name, "defined_by", g->name));
}

static void missing_in(const struct classifier_model *m, const struct group *g, const json_t *classes, json_t *to) {
    const char *name, *parameter;
    json_t *parameters, *value;
    json_object_foreach((json_t *)(uintptr_t)classes, name, parameters) {
        const json_t *class = class_find(m, g->environment, name);
        if (class == NULL) {
            add_missing(to, "missing-class", json_string(name), g);
            continue;
        }
        json_object_foreach(parameters, parameter, value) {
            if (json_object_get(json_object_get(class, "parameters"), parameter) == NULL) {
                add_missing(to, "missing-parameter", json_pack("[s, s]", name, parameter), g);
            }
        }
    }
}

json_t *group_missing_referents(const struct classifier_model *m, const struct group *g) {
    json_t *all = json_array();
    if (environment_has_classes(m, g->environment)) {
        missing_in(m, g, g->classes, all);
        missing_in(m, g, g->config_data, all);
    }
    return all;
}

static const char deleted_key[] = "puppetlabs.classifier/deleted";

json_t *group_deleted(const struct classifier_model *m, const struct group *g) {
    json_t *all = json_object();
    const char *name, *parameter;
    json_t *parameters, *value;
    json_object_foreach(g->classes, name, parameters) {
        if (!environment_has_classes(m, g->environment)) {
            break;
        }
        const json_t *class = class_find(m, g->environment, name);
        json_t *entry = json_pack("{s:b}", deleted_key, class == NULL);
        json_object_foreach(parameters, parameter, value) {
            if (class == NULL || json_object_get(json_object_get(class, "parameters"), parameter) == NULL) {
                json_set(entry, parameter, json_pack("{s:b, s:O}", deleted_key, 1, "value", value));
            }
        }
        if (class == NULL || json_object_size(entry) > 1) {
            json_object_set(all, name, entry);
        }
        json_decref(entry);
    }
    if (json_object_size(all) == 0) {
        json_decref(all);
        return NULL;
    }
    return all;
}
