/* What http_server.c (connections), http_exchange.c (requests and responses) and ws_peer.c (take-over) share. */
#ifndef DALANG_NET_HTTP_INTERNAL_H
#define DALANG_NET_HTTP_INTERNAL_H

#include "net/http_server.h"
#include "wire/http1.h"
#include "wire/route.h"

enum {
    HTTP_BODY_MAX = 64 * 1024 * 1024,
    HTTP_IDLE_TIMEOUT_MS = 30000,
    HTTP_CONNECTIONS_MAX = 10000,
    HTTP_PIPELINE_MAX = 64 * 1024, /* bytes read ahead while a request is being answered; then reading pauses */
    HTTP_BODY_PROGRESS = 4096,     /* body bytes that restart the time-out */
    HTTP_GZIP_MIN = 1024,          /* smaller bodies are not packed */
};

enum http_phase {
    HTTP_READING,   /* a request is awaited or coming in */
    HTTP_ANSWERING, /* it is complete; the handler has it */
    HTTP_CLOSING,   /* world_conn_close() was called: what still comes in is dropped */
};

struct http_conn {
    struct list_link link;
    struct http_server *server;
    struct world_conn *conn; /* NULL: gone or taken over */
    struct http1_reader reader;
    struct http_exchange *ex; /* from the head on */
    struct span input;        /* what is being worked on */
    struct buf ahead;         /* came in behind the request that is being answered */
    struct timer timer;
    struct world_task resume; /* after an answer that did not come from within the handler */
    uint64_t written;         /* bytes given to the connection */
    uint64_t sent_seen;       /* how many of them had left when the timer last looked */
    size_t progress;          /* body bytes since the timer was started */
    enum http_phase phase;
    bool busy; /* http_conn_run() is on the stack */
    bool paused;
};

enum http_answer { HTTP_UNANSWERED, HTTP_STREAMING, HTTP_ANSWERED };

struct http_exchange {
    struct http_request req;
    struct http_conn *conn;
    struct http1_head head;
    char *path;
    struct buf body;
    struct route_params params;
    char **query; /* name, value, name, value …; decoded on first use */
    size_t query_count;
    bool query_read;
    struct buf headers; /* of the response, as set by the handler */
    void (*abandoned)(void *ctx);
    void *abandoned_ctx;
    void (*drained)(void *ctx);
    void *drained_ctx;
    uint64_t started_us;
    uint64_t bytes; /* of response body */
    int status;
    enum http_answer answer;
    bool keep_alive;
    bool chunked;
    bool continued; /* 100 Continue was sent */
};

struct http_server {
    struct world *world;
    struct http_server_opts opts;
    struct world_listener *listener;
    struct list conns;
    struct timer grace;
    struct world_task finish;
    void (*done)(void *ctx);
    void *done_ctx;
    bool closing;
};

/* http_exchange.c */
struct http_exchange *http_exchange_new(struct http_conn *c, struct http1_head *head); /* takes the head */
void http_exchange_free(struct http_exchange *ex);
void http_exchange_dispatch(struct http_exchange *ex);                             /* the request is complete */
void http_exchange_refuse(struct http_exchange *ex, int status, const char *text); /* plain text */

/* http_server.c */
void http_conn_write(struct http_conn *c, const struct span *parts, size_t count);
void http_conn_answered(struct http_conn *c); /* its exchange's response is complete */
void http_conn_stream_started(struct http_conn *c);
/* Takes the world connection away for another protocol. *behind gets the bytes that came after the request. The
 * exchange is used up: it is freed now or when the handler has returned. */
struct world_conn *http_take_over(struct http_exchange *ex, int status, struct buf *behind);
void http_conn_drop(struct http_conn *c); /* world_conn_abort(), no abandon callback */

#endif
