/* Sends the reports of made-up Puppet runs to a PuppetDB as its terminus does, some at a time; each is tried once. */
#ifndef DALANG_FLEET_REPORTS_H
#define DALANG_FLEET_REPORTS_H

#include "base/json.h"
#include "world/world.h"

enum { REPORTS_AT_ONCE = 16, REPORTS_WAITING_MAX = 100000 };

struct reports;
/* url: base of PuppetDB. tls outlives it. */
struct reports *reports_new(struct world *w, const char *url, struct world_tls *tls);
void reports_free(struct reports *r); /* what waits is dropped; NULL is fine */
void reports_send(struct reports *r, const char *certname, const json_t *report); /* "store report" 8; borrowed */
struct reports_counts {
    uint64_t sent, failed, waiting;
};
struct reports_counts reports_counts(const struct reports *r);

#endif
