/* Listening: accepts as many as may shake hands at once; the rest waits in the system's backlog. */
#include "world/real_conn_io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    HANDSHAKES_DEFAULT = 64,
    HANDSHAKE_MS_DEFAULT = 10 * 1000,
    ACCEPTS_PER_TURN = 64,
    STARVED_MS = 100, /* no descriptor or memory for another connection: looks again after that */
};

struct real_listener {
    struct world_listener listener; /* first */
    struct list_link link;
    struct real_world *rw;
    uv_poll_t poll;
    int fd;
    uint16_t port;
    struct real_tls *tls;
    uint32_t handshakes_max;
    uint64_t handshake_timeout_ms;
    void (*on_accept)(void *ctx, struct world_conn *c);
    void (*on_refused)(void *ctx, const char *remote, enum world_close_reason why, const char *text);
    void *ctx;
    struct list pending; /* struct real_conn in their handshake */
    struct timer starved;
    bool watching, closed;
};

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(struct real_listener *l) {
    bool want = l->pending.count < l->handshakes_max && l->starved.place == 0;
    if (l->closed || want == l->watching) {
        return;
    }
    l->watching = want;
    if (want) {
        uv_poll_start(&l->poll, UV_READABLE, on_ready);
    } else {
        uv_poll_stop(&l->poll);
    }
}

static void on_starved_over(void *ctx) {
    watch(ctx);
}

/* False when the handshake could not even begin. */
static bool begin(struct real_listener *l, struct real_conn *c, int fd) {
    if (!real_conn_attach(c, fd)) {
        close(fd);
        return false;
    }
    if (l->tls == NULL) {
        return true;
    }
    c->ssl = real_tls_accept(l->tls, fd, &c->why);
    return c->ssl != NULL;
}

static void accepted(struct real_listener *l, int fd, const struct sockaddr *addr) {
    struct real_conn *c = real_conn_new(l->rw);
    c->remote = real_address_text(addr);
    c->listener = l;
    c->state = CONN_HANDSHAKE;
    list_push_back(&l->pending, &c->link);
    l->rw->handshakes++;
    if (!begin(l, c, fd)) {
        real_conn_drop(c);
        return;
    }
    if (c->ssl == NULL) {
        real_conn_opened(c);
        return;
    }
    real_conn_timeout_start(c, l->handshake_timeout_ms);
    real_conn_handshake(c); /* the client's hello is mostly there already */
}

static void on_ready(uv_poll_t *poll, int status, int events) {
    struct real_listener *l = poll->data;
    (void)status; /* accept4() says what is wrong, if anything */
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN && !l->closed && l->pending.count < l->handshakes_max &&
                    l->rw->handshake_steps < REAL_HANDSHAKES_PER_TURN;
         i++) {
        struct sockaddr_storage addr = {0};
        socklen_t len = sizeof(addr);
        int fd = accept4(l->fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accepted(l, fd, (struct sockaddr *)&addr);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            world_timer_start(&l->rw->world, &l->starved, STARVED_MS, on_starved_over, l);
            break;
        }
        if (errno == EAGAIN) {
            break;
        }
        /* Else one connection ended before we took it: on to the next. */
    }
    watch(l);
}

struct real_tls *real_listener_tls(const struct real_listener *l) {
    return l->tls;
}

void real_listener_left(struct real_listener *l, struct real_conn *c) {
    list_remove(&l->pending, &c->link);
    l->rw->handshakes--;
    watch(l);
}

void real_listener_opened(struct real_listener *l, struct real_conn *c) {
    l->on_accept(l->ctx, &c->conn);
}

void real_listener_refused(struct real_listener *l, struct real_conn *c) {
    if (l->on_refused != NULL && !l->closed) {
        l->on_refused(l->ctx, c->remote, (enum world_close_reason)c->end_reason, c->end_text);
    }
}

/* ---- making and closing */

static bool fail_listen(struct error *err, const struct world_listen *opts, int e) {
    const char *host = opts->host != NULL ? opts->host : "0.0.0.0";
    const char *kind = e == EADDRINUSE             ? "world/address-in-use"
                       : e == EACCES || e == EPERM ? "world/permission"
                                                   : "world/address";
    return error_set(err, kind, "cannot listen on %s port %u: %s", host, opts->port,
                     e == EADDRINUSE ? "the address is in use" : strerror(e));
}

static int bound_socket(const struct addrinfo *ai) {
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* accepted sockets inherit it */
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

static int open_socket(const struct world_listen *opts, struct error *err) {
    char service[8];
    snprintf(service, sizeof(service), "%u", opts->port);
    struct addrinfo hints = {
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(opts->host != NULL ? opts->host : "0.0.0.0", service, &hints, &list);
    if (rc != 0) {
        error_set(err, "world/address", "cannot listen on %s: %s", opts->host, gai_strerror(rc));
        return -1;
    }
    int fd = bound_socket(list);
    if (fd < 0) {
        fail_listen(err, opts, errno);
    }
    freeaddrinfo(list);
    return fd;
}

static void on_poll_closed(uv_handle_t *handle) {
    mem_free(handle->data);
}

static void listener_close(struct world_listener *listener) {
    struct real_listener *l = (struct real_listener *)(void *)listener;
    l->closed = true;
    list_remove(&l->rw->listeners, &l->link);
    while (!list_empty(&l->pending)) {
        real_conn_drop(LIST_ITEM(list_first(&l->pending), struct real_conn, link));
    }
    world_timer_stop(&l->rw->world, &l->starved);
    real_tls_unref(l->tls);
    uv_close((uv_handle_t *)&l->poll, on_poll_closed);
    close(l->fd);
}

static uint16_t listener_port(const struct world_listener *listener) {
    return ((const struct real_listener *)(const void *)listener)->port;
}

static const struct world_listener_ops listener_ops = {.port = listener_port, .close = listener_close};

void real_listeners_end(struct real_world *rw) {
    while (!list_empty(&rw->listeners)) {
        listener_close(&LIST_ITEM(list_first(&rw->listeners), struct real_listener, link)->listener);
    }
}

struct world_listener *real_listen(void *impl, struct world *w, const struct world_listen *opts,
                                   void (*on_accept)(void *ctx, struct world_conn *c), void *ctx, struct error *err) {
    struct real_world *rw = impl;
    (void)w;
    if (opts->tls != NULL && world_tls_self(opts->tls) == NULL) {
        error_set(err, "world/tls", "cannot listen with TLS on port %u: no certificate was given", opts->port);
        return NULL;
    }
    int fd = open_socket(opts, err);
    if (fd < 0) {
        return NULL;
    }
    struct real_listener *l = mem_zalloc(sizeof(*l));
    l->listener.ops = &listener_ops;
    l->rw = rw;
    l->fd = fd;
    l->on_accept = on_accept;
    l->on_refused = opts->on_refused;
    l->ctx = ctx;
    l->handshakes_max = opts->handshakes_max != 0 ? opts->handshakes_max : HANDSHAKES_DEFAULT;
    l->handshake_timeout_ms = opts->handshake_timeout_ms != 0 ? opts->handshake_timeout_ms : HANDSHAKE_MS_DEFAULT;
    list_init(&l->pending);
    l->poll.data = l;
    int rc = uv_poll_init(&rw->loop, &l->poll, fd);
    if (rc != 0) {
        error_set(err, "world/io", "cannot watch a socket: %s", uv_strerror(rc));
        close(fd);
        mem_free(l);
        return NULL;
    }
    l->tls = real_tls_ref(opts->tls);
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof(addr);
    getsockname(fd, (struct sockaddr *)&addr, &len);
    l->port = real_address_port(&addr);
    list_push_back(&rw->listeners, &l->link);
    watch(l);
    return &l->listener;
}
