/* The HTTPS client against a responder that says exactly what it is told to: reuse, limits, trust, bad servers. */
#include "world/tests/harness.h"

#include <openssl/pem.h>
#include <stdlib.h>

#include <stdio.h>
#include <string.h>

/* Answers each request's head (and body, by Content-Length) with the next of `answers`; the last one repeats. */
struct responder {
    struct bench *b;
    struct world_listener *l;
    const char *answers[8];
    size_t answered, accepted;
    bool close_after;
    struct buf seen; /* all requests */
    struct server_conn {
        struct responder *r;
        struct world_conn *c;
        struct buf in;
    } conns[80];
    char peer[100]; /* common name of the last client */
};

static size_t request_len(struct span in) {
    const char *end = in.len > 0 ? memmem(in.ptr, in.len, "\r\n\r\n", 4) : NULL;
    if (end == NULL) {
        return 0;
    }
    size_t head = (size_t)(end - in.ptr) + 4;
    const char *length = memmem(in.ptr, head, "Content-Length: ", 16);
    uint64_t body = 0;
    if (length != NULL) {
        size_t digits = strspn(length + 16, "0123456789");
        assert_true(span_to_u64(span_bytes(length + 16, digits), &body));
    }
    return in.len >= head + body ? head + body : 0;
}

static void responder_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct server_conn *s = ctx;
    struct responder *r = s->r;
    buf_append_span(&s->in, bytes);
    for (size_t len; s->c != NULL && (len = request_len(buf_span(&s->in))) > 0;) {
        buf_append(&r->seen, s->in.ptr, len);
        buf_consume(&s->in, len);
        const char *answer = r->answers[r->answered];
        if (r->answers[r->answered + 1] != NULL) {
            r->answered++;
        }
        struct span text = span_of(answer);
        if (text.len > 0) {
            world_conn_write(c, &text, 1);
        }
        if (r->close_after) {
            world_conn_close(c, 1000);
        }
    }
}

static void responder_closed(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    struct server_conn *s = ctx;
    (void)c;
    (void)why;
    (void)text;
    s->c = NULL;
}

static const struct world_conn_handler responder_handler = {.on_data = responder_data, .on_close = responder_closed};

static void responder_accept(void *ctx, struct world_conn *c) {
    struct responder *r = ctx;
    assert_true(r->accepted < 80);
    struct server_conn *s = &r->conns[r->accepted++];
    s->r = r;
    s->c = c;
    const struct world_identity *peer = world_conn_peer(c);
    snprintf(r->peer, sizeof(r->peer), "%s", peer != NULL ? peer->common_name : "");
    world_conn_set_handler(c, &responder_handler, s);
}

static void responder_start(struct bench *b, struct responder *r, struct world_tls *tls) {
    r->b = b;
    r->l = world_listen(b->w, &(struct world_listen){.host = "127.0.0.1", .tls = tls}, responder_accept, r, NULL);
    assert_non_null(r->l);
}

static void responder_stop(struct responder *r) {
    world_listener_close(r->l);
    for (size_t i = 0; i < r->accepted; i++) {
        if (r->conns[i].c != NULL) {
            world_conn_abort(r->conns[i].c);
        }
        buf_free(&r->conns[i].in);
    }
    buf_free(&r->seen);
}

struct reply {
    struct world_fetch *f;
    int done, status;
    char kind[40], msg[400], type[100];
    size_t header_count;
    struct buf body, streamed;
    size_t cancel_after; /* bytes streamed; 0: never */
    bool cancel_by_call;
};

static void on_done(void *ctx, const struct world_response *r) {
    struct reply *y = ctx;
    y->done++;
    y->status = r->status;
    y->header_count = r->header_count;
    snprintf(y->kind, sizeof(y->kind), "%s", r->err != NULL ? r->err->kind : "");
    snprintf(y->msg, sizeof(y->msg), "%s", r->err != NULL ? r->err->msg : "");
    const char *type = world_response_header(r, "content-type");
    snprintf(y->type, sizeof(y->type), "%s", type != NULL ? type : "");
    buf_append_span(&y->body, r->body);
    world_fetch_cancel(y->f); /* too late: nothing */
    y->f = NULL;
}

static bool on_body(void *ctx, struct span bytes) {
    struct reply *y = ctx;
    buf_append_span(&y->streamed, bytes);
    if (y->cancel_after == 0 || y->streamed.len < y->cancel_after) {
        return true;
    }
    if (y->cancel_by_call) {
        world_fetch_cancel(y->f);
        y->f = NULL;
        return true;
    }
    return false;
}

static void reply_free(struct reply *y) {
    buf_free(&y->body);
    buf_free(&y->streamed);
}

static const char *url_of(const struct responder *r, const char *scheme, const char *path) {
    static char url[200];
    snprintf(url, sizeof(url), "%s://127.0.0.1:%u%s", scheme, world_listener_port(r->l), path);
    return url;
}

static void start(struct responder *r, struct reply *y, struct world_fetch_opts opts) {
    if (opts.url == NULL) {
        opts.url = url_of(r, opts.tls != NULL ? "https" : "http", "/x?q=secret");
    }
    y->f = world_fetch(r->b->w, &opts, on_done, y);
    assert_int_equal(y->done, 0);
}

static void get(struct responder *r, struct reply *y, struct world_fetch_opts opts) {
    start(r, y, opts);
    TURN_UNTIL(r->b, y->done == 1);
}

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"

static void requests_as_told(void **state) {
    struct bench *b = *state;
    struct responder r = {.answers = {OK_HELLO}};
    responder_start(b, &r, NULL);
    const struct world_header headers[] = {{"X-Authentication", "token"}, {"X-Empty", ""}};
    struct reply y = {0};
    get(&r, &y, (struct world_fetch_opts){.headers = headers, .header_count = 2});
    assert_int_equal(y.status, 200);
    assert_string_equal(y.body.ptr, "hello");
    assert_string_equal(y.type, "text/plain");
    char expected[300];
    snprintf(
        expected, sizeof(expected),
        "GET /x?q=secret HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: */*\r\nX-Authentication: token\r\nX-Empty:\r\n\r\n",
        world_listener_port(r.l));
    assert_string_equal(r.seen.ptr, expected);
    reply_free(&y);

    static const struct {
        const char *method, *body, *expected_start, *expected_part;
    } cases[] = {
        {"POST", "{\"a\":1}", "POST /x", "Content-Length: 7\r\n\r\n{\"a\":1}"},
        {"POST", "", "POST /x", "Content-Length: 0\r\n"},
        {"PUT", "p", "PUT /x", "Content-Length: 1\r\n\r\np"},
        {"PUT", "", "PUT /x", "Content-Length: 0\r\n"},
        {"DELETE", "", "DELETE /x", "\r\n\r\n"},
        {"HEAD", "", "HEAD /x", "\r\n\r\n"},
        {"GET", "query", "GET /x", "Content-Length: 5\r\n\r\nquery"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reply z = {0};
        buf_clear(&r.seen);
        r.answers[0] = strcmp(cases[i].method, "HEAD") == 0 ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" : OK_HELLO;
        get(&r, &z, (struct world_fetch_opts){.method = cases[i].method, .body = span_of(cases[i].body)});
        assert_int_equal(z.status, 200);
        if (!span_starts_with(buf_span(&r.seen), cases[i].expected_start) ||
            strstr(r.seen.ptr, cases[i].expected_part) == NULL || strstr(r.seen.ptr, "Expect") != NULL) {
            fail_msg("%s", r.seen.ptr);
        }
        reply_free(&z);
    }
    assert_int_equal(r.accepted, 1); /* one connection for all of them */
    responder_stop(&r);
}

static void connections_are_kept(void **state) {
    struct bench *b = *state;
    struct responder r = {.answers = {OK_HELLO}};
    responder_start(b, &r, NULL);
    struct reply y[60] = {{0}};
    for (size_t i = 0; i < 60; i++) {
        start(&r, &y[i], (struct world_fetch_opts){0});
    }
    for (size_t i = 0; i < 60; i++) {
        TURN_UNTIL(b, y[i].done == 1);
        assert_int_equal(y[i].status, 200);
    }
    size_t after_burst = r.accepted;
    for (size_t i = 0; i < 60; i++) {
        struct reply z = {0};
        get(&r, &z, (struct world_fetch_opts){0});
        reply_free(&z);
        reply_free(&y[i]);
    }
    assert_int_equal(r.accepted, after_burst);
    responder_stop(&r);
}

/* ---- TLS */

struct https {
    struct responder r;
    struct world_tls *server, *client;
};

static void https_start(struct bench *b, struct https *h, enum world_client_auth auth) {
    bench_issue_name(b, "server");
    bench_issue_name(b, "one");
    struct world_tls_files sf = bench_files(b, "server"), cf = bench_files(b, "one");
    sf.client_auth = auth;
    h->server = bench_tls(b, &sf);
    h->client = bench_tls(b, &cf);
    h->r.answers[0] = OK_HELLO;
    responder_start(b, &h->r, h->server);
}

static void https_stop(struct https *h) {
    responder_stop(&h->r);
    world_tls_free(h->server);
    world_tls_free(h->client);
}

/* A kept connection carries the certificate it was made with: another context must never get it. */
static void certificates_do_not_mix(void **state) {
    struct bench *b = *state;
    struct https h = {0};
    https_start(b, &h, WORLD_CLIENT_AUTH_NEED);
    bench_issue_name(b, "two");
    struct world_tls_files f = bench_files(b, "two");
    struct world_tls *two = bench_tls(b, &f);
    for (int i = 0; i < 3; i++) {
        struct reply y = {0};
        get(&h.r, &y, (struct world_fetch_opts){.tls = h.client});
        assert_int_equal(y.status, 200);
        assert_string_equal(h.r.peer, "one");
        reply_free(&y);
    }
    assert_int_equal(h.r.accepted, 1);
    struct reply y = {0};
    get(&h.r, &y, (struct world_fetch_opts){.tls = two});
    assert_string_equal(h.r.peer, "two");
    assert_int_equal(h.r.accepted, 2);
    reply_free(&y);
    /* read anew: the old connections are not used any more */
    assert_true(world_tls_reload(two, NULL));
    struct reply z = {0};
    get(&h.r, &z, (struct world_fetch_opts){.tls = two});
    assert_int_equal(h.r.accepted, 3);
    reply_free(&z);
    world_tls_free(two);
    https_stop(&h);
}

static void expect_error(struct responder *r, struct world_fetch_opts opts, const char *kind, const char *text) {
    struct reply y = {0};
    get(r, &y, opts);
    if (strcmp(y.kind, kind) != 0 || strstr(y.msg, text) == NULL) {
        fail_msg("%s: %s (not %s: %s)", y.kind, y.msg, kind, text);
    }
    assert_null(strstr(y.msg, "secret")); /* queries may hold some */
    assert_int_equal(y.status, 0);
    reply_free(&y);
}

static void servers_that_are_not_trusted(void **state) {
    struct bench *b = *state;
    struct https h = {0};
    https_start(b, &h, WORLD_CLIENT_AUTH_NONE);
    /* another CA */
    struct certs_ca *foreign = certs_ca_new(&(struct certs_ca_opts){.common_name = "F", .now_ms = b->now_ms});
    bench_write_ca(b, foreign, "foreign.pem");
    struct world_tls_files f = bench_files(b, NULL);
    f.ca = bench_path(b, "foreign.pem");
    struct world_tls *other = bench_tls(b, &f);
    expect_error(&h.r, (struct world_fetch_opts){.tls = other}, "world/tls", "https://127.0.0.1");
    /* nobody trusted: the system's own store does not help either */
    f.ca = NULL;
    struct world_tls *nobody = bench_tls(b, &f);
    expect_error(&h.r, (struct world_fetch_opts){.tls = nobody}, "world/tls", "127.0.0.1");
    /* another name */
    char url[100];
    snprintf(url, sizeof(url), "https://127.0.0.2:%u/", world_listener_port(h.r.l));
    world_listener_close(h.r.l);
    h.r.l = world_listen(b->w, &(struct world_listen){.tls = h.server}, responder_accept, &h.r, NULL);
    snprintf(url, sizeof(url), "https://127.0.0.2:%u/", world_listener_port(h.r.l));
    expect_error(&h.r, (struct world_fetch_opts){.tls = h.client, .url = url}, "world/tls", "127.0.0.2");
    /* revoked */
    struct buf pem = BUF_INIT;
    assert_true(world_file_read(b->w, bench_path(b, "server.pem"), 10000, &pem, NULL));
    BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    certs_revoke(b->ca, cert, b->now_ms);
    bench_write_crl(b, "crl.pem");
    f = bench_files(b, NULL);
    f.crl = bench_path(b, "crl.pem");
    struct world_tls *with_crl = bench_tls(b, &f);
    expect_error(&h.r, (struct world_fetch_opts){.tls = with_crl}, "world/tls", "revoked");
    expect_error(&h.r, (struct world_fetch_opts){.url = url_of(&h.r, "https", "/")}, "world/protocol",
                 "without a TLS context");
    X509_free(cert);
    BIO_free(bio);
    buf_free(&pem);
    certs_ca_free(foreign);
    world_tls_free(other);
    world_tls_free(nobody);
    world_tls_free(with_crl);
    https_stop(&h);
}

static void client_certificate_refused(void **state) {
    struct bench *b = *state;
    struct https h = {0};
    https_start(b, &h, WORLD_CLIENT_AUTH_NEED);
    struct world_tls_files f = bench_files(b, NULL);
    struct world_tls *anonymous = bench_tls(b, &f);
    expect_error(&h.r, (struct world_fetch_opts){.tls = anonymous}, "world/tls", "certificate required");
    world_tls_free(anonymous);
    https_stop(&h);
}

/* ---- bad servers, limits, times */

static void nobody_listens(void **state) {
    struct bench *b = *state;
    struct responder r = {.answers = {OK_HELLO}};
    responder_start(b, &r, NULL);
    char url[200];
    snprintf(url, sizeof(url), "%s", url_of(&r, "http", "/?secret"));
    responder_stop(&r);
    r = (struct responder){.b = b};
    expect_error(&r, (struct world_fetch_opts){.url = url}, "world/refused", "http://127.0.0.1");
    expect_error(&r, (struct world_fetch_opts){.url = "http://name.invalid/"}, "world/unreachable", "name.invalid");
    static const char *const bad[] = {"",          "http://",  "ftp://127.0.0.1/", "file:///etc/passwd",
                                      "127.0.0.1", "http://[/"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_error(&r, (struct world_fetch_opts){.url = bad[i]}, "world/protocol", bad[i]);
    }
    const struct world_header evil[] = {{"X", "a\r\nY: b"}};
    expect_error(&r, (struct world_fetch_opts){.url = "http://127.0.0.1/", .headers = evil, .header_count = 1},
                 "world/protocol", "127.0.0.1");
}

static void bad_answers(void **state) {
    struct bench *b = *state;
    static const struct {
        const char *answer, *kind;
    } cases[] = {
        {"", "world/reset"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "world/reset"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "world/reset"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n", "world/protocol"},
        {"SSH-2.0-OpenSSH_9\r\n\r\n", "world/protocol"},
        {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "world/protocol"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct responder r = {.answers = {cases[i].answer}, .close_after = true};
        responder_start(b, &r, NULL);
        expect_error(&r, (struct world_fetch_opts){0}, cases[i].kind, "http://127.0.0.1");
        responder_stop(&r);
    }
    struct buf many = BUF_INIT;
    buf_append_cstr(&many, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 300; i++) {
        buf_printf(&many, "X-%d: y\r\n", i);
    }
    buf_append_cstr(&many, "\r\n");
    struct responder r = {.answers = {many.ptr}, .close_after = true};
    responder_start(b, &r, NULL);
    expect_error(&r, (struct world_fetch_opts){0}, "world/protocol", "head");
    responder_stop(&r);
    buf_free(&many);
}

static void too_large(void **state) {
    struct bench *b = *state;
    struct responder r = {.answers = {OK_HELLO, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                                "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"}};
    responder_start(b, &r, NULL);
    expect_error(&r, (struct world_fetch_opts){.body_max = 4}, "world/too-large", "4 bytes");
    expect_error(&r, (struct world_fetch_opts){.body_max = 9}, "world/too-large", "9 bytes");
    struct reply y = {0};
    get(&r, &y, (struct world_fetch_opts){.body_max = 10});
    assert_string_equal(y.body.ptr, "helloworld");
    reply_free(&y);
    responder_stop(&r);
}

static void times_out(void **state) {
    struct bench *b = *state;
    struct responder r = {.answers = {""}};
    responder_start(b, &r, NULL);
    expect_error(&r, (struct world_fetch_opts){.timeout_ms = 30}, "world/timeout", "http://127.0.0.1");
    responder_stop(&r);
}

static void redirects_are_not_followed(void **state) {
    struct bench *b = *state;
    struct responder r = {
        .answers = {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"}};
    responder_start(b, &r, NULL);
    struct reply y = {0};
    get(&r, &y, (struct world_fetch_opts){0});
    assert_int_equal(y.status, 302);
    assert_int_equal(y.header_count, 2);
    reply_free(&y);
    responder_stop(&r);
}

static void interim_answers_leave_nothing(void **state) {
    struct bench *b = *state;
    struct responder r = {.answers = {"HTTP/1.1 103 Early Hints\r\nContent-Type: x/y\r\nX: y\r\n\r\n" OK_HELLO}};
    responder_start(b, &r, NULL);
    struct reply y = {0};
    get(&r, &y, (struct world_fetch_opts){0});
    assert_int_equal(y.status, 200);
    assert_string_equal(y.type, "text/plain");
    assert_int_equal(y.header_count, 2);
    reply_free(&y);
    responder_stop(&r);
}

/* ---- streaming and cancelling */

static char *large_answer(size_t len) {
    struct buf text = BUF_INIT;
    buf_printf(&text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
    for (size_t i = 0; i < len; i++) {
        buf_append_char(&text, (char)('a' + i % 26));
    }
    return buf_take(&text);
}

static void streamed(void **state) {
    struct bench *b = *state;
    char *answer = large_answer(1000000);
    struct responder r = {.answers = {answer, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone"}};
    responder_start(b, &r, NULL);
    struct reply y = {0};
    get(&r, &y, (struct world_fetch_opts){.on_body = on_body});
    assert_int_equal(y.streamed.len, 1000000);
    assert_int_equal(y.body.len, 0);
    reply_free(&y);
    struct reply z = {0};
    get(&r, &z, (struct world_fetch_opts){.on_body = on_body});
    assert_int_equal(z.streamed.len, 0); /* what is no success is no content */
    assert_string_equal(z.body.ptr, "gone");
    reply_free(&z);
    responder_stop(&r);
    mem_free(answer);
}

static bool no_fetch_left(struct bench *b) {
    struct real_counts counts;
    real_world_counts(b->w, &counts);
    return counts.fetches == 0;
}

static void cancelled(void **state) {
    struct bench *b = *state;
    char *answer = large_answer(1000000);
    struct responder r = {.answers = {answer}};
    responder_start(b, &r, NULL);
    struct reply by_false = {.cancel_after = 1000}, by_call = {.cancel_after = 1000, .cancel_by_call = true},
                 at_once = {0};
    start(&r, &by_false, (struct world_fetch_opts){.on_body = on_body});
    start(&r, &by_call, (struct world_fetch_opts){.on_body = on_body});
    start(&r, &at_once, (struct world_fetch_opts){0});
    world_fetch_cancel(at_once.f);
    TURN_UNTIL(b, no_fetch_left(b));
    assert_int_equal(by_false.done + by_call.done + at_once.done, 0);
    assert_true(by_false.streamed.len >= 1000 && by_false.streamed.len < 1000000);
    reply_free(&by_false);
    reply_free(&by_call);
    struct reply running = {0};
    start(&r, &running, (struct world_fetch_opts){0});
    size_t before = r.accepted;
    TURN_UNTIL(b, r.accepted > before || r.seen.len > 0);
    world_fetch_cancel(running.f);
    assert_true(no_fetch_left(b));
    responder_stop(&r);
    mem_free(answer);
}

struct follow {
    struct responder *r;
    struct reply first, second;
};
static void then_another(void *ctx, const struct world_response *r) {
    struct follow *f = ctx;
    assert_int_equal(r->status, 200);
    f->first.done++;
    start(f->r, &f->second, (struct world_fetch_opts){0});
}

static void another_from_within_done(void **state) {
    struct bench *b = *state;
    struct responder r = {.answers = {OK_HELLO}};
    responder_start(b, &r, NULL);
    struct follow f = {.r = &r};
    world_fetch(b->w, &(struct world_fetch_opts){.url = url_of(&r, "http", "/")}, then_another, &f);
    TURN_UNTIL(b, f.second.done == 1);
    assert_int_equal(r.accepted, 1);
    reply_free(&f.second);
    responder_stop(&r);
}

static void world_freed_while_running(void **state) {
    struct bench *b = *state;
    struct bench inner = *b;
    inner.w = real_world_new(NULL);
    struct responder r = {.answers = {""}};
    responder_start(&inner, &r, NULL);
    struct reply y = {0};
    start(&r, &y, (struct world_fetch_opts){0});
    TURN_UNTIL(&inner, r.seen.len > 0);
    real_world_free(inner.w);
    assert_int_equal(y.done, 0);
    buf_free(&r.seen);
    buf_free(&r.conns[0].in);
}

static void environment_is_ignored(void **state) {
    struct bench *b = *state;
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    struct responder r = {.answers = {OK_HELLO}};
    responder_start(b, &r, NULL);
    struct reply y = {0};
    get(&r, &y, (struct world_fetch_opts){0});
    assert_int_equal(y.status, 200);
    reply_free(&y);
    unsetenv("http_proxy");
    responder_stop(&r);
}

static void through_a_proxy(void **state) {
    struct bench *b = *state;
    struct responder r = {.answers = {OK_HELLO}};
    responder_start(b, &r, NULL);
    char proxy[200];
    snprintf(proxy, sizeof(proxy), "%s", url_of(&r, "http", ""));
    struct reply y = {0};
    get(&r, &y, (struct world_fetch_opts){.url = "http://elsewhere.invalid/a", .proxy = proxy});
    assert_int_equal(y.status, 200);
    assert_true(span_starts_with(buf_span(&r.seen), "GET http://elsewhere.invalid/a HTTP/1.1\r\n"));
    reply_free(&y);
    responder_stop(&r);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(requests_as_told),
        CASE(connections_are_kept),
        CASE(certificates_do_not_mix),
        CASE(servers_that_are_not_trusted),
        CASE(client_certificate_refused),
        CASE(nobody_listens),
        CASE(bad_answers),
        CASE(too_large),
        CASE(times_out),
        CASE(redirects_are_not_followed),
        CASE(interim_answers_leave_nothing),
        CASE(streamed),
        CASE(cancelled),
        CASE(another_from_within_done),
        CASE(world_freed_while_running),
        CASE(environment_is_ignored),
        CASE(through_a_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
