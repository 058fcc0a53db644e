/* Conditions of a plan judged row by row, over the rows as JSON: nothing of SQL in it. */
#ifndef DALANG_FAKES_PUPPETDB_TESTS_ORACLE_H
#define DALANG_FAKES_PUPPETDB_TESTS_ORACLE_H

#include "pql/plan.h"

enum truth { NO, YES, UNKNOWN };

/* Gives all rows of an entity, with all columns; borrowed. */
struct oracle {
    const json_t *(*rows)(void *ctx, const struct entity *e);
    void *ctx;
};

enum truth oracle_judge(const struct oracle *o, const struct plan_expr *x, const json_t *row);

#endif
