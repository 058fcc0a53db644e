/* Connections under faults: pieces wait their time on the way, in order. One thing is done at a time, for each callback
 * may end the connection. */
#include "simulator/netfaults/internal.h"

#include "base/mem.h"
#include <string.h>

static const uint64_t RETRANSMIT_US = 200 * 1000, CONNECT_US = 30 * 1000000ull;
enum { LOSSES_MAX = 6, PIECE_MIN = 256, PIECES_PER_SECOND = 20 };
enum { HANDSHAKE_TRIPS = 4 }; /* TCP and TLS 1.3: two there and two back */

struct piece {
    struct list_link link;
    uint64_t due_us;
    size_t len;
    char bytes[];
};

static void schedule(struct faulty_conn *c);

static uint64_t now_us(const struct faulty_conn *c) {
    return world_now_us(c->host->net->below);
}

static struct link_fault effect(const struct faulty_conn *c, bool out) {
    const char *here = c->host->name;
    return netfaults_effect(c->host->net, out ? here : c->peer, out ? c->peer : here, c->lot);
}

static bool is_cut(const struct faulty_conn *c, bool out) {
    return effect(c, out).cut;
}

/* ---- life */

static struct faulty_part *part_of(struct faulty_conn *c) {
    if (c->part == NULL) {
        c->part = mem_zalloc(sizeof(*c->part));
        list_init(&c->part->out.pieces);
        list_init(&c->part->in.pieces);
    }
    return c->part;
}

static void way_clear(struct faulty_way *way) {
    struct list_link *k;
    while ((k = list_pop_front(&way->pieces)) != NULL) {
        mem_free(LIST_ITEM(k, struct piece, link));
    }
    way->queued = 0;
}

static void conn_free(struct faulty_conn *c) {
    struct netfaults *n = c->host->net;
    struct faulty_part *p = c->part;
    if (p != NULL) {
        way_clear(&p->out);
        way_clear(&p->in);
        world_timer_stop(n->below, &p->timer);
        for (size_t i = 0; i < sizeof(p->strings) / sizeof(p->strings[0]); i++) {
            mem_free(p->strings[i]);
        }
        mem_free(p->text);
        mem_free(p);
    }
    list_remove(&n->conns, &c->link);
    if (c->own_peer) {
        mem_free((char *)(uintptr_t)c->peer);
    }
    mem_free(c);
}

static void let_go_below(struct faulty_conn *c) {
    if (c->below != NULL) {
        world_conn_abort(c->below);
        c->below = NULL;
    }
}

static void tell_end(struct faulty_conn *c, enum world_close_reason why, const char *text) {
    const struct world_conn_handler *handler = c->base.handler;
    if (c->below != NULL) {
        c->deaf = true; /* a ghost: the other end does not know yet */
    }
    bool gone = !c->deaf;
    if (handler != NULL && handler->on_close != NULL) {
        handler->on_close(c->base.ctx, &c->base, why, text);
    }
    if (gone) {
        conn_free(c);
    }
}

void faulty_forget(struct faulty_conn *c) {
    let_go_below(c);
    if (c->deaf) {
        conn_free(c);
    }
}

static void end_with(struct faulty_conn *c, enum world_close_reason why, const char *text) {
    struct faulty_part *p = part_of(c);
    if (!p->ended) {
        p->ended = true;
        p->beginning = false;
        p->why = why;
        p->text = str_dup(text != NULL ? text : "");
        way_clear(&p->out);
        schedule(c);
    }
}

void faulty_end(struct faulty_conn *c, enum world_close_reason why, const char *text) {
    if (c->deaf) {
        faulty_forget(c);
        return;
    }
    let_go_below(c);
    end_with(c, why, text);
    way_clear(&c->part->in);
    schedule(c);
}

void faulty_ghost(struct faulty_conn *c, bool local) {
    if (c->deaf || (c->part != NULL && c->part->ended)) {
        return;
    }
    if (local) {
        c->ghost_local = true; /* the other end is told when it sends: see below_data */
        end_with(c, WORLD_CLOSE_RESET, "connection reset by peer");
        way_clear(&c->part->in);
        schedule(c);
    } else {
        c->ghost_remote = true; /* who is here is told when it sends: see write_parts */
        let_go_below(c);
    }
}

/* ---- pieces on their way */

static uint64_t lateness(struct faulty_conn *c, const struct link_fault *f) {
    struct rng *rng = &c->host->net->rng;
    uint64_t late = f->slow ? dist_draw(&f->latency_us, rng) : 0;
    late += f->late_us != 0 && rng_chance(rng, f->late_ppm) ? rng_below(rng, f->late_us) : 0;
    for (unsigned i = 0; i < LOSSES_MAX && rng_chance(rng, f->loss_ppm); i++) {
        late += RETRANSMIT_US << i;
    }
    return late;
}

static void push(struct faulty_conn *c, struct faulty_way *way, const struct link_fault *f, struct span bytes) {
    uint64_t now = now_us(c), late = lateness(c, f);
    size_t most = f->bytes_per_s == 0 ? bytes.len : (size_t)(f->bytes_per_s / PIECES_PER_SECOND);
    most = most > PIECE_MIN ? most : PIECE_MIN;
    for (size_t at = 0; at < bytes.len;) {
        size_t len = bytes.len - at < most ? bytes.len - at : most;
        struct piece *p = mem_zalloc(sizeof(*p) + len);
        p->len = len;
        memcpy(p->bytes, bytes.ptr + at, len);
        way->free_us = way->free_us > now ? way->free_us : now;
        way->free_us += f->bytes_per_s == 0 ? 0 : len * UINT64_C(1000000) / f->bytes_per_s;
        p->due_us = way->free_us + late;
        if (way->queued != 0) { /* a stream stays in order */
            uint64_t before = LIST_ITEM(way->pieces.head.prev, struct piece, link)->due_us;
            p->due_us = p->due_us > before ? p->due_us : before;
        }
        list_push_back(&way->pieces, &p->link);
        way->queued += len;
        at += len;
    }
}

static bool nothing_waits(const struct faulty_conn *c, bool out) {
    const struct faulty_part *p = c->part;
    return p == NULL || (out ? p->out.queued == 0 && !p->beginning : p->in.queued == 0 && !p->opening);
}

/* True: the bytes pass at once. False: they are on their way, or lost with the connection. */
static bool passes(struct faulty_conn *c, bool out, struct span bytes) {
    struct netfaults *n = c->host->net;
    if (list_empty(&n->rules) && nothing_waits(c, out)) {
        return true;
    }
    struct link_fault f = effect(c, out);
    if (rng_chance(&n->rng, f.reset_ppm)) {
        faulty_end(c, WORLD_CLOSE_RESET, "connection reset by peer");
        return false;
    }
    if (rng_chance(&n->rng, f.corrupt_ppm)) {
        faulty_end(c, WORLD_CLOSE_TLS, "decryption failed or bad record mac");
        return false;
    }
    bool plain = !f.cut && !f.slow && f.late_us == 0 && f.bytes_per_s == 0 && f.loss_ppm == 0;
    if (plain && nothing_waits(c, out)) {
        return true;
    }
    struct faulty_part *p = part_of(c);
    push(c, out ? &p->out : &p->in, &f, bytes);
    schedule(c);
    return false;
}

static void pause_below(struct faulty_conn *c) {
    bool want = c->paused || (c->part != NULL && c->part->in.queued >= NETFAULTS_QUEUE_MAX);
    if (c->below != NULL && want != c->below_paused) {
        c->below_paused = want;
        world_conn_pause(c->below, want);
    }
}

/* ---- what the connection below tells */

static void below_opened(void *ctx, struct world_conn *below) {
    struct faulty_conn *c = ctx;
    struct link_fault f = effect(c, true);
    (void)below;
    if (f.cut || f.slow) {
        struct faulty_part *p = part_of(c);
        p->opening = true;
        p->open_us = now_us(c) + (f.slow ? HANDSHAKE_TRIPS * dist_draw(&f.latency_us, &c->host->net->rng) : 0);
        schedule(c);
        return;
    }
    c->opened = true;
    if (c->base.handler->on_open != NULL) {
        c->base.handler->on_open(c->base.ctx, &c->base);
    }
}

static void below_data(void *ctx, struct world_conn *below, struct span bytes) {
    struct faulty_conn *c = ctx;
    (void)below;
    if (c->ghost_local) {
        faulty_forget(c);
    } else if (passes(c, false, bytes)) {
        c->base.handler->on_data(c->base.ctx, &c->base, bytes);
    } else {
        pause_below(c);
    }
}

static void tell_drained(struct faulty_conn *c) {
    if (c->base.handler != NULL && c->base.handler->on_drain != NULL) {
        c->base.handler->on_drain(c->base.ctx, &c->base);
    }
}

static void below_drained(void *ctx, struct world_conn *below) {
    struct faulty_conn *c = ctx;
    (void)below;
    if (!c->ghost_local && nothing_waits(c, true)) {
        tell_drained(c);
    }
}

/* Told when what came before it has been delivered. */
static void below_closed(void *ctx, struct world_conn *below, enum world_close_reason why, const char *text) {
    struct faulty_conn *c = ctx;
    (void)below;
    c->below = NULL;
    if (c->deaf) {
        conn_free(c);
    } else if (c->part == NULL && (list_empty(&c->host->net->rules) || !is_cut(c, false))) {
        tell_end(c, why, text);
    } else {
        end_with(c, why, text);
    }
}

static const struct world_conn_handler below_handler = {below_opened, below_data, below_drained, below_closed};

/* ---- what waits */

/* Over a cut link an end is not heard of either, unless it is our own. */
static bool end_is_due(const struct faulty_conn *c, bool in_cut) {
    const struct faulty_part *p = c->part;
    bool heard = !in_cut || !c->opened || c->ghost_local || p->why == WORLD_CLOSE_LOCAL;
    return p->ended && !c->deaf && (!c->opened || (p->in.queued == 0 && heard));
}

static const struct piece *first_piece(const struct faulty_way *way) {
    struct list_link *k = list_first(&way->pieces);
    return k != NULL ? LIST_ITEM(k, struct piece, link) : NULL;
}

static void begin(struct faulty_conn *c) {
    struct faulty_part *p = c->part;
    struct link_fault out = effect(c, true), in = effect(c, false);
    if (rng_chance(&c->host->net->rng, out.refuse_ppm)) {
        end_with(c, WORLD_CLOSE_REFUSED, "connection refused");
    } else if (!out.cut && !in.cut) {
        p->beginning = false;
        c->below = c->host->below_net->connect(c->host->below_impl, c->base.world, &p->opts, &below_handler, c);
    } else if (now_us(c) >= p->give_up_us) {
        end_with(c, WORLD_CLOSE_TIMEOUT, "the connection took too long");
    }
}

static void open_late(struct faulty_conn *c) {
    c->part->opening = false;
    c->opened = true;
    schedule(c);
    if (c->base.handler->on_open != NULL) {
        c->base.handler->on_open(c->base.ctx, &c->base);
    }
}

static void deliver_first(struct faulty_conn *c) {
    struct faulty_way *in = &c->part->in;
    struct piece *p = LIST_ITEM(list_pop_front(&in->pieces), struct piece, link);
    in->queued -= p->len;
    if (in->queued < NETFAULTS_QUEUE_MAX / 2) {
        pause_below(c);
    }
    schedule(c); /* before the owner is told: it may end the connection */
    c->base.handler->on_data(c->base.ctx, &c->base, span_bytes(p->bytes, p->len));
    mem_free(p);
}

static void send_due(struct faulty_conn *c, uint64_t now) {
    struct faulty_way *out = &c->part->out;
    struct list_link *k;
    bool sent = false;
    while ((k = list_first(&out->pieces)) != NULL && LIST_ITEM(k, struct piece, link)->due_us <= now) {
        struct piece *p = LIST_ITEM(k, struct piece, link);
        struct span bytes = span_bytes(p->bytes, p->len);
        world_conn_write(c->below, &bytes, 1);
        list_remove(&out->pieces, k);
        out->queued -= p->len;
        mem_free(p);
        sent = true;
    }
    schedule(c);
    if (c->closing && out->queued == 0) {
        uint64_t left = c->part->give_up_us > now ? c->part->give_up_us - now : 0;
        world_conn_close(c->below, left / 1000);
    } else if (sent && out->queued == 0 && world_conn_pending(c->below) == 0) {
        tell_drained(c);
    }
}

/* What is next, and when: UINT64_MAX, nothing. */
enum next { NEXT_NONE, NEXT_BEGIN, NEXT_OPEN, NEXT_DELIVER, NEXT_END, NEXT_SEND, NEXT_GIVE_UP };

static void sooner(enum next *what, uint64_t *when, enum next other, uint64_t us) {
    if (us < *when) {
        *what = other;
        *when = us;
    }
}

static enum next next_thing(const struct faulty_conn *c, uint64_t now, uint64_t *when) {
    const struct faulty_part *p = c->part;
    const struct piece *in = first_piece(&p->in), *out = first_piece(&p->out);
    bool out_cut = is_cut(c, true), in_cut = is_cut(c, false);
    enum next what = NEXT_NONE;
    *when = UINT64_MAX;
    if (p->beginning) {
        sooner(&what, when, NEXT_BEGIN, out_cut || in_cut ? p->give_up_us : now);
    }
    if (p->opening && !out_cut && !in_cut) {
        sooner(&what, when, NEXT_OPEN, p->open_us);
    }
    if (in != NULL && c->opened && !c->paused && !in_cut) {
        sooner(&what, when, NEXT_DELIVER, in->due_us);
    }
    if (end_is_due(c, in_cut)) {
        sooner(&what, when, NEXT_END, now);
    }
    if (out != NULL && c->below != NULL && !out_cut) {
        sooner(&what, when, NEXT_SEND, out->due_us);
    }
    if (out != NULL && c->closing) {
        sooner(&what, when, NEXT_GIVE_UP, p->give_up_us);
    }
    return what;
}

static void work(void *ctx) {
    struct faulty_conn *c = ctx;
    uint64_t now = now_us(c), when;
    enum next what = next_thing(c, now, &when);
    if (when > now) {
        schedule(c);
        return;
    }
    switch (what) {
    case NEXT_BEGIN:
        begin(c);
        schedule(c);
        break;
    case NEXT_OPEN:
        open_late(c);
        break;
    case NEXT_DELIVER:
        deliver_first(c);
        break;
    case NEXT_END:
        tell_end(c, c->part->why, c->part->text);
        break;
    case NEXT_SEND:
        send_due(c, now);
        break;
    case NEXT_GIVE_UP:
        faulty_end(c, WORLD_CLOSE_LOCAL, "");
        break;
    case NEXT_NONE:
        break;
    }
}

static void schedule(struct faulty_conn *c) {
    uint64_t now = now_us(c), when;
    struct world *w = c->host->net->below;
    if (next_thing(c, now, &when) == NEXT_NONE) {
        world_timer_stop(w, &c->part->timer);
    } else {
        world_timer_start(w, &c->part->timer, when > now ? (when - now + 999) / 1000 : 0, work, c);
    }
}

void faulty_wake(struct faulty_conn *c) {
    if (c->part != NULL) {
        schedule(c);
    }
}

/* ---- what the actor may do with it */

static void write_parts(struct world_conn *base, const struct span *parts, size_t count) {
    struct faulty_conn *c = (struct faulty_conn *)base;
    if (c->closing || (c->part != NULL && c->part->ended)) {
        return;
    }
    if (c->ghost_remote) {
        faulty_end(c, WORLD_CLOSE_RESET, "connection reset by peer");
        return;
    }
    if (list_empty(&c->host->net->rules) && nothing_waits(c, true)) {
        if (c->below != NULL) {
            world_conn_write(c->below, parts, count);
        }
        return;
    }
    struct buf all = BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        buf_append_span(&all, parts[i]);
    }
    struct span bytes = buf_span(&all);
    if (passes(c, true, bytes) && c->below != NULL) {
        world_conn_write(c->below, &bytes, 1);
    }
    buf_free(&all);
}

static size_t pending(const struct world_conn *base) {
    const struct faulty_conn *c = (const struct faulty_conn *)base;
    return (c->below != NULL ? world_conn_pending(c->below) : 0) + (c->part != NULL ? c->part->out.queued : 0);
}

static void pause_conn(struct world_conn *base, bool paused) {
    struct faulty_conn *c = (struct faulty_conn *)base;
    c->paused = paused;
    pause_below(c);
    faulty_wake(c);
}

static void close_conn(struct world_conn *base, uint64_t flush_ms) {
    struct faulty_conn *c = (struct faulty_conn *)base;
    if (c->closing || (c->part != NULL && c->part->ended)) {
        return;
    }
    c->closing = true;
    if (c->below == NULL) {
        faulty_end(c, WORLD_CLOSE_LOCAL, "");
    } else if (nothing_waits(c, true)) {
        world_conn_close(c->below, flush_ms);
    } else {
        c->part->give_up_us = now_us(c) + flush_ms * 1000;
        schedule(c);
    }
}

static void abort_conn(struct world_conn *base) {
    struct faulty_conn *c = (struct faulty_conn *)base;
    let_go_below(c);
    conn_free(c);
}

static const struct world_identity *peer(const struct world_conn *base) {
    const struct faulty_conn *c = (const struct faulty_conn *)base;
    return c->below != NULL ? world_conn_peer(c->below) : NULL;
}
static const char *remote(const struct world_conn *base) {
    const struct faulty_conn *c = (const struct faulty_conn *)base;
    return c->below != NULL ? world_conn_remote(c->below) : "";
}
static const char *local(const struct world_conn *base) {
    const struct faulty_conn *c = (const struct faulty_conn *)base;
    return c->below != NULL ? world_conn_local(c->below) : "";
}

static const struct world_conn_ops conn_ops = {write_parts, pending, pause_conn, close_conn,
                                               abort_conn,  peer,    remote,     local};

/* ---- beginning */

static struct faulty_conn *conn_new(struct netfaults_host *host, struct world *w) {
    struct faulty_conn *c = mem_zalloc(sizeof(*c));
    c->base = (struct world_conn){.ops = &conn_ops, .world = w};
    c->host = host;
    c->lot = (uint32_t)rng_below(&host->net->rng, 1000000);
    list_push_back(&host->net->conns, &c->link);
    return c;
}

static const char *keep(struct faulty_part *p, size_t i, const char *text) {
    return p->strings[i] = str_dup(text);
}

static void begin_later(struct faulty_conn *c, const struct world_connect *opts) {
    struct faulty_part *p = part_of(c);
    p->beginning = true;
    p->opts = *opts;
    p->opts.host = keep(p, 0, opts->host);
    p->opts.server_name = keep(p, 1, opts->server_name);
    p->opts.source = keep(p, 2, opts->source);
    p->opts.proxy = keep(p, 3, opts->proxy);
    p->give_up_us = now_us(c) + (opts->timeout_ms != 0 ? opts->timeout_ms * 1000 : CONNECT_US);
    schedule(c);
}

struct world_conn *faulty_connect(void *impl, struct world *w, const struct world_connect *opts,
                                  const struct world_conn_handler *handler, void *ctx) {
    struct netfaults_host *h = impl;
    struct faulty_conn *c = conn_new(h, w);
    c->base.handler = handler;
    c->base.ctx = ctx;
    c->peer = netfaults_host_at(h->net, opts->port)->name;
    struct link_fault out = effect(c, true);
    if (out.cut || out.refuse_ppm != 0 || is_cut(c, false)) {
        begin_later(c, opts);
    } else {
        c->below = h->below_net->connect(h->below_impl, w, opts, &below_handler, c);
    }
    return &c->base;
}

struct world_conn *faulty_accept(struct netfaults_host *host, struct world *w, struct world_conn *below) {
    struct faulty_conn *c = conn_new(host, w);
    const struct world_identity *id = world_conn_peer(below);
    c->peer = str_dup(id != NULL && id->common_name != NULL ? id->common_name : NETFAULTS_STRANGER);
    c->own_peer = true;
    if (rng_chance(&host->net->rng, effect(c, false).refuse_ppm)) {
        world_conn_abort(below);
        conn_free(c);
        return NULL;
    }
    c->opened = true;
    c->below = below;
    world_conn_set_handler(below, &below_handler, c);
    return &c->base;
}
