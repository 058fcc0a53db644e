/* A WebSocket over a world connection, either role: handshake, frames, control frames, limits.
 * (RFC 6455; pcp.md §9 and broker-observed.md for close codes and what the reference does.)
 * No extensions are ever negotiated. Pings from the peer are answered here and also reported. */
#ifndef DALANG_NET_WS_PEER_H
#define DALANG_NET_WS_PEER_H

#include "net/http_server.h"
#include "world/world.h"

struct ws_peer;

struct ws_handler {
    /* Client role: the upgrade succeeded. (A server-side peer is open when ws_accept returns.) */
    void (*on_open)(void *ctx, struct ws_peer *p);
    /* A whole message; `text` payloads are valid UTF-8. */
    void (*on_message)(void *ctx, struct ws_peer *p, bool text, struct span payload);
    void (*on_ping)(void *ctx, struct ws_peer *p, struct span payload); /* may be NULL; already answered */
    void (*on_pong)(void *ctx, struct ws_peer *p, struct span payload); /* may be NULL */
    void (*on_drain)(void *ctx, struct ws_peer *p);                     /* nothing pending any more; may be NULL */
    /* Last callback: the peer is freed when it returns. code and reason: what the other side sent (1005 when its close
     * frame had no code); what we told it when it broke a rule or was idle (1002, 1007, 1009, 1001); 1006 when the
     * stream ended without a close frame or was never opened (then reason says why). Not called after ws_abort(). */
    void (*on_close)(void *ctx, struct ws_peer *p, uint16_t code, struct span reason);
};

struct ws_limits {
    size_t message_max;            /* more closes with 1009; 0: 64 MiB */
    uint64_t idle_timeout_ms;      /* no traffic in or out: close 1001 "Connection Idle Timeout"; 0: never */
    uint64_t close_timeout_ms;     /* wait for the other side's close frame; 0: 5 000 */
    uint64_t handshake_timeout_ms; /* client role; 0: 30 000 */
};

struct ws_connect {
    struct world_connect to;
    const char *path;       /* request target, "/pcp2/agent" */
    const char *user_agent; /* NULL: none */
    struct ws_limits limits;
};

struct ws_peer *ws_connect(struct world *w, const struct ws_connect *opts, const struct ws_handler *handler, void *ctx);
/* Answers an upgrade request with 101 and takes its connection over; the exchange is used up. Frames that came behind
 * the request are handled later in this loop turn. NULL when it was no proper upgrade: the right 4xx has been sent. */
struct ws_peer *ws_accept(struct http_exchange *ex, const struct ws_limits *limits, const struct ws_handler *handler,
                          void *ctx);
bool ws_is_upgrade(const struct http_exchange *ex);

void ws_set_handler(struct ws_peer *p, const struct ws_handler *handler, void *ctx);
void ws_set_limits(struct ws_peer *p, const struct ws_limits *limits);
/* Sends one message made of the concatenation of the parts. Ignored when closing. */
void ws_send(struct ws_peer *p, bool text, const struct span *parts, size_t count);
void ws_ping(struct ws_peer *p, struct span payload);
size_t ws_pending(const struct ws_peer *p); /* bytes queued, not yet given to the system */
/* While paused no message, ping, pong or close frame is reported, also not from bytes that are here already. */
void ws_pause(struct ws_peer *p, bool paused);
/* Starts the closing handshake; on_close follows, no message does. code 1005 sends a close frame without code and
 * reason. A reason longer than 123 bytes is cut. Before the upgrade it gives up: on_close(1006) follows. */
void ws_close(struct ws_peer *p, uint16_t code, const char *reason);
void ws_abort(struct ws_peer *p);                                  /* drops the stream at once, frees p, no callback */
const struct world_identity *ws_identity(const struct ws_peer *p); /* the verified peer certificate or NULL */
const char *ws_remote(const struct ws_peer *p);
void *ws_ctx(const struct ws_peer *p);

#endif
