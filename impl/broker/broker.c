/* The broker's life: start, reload, orderly stop. */
#include "broker/broker.h"

#include "base/mem.h"
#include "broker/internal.h"
#include <string.h>

enum {
    HANDSHAKES_MAX = 64,
    HTTP_IDLE_MS = 30000,
    GRACE_MS = 90000,
    MESSAGE_MAX = 64 * 1024 * 1024,
    IDLE_MS = 360000,
    CRL_CHECK_MS = 60000,
    EXPIRED_THROTTLE_MS = 30,
    QUEUE_BYTES_MAX = 8 * 1024 * 1024,
    QUEUE_MESSAGES_MAX = 10000,
    TURN_MESSAGES_MAX = 64,
    UPDATE_CHANGES_MAX = 5000,
    UPDATE_INTERVAL_MS = 1000,
    CLOSE_TIMEOUT_MS = 5000,
};

#define DEFAULT(field, value)                                                                                          \
    do {                                                                                                               \
        if ((field) == 0) {                                                                                            \
            (field) = (value);                                                                                         \
        }                                                                                                              \
    } while (0)

static void fill_in(struct broker_config *c) {
    c->v1_route = c->v1_route != NULL ? c->v1_route : "/pcp";
    c->v2_route = c->v2_route != NULL ? c->v2_route : "/pcp2";
    c->status_route = c->status_route != NULL ? c->status_route : "/status";
    c->metrics_route = c->metrics_route != NULL ? c->metrics_route : "/metrics";
    DEFAULT(c->handshakes_max, HANDSHAKES_MAX);
    DEFAULT(c->http_idle_timeout_ms, HTTP_IDLE_MS);
    DEFAULT(c->controller_grace_ms, GRACE_MS);
    DEFAULT(c->message_max, MESSAGE_MAX);
    DEFAULT(c->idle_timeout_ms, IDLE_MS);
    DEFAULT(c->crl_check_period_ms, CRL_CHECK_MS);
    DEFAULT(c->expired_throttle_ms, EXPIRED_THROTTLE_MS);
    DEFAULT(c->queue_bytes_max, QUEUE_BYTES_MAX);
    DEFAULT(c->queue_messages_max, QUEUE_MESSAGES_MAX);
    DEFAULT(c->turn_messages_max, TURN_MESSAGES_MAX);
    DEFAULT(c->update_changes_max, UPDATE_CHANGES_MAX);
    DEFAULT(c->update_interval_ms, UPDATE_INTERVAL_MS);
    DEFAULT(c->close_timeout_ms, CLOSE_TIMEOUT_MS);
}

static bool check_route(const char *key, const char *route, bool may_be_empty, struct error *err) {
    struct span s = span_of(route);
    if ((s.len == 0 && may_be_empty) ||
        (span_starts_with(s, "/") && !span_ends_with(s, "/") && span_find(s, ':') < 0 && span_find(s, '*') < 0)) {
        return true;
    }
    return error_set(err, "broker/config", "%s: \"%s\" must start with '/', not end with it, and hold no ':' or '*'",
                     key, route);
}

static bool check_config(const struct broker_config *c, struct error *err) {
    if (!check_route("v1", c->v1_route, false, err) || !check_route("v2", c->v2_route, true, err) ||
        !check_route("status-service", c->status_route, true, err) ||
        !check_route("metrics", c->metrics_route, true, err)) {
        return false;
    }
    return !str_eq(c->v1_route, c->v2_route) ||
           error_set(err, "broker/config", "v1 and v2 have the same route %s", c->v1_route);
}

static void log_life(struct broker *b, const char *type, const char *msg) {
    log_event(b->log.main, LOG_INFO, type, msg, "brokername", b->name, NULL);
}

static bool open_all(struct broker *b, struct error *err) {
    if (!check_config(&b->config, err) || !controllers_new(b, err)) {
        return false;
    }
    b->tls = world_tls_new(b->world, &b->config.tls, err);
    if (b->tls == NULL) {
        return false;
    }
    const struct world_identity *self = world_tls_self(b->tls);
    const char *own = self != NULL && self->common_name != NULL ? self->common_name : "broker";
    b->name = str_dup(b->config.name != NULL ? b->config.name : own);
    log_life(b, "broker-init", "Initializing the broker");
    return door_open(b, err) && crl_start(b, err);
}

struct broker *broker_new(struct world *w, const struct broker_config *config, const struct broker_loggers *loggers,
                          struct rules *rules, struct error *err) {
    struct broker *b = mem_zalloc(sizeof *b);
    uint64_t now = world_now_us(w);
    b->world = w;
    b->config = *config;
    b->log = *loggers;
    b->rules = rules;
    fill_in(&b->config);
    map_init(&b->by_uri);
    list_init(&b->sessions);
    list_init(&b->closing);
    list_init(&b->subscriptions);
    metrics_timer_init(&b->on_connect, now);
    metrics_timer_init(&b->on_close, now);
    metrics_timer_init(&b->on_message, now);
    metrics_timer_init(&b->on_send, now);
    if (!open_all(b, err)) {
        broker_free(b);
        return NULL;
    }
    return b;
}

void broker_start(struct broker *b) {
    log_life(b, "broker-start", "Starting the broker");
    b->state = BROKER_RUNNING;
    if (b->config.v2_route[0] == '\0') {
        log_event(b->log.main, LOG_INFO, "v2-unavailable", "PCP version 2 is not configured, serving version 1 only",
                  NULL);
    }
    controllers_start(b);
    log_life(b, "broker-started", "The broker is running");
}

/* Everything but the door. */
static void release(struct broker *b) {
    world_timer_stop(b->world, &b->drain);
    controllers_free(b);
    sessions_abort(b);
    crl_stop(b);
    subscriptions_free(b);
    world_timer_stop(b->world, &b->wake);
    world_undefer(b->world, &b->turn_end);
    if (b->door != NULL) {
        door_close(b, b->stopped, b->stopped_ctx);
    }
    if (b->tls != NULL) {
        world_tls_free(b->tls);
    }
    rules_free(b->rules);
    map_free(&b->by_uri);
    buf_free(&b->decoded);
    buf_free(&b->encoded);
    buf_free(&b->body);
    mem_free(b->resting);
    mem_free(b->name);
    mem_free(b);
}

void broker_free(struct broker *b) {
    if (b != NULL) {
        b->stopped = NULL;
        release(b);
    }
}

/* Everyone has gone, or the time is up. */
static void drained(void *ctx) {
    struct broker *b = ctx;
    log_life(b, "broker-stopped", "The broker has stopped");
    release(b);
}

void broker_stop_progress(struct broker *b) {
    if (b->state == BROKER_STOPPING && list_empty(&b->sessions) && list_empty(&b->closing) && !controllers_open(b)) {
        world_timer_start(b->world, &b->drain, 0, drained, b);
    }
}

void broker_stop(struct broker *b, uint64_t drain_ms, void (*done)(void *ctx), void *ctx) {
    struct list_link *k;
    log_life(b, "broker-stop", "Stopping the broker");
    b->state = BROKER_STOPPING;
    b->stopped = done;
    b->stopped_ctx = ctx;
    controllers_stop(b);
    while ((k = list_first(&b->sessions)) != NULL) {
        peer_close(LIST_ITEM(k, struct peer, link), CLOSE_SHUTDOWN);
    }
    world_timer_start(b->world, &b->drain, drain_ms, drained, b);
    broker_stop_progress(b);
}

uint16_t broker_port(const struct broker *b) {
    return door_port(b);
}

size_t broker_session_count(const struct broker *b) {
    return map_count(&b->by_uri);
}

void broker_set_rules(struct broker *b, struct rules *rules) {
    rules_free(b->rules);
    b->rules = rules;
}

bool broker_reload_tls(struct broker *b, struct error *err) {
    return world_tls_reload(b->tls, err);
}

enum broker_state broker_state(const struct broker *b) {
    return b->state == BROKER_RUNNING && controllers_gone(b) ? BROKER_ERROR : b->state;
}
