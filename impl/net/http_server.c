/* The server's connections: reading requests one after the other, time-outs, the end of connections and of the server.
 */
#include "net/http_internal.h"

#include "base/mem.h"
#include <assert.h>
#include <string.h>

static void on_data(void *ctx, struct world_conn *conn, struct span bytes);
static void on_drain(void *ctx, struct world_conn *conn);
static void on_close(void *ctx, struct world_conn *conn, enum world_close_reason why, const char *text);
static const struct world_conn_handler conn_handler = {.on_data = on_data, .on_drain = on_drain, .on_close = on_close};
static void on_timer(void *ctx);

/* ---- life of a connection */

static void finish_server(void *ctx) {
    struct http_server *s = ctx;
    void (*done)(void *) = s->done;
    void *done_ctx = s->done_ctx;
    world_timer_stop(s->world, &s->grace);
    mem_free(s);
    if (done != NULL) {
        done(done_ctx);
    }
}

static void start_timer(struct http_conn *c, uint64_t delay_ms) {
    world_timer_start(c->server->world, &c->timer, delay_ms, on_timer, c);
}

static void destroy(struct http_conn *c) {
    struct http_server *s = c->server;
    world_timer_stop(s->world, &c->timer);
    world_undefer(s->world, &c->resume);
    if (c->ex != NULL) {
        http_exchange_free(c->ex);
    }
    http1_reader_free(&c->reader);
    buf_free(&c->ahead);
    list_remove(&s->conns, &c->link);
    mem_free(c);
    if (s->closing && list_empty(&s->conns)) {
        world_defer(s->world, &s->finish, finish_server, s);
    }
}

/* Tells whoever keeps the access log. */
static void report(const struct http_exchange *ex) {
    const struct http_server *s = ex->conn->server;
    if (s->opts.after != NULL) {
        s->opts.after(s->opts.ctx, &ex->req, ex->status, ex->bytes, world_now_us(s->world) - ex->started_us,
                      http1_field(&ex->head, "referer"), http1_field(&ex->head, "user-agent"));
    }
}

/* The exchange's client has gone. Its owner is told once; after that it is freed. */
static void abandon(struct http_conn *c) {
    struct http_exchange *ex = c->ex;
    if (ex == NULL) {
        return;
    }
    if (ex->answer != HTTP_UNANSWERED) {
        report(ex);
    }
    if (ex->answer != HTTP_ANSWERED && ex->abandoned != NULL) {
        void (*abandoned)(void *) = ex->abandoned;
        ex->abandoned = NULL;
        abandoned(ex->abandoned_ctx);
    }
}

static void end_conn(struct http_conn *c) {
    c->phase = HTTP_CLOSING;
    world_timer_stop(c->server->world, &c->timer);
    world_conn_close(c->conn, c->server->opts.idle_timeout_ms);
}

void http_conn_write(struct http_conn *c, const struct span *parts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        c->written += parts[i].len;
    }
    world_conn_write(c->conn, parts, count);
}

/* ---- the loop over requests */

static void finish_exchange(struct http_conn *c) {
    struct http_exchange *ex = c->ex;
    struct http_server *s = c->server;
    bool keep = ex->keep_alive && !s->closing;
    report(ex);
    c->ex = NULL;
    http_exchange_free(ex);
    if (!keep) {
        end_conn(c);
        return;
    }
    c->phase = HTTP_READING;
    start_timer(c, s->opts.idle_timeout_ms);
}

/* The stream of requests cannot be read any further. */
static void refuse(struct http_conn *c) {
    if (c->ex == NULL) {
        struct http1_head none = {.minor = 1, .method = "", .target = ""};
        c->ex = http_exchange_new(c, &none);
    }
    c->phase = HTTP_ANSWERING;
    c->ex->keep_alive = false;
    http_exchange_refuse(c->ex, c->reader.error.status, c->reader.error.text);
}

static void send_continue(struct http_conn *c) {
    if (c->ex != NULL && c->ex->head.expect_continue && !c->ex->continued && c->ex->body.len == 0) {
        c->ex->continued = true;
        http_conn_write(c, &SPAN("HTTP/1.1 100 Continue\r\n\r\n"), 1);
    }
}

static void body_progress(struct http_conn *c, size_t len) {
    c->progress += len;
    if (c->progress >= HTTP_BODY_PROGRESS) {
        c->progress = 0;
        start_timer(c, c->server->opts.idle_timeout_ms);
    }
}

/* Reads on. False: nothing more can be done with the input there is. */
static bool read_request(struct http_conn *c) {
    struct span body = {NULL, 0};
    bool fresh = http1_reader_idle(&c->reader);
    if (fresh && c->input.len != 0) {
        c->progress = 0;
        start_timer(c, c->server->opts.idle_timeout_ms); /* for the whole head */
    }
    switch (http1_next(&c->reader, &c->input, &body)) {
    case HTTP1_NEED_MORE:
        send_continue(c);
        return false;
    case HTTP1_HEAD: {
        struct http1_head head = http1_take_head(&c->reader);
        c->ex = http_exchange_new(c, &head);
        break;
    }
    case HTTP1_BODY:
        buf_append_span(&c->ex->body, body);
        body_progress(c, body.len);
        break;
    case HTTP1_END:
        world_timer_stop(c->server->world, &c->timer);
        c->phase = HTTP_ANSWERING;
        http_exchange_dispatch(c->ex);
        break;
    case HTTP1_FAILED:
        refuse(c);
        break;
    }
    return true;
}

static bool run_step(struct http_conn *c) {
    if (c->conn == NULL) {
        return false;
    }
    switch (c->phase) {
    case HTTP_READING:
        return read_request(c);
    case HTTP_ANSWERING:
        if (c->ex->answer != HTTP_ANSWERED) {
            return false;
        }
        finish_exchange(c);
        return true;
    case HTTP_CLOSING:
        c->input.len = 0;
        return false;
    }
    return false;
}

static void pause_reading(struct http_conn *c) {
    bool pause = c->ahead.len > HTTP_PIPELINE_MAX;
    if (pause != c->paused) {
        c->paused = pause;
        world_conn_pause(c->conn, pause);
    }
}

/* Works through the input; what is left of it waits until the current request is answered. */
static void run(struct http_conn *c, struct span input) {
    c->input = input;
    c->busy = true;
    while (run_step(c)) {
    }
    c->busy = false;
    if (c->conn == NULL) {
        destroy(c);
        return;
    }
    buf_append_span(&c->ahead, c->input);
    c->input = (struct span){NULL, 0};
    if (c->ahead.len == 0) {
        buf_free(&c->ahead);
    }
    pause_reading(c);
}

static void resume(void *ctx) {
    struct http_conn *c = ctx;
    struct buf ahead = c->ahead;
    c->ahead = (struct buf)BUF_INIT;
    run(c, buf_span(&ahead));
    buf_free(&ahead);
}

void http_conn_answered(struct http_conn *c) {
    if (!c->busy) {
        world_defer(c->server->world, &c->resume, resume, c);
    }
}

void http_conn_stream_started(struct http_conn *c) {
    c->sent_seen = 0;
    start_timer(c, c->server->opts.idle_timeout_ms);
}

/* ---- events of the connection */

static void on_data(void *ctx, struct world_conn *conn, struct span bytes) {
    struct http_conn *c = ctx;
    (void)conn;
    if (c->phase == HTTP_ANSWERING) {
        buf_append_span(&c->ahead, bytes);
        pause_reading(c);
    } else {
        run(c, bytes);
    }
}

static void on_drain(void *ctx, struct world_conn *conn) {
    struct http_conn *c = ctx;
    (void)conn;
    if (c->ex != NULL && c->ex->answer == HTTP_STREAMING && c->ex->drained != NULL) {
        c->ex->drained(c->ex->drained_ctx);
    } else if (c->phase == HTTP_READING && http1_reader_idle(&c->reader)) {
        start_timer(c, c->server->opts.idle_timeout_ms); /* the response has left only now */
    }
}

static void on_close(void *ctx, struct world_conn *conn, enum world_close_reason why, const char *text) {
    struct http_conn *c = ctx;
    (void)conn, (void)why, (void)text;
    c->conn = NULL;
    c->busy = true; /* the owner may still call, for example, http_abort() */
    abandon(c);
    destroy(c);
}

void http_conn_drop(struct http_conn *c) {
    if (c->conn != NULL) {
        struct world_conn *conn = c->conn;
        c->conn = NULL;
        world_conn_abort(conn);
    }
    if (!c->busy) {
        destroy(c);
    }
}

/* Nothing of what we sent has left since the timer last looked. */
static bool stuck(struct http_conn *c) {
    size_t pending = world_conn_pending(c->conn);
    uint64_t sent = c->written - pending;
    bool moved = sent != c->sent_seen;
    c->sent_seen = sent;
    return pending != 0 && !moved;
}

static void on_timer(void *ctx) {
    struct http_conn *c = ctx;
    bool pending = world_conn_pending(c->conn) != 0;
    switch (c->phase) {
    case HTTP_READING:
        if (!http1_reader_idle(&c->reader)) {
            c->reader.error = (struct http1_error){408, "The request took too long"};
            refuse(c);
        } else if (pending && !stuck(c)) {
            start_timer(c, c->server->opts.idle_timeout_ms); /* it is still taking its response */
        } else {
            end_conn(c);
        }
        break;
    case HTTP_ANSWERING: /* a stream */
        if (stuck(c)) {
            world_conn_abort(c->conn);
            on_close(c, NULL, WORLD_CLOSE_TIMEOUT, "");
        } else {
            start_timer(c, c->server->opts.idle_timeout_ms);
        }
        break;
    case HTTP_CLOSING:
        break;
    }
}

struct world_conn *http_take_over(struct http_exchange *ex, int status, struct buf *behind) {
    struct http_conn *c = ex->conn;
    struct world_conn *conn = c->conn;
    assert(conn != NULL && ex->answer == HTTP_UNANSWERED && c->phase == HTTP_ANSWERING);
    ex->answer = HTTP_ANSWERED;
    ex->status = status;
    report(ex);
    buf_append_span(behind, buf_span(&c->ahead));
    buf_append_span(behind, c->input);
    if (c->paused) {
        world_conn_pause(conn, false);
    }
    c->conn = NULL;
    if (!c->busy) {
        destroy(c);
    }
    return conn;
}

/* ---- the server */

static void on_accept(void *ctx, struct world_conn *conn) {
    struct http_server *s = ctx;
    struct http_conn *c = mem_zalloc(sizeof(*c));
    c->server = s;
    c->conn = conn;
    http1_reader_init(&c->reader, HTTP1_REQUEST, s->opts.head_max, 0, s->opts.body_max);
    list_push_back(&s->conns, &c->link);
    world_conn_set_handler(conn, &conn_handler, c);
    if (s->conns.count > s->opts.connections_max) {
        c->reader.error = (struct http1_error){503, "Too many connections"};
        refuse(c);
        return;
    }
    start_timer(c, s->opts.idle_timeout_ms);
}

struct http_server *http_server_new(struct world *w, const struct http_server_opts *opts, struct error *err) {
    struct http_server *s = mem_zalloc(sizeof(*s));
    s->world = w;
    s->opts = *opts;
    list_init(&s->conns);
    s->opts.body_max = opts->body_max != 0 ? opts->body_max : HTTP_BODY_MAX;
    s->opts.idle_timeout_ms = opts->idle_timeout_ms != 0 ? opts->idle_timeout_ms : HTTP_IDLE_TIMEOUT_MS;
    s->opts.connections_max = opts->connections_max != 0 ? opts->connections_max : HTTP_CONNECTIONS_MAX;
    s->listener = world_listen(w, &opts->listen, on_accept, s, err);
    if (s->listener == NULL) {
        mem_free(s);
        return NULL;
    }
    return s;
}

uint16_t http_server_port(const struct http_server *s) {
    return world_listener_port(s->listener);
}

size_t http_server_connections(const struct http_server *s) {
    return s->conns.count;
}

static void grace_over(void *ctx) {
    struct http_server *s = ctx;
    while (!list_empty(&s->conns)) {
        struct http_conn *c = LIST_ITEM(list_first(&s->conns), struct http_conn, link);
        world_conn_abort(c->conn);
        on_close(c, NULL, WORLD_CLOSE_LOCAL, "");
    }
}

void http_server_close(struct http_server *s, uint64_t grace_ms, void (*done)(void *ctx), void *ctx) {
    assert(!s->closing);
    s->closing = true;
    s->done = done;
    s->done_ctx = ctx;
    world_listener_close(s->listener);
    s->listener = NULL;
    LIST_EACH (it, &s->conns) {
        struct http_conn *c = LIST_ITEM(it, struct http_conn, link);
        if (c->phase == HTTP_READING && http1_reader_idle(&c->reader) && !c->busy) {
            end_conn(c);
        }
    }
    if (list_empty(&s->conns)) {
        world_defer(s->world, &s->finish, finish_server, s);
    } else {
        world_timer_start(s->world, &s->grace, grace_ms, grace_over, s);
    }
}

void http_server_free(struct http_server *s) {
    world_listener_close(s->listener);
    s->listener = NULL;
    s->closing = false; /* the last connection's end must not finish it a second time */
    grace_over(s);
    world_timer_stop(s->world, &s->grace);
    world_undefer(s->world, &s->finish);
    mem_free(s);
}
