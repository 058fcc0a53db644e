/* Virtual agents over real connections: the real agent core by the thousand, each with a certificate and a TLS
 * connection of its own; programs are made up (behaviour.h) and files live in memory. Uses the clock and network of the
 * world it is given. Certificates are minted in memory from a CA and share one key pair. */
#ifndef DALANG_FLEET_FLEET_H
#define DALANG_FLEET_FLEET_H

#include "pcp/message.h"
#include "simulator/fleet/behaviour.h"
#include "world/certs.h"

struct fleet;

struct fleet_opts {
    struct world *world;            /* the real world */
    struct certs_ca *ca;            /* mints the agents' certificates */
    const char *ca_file, *crl_file; /* what the agents trust; crl_file may be NULL */
    struct world_tls *fetch_tls;    /* with a certificate: downloads of all agents are made with it, each file once */
    const char *const *brokers;     /* "wss://host:port/pcp2/", in failover order; borrowed */
    size_t broker_count;
    const char *const *primaries; /* "https://host:port" of Puppet Servers; borrowed */
    size_t primary_count;
    enum pcp_version version;
    const char *name_format; /* with one %u-like place "{n}" or "{n:04}"; NULL: "node-{n:04}.example.com" */
    uint32_t first, count;   /* agents first … first+count-1 */
    uint32_t per_second;     /* connections started per second; 0: all at once, bounded by FLEET_BURST a turn */
    bool many_sources;       /* source addresses rotate over 127.0.0.0/8, so that ports do not run out */
    const struct behaviours *behaviours; /* borrowed */
    uint64_t seed;
    /* A virtual Puppet run's report, as PuppetDB's "store report" 8; borrowed. May be NULL. */
    void (*report)(void *ctx, const char *node, const json_t *report);
    void *report_ctx;
    const struct logger *log;
};
enum { FLEET_BURST = 64 };

/* The agents exist and start connecting in the turns that follow. Error kinds: those of world_tls_new(), "fleet". */
struct fleet *fleet_new(const struct fleet_opts *opts, struct error *err);
/* Says good-bye to the brokers; done once every connection has ended (or 2 s later). The fleet is freed by then. */
void fleet_stop(struct fleet *f, void (*done)(void *ctx), void *ctx);
void fleet_free(struct fleet *f); /* at once */

struct fleet_counts {
    uint32_t agents, connected;
    uint64_t connects, disconnects, messages, tasks_started, tasks_running;
};
struct fleet_counts fleet_counts(const struct fleet *f);
const char *fleet_name(const struct fleet *f, uint32_t index); /* certname of the index-th, 0-based */

#endif
