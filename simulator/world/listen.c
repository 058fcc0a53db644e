/* Listeners, their backlog, and the server's side of a handshake. */
#include "simulator/world/net.h"

#include "base/mem.h"
#include <stdio.h>
#include <string.h>

static const uint32_t HANDSHAKES_MAX = 64;
static const uint64_t HANDSHAKE_TIMEOUT_MS = 10000;
enum { PORT_FIRST_LISTEN = 10000 };

static struct sim_listener *find(const struct sim_host *h, uint16_t port) {
    LIST_EACH (k, &h->listeners) {
        struct sim_listener *l = LIST_ITEM(k, struct sim_listener, link);
        if (l->port == port && !l->dead) {
            return l;
        }
    }
    return NULL;
}

static void fail(struct sim_conn *c, const char *alert) {
    channel_send(c->channel, c->end, alert != NULL ? SEGMENT_ALERT : SEGMENT_RESET, span_of(alert));
    conn_free(c);
}

static void too_slow(void *ctx) {
    fail(ctx, NULL);
}

static void begin(struct sim_conn *c) {
    struct sim_listener *l = c->listener;
    c->state = CONN_HANDSHAKE;
    if (l->tls != NULL) {
        l->handshakes++;
        sim_inbox_start(c->host, &c->deadline, l->handshake_timeout_ms * 1000, too_slow, c);
    }
}

void listener_done(struct sim_conn *c) {
    struct sim_listener *l = c->listener;
    c->listener = NULL;
    sim_inbox_stop(c->host, &c->deadline);
    if (list_linked(&c->waiting)) {
        list_remove(&l->backlog, &c->waiting);
        return;
    }
    if (l->tls == NULL) {
        return;
    }
    l->handshakes--;
    struct list_link *k = list_pop_front(&l->backlog);
    if (k != NULL) {
        struct sim_conn *next = LIST_ITEM(k, struct sim_conn, waiting);
        begin(next);
        channel_resume(next->channel, next->end);
    }
}

void listener_syn(struct channel *ch) {
    struct sim_host *h = ch->hosts[1];
    struct sim_listener *l = find(h, ch->port);
    if (l == NULL || rng_chance(&ch->pipes[1].rng, sim_link_between(h->sim, ch->hosts[0], h)->refuse_ppm)) {
        channel_send(ch, 1, SEGMENT_REFUSED, SPAN(""));
        return;
    }
    struct sim_conn *c = conn_new(h, l->world);
    c->channel = ch;
    c->id = ch->id;
    c->end = 1;
    c->listener = l;
    ch->ends[1] = c;
    snprintf(c->local, sizeof(c->local), "%s:%u", h->address, (unsigned)l->port);
    snprintf(c->remote, sizeof(c->remote), "%s", ch->ends[0] != NULL ? ch->ends[0]->local : ch->hosts[0]->address);
    if (l->tls != NULL) {
        c->tls = tls_state_ref(l->tls);
        ch->server_tls = tls_state_ref(l->tls);
    }
    if (l->tls != NULL && l->handshakes >= l->handshakes_max) {
        c->state = CONN_WAITING;
        list_push_back(&l->backlog, &c->waiting);
    } else {
        begin(c);
    }
    channel_send(ch, 1, SEGMENT_SYN_ACK, SPAN(""));
}

static void hand_over(struct sim_conn *c) {
    struct sim_listener *l = c->listener;
    c->state = CONN_OPEN;
    sim_trace(c->host->sim, c->host, SIM_EVENT_ACCEPT, c->id, true, c->peer != NULL ? c->peer->identity.serial : "",
              SPAN(""));
    listener_done(c);
    l->on_accept(l->ctx, &c->base);
}

static void client_hello(struct sim_conn *c) {
    const struct tls_state *mine = c->tls;
    const struct sim_conn *client = c->channel->ends[0];
    if (client == NULL) {
        return; /* its reset is on the way */
    }
    if (!(mine->tls12 && client->tls->tls12) && !(mine->tls13 && client->tls->tls13)) {
        fail(c, "tlsv1 alert protocol version");
    } else if (mine->cert == NULL) {
        fail(c, "sslv3 alert handshake failure");
    } else {
        c->tls13 = mine->tls13 && client->tls->tls13;
        c->client_cert = client->tls->cert;
        channel_send(c->channel, c->end, SEGMENT_SERVER_FLIGHT, SPAN(""));
    }
}

/* The client's certificate, as far as we ask for one. Sends an alert and returns false when it will not do. */
static bool judge_client(struct sim_conn *c) {
    const struct tls_state *mine = c->tls;
    if (mine->client_auth == WORLD_CLIENT_AUTH_NONE) {
        return true;
    }
    if (c->client_cert == NULL) {
        if (mine->client_auth == WORLD_CLIENT_AUTH_NEED) {
            fail(c, c->tls13 ? "tlsv13 alert certificate required" : "sslv3 alert handshake failure");
            return false;
        }
        return true;
    }
    const char *alert = NULL;
    if (tls_verify(c->host, mine, c->client_cert, &alert) != NULL) {
        fail(c, alert);
        return false;
    }
    c->peer = c->client_cert;
    return true;
}

static void tls_segment(struct sim_conn *c, const struct segment *s) {
    switch (s->kind) {
    case SEGMENT_CLIENT_HELLO:
        client_hello(c);
        break;
    case SEGMENT_CLIENT_FLIGHT:
        if (judge_client(c)) {
            if (!c->tls13) {
                channel_send(c->channel, c->end, SEGMENT_FINISHED, SPAN(""));
            }
            hand_over(c);
        }
        break;
    case SEGMENT_DATA: /* the client speaks no TLS */
        fail(c, NULL);
        break;
    case SEGMENT_EOF:
    case SEGMENT_ALERT:
    case SEGMENT_RESET:
        conn_free(c);
        break;
    default:
        break;
    }
}

/* The first bytes of a TLS client's hello, for a server that speaks none. */
static const struct span HELLO = {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11};

static void plain_segment(struct sim_conn *c, const struct segment *s) {
    if (s->kind == SEGMENT_ACK) {
        hand_over(c);
    } else if (s->kind == SEGMENT_CLIENT_HELLO) {
        channel_unread(c->channel, c->end, SEGMENT_DATA, HELLO);
        hand_over(c);
    } else {
        conn_free(c);
    }
}

void listener_segment(struct sim_conn *c, const struct segment *s) {
    if (c->listener->tls != NULL) {
        tls_segment(c, s);
    } else {
        plain_segment(c, s);
    }
}

/* ---- */

static uint16_t listener_port(const struct world_listener *l) {
    return ((const struct sim_listener *)l)->port;
}

static void listener_close(struct world_listener *base) {
    struct sim_listener *l = (struct sim_listener *)base;
    l->handshakes_max = 0;
    LIST_EACH_SAFE (k, next, &l->host->connections) {
        struct sim_conn *c = LIST_ITEM(k, struct sim_conn, link);
        if (c->listener == l && list_linked(&c->waiting)) { /* first, so that none of them moves up */
            fail(c, NULL);
        }
    }
    LIST_EACH_SAFE (k, next, &l->host->connections) {
        struct sim_conn *c = LIST_ITEM(k, struct sim_conn, link);
        if (c->listener == l) {
            fail(c, NULL);
        }
    }
    list_remove(&l->host->listeners, &l->link);
    mem_free(l);
}

static const struct world_listener_ops listener_ops = {listener_port, listener_close};

static uint16_t free_port(const struct sim_host *h) {
    uint16_t port = PORT_FIRST_LISTEN;
    while (find(h, port) != NULL) {
        port++;
    }
    return port;
}

struct world_listener *sim_listen(void *impl, struct world *w, const struct world_listen *opts,
                                  void (*on_accept)(void *ctx, struct world_conn *c), void *ctx, struct error *err) {
    struct sim_host *h = impl;
    static const char *const any[] = {"0.0.0.0", "::", "127.0.0.1", "localhost", "::1"};
    bool ours = opts->host == NULL || map_get_cstr(&h->sim->names, opts->host) == h;
    for (size_t i = 0; !ours && i < sizeof(any) / sizeof(any[0]); i++) {
        ours = strcmp(opts->host, any[i]) == 0;
    }
    if (!ours) {
        error_set(err, "world/address", "%s: not an address of this host", opts->host);
        return NULL;
    }
    if (h->crashing || (opts->port != 0 && find(h, opts->port) != NULL)) {
        error_set(err, "world/address-in-use", "port %u is in use", (unsigned)opts->port);
        return NULL;
    }
    struct sim_listener *l = mem_zalloc(sizeof(*l));
    l->base.ops = &listener_ops;
    l->host = h;
    l->world = w;
    l->port = opts->port != 0 ? opts->port : free_port(h);
    l->tls = opts->tls;
    l->handshakes_max = opts->handshakes_max != 0 ? opts->handshakes_max : HANDSHAKES_MAX;
    l->handshake_timeout_ms = opts->handshake_timeout_ms != 0 ? opts->handshake_timeout_ms : HANDSHAKE_TIMEOUT_MS;
    l->on_accept = on_accept;
    l->ctx = ctx;
    list_init(&l->backlog);
    list_push_back(&h->listeners, &l->link);
    return &l->base;
}
