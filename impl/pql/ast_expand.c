/* Short forms written out in the operators that plan.h knows, and operators checked against their operands
 * (puppetdb.md §6). Works from the leaves up: a node is looked at when its operands are done. */
#include "ast.h"
#include "base/json.h"
#include "base/mem.h"
#include "fieldpath.h"
#include "lowercase.h"
#include "quote.h"
#include <stdarg.h>
#include <string.h>

struct expander {
    struct error *err;
};

static json_t *expand(struct expander *x, const struct entity *e, json_t *node);

static json_t *refuse(struct expander *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
static json_t *refuse(struct expander *x, const char *format, ...) {
    va_list args;
    struct buf text = BUF_INIT;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    error_set(x->err, "pql/bad-query", "%s", text.ptr);
    buf_free(&text);
    return NULL;
}

static bool is_text(const json_t *value, const char *text) {
    return str_eq(json_string_value(value), text);
}

static bool has_operator(const json_t *node, const char *const *operators) {
    for (; *operators != NULL; operators++) {
        if (ast_is(node, *operators)) {
            return true;
        }
    }
    return false;
}

static const char *const matching[] = {"=", "~", NULL};
static const char *const ordering[] = {"=", ">", "<", "<=", ">=", NULL};

/* ---------------------------------------------------------------- short forms */

/* ["in", local, ["extract", foreign, [select, filter]]]; steals filter, which may be NULL. */
static json_t *in_select(json_t *local, json_t *foreign, const char *select, json_t *filter) {
    json_t *source = json_pack("[s]", select);
    if (filter != NULL) {
        json_array_append_new(source, filter);
    }
    return json_pack("[s, o, [s, o, o]]", "in", local, "extract", foreign, source);
}

static json_t *node_state(struct expander *x, const json_t *value) {
    struct buf state = BUF_INIT;
    quote_plain(&state, value);
    struct span s = buf_span(&state);
    json_t *result = NULL;
    if (span_eq_nocase(s, "active")) {
        result =
            json_pack("[s, o]", "not",
                      in_select(json_string("certname"), json_string("certname"), "select_not_active_nodes", NULL));
    } else if (span_eq_nocase(s, "inactive")) {
        result = in_select(json_string("certname"), json_string("certname"), "select_inactive_nodes", NULL);
    } else if (!span_eq_nocase(s, "any")) {
        refuse(x, "No matching clause: %.*s", (int)s.len, s.len > 0 ? s.ptr : "");
    }
    buf_free(&state);
    return result;
}

static int append_text(const char *piece, size_t len, void *out) {
    buf_append(out, piece, len);
    return 0;
}

/* A value as it is stored where PuppetDB stores JSON text. */
static json_t *serialized(const json_t *value) {
    struct buf text = BUF_INIT;
    json_dump_callback(value, append_text, &text, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    json_t *result = json_stringn(text.ptr, text.len);
    buf_free(&text);
    return result;
}

static json_t *of_parameter(json_t *node) {
    json_t *filter = json_pack("[s, [O, s, O], [O, s, o]]", "and", json_array_get(node, 0), "res_param_name",
                               json_array_get(json_array_get(node, 1), 1), json_array_get(node, 0), "res_param_value",
                               serialized(json_array_get(node, 2)));
    return in_select(json_string("resource"), json_string("res_param_resource"), "select_params", filter);
}

static json_t *of_fact(const json_t *name, json_t *condition) {
    json_t *filter = json_pack("[s, [s, s, O], o]", "and", "=", "name", (json_t *)name, condition);
    return in_select(json_string("certname"), json_string("certname"), "select_facts", filter);
}

static json_t *fact_condition(struct expander *x, json_t *node) {
    json_t *value = json_array_get(node, 2);
    const json_t *name = json_array_get(json_array_get(node, 1), 1);
    bool plain = json_is_string(value) || json_is_boolean(value);
    if ((plain && has_operator(node, matching)) || (json_is_number(value) && has_operator(node, ordering))) {
        return of_fact(name, json_pack("[O, s, O]", json_array_get(node, 0), "value", value));
    }
    if (!has_operator(node, ordering)) {
        return json_incref(node); /* "~" and a number: the database refuses it */
    }
    struct buf text = BUF_INIT;
    quote_plain(&text, value);
    refuse(x, "Operator '%s' not allowed on value '%s'", json_string_value(json_array_get(node, 0)),
           text.ptr != NULL ? text.ptr : "null");
    buf_free(&text);
    return NULL;
}

static json_t *fact_in_array(struct expander *x, json_t *node) {
    json_t *values = json_array_get(json_array_get(node, 2), 1);
    int type = -1;
    bool mixed = json_array_size(values) == 0;
    size_t i;
    json_t *value;
    json_array_foreach(values, i, value) {
        int its = json_is_boolean(value) ? (int)JSON_TRUE : (int)json_typeof(value);
        mixed = mixed || (type >= 0 && its != type);
        type = its;
    }
    if (mixed) {
        return refuse(x, "All values in 'array' must be the same type.");
    }
    return of_fact(json_array_get(json_array_get(node, 1), 1),
                   json_pack("[s, s, [s, O]]", "in", "value", "array", values));
}

static json_t *relation_columns(const char *const *names) {
    json_t *list = json_array();
    for (; *names != NULL; names++) {
        json_array_append_new(list, json_string(*names));
    }
    return list;
}

static json_t *implicit_subquery(struct expander *x, const struct entity *e, json_t *node) {
    const json_t *to = json_array_get(node, 1);
    json_t *filter = json_array_get(node, 2);
    const struct relation *relation = entity_relation(e, json_span(to));
    if (relation == NULL || entity_by_name(json_span(to)) == NULL) {
        struct buf name = BUF_INIT;
        quote_plain(&name, to);
        refuse(x, "No implicit relationship for entity '%s'", name.ptr != NULL ? name.ptr : "");
        buf_free(&name);
        return NULL;
    }
    if (json_array_size(node) > 3 || ast_is_paging(filter) || ast_is(filter, "group_by")) {
        return refuse(x, "An implicit subquery takes a filter only");
    }
    char *select = str_printf("select_%s", relation->entity);
    json_t *result =
        in_select(relation_columns(relation->local), relation_columns(relation->foreign), select, json_incref(filter));
    mem_free(select);
    return result;
}

static json_t *latest_report(struct expander *x, const struct entity *e, const json_t *value) {
    json_t *in = NULL;
    if (e->id == ENTITY_REPORTS) {
        in = in_select(json_string("hash"), json_string("latest_report_hash"), "select_latest_report", NULL);
    } else if (e->id == ENTITY_EVENTS) {
        in = in_select(json_string("report_id"), json_string("latest_report_id"), "select_latest_report_id", NULL);
    } else {
        return refuse(x, "Field latest_report? not supported on endpoint ':%s'", e->name);
    }
    bool wanted = !json_is_false(value) && !json_is_null(value);
    return wanted ? in : json_pack("[s, o]", "not", in);
}

/* Tags are stored in lower case; whatever is compared with them is taken as text. */
static json_t *of_tag(json_t *node) {
    struct buf text = BUF_INIT;
    quote_plain(&text, json_array_get(node, 2));
    lowercase(&text);
    json_t *lower = json_stringn(text.ptr != NULL ? text.ptr : "", text.len);
    buf_free(&text);
    return json_pack("[O, s, o]", json_array_get(node, 0), "tags", lower);
}

/* What a node that has three elements stands for. NULL without an error: for nothing, it is left out. */
static json_t *expand_triple(struct expander *x, const struct entity *e, json_t *node) {
    const json_t *field = json_array_get(node, 1);
    json_t *value = json_array_get(node, 2);
    bool equals = ast_is(node, "=");
    if (equals && is_text(field, "type") && is_text(value, "any")) {
        return NULL;
    }
    if (equals && ast_is(field, "node") && is_text(json_array_get(field, 1), "active")) {
        json_t *state = json_string(json_is_false(value) || json_is_null(value) ? "inactive" : "active");
        json_t *result = node_state(x, state);
        json_decref(state);
        return result;
    }
    if (equals && is_text(field, "node_state")) {
        return node_state(x, value);
    }
    if ((ast_is(field, "fact") || ast_is(field, "parameter")) &&
        (json_array_size(field) != 2 || !json_is_string(json_array_get(field, 1)))) {
        error_set(x->err, "pql/refused", "An unexpected error occurred while processing the request");
        return NULL;
    }
    if (ast_is(field, "parameter") && has_operator(node, matching)) {
        return of_parameter(node);
    }
    if (ast_is(field, "fact") && ast_is(node, "in") && ast_is(value, "array")) {
        return fact_in_array(x, node);
    }
    if (ast_is(field, "fact") && ast_is_simple_operator(ast_operator(node))) {
        return fact_condition(x, node);
    }
    if (equals && is_text(field, "latest_report?")) {
        return latest_report(x, e, value);
    }
    if ((is_text(field, "new_value") || is_text(field, "old_value")) && ast_is_simple_operator(ast_operator(node))) {
        return json_pack("[O, O, o]", json_array_get(node, 0), field, serialized(value));
    }
    if (equals && json_is_null(value)) {
        return json_pack("[s, O, b]", "null?", field, 1);
    }
    if (is_text(field, "tag")) {
        return of_tag(node);
    }
    return json_incref(node);
}

static json_t *expand_one(struct expander *x, const struct entity *e, json_t *node) {
    if (ast_is(node, "subquery") && json_array_size(node) >= 2) {
        return implicit_subquery(x, e, node);
    }
    return json_array_size(node) == 3 ? expand_triple(x, e, node) : json_incref(node);
}

/* ---------------------------------------------------------------- operators and operands */

static enum field_type type_of(const struct entity *e, const json_t *field, bool *known) {
    const struct field *f = json_is_string(field) ? entity_field(e, json_span(field)) : NULL;
    *known = f != NULL;
    return f != NULL ? f->type : FIELD_JSON;
}

static bool is_single_field(const json_t *field) {
    return json_is_string(field) && span_find(json_span(field), '.') < 0;
}

static bool is_plain_value(const json_t *value) {
    if (json_is_array(value)) {
        size_t i;
        json_t *item;
        json_array_foreach(value, i, item) {
            if (!json_is_string(item) && !json_is_integer(item)) {
                return false;
            }
        }
        return true;
    }
    return json_is_string(value) || json_is_boolean(value) || json_is_number(value);
}

static bool is_plain_field(const json_t *field) {
    return json_is_string(field) || (json_array_size(field) == 2 && json_is_string(json_array_get(field, 0)) &&
                                     json_is_string(json_array_get(field, 1)));
}

static bool check_simple(struct expander *x, const struct entity *e, const json_t *node) {
    const char *op = json_string_value(json_array_get(node, 0));
    const json_t *field = json_array_get(node, 1);
    const json_t *value = json_array_get(node, 2);
    bool triple = json_array_size(node) == 3;
    bool known;
    enum field_type type = type_of(e, field, &known);
    if (triple && strcmp(op, "=") == 0) {
        if (known && type == FIELD_NUMERIC && json_is_string(value)) {
            refuse(x, "Argument \"%s\" is incompatible with numeric field \"%s\".", json_string_value(value),
                   json_string_value(field));
        }
    } else if (triple && strcmp(op, "~>") == 0) {
        if (!known || (type != FIELD_PATH && type != FIELD_ENCODED_PATH)) {
            refuse(x, "Query operator ~> is not allowed on field %s",
                   json_is_string(field) ? json_string_value(field) : "");
        }
    } else if (triple && strcmp(op, "~") != 0 && is_single_field(field)) {
        if (!known || (type != FIELD_NUMERIC && type != FIELD_TIMESTAMP && type != FIELD_SCALAR)) {
            refuse(x, "Query operators >,>=,<,<= are not allowed on field %s", json_string_value(field));
        }
    } else if (!triple) {
        refuse(x, "%s requires exactly two arguments", op);
    } else if (!ast_is(field, "function") && (!is_plain_field(field) || !is_plain_value(value))) {
        refuse(x, "Invalid %s clause", op);
    }
    return !error_is_set(x->err);
}

/* `operands` counts those that stand for nothing, too. */
static bool check_boolean(struct expander *x, const json_t *node, size_t operands) {
    const char *op = json_string_value(json_array_get(node, 0));
    if (strcmp(op, "not") == 0) {
        if (operands != 1) {
            refuse(x, "'not' takes exactly one argument, but %zu were supplied", operands);
        }
        return operands == 1;
    }
    if (operands == 0) {
        refuse(x, "'%s' takes at least one argument, but none were supplied", op);
        return false;
    }
    for (size_t i = 1; i < json_array_size(node) && strcmp(op, "and") == 0; i++) {
        if (json_is_array(json_array_get(node, i)) && json_array_size(json_array_get(node, i)) == 0) {
            refuse(x, "[] is not well-formed: queries must contain at least one operator");
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------- from the leaves up */

/* Whose fields the operand at `at` speaks of; NULL: it is no query. */
static const struct entity *entity_of_operand(const struct entity *e, const json_t *node, size_t at) {
    if (ast_is(node, "from") || ast_is(node, "subquery")) {
        const struct entity *inner = at >= 2 ? entity_by_name(json_span(json_array_get(node, 1))) : NULL;
        return ast_is_paging(json_array_get(node, at)) ? NULL : inner;
    }
    if (entity_by_select(ast_operator(node)) != NULL) {
        return at == 1 ? entity_by_select(ast_operator(node)) : NULL;
    }
    if (ast_is(node, "extract") || ast_is(node, "in")) {
        return at >= 2 ? e : NULL;
    }
    return ast_is(node, "and") || ast_is(node, "or") || ast_is(node, "not") ? e : NULL;
}

static bool stands_for_nothing(const json_t *node) {
    return json_array_size(node) == 1 && (ast_is(node, "and") || ast_is(node, "or") || ast_is(node, "not"));
}

/* The node with its operands expanded, those that stand for nothing left out. */
static json_t *expand_operands(struct expander *x, const struct entity *e, json_t *node) {
    json_t *copy = json_array();
    size_t i;
    json_t *child;
    json_array_foreach(node, i, child) {
        const struct entity *inner = json_is_array(child) ? entity_of_operand(e, node, i) : NULL;
        json_t *done = inner != NULL ? expand(x, inner, child) : json_incref(child);
        if (done != NULL && !(inner != NULL && stands_for_nothing(done))) {
            json_array_append_new(copy, done);
        } else {
            json_decref(done);
        }
    }
    return copy;
}

static json_t *expand(struct expander *x, const struct entity *e, json_t *node) {
    if (!json_is_array(node)) {
        return json_incref(node);
    }
    json_t *done = expand_operands(x, e, node);
    json_t *result = error_is_set(x->err) ? NULL : expand_one(x, e, done);
    json_decref(done);
    bool ok = result != NULL;
    if (ok && (ast_is(result, "and") || ast_is(result, "or") || ast_is(result, "not")) &&
        ast_is(node, json_string_value(json_array_get(result, 0)))) {
        ok = check_boolean(x, result, json_array_size(node) - 1);
    } else if (ok && ast_is_simple_operator(ast_operator(result))) {
        ok = check_simple(x, e, result);
    }
    if (!ok) {
        json_decref(result);
        return NULL;
    }
    return result;
}

json_t *ast_expand(const struct entity *entity, json_t *query, struct error *err) {
    struct error refused = ERROR_INIT;
    struct expander x = {&refused};
    json_t *result = expand(&x, entity, query);
    if (error_is_set(&refused)) {
        error_move(err, &refused);
        return NULL;
    }
    if (result != NULL && !stands_for_nothing(result)) {
        return result;
    }
    json_decref(result);
    return json_null();
}
