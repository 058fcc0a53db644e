/* Literals of PQL as JSON values (puppetdb.md §13). */
#ifndef DALANG_PQL_VALUES_H
#define DALANG_PQL_VALUES_H

#include "base/bytes.h"
#include "base/error.h"
#include <jansson.h>

/* Decoded as a JSON string. On failure NULL and "pql/escape" with the text PuppetDB's JSON reader gives. */
json_t *pql_value_double_quoted(struct span inside, struct error *err);
json_t *pql_value_single_quoted(struct span inside);              /* only \' is decoded */
json_t *pql_value_integer(struct span digits, struct error *err); /* "pql/number" when it does not fit */
json_t *pql_value_real(struct span number);

#endif
