/* The client of the transport bench: many TLS connections with a certificate from one process. */
#include "transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_PROGRESS_MAX = 32, PATIENCE_MS = 20000, LOST_MAX = 1000 };

struct line {
    SSL *ssl;
    int fd;
    bool open, settled;
    size_t got;    /* of the current echo */
    uint64_t left; /* messages still to send */
};

struct echo_client {
    SSL_CTX *ctx;
    uint16_t port;
    int loop;
    struct line **lines;
    size_t count, lost;
    struct certs_ca *ca; /* mints a certificate for each connection; NULL: all show that of the files */
    EVP_PKEY *key;
    uint64_t echoed;
    bool failed;
};

static void fail(struct echo_client *c, const char *what) {
    if (!c->failed) {
        fprintf(stderr, "client of port %u, after %zu connections and %llu echoes: %s\n", c->port, c->count,
                (unsigned long long)c->echoed, what);
    }
    c->failed = true;
}

void echo_client_mint(struct echo_client *c, struct certs_ca *ca, EVP_PKEY *key) {
    c->ca = ca;
    c->key = key;
}

/* A certificate of its own for this connection. */
static void use_own_certificate(struct echo_client *c, SSL *ssl) {
    char name[40];
    snprintf(name, sizeof(name), "agent-%06zu.example.com", c->count);
    struct real_credential *credential = certs_mint(c->ca, name, c->key, (int64_t)time(NULL) * 1000, NULL);
    X509 *cert = real_credential_cert(credential);
    if (SSL_use_certificate(ssl, cert) != 1 || SSL_use_PrivateKey(ssl, c->key) != 1) {
        fail(c, "a certificate cannot be used");
    }
    X509_free(cert);
    real_credential_free(credential);
}

struct echo_client *echo_client_new(const struct server_files *files, uint16_t port) {
    struct echo_client *c = calloc(1, sizeof(*c));
    c->port = port;
    c->loop = epoll_create1(0);
    c->ctx = SSL_CTX_new(TLS_client_method());
    /* Only its own certificate is shown, and no chain built for it: as ours do. */
    SSL_CTX_set_mode(c->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(c->ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_use_certificate_file(c->ctx, files->cert, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(c->ctx, files->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_load_verify_locations(c->ctx, files->ca, NULL) != 1) {
        fputs("certificates cannot be used\n", stderr);
        exit(1);
    }
    return c;
}

static void dial(struct echo_client *c, struct line *l) {
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(c->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (l->fd < 0 || (connect(l->fd, (struct sockaddr *)&in, sizeof(in)) != 0 && errno != EINPROGRESS)) {
        fail(c, strerror(errno));
    }
    l->ssl = SSL_new(c->ctx);
    SSL_set_fd(l->ssl, l->fd);
    SSL_set_connect_state(l->ssl);
    if (c->ca != NULL) {
        use_own_certificate(c, l->ssl);
    }
    l->open = false;
    l->left = 1;
    epoll_ctl(c->loop, EPOLL_CTL_ADD, l->fd, &(struct epoll_event){.events = EPOLLIN | EPOLLOUT, .data.ptr = l});
}

static void open_line(struct echo_client *c) {
    struct line *l = calloc(1, sizeof(*l));
    c->lines = realloc(c->lines, (c->count + 1) * sizeof(*c->lines));
    c->lines[c->count++] = l;
    dial(c, l);
}

/* A server that drops a new connection is counted, and dialled again. */
static void again(struct echo_client *c, struct line *l) {
    if (l->settled || ++c->lost > LOST_MAX) {
        fail(c, "the server ended a connection");
        return;
    }
    close(l->fd);
    SSL_free(l->ssl);
    dial(c, l);
}

static void send_message(struct echo_client *c, struct line *l) {
    static const char message[MESSAGE_LEN];
    l->got = 0;
    l->left--;
    if (SSL_write(l->ssl, message, sizeof(message)) != (int)sizeof(message)) {
        fail(c, "a message could not be written at once");
    }
}

static void step(struct echo_client *c, struct line *l) {
    if (!l->open) {
        int rc = SSL_do_handshake(l->ssl);
        if (rc != 1) {
            int e = SSL_get_error(l->ssl, rc);
            if (e == SSL_ERROR_WANT_READ) {
                epoll_ctl(c->loop, EPOLL_CTL_MOD, l->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = l});
            }
            if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) {
                again(c, l);
            }
            return;
        }
        l->open = true;
        send_message(c, l);
        return;
    }
    char bytes[4 * MESSAGE_LEN];
    int n = SSL_read(l->ssl, bytes, sizeof(bytes));
    if (n <= 0) {
        if (SSL_get_error(l->ssl, n) != SSL_ERROR_WANT_READ) {
            again(c, l);
        }
        return;
    }
    l->got += (size_t)n;
    if (l->got >= MESSAGE_LEN) {
        c->echoed++;
        l->settled = true;
        if (l->left > 0) {
            send_message(c, l);
        }
    }
}

static bool turn(struct echo_client *c) {
    struct epoll_event events[256];
    int count = epoll_wait(c->loop, events, 256, PATIENCE_MS);
    for (int i = 0; i < count; i++) {
        step(c, events[i].data.ptr);
    }
    if (count <= 0) {
        fail(c, "the server says nothing any more");
    }
    return !c->failed;
}

bool echo_client_grow(struct echo_client *c, size_t count) {
    size_t before = c->count;
    c->echoed = 0;
    while (c->echoed < count - before) {
        while (c->count < count && c->count - before - c->echoed < IN_PROGRESS_MAX) {
            open_line(c);
        }
        if (!turn(c)) {
            return false;
        }
    }
    return true;
}

bool echo_client_echo(struct echo_client *c, size_t active, uint64_t messages) {
    const uint64_t each = active != 0 ? messages / active : 0;
    c->echoed = 0;
    for (size_t i = 0; i < active; i++) {
        c->lines[i]->left = each;
        send_message(c, c->lines[i]);
    }
    while (c->echoed < each * active) {
        if (!turn(c)) {
            return false;
        }
    }
    return true;
}

size_t echo_client_count(const struct echo_client *c) {
    return c->count;
}

size_t echo_client_lost(const struct echo_client *c) {
    return c->lost;
}

void echo_client_free(struct echo_client *c) {
    for (size_t i = 0; i < c->count; i++) {
        close(c->lines[i]->fd);
        SSL_free(c->lines[i]->ssl);
        free(c->lines[i]);
    }
    free(c->lines);
    close(c->loop);
    SSL_CTX_free(c->ctx);
    free(c);
}
