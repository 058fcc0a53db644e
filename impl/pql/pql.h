/* PQL, PuppetDB's query language for people (puppetdb.md §12-13): text → AST.
 *
 *     nodes[certname]{ facts.role = "web" and !(certname ~ "^db") }
 *
 * The AST is PuppetDB's own: a JSON array ["from", entity, …]. Nothing here knows which fields exist; that is ast.h. */
#ifndef DALANG_PQL_PQL_H
#define DALANG_PQL_PQL_H

#include "base/bytes.h"
#include "base/error.h"
#include <jansson.h>

enum {
    PQL_DEPTH_MAX = 128,             /* nested parentheses, arrays, negations and subqueries */
    PQL_EXPECT_STEPS_MAX = 20000000, /* work spent on finding out what would have been accepted */
};

/* New reference, or NULL after setting err. Kinds:
 *   "pql/syntax"   not in the grammar; msg is PuppetDB's text: position, the line, a caret, what was expected there
 *   "pql/number"   an integer that does not fit 64 bits
 *   "pql/escape"   an escape in double quotes that JSON does not know (PuppetDB answers 500 here, not 400)
 *   "pql/subquery" paging or grouping inside an implicit subquery
 *   "pql/depth"    deeper than PQL_DEPTH_MAX */
json_t *pql_parse(struct span text, struct error *err);

/* The text for people of a syntax error; only for text that pql_parse() refuses with "pql/syntax". mem_free() it.
 * NULL when the text is in the grammar after all. */
char *pql_explain(struct span text);

#endif
