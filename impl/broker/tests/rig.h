/* A broker and its clients in the simulated world. */
#ifndef DALANG_BROKER_TESTS_RIG_H
#define DALANG_BROKER_TESTS_RIG_H

#include "base/log.h"
#include "broker/broker.h"
#include "net/ws_peer.h"
#include "simulator/world/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define INVENTORY_REQUEST "http://puppetlabs.com/inventory_request"
#define ASSOCIATE_REQUEST "http://puppetlabs.com/associate_request"
#define ID1 "11111111-1111-4111-8111-111111111111"
#define ID2 "22222222-2222-4222-8222-222222222222"

enum { RIG_CLIENTS_MAX = 64 };

struct received {
    struct list_link link;
    bool text;
    struct buf bytes;
};

struct client {
    struct rig *rig;
    struct ws_peer *ws; /* NULL: never was or is over */
    bool open, closed;
    uint16_t code; /* of the close */
    char *reason;
    struct list inbox;        /* struct received */
    struct received *current; /* what client_next() returned last */
    size_t pings;
};

struct rig {
    struct sim *sim;
    struct world *world; /* the broker's */
    struct broker *broker;
    struct broker_config config;
    struct broker_loggers loggers;
    struct logger main, access, http;
    struct buf log; /* every line of every logger: "name level type message key=value …\n" */
    uint16_t port;
    struct client *clients[RIG_CLIENTS_MAX];
    size_t client_count;
};

/* Everyone may send everything. */
extern const char rig_rules_open[];

/* configure (may be NULL) changes the configuration before the broker is made; rules NULL: rig_rules_open. The broker
 * listens on host "broker" and is started. */
struct rig *rig_new(void (*configure)(struct broker_config *c), const char *rules);
struct rig *rig_new_stopped(void (*configure)(struct broker_config *c), const char *rules); /* not started */
void rig_free(struct rig *r); /* checks that nothing is left behind */
struct rules *rig_rules(const char *text);
void rig_run_ms(struct rig *r, uint64_t ms);
bool rig_logged(const struct rig *r, const char *text);

/* A client whose certificate has this CN (NULL: none), on a host of its own. Returns once it is open or over. */
struct client *client_connect(struct rig *r, const char *common_name, const char *path);
/* With handlers of its own on a given host, not waiting. */
struct client *client_dial(struct rig *r, struct world *host, struct world_tls *tls, const char *path);
struct world *client_host(struct rig *r, const char *common_name);
struct world_tls *client_tls(struct rig *r, const char *common_name);
void client_text(struct client *c, const char *text);
void client_binary(struct client *c, struct span bytes);
/* {"id","message_type","target"?,"data"?} */
void client_send(struct client *c, const char *id, const char *type, const char *target, const char *data);
/* The next message: waits up to 3 s. NULL when none comes. Valid until the next call for this client. */
const struct received *client_next(struct client *c);
json_t *client_next_json(struct client *c); /* of a text message; asserts that one comes; owned by the caller */
void client_expect_error(struct client *c, const char *description, const char *in_reply_to);
bool client_silent(struct client *c, uint64_t ms); /* nothing comes for so long */
bool client_wait_closed(struct client *c);         /* up to 10 s */
void client_close(struct client *c);               /* in order, and waits */
/* Sends an inventory request and returns "uri uri …" of the response. mem_free() it. */
char *client_inventory(struct client *c, const char *query_json, bool subscribe);

#endif
