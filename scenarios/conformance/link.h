/* One WebSocket connection of the suite, byte by byte: nothing is put right on the way, so that a case can send what no
 * proper client would and sees each frame and how the stream ended. Either role: the client of a broker, or the broker
 * an agent connects to. Events are queued; cases wait for them (stage.h). */
#ifndef DALANG_CONFORMANCE_LINK_H
#define DALANG_CONFORMANCE_LINK_H

#include "base/json.h"
#include "wire/ws_handshake.h"
#include "wire/ws_reader.h"
#include "world/world.h"

enum link_event_kind {
    LINK_OPEN, /* 101 */
    LINK_HTTP, /* another answer to the upgrade: code is the status */
    LINK_TEXT, /* bytes: a whole message */
    LINK_BINARY,
    LINK_PING, /* answered already */
    LINK_PONG,
    LINK_CLOSE,   /* a close frame: code (1005: none) and reason; echoed already */
    LINK_END,     /* the stream ended: `why`; bytes is a text */
    LINK_INVALID, /* the other side broke the WebSocket protocol: bytes says how */
};

struct link_event {
    struct list_link link;
    enum link_event_kind kind;
    int code;
    enum world_close_reason why;
    struct buf bytes;
};

struct link {
    struct list_link link; /* the stage's list */
    struct world *world;
    struct world_conn *conn; /* NULL: gone */
    bool server;             /* our role */
    int version;             /* of PCP: 1 or 2 */
    char *name;              /* for transcripts: "c1" */
    char *uri;               /* as the other side sees us, "pcp://…/agent"; server: the peer's */
    char *path;              /* of the upgrade request */
    char *upgrade;           /* the whole request, as sent */
    struct http1_reader http;
    struct http1_head head; /* of the upgrade's request (server) or answer (client) */
    struct ws_reader reader;
    bool open;       /* the upgrade is done */
    bool mute;       /* pings and close frames are not answered */
    bool close_sent; /* by us */
    struct list events;
};

struct link_connect {
    struct world_connect to;
    const char *name, *uri, *path, *host; /* host: of the Host header */
    const char *extra;                    /* further header lines, each with "\r\n", or NULL */
    const char *request;                  /* the whole head instead, or NULL; "" sends none */
    int version;
};
struct link *link_connect(struct world *w, const struct link_connect *opts);
struct link *link_accept(struct world_conn *conn, const char *name);
void link_free(struct link *l); /* drops the stream */

/* Waits for nothing: false when there is no event yet. The event is the caller's: link_event_free(). */
struct link_event *link_take(struct link *l);
void link_event_free(struct link_event *e);

void link_frame(struct link *l, const struct ws_frame_head *head, struct span payload); /* the head as it is */
void link_send(struct link *l, bool text, struct span payload);                         /* one whole message */
void link_control(struct link *l, enum ws_opcode opcode, struct span payload);
void link_close(struct link *l, uint16_t code, const char *reason); /* code 1005: without */
void link_raw(struct link *l, struct span bytes);

/* A PCP v1 message as {envelope…, "data": …, "chunks": [types]}; NULL and a text when it is none. */
json_t *link_v1_read(struct span bytes, const char **why);
void link_v1_chunk(struct buf *out, int type, struct span content); /* appends descriptor, size, content */

#endif
