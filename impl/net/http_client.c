/* HTTP/1.1 requests over world_connect(). */
#include "net/http_client.h"

#include "base/mem.h"
#include "base/url.h"
#include "wire/http1.h"
#include <assert.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 30000,
    TIMEOUT_MS = 120000,
    BODY_MAX = 64 * 1024 * 1024,
};

struct fetch {
    struct world_fetch base;
    struct world *world;
    struct world_conn *conn; /* NULL: gone */
    struct http1_reader reader;
    struct http1_head head; /* of the response */
    struct buf request;     /* until the connection is open */
    struct buf body;
    struct timer timer;
    struct world_task fail_later;
    struct error err;
    char *peer; /* "https://host:port", for messages */
    bool (*on_body)(void *ctx, struct span bytes);
    void (*done)(void *ctx, const struct world_response *r);
    void *ctx;
    bool busy; /* a callback of the owner's is on the stack */
    bool over; /* done was called, or it was cancelled */
    bool head_request;
};

static void fetch_free(struct fetch *f) {
    world_timer_stop(f->world, &f->timer);
    world_undefer(f->world, &f->fail_later);
    if (f->conn != NULL) {
        world_conn_abort(f->conn);
    }
    http1_reader_free(&f->reader);
    http1_head_free(&f->head);
    buf_free(&f->request);
    buf_free(&f->body);
    error_clear(&f->err);
    mem_free(f->peer);
    mem_free(f);
}

static void cancel(struct world_fetch *base) {
    struct fetch *f = (struct fetch *)base;
    f->over = true;
    if (!f->busy) {
        fetch_free(f);
    }
}

static const struct world_fetch_ops fetch_ops = {cancel};

/* Calls done with the answer there is, or f->err. f is freed here unless a callback is on the stack. */
static void finish(struct fetch *f) {
    bool failed = error_is_set(&f->err), was_busy = f->busy;
    size_t count = failed ? 0 : f->head.field_count;
    struct world_header *headers = mem_array(count + 1, sizeof(*headers));
    for (size_t i = 0; i < count; i++) {
        headers[i] = (struct world_header){f->head.fields[i].name, f->head.fields[i].value};
    }
    struct world_response response = {.err = failed ? &f->err : NULL,
                                      .status = failed ? 0 : f->head.status,
                                      .headers = headers,
                                      .header_count = count,
                                      .body = failed ? (struct span){NULL, 0} : buf_span(&f->body)};
    f->over = true;
    f->busy = true;
    f->done(f->ctx, &response);
    f->busy = was_busy;
    mem_free(headers);
    if (!was_busy) {
        fetch_free(f);
    }
}

static void fail(struct fetch *f, const char *kind, const char *text) {
    error_set(&f->err, kind, "%s: %s", f->peer, text);
    finish(f);
}

/* ---- the response */

static void on_head(struct fetch *f) {
    if (f->reader.head.status >= 200) {
        http1_head_free(&f->head);
        f->head = http1_take_head(&f->reader);
    } else if (f->reader.head.status == 101) {
        fail(f, "world/protocol", "it switched protocols unasked");
    }
}

static void on_body(struct fetch *f, struct span bytes) {
    bool good = f->head.status >= 200 && f->head.status <= 299;
    if (f->on_body == NULL || !good) {
        buf_append_span(&f->body, bytes);
    } else if (!f->on_body(f->ctx, bytes)) {
        f->over = true;
    }
}

static void on_end(struct fetch *f) {
    if (f->head.status != 0) { /* else it was an informational response */
        finish(f);
    }
}

static void on_event(struct fetch *f, enum http1_event event, struct span body) {
    switch (event) {
    case HTTP1_HEAD:
        on_head(f);
        break;
    case HTTP1_BODY:
        on_body(f, body);
        break;
    case HTTP1_END:
        on_end(f);
        break;
    case HTTP1_FAILED:
        fail(f, f->reader.error.status == 413 ? "world/too-large" : "world/protocol", f->reader.error.text);
        break;
    case HTTP1_NEED_MORE:
        break;
    }
}

static void on_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct fetch *f = ctx;
    (void)c;
    enum http1_event event;
    f->busy = true;
    do {
        struct span body = {NULL, 0};
        f->reader.no_body = f->head_request;
        event = http1_next(&f->reader, &bytes, &body);
        on_event(f, event, body);
    } while (event != HTTP1_NEED_MORE && !f->over);
    f->busy = false;
    if (f->over) {
        fetch_free(f);
    }
}

static void on_open(void *ctx, struct world_conn *c) {
    struct fetch *f = ctx;
    world_conn_write(c, &(struct span){f->request.ptr, f->request.len}, 1);
    buf_free(&f->request);
}

static void on_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    static const struct {
        const char *kind, *text;
    } errors[] = {
        [WORLD_CLOSE_EOF] = {"world/reset", "it ended the connection without an answer"},
        [WORLD_CLOSE_RESET] = {"world/reset", "the connection was reset"},
        [WORLD_CLOSE_REFUSED] = {"world/refused", "connection refused"},
        [WORLD_CLOSE_UNREACHABLE] = {"world/unreachable", "it cannot be reached"},
        [WORLD_CLOSE_TIMEOUT] = {"world/timeout", "connecting took too long"},
        [WORLD_CLOSE_TLS] = {"world/tls", "TLS failed"},
        [WORLD_CLOSE_PROXY] = {"world/refused", "the proxy refused"},
        [WORLD_CLOSE_LOCAL] = {"world/reset", "the connection was closed"},
    };
    struct fetch *f = ctx;
    (void)c;
    f->conn = NULL;
    if (why == WORLD_CLOSE_EOF && f->head.status != 0 && http1_eof(&f->reader) == HTTP1_END) {
        finish(f);
    } else {
        fail(f, errors[why].kind, text != NULL && text[0] != '\0' ? text : errors[why].text);
    }
}

static const struct world_conn_handler conn_handler = {.on_open = on_open, .on_data = on_data, .on_close = on_close};

static void on_timeout(void *ctx) {
    fail(ctx, "world/timeout", "no answer in time");
}

/* ---- the request */

static bool has_header(const struct world_fetch_opts *opts, const char *name) {
    for (size_t i = 0; i < opts->header_count; i++) {
        if (span_eq_nocase(span_of(opts->headers[i].name), name)) {
            return true;
        }
    }
    return false;
}

static void write_request(struct fetch *f, const struct world_fetch_opts *opts, const char *method,
                          const struct url *url) {
    struct buf *out = &f->request;
    buf_printf(out, "%s %s HTTP/1.1\r\n", method, url->target);
    if (!has_header(opts, "host")) {
        buf_append_cstr(out, "Host: ");
        url_authority(out, url);
        buf_append_cstr(out, "\r\n");
    }
    for (size_t i = 0; i < opts->header_count; i++) {
        http1_write_field(out, opts->headers[i].name, opts->headers[i].value);
    }
    bool always = strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
    if (opts->body.len != 0 || always) {
        buf_printf(out, "Content-Length: %zu\r\n", opts->body.len);
    }
    buf_append_cstr(out, "Connection: close\r\n\r\n");
    buf_append_span(out, opts->body);
}

static bool headers_valid(const struct world_fetch_opts *opts) {
    for (size_t i = 0; i < opts->header_count; i++) {
        if (!http1_is_token(opts->headers[i].name)) {
            return false;
        }
    }
    return true;
}

static void fail_now(void *ctx) {
    finish(ctx);
}

struct world_fetch *http_client_fetch(struct world *w, const struct world_fetch_opts *opts,
                                      void (*done)(void *ctx, const struct world_response *r), void *ctx) {
    struct fetch *f = mem_zalloc(sizeof(*f));
    const char *method = opts->method != NULL ? opts->method : "GET";
    f->base.ops = &fetch_ops;
    f->world = w;
    f->done = done;
    f->ctx = ctx;
    f->on_body = opts->on_body;
    f->head_request = strcmp(method, "HEAD") == 0;
    http1_reader_init(&f->reader, HTTP1_RESPONSE, 0, 0, opts->body_max != 0 ? opts->body_max : BODY_MAX);
    struct url url;
    bool ok = url_parse(opts->url, &url, &f->err);
    if (ok && url.scheme[0] != 'h') {
        ok = error_set(&f->err, "url/malformed", "the URL has a scheme that is not http or https");
    }
    if (!ok || !http1_is_token(method) || !headers_valid(opts)) {
        char *why = ok ? str_dup("malformed method or header name") : str_dup(f->err.msg);
        error_set(&f->err, "world/protocol", "%s", why); /* without the URL: it may hold secrets */
        mem_free(why);
        url_free(&url);
        world_defer(w, &f->fail_later, fail_now, f);
        return &f->base;
    }
    f->peer = str_printf("%s://%s:%u", url.scheme, url.host, url.port);
    write_request(f, opts, method, &url);
    struct world_connect to = {
        .host = url.host,
        .port = url.port,
        .tls = url.secure ? opts->tls : NULL,
        .proxy = opts->proxy,
        .timeout_ms = opts->connect_timeout_ms != 0 ? opts->connect_timeout_ms : CONNECT_TIMEOUT_MS,
    };
    world_timer_start(w, &f->timer, opts->timeout_ms != 0 ? opts->timeout_ms : TIMEOUT_MS, on_timeout, f);
    f->conn = world_connect(w, &to, &conn_handler, f);
    url_free(&url);
    return &f->base;
}
