/* One end of a simulated connection: what an actor holds as its world_conn. */
#include "simulator/world/net.h"

#include "base/mem.h"
#include <stdio.h>
#include <string.h>

static const char *const reason_names[] = {
    [WORLD_CLOSE_EOF] = "eof",         [WORLD_CLOSE_RESET] = "reset",
    [WORLD_CLOSE_REFUSED] = "refused", [WORLD_CLOSE_UNREACHABLE] = "unreachable",
    [WORLD_CLOSE_TIMEOUT] = "timeout", [WORLD_CLOSE_TLS] = "tls",
    [WORLD_CLOSE_PROXY] = "proxy",     [WORLD_CLOSE_LOCAL] = "local",
};

const char *close_reason_name(enum world_close_reason why) {
    return reason_names[why];
}

struct sim_conn *conn_new(struct sim_host *h, struct world *w) {
    struct sim_conn *c = mem_zalloc(sizeof(*c));
    c->base.ops = &sim_conn_ops;
    c->base.world = w;
    c->host = h;
    c->state = h->crashing ? CONN_DEAD : CONN_CONNECTING;
    list_push_back(&h->connections, &c->link);
    return c;
}

static void trace(const struct sim_conn *c, enum sim_event_kind kind, const char *text, struct span bytes) {
    sim_trace(c->host->sim, c->host, kind, c->id, c->end == 1, text, bytes);
}

static void stop_timers(struct sim_conn *c) {
    sim_inbox_stop(c->host, &c->deadline);
    sim_inbox_stop(c->host, &c->soon);
}

/* Leaves the channel; what is in the pipes goes on. */
static void detach(struct sim_conn *c) {
    struct channel *ch = c->channel;
    c->channel = NULL;
    if (c->listener != NULL) {
        listener_done(c);
    }
    if (ch != NULL) {
        channel_detach(ch, c->end);
    }
}

void conn_free(struct sim_conn *c) {
    stop_timers(c);
    detach(c);
    list_remove(&c->host->connections, &c->link);
    tls_state_unref(c->tls);
    buf_free(&c->queue);
    mem_free(c->text);
    mem_free(c->server_name);
    mem_free(c);
}

void conn_kill(struct sim_conn *c) {
    stop_timers(c);
    c->state = CONN_DEAD;
    c->base.handler = NULL;
    buf_free(&c->queue);
    c->sent = 0;
    detach(c);
}

static void finish(void *ctx) {
    struct sim_conn *c = ctx;
    char text[256];
    snprintf(text, sizeof(text), "%s: %s", close_reason_name(c->why), c->text);
    trace(c, SIM_EVENT_CLOSE, text, SPAN(""));
    c->finishing = true;
    if (c->base.handler != NULL && c->base.handler->on_close != NULL) {
        c->base.handler->on_close(c->base.ctx, &c->base, c->why, c->text);
    }
    conn_free(c);
}

void conn_end(struct sim_conn *c, enum world_close_reason why, const char *format, ...) {
    if (c->state == CONN_ENDING || c->state == CONN_DEAD) {
        return;
    }
    stop_timers(c);
    if (c->listener != NULL) { /* never shown to anybody */
        conn_free(c);
        return;
    }
    va_list args;
    va_start(args, format);
    struct buf text = BUF_INIT;
    buf_vprintf(&text, format, args);
    va_end(args);
    c->text = buf_take(&text);
    c->why = why;
    c->state = CONN_ENDING;
    buf_free(&c->queue);
    c->sent = 0;
    detach(c);
    sim_inbox_start(c->host, &c->soon, 0, finish, c);
}

/* ---- what the actor does */

static void drained(void *ctx) {
    struct sim_conn *c = ctx;
    trace(c, SIM_EVENT_DRAIN, "", SPAN(""));
    if (c->base.handler != NULL && c->base.handler->on_drain != NULL) {
        c->base.handler->on_drain(c->base.ctx, &c->base);
    }
}

static void send_eof(struct sim_conn *c) {
    channel_send(c->channel, c->end, SEGMENT_EOF, SPAN(""));
    conn_end(c, WORLD_CLOSE_LOCAL, "closed");
}

static size_t unsent(const struct sim_conn *c) {
    return c->queue.len - c->sent;
}

/* Moves what is left only when it is less than what has gone: a long queue costs no more per byte than a short one. */
static void took(struct sim_conn *c, size_t len) {
    c->sent += len;
    if (c->sent > unsent(c)) {
        buf_consume(&c->queue, c->sent);
        c->sent = 0;
    }
}

void conn_pump(struct sim_conn *c) {
    if ((c->state != CONN_OPEN && c->state != CONN_CLOSING) || unsent(c) == 0) {
        return;
    }
    size_t len = channel_room(c->channel, c->end, unsent(c));
    if (len == 0) {
        return;
    }
    channel_send(c->channel, c->end, SEGMENT_DATA, span_bytes(c->queue.ptr + c->sent, len));
    took(c, len);
    if (unsent(c) != 0) {
        return;
    }
    buf_free(&c->queue); /* idle connections hold no memory */
    if (c->state == CONN_CLOSING) {
        send_eof(c);
    } else if (c->blocked) {
        c->blocked = false;
        sim_inbox_start(c->host, &c->soon, 0, drained, c);
    }
}

static void conn_write(struct world_conn *base, const struct span *parts, size_t count) {
    struct sim_conn *c = (struct sim_conn *)base;
    if (c->state != CONN_OPEN && c->state != CONN_CONNECTING) {
        return;
    }
    size_t before = c->queue.len;
    for (size_t i = 0; i < count; i++) {
        buf_append_span(&c->queue, parts[i]);
    }
    trace(c, SIM_EVENT_WRITE, "", span_bytes(c->queue.ptr + before, c->queue.len - before));
    conn_pump(c);
    c->blocked = c->blocked || unsent(c) != 0;
}

static size_t conn_pending(const struct world_conn *base) {
    return unsent((const struct sim_conn *)base);
}

static void conn_pause(struct world_conn *base, bool paused) {
    struct sim_conn *c = (struct sim_conn *)base;
    c->paused = paused;
    if (c->channel != NULL) {
        channel_resume(c->channel, c->end);
    }
}

static void flush_timeout(void *ctx) {
    struct sim_conn *c = ctx;
    channel_send(c->channel, c->end, SEGMENT_RESET, SPAN(""));
    conn_end(c, WORLD_CLOSE_LOCAL, "closed with %zu bytes unsent", unsent(c));
}

static void conn_close(struct world_conn *base, uint64_t flush_ms) {
    struct sim_conn *c = (struct sim_conn *)base;
    if (c->state == CONN_CONNECTING) {
        trace(c, SIM_EVENT_CLOSING, "close", SPAN(""));
        if (c->channel != NULL) {
            channel_send(c->channel, c->end, SEGMENT_RESET, SPAN(""));
        }
        conn_end(c, WORLD_CLOSE_LOCAL, "closed before it was open");
    } else if (c->state == CONN_OPEN) {
        trace(c, SIM_EVENT_CLOSING, "close", SPAN(""));
        c->state = CONN_CLOSING;
        sim_inbox_stop(c->host, &c->soon);
        channel_resume(c->channel, c->end);
        if (unsent(c) == 0) {
            send_eof(c);
        } else {
            sim_inbox_start(c->host, &c->deadline, flush_ms * 1000, flush_timeout, c);
        }
    }
}

static void conn_abort(struct world_conn *base) {
    struct sim_conn *c = (struct sim_conn *)base;
    if (c->finishing) {
        return;
    }
    if (c->state != CONN_DEAD) {
        trace(c, SIM_EVENT_CLOSING, "abort", SPAN(""));
    }
    if (c->channel != NULL) {
        channel_send(c->channel, c->end, SEGMENT_RESET, SPAN(""));
    }
    conn_free(c);
}

static const struct world_identity *conn_peer(const struct world_conn *base) {
    const struct sim_conn *c = (const struct sim_conn *)base;
    return c->peer != NULL ? &c->peer->identity : NULL;
}

static const char *conn_remote(const struct world_conn *base) {
    return ((const struct sim_conn *)base)->remote;
}

static const char *conn_local(const struct world_conn *base) {
    return ((const struct sim_conn *)base)->local;
}

const struct world_conn_ops sim_conn_ops = {conn_write, conn_pending, conn_pause,  conn_close,
                                            conn_abort, conn_peer,    conn_remote, conn_local};

/* ---- what arrives */

bool conn_reads(const struct sim_conn *c) {
    return c->state != CONN_WAITING && (!c->paused || c->state == CONN_CLOSING);
}

static void open_client(struct sim_conn *c) {
    c->state = CONN_OPEN;
    sim_inbox_stop(c->host, &c->deadline);
    conn_pump(c); /* written before it was open */
    trace(c, SIM_EVENT_OPEN, c->peer != NULL ? c->peer->identity.serial : "", SPAN(""));
    if (c->base.handler->on_open != NULL) {
        c->base.handler->on_open(c->base.ctx, &c->base);
    }
}

static void server_flight(struct sim_conn *c) {
    struct channel *ch = c->channel;
    const struct tls_state *theirs = ch->server_tls;
    const char *alert = NULL;
    const char *wrong = tls_verify(c->host, c->tls, theirs->cert, &alert);
    if (wrong == NULL && !tls_names(&theirs->cert->identity, c->server_name)) {
        wrong = "hostname mismatch";
        alert = "sslv3 alert bad certificate";
    }
    if (wrong != NULL) {
        channel_send(ch, c->end, SEGMENT_ALERT, span_of(alert));
        conn_end(c, WORLD_CLOSE_TLS, "certificate verify failed: %s", wrong);
        return;
    }
    c->peer = theirs->cert;
    c->tls13 = c->tls->tls13 && theirs->tls13;
    channel_send(ch, c->end, SEGMENT_CLIENT_FLIGHT, SPAN(""));
    if (c->tls13) {
        open_client(c); /* before the server has judged our certificate */
    }
}

/* A client that is not open yet. */
static void connecting_segment(struct sim_conn *c, const struct segment *s) {
    switch (s->kind) {
    case SEGMENT_SYN_ACK:
        if (c->tls != NULL) {
            channel_send(c->channel, c->end, SEGMENT_CLIENT_HELLO, SPAN(""));
        } else {
            channel_send(c->channel, c->end, SEGMENT_ACK, SPAN(""));
            open_client(c);
        }
        break;
    case SEGMENT_SERVER_FLIGHT:
        server_flight(c);
        break;
    case SEGMENT_FINISHED:
        open_client(c);
        break;
    case SEGMENT_DATA: /* the server speaks no TLS */
        channel_send(c->channel, c->end, SEGMENT_RESET, SPAN(""));
        conn_end(c, WORLD_CLOSE_TLS, "wrong version number");
        break;
    case SEGMENT_REFUSED:
        conn_end(c, WORLD_CLOSE_REFUSED, "%s: connection refused", c->remote);
        break;
    case SEGMENT_EOF:
        conn_end(c, WORLD_CLOSE_TLS, "unexpected eof while reading");
        break;
    case SEGMENT_ALERT:
        conn_end(c, WORLD_CLOSE_TLS, "%.*s", (int)s->len, s->bytes);
        break;
    case SEGMENT_RESET:
        conn_end(c, WORLD_CLOSE_RESET, "%s: connection reset by peer", c->remote);
        break;
    default:
        break;
    }
}

static void open_segment(struct sim_conn *c, const struct segment *s) {
    switch (s->kind) {
    case SEGMENT_DATA:
        trace(c, SIM_EVENT_DATA, "", span_bytes(s->bytes, s->len));
        if (c->base.handler != NULL && c->base.handler->on_data != NULL) {
            c->base.handler->on_data(c->base.ctx, &c->base, span_bytes(s->bytes, s->len));
        }
        break;
    case SEGMENT_CORRUPT:
        channel_send(c->channel, c->end, SEGMENT_ALERT, SPAN("sslv3 alert bad record mac"));
        conn_end(c, WORLD_CLOSE_TLS, "decryption failed or bad record mac");
        break;
    case SEGMENT_EOF:
        conn_end(c, WORLD_CLOSE_EOF, "end of stream");
        break;
    case SEGMENT_ALERT:
        conn_end(c, WORLD_CLOSE_TLS, "%.*s", (int)s->len, s->bytes);
        break;
    case SEGMENT_RESET:
        conn_end(c, WORLD_CLOSE_RESET, "connection reset by peer");
        break;
    default: /* the rest of a handshake */
        break;
    }
}

void conn_segment(struct sim_conn *c, const struct segment *s) {
    switch (c->state) {
    case CONN_CONNECTING:
        connecting_segment(c, s);
        break;
    case CONN_HANDSHAKE:
        listener_segment(c, s);
        break;
    case CONN_OPEN:
        open_segment(c, s);
        break;
    case CONN_CLOSING:
        if (s->kind == SEGMENT_RESET) {
            conn_end(c, WORLD_CLOSE_RESET, "connection reset by peer");
        }
        break;
    default:
        break;
    }
}
