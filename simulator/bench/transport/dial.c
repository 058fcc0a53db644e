/* Clients by the thousand in one process: bare OpenSSL, and our world. Each connection has a certificate of its own. */
#include "transport.h"

#include "base/mem.h"
#include "world/real.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { IN_PROGRESS_MAX = 32 };

static struct certs_ca *open_ca(const struct dialling *d) {
    struct error err = ERROR_INIT;
    struct certs_ca *ca = certs_dir_open(d->dir, &(struct certs_ca_opts){.now_ms = (int64_t)time(NULL) * 1000}, &err);
    if (ca == NULL) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    return ca;
}

static void say(const char *word) {
    puts(word);
    fflush(stdout);
    int c = getchar(); /* until we are told to go on */
    (void)c;
}

int dial_openssl(const struct dialling *d) {
    struct echo_client *c = echo_client_new(&d->files, d->port);
    echo_client_mint(c, open_ca(d), certs_key_new(CERTS_KEY_EC_P256));
    bool ok = echo_client_grow(c, 10);
    say("warm");
    ok = ok && echo_client_grow(c, d->count + 10);
    say(ok ? "ready" : "failed");
    return 0;
}

struct fleet {
    const struct dialling *d;
    struct world *w;
    struct world_tls *tls;
    struct certs_ca *ca;
    EVP_PKEY *key;
    size_t started, settled, ended;
};

static void on_open(void *ctx, struct world_conn *c) {
    static const char message[MESSAGE_LEN];
    (void)ctx;
    struct span bytes = {message, sizeof(message)};
    world_conn_write(c, &bytes, 1);
}

static void on_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct fleet *f = ctx;
    (void)c;
    f->settled += bytes.len == MESSAGE_LEN; /* comes in one piece on this machine's own network */
}

static void on_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    struct fleet *f = ctx;
    (void)c;
    (void)why;
    fprintf(stderr, "%s\n", text);
    f->ended++;
}

static const struct world_conn_handler handler = {.on_open = on_open, .on_data = on_data, .on_close = on_close};

static void dial_one(struct fleet *f) {
    char name[40];
    snprintf(name, sizeof(name), "agent-%06zu.example.com", f->started++);
    struct real_credential *credential = certs_mint(f->ca, name, f->key, world_wall_ms(f->w), NULL);
    struct world_connect to = {
        .host = "127.0.0.1", .server_name = "server", .port = f->d->port, .tls = f->tls, .credential = credential};
    world_connect(f->w, &to, &handler, f);
    real_credential_free(credential);
}

static bool fleet_grow(struct fleet *f, size_t count) {
    while (f->settled < count && f->ended == 0) {
        while (f->started < count && f->started - f->settled < IN_PROGRESS_MAX) {
            dial_one(f);
        }
        real_world_turn(f->w, true);
    }
    return f->ended == 0;
}

int dial_dalang(const struct dialling *d) {
    mem_init_libraries();
    struct world_tls_files files = {.ca = d->files.ca};
    struct fleet f = {.d = d, .w = real_world_new(NULL), .ca = open_ca(d), .key = certs_key_new(CERTS_KEY_EC_P256)};
    f.tls = world_tls_new(f.w, &files, NULL);
    bool ok = fleet_grow(&f, 10);
    say("warm");
    ok = ok && fleet_grow(&f, d->count + 10);
    say(ok ? "ready" : "failed");
    return 0;
}
