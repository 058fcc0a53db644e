/* The HTTP server, over pipes. */
#include "base/mem.h"
#include "net/http_server.h"
#include "pipe.h"
#include "wire/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PORT = 80, IDLE_MS = 1000, BODY_MAX = 5000 };
#define DATE "Date: Fri, 20 Nov 2026 22:14:10 GMT\r\n"
#define H "Host: h\r\n"

/* ---- a server whose handlers do what their route says */

struct fixture {
    struct pipe_world *pw;
    struct http_server *server;
    struct raw client;
    struct buf log;                /* what handlers and hooks saw */
    struct http_exchange *held[8]; /* kept by "/hold" */
    size_t held_count;
    size_t abandoned, drained;
    bool closed;
};

static void on_abandon(void *ctx) {
    ((struct fixture *)ctx)->abandoned++;
}

static void on_drain(void *ctx) {
    ((struct fixture *)ctx)->drained++;
}

static void handle_echo(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx, (void)route;
    http_respond(ex, 200, "text/plain", http_request(ex)->body);
}

static void handle_describe(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct fixture *f = ctx;
    const struct http_request *r = http_request(ex);
    const char *name, *value;
    buf_printf(&f->log, "%s %s|%s|%.*s|", r->method, r->target, r->path, (int)r->query.len, r->query.ptr);
    for (size_t i = 0; http_query_at(ex, i, &name, &value); i++) {
        buf_printf(&f->log, "%s=%s,", name, value);
    }
    for (size_t i = 0; http_header_at(ex, i, &name, &value); i++) {
        buf_printf(&f->log, "|%s: %s", name, value);
    }
    buf_printf(&f->log, "|id=%s rest=%s a=%s x=%s|%s|%s\n", http_param(ex, "id"), http_param(ex, "rest"),
               http_query(ex, "a"), http_header(ex, "x"), r->identity != NULL ? r->identity->common_name : "-",
               (const char *)route->data);
    http_respond(ex, 204, NULL, SPAN(""));
}

static void handle_hold(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct fixture *f = ctx;
    (void)route;
    f->held[f->held_count++] = ex;
    http_on_abandon(ex, on_abandon, f);
}

static void handle_json(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx, (void)route;
    http_set_header(ex, "X-Evil", "a\r\nInjected: b");
    http_set_header(ex, "Content-Length", "999");
    http_respond_json(ex, 201, json_pack("{s:i}", "a", 1));
}

static void handle_error(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx, (void)route;
    struct error err = ERROR_INIT;
    error_set(&err, "puppetlabs.orchestrator/unknown-job", "There is no job %d", 7);
    http_respond_error(ex, 404, &err);
    error_clear(&err);
}

static void handle_close(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx, (void)route;
    http_set_header(ex, "Connection", "close");
    http_respond(ex, 200, NULL, SPAN("bye"));
}

static void handle_abort(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx, (void)route;
    http_abort(ex);
}

static void handle_stream(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx, (void)route;
    http_stream_start(ex, 200, "text/event-stream");
    http_stream_write(ex, SPAN("one"));
    http_stream_write(ex, SPAN(""));
    http_stream_write(ex, SPAN("twenty bytes of data"));
    http_stream_end(ex);
}

static void handle_large(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx;
    char text[3000];
    memset(text, 'x', sizeof(text));
    http_respond(ex, 200, route->data, (struct span){text, sizeof(text)});
}

static void handle_shutdown(void *ctx, struct http_exchange *ex, const struct http_route *route);

static const struct http_route routes[] = {
    {"POST", "/echo", handle_echo, NULL},
    {NULL, "/describe/:id", handle_describe, "by id"},
    {"GET", "/describe/:id/*rest", handle_describe, "by rest"},
    {"GET", "/hold", handle_hold, NULL},
    {"POST", "/hold", handle_hold, NULL},
    {"GET", "/json", handle_json, NULL},
    {"GET", "/error", handle_error, NULL},
    {"GET", "/close", handle_close, NULL},
    {"GET", "/abort", handle_abort, NULL},
    {"GET", "/stream", handle_stream, NULL},
    {"GET", "/large", handle_large, "application/json"},
    {"GET", "/large.bin", handle_large, "application/octet-stream"},
    {"GET", "/shutdown", handle_shutdown, NULL},
    {NULL, NULL, NULL, NULL},
};

static void after(void *ctx, const struct http_request *req, int status, uint64_t bytes, uint64_t duration_us,
                  const char *referer, const char *user_agent) {
    struct fixture *f = ctx;
    buf_printf(&f->log, "after %s %s %d %llu %llu %s %s\n", req->method, req->target, status, (unsigned long long)bytes,
               (unsigned long long)duration_us, referer != NULL ? referer : "-", user_agent != NULL ? user_agent : "-");
}

static struct http_server_opts options(struct fixture *f) {
    return (struct http_server_opts){.listen = {.port = PORT},
                                     .routes = routes,
                                     .ctx = f,
                                     .body_max = BODY_MAX,
                                     .head_max = 1000,
                                     .idle_timeout_ms = IDLE_MS,
                                     .gzip = true};
}

static void start(struct fixture *f, const struct http_server_opts *opts) {
    memset(f, 0, sizeof(*f));
    f->pw = pipe_world_new();
    struct http_server_opts usual = options(f);
    if (opts != NULL) {
        usual = *opts;
        usual.ctx = f;
    }
    f->server = http_server_new(pipe_world(f->pw), &usual, NULL);
    assert_non_null(f->server);
    assert_int_equal(http_server_port(f->server), PORT);
    buf_append_cstr(&f->log, "");
    raw_connect(&f->client, f->pw, PORT);
}

static void on_closed(void *ctx) {
    ((struct fixture *)ctx)->closed = true;
}

static void stop(struct fixture *f) {
    raw_free(&f->client);
    pipe_run(f->pw);
    if (!f->closed) {
        http_server_close(f->server, 0, on_closed, f);
        assert_false(f->closed);
        pipe_advance(f->pw, 1);
        assert_true(f->closed);
    }
    pipe_world_free(f->pw);
    buf_free(&f->log);
}

static void send_text(struct fixture *f, const char *text) {
    raw_send(&f->client, span_of(text));
    pipe_run(f->pw);
}

static void expect(struct fixture *f, const char *want) {
    assert_string_equal(f->client.got.ptr, want);
    buf_clear(&f->client.got);
    buf_append_cstr(&f->client.got, "");
}

/* ---- requests and responses */

static void answers(void **state) {
    (void)state;
    struct fixture f;
    for (size_t split = 0; split <= 7; split++) { /* 0: in one piece */
        start(&f, NULL);
        pipe_split(f.pw, split);
        send_text(&f, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello");
        expect(&f, "HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
        send_text(&f, "GET /json HTTP/1.1\r\n" H "\r\n");
        expect(&f, "HTTP/1.1 201 Created\r\n" DATE "Content-Type: application/json\r\n"
                   "X-Evil: a  Injected: b\r\nContent-Length: 7\r\n\r\n{\"a\":1}");
        send_text(&f, "GET /error HTTP/1.1\r\n" H "\r\n");
        expect(&f, "HTTP/1.1 404 Not Found\r\n" DATE "Content-Type: application/json\r\nContent-Length: 85\r\n\r\n"
                   "{\"kind\":\"puppetlabs.orchestrator/unknown-job\",\"msg\":\"There is no job 7\",\"details\":{}}");
        send_text(&f, "DELETE /describe/1 HTTP/1.1\r\n" H "\r\n");
        expect(&f, "HTTP/1.1 204 No Content\r\n" DATE "\r\n");
        assert_int_equal(http_server_connections(f.server), 1);
        stop(&f);
    }
}

static void what_handlers_read(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    const struct world_identity id = {.common_name = "client01"};
    pipe_identity(f.pw, &id);
    send_text(&f, "PUT /describe/a%20b?a=1+2&b=%26&a=3&x HTTP/1.1\r\nHost: h\r\nX: y\r\nX: z\r\n\r\n");
    assert_string_equal(f.log.ptr,
                        "PUT /describe/a%20b?a=1+2&b=%26&a=3&x|/describe/a%20b|a=1+2&b=%26&a=3&x|a=1 2,b=&,a=3,"
                        "x=,|host: h|x: y|x: z|id=a b rest=(null) a=1 2 x=y|client01|by id\n");
    buf_clear(&f.log);
    pipe_identity(f.pw, NULL);
    send_text(&f, "GET http://other:1/describe/1//%2e%2e/x? HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_string_equal(f.log.ptr, "GET http://other:1/describe/1//%2e%2e/x?|/describe/1//%2e%2e/x|||host: h|id=1 "
                                   "rest=/../x a=(null) x=(null)|-|by rest\n");
    stop(&f);
}

static void no_route(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    send_text(&f, "GET /nowhere HTTP/1.1\r\n" H "\r\n");
    expect(&f, "HTTP/1.1 404 Not Found\r\n" DATE
               "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\n\r\nNot Found\n");
    send_text(&f, "DELETE /hold HTTP/1.1\r\n" H "\r\n");
    expect(&f, "HTTP/1.1 405 Method Not Allowed\r\n" DATE "Content-Type: text/plain; charset=utf-8\r\n"
               "Allow: GET, POST\r\nContent-Length: 19\r\n\r\nMethod Not Allowed\n");
    send_text(&f, "GET /echo/ HTTP/1.1\r\n" H "\r\n");
    expect(&f, "HTTP/1.1 404 Not Found\r\n" DATE
               "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\n\r\nNot Found\n");
    stop(&f);
}

static void not_found_hook(void *ctx, struct http_exchange *ex, const char *allow) {
    (void)ctx;
    http_respond(ex, allow != NULL ? 405 : 404, NULL, span_of(allow != NULL ? allow : "nothing"));
}

static void no_route_hook(void **state) {
    (void)state;
    struct fixture f;
    struct http_server_opts opts = options(NULL);
    opts.not_found = not_found_hook;
    opts.server_header = "dalang";
    start(&f, &opts);
    send_text(&f, "GET /nowhere HTTP/1.1\r\n" H "\r\n");
    expect(&f, "HTTP/1.1 404 Not Found\r\n" DATE "Server: dalang\r\nContent-Length: 7\r\n\r\nnothing");
    send_text(&f, "GET /echo HTTP/1.1\r\n" H "\r\n");
    expect(&f, "HTTP/1.1 405 Method Not Allowed\r\n" DATE "Server: dalang\r\nContent-Length: 4\r\n\r\nPOST");
    stop(&f);
}

static void head_requests(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    send_text(&f, "HEAD /large.bin HTTP/1.1\r\n" H "\r\nHEAD /stream HTTP/1.1\r\n" H "\r\nHEAD /nowhere HTTP/1.1\r\n" H
                  "\r\n");
    expect(&f,
           "HTTP/1.1 200 OK\r\n" DATE "Content-Type: application/octet-stream\r\nContent-Length: 3000\r\n\r\n"
           "HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
           "HTTP/1.1 404 Not Found\r\n" DATE "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\n\r\n");
    stop(&f);
}

static void streams(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    send_text(&f, "GET /stream HTTP/1.1\r\n" H "\r\nGET /close HTTP/1.1\r\n" H "\r\n");
    expect(&f, "HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
               "3\r\none\r\n14\r\ntwenty bytes of data\r\n0\r\n\r\n"
               "HTTP/1.1 200 OK\r\n" DATE "Connection: close\r\nContent-Length: 3\r\n\r\nbye");
    assert_null(f.client.conn);
    assert_int_equal(f.client.why, WORLD_CLOSE_EOF);
    raw_connect(&f.client, f.pw, PORT);
    send_text(&f, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect(&f, "HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/event-stream\r\nConnection: close\r\n\r\n"
               "onetwenty bytes of data");
    assert_null(f.client.conn);
    stop(&f);
}

static void connection_reuse(void **state) {
    (void)state;
    static const struct {
        const char *request, *connection;
        bool stays;
    } cases[] = {
        {"GET /large.bin HTTP/1.1\r\n" H "\r\n", "", true},
        {"GET /large.bin HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "Connection: close\r\n", false},
        {"GET /large.bin HTTP/1.0\r\n\r\n", "Connection: close\r\n", false},
        {"GET /large.bin HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "Connection: keep-alive\r\n", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        start(&f, NULL);
        send_text(&f, cases[i].request);
        char head[300];
        snprintf(head, sizeof(head),
                 "HTTP/1.1 200 OK\r\n" DATE "Content-Type: application/octet-stream\r\n%sContent-Length: 3000\r\n\r\n",
                 cases[i].connection);
        assert_memory_equal(f.client.got.ptr, head, strlen(head));
        assert_int_equal(f.client.got.len, strlen(head) + 3000);
        assert_int_equal(f.client.conn != NULL, cases[i].stays);
        stop(&f);
    }
}

/* ---- answers that come later */

static void pipelined_requests_are_answered_in_order(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\nGET /hold HTTP/1.1\r\n" H "\r\nPOST /echo HTTP/1.1\r\n" H
                  "Content-Length: 3\r\n\r\nend");
    assert_int_equal(f.held_count, 1); /* one at a time */
    expect(&f, "");
    http_respond(f.held[0], 200, NULL, SPAN("first"));
    assert_int_equal(f.held_count, 1); /* not from within the call */
    pipe_run(f.pw);
    assert_int_equal(f.held_count, 2);
    expect(&f, "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 5\r\n\r\nfirst");
    http_stream_start(f.held[1], 200, NULL);
    http_stream_write(f.held[1], SPAN("second"));
    pipe_run(f.pw);
    expect(&f, "HTTP/1.1 200 OK\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n");
    http_stream_end(f.held[1]);
    pipe_run(f.pw);
    expect(&f, "0\r\n\r\nHTTP/1.1 200 OK\r\n" DATE "Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nend");
    assert_int_equal(f.abandoned, 0);
    stop(&f);
}

static void the_client_goes_away(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\n");
    raw_free(&f.client);
    pipe_run(f.pw);
    assert_int_equal(f.abandoned, 1);
    assert_int_equal(http_server_connections(f.server), 0);
    raw_connect(&f.client, f.pw, PORT);
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\n");
    http_stream_start(f.held[1], 200, NULL);
    world_conn_close(f.client.conn, 100);
    pipe_run(f.pw);
    assert_int_equal(f.abandoned, 2);
    raw_connect(&f.client, f.pw, PORT);
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\n");
    http_respond(f.held[2], 200, NULL, SPAN("done")); /* answered: nobody is told any more */
    raw_free(&f.client);
    pipe_run(f.pw);
    assert_int_equal(f.abandoned, 2);
    stop(&f);
}

static void aborting(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    send_text(&f, "GET /abort HTTP/1.1\r\n" H "\r\nGET /json HTTP/1.1\r\n" H "\r\n");
    expect(&f, "");
    assert_int_equal(f.client.why, WORLD_CLOSE_RESET);
    raw_connect(&f.client, f.pw, PORT);
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\n");
    http_abort(f.held[0]);
    pipe_run(f.pw);
    assert_int_equal(f.client.why, WORLD_CLOSE_RESET);
    assert_int_equal(f.abandoned, 0);
    stop(&f);
}

static bool hold_before(void *ctx, struct http_exchange *ex) {
    struct fixture *f = ctx;
    if (http_header(ex, "x-now") != NULL) {
        return false;
    }
    f->held[f->held_count++] = ex;
    return true;
}

static void before_hook_and_proceed(void **state) {
    (void)state;
    struct fixture f;
    struct http_server_opts opts = options(NULL);
    opts.before = hold_before;
    start(&f, &opts);
    send_text(&f, "GET /describe/1 HTTP/1.1\r\n" H "\r\nGET /describe/2 HTTP/1.1\r\n" H "X-Now: 1\r\n\r\n");
    assert_int_equal(f.held_count, 1);
    expect(&f, "");
    http_proceed(f.held[0]);
    pipe_run(f.pw);
    expect(&f, "HTTP/1.1 204 No Content\r\n" DATE "\r\nHTTP/1.1 204 No Content\r\n" DATE "\r\n");
    send_text(&f, "GET /nowhere HTTP/1.1\r\n" H "\r\n");
    http_respond(f.held[1], 503, NULL, SPAN(""));
    pipe_run(f.pw);
    expect(&f, "HTTP/1.1 503 Service Unavailable\r\n" DATE "Content-Length: 0\r\n\r\n");
    stop(&f);
}

static void after_hook(void **state) {
    (void)state;
    struct fixture f;
    struct http_server_opts opts = options(NULL);
    opts.after = after;
    start(&f, &opts);
    send_text(&f, "GET /hold?x HTTP/1.1\r\n" H "User-Agent: me\r\nReferer: r\r\n\r\n");
    pipe_advance(f.pw, 30);
    http_respond(f.held[0], 200, NULL, SPAN("12345"));
    send_text(&f, "HEAD /json HTTP/1.1\r\n" H "\r\nGET /stream HTTP/1.1\r\n" H "\r\nnonsense\r\n\r\n");
    assert_string_equal(f.log.ptr, "after GET /hold?x 200 5 30000 r me\nafter HEAD /json 201 0 0 - -\n"
                                   "after GET /stream 200 23 0 - -\nafter   501 15 0 - -\n");
    buf_clear(&f.log);
    raw_connect(&f.client, f.pw, PORT);
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\n");
    http_respond(f.held[1], 200, NULL, SPAN("x"));
    raw_free(&f.client); /* before the server has come around to it */
    pipe_run(f.pw);
    assert_string_equal(f.log.ptr, "after GET /hold 200 1 0 - -\n");
    stop(&f);
}

/* ---- what is refused */

static void refusals(void **state) {
    (void)state;
    static const struct {
        const char *request;
        const char *status;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"GET / HTTP/1.1\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"BREW / HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 501 Not Implemented\r\n"},
        {"GET / HTTP/3.0\r\n" H "\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\n"},
        {"POST /echo HTTP/1.1\r\n" H "Content-Length: 5001\r\n\r\n", "HTTP/1.1 413 Payload Too Large\r\n"},
        {"POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1389\r\n",
         "HTTP/1.1 413 Payload Too Large\r\n"},
        {"POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nx\r\n", "HTTP/1.1 400 Bad Request\r\n"},
        {"POST /echo HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 400 Bad Request\r\n"},
        {"POST /echo HTTP/1.1\r\n" H "Expect: miracles\r\nContent-Length: 1\r\n\r\n",
         "HTTP/1.1 417 Expectation Failed\r\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        start(&f, NULL);
        send_text(&f, cases[i].request);
        assert_memory_equal(f.client.got.ptr, cases[i].status, strlen(cases[i].status));
        assert_non_null(strstr(f.client.got.ptr, "Connection: close\r\n"));
        assert_null(f.client.conn); /* nothing can be read behind it */
        stop(&f);
    }
}

static void head_bomb(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    struct buf text = BUF_INIT;
    buf_append_cstr(&text, "GET / HTTP/1.1\r\n" H "X: ");
    while (text.len < 1000) {
        buf_append_char(&text, 'x');
    }
    raw_send(&f.client, buf_span(&text));
    pipe_run(f.pw);
    assert_memory_equal(f.client.got.ptr, "HTTP/1.1 431 ", 13);
    assert_null(f.client.conn);
    buf_free(&text);
    stop(&f);
}

static void nul_in_a_query(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    send_text(&f, "GET /describe/1?a=%00 HTTP/1.1\r\n" H "\r\n");
    assert_memory_equal(f.client.got.ptr, "HTTP/1.1 400 ", 13);
    assert_int_equal(f.log.len, 0);
    assert_non_null(f.client.conn); /* the stream itself is sound */
    stop(&f);
}

static void expect_continue(void **state) {
    (void)state;
    struct fixture f;
    for (size_t split = 0; split < 2; split++) {
        start(&f, NULL);
        pipe_split(f.pw, split);
        send_text(&f, "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
        expect(&f, "HTTP/1.1 100 Continue\r\n\r\n");
        send_text(&f, "bo");
        expect(&f, "");
        send_text(&f, "dy");
        expect(&f, "HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody");
        send_text(&f, "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 9999\r\n\r\n");
        assert_memory_equal(f.client.got.ptr, "HTTP/1.1 413 ", 13);
        stop(&f);
    }
}

/* ---- gzip */

static void packed_responses(void **state) {
    (void)state;
    static const struct {
        const char *path, *accept;
        bool packed;
    } cases[] = {
        {"/large", "Accept-Encoding: deflate, gzip\r\n", true},
        {"/large", "Accept-Encoding: gzip;q=0.5\r\n", true},
        {"/large", "Accept-Encoding: *\r\n", true},
        {"/large", "Accept-Encoding: gzip;q=0\r\n", false},
        {"/large", "Accept-Encoding: br\r\n", false},
        {"/large", "", false},
        {"/large.bin", "Accept-Encoding: gzip\r\n", false},
        {"/json", "Accept-Encoding: gzip\r\n", false}, /* small */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        start(&f, NULL);
        char request[200];
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" H "%s\r\n", cases[i].path, cases[i].accept);
        send_text(&f, request);
        const char *body = strstr(f.client.got.ptr, "\r\n\r\n") + 4;
        assert_int_equal(strstr(f.client.got.ptr, "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n") != NULL,
                         cases[i].packed);
        if (cases[i].packed) {
            struct buf plain = BUF_INIT;
            size_t head = (size_t)(body - f.client.got.ptr);
            assert_true(gzip_inflate(&plain, span_sub(buf_span(&f.client.got), head, SIZE_MAX), 5000, NULL));
            assert_int_equal(plain.len, 3000);
            buf_free(&plain);
        }
        stop(&f);
    }
}

static void packed_requests(void **state) {
    (void)state;
    struct buf packed = BUF_INIT, zeros = BUF_INIT;
    gzip_deflate(&packed, SPAN("hello"));
    static const struct {
        const char *coding;
        bool cut;
        const char *want;
    } cases[] = {{"gzip", false, "HTTP/1.1 200 OK"},
                 {"GZIP", false, "HTTP/1.1 200 OK"},
                 {"identity", false, "HTTP/1.1 200 OK"},
                 {"gzip", true, "HTTP/1.1 400 Bad Request"},
                 {"br", false, "HTTP/1.1 415 Unsupported Media Type"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        start(&f, NULL);
        struct buf request = BUF_INIT;
        size_t len = cases[i].cut ? packed.len - 1 : packed.len;
        buf_printf(&request, "POST /echo HTTP/1.1\r\n" H "Content-Encoding: %s\r\nContent-Length: %zu\r\n\r\n",
                   cases[i].coding, len);
        buf_append(&request, packed.ptr, len);
        raw_send(&f.client, buf_span(&request));
        pipe_run(f.pw);
        assert_memory_equal(f.client.got.ptr, cases[i].want, strlen(cases[i].want));
        if (i < 2) {
            assert_true(span_ends_with(buf_span(&f.client.got), "\r\n\r\nhello"));
        }
        assert_non_null(f.client.conn);
        buf_free(&request);
        stop(&f);
    }
    /* a bomb */
    struct fixture f;
    start(&f, NULL);
    for (size_t i = 0; i < 1000000; i++) {
        buf_append_char(&zeros, '0');
    }
    buf_clear(&packed);
    gzip_deflate(&packed, buf_span(&zeros));
    char head[200];
    snprintf(head, sizeof(head), "POST /echo HTTP/1.1\r\n" H "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
             packed.len);
    send_text(&f, head);
    raw_send(&f.client, buf_span(&packed));
    pipe_run(f.pw);
    assert_memory_equal(f.client.got.ptr, "HTTP/1.1 413 ", 13);
    stop(&f);
    buf_free(&packed);
    buf_free(&zeros);
}

static void gzip_off_leaves_bodies_alone(void **state) {
    (void)state;
    struct fixture f;
    struct http_server_opts opts = options(NULL);
    opts.gzip = false;
    start(&f, &opts);
    send_text(&f, "POST /echo HTTP/1.1\r\n" H "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw");
    assert_true(span_ends_with(buf_span(&f.client.got), "\r\n\r\nraw"));
    buf_clear(&f.client.got);
    send_text(&f, "GET /large HTTP/1.1\r\n" H "Accept-Encoding: gzip\r\n\r\n");
    assert_null(strstr(f.client.got.ptr, "gzip"));
    stop(&f);
}

/* ---- time */

static void idle_connections_end(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    pipe_advance(f.pw, IDLE_MS - 1);
    send_text(&f, "GET /json HTTP/1.1\r\n" H "\r\n");
    pipe_advance(f.pw, IDLE_MS - 1);
    assert_non_null(f.client.conn);
    pipe_advance(f.pw, 2);
    assert_null(f.client.conn);
    assert_int_equal(f.client.why, WORLD_CLOSE_EOF);
    stop(&f);
}

static void slow_heads_end(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    static const char head[] = "GET /json HTTP/1.1\r\nHost: h\r\nX: yyyyyyyyyyy";
    for (size_t i = 0; f.client.conn != NULL && i < sizeof(head) - 1; i++) { /* a byte every 100 ms */
        raw_send(&f.client, (struct span){head + i, 1});
        pipe_advance(f.pw, 100);
        assert_true(i < 12);
    }
    assert_memory_equal(f.client.got.ptr, "HTTP/1.1 408 Request Timeout\r\n", 30);
    stop(&f);
}

static void slow_bodies_end(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    send_text(&f, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5000\r\n\r\n");
    for (size_t i = 0; f.client.conn != NULL; i++) {
        raw_send(&f.client, SPAN("x"));
        pipe_advance(f.pw, 100);
        assert_true(i < 12);
    }
    assert_memory_equal(f.client.got.ptr, "HTTP/1.1 408 Request Timeout\r\n", 30);
    /* one that makes progress may take longer */
    raw_connect(&f.client, f.pw, PORT);
    send_text(&f, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5000\r\n\r\n");
    char piece[4500];
    memset(piece, 'x', sizeof(piece));
    pipe_advance(f.pw, 900);
    raw_send(&f.client, (struct span){piece, 4500});
    pipe_advance(f.pw, 900);
    raw_send(&f.client, (struct span){piece, 500});
    pipe_run(f.pw);
    assert_memory_equal(f.client.got.ptr, "HTTP/1.1 200 OK\r\n", 17);
    stop(&f);
}

static void handlers_may_take_long(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\n");
    pipe_advance(f.pw, 100 * IDLE_MS);
    assert_int_equal(f.abandoned, 0);
    http_stream_start(f.held[0], 200, NULL);
    http_stream_write(f.held[0], SPAN("x"));
    pipe_advance(f.pw, 100 * IDLE_MS); /* a quiet stream with nothing unsent */
    assert_int_equal(f.abandoned, 0);
    http_stream_end(f.held[0]);
    pipe_run(f.pw);
    assert_non_null(f.client.conn);
    stop(&f);
}

static void a_client_that_does_not_read(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\n");
    http_stream_start(f.held[0], 200, NULL);
    http_on_drain(f.held[0], on_drain, &f);
    pipe_run(f.pw);
    pipe_window(f.pw, 0);
    http_stream_write(f.held[0], SPAN("0123456789"));
    pipe_run(f.pw);
    assert_int_equal(http_stream_pending(f.held[0]), 15); /* with the chunk's head and end */
    assert_int_equal(f.drained, 0);
    pipe_window(f.pw, SIZE_MAX);
    pipe_run(f.pw);
    assert_int_equal(f.drained, 1);
    assert_int_equal(http_stream_pending(f.held[0]), 0);
    pipe_window(f.pw, 0);
    http_stream_write(f.held[0], SPAN("0123456789"));
    pipe_advance(f.pw, 3 * IDLE_MS);
    assert_int_equal(f.abandoned, 1);
    assert_int_equal(http_server_connections(f.server), 0);
    pipe_window(f.pw, SIZE_MAX);
    stop(&f);
}

static void a_slow_download_is_not_idle(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    pipe_split(f.pw, 300);
    pipe_window(f.pw, 300);
    f.client.sips = true;
    send_text(&f, "GET /large.bin HTTP/1.1\r\n" H "\r\n");
    size_t rounds = 0;
    for (; f.client.got.len < 3100; rounds++) { /* a little before each time-out */
        pipe_advance(f.pw, IDLE_MS - 100);
        assert_non_null(f.client.conn);
        world_conn_pause(f.client.conn, false);
        pipe_run(f.pw);
    }
    assert_true(rounds >= 9);
    f.client.sips = false;
    send_text(&f, "GET /large.bin HTTP/1.1\r\n" H "\r\n"); /* and one that takes nothing at all */
    world_conn_pause(f.client.conn, true);
    send_text(&f, "GET /large.bin HTTP/1.1\r\n" H "\r\n");
    pipe_advance(f.pw, 4 * IDLE_MS);
    assert_int_equal(http_server_connections(f.server), 0);
    stop(&f);
}

/* ---- limits and the end */

static void connection_limit(void **state) {
    (void)state;
    struct fixture f;
    struct http_server_opts opts = options(NULL);
    opts.connections_max = 2;
    start(&f, &opts);
    struct raw second = {0}, third = {0};
    raw_connect(&second, f.pw, PORT);
    raw_connect(&third, f.pw, PORT);
    assert_memory_equal(third.got.ptr, "HTTP/1.1 503 Service Unavailable\r\n", 34);
    assert_null(third.conn);
    assert_int_equal(http_server_connections(f.server), 2);
    raw_free(&second);
    pipe_run(f.pw);
    raw_free(&third);
    raw_connect(&third, f.pw, PORT);
    assert_non_null(third.conn);
    assert_int_equal(third.got.len, 0);
    raw_free(&third);
    stop(&f);
}

static void reading_ahead_is_bounded(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    pipe_split(f.pw, 4096);
    pipe_window(f.pw, 4096);
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\n");
    struct buf many = BUF_INIT;
    size_t count = 0;
    for (; many.len < 300000; count++) {
        buf_append_cstr(&many, "DELETE /describe/1 HTTP/1.1\r\n" H "\r\n");
    }
    raw_send(&f.client, buf_span(&many));
    pipe_run(f.pw);
    size_t held_back = world_conn_pending(f.client.conn);
    assert_true(held_back > 200000);
    http_respond(f.held[0], 204, NULL, SPAN(""));
    pipe_run(f.pw);
    size_t answers_seen = 0;
    for (const char *at = f.client.got.ptr; (at = strstr(at, "HTTP/1.1 204")) != NULL; at++) {
        answers_seen++;
    }
    assert_int_equal(answers_seen, count + 1);
    buf_free(&many);
    stop(&f);
}

static void closing(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    struct raw idle = {0};
    raw_connect(&idle, f.pw, PORT);
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\n");
    http_server_close(f.server, 500, on_closed, &f);
    pipe_run(f.pw);
    assert_null(idle.conn); /* at once */
    assert_int_equal(idle.why, WORLD_CLOSE_EOF);
    raw_free(&idle);
    raw_connect(&idle, f.pw, PORT);
    assert_int_equal(idle.why, WORLD_CLOSE_REFUSED);
    raw_free(&idle);
    assert_false(f.closed);
    http_respond(f.held[0], 200, NULL, SPAN("x"));
    pipe_run(f.pw);
    expect(&f, "HTTP/1.1 200 OK\r\n" DATE "Connection: close\r\nContent-Length: 1\r\n\r\nx");
    assert_null(f.client.conn);
    assert_true(f.closed);
    stop(&f);
}

static void closing_when_grace_is_over(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    struct raw half = {0};
    raw_connect(&half, f.pw, PORT);
    raw_send(&half, SPAN("GET /j"));
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\n");
    http_server_close(f.server, 500, on_closed, &f);
    pipe_advance(f.pw, 499);
    assert_false(f.closed);
    assert_int_equal(f.abandoned, 0);
    pipe_advance(f.pw, 1);
    assert_true(f.closed);
    assert_int_equal(f.abandoned, 1);
    assert_int_equal(f.client.why, WORLD_CLOSE_RESET);
    raw_free(&half);
    stop(&f);
}

static void handle_shutdown(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct fixture *f = ctx;
    (void)route;
    http_server_close(f->server, 500, on_closed, f);
    http_respond(ex, 200, NULL, SPAN("going"));
}

static void closing_from_a_handler(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    send_text(&f, "GET /shutdown HTTP/1.1\r\n" H "\r\nGET /json HTTP/1.1\r\n" H "\r\n");
    expect(&f, "HTTP/1.1 200 OK\r\n" DATE "Connection: close\r\nContent-Length: 5\r\n\r\ngoing");
    assert_true(f.closed);
    stop(&f);
}

static void a_port_in_use(void **state) {
    (void)state;
    struct fixture f;
    start(&f, NULL);
    struct error err = ERROR_INIT;
    struct http_server_opts opts = options(&f);
    assert_null(http_server_new(pipe_world(f.pw), &opts, &err));
    assert_true(error_is(&err, "world/address-in-use"));
    error_clear(&err);
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(what_handlers_read),
        cmocka_unit_test(no_route),
        cmocka_unit_test(no_route_hook),
        cmocka_unit_test(head_requests),
        cmocka_unit_test(streams),
        cmocka_unit_test(connection_reuse),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(the_client_goes_away),
        cmocka_unit_test(aborting),
        cmocka_unit_test(before_hook_and_proceed),
        cmocka_unit_test(after_hook),
        cmocka_unit_test(refusals),
        cmocka_unit_test(head_bomb),
        cmocka_unit_test(nul_in_a_query),
        cmocka_unit_test(expect_continue),
        cmocka_unit_test(packed_responses),
        cmocka_unit_test(packed_requests),
        cmocka_unit_test(gzip_off_leaves_bodies_alone),
        cmocka_unit_test(idle_connections_end),
        cmocka_unit_test(slow_heads_end),
        cmocka_unit_test(slow_bodies_end),
        cmocka_unit_test(handlers_may_take_long),
        cmocka_unit_test(a_client_that_does_not_read),
        cmocka_unit_test(a_slow_download_is_not_idle),
        cmocka_unit_test(connection_limit),
        cmocka_unit_test(reading_ahead_is_bounded),
        cmocka_unit_test(closing),
        cmocka_unit_test(closing_when_grace_is_over),
        cmocka_unit_test(closing_from_a_handler),
        cmocka_unit_test(a_port_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
