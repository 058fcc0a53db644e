/* Sends PuppetDB what agents would: reports of made-up Puppet runs as its terminus does, and, for orchestrators that
 * find nodes through it, facts and the news that a node is gone. Some at a time, over a few connections that are kept;
 * each is tried once. */
#ifndef DALANG_FLEET_REPORTS_H
#define DALANG_FLEET_REPORTS_H

#include "base/json.h"
#include "world/world.h"

enum { REPORTS_LINES = 4, REPORTS_ON_A_LINE = 16, REPORTS_WAITING_MAX = 100000 };

enum reports_command { REPORTS_STORE, REPORTS_FACTS, REPORTS_DEACTIVATE, REPORTS_COMMANDS };

struct reports;
/* url: base of PuppetDB. tls outlives it. */
struct reports *reports_new(struct world *w, const char *url, struct world_tls *tls);
void reports_free(struct reports *r); /* what waits is dropped; NULL is fine */
/* payload: "store report" 8, "replace facts" 5 or "deactivate node" 3; borrowed. */
void reports_send(struct reports *r, enum reports_command command, const char *certname, const json_t *payload);
struct reports_counts {
    uint64_t sent[REPORTS_COMMANDS], failed[REPORTS_COMMANDS];
    uint64_t waiting; /* of all, those under way too */
};
struct reports_counts reports_counts(const struct reports *r);
const char *reports_last_error(const struct reports *r); /* NULL: none */

#endif
