/* Modules in the module path of an environment, and small questions about paths. */
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include <stdlib.h>
#include <string.h>

char *ps_join(const char *dir, const char *name) {
    return str_printf("%s/%s", dir, name);
}

bool ps_is_dir(struct world *w, const char *path) {
    struct world_stat st;
    return world_file_stat(w, path, &st, NULL) && st.is_dir;
}

bool ps_is_file(struct world *w, const char *path) {
    struct world_stat st;
    return world_file_stat(w, path, &st, NULL) && st.is_file;
}

bool ps_path_confined(const char *relative) {
    struct span rest = span_of(relative);
    struct span part;
    while (span_split(&rest, '/', &part)) {
        if (part.len == 0 || span_eq_cstr(part, ".") || span_eq_cstr(part, "..")) {
            return false;
        }
    }
    return *relative != '\0';
}

bool ps_module_name_legal(struct span name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = c >= 'a' && c <= 'z';
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '_'))) {
            return false;
        }
    }
    return name.len > 0;
}

/* Puppet leaves out a module whose metadata lacks what a published one has; no metadata, none that can be read, or an
 * empty object are fine. */
static bool metadata_complete(struct world *w, const char *dir) {
    static const char *const needed[] = {"source", "author", "version", "license", "dependencies"};
    char *path = ps_join(dir, "metadata.json");
    struct buf text = BUF_INIT;
    json_t *metadata =
        world_file_read(w, path, PS_METADATA_MAX, &text, NULL) ? json_parse(buf_span(&text), "metadata", NULL) : NULL;
    bool complete = true;
    if (json_is_object(metadata) && json_object_size(metadata) > 0) {
        for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
            const json_t *value = json_object_get(metadata, needed[i]);
            complete = complete && value != NULL && !json_is_null(value);
        }
        complete = complete && json_is_array(json_object_get(metadata, "dependencies"));
    }
    json_decref(metadata);
    buf_free(&text);
    mem_free(path);
    return complete;
}

static char *any_module_dir(struct world *w, const struct ps_environment *env, const char *name) {
    for (size_t i = 0; i < env->modulepath_count && ps_module_name_legal(span_of(name)); i++) {
        char *dir = ps_join(env->modulepath[i], name);
        if (ps_is_dir(w, dir)) {
            return dir;
        }
        mem_free(dir);
    }
    return NULL;
}

char *ps_module_dir(struct world *w, const struct ps_environment *env, const char *name) {
    char *dir = any_module_dir(w, env, name); /* an incomplete one also hides those behind it */
    if (dir != NULL && !metadata_complete(w, dir)) {
        mem_free(dir);
        return NULL;
    }
    return dir;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool already(char *const *names, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static size_t leave_out_incomplete(struct world *w, const struct ps_environment *env, char **names, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        char *dir = ps_module_dir(w, env, names[i]);
        if (dir != NULL) {
            names[kept++] = names[i];
        } else {
            mem_free(names[i]);
        }
        mem_free(dir);
    }
    return kept;
}

static char **any_module_names(struct world *w, const struct ps_environment *env, size_t *count) {
    char **all = NULL;
    size_t cap = 0;
    *count = 0;
    for (size_t i = 0; i < env->modulepath_count; i++) {
        char **names = NULL;
        size_t n = 0;
        if (!world_file_list(w, env->modulepath[i], &names, &n, NULL)) {
            continue;
        }
        for (size_t k = 0; k < n; k++) {
            char *dir = ps_join(env->modulepath[i], names[k]);
            if (ps_module_name_legal(span_of(names[k])) && ps_is_dir(w, dir) && !already(all, *count, names[k])) {
                all = mem_grow(all, &cap, *count + 1, sizeof *all);
                all[(*count)++] = str_dup(names[k]);
            }
            mem_free(dir);
        }
        world_names_free(names, n);
    }
    if (*count > 1) {
        qsort(all, *count, sizeof *all, compare_names);
    }
    return all;
}

char **ps_module_names(struct world *w, const struct ps_environment *env, size_t *count) {
    char **names = any_module_names(w, env, count);
    *count = leave_out_incomplete(w, env, names, *count);
    return names;
}
