/* The AST of a query on its way to a plan (plan.h): taken apart, restricted, checked, expanded. Each step takes and
 * gives plain JSON and changes nothing it was given (puppetdb.md §5, §6, §8; error texts §4).
 *
 * Kinds of errors: "pql/bad-query" (PuppetDB answers 400) and "pql/refused" (what only its database or its own
 * machinery refuses: 500). */
#ifndef DALANG_PQL_AST_H
#define DALANG_PQL_AST_H

#include "base/error.h"
#include "pql/entity.h"
#include <jansson.h>

/* ["from", entity, query?, paging…] taken apart. Borrowed from the query; query may be NULL. */
struct ast_from {
    const char *entity;
    json_t *query;
    json_t *limit, *offset, *order_by; /* NULL: no such clause */
};
bool ast_take_apart(json_t *query, struct ast_from *out, struct error *err);

/* Only active nodes, unless the query speaks of a node's state itself. New reference. */
json_t *ast_restrict_to_active(json_t *query);
/* ["from", …] as the root endpoint sees it: the same, but for entities that know no nodes. New reference. */
json_t *ast_restrict_root(json_t *from_query);
/* AND of a condition with the query, through "from", "extract" and "group_by". Steals `condition`. New reference. */
json_t *ast_add_condition(json_t *query, json_t *condition);

/* Only reports of type agent where the query says nothing of types. `query` is what stands in "from"; may be NULL. New
 * reference or NULL for none. */
json_t *ast_restrict_to_agent_reports(const struct entity *entity, json_t *query);

/* Refuses unknown fields; operators in lower case. New reference. */
json_t *ast_check_fields(const struct entity *entity, json_t *query, struct error *err);
/* Writes short forms out, checks operators and operands. New reference; json null when nothing is left of the query. */
json_t *ast_expand(const struct entity *entity, json_t *query, struct error *err);

/* Small readers used by the steps. */
struct span ast_operator(const json_t *node); /* first element when it is text; empty otherwise */
bool ast_is(const json_t *node, const char *op);
bool ast_is_paging(const json_t *clause);
bool ast_is_simple_operator(struct span op); /* = ~ ~> < <= > >= */

#endif
