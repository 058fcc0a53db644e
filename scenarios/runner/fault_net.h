/* The real world's network with faults in it: a network facet of world.h over the real one, one for each actor ("host")
 * of a run. It acts on what connections carry, above TLS and below the cores: links are cut, slow, lossy, narrow;
 * connections are reset, refused, damaged or vanish. The actor that connects carries the fault for both directions; who
 * it connects to is known by the port. Requests (world_fetch) are held back, refused or lost as a whole.
 * Also moves an actor's wall clock. */
#ifndef DALANG_SCENARIO_FAULT_NET_H
#define DALANG_SCENARIO_FAULT_NET_H

#include "simulator/world/dist.h"
#include "world/world.h"

struct fault_net;
struct fault_net *fault_net_new(struct world *below, uint64_t seed);
void fault_net_free(struct fault_net *n); /* when every actor has ended */
/* The world of an actor; lives as long as n. */
struct world *fault_net_host(struct fault_net *n, const char *name);
struct world *fault_net_below(const struct world *host);
/* Gives `w` (an actor's own struct world, with its network facet set) faulty links under that name. */
void fault_net_join(struct fault_net *n, struct world *w, const char *name);
/* Who listens on this port. */
void fault_net_port(struct fault_net *n, uint16_t port, const char *name);

/* What happens on the way from one actor to another. NULL: any. */
struct link_fault {
    bool cut;
    bool slow;
    struct dist latency_us;
    uint64_t late_us; /* up to so much more, for some */
    uint64_t bytes_per_s;
    uint32_t loss_ppm, corrupt_ppm, refuse_ppm, reset_ppm;
};
/* Number of the rule, for fault_net_drop(). */
uint64_t fault_net_add(struct fault_net *n, const char *from, const char *to, const struct link_fault *fault);
void fault_net_drop(struct fault_net *n, uint64_t rule);
/* Both ends of every connection between them learn of a reset; b NULL: with anyone. */
size_t fault_net_reset(struct fault_net *n, const char *a, const char *b);
/* The end of `gone` vanishes without a word: the other learns of it when it sends. */
size_t fault_net_half_close(struct fault_net *n, const char *gone, const char *peer);
void fault_net_clock(struct fault_net *n, const char *host, int64_t jump_ms);

#endif
