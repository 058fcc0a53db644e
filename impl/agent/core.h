/* The agent's own structures, shared by its files and by nobody else. */
#ifndef DALANG_AGENT_CORE_H
#define DALANG_AGENT_CORE_H

#include "agent/agent.h"
#include "agent/cache.h"
#include "agent/modules.h"
#include "agent/outcome.h"
#include "base/map.h"
#include "base/url.h"
#include "net/ws_peer.h"
#include "pxp/body.h"

enum connection_state {
    CONNECTION_IDLE,         /* not started */
    CONNECTION_PAUSED,       /* the timer starts the next attempt */
    CONNECTION_TRYING,       /* TCP, TLS, upgrade */
    CONNECTION_ASSOCIATING,  /* v1: waiting for the associate response */
    CONNECTION_UNASSOCIATED, /* v1: association failed; the timer closes the socket */
    CONNECTION_READY,
    CONNECTION_CLOSING, /* close frame sent */
    CONNECTION_STOPPED,
};

struct attempt; /* texts of the address being connected to */

struct connection {
    struct ws_peer *peer;
    struct attempt *attempt;
    struct timer timer; /* one for all: pause, association, ping, pong */
    enum connection_state state;
    uint32_t broker; /* index of the URI, modulo their number */
    uint32_t missed_pongs;
    bool awaiting_pong;
    bool was_open;
    bool ready; /* was, since it opened */
    uint64_t backoff_ms;
    uint64_t since_us;  /* start of the attempt; later, of the last ping */
    uint64_t opened_us; /* when the WebSocket connection was there */
    char associate_id[37];
};

struct agent {
    struct world *world;
    const struct agent_config *config;
    const struct agent_hooks *hooks;
    const struct logger *log;
    struct agent_modules *modules;
    bool own_modules;
    char *uri;
    char *spool_dir;
    struct world_tls *tls;
    const void *credential;
    char *source;

    struct connection connection;
    struct list jobs;        /* all running, blocking ones too */
    struct map transactions; /* transaction id -> job, of the non-blocking ones */
    struct list unsent;      /* struct unsent: final responses for the next connection */
    struct list in_flight;   /* struct unsent: given to the connection, not yet taken by the system */
    struct list watched;     /* struct watched: tasks of an earlier run of ours */
    struct timer watch_timer;
    struct timer purge_timer;
    struct scan *scan;     /* a walk through the spool under way */
    struct loader *loader; /* external modules being loaded */
    struct cache cache;
};

/* connection.c */
void connection_start(struct agent *a);
void connection_stop(struct agent *a);
void connection_free(struct agent *a);
/* One PCP message; data, debug and in_reply_to may be empty. False: not connected, nothing was sent. */
bool connection_send(struct agent *a, const char *type, struct span target, struct span data, struct span debug,
                     struct span in_reply_to);
/* v1: what intake saw of the association. */
void connection_associated(struct agent *a, struct span data);
void connection_association_failed(struct agent *a, const char *why);
bool connection_is_associating(const struct agent *a, struct span request_id);

/* intake.c */
void intake_message(struct agent *a, struct span payload);

/* reply.c: every answer the agent gives */
void reply_pcp_error(struct agent *a, struct span target, struct span request_id, struct span text);
void reply_pxp_error(struct agent *a, struct span target, struct span transaction_id, struct span request_id,
                     struct span description);
void reply_provisional(struct agent *a, struct span target, struct span transaction_id, struct span debug);
void reply_blocking(struct agent *a, struct span target, struct span transaction_id, struct span request_id,
                    const json_t *results, struct span debug);
/* The final message of a non-blocking request, from its finished record. False: not connected. */
bool reply_final(struct agent *a, const json_t *record);

/* loader.c: external modules */
void external_load(struct agent *a, void (*loaded)(struct agent *a));
void external_stop(struct agent *a);

/* recovery.c */
void recovery_start(struct agent *a);
void recovery_stop(struct agent *a);
void recovery_connected(struct agent *a); /* sends what could not be sent; also when the connection has drained */
void recovery_disconnected(struct agent *a);
void recovery_drained(struct agent *a);
/* Sends the final message of a finished record now, or remembers it for the next connection. */
void recovery_notify(struct agent *a, const json_t *record);

/* purge.c */
void purge_start(struct agent *a);
void purge_stop(struct agent *a);
/* Walks through the spool in small steps: removes what is old, hands unfinished and unsent records to `found`. */
void purge_spool(struct agent *a,
                 void (*found)(struct agent *a, const char *transaction_id, const json_t *record, bool unsent));

#endif
