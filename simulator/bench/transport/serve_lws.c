/* libwebsockets' raw-skt role on its libuv loop: every write waits for the writeable callback. */
#include "transport.h"

#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct session {
    unsigned char *bytes; /* only while something waits to be written: idle sessions are what is measured */
    size_t len;
    bool seen;
};

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len) {
    struct session *s = user;
    switch (reason) {
    case LWS_CALLBACK_OPENSSL_PERFORM_CLIENT_CERT_VERIFICATION:
        return len == 0; /* the verdict so far: without this any certificate is let in */
    case LWS_CALLBACK_RAW_RX:
        if (!s->seen) { /* the handshake's own time-out goes on ticking otherwise */
            lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
            s->seen = true;
        }
        s->bytes = realloc(s->bytes, LWS_PRE + s->len + len);
        memcpy(s->bytes + LWS_PRE + s->len, in, len);
        s->len += len;
        lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_RAW_WRITEABLE:
        if (s->len > 0) {
            if (lws_write(wsi, s->bytes + LWS_PRE, s->len, LWS_WRITE_RAW) < 0) {
                return -1;
            }
            free(s->bytes);
            s->bytes = NULL;
            s->len = 0;
        }
        return 0;
    case LWS_CALLBACK_RAW_CLOSE:
        free(s->bytes);
        return 0;
    default:
        return 0;
    }
}

int serve_lws(const struct server_files *files, uint16_t port) {
    static const struct lws_protocols protocols[] = {
        {"echo", on_event, sizeof(struct session), 0, 0, NULL, 0},
        {NULL, NULL, 0, 0, 0, NULL, 0},
    };
    lws_set_log_level(LLL_ERR, NULL);
    struct lws_context_creation_info info = {
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_LIBUV,
        .fd_limit_per_thread = 20000,
    };
    struct lws_context *ctx = lws_create_context(&info);
    if (ctx == NULL) {
        return 1;
    }
    info.options = LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS |
                   LWS_SERVER_OPTION_ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;
    info.port = port;
    info.iface = "127.0.0.1";
    info.protocols = protocols;
    info.ssl_cert_filepath = files->cert;
    info.ssl_private_key_filepath = files->key;
    info.ssl_ca_filepath = files->ca;
    info.listen_accept_role = "raw-skt";
    info.listen_accept_protocol = "echo";
    info.timeout_secs = 60;
    if (lws_create_vhost(ctx, &info) == NULL) {
        return 1;
    }
    puts("ready");
    fflush(stdout);
    while (lws_service(ctx, 0) >= 0) {
    }
    return 0;
}
