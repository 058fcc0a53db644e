/* GET /puppet/v3/environment/:environment, before Puppet Server 7 (puppetserver.md §14). */
#include "fakes/puppetserver/app_graph.h"
#include <string.h>

struct app_options ps_app_options(const struct fake_puppetserver *ps, const struct ps_environment *env) {
    return (struct app_options){.environment = env->name,
                                .major = ps_major(ps),
                                .capability_types = json_object_get(ps->config, "capability_types"),
                                .class_components = json_bool(ps->config, "class_components", false)};
}

void ps_environment_catalog(struct ps_request *r) {
    struct ps_environment env;
    const char *name = r->params[0], *code_id = http_query(r->ex, "code_id");
    if (!ps_environment_open(r->ps, name, &env)) {
        ps_issue(r, 404, "RESOURCE_NOT_FOUND", "%s is not a known environment", name);
        return;
    }
    struct manifests m;
    struct error err = ERROR_INIT;
    struct app_options opts = ps_app_options(r->ps, &env);
    manifests_init(&m, r->ps->base.world, &env, PL_DIALECT_APP);
    json_t *applications = app_graph(&m, &opts, &err);
    if (applications != NULL) {
        const char *shown = code_id != NULL && *code_id != '\0' ? code_id : env.code_id;
        ps_json(r, 200,
                json_pack("{s:s, s:o, s:s?}", "environment", name, "applications", applications, "code_id", shown));
    } else {
        ps_issue(r, 500, "RUNTIME_ERROR", "%s", err.msg);
    }
    error_clear(&err);
    manifests_free(&m);
    ps_environment_close(&env);
}
