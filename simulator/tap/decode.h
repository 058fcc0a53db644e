/* One connection between a client and a broker, seen from outside: bytes of both directions in, requests, PCP messages
 * and control frames out. Pure: it neither changes nor delays anything, and bytes it cannot read end its reading, not
 * the connection. */
#ifndef DALANG_TAP_DECODE_H
#define DALANG_TAP_DECODE_H

#include "pcp/message.h"
#include "wire/http1.h"
#include "wire/ws_reader.h"

enum tap_kind {
    TAP_REQUEST,  /* head of an HTTP request: text is "GET /pcp2/agent" */
    TAP_RESPONSE, /* status line: text is "101 Switching Protocols" */
    TAP_MESSAGE,  /* a PCP message; `message` is NULL when it is none, and text says why */
    TAP_PING,
    TAP_PONG,
    TAP_CLOSE, /* a close frame: code, and its reason as text */
    TAP_LOST,  /* from here on this direction cannot be read; text says why */
};

struct tap_event {
    enum tap_kind kind;
    bool from_client;
    const char *path;                  /* of the upgrade request; NULL before there was one */
    const struct http1_head *head;     /* TAP_REQUEST, TAP_RESPONSE */
    enum pcp_version version;          /* TAP_MESSAGE: by the type of its frame */
    const struct pcp_message *message; /* TAP_MESSAGE or NULL; everything is valid until the callback returns */
    struct span payload;               /* TAP_MESSAGE, TAP_PING, TAP_PONG */
    uint16_t code;                     /* TAP_CLOSE */
    const char *text;                  /* or NULL */
};

struct tap_stream {
    struct http1_reader http;
    struct ws_reader frames;
    struct buf held; /* came before it was known whether the other side takes the upgrade */
    bool lost;
};

struct tap_decoder {
    struct tap_stream client, server;
    char *path;
    bool asked;    /* the client asked for the upgrade, the server has not answered */
    bool upgraded; /* frames from here on */
    struct buf scratch;
    void (*on_event)(void *ctx, const struct tap_event *event);
    void *ctx;
};

enum { TAP_MESSAGE_MAX = 64 * 1024 * 1024 };

void tap_decoder_init(struct tap_decoder *d, void (*on_event)(void *ctx, const struct tap_event *event), void *ctx);
void tap_decoder_free(struct tap_decoder *d);
void tap_decode(struct tap_decoder *d, bool from_client, struct span bytes);

#endif
