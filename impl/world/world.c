/* The calls of world.h: thin dispatch to the facets, and what is the same in every world. */
#include "world/world.h"

#include "base/digest.h"
#include "base/mem.h"
#include <assert.h>
#include <string.h>

uint64_t world_now_us(struct world *w) {
    return w->time->now_us(w->time_impl);
}

int64_t world_wall_ms(struct world *w) {
    return w->time->wall_ms(w->time_impl);
}

void world_timer_start(struct world *w, struct timer *t, uint64_t delay_ms, void (*fire)(void *ctx), void *ctx) {
    t->fire = fire;
    t->ctx = ctx;
    w->time->timer_start(w->time_impl, t, delay_ms);
}

void world_timer_stop(struct world *w, struct timer *t) {
    if (t->place != 0) {
        w->time->timer_stop(w->time_impl, t);
    }
}

void world_defer(struct world *w, struct world_task *task, void (*run)(void *ctx), void *ctx) {
    if (list_linked(&task->link)) {
        return;
    }
    task->run = run;
    task->ctx = ctx;
    w->time->defer(w->time_impl, task);
}

void world_undefer(struct world *w, struct world_task *task) {
    if (list_linked(&task->link)) {
        w->time->undefer(w->time_impl, task);
    }
}

void world_random(struct world *w, void *out, size_t len) {
    w->time->random(w->time_impl, out, len);
}

uint64_t world_random_below(struct world *w, uint64_t bound) {
    assert(bound >= 1);
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t r;
    do {
        world_random(w, &r, sizeof(r));
    } while (r >= limit);
    return r % bound;
}

void world_uuid(struct world *w, char out[37]) {
    uint8_t random[16];
    world_random(w, random, sizeof(random));
    uuid_format(random, out);
}

void world_work(struct world *w, void (*fn)(void *arg), void (*done)(void *arg), void *arg, uint32_t cost_us) {
    w->time->work(w->time_impl, fn, done, arg, cost_us);
}

bool world_work_join(struct world *w, void *arg) {
    return w->time->work_join(w->time_impl, arg);
}

/* ---- TLS and connections */

struct world_tls *world_tls_new(struct world *w, const struct world_tls_files *files, struct error *err) {
    return w->net->tls_new(w->net_impl, files, err);
}

void world_tls_free(struct world_tls *tls) {
    if (tls != NULL) {
        tls->ops->free(tls);
    }
}

bool world_tls_reload(struct world_tls *tls, struct error *err) {
    return tls->ops->reload(tls, err);
}

const struct world_identity *world_tls_self(const struct world_tls *tls) {
    return tls->ops->self(tls);
}

bool world_tls_still_good(struct world_tls *tls, const struct world_identity *id) {
    return tls->ops->still_good(tls, id);
}

struct world_listener *world_listen(struct world *w, const struct world_listen *opts,
                                    void (*on_accept)(void *ctx, struct world_conn *c), void *ctx, struct error *err) {
    return w->net->listen(w->net_impl, w, opts, on_accept, ctx, err);
}

uint16_t world_listener_port(const struct world_listener *l) {
    return l->ops->port(l);
}

void world_listener_close(struct world_listener *l) {
    if (l != NULL) {
        l->ops->close(l);
    }
}

struct world_conn *world_connect(struct world *w, const struct world_connect *opts,
                                 const struct world_conn_handler *handler, void *ctx) {
    return w->net->connect(w->net_impl, w, opts, handler, ctx);
}

void world_conn_set_handler(struct world_conn *c, const struct world_conn_handler *handler, void *ctx) {
    c->handler = handler;
    c->ctx = ctx;
}

void world_conn_write(struct world_conn *c, const struct span *parts, size_t count) {
    c->ops->write(c, parts, count);
}

size_t world_conn_pending(const struct world_conn *c) {
    return c->ops->pending(c);
}

void world_conn_pause(struct world_conn *c, bool paused) {
    c->ops->pause(c, paused);
}

void world_conn_close(struct world_conn *c, uint64_t flush_ms) {
    c->ops->close(c, flush_ms);
}

void world_conn_abort(struct world_conn *c) {
    c->ops->abort(c);
}

const struct world_identity *world_conn_peer(const struct world_conn *c) {
    return c->ops->peer(c);
}

const char *world_conn_remote(const struct world_conn *c) {
    return c->ops->remote(c);
}

const char *world_conn_local(const struct world_conn *c) {
    return c->ops->local(c);
}

struct world *world_conn_world(const struct world_conn *c) {
    return c->world;
}

struct world_fetch *world_fetch(struct world *w, const struct world_fetch_opts *opts,
                                void (*done)(void *ctx, const struct world_response *r), void *ctx) {
    return w->net->fetch(w->net_impl, w, opts, done, ctx);
}

void world_fetch_cancel(struct world_fetch *f) {
    if (f != NULL) {
        f->ops->cancel(f);
    }
}

const char *world_response_header(const struct world_response *r, const char *lower_case_name) {
    for (size_t i = 0; i < r->header_count; i++) {
        if (strcmp(r->headers[i].name, lower_case_name) == 0) {
            return r->headers[i].value;
        }
    }
    return NULL;
}

/* ---- processes */

struct world_process *world_spawn(struct world *w, const struct world_spawn *opts,
                                  void (*on_exit)(void *ctx, const struct world_exit *e), void *ctx) {
    return w->process->spawn(w->process_impl, opts, on_exit, ctx);
}

int64_t world_process_pid(const struct world_process *p) {
    return p->ops->pid(p);
}

void world_process_forget(struct world_process *p) {
    if (p != NULL) {
        p->ops->forget(p);
    }
}

bool world_pid_alive(struct world *w, int64_t pid) {
    return pid > 0 && w->process->alive(w->process_impl, pid);
}

bool world_pid_signal(struct world *w, int64_t pid, int signal, bool group) {
    return pid > 0 && w->process->signal(w->process_impl, pid, signal, group);
}

void world_pid_birth(struct world *w, int64_t pid, char out[32]) {
    out[0] = '\0';
    if (pid > 0) {
        w->process->birth(w->process_impl, pid, out);
    }
}

/* ---- files */

bool world_file_stat(struct world *w, const char *path, struct world_stat *out, struct error *err) {
    return w->file->stat(w->file_impl, path, true, out, err);
}

bool world_file_lstat(struct world *w, const char *path, struct world_stat *out, struct error *err) {
    return w->file->stat(w->file_impl, path, false, out, err);
}

bool world_file_read(struct world *w, const char *path, size_t max, struct buf *out, struct error *err) {
    size_t before = out->len;
    size_t ask = max == SIZE_MAX ? max : max + 1;
    if (!w->file->read_at(w->file_impl, path, 0, ask, out, err)) {
        return false;
    }
    if (out->len - before > max) {
        out->len = before;
        return error_set(err, "world/too-large", "%s is larger than %zu bytes", path, max);
    }
    return true;
}

bool world_file_read_at(struct world *w, const char *path, uint64_t offset, size_t len, struct buf *out,
                        struct error *err) {
    return w->file->read_at(w->file_impl, path, offset, len, out, err);
}

struct world_file *world_file_open(struct world *w, const char *path, int mode, enum world_write how,
                                   struct error *err) {
    return w->file->open(w->file_impl, path, mode, how, err);
}

bool world_file_put(struct world_file *f, struct span bytes, struct error *err) {
    return f->ops->put(f, bytes, err);
}

bool world_file_close(struct world_file *f, bool keep, struct error *err) {
    return f == NULL || f->ops->close(f, keep, err);
}

bool world_file_write(struct world *w, const char *path, struct span bytes, int mode, enum world_write how,
                      struct error *err) {
    struct world_file *f = world_file_open(w, path, mode, how, err);
    if (f == NULL) {
        return false;
    }
    if (!world_file_put(f, bytes, err)) {
        world_file_close(f, false, NULL);
        return false;
    }
    return world_file_close(f, true, err);
}

bool world_file_sync(struct world *w, const char *path, struct error *err) {
    return w->file->sync(w->file_impl, path, err);
}

static bool make_one_directory(struct world *w, const char *path, int mode, struct error *err) {
    struct error e = ERROR_INIT;
    if (w->file->mkdir(w->file_impl, path, mode, &e)) {
        return true;
    }
    struct world_stat st;
    if (error_is(&e, "world/exists") && world_file_stat(w, path, &st, NULL) && st.is_dir) {
        error_clear(&e);
        return true;
    }
    if (err != NULL) {
        error_move(err, &e);
    } else {
        error_clear(&e);
    }
    return false;
}

bool world_file_mkdir(struct world *w, const char *path, int mode, bool parents, struct error *err) {
    if (!parents) {
        return make_one_directory(w, path, mode, err);
    }
    char *partial = str_dup(path);
    bool ok = true;
    for (char *slash = strchr(partial + 1, '/'); ok && slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        struct world_stat st;
        if (!world_file_stat(w, partial, &st, NULL)) {
            ok = make_one_directory(w, partial, mode, err);
        }
        *slash = '/';
    }
    ok = ok && make_one_directory(w, partial, mode, err);
    mem_free(partial);
    return ok;
}

bool world_file_rename(struct world *w, const char *from, const char *to, struct error *err) {
    return w->file->rename(w->file_impl, from, to, err);
}

static bool remove_tree(struct world *w, const char *path, struct error *err) {
    struct world_stat st;
    if (!world_file_lstat(w, path, &st, err)) {
        return false;
    }
    bool ok = true;
    if (st.is_dir) {
        char **names;
        size_t count;
        if (!world_file_list(w, path, &names, &count, err)) {
            return false;
        }
        for (size_t i = 0; ok && i < count; i++) {
            char *child = str_printf("%s/%s", path, names[i]);
            ok = remove_tree(w, child, err);
            mem_free(child);
        }
        world_names_free(names, count);
    }
    return ok && w->file->remove(w->file_impl, path, err);
}

bool world_file_remove(struct world *w, const char *path, bool recursive, struct error *err) {
    return recursive ? remove_tree(w, path, err) : w->file->remove(w->file_impl, path, err);
}

bool world_file_chmod(struct world *w, const char *path, int mode, struct error *err) {
    return w->file->chmod(w->file_impl, path, mode, err);
}

bool world_file_symlink(struct world *w, const char *target, const char *path, struct error *err) {
    if (w->file->symlink == NULL) {
        return error_set(err, "world/io", "cannot make the symbolic link %s: this file system has none", path);
    }
    return w->file->symlink(w->file_impl, target, path, err);
}

char *world_file_readlink(struct world *w, const char *path, struct error *err) {
    struct world_stat st;
    if (w->file->readlink != NULL) {
        return w->file->readlink(w->file_impl, path, err);
    }
    if (world_file_lstat(w, path, &st, err)) {
        error_set(err, "world/io", "cannot read the link %s: this file system has none", path);
    }
    return NULL;
}

bool world_file_list(struct world *w, const char *path, char ***names, size_t *count, struct error *err) {
    return w->file->list(w->file_impl, path, names, count, err);
}

void world_names_free(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        mem_free(names[i]);
    }
    mem_free(names);
}

struct world_watch *world_watch(struct world *w, const char *path, void (*on_change)(void *ctx), void *ctx) {
    return w->file->watch(w->file_impl, path, on_change, ctx);
}

void world_watch_close(struct world_watch *watch) {
    if (watch != NULL) {
        watch->ops->watch_close(watch);
    }
}

const char *world_sqlite_vfs(struct world *w) {
    return w->file->sqlite_vfs(w->file_impl);
}
