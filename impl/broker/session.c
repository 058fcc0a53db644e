/* Inbound sessions: opening, superseding, closing (pcp.md §9). */
#include "base/mem.h"
#include "broker/internal.h"

static void on_message(void *ctx, struct ws_peer *ws, bool text, struct span payload) {
    (void)ws;
    pipeline_receive(ctx, text, payload);
}

static void on_drain(void *ctx, struct ws_peer *ws) {
    struct peer *p = ctx;
    (void)ws;
    p->queued = 0;
}

static void session_free(struct peer *p) {
    struct broker *b = p->broker;
    list_remove(&b->closing, &p->link);
    peer_release(p);
    mem_free(p);
}

static void on_close(void *ctx, struct ws_peer *ws, uint16_t code, struct span reason) {
    struct peer *p = ctx;
    struct broker *b = p->broker;
    uint64_t started = world_now_us(b->world);
    (void)ws;
    if (log_enabled(b->log.main, LOG_INFO)) {
        char number[8], *text = span_dup(reason);
        snprintf(number, sizeof number, "%u", code);
        log_event(b->log.main, LOG_INFO, "connection-close", "Client disconnected", "uri", p->uri, "statuscode", number,
                  "reason", text, NULL);
        mem_free(text);
    }
    session_unregister(p);
    session_free(p);
    uint64_t now = world_now_us(b->world);
    metrics_timer_add(&b->on_close, now, (now - started) * 1000);
    broker_stop_progress(b);
}

static const struct ws_handler handler = {.on_message = on_message, .on_drain = on_drain, .on_close = on_close};

void session_unregister(struct peer *p) {
    struct broker *b = p->broker;
    if (!p->registered) {
        return;
    }
    p->registered = false;
    map_remove(&b->by_uri, peer_uri(p));
    list_remove(&b->sessions, &p->link);
    list_push_back(&b->closing, &p->link);
    peer_gone(p);
    subscription_drop(p);
    subscriptions_note(b, peer_uri(p), false);
}

/* The newest connection of a URI counts. The old one ends without a close frame: clients take 1006 as "reconnect". */
static void supersede(struct broker *b, struct peer *old, const char *remote) {
    log_event(b->log.main, LOG_INFO, "connection-association-failed",
              "Node with URI already associated, closing the old connection", "uri", old->uri, "remoteaddress", remote,
              NULL);
    b->counters[COUNT_SUPERSEDED]++;
    session_unregister(old);
    ws_abort(old->ws);
    session_free(old);
}

static void session_register(struct peer *p) {
    struct broker *b = p->broker;
    struct peer *old = map_get(&b->by_uri, peer_uri(p));
    if (old != NULL) {
        supersede(b, old, ws_remote(p->ws));
    }
    list_remove(&b->closing, &p->link);
    list_push_back(&b->sessions, &p->link);
    map_put(&b->by_uri, peer_uri(p), p);
    p->registered = true;
    subscriptions_note(b, peer_uri(p), true);
    log_event(b->log.main, LOG_INFO, "connection-open", "Client connected", "uri", p->uri, "commonname",
              ws_identity(p->ws)->common_name, "remoteaddress", ws_remote(p->ws), NULL);
}

struct verdict {
    uint16_t code; /* 0: welcome */
    const char *reason;
};
#define VERDICT(...) ((struct verdict){__VA_ARGS__})

/* Opening counts as a request to associate, and the rules are asked about it. */
static struct verdict judge_association(struct peer *p, struct span type) {
    struct broker *b = p->broker;
    char id[37];
    struct pcp_message m = {
        .message_type = SPAN(PCP_ASSOCIATE_REQUEST), .target = SPAN(PCP_SERVER_URI), .sender = peer_uri(p)};
    if (!span_eq_cstr(type, PCP_TYPE_SERVER) && pcp_uri_parse(peer_uri(p), NULL) && !pcp_uri_is_wildcard(peer_uri(p)) &&
        authorize(b, ws_identity(p->ws), &m)) {
        return VERDICT(0, NULL);
    }
    world_uuid(b->world, id);
    m.id = span_of(id);
    log_access(b, p, PCP_AUTHORIZATION_FAILURE, &m);
    return VERDICT(CLOSE_REFUSED);
}

static bool at_limit(const struct peer *p) {
    const struct broker *b = p->broker;
    return b->config.connections_max != 0 && map_count(&b->by_uri) >= b->config.connections_max &&
           !(b->config.replace_at_limit && map_get(&b->by_uri, peer_uri(p)) != NULL);
}

/* pcp.md §9.1: in this order, the first that applies. */
static struct verdict judge(struct peer *p, const struct world_identity *id, struct span type) {
    struct broker *b = p->broker;
    if (b->state != BROKER_RUNNING) {
        return VERDICT(CLOSE_NOT_RUNNING);
    }
    if (id == NULL || id->common_name == NULL) {
        log_event(b->log.main, LOG_WARN, "connection-no-peer-certificate",
                  "No client certificate, closing the connection", "remoteaddress", ws_remote(p->ws), NULL);
        return VERDICT(CLOSE_NO_CERTIFICATE);
    }
    /* The handshake may have been before the CRL's last change, and the request after it. */
    if (!world_tls_still_good(b->tls, id)) {
        return VERDICT(CLOSE_CRL);
    }
    if (controllers_gone(b)) {
        return VERDICT(CLOSE_NO_CONTROLLERS);
    }
    return at_limit(p) ? VERDICT(CLOSE_LIMIT) : judge_association(p, type);
}

void session_open(struct broker *b, struct http_exchange *ex, enum pcp_version version, struct span type) {
    uint64_t started = world_now_us(b->world);
    const struct world_identity *id = http_request(ex)->identity;
    struct span name = span_of(id != NULL ? id->common_name : NULL);
    const struct ws_limits limits = {.message_max = b->config.message_max,
                                     .idle_timeout_ms = b->config.idle_timeout_ms,
                                     .close_timeout_ms = b->config.close_timeout_ms};
    struct peer *p = mem_alloc(sizeof *p);
    peer_init(p, b, PEER_SESSION, version, pcp_uri_new(name, type));
    type = span_sub(peer_uri(p), p->uri_len - type.len, type.len); /* the exchange is used up now */
    p->ws = ws_accept(ex, &limits, &handler, p);
    if (p->ws == NULL) {
        peer_release(p);
        mem_free(p);
        return;
    }
    list_push_back(&b->closing, &p->link);
    struct verdict v = judge(p, ws_identity(p->ws), type);
    if (v.code == 0) {
        session_register(p);
    } else {
        b->counters[COUNT_REFUSED]++;
        ws_close(p->ws, v.code, v.reason);
    }
    uint64_t now = world_now_us(b->world);
    metrics_timer_add(&b->on_connect, now, (now - started) * 1000);
}

static void abort_list(struct list *l) {
    struct list_link *k;
    while ((k = list_first(l)) != NULL) {
        struct peer *p = LIST_ITEM(k, struct peer, link);
        session_unregister(p);
        ws_abort(p->ws);
        session_free(p);
    }
}

void sessions_abort(struct broker *b) {
    abort_list(&b->sessions);
    abort_list(&b->closing);
}
