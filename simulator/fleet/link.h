/* What lies between a fleet and its brokers: a network facet of world.h over another one that can be slow (bytes per
 * second, delay; for some of the agents) and can go away (every connection is reset, new ones are refused for a while).
 * It acts on what the connections carry, above TLS: a slow link reads slowly, so that the broker's side of the socket
 * really fills up. Downloads pass through untouched. */
#ifndef DALANG_FLEET_LINK_H
#define DALANG_FLEET_LINK_H

#include "world/world.h"

enum { LINK_QUEUE_MAX = 64 * 1024 }; /* bytes a slow link takes in before it stops reading */

struct fleet_links_opts {
    struct world *below;       /* the real network and its clock; borrowed */
    uint64_t bytes_per_s;      /* in each direction; 0: no limit */
    uint64_t delay_ms;         /* of a byte on its way, in each direction */
    uint32_t slow_per_million; /* connections that are so; 0: all of them */
};
struct fleet_links;
struct fleet_links *fleet_links_new(const struct fleet_links_opts *opts);
void fleet_links_free(struct fleet_links *l);                  /* when every connection has ended; NULL is fine */
void fleet_links_join(struct fleet_links *l, struct world *w); /* sets w's network facet */
/* Resets all connections now and refuses new ones for down_ms. During an outage: makes it last at least as long. */
void fleet_links_cut(struct fleet_links *l, uint64_t down_ms);
size_t fleet_links_open(const struct fleet_links *l); /* connections now */

#endif
