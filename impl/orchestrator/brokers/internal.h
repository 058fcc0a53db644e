/* Private to brokers/: one broker, presence of nodes. */
#ifndef DALANG_ORCHESTRATOR_BROKERS_INTERNAL_H
#define DALANG_ORCHESTRATOR_BROKERS_INTERNAL_H

#include "base/map.h"
#include "net/ws_peer.h"
#include "orchestrator/brokers/brokers.h"

struct presence {
    uint32_t brokers; /* bit i: broker i has it */
    int64_t since_ms;
    struct span name;
    char bytes[];
};

enum broker_state {
    BROKER_DOWN,    /* waits for the next attempt */
    BROKER_DIALING, /* TCP, TLS, upgrade */
    BROKER_ASKING,  /* open, its inventory was asked for */
    BROKER_READY,
    BROKER_CLOSING, /* we ended it */
};

struct broker {
    struct brokers *all;
    uint32_t bit;
    char *host, *path, *type; /* type: ours in the broker's eyes, from the path */
    uint16_t port;
    char *name;   /* "pcp://<its common name>/server", once open */
    char *sender; /* our URI, NULL when our certificate has no name */
    struct ws_peer *peer;
    enum broker_state state;
    uint64_t backoff_ms, heard_us;
    struct timer timer; /* next attempt, or next ping */
    char inventory_id[37];
};

struct brokers {
    struct world *world;
    struct world_tls *tls;
    const struct logger *log;
    uint32_t message_max;
    const struct brokers_handler *handler;
    void *ctx;
    struct broker *items;
    size_t count, open;
    struct map nodes; /* certname → struct presence */
    struct buf scratch, head, inventory;
    struct brokers_metrics metrics;
    bool busy, stopping;
    struct timer stop_timer;
    struct world_task stop_task;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

/* url.c */
bool broker_url_parse(const char *url, struct broker *out, struct error *err); /* kind "configuration" */

/* presence.c */
void presence_set(struct brokers *b, struct span node, uint32_t bit, bool connected);
void presence_drop_broker(struct brokers *b, uint32_t bit); /* its connection is gone: so is all it had */
void presence_free(struct brokers *b);

/* messages.c */
void broker_ask_inventory(struct broker *k);
void broker_on_message(void *ctx, struct ws_peer *p, bool text, struct span payload);

/* brokers.c */
void broker_ready(struct broker *k); /* its inventory has come */

#endif
