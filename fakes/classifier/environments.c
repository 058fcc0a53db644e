/* Environments and classes (classifier.md §13). */
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/classifier/model.h"
#include <string.h>

static bool known_environment(const struct classifier_model *m, const char *name) {
    for (size_t i = 0; i < json_array_size(m->environments); i++) {
        if (strcmp(json_string_value(json_array_get(m->environments, i)), name) == 0) {
            return true;
        }
    }
    return false;
}

static json_t *environment_json(const char *name) {
    return json_pack("{s:s, s:b}", "name", name, "sync_succeeded", 1);
}

static void environments_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    if (!caller_known(c, ex, &who)) {
        return;
    }
    json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(c->model->environments); i++) {
        json_array_append_new(all, environment_json(json_string_value(json_array_get(c->model->environments, i))));
    }
    all = page_of(ex, all);
    if (all != NULL) {
        http_respond_json(ex, 200, all);
    }
}

static void environment_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    const char *name = http_param(ex, "name");
    if (!caller_known(c, ex, &who)) {
        return;
    }
    if (known_environment(c->model, name)) {
        http_respond_json(ex, 200, environment_json(name));
    } else {
        fake_respond_empty(ex, 404);
    }
}

static void environment_put(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    const char *name = http_param(ex, "name");
    if (!caller_known(c, ex, &who)) {
        return;
    }
    json_t *value = json_string(name);
    if (value == NULL) {
        classifier_fail(ex, 400, "malformed-request", NULL, "The name of the environment is not UTF-8.");
        return;
    }
    if (!known_environment(c->model, name)) {
        json_array_append(c->model->environments, value);
    }
    json_decref(value);
    http_respond_json(ex, 201, environment_json(name));
}

static void classes_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    const char *environment = http_param(ex, "env");
    if (!caller_known(c, ex, &who)) {
        return;
    }
    json_t *all = json_array();
    size_t i;
    json_t *class;
    json_array_foreach(c->model->classes, i, class) {
        if (environment == NULL || strcmp(json_str(class, "environment"), environment) == 0) {
            json_array_append(all, class);
        }
    }
    all = page_of(ex, all);
    if (all != NULL) {
        http_respond_json(ex, 200, all);
    }
}

static void class_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    if (!caller_known(c, ex, &who)) {
        return;
    }
    json_t *class = class_find(c->model, http_param(ex, "env"), http_param(ex, "name"));
    if (class != NULL) {
        http_respond_json(ex, 200, json_incref(class));
    } else {
        fake_respond_empty(ex, 404);
    }
}

static void last_update_get(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    char text[TIME_TEXT_LEN];
    if (!caller_known(c, ex, &who)) {
        return;
    }
    bool never = c->model->last_update_ms < 0;
    if (!never) {
        time_format_ms(c->model->last_update_ms, text);
    }
    http_respond_json(ex, 200, json_pack("{s:s?}", "last_update", never ? NULL : text));
}

/* Parameters as the classifier keeps them: name -> default; null marks one that must be set. */
static json_t *parameters_of(const json_t *class) {
    json_t *parameters = json_object();
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(class, "params"), i, p) {
        json_t *literal = json_object_get(p, "default_literal");
        json_t *source = json_object_get(p, "default_source");
        json_t *value = literal != NULL ? literal : source;
        json_set(parameters, json_str(p, "name"), value != NULL ? json_incref(value) : json_null());
    }
    return parameters;
}

static void replace_classes(struct classifier_model *m, const char *environment, const json_t *answer) {
    for (size_t i = json_array_size(m->classes); i-- > 0;) {
        if (strcmp(json_str(json_array_get(m->classes, i), "environment"), environment) == 0) {
            json_array_remove(m->classes, i);
        }
    }
    size_t i, k;
    json_t *file, *class;
    json_array_foreach(json_object_get(answer, "files"), i, file) {
        json_array_foreach(json_object_get(file, "classes"), k, class) {
            json_array_append_new(m->classes,
                                  json_pack("{s:O, s:s, s:o}", "name", json_object_get(class, "name"), "environment",
                                            environment, "parameters", parameters_of(class)));
        }
    }
}

static bool update_environment(struct fake_classifier *c, struct http_exchange *ex, const char *environment) {
    struct error err = ERROR_INIT;
    json_t *answer = c->classes_of(c->ctx, environment, &err);
    if (answer == NULL) {
        classifier_fail(ex, 500, "unexpected-response", json_incref(err.details), err.msg);
        error_clear(&err);
        return false;
    }
    replace_classes(c->model, environment, answer);
    json_decref(answer);
    return true;
}

static void update_classes_post(struct fake *f, struct http_exchange *ex, const struct fake_route *route) {
    (void)route;
    struct fake_classifier *c = classifier_of(f);
    struct caller who;
    const char *only = http_query(ex, "environment");
    if (!caller_known(c, ex, &who)) {
        return;
    }
    bool good = true;
    for (size_t i = 0; good && c->classes_of != NULL && i < json_array_size(c->model->environments); i++) {
        const char *name = json_string_value(json_array_get(c->model->environments, i));
        if (only == NULL || strcmp(only, name) == 0) {
            good = update_environment(c, ex, name);
        }
    }
    if (good) {
        c->model->last_update_ms = fake_now_ms(f);
        fake_respond_empty(ex, 201);
    }
}

const struct fake_route classifier_other_routes[] = {
    {"GET", "/classifier-api/v1/environments", environments_get, NULL},
    {"GET", "/classifier-api/v1/environments/:name", environment_get, NULL},
    {"PUT", "/classifier-api/v1/environments/:name", environment_put, NULL},
    {"GET", "/classifier-api/v1/environments/:env/classes", classes_get, NULL},
    {"GET", "/classifier-api/v1/environments/:env/classes/:name", class_get, NULL},
    {"GET", "/classifier-api/v1/classes", classes_get, NULL},
    {"GET", "/classifier-api/v1/last-class-update", last_update_get, NULL},
    {"POST", "/classifier-api/v1/update-classes", update_classes_post, NULL},
    {NULL, NULL, NULL, NULL},
};
