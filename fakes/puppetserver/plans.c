/* Plans (puppetserver.md §6, §8). */
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include <string.h>

static const char *const reserved[] = {
    "and",          "application", "attr",     "case",    "class",  "consumes", "default",  "else",    "elsif",
    "environment",  "false",       "function", "if",      "import", "in",       "inherits", "node",    "private",
    "produces",     "site",        "true",     "type",    "undef",  "unless",   "any",      "array",   "boolean",
    "catalogentry", "collection",  "callable", "data",    "enum",   "float",    "hash",     "integer", "numeric",
    "optional",     "pattern",     "resource", "runtime", "scalar", "string",   "struct",   "tuple",   "variant",
};

static bool is_reserved(struct span name) {
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (span_eq_cstr(name, reserved[i])) {
            return true;
        }
    }
    return false;
}

/* The plan's short name in a file name; false when it is none. */
static bool plan_of_file(const char *filename, struct span *name) {
    struct span all = span_of(filename);
    size_t tail = span_ends_with(all, ".pp") ? 3 : span_ends_with(all, ".yaml") ? 5 : 0;
    *name = span_sub(all, 0, all.len - tail);
    return tail != 0 && ps_module_name_legal(*name) && !is_reserved(*name);
}

static char *full_name(const char *module, struct span plan) {
    return span_eq_cstr(plan, "init") ? str_dup(module) : str_printf("%s::%.*s", module, (int)plan.len, plan.ptr);
}

static bool in_list(const json_t *list, const char *name) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcmp(json_str(json_array_get(list, i), "name"), name) == 0) {
            return true;
        }
    }
    return false;
}

static void list_module(struct ps_request *r, const struct ps_environment *env, const char *module, json_t *all) {
    struct world *w = r->ps->base.world;
    char *module_dir = ps_module_dir(w, env, module);
    char *dir = ps_join(module_dir, "plans");
    char **names = NULL;
    size_t n = 0;
    world_file_list(w, dir, &names, &n, NULL);
    for (size_t i = 0; i < n; i++) {
        struct span plan;
        char *path = ps_join(dir, names[i]);
        if (plan_of_file(names[i], &plan) && ps_is_code(w, env, path)) {
            char *name = full_name(module, plan);
            if (!in_list(all, name)) {
                json_array_append_new(
                    all, json_pack("{s:s, s:[{s:s, s:n}]}", "name", name, "environment", "name", env->name, "code_id"));
            }
            mem_free(name);
        }
        mem_free(path);
    }
    world_names_free(names, n);
    mem_free(dir);
    mem_free(module_dir);
}

void ps_plans_list(struct ps_request *r) {
    struct ps_environment env;
    if (!ps_environment_of(r, &env)) {
        return;
    }
    size_t count;
    char **modules = ps_module_names(r->ps->base.world, &env, &count);
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++) {
        list_module(r, &env, modules[i], all);
    }
    world_names_free(modules, count);
    ps_environment_close(&env);
    ps_json(r, 200, all);
}

static bool plan_exists(struct world *w, const struct ps_environment *env, const char *module_dir, const char *plan) {
    static const char *const tails[] = {".pp", ".yaml"};
    bool found = false;
    if (!ps_module_name_legal(span_of(plan)) || is_reserved(span_of(plan))) {
        return false;
    }
    for (size_t i = 0; i < 2 && !found; i++) {
        char *path = str_printf("%s/plans/%s%s", module_dir, plan, tails[i]);
        found = ps_is_code(w, env, path);
        mem_free(path);
    }
    return found;
}

void ps_plan_detail(struct ps_request *r) {
    struct ps_environment env;
    if (!ps_environment_of(r, &env)) {
        return;
    }
    char *dir = ps_module_dir(r->ps->base.world, &env, r->params[0]);
    if (dir == NULL) {
        ps_text(r, 404, "Could not find module '%s'", r->params[0]);
    } else if (!plan_exists(r->ps->base.world, &env, dir, r->params[1])) {
        ps_text(r, 404, "Could not find plan '%s'", r->params[1]);
    } else {
        char *name = full_name(r->params[0], span_of(r->params[1]));
        ps_json(r, 200, json_pack("{s:{}, s:s}", "metadata", "name", name));
        mem_free(name);
    }
    mem_free(dir);
    ps_environment_close(&env);
}
