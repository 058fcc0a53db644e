/* The wire forms of commands: which keys a payload must and may have (puppetdb.md §16). */
#ifndef DALANG_FAKES_PUPPETDB_PAYLOAD_H
#define DALANG_FAKES_PUPPETDB_PAYLOAD_H

#include "base/error.h"
#include <stdint.h>

/* Of the newest versions every key is looked at, as PuppetDB does; of older ones nothing, they lack some. Error kind
 * "puppetdb/payload". */
bool payload_check(const char *command, int64_t version, const json_t *payload, struct error *err);

#endif
