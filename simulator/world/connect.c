/* Starting a connection: names, proxies, the first segment. */
#include "simulator/world/net.h"

#include "base/mem.h"
#include <stdio.h>
#include <string.h>

static const uint64_t CONNECT_TIMEOUT_MS = 30000;
static const uint64_t LOOK_UP_US = 500;
enum { PORT_FIRST = 32768, PORT_LAST = 60999 };

struct proxy {
    struct list_link link;
    uint16_t port;
    bool allow;
};

void sim_proxy(struct world *host, uint16_t port, bool allow) {
    struct sim_host *h = host_of(host);
    LIST_EACH (k, &h->proxies) {
        struct proxy *p = LIST_ITEM(k, struct proxy, link);
        if (p->port == port) {
            p->allow = allow;
            return;
        }
    }
    struct proxy *p = mem_zalloc(sizeof(*p));
    p->port = port;
    p->allow = allow;
    list_push_back(&h->proxies, &p->link);
}

static struct sim_host *resolve(struct sim_host *from, const char *name) {
    static const char *const own[] = {"localhost", "127.0.0.1", "::1", "[::1]"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (strcasecmp(name, own[i]) == 0) {
            return from;
        }
    }
    return map_get_cstr(&from->sim->names, name);
}

static const struct proxy *find_proxy(struct sim_host *from, const char *url) {
    struct span rest = span_of(url);
    if (span_starts_with(rest, "http://")) {
        rest = span_sub(rest, 7, rest.len);
    }
    struct span host;
    uint64_t port = 0;
    span_split(&rest, ':', &host);
    ptrdiff_t slash = span_find(rest, '/');
    if (!span_to_u64(slash < 0 ? rest : span_sub(rest, 0, (size_t)slash), &port)) {
        return NULL;
    }
    char *name = span_dup(host);
    struct sim_host *h = resolve(from, name);
    mem_free(name);
    if (h == NULL) {
        return NULL;
    }
    LIST_EACH (k, &h->proxies) {
        const struct proxy *p = LIST_ITEM(k, struct proxy, link);
        if (p->port == port) {
            return p;
        }
    }
    return NULL;
}

static void connect_timeout(void *ctx) {
    struct sim_conn *c = ctx;
    if (c->channel != NULL) {
        channel_send(c->channel, c->end, SEGMENT_RESET, SPAN(""));
    }
    conn_end(c, WORLD_CLOSE_TIMEOUT, "%s: connecting took too long", c->remote);
}

static uint16_t free_port(struct sim_host *h) {
    uint16_t port = h->next_port;
    h->next_port = port >= PORT_LAST ? PORT_FIRST : (uint16_t)(port + 1);
    return port;
}

static void not_found(void *ctx) {
    struct sim_conn *c = ctx;
    conn_end(c, WORLD_CLOSE_UNREACHABLE, "%s: name or service not known", c->server_name);
}

static void bad_proxy(void *ctx) {
    struct sim_conn *c = ctx;
    conn_end(c, WORLD_CLOSE_PROXY, "the proxy refused to connect to %s", c->server_name);
}

struct world_conn *sim_connect(void *impl, struct world *w, const struct world_connect *opts,
                               const struct world_conn_handler *handler, void *ctx) {
    struct sim_host *h = impl;
    struct sim_conn *c = conn_new(h, w);
    c->base.handler = handler;
    c->base.ctx = ctx;
    const char *source = opts->source != NULL ? opts->source : h->address;
    snprintf(c->local, sizeof(c->local), "%s:%u", source, (unsigned)free_port(h));
    c->server_name = str_dup(opts->server_name != NULL ? opts->server_name : opts->host);
    if (c->state == CONN_DEAD) {
        return &c->base;
    }
    char text[300];
    snprintf(text, sizeof(text), "%.255s:%u", opts->host, (unsigned)opts->port);
    struct sim_host *target = resolve(h, opts->host);
    const struct proxy *proxy = opts->proxy != NULL ? find_proxy(h, opts->proxy) : NULL;
    if (target == NULL || (opts->proxy != NULL && (proxy == NULL || !proxy->allow))) {
        sim_trace(h->sim, h, SIM_EVENT_CONNECT, 0, false, text, SPAN(""));
        sim_inbox_start(h, &c->soon, LOOK_UP_US, target == NULL && proxy == NULL ? not_found : bad_proxy, c);
        return &c->base;
    }
    struct channel *ch = channel_new(h, target, opts->port);
    snprintf(c->remote, sizeof(c->remote), "%s:%u", target->address, (unsigned)opts->port);
    c->tls = opts->tls != NULL ? tls_state_ref(opts->tls) : NULL;
    c->channel = ch;
    c->id = ch->id;
    ch->ends[0] = c;
    uint64_t timeout_ms = opts->timeout_ms != 0 ? opts->timeout_ms : CONNECT_TIMEOUT_MS;
    sim_trace(h->sim, h, SIM_EVENT_CONNECT, c->id, false, text, SPAN(""));
    sim_inbox_start(h, &c->deadline, timeout_ms * 1000, connect_timeout, c);
    channel_send(ch, 0, SEGMENT_SYN, SPAN(""));
    return &c->base;
}

/* ---- faults on what is connected, counts, crash */

size_t sim_connection_count(const struct sim *sim) {
    return sim->connections_open;
}

static bool between(const struct sim_conn *c, const struct world *other) {
    return c->channel != NULL && (other == NULL || c->channel->hosts[!c->end] == host_of(other));
}

size_t sim_reset_connections(struct world *a, struct world *b) {
    size_t count = 0;
    LIST_EACH_SAFE (k, next, &host_of(a)->connections) {
        struct sim_conn *c = LIST_ITEM(k, struct sim_conn, link);
        if (between(c, b)) {
            channel_send(c->channel, c->end, SEGMENT_RESET, SPAN(""));
            conn_end(c, WORLD_CLOSE_RESET, "connection reset by peer");
            count++;
        }
    }
    return count;
}

size_t sim_half_open(struct world *gone, struct world *b) {
    size_t count = 0;
    LIST_EACH_SAFE (k, next, &host_of(gone)->connections) {
        struct sim_conn *c = LIST_ITEM(k, struct sim_conn, link);
        if (between(c, b)) {
            conn_end(c, WORLD_CLOSE_RESET, "software caused connection abort");
            count++;
        }
    }
    return count;
}

const struct world_net_ops sim_net_ops = {sim_tls_new, sim_listen, sim_connect, sim_fetch};

void sim_net_before_crash(struct sim_host *h, enum sim_crash_kind kind) {
    LIST_EACH_SAFE (k, next, &h->connections) {
        struct sim_conn *c = LIST_ITEM(k, struct sim_conn, link);
        if (c->channel != NULL && kind == SIM_CRASH_KILL) {
            channel_send(c->channel, c->end, SEGMENT_RESET, SPAN(""));
        }
        conn_kill(c);
    }
    LIST_EACH (k, &h->listeners) {
        LIST_ITEM(k, struct sim_listener, link)->dead = true;
    }
}

void sim_net_after_crash(struct sim_host *h) {
    sim_fetch_cancel_all(h);
    LIST_EACH_SAFE (k, next, &h->connections) {
        conn_free(LIST_ITEM(k, struct sim_conn, link));
    }
    while (!list_empty(&h->listeners)) {
        world_listener_close(&LIST_ITEM(list_first(&h->listeners), struct sim_listener, link)->base);
    }
}

void sim_net_host_free(struct sim_host *h) {
    for (struct list_link *k; (k = list_pop_front(&h->proxies)) != NULL;) {
        mem_free(LIST_ITEM(k, struct proxy, link));
    }
}

bool sim_net_check_idle(const struct sim_host *h, struct buf *report) {
    if (!list_empty(&h->connections)) {
        sim_leak(report, h, h->connections.count, "connections");
    }
    if (!list_empty(&h->listeners)) {
        sim_leak(report, h, h->listeners.count, "listeners");
    }
    if (!list_empty(&h->fetches)) {
        sim_leak(report, h, h->fetches.count, "unfinished fetches");
    }
    return list_empty(&h->connections) && list_empty(&h->listeners) && list_empty(&h->fetches);
}
