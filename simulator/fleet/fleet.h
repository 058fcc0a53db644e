/* Virtual agents over real connections: the real agent core by the thousand, each with a certificate and a TLS
 * connection of its own; programs are made up (behaviour.h) and files live in memory. Uses the clock and network of the
 * world it is given. */
#ifndef DALANG_FLEET_FLEET_H
#define DALANG_FLEET_FLEET_H

#include "pcp/message.h"
#include "simulator/fleet/behaviour.h"
#include "simulator/fleet/credentials.h"
#include "simulator/fleet/tally.h"

struct fleet;

struct fleet_opts {
    struct world *world;             /* the real world */
    struct certs_ca *ca;             /* mints the agents' certificates, with one key pair; or NULL, and then: */
    struct credentials *credentials; /* where they come from; borrowed, until the fleet exists */
    const char *ca_file, *crl_file;  /* what the agents trust; crl_file may be NULL */
    struct world_tls *fetch_tls;     /* with a certificate: downloads of all agents are made with it, each file once */
    const char *const *brokers;      /* "wss://host:port/pcp2/", in failover order; borrowed */
    size_t broker_count;
    const char *const *primaries; /* "https://host:port" of Puppet Servers; borrowed */
    size_t primary_count;
    enum pcp_version version;
    const char *name_format;  /* with one %u-like place "{n}" or "{n:04}"; NULL: "node-{n:04}.example.com"; without it:
                                 one agent */
    const char *const *names; /* instead of name_format: their names, the first agent's first; borrowed */
    uint32_t first, count;    /* agents first … first+count-1 */
    uint32_t per_second;      /* connections started per second; 0: all at once, bounded by FLEET_BURST a turn */
    const struct dist *after; /* each agent waits so long (microseconds, drawn) before its first attempt; or NULL */
    const char *storage; /* directory in which each agent keeps its own files, synced to disk, with downloads of its
                          * own; NULL: in memory, shared */
    bool many_sources;   /* source addresses rotate over 127.0.0.0/8, so that ports do not run out */
    uint32_t churn_per_million;               /* of the agents that end and start again per minute */
    uint64_t link_bytes_per_s, link_delay_ms; /* of slow links; 0: as fast as it goes */
    uint32_t link_slow_per_million;           /* agents that have them; 0: all */
    bool reference; /* agents that connect, and lose what they cannot send, as the reference does */
    const struct behaviours *behaviours; /* borrowed */
    uint64_t seed;
    /* A virtual Puppet run's report, as PuppetDB's "store report" 8; borrowed. May be NULL. */
    void (*report)(void *ctx, const char *node, const json_t *report);
    void *report_ctx;
    const struct logger *log;
};
enum {
    FLEET_BURST = 64,
    FLEET_RESTART_MS = 1000, /* from an agent's end to its next start */
    FLEET_PER_SOURCE = 200,  /* agents that share a source address: far below the 28,000 ports each has */
};

/* The agents exist and start connecting in the turns that follow. Error kinds: those of world_tls_new() and
 * credentials_for(), "fleet". */
struct fleet *fleet_new(const struct fleet_opts *opts, struct error *err);
/* Says good-bye to the brokers; done once every connection has ended (or 5 s later). The fleet is freed by then. */
void fleet_stop(struct fleet *f, void (*done)(void *ctx), void *ctx);
void fleet_free(struct fleet *f); /* at once */

/* Every agent ends (with good-bye) and starts again a second later, as after an upgrade of the agents. What they
 * were running goes on; the agents find it again. */
void fleet_restart_all(struct fleet *f);
/* Every agent loses its connection at once, without a word; for down_ms the brokers cannot be reached. */
void fleet_storm(struct fleet *f, uint64_t down_ms);

/* One of them, by name. False (NULL): there is none of that name.
 * Its end, as by kill -9: at once, without good-bye; what it was running goes on. */
bool fleet_kill(struct fleet *f, const char *name);
bool fleet_start(struct fleet *f, const char *name);              /* again, when it was killed */
X509 *fleet_certificate(const struct fleet *f, const char *name); /* X509_free() it */
/* Another certificate, taken over; who is up ends, and starts again with it. */
bool fleet_renew(struct fleet *f, const char *name, struct real_credential *credential);

/* Adds what this fleet has counted so far. */
void fleet_add_to(const struct fleet *f, struct tally *sum);
uint32_t fleet_connected(const struct fleet *f);
const char *fleet_name(const struct fleet *f, uint32_t index); /* certname of the index-th, 0-based */

#endif
