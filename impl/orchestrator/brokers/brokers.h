/* Connections to one or several PCP brokers, as a PCP v2 controller (pcp.md §21, pxp.md §15).
 *
 * Each broker is dialled on its own and again after a loss: first after 200 ms, then twice as long each time up to 15
 * s, with jitter. Once open, the broker's inventory of agents is asked for with a subscription; so who is connected
 * where is known here, without asking per node. A message to a node goes to the broker that has it. A ping every 15 s;
 * a broker that answers none for 45 s is given up and dialled again. */
#ifndef DALANG_ORCHESTRATOR_BROKERS_H
#define DALANG_ORCHESTRATOR_BROKERS_H

#include "pxp/body.h"
#include "world/world.h"

struct brokers;

enum {
    BROKERS_BACKOFF_FIRST_MS = 200,
    BROKERS_BACKOFF_MAX_MS = 15000,
    BROKERS_PING_MS = 15000,
    BROKERS_SILENCE_MS = 45000,
    BROKERS_STOP_MS = 2000,
    BROKERS_PENDING_MAX = 8 << 20, /* bytes queued to one broker: beyond that it is busy */
};

struct brokers_opts {
    const char *const *urls; /* wss://host:port[/path]; without a path: /pcp2/controller. Copied. */
    size_t count;            /* at most 32 */
    struct world_tls *tls;
    uint32_t message_max; /* 0: 64 MiB */
    const struct logger *log;
};

struct brokers_handler {
    /* A node became reachable over some broker, or over none any more. Also called for what an inventory answer told.
     */
    void (*on_presence)(void *ctx, struct span node, bool connected);
    /* An answer or PXP error from a node. `r` borrows for the call. */
    void (*on_answer)(void *ctx, struct span node, const struct pxp_response *r);
    /* A broker refused a message of ours (or an agent found it unusable): its id and the text ("Not connected."). */
    void (*on_refused)(void *ctx, struct span message_id, struct span text);
    /* brokers_busy() has become false. */
    void (*on_writable)(void *ctx);
};

struct brokers *brokers_new(struct world *w, const struct brokers_opts *opts, struct error *err); /* "configuration" */
void brokers_set_handler(struct brokers *b, const struct brokers_handler *handler, void *ctx);
void brokers_start(struct brokers *b);
/* Ends the connections in order (close 1000); done when all are closed or after 2 s. */
void brokers_stop(struct brokers *b, void (*done)(void *ctx), void *ctx);
void brokers_free(struct brokers *b); /* drops what is still open */

bool brokers_any_open(const struct brokers *b); /* at least one connection whose inventory is known */
size_t brokers_open_count(const struct brokers *b);

/* Presence of a node. */
struct brokers_node {
    struct span name;
    const char *broker; /* "pcp://<broker's name>/server" */
    int64_t since_ms;   /* wall time when its connection was learnt of */
};
bool brokers_find(const struct brokers *b, struct span node, struct brokers_node *out); /* false: not connected */
size_t brokers_node_count(const struct brokers *b);
/* All connected nodes, in the order they were learnt of. */
void brokers_each(const struct brokers *b, bool (*each)(void *ctx, const struct brokers_node *n), void *ctx);

/* Sends one PXP request; body is the concatenation of parts, one JSON object. message_id: a PCP id (pcp_id_valid),
 * which on_refused repeats. False: the node is not connected, nothing was sent. */
bool brokers_send(struct brokers *b, struct span node, enum pxp_type type, struct span message_id,
                  const struct span *parts, size_t count);

/* Some broker is not taking what was sent so far: hold back new work until on_writable. */
bool brokers_busy(const struct brokers *b);

struct brokers_metrics {
    uint64_t connects, losses, messages_in, messages_out, bytes_in, bytes_out, refused, malformed;
};
const struct brokers_metrics *brokers_metrics(const struct brokers *b);

#endif
