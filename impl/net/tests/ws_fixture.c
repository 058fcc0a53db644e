/* Two sides of a WebSocket over pipes, and a bare client. */
#include "ws_fixture.h"

#include "base/mem.h"
#include "wire/ws_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

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

const struct ws_handler side_handler = {on_open, on_message, on_ping, on_pong, on_drain, on_close};
static const struct ws_limits limits = {
    .message_max = MESSAGE_MAX, .idle_timeout_ms = IDLE_MS, .close_timeout_ms = CLOSE_MS};

void saw(struct side *s, const char *want) {
    assert_string_equal(s->log.ptr != NULL ? s->log.ptr : "", want);
    buf_clear(&s->log);
    buf_append_cstr(&s->log, "");
}

void accept_peer(struct ws_fixture *f, struct http_exchange *ex) {
    assert_true(f->server.peer == NULL);
    f->server.peer = ws_accept(ex, &limits, &side_handler, &f->server);
}

static void handle_upgrade(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct ws_fixture *f = ctx;
    (void)route;
    if (f->hold) {
        f->held = ex;
    } else {
        accept_peer(f, ex);
    }
}

const struct http_route ws_fixture_routes[] = {{NULL, "/pcp2/*rest", handle_upgrade, NULL}, {NULL, NULL, NULL, NULL}};

void ws_fixture_start(struct ws_fixture *f) {
    memset(f, 0, sizeof(*f));
    f->pw = pipe_world_new();
    struct http_server_opts opts = {.listen = {.port = PORT}, .routes = ws_fixture_routes, .ctx = f};
    f->http = http_server_new(pipe_world(f->pw), &opts, NULL);
}

void ws_fixture_stop(struct ws_fixture *f) {
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

struct ws_connect connect_opts(void) {
    return (struct ws_connect){.to = {.host = "broker", .port = PORT},
                               .path = "/pcp2/agent",
                               .user_agent = "test",
                               .limits = {.message_max = MESSAGE_MAX, .close_timeout_ms = CLOSE_MS}};
}

void connect_client(struct ws_fixture *f) {
    struct ws_connect opts = connect_opts();
    f->client.peer = ws_connect(pipe_world(f->pw), &opts, &side_handler, &f->client);
    pipe_run(f->pw);
}

void both_open(struct ws_fixture *f) {
    ws_fixture_start(f);
    connect_client(f);
    saw(&f->client, "open\n");
    assert_non_null(f->server.peer);
}

void add_frame(struct buf *out, uint8_t first, bool masked, struct span payload) {
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

void raw_frame(struct ws_fixture *f, uint8_t first, struct span payload) {
    struct buf bytes = BUF_INIT;
    add_frame(&bytes, first, true, payload);
    raw_send(&f->raw, buf_span(&bytes));
    buf_free(&bytes);
    pipe_run(f->pw);
}

void raw_open(struct ws_fixture *f) {
    ws_fixture_start(f);
    raw_connect(&f->raw, f->pw, PORT);
    raw_send(&f->raw, SPAN(UPGRADE));
    pipe_run(f->pw);
    assert_string_equal(f->raw.got.ptr, SWITCHED);
    buf_clear(&f->raw.got);
}

void raw_got(struct ws_fixture *f, struct span want) {
    assert_int_equal(f->raw.got.len, want.len);
    if (want.len != 0) {
        assert_memory_equal(f->raw.got.ptr, want.ptr, want.len);
    }
    buf_clear(&f->raw.got);
}
