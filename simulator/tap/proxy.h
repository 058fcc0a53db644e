/* The proxy of a tap: takes TLS connections, asks the broker for one each with a certificate of the same name, and
 * carries the bytes both ways as they come. Neither side's bytes are changed or held back; a slow reader slows its
 * writer down. */
#ifndef DALANG_TAP_PROXY_H
#define DALANG_TAP_PROXY_H

#include "world/certs.h"
#include "world/world.h"

enum { PROXY_PENDING_MAX = 1024 * 1024 }; /* unsent bytes from which on the other side is not read */

struct proxy_link; /* one client's connection and the broker's */

struct proxy_opts {
    struct world_listen listen; /* tls: must ask for certificates */
    struct world_connect to;    /* the broker; credential is set per client */
    struct certs_ca *ca;        /* mints them; NULL: `to` as it is for everyone */
    EVP_PKEY *key;              /* that minted certificates share */
    /* The link's own context is what on_open returns. common_name may be NULL. */
    void *(*on_open)(void *ctx, const char *common_name, const char *remote);
    void (*on_data)(void *link, bool from_client, struct span bytes);
    void (*on_end)(void *link, const char *why);                        /* last */
    void (*on_refused)(void *ctx, const char *remote, const char *why); /* no connection came about */
    void *ctx;
};

struct proxy;
struct proxy *proxy_new(struct world *w, const struct proxy_opts *opts, struct error *err);
uint16_t proxy_port(const struct proxy *p);
void proxy_free(struct proxy *p); /* drops every connection; on_end is called for each */

#endif
