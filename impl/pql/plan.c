/* From a query to its plan. */
#include "plan.h"
#include "ast.h"
#include "base/json.h"
#include "base/mem.h"
#include "plan_build.h"
#include "quote.h"
#include <stdarg.h>
#include <string.h>

struct plan *plan_new(const struct entity *e) {
    struct plan *p = mem_zalloc(sizeof *p);
    p->entity = e;
    p->limit = PLAN_NO_LIMIT;
    return p;
}

void plan_expr_free(struct plan_expr *x) {
    if (x == NULL) {
        return;
    }
    for (size_t i = 0; i < x->operand_count; i++) {
        plan_expr_free(x->operands[i]);
    }
    field_path_free(&x->path);
    json_decref(x->value);
    mem_free(x->call.mask);
    plan_free(x->query);
    mem_free(x->operands);
    mem_free(x->fields);
    mem_free(x);
}

void plan_free(struct plan *p) {
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < p->column_count; i++) {
        mem_free(p->columns[i].name);
        field_path_free(&p->columns[i].path);
    }
    for (size_t i = 0; i < p->group_count; i++) {
        mem_free(p->groups[i].name);
        field_path_free(&p->groups[i].path);
    }
    for (size_t i = 0; i < p->call_count; i++) {
        mem_free(p->calls[i].mask);
    }
    plan_expr_free(p->where);
    mem_free(p->columns);
    mem_free(p->groups);
    mem_free(p->calls);
    mem_free(p->orders);
    mem_free(p);
}

bool plan_no_such_clause(struct error *err) {
    return error_set(err, "pql/bad-query",
                     "No implementation of method: :-plan->sql of protocol: "
                     "#'puppetlabs.puppetdb.query-eng.engine/SQLGen found for class: nil");
}

/* ---------------------------------------------------------------- functions */

static const char *const function_names[] = {"count", "avg", "sum", "min", "max", "to_string", "jsonb_typeof"};

const char *plan_function_name(enum plan_function f) {
    return function_names[f];
}

static bool function_by_name(const char *name, enum plan_function *out) {
    for (size_t i = 0; name != NULL && i < sizeof function_names / sizeof function_names[0]; i++) {
        if (strcmp(name, function_names[i]) == 0) {
            *out = (enum plan_function)i;
            return true;
        }
    }
    return false;
}

static bool bad_call(struct error *err, bool projected, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* In a projection only the database minds. */
static bool bad_call(struct error *err, bool projected, const char *format, ...) {
    struct buf text = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    error_set(err, projected ? "pql/refused" : "pql/bad-query", "%s%s", projected ? "ERROR: " : "", text.ptr);
    buf_free(&text);
    return false;
}

/* ["function", name, field?, mask?] */
bool plan_call_parse(const struct entity *e, const json_t *function, bool projected, struct plan_call *out,
                     struct error *err) {
    *out = (struct plan_call){PLAN_COUNT, NULL, NULL};
    const char *name = json_string_value(json_array_get(function, 1));
    if (!function_by_name(name, &out->function)) {
        return error_set(err, "pql/bad-query", "\"%s\" is not a valid function", name != NULL ? name : "");
    }
    const json_t *field = json_array_get(function, 2);
    size_t wanted = out->function == PLAN_TO_STRING ? 2 : 1;
    size_t given = json_array_size(function) - 2;
    if (given != wanted && !(out->function == PLAN_COUNT && given == 0)) {
        return bad_call(err, projected, "wrong number of arguments (%zu) provided for function %s", given, name);
    }
    if (field == NULL) {
        return true;
    }
    out->field = json_is_string(field) ? entity_field(e, json_span(field)) : NULL;
    if (out->field == NULL || (out->field->flags & FIELD_QUERYABLE) == 0) {
        struct buf text = BUF_INIT;
        quote_readable(&text, field);
        bad_call(err, projected, "field %s is not a valid queryable field", text.ptr);
        buf_free(&text);
        return false;
    }
    if (out->function == PLAN_TO_STRING) {
        const char *mask = json_string_value(json_array_get(function, 3));
        if (mask == NULL) {
            return error_set(err, "pql/refused", "the mask of to_string must be text");
        }
        out->mask = str_dup(mask);
    }
    return true;
}

/* ---------------------------------------------------------------- columns and grouping */

bool plan_add_column(struct plan *p, const json_t *column, struct error *err) {
    struct plan_column c = {0};
    if (!json_is_string(column)) {
        return error_set(err, "pql/refused", "a column must be text");
    }
    if (!field_path_parse(json_span(column), false, &c.path, err)) {
        err->kind = "pql/refused";
        return false;
    }
    c.field = entity_field(p->entity, span_of(c.path.parts[0].text));
    if (c.field == NULL || (c.path.count > 1 && (c.field->flags & FIELD_PROJECT_PATH) == 0)) {
        field_path_free(&c.path);
        return error_set(err, "pql/refused", "'%s' is no column of %s", json_string_value(column), p->entity->alias);
    }
    enum { NAME_MAX_POSTGRES = 63 }; /* of an identifier */
    if (json_string_length(column) > NAME_MAX_POSTGRES) {
        field_path_free(&c.path);
        return error_set(err, "pql/bad-query",
                         "Projected field name '%zu' exceeds current maximum length of 63 characters",
                         json_string_length(column));
    }
    c.name = span_dup(json_span(column));
    p->columns = mem_realloc(p->columns, (p->column_count + 1) * sizeof *p->columns);
    p->columns[p->column_count++] = c;
    return true;
}

static bool add_call(struct plan *p, const json_t *function, struct error *err) {
    struct plan_call call;
    if (!plan_call_parse(p->entity, function, true, &call, err)) {
        return false;
    }
    p->calls = mem_realloc(p->calls, (p->call_count + 1) * sizeof *p->calls);
    p->calls[p->call_count++] = call;
    return true;
}

static const struct plan_call *call_named(const struct plan *p, enum plan_function f) {
    for (size_t i = 0; i < p->call_count; i++) {
        if (p->calls[i].function == f) {
            return &p->calls[i];
        }
    }
    return NULL;
}

/* A grouping term is a column, a function, or the name of a function among the columns. */
static bool add_group(struct plan *p, const json_t *term, struct error *err) {
    struct plan_group g = {0};
    const json_t *name = ast_is(term, "function") ? json_array_get(term, 1) : term;
    if (!json_is_string(name) || !field_path_parse(json_span(name), false, &g.path, NULL)) {
        return error_set(err, "pql/refused", "a grouping term must be a column or a function");
    }
    g.field = entity_field(p->entity, span_of(g.path.parts[0].text));
    enum plan_function f;
    bool dotted_elsewhere = g.path.count > 1 && g.field != NULL && (g.field->flags & FIELD_PROJECT_PATH) == 0;
    if (g.field == NULL || dotted_elsewhere || (g.field->flags & FIELD_CONDITION) != 0) {
        bool is_function = function_by_name(json_string_value(name), &f);
        const struct plan_call *projected = is_function ? call_named(p, f) : NULL;
        if (projected == NULL) {
            struct buf text = BUF_INIT;
            quote_readable(&text, name);
            if (is_function) {
                error_set(err, "pql/refused", "ERROR: column %s does not exist", text.ptr);
            } else {
                error_set(err, "pql/bad-query", "%s is niether a valid column name nor function name", text.ptr);
            }
            buf_free(&text);
            field_path_free(&g.path);
            return false;
        }
        g.is_call = true;
        g.call = *projected;
        g.call.mask = NULL; /* the projected one owns it: the group is by name */
    }
    g.name = span_dup(json_span(name));
    p->groups = mem_realloc(p->groups, (p->group_count + 1) * sizeof *p->groups);
    p->groups[p->group_count++] = g;
    return true;
}

bool plan_extract(struct plan *p, json_t *extract, json_t **condition, struct error *err) {
    json_t *columns = json_array_get(extract, 1);
    json_t *list =
        json_is_array(columns) && !ast_is(columns, "function") ? json_incref(columns) : json_pack("[O]", columns);
    bool ok = true;
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        ok = ok && (ast_is(item, "function") ? add_call(p, item, err) : plan_add_column(p, item, err));
    }
    json_decref(list);
    *condition = json_array_get(extract, 2);
    json_t *group = ast_is(*condition, "group_by") ? *condition : json_array_get(extract, 3);
    if (group == *condition) {
        *condition = NULL;
    }
    if (group != NULL && !ast_is(group, "group_by")) {
        return ok && plan_no_such_clause(err);
    }
    json_array_foreach(group, i, item) {
        ok = ok && (i == 0 || add_group(p, item, err));
    }
    return ok;
}

/* ---------------------------------------------------------------- paging */

static bool refuse_order_field(const struct plan *p, const char *name, struct error *err) {
    struct buf known = BUF_INIT;
    for (const struct field *f = p->entity->fields; f->name != NULL; f++) {
        if ((f->flags & FIELD_QUERYABLE) != 0) {
            buf_printf(&known, "%s'%s'", known.len > 0 ? ", " : "", f->name);
        }
    }
    error_set(err, "pql/bad-query", "Unrecognized column '%s' specified in :order_by; Supported columns are %s", name,
              known.ptr != NULL ? known.ptr : "''");
    buf_free(&known);
    return false;
}

static bool add_order(struct plan *p, const json_t *item, struct error *err) {
    const json_t *name = json_is_array(item) ? json_array_get(item, 0) : item;
    const json_t *direction = json_is_array(item) ? json_array_get(item, 1) : NULL;
    if (!json_is_string(name)) {
        return error_set(err, "pql/refused", "a field to order by must be text");
    }
    const struct field *f = entity_field(p->entity, json_span(name));
    if (f == NULL || (f->flags & FIELD_QUERYABLE) == 0) {
        return refuse_order_field(p, json_string_value(name), err);
    }
    bool descending = direction != NULL && span_eq_nocase(json_span(direction), "desc");
    if (direction != NULL && !descending && !span_eq_nocase(json_span(direction), "asc")) {
        return error_set(err, "pql/refused", "the direction of order_by must be \"asc\" or \"desc\"");
    }
    p->orders = mem_realloc(p->orders, (p->order_count + 1) * sizeof *p->orders);
    p->orders[p->order_count++] = (struct plan_order){f, descending};
    return true;
}

static bool page_count(const json_t *value, const char *name, int64_t *out, struct error *err) {
    if (value == NULL) {
        return true;
    }
    if (!json_is_integer(value)) {
        return error_set(err, "pql/refused", "ERROR: argument of %s must be type bigint", name);
    }
    if (json_integer_value(value) < 0) {
        return error_set(err, "pql/refused", "ERROR: %s must not be negative", name);
    }
    *out = json_integer_value(value);
    return true;
}

bool plan_page(struct plan *p, const json_t *order_by, const json_t *limit, const json_t *offset, struct error *err) {
    if (order_by != NULL && !json_is_array(order_by)) {
        return error_set(err, "pql/refused", "order_by takes a list of fields");
    }
    size_t i;
    json_t *item;
    json_array_foreach(order_by, i, item) {
        if (!add_order(p, item, err)) {
            return false;
        }
    }
    return page_count(limit, "LIMIT", &p->limit, err) && page_count(offset, "OFFSET", &p->offset, err);
}

/* ---------------------------------------------------------------- queries */

struct plan *plan_source_build(json_t *source, struct error *err) {
    json_t *third = json_array_get(source, 2);
    json_t *condition = NULL;
    struct plan *p = NULL;
    bool ok = false;
    if (ast_is(source, "from") && json_is_array(third)) {
        const struct entity *e = entity_by_name(json_span(json_array_get(source, 1)));
        if (e == NULL) {
            error_set(err, "pql/refused", "a subquery of an unknown entity");
            return NULL;
        }
        p = plan_new(e);
        struct ast_from from;
        condition = third;
        ok = ast_take_apart(source, &from, err) && plan_page(p, from.order_by, from.limit, from.offset, err) &&
             (!ast_is(third, "extract") || plan_extract(p, third, &condition, err));
    } else if (ast_is(source, "extract") && entity_by_select(ast_operator(third)) != NULL) {
        p = plan_new(entity_by_select(ast_operator(third)));
        json_t *columns = json_pack("[s, O]", "extract", json_array_get(source, 1));
        ok = plan_extract(p, columns, &condition, err);
        json_decref(columns);
        condition = json_array_get(third, 1);
    } else {
        plan_no_such_clause(err);
        return NULL;
    }
    if (ok && condition != NULL && json_array_size(condition) > 0 && !ast_is_paging(condition)) {
        p->where = plan_expr_build(p->entity, condition, err);
        ok = p->where != NULL;
    }
    if (!ok) {
        plan_free(p);
        return NULL;
    }
    return p;
}

static bool build_body(struct plan *p, json_t *query, struct error *err) {
    json_t *condition = query;
    if (ast_is(query, "extract") && json_array_size(query) >= 2 && !plan_extract(p, query, &condition, err)) {
        return false;
    }
    if (json_array_size(condition) == 0) { /* nothing, or [] */
        return true;
    }
    p->where = plan_expr_build(p->entity, condition, err);
    return p->where != NULL;
}

static bool check_and_build(struct plan *p, json_t *query, struct error *err) {
    json_t *restricted = ast_restrict_to_agent_reports(p->entity, query);
    if (restricted == NULL) {
        return true;
    }
    json_t *checked = ast_check_fields(p->entity, restricted, err);
    json_t *expanded = checked != NULL ? ast_expand(p->entity, checked, err) : NULL;
    bool ok = expanded != NULL && build_body(p, expanded, err);
    json_decref(restricted);
    json_decref(checked);
    json_decref(expanded);
    return ok;
}

static const struct entity *entity_of_query(const char *name, const struct plan_options *o, struct error *err) {
    const struct entity *e = entity_for_query(span_of(name));
    if (e == NULL && (strstr(name, "event_counts") != NULL || strstr(name, "event-counts") != NULL)) {
        error_set(err, "pql/refused", "An unexpected error occurred while processing the request");
        return NULL;
    }
    if (e == NULL) {
        char *underscored = str_dup(name);
        for (char *c = underscored; *c != '\0'; c++) {
            *c = *c == '-' ? '_' : *c;
        }
        error_set(err, "pql/bad-query", "Invalid entity '%s' in query", underscored);
        mem_free(underscored);
        return NULL;
    }
    return e->id == ENTITY_NODES && o->facts_expiration       ? entity_get(ENTITY_NODES_WITH_EXPIRATION)
           : e->id == ENTITY_FACTSETS && o->package_inventory ? entity_get(ENTITY_FACTSETS_WITH_PACKAGES)
                                                              : e;
}

struct plan *plan_build(json_t *query, const struct plan_options *options, struct error *err) {
    struct ast_from from;
    if (!ast_take_apart(query, &from, err)) {
        return NULL;
    }
    const struct entity *e = entity_of_query(from.entity, options, err);
    if (e == NULL) {
        return NULL;
    }
    struct plan *p = plan_new(e);
    p->limit = options->paging.limit;
    p->offset = options->paging.offset < 0 ? 0 : options->paging.offset;
    const json_t *order_by = from.order_by != NULL ? from.order_by : options->paging.order_by;
    if (!plan_page(p, order_by, from.limit, from.offset, err) || !check_and_build(p, from.query, err)) {
        plan_free(p);
        return NULL;
    }
    return p;
}
