/* What agents and compilers of catalogs ask, shared by its files. */
#ifndef DALANG_FAKES_PUPPETSERVER_AGENT_H
#define DALANG_FAKES_PUPPETSERVER_AGENT_H

#include "fakes/puppetserver/server.h"

struct ps_compile {
    const char *certname;
    const struct ps_environment *env;
};

/* The catalog, a new reference; NULL after setting err with the compiler's message. */
json_t *ps_compile(struct ps_request *r, const struct ps_compile *c, struct error *err);
/* Payload of "replace catalog" version 9. */
json_t *ps_catalog_wire(struct ps_request *r, const json_t *catalog, const char *transaction_uuid, const char *job_id);
/* Hands a command on to PuppetDB (steals payload); false after answering 500: PuppetDB is down. */
bool ps_submit(struct ps_request *r, const char *command, int version, const char *certname, json_t *payload);
/* Remembers an agent's facts: {"values", …}. */
void ps_keep_facts(struct ps_request *r, const char *certname, const json_t *facts);
json_t *ps_facts_wire(struct ps_request *r, const char *certname, const char *environment, const json_t *facts);

#endif
