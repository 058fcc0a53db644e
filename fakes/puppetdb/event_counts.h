/* Events counted by resource, class or node (puppetdb.md §14.16). */
#ifndef DALANG_FAKES_PUPPETDB_EVENT_COUNTS_H
#define DALANG_FAKES_PUPPETDB_EVENT_COUNTS_H

#include "request.h"

/* Append the answer; kinds of errors as of run_query(). */
bool event_counts_write(struct fake_puppetdb *p, const struct query_request *r, struct buf *out, struct error *err);
bool event_counts_write_aggregate(struct fake_puppetdb *p, const struct query_request *r, struct buf *out,
                                  struct error *err);

#endif
