/* Connections through a proxy's CONNECT. */
#include "world/tests/harness.h"

#include <stdio.h>
#include <string.h>

struct proxy {
    struct bench *b;
    const char *answer; /* in pieces, separated by '|' */
    uint16_t target;
    struct world_conn *client, *server;
    struct buf request;
};

static const struct world_conn_handler proxy_handler;

static void proxy_pass(struct proxy *x, struct world_conn *c, struct span bytes) {
    struct world_conn *to = c == x->client ? x->server : x->client;
    if (to != NULL) {
        world_conn_write(to, &bytes, 1);
    }
}

static void proxy_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct proxy *x = ctx;
    if (x->server != NULL) {
        proxy_pass(x, c, bytes);
        return;
    }
    buf_append_span(&x->request, bytes);
    if (!span_ends_with(buf_span(&x->request), "\r\n\r\n")) {
        return;
    }
    struct span rest = span_of(x->answer), piece;
    while (span_split(&rest, '|', &piece)) {
        world_conn_write(c, &piece, 1);
        if (piece.len == 0) {
            world_conn_close(c, 1000);
        }
    }
    if (x->target != 0) {
        x->server =
            world_connect(x->b->w, &(struct world_connect){.host = "127.0.0.1", .port = x->target}, &proxy_handler, x);
    }
}

static void proxy_closed(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    struct proxy *x = ctx;
    (void)why;
    (void)text;
    *(c == x->client ? &x->client : &x->server) = NULL;
}

static const struct world_conn_handler proxy_handler = {.on_data = proxy_data, .on_close = proxy_closed};

static void proxy_accept(void *ctx, struct world_conn *c) {
    struct proxy *x = ctx;
    x->client = c;
    world_conn_set_handler(c, &proxy_handler, x);
}

static void through_proxy(struct bench *b, struct proxy *x, struct end *e, const struct world_connect *to) {
    x->b = b;
    struct world_listener *l = world_listen(b->w, &(struct world_listen){.host = "127.0.0.1"}, proxy_accept, x, NULL);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", world_listener_port(l));
    struct world_connect opts = *to;
    opts.proxy = url;
    e->c = world_connect(b->w, &opts, &end_handler, e);
    TURN_UNTIL(b, e->opened || e->closed);
    world_listener_close(l);
}

static void proxy_end(struct proxy *x, struct end *e) {
    end_free(e);
    if (x->client != NULL) {
        world_conn_abort(x->client);
    }
    if (x->server != NULL) {
        world_conn_abort(x->server);
    }
    buf_free(&x->request);
}

static void proxy_passes(void **state) {
    struct bench *b = *state;
    struct pair p = {.host.echo = true};
    pair_listen(b, &p, true);
    struct proxy x = {.answer = "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n", .target = host_port(&p.host)};
    struct end e = {0};
    through_proxy(b, &x, &e,
                  &(struct world_connect){.host = "localhost", .port = host_port(&p.host), .tls = p.client_tls});
    assert_int_equal(e.opened, 1);
    assert_string_equal(world_conn_peer(e.c)->common_name, "server");
    char expected[100];
    snprintf(expected, sizeof(expected), "CONNECT localhost:%u HTTP/1.1\r\nHost: localhost:%u\r\n\r\n",
             host_port(&p.host), host_port(&p.host));
    assert_string_equal(x.request.ptr, expected);
    world_conn_write(e.c, &SPAN("hello"), 1);
    TURN_UNTIL(b, e.got.len == 5);
    proxy_end(&x, &e);
    pair_free(&p);
}

/* What stands behind the proxy's answer belongs to the stream. */
static void proxy_answer_with_first_bytes(void **state) {
    struct bench *b = *state;
    struct proxy x = {.answer = "HTTP/1.1 200 OK\r\n\r\nhello"};
    struct end e = {0};
    through_proxy(b, &x, &e, &(struct world_connect){.host = "somewhere", .port = 1});
    TURN_UNTIL(b, e.got.len == 5);
    assert_string_equal(e.got.ptr, "hello");
    proxy_end(&x, &e);
}

static void proxy_failures(void **state) {
    struct bench *b = *state;
    static const struct {
        const char *answer, *text;
    } cases[] = {
        {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy Authentication Required"},
        {"HTTP/1.1 200", "ended the connection"},
        {"", "ended the connection"},
        {"SSH-2.0-OpenSSH\r\n\r\n", "SSH-2.0"},
        {"\r\n\r\n", "refused"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *answer = str_printf("%s|", cases[i].answer); /* then it closes */
        struct proxy x = {.answer = answer};
        struct end e = {0};
        through_proxy(b, &x, &e, &(struct world_connect){.host = "somewhere", .port = 1});
        assert_int_equal(e.why, WORLD_CLOSE_PROXY);
        if (strstr(e.text, cases[i].text) == NULL) {
            fail_msg("%s", e.text);
        }
        proxy_end(&x, &e);
        mem_free(answer);
    }
    struct buf long_answer = BUF_INIT;
    buf_append_cstr(&long_answer, "HTTP/1.1 200 OK\r\n");
    while (long_answer.len < 20000) {
        buf_append_cstr(&long_answer, "X: 1234567890\r\n");
    }
    struct proxy x = {.answer = long_answer.ptr};
    struct end e = {0};
    through_proxy(b, &x, &e, &(struct world_connect){.host = "somewhere", .port = 1});
    assert_int_equal(e.why, WORLD_CLOSE_PROXY);
    assert_non_null(strstr(e.text, "too long"));
    proxy_end(&x, &e);
    buf_free(&long_answer);

    static const char *const bad[] = {"ftp://x:1", "http://", "http://h:0", "http://h:99999", "http://u@h:1", "h:x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct end f = {0};
        f.c = world_connect(b->w, &(struct world_connect){.host = "h", .port = 1, .proxy = bad[i]}, &end_handler, &f);
        TURN_UNTIL(b, f.closed);
        assert_int_equal(f.why, WORLD_CLOSE_PROXY);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(proxy_passes),
        CASE(proxy_answer_with_first_bytes),
        CASE(proxy_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
