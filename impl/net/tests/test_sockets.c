/* On real sockets, with peers that share no code with ours: libcurl asks the HTTP server, libwebsockets talks to a
 * WebSocket, and our HTTP client asks our server. */
#include "base/mem.h"
#include "net/http_client.h"
#include "net/ws_peer.h"
#include "world/real.h"

#include <libwebsockets.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { LARGE = 3 * 1024 * 1024, PATIENCE_MS = 30000 };

struct fixture {
    struct world *w;
    struct http_server *server;
    struct buf log;
    size_t done;
    bool out_of_patience, closed;
    struct timer patience;
    struct ws_peer *peer;
    struct lws *lws;
    struct buf lws_sent;
    bool lws_over;
};

/* ---- the server */

static void handle_echo(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx, (void)route;
    http_respond(ex, 200, "text/plain", http_request(ex)->body);
}

static void handle_stream(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx, (void)route;
    http_stream_start(ex, 200, "text/plain");
    for (int i = 0; i < 100; i++) {
        http_stream_write(ex, SPAN("a line of a stream that comes in a hundred pieces\n"));
    }
    http_stream_end(ex);
}

static void handle_show(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx, (void)route;
    const char *text = http_request(ex)->target;
    http_respond(ex, 200, "text/plain", span_of(text));
}

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct fixture *f = ctx;
    buf_printf(&f->log, "server got %s of %zu\n", text ? "text" : "binary", payload.len);
    struct span halves[] = {span_sub(payload, 0, payload.len / 2), span_sub(payload, payload.len / 2, payload.len)};
    ws_send(p, text, halves, 2);
    ws_ping(p, SPAN("are you there"));
}

static void on_pong(void *ctx, struct ws_peer *p, struct span payload) {
    struct fixture *f = ctx;
    buf_printf(&f->log, "server got pong [%.*s]\n", (int)payload.len, payload.ptr);
    ws_close(p, 4002, "that is all");
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct fixture *f = ctx;
    assert_ptr_equal(p, f->peer);
    f->peer = NULL;
    buf_printf(&f->log, "server closed %u [%.*s]\n", code, (int)reason.len, reason.ptr);
}

static const struct ws_handler ws_handler = {.on_message = on_message, .on_pong = on_pong, .on_close = on_close};

static void handle_ws(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct fixture *f = ctx;
    (void)route;
    f->peer = ws_accept(ex, &(struct ws_limits){.message_max = LARGE}, &ws_handler, f);
}

static const struct http_route routes[] = {{"POST", "/echo", handle_echo, NULL},
                                           {"GET", "/stream", handle_stream, NULL},
                                           {"GET", "/show/*rest", handle_show, NULL},
                                           {"GET", "/ws", handle_ws, NULL},
                                           {NULL, NULL, NULL, NULL}};

static void give_up(void *ctx) {
    ((struct fixture *)ctx)->out_of_patience = true;
}

static void start(struct fixture *f) {
    memset(f, 0, sizeof(*f));
    f->w = real_world_new(NULL);
    assert_non_null(f->w);
    struct http_server_opts opts = {.listen = {.host = "127.0.0.1"}, .routes = routes, .ctx = f, .gzip = true};
    f->server = http_server_new(f->w, &opts, NULL);
    assert_non_null(f->server);
    world_timer_start(f->w, &f->patience, PATIENCE_MS, give_up, f);
}

static void turn(struct fixture *f, bool block) {
    real_world_turn(f->w, block);
    assert_false(f->out_of_patience);
}

static void on_closed(void *ctx) {
    ((struct fixture *)ctx)->closed = true;
}

static void stop(struct fixture *f) {
    http_server_close(f->server, 1000, on_closed, f);
    while (!f->closed) {
        turn(f, true);
    }
    world_timer_stop(f->w, &f->patience);
    real_world_free(f->w);
    buf_free(&f->log);
    buf_free(&f->lws_sent);
}

/* ---- HTTP */

static void on_done(void *ctx, const struct world_response *r) {
    struct fixture *f = ctx;
    if (r->err != NULL) {
        fail_msg("%s", r->err->msg);
    }
    buf_printf(&f->log, "%d %zu bytes, %s:", r->status, r->body.len, world_response_header(r, "content-type"));
    buf_append_span(&f->log, span_sub(r->body, 0, 50));
    buf_append_char(&f->log, '\n');
    f->done++;
}

typedef struct world_fetch *fetch_fn(struct world *w, const struct world_fetch_opts *opts,
                                     void (*done)(void *ctx, const struct world_response *r), void *ctx);

static void ask(struct fixture *f, fetch_fn *fetch, const char *method, const char *target, struct span body) {
    char *url = str_printf("http://127.0.0.1:%u%s", http_server_port(f->server), target);
    size_t before = f->done;
    fetch(f->w, &(struct world_fetch_opts){.method = method, .url = url, .body = body}, on_done, f);
    while (f->done == before) {
        turn(f, true);
    }
    mem_free(url);
}

static void clients_ask(fetch_fn *fetch) {
    struct fixture f;
    start(&f);
    char *large = mem_alloc(LARGE);
    memset(large, 'x', LARGE);
    ask(&f, fetch, "GET", "/show/a%2fb//?c=d%20e", SPAN(""));
    ask(&f, fetch, "POST", "/echo", SPAN("hello"));
    ask(&f, fetch, "GET", "/stream", SPAN(""));
    ask(&f, fetch, "HEAD", "/show/", SPAN(""));
    ask(&f, fetch, "POST", "/echo", (struct span){large, LARGE});
    ask(&f, fetch, "GET", "/nowhere", SPAN(""));
    ask(&f, fetch, "POST", "/echo", SPAN(""));
    assert_string_equal(f.log.ptr, "200 21 bytes, text/plain:/show/a%2fb//?c=d%20e\n"
                                   "200 5 bytes, text/plain:hello\n"
                                   "200 5000 bytes, text/plain:a line of a stream that comes in a hundred pieces\n\n"
                                   "200 0 bytes, text/plain:\n"
                                   "200 3145728 bytes, text/plain:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"
                                   "404 10 bytes, text/plain; charset=utf-8:Not Found\n\n"
                                   "200 0 bytes, text/plain:\n");
    mem_free(large);
    stop(&f);
}

static void curl_asks(void **state) {
    (void)state;
    clients_ask(world_fetch);
}

static void our_client_asks(void **state) {
    (void)state;
    clients_ask(http_client_fetch);
}

/* ---- libwebsockets as the client */

static int on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len) {
    (void)user;
    struct fixture *f = lws_context_user(lws_get_context(wsi));
    switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        buf_append_cstr(&f->log, "client open\n");
        lws_callback_on_writable(wsi);
        break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        if (f->lws_sent.len == 0) {
            buf_reserve(&f->lws_sent, LWS_PRE + 70000);
            memset(f->lws_sent.ptr, 'y', LWS_PRE + 70000);
            f->lws_sent.len = LWS_PRE + 70000;
            lws_write(wsi, (unsigned char *)f->lws_sent.ptr + LWS_PRE, 70000, LWS_WRITE_TEXT);
        }
        break;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        for (size_t i = 0; i < len; i++) {
            assert_int_equal(((const char *)in)[i], 'y');
        }
        f->done += len;
        break;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: {
        const uint8_t *p = in;
        buf_printf(&f->log, "client told %u [%.*s]\n", p[0] << 8 | p[1], (int)len - 2, (const char *)in + 2);
        break;
    }
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        buf_printf(&f->log, "client failed: %s\n", in != NULL ? (const char *)in : "");
        f->lws_over = true;
        break;
    case LWS_CALLBACK_CLIENT_CLOSED:
        f->lws_over = true;
        break;
    default:
        break;
    }
    return 0;
}

static void libwebsockets_talks(void **state) {
    (void)state;
    struct fixture f;
    start(&f);
    static const struct lws_protocols protocols[] = {{"pcp", on_lws, 0, 4096, 0, NULL, 0},
                                                     {NULL, NULL, 0, 0, 0, NULL, 0}};
    lws_set_log_level(0, NULL);
    struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN, .protocols = protocols, .user = &f};
    struct lws_context *context = lws_create_context(&info);
    assert_non_null(context);
    struct lws_client_connect_info to = {.context = context,
                                         .address = "127.0.0.1",
                                         .port = http_server_port(f.server),
                                         .path = "/ws",
                                         .host = "127.0.0.1",
                                         .local_protocol_name = "pcp",
                                         .pwsi = &f.lws};
    assert_non_null(lws_client_connect_via_info(&to));
    while (!f.lws_over || f.peer != NULL) {
        lws_service(context, -1);
        turn(&f, false);
    }
    assert_int_equal(f.done, 70000);
    assert_string_equal(f.log.ptr, "client open\nserver got text of 70000\nserver got pong [are you there]\n"
                                   "client told 4002 [that is all]\nserver closed 4002 [that is all]\n");
    lws_context_destroy(context);
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curl_asks),
        cmocka_unit_test(our_client_asks),
        cmocka_unit_test(libwebsockets_talks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
