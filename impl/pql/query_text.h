/* The text of a query: PQL, or an AST as JSON (puppetdb.md §3). */
#ifndef DALANG_PQL_QUERY_TEXT_H
#define DALANG_PQL_QUERY_TEXT_H

#include "base/bytes.h"
#include "base/error.h"
#include <jansson.h>

/* Text that begins (after blanks) with "[" is JSON, any other PQL. New reference, or NULL after setting err: kinds of
 * pql.h, or "pql/json" with PuppetDB's text. */
json_t *query_parse(struct span text, struct error *err);
/* JSON only, as on all endpoints but the root. Empty or blank text: NULL without an error. */
json_t *query_parse_json(struct span text, struct error *err);
/* Any JSON value. "pql/json" with PuppetDB's text for what it is not. Empty text: NULL without an error. */
json_t *query_parse_body(struct span text, struct error *err);

#endif
