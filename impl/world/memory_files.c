/* See memory_files.h. A tree is a map from whole paths to entries: agents have a handful of files each. */
#include "world/memory_files.h"

#include "base/digest.h"
#include "base/map.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

/* Contents, shared. */
struct blob {
    size_t references;
    size_t len;
    uint64_t hash; /* its place in store->blobs, unless other contents with this hash are there */
    char bytes[];
};

struct memory_store {
    struct map blobs; /* hash of contents -> struct blob */
    size_t bytes;
    char *shared_directory; /* or NULL */
    struct map shared;      /* entries below it: path -> struct entry */
};

struct entry {
    struct blob *blob; /* NULL: a directory, or an empty file */
    int64_t modified_ms;
    uint16_t mode;
    bool is_dir;
};

struct tree {
    struct memory_store *store;
    struct world *world;
    struct map entries; /* path without trailing slash -> struct entry; the root is not in it */
};

struct open_file {
    struct world_file base;
    struct tree *tree;
    char *path;
    struct buf content;
    int mode;
};

static const struct world_file_ops ops;

struct memory_store *memory_store_new(void) {
    return mem_zalloc(sizeof(struct memory_store));
}

void memory_store_share(struct memory_store *store, const char *directory) {
    store->shared_directory = str_dup(directory);
}

static void entries_free(struct memory_store *store, struct map *entries);

void memory_store_free(struct memory_store *store) {
    if (store != NULL) {
        entries_free(store, &store->shared);
        mem_free(store->shared_directory);
        map_free(&store->blobs);
        mem_free(store);
    }
}

size_t memory_store_bytes(const struct memory_store *store) {
    return store->bytes;
}

static struct span hash_key(const uint64_t *hash) {
    return span_bytes((const char *)hash, sizeof(*hash));
}

static struct blob *blob_take(struct memory_store *store, struct span content) {
    if (content.len == 0) {
        return NULL;
    }
    uint64_t hash = hash64(0, content.ptr, content.len);
    struct blob *first = map_get(&store->blobs, hash_key(&hash));
    if (first != NULL && span_eq(span_bytes(first->bytes, first->len), content)) {
        first->references++;
        return first;
    }
    struct blob *b = mem_alloc(sizeof(*b) + content.len);
    b->references = 1;
    b->len = content.len;
    b->hash = hash;
    memcpy(b->bytes, content.ptr, content.len);
    if (first == NULL) {
        map_put(&store->blobs, hash_key(&hash), b);
    }
    store->bytes += content.len;
    return b;
}

static void blob_drop(struct memory_store *store, struct blob *b) {
    if (b != NULL && --b->references == 0) {
        if (map_get(&store->blobs, hash_key(&b->hash)) == b) {
            map_remove(&store->blobs, hash_key(&b->hash));
        }
        store->bytes -= b->len;
        mem_free(b);
    }
}

/* ---- paths */

static struct span clean(const char *path) {
    struct span p = span_of(path);
    while (p.len > 1 && p.ptr[p.len - 1] == '/') {
        p.len--;
    }
    return p;
}

static bool is_root(struct span path) {
    return path.len <= 1;
}

static struct span parent_of(struct span path) {
    while (path.len > 0 && path.ptr[path.len - 1] != '/') {
        path.len--;
    }
    return path.len > 1 ? span_sub(path, 0, path.len - 1) : span_sub(path, 0, 1);
}

/* Where the entry of this path is kept: the tree's own, or what all share. */
static struct map *home(const struct tree *t, struct span path) {
    const char *shared = t->store->shared_directory;
    size_t len = shared != NULL ? strlen(shared) : 0;
    bool below = shared != NULL && path.len > len && path.ptr[len] == '/' && memcmp(path.ptr, shared, len) == 0;
    return below ? &t->store->shared : (struct map *)(uintptr_t)&t->entries;
}

/* Where the children of this directory are kept. */
static struct map *home_of_children(const struct tree *t, struct span path) {
    return t->store->shared_directory != NULL && span_eq_cstr(path, t->store->shared_directory) ? &t->store->shared
                                                                                                : home(t, path);
}

static struct entry *find(const struct tree *t, struct span path) {
    return map_get(home(t, path), path);
}

static bool is_directory(const struct tree *t, struct span path) {
    const struct entry *e = is_root(path) ? NULL : find(t, path);
    return is_root(path) || (e != NULL && e->is_dir);
}

static bool not_found(struct error *err, const char *path) {
    return error_set(err, "world/not-found", "%s: no such file or directory", path);
}

static bool check_parent(const struct tree *t, struct span path, const char *text, struct error *err) {
    struct span parent = parent_of(path);
    if (is_directory(t, parent)) {
        return true;
    }
    return find(t, parent) != NULL ? error_set(err, "world/not-directory", "%s: its parent is no directory", text)
                                   : not_found(err, text);
}

static struct entry *put(struct tree *t, struct span path, int mode, bool is_dir) {
    struct entry *e = find(t, path);
    if (e == NULL) {
        e = mem_zalloc(sizeof(*e));
        map_put(home(t, path), path, e);
        e->mode = (uint16_t)(mode & 0777);
    }
    e->is_dir = is_dir;
    e->modified_ms = world_wall_ms(t->world);
    return e;
}

static void drop(struct tree *t, struct span path) {
    struct entry *e = map_remove(home(t, path), path);
    if (e != NULL) {
        blob_drop(t->store, e->blob);
        mem_free(e);
    }
}

/* Does anything lie below this directory? */
static bool has_children(const struct tree *t, struct span path) {
    for (struct map_iter i = map_iter(home_of_children(t, path)); map_next(&i);) {
        if (i.key.len > path.len && i.key.ptr[path.len] == '/' && span_eq(span_sub(i.key, 0, path.len), path)) {
            return true;
        }
    }
    return false;
}

/* ---- the facet */

static bool do_stat(void *impl, const char *path, bool follow, struct world_stat *out, struct error *err) {
    (void)follow;
    const struct tree *t = impl;
    struct span p = clean(path);
    const struct entry *e = find(t, p);
    if (is_root(p)) {
        *out = (struct world_stat){.is_dir = true, .mode = 0755};
        return true;
    }
    if (e == NULL) {
        return not_found(err, path);
    }
    *out = (struct world_stat){.is_dir = e->is_dir,
                               .is_file = !e->is_dir,
                               .size = e->blob != NULL ? e->blob->len : 0,
                               .mode = e->mode,
                               .modified_ms = e->modified_ms};
    return true;
}

static bool do_read_at(void *impl, const char *path, uint64_t offset, size_t len, struct buf *out, struct error *err) {
    const struct tree *t = impl;
    const struct entry *e = find(t, clean(path));
    if (e == NULL) {
        return is_root(clean(path)) ? error_set(err, "world/io", "%s: is a directory", path) : not_found(err, path);
    }
    if (e->is_dir) {
        return error_set(err, "world/io", "%s: is a directory", path);
    }
    struct span content = e->blob != NULL ? span_bytes(e->blob->bytes, e->blob->len) : span_of("");
    buf_append_span(out, span_sub(content, offset < content.len ? (size_t)offset : content.len, len));
    return true;
}

static bool do_sync(void *impl, const char *path, struct error *err) {
    struct world_stat st;
    return do_stat(impl, path, true, &st, err);
}

static bool do_mkdir(void *impl, const char *path, int mode, struct error *err) {
    struct tree *t = impl;
    struct span p = clean(path);
    if (is_root(p) || find(t, p) != NULL) {
        return error_set(err, "world/exists", "%s: exists already", path);
    }
    if (!check_parent(t, p, path, err)) {
        return false;
    }
    put(t, p, mode, true);
    return true;
}

static bool do_rename(void *impl, const char *from, const char *to, struct error *err) {
    struct tree *t = impl;
    struct span a = clean(from), b = clean(to);
    struct entry *e = find(t, a), *old = find(t, b);
    if (e == NULL) {
        return not_found(err, from);
    }
    if (!check_parent(t, b, to, err)) {
        return false;
    }
    if (span_eq(a, b)) {
        return true;
    }
    if (old != NULL && old->is_dir && has_children(t, b)) {
        return error_set(err, "world/not-empty", "%s: is not empty", to);
    }
    if (old != NULL && old->is_dir != e->is_dir) {
        return error_set(err, "world/not-directory", "%s and %s are not of the same kind", from, to);
    }
    drop(t, b);
    if (e->is_dir) { /* everything below moves along */
        struct map moved = MAP_INIT, *from_home = home_of_children(t, a);
        for (struct map_iter i = map_iter(from_home); map_next(&i);) {
            if (i.key.len > a.len && i.key.ptr[a.len] == '/' && span_eq(span_sub(i.key, 0, a.len), a)) {
                struct buf path = BUF_INIT;
                buf_append_span(&path, b);
                buf_append_span(&path, span_sub(i.key, a.len, i.key.len));
                map_put(&moved, buf_span(&path), i.value);
                buf_free(&path);
                map_remove(from_home, i.key);
            }
        }
        for (struct map_iter i = map_iter(&moved); map_next(&i);) {
            map_put(home(t, i.key), i.key, i.value);
        }
        map_free(&moved);
    }
    map_remove(home(t, a), a);
    map_put(home(t, b), b, e);
    return true;
}

static bool do_remove(void *impl, const char *path, struct error *err) {
    struct tree *t = impl;
    struct span p = clean(path);
    const struct entry *e = find(t, p);
    if (e == NULL) {
        return not_found(err, path);
    }
    if (e->is_dir && has_children(t, p)) {
        return error_set(err, "world/not-empty", "%s: is not empty", path);
    }
    drop(t, p);
    return true;
}

static bool do_chmod(void *impl, const char *path, int mode, struct error *err) {
    struct entry *e = find(impl, clean(path));
    if (e == NULL) {
        return not_found(err, path);
    }
    e->mode = (uint16_t)(mode & 0777);
    return true;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool do_list(void *impl, const char *path, char ***names, size_t *count, struct error *err) {
    const struct tree *t = impl;
    struct span p = clean(path);
    if (!is_directory(t, p)) {
        return find(t, p) != NULL ? error_set(err, "world/not-directory", "%s: is no directory", path)
                                  : not_found(err, path);
    }
    size_t prefix = is_root(p) ? 1 : p.len + 1, cap = 0;
    *names = NULL;
    *count = 0;
    for (struct map_iter i = map_iter(home_of_children(t, p)); map_next(&i);) {
        struct span rest = i.key.len > prefix ? span_sub(i.key, prefix, i.key.len) : span_of("");
        bool below = rest.len > 0 && i.key.ptr[prefix - 1] == '/' &&
                     span_eq(span_sub(i.key, 0, prefix - 1), span_sub(p, 0, prefix - 1));
        if (below && span_find(rest, '/') < 0) {
            *names = mem_grow(*names, &cap, *count + 1, sizeof(**names));
            (*names)[(*count)++] = span_dup(rest);
        }
    }
    if (*count > 1) {
        qsort(*names, *count, sizeof(**names), by_bytes);
    }
    return true;
}

static struct world_file *do_open(void *impl, const char *path, int mode, enum world_write how, struct error *err) {
    struct tree *t = impl;
    struct span p = clean(path);
    struct entry *e = find(t, p);
    if (is_root(p) || (e != NULL && e->is_dir)) {
        error_set(err, "world/io", "%s: is a directory", path);
        return NULL;
    }
    if (how == WORLD_WRITE_NEW && e != NULL) {
        error_set(err, "world/exists", "%s: exists already", path);
        return NULL;
    }
    if (!check_parent(t, p, path, err)) {
        return NULL;
    }
    struct open_file *f = mem_zalloc(sizeof(*f));
    f->base.ops = &ops;
    f->tree = t;
    f->path = span_dup(p);
    f->mode = mode;
    if (how == WORLD_WRITE_APPEND && e != NULL && e->blob != NULL) {
        buf_append(&f->content, e->blob->bytes, e->blob->len);
    }
    if (how != WORLD_WRITE_ATOMIC) { /* it exists from now on, as a file of a disk would */
        e = put(t, p, mode, false);
        if (how == WORLD_WRITE_PLAIN) {
            blob_drop(t->store, e->blob);
            e->blob = NULL;
        }
    }
    return &f->base;
}

static bool do_put(struct world_file *file, struct span bytes, struct error *err) {
    struct open_file *f = (struct open_file *)file;
    if (f->content.len + bytes.len > MEMORY_FILES_MAX) {
        return error_set(err, "world/full", "%s: files in memory are at most %d bytes", f->path, MEMORY_FILES_MAX);
    }
    buf_append_span(&f->content, bytes);
    return true;
}

static bool do_close(struct world_file *file, bool keep, struct error *err) {
    struct open_file *f = (struct open_file *)file;
    struct tree *t = f->tree;
    struct span path = span_of(f->path);
    bool ok = true;
    if (keep && !is_directory(t, parent_of(path))) {
        ok = not_found(err, f->path);
    } else if (keep) {
        struct entry *e = put(t, path, f->mode, false);
        struct blob *blob = blob_take(t->store, buf_span(&f->content));
        blob_drop(t->store, e->blob);
        e->blob = blob;
    }
    buf_free(&f->content);
    mem_free(f->path);
    mem_free(f);
    return ok;
}

/* Nothing outside changes these files, so there is nothing to watch. */
static struct world_watch *do_watch(void *impl, const char *path, void (*on_change)(void *ctx), void *ctx) {
    (void)impl, (void)path, (void)on_change, (void)ctx;
    struct world_watch *watch = mem_zalloc(sizeof(*watch));
    watch->ops = &ops;
    return watch;
}

static void do_watch_close(struct world_watch *watch) {
    mem_free(watch);
}

static const char *no_vfs(void *impl) {
    (void)impl;
    return NULL;
}

static const struct world_file_ops ops = {
    .stat = do_stat,
    .read_at = do_read_at,
    .sync = do_sync,
    .mkdir = do_mkdir,
    .rename = do_rename,
    .remove = do_remove,
    .chmod = do_chmod,
    .list = do_list,
    .open = do_open,
    .put = do_put,
    .close = do_close,
    .watch = do_watch,
    .watch_close = do_watch_close,
    .sqlite_vfs = no_vfs,
};

void memory_files_join(struct memory_store *store, struct world *w) {
    struct tree *t = mem_zalloc(sizeof(*t));
    t->store = store;
    t->world = w;
    w->file = &ops;
    w->file_impl = t;
}

static void entries_free(struct memory_store *store, struct map *entries) {
    for (struct map_iter i = map_iter(entries); map_next(&i);) {
        struct entry *e = i.value;
        blob_drop(store, e->blob);
        mem_free(e);
    }
    map_free(entries);
}

void memory_files_leave(struct world *w) {
    struct tree *t = w->file_impl;
    entries_free(t->store, &t->entries);
    mem_free(t);
    w->file_impl = NULL;
}
