/* Two sides that write down what happens to their WebSocket, a server that accepts every upgrade, and a bare client
 * that sends hand-made frames; over pipes. */
#ifndef DALANG_NET_TESTS_WS_FIXTURE_H
#define DALANG_NET_TESTS_WS_FIXTURE_H

#include "net/ws_peer.h"
#include "pipe.h"

enum { PORT = 8142, MESSAGE_MAX = 100, IDLE_MS = 3000, CLOSE_MS = 500, HANDSHAKE_MS = 2000 };

enum reaction { NOTHING, ECHO, ABORT, CLOSE, PAUSE };

struct side {
    struct ws_peer *peer; /* NULL: closed */
    struct buf log;
    enum reaction on_message;
};

extern const struct ws_handler side_handler;
extern const struct http_route ws_fixture_routes[];
/* What the side has written down since. */
void saw(struct side *s, const char *want);

struct ws_fixture {
    struct pipe_world *pw;
    struct http_server *http;
    struct side server, client;
    struct raw raw;
    struct http_exchange *held;
    bool hold;
};

void ws_fixture_start(struct ws_fixture *f);
void ws_fixture_stop(struct ws_fixture *f); /* everything must be gone then */
void accept_peer(struct ws_fixture *f, struct http_exchange *ex);
struct ws_connect connect_opts(void);
void connect_client(struct ws_fixture *f);
void both_open(struct ws_fixture *f); /* starts, too */

/* ---- hand-made bytes */

#define UPGRADE_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE                                                                                                        \
    "GET /pcp2/agent HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: "                                        \
    "Upgrade\r\nSec-WebSocket-Key: " UPGRADE_KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n"
#define SWITCHED                                                                                                       \
    "HTTP/1.1 101 Switching Protocols\r\nDate: Fri, 20 Nov 2026 22:14:10 GMT\r\nConnection: Upgrade\r\n"               \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nUpgrade: WebSocket\r\n\r\n"

void add_frame(struct buf *out, uint8_t first, bool masked, struct span payload);
void raw_open(struct ws_fixture *f); /* starts, and upgrades the bare client */
void raw_frame(struct ws_fixture *f, uint8_t first, struct span payload);
void raw_got(struct ws_fixture *f, struct span want); /* since */

#endif
