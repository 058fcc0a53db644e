/* Capabilities: what their types hold, and where PuppetDB has one (application-orchestration.md §3.1, §3.2). */
#ifndef DALANG_FAKES_PUPPETSERVER_CAPABILITIES_H
#define DALANG_FAKES_PUPPETSERVER_CAPABILITIES_H

#include "fakes/puppetserver/app_build.h"
#include "fakes/puppetserver/app_catalog.h"

/* The resource that PuppetDB holds for "Shopdb[db-eu]", a new reference; NULL after setting err. */
json_t *capability_find(const struct app_node *node, const char *environment, const char *reference, struct error *err);
/* The names of the type's parameters but "name", as its Ruby file declares them; a new array. */
json_t *capability_parameters(struct build *b, const char *type);

#endif
