/* The opening handshake of WebSocket. */
#include "wire/ws_handshake.h"

#include "base/digest.h"
#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

void ws_key(const uint8_t random[16], char out[WS_KEY_LEN + 1]) {
    struct buf text = BUF_INIT;
    base64_encode(&text, span_bytes(random, 16));
    assert(text.len == WS_KEY_LEN);
    memcpy(out, text.ptr, WS_KEY_LEN + 1);
    buf_free(&text);
}

void ws_accept_for(const char *key, char out[WS_ACCEPT_LEN + 1]) {
    struct buf text = BUF_INIT;
    buf_append_cstr(&text, key);
    buf_append_cstr(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"); /* RFC 6455 §1.3 */
    uint8_t digest[20];
    unsigned len = 0;
    int ok = EVP_Digest(text.ptr, text.len, digest, &len, EVP_sha1(), NULL);
    assert(ok == 1 && len == sizeof(digest));
    (void)ok;
    buf_clear(&text);
    base64_encode(&text, span_bytes(digest, sizeof(digest)));
    assert(text.len == WS_ACCEPT_LEN);
    memcpy(out, text.ptr, WS_ACCEPT_LEN + 1);
    buf_free(&text);
}

bool ws_asks_upgrade(const struct http1_head *request) {
    return str_eq(request->method, "GET") && request->upgrade && http1_field_has(request, "upgrade", "websocket");
}

static bool refuse(int *status, const char **text, int with, const char *why) {
    *status = with;
    *text = why;
    return false;
}

static bool key_valid(const char *key) {
    struct buf bytes = BUF_INIT;
    bool ok = strlen(key) == WS_KEY_LEN && base64_decode(&bytes, span_of(key)) && bytes.len == 16;
    buf_free(&bytes);
    return ok;
}

bool ws_request_valid(const struct http1_head *request, int *status, const char **text) {
    if (!ws_asks_upgrade(request)) {
        return refuse(status, text, 404, "Not a WebSocket upgrade");
    }
    if (request->minor < 1) {
        return refuse(status, text, 400, "A WebSocket needs HTTP/1.1");
    }
    if (request->body != HTTP1_NO_BODY) {
        return refuse(status, text, 400, "A WebSocket upgrade has no body");
    }
    const char *version = http1_field_only(request, "sec-websocket-version");
    if (version == NULL || strcmp(version, "13") != 0) {
        return refuse(status, text, 400, "Sec-WebSocket-Version must be 13");
    }
    const char *key = http1_field_only(request, "sec-websocket-key");
    if (key == NULL || !key_valid(key)) {
        return refuse(status, text, 400, "Sec-WebSocket-Key is missing or not 16 bytes in base64");
    }
    return true;
}

bool ws_response_valid(const struct http1_head *response, const char *accept, const char **text) {
    const char *got = http1_field_only(response, "sec-websocket-accept");
    *text =
        response->status != 101 || !response->upgrade || !http1_field_has(response, "upgrade", "websocket")
            ? "the server did not switch to WebSocket"
        : got == NULL || strcmp(got, accept) != 0 ? "the server's Sec-WebSocket-Accept does not fit"
        : http1_field(response, "sec-websocket-extensions") != NULL || http1_field(response, "sec-websocket-protocol")
            ? "the server chose an extension or subprotocol that was not offered"
            : NULL;
    return *text == NULL;
}

void ws_write_request(struct buf *out, const char *host, const char *path, const char *key, const char *user_agent) {
    buf_printf(out,
               "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n",
               path, host, key);
    if (user_agent != NULL) {
        http1_write_field(out, "User-Agent", user_agent);
    }
    buf_append_cstr(out, "\r\n");
}

void ws_write_response(struct buf *out, const char *key, const char *server, int64_t wall_ms) {
    char accept[WS_ACCEPT_LEN + 1];
    ws_accept_for(key, accept);
    buf_append_cstr(out, "HTTP/1.1 101 Switching Protocols\r\n");
    http1_write_date(out, wall_ms);
    if (server != NULL) {
        http1_write_field(out, "Server", server);
    }
    buf_printf(out, "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\nUpgrade: WebSocket\r\n\r\n", accept);
}
