/* The file facet of a simulated host. */
#include "simulator/world/disk.h"

#include "base/mem.h"
#include <stdio.h>
#include <string.h>

static const uint64_t WATCH_DELAY_US = 20 * SIM_MS;

struct sim_file {
    struct world_file base;
    struct list_link link;
    struct disk *disk;
    struct inode *node;
    char *path;
    char *temporary; /* ATOMIC: where it is until it is closed */
};

struct sim_watch {
    struct world_watch base;
    struct list_link link;
    struct disk *disk;
    char *path;
    struct timer soon;
    void (*on_change)(void *ctx);
    void *ctx;
};

static struct disk *disk_of(void *impl) {
    return ((struct sim_host *)impl)->disk;
}

/* ---- watches */

static void watch_fire(void *ctx) {
    struct sim_watch *w = ctx;
    w->on_change(w->ctx);
}

void disk_changed(struct disk *d, const char *path) {
    size_t parent_len = 0;
    const char *slash = strrchr(path, '/');
    parent_len = slash != NULL ? (size_t)(slash - path) : 0;
    LIST_EACH (k, &d->watches) {
        struct sim_watch *w = LIST_ITEM(k, struct sim_watch, link);
        bool inside = strlen(w->path) == parent_len && strncmp(w->path, path, parent_len) == 0;
        if ((inside || strcmp(w->path, path) == 0) && w->soon.place == 0) {
            sim_inbox_start(d->host, &w->soon, WATCH_DELAY_US, watch_fire, w);
        }
    }
}

static struct world_watch *watch(void *impl, const char *path, void (*on_change)(void *ctx), void *ctx) {
    struct sim_watch *w = mem_zalloc(sizeof(*w));
    w->base.ops = &sim_file_ops;
    w->disk = disk_of(impl);
    w->path = str_dup(path);
    w->on_change = on_change;
    w->ctx = ctx;
    list_push_back(&w->disk->watches, &w->link);
    return &w->base;
}

static void watch_close(struct world_watch *base) {
    struct sim_watch *w = (struct sim_watch *)base;
    sim_inbox_stop(w->disk->host, &w->soon);
    list_remove(&w->disk->watches, &w->link);
    mem_free(w->path);
    mem_free(w);
}

/* ---- reading */

static bool file_stat(void *impl, const char *path, bool follow, struct world_stat *out, struct error *err) {
    struct disk *d = disk_of(impl);
    if (!disk_allows(d, SIM_FILE_READ, path, err)) {
        return false;
    }
    const struct inode *node = follow ? disk_find(d, path, err) : disk_find_link(d, path, err);
    if (node == NULL) {
        return false;
    }
    *out = (struct world_stat){.is_dir = node->is_dir,
                               .is_file = !node->is_dir && node->target == NULL,
                               .is_link = node->target != NULL,
                               .size = node->data.len,
                               .mode = node->mode,
                               .modified_ms = node->modified_ms};
    return true;
}

static bool read_at(void *impl, const char *path, uint64_t offset, size_t len, struct buf *out, struct error *err) {
    struct disk *d = disk_of(impl);
    const struct inode *node = disk_allows(d, SIM_FILE_READ, path, err) ? disk_find(d, path, err) : NULL;
    if (node == NULL) {
        return false;
    }
    if (node->is_dir) {
        return error_set(err, "world/io", "%s: is a directory", path);
    }
    size_t from = offset < node->data.len ? (size_t)offset : node->data.len;
    size_t there = node->data.len - from;
    size_t take = len < there ? len : there;
    if (take != 0) {
        buf_append(out, node->data.ptr + from, take);
    } else {
        buf_reserve(out, 1);
    }
    return true;
}

static bool list_names(void *impl, const char *path, char ***names, size_t *count, struct error *err) {
    struct disk *d = disk_of(impl);
    const struct inode *node = disk_allows(d, SIM_FILE_READ, path, err) ? disk_find(d, path, err) : NULL;
    if (node == NULL) {
        return false;
    }
    if (!node->is_dir) {
        return error_set(err, "world/not-directory", "%s: not a directory", path);
    }
    *names = mem_array(node->entry_count + 1, sizeof(char *));
    *count = node->entry_count;
    for (size_t i = 0; i < node->entry_count; i++) {
        (*names)[i] = str_dup(node->entries[i].name);
    }
    return true;
}

/* ---- changing */

static bool file_sync(void *impl, const char *path, struct error *err) {
    struct disk *d = disk_of(impl);
    struct inode *node = disk_allows(d, SIM_FILE_SYNC, path, err) ? disk_find(d, path, err) : NULL;
    if (node == NULL) {
        return false;
    }
    disk_trace(d, "sync", path, SPAN(""));
    disk_sync(d, node);
    return true;
}

static bool make_directory(void *impl, const char *path, int mode, struct error *err) {
    struct disk *d = disk_of(impl);
    char *name = NULL;
    struct inode *dir = disk_allows(d, SIM_FILE_META, path, err) ? disk_parent(d, path, &name, err) : NULL;
    bool ok = dir != NULL;
    if (ok && (*name == '\0' || directory_get(dir, name) != NULL)) {
        ok = error_set(err, "world/exists", "%s: file exists", path);
    }
    if (ok) {
        struct inode *node = inode_new(d, true, mode);
        disk_link(d, dir, name, node);
        inode_unref(d, node);
        disk_trace(d, "mkdir", path, SPAN(""));
        disk_changed(d, path);
    }
    mem_free(name);
    return ok;
}

/* Is `node` the directory `dir` or one above it? */
static bool holds(const struct inode *node, const struct inode *dir) {
    if (node == dir) {
        return true;
    }
    for (size_t i = 0; i < node->entry_count; i++) {
        if (node->entries[i].node->is_dir && holds(node->entries[i].node, dir)) {
            return true;
        }
    }
    return false;
}

static bool may_rename(const struct inode *node, const struct inode *to_dir, const struct inode *over, const char *from,
                       const char *to, struct error *err) {
    if (node == NULL) {
        return error_set(err, "world/not-found", "%s: no such file or directory", from);
    }
    if (node->is_dir && holds(node, to_dir)) {
        return error_set(err, "world/io", "%s: cannot be moved into itself", from);
    }
    if (over == NULL) {
        return true;
    }
    if (node->is_dir && !over->is_dir) {
        return error_set(err, "world/not-directory", "%s: not a directory", to);
    }
    if (!node->is_dir && over->is_dir) {
        return error_set(err, "world/io", "%s: is a directory", to);
    }
    return over->entry_count == 0 || node == over || error_set(err, "world/not-empty", "%s: directory not empty", to);
}

static bool rename_file(void *impl, const char *from, const char *to, struct error *err) {
    struct disk *d = disk_of(impl);
    char *from_name = NULL, *to_name = NULL;
    struct inode *from_dir = NULL, *to_dir = NULL;
    bool ok = disk_allows(d, SIM_FILE_META, to, err) && (from_dir = disk_parent(d, from, &from_name, err)) != NULL &&
              (to_dir = disk_parent(d, to, &to_name, err)) != NULL &&
              may_rename(directory_get(from_dir, from_name), to_dir, directory_get(to_dir, to_name), from, to, err);
    if (ok) {
        char *both = str_printf("%s -> %s", from, to);
        disk_trace(d, "rename", both, SPAN(""));
        mem_free(both);
        disk_rename(d, from_dir, from_name, to_dir, to_name);
        disk_changed(d, from);
        disk_changed(d, to);
    }
    mem_free(from_name);
    mem_free(to_name);
    return ok;
}

static bool remove_file(void *impl, const char *path, struct error *err) {
    struct disk *d = disk_of(impl);
    char *name = NULL;
    struct inode *dir = disk_allows(d, SIM_FILE_META, path, err) ? disk_parent(d, path, &name, err) : NULL;
    const struct inode *node = dir != NULL ? directory_get(dir, name) : NULL;
    bool ok = dir != NULL;
    if (ok && node == NULL) {
        ok = error_set(err, "world/not-found", "%s: no such file or directory", path);
    }
    if (ok && node->entry_count != 0) {
        ok = error_set(err, "world/not-empty", "%s: directory not empty", path);
    }
    if (ok) {
        disk_trace(d, "remove", path, SPAN(""));
        disk_link(d, dir, name, NULL);
        disk_changed(d, path);
    }
    mem_free(name);
    return ok;
}

static bool make_link(void *impl, const char *target, const char *path, struct error *err) {
    struct disk *d = disk_of(impl);
    char *name = NULL;
    struct inode *dir = disk_allows(d, SIM_FILE_META, path, err) ? disk_parent(d, path, &name, err) : NULL;
    bool ok = dir != NULL;
    if (ok && (*name == '\0' || directory_get(dir, name) != NULL)) {
        ok = error_set(err, "world/exists", "%s: file exists", path);
    }
    if (ok) {
        struct inode *node = inode_new(d, false, 0777);
        node->target = str_dup(target);
        disk_link(d, dir, name, node);
        inode_unref(d, node);
        disk_trace(d, "link", path, span_of(target));
        disk_changed(d, path);
    }
    mem_free(name);
    return ok;
}

static char *read_link(void *impl, const char *path, struct error *err) {
    struct disk *d = disk_of(impl);
    const struct inode *node = disk_allows(d, SIM_FILE_READ, path, err) ? disk_find_link(d, path, err) : NULL;
    if (node != NULL && node->target == NULL) {
        error_set(err, "world/io", "%s: not a symbolic link", path);
    }
    return node != NULL && node->target != NULL ? str_dup(node->target) : NULL;
}

static bool change_mode(void *impl, const char *path, int mode, struct error *err) {
    struct disk *d = disk_of(impl);
    struct inode *node = disk_allows(d, SIM_FILE_META, path, err) ? disk_find(d, path, err) : NULL;
    if (node == NULL) {
        return false;
    }
    node->mode = (uint16_t)(mode & 07777);
    return true;
}

/* ---- a file being written */

/* Finds or makes what is to be written; a new reference. */
static struct inode *open_node(struct disk *d, struct inode *dir, const char *name, const char *path, int mode,
                               enum world_write how, struct error *err) {
    struct inode *node = directory_get(dir, name);
    if (node != NULL && how == WORLD_WRITE_NEW) {
        error_set(err, "world/exists", "%s: file exists", path);
        return NULL;
    }
    if (node != NULL && node->target != NULL) {
        node = disk_find(d, path, err); /* written through; a link to nowhere is an error here */
        if (node == NULL) {
            return NULL;
        }
    }
    if (*name == '\0' || (node != NULL && node->is_dir)) {
        error_set(err, "world/io", "%s: is a directory", path);
        return NULL;
    }
    if (node == NULL) {
        node = inode_new(d, false, mode);
        disk_link(d, dir, name, node);
        return node;
    }
    if (how == WORLD_WRITE_PLAIN) {
        disk_truncate(d, node, 0);
    }
    return inode_ref(node);
}

static struct world_file *open_file(void *impl, const char *path, int mode, enum world_write how, struct error *err) {
    struct disk *d = disk_of(impl);
    char *name = NULL;
    struct inode *dir = disk_allows(d, SIM_FILE_OPEN, path, err) ? disk_parent(d, path, &name, err) : NULL;
    if (dir == NULL) {
        return NULL;
    }
    char *temporary = NULL;
    const struct inode *there = directory_get(dir, name);
    if (how == WORLD_WRITE_ATOMIC && (there == NULL || !there->is_dir)) {
        temporary = str_printf("%s.tmp%llu", path, (unsigned long long)++d->temporary);
        char *temporary_name = str_printf("%s.tmp%llu", name, (unsigned long long)d->temporary);
        mem_free(name);
        name = temporary_name;
    }
    struct inode *node = open_node(d, dir, name, path, mode, how, err);
    mem_free(name);
    if (node == NULL) {
        mem_free(temporary);
        return NULL;
    }
    disk_trace(d, "open", path, SPAN(""));
    struct sim_file *f = mem_zalloc(sizeof(*f));
    f->base.ops = &sim_file_ops;
    f->disk = d;
    f->node = node;
    f->path = str_dup(path);
    f->temporary = temporary;
    list_push_back(&d->files, &f->link);
    disk_changed(d, path);
    return &f->base;
}

static bool put(struct world_file *base, struct span bytes, struct error *err) {
    struct sim_file *f = (struct sim_file *)base;
    struct disk *d = f->disk;
    if (!disk_allows(d, SIM_FILE_WRITE, f->path, err) ||
        !disk_write(d, f->node, f->path, f->node->data.len, bytes, err)) {
        return false;
    }
    disk_trace(d, "write", f->path, bytes);
    disk_changed(d, f->path);
    return true;
}

static void file_free(struct sim_file *f) {
    list_remove(&f->disk->files, &f->link);
    inode_unref(f->disk, f->node);
    mem_free(f->path);
    mem_free(f->temporary);
    mem_free(f);
}

/* ATOMIC: fsync, rename, fsync of the directory. */
static bool publish(struct sim_file *f, struct error *err) {
    struct disk *d = f->disk;
    if (!disk_allows(d, SIM_FILE_SYNC, f->path, err)) {
        return false;
    }
    disk_sync(d, f->node);
    if (!rename_file(d->host, f->temporary, f->path, err)) {
        return false;
    }
    char *name = NULL;
    struct inode *dir = disk_parent(d, f->path, &name, NULL);
    mem_free(name);
    disk_sync(d, dir);
    return true;
}

static bool close_file(struct world_file *base, bool keep, struct error *err) {
    struct sim_file *f = (struct sim_file *)base;
    struct disk *d = f->disk;
    bool ok = true;
    if (f->temporary != NULL) {
        ok = !keep || publish(f, err);
        if ((!keep || !ok) && !d->host->crashing) {
            char *name = NULL;
            struct inode *dir = disk_parent(d, f->temporary, &name, NULL);
            if (dir != NULL && directory_get(dir, name) == f->node) {
                disk_link(d, dir, name, NULL);
            }
            mem_free(name);
        }
    }
    file_free(f);
    return ok;
}

const struct world_file_ops sim_file_ops = {
    .stat = file_stat,
    .read_at = read_at,
    .sync = file_sync,
    .mkdir = make_directory,
    .rename = rename_file,
    .remove = remove_file,
    .chmod = change_mode,
    .list = list_names,
    .open = open_file,
    .put = put,
    .close = close_file,
    .watch = watch,
    .watch_close = watch_close,
    .sqlite_vfs = sim_vfs_name,
    .symlink = make_link,
    .readlink = read_link,
};

/* ---- crash and what is left */

void sim_disk_before_crash(struct sim_host *h, enum sim_crash_kind kind) {
    struct disk *d = h->disk;
    vfs_crash(d);
    LIST_EACH (k, &d->watches) {
        sim_inbox_stop(h, &LIST_ITEM(k, struct sim_watch, link)->soon);
    }
    if (kind == SIM_CRASH_POWER) {
        disk_lose_unsynced(d);
    }
}

void sim_disk_after_crash(struct sim_host *h) {
    LIST_EACH_SAFE (k, next, &h->disk->files) {
        file_free(LIST_ITEM(k, struct sim_file, link));
    }
    LIST_EACH_SAFE (k, next, &h->disk->watches) {
        watch_close(&LIST_ITEM(k, struct sim_watch, link)->base);
    }
}

void sim_disk_census(const struct sim_host *h, struct sim_census *out) {
    out->open_files = h->disk->files.count + h->disk->vfs_files.count;
    out->watches = h->disk->watches.count;
    out->disk_bytes = h->disk->used;
}

bool sim_disk_check_idle(const struct sim_host *h, struct buf *report) {
    const struct disk *d = h->disk;
    size_t open = d->files.count + d->vfs_files.count;
    if (open != 0) {
        sim_leak(report, h, open, "open files");
    }
    if (!list_empty(&d->watches)) {
        sim_leak(report, h, d->watches.count, "watches");
    }
    return open == 0 && list_empty(&d->watches);
}
