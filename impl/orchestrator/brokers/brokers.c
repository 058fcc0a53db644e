/* Connecting to each broker, staying connected, coming back. */
#include "base/mem.h"
#include "orchestrator/brokers/internal.h"

#include <string.h>

enum { MESSAGE_MAX = 64 << 20, BROKERS_LIMIT = 32 };

static void dial(void *ctx);
static void ping(void *ctx);

/* ---------------------------------------------------------------------------------------- one broker */

static void redial_later(struct broker *k) {
    struct brokers *b = k->all;
    k->state = BROKER_DOWN;
    if (b->stopping) {
        return;
    }
    /* Half of the pause is left to chance, so that many orchestrators do not come back at once. */
    uint64_t delay = k->backoff_ms / 2 + world_random_below(b->world, k->backoff_ms / 2 + 1);
    k->backoff_ms = k->backoff_ms * 2 > BROKERS_BACKOFF_MAX_MS ? BROKERS_BACKOFF_MAX_MS : k->backoff_ms * 2;
    world_timer_start(b->world, &k->timer, delay, dial, k);
}

static void maybe_stopped(struct brokers *b) {
    if (!b->stopping || b->stopped == NULL) {
        return;
    }
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].peer != NULL) {
            return;
        }
    }
    void (*done)(void *ctx) = b->stopped;
    b->stopped = NULL;
    world_timer_stop(b->world, &b->stop_timer);
    done(b->stopped_ctx);
}

/* The connection is gone, whoever ended it. */
static void lost(struct broker *k) {
    struct brokers *b = k->all;
    bool was_ready = k->state == BROKER_READY;
    k->peer = NULL;
    world_timer_stop(b->world, &k->timer);
    redial_later(k);
    b->open -= was_ready ? 1 : 0;
    b->metrics.losses += was_ready ? 1 : 0;
    presence_drop_broker(b, k->bit);
    maybe_stopped(b);
}

static void on_open(void *ctx, struct ws_peer *p) {
    struct broker *k = ctx;
    const struct world_identity *id = ws_identity(p);
    mem_free(k->name);
    k->name = str_printf("pcp://%s/server", id != NULL && id->common_name != NULL ? id->common_name : k->host);
    k->state = BROKER_ASKING;
    k->heard_us = world_now_us(k->all->world);
    broker_ask_inventory(k);
    world_timer_start(k->all->world, &k->timer, BROKERS_PING_MS, ping, k);
}

void broker_ready(struct broker *k) {
    struct brokers *b = k->all;
    k->state = BROKER_READY;
    k->backoff_ms = BROKERS_BACKOFF_FIRST_MS;
    b->open++;
    b->metrics.connects++;
    log_info(b->log, "connected to %s (%s:%u)", k->name, k->host, k->port);
}

static void on_pong(void *ctx, struct ws_peer *p, struct span payload) {
    struct broker *k = ctx;
    (void)p, (void)payload;
    k->heard_us = world_now_us(k->all->world);
}

static bool any_busy(const struct brokers *b) {
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].peer != NULL && ws_pending(b->items[i].peer) > BROKERS_PENDING_MAX) {
            return true;
        }
    }
    return false;
}

static void recheck_busy(struct brokers *b) {
    if (b->busy && !any_busy(b)) {
        b->busy = false;
        if (b->handler != NULL) {
            b->handler->on_writable(b->ctx);
        }
    }
}

static void on_drain(void *ctx, struct ws_peer *p) {
    struct broker *k = ctx;
    (void)p;
    recheck_busy(k->all);
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct broker *k = ctx;
    struct brokers *b = k->all;
    (void)p;
    if (!b->stopping) {
        log_warn(b->log, "no connection to the broker at %s:%u: %u %.*s", k->host, k->port, code, (int)reason.len,
                 reason.ptr);
    }
    k->peer = NULL;
    recheck_busy(b);
    lost(k);
}

static const struct ws_handler ws_handler = {.on_open = on_open,
                                             .on_message = broker_on_message,
                                             .on_pong = on_pong,
                                             .on_drain = on_drain,
                                             .on_close = on_close};

static void ping(void *ctx) {
    struct broker *k = ctx;
    struct brokers *b = k->all;
    if (world_now_us(b->world) - k->heard_us >= (uint64_t)BROKERS_SILENCE_MS * 1000) {
        log_warn(b->log, "the broker at %s:%u has been silent for %d s", k->host, k->port, BROKERS_SILENCE_MS / 1000);
        ws_abort(k->peer);
        k->peer = NULL;
        recheck_busy(b);
        lost(k);
        return;
    }
    ws_ping(k->peer, span_bytes("", 1));
    world_timer_start(b->world, &k->timer, BROKERS_PING_MS, ping, k);
}

static void dial(void *ctx) {
    struct broker *k = ctx;
    struct brokers *b = k->all;
    struct ws_connect opts = {
        .to = {.host = k->host, .port = k->port, .tls = b->tls},
        .path = k->path,
        .user_agent = "dalang-orchestrator/" DALANG_VERSION,
        .limits = {.message_max = b->message_max},
    };
    k->state = BROKER_DIALING;
    k->peer = ws_connect(b->world, &opts, &ws_handler, k);
}

/* ---------------------------------------------------------------------------------------- all of them */

static bool add_broker(struct brokers *b, const char *url, struct error *err) {
    struct broker *k = &b->items[b->count];
    if (!broker_url_parse(url, k, err)) {
        return false;
    }
    const struct world_identity *self = world_tls_self(b->tls);
    k->all = b;
    k->bit = (uint32_t)1 << b->count++;
    k->name = str_printf("pcp://%s/server", k->host);
    k->sender =
        self != NULL && self->common_name != NULL ? str_printf("pcp://%s/%s", self->common_name, k->type) : NULL;
    k->backoff_ms = BROKERS_BACKOFF_FIRST_MS;
    return true;
}

struct brokers *brokers_new(struct world *w, const struct brokers_opts *opts, struct error *err) {
    struct brokers *b = mem_zalloc(sizeof *b);
    b->world = w;
    b->tls = opts->tls;
    b->log = opts->log;
    b->message_max = opts->message_max != 0 ? opts->message_max : MESSAGE_MAX;
    b->items = mem_array(opts->count, sizeof *b->items);
    bool ok = opts->count <= BROKERS_LIMIT ||
              error_set(err, "configuration", "pcp-broker-urls: at most %d brokers", BROKERS_LIMIT);
    for (size_t i = 0; ok && i < opts->count; i++) {
        ok = add_broker(b, opts->urls[i], err);
    }
    if (!ok) {
        brokers_free(b);
        return NULL;
    }
    return b;
}

void brokers_set_handler(struct brokers *b, const struct brokers_handler *handler, void *ctx) {
    b->handler = handler;
    b->ctx = ctx;
}

void brokers_start(struct brokers *b) {
    for (size_t i = 0; i < b->count; i++) {
        dial(&b->items[i]);
    }
}

static void drop_all(struct brokers *b) {
    for (size_t i = 0; i < b->count; i++) {
        struct broker *k = &b->items[i];
        world_timer_stop(b->world, &k->timer);
        if (k->peer != NULL) {
            ws_abort(k->peer);
            k->peer = NULL;
        }
    }
}

static void stop_check(void *ctx) {
    maybe_stopped(ctx);
}

static void stop_late(void *ctx) {
    struct brokers *b = ctx;
    drop_all(b);
    maybe_stopped(b);
}

void brokers_stop(struct brokers *b, void (*done)(void *ctx), void *ctx) {
    b->stopping = true;
    b->stopped = done;
    b->stopped_ctx = ctx;
    for (size_t i = 0; i < b->count; i++) {
        world_timer_stop(b->world, &b->items[i].timer);
        if (b->items[i].peer != NULL) {
            ws_close(b->items[i].peer, 1000, "");
        }
    }
    world_timer_start(b->world, &b->stop_timer, BROKERS_STOP_MS, stop_late, b);
    world_defer(b->world, &b->stop_task, stop_check, b);
}

void brokers_free(struct brokers *b) {
    if (b == NULL) {
        return;
    }
    b->handler = NULL;
    drop_all(b);
    world_timer_stop(b->world, &b->stop_timer);
    world_undefer(b->world, &b->stop_task);
    presence_free(b);
    for (size_t i = 0; i < b->count; i++) {
        struct broker *k = &b->items[i];
        mem_free(k->host);
        mem_free(k->path);
        mem_free(k->type);
        mem_free(k->name);
        mem_free(k->sender);
    }
    mem_free(b->items);
    buf_free(&b->scratch);
    buf_free(&b->head);
    buf_free(&b->inventory);
    mem_free(b);
}

bool brokers_any_open(const struct brokers *b) {
    return b->open != 0;
}

size_t brokers_open_count(const struct brokers *b) {
    return b->open;
}

bool brokers_busy(const struct brokers *b) {
    return b->busy;
}

const struct brokers_metrics *brokers_metrics(const struct brokers *b) {
    return &b->metrics;
}
