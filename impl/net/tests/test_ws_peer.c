/* WebSockets over pipes: two peers of ours, and ours against hand-made bytes. Close codes and what follows them are the
 * recorded ones of the reference broker (broker-observed.md), the idle text is pcp.md §9.3's. */
#include "base/mem.h"
#include "net/ws_peer.h"
#include "pipe.h"
#include "wire/ws_frame.h"
#include "wire/ws_handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { PORT = 8142, MESSAGE_MAX = 100, IDLE_MS = 3000, CLOSE_MS = 500, HANDSHAKE_MS = 2000 };

/* ---- one side: writes down what happens */

enum reaction { NOTHING, ECHO, ABORT, CLOSE, PAUSE };

struct side {
    struct ws_peer *peer; /* NULL: closed */
    struct buf log;
    enum reaction on_message;
};

static void on_open(void *ctx, struct ws_peer *p) {
    struct side *s = ctx;
    s->peer = p;
    buf_append_cstr(&s->log, "open\n");
}

static void react(struct side *s, struct ws_peer *p, bool text, struct span payload) {
    switch (s->on_message) {
    case NOTHING:
        break;
    case ECHO:
        ws_send(p, text, &payload, 1);
        break;
    case ABORT:
        ws_abort(p);
        s->peer = NULL;
        break;
    case CLOSE:
        ws_close(p, 4002, "Association unsuccessful.");
        ws_send(p, true, &SPAN("too late"), 1);
        break;
    case PAUSE:
        ws_pause(p, true);
        break;
    }
}

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct side *s = ctx;
    buf_printf(&s->log, "%s [%.*s]\n", text ? "text" : "binary", (int)payload.len, payload.ptr);
    react(s, p, text, payload);
}

static void on_ping(void *ctx, struct ws_peer *p, struct span payload) {
    (void)p;
    buf_printf(&((struct side *)ctx)->log, "ping [%.*s]\n", (int)payload.len, payload.ptr);
}

static void on_pong(void *ctx, struct ws_peer *p, struct span payload) {
    (void)p;
    buf_printf(&((struct side *)ctx)->log, "pong [%.*s]\n", (int)payload.len, payload.ptr);
}

static void on_drain(void *ctx, struct ws_peer *p) {
    (void)p;
    buf_append_cstr(&((struct side *)ctx)->log, "drain\n");
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct side *s = ctx;
    assert_ptr_equal(ws_ctx(p), ctx);
    ws_send(p, true, &SPAN("nobody hears this"), 1);
    ws_close(p, 1000, "");
    ws_pause(p, true);
    ws_abort(p);
    s->peer = NULL;
    buf_printf(&s->log, "close %u [%.*s]\n", code, (int)reason.len, reason.ptr);
}

static const struct ws_handler handler = {on_open, on_message, on_ping, on_pong, on_drain, on_close};
static const struct ws_limits limits = {
    .message_max = MESSAGE_MAX, .idle_timeout_ms = IDLE_MS, .close_timeout_ms = CLOSE_MS};

static void saw(struct side *s, const char *want) {
    assert_string_equal(s->log.ptr != NULL ? s->log.ptr : "", want);
    buf_clear(&s->log);
    buf_append_cstr(&s->log, "");
}

/* ---- a server that accepts every upgrade */

struct fixture {
    struct pipe_world *pw;
    struct http_server *http;
    struct side server, client;
    struct raw raw;
    struct http_exchange *held;
    bool hold;
};

static void accept_peer(struct fixture *f, struct http_exchange *ex) {
    assert_true(f->server.peer == NULL);
    f->server.peer = ws_accept(ex, &limits, &handler, &f->server);
}

static void handle_upgrade(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct fixture *f = ctx;
    (void)route;
    if (f->hold) {
        f->held = ex;
    } else {
        accept_peer(f, ex);
    }
}

static const struct http_route routes[] = {{NULL, "/pcp2/*rest", handle_upgrade, NULL}, {NULL, NULL, NULL, NULL}};

static void start(struct fixture *f) {
    memset(f, 0, sizeof(*f));
    f->pw = pipe_world_new();
    struct http_server_opts opts = {.listen = {.port = PORT}, .routes = routes, .ctx = f};
    f->http = http_server_new(pipe_world(f->pw), &opts, NULL);
}

static void stop(struct fixture *f) {
    raw_free(&f->raw);
    if (f->client.peer != NULL) {
        ws_abort(f->client.peer);
    }
    if (f->server.peer != NULL) {
        ws_abort(f->server.peer);
    }
    http_server_close(f->http, 0, NULL, NULL);
    pipe_advance(f->pw, 10000);
    buf_free(&f->server.log);
    buf_free(&f->client.log);
    pipe_world_free(f->pw);
}

static struct ws_connect connect_opts(void) {
    return (struct ws_connect){.to = {.host = "broker", .port = PORT},
                               .path = "/pcp2/agent",
                               .user_agent = "test",
                               .limits = {.message_max = MESSAGE_MAX, .close_timeout_ms = CLOSE_MS}};
}

static void connect_client(struct fixture *f) {
    struct ws_connect opts = connect_opts();
    f->client.peer = ws_connect(pipe_world(f->pw), &opts, &handler, &f->client);
    pipe_run(f->pw);
}

static void both_open(struct fixture *f) {
    start(f);
    connect_client(f);
    saw(&f->client, "open\n");
    assert_non_null(f->server.peer);
}

/* ---- hand-made bytes */

#define UPGRADE_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE                                                                                                        \
    "GET /pcp2/agent HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: "                                        \
    "Upgrade\r\nSec-WebSocket-Key: " UPGRADE_KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n"
#define SWITCHED                                                                                                       \
    "HTTP/1.1 101 Switching Protocols\r\nDate: Fri, 20 Nov 2026 22:14:10 GMT\r\nConnection: Upgrade\r\n"               \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nUpgrade: WebSocket\r\n\r\n"

static void add_frame(struct buf *out, uint8_t first, bool masked, struct span payload) {
    struct ws_frame_head head = {.fin = (first & 0x80) != 0,
                                 .reserved = (first >> 4) & 7,
                                 .opcode = first & 15,
                                 .masked = masked,
                                 .mask = {9, 8, 7, 6},
                                 .length = payload.len};
    uint8_t bytes[WS_HEAD_MAX];
    buf_append(out, bytes, ws_head_encode(bytes, &head));
    size_t at = out->len;
    buf_append_span(out, payload);
    if (masked) {
        ws_mask(out->ptr + at, out->ptr + at, payload.len, head.mask, 0);
    }
}

static void raw_frame(struct fixture *f, uint8_t first, struct span payload) {
    struct buf bytes = BUF_INIT;
    add_frame(&bytes, first, true, payload);
    raw_send(&f->raw, buf_span(&bytes));
    buf_free(&bytes);
    pipe_run(f->pw);
}

static void raw_open(struct fixture *f) {
    start(f);
    raw_connect(&f->raw, f->pw, PORT);
    raw_send(&f->raw, SPAN(UPGRADE));
    pipe_run(f->pw);
    assert_string_equal(f->raw.got.ptr, SWITCHED);
    buf_clear(&f->raw.got);
}

static void raw_got(struct fixture *f, struct span want) {
    assert_int_equal(f->raw.got.len, want.len);
    if (want.len != 0) {
        assert_memory_equal(f->raw.got.ptr, want.ptr, want.len);
    }
    buf_clear(&f->raw.got);
}

/* ---- opening */

static void two_peers_talk(void **state) {
    (void)state;
    for (size_t split = 0; split < 5; split++) {
        struct fixture f;
        start(&f);
        pipe_split(f.pw, split);
        connect_client(&f);
        saw(&f.client, "open\n");
        f.server.on_message = ECHO;
        struct span parts[] = {SPAN("in "), SPAN(""), SPAN("three"), SPAN(" parts")};
        ws_send(f.client.peer, true, parts, 4);
        ws_send(f.client.peer, false, NULL, 0);
        ws_ping(f.client.peer, SPAN("p"));
        pipe_run(f.pw);
        saw(&f.server, "text [in three parts]\nbinary []\nping [p]\n");
        saw(&f.client, "text [in three parts]\nbinary []\npong [p]\n");
        struct span many[20];
        for (size_t i = 0; i < 20; i++) {
            many[i] = SPAN("ab");
        }
        ws_send(f.server.peer, true, many, 20);
        pipe_run(f.pw);
        saw(&f.client, "text [abababababababababababababababababababab]\n");
        assert_int_equal(http_server_connections(f.http), 0);
        stop(&f);
    }
}

static void a_message_is_one_write(void **state) {
    (void)state;
    struct fixture f;
    both_open(&f);
    uint64_t before = pipe_writes(f.pw);
    struct span parts[] = {SPAN("a"), SPAN("b")};
    ws_send(f.server.peer, true, parts, 2);
    assert_int_equal(pipe_writes(f.pw), before + 1);
    ws_send(f.client.peer, true, parts, 2);
    assert_int_equal(pipe_writes(f.pw), before + 2);
    stop(&f);
}

static void upgrade_requests_refused(void **state) {
    (void)state;
    static const struct {
        const char *request, *head, *field;
    } cases[] = {
        {"GET /pcp2/agent HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 ", ""},
        {"POST /pcp2/agent HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "HTTP/1.1 404 ",
         ""},
        {"GET /pcp2/agent HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
         "13\r\n\r\n",
         "HTTP/1.1 400 ", "Sec-WebSocket-Version: 13\r\n"},
        {"GET /pcp2/agent HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: "
         "Upgrade\r\nSec-WebSocket-Key: " UPGRADE_KEY "\r\nSec-WebSocket-Version: 8\r\n\r\n",
         "HTTP/1.1 400 ", "Sec-WebSocket-Version: 13\r\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        start(&f);
        raw_connect(&f.raw, f.pw, PORT);
        raw_send(&f.raw, span_of(cases[i].request));
        pipe_run(f.pw);
        assert_memory_equal(f.raw.got.ptr, cases[i].head, strlen(cases[i].head));
        assert_non_null(strstr(f.raw.got.ptr, cases[i].field));
        assert_null(f.server.peer);
        assert_non_null(f.raw.conn); /* another request may follow */
        stop(&f);
    }
}

static void frames_behind_the_request(void **state) {
    (void)state;
    for (int later = 0; later < 2; later++) { /* accepted in the handler, or after it has returned */
        struct fixture f;
        start(&f);
        f.hold = later != 0;
        struct buf bytes = BUF_INIT;
        buf_append_cstr(&bytes, UPGRADE);
        add_frame(&bytes, 0x81, true, SPAN("one"));
        add_frame(&bytes, 0x81, true, SPAN("two"));
        raw_connect(&f.raw, f.pw, PORT);
        raw_send(&f.raw, span_sub(buf_span(&bytes), 0, bytes.len - 1));
        pipe_run(f.pw);
        if (later) {
            saw(&f.server, "");
            accept_peer(&f, f.held);
            saw(&f.server, ""); /* not from within the call */
            pipe_run(f.pw);
        }
        saw(&f.server, "text [one]\n");
        raw_send(&f.raw, span_sub(buf_span(&bytes), bytes.len - 1, 1));
        pipe_run(f.pw);
        saw(&f.server, "text [two]\n");
        buf_free(&bytes);
        stop(&f);
    }
}

static void frames_behind_the_request_count_when_the_client_leaves_at_once(void **state) {
    (void)state;
    static const struct {
        enum reaction reaction;
        const char *want;
    } cases[] = {
        {NOTHING, "text [one]\nping [two]\nclose 1006 [the peer ended the connection]\n"},
        {ECHO, "text [one]\nping [two]\nclose 1006 [the peer ended the connection]\n"},
        {CLOSE, "text [one]\nclose 1006 [the peer ended the connection]\n"},
        {ABORT, "text [one]\n"},
        {PAUSE, "text [one]\nclose 1006 [the peer ended the connection]\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        start(&f);
        f.server.on_message = cases[i].reaction;
        struct buf bytes = BUF_INIT;
        buf_append_cstr(&bytes, UPGRADE);
        add_frame(&bytes, 0x81, true, SPAN("one"));
        add_frame(&bytes, 0x89, true, SPAN("two"));
        raw_connect(&f.raw, f.pw, PORT);
        raw_send(&f.raw, buf_span(&bytes));
        world_conn_close(f.raw.conn, 100);
        pipe_run(f.pw);
        saw(&f.server, cases[i].want);
        buf_free(&bytes);
        stop(&f);
    }
}

/* The same, but what waits to be handled is cut off by the end of the connection itself. */
static void the_end_comes_before_early_frames_are_handled(void **state) {
    (void)state;
    static const enum reaction reactions[] = {NOTHING, ECHO, ABORT, CLOSE};
    static const char *const want[] = {"text [one]\nclose 1006 [the connection was reset]\n",
                                       "text [one]\nclose 1006 [the connection was reset]\n", "text [one]\n",
                                       "text [one]\nclose 1006 [the connection was reset]\n"};
    for (size_t i = 0; i < 4; i++) {
        struct fixture f;
        start(&f);
        f.hold = true;
        f.server.on_message = reactions[i];
        struct buf bytes = BUF_INIT;
        buf_append_cstr(&bytes, UPGRADE);
        add_frame(&bytes, 0x81, true, SPAN("one"));
        raw_connect(&f.raw, f.pw, PORT);
        raw_send(&f.raw, buf_span(&bytes));
        pipe_run(f.pw);
        accept_peer(&f, f.held);
        raw_free(&f.raw);
        pipe_run(f.pw);
        saw(&f.server, want[i]);
        buf_free(&bytes);
        stop(&f);
    }
}

/* What the client makes of an answer. */
static void client_meets(const char *answer, bool end, const char *want) {
    for (size_t split = 0; split < 3; split++) {
        struct fixture f;
        start(&f);
        struct world_listener *l = raw_listen(&f.raw, f.pw, 99);
        struct ws_connect opts = connect_opts();
        opts.to.port = 99;
        opts.limits.handshake_timeout_ms = HANDSHAKE_MS;
        f.client.peer = ws_connect(pipe_world(f.pw), &opts, &handler, &f.client);
        pipe_run(f.pw);
        assert_non_null(strstr(f.raw.got.ptr, "GET /pcp2/agent HTTP/1.1\r\nHost: broker:99\r\n"));
        assert_non_null(strstr(f.raw.got.ptr, "\r\nUser-Agent: test\r\n"));
        /* the answer's "KEY" becomes what fits the key it sent */
        char key[WS_KEY_LEN + 1] = {0}, accept[WS_ACCEPT_LEN + 1];
        memcpy(key, strstr(f.raw.got.ptr, "Sec-WebSocket-Key: ") + 19, WS_KEY_LEN);
        ws_accept_for(key, accept);
        struct buf text = BUF_INIT;
        const char *mark = strstr(answer, "KEY");
        size_t before = mark != NULL ? (size_t)(mark - answer) : strlen(answer);
        buf_append(&text, answer, before);
        if (mark != NULL) {
            buf_append_cstr(&text, accept);
            buf_append_cstr(&text, mark + 3);
        }
        pipe_split(f.pw, split);
        if (text.len != 0) {
            raw_send(&f.raw, buf_span(&text));
        }
        if (end) {
            world_conn_close(f.raw.conn, 100);
        }
        pipe_advance(f.pw, HANDSHAKE_MS);
        saw(&f.client, want);
        buf_free(&text);
        world_listener_close(l);
        stop(&f);
    }
}

#define CLIENT_SWITCHED "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: KEY\r\n"

static void answers_to_the_upgrade(void **state) {
    (void)state;
    client_meets(CLIENT_SWITCHED "\r\n", false, "open\n");
    client_meets("HTTP/1.1 100 Continue\r\n\r\n" CLIENT_SWITCHED "\r\n\x81\x02hi\x89\x01p", false,
                 "open\ntext [hi]\nping [p]\n");
    client_meets(CLIENT_SWITCHED "\r\n\x81\x02hi", true,
                 "open\ntext [hi]\nclose 1006 [the peer ended the connection]\n");
    client_meets("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false,
                 "close 1006 [the server answered the upgrade with 404 Not Found]\n");
    client_meets("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                 "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                 false, "close 1006 [the server's Sec-WebSocket-Accept does not fit]\n");
    client_meets(CLIENT_SWITCHED "Sec-WebSocket-Extensions: x\r\n\r\n", false,
                 "close 1006 [the server chose an extension or subprotocol that was not offered]\n");
    client_meets("nonsense\r\n\r\n", false, "close 1006 [Malformed head]\n");
    client_meets("", true, "close 1006 [the peer ended the connection]\n");
    client_meets("HTTP/1.1 1", true, "close 1006 [the peer ended the connection]\n");
    client_meets("", false, "close 1006 [the upgrade took too long]\n");
    client_meets("HTTP/1.1 101 x\r\n", false, "close 1006 [the upgrade took too long]\n");
}

static void connecting_fails(void **state) {
    (void)state;
    struct fixture f;
    start(&f);
    struct ws_connect opts = connect_opts();
    opts.to.port = 1;
    f.client.peer = ws_connect(pipe_world(f.pw), &opts, &handler, &f.client);
    pipe_run(f.pw);
    saw(&f.client, "close 1006 [connection refused]\n");
    static const char *const bad_paths[] = {"", "/a b", "/a\r\nX: y"};
    for (size_t i = 0; i < 3; i++) {
        opts = connect_opts();
        opts.path = bad_paths[i];
        f.client.peer = ws_connect(pipe_world(f.pw), &opts, &handler, &f.client);
        saw(&f.client, "");
        pipe_run(f.pw);
        saw(&f.client, "close 1006 [malformed host or path]\n");
    }
    opts = connect_opts();
    opts.to.host = "a b";
    f.client.peer = ws_connect(pipe_world(f.pw), &opts, &handler, &f.client);
    ws_abort(f.client.peer);
    f.client.peer = NULL;
    pipe_run(f.pw);
    saw(&f.client, "");
    f.client.peer =
        ws_connect(pipe_world(f.pw), &(struct ws_connect){.to = {.host = "::1", .port = PORT}, .path = "/pcp2/x"},
                   &handler, &f.client);
    ws_close(f.client.peer, 1000, "");
    pipe_run(f.pw);
    saw(&f.client, "close 1006 [closed before it was open]\n");
    stop(&f);
}

static void closed_while_upgrading(void **state) {
    (void)state;
    struct fixture f;
    start(&f);
    f.hold = true;
    connect_client(&f);
    assert_true(ws_is_upgrade(f.held));
    ws_close(f.client.peer, 1000, "");
    saw(&f.client, "");
    accept_peer(&f, f.held); /* too late */
    pipe_run(f.pw);
    saw(&f.client, "close 1006 [closed before it was open]\n");
    saw(&f.server, "close 1006 [the connection was reset]\n");
    stop(&f);
}

/* ---- closing */

static void closing_handshake(void **state) {
    (void)state;
    struct fixture f;
    both_open(&f);
    ws_close(f.client.peer, 1000, "bye");
    ws_send(f.client.peer, true, &SPAN("too late"), 1);
    pipe_run(f.pw);
    saw(&f.server, "close 1000 [bye]\n");
    saw(&f.client, "close 1000 [bye]\n"); /* echoed */
    assert_int_equal(pipe_conns(f.pw), 0);
    stop(&f);
    both_open(&f);
    ws_close(f.server.peer, 1005, "no code, no reason");
    pipe_run(f.pw);
    saw(&f.server, "close 1005 []\n");
    saw(&f.client, "close 1005 []\n");
    stop(&f);
}

static void both_close_at_once(void **state) {
    (void)state;
    struct fixture f;
    both_open(&f);
    ws_close(f.client.peer, 1000, "client");
    ws_close(f.server.peer, 1001, "server");
    pipe_run(f.pw);
    saw(&f.server, "close 1000 [client]\n");
    saw(&f.client, "close 1001 [server]\n");
    stop(&f);
}

static void no_messages_after_closing(void **state) {
    (void)state;
    struct fixture f;
    raw_open(&f);
    ws_close(f.server.peer, 4002, "x");
    raw_frame(&f, 0x81, SPAN("late"));
    raw_frame(&f, 0x89, SPAN("late"));
    raw_got(&f, SPAN("\x88\x03\x0f\xa2x"));
    saw(&f.server, "");
    raw_frame(&f, 0x88, SPAN("\x0f\xa2"));
    saw(&f.server, "close 4002 []\n");
    assert_null(f.raw.conn);
    assert_int_equal(f.raw.why, WORLD_CLOSE_EOF);
    stop(&f);
}

static void close_is_never_answered(void **state) {
    (void)state;
    struct fixture f;
    raw_open(&f);
    ws_close(f.server.peer, 1000, "");
    pipe_advance(f.pw, CLOSE_MS - 1);
    saw(&f.server, "");
    pipe_advance(f.pw, 1);
    saw(&f.server, "close 1006 [no answer to the close frame]\n");
    assert_null(f.raw.conn);
    stop(&f);
}

static void long_reasons_are_cut_between_characters(void **state) {
    (void)state;
    struct fixture f;
    raw_open(&f);
    char reason[200];
    memset(reason, 'x', 122);
    strcpy(reason + 122, "\xe2\x82\xac and more");
    ws_close(f.server.peer, 1000, reason);
    pipe_run(f.pw);
    assert_int_equal(f.raw.got.len, 2 + 2 + 122);
    assert_int_equal((uint8_t)f.raw.got.ptr[1], 124);
    stop(&f);
}

/* What the reference answers to each close frame: its own code and reason back, an empty one for an empty one. */
static void client_closes(void **state) {
    (void)state;
    static const struct {
        struct span sent, got;
        const char *log;
    } cases[] = {
        {SPAN(""), SPAN("\x88\x00"), "close 1005 []\n"},
        {SPAN("\x03\xe8"), SPAN("\x88\x02\x03\xe8"), "close 1000 []\n"},
        {SPAN("\x03\xe8"
              "bye"),
         SPAN("\x88\x05\x03\xe8"
              "bye"),
         "close 1000 [bye]\n"},
        {SPAN("\x13\x87x"), SPAN("\x88\x03\x13\x87x"), "close 4999 [x]\n"},
        {SPAN("\x03\xf4restart"), SPAN("\x88\x09\x03\xf4restart"), "close 1012 [restart]\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        raw_open(&f);
        raw_frame(&f, 0x88, cases[i].sent);
        raw_got(&f, cases[i].got);
        saw(&f.server, cases[i].log);
        assert_null(f.raw.conn);
        assert_int_equal(f.raw.why, WORLD_CLOSE_EOF);
        stop(&f);
    }
}

/* ---- broken rules: close code to the peer, the same to on_close */

static void fails(struct span bytes, uint16_t code) {
    struct fixture f;
    raw_open(&f);
    raw_send(&f.raw, bytes);
    pipe_run(f.pw);
    assert_true(f.raw.got.len >= 4);
    assert_int_equal((uint8_t)f.raw.got.ptr[0], 0x88);
    assert_int_equal((uint8_t)f.raw.got.ptr[2] << 8 | (uint8_t)f.raw.got.ptr[3], code);
    struct buf want = BUF_INIT;
    buf_printf(&want, "close %u [%.*s]\n", code, (int)f.raw.got.len - 4, f.raw.got.ptr + 4);
    saw(&f.server, want.ptr);
    assert_null(f.raw.conn);
    buf_free(&want);
    stop(&f);
}

static void fails_frame(uint8_t first, bool masked, struct span payload, uint16_t code) {
    struct buf bytes = BUF_INIT;
    add_frame(&bytes, first, masked, payload);
    fails(buf_span(&bytes), code);
    buf_free(&bytes);
}

static void protocol_errors(void **state) {
    (void)state;
    fails_frame(0x81, false, SPAN("unmasked"), 1002);
    fails_frame(0xc1, true, SPAN("rsv1"), 1002);
    fails_frame(0x83, true, SPAN("opcode 3"), 1002);
    fails_frame(0x80, true, SPAN("continuation"), 1002);
    fails_frame(0x88, true, SPAN("1"), 1002);
    fails_frame(0x88, true,
                SPAN("\x03\xed"
                     "1005"),
                1002);
    fails_frame(0x88, true,
                SPAN("\x03\xe7"
                     "999"),
                1002);
    fails_frame(0x81, true, SPAN("\xff"), 1007);
    char ping[126] = {0};
    fails_frame(0x89, true, (struct span){ping, sizeof(ping)}, 1002);
    fails(SPAN("\x81\xff\x00\x00\x00\x00\x00\x00\x00\x65"
               "mask"),
          1002); /* 101 in eight bytes */
}

static void oversize(void **state) {
    (void)state;
    struct fixture f;
    raw_open(&f);
    char payload[MESSAGE_MAX + 1];
    memset(payload, 'x', sizeof(payload));
    f.server.on_message = NOTHING;
    raw_frame(&f, 0x81, (struct span){payload, MESSAGE_MAX});
    assert_int_equal(f.server.log.len, strlen("text []\n") + MESSAGE_MAX);
    buf_clear(&f.server.log);
    raw_frame(&f, 0x81, (struct span){payload, MESSAGE_MAX + 1});
    raw_got(&f, SPAN("\x88\x34\x03\xf1Text message size [101] exceeds maximum size [100]"));
    saw(&f.server, "close 1009 [Text message size [101] exceeds maximum size [100]]\n");
    stop(&f);
    raw_open(&f);
    raw_frame(&f, 0x02, (struct span){payload, 60});
    raw_frame(&f, 0x80, (struct span){payload, 60});
    raw_got(&f, SPAN("\x88\x36\x03\xf1"
                     "Binary message size [120] exceeds maximum size [100]"));
    stop(&f);
}

static void the_client_fails_a_server(void **state) {
    (void)state;
    client_meets(CLIENT_SWITCHED "\r\n\x81\x81mask!", false, "open\nclose 1002 [Masked frame from a server]\n");
}

/* ---- time */

static void idle_timeout(void **state) {
    (void)state;
    struct fixture f;
    raw_open(&f);
    pipe_advance(f.pw, IDLE_MS - 1);
    saw(&f.server, "");
    pipe_advance(f.pw, 1);
    raw_got(&f, SPAN("\x88\x19\x03\xe9"
                     "Connection Idle Timeout"));
    saw(&f.server, "close 1001 [Connection Idle Timeout]\n");
    assert_null(f.raw.conn);
    stop(&f);
}

static void any_traffic_keeps_it_open(void **state) {
    (void)state;
    struct fixture f;
    raw_open(&f);
    static const uint8_t frames[] = {0x89, 0x8a, 0x81}; /* ping, pong, text */
    for (size_t i = 0; i < 9; i++) {
        pipe_advance(f.pw, IDLE_MS - 10);
        raw_frame(&f, frames[i % 3], SPAN("x"));
    }
    for (size_t i = 0; i < 3; i++) { /* what it is sent counts, too */
        pipe_advance(f.pw, IDLE_MS - 10);
        ws_send(f.server.peer, true, &SPAN("x"), 1);
    }
    assert_non_null(f.server.peer);
    pipe_advance(f.pw, IDLE_MS);
    assert_null(f.server.peer);
    stop(&f);
}

static void limits_may_change(void **state) {
    (void)state;
    struct fixture f;
    raw_open(&f);
    ws_set_limits(f.server.peer, &(struct ws_limits){.message_max = 3});
    pipe_advance(f.pw, 100 * IDLE_MS); /* idle_timeout_ms 0: never */
    raw_frame(&f, 0x81, SPAN("123"));
    saw(&f.server, "text [123]\n");
    ws_set_limits(f.server.peer, &(struct ws_limits){.message_max = 3, .idle_timeout_ms = 50});
    raw_frame(&f, 0x81, SPAN("1234"));
    saw(&f.server, "close 1009 [Text message size [4] exceeds maximum size [3]]\n");
    stop(&f);
}

/* ---- callbacks that end or pause */

static void reactions(void **state) {
    (void)state;
    struct fixture f;
    struct buf three = BUF_INIT;
    add_frame(&three, 0x81, true, SPAN("1"));
    add_frame(&three, 0x89, true, SPAN("2"));
    add_frame(&three, 0x81, true, SPAN("3"));

    raw_open(&f);
    f.server.on_message = ABORT;
    raw_send(&f.raw, buf_span(&three));
    pipe_run(f.pw);
    saw(&f.server, "text [1]\n");
    assert_int_equal(f.raw.why, WORLD_CLOSE_RESET);
    stop(&f);

    raw_open(&f);
    f.server.on_message = CLOSE;
    raw_send(&f.raw, buf_span(&three));
    pipe_run(f.pw);
    saw(&f.server, "text [1]\n");
    raw_got(&f, SPAN("\x88\x1b\x0f\xa2"
                     "Association unsuccessful."));
    stop(&f);

    raw_open(&f);
    f.server.on_message = PAUSE;
    raw_send(&f.raw, buf_span(&three));
    pipe_run(f.pw);
    saw(&f.server, "text [1]\n");
    raw_frame(&f, 0x81, SPAN("4"));
    saw(&f.server, "");
    f.server.on_message = NOTHING;
    ws_pause(f.server.peer, false);
    saw(&f.server, ""); /* not from within the call */
    pipe_run(f.pw);
    saw(&f.server, "ping [2]\ntext [3]\ntext [4]\n");
    ws_pause(f.server.peer, true);
    raw_frame(&f, 0x81, SPAN("5"));
    ws_pause(f.server.peer, false);
    ws_pause(f.server.peer, true);
    pipe_run(f.pw);
    saw(&f.server, "");
    raw_free(&f.raw);
    pipe_run(f.pw);
    saw(&f.server, "close 1006 [the connection was reset]\n");
    stop(&f);
    buf_free(&three);
}

static void pings_of_a_peer_that_does_not_read(void **state) {
    (void)state;
    struct fixture f;
    raw_open(&f);
    pipe_window(f.pw, 1);
    world_conn_pause(f.raw.conn, true);
    char payload[125] = {0};
    struct buf pings = BUF_INIT;
    for (size_t i = 0; i < 2000; i++) {
        add_frame(&pings, 0x89, true, (struct span){payload, sizeof(payload)});
    }
    raw_send(&f.raw, buf_span(&pings));
    pipe_run(f.pw);
    assert_true(ws_pending(f.server.peer) > 60000);
    assert_true(ws_pending(f.server.peer) < 70000);
    buf_clear(&f.server.log);
    world_conn_pause(f.raw.conn, false);
    pipe_window(f.pw, SIZE_MAX);
    pipe_run(f.pw);
    saw(&f.server, "drain\n");
    assert_int_equal(ws_pending(f.server.peer), 0);
    buf_free(&pings);
    stop(&f);
}

static void the_stream_just_ends(void **state) {
    (void)state;
    struct fixture f;
    raw_open(&f);
    raw_frame(&f, 0x01, SPAN("half"));
    world_conn_close(f.raw.conn, 10);
    pipe_run(f.pw);
    saw(&f.server, "close 1006 [the peer ended the connection]\n");
    stop(&f);
}

static void identity_and_address(void **state) {
    (void)state;
    struct fixture f;
    const struct world_identity id = {.common_name = "client01"};
    start(&f);
    pipe_identity(f.pw, &id);
    connect_client(&f);
    assert_ptr_equal(ws_identity(f.server.peer), &id);
    assert_memory_equal(ws_remote(f.server.peer), "10.0.0.1:", 9);
    assert_ptr_equal(ws_ctx(f.server.peer), &f.server);
    struct side other = {.on_message = NOTHING};
    ws_set_handler(f.server.peer, &handler, &other);
    ws_send(f.client.peer, true, &SPAN("x"), 1);
    pipe_run(f.pw);
    saw(&other, "text [x]\n");
    ws_set_handler(f.server.peer, &handler, &f.server);
    buf_free(&other.log);
    stop(&f);
}

static void peers_outlive_their_server(void **state) {
    (void)state;
    struct fixture f;
    both_open(&f);
    http_server_close(f.http, 0, NULL, NULL);
    pipe_run(f.pw);
    ws_send(f.client.peer, true, &SPAN("still here"), 1);
    pipe_run(f.pw);
    saw(&f.server, "text [still here]\n");
    struct http_server_opts opts = {.listen = {.port = PORT}, .routes = routes, .ctx = &f};
    f.http = http_server_new(pipe_world(f.pw), &opts, NULL);
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_peers_talk),
        cmocka_unit_test(a_message_is_one_write),
        cmocka_unit_test(upgrade_requests_refused),
        cmocka_unit_test(frames_behind_the_request),
        cmocka_unit_test(frames_behind_the_request_count_when_the_client_leaves_at_once),
        cmocka_unit_test(the_end_comes_before_early_frames_are_handled),
        cmocka_unit_test(answers_to_the_upgrade),
        cmocka_unit_test(closed_while_upgrading),
        cmocka_unit_test(connecting_fails),
        cmocka_unit_test(closing_handshake),
        cmocka_unit_test(both_close_at_once),
        cmocka_unit_test(no_messages_after_closing),
        cmocka_unit_test(close_is_never_answered),
        cmocka_unit_test(long_reasons_are_cut_between_characters),
        cmocka_unit_test(client_closes),
        cmocka_unit_test(protocol_errors),
        cmocka_unit_test(oversize),
        cmocka_unit_test(the_client_fails_a_server),
        cmocka_unit_test(idle_timeout),
        cmocka_unit_test(any_traffic_keeps_it_open),
        cmocka_unit_test(limits_may_change),
        cmocka_unit_test(reactions),
        cmocka_unit_test(pings_of_a_peer_that_does_not_read),
        cmocka_unit_test(the_stream_just_ends),
        cmocka_unit_test(identity_and_address),
        cmocka_unit_test(peers_outlive_their_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
