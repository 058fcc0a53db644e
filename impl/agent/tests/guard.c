#include "agent/tests/guard.h"
#include "base/mem.h"

static struct guard *current; /* operations of connections have no context */
static const struct world_conn_ops *inner_conn;

static struct guard *of(void *impl) {
    return impl;
}

/* Does this call still happen? */
static bool alive(struct guard *g) {
    if (!g->dead) {
        g->calls++;
        if (g->limit != 0 && g->calls >= g->limit) {
            g->dead = true;
            g->on_death(g->bench);
        }
    }
    return !g->dead;
}

static struct world *host(struct guard *g) {
    return g->bench->agent_host;
}

/* ---------------------------------------------------------------------------------------- time */

static uint64_t now_us(void *impl) {
    return world_now_us(host(impl));
}
static int64_t wall_ms(void *impl) {
    return world_wall_ms(host(impl));
}
static void timer_start(void *impl, struct timer *t, uint64_t delay_ms) {
    if (alive(impl)) {
        host(impl)->time->timer_start(host(impl)->time_impl, t, delay_ms);
    }
}
static void timer_stop(void *impl, struct timer *t) {
    host(impl)->time->timer_stop(host(impl)->time_impl, t);
}
static void defer(void *impl, struct world_task *task) {
    if (alive(impl)) {
        host(impl)->time->defer(host(impl)->time_impl, task);
    }
}
static void undefer(void *impl, struct world_task *task) {
    host(impl)->time->undefer(host(impl)->time_impl, task);
}
static void fill_random(void *impl, void *out, size_t len) {
    world_random(host(impl), out, len);
}
static void work(void *impl, void (*fn)(void *), void (*done)(void *), void *arg, uint32_t cost_us) {
    if (alive(impl)) {
        world_work(host(impl), fn, done, arg, cost_us);
    }
}
static bool work_join(void *impl, void *arg) {
    return world_work_join(host(impl), arg);
}
static const struct world_time_ops time_ops = {now_us,  wall_ms,     timer_start, timer_stop, defer,
                                               undefer, fill_random, work,        work_join};

/* ---------------------------------------------------------------------------------------- network */

static void conn_write(struct world_conn *c, const struct span *parts, size_t count) {
    if (alive(current)) {
        inner_conn->write(c, parts, count);
    }
}
static size_t conn_pending(const struct world_conn *c) {
    return inner_conn->pending(c);
}
static void conn_pause(struct world_conn *c, bool paused) {
    inner_conn->pause(c, paused);
}
static void conn_close(struct world_conn *c, uint64_t flush_ms) {
    inner_conn->close(c, flush_ms);
}
static void conn_abort(struct world_conn *c) {
    inner_conn->abort(c);
}
static const struct world_identity *conn_peer(const struct world_conn *c) {
    return inner_conn->peer(c);
}
static const char *conn_remote(const struct world_conn *c) {
    return inner_conn->remote(c);
}
static const char *conn_local(const struct world_conn *c) {
    return inner_conn->local(c);
}
static const struct world_conn_ops conn_ops = {conn_write, conn_pending, conn_pause,  conn_close,
                                               conn_abort, conn_peer,    conn_remote, conn_local};

static struct world_tls *tls_new(void *impl, const struct world_tls_files *files, struct error *err) {
    return world_tls_new(host(impl), files, err);
}

/* A dead agent's connections, requests and processes: only there to be let go. */
static void gone_abort(struct world_conn *c) {
    mem_free(c);
}
static void gone_close(struct world_conn *c, uint64_t flush_ms) {
    (void)flush_ms;
    mem_free(c);
}
static const struct world_conn_ops gone_conn = {.abort = gone_abort, .close = gone_close};
static void gone_cancel(struct world_fetch *f) {
    mem_free(f);
}
static const struct world_fetch_ops gone_fetch = {gone_cancel};
static int64_t gone_pid(const struct world_process *p) {
    (void)p;
    return 0;
}
static void gone_forget(struct world_process *p) {
    mem_free(p);
}
static const struct world_process_ops gone_process = {.pid = gone_pid, .forget = gone_forget};

static struct world_conn *connect_to(void *impl, struct world *w, const struct world_connect *opts,
                                     const struct world_conn_handler *handler, void *ctx) {
    (void)w;
    if (!alive(impl)) {
        struct world_conn *c = mem_zalloc(sizeof *c);
        c->ops = &gone_conn;
        return c;
    }
    struct world_conn *c = world_connect(host(impl), opts, handler, ctx);
    inner_conn = c->ops;
    c->ops = &conn_ops;
    return c;
}

static struct world_fetch *fetch(void *impl, struct world *w, const struct world_fetch_opts *opts,
                                 void (*done)(void *ctx, const struct world_response *r), void *ctx) {
    (void)w;
    if (!alive(impl)) {
        struct world_fetch *f = mem_zalloc(sizeof *f);
        f->ops = &gone_fetch;
        return f;
    }
    return world_fetch(host(impl), opts, done, ctx);
}
static const struct world_net_ops net_ops = {tls_new, NULL, connect_to, fetch};

/* ---------------------------------------------------------------------------------------- processes */

static struct world_process *spawn(void *impl, const struct world_spawn *opts,
                                   void (*ended)(void *ctx, const struct world_exit *e), void *ctx) {
    if (!alive(impl)) {
        struct world_process *p = mem_zalloc(sizeof *p);
        p->ops = &gone_process;
        return p;
    }
    return world_spawn(host(impl), opts, ended, ctx);
}
static bool pid_alive(void *impl, int64_t pid) {
    return world_pid_alive(host(impl), pid);
}
static bool pid_signal(void *impl, int64_t pid, int signal, bool group) {
    return alive(impl) && world_pid_signal(host(impl), pid, signal, group);
}
static void pid_birth(void *impl, int64_t pid, char out[32]) {
    world_pid_birth(host(impl), pid, out);
}
static const struct world_process_ops process_ops = {
    .spawn = spawn, .alive = pid_alive, .signal = pid_signal, .birth = pid_birth};

/* ---------------------------------------------------------------------------------------- files */

static bool died(struct error *err) {
    return error_set(err, "world/io", "dead");
}

static bool sync_unless_skipped(struct guard *g, const char *path, struct error *err) {
    g->syncs++;
    return g->syncs == g->skipped || world_file_sync(host(g), path, err);
}

static bool file_stat(void *impl, const char *path, bool follow, struct world_stat *out, struct error *err) {
    return follow ? world_file_stat(host(impl), path, out, err) : world_file_lstat(host(impl), path, out, err);
}
static bool file_read_at(void *impl, const char *path, uint64_t offset, size_t len, struct buf *out,
                         struct error *err) {
    return world_file_read_at(host(impl), path, offset, len, out, err);
}
static bool file_sync(void *impl, const char *path, struct error *err) {
    return alive(impl) ? sync_unless_skipped(impl, path, err) : died(err);
}
static bool file_mkdir(void *impl, const char *path, int mode, struct error *err) {
    return alive(impl) ? host(impl)->file->mkdir(host(impl)->file_impl, path, mode, err) : died(err);
}
static bool file_rename(void *impl, const char *from, const char *to, struct error *err) {
    return alive(impl) ? world_file_rename(host(impl), from, to, err) : died(err);
}
static bool file_remove(void *impl, const char *path, struct error *err) {
    return alive(impl) ? world_file_remove(host(impl), path, false, err) : died(err);
}
static bool file_chmod(void *impl, const char *path, int mode, struct error *err) {
    return alive(impl) ? world_file_chmod(host(impl), path, mode, err) : died(err);
}
static bool file_list(void *impl, const char *path, char ***names, size_t *count, struct error *err) {
    return world_file_list(host(impl), path, names, count, err);
}

/* An atomic write taken apart, so that each of its syncs can be left out. */
struct guard_file {
    struct world_file base;
    struct guard *guard;
    struct world_file *inner;
    enum world_write how;
    char *path, *temporary;
};
static const struct world_file_ops file_ops;

static struct world_file *file_open(void *impl, const char *path, int mode, enum world_write how, struct error *err) {
    if (!alive(impl)) {
        died(err);
        return NULL;
    }
    struct guard_file *f = mem_zalloc(sizeof *f);
    f->base.ops = &file_ops;
    f->guard = impl;
    f->how = how;
    f->path = str_dup(path);
    f->temporary = str_printf("%s%s", path, how == WORLD_WRITE_ATOMIC ? "~" : "");
    f->inner =
        world_file_open(host(impl), f->temporary, mode, how == WORLD_WRITE_ATOMIC ? WORLD_WRITE_PLAIN : how, err);
    if (f->inner == NULL) {
        mem_free(f->path);
        mem_free(f->temporary);
        mem_free(f);
        return NULL;
    }
    return &f->base;
}

static bool file_put(struct world_file *base, struct span bytes, struct error *err) {
    struct guard_file *f = (struct guard_file *)base;
    return alive(f->guard) ? world_file_put(f->inner, bytes, err) : died(err);
}

static bool file_close(struct world_file *base, bool keep, struct error *err) {
    struct guard_file *f = (struct guard_file *)base;
    struct guard *g = f->guard;
    bool ok = world_file_close(f->inner, keep && !g->dead, err);
    if (keep && f->how == WORLD_WRITE_ATOMIC) {
        char *dir = span_dup(span_bytes(f->path, (size_t)(strrchr(f->path, '/') - f->path)));
        ok = ok && alive(g) && sync_unless_skipped(g, f->temporary, err) && alive(g) &&
             world_file_rename(host(g), f->temporary, f->path, err) && alive(g) && sync_unless_skipped(g, dir, err);
        mem_free(dir);
    }
    mem_free(f->path);
    mem_free(f->temporary);
    mem_free(f);
    return ok || died(err);
}

static const struct world_file_ops file_ops = {
    .stat = file_stat,
    .read_at = file_read_at,
    .sync = file_sync,
    .mkdir = file_mkdir,
    .rename = file_rename,
    .remove = file_remove,
    .chmod = file_chmod,
    .list = file_list,
    .open = file_open,
    .put = file_put,
    .close = file_close,
};

/* ---------------------------------------------------------------------------------------- life */

static bool exec_sync(struct bench *b, const char *path) {
    (void)b;
    return sync_unless_skipped(current, path, NULL);
}

void guard_install(struct guard *g, struct bench *b) {
    *g = (struct guard){
        .world = {&time_ops, g, &net_ops, g, &process_ops, g, &file_ops, g}, .bench = b, .on_death = g->on_death};
    current = g;
    b->agent_world = &of(g)->world;
    b->sync = exec_sync; /* a program's syncs count, but go on when the agent is dead */
}

void guard_revive(struct guard *g) {
    g->dead = false;
    g->limit = 0;
}

void guard_uninstall(struct guard *g) {
    g->bench->agent_world = g->bench->agent_host;
    g->bench->sync = NULL;
    current = NULL;
}
