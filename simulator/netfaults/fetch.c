/* Requests under faults: held back, refused, or lost as a whole. */
#include "simulator/netfaults/internal.h"

#include "base/mem.h"
#include "base/url.h"
#include <string.h>

static const uint64_t CONNECT_US = 30 * 1000000ull, LOOK_MS = 50;

struct faulty_request {
    struct world_fetch base;
    struct netfaults_host *host;
    const char *to;
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

static void fetch_free(struct faulty_request *f) {
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
    mem_free(f);
}

static void fetch_fail(struct faulty_request *f, const char *kind, const char *what) {
    struct error err = ERROR_INIT;
    error_set(&err, kind, "%s: %s", f->url, what);
    struct world_response r = {.err = &err};
    f->done(f->ctx, &r);
    error_clear(&err);
    fetch_free(f);
}

static void on_fetched(void *ctx, const struct world_response *r) {
    struct faulty_request *f = ctx;
    f->below = NULL;
    f->done(f->ctx, r);
    fetch_free(f);
}

/* False cancels: nothing is heard of it again. */
static bool on_fetched_body(void *ctx, struct span bytes) {
    struct faulty_request *f = ctx;
    bool more = f->on_body(f->ctx, bytes);
    if (!more) {
        fetch_free(f);
    }
    return more;
}

static void fetch_begin(void *ctx) {
    struct faulty_request *f = ctx;
    struct netfaults *n = f->host->net;
    struct link_fault out = netfaults_effect(n, f->host->name, f->to, 0),
                      in = netfaults_effect(n, f->to, f->host->name, 0);
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
    struct faulty_request *f = (struct faulty_request *)base;
    if (f->below != NULL) {
        world_fetch_cancel(f->below);
    }
    fetch_free(f);
}
static const struct world_fetch_ops fetch_ops = {fetch_cancel};

static const char *listener_of(const struct netfaults *n, const char *text) {
    struct url url;
    uint16_t port = 0;
    if (url_parse(text, &url, NULL)) {
        port = url.port;
        url_free(&url);
    }
    return netfaults_host_at(n, port)->name;
}

struct world_fetch *faulty_fetch(void *impl, struct world *w, const struct world_fetch_opts *opts,
                                 void (*done)(void *ctx, const struct world_response *r), void *ctx) {
    struct netfaults_host *h = impl;
    struct faulty_request *f = mem_zalloc(sizeof(*f));
    f->base.ops = &fetch_ops;
    f->host = h;
    f->world = w;
    f->done = done;
    f->ctx = ctx;
    f->opts = *opts;
    f->to = listener_of(h->net, opts->url);
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
    struct link_fault out = netfaults_effect(h->net, h->name, f->to, 0);
    uint64_t wait_us = out.slow ? 2 * dist_draw(&out.latency_us, &h->net->rng) : 0;
    world_timer_start(h->net->below, &f->timer, (wait_us + 999) / 1000, fetch_begin, f);
    return &f->base;
}
