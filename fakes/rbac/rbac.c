/* The service: its routes, state and status. */
#include "fakes/rbac/rbac.h"
#include "base/mem.h"
#include "fakes/rbac/model.h"
#include <string.h>

static bool load(struct fake *f, const json_t *state, struct error *err) {
    struct fake_rbac *r = rbac_of(f);
    struct rbac_model *m = rbac_model_load(f->world, state, fake_now_ms(f), err);
    if (m == NULL) {
        return false;
    }
    rbac_model_free(r->model);
    r->model = m;
    return true;
}

static json_t *dump(struct fake *f) {
    return rbac_model_dump(rbac_of(f)->model);
}

static json_t *status(struct fake *f, const char *level) {
    json_t *detail;
    if (strcmp(level, "critical") == 0) {
        detail = json_object();
    } else {
        detail = json_pack("{s:b, s:b, s:{s:s}, s:{s:s, s:s}}", "activity_up", fake_sibling(f, "activity") != NULL,
                           "db_up", 1, "db_pool", "state", "ready", "replication", "mode", "none", "status", "none");
    }
    return json_pack("{s:s, s:s, s:i, s:s, s:s, s:[], s:o}", "service_name", "rbac-service", "service_version", "1.8.0",
                     "service_status_version", 1, "detail_level", level, "state", "running", "active_alerts", "status",
                     detail);
}

static bool authenticate(struct fake *f, struct http_exchange *ex, struct error *err) {
    return fake_rbac_caller(rbac_of(f), ex, err) != NULL;
}

static void not_found(struct fake *f, struct http_exchange *ex, const char *allow) {
    (void)f;
    if (allow != NULL) {
        http_set_header(ex, "Allow", allow);
        rbac_fail(ex, 405, "method-not-allowed", NULL, "The method is not allowed here.");
    } else {
        rbac_fail(ex, 404, "not-found", NULL, "The resource could not be found.");
    }
}

static const char *const prefixes[] = {"/rbac-api/", NULL};

static const struct fake_route *const tables[] = {
    rbac_token_routes,   rbac_revoke_routes, rbac_permission_routes, rbac_password_routes, rbac_user_routes,
    rbac_user_v2_routes, rbac_group_routes,  rbac_role_routes,       rbac_other_routes,    NULL,
};

static const struct fake_service rbac_service = {.name = "rbac",
                                                 .tables = tables,
                                                 .prefixes = prefixes,
                                                 .not_found = not_found,
                                                 .load = load,
                                                 .dump = dump,
                                                 .status = status,
                                                 .status_name = "rbac-service",
                                                 .authenticate = authenticate};

struct fake_rbac *fake_rbac_new(struct world *w, const struct fake_rbac_opts *opts, struct error *err) {
    struct fake_rbac *r = mem_zalloc(sizeof *r);
    list_init(&r->jobs);
    if (!fake_init(&r->base, w, &rbac_service, opts->state, opts->log, err)) {
        mem_free(r);
        return NULL;
    }
    return r;
}

void fake_rbac_free(struct fake_rbac *r) {
    if (r == NULL) {
        return;
    }
    rbac_jobs_detach(r);
    rbac_model_free(r->model);
    fake_deinit(&r->base);
    mem_free(r);
}

struct fake *fake_rbac_base(struct fake_rbac *r) {
    return &r->base;
}

void fake_rbac_set_group_parent(struct fake_rbac *r, bool (*parent_of)(void *ctx, const char *id, const char **parent),
                                void *ctx) {
    r->parent_of = parent_of;
    r->parent_ctx = ctx;
}
