/* See shared_fetch.h. */
#include "simulator/fleet/shared_fetch.h"

#include "base/map.h"
#include "base/mem.h"
#include <string.h>

struct shared_fetch {
    struct world *below;
    struct world_tls *tls;
    bool share;
    struct map downloads; /* URL -> struct download, those under way */
    uint64_t requests;
};

struct download {
    struct shared_fetch *all;
    char *url;
    struct world_fetch *fetch;
    struct list waiters;
};

struct waiter {
    struct world_fetch base;
    struct list_link link;
    struct download *download;
    bool (*on_body)(void *ctx, struct span bytes);
    void (*done)(void *ctx, const struct world_response *r);
    void *ctx;
};

static void waiter_free(struct waiter *w) {
    list_remove(&w->download->waiters, &w->link);
    mem_free(w);
}

/* Nobody joins it any more. */
static void unlist(struct download *d) {
    if (map_get_cstr(&d->all->downloads, d->url) == d) {
        map_remove(&d->all->downloads, span_of(d->url));
    }
}

/* The download goes on for the others; without others it is ended. */
static void cancel(struct world_fetch *f) {
    struct waiter *w = (struct waiter *)f;
    struct download *d = w->download;
    waiter_free(w);
    if (list_empty(&d->waiters) && d->fetch != NULL) {
        world_fetch_cancel(d->fetch);
        unlist(d);
        mem_free(d->url);
        mem_free(d);
    }
}

static const struct world_fetch_ops waiter_ops = {cancel};

static void on_done(void *ctx, const struct world_response *r) {
    struct download *d = ctx;
    unlist(d);
    d->fetch = NULL;
    for (struct list_link *k; (k = list_first(&d->waiters)) != NULL;) {
        struct waiter *w = LIST_ITEM(k, struct waiter, link);
        struct world_response answer = *r;
        if (w->on_body != NULL && r->err == NULL && r->status >= 200 && r->status <= 299) {
            answer.body = span_of("");
            if (r->body.len > 0 && !w->on_body(w->ctx, r->body)) {
                waiter_free(w); /* it wants no more: cancelled */
                continue;
            }
        }
        void (*done)(void *, const struct world_response *) = w->done;
        void *done_ctx = w->ctx;
        waiter_free(w);
        done(done_ctx, &answer);
    }
    mem_free(d->url);
    mem_free(d);
}

static struct download *start(struct shared_fetch *s, const struct world_fetch_opts *opts) {
    struct download *d = mem_zalloc(sizeof(*d));
    d->all = s;
    d->url = str_dup(opts->url);
    list_init(&d->waiters);
    if (s->share) {
        map_put(&s->downloads, span_of(d->url), d);
    }
    struct world_fetch_opts own = *opts;
    own.tls = s->tls;
    own.on_body = NULL;
    s->requests++;
    d->fetch = world_fetch(s->below, &own, on_done, d);
    return d;
}

static struct world_fetch *fetch(void *impl, struct world *w, const struct world_fetch_opts *opts,
                                 void (*done)(void *ctx, const struct world_response *r), void *ctx) {
    struct shared_fetch *s = impl;
    (void)w;
    struct download *d = map_get_cstr(&s->downloads, opts->url);
    if (d == NULL) {
        d = start(s, opts);
    }
    struct waiter *waiter = mem_zalloc(sizeof(*waiter));
    waiter->base.ops = &waiter_ops;
    waiter->download = d;
    waiter->on_body = opts->on_body;
    waiter->done = done;
    waiter->ctx = ctx;
    list_push_back(&d->waiters, &waiter->link);
    return &waiter->base;
}

static struct world_tls *tls_new(void *impl, const struct world_tls_files *files, struct error *err) {
    return world_tls_new(((struct shared_fetch *)impl)->below, files, err);
}

static struct world_listener *listen_below(void *impl, struct world *w, const struct world_listen *opts,
                                           void (*on_accept)(void *ctx, struct world_conn *c), void *ctx,
                                           struct error *err) {
    struct world *below = ((struct shared_fetch *)impl)->below;
    return below->net->listen(below->net_impl, w, opts, on_accept, ctx, err);
}

static struct world_conn *connect_below(void *impl, struct world *w, const struct world_connect *opts,
                                        const struct world_conn_handler *handler, void *ctx) {
    struct world *below = ((struct shared_fetch *)impl)->below;
    return below->net->connect(below->net_impl, w, opts, handler, ctx);
}

static const struct world_net_ops ops = {tls_new, listen_below, connect_below, fetch};

struct shared_fetch *shared_fetch_new(struct world *below, struct world_tls *tls) {
    struct shared_fetch *s = mem_zalloc(sizeof(*s));
    s->below = below;
    s->tls = tls;
    s->share = true;
    return s;
}

void shared_fetch_private(struct shared_fetch *s) {
    s->share = false;
}

void shared_fetch_free(struct shared_fetch *s) {
    if (s != NULL) {
        map_free(&s->downloads);
        mem_free(s);
    }
}

void shared_fetch_join(struct shared_fetch *s, struct world *w) {
    w->net = &ops;
    w->net_impl = s;
}

uint64_t shared_fetch_requests(const struct shared_fetch *s) {
    return s->requests;
}
