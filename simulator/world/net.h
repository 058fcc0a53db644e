/* Inside of the simulated network: channels, pipes, ends, listeners, TLS contexts. */
#ifndef DALANG_SIM_NET_H
#define DALANG_SIM_NET_H

#include "simulator/world/internal.h"

/* ---- TLS (tls.c) */

struct sim_certificate {
    struct world_identity identity;
    struct sim *sim;
    const char *authority; /* whose key signed it: the CA's name, or the serial of a self-signed one */
    bool revoked;
};

/* What a world_tls had read when a connection was made; shared by those connections. */
struct tls_state {
    unsigned refs;
    const struct sim_certificate *cert; /* or NULL */
    char **trusted;                     /* authorities */
    size_t trusted_count;
    bool crl;        /* revocation is checked */
    struct map crls; /* "authority" and "authority\nserial" → non-NULL */
    enum world_client_auth client_auth;
    bool tls12, tls13;
};
struct tls_state *tls_state_ref(struct world_tls *tls);
void tls_state_unref(struct tls_state *state);
/* Judges the peer's certificate at the host's wall clock. NULL: good; else what OpenSSL calls it, and the alert it
 * sends. */
const char *tls_verify(const struct sim_host *h, const struct tls_state *mine, const struct sim_certificate *peer,
                       const char **alert);
bool tls_names(const struct world_identity *id, const char *host);
struct world_tls *sim_tls_new(void *impl, const struct world_tls_files *files, struct error *err);

/* ---- channels: one TCP connection, two ends, two pipes (pipe.c) */

enum segment_kind {
    SEGMENT_SYN,
    SEGMENT_SYN_ACK,
    SEGMENT_ACK, /* plain: the server may accept */
    SEGMENT_CLIENT_HELLO,
    SEGMENT_SERVER_FLIGHT, /* its hello, certificate, finished */
    SEGMENT_CLIENT_FLIGHT, /* the client's certificate, finished */
    SEGMENT_FINISHED,      /* TLS 1.2: the server's last word; a proxy's 200 */
    SEGMENT_DATA,
    SEGMENT_CORRUPT, /* data that was damaged on the way, under TLS */
    SEGMENT_EOF,
    SEGMENT_ALERT, /* bytes: what went wrong, as the receiver reports it */
    SEGMENT_RESET,
    SEGMENT_REFUSED,
    SEGMENT_PROXY_REFUSED,
};

struct segment {
    struct segment *next;
    uint64_t arrive_us; /* UINT64_MAX: not sent yet, the link is cut */
    enum segment_kind kind;
    size_t len;
    char bytes[];
};

struct channel;
struct pipe {
    struct channel *channel;
    unsigned to; /* which end receives: 0 the client, 1 the server */
    struct segment *first, *last;
    struct timer arrival;    /* in the receiving host's inbox, for `first` */
    uint64_t line_free_us;   /* the last byte has left by then (bandwidth) */
    uint64_t last_arrive_us; /* streams keep order */
    size_t in_flight;
    struct rng rng;
    const struct sim_link *link;
    uint64_t link_version;
    struct list_link stalled; /* in sim->stalled while the link is cut */
    uint64_t stalled_since_us;
    struct timer give_up; /* in the sending host's inbox */
};

struct sim_conn;
struct channel {
    struct sim *sim;
    uint64_t id;
    struct sim_host *hosts[2];
    struct sim_conn *ends[2]; /* NULL: gone */
    struct pipe pipes[2];     /* by receiver */
    struct tls_state *server_tls;
    uint16_t port;
    unsigned busy; /* an arrival is being handled: not freed before */
};

struct channel *channel_new(struct sim_host *client, struct sim_host *server, uint16_t port);
/* Sends from the end `from`. The channel may be gone afterwards only when both ends are. */
void channel_send(struct channel *ch, unsigned from, enum segment_kind kind, struct span bytes);
/* The end is no more (its object is freed by the caller); frees the channel after the other one. */
void channel_detach(struct channel *ch, unsigned end);
/* How many of len bytes the pipe from this end takes now. */
size_t channel_room(const struct channel *ch, unsigned from, size_t len);
/* Puts a segment before everything that has not been read at this end. */
void channel_unread(struct channel *ch, unsigned end, enum segment_kind kind, struct span bytes);
/* The receiver may have begun or ceased to read. */
void channel_resume(struct channel *ch, unsigned end);
const struct sim_link *sim_link_between(struct sim *sim, const struct sim_host *from, const struct sim_host *to);
/* A link changed, or a host has power again: stalled pipes try once more. */
void sim_net_links_changed(struct sim *sim);

/* ---- ends (conn.c) */

enum conn_state {
    CONN_CONNECTING, /* client: until the handshake is done */
    CONN_WAITING,    /* server: in the listener's backlog, no handshake yet */
    CONN_HANDSHAKE,  /* server */
    CONN_OPEN,
    CONN_CLOSING, /* the actor closed it; what is queued still goes out */
    CONN_ENDING,  /* on_close is due */
    CONN_DEAD,    /* the actor crashed */
};

struct sim_listener;
struct sim_conn {
    struct world_conn base;
    struct sim_host *host;
    struct channel *channel; /* NULL: nothing on the other side any more */
    unsigned end;
    uint64_t id; /* of its channel; 0: there never was one */
    enum conn_state state;
    bool finishing;                            /* in its on_close */
    struct list_link link;                     /* host->connections */
    struct tls_state *tls;                     /* ours; NULL: plain */
    const struct sim_certificate *client_cert; /* server: what the client sends, not yet judged */
    const struct sim_certificate *peer;
    struct buf queue; /* written; from `sent` on not yet in the pipe */
    size_t sent;
    bool paused;
    bool tls13;
    struct timer deadline; /* connect, handshake, flush */
    struct timer soon;     /* on_drain, on_close */
    bool blocked;          /* on_drain follows when the queue is empty */
    enum world_close_reason why;
    char *text;
    char *server_name;
    struct sim_listener *listener; /* server, until accepted */
    struct list_link waiting;      /* listener->backlog */
    char local[24], remote[24];
};

extern const struct world_conn_ops sim_conn_ops;
struct sim_conn *conn_new(struct sim_host *h, struct world *w);
/* Frees the object: no callback ever again. */
void conn_free(struct sim_conn *c);
/* on_close follows as an event of its own; text is copied. Does nothing when it is on its way already. */
void conn_end(struct sim_conn *c, enum world_close_reason why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Its actor crashed: nothing calls it any more; conn_free() follows. */
void conn_kill(struct sim_conn *c);
/* What the pipe brought. The conn may be gone afterwards. */
void conn_segment(struct sim_conn *c, const struct segment *s);
/* The pipe has room again. */
void conn_pump(struct sim_conn *c);
const char *close_reason_name(enum world_close_reason why);
struct world_conn *sim_connect(void *impl, struct world *w, const struct world_connect *opts,
                               const struct world_conn_handler *handler, void *ctx);
bool conn_reads(const struct sim_conn *c); /* takes segments now */

/* ---- listeners and the server's side of a handshake (listen.c) */

struct sim_listener {
    struct world_listener base;
    struct sim_host *host;
    struct world *world;
    struct list_link link;
    uint16_t port;
    bool dead; /* its actor crashed */
    struct world_tls *tls;
    uint32_t handshakes_max, handshakes;
    uint64_t handshake_timeout_ms;
    struct list backlog; /* struct sim_conn.waiting */
    void (*on_accept)(void *ctx, struct world_conn *c);
    void *ctx;
};

struct world_listener *sim_listen(void *impl, struct world *w, const struct world_listen *opts,
                                  void (*on_accept)(void *ctx, struct world_conn *c), void *ctx, struct error *err);
/* A SYN reached this host. */
void listener_syn(struct channel *ch);
/* A segment for a server end that is not open yet. */
void listener_segment(struct sim_conn *c, const struct segment *s);
/* The handshake is over, well or not. */
void listener_done(struct sim_conn *c);

/* ---- HTTPS (fetch.c) */
struct world_fetch *sim_fetch(void *impl, struct world *w, const struct world_fetch_opts *opts,
                              void (*done)(void *ctx, const struct world_response *r), void *ctx);
void sim_fetch_cancel_all(struct sim_host *h);

#endif
