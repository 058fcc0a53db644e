/* Downloads that many virtual agents make at once, made once: a network facet whose GET requests of the same URL share
 * one real request while it is under way. Together with a task cache they share (memory_files.h) ten thousand agents
 * fetch a task's file once, not ten thousand times; each still checks its SHA-256 before every run. All else passes
 * through. */
#ifndef DALANG_FLEET_SHARED_FETCH_H
#define DALANG_FLEET_SHARED_FETCH_H

#include "world/world.h"

struct shared_fetch;
/* `below` is the real network; `tls` speaks for all agents (it needs a client certificate); both outlive it. */
struct shared_fetch *shared_fetch_new(struct world *below, struct world_tls *tls);
void shared_fetch_private(struct shared_fetch *s); /* from now on each agent's downloads are its own after all */
void shared_fetch_free(struct shared_fetch *s);    /* after all who use it have cancelled or been answered */
void shared_fetch_join(struct shared_fetch *s, struct world *w); /* sets w's network facet */
uint64_t shared_fetch_requests(const struct shared_fetch *s);    /* real ones so far */

#endif
