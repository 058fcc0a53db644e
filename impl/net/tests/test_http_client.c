/* The HTTP client over pipes: against our server, and against hand-made answers. */
#include "base/mem.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "pipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { PORT = 8081, BODY_MAX = 20 };

struct fixture {
    struct pipe_world *pw;
    struct raw raw;
    struct world_listener *listener;
    struct world_fetch *fetch; /* NULL: done */
    struct buf log, body;
    size_t body_allowed; /* on_body gives up after so many bytes */
    bool cancel_in_body;
};

static void done(void *ctx, const struct world_response *r) {
    struct fixture *f = ctx;
    world_fetch_cancel(f->fetch); /* does nothing any more */
    f->fetch = NULL;
    if (r->err != NULL) {
        buf_printf(&f->log, "%s: %s", r->err->kind, r->err->msg);
        assert_int_equal(r->status, 0);
        assert_int_equal(r->header_count, 0);
        assert_int_equal(r->body.len, 0);
        return;
    }
    buf_printf(&f->log, "%d", r->status);
    for (size_t i = 0; i < r->header_count; i++) {
        buf_printf(&f->log, " (%s: %s)", r->headers[i].name, r->headers[i].value);
    }
    buf_printf(&f->log, " [%.*s]", (int)r->body.len, r->body.ptr);
}

static void start(struct fixture *f) {
    memset(f, 0, sizeof(*f));
    f->pw = pipe_world_new();
    f->listener = raw_listen(&f->raw, f->pw, PORT);
    f->body_allowed = SIZE_MAX;
    buf_append_cstr(&f->log, "");
    buf_append_cstr(&f->body, "");
}

static void stop(struct fixture *f) {
    world_listener_close(f->listener);
    raw_free(&f->raw);
    pipe_run(f->pw);
    assert_null(f->fetch);
    pipe_world_free(f->pw);
    buf_free(&f->log);
    buf_free(&f->body);
}

static void fetch(struct fixture *f, const struct world_fetch_opts *opts) {
    f->fetch = http_client_fetch(pipe_world(f->pw), opts, done, f);
    assert_int_equal(f->log.len, 0); /* never from within the call */
    pipe_run(f->pw);
}

#define URL "http://host:8081/a?b=c"

/* ---- what it sends */

static void requests(void **state) {
    (void)state;
    static const struct world_header headers[] = {{"Accept", "text/plain"}, {"X-Evil", "a\r\nInjected: b"}};
    static const struct world_header host[] = {{"Host", "other"}};
    static const struct {
        struct world_fetch_opts opts;
        const char *want;
    } cases[] = {
        {{.url = URL}, "GET /a?b=c HTTP/1.1\r\nHost: host:8081\r\nConnection: close\r\n\r\n"},
        {{.url = "http://host:8081"}, "GET / HTTP/1.1\r\nHost: host:8081\r\nConnection: close\r\n\r\n"},
        {{.url = "https://host:8081?x%2f"}, "GET /?x%2f HTTP/1.1\r\nHost: host:8081\r\nConnection: close\r\n\r\n"},
        {{.url = URL, .headers = headers, .header_count = 2},
         "GET /a?b=c HTTP/1.1\r\nHost: host:8081\r\nAccept: text/plain\r\nX-Evil: a  Injected: b\r\nConnection: "
         "close\r\n\r\n"},
        {{.url = URL, .headers = host, .header_count = 1},
         "GET /a?b=c HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n"},
        {{.url = URL, .method = "POST", .body = SPAN("data")},
         "POST /a?b=c HTTP/1.1\r\nHost: host:8081\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndata"},
        {{.url = URL, .method = "PUT"},
         "PUT /a?b=c HTTP/1.1\r\nHost: host:8081\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
        {{.url = URL, .method = "DELETE"}, "DELETE /a?b=c HTTP/1.1\r\nHost: host:8081\r\nConnection: close\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        start(&f);
        fetch(&f, &cases[i].opts);
        assert_string_equal(f.raw.got.ptr, cases[i].want);
        world_fetch_cancel(f.fetch);
        f.fetch = NULL;
        stop(&f);
    }
}

/* ---- what it makes of answers */

static void meets_method(const char *method, const char *answer, bool end, const char *want) {
    for (size_t split = 0; split < 4; split++) {
        struct fixture f;
        start(&f);
        fetch(&f, &(struct world_fetch_opts){.url = URL, .method = method, .body_max = BODY_MAX, .timeout_ms = 500});
        pipe_split(f.pw, split);
        raw_send(&f.raw, span_of(answer));
        if (end) {
            world_conn_close(f.raw.conn, 100);
        }
        pipe_advance(f.pw, 500);
        assert_string_equal(f.log.ptr, want);
        assert_null(f.raw.conn);
        stop(&f);
    }
}

static void meets(const char *answer, bool end, const char *want) {
    meets_method("GET", answer, end, want);
}

static void answers(void **state) {
    (void)state;
    meets("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhi", false, "200 (content-length: 2) (x-a: b) [hi]");
    meets("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n", false,
          "200 (transfer-encoding: chunked) [hi!]");
    meets("HTTP/1.1 200 OK\r\n\r\nuntil the end", true, "200 [until the end]");
    meets("HTTP/1.1 204 No Content\r\n\r\n", false, "204 []");
    meets("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nwait", false, "503 (content-length: 4) [wait]");
    meets("HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", false,
          "302 (location: /b) (content-length: 0) []");
    meets("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
          false, "200 (content-length: 0) []");
    meets_method("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n", false, "200 (content-length: 20) []");
}

static void bad_answers(void **state) {
    (void)state;
    meets("", true, "world/reset: http://host:8081: it ended the connection without an answer");
    meets("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", true,
          "world/reset: http://host:8081: it ended the connection without an answer");
    meets("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi", true,
          "world/reset: http://host:8081: it ended the connection without an answer");
    meets("HTTP/1.1 100 Continue\r\n\r\n", true,
          "world/reset: http://host:8081: it ended the connection without an answer");
    meets("SSH-2.0-OpenSSH\r\n\r\n", false, "world/protocol: http://host:8081: Malformed head");
    meets("HTTP/1.1 200 OK\nContent-Length: 0\n\n", false,
          "world/protocol: http://host:8081: Line feed without a carriage return");
    meets("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", false,
          "world/protocol: http://host:8081: it switched protocols unasked");
    meets("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n", false, "world/too-large: http://host:8081: Body too large");
    meets("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n", false,
          "world/too-large: http://host:8081: Body too large");
    meets("HTTP/1.1 200 OK\r\n\r\n123456789012345678901", false, "world/too-large: http://host:8081: Body too large");
    meets("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", false,
          "world/timeout: http://host:8081: no answer in time");
    meets("HTTP/1.1 2", false, "world/timeout: http://host:8081: no answer in time");
}

static void no_connection(void **state) {
    (void)state;
    struct fixture f;
    start(&f);
    fetch(&f, &(struct world_fetch_opts){.url = "http://host:1/"});
    assert_string_equal(f.log.ptr, "world/refused: http://host:1: connection refused");
    buf_clear(&f.log);
    fetch(&f, &(struct world_fetch_opts){.url = URL});
    raw_free(&f.raw);
    pipe_run(f.pw);
    assert_string_equal(f.log.ptr, "world/reset: http://host:8081: the connection was reset");
    stop(&f);
}

static void bad_requests(void **state) {
    (void)state;
    static const struct world_header bad_header[] = {{"a b", "c"}};
    static const struct {
        struct world_fetch_opts opts;
        const char *want;
    } cases[] = {
        {{.url = "nonsense"}, "world/protocol: the URL has a scheme that is not http, https, ws or wss"},
        {{.url = "ws://h/"}, "world/protocol: the URL has a scheme that is not http or https"},
        {{.url = URL, .method = "GET /\r\n"}, "world/protocol: malformed method or header name"},
        {{.url = URL, .headers = bad_header, .header_count = 1}, "world/protocol: malformed method or header name"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        start(&f);
        fetch(&f, &cases[i].opts);
        assert_string_equal(f.log.ptr, cases[i].want);
        buf_clear(&f.log);
        f.fetch = http_client_fetch(pipe_world(f.pw), &cases[i].opts, done, &f);
        world_fetch_cancel(f.fetch);
        f.fetch = NULL;
        pipe_run(f.pw);
        assert_int_equal(f.log.len, 0);
        stop(&f);
    }
}

/* ---- bodies as they come */

static bool on_body(void *ctx, struct span bytes) {
    struct fixture *f = ctx;
    buf_append_span(&f->body, bytes);
    if (f->cancel_in_body) {
        world_fetch_cancel(f->fetch);
        f->fetch = NULL;
        return true;
    }
    if (f->body.len > f->body_allowed) {
        f->fetch = NULL;
        return false;
    }
    return true;
}

static void streamed(struct fixture *f, const char *answer) {
    fetch(f, &(struct world_fetch_opts){.url = URL, .on_body = on_body});
    raw_send(&f->raw, span_of(answer));
    pipe_run(f->pw);
}

static void streaming(void **state) {
    (void)state;
    struct fixture f;
    start(&f);
    streamed(&f, "HTTP/1.1 206 OK\r\nContent-Length: 5\r\n\r\nhello");
    assert_string_equal(f.log.ptr, "206 (content-length: 5) []");
    assert_string_equal(f.body.ptr, "hello");
    stop(&f);
    start(&f);
    streamed(&f, "HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nhello");
    assert_string_equal(f.log.ptr, "404 (content-length: 5) [hello]");
    assert_string_equal(f.body.ptr, "");
    stop(&f);
    start(&f);
    f.body_allowed = 3;
    streamed(&f, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    assert_string_equal(f.log.ptr, "");
    assert_null(f.raw.conn);
    stop(&f);
    start(&f);
    f.cancel_in_body = true;
    streamed(&f, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    assert_string_equal(f.log.ptr, "");
    assert_null(f.raw.conn);
    stop(&f);
}

/* ---- against our own server */

static void handle(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx, (void)route;
    http_stream_start(ex, 200, "text/plain");
    http_stream_write(ex, http_request(ex)->body);
    http_stream_write(ex, SPAN(" and "));
    http_stream_write(ex, http_request(ex)->query);
    http_stream_end(ex);
}

static void our_server_answers(void **state) {
    (void)state;
    static const struct http_route routes[] = {{"POST", "/a", handle, NULL}, {NULL, NULL, NULL, NULL}};
    for (size_t split = 0; split < 4; split++) {
        struct fixture f;
        start(&f);
        pipe_split(f.pw, split);
        struct http_server *s = http_server_new(
            pipe_world(f.pw), &(struct http_server_opts){.listen = {.port = 80}, .routes = routes}, NULL);
        fetch(&f, &(struct world_fetch_opts){.url = "http://host/a?q", .method = "POST", .body = SPAN("body")});
        assert_string_equal(f.log.ptr,
                            "200 (date: Fri, 20 Nov 2026 22:14:10 GMT) (content-type: text/plain) (connection: "
                            "close) (transfer-encoding: chunked) [body and q]");
        http_server_close(s, 0, NULL, NULL);
        stop(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),           cmocka_unit_test(answers),      cmocka_unit_test(bad_answers),
        cmocka_unit_test(no_connection),      cmocka_unit_test(bad_requests), cmocka_unit_test(streaming),
        cmocka_unit_test(our_server_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
