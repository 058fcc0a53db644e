/* The connection to the broker: attempts and their schedule, fail-over, association, heartbeat (agent.md §6). */
#include "agent/core.h"
#include "agent/frame.h"
#include "base/mem.h"
#include "pcp/body.h"
#include <string.h>

/* What the connection in progress was told; kept until it is open or has failed. */
struct attempt {
    struct url url;
    char *path;
};

static void try_now(void *ctx);
static void heartbeat(void *ctx);
static const struct ws_handler handler;

static void timer_start(struct agent *a, uint64_t delay_ms, void (*fire)(void *ctx)) {
    world_timer_start(a->world, &a->connection.timer, delay_ms, fire, a);
}

static const char *broker_uri(const struct agent *a) {
    return a->config->brokers[a->connection.broker % a->config->broker_count];
}

static void attempt_free(struct connection *c) {
    if (c->attempt != NULL) {
        url_free(&c->attempt->url);
        mem_free(c->attempt->path);
        mem_free(c->attempt);
        c->attempt = NULL;
    }
}

/* ---------------------------------------------------------------------------------------- attempts */

/* v1 asks for the URI as it is, v2 for its path plus the client type. */
static char *request_path(const struct agent *a, const char *target) {
    if (a->config->version == PCP_V1) {
        return str_dup(target);
    }
    return str_printf("%s%sagent", target, span_ends_with(span_of(target), "/") ? "" : "/");
}

/* The reference spreads its attempts over a second, whatever the pause: a fleet that lost its broker together comes
 * back together. Ours spreads them over as long as the pause is, so that a broker that returns meets its agents one by
 * one. */
static uint64_t spread(struct agent *a, uint64_t pause_ms) {
    return a->config->reference ? pause_ms - 500 + world_random_below(a->world, 1001)
                                : pause_ms / 2 + world_random_below(a->world, pause_ms + 1);
}

/* How long an attempt may take. A broker that all its agents come back to has a queue of them: whoever leaves it after
 * five seconds has wasted its place and the broker's work, and stands at the end of it the next time. So ours wait
 * longer with each failure; the reference does not. */
static uint64_t patience_ms(const struct agent *a) {
    uint64_t once = a->config->connection_timeout_ms;
    uint64_t longer = once * a->connection.backoff_ms / AGENT_BACKOFF_FIRST_MS;
    longer = longer < AGENT_PATIENCE_MAX_MS ? longer : AGENT_PATIENCE_MAX_MS;
    return a->config->reference || longer < once ? once : longer;
}

static void schedule_next(struct agent *a) {
    struct connection *c = &a->connection;
    const char *uri = broker_uri(a);
    c->broker = (c->broker + 1) % (uint32_t)a->config->broker_count;
    if (a->config->broker_count > 1) {
        log_warn(a->log, "Failing over to the next broker: %s after %s", broker_uri(a), uri);
    }
    log_warn(a->log, "Failed to establish a WebSocket connection; retrying in %u seconds",
             (unsigned)(c->backoff_ms / 1000));
    uint64_t delay_ms = spread(a, c->backoff_ms);
    if (a->config->reference) {
        /* Only an open connection ends the reference's wait for one. */
        uint64_t took_ms = (world_now_us(a->world) - c->since_us) / 1000;
        delay_ms += took_ms < a->config->connection_timeout_ms ? a->config->connection_timeout_ms - took_ms : 0;
    }
    if (c->backoff_ms * 2 < AGENT_BACKOFF_MAX_MS) {
        c->backoff_ms *= 2;
    }
    c->state = CONNECTION_PAUSED;
    timer_start(a, delay_ms, try_now);
}

static void try_now(void *ctx) {
    struct agent *a = ctx;
    struct connection *c = &a->connection;
    struct error err = ERROR_INIT;
    c->since_us = world_now_us(a->world);
    c->was_open = false;
    c->attempt = mem_zalloc(sizeof *c->attempt);
    if (!url_parse(broker_uri(a), &c->attempt->url, &err)) {
        log_error(a->log, "%s: %s", broker_uri(a), err.msg);
        error_clear(&err);
        attempt_free(c);
        schedule_next(a);
        return;
    }
    c->attempt->path = request_path(a, c->attempt->url.target);
    uint64_t patience = patience_ms(a);
    log_info(a->log, "Connecting to '%s'", broker_uri(a));
    struct ws_connect opts = {
        .to = {.host = c->attempt->url.host,
               .port = c->attempt->url.port,
               .tls = c->attempt->url.secure ? a->tls : NULL,
               .source = a->source,
               .credential = a->credential,
               .proxy = a->config->broker_proxy,
               .timeout_ms = patience},
        .path = c->attempt->path,
        .user_agent = "dalang-agent/" DALANG_VERSION,
        .limits = {.message_max = AGENT_INBOUND_MAX, .handshake_timeout_ms = patience},
    };
    c->state = CONNECTION_TRYING;
    if (a->hooks != NULL && a->hooks->trying != NULL) {
        a->hooks->trying(a->hooks->ctx, a);
    }
    c->peer = ws_connect(a->world, &opts, &handler, a);
}

void connection_start(struct agent *a) {
    a->connection.backoff_ms = AGENT_BACKOFF_FIRST_MS;
    a->connection.state = CONNECTION_PAUSED;
    timer_start(a, 0, try_now);
}

/* ---------------------------------------------------------------------------------------- association (v1) */

static void dissociate(void *ctx) {
    struct agent *a = ctx;
    a->connection.state = CONNECTION_CLOSING;
    ws_close(a->connection.peer, 1000, "must Associate Session again");
}

void connection_association_failed(struct agent *a, const char *why) {
    struct connection *c = &a->connection;
    if (c->state != CONNECTION_ASSOCIATING) {
        return;
    }
    uint64_t pause_s = 5 + world_random_below(a->world, 6);
    log_warn(a->log, "Failed to associate with the broker: %s; trying again in %u seconds", why, (unsigned)pause_s);
    c->state = CONNECTION_UNASSOCIATED;
    timer_start(a, pause_s * 1000, dissociate);
}

static void association_timed_out(void *ctx) {
    connection_association_failed(ctx, "no answer in time");
}

/* Since then, for the log (agent.md §6.6). */
static unsigned long long ms_since(const struct agent *a, uint64_t us) {
    return (unsigned long long)((world_now_us(a->world) - us) / 1000);
}

static void become_ready(struct agent *a) {
    struct connection *c = &a->connection;
    if (c->state == CONNECTION_ASSOCIATING) {
        log_debug(a->log, "Association took %llu ms", ms_since(a, c->opened_us));
    }
    c->state = CONNECTION_READY;
    c->ready = true;
    c->missed_pongs = 0;
    c->awaiting_pong = false;
    c->since_us = world_now_us(a->world);
    timer_start(a, a->config->ping_interval_ms, heartbeat);
    if (a->hooks != NULL && a->hooks->connected != NULL) {
        a->hooks->connected(a->hooks->ctx, a);
    }
    recovery_connected(a);
}

static void associate(struct agent *a) {
    struct connection *c = &a->connection;
    world_uuid(a->world, c->associate_id);
    struct pcp_message m = {.id = span_of(c->associate_id),
                            .message_type = SPAN(PCP_ASSOCIATE_REQUEST),
                            .target = SPAN(PCP_SERVER_URI),
                            .sender = span_of(a->uri),
                            .expires_ms = world_wall_ms(a->world) + (int64_t)a->config->association_timeout_ms};
    struct buf scratch = BUF_INIT;
    struct pcp_parts parts;
    frame_encode(PCP_V1, &m, &scratch, &parts);
    c->state = CONNECTION_ASSOCIATING;
    ws_send(c->peer, false, parts.parts, parts.count);
    buf_free(&scratch);
    timer_start(a, a->config->association_timeout_ms, association_timed_out);
}

bool connection_is_associating(const struct agent *a, struct span request_id) {
    return a->connection.state == CONNECTION_ASSOCIATING && span_eq_cstr(request_id, a->connection.associate_id);
}

static void refused(struct agent *a, const char *reason) {
    log_error(a->log, "The broker refused the association: %s", reason);
    if (!a->config->refusal_is_final) {
        connection_association_failed(a, "refused");
        return;
    }
    connection_stop(a);
    if (a->hooks != NULL && a->hooks->refused != NULL) {
        a->hooks->refused(a->hooks->ctx, a, reason);
    }
}

void connection_associated(struct agent *a, struct span data) {
    struct pcp_associate_response r;
    struct error err = ERROR_INIT;
    if (!pcp_associate_response_read(data, &r, &err)) {
        log_warn(a->log, "Invalid associate response: %s", err.msg);
        error_clear(&err);
        connection_association_failed(a, "invalid answer");
        return;
    }
    if (!connection_is_associating(a, span_of(r.id))) {
        log_warn(a->log, "Ignoring an associate response nobody waits for (request %s)", r.id);
    } else if (r.success) {
        log_info(a->log, "Successfully associated with the broker as %s", a->uri);
        become_ready(a);
    } else {
        refused(a, r.reason != NULL ? r.reason : "no reason given");
    }
    pcp_associate_response_free(&r);
}

/* ---------------------------------------------------------------------------------------- heartbeat */

static void ping_later(struct agent *a) {
    struct connection *c = &a->connection;
    uint64_t passed_ms = (world_now_us(a->world) - c->since_us) / 1000;
    uint64_t interval_ms = a->config->ping_interval_ms;
    timer_start(a, passed_ms < interval_ms ? interval_ms - passed_ms : 0, heartbeat);
}

static void heartbeat(void *ctx) {
    struct agent *a = ctx;
    struct connection *c = &a->connection;
    if (!c->awaiting_pong) {
        c->awaiting_pong = true;
        c->since_us = world_now_us(a->world);
        ws_ping(c->peer, span_of(NULL));
        timer_start(a, AGENT_PONG_TIMEOUT_MS, heartbeat);
        return;
    }
    c->awaiting_pong = false;
    c->missed_pongs++;
    log_warn(a->log, "WebSocket onPongTimeout event (%u consecutive)", c->missed_pongs);
    if (c->missed_pongs > a->config->allowed_keepalive_timeouts) {
        c->state = CONNECTION_CLOSING;
        ws_close(c->peer, 1000, "consecutive onPongTimeouts");
        return;
    }
    ping_later(a);
}

static void on_pong(void *ctx, struct ws_peer *p, struct span payload) {
    struct agent *a = ctx;
    (void)p;
    (void)payload;
    a->connection.missed_pongs = 0;
    if (a->connection.state == CONNECTION_READY && a->connection.awaiting_pong) {
        a->connection.awaiting_pong = false;
        if (a->hooks != NULL && a->hooks->ponged != NULL) {
            a->hooks->ponged(a->hooks->ctx, a, world_now_us(a->world) - a->connection.since_us);
        }
        ping_later(a);
    }
}

/* ---------------------------------------------------------------------------------------- events */

static void on_open(void *ctx, struct ws_peer *p) {
    struct agent *a = ctx;
    struct connection *c = &a->connection;
    (void)p;
    attempt_free(c);
    c->was_open = true;
    c->backoff_ms = AGENT_BACKOFF_FIRST_MS;
    c->opened_us = world_now_us(a->world);
    log_debug(a->log, "Connection and opening handshakes took %llu ms", ms_since(a, c->since_us));
    log_info(a->log, "Successfully established a WebSocket connection with the PCP broker at %s", broker_uri(a));
    if (a->config->version == PCP_V1) {
        associate(a);
    } else {
        become_ready(a);
    }
}

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    (void)p;
    (void)text; /* the reference takes either kind of frame */
    intake_message(ctx, payload);
}

static void on_drain(void *ctx, struct ws_peer *p) {
    (void)p;
    recovery_drained(ctx);
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct agent *a = ctx;
    struct connection *c = &a->connection;
    (void)p;
    enum connection_state before = c->state;
    bool was_ready = c->ready;
    c->ready = false;
    c->peer = NULL;
    world_timer_stop(a->world, &c->timer);
    attempt_free(c);
    recovery_disconnected(a);
    if (before == CONNECTION_STOPPED) {
        return;
    }
    c->state = CONNECTION_PAUSED;
    if (!c->was_open) {
        log_warn(a->log, "Connection to '%s' failed: %.*s", broker_uri(a), (int)reason.len, reason.ptr);
        if (span_find_span(reason, SPAN("certificate")) >= 0) {
            log_error(a->log, "TLS handshake failed, no subject name matching %s found, or ca mismatch", broker_uri(a));
        }
        if (a->hooks != NULL && a->hooks->failed != NULL) {
            a->hooks->failed(a->hooks->ctx, a, reason);
        }
        schedule_next(a);
        return;
    }
    log_warn(a->log, "WebSocket connection to '%s' closed: %u %.*s", broker_uri(a), (unsigned)code, (int)reason.len,
             reason.ptr);
    log_debug(a->log, "The session lasted %llu ms", ms_since(a, c->opened_us));
    timer_start(a, AGENT_RECONNECT_MS, try_now);
    if (was_ready && a->hooks != NULL && a->hooks->disconnected != NULL) {
        a->hooks->disconnected(a->hooks->ctx, a);
    }
}

static const struct ws_handler handler = {
    .on_open = on_open,
    .on_message = on_message,
    .on_pong = on_pong,
    .on_drain = on_drain,
    .on_close = on_close,
};

/* ---------------------------------------------------------------------------------------- use */

bool connection_send(struct agent *a, const char *type, struct span target, struct span data, struct span debug,
                     struct span in_reply_to) {
    struct connection *c = &a->connection;
    if (c->state != CONNECTION_READY && c->state != CONNECTION_ASSOCIATING && c->state != CONNECTION_UNASSOCIATED) {
        log_warn(a->log, "Cannot send a message of type %s: not connected", type);
        return false;
    }
    if (ws_pending(c->peer) > a->config->send_queue_max) {
        log_error(a->log, "The broker does not read; dropping the connection");
        struct ws_peer *peer = c->peer;
        ws_abort(peer);
        on_close(a, peer, 1006, SPAN("too much unsent"));
        return false;
    }
    char id[37];
    world_uuid(a->world, id);
    struct pcp_message m = {.id = span_of(id),
                            .message_type = span_of(type),
                            .target = target,
                            .sender = span_of(a->uri),
                            .in_reply_to = in_reply_to,
                            .data = data,
                            .debug = a->config->version == PCP_V1 ? debug : span_of(NULL),
                            .expires_ms = world_wall_ms(a->world) + (int64_t)a->config->message_ttl_ms};
    struct buf scratch = BUF_INIT;
    struct pcp_parts parts;
    frame_encode(a->config->version, &m, &scratch, &parts);
    ws_send(c->peer, pcp_is_text(a->config->version), parts.parts, parts.count);
    buf_free(&scratch);
    return true;
}

void connection_stop(struct agent *a) {
    struct connection *c = &a->connection;
    world_timer_stop(a->world, &c->timer);
    c->state = CONNECTION_STOPPED;
    if (c->peer != NULL) {
        ws_close(c->peer, 1000, "Closed by client");
    }
}

void connection_free(struct agent *a) {
    struct connection *c = &a->connection;
    world_timer_stop(a->world, &c->timer);
    attempt_free(c);
    if (c->peer != NULL) {
        ws_abort(c->peer);
        c->peer = NULL;
    }
    c->state = CONNECTION_STOPPED;
}
