/* A fleet over the ranks of an MPI job (built with -DDALANG_MPI=ON): each rank runs its part; all begin together, agree
 * on when to stop, and add up what they have counted in rank 0, which alone watches and reports.
 *
 * Every few hundred milliseconds the ranks take part in a round: what they counted is reduced to rank 0, and whether
 * one of them wants to stop is told to all. Rounds do not block: the agents go on meanwhile. */
#ifndef DALANG_FLEET_RANKS_H
#define DALANG_FLEET_RANKS_H

#include "simulator/dalang/fleet_command.h"

/* Was this process started by mpirun, srun or the like, as one of several? */
bool fleet_ranks_launched(void);
/* Before anything else. Error kind "configuration": built without MPI. */
bool fleet_ranks_begin(struct fleet_args *a, struct error *err); /* sets part and parts */
/* Do all ranks have what they need? Then returns true in all of them at the same time. False: one had not. */
bool fleet_ranks_ready(bool here);
void fleet_ranks_end(void); /* after anything else */

struct fleet_ranks;
/* here: this rank's own part. stop: all have agreed to stop now. */
struct fleet_ranks *fleet_ranks_new(struct world *w, const struct fleet_source *here, void (*stop)(void *ctx),
                                    void *ctx);
void fleet_ranks_want_stop(struct fleet_ranks *r);
/* In rank 0: what all have counted, as of the last round. */
void fleet_ranks_add_to(void *r, struct tally *sum);
/* The last round, once this rank's agents have stopped. Blocks until all ranks are there. */
void fleet_ranks_finish(struct fleet_ranks *r);
void fleet_ranks_free(struct fleet_ranks *r); /* NULL is fine */

#endif
