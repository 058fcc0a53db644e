/* See proxy.h. */
#include "simulator/tap/proxy.h"

#include "base/mem.h"

enum { FLUSH_MS = 5000 };

struct proxy_link {
    struct list_link link;
    struct proxy *proxy;
    struct world_conn *client, *broker; /* NULL: gone */
    struct real_credential *credential;
    void *ctx;
    bool open; /* the broker's side is */
};

struct proxy {
    struct world *world;
    struct proxy_opts opts;
    struct world_listener *listener;
    struct list links;
};

static void link_free(struct proxy_link *l, const char *why) {
    l->proxy->opts.on_end(l->ctx, why);
    list_remove(&l->proxy->links, &l->link);
    if (l->client != NULL) {
        world_conn_abort(l->client);
    }
    if (l->broker != NULL) {
        world_conn_abort(l->broker);
    }
    real_credential_free(l->credential);
    mem_free(l);
}

static struct world_conn **side(struct proxy_link *l, bool client) {
    return client ? &l->client : &l->broker;
}

static void carry(struct proxy_link *l, bool from_client, struct span bytes) {
    struct world_conn *to = *side(l, !from_client), *from = *side(l, from_client);
    if (to != NULL) {
        world_conn_write(to, &bytes, 1);
        if (world_conn_pending(to) > PROXY_PENDING_MAX) {
            world_conn_pause(from, true);
        }
    }
    l->proxy->opts.on_data(l->ctx, from_client, bytes);
}

/* One end is gone: what it said last still goes to the other, which then ends too. */
static void ended(struct proxy_link *l, bool client, const char *why) {
    struct world_conn *other = *side(l, !client);
    *side(l, client) = NULL;
    if (other == NULL || !l->open) {
        link_free(l, why);
    } else {
        world_conn_pause(other, false);
        world_conn_close(other, FLUSH_MS);
    }
}

static void client_data(void *ctx, struct world_conn *c, struct span bytes) {
    (void)c;
    carry(ctx, true, bytes);
}

static void broker_data(void *ctx, struct world_conn *c, struct span bytes) {
    (void)c;
    carry(ctx, false, bytes);
}

static void client_drain(void *ctx, struct world_conn *c) {
    struct proxy_link *l = ctx;
    (void)c;
    if (l->broker != NULL) {
        world_conn_pause(l->broker, false);
    }
}

static void broker_drain(void *ctx, struct world_conn *c) {
    struct proxy_link *l = ctx;
    (void)c;
    if (l->client != NULL) {
        world_conn_pause(l->client, false);
    }
}

static char *why_text(const char *who, const char *text) {
    return text != NULL ? str_printf("%s: %s", who, text) : str_printf("%s ended it", who);
}

static void client_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    (void)c;
    char *line = why_text("the client", why == WORLD_CLOSE_EOF ? NULL : text);
    ended(ctx, true, line);
    mem_free(line);
}

static void broker_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    (void)c;
    char *line = why_text("the broker", why == WORLD_CLOSE_EOF ? NULL : text);
    ended(ctx, false, line);
    mem_free(line);
}

static void broker_open(void *ctx, struct world_conn *c) {
    struct proxy_link *l = ctx;
    (void)c;
    l->open = true;
    world_conn_pause(l->client, false);
}

static const struct world_conn_handler client_handler = {
    .on_data = client_data, .on_drain = client_drain, .on_close = client_close};
static const struct world_conn_handler broker_handler = {
    .on_open = broker_open, .on_data = broker_data, .on_drain = broker_drain, .on_close = broker_close};

static void on_accept(void *ctx, struct world_conn *c) {
    struct proxy *p = ctx;
    const struct world_identity *id = world_conn_peer(c);
    const char *name = id != NULL ? id->common_name : NULL;
    struct proxy_link *l = mem_zalloc(sizeof(*l));
    struct world_connect to = p->opts.to;
    struct error err = ERROR_INIT;
    if (name != NULL && p->opts.ca != NULL) {
        l->credential = certs_mint(p->opts.ca, name, p->opts.key, world_wall_ms(p->world), &err);
        if (l->credential == NULL) {
            p->opts.on_refused(p->opts.ctx, world_conn_remote(c), err.msg);
            error_clear(&err);
            world_conn_abort(c);
            mem_free(l);
            return;
        }
        to.credential = l->credential;
    }
    l->proxy = p;
    l->client = c;
    l->ctx = p->opts.on_open(p->opts.ctx, name, world_conn_remote(c));
    list_push_back(&p->links, &l->link);
    world_conn_set_handler(c, &client_handler, l);
    world_conn_pause(c, true); /* until there is somebody to carry it to */
    l->broker = world_connect(p->world, &to, &broker_handler, l);
}

static void on_refused(void *ctx, const char *remote, enum world_close_reason why, const char *text) {
    struct proxy *p = ctx;
    (void)why;
    p->opts.on_refused(p->opts.ctx, remote, text != NULL ? text : "no TLS connection");
}

struct proxy *proxy_new(struct world *w, const struct proxy_opts *opts, struct error *err) {
    struct proxy *p = mem_zalloc(sizeof(*p));
    p->world = w;
    p->opts = *opts;
    p->opts.listen.on_refused = on_refused;
    list_init(&p->links);
    p->listener = world_listen(w, &p->opts.listen, on_accept, p, err);
    if (p->listener == NULL) {
        mem_free(p);
        return NULL;
    }
    return p;
}

uint16_t proxy_port(const struct proxy *p) {
    return world_listener_port(p->listener);
}

void proxy_free(struct proxy *p) {
    if (p == NULL) {
        return;
    }
    world_listener_close(p->listener);
    while (!list_empty(&p->links)) {
        link_free(LIST_ITEM(list_first(&p->links), struct proxy_link, link), "the tap ended");
    }
    mem_free(p);
}
