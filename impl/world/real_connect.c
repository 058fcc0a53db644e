/* Connecting: name look-up off the loop, each address in turn, the proxy's CONNECT, then TLS. */
#include "world/real_conn_io.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum {
    TIMEOUT_MS_DEFAULT = 30 * 1000,
    PROXY_HEAD_MAX = 8 * 1024,
};

/* What is known of a connection only until it is open. */
struct real_dial {
    struct real_conn *conn; /* NULL: given up while the look-up still runs */
    uv_getaddrinfo_t lookup;
    bool looking_up;
    struct addrinfo *addresses, *next;
    struct real_tls *tls;
    struct real_credential *credential;
    char *host, *server_name, *source;
    uint16_t port;
    char *proxy_host; /* NULL: direct */
    uint16_t proxy_port;
    size_t proxy_sent;
    struct buf proxy_head; /* of its answer */
    int last_errno;
};

static void dial_release(struct real_dial *d) {
    if (d->addresses != NULL) {
        uv_freeaddrinfo(d->addresses);
    }
    real_tls_unref(d->tls);
    real_credential_free(d->credential);
    mem_free(d->host);
    mem_free(d->server_name);
    mem_free(d->source);
    mem_free(d->proxy_host);
    buf_free(&d->proxy_head);
    mem_free(d);
}

void real_dial_free(struct real_dial *d) {
    d->conn = NULL;
    if (d->looking_up) {
        uv_cancel((uv_req_t *)&d->lookup); /* its callback releases */
        return;
    }
    dial_release(d);
}

struct real_tls *real_dial_tls(const struct real_dial *d) {
    return d->tls;
}

static const char *target_host(const struct real_dial *d) {
    return d->proxy_host != NULL ? d->proxy_host : d->host;
}

static uint16_t target_port(const struct real_dial *d) {
    return d->proxy_host != NULL ? d->proxy_port : d->port;
}

/* ---- TCP */

static bool bind_source(int fd, int family, const char *source) {
    int one = 1;
    /* The port is chosen at connect(): thousands of connections from one address may share ports that way. */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    if (family == AF_INET) {
        struct sockaddr_in in = {.sin_family = AF_INET};
        if (inet_pton(AF_INET, source, &in.sin_addr) == 1) {
            return bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0;
        }
    } else {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        if (inet_pton(AF_INET6, source, &in6.sin6_addr) == 1) {
            return bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;
        }
    }
    errno = EAFNOSUPPORT;
    return false;
}

/* A socket on its way to this address, or -1 and errno. */
static int start_tcp(const struct addrinfo *ai, const char *source) {
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if ((source == NULL || bind_source(fd, ai->ai_family, source)) &&
        (connect(fd, ai->ai_addr, ai->ai_addrlen) == 0 || errno == EINPROGRESS)) {
        return fd;
    }
    int e = errno;
    close(fd);
    errno = e;
    return -1;
}

/* The poll handle is bound to its descriptor's number: a later attempt's socket takes that number over. */
static bool use_socket(struct real_conn *c, int fd) {
    if (!c->poll_made) {
        return real_conn_attach(c, fd);
    }
    real_conn_watch(c, 0);
    bool ok = dup3(fd, c->fd, O_CLOEXEC) >= 0;
    close(fd);
    return ok;
}

static void try_next_address(struct real_conn *c) {
    struct real_dial *d = c->dial;
    while (d->next != NULL) {
        const struct addrinfo *ai = d->next;
        d->next = ai->ai_next;
        int fd = start_tcp(ai, d->source);
        if (fd < 0) {
            d->last_errno = errno;
            continue;
        }
        if (!use_socket(c, fd)) {
            d->last_errno = EMFILE;
            break;
        }
        mem_free(c->remote);
        c->remote = real_address_text(ai->ai_addr);
        c->state = CONN_CONNECTING;
        real_conn_watch(c, UV_WRITABLE);
        return;
    }
    real_conn_end(c, real_close_reason(d->last_errno),
                  str_printf("%s port %u: %s", target_host(d), target_port(d), strerror(d->last_errno)));
}

/* ---- after TCP */

static void start_tls(struct real_conn *c) {
    struct real_dial *d = c->dial;
    if (d->tls == NULL) {
        real_conn_opened(c);
        return;
    }
    c->ssl = real_tls_connect(d->tls, c->fd, d->server_name, d->credential, &c->why);
    if (c->ssl == NULL) {
        real_conn_end(c, WORLD_CLOSE_TLS,
                      str_printf("\"%s\" cannot be a server's name, or the certificate is unusable", d->server_name));
        return;
    }
    c->state = CONN_HANDSHAKE;
    real_conn_handshake(c);
}

static void send_proxy_request(struct real_conn *c) {
    struct real_dial *d = c->dial;
    bool v6 = strchr(d->host, ':') != NULL;
    char *name = str_printf("%s%s%s:%u", v6 ? "[" : "", d->host, v6 ? "]" : "", d->port);
    char *request = str_printf("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", name, name);
    size_t len = strlen(request);
    ssize_t n = send(c->fd, request + d->proxy_sent, len - d->proxy_sent, MSG_NOSIGNAL);
    int e = errno;
    d->proxy_sent += n > 0 ? (size_t)n : 0;
    bool all = d->proxy_sent == len;
    mem_free(request);
    mem_free(name);
    if (n < 0 && e != EAGAIN && e != EINTR) {
        real_conn_end(c, WORLD_CLOSE_PROXY, str_printf("proxy %s: %s", d->proxy_host, strerror(e)));
        return;
    }
    c->state = CONN_PROXY;
    real_conn_watch(c, all ? UV_READABLE : UV_WRITABLE);
}

static void judge_proxy_answer(struct real_conn *c) {
    struct real_dial *d = c->dial;
    struct span head = buf_span(&d->proxy_head), line = {NULL, 0};
    span_split(&head, '\r', &line);
    if (line.len < 12 || !span_starts_with(line, "HTTP/1.") || !span_eq_cstr(span_sub(line, 8, 4), " 200")) {
        real_conn_end(
            c, WORLD_CLOSE_PROXY,
            str_printf("proxy %s refused: %.*s", d->proxy_host, (int)(line.len < 200 ? line.len : 200), line.ptr));
        return;
    }
    start_tls(c);
}

/* Takes the head and not a byte more: what follows belongs to the target. */
static void read_proxy_answer(struct real_conn *c) {
    struct real_dial *d = c->dial;
    struct buf *head = &d->proxy_head;
    size_t had = head->len;
    buf_reserve(head, PROXY_HEAD_MAX);
    ssize_t n = recv(c->fd, head->ptr + had, PROXY_HEAD_MAX, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        real_conn_end(c, WORLD_CLOSE_PROXY, str_printf("proxy %s ended the connection", d->proxy_host));
        return;
    }
    const char *end = memmem(head->ptr, had + (size_t)n, "\r\n\r\n", 4);
    size_t len = end != NULL ? (size_t)(end - head->ptr) + 4 : had + (size_t)n;
    if (len > PROXY_HEAD_MAX) {
        real_conn_end(c, WORLD_CLOSE_PROXY, str_printf("proxy %s: too long an answer", d->proxy_host));
        return;
    }
    n = recv(c->fd, head->ptr + had, len - had, 0);
    head->len = n > 0 ? had + (size_t)n : had;
    if (end != NULL && head->len == len) {
        judge_proxy_answer(c);
    }
}

void real_connect_event(struct real_conn *c) {
    struct real_dial *d = c->dial;
    if (c->state == CONN_PROXY) {
        if (c->events == UV_WRITABLE) {
            send_proxy_request(c);
        } else {
            read_proxy_answer(c);
        }
        return;
    }
    int e = 0;
    socklen_t len = sizeof(e);
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &len);
    if (e != 0) {
        d->last_errno = e;
        try_next_address(c);
    } else if (d->proxy_host != NULL) {
        send_proxy_request(c);
    } else {
        start_tls(c);
    }
}

/* ---- beginning */

static void on_looked_up(uv_getaddrinfo_t *req, int status, struct addrinfo *found) {
    struct real_dial *d = req->data;
    d->looking_up = false;
    d->addresses = found;
    if (d->conn == NULL) {
        dial_release(d);
        return;
    }
    struct real_conn *c = d->conn;
    if (c->state != CONN_RESOLVING) {
        return; /* it has ended meanwhile; the dial goes with it */
    }
    if (status != 0) {
        real_conn_end(c, WORLD_CLOSE_UNREACHABLE, str_printf("%s: %s", target_host(d), uv_strerror(status)));
        return;
    }
    d->next = found;
    try_next_address(c);
}

static void start_lookup(struct real_conn *c) {
    struct real_dial *d = c->dial;
    char service[8];
    snprintf(service, sizeof(service), "%u", target_port(d));
    struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    d->lookup.data = d;
    d->looking_up = true;
    int rc = uv_getaddrinfo(&c->rw->loop, &d->lookup, on_looked_up, target_host(d), service, &hints);
    if (rc != 0) {
        d->looking_up = false;
        real_conn_end(c, WORLD_CLOSE_UNREACHABLE, str_printf("%s: %s", target_host(d), uv_strerror(rc)));
    }
}

/* An address needs no look-up, and no thread. */
static bool start_numeric(struct real_conn *c) {
    struct real_dial *d = c->dial;
    struct sockaddr_storage addr = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&addr;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&addr;
    struct addrinfo one = {.ai_addr = (struct sockaddr *)&addr};
    if (inet_pton(AF_INET, target_host(d), &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(target_port(d));
        one.ai_addrlen = sizeof(*in);
    } else if (inet_pton(AF_INET6, target_host(d), &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(target_port(d));
        one.ai_addrlen = sizeof(*in6);
    } else {
        return false;
    }
    one.ai_family = addr.ss_family;
    d->next = &one;
    try_next_address(c);
    d->next = NULL;
    return true;
}

/* "http://host:port" or "host:port". */
static bool parse_proxy(struct real_dial *d, const char *proxy) {
    struct span s = span_of(proxy);
    if (span_starts_with(s, "http://")) {
        s = span_sub(s, 7, s.len);
    }
    while (span_ends_with(s, "/")) {
        s.len--;
    }
    size_t colon = s.len;
    while (colon > 0 && s.ptr[colon - 1] != ':' && s.ptr[colon - 1] != ']') {
        colon--;
    }
    bool has_port = colon > 0 && s.ptr[colon - 1] == ':';
    struct span host = has_port ? span_sub(s, 0, colon - 1) : s;
    uint64_t port = 3128;
    if (has_port && (!span_to_u64(span_sub(s, colon, s.len), &port) || port == 0 || port > UINT16_MAX)) {
        return false;
    }
    if (span_starts_with(host, "[") && span_ends_with(host, "]")) {
        host = span_sub(host, 1, host.len - 2);
    }
    if (host.len == 0 || span_find(host, '/') >= 0 || span_find(host, '@') >= 0) {
        return false;
    }
    d->proxy_host = span_dup(host);
    d->proxy_port = (uint16_t)port;
    return true;
}

/* A name goes into a proxy's request line: nothing but what stands in names and addresses. */
static bool host_is_clean(const char *host) {
    for (const char *p = host; *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7f) {
            return false;
        }
    }
    return *host != '\0';
}

struct world_conn *real_connect(void *impl, struct world *w, const struct world_connect *opts,
                                const struct world_conn_handler *handler, void *ctx) {
    struct real_world *rw = impl;
    (void)w;
    struct real_conn *c = real_conn_new(rw);
    world_conn_set_handler(&c->conn, handler, ctx);
    c->is_client = true;
    c->state = CONN_RESOLVING;
    list_push_back(&rw->conns, &c->link);
    struct real_dial *d = mem_zalloc(sizeof(*d));
    c->dial = d;
    d->conn = c;
    d->host = str_dup(opts->host);
    d->port = opts->port;
    d->server_name = str_dup(opts->server_name != NULL ? opts->server_name : opts->host);
    d->source = str_dup(opts->source);
    d->tls = real_tls_ref(opts->tls);
    if (opts->credential != NULL) {
        d->credential = real_credential_ref((struct real_credential *)(uintptr_t)opts->credential);
    }
    real_conn_timeout_start(c, opts->timeout_ms != 0 ? opts->timeout_ms : TIMEOUT_MS_DEFAULT);
    if (!host_is_clean(opts->host)) {
        real_conn_end(c, WORLD_CLOSE_UNREACHABLE, str_dup("that is no host name"));
    } else if (opts->proxy != NULL && !parse_proxy(d, opts->proxy)) {
        real_conn_end(c, WORLD_CLOSE_PROXY, str_printf("proxy \"%s\": not http://HOST:PORT", opts->proxy));
    } else if (!start_numeric(c)) {
        start_lookup(c);
    }
    return &c->conn;
}
