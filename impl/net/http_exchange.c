/* One request and its response: what handlers read and write, and the way from a request to its handler. */
#include "base/json.h"
#include "base/mem.h"
#include "net/http_internal.h"
#include "wire/gzip.h"
#include "wire/percent.h"
#include <assert.h>
#include <string.h>

/* ---- life */

/* The path within a target: "/a?x" and, in the form proxies use, "http://host/a?x". */
static struct span path_and_query(const char *target) {
    struct span rest = span_of(target);
    for (const char *const *scheme = (const char *const[]){"http://", "https://", NULL}; *scheme != NULL; scheme++) {
        if (span_eq_nocase(span_sub(rest, 0, strlen(*scheme)), *scheme)) {
            rest = span_sub(rest, strlen(*scheme), rest.len);
            size_t end = 0;
            while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?') {
                end++;
            }
            return span_sub(rest, end, rest.len);
        }
    }
    return rest;
}

struct http_exchange *http_exchange_new(struct http_conn *c, struct http1_head *head) {
    struct http_exchange *ex = mem_zalloc(sizeof(*ex));
    struct world *w = c->server->world;
    ex->conn = c;
    ex->head = *head;
    ex->keep_alive = head->keep_alive;
    ex->started_us = world_now_us(w);
    struct span target = path_and_query(head->target);
    ptrdiff_t mark = span_find(target, '?');
    ex->path = span_dup(mark >= 0 ? span_sub(target, 0, (size_t)mark) : target);
    ex->req = (struct http_request){
        .method = head->method,
        .target = head->target,
        .path = ex->path,
        .query = mark >= 0 ? span_sub(target, (size_t)mark + 1, target.len) : span_sub(target, target.len, 0),
        .identity = world_conn_peer(c->conn),
        .remote = world_conn_remote(c->conn),
        .received_ms = world_wall_ms(w),
    };
    return ex;
}

void http_exchange_free(struct http_exchange *ex) {
    for (size_t i = 0; i < 2 * ex->query_count; i++) {
        mem_free(ex->query[i]);
    }
    mem_free(ex->query);
    mem_free(ex->path);
    buf_free(&ex->body);
    buf_free(&ex->headers);
    route_params_free(&ex->params);
    http1_head_free(&ex->head);
    mem_free(ex);
}

/* ---- what a handler reads */

const struct http_request *http_request(const struct http_exchange *ex) {
    return &ex->req;
}

struct world *http_world(const struct http_exchange *ex) {
    return ex->conn->server->world;
}

const char *http_header(const struct http_exchange *ex, const char *lower_case_name) {
    return http1_field(&ex->head, lower_case_name);
}

bool http_header_at(const struct http_exchange *ex, size_t i, const char **name, const char **value) {
    if (i >= ex->head.field_count) {
        return false;
    }
    *name = ex->head.fields[i].name;
    *value = ex->head.fields[i].value;
    return true;
}

const char *http_param(const struct http_exchange *ex, const char *name) {
    return route_param(&ex->params, name);
}

static char *decoded(struct span text) {
    struct buf out = BUF_INIT;
    query_decode(&out, text);
    return buf_take(&out);
}

bool http_query_at(struct http_exchange *ex, size_t i, const char **name, const char **value) {
    if (!ex->query_read) {
        struct span rest = ex->req.query, key, val;
        size_t cap = 0;
        while (query_next(&rest, &key, &val)) {
            ex->query = mem_grow(ex->query, &cap, 2 * ex->query_count + 2, sizeof(*ex->query));
            ex->query[2 * ex->query_count] = decoded(key);
            ex->query[2 * ex->query_count + 1] = decoded(val);
            ex->query_count++;
        }
        ex->query_read = true;
    }
    if (i >= ex->query_count) {
        return false;
    }
    *name = ex->query[2 * i];
    *value = ex->query[2 * i + 1];
    return true;
}

const char *http_query(struct http_exchange *ex, const char *name) {
    const char *key, *value;
    for (size_t i = 0; http_query_at(ex, i, &key, &value); i++) {
        if (strcmp(key, name) == 0) {
            return value;
        }
    }
    return NULL;
}

/* ---- responses */

void http_set_header(struct http_exchange *ex, const char *name, const char *value) {
    static const char *const ours[] = {"content-length", "transfer-encoding", "date", "connection"};
    struct span n = span_of(name);
    assert(http1_is_token(name));
    if (span_eq_nocase(n, "connection") && span_eq_nocase(span_of(value), "close")) {
        ex->keep_alive = false;
    }
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (span_eq_nocase(n, ours[i])) {
            return;
        }
    }
    http1_write_field(&ex->headers, name, value);
}

static bool is_head(const struct http_exchange *ex) {
    return strcmp(ex->req.method, "HEAD") == 0;
}

static bool without_body(int status) {
    return status < 200 || status == 204 || status == 304;
}

/* The head up to, not including, the empty line. */
static void write_head(struct http_exchange *ex, struct buf *out, int status, const char *content_type) {
    const struct http_server *s = ex->conn->server;
    ex->status = status;
    buf_printf(out, "HTTP/1.1 %d %s\r\n", status, http1_status_text(status));
    http1_write_date(out, world_wall_ms(s->world));
    if (s->opts.server_header != NULL) {
        http1_write_field(out, "Server", s->opts.server_header);
    }
    if (content_type != NULL) {
        http1_write_field(out, "Content-Type", content_type);
    }
    buf_append_span(out, buf_span(&ex->headers));
    if (!ex->keep_alive || s->closing) {
        buf_append_cstr(out, "Connection: close\r\n");
    } else if (ex->head.minor == 0) {
        buf_append_cstr(out, "Connection: keep-alive\r\n");
    }
}

/* Does the client take gzip ("gzip" or "*" in Accept-Encoding, not with q=0)? */
static bool accepts_gzip(const struct http_exchange *ex) {
    const char *accept = http1_field(&ex->head, "accept-encoding");
    struct span rest = span_of(accept != NULL ? accept : ""), item;
    while (span_split(&rest, ',', &item)) {
        struct span params = item, coding, q;
        span_split(&params, ';', &coding);
        coding = span_trim(coding);
        if (!span_eq_nocase(coding, "gzip") && !span_eq_nocase(coding, "*")) {
            continue;
        }
        bool refused = false;
        while (span_split(&params, ';', &q)) {
            q = span_trim(q);
            refused = refused || span_eq_cstr(q, "q=0") || span_eq_cstr(q, "q=0.0") || span_eq_cstr(q, "q=0.00") ||
                      span_eq_cstr(q, "q=0.000");
        }
        return !refused;
    }
    return false;
}

static bool should_pack(const struct http_exchange *ex, const char *content_type, struct span body) {
    struct span type = span_of(content_type != NULL ? content_type : "");
    return ex->conn->server->opts.gzip && body.len >= HTTP_GZIP_MIN && accepts_gzip(ex) &&
           (span_starts_with(type, "text/") || span_find_span(type, SPAN("json")) >= 0 ||
            span_find_span(type, SPAN("javascript")) >= 0 || span_find_span(type, SPAN("yaml")) >= 0);
}

void http_respond(struct http_exchange *ex, int status, const char *content_type, struct span body) {
    assert(ex->answer == HTTP_UNANSWERED);
    struct buf head = BUF_INIT, packed = BUF_INIT;
    if (should_pack(ex, content_type, body)) {
        gzip_deflate(&packed, body);
        body = buf_span(&packed);
        http1_write_field(&ex->headers, "Content-Encoding", "gzip");
        if (span_find_span(buf_span(&ex->headers), SPAN("Vary: ")) < 0) { /* the handler may say more */
            http1_write_field(&ex->headers, "Vary", "Accept-Encoding");
        }
    }
    write_head(ex, &head, status, content_type);
    if (!without_body(status)) {
        buf_printf(&head, "Content-Length: %zu\r\n", body.len);
    }
    buf_append_cstr(&head, "\r\n");
    bool send_body = !without_body(status) && !is_head(ex) && body.len != 0;
    struct span parts[] = {buf_span(&head), body};
    ex->answer = HTTP_ANSWERED;
    ex->bytes = send_body ? body.len : 0;
    http_conn_write(ex->conn, parts, send_body ? 2 : 1);
    buf_free(&head);
    buf_free(&packed);
    http_conn_answered(ex->conn);
}

void http_respond_json(struct http_exchange *ex, int status, json_t *body) {
    struct buf text = BUF_INIT;
    json_write(&text, body);
    json_decref(body);
    http_respond(ex, status, "application/json", buf_span(&text));
    buf_free(&text);
}

void http_respond_error(struct http_exchange *ex, int status, const struct error *err) {
    http_respond_json(ex, status, error_to_json(err));
}

void http_exchange_refuse(struct http_exchange *ex, int status, const char *text) {
    char *line = str_printf("%s\n", text);
    http_respond(ex, status, "text/plain; charset=utf-8", span_of(line));
    mem_free(line);
}

void http_stream_start(struct http_exchange *ex, int status, const char *content_type) {
    assert(ex->answer == HTTP_UNANSWERED && !without_body(status));
    struct buf head = BUF_INIT;
    ex->chunked = ex->head.minor == 1;
    ex->keep_alive = ex->keep_alive && ex->chunked;
    write_head(ex, &head, status, content_type);
    buf_append_cstr(&head, ex->chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
    ex->answer = HTTP_STREAMING;
    http_conn_write(ex->conn, &(struct span){head.ptr, head.len}, 1);
    buf_free(&head);
    http_conn_stream_started(ex->conn);
}

void http_stream_write(struct http_exchange *ex, struct span bytes) {
    assert(ex->answer == HTTP_STREAMING);
    if (bytes.len == 0 || is_head(ex)) {
        return;
    }
    ex->bytes += bytes.len;
    if (!ex->chunked) {
        http_conn_write(ex->conn, &bytes, 1);
        return;
    }
    struct buf head = BUF_INIT;
    http1_write_chunk_head(&head, bytes.len);
    struct span parts[] = {buf_span(&head), bytes, SPAN("\r\n")};
    http_conn_write(ex->conn, parts, 3);
    buf_free(&head);
}

size_t http_stream_pending(const struct http_exchange *ex) {
    return world_conn_pending(ex->conn->conn);
}

void http_stream_end(struct http_exchange *ex) {
    assert(ex->answer == HTTP_STREAMING);
    if (ex->chunked && !is_head(ex)) {
        http_conn_write(ex->conn, &SPAN("0\r\n\r\n"), 1);
    }
    ex->answer = HTTP_ANSWERED;
    http_conn_answered(ex->conn);
}

void http_on_drain(struct http_exchange *ex, void (*drained)(void *ctx), void *ctx) {
    ex->drained = drained;
    ex->drained_ctx = ctx;
}

void http_on_abandon(struct http_exchange *ex, void (*abandoned)(void *ctx), void *ctx) {
    ex->abandoned = abandoned;
    ex->abandoned_ctx = ctx;
}

void http_abort(struct http_exchange *ex) {
    ex->abandoned = NULL;
    http_conn_drop(ex->conn);
}

/* ---- from a whole request to its handler */

/* Unpacks the body in place when it is packed and that is our business. False: refused. */
static bool unpack_body(struct http_exchange *ex) {
    const struct http_server_opts *opts = &ex->conn->server->opts;
    const char *coding = http1_field(&ex->head, "content-encoding");
    if (coding == NULL || !opts->gzip || span_eq_nocase(span_of(coding), "identity")) {
        return true;
    }
    if (!span_eq_nocase(span_of(coding), "gzip") && !span_eq_nocase(span_of(coding), "x-gzip")) {
        http_exchange_refuse(ex, 415, "Content-Encoding is not gzip");
        return false;
    }
    struct buf plain = BUF_INIT;
    struct error err = ERROR_INIT;
    bool ok = gzip_inflate(&plain, buf_span(&ex->body), opts->body_max, &err);
    buf_free(&ex->body);
    ex->body = plain;
    if (!ok) {
        bool large = error_is(&err, "gzip/too-large");
        http_exchange_refuse(ex, large ? 413 : 400, large ? "Body too large" : "Body is not gzip");
    }
    error_clear(&err);
    return ok;
}

static bool method_fits(const struct http_route *route, const char *method) {
    return route->method == NULL || strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void add_allowed(struct buf *allow, const char *method) {
    if (span_find_span(buf_span(allow), span_of(method)) < 0) {
        buf_printf(allow, "%s%s", allow->len != 0 ? ", " : "", method);
    }
}

static void no_route(struct http_exchange *ex, const char *allow) {
    const struct http_server_opts *opts = &ex->conn->server->opts;
    if (opts->not_found != NULL) {
        opts->not_found(opts->ctx, ex, allow);
    } else if (allow == NULL) {
        http_exchange_refuse(ex, 404, "Not Found");
    } else {
        http_set_header(ex, "Allow", allow);
        http_exchange_refuse(ex, 405, "Method Not Allowed");
    }
}

void http_proceed(struct http_exchange *ex) {
    const struct http_server_opts *opts = &ex->conn->server->opts;
    struct span path = span_of(ex->path);
    struct buf allow = BUF_INIT;
    for (const struct http_route *route = opts->routes; route != NULL && route->pattern != NULL; route++) {
        bool fits = method_fits(route, ex->req.method);
        if (!route_match(route->pattern, path, fits ? &ex->params : NULL)) {
            continue;
        }
        if (fits) {
            buf_free(&allow);
            route->handle(opts->ctx, ex, route);
            return;
        }
        add_allowed(&allow, route->method);
    }
    no_route(ex, allow.len != 0 ? allow.ptr : NULL);
    buf_free(&allow);
}

void http_exchange_dispatch(struct http_exchange *ex) {
    const struct http_server_opts *opts = &ex->conn->server->opts;
    if (!unpack_body(ex)) {
        return;
    }
    ex->req.body = buf_span(&ex->body);
    struct buf query = BUF_INIT;
    query_decode(&query, ex->req.query);
    bool nul = span_has_nul(buf_span(&query));
    buf_free(&query);
    if (nul) {
        http_exchange_refuse(ex, 400, "NUL in the query");
    } else if (opts->before == NULL || !opts->before(opts->ctx, ex)) {
        http_proceed(ex);
    }
}
