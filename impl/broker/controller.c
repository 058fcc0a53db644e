/* Controllers: connections the broker dials itself (pcp.md §15). The other side is a WebSocket server and speaks
 * version 2; its name is the authority of the configured URI. */
#include "base/mem.h"
#include "broker/internal.h"
#include <string.h>

enum { RETRY_FIRST_MS = 200, RETRY_MAX_MS = 15000, PING_INTERVAL_MS = 15000 };

static const char *const default_allowlist[] = {PCP_INVENTORY_REQUEST, "http://puppetlabs.com/rpc_blocking_request",
                                                "http://puppetlabs.com/rpc_non_blocking_request"};

struct controller {
    struct peer peer; /* first; ws is set while connected or connecting */
    struct url url;
    char *path;
    char *text; /* the configured URI */
    struct timer retry, ping;
    uint64_t backoff_ms; /* the next wait after a failed attempt */
    bool connected;
};

struct controllers {
    struct broker *broker;
    struct controller *items;
    size_t count, connected;
    bool shut; /* none has been connected for the whole grace period, or yet */
    struct timer grace;
};

static void dial(void *ctx);

static void retry_after(struct controller *c, uint64_t delay_ms) {
    struct broker *b = c->peer.broker;
    if (b->state != BROKER_STOPPING) {
        world_timer_start(b->world, &c->retry, delay_ms, dial, c);
    }
}

static void keep_alive(void *ctx) {
    struct controller *c = ctx;
    ws_ping(c->peer.ws, SPAN("\0"));
    world_timer_start(c->peer.broker->world, &c->ping, PING_INTERVAL_MS, keep_alive, c);
}

/* Grace is over and no controller has come back: the clients have to find another broker. */
static void evict(void *ctx) {
    struct controllers *cs = ctx;
    struct broker *b = cs->broker;
    struct list_link *k;
    cs->shut = true;
    log_event(b->log.main, LOG_INFO, "rejecting-connections",
              "No controller is connected, closing all client connections", NULL);
    while ((k = list_first(&b->sessions)) != NULL) {
        peer_close(LIST_ITEM(k, struct peer, link), CLOSE_SHUTDOWN);
    }
}

static void on_open(void *ctx, struct ws_peer *ws) {
    struct controller *c = ctx;
    struct broker *b = c->peer.broker;
    struct controllers *cs = b->controllers;
    (void)ws;
    c->connected = true;
    c->backoff_ms = RETRY_FIRST_MS;
    cs->connected++;
    log_event(b->log.main, LOG_INFO, "controller-connection", "Connected to the controller", "uri", c->text, "pcpuri",
              c->peer.uri, NULL);
    world_timer_stop(b->world, &cs->grace);
    if (cs->shut) {
        cs->shut = false;
        log_event(b->log.main, LOG_INFO, "accepting-connections", "A controller is connected, accepting clients", NULL);
    }
    world_timer_start(b->world, &c->ping, PING_INTERVAL_MS, keep_alive, c);
}

static void on_message(void *ctx, struct ws_peer *ws, bool text, struct span payload) {
    struct controller *c = ctx;
    (void)ws;
    pipeline_receive(&c->peer, text, payload);
}

static void on_drain(void *ctx, struct ws_peer *ws) {
    struct controller *c = ctx;
    (void)ws;
    c->peer.queued = 0;
}

static void lose(struct controller *c) {
    struct broker *b = c->peer.broker;
    struct controllers *cs = b->controllers;
    c->connected = false;
    cs->connected--;
    peer_gone(&c->peer);
    subscription_drop(&c->peer);
    world_timer_stop(b->world, &c->ping);
    if (cs->connected == 0 && b->state == BROKER_RUNNING) {
        world_timer_start(b->world, &cs->grace, b->config.controller_grace_ms, evict, cs);
    }
}

static void on_close(void *ctx, struct ws_peer *ws, uint16_t code, struct span reason) {
    struct controller *c = ctx;
    struct broker *b = c->peer.broker;
    bool was_connected = c->connected;
    (void)ws;
    if (log_enabled(b->log.main, LOG_INFO)) {
        char *text = str_printf("%s the controller (%u): %.*s", was_connected ? "Lost" : "Could not connect to", code,
                                (int)reason.len, reason.ptr);
        log_event(b->log.main, was_connected ? LOG_INFO : LOG_DEBUG, "controller-connection", text, "uri", c->text,
                  "pcpuri", c->peer.uri, NULL);
        mem_free(text);
    }
    c->peer.ws = NULL;
    if (was_connected) {
        lose(c);
        retry_after(c, RETRY_FIRST_MS);
    } else {
        retry_after(c, c->backoff_ms);
        c->backoff_ms = c->backoff_ms * 2 < RETRY_MAX_MS ? c->backoff_ms * 2 : RETRY_MAX_MS;
    }
    broker_stop_progress(b);
}

static const struct ws_handler handler = {
    .on_open = on_open, .on_message = on_message, .on_drain = on_drain, .on_close = on_close};

static void dial(void *ctx) {
    struct controller *c = ctx;
    struct broker *b = c->peer.broker;
    const struct ws_connect opts = {
        .to = {.host = c->url.host, .port = c->url.port, .tls = c->url.secure ? b->tls : NULL},
        .path = c->path,
        .user_agent = "Dalang/" DALANG_VERSION,
        .limits = {.message_max = b->config.message_max, .close_timeout_ms = b->config.close_timeout_ms},
    };
    c->peer.ws = ws_connect(b->world, &opts, &handler, c);
}

/* What stands between "//" and the path, as it was written. */
static struct span authority_of(const char *uri) {
    struct span rest = span_of(uri);
    rest = span_sub(rest, (size_t)span_find_span(rest, SPAN("://")) + 3, rest.len);
    size_t len = 0;
    while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?') {
        len++;
    }
    return span_sub(rest, 0, len);
}

static bool controller_init(struct broker *b, struct controller *c, const char *uri, struct error *err) {
    if (!url_parse(uri, &c->url, err)) {
        error_prefix(err, "controller-uris: %s", uri);
        err->kind = "broker/config";
        return false;
    }
    struct span target = span_of(c->url.target);
    peer_init(&c->peer, b, PEER_CONTROLLER, PCP_V2, pcp_uri_new(authority_of(uri), SPAN(PCP_TYPE_SERVER)));
    c->text = str_dup(uri);
    c->path = str_printf("%s%s" PCP_TYPE_SERVER, c->url.target, span_ends_with(target, "/") ? "" : "/");
    c->backoff_ms = RETRY_FIRST_MS;
    if (str_eq(c->url.scheme, "wss") || str_eq(c->url.scheme, "ws")) {
        return true;
    }
    return error_set(err, "broker/config", "controller-uris: %s: expected a wss:// URI", uri);
}

bool controllers_new(struct broker *b, struct error *err) {
    if (b->config.controller_count == 0) {
        return true;
    }
    if (b->config.controller_allowlist == NULL) {
        b->config.controller_allowlist = default_allowlist;
        b->config.controller_allow_count = sizeof default_allowlist / sizeof default_allowlist[0];
    }
    struct controllers *cs = mem_zalloc(sizeof *cs);
    b->controllers = cs;
    cs->broker = b;
    cs->shut = true;
    cs->items = mem_array(b->config.controller_count, sizeof *cs->items);
    for (size_t i = 0; i < b->config.controller_count; i++) {
        cs->items[cs->count].peer.broker = b;
        if (!controller_init(b, &cs->items[cs->count++], b->config.controller_uris[i], err)) {
            return false;
        }
    }
    return true;
}

void controllers_start(struct broker *b) {
    for (size_t i = 0; b->controllers != NULL && i < b->controllers->count; i++) {
        dial(&b->controllers->items[i]);
    }
    if (b->controllers != NULL) {
        log_event(b->log.main, LOG_INFO, "rejecting-connections", "Waiting for a controller before accepting clients",
                  NULL);
    }
}

static void end_one(struct controller *c, bool orderly) {
    struct broker *b = c->peer.broker;
    world_timer_stop(b->world, &c->retry);
    world_timer_stop(b->world, &c->ping);
    if (c->peer.ws != NULL && orderly) {
        ws_close(c->peer.ws, CLOSE_SHUTDOWN);
    } else if (c->peer.ws != NULL) {
        ws_abort(c->peer.ws);
        c->peer.ws = NULL;
    }
}

void controllers_stop(struct broker *b) {
    for (size_t i = 0; b->controllers != NULL && i < b->controllers->count; i++) {
        end_one(&b->controllers->items[i], true);
    }
    if (b->controllers != NULL) {
        world_timer_stop(b->world, &b->controllers->grace);
    }
}

void controllers_free(struct broker *b) {
    struct controllers *cs = b->controllers;
    if (cs == NULL) {
        return;
    }
    world_timer_stop(b->world, &cs->grace);
    for (size_t i = 0; i < cs->count; i++) {
        struct controller *c = &cs->items[i];
        end_one(c, false);
        peer_release(&c->peer);
        url_free(&c->url);
        mem_free(c->path);
        mem_free(c->text);
    }
    mem_free(cs->items);
    mem_free(cs);
    b->controllers = NULL;
}

struct peer *controllers_find(const struct broker *b, struct span uri) {
    for (size_t i = 0; b->controllers != NULL && i < b->controllers->count; i++) {
        struct controller *c = &b->controllers->items[i];
        if (c->connected && span_eq(peer_uri(&c->peer), uri)) {
            return &c->peer;
        }
    }
    return NULL;
}

bool controllers_gone(const struct broker *b) {
    return b->controllers != NULL && b->controllers->connected == 0;
}

bool controllers_shut(const struct broker *b) {
    return b->controllers != NULL && b->controllers->shut;
}

size_t controllers_connected(const struct broker *b) {
    return b->controllers != NULL ? b->controllers->connected : 0;
}

bool controllers_open(const struct broker *b) {
    for (size_t i = 0; b->controllers != NULL && i < b->controllers->count; i++) {
        if (b->controllers->items[i].peer.ws != NULL) {
            return true;
        }
    }
    return false;
}

bool controller_allows(const struct broker *b, struct span message_type) {
    for (size_t i = 0; i < b->config.controller_allow_count; i++) {
        if (span_eq_cstr(message_type, b->config.controller_allowlist[i])) {
            return true;
        }
    }
    return false;
}

struct span controller_authority(const struct peer *p) {
    struct pcp_uri uri = {0};
    pcp_uri_parse(peer_uri(p), &uri);
    return uri.name;
}
