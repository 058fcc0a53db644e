/* Writing. The first of a turn goes at once; what follows in the same turn is gathered into whole TLS records and goes
 * when one is full or the turn ends: an answer waits for nobody, a burst of small messages is one system call. What the
 * socket does not take is queued and goes when it takes more. */
#include "world/real_conn_io.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/uio.h>

enum {
    FLUSH_MAX = 256 * 1024, /* bytes sent from one queue in a turn */
    IOV_COUNT = 16,
};

/* Ends the connection — or, when the peer has gone, lets reading do it: what the peer sent before (a TLS alert, an
 * answer) says more than our failing write does. Returns -1. */
static ssize_t fail_write(struct real_conn *c, int error_number, enum world_close_reason why, char *text) {
    bool gone = error_number == EPIPE || error_number == ECONNRESET;
    if (gone && c->state == CONN_OPEN && (c->events & UV_READABLE) != 0) {
        c->write_failed = true;
        buf_free(&c->queue);
        c->queue_at = 0;
        real_conn_watch(c, UV_READABLE);
        mem_free(text);
        return -1;
    }
    real_conn_end(c, c->state == CONN_FLUSHING ? WORLD_CLOSE_LOCAL : why, text);
    return -1;
}

/* These return the bytes sent, 0 when the socket takes none now, -1 after fail_write(). */
static ssize_t send_tls(struct real_conn *c, struct span bytes) {
    size_t n = 0;
    ERR_clear_error();
    errno = 0;
    int ok = SSL_write_ex(c->ssl, bytes.ptr, bytes.len, &n);
    int saved_errno = errno;
    if (ok == 1) {
        return (ssize_t)n;
    }
    int e = SSL_get_error(c->ssl, ok);
    if (e == SSL_ERROR_WANT_WRITE || e == SSL_ERROR_WANT_READ) {
        return 0;
    }
    return fail_write(c, saved_errno, e == SSL_ERROR_SSL ? WORLD_CLOSE_TLS : WORLD_CLOSE_RESET,
                      real_tls_failure(c->ssl, e, saved_errno, &c->why));
}

static ssize_t sent_plain(struct real_conn *c, ssize_t n) {
    if (n >= 0) {
        return n;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS) {
        return 0;
    }
    int e = errno;
    return fail_write(c, e, real_close_reason(e), str_dup(strerror(e)));
}

static void queue_bytes(struct real_conn *c, struct span bytes) {
    if (c->queue_at > 0 && c->queue_at >= c->queue.len / 2) {
        buf_consume(&c->queue, c->queue_at); /* amortised: at least half of it goes */
        c->queue_at = 0;
    }
    buf_append_span(&c->queue, bytes);
}

/* A place in the parts of a write. */
struct cursor {
    const struct span *parts;
    size_t count, part, at;
};

static struct span cursor_piece(const struct cursor *k) {
    return span_bytes(k->parts[k->part].ptr + k->at, k->parts[k->part].len - k->at);
}

static bool cursor_skip_empty(struct cursor *k) {
    while (k->part < k->count && k->at == k->parts[k->part].len) {
        k->part++;
        k->at = 0;
    }
    return k->part < k->count;
}

static void cursor_advance(struct cursor *k, size_t len) {
    while (len > 0) {
        size_t left = k->parts[k->part].len - k->at;
        size_t step = len < left ? len : left;
        k->at += step;
        len -= step;
        cursor_skip_empty(k);
    }
}

static void queue_rest(struct real_conn *c, struct cursor *k) {
    for (; cursor_skip_empty(k); k->part++, k->at = 0) {
        queue_bytes(c, cursor_piece(k));
    }
}

/* The next record's bytes: in place when one part fills it, else gathered. */
static struct span gather_record(struct real_conn *c, struct cursor k) {
    struct span first = cursor_piece(&k);
    if (first.len >= REAL_RECORD_MAX || k.part + 1 == k.count) {
        return first;
    }
    size_t len = 0;
    while (len < REAL_RECORD_MAX && cursor_skip_empty(&k)) {
        struct span piece = cursor_piece(&k);
        size_t step = piece.len < REAL_RECORD_MAX - len ? piece.len : REAL_RECORD_MAX - len;
        memcpy(c->rw->write_scratch + len, piece.ptr, step);
        len += step;
        k.at += step;
    }
    return span_bytes(c->rw->write_scratch, len);
}

static ssize_t send_parts_plain(struct real_conn *c, const struct cursor *k) {
    struct iovec iov[IOV_COUNT];
    size_t n = 0;
    struct cursor it = *k;
    for (; n < IOV_COUNT && cursor_skip_empty(&it); it.part++, it.at = 0) {
        struct span piece = cursor_piece(&it);
        iov[n++] = (struct iovec){.iov_base = (void *)(uintptr_t)piece.ptr, .iov_len = piece.len};
    }
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};
    return sent_plain(c, sendmsg(c->fd, &msg, MSG_NOSIGNAL));
}

/* As much of the queue as the socket takes. False after fail_write(). */
static bool send_queue(struct real_conn *c) {
    size_t sent = 0;
    while (c->queue.len > c->queue_at && sent < FLUSH_MAX) {
        struct span rest = span_bytes(c->queue.ptr + c->queue_at, c->queue.len - c->queue_at);
        ssize_t n = c->ssl != NULL ? send_tls(c, rest) : sent_plain(c, send(c->fd, rest.ptr, rest.len, MSG_NOSIGNAL));
        if (n < 0) {
            return false;
        }
        if (n == 0) {
            break;
        }
        c->queue_at += (size_t)n;
        sent += (size_t)n;
    }
    if (c->queue.len == c->queue_at) {
        buf_free(&c->queue);
        c->queue_at = 0;
    }
    return true;
}

static void send_at_once(struct real_conn *c, struct cursor *k) {
    while (cursor_skip_empty(k)) {
        ssize_t n = c->ssl != NULL ? send_tls(c, gather_record(c, *k)) : send_parts_plain(c, k);
        if (n < 0) {
            return;
        }
        if (n == 0) {
            queue_rest(c, k);
            real_conn_watch_open(c);
            return;
        }
        cursor_advance(k, (size_t)n);
    }
}

/* A full record goes now. What the socket does not take is gathered no longer: it waits. */
static void gather(struct real_conn *c, struct cursor *k) {
    if (!list_linked(&c->corked)) {
        list_push_back(&c->rw->corked, &c->corked);
    }
    queue_rest(c, k);
    if (c->queue.len - c->queue_at >= REAL_RECORD_MAX && send_queue(c) && c->queue.len > c->queue_at) {
        list_remove(&c->rw->corked, &c->corked);
        real_conn_watch_open(c);
    }
}

static void conn_write(struct world_conn *conn, const struct span *parts, size_t count) {
    struct real_conn *c = (struct real_conn *)(void *)conn;
    if (c->state >= CONN_FLUSHING || c->write_failed) {
        return;
    }
    struct cursor k = {.parts = parts, .count = count};
    bool waits = c->queue.len > c->queue_at, corked = list_linked(&c->corked);
    if (c->state != CONN_OPEN || (waits && !corked)) {
        queue_rest(c, &k); /* behind what the socket did not take */
    } else if (corked || c->write_turn == c->rw->turn) {
        gather(c, &k);
    } else {
        c->write_turn = c->rw->turn;
        send_at_once(c, &k);
    }
}

/* What is gathered does not wait for the peer. */
static size_t conn_pending(const struct world_conn *conn) {
    const struct real_conn *c = (const struct real_conn *)(const void *)conn;
    return list_linked(&c->corked) ? 0 : c->queue.len - c->queue_at;
}

/* Everything queued is sent: says so to the peer. */
static void finish_flush(struct real_conn *c) {
    if (c->ssl != NULL) {
        ERR_clear_error();
        int rc = SSL_shutdown(c->ssl);
        if (rc < 0 && SSL_get_error(c->ssl, rc) == SSL_ERROR_WANT_WRITE) {
            real_conn_watch(c, UV_READABLE | UV_WRITABLE);
            return;
        }
        ERR_clear_error();
    }
    real_conn_end(c, WORLD_CLOSE_LOCAL, str_dup("closed"));
}

static void flush(struct real_conn *c, bool waited) {
    if (!send_queue(c)) {
        return;
    }
    if (c->state == CONN_FLUSHING && c->queue.len == c->queue_at) {
        finish_flush(c);
        return;
    }
    real_conn_watch_open(c);
    if (waited && c->queue.len == c->queue_at && c->conn.handler->on_drain != NULL) {
        c->conn.handler->on_drain(c->conn.ctx, &c->conn);
    }
}

void real_conn_flush(struct real_conn *c) {
    flush(c, c->queue.len > c->queue_at);
}

void real_net_uncork(struct real_world *rw) {
    size_t count = rw->corked.count; /* who writes because of this waits for the next turn */
    while (count-- > 0 && !list_empty(&rw->corked)) {
        struct real_conn *c = LIST_ITEM(list_pop_front(&rw->corked), struct real_conn, corked);
        if ((c->state == CONN_OPEN || c->state == CONN_FLUSHING) && !c->write_failed) {
            flush(c, false);
        }
    }
}

static void flush_soon(struct real_soon *soon) {
    struct real_conn *c = LIST_ITEM(soon, struct real_conn, soon);
    if (c->state == CONN_FLUSHING) {
        real_conn_flush(c);
    }
}

static void conn_close(struct world_conn *conn, uint64_t flush_ms) {
    struct real_conn *c = (struct real_conn *)(void *)conn;
    if (c->state >= CONN_FLUSHING) {
        return;
    }
    if (c->state != CONN_OPEN) {
        real_conn_end(c, WORLD_CLOSE_LOCAL, str_dup("closed before it was open"));
        return;
    }
    c->state = CONN_FLUSHING;
    real_conn_timeout_start(c, flush_ms);
    real_soon_cancel(c->rw, &c->soon);
    if (c->queue.len == c->queue_at) {
        real_soon(c->rw, &c->soon, flush_soon);
    } else {
        real_conn_watch_open(c);
    }
}

static void conn_abort(struct world_conn *conn) {
    struct real_conn *c = (struct real_conn *)(void *)conn;
    if (c->state == CONN_ENDED && !list_linked(&c->soon.link)) {
        return; /* from within on_close: it goes when that returns */
    }
    real_conn_drop(c);
}

static const struct world_identity *conn_peer(const struct world_conn *conn) {
    const struct real_conn *c = (const struct real_conn *)(const void *)conn;
    return c->peer != NULL ? &c->peer->id : NULL;
}

static const char *conn_remote(const struct world_conn *conn) {
    const struct real_conn *c = (const struct real_conn *)(const void *)conn;
    return c->remote != NULL ? c->remote : "?";
}

static const char *conn_local(const struct world_conn *conn) {
    struct real_conn *c = (struct real_conn *)(uintptr_t)conn;
    if (c->local == NULL && c->fd >= 0) {
        struct sockaddr_storage addr = {0};
        socklen_t len = sizeof(addr);
        if (getsockname(c->fd, (struct sockaddr *)&addr, &len) == 0) {
            c->local = real_address_text((struct sockaddr *)&addr);
        }
    }
    return c->local != NULL ? c->local : "?";
}

const struct world_conn_ops real_conn_ops = {
    .write = conn_write,
    .pending = conn_pending,
    .pause = real_conn_pause,
    .close = conn_close,
    .abort = conn_abort,
    .peer = conn_peer,
    .remote = conn_remote,
    .local = conn_local,
};
