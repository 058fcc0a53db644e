/* Inside of plan_*.c. */
#ifndef DALANG_PQL_PLAN_BUILD_H
#define DALANG_PQL_PLAN_BUILD_H

#include "pql/plan.h"

struct plan *plan_new(const struct entity *e);
void plan_expr_free(struct plan_expr *x);

/* NULL after setting err. */
struct plan_expr *plan_expr_build(const struct entity *e, json_t *node, struct error *err);
/* The subquery behind "in". */
struct plan *plan_source_build(json_t *source, struct error *err);

/* Puts columns, functions and grouping of ["extract", …] into the plan and gives its condition (borrowed, may be NULL).
 */
bool plan_extract(struct plan *p, json_t *extract, json_t **condition, struct error *err);
bool plan_add_column(struct plan *p, const json_t *column, struct error *err);
bool plan_page(struct plan *p, const json_t *order_by, const json_t *limit, const json_t *offset, struct error *err);
/* projected: among the columns, not in a condition. */
bool plan_call_parse(const struct entity *e, const json_t *function, bool projected, struct plan_call *out,
                     struct error *err);

/* What PuppetDB says of a clause it can make nothing of. */
bool plan_no_such_clause(struct error *err);

#endif
