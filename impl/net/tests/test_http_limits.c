/* The HTTP server, over pipes: what it refuses, packed bodies, time, limits and its end. */
#include "base/mem.h"
#include "http_fixture.h"
#include "wire/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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
        fixture_start(&f, NULL);
        send_text(&f, cases[i].request);
        assert_memory_equal(f.client.got.ptr, cases[i].status, strlen(cases[i].status));
        assert_non_null(strstr(f.client.got.ptr, "Connection: close\r\n"));
        assert_null(f.client.conn); /* nothing can be read behind it */
        fixture_stop(&f);
    }
}

static void head_bomb(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
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
    fixture_stop(&f);
}

static void nul_in_a_query(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
    send_text(&f, "GET /describe/1?a=%00 HTTP/1.1\r\n" H "\r\n");
    assert_memory_equal(f.client.got.ptr, "HTTP/1.1 400 ", 13);
    assert_int_equal(f.log.len, 0);
    assert_non_null(f.client.conn); /* the stream itself is sound */
    fixture_stop(&f);
}

static void expect_continue(void **state) {
    (void)state;
    struct fixture f;
    for (size_t split = 0; split < 2; split++) {
        fixture_start(&f, NULL);
        pipe_split(f.pw, split);
        send_text(&f, "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
        expect(&f, "HTTP/1.1 100 Continue\r\n\r\n");
        send_text(&f, "bo");
        expect(&f, "");
        send_text(&f, "dy");
        expect(&f, "HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody");
        send_text(&f, "POST /echo HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 9999\r\n\r\n");
        assert_memory_equal(f.client.got.ptr, "HTTP/1.1 413 ", 13);
        fixture_stop(&f);
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
        fixture_start(&f, NULL);
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
        fixture_stop(&f);
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
        fixture_start(&f, NULL);
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
        fixture_stop(&f);
    }
    /* a bomb */
    struct fixture f;
    fixture_start(&f, NULL);
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
    fixture_stop(&f);
    buf_free(&packed);
    buf_free(&zeros);
}

static void gzip_off_leaves_bodies_alone(void **state) {
    (void)state;
    struct fixture f;
    struct http_server_opts opts = fixture_options(NULL);
    opts.gzip = false;
    fixture_start(&f, &opts);
    send_text(&f, "POST /echo HTTP/1.1\r\n" H "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw");
    assert_true(span_ends_with(buf_span(&f.client.got), "\r\n\r\nraw"));
    buf_clear(&f.client.got);
    send_text(&f, "GET /large HTTP/1.1\r\n" H "Accept-Encoding: gzip\r\n\r\n");
    assert_null(strstr(f.client.got.ptr, "gzip"));
    fixture_stop(&f);
}

/* ---- time */

static void idle_connections_end(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
    pipe_advance(f.pw, IDLE_MS - 1);
    send_text(&f, "GET /json HTTP/1.1\r\n" H "\r\n");
    pipe_advance(f.pw, IDLE_MS - 1);
    assert_non_null(f.client.conn);
    pipe_advance(f.pw, 2);
    assert_null(f.client.conn);
    assert_int_equal(f.client.why, WORLD_CLOSE_EOF);
    fixture_stop(&f);
}

static void slow_heads_end(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
    static const char head[] = "GET /json HTTP/1.1\r\nHost: h\r\nX: yyyyyyyyyyy";
    for (size_t i = 0; f.client.conn != NULL && i < sizeof(head) - 1; i++) { /* a byte every 100 ms */
        raw_send(&f.client, (struct span){head + i, 1});
        pipe_advance(f.pw, 100);
        assert_true(i < 12);
    }
    assert_memory_equal(f.client.got.ptr, "HTTP/1.1 408 Request Timeout\r\n", 30);
    fixture_stop(&f);
}

static void slow_bodies_end(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
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
    fixture_stop(&f);
}

static void handlers_may_take_long(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
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
    fixture_stop(&f);
}

static void on_drain(void *ctx) {
    ((struct fixture *)ctx)->drained++;
}

static void a_client_that_does_not_read(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
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
    fixture_stop(&f);
}

static void a_slow_download_is_not_idle(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
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
    fixture_stop(&f);
}

/* ---- limits and the end */

static void connection_limit(void **state) {
    (void)state;
    struct fixture f;
    struct http_server_opts opts = fixture_options(NULL);
    opts.connections_max = 2;
    fixture_start(&f, &opts);
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
    fixture_stop(&f);
}

static void reading_ahead_is_bounded(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
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
    fixture_stop(&f);
}

static void closing(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
    struct raw idle = {0};
    raw_connect(&idle, f.pw, PORT);
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\n");
    http_server_close(f.server, 500, fixture_on_closed, &f);
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
    fixture_stop(&f);
}

static void closing_when_grace_is_over(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
    struct raw half = {0};
    raw_connect(&half, f.pw, PORT);
    raw_send(&half, SPAN("GET /j"));
    send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\n");
    http_server_close(f.server, 500, fixture_on_closed, &f);
    pipe_advance(f.pw, 499);
    assert_false(f.closed);
    assert_int_equal(f.abandoned, 0);
    pipe_advance(f.pw, 1);
    assert_true(f.closed);
    assert_int_equal(f.abandoned, 1);
    assert_int_equal(f.client.why, WORLD_CLOSE_RESET);
    raw_free(&half);
    fixture_stop(&f);
}

static void closing_from_a_handler(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
    send_text(&f, "GET /shutdown HTTP/1.1\r\n" H "\r\nGET /json HTTP/1.1\r\n" H "\r\n");
    expect(&f, "HTTP/1.1 200 OK\r\n" DATE "Connection: close\r\nContent-Length: 5\r\n\r\ngoing");
    assert_true(f.closed);
    fixture_stop(&f);
}

static void a_port_in_use(void **state) {
    (void)state;
    struct fixture f;
    fixture_start(&f, NULL);
    struct error err = ERROR_INIT;
    struct http_server_opts opts = fixture_options(&f);
    assert_null(http_server_new(pipe_world(f.pw), &opts, &err));
    assert_true(error_is(&err, "world/address-in-use"));
    error_clear(&err);
    fixture_stop(&f);
}

static void freeing_at_once(void **state) {
    (void)state;
    for (int closing_first = 0; closing_first < 2; closing_first++) {
        struct fixture f;
        fixture_start(&f, NULL);
        struct raw half = {0};
        raw_connect(&half, f.pw, PORT);
        raw_send(&half, SPAN("GET /j"));
        send_text(&f, "GET /hold HTTP/1.1\r\n" H "\r\nGET /json HTTP/1.1\r\n" H "\r\n");
        if (closing_first) {
            http_server_close(f.server, 500, fixture_on_closed, &f);
        }
        http_server_free(f.server);
        assert_int_equal(f.abandoned, 1);
        assert_false(f.closed);
        f.closed = true; /* nobody else will say so */
        pipe_run(f.pw);
        assert_int_equal(f.client.why, WORLD_CLOSE_RESET);
        raw_free(&half);
        fixture_stop(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
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
        cmocka_unit_test(freeing_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
