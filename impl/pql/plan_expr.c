/* Conditions of a plan: which kind of comparison a field's type asks for (puppetdb.md §7). */
#include "ast.h"
#include "base/json.h"
#include "base/mem.h"
#include "plan_build.h"
#include "quote.h"
#include <string.h>

static struct plan_expr *new_expr(enum plan_op op) {
    struct plan_expr *x = mem_zalloc(sizeof *x);
    x->op = op;
    return x;
}

static struct plan_expr *on_field(enum plan_op op, const struct field *f, json_t *value) {
    struct plan_expr *x = new_expr(op);
    x->field = f;
    x->value = json_incref(value);
    return x;
}

static void *refused(struct error *err, const struct entity *e, const json_t *field) {
    struct buf text = BUF_INIT;
    quote_plain(&text, field);
    error_set(err, "pql/refused", "'%s' cannot be asked of %s", text.ptr != NULL ? text.ptr : "", e->alias);
    buf_free(&text);
    return NULL;
}

/* ---------------------------------------------------------------- times */

static json_t *time_value(const json_t *value, struct error *err) {
    int64_t ms;
    if (json_is_integer(value)) {
        return json_integer(json_integer_value(value));
    }
    if (json_is_string(value) && plan_parse_time(json_span(value), &ms)) {
        return json_integer(ms);
    }
    struct buf text = BUF_INIT;
    quote_plain(&text, value);
    error_set(err, "pql/bad-query", "'%s' is not a valid timestamp value", text.ptr != NULL ? text.ptr : "");
    buf_free(&text);
    return NULL;
}

static struct plan_expr *compare_time(const struct field *f, enum plan_compare how, const json_t *value,
                                      struct error *err) {
    json_t *ms = time_value(value, err);
    if (ms == NULL) {
        return NULL;
    }
    struct plan_expr *x = on_field(PLAN_COMPARE, f, ms);
    x->compare = how;
    json_decref(ms);
    return x;
}

/* ---------------------------------------------------------------- below a document */

static const struct field *top_field(const struct entity *e, const json_t *name, bool literal, struct field_path *path,
                                     struct error *err) {
    *path = (struct field_path){NULL, 0};
    if (!json_is_string(name)) {
        return refused(err, e, name);
    }
    if (!field_path_parse(json_span(name), literal, path, err)) {
        if (err != NULL) {
            err->kind = "pql/refused";
        }
        return NULL;
    }
    const struct field *f = entity_field(e, span_of(path->parts[0].text));
    if (f == NULL) {
        field_path_free(path);
        return refused(err, e, name);
    }
    return f;
}

/* Takes the path over. */
static struct plan_expr *below(enum plan_op op, enum plan_compare how, const struct field *f, struct field_path *path,
                               json_t *value) {
    struct plan_expr *x = on_field(op, f, value);
    x->compare = how;
    x->path = *path;
    *path = (struct field_path){NULL, 0};
    return x;
}

/* ---------------------------------------------------------------- operators */

static json_t *one_path(json_t *value) {
    return json_pack("[O]", value);
}

static bool is_path(const json_t *value) {
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item) {
        if (!json_is_string(item) && !json_is_integer(item)) {
            return false;
        }
    }
    return json_is_array(value);
}

static struct plan_expr *no_list(const struct field *f, const json_t *path, struct error *err) {
    struct buf text = BUF_INIT;
    quote_readable(&text, path);
    if (f->type == FIELD_ENCODED_PATH) {
        error_set(err, "pql/refused",
                  "Input to factpath-to-string does not match schema: [(named (not (sequential? %s)) factpath)]",
                  text.ptr);
    } else {
        error_set(err, "pql/bad-query", "Don't know how to create ISeq from: java.lang.%s",
                  json_is_boolean(path)   ? "Boolean"
                  : json_is_integer(path) ? "Integer"
                                          : "Double");
    }
    buf_free(&text);
    return NULL;
}

static struct plan_expr *path_expr(enum plan_op op, const struct field *f, json_t *paths, struct error *err) {
    size_t i;
    json_t *path;
    json_array_foreach(paths, i, path) {
        if (!json_is_array(path) && (f->type == FIELD_ENCODED_PATH || !json_is_string(path))) {
            return no_list(f, path, err);
        }
        if (!is_path(path)) { /* the place for the path stays empty in PuppetDB, too */
            error_set(err, "pql/bad-query", "Path array element wasnt string or integer in {0}");
            return NULL;
        }
    }
    return on_field(op, f, paths);
}

static struct plan_expr *build_equal(const struct entity *e, json_t *node, struct error *err) {
    json_t *value = json_array_get(node, 2);
    struct field_path path;
    const struct field *f = top_field(e, json_array_get(node, 1), false, &path, err);
    struct plan_expr *x = NULL;
    if (f == NULL) {
        return NULL;
    }
    switch (f->type) {
    case FIELD_TIMESTAMP:
        x = compare_time(f, PLAN_EQ, value, err);
        break;
    case FIELD_ARRAY:
        x = on_field(PLAN_HOLDS, f, value);
        break;
    case FIELD_PATH:
    case FIELD_ENCODED_PATH: {
        json_t *paths = one_path(value);
        x = path_expr(PLAN_PATH_ONE_OF, f, paths, err);
        json_decref(paths);
        break;
    }
    case FIELD_DOCUMENT:
        x = below(field_path_has(&path, FIELD_PART_INDEXED) ? PLAN_BELOW_COMPARE : PLAN_BELOW_EQ, PLAN_EQ, f, &path,
                  value);
        break;
    default:
        x = on_field(PLAN_COMPARE, f, value);
    }
    field_path_free(&path);
    return x;
}

static void *incompatible(const json_t *node, struct error *err) {
    struct buf text = BUF_INIT;
    quote_plain(&text, json_array_get(node, 2));
    error_set(err, "pql/bad-query", "Argument \"%s\" and operator \"%s\" have incompatible types.",
              text.ptr != NULL ? text.ptr : "null", json_string_value(json_array_get(node, 0)));
    buf_free(&text);
    return NULL;
}

static struct plan_expr *build_ordered(const struct entity *e, json_t *node, enum plan_compare how, struct error *err) {
    json_t *value = json_array_get(node, 2);
    struct field_path path;
    const struct field *f = top_field(e, json_array_get(node, 1), false, &path, err);
    struct plan_expr *x = NULL;
    if (f == NULL) {
        return NULL;
    }
    bool numbers = f->type == FIELD_NUMERIC || f->type == FIELD_SCALAR;
    if (f->type == FIELD_TIMESTAMP) {
        x = compare_time(f, how, value, err);
    } else if (numbers && json_is_number(value)) {
        x = on_field(PLAN_COMPARE, f, value);
        x->compare = how;
    } else if (f->type == FIELD_DOCUMENT) {
        x = below(PLAN_BELOW_COMPARE, how, f, &path, value);
    } else {
        incompatible(node, err);
    }
    field_path_free(&path);
    return x;
}

static struct plan_expr *build_match(const struct entity *e, json_t *node, struct error *err) {
    struct field_path path;
    const struct field *f = top_field(e, json_array_get(node, 1), false, &path, err);
    json_t *value = json_array_get(node, 2);
    if (f == NULL) {
        return NULL;
    }
    struct plan_expr *x = f->type == FIELD_DOCUMENT
                              ? below(PLAN_BELOW_MATCH, PLAN_EQ, f, &path, value)
                              : on_field(f->type == FIELD_ARRAY ? PLAN_HOLDS_MATCH : PLAN_MATCH, f, value);
    field_path_free(&path);
    return x;
}

static struct plan_expr *build_path_match(const struct entity *e, json_t *node, struct error *err) {
    const struct field *f = entity_field(e, json_span(json_array_get(node, 1)));
    json_t *patterns = json_array_get(node, 2);
    if (f == NULL || !is_path(patterns)) {
        struct buf text = BUF_INIT;
        quote_readable(&text, patterns);
        error_set(err, "pql/refused", "Value does not match schema: %s", text.ptr);
        buf_free(&text);
        return NULL;
    }
    return on_field(PLAN_PATH_MATCH, f, patterns);
}

static struct plan_expr *build_null(const struct entity *e, json_t *node, struct error *err) {
    struct field_path path;
    const struct field *f = top_field(e, json_array_get(node, 1), true, &path, err);
    json_t *value = json_array_get(node, 2);
    if (f == NULL) {
        return NULL;
    }
    bool is_null = !json_is_false(value) && !json_is_null(value);
    struct plan_expr *x = below(PLAN_IS_NULL, PLAN_EQ, f, &path, is_null ? json_true() : json_false());
    return x;
}

static json_t *times(const json_t *values, struct error *err) {
    json_t *list = json_array();
    size_t i;
    json_t *value;
    json_array_foreach(values, i, value) {
        int64_t ms;
        if (json_is_string(value) && plan_parse_time(json_span(value), &ms)) {
            json_array_append_new(list, json_integer(ms)); /* others equal nothing */
        }
    }
    (void)err;
    return list;
}

static struct plan_expr *build_one_of(const struct entity *e, json_t *node, struct error *err) {
    json_t *values = json_array_get(json_array_get(node, 2), 1);
    const json_t *name = json_array_get(node, 1);
    if (!json_is_array(values)) {
        error_set(err, "pql/bad-query", "Operator 'array' requires a vector argument");
        return NULL;
    }
    struct field_path path;
    const struct field *f = top_field(e, name, false, &path, err);
    bool dotted = path.count > 1;
    field_path_free(&path);
    if (f == NULL || (dotted && f->type != FIELD_DOCUMENT)) {
        return f == NULL ? NULL : refused(err, e, name);
    }
    switch (f->type) {
    case FIELD_ARRAY:
        error_set(err, "pql/bad-query", "Operator in...array is not supported on array types");
        return NULL;
    case FIELD_PATH:
    case FIELD_ENCODED_PATH:
        return path_expr(PLAN_PATH_ONE_OF, f, values, err);
    case FIELD_TIMESTAMP: {
        json_t *ms = times(values, err);
        struct plan_expr *x = on_field(PLAN_ONE_OF, f, ms);
        json_decref(ms);
        return x;
    }
    case FIELD_DOCUMENT: {
        struct plan_expr *x = new_expr(PLAN_OR);
        size_t i;
        json_t *value;
        x->operands = mem_array(json_array_size(values) + 1, sizeof(struct plan_expr *));
        json_array_foreach(values, i, value) {
            if (top_field(e, name, false, &path, err) != NULL) {
                x->operands[x->operand_count++] = below(PLAN_BELOW_EQ, PLAN_EQ, f, &path, value);
            }
        }
        return x;
    }
    default:
        return on_field(PLAN_ONE_OF, f, values);
    }
}

static struct plan_expr *build_in(const struct entity *e, json_t *node, struct error *err) {
    json_t *columns = json_array_get(node, 1);
    if (ast_is(json_array_get(node, 2), "array")) {
        return build_one_of(e, node, err);
    }
    struct plan_expr *x = new_expr(PLAN_IN);
    json_t *list = json_is_array(columns) ? json_incref(columns) : json_pack("[O]", columns);
    x->fields = mem_array(json_array_size(list) + 1, sizeof(struct field *));
    bool ok = true;
    size_t i;
    json_t *column;
    json_array_foreach(list, i, column) {
        const struct field *f = json_is_string(column) ? entity_field(e, json_span(column)) : NULL;
        ok = ok && f != NULL;
        x->fields[x->field_count++] = f;
    }
    json_decref(list);
    if (!ok) {
        refused(err, e, columns);
    } else {
        x->query = plan_source_build(json_array_get(node, 2), err);
    }
    if (x->query != NULL && x->query->column_count + x->query->call_count < x->field_count) {
        error_set(err, "pql/refused", "ERROR: subquery has too few columns");
        ok = false;
    }
    if (!ok || x->query == NULL) {
        plan_expr_free(x);
        return NULL;
    }
    return x;
}

static struct plan_expr *build_call_compare(const struct entity *e, json_t *node, enum plan_compare how,
                                            struct error *err) {
    struct plan_expr *x = new_expr(PLAN_CALL_COMPARE);
    x->compare = how;
    x->value = json_incref(json_array_get(node, 2));
    if (!plan_call_parse(e, json_array_get(node, 1), false, &x->call, err)) {
        plan_expr_free(x);
        return NULL;
    }
    if (x->call.function <= PLAN_MAX) {
        error_set(err, "pql/refused", "ERROR: aggregate functions are not allowed in WHERE");
        plan_expr_free(x);
        return NULL;
    }
    return x;
}

static struct plan_expr *build_joined(const struct entity *e, json_t *node, enum plan_op op, struct error *err) {
    struct plan_expr *x = new_expr(op);
    x->operands = mem_array(json_array_size(node), sizeof(struct plan_expr *));
    for (size_t i = 1; i < json_array_size(node); i++) {
        struct plan_expr *operand = plan_expr_build(e, json_array_get(node, i), err);
        if (operand == NULL) {
            plan_expr_free(x);
            return NULL;
        }
        x->operands[x->operand_count++] = operand;
    }
    return x;
}

static const struct {
    const char *op;
    enum plan_compare compare;
} orders[] = {{"=", PLAN_EQ}, {"<", PLAN_LT}, {"<=", PLAN_LE}, {">", PLAN_GT}, {">=", PLAN_GE}};

static struct plan_expr *build_comparison(const struct entity *e, json_t *node, struct error *err) {
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (ast_is(node, orders[i].op)) {
            return ast_is(json_array_get(node, 1), "function") ? build_call_compare(e, node, orders[i].compare, err)
                   : orders[i].compare == PLAN_EQ              ? build_equal(e, node, err)
                                                               : build_ordered(e, node, orders[i].compare, err);
        }
    }
    if (ast_is(node, "~")) {
        return build_match(e, node, err);
    }
    if (ast_is(node, "~>")) {
        return build_path_match(e, node, err);
    }
    if (ast_is(node, "null?")) {
        return build_null(e, node, err);
    }
    if (ast_is(node, "in")) {
        return build_in(e, node, err);
    }
    plan_no_such_clause(err);
    return NULL;
}

struct plan_expr *plan_expr_build(const struct entity *e, json_t *node, struct error *err) {
    if (ast_is(node, "and")) {
        return build_joined(e, node, PLAN_AND, err);
    }
    if (ast_is(node, "or")) {
        return build_joined(e, node, PLAN_OR, err);
    }
    if (ast_is(node, "not") && json_array_size(node) == 2) {
        return build_joined(e, node, PLAN_NOT, err);
    }
    if (json_array_size(node) == 3) {
        return build_comparison(e, node, err);
    }
    plan_no_such_clause(err);
    return NULL;
}
