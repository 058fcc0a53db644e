/* An HTTP/1.1 server over world connections: parsing and limits (wire/http1.h), keep-alive, pipelining in order,
 * a route table, responses, streaming, and the hand-over to WebSocket (ws_peer.h).
 * Used by the broker (upgrade, status, metrics), the orchestrator's API and the fakes. */
#ifndef DALANG_NET_HTTP_SERVER_H
#define DALANG_NET_HTTP_SERVER_H

#include "world/world.h"

struct http_exchange; /* one request and its response; lives until the response has been sent or the client has gone */

/* What the route handler reads. All spans live as long as the exchange. */
struct http_request {
    const char *method; /* "GET" */
    const char *target; /* as on the wire, "/a/b%20c?x=1" */
    const char *path;   /* the part before '?', as on the wire, not decoded */
    struct span query;  /* raw, after '?'; empty when absent */
    struct span body;   /* whole, de-chunked; gunzipped when Content-Encoding was gzip and the server allows it */
    const struct world_identity *identity; /* verified client certificate or NULL */
    const char *remote;                    /* "ip:port" */
    int64_t received_ms;                   /* wall clock, of the head */
};
const struct http_request *http_request(const struct http_exchange *ex);
const char *http_header(const struct http_exchange *ex, const char *lower_case_name); /* the first; NULL when absent */
/* The i-th header field in order, its name in lower case; false past the end. */
bool http_header_at(const struct http_exchange *ex, size_t i, const char **name, const char **value);
/* Decoded ":name" part of the matched route; NULL when there is none. */
const char *http_param(const struct http_exchange *ex, const char *name);
/* Decoded query parameter (first one); NULL when absent. "+" is a space. */
const char *http_query(struct http_exchange *ex, const char *name);
/* The i-th query parameter in order; false past the end. */
bool http_query_at(struct http_exchange *ex, size_t i, const char **name, const char **value);

/* Responses. Exactly one http_respond* per exchange (http_stream_* counts as one). It may come later than the handler's
 * return: keep the exchange and set an abandon callback. Content-Length, Date and Connection are set here.
 * HEAD requests get the head only. Gzip when the client accepts it and the server enables it. */
/* Adds a field (the same name twice: two fields). Content-Length, Transfer-Encoding and Date are ignored;
 * "Connection: close" ends the connection after this response. Control characters in the value become spaces. */
void http_set_header(struct http_exchange *ex, const char *name, const char *value);
void http_respond(struct http_exchange *ex, int status, const char *content_type,
                  struct span body);                                                    /* type may be NULL */
void http_respond_json(struct http_exchange *ex, int status, json_t *body);             /* steals body */
void http_respond_error(struct http_exchange *ex, int status, const struct error *err); /* {kind, msg, details} */
/* Streaming: head now, then pieces (chunked), then the end. For Server-Sent Events and large bodies. */
void http_stream_start(struct http_exchange *ex, int status, const char *content_type);
void http_stream_write(struct http_exchange *ex, struct span bytes);
size_t http_stream_pending(const struct http_exchange *ex);
void http_stream_end(struct http_exchange *ex);
/* Called whenever what was written of a stream has all gone out: write the next piece then. */
void http_on_drain(struct http_exchange *ex, void (*drained)(void *ctx), void *ctx);
/* Drops the connection without an answer (fault injection of the fakes). The exchange is used up. */
void http_abort(struct http_exchange *ex);
/* Routes the request as if opts.before had returned false: for a `before` that returned true and now, later, lets the
 * request through. */
void http_proceed(struct http_exchange *ex);
/* Called when the client goes away (or the server's grace ends) before the response was complete; the exchange is gone
 * when it returns. */
void http_on_abandon(struct http_exchange *ex, void (*abandoned)(void *ctx), void *ctx);
struct world *http_world(const struct http_exchange *ex);

/* Route table. Pattern segments: "jobs" literal, ":id" one decoded non-empty segment, "*rest" (last) everything behind,
 * decoded, maybe empty (wire/route.h). Literals are compared with the path as it came. The first matching entry wins.
 * The table ends with a NULL pattern. method NULL matches every method; a GET entry also answers HEAD. */
struct http_route {
    const char *method;
    const char *pattern;
    void (*handle)(void *ctx, struct http_exchange *ex, const struct http_route *route);
    const void *data; /* the user's own: permission, schema … */
};

struct http_server_opts {
    struct world_listen listen;
    const struct http_route *routes;
    /* No route matched (allow == NULL), or only the method did not (allow lists those that would: "GET, POST").
     * NULL: a plain 404 / 405. */
    void (*not_found)(void *ctx, struct http_exchange *ex, const char *allow);
    /* Sees every request first; true: it has answered (authentication, injected faults). May be NULL. */
    bool (*before)(void *ctx, struct http_exchange *ex);
    /* Called once a response is complete or its stream was cut off, for access logs: status (101 for a WebSocket),
     * bytes of body, duration. May be NULL. */
    void (*after)(void *ctx, const struct http_request *req, int status, uint64_t bytes, uint64_t duration_us,
                  const char *referer, const char *user_agent);
    void *ctx;
    size_t body_max; /* larger: 413, also when unpacked; 0: 64 MiB */
    size_t head_max; /* larger: 431; 0: 64 KiB; at most 79 KiB */
    /* Between requests; for a whole head; for every 4 KiB of a body; for a client that takes nothing of its response.
     * Within a request it answers 408. 0: 30 000. The handler may take as long as it likes. */
    uint64_t idle_timeout_ms;
    size_t connections_max;    /* open at once, WebSockets not counted; one more gets 503; 0: 10 000 */
    bool gzip;                 /* pack responses (text and JSON from 1 KiB), unpack request bodies */
    const char *server_header; /* value of "Server", or NULL for none */
};
struct http_server;
struct http_server *http_server_new(struct world *w, const struct http_server_opts *opts, struct error *err);
uint16_t http_server_port(const struct http_server *s);
size_t http_server_connections(const struct http_server *s);
/* Stops listening, ends idle connections, gives running exchanges grace_ms, then calls done (may be NULL) and is freed.
 * WebSockets taken from it live on. */
void http_server_close(struct http_server *s, uint64_t grace_ms, void (*done)(void *ctx), void *ctx);
/* Ends everything at once, as a crash would, also while it is closing: connections are dropped (their exchanges'
 * `abandoned` run), no done. Not from inside one of its own callbacks. */
void http_server_free(struct http_server *s);

#endif
