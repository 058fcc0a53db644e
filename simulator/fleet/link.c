/* See link.h. */
#include "simulator/fleet/link.h"

#include "base/mem.h"

enum { PIECE_MIN = 256, PIECES_PER_SECOND = 20, HANDSHAKE_TRIPS = 4 /* TCP and TLS 1.3: two there and two back */ };

struct fleet_links {
    struct fleet_links_opts opts;
    struct list open; /* struct link */
    uint64_t down_until_us;
};

/* Bytes under way. */
struct piece {
    struct list_link link;
    uint64_t due_us;
    size_t len;
    char bytes[];
};

struct direction {
    struct list pieces;
    size_t queued;
    uint64_t free_us; /* when the link can take the next byte */
};

/* What only slow or refused connections need. */
struct slow {
    struct timer timer;
    struct direction in, out;
    uint64_t open_us, flush_ms;
    enum world_close_reason end_reason;
    char *end_text;
    bool opening, opened, ended, closing, paused, below_paused;
};

struct link {
    struct world_conn conn; /* first */
    struct list_link link;
    struct fleet_links *all;
    struct world_conn *below; /* NULL: refused, or gone */
    struct slow *slow;        /* NULL: passes everything on at once */
};

static const struct world_conn_ops conn_ops;
static void schedule(struct link *k);
static void work(void *ctx);

static uint64_t now_us(const struct link *k) {
    return world_now_us(k->all->opts.below);
}

/* ---- life */

static void pieces_free(struct direction *d) {
    struct list_link *p;
    while ((p = list_pop_front(&d->pieces)) != NULL) {
        mem_free(LIST_ITEM(p, struct piece, link));
    }
    d->queued = 0;
}

static void link_free(struct link *k) {
    list_remove(&k->all->open, &k->link);
    if (k->slow != NULL) {
        world_timer_stop(k->all->opts.below, &k->slow->timer);
        pieces_free(&k->slow->in);
        pieces_free(&k->slow->out);
        mem_free(k->slow->end_text);
        mem_free(k->slow);
    }
    mem_free(k);
}

static void report_end(struct link *k, enum world_close_reason why, const char *text) {
    const struct world_conn_handler *handler = k->conn.handler;
    if (handler != NULL && handler->on_close != NULL) {
        handler->on_close(k->conn.ctx, &k->conn, why, text);
    }
    link_free(k);
}

/* ---- what comes from below */

static void push(struct link *k, struct direction *d, struct span bytes) {
    const struct fleet_links_opts *o = &k->all->opts;
    uint64_t now = now_us(k);
    size_t most = o->bytes_per_s == 0 ? bytes.len : (size_t)(o->bytes_per_s / PIECES_PER_SECOND);
    most = most > PIECE_MIN ? most : PIECE_MIN;
    for (size_t at = 0; at < bytes.len;) {
        size_t len = bytes.len - at < most ? bytes.len - at : most;
        struct piece *p = mem_alloc(sizeof(*p) + len);
        p->link = (struct list_link){NULL, NULL};
        p->len = len;
        for (size_t i = 0; i < len; i++) {
            p->bytes[i] = bytes.ptr[at + i];
        }
        d->free_us = d->free_us > now ? d->free_us : now;
        d->free_us += o->bytes_per_s == 0 ? 0 : len * UINT64_C(1000000) / o->bytes_per_s;
        p->due_us = d->free_us + o->delay_ms * 1000;
        list_push_back(&d->pieces, &p->link);
        d->queued += len;
        at += len;
    }
}

static void below_opened(void *ctx, struct world_conn *c) {
    struct link *k = ctx;
    (void)c;
    if (k->slow != NULL) {
        k->slow->opening = true;
        k->slow->open_us = now_us(k) + HANDSHAKE_TRIPS * k->all->opts.delay_ms * 1000;
        schedule(k);
    } else if (k->conn.handler->on_open != NULL) {
        k->conn.handler->on_open(k->conn.ctx, &k->conn);
    }
}

static void below_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct link *k = ctx;
    struct slow *s = k->slow;
    if (s == NULL) {
        k->conn.handler->on_data(k->conn.ctx, &k->conn, bytes);
        return;
    }
    push(k, &s->in, bytes);
    if (s->in.queued >= LINK_QUEUE_MAX && !s->below_paused) {
        s->below_paused = true;
        world_conn_pause(c, true);
    }
    schedule(k);
}

static void below_drained(void *ctx, struct world_conn *c) {
    struct link *k = ctx;
    (void)c;
    if (k->conn.handler->on_drain != NULL && (k->slow == NULL || k->slow->out.queued == 0)) {
        k->conn.handler->on_drain(k->conn.ctx, &k->conn);
    }
}

static void below_closed(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    struct link *k = ctx;
    (void)c;
    k->below = NULL;
    if (k->slow == NULL) {
        report_end(k, why, text);
        return;
    }
    k->slow->ended = true; /* told when what came before has been delivered */
    k->slow->end_reason = why;
    k->slow->end_text = str_dup(text);
    pieces_free(&k->slow->out);
    schedule(k);
}

static const struct world_conn_handler below_handler = {below_opened, below_data, below_drained, below_closed};

/* ---- the slow part: one thing at a time, for each callback may end the connection */

static struct piece *first_piece(const struct direction *d) {
    struct list_link *p = list_first(&d->pieces);
    return p != NULL ? LIST_ITEM(p, struct piece, link) : NULL;
}

static void earlier(uint64_t *next, uint64_t us) {
    *next = us < *next ? us : *next;
}

static void schedule(struct link *k) {
    struct slow *s = k->slow;
    uint64_t next = UINT64_MAX, now = now_us(k);
    const struct piece *in = first_piece(&s->in), *out = first_piece(&s->out);
    if (s->opening) {
        earlier(&next, s->open_us);
    }
    if (in != NULL && s->opened && !s->paused) {
        earlier(&next, in->due_us);
    }
    if (out != NULL) {
        earlier(&next, out->due_us);
    }
    if ((s->ended && (in == NULL || !s->opened)) || (s->closing && out == NULL && k->below != NULL)) {
        next = now;
    }
    if (next != UINT64_MAX) {
        world_timer_start(k->all->opts.below, &s->timer, next > now ? (next - now + 999) / 1000 : 0, work, k);
    } else {
        world_timer_stop(k->all->opts.below, &s->timer);
    }
}

static void send_due(struct link *k, uint64_t now) {
    struct slow *s = k->slow;
    bool sent = false;
    for (struct piece *p; (p = first_piece(&s->out)) != NULL && p->due_us <= now; sent = true) {
        struct span bytes = span_bytes(p->bytes, p->len);
        world_conn_write(k->below, &bytes, 1);
        list_remove(&s->out.pieces, &p->link);
        s->out.queued -= p->len;
        mem_free(p);
    }
    if (s->closing && s->out.queued == 0) {
        s->closing = false;
        world_conn_close(k->below, s->flush_ms);
    } else if (sent && s->out.queued == 0 && world_conn_pending(k->below) == 0) {
        below_drained(k, k->below);
    }
}

static void deliver_first(struct link *k) {
    struct slow *s = k->slow;
    struct piece *p = first_piece(&s->in);
    list_remove(&s->in.pieces, &p->link);
    s->in.queued -= p->len;
    if (s->below_paused && s->in.queued < LINK_QUEUE_MAX / 2 && k->below != NULL) {
        s->below_paused = false;
        world_conn_pause(k->below, false);
    }
    schedule(k); /* before the owner is told: it may end the connection */
    k->conn.handler->on_data(k->conn.ctx, &k->conn, span_bytes(p->bytes, p->len));
    mem_free(p);
}

static void work(void *ctx) {
    struct link *k = ctx;
    struct slow *s = k->slow;
    uint64_t now = now_us(k);
    struct piece *in = first_piece(&s->in);
    if (s->opening && s->open_us <= now) {
        s->opening = false;
        s->opened = true;
        schedule(k);
        if (k->conn.handler->on_open != NULL) {
            k->conn.handler->on_open(k->conn.ctx, &k->conn);
        }
    } else if (in != NULL && s->opened && !s->paused && in->due_us <= now) {
        deliver_first(k);
    } else if (s->ended && (in == NULL || !s->opened)) {
        report_end(k, s->end_reason, s->end_text);
    } else {
        schedule(k);
        if (k->below != NULL && (s->closing || s->out.queued > 0)) {
            send_due(k, now); /* may tell the owner, who may end the connection: the last thing done */
        }
    }
}

/* ---- connections as the agents see them */

static void write_bytes(struct world_conn *c, const struct span *parts, size_t count) {
    struct link *k = (struct link *)c;
    if (k->below == NULL || (k->slow != NULL && k->slow->closing)) {
        return;
    }
    if (k->slow == NULL) {
        world_conn_write(k->below, parts, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        push(k, &k->slow->out, parts[i]);
    }
    schedule(k);
}

static size_t pending(const struct world_conn *c) {
    const struct link *k = (const struct link *)c;
    return (k->below != NULL ? world_conn_pending(k->below) : 0) + (k->slow != NULL ? k->slow->out.queued : 0);
}

static void set_paused(struct world_conn *c, bool paused) {
    struct link *k = (struct link *)c;
    if (k->slow != NULL) {
        k->slow->paused = paused;
        schedule(k);
    } else if (k->below != NULL) {
        world_conn_pause(k->below, paused);
    }
}

static void close_orderly(struct world_conn *c, uint64_t flush_ms) {
    struct link *k = (struct link *)c;
    if (k->slow != NULL) {
        k->slow->closing = true;
        k->slow->flush_ms = flush_ms;
        schedule(k);
    } else if (k->below != NULL) {
        world_conn_close(k->below, flush_ms);
    }
}

static void abort_now(struct world_conn *c) {
    struct link *k = (struct link *)c;
    if (k->below != NULL) {
        world_conn_abort(k->below);
    }
    link_free(k);
}

static const struct world_identity *peer(const struct world_conn *c) {
    const struct link *k = (const struct link *)c;
    return k->below != NULL ? world_conn_peer(k->below) : NULL;
}

static const char *remote(const struct world_conn *c) {
    const struct link *k = (const struct link *)c;
    return k->below != NULL ? world_conn_remote(k->below) : "";
}

static const char *local(const struct world_conn *c) {
    const struct link *k = (const struct link *)c;
    return k->below != NULL ? world_conn_local(k->below) : "";
}

static const struct world_conn_ops conn_ops = {write_bytes, pending, set_paused, close_orderly,
                                               abort_now,   peer,    remote,     local};

/* ---- the facet */

static struct slow *slow_new(void) {
    struct slow *s = mem_zalloc(sizeof(*s));
    list_init(&s->in.pieces);
    list_init(&s->out.pieces);
    return s;
}

static bool draw_slow(struct fleet_links *l) {
    const struct fleet_links_opts *o = &l->opts;
    return (o->bytes_per_s != 0 || o->delay_ms != 0) &&
           (o->slow_per_million == 0 || world_random_below(o->below, 1000000) < o->slow_per_million);
}

static struct world_conn *connect_over(void *impl, struct world *w, const struct world_connect *opts,
                                       const struct world_conn_handler *handler, void *ctx) {
    struct fleet_links *l = impl;
    struct link *k = mem_zalloc(sizeof(*k));
    k->conn = (struct world_conn){.ops = &conn_ops, .handler = handler, .ctx = ctx, .world = w};
    k->all = l;
    list_push_back(&l->open, &k->link);
    if (world_now_us(l->opts.below) < l->down_until_us) {
        k->slow = slow_new();
        k->slow->ended = true;
        k->slow->end_reason = WORLD_CLOSE_REFUSED;
        k->slow->end_text = str_dup("refused (an outage that the fleet makes)");
        schedule(k);
        return &k->conn;
    }
    k->slow = draw_slow(l) ? slow_new() : NULL;
    k->below = world_connect(l->opts.below, opts, &below_handler, k);
    return &k->conn;
}

static struct world_tls *tls_new(void *impl, const struct world_tls_files *files, struct error *err) {
    return world_tls_new(((struct fleet_links *)impl)->opts.below, files, err);
}

static struct world_listener *listen_below(void *impl, struct world *w, const struct world_listen *opts,
                                           void (*on_accept)(void *ctx, struct world_conn *c), void *ctx,
                                           struct error *err) {
    (void)w;
    return world_listen(((struct fleet_links *)impl)->opts.below, opts, on_accept, ctx, err);
}

static struct world_fetch *fetch_below(void *impl, struct world *w, const struct world_fetch_opts *opts,
                                       void (*done)(void *ctx, const struct world_response *r), void *ctx) {
    (void)w;
    return world_fetch(((struct fleet_links *)impl)->opts.below, opts, done, ctx);
}

static const struct world_net_ops net_ops = {tls_new, listen_below, connect_over, fetch_below};

struct fleet_links *fleet_links_new(const struct fleet_links_opts *opts) {
    struct fleet_links *l = mem_zalloc(sizeof(*l));
    l->opts = *opts;
    list_init(&l->open);
    return l;
}

void fleet_links_free(struct fleet_links *l) {
    mem_free(l);
}

void fleet_links_join(struct fleet_links *l, struct world *w) {
    w->net = &net_ops;
    w->net_impl = l;
}

void fleet_links_cut(struct fleet_links *l, uint64_t down_ms) {
    uint64_t until = world_now_us(l->opts.below) + down_ms * 1000;
    l->down_until_us = until > l->down_until_us ? until : l->down_until_us;
    for (size_t left = l->open.count; left > 0 && !list_empty(&l->open); left--) {
        struct link *k = LIST_ITEM(list_first(&l->open), struct link, link);
        if (k->below != NULL) {
            world_conn_abort(k->below);
            k->below = NULL;
            report_end(k, WORLD_CLOSE_RESET, "reset (an outage that the fleet makes)");
        } else {
            list_remove(&l->open, &k->link); /* it is ending already: behind the others */
            list_push_back(&l->open, &k->link);
        }
    }
}

size_t fleet_links_open(const struct fleet_links *l) {
    return l->open.count;
}
