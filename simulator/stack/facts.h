/* Made-up facts of made-up machines: the same for the same name and number, in every run. */
#ifndef DALANG_SIMULATOR_FACTS_H
#define DALANG_SIMULATOR_FACTS_H

#include <jansson.h>
#include <stdint.h>

#define FACTS_ENVIRONMENT "production"
#define FACTS_PRODUCER "puppetserver"

/* PuppetDB's "replace facts" 5 for a node. `extra` (object or NULL) is merged over what is made up. New reference. */
json_t *node_facts(const char *certname, uint32_t number, const json_t *extra, int64_t now_ms);

#endif
