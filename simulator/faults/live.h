/* Faults on what really runs: the descriptions of faults.h, as far as processes, connections and clocks of one machine
 * can have them. The real world of scenarios and `dalang up` use it. Stopped processes, disks and machines without
 * power belong to the simulated world (kind "fault/unsupported"). */
#ifndef DALANG_SIMULATOR_LIVE_FAULTS_H
#define DALANG_SIMULATOR_LIVE_FAULTS_H

#include "base/json.h"
#include "simulator/netfaults/netfaults.h"

struct live_faults_hooks {
    const char *(*find)(void *ctx, const char *host); /* NULL: there is none of that name */
    const char *(*at)(void *ctx, size_t i);           /* every host, by number; NULL past the end */
    bool (*kill)(void *ctx, const char *host, struct error *err);
    bool (*start)(void *ctx, const char *host, struct error *err);
    bool (*service)(void *ctx, const char *name, const json_t *fault, struct error *err); /* fault NULL: all end */
    bool (*revoke)(void *ctx, const char *name, struct error *err);
    bool (*expire)(void *ctx, const char *name, struct error *err);
    bool (*renew)(void *ctx, const char *name, struct error *err);
    void *ctx;
};
struct live_faults;
struct live_faults *live_faults_new(struct world *w, struct netfaults *net, const struct live_faults_hooks *hooks,
                                    uint64_t seed);
void live_faults_free(struct live_faults *f); /* nothing is healed; NULL is fine */
bool live_faults_apply(struct live_faults *f, const json_t *spec, struct error *err);
/* Ends every fault. False: something could not be started again; it is tried again later. */
bool live_faults_heal(struct live_faults *f, struct error *err);

#endif
