/* Unknown fields are refused here, all of them in one text, each query with the fields of its own entity. */
#include "ast.h"
#include "base/json.h"
#include "base/mem.h"
#include "fieldpath.h"
#include "quote.h"
#include <stdarg.h>
#include <string.h>

struct checker {
    struct buf errors; /* one a line */
    struct error *err; /* set when a subquery was refused, which ends everything */
};

static json_t *check(struct checker *c, const struct entity *e, json_t *node);

static void complain(struct checker *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(struct checker *c, const char *format, ...) {
    if (c->errors.len > 0) {
        buf_append_char(&c->errors, '\n');
    }
    va_list args;
    va_start(args, format);
    buf_vprintf(&c->errors, format, args);
    va_end(args);
}

static bool is_known_operator(struct span op) {
    static const char *const others[] = {"from", "in",  "extract",  "subquery", "and",
                                         "or",   "not", "function", "group_by", "null?"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (span_eq_cstr(op, others[i])) {
            return true;
        }
    }
    return ast_is_simple_operator(op) || entity_by_select(op) != NULL;
}

/* ---------------------------------------------------------------- columns */

static bool is_known_function(const json_t *column) {
    static const char *const functions[] = {"sum", "avg", "min", "max", "count", "to_string", "jsonb_typeof"};
    const char *name = json_string_value(json_array_get(column, 1));
    for (size_t i = 0; ast_is(column, "function") && name != NULL && i < sizeof functions / sizeof functions[0]; i++) {
        if (strcmp(name, functions[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A dotted path below a field that may be taken apart. */
static bool is_projectable_path(struct checker *c, const struct entity *e, struct span column) {
    struct field_path path;
    if (!field_path_parse(column, false, &path, c->err)) {
        c->err->kind = "pql/refused";
        return false;
    }
    const struct field *top = entity_field(e, span_of(path.parts[0].text));
    bool ok = path.count > 1 && top != NULL && (top->flags & FIELD_PROJECT_PATH) != 0;
    field_path_free(&path);
    return ok;
}

struct column_rule {
    unsigned want, but; /* flags of fields that may be named */
    bool paths;         /* dotted paths may be named */
    bool sorted;        /* how they are listed */
    const char *action, *context;
};
static const struct column_rule projection = {0, FIELD_HIDDEN, true, false, "Can't extract", ""};
static const struct column_rule subquery_projection = {FIELD_QUERYABLE, 0, true, true, "Can't extract", ""};
static const struct column_rule left_of_in = {FIELD_QUERYABLE, 0, false, true, "Can't match on", " for 'in'"};

static bool column_is_fine(struct checker *c, const struct entity *e, const struct column_rule *rule,
                           const json_t *column) {
    if (!json_is_string(column)) {
        if (!is_known_function(column)) { /* PuppetDB stumbles over it before it can say so */
            error_set(c->err, "pql/refused", "An unexpected error occurred while processing the request");
        }
        return true;
    }
    const struct field *f = entity_field(e, json_span(column));
    if (f != NULL && (f->flags & rule->want) == rule->want && (f->flags & rule->but) == 0) {
        return true;
    }
    return rule->paths ? is_projectable_path(c, e, json_span(column)) : false;
}

static void check_columns(struct checker *c, const struct entity *e, const struct column_rule *rule, json_t *columns) {
    json_t *list = json_is_array(columns) ? json_incref(columns) : json_pack("[O]", columns);
    char **bad = NULL;
    size_t count = 0, cap = 0, i;
    json_t *column;
    json_array_foreach(list, i, column) {
        if (!column_is_fine(c, e, rule, column) && !error_is_set(c->err)) {
            struct buf text = BUF_INIT;
            quote_plain(&text, column);
            bad = mem_grow(bad, &cap, count + 1, sizeof *bad);
            bad[count++] = buf_take(&text);
        }
    }
    if (count > 0) {
        struct buf names = BUF_INIT, known = BUF_INIT;
        quote_list(&names, (const char *const *)bad, count);
        entity_list_fields(&known, e, rule->want, rule->but, rule->sorted);
        complain(c, "%s unknown '%s' %s %s%s. Acceptable fields are %s", rule->action, e->alias,
                 count > 1 ? "fields" : "field", names.ptr, rule->context, known.ptr != NULL ? known.ptr : "");
        buf_free(&names);
        buf_free(&known);
    }
    for (size_t b = 0; b < count; b++) {
        mem_free(bad[b]);
    }
    mem_free(bad);
    json_decref(list);
}

/* Operators inside "extract" that nobody knows. False when one was found. */
static bool check_extract_filters(struct checker *c, json_t *list, size_t from) {
    for (size_t i = from; i < json_array_size(list); i++) {
        json_t *clause = json_array_get(list, i);
        if (!json_is_array(clause)) {
            continue;
        }
        if (ast_is(clause, "and") || ast_is(clause, "or")) {
            if (!check_extract_filters(c, clause, 1)) {
                return false;
            }
        } else if (!is_known_operator(ast_operator(clause))) {
            struct buf text = BUF_INIT;
            quote_readable(&text, clause);
            complain(c, "%s is not a valid expression for \"extract\"", text.ptr);
            buf_free(&text);
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------- conditions */

static void check_condition_field(struct checker *c, const struct entity *e, const json_t *field, bool state_is_known) {
    if (json_is_array(field)) {
        return;
    }
    struct span name = json_span(field);
    const struct field *f = json_is_string(field) ? entity_field(e, name) : NULL;
    if ((f != NULL && (f->flags & FIELD_QUERYABLE) != 0) || (state_is_known && span_eq_cstr(name, "node_state")) ||
        entity_is_dotted(e, name)) {
        return;
    }
    struct buf text = BUF_INIT, known = BUF_INIT;
    quote_plain(&text, field);
    entity_list_fields(&known, e, FIELD_QUERYABLE, 0, true);
    const char *what = text.ptr != NULL ? text.ptr : "";
    if (known.len == 0) {
        complain(c, "'%s' is not a queryable object for %s. Entity %s has no queryable objects", what, e->alias,
                 e->alias);
    } else {
        complain(c, "'%s' is not a queryable object for %s. Known queryable objects are %s", what, e->alias, known.ptr);
    }
    buf_free(&text);
    buf_free(&known);
}

static void check_node(struct checker *c, const struct entity *e, json_t *node) {
    static const char *const comparing[] = {"=", "~", ">", "<", "<=", ">="};
    size_t size = json_array_size(node);
    json_t *second = json_array_get(node, 1);
    for (size_t i = 0; size == 3 && i < sizeof comparing / sizeof comparing[0]; i++) {
        if (ast_is(node, comparing[i])) {
            check_condition_field(c, e, second, true);
            return;
        }
    }
    if (ast_is(node, "extract") && size >= 2) {
        size_t before = c->errors.len;
        check_columns(c, e, &projection, second);
        if (c->errors.len == before) {
            check_extract_filters(c, node, 2);
        }
    } else if (ast_is(node, "in") && size == 3 && ast_is(json_array_get(node, 2), "array")) {
        check_condition_field(c, e, second, false);
    } else if (ast_is(node, "in") && size >= 2) {
        check_columns(c, e, &left_of_in, second);
    }
}

/* ---------------------------------------------------------------- subqueries, which have fields of their own */

/* A copy of the node with the query at `at` checked. */
static json_t *with_checked(struct checker *c, const struct entity *e, json_t *node, size_t at) {
    json_t *copy = json_copy(node);
    json_t *checked = ast_check_fields(e, json_array_get(node, at), c->err);
    if (checked != NULL) {
        json_array_set_new(copy, at, checked);
    }
    return copy;
}

static const struct entity *entity_named(const json_t *name) {
    const struct entity *e = entity_by_name(json_span(name));
    return e != NULL ? e : entity_none();
}

/* ["extract", columns, ["select_entity", query]] */
static json_t *check_select(struct checker *c, const struct entity *e, json_t *node) {
    json_t *select = json_array_get(node, 2);
    json_t *copy = json_copy(node);
    json_array_set_new(copy, 2, with_checked(c, e, select, 1));
    if (!error_is_set(c->err)) {
        check_columns(c, e, &subquery_projection, json_array_get(node, 1));
    }
    return copy;
}

static void complain_of_select(struct checker *c, struct span name) {
    char *underscored = span_dup(name);
    for (char *p = underscored; *p != '\0'; p++) {
        *p = *p == '-' ? '_' : *p;
    }
    if (entity_by_select(span_of(underscored)) != NULL) {
        complain(c, "Unsupported subquery `%.*s` - did you mean `%s`?", (int)name.len, name.ptr, underscored);
    } else {
        complain(c, "Unsupported subquery `%.*s`", (int)name.len, name.ptr);
    }
    mem_free(underscored);
}

static bool is_filter_operator(struct span op) {
    return span_eq_cstr(op, "not") || span_eq_cstr(op, "group_by") || span_eq_cstr(op, "or") || span_eq_cstr(op, "and");
}

/* Nodes whose inside is looked at in another way, or not at all. NULL: none of these. */
static json_t *check_special(struct checker *c, json_t *node) {
    json_t *third = json_array_get(node, 2);
    size_t size = json_array_size(node);
    if (ast_is(node, "from") && size >= 3) {
        return with_checked(c, entity_named(json_array_get(node, 1)), node, 2);
    }
    if (ast_is(node, "extract") && size == 3 && json_array_size(third) == 2) {
        struct span name = ast_operator(third);
        const struct entity *e = entity_by_select(name);
        if (e != NULL) {
            return check_select(c, e, node);
        }
        if (!is_filter_operator(name)) {
            complain_of_select(c, name);
            return json_incref(node);
        }
    }
    if (ast_is(node, "subquery") && size == 3) {
        return with_checked(c, entity_named(json_array_get(node, 1)), node, 2);
    }
    return NULL;
}

static json_t *lower_operator(const json_t *op) {
    char *lower = span_dup(json_span(op));
    for (char *p = lower; *p != '\0'; p++) {
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    }
    json_t *result = is_known_operator(span_of(lower)) ? json_string(lower) : json_incref((json_t *)op);
    mem_free(lower);
    return result;
}

/* Values are no conditions, whatever they look like. */
static bool holds_values(const json_t *node, size_t at) {
    return ast_is(node, "array") || ast_is(node, "function") || ast_is(node, "fact") || ast_is(node, "parameter") ||
           ast_is(node, "node") || ast_is(node, "group_by") || ast_is_paging(node) ||
           (ast_is(node, "extract") && at == 1) || ast_is_simple_operator(ast_operator(node));
}

static json_t *check(struct checker *c, const struct entity *e, json_t *node) {
    if (!json_is_array(node) || error_is_set(c->err)) {
        return json_incref(node);
    }
    json_t *special = check_special(c, node);
    if (special != NULL) {
        return special;
    }
    check_node(c, e, node);
    json_t *copy = json_array();
    size_t i;
    json_t *child;
    json_array_foreach(node, i, child) {
        json_t *checked = i == 0 && json_is_string(child) ? lower_operator(child)
                          : holds_values(node, i)         ? json_incref(child)
                                                          : check(c, e, child);
        json_array_append_new(copy, checked);
    }
    return copy;
}

json_t *ast_check_fields(const struct entity *entity, json_t *query, struct error *err) {
    struct error refused = ERROR_INIT;
    struct checker c = {.err = &refused};
    json_t *checked = check(&c, entity, query);
    if (!error_is_set(&refused) && c.errors.len > 0) {
        error_set(&refused, "pql/bad-query", "%s", c.errors.ptr);
    }
    buf_free(&c.errors);
    if (error_is_set(&refused)) {
        error_move(err, &refused);
        json_decref(checked);
        return NULL;
    }
    return checked;
}
