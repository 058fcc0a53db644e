/* Shared by behaviour.c, puppet_run.c and roster.c only. */
#ifndef DALANG_FLEET_BEHAVIOUR_INTERNAL_H
#define DALANG_FLEET_BEHAVIOUR_INTERNAL_H

#include "base/map.h"
#include "simulator/fleet/behaviour.h"

struct task_behaviour {
    struct dist takes_us;
    char *out, *err; /* templates; NULL: nothing */
    int status, signal;
    bool unkillable;
};

enum run_status { RUN_UNCHANGED, RUN_CHANGED, RUN_FAILED, RUN_STATUSES };

struct puppet_behaviour {
    struct dist takes_us;
    uint32_t weights[RUN_STATUSES];
    int exit;     /* of puppet itself; not 0: the run could not be completed */
    char *error;  /* error_type of agent.md §17 instead of a run, or NULL */
    bool reports; /* false: the report never reaches PuppetDB */
};

struct behaviours {
    struct map tasks; /* name -> struct task_behaviour * */
    struct puppet_behaviour puppet;
};

/* False: obj has another key; err names it and the nearest known one, after `where` (may be NULL). Kind "behaviour". */
bool behaviour_known_keys(const json_t *obj, const char *where, const char *const *keys, size_t count,
                          struct error *err);

#endif
