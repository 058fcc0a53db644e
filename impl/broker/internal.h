/* The broker's parts, for its own files. */
#ifndef DALANG_BROKER_INTERNAL_H
#define DALANG_BROKER_INTERNAL_H

#include "base/list.h"
#include "base/map.h"
#include "base/url.h"
#include "broker/broker.h"
#include "broker/metrics.h"
#include "net/http_server.h"
#include "net/ws_peer.h"
#include "pcp/access_log.h"
#include "pcp/message.h"

#define CLOSE_NOT_RUNNING 1011, "Broker is not running."
#define CLOSE_NO_CONTROLLERS 1011, "All controllers disconnected."
#define CLOSE_LIMIT 1011, "Connection limit exceeded."
#define CLOSE_CRL 1012, "CRL reloaded"
#define CLOSE_REFUSED 4002, "Association unsuccessful."
#define CLOSE_NO_CERTIFICATE 4003, "No client certificate."
#define CLOSE_SHUTDOWN 1001, "Shutdown"
#define CLOSE_SLOW 1008, "Too many unread messages."

enum peer_kind { PEER_SESSION, PEER_CONTROLLER };

/* Whoever messages can come from and go to. Of sessions there are many: keep it small. */
struct peer {
    struct broker *broker;
    struct ws_peer *ws;    /* NULL: a controller that is not connected */
    struct list_link link; /* of a session: in broker.sessions (the oldest first) or broker.closing */
    struct subscription *subscription;
    char *uri;
    uint32_t uri_len;
    uint32_t queued;         /* messages given to ws since it last had none unsent */
    uint32_t turn, in_turn;  /* messages handled in that turn of the loop */
    uint32_t crl_generation; /* broker.crl_generation when it connected */
    uint8_t kind, version;
    bool registered; /* in broker.by_uri */
    bool resting;    /* paused until the next turn, in broker.resting */
};

static inline struct span peer_uri(const struct peer *p) {
    return (struct span){p->uri, p->uri_len};
}

struct change {
    char *uri;
    bool connected;
};

enum counter {
    COUNT_DELIVERED, /* messages passed on */
    COUNT_DELIVERED_BYTES,
    COUNT_TO_BROKER, /* messages for the broker itself */
    COUNT_UNDECODABLE,
    COUNT_UNAUTHENTICATED,
    COUNT_UNAUTHORIZED,
    COUNT_MULTICAST,
    COUNT_NOT_CONNECTED,
    COUNT_SLOW_READERS, /* closed for a full queue */
    COUNT_SUPERSEDED,
    COUNT_REFUSED, /* connections closed while opening */
    COUNT_UPDATES, /* inventory_updates sent */
    COUNTERS,
};

struct controllers;
struct doorway;

struct broker {
    struct world *world;
    struct broker_config config; /* defaults filled in */
    struct broker_loggers log;
    struct rules *rules;
    struct world_tls *tls;
    struct doorway *door;    /* HTTP: endpoints, status, metrics */
    enum broker_state state; /* never BROKER_ERROR, see broker_state() */
    char *name;

    struct map by_uri; /* sessions */
    struct list sessions, closing;
    struct buf decoded, encoded, body; /* scratch of the message at hand */

    uint32_t turn;
    struct world_task turn_end;
    struct peer **resting; /* over their share; go on at the next turn */
    size_t resting_count, resting_cap;
    struct timer wake;

    struct list subscriptions;
    struct change *changes; /* since the last round of updates; numbered from first_change */
    size_t change_count, change_cap;
    uint64_t first_change;
    struct timer update;

    struct controllers *controllers; /* NULL: none configured */

    struct world_watch *crl_watch;
    struct timer crl_check;
    uint32_t crl_generation;
    bool crl_unread; /* the changed file could not be read yet */

    struct timer drain;
    void (*stopped)(void *ctx);
    void *stopped_ctx;

    struct metrics_timer on_connect, on_close, on_message, on_send;
    uint64_t counters[COUNTERS];
};

/* broker.c */
void broker_stop_progress(struct broker *b); /* a connection is gone: was it the last one of a broker that stops? */

/* peer.c */
void peer_init(struct peer *p, struct broker *b, enum peer_kind kind, enum pcp_version version, char *uri);
void peer_release(struct peer *p); /* what it owns, not itself */
/* NULL: sent. Else why not, as an answer to the sender; a reader whose queue is full is closed. */
const char *peer_send(struct peer *p, const struct span *parts, size_t count);
const char *peer_send_message(struct peer *p, const struct pcp_message *m);
/* Over its share of this turn? Then nothing more is read from it until the next one. */
void peer_count_turn(struct peer *p);
/* Passes a message on in the recipient's version; version 2 bytes go through as they are. */
const char *peer_forward(struct peer *to, const struct peer *from, const struct pcp_message *m, bool had_sender);
void peer_close(struct peer *p, uint16_t code, const char *reason); /* a session leaves the inventory at once */
void peer_gone(struct peer *p); /* the queue and turn no longer matter: before ws is let go */

/* session.c */
/* Takes over an upgrade request: pcp.md §9.1. */
void session_open(struct broker *b, struct http_exchange *ex, enum pcp_version version, struct span type);
void session_unregister(struct peer *p);
void sessions_abort(struct broker *b);

/* pipeline.c: pcp.md §10 */
void pipeline_receive(struct peer *from, bool text, struct span payload);
struct peer *broker_find(struct broker *b, struct span uri); /* session, else connected controller, else NULL */
void reply_error(struct peer *to, const char *description, struct span in_reply_to);
/* The access log's line; m NULL: it could not be decoded. */
void log_access(struct broker *b, const struct peer *from, enum pcp_outcome outcome, const struct pcp_message *m);

/* spec_options.c: each does nothing and returns false unless its option is set and the case is there; true: answered */
bool spec_version_error(struct peer *from, bool text, struct span payload);
bool spec_expired(struct peer *from, const struct pcp_message *m);
bool spec_unauthorized(struct peer *from, const struct pcp_message *m);
void spec_destination_report(struct peer *from, const struct pcp_message *m);

/* handle_associate.c */
bool is_associate_request(const struct pcp_message *m);
void handle_associate(struct peer *from, const struct pcp_message *m, const char *refusal); /* NULL: by §10.1 */

/* authorize.c: pcp.md §14.1 */
bool authorize(struct broker *b, const struct world_identity *id, const struct pcp_message *m);

/* handle_inventory.c, subscription.c: pcp.md §13 */
void handle_inventory(struct peer *from, const struct pcp_message *m);
struct pcp_inventory_request;
void subscription_set(struct peer *p, const struct pcp_inventory_request *r);
void subscription_drop(struct peer *p);
void subscriptions_note(struct broker *b, struct span uri, bool connected);
void subscriptions_free(struct broker *b);

/* controller.c: pcp.md §15 */
bool controllers_new(struct broker *b, struct error *err);
void controllers_start(struct broker *b);
void controllers_stop(struct broker *b);
void controllers_free(struct broker *b);
struct peer *controllers_find(const struct broker *b, struct span uri);
bool controllers_gone(const struct broker *b); /* some are configured and none is connected */
bool controllers_shut(const struct broker *b); /* so long that upgrades are refused */
bool controller_allows(const struct broker *b, struct span message_type);
struct span controller_authority(const struct peer *p);
size_t controllers_connected(const struct broker *b);
bool controllers_open(const struct broker *b); /* connected or connecting */

/* crl.c: pcp.md §16 */
bool crl_start(struct broker *b, struct error *err);
void crl_stop(struct broker *b);

/* door.c: listener and routes; status.c, prometheus.c, http_log.c */
bool door_open(struct broker *b, struct error *err);
/* Closes the listener; `closed` follows (may be NULL). The broker may be freed before. */
void door_close(struct broker *b, void (*closed)(void *ctx), void *ctx);
uint16_t door_port(const struct broker *b);
void status_services(struct broker *b, struct http_exchange *ex);
void status_service(struct broker *b, struct http_exchange *ex);
void status_simple(struct broker *b, struct http_exchange *ex);
void status_simple_service(struct broker *b, struct http_exchange *ex);
void prometheus_write(struct broker *b, struct buf *out);
void http_log(struct broker *b, const struct http_request *req, int status, uint64_t bytes, uint64_t duration_us,
              const char *referer, const char *user_agent);

#endif
