/* GET /puppet/v3/file_content/MOUNT/PATH (puppetserver.md §10). */
#include "base/mem.h"
#include "fakes/puppetserver/files.h"
#include <string.h>

/* Mounts that serve a directory of one module, and those that serve the union over all. */
static const struct {
    const char *mount, *dir;
    bool merged;
} mounts[] = {
    {"modules", "files", false}, {"tasks", "tasks", false},        {"scripts", "scripts", false},
    {"plugins", "lib", true},    {"pluginfacts", "facts.d", true}, {"locales", "locales", true},
};

static char *merged_path(struct world *w, const struct ps_environment *env, const char *dir, const char *rest) {
    size_t count;
    char **modules = ps_module_names(w, env, &count);
    char *found = NULL;
    for (size_t i = 0; i < count && found == NULL; i++) {
        char *module_dir = ps_module_dir(w, env, modules[i]);
        char *path =
            *rest == '\0' ? str_printf("%s/%s", module_dir, dir) : str_printf("%s/%s/%s", module_dir, dir, rest);
        struct world_stat st;
        if (world_file_stat(w, path, &st, NULL)) {
            found = path;
        } else {
            mem_free(path);
        }
        mem_free(module_dir);
    }
    world_names_free(modules, count);
    return found;
}

static char *module_path(struct world *w, const struct ps_environment *env, const char *dir, const char *rest) {
    struct span tail = span_of(rest);
    struct span module = {0};
    span_split(&tail, '/', &module);
    char *name = span_dup(module);
    char *module_dir = ps_module_dir(w, env, name);
    char *path = NULL;
    if (module_dir != NULL) {
        char *relative = span_dup(tail);
        path = *relative == '\0' ? str_printf("%s/%s", module_dir, dir)
                                 : str_printf("%s/%s/%s", module_dir, dir, relative);
        struct world_stat st;
        if (!world_file_stat(w, path, &st, NULL)) {
            mem_free(path);
            path = NULL;
        }
        mem_free(relative);
    }
    mem_free(module_dir);
    mem_free(name);
    return path;
}

/* May this be told about? Of a link that is not followed, only where it is matters. */
static bool in_code(struct world *w, const struct ps_environment *env, enum ps_links links, const char *path) {
    struct world_stat st;
    if (links == PS_LINKS_FOLLOW || !world_file_lstat(w, path, &st, NULL) || !st.is_link) {
        return ps_path_in_code(w, env, path);
    }
    char *dir = str_dup(path);
    *strrchr(dir, '/') = '\0';
    bool inside = ps_path_in_code(w, env, dir);
    mem_free(dir);
    return inside;
}

enum ps_found ps_file_find(struct world *w, const struct ps_environment *env, const char *served, enum ps_links links,
                           char **path) {
    struct span rest = span_of(served);
    struct span mount = {0};
    span_split(&rest, '/', &mount);
    *path = NULL;
    for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
        if (!span_eq_cstr(mount, mounts[i].mount)) {
            continue;
        }
        char *below = span_dup(rest);
        if (*below == '\0' ? mounts[i].merged : ps_path_confined(below)) {
            *path = mounts[i].merged ? merged_path(w, env, mounts[i].dir, below)
                                     : module_path(w, env, mounts[i].dir, below);
        }
        mem_free(below);
        if (*path != NULL && !in_code(w, env, links, *path)) {
            mem_free(*path);
            *path = NULL;
        }
        return *path != NULL ? PS_FILE_FOUND : PS_FILE_ABSENT;
    }
    return PS_FILE_NO_MOUNT;
}

bool ps_file_locate(struct ps_request *r, const char *what, const struct ps_environment *env, enum ps_links links,
                    char **path) {
    const char *served = r->params[0];
    switch (ps_file_find(r->ps->base.world, env, served, links, path)) {
    case PS_FILE_FOUND:
        return true;
    case PS_FILE_ABSENT:
        if (strcmp(what, "file_metadatas") == 0) {
            ps_issue(r, 404, "RESOURCE_NOT_FOUND", "Could not find instances in file_metadata with '%s'", served);
        } else {
            ps_issue(r, 404, "RESOURCE_NOT_FOUND", "Could not find %s %s", what, served);
        }
        break;
    case PS_FILE_NO_MOUNT:
        ps_issue(r, 500, "RUNTIME_ERROR", "Not authorized to call %s on /%s/%s with {:rest=>\"%s\"}",
                 strcmp(what, "file_metadatas") == 0 ? "search" : "find", what, served, served);
        break;
    }
    return false;
}

static bool octets_accepted(struct ps_request *r) {
    if (body_accepts(r->ex, "application/octet-stream") || body_accepts(r->ex, "binary")) {
        return true;
    }
    ps_issue(r, 406, "UNSUPPORTED_FORMAT", "No supported formats are acceptable (Accept: %s)",
             http_header(r->ex, "accept"));
    return false;
}

void ps_send_file(struct ps_request *r, const char *path) {
    struct buf bytes = BUF_INIT;
    struct error err = ERROR_INIT;
    if (world_file_read(r->ps->base.world, path, PS_FILE_MAX, &bytes, &err)) {
        ps_bytes(r, buf_span(&bytes));
    } else {
        ps_issue(r, 500, "RUNTIME_ERROR", "%s", err.msg);
    }
    error_clear(&err);
    buf_free(&bytes);
}

void ps_file_content(struct ps_request *r) {
    struct ps_environment env;
    char *path;
    if (r->params[0][0] == '\0') {
        ps_issue(r, 400, "RUNTIME_ERROR", "No request key specified in %s", r->path);
        return;
    }
    if (ps_project_asked(r, "file_content", ps_project_content) || !ps_environment_of_file(r, "file_content", &env)) {
        return;
    }
    if (octets_accepted(r) && ps_file_locate(r, "file_content", &env, PS_LINKS_FOLLOW, &path)) {
        if (ps_is_dir(r->ps->base.world, path)) {
            ps_bytes(r, SPAN(""));
        } else {
            ps_send_file(r, path);
        }
        mem_free(path);
    }
    ps_environment_close(&env);
}
