/* See netfaults.h: hosts, rules, and what happens to many connections at once. */
#include "simulator/netfaults/internal.h"

#include "base/mem.h"
#include <string.h>

/* ---- rules */

struct rule {
    struct list_link link;
    uint64_t number;
    char *from, *to; /* NULL: any; "node-*": a prefix */
    struct link_fault fault;
};

static bool concerns(const char *who, const char *name) {
    size_t len = who != NULL ? strlen(who) : 0;
    bool prefix = len > 0 && who[len - 1] == '*';
    return who == NULL || (prefix ? strncmp(who, name, len - 1) == 0 : strcmp(who, name) == 0);
}

struct link_fault netfaults_effect(const struct netfaults *n, const char *from, const char *to, uint32_t lot) {
    struct link_fault sum = {.cut = false};
    LIST_EACH (k, &n->rules) {
        const struct rule *rule = LIST_ITEM(k, struct rule, link);
        const struct link_fault *f = &rule->fault;
        if ((f->share_ppm != 0 && lot >= f->share_ppm) || !concerns(rule->from, from) || !concerns(rule->to, to)) {
            continue;
        }
        sum.cut = sum.cut || f->cut;
        if (f->slow) {
            sum.slow = true;
            sum.latency_us = f->latency_us;
        }
        sum.late_us = f->late_us > sum.late_us ? f->late_us : sum.late_us;
        sum.late_ppm = f->late_ppm > sum.late_ppm ? f->late_ppm : sum.late_ppm;
        if (f->bytes_per_s != 0 && (sum.bytes_per_s == 0 || f->bytes_per_s < sum.bytes_per_s)) {
            sum.bytes_per_s = f->bytes_per_s;
        }
        sum.loss_ppm += f->loss_ppm;
        sum.corrupt_ppm += f->corrupt_ppm;
        sum.refuse_ppm += f->refuse_ppm;
        sum.reset_ppm += f->reset_ppm;
    }
    return sum;
}

static void wake_all(struct netfaults *n) {
    LIST_EACH (k, &n->conns) {
        faulty_wake(LIST_ITEM(k, struct faulty_conn, link));
    }
}

uint64_t netfaults_add(struct netfaults *n, const char *from, const char *to, const struct link_fault *fault) {
    struct rule *rule = mem_zalloc(sizeof(*rule));
    rule->number = ++n->last_rule;
    rule->from = str_dup(from);
    rule->to = str_dup(to);
    rule->fault = *fault;
    list_push_back(&n->rules, &rule->link);
    wake_all(n);
    return rule->number;
}

static void rule_free(struct netfaults *n, struct rule *rule) {
    list_remove(&n->rules, &rule->link);
    mem_free(rule->from);
    mem_free(rule->to);
    mem_free(rule);
}

void netfaults_drop(struct netfaults *n, uint64_t number) {
    LIST_EACH_SAFE (k, next, &n->rules) {
        struct rule *rule = LIST_ITEM(k, struct rule, link);
        if (rule->number == number) {
            rule_free(n, rule);
        }
    }
    wake_all(n);
}

/* ---- connections of two actors */

static bool between(const struct faulty_conn *c, const char *a, const char *b) {
    return (concerns(a, c->host->name) && concerns(b, c->peer)) || (concerns(a, c->peer) && concerns(b, c->host->name));
}

size_t netfaults_reset(struct netfaults *n, const char *a, const char *b) {
    size_t count = 0;
    LIST_EACH_SAFE (k, next, &n->conns) {
        struct faulty_conn *c = LIST_ITEM(k, struct faulty_conn, link);
        if (between(c, a, b)) {
            faulty_end(c, WORLD_CLOSE_RESET, "connection reset by peer");
            count++;
        }
    }
    return count;
}

size_t netfaults_half_close(struct netfaults *n, const char *gone, const char *peer) {
    size_t count = 0;
    LIST_EACH_SAFE (k, next, &n->conns) {
        struct faulty_conn *c = LIST_ITEM(k, struct faulty_conn, link);
        if (between(c, gone, peer)) {
            faulty_ghost(c, concerns(gone, c->host->name));
            count++;
        }
    }
    return count;
}

/* ---- the time of a host */

static const struct world *below_of(const void *impl) {
    return ((const struct netfaults_host *)impl)->net->below;
}
static uint64_t now_us(void *impl) {
    return world_now_us(((struct netfaults_host *)impl)->net->below);
}
static int64_t wall_ms(void *impl) {
    const struct netfaults_host *h = impl;
    return world_wall_ms(h->net->below) + h->clock_ms;
}
static void timer_start(void *impl, struct timer *t, uint64_t delay_ms) {
    const struct world *w = below_of(impl);
    w->time->timer_start(w->time_impl, t, delay_ms);
}
static void timer_stop(void *impl, struct timer *t) {
    const struct world *w = below_of(impl);
    w->time->timer_stop(w->time_impl, t);
}
static void defer(void *impl, struct world_task *task) {
    const struct world *w = below_of(impl);
    w->time->defer(w->time_impl, task);
}
static void undefer(void *impl, struct world_task *task) {
    const struct world *w = below_of(impl);
    w->time->undefer(w->time_impl, task);
}
static void randomness(void *impl, void *out, size_t len) {
    const struct world *w = below_of(impl);
    w->time->random(w->time_impl, out, len);
}
static void work(void *impl, void (*fn)(void *), void (*done)(void *), void *arg, uint32_t cost_us) {
    const struct world *w = below_of(impl);
    w->time->work(w->time_impl, fn, done, arg, cost_us);
}
static bool work_join(void *impl, void *arg) {
    const struct world *w = below_of(impl);
    return w->time->work_join(w->time_impl, arg);
}
static const struct world_time_ops time_ops = {now_us,  wall_ms,    timer_start, timer_stop, defer,
                                               undefer, randomness, work,        work_join};

/* ---- the network of a host */

static struct world_tls *tls_new(void *impl, const struct world_tls_files *files, struct error *err) {
    const struct netfaults_host *h = impl;
    return h->below_net->tls_new(h->below_impl, files, err);
}

static struct world_listener *listen_plainly(void *impl, struct world *w, const struct world_listen *opts,
                                             void (*on_accept)(void *ctx, struct world_conn *c), void *ctx,
                                             struct error *err) {
    const struct netfaults_host *h = impl;
    return h->below_net->listen(h->below_impl, w, opts, on_accept, ctx, err);
}

static struct world_conn *connect_plainly(void *impl, struct world *w, const struct world_connect *opts,
                                          const struct world_conn_handler *handler, void *ctx) {
    const struct netfaults_host *h = impl;
    return h->below_net->connect(h->below_impl, w, opts, handler, ctx);
}

static struct world_fetch *fetch_plainly(void *impl, struct world *w, const struct world_fetch_opts *opts,
                                         void (*done)(void *ctx, const struct world_response *r), void *ctx) {
    const struct netfaults_host *h = impl;
    return h->below_net->fetch(h->below_impl, w, opts, done, ctx);
}

struct guard {
    struct world_listener base; /* first */
    struct world_listener *below;
    struct netfaults_host *host;
    struct world *world;
    void (*on_accept)(void *ctx, struct world_conn *c);
    void (*on_refused)(void *ctx, const char *remote, enum world_close_reason why, const char *text);
    void *ctx;
};

static uint16_t guard_port(const struct world_listener *l) {
    return world_listener_port(((const struct guard *)l)->below);
}
static void guard_close(struct world_listener *l) {
    world_listener_close(((struct guard *)l)->below);
    mem_free(l);
}
static const struct world_listener_ops guard_ops = {guard_port, guard_close};

static void on_guarded(void *ctx, struct world_conn *below) {
    const struct guard *g = ctx;
    struct world_conn *c = faulty_accept(g->host, g->world, below);
    if (c != NULL) {
        g->on_accept(g->ctx, c);
    }
}

static void on_guard_refused(void *ctx, const char *remote, enum world_close_reason why, const char *text) {
    const struct guard *g = ctx;
    g->on_refused(g->ctx, remote, why, text);
}

static struct world_listener *listen_guarded(void *impl, struct world *w, const struct world_listen *opts,
                                             void (*on_accept)(void *ctx, struct world_conn *c), void *ctx,
                                             struct error *err) {
    struct netfaults_host *h = impl;
    struct guard *g = mem_zalloc(sizeof(*g));
    struct world_listen below = *opts;
    below.on_refused = opts->on_refused != NULL ? on_guard_refused : NULL;
    *g = (struct guard){.base = {&guard_ops},
                        .host = h,
                        .world = w,
                        .on_accept = on_accept,
                        .on_refused = opts->on_refused,
                        .ctx = ctx};
    g->below = h->below_net->listen(h->below_impl, w, &below, on_guarded, g, err);
    if (g->below == NULL) {
        mem_free(g);
        return NULL;
    }
    return &g->base;
}

static const struct world_net_ops joined_ops = {tls_new, listen_plainly, faulty_connect, faulty_fetch};
static const struct world_net_ops guarded_ops = {tls_new, listen_guarded, connect_plainly, fetch_plainly};

/* ---- hosts */

static struct netfaults_host *host_named(struct netfaults *n, const char *name) {
    struct netfaults_host *h = map_get_cstr(&n->hosts, name);
    if (h == NULL) {
        h = mem_zalloc(sizeof(*h));
        h->net = n;
        h->name = str_dup(name);
        map_put(&n->hosts, span_of(name), h);
    }
    return h;
}

static void take_over(struct netfaults *n, struct world *w, const char *name, const struct world_net_ops *ops) {
    struct netfaults_host *h = host_named(n, name);
    h->below_net = w->net;
    h->below_impl = w->net_impl;
    w->net = ops;
    w->net_impl = h;
    w->time = &time_ops;
    w->time_impl = h;
}

void netfaults_join(struct netfaults *n, struct world *w, const char *name) {
    take_over(n, w, name, &joined_ops);
}

void netfaults_guard(struct netfaults *n, struct world *w, const char *name) {
    take_over(n, w, name, &guarded_ops);
}

static struct world *own_world(struct netfaults *n, const char *name, const struct world_net_ops *ops) {
    struct netfaults_host *h = host_named(n, name);
    if (h->world.net == NULL) {
        h->world = *n->below;
        take_over(n, &h->world, name, ops);
    }
    return &h->world;
}

struct world *netfaults_host(struct netfaults *n, const char *name) {
    return own_world(n, name, &joined_ops);
}

struct world *netfaults_guarded(struct netfaults *n, const char *name) {
    return own_world(n, name, &guarded_ops);
}

struct world *netfaults_below(const struct world *host) {
    return ((const struct netfaults_host *)host->net_impl)->net->below;
}

static struct span port_key(const uint16_t *port) {
    return span_bytes(port, sizeof(*port));
}

void netfaults_port(struct netfaults *n, uint16_t port, const char *name) {
    map_put(&n->ports, port_key(&port), host_named(n, name));
}

struct netfaults_host *netfaults_host_at(const struct netfaults *n, uint16_t port) {
    struct netfaults_host *h = map_get(&n->ports, port_key(&port));
    return h != NULL ? h : map_get_cstr(&n->hosts, "");
}

const char *netfaults_peer(const struct netfaults *n, const char *name) {
    LIST_EACH (k, &n->conns) {
        const struct faulty_conn *c = LIST_ITEM(k, struct faulty_conn, link);
        if (strcmp(c->peer, name) == 0) {
            return c->peer;
        }
    }
    return NULL;
}

size_t netfaults_open(const struct netfaults *n) {
    return n->conns.count;
}

bool netfaults_clock(struct netfaults *n, const char *host, int64_t jump_ms) {
    struct netfaults_host *h = map_get_cstr(&n->hosts, host);
    if (h != NULL) {
        h->clock_ms += jump_ms;
    }
    return h != NULL;
}

struct netfaults *netfaults_new(struct world *below, uint64_t seed) {
    struct netfaults *n = mem_zalloc(sizeof(*n));
    n->below = below;
    n->rng = rng_derive(seed, "fault net", NULL);
    list_init(&n->rules);
    list_init(&n->conns);
    host_named(n, ""); /* who listens on a port that nobody has named */
    return n;
}

void netfaults_free(struct netfaults *n) {
    if (n == NULL) {
        return;
    }
    LIST_EACH_SAFE (k, next, &n->conns) { /* only ghosts are left */
        faulty_forget(LIST_ITEM(k, struct faulty_conn, link));
    }
    LIST_EACH_SAFE (k, next, &n->rules) {
        rule_free(n, LIST_ITEM(k, struct rule, link));
    }
    for (struct map_iter i = map_iter(&n->hosts); map_next(&i);) {
        struct netfaults_host *h = i.value;
        mem_free(h->name);
        mem_free(h);
    }
    map_free(&n->hosts);
    map_free(&n->ports);
    mem_free(n);
}
