/* The opening handshake of WebSocket (RFC 6455 §4), both sides. Pure. */
#ifndef DALANG_WIRE_WS_HANDSHAKE_H
#define DALANG_WIRE_WS_HANDSHAKE_H

#include "wire/http1.h"

enum { WS_KEY_LEN = 24, WS_ACCEPT_LEN = 28 };

/* The Sec-WebSocket-Key made of 16 random bytes. */
void ws_key(const uint8_t random[16], char out[WS_KEY_LEN + 1]);
/* The Sec-WebSocket-Accept that answers a key. */
void ws_accept_for(const char *key, char out[WS_ACCEPT_LEN + 1]);

/* Does the request ask for a WebSocket at all: GET with "Upgrade: websocket" and "Connection: upgrade"? */
bool ws_asks_upgrade(const struct http1_head *request);
/* Is it one we can accept? Else *status is what to answer, 400 or 404, and *text says why
 * (broker-observed.md: a wrong version is a 400 that names version 13, as is a missing key). */
bool ws_request_valid(const struct http1_head *request, int *status, const char **text);
/* The client's check of the answer to its request; *text says what is wrong. */
bool ws_response_valid(const struct http1_head *response, const char *accept, const char **text);

/* Heads, appended. Texts are written as given: the caller has checked host, path and user agent (may be NULL). */
void ws_write_request(struct buf *out, const char *host, const char *path, const char *key, const char *user_agent);
void ws_write_response(struct buf *out, const char *key, const char *server, int64_t wall_ms);

#endif
