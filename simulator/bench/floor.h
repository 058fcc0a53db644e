/* The floor every figure stands beside: an echo server of bare OpenSSL and epoll in a process of its own, and a client
 * for it in this one (simulator/bench/transport). */
#ifndef DALANG_BENCH_FLOOR_H
#define DALANG_BENCH_FLOOR_H

#include "base/error.h"
#include "simulator/bench/process.h"
#include "simulator/bench/transport/transport.h"

struct bench_floor {
    struct process process;
    struct echo_client *client;
    struct certs_ca *ca;
    EVP_PKEY *key;
    struct server_files files; /* of clients */
    uint16_t port;
};

/* self: answers `SELF bench floor-server CERT KEY CA` with serve_openssl(). Its CA is made in DIR/floor. */
bool floor_start(struct bench_floor *f, const char *self, const char *dir, int64_t now_ms, struct error *err);
/* Error kind "bench". */
bool floor_grow(struct bench_floor *f, size_t count, struct error *err); /* idle connections, each with a certificate */
bool floor_echo(struct bench_floor *f, size_t active, uint64_t messages, struct error *err);
void floor_drop(struct bench_floor *f); /* all connections */
void floor_end(struct bench_floor *f);

#endif
