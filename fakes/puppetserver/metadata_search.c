/* GET /puppet/v3/file_metadatas: what is below a directory, or below the directories of that name of all modules
 * (puppetserver.md §10). */
#include "base/mem.h"
#include "fakes/puppetserver/files.h"
#include <string.h>

struct search {
    struct ps_request *r;
    const struct ps_environment *env;
    struct ps_wish wish;
    const char *base;
    bool recurse;
    uint64_t depth_max; /* of "recurselimit" */
    uint64_t files_max; /* of "max_files", below one base; 0: PS_FILES_MAX */
    uint64_t seen;      /* below this base */
    json_t *ignored;    /* globs over names */
    json_t *found;      /* relative path → metadata: of several directories the first wins */
};

static bool is_ignored(const struct search *s, const char *name) {
    for (size_t i = 0; i < json_array_size(s->ignored); i++) {
        if (glob_match(json_string_value(json_array_get(s->ignored, i)), name)) {
            return true;
        }
    }
    return false;
}

static bool add(struct search *s, const char *relative, struct error *err) {
    if (json_object_get(s->found, relative) != NULL) {
        return true;
    }
    if (json_object_size(s->found) >= PS_FILES_MAX) {
        return error_set(err, "too-many-files", "more than %d files below %s", PS_FILES_MAX, s->base);
    }
    json_t *o = ps_metadata(s->r->ps->base.world, s->env, &(struct ps_metadata_of){s->base, relative}, &s->wish, err);
    if (o == NULL) {
        return false;
    }
    json_object_set_new_nocheck(s->found, relative, o); /* names of files may be anything */
    return true;
}

/* A link to a directory is one when links are followed, and when it leads to code. */
static bool is_directory(const struct search *s, const char *path) {
    struct world *w = s->r->ps->base.world;
    struct world_stat st;
    if (!world_file_lstat(w, path, &st, NULL)) {
        return false;
    }
    return st.is_dir ||
           (st.is_link && s->wish.links == PS_LINKS_FOLLOW && ps_path_in_code(w, s->env, path) && ps_is_dir(w, path));
}

static bool descend(struct search *s, const char *relative, uint64_t depth, struct error *err) {
    struct world *w = s->r->ps->base.world;
    bool top = strcmp(relative, ".") == 0;
    char *path = top ? str_dup(s->base) : ps_join(s->base, relative);
    char **names = NULL;
    size_t n = 0;
    bool good = true;
    if (is_directory(s, path) && depth < s->depth_max) {
        good = depth < PS_DEPTH_MAX ? world_file_list(w, path, &names, &n, err)
                                    : error_set(err, "too-deep", "%s is nested too deep", path);
    }
    for (size_t i = 0; i < n && good; i++) {
        if (!is_ignored(s, names[i])) {
            char *child = top ? str_dup(names[i]) : ps_join(relative, names[i]);
            s->seen++;
            good = add(s, child, err) && descend(s, child, depth + 1, err);
            mem_free(child);
        }
    }
    world_names_free(names, n);
    mem_free(path);
    return good;
}

static bool search(struct search *s, const char *base, struct error *err) {
    if (s->wish.of_project && is_ignored(s, strrchr(base, '/') + 1)) {
        return true; /* here the globs apply to the directory itself, too */
    }
    s->base = base;
    s->seen = 0;
    if (!add(s, ".", err) || (s->recurse && !descend(s, ".", 0, err))) {
        return false;
    }
    return s->files_max == 0 || s->seen <= s->files_max ||
           error_set(err, "too-many-files",
                     "The directory '%s' contains %llu entries, which exceeds the limit of %llu specified by the "
                     "max_files parameter for this resource. The limit may be increased, but be aware that large "
                     "number of file resources can result in excessive resource consumption and degraded "
                     "performance. Consider using an alternate method to manage large directory trees",
                     base, (unsigned long long)s->seen, (unsigned long long)s->files_max);
}

/* ---- the request */

static json_t *ignore_list(struct http_exchange *ex, bool of_project) {
    json_t *all = json_array();
    const char *name, *value, *only = NULL;
    size_t count = 0;
    for (size_t i = 0; http_query_at(ex, i, &name, &value); i++) {
        if (strcmp(name, "ignore") == 0) {
            json_array_append_new(all, json_stringn_nocheck(value, strlen(value)));
            only = value;
            count++;
        }
    }
    if (of_project && count == 1) { /* the server's Java side takes it for a list: of its characters */
        json_array_clear(all);
        for (; *only != '\0'; only++) {
            json_array_append_new(all, json_stringn_nocheck(only, 1));
        }
    }
    return all;
}

static uint64_t number_of(struct ps_request *r, const char *name, uint64_t otherwise) {
    const char *text = http_query(r->ex, name);
    uint64_t number = otherwise;
    span_to_u64(span_of(text), &number);
    return number;
}

static void search_open(struct search *s, struct ps_request *r, const struct ps_environment *env,
                        const struct ps_wish *wish, bool recurse) {
    *s = (struct search){
        .r = r, .env = env, .wish = *wish, .ignored = ignore_list(r->ex, wish->of_project), .found = json_object()};
    s->recurse = recurse;
    s->depth_max = number_of(r, "recurselimit", UINT64_MAX);
    s->files_max = number_of(r, "max_files", 0);
}

/* What was found, as a list; NULL when it was not good. */
static json_t *search_close(struct search *s, bool good) {
    json_t *all = good ? json_array() : NULL, *o;
    const char *relative;
    if (good) {
        json_object_foreach(s->found, relative, o) {
            json_array_append(all, o);
        }
    }
    json_decref(s->ignored);
    json_decref(s->found);
    return all;
}

json_t *ps_search(struct ps_request *r, const struct ps_environment *env, const struct ps_wish *wish, bool recurse,
                  char *const *dirs, size_t count, struct error *err) {
    struct search s;
    bool good = true;
    search_open(&s, r, env, wish, recurse);
    for (size_t i = 0; i < count && good; i++) {
        good = search(&s, dirs[i], err);
    }
    return search_close(&s, good);
}

/* The directories of that name of all modules; without any, the module path itself, but not what is in it. */
static json_t *search_merged(struct ps_request *r, const struct ps_environment *env, const struct ps_wish *wish,
                             bool recurse, const char *dir, struct error *err) {
    struct world *w = r->ps->base.world;
    size_t count, found = 0;
    char **modules = ps_module_names(w, env, &count);
    char **dirs = mem_array(count + 1, sizeof *dirs);
    for (size_t i = 0; i < count; i++) {
        char *module_dir = ps_module_dir(w, env, modules[i]);
        char *path = ps_join(module_dir, dir);
        if (ps_is_dir(w, path) && ps_path_in_code(w, env, path)) {
            dirs[found++] = path;
        } else {
            mem_free(path);
        }
        mem_free(module_dir);
    }
    world_names_free(modules, count);
    json_t *all = found > 0 ? ps_search(r, env, wish, recurse, dirs, found, err)
                            : ps_search(r, env, wish, false, env->modulepath, 1, err);
    world_names_free(dirs, found);
    return all;
}

/* What the server's code stumbles over; false after answering. */
static bool numbers_good(struct ps_request *r, bool recurse) {
    const char *links = http_query(r->ex, "links"), *word = http_query(r->ex, "recurse");
    const char *limit = http_query(r->ex, "recurselimit"), *most = http_query(r->ex, "max_files");
    uint64_t number;
    if (links != NULL && strcmp(links, "manage") != 0 && strcmp(links, "follow") != 0) {
        ps_issue(r, 500, "RUNTIME_ERROR", "Invalid :links value '%s'", links);
    } else if (word != NULL && span_to_u64(span_of(word), &number)) {
        ps_issue(r, 500, "RUNTIME_ERROR",
                 "Fileset recurse parameter must not be a number anymore, please use recurselimit");
    } else if (recurse && limit != NULL && !span_to_u64(span_of(limit), &number)) {
        ps_issue(r, 500, "RUNTIME_ERROR", "comparison of Integer with String failed");
    } else if (most != NULL && strcmp(most, "-1") != 0 && !span_to_u64(span_of(most), &number)) {
        ps_issue(r, 500, "RUNTIME_ERROR", "comparison of String with 0 failed");
    } else {
        return true;
    }
    return false;
}

static void answer(struct ps_request *r, const struct ps_environment *env) {
    static const char *const merged[][2] = {{"plugins", "lib"}, {"pluginfacts", "facts.d"}, {"locales", "locales"}};
    const char *word = http_query(r->ex, "recurse"), *dir = NULL;
    bool recurse = word != NULL && strcmp(word, "false") != 0; /* any other word is true to the server */
    struct error err = ERROR_INIT;
    struct ps_wish wish;
    char *path = NULL;
    json_t *all = NULL;
    size_t len = strcspn(r->params[0], "/"); /* what is behind does not matter */
    for (size_t i = 0; i < sizeof merged / sizeof merged[0]; i++) {
        dir = span_eq_cstr((struct span){r->params[0], len}, merged[i][0]) ? merged[i][1] : dir;
    }
    if ((dir == NULL && !ps_file_locate(r, "file_metadatas", env, ps_links_asked(r), &path)) ||
        !numbers_good(r, recurse) || !ps_wish_read(r, &wish)) {
        mem_free(path);
        return;
    }
    all = dir != NULL ? search_merged(r, env, &wish, recurse, dir, &err)
                      : ps_search(r, env, &wish, recurse, &path, 1, &err);
    if (all != NULL) {
        ps_json(r, 200, all);
    } else {
        ps_metadata_failed(r, &err);
    }
    mem_free(path);
}

void ps_file_metadatas(struct ps_request *r) {
    struct ps_environment env;
    if (ps_project_asked(r, "file_metadatas", ps_project_metadatas) ||
        !ps_environment_of_file(r, "file_metadatas", &env)) {
        return;
    }
    answer(r, &env);
    ps_environment_close(&env);
}
