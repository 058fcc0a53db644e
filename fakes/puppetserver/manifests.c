/* Reading and finding manifests. */
#include "fakes/puppetserver/manifests.h"
#include "base/mem.h"
#include <string.h>

void manifests_init(struct manifests *m, struct world *w, const struct ps_environment *env, enum pl_dialect dialect) {
    *m = (struct manifests){.w = w, .env = env, .dialect = dialect};
    list_init(&m->all);
    map_init(&m->by_path);
}

void manifests_free(struct manifests *m) {
    for (struct list_link *k; (k = list_pop_front(&m->all)) != NULL;) {
        struct manifest *one = LIST_ITEM(k, struct manifest, link);
        pl_tree_free(one->tree);
        error_clear(&one->err);
        mem_free(one->path);
        mem_free(one);
    }
    map_free(&m->by_path);
}

static void add_place(struct error *err, const char *path) {
    const json_t *details = err->details;
    struct error placed = ERROR_INIT;
    error_set(&placed, err->kind, "%s (file: %s, line: %d, column: %d)", err->msg, path,
              (int)json_int(details, "line", 1), (int)json_int(details, "column", 1));
    error_clear(err);
    error_move(err, &placed);
}

static struct manifest *read_manifest(struct manifests *m, const char *path, bool main) {
    struct manifest *one = map_get_cstr(&m->by_path, path);
    struct buf text = BUF_INIT;
    if (one != NULL || m->all.count >= PS_MANIFESTS_MAX) {
        return one;
    }
    one = mem_zalloc(sizeof *one);
    one->path = str_dup(path);
    one->main = main;
    if (world_file_read(m->w, path, PS_MANIFEST_MAX, &text, &one->err)) {
        one->tree = pl_parse(buf_span(&text), m->dialect, &one->err);
        if (one->tree == NULL) {
            add_place(&one->err, path);
        }
    }
    buf_free(&text);
    list_push_back(&m->all, &one->link);
    map_put(&m->by_path, span_of(one->path), one);
    return one;
}

static void read_tree(struct manifests *m, const char *dir, bool main, int depth) {
    char **names = NULL;
    size_t n = 0;
    if (depth > PS_DEPTH_MAX || !world_file_list(m->w, dir, &names, &n, NULL)) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        char *path = ps_join(dir, names[i]);
        struct world_stat st;
        if (world_file_lstat(m->w, path, &st, NULL) && st.is_dir) {
            read_tree(m, path, main, depth + 1);
        } else if (span_ends_with(span_of(names[i]), ".pp") && ps_is_file(m->w, path)) {
            read_manifest(m, path, main);
        }
        mem_free(path);
    }
    world_names_free(names, n);
}

void manifests_read_main(struct manifests *m) {
    const char *path = m->env->manifest;
    if (ps_is_dir(m->w, path)) {
        read_tree(m, path, true, 0);
    } else if (ps_is_file(m->w, path)) {
        read_manifest(m, path, true);
    }
}

void manifests_read_modules(struct manifests *m) {
    size_t count;
    char **names = ps_module_names(m->w, m->env, &count);
    for (size_t i = 0; i < count; i++) {
        char *module = ps_module_dir(m->w, m->env, names[i]);
        char *dir = ps_join(module, "manifests");
        read_tree(m, dir, false, 0);
        mem_free(dir);
        mem_free(module);
    }
    world_names_free(names, count);
}

struct manifest *manifests_autoload(struct manifests *m, const char *name) {
    struct span rest = span_of(name);
    ptrdiff_t colon = span_find(rest, ':');
    char *module = span_dup(span_sub(rest, 0, colon >= 0 ? (size_t)colon : rest.len));
    char *dir = ps_module_dir(m->w, m->env, module);
    struct manifest *found = NULL;
    if (dir != NULL) {
        struct buf path = BUF_INIT;
        buf_printf(&path, "%s/manifests", dir);
        if (colon < 0) {
            buf_append_cstr(&path, "/init");
        }
        for (size_t i = colon >= 0 ? (size_t)colon : rest.len; i < rest.len; i++) {
            if (rest.ptr[i] == ':') {
                buf_append_char(&path, '/');
                i++;
            } else {
                buf_append_char(&path, rest.ptr[i]);
            }
        }
        buf_append_cstr(&path, ".pp");
        if (ps_is_file(m->w, path.ptr)) {
            found = read_manifest(m, path.ptr, false);
        }
        buf_free(&path);
    }
    mem_free(dir);
    mem_free(module);
    return found;
}

static const struct pl_node *find_in(const struct manifest *one, enum pl_kind kind, const char *name) {
    const struct pl_node *root = one->tree != NULL ? pl_tree_root(one->tree) : NULL;
    for (size_t i = 0; root != NULL && i < root->count; i++) {
        const struct pl_node *n = root->children[i];
        if (n->kind == kind && strcmp(n->text, name) == 0) {
            return n;
        }
    }
    return NULL;
}

const struct pl_node *manifests_find(struct manifests *m, enum pl_kind kind, const char *name,
                                     const struct manifest **in) {
    manifests_autoload(m, name);
    LIST_EACH (k, &m->all) {
        const struct manifest *one = LIST_ITEM(k, struct manifest, link);
        const struct pl_node *n = find_in(one, kind, name);
        if (n != NULL) {
            *in = one;
            return n;
        }
    }
    return NULL;
}

char *manifest_place(const struct manifest *in, const struct pl_node *node) {
    return str_printf(" (file: %s, line: %u)", in->path, pl_line(in->tree, node));
}
