/* See floor.h. */
#include "simulator/bench/floor.h"

#include "base/mem.h"

#include <stdlib.h>
#include <sys/stat.h>

enum { START_MS = 20000 };

static bool make_certificates(struct bench_floor *f, const char *dir, struct certs_paths *server, int64_t now_ms,
                              struct error *err) {
    static const char *const dns[] = {"server", NULL};
    struct certs_paths client = {NULL, NULL};
    const struct certs_issue of_server = {.common_name = SPAN("server"), .dns_names = dns, .now_ms = now_ms},
                             of_client = {.common_name = SPAN("client"), .now_ms = now_ms};
    f->ca = certs_dir_open(dir, &(struct certs_ca_opts){.now_ms = now_ms}, err);
    const bool ok = f->ca != NULL && certs_dir_issue(f->ca, dir, &of_server, server, err) &&
                    certs_dir_issue(f->ca, dir, &of_client, &client, err);
    f->files = (struct server_files){client.cert, client.key, ok ? str_printf("%s/ca.pem", dir) : NULL};
    return ok;
}

bool floor_start(struct bench_floor *f, const char *self, const char *dir, int64_t now_ms, struct error *err) {
    struct certs_paths server = {NULL, NULL};
    char *own = str_printf("%s/floor", dir), *log = str_printf("%s/floor.log", dir);
    struct buf port = BUF_INIT;
    *f = (struct bench_floor){0};
    mkdir(own, 0700);
    bool ok = make_certificates(f, own, &server, now_ms, err);
    if (ok) {
        const char *argv[] = {self, "bench", "floor-server", server.cert, server.key, f->files.ca, NULL};
        ok = (process_start(&f->process, argv, log, err) &&
              process_wait_for(&f->process, "port ", START_MS, &port, err) &&
              process_wait_for(&f->process, "ready", START_MS, NULL, err)) ||
             error_prefix(err, "the floor's server");
    }
    if (ok) {
        f->port = (uint16_t)strtoul(port.ptr, NULL, 10);
        f->key = certs_key_new(CERTS_KEY_EC_P256);
        f->client = echo_client_new(&f->files, f->port);
        echo_client_mint(f->client, f->ca, f->key);
    }
    certs_paths_free(&server);
    buf_free(&port);
    mem_free(own);
    mem_free(log);
    return ok;
}

bool floor_grow(struct bench_floor *f, size_t count, struct error *err) {
    return echo_client_count(f->client) >= count || echo_client_grow(f->client, count) ||
           error_set(err, "bench", "the floor's server does not take %zu connections", count);
}

bool floor_echo(struct bench_floor *f, size_t active, uint64_t messages, struct error *err) {
    return echo_client_echo(f->client, active, messages) ||
           error_set(err, "bench", "the floor's server does not answer");
}

void floor_drop(struct bench_floor *f) {
    echo_client_free(f->client);
    f->client = echo_client_new(&f->files, f->port);
    echo_client_mint(f->client, f->ca, f->key);
}

void floor_end(struct bench_floor *f) {
    if (f->client != NULL) {
        echo_client_free(f->client);
    }
    process_end(&f->process);
    EVP_PKEY_free(f->key);
    certs_ca_free(f->ca);
    mem_free((void *)(uintptr_t)f->files.cert);
    mem_free((void *)(uintptr_t)f->files.key);
    mem_free((void *)(uintptr_t)f->files.ca);
    *f = (struct bench_floor){0};
}
