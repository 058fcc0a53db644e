/* What the files of fault_net share. */
#ifndef DALANG_SCENARIO_FAULT_NET_INTERNAL_H
#define DALANG_SCENARIO_FAULT_NET_INTERNAL_H

#include "base/map.h"
#include "scenarios/runner/fault_net.h"

struct fault_host {
    struct world world; /* of fault_net_host(); net NULL: never asked for */
    struct fault_net *net;
    char *name;
    const struct world_net_ops *below_net;
    void *below_impl;
    int64_t clock_ms;
};

struct link_rule {
    struct list_link link;
    uint64_t number;
    char *from, *to; /* NULL: any */
    struct link_fault fault;
};

struct fault_net {
    struct world *below;
    struct rng rng;
    struct map hosts; /* name -> struct fault_host */
    char **ports;     /* who listens there */
    struct list rules;
    uint64_t last_rule;
    struct list conns; /* struct fault_conn */
};

/* A piece on its way. */
struct fault_chunk {
    struct list_link link;
    uint64_t due_us;
    size_t len;
    char bytes[];
};
struct fault_way {
    struct list chunks;
    uint64_t free_us; /* when the line has carried everything so far */
    struct timer timer;
};

struct fault_conn {
    struct world_conn base;
    struct list_link link;
    struct fault_host *host; /* that connects */
    const char *to;
    struct world_conn *below; /* NULL: not yet, or gone */
    struct world_connect opts;
    char *strings[4]; /* of opts */
    struct fault_way out, in;
    struct timer end_timer;
    uint64_t give_up_us; /* of a connection that cannot begin */
    bool opened, ghost_local, ghost_remote;
    bool ending; /* on_close is due */
    enum world_close_reason why;
    char *text;
    bool closing; /* world_conn_close() was called */
    uint64_t flush_ms;
    struct world_task end_task;
};

extern const struct world_net_ops fault_net_ops;
struct link_fault fault_net_effect(const struct fault_net *n, const char *from, const char *to);
void fault_conn_wake(struct fault_conn *c); /* the rules have changed */
/* Its end at once: below is aborted, on_close follows. */
void fault_conn_end(struct fault_conn *c, enum world_close_reason why, const char *text);
void fault_conn_drop(struct fault_conn *c);
/* One end vanishes; local: that of who connected. */
void fault_conn_ghost(struct fault_conn *c, bool local);

#endif
