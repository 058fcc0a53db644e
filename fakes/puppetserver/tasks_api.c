/* GET /puppet/v3/tasks and /puppet/v3/tasks/:module/:task (puppetserver.md §5). */
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include <string.h>

static void internal_error(struct ps_request *r, const struct error *err) {
    ps_plain(r, 500, "text/plain;charset=utf-8", "Internal Server Error: %s", err->msg);
}

static json_t *list_entry(const struct ps_task *t, const char *environment) {
    const json_t *description = json_object_get(t->metadata, "description");
    const json_t *is_private = json_object_get(t->metadata, "private");
    bool no_private = is_private == NULL || json_is_null(is_private);
    bool no_description = description == NULL || json_is_null(description) || json_is_false(description);
    json_t *entry = json_object();
    json_set(entry, "name", json_string(t->name));
    json_set(entry, "private", no_private ? json_false() : json_deep_copy(is_private));
    json_set(entry, "description", no_description ? json_string("") : json_deep_copy(description));
    json_set(entry, "environment", json_pack("[{s:s, s:n}]", "name", environment, "code_id"));
    return entry;
}

/* Adds a module's sound tasks; false when one of them breaks the whole list. */
static bool list_module(struct ps_request *r, const struct ps_environment *env, const char *module, json_t *all,
                        struct error *err) {
    struct world *w = r->ps->base.world;
    char *dir = ps_module_dir(w, env, module);
    size_t count;
    char **names = ps_task_names(w, env, dir, &count);
    bool good = true;
    for (size_t i = 0; i < count && good; i++) {
        struct ps_task t;
        struct error broken = ERROR_INIT;
        enum ps_task_result result = ps_task_read(w, env, module, dir, names[i], &t, &broken);
        if (result == PS_TASK_FOUND) {
            json_array_append_new(all, list_entry(&t, env->name));
            ps_task_free(&t);
        } else if (result == PS_TASK_CRASH) {
            error_move(err, &broken);
            good = false;
        } else {
            log_warn(r->ps->base.log, "task %s::%s left out: %s", module, names[i],
                     broken.msg != NULL ? broken.msg : "gone");
        }
        error_clear(&broken);
    }
    world_names_free(names, count);
    mem_free(dir);
    return good;
}

void ps_tasks_list(struct ps_request *r) {
    struct ps_environment env;
    if (!ps_environment_of(r, &env)) {
        return;
    }
    size_t count;
    char **modules = ps_module_names(r->ps->base.world, &env, &count);
    json_t *all = json_array();
    struct error err = ERROR_INIT;
    bool good = true;
    for (size_t i = 0; i < count && good; i++) {
        good = list_module(r, &env, modules[i], all, &err);
    }
    if (good) {
        ps_json(r, 200, json_incref(all));
    } else {
        internal_error(r, &err);
    }
    error_clear(&err);
    json_decref(all);
    world_names_free(modules, count);
    ps_environment_close(&env);
}

/* Where an agent gets a file: the mount of file_content, or the versioned path. */
static json_t *file_uri(const struct ps_request *r, const struct ps_environment *env, const struct ps_task_file *f) {
    json_t *params = json_pack("{s:s}", "environment", env->name);
    char *path = NULL;
    if (env->code_id != NULL && json_bool(r->ps->config, "static_in_uris", false)) {
        json_set(params, "code_id", json_string(env->code_id));
        path = str_printf("/puppet/v3/static_file_content/modules/%s/%s/%s", f->module, f->mount, f->rest);
    }
    if (path == NULL && strcmp(f->mount, "lib") == 0) {
        path = str_printf("/puppet/v3/file_content/plugins/%s", f->rest); /* libraries of all modules are one tree */
    } else if (path == NULL) {
        const char *mount = strcmp(f->mount, "files") == 0 ? "modules" : f->mount;
        path = str_printf("/puppet/v3/file_content/%s/%s/%s", mount, f->module, f->rest);
    }
    json_t *uri = json_pack("{s:s, s:o}", "path", path, "params", params);
    mem_free(path);
    return uri;
}

static json_t *detail_files(const struct ps_request *r, const struct ps_environment *env, const struct ps_task *t,
                            struct error *err) {
    json_t *files = json_array();
    for (size_t i = 0; i < t->file_count; i++) {
        const struct ps_task_file *f = &t->files[i];
        char hex[65];
        uint64_t size;
        if (!ps_file_digest(r->ps->base.world, f->path, hex, &size, err)) {
            json_decref(files);
            return NULL;
        }
        json_t *entry = json_pack("{s:s, s:s, s:I, s:o}", "filename", f->filename, "sha256", hex, "size_bytes",
                                  (json_int_t)size, "uri", file_uri(r, env, f));
        if (entry != NULL) {
            json_array_append_new(files, entry); /* a file name that is not UTF-8 cannot be listed */
        }
    }
    return files;
}

static void answer_found(struct ps_request *r, const struct ps_environment *env, struct ps_task *t) {
    struct error err = ERROR_INIT;
    json_t *files = detail_files(r, env, t, &err);
    if (files == NULL) {
        internal_error(r, &err);
    } else {
        ps_json(r, 200, json_pack("{s:O, s:s, s:o}", "metadata", t->metadata, "name", t->name, "files", files));
    }
    error_clear(&err);
    ps_task_free(t);
}

static void answer_task(struct ps_request *r, const struct ps_environment *env, const char *module_dir) {
    struct ps_task t;
    struct error err = ERROR_INIT;
    switch (ps_task_read(r->ps->base.world, env, r->params[0], module_dir, r->params[1], &t, &err)) {
    case PS_TASK_FOUND:
        answer_found(r, env, &t);
        break;
    case PS_TASK_ABSENT:
        ps_text(r, 404, "Could not find task '%s'", r->params[1]);
        break;
    case PS_TASK_BROKEN:
        ps_json(r, 500,
                json_pack("{s:s, s:s, s:o}", "kind", err.kind, "msg", err.msg, "details",
                          err.details != NULL ? json_incref(err.details) : json_object()));
        break;
    case PS_TASK_CRASH:
        internal_error(r, &err);
        break;
    }
    error_clear(&err);
}

void ps_task_detail(struct ps_request *r) {
    struct ps_environment env;
    if (!ps_environment_of(r, &env)) {
        return;
    }
    char *dir = ps_module_dir(r->ps->base.world, &env, r->params[0]);
    if (dir == NULL) {
        ps_text(r, 404, "Could not find module '%s'", r->params[0]);
    } else {
        answer_task(r, &env, dir);
    }
    mem_free(dir);
    ps_environment_close(&env);
}
