/* Who is in a fleet: the `fleet:` entries of a scenario file (harness.md §1), or one kind of agent.
 *
 * From JSON (or what a YAML reader made of YAML), one of
 *   {"tasks": …, "puppet_run": …}            what all agents do (behaviour.h)
 *   [entry, …] or {"fleet": [entry, …], …}   several kinds; other keys of a scenario are not looked at
 * entry: {"count": 200, "name": "web-{n:04}.example.com", "pcp": 2, "brokers": ["broker-1", "wss://…"],
 *         "facts": {…}, "trusted": {…}, "known": true, "connect": {"after": <duration>}, "tasks": …, "puppet_run": …}
 * Everything may be left out; count is 1 then. A name without {n} is for one agent. */
#ifndef DALANG_FLEET_ROSTER_H
#define DALANG_FLEET_ROSTER_H

#include "simulator/fleet/behaviour.h"

enum { ROSTER_ENTRIES_MAX = 1000, ROSTER_COUNT_MAX = 1000000, ROSTER_BROKERS_MAX = 16 };

struct roster_entry {
    uint32_t count;
    char *name_format; /* NULL: the default */
    char **names;      /* instead of a format: the caller's to set, name_count of them; freed with the roster */
    size_t name_count;
    int pcp; /* 1, 2; 0: not said */
    char *brokers[ROSTER_BROKERS_MAX];
    size_t broker_count; /* 0: not said */
    struct dist after;   /* microseconds; has_after */
    bool has_after;
    json_t *facts; /* object; trusted ones are in it */
    bool known;    /* PuppetDB is to have their facts */
    struct behaviours *behaviours;
};
struct roster {
    struct roster_entry *entries;
    size_t count;
    bool counted; /* the entries say how many there are; false: one kind without a count */
};

/* spec NULL: one kind with the default behaviour. Error kind "behaviour", naming entry and key. */
bool roster_read(struct roster *r, const json_t *spec, struct error *err);
void roster_free(struct roster *r);
uint64_t roster_agents(const struct roster *r);
/* Sets the counts so that they add up to `agents`, in the proportions they have. */
void roster_scale(struct roster *r, uint64_t agents);

/* Part `part` (0-based) of `parts` nearly equal ones of all agents, in order; what it has of entry `entry`: agents
 * *first … *first+*count-1 of that entry (0-based). */
void roster_slice(const struct roster *r, size_t entry, uint32_t part, uint32_t parts, uint32_t *first,
                  uint32_t *count);

#endif
