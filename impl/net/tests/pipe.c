/* A world of two-ended pipes in memory. */
#include "pipe.h"

#include "base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct pipe_listener {
    struct world_listener base;
    struct list_link link;
    struct pipe_world *pw;
    uint16_t port;
    void (*on_accept)(void *ctx, struct world_conn *c);
    void *ctx;
};

struct pipe_conn {
    struct world_conn base;
    struct list_link link;
    struct pipe_world *pw;
    struct pipe_conn *other; /* NULL: it is gone */
    struct buf in;           /* under way to us */
    struct buf pending;      /* written by us, not under way yet */
    struct timer flush;      /* closing: until when */
    bool opening;            /* on_open (or on_accept) is due */
    bool refused, paused;
    bool closing; /* world_conn_close() was called */
    bool ended;   /* the other end has closed in order */
    bool reset;   /* … or aborted */
    bool drain_due, flush_over;
    uint16_t port;
    char remote[32];
};

struct pipe_world {
    struct world world;
    uint64_t now_us;
    struct timer_heap timers;
    struct list tasks, conns, listeners;
    size_t split, window;
    const struct world_identity *identity;
    uint64_t writes, random_state;
    uint16_t next_port;
};

/* ---- time */

static uint64_t now_us(void *impl) {
    return ((struct pipe_world *)impl)->now_us;
}

static int64_t wall_ms(void *impl) {
    return 1795212849000 + (int64_t)(((struct pipe_world *)impl)->now_us / 1000);
}

static void timer_start(void *impl, struct timer *t, uint64_t delay_ms) {
    struct pipe_world *pw = impl;
    timer_heap_start(&pw->timers, t, pw->now_us + delay_ms * 1000);
}

static void timer_stop(void *impl, struct timer *t) {
    timer_heap_stop(&((struct pipe_world *)impl)->timers, t);
}

static void defer(void *impl, struct world_task *task) {
    list_push_back(&((struct pipe_world *)impl)->tasks, &task->link);
}

static void undefer(void *impl, struct world_task *task) {
    list_remove(&((struct pipe_world *)impl)->tasks, &task->link);
}

static void fill_random(void *impl, void *out, size_t len) {
    struct pipe_world *pw = impl;
    for (size_t i = 0; i < len; i++) {
        pw->random_state = pw->random_state * 6364136223846793005u + 1442695040888963407u;
        ((uint8_t *)out)[i] = (uint8_t)(pw->random_state >> 56);
    }
}

static const struct world_time_ops time_ops = {.now_us = now_us,
                                               .wall_ms = wall_ms,
                                               .timer_start = timer_start,
                                               .timer_stop = timer_stop,
                                               .defer = defer,
                                               .undefer = undefer,
                                               .random = fill_random};

/* ---- connections */

static struct pipe_conn *pipe_of(const struct world_conn *c) {
    return (struct pipe_conn *)(uintptr_t)c;
}

static void conn_free(struct pipe_conn *c) {
    if (c->other != NULL) {
        c->other->other = NULL;
    }
    world_timer_stop(&c->pw->world, &c->flush);
    list_remove(&c->pw->conns, &c->link);
    buf_free(&c->in);
    buf_free(&c->pending);
    mem_free(c);
}

/* Moves pending bytes on their way as far as the window lets them. */
static void pump(struct pipe_conn *c) {
    if (c->other == NULL) {
        buf_clear(&c->pending);
        return;
    }
    size_t window = c->pw->window;
    size_t room = window > c->other->in.len ? window - c->other->in.len : 0;
    size_t len = c->pending.len < room ? c->pending.len : room;
    if (len != 0) {
        buf_append(&c->other->in, c->pending.ptr, len);
        buf_consume(&c->pending, len);
        c->drain_due = c->pending.len == 0;
    }
}

static void conn_write(struct world_conn *base, const struct span *parts, size_t count) {
    struct pipe_conn *c = pipe_of(base);
    c->pw->writes++;
    if (c->closing) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        buf_append_span(&c->pending, parts[i]);
    }
    pump(c);
    c->drain_due = false; /* only a queue that was there can fall to zero */
}

static size_t conn_pending(const struct world_conn *base) {
    return pipe_of(base)->pending.len;
}

static void conn_pause(struct world_conn *base, bool paused) {
    pipe_of(base)->paused = paused;
}

static void flush_over(void *ctx) {
    ((struct pipe_conn *)ctx)->flush_over = true;
}

static void conn_close(struct world_conn *base, uint64_t flush_ms) {
    struct pipe_conn *c = pipe_of(base);
    if (!c->closing) {
        c->closing = true;
        world_timer_start(&c->pw->world, &c->flush, flush_ms, flush_over, c);
    }
}

static void conn_abort(struct world_conn *base) {
    struct pipe_conn *c = pipe_of(base);
    if (c->other != NULL) {
        c->other->reset = true;
    }
    conn_free(c);
}

static const struct world_identity *conn_peer(const struct world_conn *base) {
    return pipe_of(base)->pw->identity;
}

static const char *conn_remote(const struct world_conn *base) {
    return pipe_of(base)->remote;
}

static const struct world_conn_ops conn_ops = {conn_write, conn_pending, conn_pause,  conn_close,
                                               conn_abort, conn_peer,    conn_remote, conn_remote};

static struct pipe_conn *conn_new(struct pipe_world *pw, struct world *w) {
    struct pipe_conn *c = mem_zalloc(sizeof(*c));
    c->base.ops = &conn_ops;
    c->base.world = w;
    c->pw = pw;
    snprintf(c->remote, sizeof(c->remote), "10.0.0.1:%u", (unsigned)++pw->next_port);
    list_push_back(&pw->conns, &c->link);
    return c;
}

static struct pipe_listener *find_listener(struct pipe_world *pw, uint16_t port) {
    LIST_EACH (it, &pw->listeners) {
        struct pipe_listener *l = LIST_ITEM(it, struct pipe_listener, link);
        if (l->port == port) {
            return l;
        }
    }
    return NULL;
}

static struct world_conn *net_connect(void *impl, struct world *w, const struct world_connect *opts,
                                      const struct world_conn_handler *handler, void *ctx) {
    struct pipe_world *pw = impl;
    struct pipe_conn *c = conn_new(pw, w);
    world_conn_set_handler(&c->base, handler, ctx);
    c->opening = true;
    c->port = opts->port;
    return &c->base;
}

/* The client's on_open; makes the server's end. */
static void open_conn(struct pipe_conn *c) {
    struct pipe_listener *l = find_listener(c->pw, c->port);
    c->opening = false;
    if (l == NULL) {
        c->refused = true;
        return;
    }
    struct pipe_conn *server = conn_new(c->pw, &c->pw->world);
    c->other = server;
    server->other = c;
    l->on_accept(l->ctx, &server->base);
    if (c->base.handler->on_open != NULL) {
        c->base.handler->on_open(c->base.ctx, &c->base);
    }
}

static void end(struct pipe_conn *c, enum world_close_reason why, const char *text) {
    if (why == WORLD_CLOSE_LOCAL && c->other != NULL) {
        c->other->ended = true;
    }
    if (c->other != NULL) {
        c->other->other = NULL;
        c->other = NULL;
    }
    c->base.handler->on_close(c->base.ctx, &c->base, why, text);
    conn_free(c);
}

/* One thing this end has to do; false: nothing. It may be gone afterwards. */
static bool step_conn(struct pipe_conn *c) {
    if (c->opening) {
        open_conn(c);
    } else if (c->refused) {
        end(c, WORLD_CLOSE_REFUSED, "");
    } else if (c->reset) {
        end(c, WORLD_CLOSE_RESET, "");
    } else if (c->drain_due) {
        c->drain_due = false;
        if (c->base.handler->on_drain != NULL) {
            c->base.handler->on_drain(c->base.ctx, &c->base);
        }
    } else if (c->closing && (c->pending.len == 0 || c->flush_over)) {
        end(c, WORLD_CLOSE_LOCAL, "");
    } else if (c->in.len != 0 && !c->paused && c->pw->window != 0) {
        size_t len = c->pw->split != 0 && c->pw->split < c->in.len ? c->pw->split : c->in.len;
        char *bytes = span_dup(span_sub(buf_span(&c->in), 0, len)); /* its own memory: reading past it is noticed */
        buf_consume(&c->in, len);
        if (!c->closing) {
            c->base.handler->on_data(c->base.ctx, &c->base, (struct span){bytes, len});
        }
        mem_free(bytes);
    } else if (c->ended && c->in.len == 0) {
        end(c, WORLD_CLOSE_EOF, "");
    } else {
        return false;
    }
    return true;
}

/* ---- listeners */

static uint16_t listener_port(const struct world_listener *l) {
    return ((const struct pipe_listener *)l)->port;
}

static void listener_close(struct world_listener *base) {
    struct pipe_listener *l = (struct pipe_listener *)base;
    list_remove(&l->pw->listeners, &l->link);
    mem_free(l);
}

static const struct world_listener_ops listener_ops = {listener_port, listener_close};

static struct world_listener *net_listen(void *impl, struct world *w, const struct world_listen *opts,
                                         void (*on_accept)(void *ctx, struct world_conn *c), void *ctx,
                                         struct error *err) {
    struct pipe_world *pw = impl;
    (void)w;
    if (find_listener(pw, opts->port) != NULL) {
        error_set(err, "world/address-in-use", "port %u is taken", opts->port);
        return NULL;
    }
    struct pipe_listener *l = mem_zalloc(sizeof(*l));
    *l = (struct pipe_listener){
        .base.ops = &listener_ops, .pw = pw, .port = opts->port, .on_accept = on_accept, .ctx = ctx};
    list_push_back(&pw->listeners, &l->link);
    return &l->base;
}

static const struct world_net_ops net_ops = {.listen = net_listen, .connect = net_connect};

/* ---- the world */

struct pipe_world *pipe_world_new(void) {
    struct pipe_world *pw = mem_zalloc(sizeof(*pw));
    pw->world = (struct world){.time = &time_ops, .time_impl = pw, .net = &net_ops, .net_impl = pw};
    pw->window = SIZE_MAX;
    pw->now_us = 1000000;
    list_init(&pw->tasks);
    list_init(&pw->conns);
    list_init(&pw->listeners);
    return pw;
}

void pipe_world_free(struct pipe_world *pw) {
    assert(pw->conns.count == 0);
    assert(pw->listeners.count == 0);
    assert(pw->tasks.count == 0);
    assert(pw->timers.count == 0);
    timer_heap_free(&pw->timers);
    mem_free(pw);
}

struct world *pipe_world(struct pipe_world *pw) {
    return &pw->world;
}

static bool step(struct pipe_world *pw) {
    LIST_EACH (it, &pw->conns) {
        pump(LIST_ITEM(it, struct pipe_conn, link));
    }
    LIST_EACH (it, &pw->conns) {
        if (step_conn(LIST_ITEM(it, struct pipe_conn, link))) {
            return true;
        }
    }
    struct list_link *first = list_pop_front(&pw->tasks);
    if (first != NULL) {
        struct world_task *task = LIST_ITEM(first, struct world_task, link);
        task->run(task->ctx);
        return true;
    }
    struct timer *t = timer_heap_first(&pw->timers);
    if (t != NULL && t->due_us <= pw->now_us) {
        timer_heap_stop(&pw->timers, t);
        t->fire(t->ctx);
        return true;
    }
    return false;
}

void pipe_run(struct pipe_world *pw) {
    for (size_t steps = 0; step(pw); steps++) {
        assert(steps < 10000000);
    }
}

void pipe_advance(struct pipe_world *pw, uint64_t ms) {
    uint64_t until = pw->now_us + ms * 1000;
    for (struct timer *t; (t = timer_heap_first(&pw->timers)) != NULL && t->due_us <= until;) {
        pw->now_us = t->due_us > pw->now_us ? t->due_us : pw->now_us;
        pipe_run(pw);
    }
    pw->now_us = until;
    pipe_run(pw);
}

void pipe_split(struct pipe_world *pw, size_t bytes) {
    pw->split = bytes;
}

void pipe_window(struct pipe_world *pw, size_t bytes) {
    pw->window = bytes;
}

void pipe_identity(struct pipe_world *pw, const struct world_identity *id) {
    pw->identity = id;
}

uint64_t pipe_writes(const struct pipe_world *pw) {
    return pw->writes;
}

size_t pipe_conns(const struct pipe_world *pw) {
    return pw->conns.count;
}

/* ---- bare ends */

static void raw_on_open(void *ctx, struct world_conn *c) {
    struct raw *r = ctx;
    (void)c;
    r->open = true;
}

static void raw_on_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct raw *r = ctx;
    (void)c;
    buf_append_span(&r->got, bytes);
    if (r->sips) {
        world_conn_pause(r->conn, true);
    }
}

static void raw_on_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    struct raw *r = ctx;
    (void)c, (void)text;
    r->conn = NULL;
    r->open = false;
    r->why = why;
}

static const struct world_conn_handler raw_handler = {raw_on_open, raw_on_data, NULL, raw_on_close};

void raw_connect(struct raw *r, struct pipe_world *pw, uint16_t port) {
    buf_free(&r->got);
    memset(r, 0, sizeof(*r));
    buf_append_cstr(&r->got, "");
    r->conn = world_connect(&pw->world, &(struct world_connect){.host = "h", .port = port}, &raw_handler, r);
    pipe_run(pw);
}

static void raw_on_accept(void *ctx, struct world_conn *c) {
    struct raw *r = ctx;
    assert(r->conn == NULL);
    r->conn = c;
    r->open = true;
    buf_append_cstr(&r->got, "");
    world_conn_set_handler(c, &raw_handler, r);
}

struct world_listener *raw_listen(struct raw *r, struct pipe_world *pw, uint16_t port) {
    memset(r, 0, sizeof(*r));
    return world_listen(&pw->world, &(struct world_listen){.port = port}, raw_on_accept, r, NULL);
}

void raw_send(struct raw *r, struct span bytes) {
    assert(r->conn != NULL);
    world_conn_write(r->conn, &bytes, 1);
}

void raw_free(struct raw *r) {
    if (r->conn != NULL) {
        world_conn_abort(r->conn);
        r->conn = NULL;
    }
    buf_free(&r->got);
}
