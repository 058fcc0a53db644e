/* The service: state, status, life. */
#include "base/mem.h"
#include "fakes/classifier/model.h"
#include <string.h>

static bool load(struct fake *f, const json_t *state, struct error *err) {
    struct fake_classifier *c = classifier_of(f);
    struct classifier_model *m = classifier_model_load(state, fake_now_ms(f), err);
    if (m == NULL) {
        return false;
    }
    classifier_model_free(c->model);
    c->model = m;
    return true;
}

static json_t *dump(struct fake *f) {
    return classifier_model_dump(classifier_of(f)->model);
}

static json_t *status(struct fake *f, const char *level) {
    json_t *detail = json_object();
    if (strcmp(level, "critical") != 0) {
        json_set(detail, "db_up", json_true());
        json_set(detail, "activity_up", json_boolean(fake_sibling(f, "activity") != NULL));
        json_set(detail, "rbac_up", json_boolean(fake_sibling(f, "rbac") != NULL));
    }
    return json_pack("{s:s, s:s, s:i, s:s, s:s, s:[], s:o}", "service_name", "classifier-service", "service_version",
                     "1.8.0", "service_status_version", 1, "detail_level", level, "state", "running", "active_alerts",
                     "status", detail);
}

static void not_found(struct fake *f, struct http_exchange *ex, const char *allow) {
    (void)f;
    if (allow != NULL) {
        http_set_header(ex, "Allow", allow);
        classifier_fail(ex, 405, "method-not-allowed", NULL, "The method is not allowed here.");
    } else {
        classifier_fail(ex, 404, "not-found", json_string(http_request(ex)->path), "The resource could not be found.");
    }
}

static const struct fake_route *const tables[] = {
    classifier_group_routes,    classifier_edit_routes,  classifier_rule_routes,
    classifier_classify_routes, classifier_other_routes, NULL,
};
static const char *const prefixes[] = {"/classifier-api/", NULL};
static const struct fake_service classifier_service = {.name = "classifier",
                                                       .tables = tables,
                                                       .prefixes = prefixes,
                                                       .not_found = not_found,
                                                       .load = load,
                                                       .dump = dump,
                                                       .status = status,
                                                       .status_name = "classifier-service"};

struct fake_classifier *fake_classifier_new(struct world *w, const struct fake_classifier_opts *opts,
                                            struct error *err) {
    struct fake_classifier *c = mem_zalloc(sizeof *c);
    c->classes_of = opts->classes_of;
    c->nodes_of = opts->nodes_of;
    c->ctx = opts->ctx;
    if (!fake_init(&c->base, w, &classifier_service, opts->state, opts->log, err)) {
        mem_free(c);
        return NULL;
    }
    return c;
}

void fake_classifier_free(struct fake_classifier *c) {
    if (c != NULL) {
        classifier_model_free(c->model);
        fake_deinit(&c->base);
        mem_free(c);
    }
}

struct fake *fake_classifier_base(struct fake_classifier *c) {
    return &c->base;
}

static bool parent_of(void *ctx, const char *id, const char **parent) {
    const struct fake_classifier *c = ctx;
    const struct group *g = group_find(c->model, id);
    const struct group *above = g != NULL ? group_parent(c->model, g) : NULL;
    if (above != NULL) {
        *parent = above->id;
    }
    return above != NULL;
}

void fake_classifier_join_rbac(struct fake_classifier *c, struct fake_rbac *rbac) {
    fake_rbac_set_group_parent(rbac, parent_of, c);
}
