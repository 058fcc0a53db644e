/* Inside of the real world: one connection, from its beginning (real_listen.c, real_connect.c) to its end. */
#ifndef DALANG_WORLD_REAL_CONN_H
#define DALANG_WORLD_REAL_CONN_H

#include "world/real_loop.h"
#include "world/real_tls.h"
#include <netdb.h>
#include <sys/socket.h>

enum conn_state {
    CONN_RESOLVING,  /* no socket yet */
    CONN_CONNECTING, /* waits for TCP */
    CONN_PROXY,      /* waits for the answer to CONNECT */
    CONN_HANDSHAKE,  /* TLS */
    CONN_OPEN,
    CONN_FLUSHING, /* closing in order: sends what is queued, then close_notify */
    CONN_ENDED,    /* the transport is done; on_close is posted or runs */
    CONN_LINGER,   /* the owner is gone; we wait for the peer's end so that a reset does not eat what we sent last */
    CONN_GONE,     /* waits for its memory to be released */
};

struct real_conn {
    struct world_conn conn; /* first */
    struct list_link link;  /* rw->conns, rw->lingering, or its listener's during the handshake */
    struct real_world *rw;
    uv_poll_t poll;
    struct timer timer; /* of connecting, handshake, flushing or lingering */
    struct real_soon soon;
    struct list_link corked; /* in rw->corked: what is queued goes at the end of the turn */
    SSL *ssl;
    struct buf queue; /* unsent bytes from queue_at on */
    size_t queue_at;
    uint64_t write_turn; /* of the last write that went at once */
    struct real_identity *peer;
    char *remote, *local;
    char *why;                      /* which certificate was refused and why */
    char *end_text;                 /* for on_close */
    struct real_listener *listener; /* while its handshake runs */
    struct real_dial *dial;         /* until it is open */
    int fd;                         /* -1: none */
    uint8_t state;                  /* enum conn_state */
    uint8_t events;                 /* what `poll` watches */
    uint8_t end_reason;             /* enum world_close_reason */
    bool poll_made;
    bool is_client;
    bool paused;
    bool read_wants_write; /* TLS has to send before it can read on (a key update) */
    bool peer_ended;
    bool write_failed; /* the stream is broken: reading will tell how */
};

extern const struct world_conn_ops real_conn_ops;

struct real_conn *real_conn_new(struct real_world *rw);
/* Takes over a connected or connecting socket. */
bool real_conn_attach(struct real_conn *c, int fd);
void real_conn_watch(struct real_conn *c, int events); /* UV_READABLE, UV_WRITABLE; no system call when unchanged */
/* Ends the transport and posts on_close. text is taken over. */
void real_conn_end(struct real_conn *c, enum world_close_reason why, char *text);
void real_conn_drop(struct real_conn *c);      /* as world_conn_abort() */
void real_conn_opened(struct real_conn *c);    /* TCP (and TLS) are up: reads what is there, tells the owner first */
void real_conn_handshake(struct real_conn *c); /* one step of TLS */
void real_conn_timeout_start(struct real_conn *c, uint64_t ms);

/* real_connect.c */
void real_connect_event(struct real_conn *c); /* the socket is ready in state CONNECTING or PROXY */
void real_dial_free(struct real_dial *d);
struct real_tls *real_dial_tls(const struct real_dial *d);
struct world_conn *real_connect(void *impl, struct world *w, const struct world_connect *opts,
                                const struct world_conn_handler *handler, void *ctx);

/* real_listen.c */
struct world_listener *real_listen(void *impl, struct world *w, const struct world_listen *opts,
                                   void (*on_accept)(void *ctx, struct world_conn *c), void *ctx, struct error *err);
struct real_tls *real_listener_tls(const struct real_listener *l);
void real_listener_left(struct real_listener *l, struct real_conn *c); /* its handshake is over, one way or the other */
void real_listener_opened(struct real_listener *l, struct real_conn *c); /* hands it to its owner */
void real_listener_refused(struct real_listener *l,
                           struct real_conn *c); /* handshake failed; reason and text are set */
void real_listeners_end(struct real_world *rw);

/* real_address.c */
char *real_address_text(const struct sockaddr *addr); /* "127.0.0.1:80", "[::1]:80" */
uint16_t real_address_port(const struct sockaddr_storage *addr);
enum world_close_reason real_close_reason(int error_number);

#endif
