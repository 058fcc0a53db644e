/* A network with faults in it: a network facet of world.h over another one, for every actor ("host") of a run. It acts
 * on what connections carry, above TLS and below the cores: links are cut, slow, lossy, narrow; connections are reset,
 * refused, damaged or vanish. Scenarios in the real world, fleets and `dalang up` use it; the simulated world has its
 * own.
 *
 * One end of a connection carries the faults of both directions:
 * - who connects (netfaults_join()); the other end is known by its port;
 * - or who is connected to (netfaults_guard()), wherever the other end may live; that is known by the common name of
 * its certificate, or called "client" when it shows none. TCP and TLS are up by then, so a refused connection is one
 * that ends at once, and over a cut link nothing but handshakes passes. Requests (world_fetch()) of a host that joined
 * are held back, refused or lost as a whole.
 *
 * A slow link reads slowly, so that the queue of who sends really fills up. */
#ifndef DALANG_NETFAULTS_H
#define DALANG_NETFAULTS_H

#include "simulator/world/dist.h"
#include "world/world.h"

enum { NETFAULTS_QUEUE_MAX = 64 * 1024 }; /* bytes that a link takes in each way before it stops reading */
#define NETFAULTS_STRANGER "client"       /* without a certificate */

struct netfaults;
struct netfaults *netfaults_new(struct world *below, uint64_t seed);
void netfaults_free(struct netfaults *n); /* when every actor has ended; NULL is fine */
/* The world of an actor that joined; lives as long as n. */
struct world *netfaults_host(struct netfaults *n, const char *name);
/* The same for one that guards. */
struct world *netfaults_guarded(struct netfaults *n, const char *name);
struct world *netfaults_below(const struct world *host);
/* Gives `w` (an actor's own struct world, with its network facet set) faulty links under that name. */
void netfaults_join(struct netfaults *n, struct world *w, const char *name);
void netfaults_guard(struct netfaults *n, struct world *w, const char *name);
/* Who listens on this port; others are called "". */
void netfaults_port(struct netfaults *n, uint16_t port, const char *name);
/* The other end of some open connection that is called so; lives as long as that. NULL: there is none. */
const char *netfaults_peer(const struct netfaults *n, const char *name);
size_t netfaults_open(const struct netfaults *n); /* connections now */

/* What happens on the way from one actor to another. */
struct link_fault {
    bool cut; /* nothing passes, in either way */
    bool slow;
    struct dist latency_us;
    uint64_t late_us; /* up to so much more, for late_ppm of the pieces */
    uint64_t bytes_per_s;
    uint32_t loss_ppm, corrupt_ppm, refuse_ppm, reset_ppm, late_ppm;
    uint32_t duplicate_ppm; /* nothing of it is seen above TCP: for the simulated world */
    uint32_t share_ppm;     /* connections that it concerns; 0: all */
};

/* WHO is a name, a prefix with "*" behind it ("node-*"), or NULL: anybody. */

/* Number of the rule, for netfaults_drop(). */
uint64_t netfaults_add(struct netfaults *n, const char *from, const char *to, const struct link_fault *fault);
void netfaults_drop(struct netfaults *n, uint64_t rule);
/* Both ends of every connection between them learn of a reset. The number of connections. */
size_t netfaults_reset(struct netfaults *n, const char *a, const char *b);
/* The end of `gone` vanishes without a word: the other learns of it when it sends. */
size_t netfaults_half_close(struct netfaults *n, const char *gone, const char *peer);
/* An actor's wall clock. False: there is no such host. */
bool netfaults_clock(struct netfaults *n, const char *host, int64_t jump_ms);

#endif
