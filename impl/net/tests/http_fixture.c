/* A server whose handlers do what their route says. */
#include "http_fixture.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void on_abandon(void *ctx) {
    ((struct fixture *)ctx)->abandoned++;
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

static void handle_shutdown(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct fixture *f = ctx;
    (void)route;
    http_server_close(f->server, 500, fixture_on_closed, f);
    http_respond(ex, 200, NULL, SPAN("going"));
}

static void handle_large(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx;
    char text[3000];
    memset(text, 'x', sizeof(text));
    http_respond(ex, 200, route->data, (struct span){text, sizeof(text)});
}

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

struct http_server_opts fixture_options(struct fixture *f) {
    return (struct http_server_opts){.listen = {.port = PORT},
                                     .routes = routes,
                                     .ctx = f,
                                     .body_max = BODY_MAX,
                                     .head_max = 1000,
                                     .idle_timeout_ms = IDLE_MS,
                                     .gzip = true};
}

void fixture_start(struct fixture *f, const struct http_server_opts *opts) {
    memset(f, 0, sizeof(*f));
    f->pw = pipe_world_new();
    struct http_server_opts usual = fixture_options(f);
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

void fixture_on_closed(void *ctx) {
    ((struct fixture *)ctx)->closed = true;
}

void fixture_stop(struct fixture *f) {
    raw_free(&f->client);
    pipe_run(f->pw);
    if (!f->closed) {
        http_server_close(f->server, 0, fixture_on_closed, f);
        assert_false(f->closed);
        pipe_advance(f->pw, 1);
        assert_true(f->closed);
    }
    pipe_world_free(f->pw);
    buf_free(&f->log);
}

void send_text(struct fixture *f, const char *text) {
    raw_send(&f->client, span_of(text));
    pipe_run(f->pw);
}

void expect(struct fixture *f, const char *want) {
    assert_string_equal(f->client.got.ptr, want);
    buf_clear(&f->client.got);
    buf_append_cstr(&f->client.got, "");
}
