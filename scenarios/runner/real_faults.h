/* Faults in the real world: the descriptions of simulator/faults/faults.h, as far as one process on one machine can
 * have them. Stopped processes and disks belong to the simulated world (kind "fault/unsupported"). */
#ifndef DALANG_SCENARIO_REAL_FAULTS_H
#define DALANG_SCENARIO_REAL_FAULTS_H

#include "base/json.h"
#include "scenarios/runner/fault_net.h"

struct real_faults_hooks {
    bool (*known)(void *ctx, const char *host);
    /* Every host, by number; NULL past the end. */
    const char *(*host_at)(void *ctx, size_t i);
    bool (*kill)(void *ctx, const char *host, struct error *err);
    bool (*start)(void *ctx, const char *host, struct error *err);
    bool (*service)(void *ctx, const char *name, const json_t *fault, struct error *err); /* fault NULL: all end */
    bool (*revoke)(void *ctx, const char *name, struct error *err);
    bool (*renew)(void *ctx, const char *name, struct error *err);
    void *ctx;
};
struct real_faults;
struct real_faults *real_faults_new(struct world *w, struct fault_net *net, const struct real_faults_hooks *hooks,
                                    uint64_t seed);
void real_faults_free(struct real_faults *f);
bool real_faults_apply(struct real_faults *f, const json_t *spec, struct error *err);
bool real_faults_heal(struct real_faults *f, struct error *err);

#endif
