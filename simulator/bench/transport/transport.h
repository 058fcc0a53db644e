/* The transport bench: what a TLS connection, a handshake and an echoed message cost a server made of bare OpenSSL (the
 * floor), of libwebsockets' raw-skt role, and of our own world. */
#ifndef DALANG_BENCH_TRANSPORT_H
#define DALANG_BENCH_TRANSPORT_H

#include "world/certs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MESSAGE_LEN = 1024 };

struct server_files {
    const char *cert, *key, *ca;
};

/* Each serves echo on 127.0.0.1:port until it is killed; clients must show a certificate of the CA. Prints "ready".
 * serve_openssl() with port 0 takes a free one and prints "port N" before. */
int serve_openssl(const struct server_files *files, uint16_t port);
int serve_lws(const struct server_files *files, uint16_t port);
int serve_dalang(const struct server_files *files, uint16_t port);

/* ---- the client: bare OpenSSL on epoll, the same for every server */
struct echo_client;
struct echo_client *echo_client_new(const struct server_files *files, uint16_t port);
void echo_client_mint(struct echo_client *c, struct certs_ca *ca,
                      EVP_PKEY *key); /* from now on: a certificate per connection */
/* Opens connections until there are `count`; each has echoed one message when this returns. False: gave up. */
bool echo_client_grow(struct echo_client *c, size_t count);
/* Each of the first `active` connections sends a message, waits for its echo, and again: `messages` in all. */
bool echo_client_echo(struct echo_client *c, size_t active, uint64_t messages);
size_t echo_client_count(const struct echo_client *c);
size_t echo_client_lost(const struct echo_client *c); /* new connections the server dropped; they were dialled again */
void echo_client_free(struct echo_client *c);

/* ---- the other side's cost: a process that holds `count` connections to an echo server, each with a certificate of
 * its own minted with the CA in `dir`. Prints "warm" at the first ten and "ready" at all, then waits to be killed. */
struct dialling {
    struct server_files files;
    const char *dir;
    uint16_t port;
    size_t count;
};
int dial_openssl(const struct dialling *d);
int dial_dalang(const struct dialling *d);

#endif
