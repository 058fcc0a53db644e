/* The HTTP server, over pipes: requests, routes, responses now and later. */
#include "base/mem.h"
#include "http_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- requests and responses */

static void answers(void **state) {
    (void)state;
    struct fixture f;
    for (size_t split = 0; split <= 7; split++) { /* 0: in one piece */
        fixture_start(&f, NULL);
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
        fixture_stop(&f);
    }
}

static void what_handlers_read(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
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
    fixture_stop(&f);
}

static void no_route(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
    send_text(&f, "GET /nowhere HTTP/1.1\r\n" H "\r\n");
    expect(&f, "HTTP/1.1 404 Not Found\r\n" DATE
               "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\n\r\nNot Found\n");
    send_text(&f, "DELETE /hold HTTP/1.1\r\n" H "\r\n");
    expect(&f, "HTTP/1.1 405 Method Not Allowed\r\n" DATE "Content-Type: text/plain; charset=utf-8\r\n"
               "Allow: GET, POST\r\nContent-Length: 19\r\n\r\nMethod Not Allowed\n");
    send_text(&f, "GET /echo/ HTTP/1.1\r\n" H "\r\n");
    expect(&f, "HTTP/1.1 404 Not Found\r\n" DATE
               "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\n\r\nNot Found\n");
    fixture_stop(&f);
}

static void not_found_hook(void *ctx, struct http_exchange *ex, const char *allow) {
    (void)ctx;
    http_respond(ex, allow != NULL ? 405 : 404, NULL, span_of(allow != NULL ? allow : "nothing"));
}

static void no_route_hook(void **state) {
    (void)state;
    struct fixture f;
    struct http_server_opts opts = fixture_options(NULL);
    opts.not_found = not_found_hook;
    opts.server_header = "dalang";
    fixture_start(&f, &opts);
    send_text(&f, "GET /nowhere HTTP/1.1\r\n" H "\r\n");
    expect(&f, "HTTP/1.1 404 Not Found\r\n" DATE "Server: dalang\r\nContent-Length: 7\r\n\r\nnothing");
    send_text(&f, "GET /echo HTTP/1.1\r\n" H "\r\n");
    expect(&f, "HTTP/1.1 405 Method Not Allowed\r\n" DATE "Server: dalang\r\nContent-Length: 4\r\n\r\nPOST");
    fixture_stop(&f);
}

static void head_requests(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
    send_text(&f, "HEAD /large.bin HTTP/1.1\r\n" H "\r\nHEAD /stream HTTP/1.1\r\n" H "\r\nHEAD /nowhere HTTP/1.1\r\n" H
                  "\r\n");
    expect(&f,
           "HTTP/1.1 200 OK\r\n" DATE "Content-Type: application/octet-stream\r\nContent-Length: 3000\r\n\r\n"
           "HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
           "HTTP/1.1 404 Not Found\r\n" DATE "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\n\r\n");
    fixture_stop(&f);
}

static void streams(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
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
    fixture_stop(&f);
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
        fixture_start(&f, NULL);
        send_text(&f, cases[i].request);
        char head[300];
        snprintf(head, sizeof(head),
                 "HTTP/1.1 200 OK\r\n" DATE "Content-Type: application/octet-stream\r\n%sContent-Length: 3000\r\n\r\n",
                 cases[i].connection);
        assert_memory_equal(f.client.got.ptr, head, strlen(head));
        assert_int_equal(f.client.got.len, strlen(head) + 3000);
        assert_int_equal(f.client.conn != NULL, cases[i].stays);
        fixture_stop(&f);
    }
}

/* ---- answers that come later */

static void pipelined_requests_are_answered_in_order(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
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
    fixture_stop(&f);
}

static void the_client_goes_away(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
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
    fixture_stop(&f);
}

static void aborting(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
    send_text(&f, "GET /abort HTTP/1.1\r\n" H "\r\nGET /json HTTP/1.1\r\n" H "\r\n");
    expect(&f, "");
    assert_int_equal(f.client.why, WORLD_CLOSE_RESET);
    raw_connect(&f.client, f.pw, PORT);
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\n");
    http_abort(f.held[0]);
    pipe_run(f.pw);
    assert_int_equal(f.client.why, WORLD_CLOSE_RESET);
    assert_int_equal(f.abandoned, 0);
    fixture_stop(&f);
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
    struct http_server_opts opts = fixture_options(NULL);
    opts.before = hold_before;
    fixture_start(&f, &opts);
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
    fixture_stop(&f);
}

static void after(void *ctx, const struct http_request *req, int status, uint64_t bytes, uint64_t duration_us,
                  const char *referer, const char *user_agent) {
    struct fixture *f = ctx;
    buf_printf(&f->log, "after %s %s %d %llu %llu %s %s\n", req->method, req->target, status, (unsigned long long)bytes,
               (unsigned long long)duration_us, referer != NULL ? referer : "-", user_agent != NULL ? user_agent : "-");
}

static void after_hook(void **state) {
    (void)state;
    struct fixture f;
    struct http_server_opts opts = fixture_options(NULL);
    opts.after = after;
    fixture_start(&f, &opts);
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
    buf_clear(&f.log);
    raw_connect(&f.client, f.pw, PORT);
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\nGET /json HTTP/1.1\r\n" H "\r\n");
    http_stream_start(f.held[2], 200, NULL);
    http_stream_write(f.held[2], SPAN("cut"));
    raw_free(&f.client);
    pipe_run(f.pw);
    assert_string_equal(f.log.ptr, "after GET /hold 200 3 0 - -\n");
    fixture_stop(&f);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
