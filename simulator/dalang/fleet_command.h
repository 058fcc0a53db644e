/* Inside of `dalang fleet`: its options, and the three who can run a fleet: this process, child processes, MPI ranks.
 * Whoever runs it is a `fleet_source` to the one who watches (fleet_watch.h). */
#ifndef DALANG_FLEET_COMMAND_H
#define DALANG_FLEET_COMMAND_H

#include "base/option.h"
#include "simulator/fleet/roster.h"
#include "simulator/fleet/tally.h"
#include "world/world.h"

enum { FLEET_AGENTS_MAX = 1000000, FLEET_PROCESSES_MAX = 256 };

struct fleet_args {
    struct option_list brokers, primaries;
    const char *ca, *ca_key, *crl, *certs, *cert, *key, *name, *behaviour, *puppetdb, *log_file, *metrics, *churn_text,
        *slow_agents_text, *part_text, *storage;
    uint64_t agents, first, rate, pcp, seed, for_ms, processes, storm_every_ms, storm_down_ms, restart_every_ms,
        slow_link, link_delay_ms;
    bool json, own_keys, external, reference, die_with_parent;
    /* derived */
    uint32_t churn_per_million, slow_per_million;
    uint32_t part, parts; /* which of how many this process runs */
    bool is_child;        /* prints tallies for its parent instead of a status */
};

struct fleet_source {
    void *ctx;
    void (*add_to)(void *ctx, struct tally *sum);
    void (*restart_all)(void *ctx);
    void (*storm)(void *ctx);
    /* Says good-bye; done once it is over. */
    void (*stop)(void *ctx, void (*done)(void *ctx), void *done_ctx);
};

/* ---- fleet_options.c */

const struct command_line *fleet_line(struct fleet_args *a); /* a NULL: only to describe it */
/* Checks what belongs together and fills in what is derived. Error kind "usage". */
bool fleet_args_check(struct fleet_args *a, struct error *err);
bool fleet_brokers_are_loopback(const struct fleet_args *a);

/* ---- fleet_here.c: the agents of one process */

struct fleet_here;
/* Who the agents are, from --behaviour, --agents and --certs. Error kinds "behaviour", "scenario", "usage", "world/…".
 */
bool fleet_read_roster(const struct fleet_args *a, struct world *w, struct roster *out, struct error *err);
/* Part a->part of a->parts of them. The roster is borrowed. Error kinds: those of fleet_new(), "certs/…". */
struct fleet_here *fleet_here_new(const struct fleet_args *a, struct world *w, const struct roster *roster,
                                  const struct logger *log, struct error *err);
struct fleet_source fleet_here_source(struct fleet_here *h);
void fleet_here_free(struct fleet_here *h);

/* ---- fleet_children.c: parts in processes of their own */

struct fleet_children;
/* argv: of this program, for the same options; each child gets "--part K/N", too. failed: a child ended that was not
 * told to, or with an error (its text is in err, to be cleared by the callee). */
struct fleet_children *fleet_children_new(struct world *w, int argc, char *const argv[], uint32_t count,
                                          void (*failed)(void *ctx, struct error *err), void *ctx);
struct fleet_source fleet_children_source(struct fleet_children *c);
void fleet_children_free(struct fleet_children *c);

#endif
