/* Watching a fleet: what it has counted, ten times a second; the line on a terminal, the Prometheus endpoint, outages
 * and how long they lasted, and the report at the end. */
#ifndef DALANG_FLEET_WATCH_H
#define DALANG_FLEET_WATCH_H

#include "simulator/dalang/fleet_command.h"

struct fleet_watch;
/* agents: how many there will be. Error kinds: "usage", and those of world_listen(), for --metrics. */
struct fleet_watch *fleet_watch_new(const struct fleet_args *a, struct world *w, const struct fleet_source *source,
                                    uint64_t agents, uint32_t processes, struct error *err);
/* The last look before good-byes: what is connected and how much memory it takes is as it is now. */
void fleet_watch_before_end(struct fleet_watch *v);
/* Prints the report. False: no agent ever connected. */
bool fleet_watch_report(struct fleet_watch *v);
void fleet_watch_free(struct fleet_watch *v); /* NULL is fine */

#endif
