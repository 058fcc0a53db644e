/* From a plan to SQL over the store's tables. */
#ifndef DALANG_FAKES_PUPPETDB_SQL_H
#define DALANG_FAKES_PUPPETDB_SQL_H

#include "base/bytes.h"
#include "base/error.h"
#include "pql/plan.h"
#include <jansson.h>

/* How a column of the answer is written. */
enum row_kind {
    ROW_TEXT,
    ROW_BOOLEAN,
    ROW_NUMBER,
    ROW_TIME, /* milliseconds */
    ROW_JSON, /* JSON text */
};

struct row_column {
    const char *name; /* borrowed from the plan or static */
    enum row_kind kind;
};

enum { ROW_COLUMNS_MAX = 128 };

struct sql {
    struct buf text;
    json_t *params; /* in order */
    struct row_column columns[ROW_COLUMNS_MAX];
    size_t column_count;
};

/* Of events only the last one of each resource, among those between the two times. */
struct sql_distinct {
    int64_t from_ms, to_ms;
};

/* False after setting err: kind "puppetdb/regex" (PuppetDB answers 400) or "pql/refused" (500). */
bool sql_build(const struct plan *p, const struct sql_distinct *distinct, struct sql *out, struct error *err);
/* `distinct` may be NULL. The same without order, limit and offset, counting rows. */
bool sql_build_count(const struct plan *p, const struct sql_distinct *distinct, struct sql *out, struct error *err);
void sql_free(struct sql *s);

#endif
