/* HTTPS requests: the client over world connections, with what it needs to be swept when the actor crashes. */
#include "simulator/world/net.h"

#include "base/mem.h"
#include "net/http_client.h"

struct sim_fetch {
    struct world_fetch base;
    struct sim_host *host;
    struct list_link link;
    struct world_fetch *inner;
    bool (*on_body)(void *ctx, struct span bytes);
    void (*done)(void *ctx, const struct world_response *r);
    void *ctx;
    bool in_body, cancelled;
};

static void fetch_free(struct sim_fetch *f) {
    list_remove(&f->host->fetches, &f->link);
    mem_free(f);
}

static bool fetch_body(void *ctx, struct span bytes) {
    struct sim_fetch *f = ctx;
    f->in_body = true;
    bool more = f->on_body(f->ctx, bytes) && !f->cancelled;
    f->in_body = false;
    if (!more) {
        fetch_free(f); /* the request ends here, without done */
    }
    return more;
}

static void fetch_done(void *ctx, const struct world_response *r) {
    struct sim_fetch *f = ctx;
    void (*done)(void *, const struct world_response *) = f->done;
    void *done_ctx = f->ctx;
    fetch_free(f);
    done(done_ctx, r);
}

static void fetch_cancel(struct world_fetch *base) {
    struct sim_fetch *f = (struct sim_fetch *)base;
    if (f->in_body) {
        f->cancelled = true;
        return;
    }
    world_fetch_cancel(f->inner);
    fetch_free(f);
}

static const struct world_fetch_ops fetch_ops = {fetch_cancel};

struct world_fetch *sim_fetch(void *impl, struct world *w, const struct world_fetch_opts *opts,
                              void (*done)(void *ctx, const struct world_response *r), void *ctx) {
    struct sim_fetch *f = mem_zalloc(sizeof(*f));
    f->base.ops = &fetch_ops;
    f->host = impl;
    f->on_body = opts->on_body;
    f->done = done;
    f->ctx = ctx;
    list_push_back(&f->host->fetches, &f->link);
    struct world_fetch_opts inner = *opts;
    inner.on_body = opts->on_body != NULL ? fetch_body : NULL;
    f->inner = http_client_fetch(w, &inner, fetch_done, f);
    return &f->base;
}

void sim_fetch_cancel_all(struct sim_host *h) {
    LIST_EACH_SAFE (k, next, &h->fetches) {
        fetch_cancel(&LIST_ITEM(k, struct sim_fetch, link)->base);
    }
}
