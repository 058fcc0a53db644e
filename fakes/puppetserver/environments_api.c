/* The list of environments, their modules and transports, and the cache switch (puppetserver.md §12, §13). */
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include <string.h>

enum { MODULE_METADATA_MAX = 1024 * 1024 };

static json_t *settings_json(const struct ps_environment *env) {
    json_t *paths = json_array();
    for (size_t i = 0; i < env->modulepath_count; i++) {
        json_array_append_new(paths, json_string(env->modulepath[i]));
    }
    return json_pack("{s:{s:o, s:s, s:O, s:s}}", "settings", "modulepath", paths, "manifest", env->manifest,
                     "environment_timeout", env->timeout, "config_version", env->config_version);
}

void ps_environments_list(struct ps_request *r) {
    size_t count;
    char **names = ps_environment_names(r->ps, &count);
    json_t *all = json_object();
    for (size_t i = 0; i < count; i++) {
        struct ps_environment env;
        if (ps_environment_open(r->ps, names[i], &env)) {
            json_set(all, names[i], settings_json(&env));
            ps_environment_close(&env);
        }
    }
    world_names_free(names, count);
    char *path = str_printf("file://%s/environments", json_str(r->ps->config, "codedir"));
    ps_json(r, 200,
            json_pack("{s:[s, s], s:o}", "search_paths", path, "data:text/plain,internal", "environments", all));
    mem_free(path);
}

/* A module's "author/name" and version from its metadata.json; the bare name without one. */
static json_t *module_json(struct world *w, const struct ps_environment *env, const char *name) {
    char *dir = ps_module_dir(w, env, name);
    char *path = ps_join(dir, "metadata.json");
    struct buf text = BUF_INIT;
    json_t *metadata = world_file_read(w, path, MODULE_METADATA_MAX, &text, NULL)
                           ? json_parse(buf_span(&text), "metadata", NULL)
                           : NULL;
    char *full = str_dup(json_str(metadata, "name") != NULL ? json_str(metadata, "name") : name);
    for (char *p = full; *p != '\0'; p++) {
        *p = *p == '-' ? '/' : *p;
    }
    json_t *module = json_pack("{s:s, s:s?}", "name", full, "version", json_str(metadata, "version"));
    json_decref(metadata);
    buf_free(&text);
    mem_free(full);
    mem_free(path);
    mem_free(dir);
    return module;
}

static json_t *environment_modules(struct ps_request *r, const struct ps_environment *env) {
    size_t count;
    char **names = ps_module_names(r->ps->base.world, env, &count);
    json_t *modules = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(modules, module_json(r->ps->base.world, env, names[i]));
    }
    world_names_free(names, count);
    return json_pack("{s:o, s:s}", "modules", modules, "name", env->name);
}

void ps_environment_modules(struct ps_request *r) {
    struct ps_environment env;
    if (http_query(r->ex, "environment") != NULL) {
        if (ps_environment_of(r, &env)) {
            ps_json(r, 200, environment_modules(r, &env));
            ps_environment_close(&env);
        }
        return;
    }
    size_t count;
    char **names = ps_environment_names(r->ps, &count);
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++) {
        if (ps_environment_open(r->ps, names[i], &env)) {
            json_array_append_new(all, environment_modules(r, &env));
            ps_environment_close(&env);
        }
    }
    world_names_free(names, count);
    ps_json(r, 200, all);
}

/* Transports are Ruby code, which is not run here: there are none. */
void ps_environment_transports(struct ps_request *r) {
    struct ps_environment env;
    if (ps_environment_of(r, &env)) {
        ps_json(r, 200, json_pack("{s:s, s:[]}", "name", env.name, "transports"));
        ps_environment_close(&env);
    }
}

/* Nothing is cached, so there is nothing to flush. */
void ps_environment_cache(struct ps_request *r) {
    http_respond(r->ex, 204, NULL, SPAN(""));
}
