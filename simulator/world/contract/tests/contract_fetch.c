/* HTTPS requests, against a server that is only bytes. */
#include "contract.h"

#include "base/mem.h"

struct web {
    struct contract *c;
    struct server server;
    const char *answer; /* written when a request is there whole; NULL: silence */
    size_t answered;
    bool then_close;
};

struct reply {
    int done, status;
    char kind[40], msg[200];
    char *body, *header;
    struct buf streamed;
    int stop_after;
};

static void on_done(void *ctx, const struct world_response *r) {
    struct reply *reply = ctx;
    reply->done++;
    if (r->err != NULL) {
        strncpy(reply->kind, r->err->kind, sizeof(reply->kind) - 1);
        strncpy(reply->msg, r->err->msg, sizeof(reply->msg) - 1);
        return;
    }
    reply->status = r->status;
    reply->body = span_dup(r->body);
    reply->header = str_dup(world_response_header(r, "x-test"));
}

static bool is_done(void *ctx) {
    return ((struct reply *)ctx)->done != 0;
}

static void reply_free(struct reply *r) {
    mem_free(r->body);
    mem_free(r->header);
    buf_free(&r->streamed);
    *r = (struct reply){0};
}

/* Answers when the last connection's request ends with the blank line or with "body!". */
static bool serve(void *ctx) {
    struct web *web = ctx;
    if (web->server.accepted == web->answered) {
        return false;
    }
    struct side *side = &web->server.sides[web->server.accepted - 1];
    struct span got = buf_span(&side->got);
    if (!span_ends_with(got, "\r\n\r\n") && !span_ends_with(got, "body!")) {
        return false;
    }
    web->answered = web->server.accepted;
    world_conn_write(side->conn, &(struct span){web->answer, strlen(web->answer)}, 1);
    if (web->then_close) {
        world_conn_close(side->conn, 1000);
    }
    return true;
}

static void web_start(struct contract *c, struct web *web, struct world_tls *tls, const char *answer) {
    *web = (struct web){.c = c, .answer = answer};
    server_start(c, &web->server, tls);
}

static char *url_of(const struct web *web, const char *path) {
    return str_printf("%s://%s:%u%s", web->server.tls != NULL ? "https" : "http", web->c->host,
                      (unsigned)world_listener_port(web->server.listener), path);
}

static void get(struct web *web, struct world_fetch_opts *opts, struct reply *reply) {
    char *url = url_of(web, "/a/b?c=d");
    opts->url = url;
    struct world_fetch *f = world_fetch(web->c->client, opts, on_done, reply);
    assert_non_null(f);
    assert_int_equal(reply->done, 0);
    mem_free(url); /* not needed after the call */
    if (web->answer != NULL) {
        contract_until(web->c, serve, web);
    }
    contract_until(web->c, is_done, reply);
}

static const char OK[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Test: yes\r\n\r\nhello";

static void test_get(void **state) {
    struct web web;
    struct reply r = {0};
    web_start(*state, &web, NULL, OK);
    const struct world_header headers[] = {{"X-Authentication", "token"}, {"Accept", "application/json"}};
    get(&web, &(struct world_fetch_opts){.headers = headers, .header_count = 2}, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "hello");
    assert_string_equal(r.header, "yes");
    struct span got = buf_span(&web.server.sides[0].got);
    assert_true(span_starts_with(got, "GET /a/b?c=d HTTP/1.1\r\n"));
    assert_true(span_find_span(got, SPAN("X-Authentication: token\r\n")) > 0);
    assert_true(span_find_span(got, SPAN("\r\nHost: ")) > 0);
    reply_free(&r);
    server_stop(&web.server);
}

static void test_post_and_error_status(void **state) {
    struct web web;
    struct reply r = {0};
    web_start(*state, &web, NULL,
              "HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    get(&web, &(struct world_fetch_opts){.method = "POST", .body = SPAN("the body!")}, &r);
    assert_int_equal(r.status, 409);
    assert_string_equal(r.body, "abcde");
    struct span got = buf_span(&web.server.sides[0].got);
    assert_true(span_starts_with(got, "POST "));
    assert_true(span_find_span(got, SPAN("Content-Length: 9\r\n")) > 0);
    assert_true(span_ends_with(got, "\r\n\r\nthe body!"));
    reply_free(&r);
    server_stop(&web.server);
}

static void test_body_until_the_end(void **state) {
    struct web web;
    struct reply r = {0};
    web_start(*state, &web, NULL, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall there is");
    web.then_close = true;
    get(&web, &(struct world_fetch_opts){0}, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "all there is");
    reply_free(&r);
    server_stop(&web.server);
}

static void expect_error(struct contract *c, struct world_tls *tls, const char *answer, bool then_close,
                         struct world_fetch_opts opts, const char *kind) {
    struct web web;
    struct reply r = {0};
    web_start(c, &web, tls, answer);
    web.then_close = then_close;
    get(&web, &opts, &r);
    assert_string_equal(r.kind, kind);
    assert_non_null(strstr(r.msg, c->host)); /* names the peer */
    reply_free(&r);
    server_stop(&web.server);
}

static void test_errors(void **state) {
    struct contract *c = *state;
    expect_error(c, NULL, "SSH-2.0-OpenSSH_9.2\r\n\r\n", false, (struct world_fetch_opts){.timeout_ms = 2000},
                 "world/protocol");
    expect_error(c, NULL, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", true, (struct world_fetch_opts){0},
                 "world/reset");
    expect_error(c, NULL, OK, false, (struct world_fetch_opts){.body_max = 4}, "world/too-large");
    expect_error(c, NULL, NULL, false, (struct world_fetch_opts){.timeout_ms = 150}, "world/timeout");
}

static void test_refused_and_unreachable(void **state) {
    struct contract *c = *state;
    struct web web;
    struct reply r = {0};
    web_start(c, &web, NULL, OK);
    char *url = url_of(&web, "/");
    server_stop(&web.server);
    world_fetch(c->client, &(struct world_fetch_opts){.url = url}, on_done, &r);
    contract_until(c, is_done, &r);
    assert_string_equal(r.kind, "world/refused");
    mem_free(url);
    reply_free(&r);
    world_fetch(c->client, &(struct world_fetch_opts){.url = "http://no-such-host.invalid/"}, on_done, &r);
    contract_until(c, is_done, &r);
    assert_string_equal(r.kind, "world/unreachable");
    reply_free(&r);
}

static void test_https(void **state) {
    struct contract *c = *state;
    struct web web;
    struct reply r = {0};
    web_start(c, &web, contract_tls(c->w, c, CERT_SERVER), OK);
    struct world_tls *tls = contract_tls(c->client, c, CERT_CLIENT);
    get(&web, &(struct world_fetch_opts){.tls = tls}, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(world_conn_peer(web.server.sides[0].conn) != NULL
                            ? world_conn_peer(web.server.sides[0].conn)->common_name
                            : "client",
                        "client");
    reply_free(&r);
    server_stop(&web.server);
    web_start(c, &web, contract_tls(c->w, c, CERT_FOREIGN), NULL);
    get(&web, &(struct world_fetch_opts){.tls = tls}, &r);
    assert_string_equal(r.kind, "world/tls");
    reply_free(&r);
    server_stop(&web.server);
    world_tls_free(tls);
}

static bool take_body(void *ctx, struct span bytes) {
    struct reply *r = ctx;
    buf_append_span(&r->streamed, bytes);
    return r->stop_after == 0 || r->streamed.len < (size_t)r->stop_after;
}

static void test_streamed_body(void **state) {
    struct web web;
    struct reply r = {0};
    web_start(*state, &web, NULL, OK);
    get(&web, &(struct world_fetch_opts){.on_body = take_body}, &r);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "");
    assert_string_equal(r.streamed.ptr, "hello");
    reply_free(&r);
    server_stop(&web.server);
    web_start(*state, &web, NULL, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone");
    get(&web, &(struct world_fetch_opts){.on_body = take_body}, &r);
    assert_int_equal(r.status, 404);
    assert_string_equal(r.body, "gone"); /* only of a 2xx answer */
    assert_int_equal(r.streamed.len, 0);
    reply_free(&r);
    server_stop(&web.server);
}

static bool some_streamed(void *ctx) {
    return ((struct reply *)ctx)->streamed.len != 0;
}

static void test_cancel(void **state) {
    struct contract *c = *state;
    struct web web;
    struct reply r = {.stop_after = 1};
    web_start(c, &web, NULL, OK);
    char *url = url_of(&web, "/");
    world_fetch(c->client, &(struct world_fetch_opts){.url = url, .on_body = take_body}, on_done, &r);
    contract_until(c, serve, &web);
    contract_until(c, some_streamed, &r);
    contract_pass(c, 20);
    assert_int_equal(r.done, 0); /* on_body ended it */
    struct world_fetch *f = world_fetch(c->client, &(struct world_fetch_opts){.url = url}, on_done, &r);
    contract_pass(c, 20);
    world_fetch_cancel(f);
    contract_pass(c, 20);
    assert_int_equal(r.done, 0);
    mem_free(url);
    reply_free(&r);
    server_stop(&web.server);
}

int contract_fetch(void) {
    const struct CMUnitTest tests[] = {
        CONTRACT(test_get),
        CONTRACT(test_post_and_error_status),
        CONTRACT(test_body_until_the_end),
        CONTRACT(test_errors),
        CONTRACT(test_refused_and_unreachable),
        CONTRACT(test_https),
        CONTRACT(test_streamed_body),
        CONTRACT(test_cancel),
    };
    return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
