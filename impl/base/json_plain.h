/* A quick way through JSON as programs write it. */
#ifndef DALANG_BASE_JSON_PLAIN_H
#define DALANG_BASE_JSON_PLAIN_H

#include "base/bytes.h"
#include <jansson.h>

/* What jansson would make of this text (decoding any value, allowing NUL), or NULL: then only jansson knows, and says
 * what is wrong. NULL for all that is no JSON or nested deeper than `depth_max`, and for some that is: bytes outside
 * ASCII, \u, numbers with a fraction, an exponent or more than 18 digits; with unique_keys, a key that comes twice. */
json_t *json_parse_plain(struct span text, int depth_max, bool unique_keys);

#endif
