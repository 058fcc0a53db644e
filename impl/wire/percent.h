/* Percent-encoding and query strings (RFC 3986; WHATWG form encoding for "+"). Pure. */
#ifndef DALANG_WIRE_PERCENT_H
#define DALANG_WIRE_PERCENT_H

#include "base/bytes.h"

/* Decodes %XX, appended to out; false (out untouched) when a '%' is not followed by two hex digits. */
bool percent_decode(struct buf *out, struct span text);
/* The same for a query: "+" is a space, and a lone '%' stands for itself, so this never fails. */
void query_decode(struct buf *out, struct span text);
/* Everything but letters, digits, "-._~" is encoded. */
void percent_encode(struct buf *out, struct span text);

/* Takes the next "name=value" off *rest, both not yet decoded. Empty parts are skipped; false at the end. */
bool query_next(struct span *rest, struct span *name, struct span *value);
/* Decoded value of the first parameter of that name, mem_free() it; NULL when absent. */
char *query_get(struct span query, const char *name);

#endif
