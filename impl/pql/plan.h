/* A checked query: what to look at, what to keep, what to show. Whoever holds the data turns it into SQL or walks it.
 */
#ifndef DALANG_PQL_PLAN_H
#define DALANG_PQL_PLAN_H

#include "base/error.h"
#include "pql/entity.h"
#include "pql/fieldpath.h"
#include <jansson.h>

enum plan_compare { PLAN_EQ, PLAN_LT, PLAN_LE, PLAN_GT, PLAN_GE };

enum plan_function { PLAN_COUNT, PLAN_AVG, PLAN_SUM, PLAN_MIN, PLAN_MAX, PLAN_TO_STRING, PLAN_TYPEOF };

struct plan_call {
    enum plan_function function;
    const struct field *field; /* NULL: all rows, count() */
    char *mask;                /* of to_string */
};

enum plan_op {
    PLAN_AND,
    PLAN_OR,
    PLAN_NOT,
    PLAN_COMPARE,       /* field compare value; timestamps: value is milliseconds */
    PLAN_MATCH,         /* text of the field contains a match of the pattern `value` */
    PLAN_ONE_OF,        /* field is one of the array `value`; timestamps: milliseconds */
    PLAN_HOLDS,         /* the array field holds the text `value` */
    PLAN_HOLDS_MATCH,   /* one of its texts matches */
    PLAN_IS_NULL,       /* field (or path below it) is null; value true or false */
    PLAN_PATH_ONE_OF,   /* the path is one of the arrays in `value` */
    PLAN_PATH_MATCH,    /* element by element a pattern or an index: array `value` */
    PLAN_BELOW_EQ,      /* the document holds `value` at `path` (jsonb containment) */
    PLAN_BELOW_COMPARE, /* what stands at `path` compares with `value` */
    PLAN_BELOW_MATCH,   /* its text matches */
    PLAN_CALL_COMPARE,  /* function compare value */
    PLAN_IN,            /* the fields, as a row, are among the subquery's rows */
    PLAN_NOTHING,       /* false */
};

struct plan_expr {
    enum plan_op op;
    enum plan_compare compare;
    const struct field *field;
    struct field_path path; /* PLAN_BELOW_…, PLAN_IS_NULL: parts[0] is the field */
    json_t *value;
    struct plan_call call;
    const struct field **fields; /* PLAN_IN */
    size_t field_count;
    struct plan *query;
    struct plan_expr **operands; /* PLAN_AND, PLAN_OR, PLAN_NOT */
    size_t operand_count;
};

/* A column of the answer: a field, or what stands below it. */
struct plan_column {
    char *name; /* as written, key of the answer */
    const struct field *field;
    struct field_path path; /* count 0 or 1: the whole field */
};

struct plan_group {
    char *name; /* as written; of a function its name in the answer */
    bool is_call;
    struct plan_call call; /* is_call: the function as written, or as projected where only its name was given */
    const struct field *field;
    struct field_path path;
};

struct plan_order {
    const struct field *field;
    bool descending;
};

enum { PLAN_NO_LIMIT = -1 };

struct plan {
    const struct entity *entity;
    struct plan_column *columns;
    size_t column_count;
    struct plan_call *calls;
    size_t call_count;       /* no columns and no calls: every field that is not hidden */
    struct plan_expr *where; /* NULL: every row */
    struct plan_group *groups;
    size_t group_count;
    struct plan_order *orders;
    size_t order_count;
    int64_t limit, offset; /* PLAN_NO_LIMIT, 0 */
};

/* Paging as request parameters gave it; clauses in the query go before it. */
struct plan_paging {
    json_t *order_by;      /* [[field, "asc"|"desc"], …] or NULL; borrowed */
    int64_t limit, offset; /* PLAN_NO_LIMIT: not given */
};

struct plan_options {
    struct plan_paging paging;
    bool facts_expiration;  /* nodes with their expiration columns */
    bool package_inventory; /* factsets with their packages */
};

/* Of a query ["from", …]. NULL after setting err; kinds as in ast.h. */
struct plan *plan_build(json_t *query, const struct plan_options *options, struct error *err);
void plan_free(struct plan *p);

const char *plan_function_name(enum plan_function f); /* "to_string" */
/* Milliseconds of what PuppetDB reads as a time: ISO 8601 whole or in part, with a blank for the T, RFC 822. */
bool plan_parse_time(struct span text, int64_t *ms);

#endif
