/* Inside of sql_*.c. */
#ifndef DALANG_FAKES_PUPPETDB_SQL_EXPR_H
#define DALANG_FAKES_PUPPETDB_SQL_EXPR_H

#include "sql.h"
#include "sql_map.h"

struct sql_builder {
    struct sql *out;
    struct error *err;
    const struct sql_distinct *distinct; /* of the query itself, not of those within */
    bool negated;                        /* under a "not": what is unknown must stay unknown */
};

void sql_param(struct sql_builder *b, json_t *value); /* appends "?"; steals value */
bool sql_append_expr(struct sql_builder *b, const struct entity *e, const struct plan_expr *x);
/* SELECT of a subquery: exactly the first `columns` of its columns; 0: the ids of the nodes its rows are of. */
bool sql_append_subquery(struct sql_builder *b, const struct plan *p, size_t columns);
/* A call as a value. */
bool sql_append_call(struct sql_builder *b, const struct entity *e, const struct plan_call *call);
/* What stands at a path below a document, as JSON text or null. */
void sql_append_below(struct sql_builder *b, const struct sql_field *f, const struct field_path *path);
bool sql_refuse_operator(struct sql_builder *b, const char *left, const char *op, const char *right);

#endif
