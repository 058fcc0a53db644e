/* A server whose handlers do what their route says, over pipes, and one bare client. */
#ifndef DALANG_NET_TESTS_HTTP_FIXTURE_H
#define DALANG_NET_TESTS_HTTP_FIXTURE_H

#include "net/http_server.h"
#include "pipe.h"

enum { PORT = 80, IDLE_MS = 1000, BODY_MAX = 5000 };
#define DATE "Date: Fri, 20 Nov 2026 22:14:10 GMT\r\n"
#define H "Host: h\r\n"

struct fixture {
    struct pipe_world *pw;
    struct http_server *server;
    struct raw client;
    struct buf log;                /* what handlers and hooks saw */
    struct http_exchange *held[8]; /* kept by "/hold" */
    size_t held_count;
    size_t abandoned, drained;
    bool closed;
};

struct http_server_opts fixture_options(struct fixture *f);
/* Also connects the client. opts NULL: fixture_options(). */
void fixture_start(struct fixture *f, const struct http_server_opts *opts);
void fixture_stop(struct fixture *f); /* everything must be gone then */
void fixture_on_closed(void *ctx);    /* for http_server_close(), ctx is the fixture */
void send_text(struct fixture *f, const char *text);
void expect(struct fixture *f, const char *want); /* all the client has got since */

#endif
