/* What the files of netfaults share. */
#ifndef DALANG_NETFAULTS_INTERNAL_H
#define DALANG_NETFAULTS_INTERNAL_H

#include "base/map.h"
#include "simulator/netfaults/netfaults.h"

struct netfaults_host {
    struct world world; /* of netfaults_host() and netfaults_guarded(); net NULL: never asked for */
    struct netfaults *net;
    char *name;
    const struct world_net_ops *below_net;
    void *below_impl;
    int64_t clock_ms;
};

struct netfaults {
    struct world *below;
    struct rng rng;
    struct map hosts; /* name -> struct netfaults_host */
    struct map ports; /* uint16_t -> struct netfaults_host */
    struct list rules;
    uint64_t last_rule;
    struct list conns; /* struct faulty_conn */
};

/* Bytes on their way. */
struct faulty_way {
    struct list pieces;
    size_t queued;
    uint64_t free_us; /* when the link has carried everything so far */
};

/* What only connections need that a fault concerns. */
struct faulty_part {
    struct timer timer; /* the next thing to do */
    struct faulty_way out, in;
    uint64_t open_us;    /* opening: when it is told */
    uint64_t give_up_us; /* beginning, closing: by then at the latest */
    struct world_connect opts;
    char *strings[4]; /* of opts */
    enum world_close_reason why;
    char *text; /* of its end */
    bool beginning, opening, ended;
};

struct faulty_conn {
    struct world_conn base; /* first */
    struct list_link link;
    struct netfaults_host *host; /* that carries the fault */
    const char *peer;
    struct world_conn *below; /* NULL: not yet, or gone */
    struct faulty_part *part; /* NULL: passes everything on at once */
    uint32_t lot;             /* 0 … 999,999: whether a share of the connections has it among them */
    bool own_peer;            /* the name is its own */
    bool opened, paused, below_paused, closing;
    bool ghost_local, ghost_remote; /* whose end has vanished */
    bool deaf;                      /* on_close was called; the other end does not know yet */
};

struct link_fault netfaults_effect(const struct netfaults *n, const char *from, const char *to, uint32_t lot);
struct netfaults_host *netfaults_host_at(const struct netfaults *n, uint16_t port); /* never NULL */

/* conn.c: the network facet's functions */
struct world_conn *faulty_connect(void *impl, struct world *w, const struct world_connect *opts,
                                  const struct world_conn_handler *handler, void *ctx);
/* NULL: it was refused. */
struct world_conn *faulty_accept(struct netfaults_host *host, struct world *w, struct world_conn *below);
void faulty_wake(struct faulty_conn *c); /* the rules have changed */
/* Its end, told in the turn that follows; what is on its way is lost. */
void faulty_end(struct faulty_conn *c, enum world_close_reason why, const char *text);
void faulty_ghost(struct faulty_conn *c, bool local); /* one end vanishes */
void faulty_forget(struct faulty_conn *c);            /* a ghost */

/* fetch.c */
struct world_fetch *faulty_fetch(void *impl, struct world *w, const struct world_fetch_opts *opts,
                                 void (*done)(void *ctx, const struct world_response *r), void *ctx);

#endif
