/* Connections and requests under faults: pieces wait their time on the way, in order. */
#include "scenarios/runner/fault_net_internal.h"

#include "base/mem.h"
#include "base/url.h"
#include <stdlib.h>
#include <string.h>

static const uint64_t RETRANSMIT_US = 200 * 1000, LOOK_MS = 50, CONNECT_US = 30 * 1000000ull;
enum { LOSSES_MAX = 6 };

static uint64_t now_us(const struct fault_conn *c) {
    return world_now_us(c->host->net->below);
}

static struct link_fault effect(const struct fault_conn *c, bool out) {
    const char *here = c->host->name;
    return fault_net_effect(c->host->net, out ? here : c->to, out ? c->to : here);
}

/* ---- the end */

static void way_clear(struct fault_conn *c, struct fault_way *way) {
    struct list_link *k;
    while ((k = list_pop_front(&way->chunks)) != NULL) {
        mem_free(LIST_ITEM(k, struct fault_chunk, link));
    }
    world_timer_stop(c->host->net->below, &way->timer);
}

static void conn_free(struct fault_conn *c) {
    struct fault_net *n = c->host->net;
    way_clear(c, &c->out);
    way_clear(c, &c->in);
    world_timer_stop(n->below, &c->end_timer);
    world_undefer(n->below, &c->end_task);
    list_remove(&n->conns, &c->link);
    for (size_t i = 0; i < sizeof(c->strings) / sizeof(c->strings[0]); i++) {
        mem_free(c->strings[i]);
    }
    mem_free(c->text);
    mem_free(c);
}

static void finish(void *ctx) {
    struct fault_conn *c = ctx;
    const struct world_conn_handler *handler = c->base.handler;
    void *handler_ctx = c->base.ctx;
    if (handler != NULL && handler->on_close != NULL) {
        handler->on_close(handler_ctx, &c->base, c->why, c->text);
    }
    if (c->below == NULL) {
        conn_free(c);
    } else {
        c->base.handler = NULL; /* a ghost: the other end does not know yet */
    }
}

/* A ghost whose other end has noticed, or whose run is over. */
void fault_conn_drop(struct fault_conn *c) {
    if (c->below != NULL) {
        world_conn_abort(c->below);
        c->below = NULL;
    }
    if (c->base.handler == NULL) {
        conn_free(c);
    }
}

static void end_later(struct fault_conn *c, enum world_close_reason why, const char *text) {
    if (c->ending) {
        return;
    }
    c->ending = true;
    c->why = why;
    c->text = str_dup(text != NULL ? text : "");
    world_defer(c->host->net->below, &c->end_task, finish, c);
}

void fault_conn_end(struct fault_conn *c, enum world_close_reason why, const char *text) {
    if (c->below != NULL) {
        world_conn_abort(c->below);
        c->below = NULL;
    }
    end_later(c, why, text);
}

void fault_conn_ghost(struct fault_conn *c, bool local) {
    if (local) {
        c->ghost_local = true; /* the other end is told when it sends: see on_data */
        end_later(c, WORLD_CLOSE_RESET, "connection reset by peer");
    } else {
        c->ghost_remote = true; /* who connected is told when it sends: see write_parts */
        if (c->below != NULL) {
            world_conn_abort(c->below);
            c->below = NULL;
        }
    }
}

/* ---- pieces on their way */

static void carry(struct fault_conn *c, bool out);

static void carry_out(void *ctx) {
    carry(ctx, true);
}
static void carry_in(void *ctx) {
    carry(ctx, false);
}

static void schedule(struct fault_conn *c, bool out) {
    struct fault_way *way = out ? &c->out : &c->in;
    struct list_link *k = list_first(&way->chunks);
    if (k == NULL) {
        return;
    }
    uint64_t now = now_us(c), due = LIST_ITEM(k, struct fault_chunk, link)->due_us;
    uint64_t wait_ms = effect(c, out).cut ? LOOK_MS : due > now ? (due - now + 999) / 1000 : 0;
    world_timer_start(c->host->net->below, &way->timer, wait_ms, out ? carry_out : carry_in, c);
}

static void deliver(struct fault_conn *c, bool out, struct span bytes) {
    if (out) {
        if (c->below != NULL) {
            world_conn_write(c->below, &bytes, 1);
        }
    } else if (c->base.handler != NULL) {
        c->base.handler->on_data(c->base.ctx, &c->base, bytes);
    }
}

/* One piece a turn: whoever gets it may end the connection. */
static void carry(struct fault_conn *c, bool out) {
    struct fault_way *way = out ? &c->out : &c->in;
    struct list_link *k = list_first(&way->chunks);
    if (k == NULL || c->ending) {
        return;
    }
    struct fault_chunk *chunk = LIST_ITEM(k, struct fault_chunk, link);
    if (effect(c, out).cut || chunk->due_us > now_us(c)) {
        schedule(c, out);
        return;
    }
    list_remove(&way->chunks, k);
    schedule(c, out);
    bool last = list_empty(&way->chunks);
    deliver(c, out, (struct span){chunk->bytes, chunk->len});
    mem_free(chunk);
    if (out && last && c->closing && c->below != NULL) {
        world_conn_close(c->below, c->flush_ms);
    }
}

static uint64_t delay_us(struct fault_conn *c, const struct link_fault *f, struct fault_way *way, size_t len) {
    struct rng *rng = &c->host->net->rng;
    uint64_t now = now_us(c), at = way->free_us > now ? way->free_us : now;
    if (f->bytes_per_s != 0) {
        at += (uint64_t)len * 1000000 / f->bytes_per_s;
        way->free_us = at;
    }
    uint64_t late = f->slow ? dist_draw(&f->latency_us, rng) : 0;
    late += f->late_us != 0 ? rng_below(rng, f->late_us) : 0;
    for (unsigned i = 0; i < LOSSES_MAX && rng_chance(rng, f->loss_ppm); i++) {
        late += RETRANSMIT_US << i;
    }
    return at + late;
}

/* Takes a piece on its way; false: the connection has come to its end by it. */
static bool take(struct fault_conn *c, bool out, struct span bytes) {
    struct fault_way *way = out ? &c->out : &c->in;
    struct link_fault f = effect(c, out);
    struct rng *rng = &c->host->net->rng;
    if (rng_chance(rng, f.reset_ppm)) {
        fault_conn_end(c, WORLD_CLOSE_RESET, "connection reset by peer");
        return false;
    }
    if (rng_chance(rng, f.corrupt_ppm)) {
        fault_conn_end(c, WORLD_CLOSE_TLS, "decryption failed or bad record mac");
        return false;
    }
    bool plain = !f.cut && !f.slow && f.late_us == 0 && f.bytes_per_s == 0 && f.loss_ppm == 0;
    if (plain && list_empty(&way->chunks)) {
        deliver(c, out, bytes);
        return true;
    }
    struct fault_chunk *chunk = mem_zalloc(sizeof(*chunk) + bytes.len);
    uint64_t due = delay_us(c, &f, way, bytes.len);
    struct list_link *last = way->chunks.count != 0 ? way->chunks.head.prev : NULL;
    if (last != NULL && LIST_ITEM(last, struct fault_chunk, link)->due_us > due) {
        due = LIST_ITEM(last, struct fault_chunk, link)->due_us; /* a stream stays in order */
    }
    chunk->due_us = due;
    chunk->len = bytes.len;
    memcpy(chunk->bytes, bytes.ptr, bytes.len);
    list_push_back(&way->chunks, &chunk->link);
    if (way->chunks.count == 1) {
        schedule(c, out);
    }
    return true;
}

/* ---- what the real connection tells */

static void on_open(void *ctx, struct world_conn *below) {
    struct fault_conn *c = ctx;
    (void)below;
    c->opened = true;
    if (!c->ending && c->base.handler->on_open != NULL) {
        c->base.handler->on_open(c->base.ctx, &c->base);
    }
}

static void on_data(void *ctx, struct world_conn *below, struct span bytes) {
    struct fault_conn *c = ctx;
    (void)below;
    if (c->ghost_local) {
        fault_conn_drop(c);
        return;
    }
    if (c->ending) {
        return;
    }
    take(c, false, bytes);
}

static void on_drain(void *ctx, struct world_conn *below) {
    struct fault_conn *c = ctx;
    (void)below;
    if (!c->ending && list_empty(&c->out.chunks) && c->base.handler != NULL && c->base.handler->on_drain != NULL) {
        c->base.handler->on_drain(c->base.ctx, &c->base);
    }
}

static void on_below_close(void *ctx, struct world_conn *below, enum world_close_reason why, const char *text) {
    struct fault_conn *c = ctx;
    (void)below;
    c->below = NULL;
    if (c->ghost_local && c->base.handler == NULL) {
        conn_free(c);
    } else {
        end_later(c, why, text);
    }
}

static const struct world_conn_handler below_handler = {on_open, on_data, on_drain, on_below_close};

/* ---- beginning */

static void begin(void *ctx) {
    struct fault_conn *c = ctx;
    struct link_fault out = effect(c, true), in = effect(c, false);
    if (c->ending) {
        return;
    }
    if (rng_chance(&c->host->net->rng, out.refuse_ppm)) {
        end_later(c, WORLD_CLOSE_REFUSED, "connection refused");
    } else if (!out.cut && !in.cut) {
        c->below = c->host->below_net->connect(c->host->below_impl, c->base.world, &c->opts, &below_handler, c);
    } else if (now_us(c) >= c->give_up_us) {
        end_later(c, WORLD_CLOSE_TIMEOUT, "the connection took too long");
    } else {
        world_timer_start(c->host->net->below, &c->end_timer, LOOK_MS, begin, c);
    }
}

void fault_conn_wake(struct fault_conn *c) {
    if (c->below == NULL && !c->opened && !c->ending) {
        begin(c);
        return;
    }
    schedule(c, true);
    schedule(c, false);
}

/* ---- what the actor may do with it */

static void write_parts(struct world_conn *base, const struct span *parts, size_t count) {
    struct fault_conn *c = (struct fault_conn *)base;
    if (c->ending || c->closing) {
        return;
    }
    if (c->ghost_remote) {
        end_later(c, WORLD_CLOSE_RESET, "connection reset by peer");
        return;
    }
    if (count == 1) {
        take(c, true, parts[0]);
        return;
    }
    struct buf all = BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        buf_append_span(&all, parts[i]);
    }
    take(c, true, buf_span(&all));
    buf_free(&all);
}

static size_t pending(const struct world_conn *base) {
    const struct fault_conn *c = (const struct fault_conn *)base;
    size_t total = c->below != NULL ? world_conn_pending(c->below) : 0;
    LIST_EACH (k, &c->out.chunks) {
        total += LIST_ITEM(k, struct fault_chunk, link)->len;
    }
    return total;
}

static void pause_conn(struct world_conn *base, bool paused) {
    const struct fault_conn *c = (struct fault_conn *)base;
    if (c->below != NULL) {
        world_conn_pause(c->below, paused);
    }
}

static void give_up_flush(void *ctx) {
    fault_conn_end(ctx, WORLD_CLOSE_LOCAL, "");
}

static void close_conn(struct world_conn *base, uint64_t flush_ms) {
    struct fault_conn *c = (struct fault_conn *)base;
    if (c->ending || c->closing) {
        return;
    }
    c->closing = true;
    c->flush_ms = flush_ms;
    if (c->below == NULL) {
        end_later(c, WORLD_CLOSE_LOCAL, "");
    } else if (list_empty(&c->out.chunks)) {
        world_conn_close(c->below, flush_ms);
    } else {
        world_timer_start(c->host->net->below, &c->end_timer, flush_ms, give_up_flush, c);
    }
}

static void abort_conn(struct world_conn *base) {
    struct fault_conn *c = (struct fault_conn *)base;
    if (c->below != NULL) {
        world_conn_abort(c->below);
    }
    conn_free(c);
}

static const struct world_identity *peer(const struct world_conn *base) {
    const struct fault_conn *c = (const struct fault_conn *)base;
    return c->below != NULL ? world_conn_peer(c->below) : NULL;
}
static const char *remote(const struct world_conn *base) {
    const struct fault_conn *c = (const struct fault_conn *)base;
    return c->below != NULL ? world_conn_remote(c->below) : "";
}
static const char *local(const struct world_conn *base) {
    const struct fault_conn *c = (const struct fault_conn *)base;
    return c->below != NULL ? world_conn_local(c->below) : "";
}

static const struct world_conn_ops conn_ops = {write_parts, pending, pause_conn, close_conn,
                                               abort_conn,  peer,    remote,     local};

static const char *keep(struct fault_conn *c, size_t i, const char *text) {
    return c->strings[i] = str_dup(text);
}

static const char *listener_at(const struct fault_net *n, uint16_t port) {
    return n->ports[port] != NULL ? n->ports[port] : "";
}

static struct world_conn *connect_conn(void *impl, struct world *w, const struct world_connect *opts,
                                       const struct world_conn_handler *handler, void *ctx) {
    struct fault_host *h = impl;
    struct fault_conn *c = mem_zalloc(sizeof(*c));
    c->base = (struct world_conn){.ops = &conn_ops, .handler = handler, .ctx = ctx, .world = w};
    c->host = h;
    c->to = listener_at(h->net, opts->port);
    c->opts = *opts;
    c->opts.host = keep(c, 0, opts->host);
    c->opts.server_name = keep(c, 1, opts->server_name);
    c->opts.source = keep(c, 2, opts->source);
    c->opts.proxy = keep(c, 3, opts->proxy);
    c->give_up_us = now_us(c) + (opts->timeout_ms != 0 ? opts->timeout_ms * 1000 : CONNECT_US);
    list_init(&c->out.chunks);
    list_init(&c->in.chunks);
    list_push_back(&h->net->conns, &c->link);
    world_timer_start(h->net->below, &c->end_timer, 0, begin, c);
    return &c->base;
}

/* ---- requests: held back, refused, or lost as a whole */

struct fault_fetch {
    struct world_fetch base;
    struct fault_host *host;
    char *to;
    struct world *world;
    struct world_fetch_opts opts; /* deep */
    struct world_header *headers;
    struct buf body;
    char *method, *url, *proxy;
    struct world_fetch *below;
    struct timer timer;
    uint64_t give_up_us;
    bool (*on_body)(void *ctx, struct span bytes);
    void (*done)(void *ctx, const struct world_response *r);
    void *ctx;
};

static void fetch_free(struct fault_fetch *f) {
    world_timer_stop(f->host->net->below, &f->timer);
    for (size_t i = 0; i < f->opts.header_count; i++) {
        mem_free((void *)(uintptr_t)f->headers[i].name);
        mem_free((void *)(uintptr_t)f->headers[i].value);
    }
    mem_free(f->headers);
    buf_free(&f->body);
    mem_free(f->method);
    mem_free(f->url);
    mem_free(f->proxy);
    mem_free(f->to);
    mem_free(f);
}

static void fetch_fail(struct fault_fetch *f, const char *kind, const char *what) {
    struct error err = ERROR_INIT;
    error_set(&err, kind, "%s: %s", f->url, what);
    struct world_response r = {.err = &err};
    f->done(f->ctx, &r);
    error_clear(&err);
    fetch_free(f);
}

static void on_fetched(void *ctx, const struct world_response *r) {
    struct fault_fetch *f = ctx;
    f->below = NULL;
    f->done(f->ctx, r);
    fetch_free(f);
}

/* False cancels: nothing is heard of it again. */
static bool on_fetched_body(void *ctx, struct span bytes) {
    struct fault_fetch *f = ctx;
    bool more = f->on_body(f->ctx, bytes);
    if (!more) {
        fetch_free(f);
    }
    return more;
}

static void fetch_begin(void *ctx) {
    struct fault_fetch *f = ctx;
    struct fault_net *n = f->host->net;
    struct link_fault out = fault_net_effect(n, f->host->name, f->to), in = fault_net_effect(n, f->to, f->host->name);
    if (rng_chance(&n->rng, out.refuse_ppm)) {
        fetch_fail(f, "world/refused", "connection refused");
    } else if (rng_chance(&n->rng, out.reset_ppm) || rng_chance(&n->rng, in.reset_ppm)) {
        fetch_fail(f, "world/reset", "connection reset by peer");
    } else if (rng_chance(&n->rng, out.corrupt_ppm) || rng_chance(&n->rng, in.corrupt_ppm)) {
        fetch_fail(f, "world/tls", "bad record mac");
    } else if (out.cut || in.cut) {
        if (world_now_us(n->below) >= f->give_up_us) {
            fetch_fail(f, "world/timeout", "no answer in time");
        } else {
            world_timer_start(n->below, &f->timer, LOOK_MS, fetch_begin, f);
        }
    } else {
        f->below = f->host->below_net->fetch(f->host->below_impl, f->world, &f->opts, on_fetched, f);
    }
}

static void fetch_cancel(struct world_fetch *base) {
    struct fault_fetch *f = (struct fault_fetch *)base;
    if (f->below != NULL) {
        world_fetch_cancel(f->below);
    }
    fetch_free(f);
}
static const struct world_fetch_ops fetch_ops = {fetch_cancel};

static uint16_t port_of(const char *url) {
    const char *host = strstr(url, "://");
    const char *colon = host != NULL ? strchr(host + 3, ':') : NULL;
    const char *slash = host != NULL ? strchr(host + 3, '/') : NULL;
    return colon != NULL && (slash == NULL || colon < slash) ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
}

static struct world_fetch *fetch(void *impl, struct world *w, const struct world_fetch_opts *opts,
                                 void (*done)(void *ctx, const struct world_response *r), void *ctx) {
    struct fault_host *h = impl;
    struct fault_fetch *f = mem_zalloc(sizeof(*f));
    f->base.ops = &fetch_ops;
    f->host = h;
    f->world = w;
    f->done = done;
    f->ctx = ctx;
    f->opts = *opts;
    f->to = str_dup(listener_at(h->net, port_of(opts->url)));
    f->method = str_dup(opts->method);
    f->url = str_dup(opts->url);
    f->proxy = str_dup(opts->proxy);
    buf_append_span(&f->body, opts->body);
    f->headers = mem_array(opts->header_count + 1, sizeof(*f->headers));
    for (size_t i = 0; i < opts->header_count; i++) {
        f->headers[i] = (struct world_header){str_dup(opts->headers[i].name), str_dup(opts->headers[i].value)};
    }
    f->opts.method = f->method;
    f->opts.url = f->url;
    f->opts.proxy = f->proxy;
    f->opts.body = buf_span(&f->body);
    f->opts.headers = f->headers;
    f->on_body = opts->on_body;
    f->opts.on_body = opts->on_body != NULL ? on_fetched_body : NULL;
    uint64_t limit = opts->connect_timeout_ms != 0 ? opts->connect_timeout_ms * 1000 : CONNECT_US;
    limit = opts->timeout_ms != 0 && opts->timeout_ms * 1000 < limit ? opts->timeout_ms * 1000 : limit;
    f->give_up_us = world_now_us(h->net->below) + limit;
    struct link_fault out = fault_net_effect(h->net, h->name, f->to);
    uint64_t wait_us = out.slow ? 2 * dist_draw(&out.latency_us, &h->net->rng) : 0;
    world_timer_start(h->net->below, &f->timer, (wait_us + 999) / 1000, fetch_begin, f);
    return &f->base;
}

static struct world_tls *tls_new(void *impl, const struct world_tls_files *files, struct error *err) {
    const struct fault_host *h = impl;
    return h->below_net->tls_new(h->below_impl, files, err);
}

static struct world_listener *listen_below(void *impl, struct world *w, const struct world_listen *opts,
                                           void (*on_accept)(void *ctx, struct world_conn *c), void *ctx,
                                           struct error *err) {
    const struct fault_host *h = impl;
    return h->below_net->listen(h->below_impl, w, opts, on_accept, ctx, err);
}

const struct world_net_ops fault_net_ops = {tls_new, listen_below, connect_conn, fetch};
