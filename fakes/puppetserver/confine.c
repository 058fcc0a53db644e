/* Where a path really leads. Modules may be links, and so may their files; what is served lies below a directory of the
 * module path, or below a module that is a link there. */
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include <string.h>

enum { LINKS_MAX = 40 };

struct walk {
    struct world *w;
    struct buf real; /* what has been walked, without links; "" is the root */
    unsigned links;
};

static void cut(struct buf *b, size_t len) {
    if (len < b->len) {
        b->len = len;
        b->ptr[len] = '\0';
    }
}

static void up(struct walk *k) {
    size_t len = k->real.len;
    while (len > 0 && k->real.ptr[len - 1] != '/') {
        len--;
    }
    cut(&k->real, len > 0 ? len - 1 : 0);
}

static bool walk(struct walk *k, const char *path);

static bool enter(struct walk *k, struct span part) {
    size_t before = k->real.len;
    struct world_stat st;
    buf_append_char(&k->real, '/');
    buf_append_span(&k->real, part);
    if (!world_file_lstat(k->w, k->real.ptr, &st, NULL)) {
        return false;
    }
    if (!st.is_link) {
        return true;
    }
    char *target = k->links++ < LINKS_MAX ? world_file_readlink(k->w, k->real.ptr, NULL) : NULL;
    cut(&k->real, before);
    bool good = target != NULL && walk(k, target);
    mem_free(target);
    return good;
}

static bool walk(struct walk *k, const char *path) {
    struct span rest = span_of(path), part;
    if (*path == '/') {
        cut(&k->real, 0);
    }
    while (span_split(&rest, '/', &part)) {
        if (span_eq_cstr(part, "..")) {
            up(k);
        } else if (part.len > 0 && !span_eq_cstr(part, ".") && !enter(k, part)) {
            return false;
        }
    }
    return true;
}

/* The path without links, mem_free() it; NULL: nothing is there, too many links, or it is not absolute. */
static char *resolve(struct world *w, const char *path) {
    struct walk k = {.w = w};
    bool good = *path == '/' && walk(&k, path);
    char *real = buf_take(&k.real);
    if (!good) {
        mem_free(real);
        return NULL;
    }
    return real;
}

static bool below(const char *dir, const char *path) {
    size_t len = strlen(dir);
    return strncmp(dir, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static bool leads_above(struct world *w, const char *dir, const char *real) {
    char *root = resolve(w, dir);
    bool found = root != NULL && below(root, real);
    mem_free(root);
    return found;
}

/* Is one of the modules in this directory a link to where `real` is? */
static bool in_linked_module(struct world *w, const char *dir, const char *real) {
    char **names = NULL;
    size_t n = 0;
    bool found = false;
    world_file_list(w, dir, &names, &n, NULL);
    for (size_t i = 0; i < n && !found; i++) {
        char *path = ps_join(dir, names[i]);
        struct world_stat st;
        found = world_file_lstat(w, path, &st, NULL) && st.is_link && leads_above(w, path, real);
        mem_free(path);
    }
    world_names_free(names, n);
    return found;
}

bool ps_path_in_code(struct world *w, const struct ps_environment *env, const char *path) {
    char *real = resolve(w, path);
    bool found = real != NULL && strcmp(real, path) == 0; /* no link on the way */
    for (size_t i = 0; i < env->modulepath_count && real != NULL && !found; i++) {
        found = leads_above(w, env->modulepath[i], real) || in_linked_module(w, env->modulepath[i], real);
    }
    mem_free(real);
    return found;
}

bool ps_is_code(struct world *w, const struct ps_environment *env, const char *path) {
    return ps_is_file(w, path) && ps_path_in_code(w, env, path);
}
