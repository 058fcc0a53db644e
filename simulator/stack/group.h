/* Agents of a fleet that are alike: a scenario's `fleet:` entry, in either world. */
#ifndef DALANG_SIMULATOR_GROUP_H
#define DALANG_SIMULATOR_GROUP_H

#include "pcp/message.h"
#include "simulator/world/dist.h"
#include <jansson.h>

struct agent_group {
    uint32_t count;
    const char *name_format; /* with {n} or {n:WIDTH}, numbers from 1; without it the group has one agent */
    enum pcp_version version;
    const size_t *brokers; /* 0-based, in failover order; NULL: all */
    size_t broker_count;
    const json_t *behaviours; /* or NULL */
    const json_t *facts;      /* merged over the generated ones; or NULL */
    struct dist connect_after_us;
    bool unknown; /* PuppetDB has never heard of them */
};

#endif
