/* Hashes as PuppetDB computes them: SHA-1 over JSON with sorted keys, so that what the fake stores is found under the
 * name the real one gives it. */
#ifndef DALANG_FAKES_PUPPETDB_HASH_H
#define DALANG_FAKES_PUPPETDB_HASH_H

#include <jansson.h>

enum { HASH_HEX_LEN = 40 };

void hash_of_json(const json_t *value, char out[HASH_HEX_LEN + 1]);
/* Of a resource: its type, title and parameters. */
void hash_of_resource(const json_t *resource, char out[HASH_HEX_LEN + 1]);
/* Of facts: certname, environment, values, packages. */
void hash_of_facts(const json_t *payload, char out[HASH_HEX_LEN + 1]);
void hash_of_catalog(const json_t *payload, char out[HASH_HEX_LEN + 1]);
void hash_of_report(const json_t *payload, char out[HASH_HEX_LEN + 1]);

#endif
