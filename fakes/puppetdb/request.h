/* Parameters of a query, from the URL or a JSON body (puppetdb.md §3). */
#ifndef DALANG_FAKES_PUPPETDB_REQUEST_H
#define DALANG_FAKES_PUPPETDB_REQUEST_H

#include "internal.h"
#include "pql/plan.h"

enum {
    PARAMS_TYPICAL = 1,  /* query, paging, pretty, … */
    PARAMS_ROOT = 2,     /* ast_only; query is required and may be PQL */
    PARAMS_DISTINCT = 4, /* distinct_resources and its times */
    PARAMS_COUNTS = 8,   /* summarize_by (required), count_by, counts_filter */
    PARAMS_SINGLE = 16,  /* only what a single object takes */
    PARAMS_NO_PAGING = 32,
};

struct query_request {
    json_t *query;         /* the AST; NULL: none */
    json_t *order_by;      /* [[field, direction], …] or NULL */
    int64_t limit, offset; /* PLAN_NO_LIMIT: not given */
    bool include_total, ast_only, pretty, explain, facts_expiration, package_inventory;
    bool distinct;
    int64_t distinct_from_ms, distinct_to_ms;
    char *summarize_by, *count_by;
    json_t *counts_filter;
};

/* False after setting err: kinds of query_text.h and "puppetdb/request" (400). */
bool request_read(struct http_exchange *ex, unsigned params, struct query_request *out, struct error *err);
void request_free(struct query_request *r);

#endif
