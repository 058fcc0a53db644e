/* Once a day: old jobs are deleted, and how many nodes are managed is counted (orchestrator-jobs.md §12.1,
 * orchestrator-api.md §11.2). */
#ifndef DALANG_ORCHESTRATOR_RETENTION_H
#define DALANG_ORCHESTRATOR_RETENTION_H

#include "orchestrator/orchestrator.h"

enum {
    PRUNE_BATCH = 50,           /* jobs deleted in one transaction */
    PRUNE_FIRST_MS = 60 * 1000, /* after the start */
};

struct retention;
/* Both parts outlive it. services NULL: nodes are not counted. */
struct retention *retention_new(struct world *w, const struct orchestrator_config *config, struct store *store,
                                struct services *services, const struct logger *log);
void retention_free(struct retention *r);

#endif
