/* Our world: struct world's connections. */
#include "transport.h"

#include "base/mem.h"
#include "world/real.h"
#include <stdio.h>

static void on_data(void *ctx, struct world_conn *c, struct span bytes) {
    (void)ctx;
    world_conn_write(c, &bytes, 1);
}

static void on_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    (void)ctx;
    (void)c;
    (void)why;
    (void)text;
}

static const struct world_conn_handler handler = {.on_data = on_data, .on_close = on_close};

static void on_accept(void *ctx, struct world_conn *c) {
    world_conn_set_handler(c, &handler, ctx);
}

int serve_dalang(const struct server_files *files, uint16_t port) {
    mem_init_libraries();
    struct error err = ERROR_INIT;
    struct world *w = real_world_new(&err);
    struct world_tls_files tls_files = {.cert = files->cert, .key = files->key, .ca = files->ca};
    struct world_tls *tls = w != NULL ? world_tls_new(w, &tls_files, &err) : NULL;
    struct world_listen opts = {.host = "127.0.0.1", .port = port, .tls = tls};
    if (tls == NULL || world_listen(w, &opts, on_accept, NULL, &err) == NULL) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    puts("ready");
    fflush(stdout);
    real_world_run(w);
    return 0;
}
