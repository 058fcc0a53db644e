/* Many PCP connections to one broker from this process, each with a certificate of its own, over the real world.
 * Everything here turns the world's loop until it is done: a bench is a script. */
#ifndef DALANG_BENCH_LOAD_H
#define DALANG_BENCH_LOAD_H

#include "net/ws_peer.h"
#include "pcp/message.h"
#include "world/certs.h"

struct load;

struct load_opts {
    struct world *world;
    const char *url; /* "wss://host:port/pcp2/" (or /pcp/ for version 1) */
    enum pcp_version version;
    struct world_tls *tls; /* trusts the broker's CA */
    struct certs_ca *ca;   /* mints the certificates */
    EVP_PKEY *key;         /* of all of them */
    const char *prefix;    /* names are PREFIX-000001.bench … */
    const char *type;      /* client type; NULL: "agent" */
    bool many_sources;     /* local addresses rotate over 127.0.0.0/8 */
    /* Whole messages of any connection; may be NULL. index is 0-based. */
    void (*on_message)(void *ctx, size_t index, struct span payload);
    void *ctx;
};

/* Error kind "url/malformed", "usage". */
struct load *load_new(const struct load_opts *opts, struct error *err);
void load_free(struct load *l); /* drops all connections at once */

/* Opens connections until there are `count`, at most `in_progress` of them opening at a time (SIZE_MAX: all at once).
 * One that ends before it was open is counted and dialled again. False when the broker cannot be reached, refuses too
 * many, or nothing moves for 30 s: error kind "bench". */
bool load_open(struct load *l, size_t count, size_t in_progress, struct error *err);
void load_shrink(struct load *l, size_t count); /* drops the last ones */
/* Turns the loop for that long. */
void load_idle(struct load *l, uint64_t ms);

struct load_counts {
    size_t connections; /* open now */
    size_t refused;     /* ended before they were open; dialled again */
    size_t lost;        /* ended by the other side after having been open */
};
struct load_counts load_counts(const struct load *l);
const char *load_trouble(const struct load *l); /* why the last one was refused or lost; "" */

struct ws_peer *load_peer(const struct load *l, size_t index); /* NULL: lost */
const char *load_uri(const struct load *l, size_t index);      /* "pcp://NAME/TYPE" */
enum pcp_version load_version(const struct load *l);
struct world *load_world(const struct load *l);

#endif
