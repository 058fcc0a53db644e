/* links: net wire world base */
/* A server, its WebSockets and several clients, all driven by the input: connections, bytes, time, answers, pauses,
 * ends in any order. Every request that reached its handler is answered or abandoned once, every WebSocket is closed
 * once, and in the end nothing is left. */
#include "impl/net/tests/pipe.c"
#include "net/ws_peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PORT = 80, CLIENTS = 4, HELD_MAX = 16, PEERS_MAX = 16, STEPS_MAX = 200 };

struct held {
    struct http_exchange *ex; /* NULL: free */
    bool streaming;
};

struct peer {
    struct ws_peer *p; /* NULL: free */
};

struct fuzz {
    struct pipe_world *pw;
    struct http_server *server;
    struct raw clients[CLIENTS];
    struct held held[HELD_MAX];
    struct peer peers[PEERS_MAX];
    struct span in;
    bool closed;
};

static uint8_t next(struct fuzz *f) {
    uint8_t byte = f->in.len != 0 ? (uint8_t)f->in.ptr[0] : 0;
    f->in = span_sub(f->in, 1, f->in.len);
    return byte;
}

/* ---- handlers */

static void on_abandoned(void *ctx) {
    struct held *h = ctx;
    assert(h->ex != NULL); /* at most once, and never after the answer */
    h->ex = NULL;
}

static void handle_hold(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct fuzz *f = ctx;
    (void)route;
    for (size_t i = 0; i < HELD_MAX; i++) {
        if (f->held[i].ex == NULL) {
            f->held[i] = (struct held){.ex = ex};
            http_on_abandon(ex, on_abandoned, &f->held[i]);
            return;
        }
    }
    http_abort(ex);
}

static void handle_echo(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx, (void)route;
    const char *name, *value;
    for (size_t i = 0; http_query_at(ex, i, &name, &value); i++) {
        http_set_header(ex, "X-Query", value);
    }
    http_respond(ex, 200, http_param(ex, "type"), http_request(ex)->body);
}

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    (void)ctx;
    switch (payload.len != 0 ? payload.ptr[0] : 0) {
    case 'p':
        ws_pause(p, true);
        break;
    case 'c':
        ws_close(p, 4002, "as told");
        break;
    default:
        ws_send(p, text, &payload, 1);
        break;
    }
}

static void on_ws_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct peer *peer = ctx;
    (void)code, (void)reason;
    assert(peer->p == p); /* once */
    peer->p = NULL;
}

static const struct ws_handler ws_handler = {.on_message = on_message, .on_close = on_ws_close};

static void handle_ws(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct fuzz *f = ctx;
    (void)route;
    const struct ws_limits limits = {.message_max = 200, .idle_timeout_ms = 700, .close_timeout_ms = 300};
    for (size_t i = 0; i < PEERS_MAX; i++) {
        if (f->peers[i].p == NULL) {
            f->peers[i].p = ws_accept(ex, &limits, &ws_handler, &f->peers[i]);
            return;
        }
    }
    http_abort(ex);
}

static const struct http_route routes[] = {{NULL, "/hold", handle_hold, NULL},
                                           {"POST", "/echo/:type", handle_echo, NULL},
                                           {"GET", "/ws/*rest", handle_ws, NULL},
                                           {NULL, NULL, NULL, NULL}};

/* ---- what the input may ask for */

static void answer(struct fuzz *f, uint8_t how) {
    struct held *h = &f->held[how % HELD_MAX];
    if (h->ex == NULL) {
        return;
    }
    struct http_exchange *ex = h->ex;
    if (h->streaming && (how & 64) != 0) {
        http_stream_write(ex, SPAN("a piece of a stream"));
        return;
    }
    if (!h->streaming && (how & 64) != 0) {
        h->streaming = true;
        http_stream_start(ex, 200, "text/event-stream");
        return;
    }
    h->ex = NULL;
    if ((how & 128) != 0) {
        http_abort(ex);
    } else if (h->streaming) {
        http_stream_end(ex);
    } else {
        http_respond(ex, 200, "text/plain", SPAN("held"));
    }
}

static void act_on_peer(struct fuzz *f, uint8_t how) {
    struct peer *peer = &f->peers[how % PEERS_MAX];
    if (peer->p == NULL) {
        return;
    }
    switch (how / PEERS_MAX % 5) {
    case 0:
        ws_send(peer->p, true, &SPAN("from the server"), 1);
        break;
    case 1:
        ws_close(peer->p, 1000, "done");
        break;
    case 2:
        ws_abort(peer->p);
        peer->p = NULL;
        break;
    case 3:
        ws_pause(peer->p, false);
        break;
    default:
        ws_ping(peer->p, SPAN("x"));
        break;
    }
}

static const char *const phrases[] = {
    "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /echo/a%20b?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    "GET /ws/ HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
    "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "\x81\x81\x01\x01\x01\x01q", /* "p" */
    "\x81\x81\x01\x01\x01\x01"
    "b", /* "c" */
    "\x81\x82\x01\x01\x01\x01xy",
    "\x01\x82\x01\x01\x01\x01xy",
    "\x80\x81\x01\x01\x01\x01z",
    "\x89\x81\x01\x01\x01\x01z",
    "\x88\x82\x01\x01\x01\x01\x02\xe9", /* 1000 */
    "POST /echo/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
    "3\r\nabc\r\n0\r\n\r\n",
};
enum { PHRASES = sizeof(phrases) / sizeof(phrases[0]) };

static void step_input(struct fuzz *f) {
    uint8_t what = next(f), arg = next(f);
    struct raw *r = &f->clients[what / 16 % CLIENTS];
    switch (what % 16) {
    case 0:
    case 1:
        if (r->conn == NULL) {
            raw_connect(r, f->pw, PORT);
        } else {
            raw_send(r, span_of(phrases[arg % PHRASES]));
        }
        break;
    case 2:
    case 3:
        if (r->conn != NULL) {
            raw_send(r, span_of(phrases[arg % PHRASES]));
        }
        break;
    case 4:
        if (r->conn != NULL) {
            raw_send(r, span_sub(f->in, 0, arg));
        }
        f->in = span_sub(f->in, arg, f->in.len);
        break;
    case 5:
        if (r->conn != NULL) {
            world_conn_close(r->conn, arg);
        }
        break;
    case 6:
        raw_free(r);
        break;
    case 7:
        if (r->conn != NULL) {
            world_conn_pause(r->conn, (arg & 1) != 0);
        }
        break;
    case 8:
        pipe_split(f->pw, arg % 32);
        break;
    case 9:
        pipe_window(f->pw, (arg & 1) != 0 ? SIZE_MAX : arg);
        break;
    case 10:
        pipe_advance(f->pw, 10u * arg);
        break;
    case 11:
    case 12:
        answer(f, arg);
        break;
    case 13:
        act_on_peer(f, arg);
        break;
    default:
        pipe_run(f->pw);
        break;
    }
}

static void on_closed(void *ctx) {
    ((struct fuzz *)ctx)->closed = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz f = {.pw = pipe_world_new(), .in = span_bytes(data, size)};
    struct http_server_opts opts = {.listen = {.port = PORT},
                                    .routes = routes,
                                    .ctx = &f,
                                    .body_max = 1000,
                                    .head_max = 600,
                                    .idle_timeout_ms = 500,
                                    .connections_max = 3,
                                    .gzip = true};
    f.server = http_server_new(pipe_world(f.pw), &opts, NULL);
    uint8_t grace = next(&f);
    for (size_t i = 0; i < STEPS_MAX && f.in.len != 0; i++) {
        step_input(&f);
    }
    http_server_close(f.server, grace, on_closed, &f);
    pipe_window(f.pw, SIZE_MAX);
    pipe_split(f.pw, 0);
    pipe_advance(f.pw, grace);
    assert(f.closed);
    for (size_t i = 0; i < HELD_MAX; i++) {
        assert(f.held[i].ex == NULL);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        raw_free(&f.clients[i]);
    }
    for (size_t i = 0; i < PEERS_MAX; i++) {
        if (f.peers[i].p != NULL) {
            ws_pause(f.peers[i].p, false);
        }
    }
    pipe_advance(f.pw, 1000);
    for (size_t i = 0; i < PEERS_MAX; i++) {
        assert(f.peers[i].p == NULL);
    }
    pipe_world_free(f.pw);
    return 0;
}
