/* A WebSocket over a world connection. */
#include "net/ws_peer.h"

#include "base/mem.h"
#include "net/http_internal.h"
#include "wire/ws_handshake.h"
#include "wire/ws_reader.h"
#include <assert.h>
#include <string.h>

enum {
    MESSAGE_MAX = 64 * 1024 * 1024,
    CLOSE_TIMEOUT_MS = 5000,
    HANDSHAKE_TIMEOUT_MS = 30000,
    RESPONSE_HEAD_MAX = 16 * 1024,
    PONG_PENDING_MAX = 64 * 1024, /* with more than this unsent, pings go unanswered: the peer does not read */
    PARTS_ON_STACK = 8,
};

enum state {
    CONNECTING, /* client: TCP and TLS */
    UPGRADING,  /* client: the request is out */
    OPEN,
    CLOSING, /* our close frame is out, the peer's is awaited */
    GONE,    /* on_close was called */
};

/* Bytes that wait: they came with the upgrade, or while reading was paused. */
struct early {
    struct buf bytes;
    struct world_task task;
};

/* What a client needs only until the upgrade has succeeded. */
struct opening {
    struct http1_reader reader;
    char *host, *path, *user_agent;
    char accept[WS_ACCEPT_LEN + 1];
    const char *failure; /* it cannot even be tried */
};

/* Idle connections are many: everything not always needed is behind a pointer. */
struct ws_peer {
    struct world_conn *conn; /* NULL: gone */
    struct world *world;
    const struct ws_handler *handler;
    void *ctx;
    struct ws_reader reader;
    struct timer timer;
    uint64_t active_us; /* last traffic, in or out */
    struct early *early;
    struct opening *opening;
    uint32_t idle_timeout_ms, close_timeout_ms;
    enum state state;
    bool busy; /* a callback of ours is on the stack */
    bool paused;
};

static void on_conn_open(void *ctx, struct world_conn *c);
static void on_conn_data(void *ctx, struct world_conn *c, struct span bytes);
static void on_conn_drain(void *ctx, struct world_conn *c);
static void on_conn_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text);
static const struct world_conn_handler conn_handler = {on_conn_open, on_conn_data, on_conn_drain, on_conn_close};
static void on_timer(void *ctx);

/* ---- a connection that outlives its WebSocket: what is queued goes out, what comes in is dropped */

static void ended_data(void *ctx, struct world_conn *c, struct span bytes) {
    (void)ctx, (void)c, (void)bytes;
}

static void ended_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    (void)ctx, (void)c, (void)why, (void)text;
}

static const struct world_conn_handler ended_handler = {.on_data = ended_data, .on_close = ended_close};

enum ending { END_ORDERLY, END_ABORT };

/* ---- life */

static void set_limits(struct ws_peer *p, const struct ws_limits *limits) {
    uint64_t close_ms = limits->close_timeout_ms != 0 ? limits->close_timeout_ms : CLOSE_TIMEOUT_MS;
    p->reader.message_max = limits->message_max != 0 ? limits->message_max : MESSAGE_MAX;
    p->idle_timeout_ms = limits->idle_timeout_ms < UINT32_MAX ? (uint32_t)limits->idle_timeout_ms : UINT32_MAX;
    p->close_timeout_ms = close_ms < UINT32_MAX ? (uint32_t)close_ms : UINT32_MAX;
}

static struct ws_peer *peer_new(struct world *w, enum ws_role role, const struct ws_limits *limits,
                                const struct ws_handler *handler, void *ctx) {
    struct ws_peer *p = mem_zalloc(sizeof(*p));
    p->world = w;
    p->handler = handler;
    p->ctx = ctx;
    ws_reader_init(&p->reader, role, 0);
    set_limits(p, limits);
    return p;
}

static void opening_free(struct ws_peer *p) {
    struct opening *o = p->opening;
    if (o != NULL) {
        http1_reader_free(&o->reader);
        mem_free(o->host);
        mem_free(o->path);
        mem_free(o->user_agent);
        mem_free(o);
        p->opening = NULL;
    }
}

static void early_free(struct ws_peer *p) {
    if (p->early != NULL) {
        world_undefer(p->world, &p->early->task);
        buf_free(&p->early->bytes);
        mem_free(p->early);
        p->early = NULL;
    }
}

static void peer_free(struct ws_peer *p) {
    world_timer_stop(p->world, &p->timer);
    opening_free(p);
    early_free(p);
    ws_reader_free(&p->reader);
    mem_free(p);
}

/* The last callback. `how` is what becomes of the connection (when it still is). p is freed here unless it is busy. */
static void finish(struct ws_peer *p, uint16_t code, struct span reason, enum ending how) {
    bool was_busy = p->busy;
    p->state = GONE;
    p->busy = true;
    p->handler->on_close(p->ctx, p, code, reason);
    if (p->conn != NULL && how == END_ABORT) {
        world_conn_abort(p->conn);
    } else if (p->conn != NULL) {
        world_conn_set_handler(p->conn, &ended_handler, NULL);
        world_conn_close(p->conn, p->close_timeout_ms);
    }
    p->conn = NULL;
    p->busy = was_busy;
    if (!was_busy) {
        peer_free(p);
    }
}

static void start_timer(struct ws_peer *p, uint64_t delay_ms) {
    world_timer_start(p->world, &p->timer, delay_ms, on_timer, p);
}

static void start_idle_timer(struct ws_peer *p) {
    p->active_us = world_now_us(p->world);
    if (p->idle_timeout_ms != 0) {
        start_timer(p, p->idle_timeout_ms);
    } else {
        world_timer_stop(p->world, &p->timer);
    }
}

/* ---- sending */

/* Client role: header and masked payload have to be copied. */
static void write_masked(struct ws_peer *p, struct ws_frame_head *head, const struct span *parts, size_t count) {
    head->masked = true;
    world_random(p->world, head->mask, sizeof(head->mask));
    struct buf frame = BUF_INIT;
    buf_reserve(&frame, WS_HEAD_MAX + (size_t)head->length);
    frame.len = ws_head_encode((uint8_t *)frame.ptr, head);
    uint64_t at = 0;
    for (size_t i = 0; i < count; i++) {
        ws_mask(frame.ptr + frame.len, parts[i].ptr, parts[i].len, head->mask, at);
        frame.len += parts[i].len;
        at += parts[i].len;
    }
    world_conn_write(p->conn, &(struct span){frame.ptr, frame.len}, 1);
    buf_free(&frame);
}

/* Server role: what is given goes out as it is, behind its header. */
static void write_plain(struct ws_peer *p, const struct ws_frame_head *head, const struct span *parts, size_t count) {
    uint8_t bytes[WS_HEAD_MAX];
    struct span few[PARTS_ON_STACK + 1];
    struct span *all = count <= PARTS_ON_STACK ? few : mem_array(count + 1, sizeof(*all));
    all[0] = span_bytes(bytes, ws_head_encode(bytes, head));
    if (count != 0) {
        memcpy(all + 1, parts, count * sizeof(*all));
    }
    world_conn_write(p->conn, all, count + 1);
    if (all != few) {
        mem_free(all);
    }
}

static void write_frame(struct ws_peer *p, enum ws_opcode opcode, const struct span *parts, size_t count) {
    struct ws_frame_head head = {.fin = true, .opcode = (uint8_t)opcode};
    for (size_t i = 0; i < count; i++) {
        head.length += parts[i].len;
    }
    if (p->conn == NULL) {
        return; /* the last messages of a connection that has ended */
    }
    p->active_us = world_now_us(p->world);
    if (p->reader.client) {
        write_masked(p, &head, parts, count);
    } else {
        write_plain(p, &head, parts, count);
    }
}

/* A reason that is too long is cut, between characters. */
static void write_close(struct ws_peer *p, uint16_t code, struct span reason) {
    char bytes[2] = {(char)(code >> 8), (char)(code & 0xff)};
    if (reason.len > WS_REASON_MAX) {
        reason.len = WS_REASON_MAX;
        while (reason.len != 0 && ((unsigned char)reason.ptr[reason.len] & 0xc0) == 0x80) {
            reason.len--;
        }
    }
    struct span parts[] = {{bytes, 2}, reason};
    write_frame(p, WS_OP_CLOSE, parts, code == 1005 ? 0 : 2);
}

void ws_send(struct ws_peer *p, bool text, const struct span *parts, size_t count) {
    if (p->state == OPEN) {
        write_frame(p, text ? WS_OP_TEXT : WS_OP_BINARY, parts, count);
    }
}

void ws_ping(struct ws_peer *p, struct span payload) {
    assert(payload.len <= WS_CONTROL_MAX);
    if (p->state == OPEN) {
        write_frame(p, WS_OP_PING, &payload, 1);
    }
}

void ws_close(struct ws_peer *p, uint16_t code, const char *reason) {
    assert(code == 1005 || ws_close_code_valid(code));
    if (p->state == OPEN) {
        write_close(p, code, span_of(reason));
        p->state = CLOSING;
        start_timer(p, p->close_timeout_ms);
    } else if (p->state == CONNECTING || p->state == UPGRADING) {
        p->opening->failure = "closed before it was open";
        start_timer(p, 0);
    }
}

/* ---- receiving */

/* Something the peer did, or did not do, ends the WebSocket: it is told why. */
static void fail(struct ws_peer *p, uint16_t code, struct span reason) {
    if (p->state == OPEN) {
        write_close(p, code, reason);
    }
    finish(p, code, reason, END_ORDERLY);
}

static void handle(struct ws_peer *p, const struct ws_event *ev) {
    switch (ev->kind) {
    case WS_MESSAGE:
        if (p->state == OPEN) {
            p->handler->on_message(p->ctx, p, ev->text, ev->payload);
        }
        break;
    case WS_PING:
        if (p->state == OPEN && ws_pending(p) <= PONG_PENDING_MAX) {
            write_frame(p, WS_OP_PONG, &ev->payload, 1);
        }
        if (p->state == OPEN && p->handler->on_ping != NULL) {
            p->handler->on_ping(p->ctx, p, ev->payload);
        }
        break;
    case WS_PONG:
        if (p->state == OPEN && p->handler->on_pong != NULL) {
            p->handler->on_pong(p->ctx, p, ev->payload);
        }
        break;
    case WS_CLOSED:
        if (p->state == OPEN) {
            write_close(p, ev->code, ev->payload);
        }
        finish(p, ev->code, ev->payload, END_ORDERLY);
        break;
    case WS_FAILED:
        fail(p, ev->code, ev->payload);
        break;
    }
}

static void run_early(void *ctx);

static struct early *early_of(struct ws_peer *p) {
    if (p->early == NULL) {
        p->early = mem_zalloc(sizeof(*p->early));
    }
    return p->early;
}

static void receive(struct ws_peer *p, struct span in) {
    struct ws_event ev;
    bool was_busy = p->busy;
    p->active_us = world_now_us(p->world);
    p->busy = true;
    while (p->state != GONE && !p->paused && ws_next(&p->reader, &in, &ev)) {
        handle(p, &ev);
    }
    p->busy = was_busy;
    if (p->state == GONE) {
        if (!was_busy) {
            peer_free(p);
        }
    } else if (in.len != 0) { /* paused */
        buf_append_span(&early_of(p)->bytes, in);
    }
}

static void run_early(void *ctx) {
    struct ws_peer *p = ctx;
    struct buf bytes = p->early->bytes;
    p->early->bytes = (struct buf)BUF_INIT;
    early_free(p);
    receive(p, buf_span(&bytes));
    buf_free(&bytes);
}

void ws_pause(struct ws_peer *p, bool paused) {
    if (p->state == GONE || p->paused == paused) {
        return;
    }
    p->paused = paused;
    if (p->conn != NULL) {
        world_conn_pause(p->conn, paused);
    }
    if (!paused && p->early != NULL) {
        world_defer(p->world, &p->early->task, run_early, p);
    }
}

/* ---- the client's opening */

static void fail_opening(struct ws_peer *p, const char *why) {
    finish(p, 1006, span_of(why), END_ABORT);
}

static void on_conn_open(void *ctx, struct world_conn *c) {
    struct ws_peer *p = ctx;
    struct opening *o = p->opening;
    if (o->failure != NULL) {
        return; /* closed meanwhile; the timer ends it */
    }
    uint8_t random[16];
    char key[WS_KEY_LEN + 1];
    world_random(p->world, random, sizeof(random));
    ws_key(random, key);
    ws_accept_for(key, o->accept);
    struct buf request = BUF_INIT;
    ws_write_request(&request, o->host, o->path, key, o->user_agent);
    world_conn_write(c, &(struct span){request.ptr, request.len}, 1);
    buf_free(&request);
    p->state = UPGRADING;
}

/* The response to the upgrade. Takes its bytes off *in. */
static void read_upgrade(struct ws_peer *p, struct span *in) {
    struct opening *o = p->opening;
    struct span body;
    for (;;) {
        enum http1_event event = http1_next(&o->reader, in, &body);
        if (event == HTTP1_NEED_MORE) {
            return;
        }
        if (event == HTTP1_FAILED) {
            fail_opening(p, o->reader.error.text);
            return;
        }
        int status = o->reader.head.status;
        if (event != HTTP1_HEAD || (status < 200 && status != 101)) {
            continue; /* informational */
        }
        const char *why;
        if (ws_response_valid(&o->reader.head, o->accept, &why)) {
            p->state = OPEN;
            opening_free(p);
            start_idle_timer(p);
            p->handler->on_open(p->ctx, p);
        } else if (status == 101) {
            fail_opening(p, why);
        } else {
            char *text = str_printf("the server answered the upgrade with %d %s", status, http1_status_text(status));
            fail_opening(p, text);
            mem_free(text);
        }
        return;
    }
}

struct ws_peer *ws_connect(struct world *w, const struct ws_connect *opts, const struct ws_handler *handler,
                           void *ctx) {
    uint64_t timeout_ms =
        opts->limits.handshake_timeout_ms != 0 ? opts->limits.handshake_timeout_ms : HANDSHAKE_TIMEOUT_MS;
    struct ws_peer *p = peer_new(w, WS_CLIENT, &opts->limits, handler, ctx);
    struct opening *o = mem_zalloc(sizeof(*o));
    p->opening = o;
    http1_reader_init(&o->reader, HTTP1_RESPONSE, RESPONSE_HEAD_MAX, 0, 0);
    o->path = str_dup(opts->path);
    o->user_agent = str_dup(opts->user_agent);
    o->host = str_printf(strchr(opts->to.host, ':') != NULL ? "[%s]:%u" : "%s:%u", opts->to.host, opts->to.port);
    if (!http1_is_target(o->path) || !http1_is_target(o->host)) {
        o->failure = "malformed host or path";
        timeout_ms = 0;
    }
    struct world_connect to = opts->to;
    to.timeout_ms = to.timeout_ms != 0 ? to.timeout_ms : timeout_ms;
    p->conn = o->failure == NULL ? world_connect(w, &to, &conn_handler, p) : NULL;
    start_timer(p, timeout_ms);
    return p;
}

/* ---- the server's opening */

bool ws_is_upgrade(const struct http_exchange *ex) {
    return ws_asks_upgrade(&ex->head);
}

struct ws_peer *ws_accept(struct http_exchange *ex, const struct ws_limits *limits, const struct ws_handler *handler,
                          void *ctx) {
    int status;
    const char *why;
    if (!ws_request_valid(&ex->head, &status, &why)) {
        if (status == 400) {
            http_set_header(ex, "Sec-WebSocket-Version", "13");
        }
        http_exchange_refuse(ex, status, why);
        return NULL;
    }
    struct world *w = http_world(ex);
    struct buf response = BUF_INIT, behind = BUF_INIT;
    ws_write_response(&response, http_header(ex, "sec-websocket-key"), ex->conn->server->opts.server_header,
                      world_wall_ms(w));
    struct ws_peer *p = peer_new(w, WS_SERVER, limits, handler, ctx);
    p->conn = http_take_over(ex, 101, &behind);
    world_conn_set_handler(p->conn, &conn_handler, p);
    world_conn_write(p->conn, &(struct span){response.ptr, response.len}, 1);
    buf_free(&response);
    p->state = OPEN;
    start_idle_timer(p);
    if (behind.len != 0) {
        early_of(p)->bytes = behind;
        world_defer(w, &p->early->task, run_early, p);
    } else {
        buf_free(&behind);
    }
    return p;
}

/* ---- events of the connection */

static void on_conn_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct ws_peer *p = ctx;
    (void)c;
    if (p->state == UPGRADING) {
        if (p->opening->failure != NULL) {
            return;
        }
        p->busy = true;
        read_upgrade(p, &bytes);
        p->busy = false;
        if (p->state == GONE) {
            peer_free(p);
            return;
        }
        if (p->state == UPGRADING) {
            return;
        }
    }
    if (p->early == NULL) {
        receive(p, bytes);
        return;
    }
    buf_append_span(&p->early->bytes, bytes);
    if (!p->paused) {
        run_early(p);
    }
}

static void on_conn_drain(void *ctx, struct world_conn *c) {
    struct ws_peer *p = ctx;
    (void)c;
    if (p->state == OPEN && p->handler->on_drain != NULL) {
        p->handler->on_drain(p->ctx, p);
    }
}

static void on_conn_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    static const char *const reasons[] = {
        [WORLD_CLOSE_EOF] = "the peer ended the connection", [WORLD_CLOSE_RESET] = "the connection was reset",
        [WORLD_CLOSE_REFUSED] = "connection refused",        [WORLD_CLOSE_UNREACHABLE] = "the peer cannot be reached",
        [WORLD_CLOSE_TIMEOUT] = "connecting took too long",  [WORLD_CLOSE_TLS] = "TLS failed",
        [WORLD_CLOSE_PROXY] = "the proxy refused",           [WORLD_CLOSE_LOCAL] = "closed here",
    };
    struct ws_peer *p = ctx;
    (void)c;
    p->conn = NULL;
    if (p->early != NULL && !p->paused) { /* what it sent before it ended counts */
        p->busy = true;
        run_early(p);
        p->busy = false;
        if (p->state == GONE) {
            peer_free(p);
            return;
        }
    }
    finish(p, 1006, span_of(text != NULL && text[0] != '\0' ? text : reasons[why]), END_ABORT);
}

static void on_timer(void *ctx) {
    struct ws_peer *p = ctx;
    uint64_t now = world_now_us(p->world), idle_us = (uint64_t)p->idle_timeout_ms * 1000;
    switch (p->state) {
    case CONNECTING:
    case UPGRADING:
        fail_opening(p, p->opening->failure != NULL ? p->opening->failure : "the upgrade took too long");
        break;
    case OPEN: /* traffic does not restart the timer: it looks here when it fires */
        if (now - p->active_us < idle_us) {
            start_timer(p, (idle_us - (now - p->active_us) + 999) / 1000);
        } else {
            fail(p, 1001, SPAN("Connection Idle Timeout"));
        }
        break;
    case CLOSING:
        finish(p, 1006, SPAN("no answer to the close frame"), END_ABORT);
        break;
    case GONE:
        break;
    }
}

/* ---- the rest */

void ws_abort(struct ws_peer *p) {
    if (p->state == GONE) {
        return;
    }
    p->state = GONE;
    if (p->conn != NULL) {
        world_conn_abort(p->conn);
        p->conn = NULL;
    }
    if (!p->busy) {
        peer_free(p);
    }
}

void ws_set_handler(struct ws_peer *p, const struct ws_handler *handler, void *ctx) {
    p->handler = handler;
    p->ctx = ctx;
}

void ws_set_limits(struct ws_peer *p, const struct ws_limits *limits) {
    set_limits(p, limits);
    if (p->state == OPEN) {
        start_idle_timer(p);
    }
}

size_t ws_pending(const struct ws_peer *p) {
    return p->conn != NULL ? world_conn_pending(p->conn) : 0;
}

const struct world_identity *ws_identity(const struct ws_peer *p) {
    return p->conn != NULL ? world_conn_peer(p->conn) : NULL;
}

const char *ws_remote(const struct ws_peer *p) {
    return p->conn != NULL ? world_conn_remote(p->conn) : "";
}

void *ws_ctx(const struct ws_peer *p) {
    return p->ctx;
}
