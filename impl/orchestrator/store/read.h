/* Private to store/: how queries are put together and rows taken apart. */
#ifndef DALANG_ORCHESTRATOR_STORE_READ_H
#define DALANG_ORCHESTRATOR_STORE_READ_H

#include "orchestrator/store/internal.h"

/* A query being built: text, then its parameters in order. */
enum { QUERY_PARAMS_MAX = 16 };
struct query {
    struct buf sql;
    struct query_param {
        bool is_text;
        int64_t number;
        struct span text;
    } params[QUERY_PARAMS_MAX];
    int count;
};
void query_int(struct query *q, const char *condition, int64_t value); /* " AND x=?" and its value */
void query_text(struct query *q, const char *condition, struct span value);
/* ORDER BY … */
void query_order(struct query *q, enum store_list list, const struct store_page *page);
/* The same and LIMIT … OFFSET … */
void query_page(struct query *q, enum store_list list, const struct store_page *page);

/* Runs it; row() for each row until it returns false. Frees q. `what` completes "the database cannot …". */
bool query_run(struct store *s, struct query *q, bool (*row)(void *ctx, sqlite3_stmt *stmt), void *ctx,
               const char *what, struct error *err);
/* The single number of SELECT count(*) FROM … with q's parameters; frees q. */
bool query_number(struct store *s, struct query *q, int64_t *out, struct error *err);

void read_numbers32(struct span text, uint32_t *out, size_t count); /* "3,0,17" */
void read_numbers64(struct span text, int64_t *out, size_t count);

#endif
