/* The floor: OpenSSL and epoll, nothing else. Memory settings are the ones our own transport uses. */
#include "transport.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct peer {
    SSL *ssl;
    int fd;
    bool open;
};

static SSL_CTX *make_context(const struct server_files *files) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (SSL_CTX_use_certificate_file(ctx, files->cert, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_load_verify_locations(ctx, files->ca, NULL) != 1) {
        fputs("certificates cannot be used\n", stderr);
        exit(1);
    }
    return ctx;
}

static int listen_on(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&in, sizeof(in)) != 0 || listen(fd, 4096) != 0) {
        perror("listen");
        exit(1);
    }
    if (port == 0) {
        socklen_t len = sizeof(in);
        getsockname(fd, (struct sockaddr *)&in, &len);
        printf("port %u\n", ntohs(in.sin_port));
    }
    return fd;
}

static void drop(struct peer *p) {
    close(p->fd);
    SSL_free(p->ssl);
    free(p);
}

static void serve(struct peer *p) {
    char bytes[16384];
    if (!p->open) {
        int rc = SSL_accept(p->ssl);
        if (rc != 1) {
            int e = SSL_get_error(p->ssl, rc);
            if (e != SSL_ERROR_WANT_READ) {
                drop(p);
            }
            return;
        }
        p->open = true;
    }
    int n = SSL_read(p->ssl, bytes, sizeof(bytes));
    if (n > 0) {
        SSL_write(p->ssl, bytes, n);
    } else if (SSL_get_error(p->ssl, n) != SSL_ERROR_WANT_READ) {
        drop(p);
    }
}

int serve_openssl(const struct server_files *files, uint16_t port) {
    SSL_CTX *ctx = make_context(files);
    int listener = listen_on(port), loop = epoll_create1(0);
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait(loop, events, 256, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr != NULL) {
                serve(events[i].data.ptr);
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (fd < 0) {
                continue;
            }
            struct peer *p = calloc(1, sizeof(*p));
            p->fd = fd;
            p->ssl = SSL_new(ctx);
            SSL_set_fd(p->ssl, fd);
            epoll_ctl(loop, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = p});
        }
    }
}
