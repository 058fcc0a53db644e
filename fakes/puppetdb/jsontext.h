/* JSON text as it is stored and sent: compact, in the given order, numbers as short as they can be read back. */
#ifndef DALANG_FAKES_PUPPETDB_JSONTEXT_H
#define DALANG_FAKES_PUPPETDB_JSONTEXT_H

#include "base/bytes.h"
#include <jansson.h>

enum { REAL_TEXT_LEN = 40 };

void jsontext_append(struct buf *out, const json_t *value);
void jsontext_append_sorted(struct buf *out, const json_t *value); /* keys of objects by bytes */
/* Compact, well-formed JSON text, indented as PuppetDB's "pretty" does. */
void jsontext_append_pretty(struct buf *out, const char *compact);
void jsontext_real(double value, char out[REAL_TEXT_LEN]); /* always with a point or an exponent */

#endif
