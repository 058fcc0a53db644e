/* Running a query: from a request to the text of its answer. */
#ifndef DALANG_FAKES_PUPPETDB_RUN_H
#define DALANG_FAKES_PUPPETDB_RUN_H

#include "request.h"

/* Appends the answer; *total is -1 unless the request wants it. Kinds of errors as in pql/ast.h, "puppetdb/…". */
bool run_query(struct fake_puppetdb *p, json_t *from_query, const struct query_request *r, struct buf *out,
               int64_t *total, struct error *err);
/* The first row of a query that has at most one, or an empty buffer. */
bool run_single(struct fake_puppetdb *p, json_t *from_query, bool facts_expiration, struct buf *out, struct error *err);
/* Answers with rows as JSON text; total < 0: not asked for. */
void run_respond(struct http_exchange *ex, const struct query_request *r, const struct buf *rows, int64_t total);
/* Runs and answers; `query` is ["from", …]. */
void run_and_respond(struct fake_puppetdb *p, struct http_exchange *ex, json_t *query, const struct query_request *r);

#endif
