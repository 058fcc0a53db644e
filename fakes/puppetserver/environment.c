/* Environments: directories with an optional environment.conf, or entries of the configuration. */
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { ENVIRONMENT_CONF_MAX = 64 * 1024, MODULEPATH_MAX = 64 };

bool ps_environment_name_legal(const char *name) {
    size_t i = 0;
    for (; name[i] != '\0'; i++) {
        if (!isalnum((unsigned char)name[i]) && name[i] != '_') {
            return false;
        }
    }
    return i > 0;
}

static void add_path(struct ps_environment *env, char *path) {
    if (env->modulepath_count == MODULEPATH_MAX) {
        mem_free(path);
        return;
    }
    if (env->modulepath == NULL) {
        env->modulepath = mem_array(MODULEPATH_MAX, sizeof *env->modulepath);
    }
    env->modulepath[env->modulepath_count++] = path;
}

static void add_base_modulepath(struct fake_puppetserver *ps, struct ps_environment *env) {
    size_t i;
    json_t *path;
    json_array_foreach(json_object_get(ps->config, "basemodulepath"), i, path) {
        add_path(env, str_dup(json_string_value(path)));
    }
}

/* Relative paths are below the environment's directory. */
static char *resolve(const struct ps_environment *env, struct span path) {
    char *text = span_dup(path);
    if (*text == '/' || env->dir == NULL) {
        return text;
    }
    char *full = ps_join(env->dir, text);
    mem_free(text);
    return full;
}

static void read_modulepath(struct fake_puppetserver *ps, struct ps_environment *env, struct span value) {
    struct span part;
    while (span_split(&value, ':', &part)) {
        part = span_trim(part);
        if (span_eq_cstr(part, "$basemodulepath")) {
            add_base_modulepath(ps, env);
        } else if (part.len > 0) {
            add_path(env, resolve(env, part));
        }
    }
}

/* "." and ".." are taken out of it, without a look at the disk. */
static char *expand(const struct ps_environment *env, struct span path) {
    struct buf b = BUF_INIT;
    struct span part;
    if (!span_starts_with(path, "/")) {
        buf_append_cstr(&b, env->dir);
    }
    while (span_split(&path, '/', &part)) {
        if (span_eq_cstr(part, "..")) {
            while (b.len > 0 && b.ptr[--b.len] != '/') {
            }
        } else if (part.len > 0 && !span_eq_cstr(part, ".")) {
            buf_append_char(&b, '/');
            buf_append_span(&b, part);
        }
    }
    char *text = span_dup(buf_span(&b));
    buf_free(&b);
    return text;
}

/* A command, relative to the environment; $environment and $codedir are filled in. */
static char *read_command(struct fake_puppetserver *ps, const struct ps_environment *env, struct span value) {
    const struct {
        const char *name, *value;
    } settings[] = {{"environment", env->name}, {"codedir", json_str(ps->config, "codedir")}};
    char *text = span_starts_with(value, "$") || value.len == 0 ? span_dup(value) : expand(env, value);
    struct buf b = BUF_INIT;
    for (const char *p = text; *p != '\0';) {
        bool braces = p[0] == '$' && p[1] == '{';
        const char *name = p + (braces ? 2 : 1), *filled = NULL;
        size_t len = *p == '$' ? strspn(name, "abcdefghijklmnopqrstuvwxyz_") : 0;
        for (size_t i = 0; i < sizeof settings / sizeof settings[0] && len > 0; i++) {
            bool same = span_eq_cstr((struct span){name, len}, settings[i].name) && (!braces || name[len] == '}');
            filled = same ? settings[i].value : filled;
        }
        if (filled != NULL) {
            buf_append_cstr(&b, filled);
            p = name + len + (braces ? 1 : 0);
        } else {
            buf_append_char(&b, *p++);
        }
    }
    mem_free(text);
    return buf_take(&b);
}

static void read_setting(struct fake_puppetserver *ps, struct ps_environment *env, struct span key, struct span value) {
    uint64_t seconds;
    if (span_eq_cstr(key, "modulepath")) {
        read_modulepath(ps, env, value);
    } else if (span_eq_cstr(key, "manifest")) {
        mem_free(env->manifest);
        env->manifest = resolve(env, value);
    } else if (span_eq_cstr(key, "config_version")) {
        mem_free(env->config_version);
        env->config_version = read_command(ps, env, value);
    } else if (span_eq_cstr(key, "environment_timeout")) {
        json_decref(env->timeout);
        env->timeout = span_to_u64(value, &seconds) ? json_integer((json_int_t)seconds) : json_str_new(value);
    }
}

static void read_conf(struct fake_puppetserver *ps, struct ps_environment *env) {
    char *path = ps_join(env->dir, "environment.conf");
    struct buf text = BUF_INIT;
    if (world_file_read(ps->base.world, path, ENVIRONMENT_CONF_MAX, &text, NULL)) {
        struct span rest = buf_span(&text);
        struct span line;
        while (span_split(&rest, '\n', &line)) {
            ptrdiff_t hash = span_find(line, '#');
            line = span_sub(line, 0, hash >= 0 ? (size_t)hash : line.len);
            ptrdiff_t equals = span_find(line, '=');
            if (equals > 0) {
                read_setting(ps, env, span_trim(span_sub(line, 0, (size_t)equals)),
                             span_trim(span_sub(line, (size_t)equals + 1, line.len)));
            }
        }
    }
    buf_free(&text);
    mem_free(path);
}

static char *environments_dir(struct fake_puppetserver *ps) {
    return ps_join(json_str(ps->config, "codedir"), "environments");
}

static bool open_directory(struct fake_puppetserver *ps, struct ps_environment *env) {
    char *root = environments_dir(ps);
    char *dir = ps_join(root, env->name);
    mem_free(root);
    if (!ps_is_dir(ps->base.world, dir)) {
        mem_free(dir);
        return false;
    }
    env->dir = dir;
    env->manifest = ps_join(dir, "manifests");
    read_conf(ps, env);
    if (env->modulepath_count == 0) {
        add_path(env, ps_join(dir, "modules"));
        add_base_modulepath(ps, env);
    }
    return true;
}

/* An entry of "environments" replaces the module path and manifest of the directory, if there is one. */
static void apply_entry(struct fake_puppetserver *ps, struct ps_environment *env, const json_t *entry) {
    const json_t *paths = json_object_get(entry, "modulepath");
    const char *manifest = json_str(entry, "manifest");
    if (paths != NULL) {
        for (size_t i = 0; i < env->modulepath_count; i++) {
            mem_free(env->modulepath[i]);
        }
        env->modulepath_count = 0;
        size_t i;
        json_t *path;
        json_array_foreach((json_t *)(uintptr_t)paths, i, path) {
            add_path(env, str_dup(json_string_value(path)));
        }
        add_base_modulepath(ps, env);
    }
    if (manifest != NULL) {
        mem_free(env->manifest);
        env->manifest = str_dup(manifest);
    }
}

bool ps_environment_open(struct fake_puppetserver *ps, const char *name, struct ps_environment *env) {
    *env = (struct ps_environment){0};
    if (!ps_environment_name_legal(name)) {
        return false;
    }
    const json_t *entry = json_object_get(json_object_get(ps->config, "environments"), name);
    env->name = str_dup(name);
    bool found = open_directory(ps, env);
    if (!found && entry == NULL) {
        ps_environment_close(env);
        return false;
    }
    if (entry != NULL) {
        apply_entry(ps, env, entry);
    }
    if (env->timeout == NULL) {
        env->timeout = json_integer(0);
    }
    if (env->config_version == NULL) {
        env->config_version = str_dup("");
    }
    if (env->manifest == NULL) {
        env->manifest = str_dup("");
    }
    env->code_id = json_str(json_object_get(ps->config, "static"), name);
    return true;
}

void ps_environment_close(struct ps_environment *env) {
    for (size_t i = 0; i < env->modulepath_count; i++) {
        mem_free(env->modulepath[i]);
    }
    mem_free(env->modulepath);
    mem_free(env->name);
    mem_free(env->dir);
    mem_free(env->manifest);
    mem_free(env->config_version);
    json_decref(env->timeout);
    *env = (struct ps_environment){0};
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **ps_environment_names(struct fake_puppetserver *ps, size_t *count) {
    char *root = environments_dir(ps);
    char **listed = NULL;
    size_t listed_count = 0, cap = 0;
    char **all = NULL;
    *count = 0;
    world_file_list(ps->base.world, root, &listed, &listed_count, NULL);
    const json_t *entries = json_object_get(ps->config, "environments");
    for (size_t i = 0; i < listed_count; i++) {
        char *dir = ps_join(root, listed[i]);
        if (ps_environment_name_legal(listed[i]) && json_object_get(entries, listed[i]) == NULL &&
            ps_is_dir(ps->base.world, dir)) {
            all = mem_grow(all, &cap, *count + 1, sizeof *all);
            all[(*count)++] = str_dup(listed[i]);
        }
        mem_free(dir);
    }
    const char *name;
    json_t *entry;
    json_object_foreach((json_t *)(uintptr_t)entries, name, entry) {
        all = mem_grow(all, &cap, *count + 1, sizeof *all);
        all[(*count)++] = str_dup(name);
    }
    if (*count > 1) {
        qsort(all, *count, sizeof *all, compare_names);
    }
    world_names_free(listed, listed_count);
    mem_free(root);
    return all;
}

static const char text_utf8[] = "text/plain;charset=utf-8";

/* All values of the query's environment; when given twice, they print as a list. */
static char *environment_values(struct http_exchange *ex, size_t *count) {
    struct buf b = BUF_INIT;
    const char *name, *value;
    char *first = NULL;
    *count = 0;
    for (size_t i = 0; http_query_at(ex, i, &name, &value); i++) {
        if (strcmp(name, "environment") == 0) {
            buf_printf(&b, "%s\"%s\"", *count == 0 ? "[" : " ", value);
            if ((*count)++ == 0) {
                first = str_dup(value);
            }
        }
    }
    if (*count < 2) {
        buf_free(&b);
        return first;
    }
    mem_free(first);
    buf_append_char(&b, ']');
    return buf_take(&b);
}

bool ps_environment_of(struct ps_request *r, struct ps_environment *env) {
    size_t count;
    char *name = environment_values(r->ex, &count);
    bool found = false;
    if (count == 0) {
        ps_plain(r, 400, text_utf8, "An environment parameter must be specified");
    } else if (!ps_environment_name_legal(name)) {
        ps_plain(r, 400, text_utf8, "The environment must be purely alphanumeric, not '%s'", name);
    } else if (!ps_environment_open(r->ps, name, env)) {
        ps_text(r, 404, "Could not find environment '%s'", name);
    } else {
        found = true;
    }
    mem_free(name);
    return found;
}

bool ps_environment_of_file(struct ps_request *r, const char *what, struct ps_environment *env) {
    const char *name = http_query(r->ex, "environment");
    bool of_projects = strcmp(what, "file_content") == 0 || strcmp(what, "file_metadatas") == 0;
    if (name == NULL && !of_projects) {
        ps_issue(r, 400, "RUNTIME_ERROR", "An environment parameter must be specified");
    } else if (name == NULL) {
        /* Answered before the Ruby side is asked: without its version header. */
        char *text =
            str_printf("A %s request must include an `environment` or `versioned_project` query parameter.", what);
        http_respond(r->ex, 400, "text/plain", span_of(text));
        mem_free(text);
    } else if (!ps_environment_name_legal(name)) {
        ps_issue(r, 400, "RUNTIME_ERROR", "The environment must be purely alphanumeric, not '%s'", name);
    } else if (!ps_environment_open(r->ps, name, env)) {
        ps_issue(r, 404, "RUNTIME_ERROR", "Could not find environment '%s'", name);
    } else {
        return true;
    }
    return false;
}
