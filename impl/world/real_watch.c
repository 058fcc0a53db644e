/* Watching files: inotify (through libuv) on the directory that holds the path, so that a file that is replaced, or
 * appears later, is seen; and on the path itself when it is a directory. Where there is no directory to watch yet, the
 * path is looked at every few seconds. */
#include "world/real_loop.h"

#include <string.h>

enum { LOOK_MS = 2000 };

struct real_watch {
    struct world_watch watch; /* first */
    struct list_link link;
    struct real_world *rw;
    uv_fs_event_t parent; /* of the directory that holds it */
    uv_fs_event_t inside; /* of it, when it is a directory */
    uv_fs_poll_t look;
    char *path;
    const char *name; /* last part of path */
    struct real_soon soon;
    void (*on_change)(void *ctx);
    void *ctx;
    int handles;
    bool closed;
};

static void watch_inside(struct real_watch *x);

static void tell(struct real_soon *soon) {
    struct real_watch *x = LIST_ITEM(soon, struct real_watch, soon);
    watch_inside(x);
    x->on_change(x->ctx);
}

static void changed(struct real_watch *x) {
    if (!x->closed) {
        real_soon(x->rw, &x->soon, tell);
    }
}

static void on_parent(uv_fs_event_t *handle, const char *filename, int events, int status) {
    struct real_watch *x = handle->data;
    (void)events;
    if (status < 0 || filename == NULL || strcmp(filename, x->name) == 0) {
        changed(x);
    }
}

static void on_inside(uv_fs_event_t *handle, const char *filename, int events, int status) {
    (void)filename;
    (void)events;
    (void)status;
    changed(handle->data);
}

static void on_look(uv_fs_poll_t *handle, int status, const uv_stat_t *before, const uv_stat_t *now) {
    (void)status;
    (void)before;
    (void)now;
    changed(handle->data);
}

/* A directory may be replaced by another: the watch follows the path. */
static void watch_inside(struct real_watch *x) {
    struct world_stat st;
    bool is_dir = world_file_stat(&x->rw->world, x->path, &st, NULL) && st.is_dir;
    uv_fs_event_stop(&x->inside);
    if (is_dir) {
        uv_fs_event_start(&x->inside, on_inside, x->path, 0);
    }
}

struct world_watch *real_watch(void *impl, const char *path, void (*on_change)(void *ctx), void *ctx) {
    struct real_world *rw = impl;
    struct real_watch *x = mem_zalloc(sizeof(*x));
    x->watch.ops = &real_file_ops;
    x->rw = rw;
    x->path = str_dup(path);
    size_t len = strlen(x->path);
    while (len > 1 && x->path[len - 1] == '/') {
        x->path[--len] = '\0';
    }
    char *slash = strrchr(x->path, '/');
    x->name = slash != NULL ? slash + 1 : x->path;
    x->on_change = on_change;
    x->ctx = ctx;
    x->parent.data = x->inside.data = x->look.data = x;
    x->handles = 3;
    uv_fs_event_init(&rw->loop, &x->parent);
    uv_fs_event_init(&rw->loop, &x->inside);
    uv_fs_poll_init(&rw->loop, &x->look);
    char *dir =
        slash == NULL ? str_dup(".") : span_dup(span_bytes(x->path, slash == x->path ? 1 : (size_t)(slash - x->path)));
    if (uv_fs_event_start(&x->parent, on_parent, dir, 0) != 0) {
        uv_fs_poll_start(&x->look, on_look, x->path, LOOK_MS);
    }
    mem_free(dir);
    watch_inside(x);
    list_push_back(&rw->watches, &x->link);
    return &x->watch;
}

static void on_closed(uv_handle_t *handle) {
    struct real_watch *x = handle->data;
    if (--x->handles == 0) {
        mem_free(x->path);
        mem_free(x);
    }
}

void real_watch_close(struct world_watch *watch) {
    struct real_watch *x = (struct real_watch *)(void *)watch;
    x->closed = true;
    list_remove(&x->rw->watches, &x->link);
    real_soon_cancel(x->rw, &x->soon);
    uv_close((uv_handle_t *)&x->parent, on_closed);
    uv_close((uv_handle_t *)&x->inside, on_closed);
    uv_close((uv_handle_t *)&x->look, on_closed);
}

void real_watch_end(struct real_world *rw) {
    while (!list_empty(&rw->watches)) {
        real_watch_close(&LIST_ITEM(list_first(&rw->watches), struct real_watch, link)->watch);
    }
}
