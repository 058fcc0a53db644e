/* See http_line.h. */
#include "net/http_line.h"

#include "base/mem.h"
#include "base/url.h"
#include "wire/http1.h"
#include <assert.h>
#include <string.h>

enum { CONNECT_TIMEOUT_MS = 30000, ANSWER_TIMEOUT_MS = 120000, ANSWER_BODY_MAX = 1024 * 1024, SENDS_MAX = 2 };

struct pending {
    struct list_link link;
    struct http_line_request request;
    char *target;
    unsigned sends;
};

struct http_line {
    struct world *world;
    struct world_tls *tls;
    struct url url;
    char *peer; /* "https://host:port", for messages */
    uint64_t timeout_ms;
    struct error unusable; /* the URL is */
    struct world_conn *conn;
    bool open;
    uint64_t answers; /* on this connection */
    struct http1_reader reader;
    struct http1_head head;
    struct list unsent, sent; /* of this connection; struct pending */
    struct world_task flush;
    struct timer timer;
};

static void flush(void *ctx);
static void on_timeout(void *ctx);

static void pending_free(struct pending *p) {
    mem_free(p->target);
    mem_free(p);
}

static void start_timer(struct http_line *l) {
    if (list_empty(&l->sent)) {
        world_timer_stop(l->world, &l->timer);
    } else {
        world_timer_start(l->world, &l->timer, l->timeout_ms, on_timeout, l);
    }
}

/* ---- ends of requests */

static void end(struct list *of, struct pending *p, const struct error *err, int status) {
    const struct http_line_request r = p->request;
    list_remove(of, &p->link);
    pending_free(p);
    r.done(r.ctx, err, status);
}

static void end_all(struct list *of, const struct error *err) {
    struct list ending; /* done may post the next one */
    list_init(&ending);
    for (struct list_link *k; (k = list_pop_front(of)) != NULL;) {
        list_push_back(&ending, k);
    }
    for (struct list_link *k; (k = list_first(&ending)) != NULL;) {
        end(&ending, LIST_ITEM(k, struct pending, link), err, 0);
    }
}

static void drop_connection(struct http_line *l) {
    if (l->conn != NULL) {
        world_conn_abort(l->conn);
    }
    l->conn = NULL;
    l->open = false;
    http1_reader_free(&l->reader);
    http1_head_free(&l->head);
    world_timer_stop(l->world, &l->timer);
}

/* The connection is of no use any more. A kept one may have been ended before it saw what was sent last. */
static void lost(struct http_line *l, const char *kind, const char *text) {
    struct error err = ERROR_INIT;
    struct list failed;
    const bool again = l->answers > 0;
    list_init(&failed);
    drop_connection(l);
    while (l->sent.count > 0) { /* back to front, so that they stay in order */
        struct list_link *k = l->sent.head.prev;
        struct pending *p = LIST_ITEM(k, struct pending, link);
        list_remove(&l->sent, k);
        list_push_front(again && p->sends < SENDS_MAX ? &l->unsent : &failed, k);
    }
    if (!again) {
        for (struct list_link *k; (k = list_pop_front(&l->unsent)) != NULL;) {
            list_push_back(&failed, k);
        }
    }
    if (l->unsent.count > 0) {
        world_defer(l->world, &l->flush, flush, l);
    }
    error_set(&err, kind, "%s: %s", l->peer, text);
    end_all(&failed, &err);
    error_clear(&err);
}

static void on_timeout(void *ctx) {
    lost(ctx, "world/timeout", "no answer in time");
}

/* ---- the connection */

static bool on_answer(struct http_line *l) {
    if (l->head.status < 200) {
        return true;
    }
    const bool keep = l->head.keep_alive;
    const int status = l->head.status;
    struct list_link *k = list_first(&l->sent);
    if (l->sent.count == 0) {
        lost(l, "world/protocol", "an answer to nothing");
        return false;
    }
    l->answers++;
    http1_head_free(&l->head);
    end(&l->sent, LIST_ITEM(k, struct pending, link), NULL, status);
    if (!keep) {
        lost(l, "world/reset", "it ended the connection without an answer");
        return false;
    }
    start_timer(l);
    return true;
}

static void on_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct http_line *l = ctx;
    (void)c;
    for (bool more = true; more;) {
        struct span body = {NULL, 0};
        switch (http1_next(&l->reader, &bytes, &body)) {
        case HTTP1_HEAD:
            http1_head_free(&l->head);
            l->head = http1_take_head(&l->reader);
            break;
        case HTTP1_BODY:
            break;
        case HTTP1_END:
            more = on_answer(l);
            break;
        case HTTP1_FAILED:
            lost(l, "world/protocol", l->reader.error.text);
            more = false;
            break;
        case HTTP1_NEED_MORE:
            more = false;
            break;
        }
    }
}

static void on_open(void *ctx, struct world_conn *c) {
    struct http_line *l = ctx;
    (void)c;
    l->open = true;
    flush(l);
}

static void on_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    static const char *const kinds[] = {
        [WORLD_CLOSE_EOF] = "world/reset",         [WORLD_CLOSE_RESET] = "world/reset",
        [WORLD_CLOSE_REFUSED] = "world/refused",   [WORLD_CLOSE_UNREACHABLE] = "world/unreachable",
        [WORLD_CLOSE_TIMEOUT] = "world/timeout",   [WORLD_CLOSE_TLS] = "world/tls",
        [WORLD_CLOSE_PROXY] = "world/unreachable", [WORLD_CLOSE_LOCAL] = "world/reset",
    };
    struct http_line *l = ctx;
    (void)c;
    l->conn = NULL;
    if (why == WORLD_CLOSE_EOF && l->head.status != 0 && http1_eof(&l->reader) == HTTP1_END) {
        on_answer(l); /* whose body ended with the connection, so that is the last one */
        return;
    }
    lost(l, kinds[why], text != NULL && text[0] != '\0' ? text : "the connection ended");
}

static const struct world_conn_handler conn_handler = {.on_open = on_open, .on_data = on_data, .on_close = on_close};

static void open_connection(struct http_line *l) {
    const struct world_connect to = {.host = l->url.host,
                                     .port = l->url.port,
                                     .tls = l->url.secure ? l->tls : NULL,
                                     .timeout_ms = CONNECT_TIMEOUT_MS};
    l->answers = 0;
    http1_reader_init(&l->reader, HTTP1_RESPONSE, 0, 0, ANSWER_BODY_MAX);
    l->conn = world_connect(l->world, &to, &conn_handler, l);
}

/* ---- sending */

static void write_request(const struct http_line *l, struct buf *out, const struct pending *p) {
    const char *prefix = strcmp(l->url.target, "/") == 0 ? "" : l->url.target;
    buf_printf(out, "POST %s%s HTTP/1.1\r\nHost: ", prefix, p->target);
    url_authority(out, &l->url);
    buf_printf(out, "\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", p->request.content_type,
               p->request.body.len);
    buf_append_span(out, p->request.body);
}

static void flush(void *ctx) {
    struct http_line *l = ctx;
    if (error_is_set(&l->unusable)) {
        end_all(&l->unsent, &l->unusable);
        return;
    }
    if (l->conn == NULL && l->unsent.count > 0) {
        open_connection(l);
    }
    if (!l->open || l->unsent.count == 0) {
        return;
    }
    struct buf out = BUF_INIT;
    for (struct list_link *k; (k = list_pop_front(&l->unsent)) != NULL;) {
        struct pending *p = LIST_ITEM(k, struct pending, link);
        p->sends++;
        write_request(l, &out, p);
        list_push_back(&l->sent, k);
    }
    world_conn_write(l->conn, &(struct span){out.ptr, out.len}, 1);
    buf_free(&out);
    start_timer(l);
}

void http_line_post(struct http_line *l, const struct http_line_request *r) {
    assert(http1_is_target(r->target));
    struct pending *p = mem_zalloc(sizeof(*p));
    p->request = *r;
    p->target = str_dup(r->target);
    list_push_back(&l->unsent, &p->link);
    world_defer(l->world, &l->flush, flush, l);
}

size_t http_line_waiting(const struct http_line *l) {
    return l->unsent.count + l->sent.count;
}

/* ---- life */

struct http_line *http_line_new(struct world *w, const char *url, struct world_tls *tls, uint64_t timeout_ms) {
    struct http_line *l = mem_zalloc(sizeof(*l));
    l->world = w;
    l->tls = tls;
    l->timeout_ms = timeout_ms != 0 ? timeout_ms : ANSWER_TIMEOUT_MS;
    list_init(&l->unsent);
    list_init(&l->sent);
    struct error err = ERROR_INIT;
    if (!url_parse(url, &l->url, &err)) {
        error_set(&l->unusable, "world/protocol", "%s", err.msg);
    } else if (l->url.scheme[0] != 'h' || !http1_is_target(l->url.target)) {
        error_set(&l->unusable, "world/protocol", "%s is no URL of a service", url);
    } else if (l->url.secure && tls == NULL) {
        error_set(&l->unusable, "world/tls", "https without a TLS context: nobody is trusted");
    } else {
        l->peer = str_printf("%s://%s:%u", l->url.scheme, l->url.host, l->url.port);
    }
    error_clear(&err);
    return l;
}

void http_line_free(struct http_line *l) {
    if (l == NULL) {
        return;
    }
    drop_connection(l);
    world_undefer(l->world, &l->flush);
    struct list *const all[] = {&l->unsent, &l->sent};
    for (size_t i = 0; i < 2; i++) {
        for (struct list_link *k; (k = list_pop_front(all[i])) != NULL;) {
            pending_free(LIST_ITEM(k, struct pending, link));
        }
    }
    error_clear(&l->unusable);
    url_free(&l->url);
    mem_free(l->peer);
    mem_free(l);
}
