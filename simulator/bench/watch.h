/* A client that subscribes to a broker's inventory of agents and counts what that costs it. */
#ifndef DALANG_BENCH_WATCH_H
#define DALANG_BENCH_WATCH_H

#include "simulator/bench/load.h"

struct watch {
    struct load *load; /* one connection */
    size_t members;    /* told by the answer to the subscription */
    size_t updates, changes;
    bool answered;
    struct buf scratch;
};
/* opts: as for load_new(), without callbacks. Error kind "bench". Connects, subscribes and waits for the answer. */
bool watch_start(struct watch *w, const struct load_opts *opts, struct error *err);
void watch_reset(struct watch *w); /* counts from zero */
void watch_end(struct watch *w);

#endif
