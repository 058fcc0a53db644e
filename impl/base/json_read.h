/* Inside of base: JSON text to values, quickly. What it does not like it leaves to jansson, which knows best what is
 * wrong and where; what it takes it reads as jansson does. */
#ifndef DALANG_BASE_JSON_READ_H
#define DALANG_BASE_JSON_READ_H

#include "base/json.h"

/* NULL: not JSON, nested deeper than JSON_DEPTH_MAX, a number too large, or (unique_keys) an object with a repeated
 * key: parse it again to learn which. */
json_t *json_read(struct span text, bool unique_keys);

#endif
