/* A connection's life: polling, reading, handshake, end. Writing is in real_conn_write.c. */
#include "world/real_conn_io.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <unistd.h>

enum {
    LINGER_MS = 1000,
    LINGER_COUNT_MAX = 256, /* beyond that connections just end: lingering is a courtesy */
};

struct real_conn *real_conn_new(struct real_world *rw) {
    struct real_conn *c = mem_zalloc(sizeof(*c));
    c->conn.ops = &real_conn_ops;
    c->conn.world = &rw->world;
    c->rw = rw;
    c->fd = -1;
    return c;
}

static void on_ready(uv_poll_t *poll, int status, int events);

bool real_conn_attach(struct real_conn *c, int fd) {
    assert(!c->poll_made);
    if (uv_poll_init(&c->rw->loop, &c->poll, fd) != 0) {
        return false;
    }
    c->fd = fd;
    c->poll.data = c;
    c->poll_made = true;
    return true;
}

void real_conn_watch(struct real_conn *c, int events) {
    if (c->events == events || !c->poll_made) {
        return;
    }
    c->events = (uint8_t)events;
    if (events == 0) {
        uv_poll_stop(&c->poll);
    } else {
        uv_poll_start(&c->poll, events, on_ready);
    }
}

/* What an open connection has to watch. */
void real_conn_watch_open(struct real_conn *c) {
    bool out = (c->queue.len > c->queue_at && !list_linked(&c->corked)) || c->read_wants_write;
    bool in = !c->paused || c->state == CONN_FLUSHING;
    real_conn_watch(c, (in ? UV_READABLE : 0) | (out ? UV_WRITABLE : 0));
}

/* ---- timers */

static void on_timeout(void *ctx) {
    struct real_conn *c = ctx;
    static const char *const what[] = {
        [CONN_RESOLVING] = "the name could not be looked up in time",
        [CONN_CONNECTING] = "the connection could not be made in time",
        [CONN_PROXY] = "the proxy did not answer in time",
        [CONN_HANDSHAKE] = "the TLS handshake was not done in time",
    };
    switch ((enum conn_state)c->state) {
    case CONN_RESOLVING:
    case CONN_CONNECTING:
    case CONN_PROXY:
    case CONN_HANDSHAKE:
        real_conn_end(c, WORLD_CLOSE_TIMEOUT, str_dup(what[c->state]));
        break;
    case CONN_FLUSHING:
        real_conn_end(c, WORLD_CLOSE_LOCAL, str_dup("closed before everything could be sent"));
        break;
    case CONN_LINGER:
        real_conn_drop(c);
        break;
    case CONN_OPEN:
    case CONN_ENDED:
    case CONN_GONE:
        break;
    }
}

void real_conn_timeout_start(struct real_conn *c, uint64_t ms) {
    world_timer_start(&c->rw->world, &c->timer, ms, on_timeout, c);
}

/* ---- the end */

static void free_memory(struct real_conn *c) {
    real_identity_free(c->peer);
    mem_free(c->remote);
    mem_free(c->local);
    mem_free(c->why);
    mem_free(c->end_text);
    mem_free(c);
}

static void on_poll_closed(uv_handle_t *handle) {
    free_memory(handle->data);
}

static void unlist(struct real_conn *c) {
    struct real_listener *l = c->listener;
    if (l != NULL) {
        c->listener = NULL;
        real_listener_left(l, c);
    } else {
        list_remove(c->state == CONN_LINGER ? &c->rw->lingering : &c->rw->conns, &c->link);
    }
}

/* From here on only the memory is left; it goes when libuv has let go of the poll handle, in a later turn: callers up
 * the stack may still look at c->state. */
static void let_go(struct real_conn *c, bool reset) {
    assert(c->state != CONN_GONE);
    unlist(c);
    c->state = CONN_GONE;
    world_timer_stop(&c->rw->world, &c->timer);
    real_soon_cancel(c->rw, &c->soon);
    list_remove(&c->rw->corked, &c->corked);
    SSL_free(c->ssl);
    c->ssl = NULL;
    buf_free(&c->queue);
    if (c->dial != NULL) {
        real_dial_free(c->dial);
        c->dial = NULL;
    }
    if (!c->poll_made) {
        free_memory(c);
        return;
    }
    uv_close((uv_handle_t *)&c->poll, on_poll_closed);
    if (reset) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    close(c->fd);
}

void real_conn_drop(struct real_conn *c) {
    if (c->state != CONN_GONE) {
        let_go(c, true);
    }
}

/* Whether the peer may still have something under way that would make the system answer with a reset. */
static bool should_linger(const struct real_conn *c) {
    bool by_us =
        c->end_reason == WORLD_CLOSE_TLS || (c->end_reason == WORLD_CLOSE_LOCAL && c->queue.len == c->queue_at);
    return by_us && c->fd >= 0 && !c->peer_ended && c->rw->lingering.count < LINGER_COUNT_MAX;
}

static void let_go_in_order(struct real_conn *c) {
    if (!should_linger(c)) {
        bool cut = c->end_reason == WORLD_CLOSE_LOCAL && c->queue.len > c->queue_at;
        let_go(c, cut);
        return;
    }
    shutdown(c->fd, SHUT_WR);
    unlist(c);
    SSL_free(c->ssl);
    c->ssl = NULL;
    c->state = CONN_LINGER;
    list_push_back(&c->rw->lingering, &c->link);
    real_conn_timeout_start(c, LINGER_MS);
    real_conn_watch(c, UV_READABLE);
}

static void tell_end(struct real_soon *soon) {
    struct real_conn *c = LIST_ITEM(soon, struct real_conn, soon);
    assert(c->state == CONN_ENDED);
    if (c->listener != NULL) {
        real_listener_refused(c->listener, c);
    } else if (c->conn.handler != NULL) {
        c->conn.handler->on_close(c->conn.ctx, &c->conn, (enum world_close_reason)c->end_reason,
                                  c->end_text != NULL ? c->end_text : "");
    }
    let_go_in_order(c);
}

void real_conn_end(struct real_conn *c, enum world_close_reason why, char *text) {
    assert(c->state < CONN_ENDED);
    c->state = CONN_ENDED;
    c->end_reason = (uint8_t)why;
    c->end_text = text;
    world_timer_stop(&c->rw->world, &c->timer);
    real_conn_watch(c, 0);
    real_soon(c->rw, &c->soon, tell_end);
}

/* ---- reading */

struct taken {
    size_t len;
    bool more; /* bytes wait inside TLS: no event will tell of them */
    bool ended;
    enum world_close_reason why;
    char *text;
};

static void take_plain(struct real_conn *c, struct taken *t) {
    ssize_t n = recv(c->fd, c->rw->read_scratch, REAL_READ_MAX, 0);
    if (n > 0) {
        t->len = (size_t)n;
    } else if (n == 0) {
        t->ended = true;
        t->why = WORLD_CLOSE_EOF;
        t->text = str_dup("the peer closed the connection");
    } else if (errno != EAGAIN && errno != EINTR) {
        t->ended = true;
        t->why = real_close_reason(errno);
        t->text = str_dup(strerror(errno));
    }
}

static void take_failure(struct real_conn *c, int ssl_error, int saved_errno, struct taken *t) {
    t->ended = true;
    if (ssl_error == SSL_ERROR_ZERO_RETURN) {
        t->why = WORLD_CLOSE_EOF;
        t->text = str_dup("the peer closed the connection");
        return;
    }
    bool cut = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    t->why = ssl_error == SSL_ERROR_SSL && !cut ? WORLD_CLOSE_TLS : WORLD_CLOSE_RESET;
    t->text = real_tls_failure(c->ssl, ssl_error, saved_errno, &c->why);
    if (cut) {
        mem_free(t->text);
        t->text = str_dup("the peer ended without close_notify");
    }
}

static void take_tls(struct real_conn *c, struct taken *t) {
    c->read_wants_write = false;
    for (;;) {
        size_t n = 0;
        ERR_clear_error();
        errno = 0;
        int ok = SSL_read_ex(c->ssl, c->rw->read_scratch + t->len, REAL_READ_MAX - t->len, &n);
        int saved_errno = errno;
        if (ok == 1) {
            t->len += n;
            t->more = SSL_has_pending(c->ssl) == 1;
            if (t->more && t->len < REAL_READ_MAX) {
                continue;
            }
            return;
        }
        t->more = false;
        int e = SSL_get_error(c->ssl, ok);
        if (e == SSL_ERROR_WANT_WRITE) {
            c->read_wants_write = true;
        } else if (e != SSL_ERROR_WANT_READ) {
            take_failure(c, e, saved_errno, t);
        }
        return;
    }
}

static void read_on(struct real_soon *soon) {
    real_conn_read(LIST_ITEM(soon, struct real_conn, soon));
}

/* At most REAL_READ_MAX bytes, in one on_data. */
void real_conn_read(struct real_conn *c) {
    struct taken t = {0};
    if (c->ssl != NULL) {
        take_tls(c, &t);
    } else {
        take_plain(c, &t);
    }
    if (t.len > 0 && c->state == CONN_OPEN) {
        c->conn.handler->on_data(c->conn.ctx, &c->conn, span_bytes(c->rw->read_scratch, t.len));
    }
    if (c->state != CONN_OPEN && c->state != CONN_FLUSHING) {
        mem_free(t.text);
        return;
    }
    if (t.ended) {
        c->peer_ended = true;
        if (c->state == CONN_FLUSHING) { /* the owner closed it already and does not care how */
            t.why = WORLD_CLOSE_LOCAL;
        } else if (t.why == WORLD_CLOSE_EOF && c->ssl != NULL) {
            SSL_shutdown(c->ssl); /* answers the close_notify */
        }
        real_conn_end(c, t.why, t.text);
        return;
    }
    if (t.more && !(c->paused && c->state == CONN_OPEN)) {
        real_soon(c->rw, &c->soon, read_on);
    }
    real_conn_watch_open(c);
}

/* ---- handshake and opening */

void real_conn_handshake(struct real_conn *c) {
    c->rw->handshake_steps++;
    ERR_clear_error();
    errno = 0;
    int rc = SSL_do_handshake(c->ssl);
    int saved_errno = errno;
    if (rc == 1) {
        struct real_tls *t = c->listener != NULL ? real_listener_tls(c->listener) : real_dial_tls(c->dial);
        c->peer = real_tls_opened(t, c->ssl, c->is_client);
        real_conn_opened(c);
        return;
    }
    int e = SSL_get_error(c->ssl, rc);
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
        real_conn_watch(c, e == SSL_ERROR_WANT_READ ? UV_READABLE : UV_WRITABLE);
        return;
    }
    bool cut = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    enum world_close_reason why = e == SSL_ERROR_SSL && !cut ? WORLD_CLOSE_TLS : WORLD_CLOSE_RESET;
    c->peer_ended = why == WORLD_CLOSE_RESET;
    char *text = real_tls_failure(c->ssl, e, saved_errno, &c->why);
    real_conn_end(c, why, str_printf("TLS handshake: %s", cut ? "the peer ended the stream" : text));
    mem_free(text);
}

void real_conn_opened(struct real_conn *c) {
    struct real_world *rw = c->rw;
    world_timer_stop(&rw->world, &c->timer);
    c->state = CONN_OPEN;
    mem_free(c->why);
    c->why = NULL;
    if (c->listener != NULL) {
        struct real_listener *l = c->listener;
        unlist(c);
        list_push_back(&rw->conns, &c->link);
        real_listener_opened(l, c);
    } else {
        real_dial_free(c->dial);
        c->dial = NULL;
        if (c->conn.handler->on_open != NULL) {
            c->conn.handler->on_open(c->conn.ctx, &c->conn);
        }
    }
    if (c->state == CONN_OPEN) {
        assert(c->conn.handler != NULL); /* on_accept must set one or abort */
        real_conn_flush(c);
    }
    /* The first bytes may have come with the peer's last flight, and then no event tells of them. */
    if (c->state == CONN_OPEN && c->ssl != NULL && !c->paused && SSL_has_pending(c->ssl)) {
        real_conn_read(c);
    }
}

/* ---- events */

static void discard(struct real_conn *c) {
    for (int i = 0; i < 4; i++) { /* a peer that sends for ever must not hold the loop */
        ssize_t n = recv(c->fd, c->rw->read_scratch, REAL_READ_MAX, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            let_go(c, false);
            return;
        }
        if (n < 0) {
            return;
        }
    }
}

static void on_ready(uv_poll_t *poll, int status, int events) {
    struct real_conn *c = poll->data;
    if (status < 0) {
        /* libuv has stopped watching because of an error condition of the socket: the next call on it says which. */
        c->events = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    switch ((enum conn_state)c->state) {
    case CONN_CONNECTING:
    case CONN_PROXY:
        real_connect_event(c);
        break;
    case CONN_HANDSHAKE:
        if (c->rw->handshake_steps < REAL_HANDSHAKES_PER_TURN) { /* else the next turn tells of it again */
            real_conn_handshake(c);
        } else if (c->events == 0) {
            real_conn_watch(c, UV_READABLE);
        }
        break;
    case CONN_OPEN:
    case CONN_FLUSHING:
        if ((events & UV_WRITABLE) != 0) {
            real_conn_flush(c);
        }
        if (((events & UV_READABLE) != 0 || c->read_wants_write) &&
            (c->state == CONN_OPEN || c->state == CONN_FLUSHING) && !(c->paused && c->state == CONN_OPEN)) {
            real_conn_read(c);
        }
        break;
    case CONN_LINGER:
        discard(c);
        break;
    case CONN_RESOLVING:
    case CONN_ENDED:
    case CONN_GONE:
        break;
    }
}

void real_conn_pause(struct world_conn *conn, bool paused) {
    struct real_conn *c = (struct real_conn *)(void *)conn;
    if (c->paused == paused) {
        return;
    }
    c->paused = paused;
    if (c->state != CONN_OPEN) {
        return;
    }
    if (paused) {
        real_soon_cancel(c->rw, &c->soon);
    } else if (c->ssl != NULL && SSL_has_pending(c->ssl)) {
        real_soon(c->rw, &c->soon, read_on);
    }
    real_conn_watch_open(c);
}
