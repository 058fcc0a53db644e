/* The PCP broker (pcp.md §8-20): a core that accepts clients over TLS, knows them by the CN of their certificate and
 * their client type, and passes their messages on.
 *
 *     struct broker *b = broker_new(world, &config, &loggers, rules, &err);   // listens; clients are told "not
 * running" broker_start(b);                                                        // dials controllers, takes clients
 *     …
 *     broker_stop(b, 5000, on_stopped, ctx);                                  // 1001 to everyone; b is freed before
 * on_stopped
 *
 * One thread; everything goes through the world. Per client it keeps some 300 bytes beyond the WebSocket. */
#ifndef DALANG_BROKER_BROKER_H
#define DALANG_BROKER_BROKER_H

#include "broker/rules.h"
#include "world/world.h"

/* Every setting, with the key of the reference's configuration where there is one (pcp.md §17). Zero means the default.
 * Strings are borrowed and must live as long as the broker. */
struct broker_config {
    const char *name; /* for logs; NULL: CN of our certificate */

    /* webserver */
    const char *host; /* ssl-host; NULL: 0.0.0.0 */
    uint16_t port;    /* ssl-port; 0: any free one, see broker_port() */
    struct world_tls_files tls;
    uint32_t handshakes_max;       /* TLS handshakes in progress, the rest waits in the backlog; 64 */
    uint64_t http_idle_timeout_ms; /* idle-timeout-milliseconds: of what is no WebSocket; 30 000 */

    /* web-router-service: context paths without trailing slash */
    const char *v1_route;      /* NULL: "/pcp" */
    const char *v2_route;      /* NULL: "/pcp2"; "": version 2 is not offered */
    const char *status_route;  /* NULL: "/status"; "": none */
    const char *metrics_route; /* NULL: "/metrics" (Prometheus); "": none */

    /* pcp-broker */
    const char *const *controller_uris; /* wss URLs to dial */
    size_t controller_count;
    const char *const *controller_allowlist; /* message types; NULL: inventory and rpc requests */
    size_t controller_allow_count;
    uint64_t controller_grace_ms; /* controller-disconnection-graceperiod; 90 000 */
    size_t connections_max;       /* max-connections; 0: no limit */
    size_t message_max;           /* max-message-size; 64 MiB */
    uint64_t idle_timeout_ms;     /* idle-timeout; 360 000 */
    uint64_t crl_check_period_ms; /* crl-check-period; 60 000 */
    uint64_t expired_throttle_ms; /* expired-conn-throttle; 30 */

    /* ours */
    bool replace_at_limit;       /* a client that is connected may replace its session when the limit is reached */
    size_t queue_bytes_max;      /* unsent bytes a reader may have waiting; 8 MiB */
    uint32_t queue_messages_max; /* and messages; 10 000 */
    uint32_t turn_messages_max;  /* messages of one client handled before the others get their turn; 64 */
    size_t update_changes_max;   /* changes in one inventory_update, more become several; 5 000 */
    uint64_t update_interval_ms; /* between inventory_updates; 1 000 */
    uint64_t close_timeout_ms;   /* wait for a client's close frame; 5 000 */

    /* What the protocol's documents ask for and the reference does not do (pcp.md §5, §23); off unless set. */
    bool spec_ttl_expired;        /* an expired v1 message is not processed, its sender gets ttl_expired */
    bool spec_destination_report; /* a v1 sender that asks for it gets a destination_report before delivery */
    bool spec_version_error;      /* a message of the other version gets version_error */
    bool spec_unauthorized;       /* a v2 message that the rules deny gets unauthorized instead of error_message */

    /* For status at level "debug": adds members about the process to these objects; may be NULL. */
    void (*process_info)(void *ctx, json_t *threads, json_t *memory);
    void *process_info_ctx;
};

struct broker_loggers {
    const struct logger *main;   /* "puppetlabs.pcp.broker": structured events */
    const struct logger *access; /* one line per message (pcp.md §18.1): success at info, the rest at warn */
    const struct logger *http;   /* one line per HTTP request, at info */
};

struct broker;

/* Starts listening; state "starting". The rules become the broker's, also on error. `loggers` is copied, what it points
 * to is borrowed. Error kinds: "broker/config" (naming the key), those of world_tls_new() and world_listen(). */
struct broker *broker_new(struct world *w, const struct broker_config *config, const struct broker_loggers *loggers,
                          struct rules *rules, struct error *err);
/* State "running": clients are taken (with controllers configured: once one of them is connected). */
void broker_start(struct broker *b);
/* State "stopping": closes every connection with 1001 once what is queued for it has left, for at most drain_ms; then
 * frees the broker and calls done (may be NULL). */
void broker_stop(struct broker *b, uint64_t drain_ms, void (*done)(void *ctx), void *ctx);
/* Ends everything at once, without close frames: when the process ends or crashes. */
void broker_free(struct broker *b);

uint16_t broker_port(const struct broker *b);
size_t broker_session_count(const struct broker *b); /* inbound */
/* Messages from now on are judged by these; the old ones are freed. */
void broker_set_rules(struct broker *b, struct rules *rules);
/* Reads certificate, key, CA and CRL again; with err set the old ones stay. Sessions are not touched. */
bool broker_reload_tls(struct broker *b, struct error *err);

enum broker_state {
    BROKER_STARTING,
    BROKER_RUNNING,
    BROKER_STOPPING,
    BROKER_ERROR /* all controllers are disconnected */
};
enum broker_state broker_state(const struct broker *b);

#endif
